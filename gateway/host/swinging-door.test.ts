import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Answer } from "../driver.ts";
import { EventReader, EventWriter, quality } from "../event.ts";
import type { HostPoint } from "./messages.ts";
import { Normaliser } from "./normalise.ts";

const heartbeat = 60_000;
const epochMs = 1_795_000_000_000;

const point = (more: Partial<HostPoint> = {}): HostPoint => ({
  name: "level",
  index: 3,
  address: {},
  unit: "m",
  kind: "number",
  scale: 0.01,
  offset: 0,
  sentinels: [],
  heartbeat,
  poll: "normal",
  publish: true,
  swingingDoor: 0.5,
  ...more,
});

interface Told {
  index: number;
  timeMs: number;
  value: unknown;
  quality: number;
}

/** Polls at these times; what leaves, decoded from the very bytes, and with which poll. */
function told(
  points: HostPoint[],
  polls: { atMs: number; answers: Answer[]; offsets?: number[] }[],
): Told[][] {
  const normaliser = new Normaliser(points);
  return polls.map(({ atMs, answers, offsets }) => {
    const writer = new EventWriter();
    writer.begin("telemetry", 1, epochMs + atMs, 0, "synced");
    const count = normaliser.write({ answers }, writer, 777 + atMs, offsets);
    const reader = new EventReader();
    reader.open(writer.bytes());
    expect(reader.count).toBe(count);
    const readings: Told[] = [];
    while (reader.next())
      readings.push({
        index: reader.point,
        timeMs: reader.timeMs + reader.timeOffsetMs - epochMs,
        value: reader.value(),
        quality: reader.quality,
      });
    return readings;
  });
}
const series = (values: (number | Answer)[], everyMs = 1000) =>
  values.map((value, i) => ({ atMs: i * everyMs, answers: [value] }));

/** A walk with jumps, slopes and noise, at uneven times, now and then without a value. */
const walk = fc.array(
  fc.record({
    stepMs: fc.integer({ min: 1, max: 20_000 }),
    move: fc.oneof(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -5000, max: 5000 })),
    fails: fc.nat(30).map((n) => n === 0),
  }),
  { minLength: 2, maxLength: 120 },
);

const writeOne = (normaliser: Normaliser, raw: number, atMs: number) => {
  const writer = new EventWriter();
  writer.begin("telemetry", 1, epochMs, 0, "synced");
  return normaliser.write({ answers: [raw] }, writer, atMs, undefined);
};

const sampleAt = (offset: number) => ({ atMs: 100_000_000, answers: [offset / 1000], offsets: [offset] });

