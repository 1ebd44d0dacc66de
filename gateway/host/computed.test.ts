import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { askedOf, settled } from "../profiles/derived.ts";
import type { Answer, Driver } from "../driver.ts";
import { EventReader, EventWriter, quality } from "../event.ts";
import { byClass, planGroups } from "./groups.ts";
import { withFactors } from "./identify.ts";
import type { HostDevice, HostPoint } from "./messages.ts";
import { inOrder, Normaliser, shownReadings } from "./normalise.ts";
import { PointAlarms } from "./point-alarms.ts";
import { Push } from "./push.ts";
import { StatusPoints } from "./status-points.ts";
import { pointLike } from "./test-point.ts";

let index = 0;
const point = (name: string, more: Partial<HostPoint> = {}): HostPoint =>
  pointLike({ name, index: index++, address: { at: name }, ...more });
const derived = (name: string, derive: HostPoint["derive"], more: Partial<HostPoint> = {}): HostPoint =>
  point(name, { address: undefined, derive, ...more });

interface Told {
  value: unknown;
  quality: number;
  detail: unknown;
  timeMs: number;
}
/** What leaves of one poll, or of what was pushed at these positions, by the name of its point. */
function tell(
  points: readonly HostPoint[],
  answers: Answer[],
  offsets?: number[],
  positions?: number[],
): Record<string, Told> {
  const writer = new EventWriter();
  writer.begin("telemetry", 1, 0, 0, "synced");
  new Normaliser(points).write({ answers }, writer, 0, offsets, positions);
  const reader = new EventReader();
  reader.open(writer.bytes());
  const told: Record<string, Told> = {};
  while (reader.next()) {
    const name = points.find((one) => one.index === reader.point)?.name ?? "?";
    told[name] = {
      value: reader.value(),
      quality: reader.quality,
      detail: reader.detail,
      timeMs: reader.timeOffsetMs,
    };
  }
  return told;
}

const a = point("a", { scale: 0.1, unit: "kW.h" });
const b = point("b", { scale: 0.01, unit: "kW.h" });
const difference = derived("d", { difference: ["a", "b"] }, { unit: "kW.h" });
const bad: Answer = { value: null, status: "bad", code: "modbus-2" };

const worstOf = (answers: Answer[]) =>
  Math.max(
    ...answers.map((one) => (typeof one !== "object" ? 0 : { good: 0, uncertain: 1, bad: 2 }[one.status])),
  );

describe("a derived value", () => {
  it("is made of the values as they leave: scaled, and without the noise of floats", () => {
    const sum = derived("s", { sum: ["a", "b", "a"] });
    const ratio = derived("r", { ratio: ["a", "b"] });
    const share = derived("p", { ratio: ["a", "b"] }, { unit: "%", decimals: 1 });
    const told = tell([a, b, difference, sum, ratio, share], [3, 20]);
    expect(Object.fromEntries(Object.entries(told).map(([name, { value }]) => [name, value]))).toEqual({
      a: 0.3,
      b: 0.2,
      d: 0.1,
      s: 0.8,
      r: 1.5,
      p: 150,
    });
  });

  it("is bad without one of its inputs, by zero, and says of which", () => {
    const ratio = derived("r", { ratio: ["a", "b"] });
    expect(tell([a, b, difference], [3, bad])["d"]).toMatchObject({
      value: null,
      quality: quality.bad,
      detail: { code: "derived", reason: "b: modbus-2" },
    });
    expect(tell([a, b, ratio], [3, 0])["r"]).toMatchObject({
      value: null,
      quality: quality.bad,
      detail: { code: "derived", reason: "b is 0" },
    });
    const floored = point("b", { sentinels: [{ raw: 65535, code: "none", reason: "x", certainty: "seen" }] });
    expect(tell([a, floored, difference], [3, 65535])["d"]).toMatchObject({
      detail: { code: "derived", reason: "b: none" },
    });
  });

  it("is as good as the worst of its inputs, and never better", () => {
    const limited = point("b", { limits: [0, 1] });
    expect(tell([a, limited, difference], [3, 2])["d"]).toMatchObject({
      value: -1.7,
      quality: quality.uncertain,
      detail: { code: "derived", reason: "b: limit" },
    });
    const reading = fc.constantFrom<Answer>(
      1,
      bad,
      { value: 2, status: "uncertain", code: "x" },
      { value: null, status: "bad" },
    );
    const chain = derived("s", { sum: ["d", "c"] }, { unit: "kW.h" });
    const points = [a, b, point("c"), difference, chain];
    fc.assert(
      fc.property(fc.tuple(reading, reading, reading), (answers) => {
        const told = tell(points, answers);
        const rank = [0, quality.uncertain, quality.bad];
        expect(told["s"]?.quality).toBe(rank[worstOf(answers)]);
        expect(told["d"]?.quality).toBe(rank[worstOf(answers.slice(0, 2))]);
        expect(told["s"]?.value === null).toBe(worstOf(answers) === 2);
      }),
    );
  });

  it("is as old as the oldest of its inputs, over any number of steps", () => {
    const chain = derived("s", { sum: ["c", "d"] }, { unit: "kW.h" });
    const told = tell([a, b, point("c"), difference, chain], [1, 2, 3], [-7000, 40, -90]);
    expect(told["d"]?.timeMs).toBe(-7000);
    expect(told["s"]?.timeMs).toBe(-7000);
    expect(tell([a, b, difference], [1, 2], [60, 40])["d"]?.timeMs).toBe(40);
  });

  it("shows a counter that began anew as it is", () => {
    expect(tell([a, b, difference], [10, 500])["d"]).toMatchObject({ value: -4, quality: 0 });
  });

  it("has limits, a dead band and a heartbeat of its own", () => {
    const limited = { ...difference, limits: [0, 5] as [number, number] };
    expect(tell([a, b, limited], [0, 100])["d"]).toMatchObject({
      value: -1,
      quality: quality.uncertain,
      detail: { code: "limit" },
    });
    const points = [a, b, { ...difference, deadband: 1 }];
    const normaliser = new Normaliser(points);
    const count = (raw: number, atMs: number) =>
      normaliser.write({ answers: [raw, 0] }, new EventWriter(), atMs, undefined);
    expect([count(0, 0), count(5, 10), count(10, 20), count(10, 300_020)]).toEqual([3, 2, 3, 3]);
  });
});

