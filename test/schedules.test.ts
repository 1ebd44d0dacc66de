import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ScheduleEntry } from "../gateway/schedules/levels.ts";
import type { LatestReading } from "../gateway/host/messages.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import { CommandRig, device } from "./command-rig.ts";

/** A gateway in a process of its own keeps a pretend cabinet of street lights at its schedule. */

let rig: CommandRig;
beforeAll(async () => {
  rig = await CommandRig.start();
});
afterAll(() => rig?.close());

const waits = { timeout: 30_000, interval: 50 };
const dim = (value: number) => `function 6 holding 0 = ${value.toString(16).padStart(4, "0")}`;
/** So many seconds from now, as the clocks in Saigon show it. */
const after = (seconds: number) =>
  new Date(Date.now() + 1000 * seconds + 7 * 3_600_000).toISOString().slice(11, 19);

/** What the cabinet was told, without what it was told again: on a busy machine an answer may come too late. */
const told = () => rig.written.filter((one, i, all) => one !== all[i - 1]);

/** What the gateway has read last. */
async function shown(): Promise<unknown> {
  const latest = await rig.ask<LatestReading[]>("latest", { device });
  return latest.find(({ point }) => point === "dim")?.value;
}

const status = async () => (await rig.ask<GatewayStatus>("status")).devices[0];

/** Changes the schedule of the gateway that runs. */
async function plan(...entries: ScheduleEntry[]): Promise<void> {
  const site = JSON.parse(readFileSync(rig.file, "utf8")) as { devices: Record<string, unknown>[] };
  Object.assign(site.devices[0]!, { schedules: { dim: entries } });
  writeFileSync(rig.file, JSON.stringify(site));
  await expect
    .poll(() => rig.ask("config-apply", { by: "an", watchMs: 100 }), waits)
    .toHaveProperty("generation");
}

it("keeps a point at its schedule behind orders, over restarts and forgetting", async () => {
  const before = await status();
  // Live: the device goes on with its connection.
  await plan({ at: after(-60), value: 60 });
  await expect.poll(told, waits).toEqual([dim(60)]);
  expect((await status())?.sinceMs).toBe(before?.sinceMs);

  // A lease goes before it, and the point comes back.
  const lease = ["write", device, "dim=30", "--for", "1s", "--yes", "--site", rig.file];
  expect((await rig.kerb(...lease)).code).toBe(0);
  await expect.poll(told, waits).toEqual([60, 30, 60].map(dim));

  // At its time the level changes, and a device that was away and forgot is told again.
  const nextMs = Date.now() + 4000;
  await plan({ at: after(-60), value: 60 }, { at: after(4), value: 80 });
  await expect.poll(told, waits).toEqual([60, 30, 60, 80].map(dim));
  expect(Date.now()).toBeGreaterThan(nextMs - 1000);
  await expect.poll(async () => (await status())?.schedules?.[0]?.state, waits).toBe("kept");
  const count = rig.written.length;
  rig.simulator.fault("restart", 300);
  rig.simulator.set("dim", 20);
  await expect.poll(() => rig.written.length, waits).toBeGreaterThan(count);
  await expect.poll(shown, waits).toBe(80);

  // An order of the IOC stands until the next change, over a kill too.
  await expect.poll(async () => (await status())?.schedules?.[0]?.state, waits).toBe("kept");
  const commander = rig.commander();
  const { last } = await commander.execute(rig.wanted({ dim: 50 }), rig.key);
  expect(last).toMatchObject({ state: "done" });
  await rig.stop("SIGKILL");
  await rig.run();
  await expect.poll(async () => (await status())?.schedules?.[0]?.state, waits).toBe("ordered");
  const { out } = await rig.kerb("device", "show", device, "--site", rig.file, "--lang", "en");
  expect(out).toMatch(/schedule +dim = 80 +until \d\d:\d\d +waits for the next change/);
  await plan({ at: after(-600), value: 60 }, { at: after(3), value: 90 });
  await expect.poll(told, waits).toEqual([60, 30, 60, 80, 50, 90].map(dim));

  // What it forgets while nobody looks is put right after the start.
  await rig.stop("SIGKILL");
  rig.simulator.set("dim", 20);
  await rig.run();
  await expect.poll(shown, waits).toBe(90);
}, 180_000);
