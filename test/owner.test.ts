import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { KerbEvent } from "../gateway/event.ts";
import { envelope, folder, kerb, kerbProgram } from "./cli-rig.ts";
import { freePort } from "./ports.ts";

/** Whose a state folder is, with gateways in processes of their own and no broker to take what they keep. */

const broker = await freePort();

function writeSite(file: string, id: string, more: Record<string, unknown> = {}): string {
  const site = {
    version: 1,
    gateway: { id, name: "Tủ", city: "test", state: "./state", ...more },
    outbox: { commitAfter: "20ms" },
    uplinks: [{ id: "ioc", type: "mqtt", url: `mqtt://127.0.0.1:${broker}` }],
    devices: [],
  };
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, JSON.stringify(site, undefined, 1));
  return file;
}

/** Runs a gateway until its first event is kept. */
async function runOnce(site: string): Promise<void> {
  const gateway = kerbProgram("run", site);
  await gateway.line(/ is running/);
  await expect.poll(() => keptOf(site), { timeout: 20_000 }).toBeGreaterThan(0);
  expect(await gateway.stop()).toBe(0);
}

function buffer(site: string): { gateway: string; rows: { event: number; live: number } } {
  const { code, out } = kerb(["buffer", "--site", site, "--json"]);
  expect(code).toBe(0);
  return envelope(out).data as never;
}

function keptOf(site: string): number {
  const { event, live } = buffer(site).rows;
  return event + live;
}

function eventsOf(file: string): KerbEvent[] {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as KerbEvent);
}

test("two gateways do not share a state folder: the second ends with both names, the folder and the cure", async () => {
  const first = writeSite(join(folder, "two", "a.yaml"), "box-a");
  const second = writeSite(join(folder, "two", "b.yaml"), "box-b");
  await runOnce(first);
  const kept = keptOf(first);
  const words = {
    en: [`belongs to the gateway "box-a"`, `says "box-b"`, `undelivered events: ${kept}`],
    vi: [`thuộc gateway "box-a"`, `ghi "box-b"`, `số sự kiện chưa giao: ${kept}`],
  };
  for (const [language, said] of Object.entries(words)) {
    const { code, out } = kerb(["run", second], { LANG: `${language}_VN.UTF-8`, LC_ALL: "" });
    expect(code).toBe(78);
    const last = JSON.parse(out.trim().split("\n").at(-1) ?? "") as { code: string; msg: string };
    expect(last.code).toBe("KERB-OUT-OWNER");
    for (const part of [...said, join(folder, "two", "state"), "gateway.state", "kerb buffer adopt"])
      expect(last.msg).toContain(part);
  }
  expect(buffer(first)).toMatchObject({ gateway: "box-a", rows: { event: kept } });
  await runOnce(first);
  expect(kerb(["explain", "KERB-OUT-OWNER"]).code).toBe(0);
}, 120_000);

test("a gateway that runs does not take another id, and goes on", async () => {
  const site = writeSite(join(folder, "live", "gateway.yaml"), "box-a");
  const gateway = kerbProgram("run", site);
  await gateway.line(/box-a is running/);
  writeSite(site, "box-b");
  const apply = ["config", "apply", "--site", site];
  const { code, out } = kerb([...apply, "--json"]);
  expect([code, envelope(out).error]).toMatchObject([78, { code: "KERB-OUT-OWNER" }]);
  const vietnamese = kerb([...apply, "--lang", "vi"]);
  expect(vietnamese.err).toMatch(
    /thuộc gateway "box-a", còn tệp cấu hình ghi "box-b"; số sự kiện chưa giao: \d/,
  );
  const status = kerb(["status", "--json", "--site", site]);
  expect(envelope(status.out).data).toMatchObject({ gateway: { id: "box-a" } });
  gateway.child.kill("SIGHUP");
  await gateway.line(/SIGHUP: the files are not taken over: the state folder .* belongs to the gateway/);
  expect(await gateway.stop()).toBe(0);
}, 120_000);

test("a box that is renamed on purpose leaves its queue aside, says so, and can still deliver it", async () => {
  const site = writeSite(join(folder, "renamed", "gateway.yaml"), "box-a");
  await runOnce(site);
  const left = keptOf(site);
  writeSite(site, "box-b");
  const adopt = ["buffer", "adopt", "--site", site];
  expect(kerb(adopt)).toMatchObject({ code: 7, err: expect.stringContaining(`Undelivered events: ${left}`) });
  expect(buffer(site).gateway).toBe("box-a");
  const { code, out } = kerb([...adopt, "--yes", "--json"]);
  const { folder: former, ...said } = envelope(out).data as { folder: string };
  expect([code, said]).toEqual([0, { gateway: "box-b", former: "box-a", left }]);
  expect(kerb([...adopt, "--lang", "vi"]).out).toContain('đã thuộc về "box-b"');

  await runOnce(site);
  const events = join(folder, "renamed", "events");
  expect(kerb(["buffer", "export", events, "--site", site]).code).toBe(0);
  expect(new Set(eventsOf(events).map((event) => event.gateway))).toEqual(new Set(["box-b"]));
  expect(eventsOf(events)[0]?.data).toEqual({ state: "renamed", former: "box-a", left });
  expect(eventsOf(events)[1]).toMatchObject({ kind: "gap", data: { former: "box-a", lostCount: left } });

  const old = writeSite(join(folder, "renamed", "old.yaml"), "box-a", { state: former });
  await runOnce(old);
  expect(buffer(old)).toMatchObject({ gateway: "box-a", rows: { event: expect.any(Number) } });
  expect(keptOf(old)).toBeGreaterThan(left);
}, 120_000);

test("who renames a box while it runs, or through a link to elsewhere, is refused", async () => {
  const site = writeSite(join(folder, "safe", "gateway.yaml"), "box-a");
  const gateway = kerbProgram("run", site);
  await gateway.line(/is running/);
  const other = writeSite(join(folder, "safe", "other.yaml"), "box-b");
  expect(kerb(["buffer", "adopt", "--yes", "--site", other]).code).toBe(7);
  expect(await gateway.stop()).toBe(0);
  const [state, elsewhere] = [join(folder, "safe", "state"), join(folder, "safe", "elsewhere")];
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, join(state, "former"));
  expect(kerb(["buffer", "adopt", "--yes", "--site", other]).code).toBe(7);
  expect([readdirSync(elsewhere), existsSync(join(state, "outbox.db"))]).toEqual([[], true]);
}, 120_000);
