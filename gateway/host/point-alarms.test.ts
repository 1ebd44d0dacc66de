import { describe, expect, it } from "vitest";
import type { Answer } from "../driver.ts";
import { Normaliser } from "./normalise.ts";
import { PointAlarms } from "./point-alarms.ts";
import { sourceOffsets } from "./push.ts";
import { pointLike } from "./test-point.ts";

const boolean = (name: string) => pointLike({ name, kind: "boolean", heartbeat: 0 });
const points = [boolean("other"), boolean("door.open")];
const normaliser = new Normaliser(points);

function seen(...polls: (Answer | undefined)[]): unknown[] {
  const told: unknown[] = [];
  const definition = { name: "doorOpen", point: "door.open", category: "access" };
  const alarms = new PointAlarms({ alarms: [definition] }, (data, timeMs) => told.push([timeMs, data]));
  polls.forEach((answer, i) => alarms.look(normaliser, { answers: [true, answer as Answer] }, i));
  return told;
}

const told = (timeMs: number, state: string, more: object = {}) => [
  timeMs,
  {
    record: "doorOpen",
    category: "access",
    state,
    ...more,
    values: { "door.open": { value: state === "active" } },
  },
];

describe("alarms of boolean points", () => {
  it("are told when the point changes, and never what is still so", () => {
    expect(seen(0, 1, true, 0, false, 1)).toEqual([
      told(1, "active"),
      told(3, "inactive"),
      told(5, "active"),
    ]);
  });

  it("that are there at the first look are told as such; what is not there is no news", () => {
    expect(seen(1, 0)).toEqual([told(0, "active", { initial: true }), told(1, "inactive")]);
    expect(seen(0, 0)).toEqual([]);
  });

  it("stay as they were while the value is bad or was not told", () => {
    const bad: Answer = { value: null, status: "bad", code: "timeout" };
    expect(seen(1, bad, undefined, 1, 0)).toEqual([
      told(0, "active", { initial: true }),
      told(4, "inactive"),
    ]);
  });
});

describe("the times of answers", () => {
  it("are the device's own where it gives one, else those of their arrivals, one after the other", () => {
    const timeMs = Date.now();
    const own: Answer = { value: 1, status: "good", sourceTimeMs: timeMs - 60_000 };
    expect(sourceOffsets([1, own, 1], timeMs, timeMs, [0, 20, 40])).toEqual([0, -60_000, 40]);
    expect(sourceOffsets([1, own], timeMs)).toEqual([0, -60_000]);
    expect(sourceOffsets([1, 1], timeMs, timeMs, [0, 20])).toEqual([0, 20]);
    expect(sourceOffsets([1, 1], timeMs)).toBeUndefined();
  });
});
