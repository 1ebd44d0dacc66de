import { describe, expect, it } from "vitest";
import { BusScan, unitsIn } from "./bus-scan.ts";
import { frameRtu, readPdu } from "./codec.ts";

const signal = new AbortController().signal;
const answer = (unit: number) => frameRtu(unit, Uint8Array.of(3, 2, 0x12, 0x34));
const refusal = (unit: number) => frameRtu(unit, Uint8Array.of(0x83, 2));

/** A line on which `says` answers each request, at once or when the next one is sent. */
function lineOf(says: (unit: number) => Uint8Array | undefined, isLate = false) {
  const asked: number[] = [];
  let heard: Uint8Array[] = [];
  let next: Uint8Array | undefined;
  return {
    asked,
    wireMs: () => 0,
    close: async () => {},
    heard: () => Buffer.concat(heard.splice(0)),
    write(frame: Uint8Array) {
      asked.push(frame[0] ?? 0);
      const now = says(frame[0] ?? 0);
      if (isLate && next !== undefined) heard.push(next);
      if (isLate) next = now;
      else if (now !== undefined) heard = [now];
    },
  };
}

describe("a search on a line", () => {
  it("finds those who answer and those who say no, and asks each once, reading only", async () => {
    const line = lineOf((unit) => (unit === 2 ? answer(2) : unit === 5 ? refusal(5) : undefined));
    expect(await new BusScan(line).units([1, 2, 3, 5], signal, () => {})).toEqual([2, 5]);
    expect(line.asked).toEqual([1, 2, 3, 5]);
  });

  it("takes an answer that comes late for the one that it is of", async () => {
    const line = lineOf((unit) => (unit === 2 ? answer(2) : undefined), true);
    expect(await new BusScan(line).units([1, 2, 3], signal, () => {})).toEqual([2]);
  });

  it("never asks a broadcast, nor numbers that no unit has", async () => {
    const line = lineOf(() => undefined);
    await new BusScan(line).units([0, 248, 255], signal, () => {});
    expect(line.asked).toEqual([]);
  });

  it("believes whole frames only, and not its own echo", () => {
    const broken = answer(7);
    broken[3] = 0xff;
    const noise = Uint8Array.of(0xff, 0x00, 0x03);
    const echo = frameRtu(9, readPdu("holding", 0, 1));
    expect(unitsIn(Buffer.concat([noise, answer(4), broken, echo, refusal(6)]))).toEqual([4, 6]);
  });
});
