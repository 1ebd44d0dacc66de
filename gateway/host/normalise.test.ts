import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Answer } from "../driver.ts";
import { EventReader, EventWriter, quality } from "../event.ts";
import type { HostPoint } from "./messages.ts";
import { decimalsOf, Normaliser } from "./normalise.ts";
import { pointLike } from "./test-point.ts";

function point(more: Partial<HostPoint> = {}): HostPoint {
  return pointLike({ name: "voltage.L1", index: 7, unit: "V", ...more });
}

function run(points: HostPoint[], answers: Answer[], nowMs = 0, normaliser = new Normaliser(points)) {
  const writer = new EventWriter();
  writer.begin("telemetry", 1, 1_795_000_000_000, 0, "synced");
  const count = normaliser.write({ answers }, writer, nowMs, undefined);
  const reader = new EventReader();
  reader.open(writer.bytes());
  expect(reader.count).toBe(count);
  const readings = [];
  while (reader.next()) {
    readings.push({
      index: reader.point,
      value: reader.value(),
      quality: reader.quality,
      detail: reader.detail,
    });
  }
  return readings;
}

const one = (more: Partial<HostPoint>, answer: Answer) => run([point(more)], [answer])[0];

const sample = (value: number, sourceTimeMs: number): Answer => ({ value, status: "good", sourceTimeMs });

