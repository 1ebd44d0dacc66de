import { expect, it } from "vitest";
import type { DeviceConfig, Site } from "../../config/config.ts";
import { scheduleRows, schedulesOf } from "./device-schedules.ts";

const nowMs = Date.parse("2026-11-23T20:00:00+07:00");
const timeZone = "Asia/Ho_Chi_Minh";
const device = {
  schedules: {
    dim: [
      { at: "17:45", value: 100 },
      { at: "05:30", value: 0 },
    ],
    lamp: [{ at: "08:00", value: true, days: ["wed"] }],
  },
} as unknown as DeviceConfig;
const site = { gateway: { timeZone } } as Site;

it("shows what the site file wants now where no gateway runs", () => {
  const shown = schedulesOf(device, site, undefined, nowMs);
  expect(scheduleRows(shown, timeZone, nowMs, "en")).toEqual([
    ["schedule", "dim = 100   until 05:30   no gateway runs"],
    ["schedule", "lamp = true   until 2026-11-25 08:00   no gateway runs"],
  ]);
});

it("shows what stands against it, in the words of the language", () => {
  const problem = "KERB-SCH-OVERRIDE" as const;
  const held = { point: "dim", value: 100, state: "held" as const, problem, reason: "door is true" };
  const asleep = { point: "lamp", value: null, state: "kept" as const };
  const [[, en] = [], [, none] = []] = scheduleRows([held, asleep], timeZone, nowMs, "en");
  expect(en).toBe(
    "dim = 100   waits: A person operates the device: its schedule stands still (KERB-SCH-OVERRIDE): door is true",
  );
  expect(none).toBe("nothing now   kept");
  const [[, vi] = []] = scheduleRows([held], timeZone, nowMs, "vi");
  expect(vi).toContain("dim = 100   đang chờ: Có người đang vận hành thiết bị");
});