const statusPoint = point("status", { index: -1, publish: false });

const bitOf = (position: number, more: Partial<HostPoint> = {}) =>
  derived(`bit${position}`, { bitmask: { of: "status", mask: 2 ** position } }, { kind: "boolean", ...more });

describe("bits", () => {
  it("are read out of any whole number, negative and of 64 bits too, and of nothing else", () => {
    const positions = [0, 3, 15, 31, 63];
    const of = (raw: Answer) =>
      positions.map((position) => tell([statusPoint, bitOf(position)], [raw])[`bit${position}`]?.value);
    expect(of(9)).toEqual([true, true, false, false, false]);
    expect(of(-32_768)).toEqual([false, false, true, true, true]);
    expect(of(2n ** 63n + 1n)).toEqual([true, false, false, false, true]);
    for (const raw of [1.5, "9", true, { value: null, status: "bad" } as const])
      expect(tell([statusPoint, bitOf(0)], [raw])["bit0"]).toMatchObject({
        value: null,
        quality: quality.bad,
        detail: { code: "derived" },
      });
  });

  it("of several are a number, with names of its own", () => {
    const field = derived(
      "mode",
      { bitmask: { of: "status", mask: 0b111_0000 } },
      { values: { 2: "manual" } },
    );
    expect(tell([statusPoint, field], [0b010_1111])["mode"]).toMatchObject({ value: "manual", quality: 0 });
    expect(tell([statusPoint, field], [0b110_0000])["mode"]).toMatchObject({
      value: "6",
      quality: quality.uncertain,
    });
    expect(tell([statusPoint, { ...field, values: undefined }], [0b110_0000])["mode"]?.value).toBe(6);
  });

  it("make alarms and states as any point does", () => {
    const points = [statusPoint, bitOf(1, { status: true })];
    const told: unknown[] = [];
    const alarms = new PointAlarms({ alarms: [{ name: "open", point: "bit1" }] }, (data) =>
      told.push(data["state"]),
    );
    const normaliser = new Normaliser(points);
    const states = new StatusPoints();
    const news = [0, 2, 2, 0].map((raw) => {
      alarms.look(normaliser, { answers: [raw] }, 0);
      return states.news(normaliser, [raw]).map(({ value }) => value);
    });
    expect(told).toEqual(["active", "inactive"]);
    expect(news).toEqual([[false], [true], [], [false]]);
    alarms.look(normaliser, { answers: [] }, 0);
    expect(states.news(normaliser, [2], [])).toEqual([]);
  });
});

const pollMs = { fast: 1000, normal: 10_000, slow: 60_000 };

