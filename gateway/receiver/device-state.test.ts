import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quality, type KerbEvent } from "../event.ts";
import { acceptedLast, applyEvent, emptyState, type DeviceState } from "./device-state.ts";

interface Told {
  epoch: number;
  seq: number;
  timeMs: number;
  bits: number;
}

const told = (seq: number): fc.Arbitrary<Told> =>
  fc.record({
    epoch: fc.constantFrom(36, 37),
    seq: fc.constant(seq),
    timeMs: fc.integer({ min: 1, max: 20 }),
    bits: fc.constantFrom(0, 0, quality.uncertain, quality.bad, quality.bad | quality.substituted),
  });

/** One to fifteen events in the order in which they arrive. */
const arrivals = fc
  .shuffledSubarray(
    Array.from({ length: 15 }, (_, i) => i + 1),
    { minLength: 1 },
  )
  .chain((seqs) => fc.tuple(...seqs.map(told)));

const value = ({ seq, bits }: Told) => ((bits & quality.bad) === 0 ? seq : null);

function event(one: Told, reading: object = {}): KerbEvent {
  const { epoch, seq, timeMs, bits } = one;
  const detail = bits === 0 ? {} : { detail: { code: `code-${seq}` } };
  const measured = { point: "p", unit: "m", value: value(one), quality: bits, timeMs, ...detail, ...reading };
  const about = { gateway: "gw-1", device: "dev-1", kind: "telemetry", clock: "synced" } as const;
  return { ...about, epoch, seq, timeMs, recordedMs: timeMs, readings: [measured] };
}

describe("the state of a device", () => {
  it("keeps what was observed last and what was accepted last, in any order of arrival", () => {
    fc.assert(
      fc.property(arrivals, (list) => {
        // As it is stored between two steps.
        let state: DeviceState = emptyState();
        for (const one of list) {
          applyEvent(state, event(one), 1e12);
          state = JSON.parse(JSON.stringify(state)) as DeviceState;
        }
        const byNumber = list.toSorted((a, b) => a.epoch - b.epoch || a.seq - b.seq);
        const byTime = byNumber.toSorted((a, b) => a.timeMs - b.timeMs);
        const [accepted, observed] = [byNumber.at(-1)!, byTime.at(-1)!];
        const { epoch, seq, bits, timeMs } = accepted;
        expect(acceptedLast(state)).toEqual([
          {
            ...(bits === 0 ? {} : { detail: { code: `code-${seq}` } }),
            point: "p",
            unit: "m",
            epoch,
            seq,
            timeMs,
            value: value(accepted),
            quality: bits,
          },
        ]);
        expect(state.points["p"]).toMatchObject({
          epoch: observed.epoch,
          seq: observed.seq,
          timeMs: observed.timeMs,
          value: value(observed),
        });
        expect("accepted" in state.points["p"]!).toBe(accepted !== observed);
      }),
    );
  });

  it("of an earlier version has no bits: a value that is none was bad", () => {
    const stamp = { timeMs: 1, epoch: 1, seq: 1, unit: "m" };
    const state = { points: { p: { ...stamp, value: null }, q: { ...stamp, value: 1 } }, records: {} };
    expect(acceptedLast(state).map((one) => one.quality)).toEqual([quality.bad, 0]);
  });
});
