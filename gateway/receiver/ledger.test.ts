import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countOf, Ledger, rangesOf, type Range } from "./ledger.ts";

const range = fc
  .tuple(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 0, max: 12 }))
  .map(([from, length]): Range => [from, from + length]);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      ranges: fc.array(range, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("declare" as const),
      range,
      reason: fc.constantFrom("evicted", "corrupt"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("expect" as const), last: fc.integer({ min: 0, max: 140 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reload" as const) }) },
);

function members(ranges: readonly Range[]): number[] {
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
}

/** The same ledger the slow way. */
class Oracle {
  stored = new Set<number>();
  lost = new Map<number, string>();
  top = 0;
  covered(number: number): boolean {
    return this.stored.has(number) || this.lost.has(number);
  }
  missing(): number[] {
    return Array.from({ length: this.top }, (_, i) => i + 1).filter((number) => !this.covered(number));
  }
}

describe("Ledger", () => {
  it("agrees with sets over random ranges, losses, ends and reloads", () => {
    let inserts = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), (steps) => {
        let ledger = new Ledger();
        const oracle = new Oracle();
        for (const one of steps) {
          if (one.kind === "add") {
            const wanted = [...new Set(members(one.ranges))].sort((a, b) => a - b);
            const fresh = wanted.filter((number) => !oracle.stored.has(number));
            expect(members(ledger.add(rangesOf(wanted), 0))).toEqual(fresh);
            for (const number of wanted) {
              oracle.stored.add(number);
              oracle.lost.delete(number);
              oracle.top = Math.max(oracle.top, number);
            }
            inserts++;
          } else if (one.kind === "declare") {
            ledger.declare({ from: one.range[0], to: one.range[1], reason: one.reason }, 0);
            for (const number of members([one.range])) {
              if (!oracle.covered(number)) oracle.lost.set(number, one.reason);
              oracle.top = Math.max(oracle.top, number);
            }
          } else if (one.kind === "expect") {
            ledger.expect(one.last, 0);
            oracle.top = Math.max(oracle.top, one.last);
          } else ledger = new Ledger(ledger.state(), structuredClone([...ledger.losses]));
          const missing = oracle.missing();
          expect(ledger.top).toBe(oracle.top);
          expect(members(ledger.state().holes)).toEqual(missing);
          expect(ledger.watermark).toBe((missing[0] ?? oracle.top + 1) - 1);
          const losses = ledger.losses.flatMap(({ from, to, reason }) =>
            members([[from, to]]).map((number) => [number, reason]),
          );
          expect(losses).toEqual([...oracle.lost].sort((a, b) => a[0] - b[0]));
        }
      }),
      { numRuns: 300 },
    );
    expect(inserts).toBeGreaterThan(4000);
  });

  it("keeps 100,000 ordered batches in one piece", () => {
    const ledger = new Ledger();
    let pieces = 0;
    for (let i = 0; i < 100_000; i++) pieces += ledger.add([[i * 10 + 1, i * 10 + 10]], i).length;
    expect(pieces).toBe(100_000);
    expect(ledger.watermark).toBe(1_000_000);
    expect(ledger.fragments).toBe(0);
  });

  it("lists a hole only when it is old enough, and keeps top below what it leaves out", () => {
    const ledger = new Ledger();
    ledger.add([[1, 10]], 1000);
    ledger.add([[15, 20]], 2000);
    ledger.add([[31, 40]], 9000);
    expect(ledger.missing(5000, 6999)).toEqual([]);
    expect(ledger.missing(5000, 7000)).toEqual([[11, 14]]);
    expect(ledger.report(5000, 7000)).toEqual({ wm: 10, top: 20, miss: [[11, 14]] });
    expect(ledger.report(0, 9000)).toEqual({
      wm: 10,
      top: 40,
      miss: [
        [11, 14],
        [21, 30],
      ],
    });
    // What is left of a hole keeps its age.
    ledger.add([[12, 12]], 9500);
    expect(ledger.missing(5000, 9500)).toEqual([
      [11, 11],
      [13, 14],
    ]);
  });

  it("lists at most 64 ranges and says nothing of what lies above them", () => {
    const ledger = new Ledger();
    for (let seq = 2; seq <= 400; seq += 2) ledger.add([[seq, seq]], 0);
    const { wm, top, miss } = ledger.report(0, 0);
    expect([wm, top, miss.length, miss[0], miss[63]]).toEqual([0, 128, 64, [1, 1], [127, 127]]);
  });

  it("shows a lost tail when the epoch has ended, and closes when it has come", () => {
    const ledger = new Ledger();
    ledger.add([[1, 900]], 0);
    expect(ledger.closed).toBe(false);
    ledger.expect(912, 0);
    expect(ledger.report(0, 0)).toEqual({ wm: 900, top: 912, miss: [[901, 912]] });
    expect(ledger.closed).toBe(false);
    ledger.add([[901, 911]], 0);
    expect(ledger.closed).toBe(false);
    ledger.declare({ from: 912, to: 912, reason: "evicted" }, 0);
    expect(ledger.closed).toBe(true);
    const empty = new Ledger();
    empty.expect(0, 0);
    expect(empty.closed).toBe(true);
  });

  it("refuses numbers that do not ascend from 1", () => {
    for (const seqs of [
      [0],
      [-3],
      [1.5],
      [2, 2],
      [3, 2],
      [Number.NaN],
      [2 ** 53],
      ["1" as unknown as number],
    ]) {
      expect(() => rangesOf(seqs), String(seqs)).toThrow(RangeError);
    }
    expect(countOf(rangesOf([1, 2, 3, 7]))).toBe(4);
  });
});
