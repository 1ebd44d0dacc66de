import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { checkJournal } from "./journal-check.ts";
import { type CommandState, isFinal } from "./state.ts";
import { recordsOf, Site, until } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-crash-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const script = fileURLToPath(new URL("test-crash.ts", import.meta.url));
const kills = Number(process.env["KERB_KILLS"] ?? 8);

/** Lets the process run for a while and kills it. */
async function killed(first: number): Promise<void> {
  const child = spawn(process.execPath, [script, root, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  // A machine that is busy may take longer for the first one than it is given.
  await expect.poll(() => existsSync(join(root, "device")), { timeout: 30_000 }).toBe(true);
  await sleep(Math.random() * 60);
  child.kill("SIGKILL");
  await once(child, "close");
}

describe("a desk that is killed at any moment", () => {
  it(
    "has executed each command at most once, and knows of each what became of it",
    async () => {
      for (let i = 1; i <= kills; i++) await killed(i * 100_000);
      const written = readFileSync(join(root, "device"), "utf8").trimEnd().split("\n").map(Number);
      const site = new Site(join(root, "commands"));
      site.field.values.set("light-01/count", written.at(-1)!);
      const desk = await site.open({ retryFirstMs: 5, segmentBytesMax: 40_000 });
      await until(() => desk.pending.unknown.length === 0, "it knows of each");
      await desk.close();
      expect(new Set(written).size).toBe(written.length);
      const results = new Map<number, CommandState[]>();
      const accepted = new Set<number>();
      for (const { ev, state } of await recordsOf(site.folder)) {
        const { args } = (state ?? {}) as CommandState;
        const count = Number(args?.["count"]);
        if (ev === "accepted") accepted.add(count);
        if (ev === "result") results.set(count, [...(results.get(count) ?? []), state as CommandState]);
      }
      let cut = 0;
      for (const count of accepted) {
        const ended = results.get(count)?.at(-1);
        expect(ended !== undefined && isFinal(ended), `command ${count}`).toBe(true);
        if (ended?.code !== undefined || ended?.resolved === true) cut++;
        expect(ended?.state, `command ${count}: ${ended?.reason}`).toBe(
          written.includes(count) ? "done" : "failed",
        );
      }
      expect(cut).toBeGreaterThan(0);
      console.log(`${kills} kills, ${accepted.size} commands, ${written.length} written, ${cut} cut through`);
      expect((await checkJournal(site.folder)).break).toBeUndefined();
    },
    30_000 + kills * 3000,
  );
});
