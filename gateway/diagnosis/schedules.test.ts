import { expect, it } from "vitest";
import type { ScheduleProblem, ScheduleReport } from "../commands/scheduling.ts";
import { healthyStatus } from "../health/testing.ts";
import { problemsOf } from "./problems.ts";

/** What `kerb problems` says of schedules that cannot be kept. */

const nowMs = 1_800_000_000_000;

async function found(...problems: (ScheduleProblem | undefined)[]) {
  const status = healthyStatus(nowMs);
  const [pattern] = status.devices;
  status.devices = problems.map((problem, index) => {
    const right: ScheduleReport = { point: "lamp", value: true, state: "kept" };
    const wrong: ScheduleReport = { point: "dim", value: 50, state: "held", reason: "door is true" };
    const schedules = [right, ...(problem === undefined ? [] : [{ ...wrong, problem }])];
    return { ...pattern!, id: `d-${index + 1}`, schedules };
  });
  const all = await problemsOf({ status, readings: {}, nowMs, configured: [] });
  return all.map(({ object, code, seen, behind }) => ({ object, code, seen: seen.vi, behind }));
}

it("each by its device, with the point and why", async () => {
  expect(await found(undefined, "KERB-SCH-OVERRIDE", "KERB-SCH-NOT-KEPT", "KERB-SCH-LET-GO")).toEqual(
    ["KERB-SCH-OVERRIDE", "KERB-SCH-NOT-KEPT", "KERB-SCH-LET-GO"].map((code, index) => ({
      object: `d-${index + 2}`,
      code,
      seen: "dim phải là 50: door is true",
      behind: [],
    })),
  );
});

it("a clock once, with all the devices that wait for it", async () => {
  expect(await found("KERB-SCH-CLOCK", undefined, "KERB-SCH-CLOCK")).toEqual([
    {
      object: undefined,
      code: "KERB-SCH-CLOCK",
      seen: "lịch của 2 thiết bị đang dừng",
      behind: ["d-1", "d-3"],
    },
  ]);
});
