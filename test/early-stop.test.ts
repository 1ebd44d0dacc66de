import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { EventReader } from "../gateway/event.ts";
import { OutboxStore } from "../gateway/outbox/store.ts";
import { deviceId, openOneDevice } from "./one-device.ts";

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kerb-early-"));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
  rmSync(folder, { recursive: true });
});

/** Stops a gateway when it says that its file is open. */
async function stoppedEarly(siteFile: string, path: string): Promise<string> {
  // SQLite cannot open a folder.
  mkdirSync(path, { recursive: true });
  const gateway = spawn(launcher, ["run", siteFile], { stdio: ["ignore", "pipe", "pipe"] });
  ends.push(() => gateway.kill("SIGKILL"));
  let log = "";
  for (const stream of [gateway.stdout, gateway.stderr])
    stream.on("data", (text: Buffer) => {
      log += text.toString();
      if (log.includes("takes events again")) gateway.kill("SIGTERM");
    });
  await expect.poll(() => log, { timeout: 60_000 }).toContain(`${deviceId} is online`);
  const ended = once(gateway, "exit");
  rmdirSync(path);
  expect(await ended).toEqual([0, null]);
  expect(log).not.toContain("are lost");
  return log;
}

it("stores what it read early also when it is stopped as soon as the file is open", async () => {
  const site = await openOneDevice("modbus", folder);
  ends.push(() => site.close());
  const state = join(folder, "state");
  const path = join(state, "outbox.db");
  // On a machine that is busy the signal may come when it has begun to run already: then it was not early.
  for (let tries = 1; (await stoppedEarly(site.file, path)).includes("is running"); tries++) {
    expect(tries).toBeLessThan(6);
    rmSync(state, { recursive: true });
  }
  const store = new OutboxStore({ path, bytesMax: 64 * 1024 * 1024 });
  ends.push(() => store.close());
  const reader = new EventReader();
  const kinds = store.rows(1, 0, store.lastId, 1000).map(({ body }) => {
    reader.open(body);
    return reader.kind;
  });
  expect(kinds).toContain("telemetry");
}, 240_000);
