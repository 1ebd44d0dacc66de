import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson, timeOf } from "./payload.ts";

test("any JSON of up to 32 levels is read as it is, any bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      fc.pre(!text.includes('"__proto__"'));
      expect(parseJson(Buffer.from(text))).toEqual({ value: JSON.parse(text) });
    }),
  );
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseJson(bytes)));
  expect(parseJson(Buffer.from(`${"[".repeat(32)}${"]".repeat(32)}`))).toHaveProperty("value");
  expect(parseJson(Buffer.from(`["${"[".repeat(99)}\\"${"[".repeat(99)}"]`))).toHaveProperty("value");
});

test.each([
  ["2026-03-01T08:00:00Z", 1_772_352_000_000],
  ["2026-03-01T15:00:00.5+07:00", 1_772_352_000_500],
  ["2026-03-01T08:00:00.123456789Z", 1_772_352_000_123],
  [1_772_352_000, 1_772_352_000_000],
  [1_772_352_000_123, 1_772_352_000_123],
  ["1772352000", 1_772_352_000_000],
  ["2026-03-01T08:00:00", undefined],
  ["2026-03-01", undefined],
  ["yesterday", undefined],
  [0, undefined],
  [-5, undefined],
  [null, undefined],
  [{}, undefined],
])("the time %j", (value, expected) => expect(timeOf(value)).toBe(expected));