describe("normalising", () => {
  it("tells a sample that the device shows until the next one once, also after a reconnect", () => {
    const points = [point({ once: true }), point({ name: "other", index: 8 })];
    const hour = 1_772_578_800_000;
    const before = new Normaliser(points);
    const told = (normaliser: Normaliser, value: number, timeMs: number) =>
      run(points, [sample(value, timeMs), sample(value, timeMs)], 0, normaliser).map(({ index }) => index);
    expect(told(before, 18, hour)).toEqual([7, 8]);
    expect(told(before, 18, hour)).toEqual([8]);
    const after = new Normaliser(points, 0, before);
    expect(told(after, 18, hour)).toEqual([8]);
    expect(told(after, 18, hour + 3_600_000)).toEqual([7, 8]);
    expect(run(points, [18, 18], 0, after)).toHaveLength(2);
  });

  it("scales registers by powers of ten exactly, for every register and scale", () => {
    fc.assert(
      fc.property(fc.integer({ min: -32_768, max: 65_535 }), fc.nat(6), (raw, digits) => {
        expect(one({ scale: Number(`1e-${digits}`) }, raw)?.value).toBe(Number(`${raw}e-${digits}`) + 0);
      }),
    );
  });

  it("gives the same by the short way for plain registers as by the long way for a single reading", () => {
    const scale = fc.constantFrom(1, 0.1, 0.01, 0.001, 10, 0.5, 2.5);
    fc.assert(
      fc.property(fc.integer({ min: -40_000, max: 70_000 }), scale, fc.boolean(), (raw, factor, limited) => {
        const points = [
          point({ scale: factor, ...(limited ? { limits: [-100, 3000] as [number, number] } : {}) }),
        ];
        const [written] = run(points, [raw]);
        const single = new Normaliser(points).single(0, [raw]);
        expect(written).toEqual({ index: 7, ...single });
      }),
    );
  });

  it("rounds floats to the decimals of the point, and keeps what is too large to round", () => {
    expect(one({ decimals: 1 }, Math.fround(231.2))?.value).toBe(231.2);
    expect(one({ decimals: 3 }, 1e300)?.value).toBe(1e300);
    expect(decimalsOf(point({ scale: 0.01 }))).toBe(2);
    expect(decimalsOf(point({ scale: 3 }))).toBe(6);
  });

  it("never makes a number of a sentinel, a bad answer or a number that is none", () => {
    const sentinels = [
      { raw: 65_533, code: "no-object", reason: "nothing in view", certainty: "seen" as const },
    ];
    expect(one({ sentinels }, 65_533)).toEqual({
      index: 7,
      value: null,
      quality: quality.bad,
      detail: { code: "no-object", reason: "nothing in view" },
    });
    expect(one({}, { value: null, status: "bad", code: "modbus-2" })).toMatchObject({
      value: null,
      quality: quality.bad,
    });
    expect(one({ scale: Infinity }, 1)).toMatchObject({ value: null, detail: { code: "not-a-number" } });
  });

  it("keeps the fraction of a float whose point has no decimals, and integers as they are", () => {
    expect(one({}, Math.fround(21.73))?.value).toBe(21.73);
    expect(one({ scale: 0.1 }, 21.73)?.value).toBe(2.173);
    expect(one({ decimals: 0 }, 21.73)?.value).toBe(22);
    expect(one({}, { value: 21.73, status: "good" })?.value).toBe(21.73);
    expect(one({}, 22)?.value).toBe(22);
    expect(decimalsOf(point({})) + 0).toBe(0);
  });

  it("knows a sentinel of 64 bits", () => {
    const sentinels = [
      {
        raw: Number(0xffff_ffff_ffff_ffffn),
        code: "not-available",
        reason: "none",
        certainty: "seen" as const,
      },
    ];
    expect(one({ sentinels }, 0xffff_ffff_ffff_ffffn)).toMatchObject({
      value: null,
      detail: { code: "not-available" },
    });
    expect(one({ sentinels }, 2n ** 60n)?.value).toBe(2 ** 60);
  });

  it("marks what no sensor of the model can measure as uncertain, with the limit", () => {
    const reading = one({ limits: [0, 300], scale: 0.1 }, 3001);
    expect(reading).toMatchObject({ value: 300.1, quality: quality.uncertain });
    expect(reading?.detail).toEqual({ code: "limit", reason: "outside 0 to 300 V" });
    expect(one({ limits: [0, 300], scale: 0.1 }, 3000)).toMatchObject({ value: 300, quality: 0 });
  });

  it("couples a value with its scale factor, and is bad without it", () => {
    const factor = point({ name: "A_SF", index: -1, publish: false });
    const value = point({ name: "current.L1", scaleFactor: "A_SF" });
    const detailed = { value: -2, status: "good" as const, raw: new Uint8Array([255, 254]) };
    expect(run([value, factor], [1234, detailed])[0]?.value).toBe(12.34);
    expect(run([value, factor], [1234, -2])).toEqual([
      { index: 7, value: 12.34, quality: 0, detail: undefined },
    ]);
    expect(run([value, factor], [1234, { value: null, status: "bad" }])[0]).toMatchObject({
      value: null,
      quality: quality.bad,
    });
    expect(run([value, factor], [1234, -32_768])[0]).toMatchObject({ value: null });
  });

  it("names the values of an enumeration, and says when one is unknown", () => {
    const values = { "0": "closed", "1": "open" };
    expect(one({ values }, 1)).toMatchObject({ value: "open", quality: 0 });
    expect(one({ values }, true)?.value).toBe("true");
    expect(one({ values }, 9)).toMatchObject({
      value: "9",
      quality: quality.uncertain,
      detail: { code: "unknown-value" },
    });
  });

  it("reports inside the dead band only once per heartbeat", () => {
    const points = [point({ deadband: 2, heartbeat: 1000 })];
    const normaliser = new Normaliser(points);
    const seen = [10, 11, 12, 12.5, 12].map((value, i) => run(points, [value], i * 100, normaliser).length);
    expect(seen).toEqual([1, 0, 1, 0, 0]);
    expect(run(points, [12], 1500, normaliser)).toHaveLength(1);
  });

  it("reports a change of quality or code at once, whatever the dead band", () => {
    const points = [point({ deadband: 0.5, heartbeat: 60_000 })];
    const normaliser = new Normaliser(points);
    const told: Answer[] = [
      { value: 1000, status: "uncertain", code: "scale-US" },
      1000.2,
      { value: null, status: "bad", code: "scale-OL" },
      { value: null, status: "bad", code: "scale-unit-lb" },
      { value: null, status: "bad", code: "scale-unit-lb" },
    ];
    const seen = told.map((answer, i) => run(points, [answer], i * 200, normaliser).length);
    expect(seen).toEqual([1, 1, 1, 1, 0]);
  });

  it("takes an older sample for a repeat, unless the device's clock was set back", () => {
    const points = [point({ once: true })];
    const normaliser = new Normaliser(points);
    const hourMs = 3_600_000;
    const told = (hour: number) =>
      run(points, [sample(18, 1_772_578_800_000 + hour * hourMs)], 0, normaliser).length;
    expect([12, 11, 12, 13, 6, 4].map(told)).toEqual([1, 0, 0, 1, 0, 1]);
  });

  it("keeps the device's own code beside a limit", () => {
    const background = {
      value: 301,
      status: "uncertain",
      code: "gesytec-status-C0",
      reason: "background",
    } as const;
    expect(one({ limits: [0, 300] }, background)?.detail).toMatchObject({ code: "gesytec-status-C0" });
  });

  it("adds the doubt about an unknown firmware to every reading", () => {
    const points = [point({}), point({ name: "b", index: 8 })];
    const normaliser = new Normaliser(points);
    normaliser.extraQuality = quality.uncertain;
    expect(run(points, [1, 2], 0, normaliser).map((reading) => reading.quality)).toEqual([
      quality.uncertain,
      quality.uncertain,
    ]);
  });

  it("keeps devices that share their points apart: indexes and dead bands are each one's own", () => {
    const points = [point({ index: 0, deadband: 2, heartbeat: 1000 }), point({ name: "b", index: 1 })];
    const [one100, one200] = [new Normaliser(points, 100), new Normaliser(points, 200)];
    expect(run(points, [10, 1], 0, one100).map(({ index }) => index)).toEqual([100, 101]);
    expect(run(points, [10, 1], 0, one200).map(({ index }) => index)).toEqual([200, 201]);
    expect(run(points, [20, 1], 100, one100)).toHaveLength(2);
    expect(run(points, [11, 1], 100, one200)).toHaveLength(1);
  });
});
