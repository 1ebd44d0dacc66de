import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Value } from "../driver.ts";
import { inverse, shows } from "./inverse.ts";
import type { HostPoint } from "./messages.ts";
import { Normaliser } from "./normalise.ts";
import { pointLike } from "./test-point.ts";

/** What is sent for a value is what the normaliser makes that value of, and nothing else is sent. */

const number = fc.record({
  scale: fc.constantFrom(1, 0.1, 0.01, 0.001, 0.5, 0.25, 10, 100, -1, 1 / 3, 3.6),
  offset: fc.constantFrom(0, 0, 0, -40, 273.15, 0.1),
  exponent: fc.integer({ min: -4, max: 4 }),
  hasFactor: fc.boolean(),
  decimals: fc.constantFrom(undefined, undefined, 0, 1, 3),
});

function setUp(more: Partial<HostPoint>, exponent: number | undefined) {
  const factor = exponent === undefined ? {} : { scaleFactor: "factor" };
  const points = [pointLike({ name: "p", ...factor, ...more }), pointLike({ name: "factor", index: 1 })];
  const normaliser = new Normaliser(points);
  const of = (raw: Value) => ({ normaliser, answers: [raw, exponent ?? 0] });
  return { of, shown: (raw: Value) => normaliser.single(0, [raw, exponent ?? 0]).value };
}

describe("numbers", () => {
  test("whatever a register shows can be written to it, and makes the same again", () => {
    fc.assert(
      fc.property(
        number,
        fc.integer({ min: -0x8000, max: 0x7fff }),
        ({ hasFactor, exponent, decimals, ...rest }, raw) => {
          const given = { ...rest, ...(decimals === undefined ? {} : { decimals }) };
          const { of, shown } = setUp(given, hasFactor ? exponent : undefined);
          const value = shown(raw);
          if (typeof value !== "number") return;
          const found = inverse(of(0), 0, value);
          if (!("raw" in found)) {
            // Only where so many digits are left out that another raw value shows the same, or none does.
            expect(decimals !== undefined || given.scale === 1 / 3 || hasFactor).toBe(true);
            return;
          }
          expect(shown(found.raw) === value).toBe(true);
          expect(shows(of(found.raw), 0, value, found.raw)).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("any number is refused or makes the very same", () => {
    const any = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 5e-324, 1e308, 2 ** 53 + 2));
    fc.assert(
      fc.property(number, any, ({ hasFactor, exponent, scale, offset }, value) => {
        const { of, shown } = setUp({ scale, offset }, hasFactor ? exponent : undefined);
        const found = inverse(of(0), 0, value);
        if ("raw" in found) expect(shown(found.raw) === value).toBe(true);
        else expect(found.reason).toMatch(/^p cannot be /);
      }),
      { numRuns: 3000 },
    );
  });

  test("no limit is passed, no sentinel is sent, and no unknown scale factor is guessed", () => {
    const sentinel = { raw: 255, code: "none", reason: "not available", certainty: "seen" as const };
    const { of } = setUp({ limits: [0, 300], sentinels: [sentinel] }, undefined);
    expect(inverse(of(0), 0, 254)).toEqual({ raw: 254 });
    expect(inverse(of(0), 0, 255)).toEqual({ reason: "p cannot be 255: not available" });
    expect(inverse(of(0), 0, 301)).toMatchObject({
      reason: expect.stringContaining("outside 0 to 300") as string,
    });
    const points = [pointLike({ name: "p", scaleFactor: "factor" }), pointLike({ name: "factor" })];
    const seen = {
      normaliser: new Normaliser(points),
      answers: [0, { value: null, status: "bad" as const }],
    };
    expect(inverse(seen, 0, 5)).toMatchObject({
      reason: expect.stringContaining("factor is not known") as string,
    });
  });
});

describe("words", () => {
  const values = { 0: "off", 1: "on", true: "yes", ON: "lit", 5: "twice", 6: "twice" };
  test.each<[Value, string, Value | undefined]>([
    [0, "on", 1],
    [0n, "on", 1n],
    ["0", "on", "1"],
    [false, "yes", true],
    ["x", "lit", "ON"],
    [0, "twice", undefined],
    [0, "never", undefined],
    [0, "__proto__", undefined],
    [0, "0", undefined],
  ])("where the device says %s, %s is %s", (sample, word, raw) => {
    const { of } = setUp({ kind: "text", values }, undefined);
    const found = inverse(of(sample), 0, word);
    if (raw === undefined) expect(found).toHaveProperty("reason");
    else expect(found).toEqual({ raw });
  });

  test.each<[Value, Value]>([
    [0, 1],
    [false, true],
  ])("true is said as the device says %s", (sample, raw) => {
    const { of } = setUp({ kind: "boolean" }, undefined);
    expect(inverse(of(sample), 0, true)).toEqual({ raw });
    expect(inverse(of(sample), 0, "true")).toHaveProperty("reason");
    expect(inverse(of(sample), 0, 1)).toHaveProperty("reason");
  });
});

test("what a single-precision register shows of a decimal number is that number, and no other", () => {
  const { of } = setUp({}, undefined);
  expect(shows(of(Math.fround(1234.567)), 0, 1234.567, 1234.567)).toBe(true);
  expect(shows(of(Math.fround(1234.568)), 0, 1234.567, 1234.567)).toBe(false);
  expect(shows(of(1234), 0, 1234.567, 1234.567)).toBe(false);
});
