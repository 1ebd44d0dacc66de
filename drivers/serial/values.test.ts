import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Deframer } from "./deframer.ts";
import { answerOf, isFrom, tell } from "./frame.ts";
import { grammar } from "./grammar.ts";
import { timeOf } from "./time.ts";
import { decode } from "./values.ts";

type Whole = ReturnType<Deframer["push"]>[number];
const whole = (text: string): Whole => ({ text, bytes: Buffer.from(text, "latin1") });
const decimal = { as: "decimal", none: {} } as const;

test("the digits that an instrument wrote are the digits that are read", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -9999, max: 9999 }),
      fc.integer({ min: -12, max: 12 }),
      (mantissa, exponent) => {
        const sign = mantissa < 0 ? "-" : "+";
        const text = `${sign}${String(Math.abs(mantissa)).padStart(4, "0")}${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
        const found = decode({ as: "gesytec", none: {} }, text);
        expect(found).toEqual({ value: Number.parseFloat(`${mantissa}e${exponent}`) });
      },
    ),
  );
  expect(decode({ as: "gesytec", none: {} }, "+7116-01")).toEqual({ value: 711.6 });
  expect(decode(decimal, "-  20.10")).toEqual({ value: -20.1 });
  expect(decode({ as: "decimal-comma", none: {} }, "1013,25")).toEqual({ value: 1013.25 });
  expect(decode({ as: "hex", none: {} }, "fF")).toEqual({ value: 255 });
  expect(decode({ as: "bcd", none: {} }, "\x12\x34")).toEqual({ value: 1234 });
});

test("what is no number has a code, and never a value", () => {
  for (const text of ["NaN", "1e999", "--5", "1.2.3", "0x10", "///", "Infinity", "1,5", "12 34", "+"]) {
    expect(decode(decimal, text), text).toMatchObject({ code: "not-a-number" });
  }
  expect(decode(decimal, "   ")).toMatchObject({ code: "blank" });
  expect(decode({ as: "decimal", none: { "+9999.9": "over-range" } }, " +9999.9 ")).toMatchObject({
    code: "over-range",
  });
  expect(decode({ as: "bcd", none: {} }, "\x1f\x34")).toMatchObject({ code: "not-a-number" });
  expect(decode({ as: "gesytec", none: {} }, "7116-01")).toMatchObject({ code: "not-a-number" });
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom("decimal", "decimal-comma", "gesytec", "hex", "bcd"),
      (text, as) => {
        const found = decode({ as, none: {} }, text);
        if ("value" in found) expect(Number.isFinite(found.value)).toBe(true);
        else expect(found.code).toMatch(/^\S+$/);
      },
    ),
  );
});

test("times are in the instrument's zone", () => {
  const sixInHanoi = Date.UTC(2026, 2, 3, 23, 0);
  expect(timeOf("03/04/26 06:00", "MM/DD/YY HH:mm", "+07:00")).toBe(sixInHanoi);
  expect(timeOf("2026-03-04 06:00:00", "iso", "+07:00")).toBe(sixInHanoi);
  expect(timeOf("2026-03-03T23:00:00Z", "iso", "+07:00")).toBe(sixInHanoi);
  expect(timeOf("20260304060000123", "YYYYMMDDHHmmssSSS", "+07:00")).toBe(sixInHanoi + 123);
  expect(timeOf("03/03/26 24:00", "MM/DD/YY HH:mm", "-03:30")).toBe(Date.UTC(2026, 2, 4, 3, 30));
  expect(timeOf("1772578800.5", "unix", "+07:00")).toBe(sixInHanoi + 500);
  for (const wrong of [
    "02/30/26 06:00",
    "13/01/26 06:00",
    "03/04/26 06:61",
    "03/04/26",
    "03/04/26 06:00x",
    "",
  ]) {
    expect(timeOf(wrong, "MM/DD/YY HH:mm", "+07:00"), wrong).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.string(), fc.constantFrom("iso", "unix", "unixms", "MM/DD/YY HH:mm"), (text, format) => {
      const found = timeOf(text, format, "+07:00");
      expect(found === undefined || Number.isFinite(found)).toBe(true);
    }),
  );
});

const { frames } = grammar.parse({
  dialect: "test",
  framing: { end: "\n" },
  frames: {
    ticket: {
      split: "json",
      match: [{ at: "type", is: "ticket" }],
      station: "station",
      fields: { gross: { at: "gross" }, axle: { at: "axles.1.weight" }, plate: { at: "plate", as: "text" } },
    },
    delimited: {
      split: ";",
      parts: 6,
      match: [{ at: 0, is: "W" }],
      station: 1,
      fields: { gross: { at: 2 }, plate: { at: 3, as: "text" }, last: { at: -1 } },
      flags: [
        {
          at: 4,
          as: "hex",
          code: "wim",
          other: "uncertain",
          bits: { "0": { quality: "bad", reason: "sensor fault" } },
        },
        {
          at: 5,
          as: "text",
          code: "legal",
          only: ["gross"],
          other: "uncertain",
          values: { "1": { quality: "good", reason: "" } },
        },
      ],
    },
  },
});
const told = (name: string, text: string) => tell(name, frames[name]!, whole(text), "+07:00");

test("members of a JSON frame are found by their path, and what is no such frame is none", () => {
  const frame = told(
    "ticket",
    '{"type":"ticket","station":"07","gross":21.30,"axles":[{"weight":6},{"weight":"7.1"}]}',
  )!;
  expect(isFrom(frame, "7")).toBe(true);
  expect(isFrom(frame, "8")).toBe(false);
  expect(isFrom(frame, "")).toBe(true);
  expect(answerOf(frame, undefined, "gross", false)).toBe(21.3);
  expect(answerOf(frame, undefined, "axle", false)).toBe(7.1);
  expect(answerOf(frame, undefined, "plate", false)).toBeUndefined();
  expect(answerOf(frame, undefined, "owner", false)).toMatchObject({ status: "bad", code: "no-such-field" });
  for (const text of ["{", "[]", "null", '"x"', "7", '{"type":"status"}', "{}"])
    expect(told("ticket", text), text).toBeUndefined();
  const nested = tell(
    "ticket",
    { ...frames["ticket"]!, match: [] },
    whole('{"gross":{"__proto__":1}}'),
    "+07:00",
  )!;
  expect(answerOf(nested, undefined, "gross", false)).toBeUndefined();
});

test("the status of a frame becomes quality, with the native code kept", () => {
  const gross = (text: string) => answerOf(told("delimited", text)!, undefined, "gross", false);
  expect(gross("W;1;21.3;51C-123.45;00;1")).toBe(21.3);
  expect(gross("W;1;21.3;51C-123.45;02;1")).toEqual({
    value: 21.3,
    status: "uncertain",
    code: "wim-02",
    reason: "bit 1",
  });
  expect(gross("W;1;21.3;51C-123.45;03;1")).toEqual({
    value: null,
    status: "bad",
    code: "wim-03",
    reason: "sensor fault, bit 1",
  });
  // The worst of two decides, whichever stands first.
  expect(gross("W;1;21.3;51C-123.45;03;0")).toMatchObject({ value: null, code: "wim-03" });
  expect(gross("W;1;21.3;51C-123.45;zz;1")).toMatchObject({
    value: null,
    status: "bad",
    code: "wim-unreadable",
  });
  expect(gross("W;1;21.3;51C-123.45;00;0")).toMatchObject({
    value: 21.3,
    status: "uncertain",
    code: "legal-0",
  });
  expect(gross("W;1;;51C-123.45;01;1")).toMatchObject({ value: null, status: "bad", code: "wim-01" });
  expect(gross("W;1;;51C-123.45;00;1")).toMatchObject({ value: null, status: "bad", code: "blank" });
  const frame = told("delimited", "W;1;21.3;51C-123.45;00;0")!;
  expect(answerOf(frame, undefined, "plate", false)).toBe("51C-123.45");
  expect(answerOf(frame, undefined, "last", false)).toBe(0);
  expect(told("delimited", "W;1;21.3")).toBeUndefined();
});

const flag = (at: number, quality: string) => ({
  at,
  as: "text",
  code: `c${at}`,
  values: { X: { quality, reason: quality } },
});

test("the worst thing decides: of a frame and its item, of all bits, and where the status is missing", () => {
  const { frames: two } = grammar.parse({
    dialect: "test",
    framing: { end: "\n" },
    frames: {
      all: {
        split: ",",
        flags: [flag(0, "bad")],
        items: {
          from: 1,
          size: 3,
          key: 0,
          fields: { value: { at: 1 } },
          flags: [flag(2, "uncertain")],
        },
      },
      bits: {
        split: ",",
        fields: { value: { at: 0 } },
        flags: [{ at: 1, as: "hex", code: "error", other: "bad" }],
      },
    },
  });
  const value = (name: string, text: string, item?: string) =>
    answerOf(tell(name, two[name]!, whole(text), "+07:00")!, item, "value", false);
  expect(value("all", "X,001,5,X,002,6,Y", "001")).toMatchObject({ value: null, code: "c0-X" });
  expect(value("all", "Y,001,5,X,002,6,Y", "001")).toMatchObject({ value: 5, code: "c2-X" });
  expect(value("bits", "7,0100")).toMatchObject({ value: null, code: "error-100" });
  expect(value("bits", "7,80000000")).toMatchObject({ value: null, code: "error-80000000" });
  expect(value("bits", "7,00000")).toBe(7);
  expect(value("bits", "7")).toMatchObject({ value: null, code: "error-missing" });
});

test("a field is found by its own name only", () => {
  const frame = told("delimited", "W;1;21.3;51C-123.45;00;1")!;
  for (const name of ["constructor", "toString"])
    expect(answerOf(frame, undefined, name, false)).toMatchObject({ code: "no-such-field" });
});

test("any text gives an answer or none, and nothing throws", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom("ticket", "delimited"), (text, name) => {
      const frame = tell(name, { ...frames[name]!, match: [] }, whole(text), "+07:00");
      if (frame === undefined) return;
      for (const field of Object.keys(frames[name]!.fields)) {
        const answer = answerOf(frame, undefined, field, true);
        if (typeof answer === "object") expect(answer.value === null).toBe(answer.status === "bad");
      }
    }),
  );
});