describe("the swinging door", () => {
  it("lets a line through what is told miss no sample by more than the deviation, over random series", () => {
    fc.assert(
      fc.property(walk, fc.constantFrom(0.1, 0.5, 3), (steps, swingingDoor) => {
        let atMs = 0;
        let raw = 0;
        const polls = steps.map(({ stepMs, move, fails }) => {
          atMs += stepMs;
          raw += move;
          return { atMs, answers: [fails ? ({ value: null, status: "bad" } as const) : raw] };
        });
        const out = told([point({ swingingDoor })], polls).flat();
        for (let i = 1; i < out.length; i++) expect(out[i]!.timeMs).toBeGreaterThan(out[i - 1]!.timeMs);
        let next = 1;
        for (const { atMs: timeMs, answers } of polls) {
          while (next < out.length && out[next]!.timeMs < timeMs) next++;
          const [from, to] = [out[next - 1]!, out[next]];
          const raw0 = answers[0];
          if (typeof raw0 !== "number") {
            expect(out.find((one) => one.timeMs === timeMs)?.value ?? null).toBe(null);
            continue;
          }
          // After the last there is no line yet.
          if (to === undefined) continue;
          if (typeof from.value !== "number" || typeof to.value !== "number") {
            expect([from.timeMs, to.timeMs]).toContain(timeMs);
            continue;
          }
          const part = to.timeMs === from.timeMs ? 0 : (timeMs - from.timeMs) / (to.timeMs - from.timeMs);
          const line = from.value + (to.value - from.value) * Math.max(0, part);
          expect(Math.abs(line - raw0 / 100)).toBeLessThanOrEqual(swingingDoor + 1e-6);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("tells nothing but samples, each once, and the newest within the heartbeat", () => {
    fc.assert(
      fc.property(walk, (steps) => {
        let atMs = 0;
        let raw = 0;
        const polls = steps.map(({ stepMs, move }) => {
          atMs += stepMs;
          raw += move;
          return { atMs, answers: [raw] };
        });
        const seen = new Map(polls.map(({ atMs: timeMs, answers }) => [timeMs, answers[0]! / 100]));
        let newest = -Infinity;
        told([point()], polls).forEach((readings, i) => {
          for (const { timeMs, value } of readings) {
            expect(value).toBeCloseTo(seen.get(timeMs)!, 9);
            expect(timeMs).toBeGreaterThan(newest);
            newest = timeMs;
          }
          expect(polls[i]!.atMs - newest).toBeLessThan(heartbeat);
        });
      }),
      { numRuns: 500 },
    );
  });

  it("makes two corners of a straight line, whatever its slope, and a corner where it bends", () => {
    const up = Array.from({ length: 20 }, (_, i) => i * 100);
    const bent = [...up, ...up.toReversed().slice(1)];
    const out = told([point()], series(bent));
    expect(out.flat().map(({ timeMs, value }) => [timeMs, value])).toEqual([
      [0, 0],
      [19_000, 19],
    ]);
    // The corner leaves with the sample that shows it, and with its own time.
    expect(out[20]).toMatchObject([{ timeMs: 19_000, value: 19 }]);
  });

  it("ends the line where the plain algorithm would pass a sample by nearly twice the deviation", () => {
    const out = told([point({ swingingDoor: 1 })], series([0, 100, -90, -190, -500, -500])).flat();
    expect(out.map(({ timeMs }) => timeMs)).toContain(1000);
  });

  it("tells what it kept back and its new quality apart, also where both are of the same time", () => {
    const bad: Answer = { value: null, status: "bad", code: "x" };
    const polls = series([100, 101, bad]);
    polls[2]!.atMs = 1000;
    expect(told([point()], polls)[2]).toMatchObject([
      { timeMs: 1000, value: 1.01, quality: 0 },
      { timeMs: 1000, value: null, quality: quality.bad },
    ]);
  });

  it("says why what it kept back is doubted, as of any other value", () => {
    const normaliser = new Normaliser([point()]);
    for (const atMs of [0, 1000]) writeOne(normaliser, 100, atMs);
    normaliser.extraQuality = quality.uncertain;
    const writer = new EventWriter();
    writer.begin("telemetry", 1, epochMs, 0, "synced");
    normaliser.writeReleased(normaliser.release(false), writer, 1000);
    const reader = new EventReader();
    reader.open(writer.bytes());
    expect(reader.next()).toBe(true);
    expect([reader.quality, reader.detail]).toMatchObject([quality.uncertain, { code: "firmware-unknown" }]);
  });

  it("tells a change of quality at once, after what it kept back, and once per heartbeat while it lasts", () => {
    const bad: Answer = { value: null, status: "bad", code: "modbus-4" };
    const out = told([point()], series([100, 101, 102, bad, bad, 102, 102]));
    expect(out.map((readings) => readings.map(({ timeMs, value }) => [timeMs, value]))).toEqual([
      [[0, 1]],
      [],
      [],
      [
        [2000, 1.02],
        [3000, null],
      ],
      [],
      [[5000, 1.02]],
      [],
    ]);
    const long = told([point()], series([bad, bad, bad, bad], 30_000));
    expect(long.map((readings) => readings.length)).toEqual([1, 0, 1, 0]);
    const doubtful = { value: 102, status: "uncertain", code: "x" } as const;
    expect(told([point()], series([102, 102, doubtful]))[2]).toMatchObject([
      { timeMs: 1000, quality: 0 },
      { timeMs: 2000, quality: quality.uncertain },
    ]);
  });

  it("keeps to the device's own times, and what it kept back after a reconnect", () => {
    const points = [point()];
    const polls = [0, 100, 200, 300, 0].map((raw, i) => ({
      atMs: i * 1000,
      answers: [raw],
      offsets: [-250],
    }));
    expect(
      told(points, polls)
        .flat()
        .map(({ timeMs }) => timeMs),
    ).toEqual([-250, 2750]);
    const before = new Normaliser(points);
    expect([writeOne(before, 0, 0), writeOne(before, 0, 1000)]).toEqual([1, 0]);
    expect(writeOne(new Normaliser(points, 0, before), 5000, 2000)).toBe(1);
  });

  it("tells a late sample as it comes, and begins anew where a clock was set back", () => {
    const out = told([point()], [sampleAt(0), sampleAt(-5000), sampleAt(-40_000_000), sampleAt(-39_999_000)]);
    expect(out.map((readings) => readings.length)).toEqual([1, 1, 1, 0]);
  });

  it("gives what it keeps back when no more may come, once, and goes on from there", () => {
    const normaliser = new Normaliser([point()]);
    expect([0, 1000, 2000].map((atMs) => writeOne(normaliser, 100 + atMs / 1000, atMs))).toEqual([1, 0, 0]);
    expect(normaliser.release(true)).toEqual([]);
    expect(normaliser.release(false)).toMatchObject([{ sample: { value: 1.02, timeMs: 2000 } }]);
    expect(normaliser.release(false)).toEqual([]);
    expect(writeOne(normaliser, 102, 3000)).toBe(0);
  });

  it("loses nothing that it keeps back when what was told did not arrive", () => {
    const normaliser = new Normaliser([point()]);
    expect([writeOne(normaliser, 100, 0), writeOne(normaliser, 101, 1000)]).toEqual([1, 0]);
    normaliser.forget();
    expect(writeOne(normaliser, 102, 2000)).toBe(2);
    writeOne(normaliser, 103, 3000);
    normaliser.forget();
    // The same one again.
    expect(writeOne(normaliser, 103, 3000)).toBe(1);
  });
});