describe("what is read for it", () => {
  const slow = point("slow", { poll: "slow", publish: false });
  const factor = point("factor", { index: -1, poll: "slow" });
  const scaled = point("scaled", { poll: "slow", scaleFactor: "factor" });
  const fast = derived("fast", { sum: ["slow", "scaled"] }, { poll: "fast" });

  it("is read with it in the same poll, in its own class told, and derived points are not asked for", () => {
    const points = [fast, slow, factor, scaled];
    const groups = planGroups([], 0, { pollMs }, (name) => byClass(points)[name]);
    expect(groups.map(({ name, points: list }) => [name, list.map((one) => one.name)])).toEqual([
      ["fast", ["slow", "factor", "scaled", "fast"]],
      ["slow", ["slow", "factor", "scaled"]],
    ]);
    const [first] = groups;
    expect(first?.points.slice(0, 3).every((one) => one.index === -1)).toBe(true);
    expect(askedOf(first!.points).map(({ name }) => name)).toEqual(["slow", "factor", "scaled"]);
    expect(askedOf(first!.points)).toBe(askedOf(first!.points));
    expect(withFactors(points, ["fast"]).map(({ name }) => name)).toEqual([
      "slow",
      "factor",
      "scaled",
      "fast",
    ]);
  });

  it("takes with it what is made from it where a firmware has not got it", () => {
    const chain = derived("chain", { sum: ["fast", "slow"] });
    expect(settled([slow, fast, chain, a]).map(({ name }) => name)).toEqual(["slow", "a"]);
    const plain = [a, b];
    expect(settled(plain)).toBe(plain);
    expect(planGroups([], 0, { pollMs }, (name) => (name === "fast" ? [fast] : []))).toEqual([]);
  });

  it("is shown to a technician with what it is made of, and with the time of the oldest", () => {
    const driver = { describe: (address: { at: string }) => `at ${address.at}` } as unknown as Driver<
      unknown,
      unknown
    >;
    const points = [a, b, difference];
    const shown = shownReadings(driver, points, new Normaliser(points), { answers: [3, 20] }, (answer) =>
      answer === 3 ? 1000 : 2000,
    );
    expect(inOrder([difference, b], shown)).toMatchObject([
      { point: "d", value: 0.1, timeMs: 1000, address: "a - b", status: "good" },
      { point: "b", address: "at b" },
    ]);
  });
});

const sampleOf = (value: number, sourceTimeMs: number): Answer => ({ value, status: "good", sourceTimeMs });

describe("what is pushed", () => {
  const pushed = { poll: "push" as const };
  const points = [
    point("x", pushed),
    point("y", pushed),
    derived("sum", { sum: ["x", "y"] }, pushed),
    derived("bit", { bitmask: { of: "x", mask: 1 } }, { ...pushed, kind: "boolean" }),
  ];
  const device = { records: [], personalData: { how: "drop" } } as unknown as HostDevice;

  it("gives a derived value only where all of it came together: never a new one of an old value", () => {
    const told: string[][] = [];
    const push = new Push(device, points, {
      heard: () => {},
      telemetry: (normaliser, answers, positions) =>
        told.push(Object.keys(tell(normaliser.points, answers, undefined, [...positions]))),
      event: () => {},
      poll: () => {},
    });
    expect(push.asked.map(({ name }) => name)).toEqual(["x", "y"]);
    push.readings([{ index: 0, answer: 1 }]);
    push.readings([{ index: 1, answer: 2 }]);
    push.readings([
      { index: 0, answer: 1 },
      { index: 1, answer: 2 },
    ]);
    expect(told).toEqual([["x", "bit"], ["y"], ["x", "y", "sum", "bit"]]);
  });

  it("shows a technician a derived value as old as the oldest of what it is made of", () => {
    const push = new Push(device, points, {
      heard: () => {},
      telemetry: () => {},
      event: () => {},
      poll: () => {},
    });
    const driver = { describe: () => "" } as unknown as Driver<unknown, unknown>;
    const [older, newer] = [Date.now() - 9000, Date.now() - 1000];
    push.readings([{ index: 0, answer: sampleOf(1, older) }]);
    expect(push.shown(driver, true).find((one) => one.point === "sum")).toMatchObject({ unheard: true });
    push.readings([{ index: 1, answer: sampleOf(2, newer) }]);
    expect(push.shown(driver).find((one) => one.point === "sum")).toMatchObject({ value: 3, timeMs: older });
  });
});
