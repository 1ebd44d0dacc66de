import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Answer } from "../../gateway/driver.ts";
import { compileDecoder, decode } from "./decode.ts";
import { pointsOf } from "./testing.ts";

const orders = ["ABCD", "CDAB", "BADC", "DCBA"] as const;
type Order = (typeof orders)[number];

/** Decodes one value of `type` from `bytes`, behind three bytes that do not belong to it. */
function decoded(type: string, order: Order, bytes: Uint8Array, more: Record<string, unknown> = {}): Answer {
  const answers: Answer[] = [];
  const points = pointsOf({ register: 0, type, order, ...more });
  const layout = { points: Int32Array.of(0), offsets: Int32Array.of(1) };
  decode(compileDecoder(points, "ABCD"), layout, Uint8Array.of(9, 9, 9, ...bytes), 2, answers);
  return answers[0]!;
}

/** Puts big-endian bytes into the order in which a device of that kind sends them. */
function ordered(order: Order, bigEndian: Uint8Array): Uint8Array {
  let words: number[][] = [];
  for (let at = 0; at < bigEndian.length; at += 2) words.push([bigEndian[at]!, bigEndian[at + 1]!]);
  if (order === "CDAB" || order === "DCBA") words = words.reverse();
  if (order === "BADC" || order === "DCBA") words = words.map(([high, low]) => [low!, high!]);
  return Uint8Array.from(words.flat());
}

function encoded(bytes: number, write: (view: DataView) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  write(view);
  return new Uint8Array(view.buffer);
}

/** A number where it is exact, otherwise the bigint. */
const exact = (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

describe.each(orders)("order %s", (order) => {
  const numbers: [string, fc.Arbitrary<number>, number, (view: DataView, value: number) => void][] = [
    ["uint16", fc.integer({ min: 0, max: 65_535 }), 2, (view, value) => view.setUint16(0, value)],
    ["int16", fc.integer({ min: -32_768, max: 32_767 }), 2, (view, value) => view.setInt16(0, value)],
    ["uint32", fc.integer({ min: 0, max: 2 ** 32 - 1 }), 4, (view, value) => view.setUint32(0, value)],
    ["int32", fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), 4, (view, value) => view.setInt32(0, value)],
    [
      "float32",
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      4,
      (view, value) => view.setFloat32(0, value),
    ],
    [
      "float64",
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      8,
      (view, value) => view.setFloat64(0, value),
    ],
    [
      "bcd16",
      fc.integer({ min: 0, max: 9999 }),
      2,
      (view, value) => view.setUint16(0, Number.parseInt(String(value), 16)),
    ],
    [
      "bcd32",
      fc.integer({ min: 0, max: 99_999_999 }),
      4,
      (view, value) => view.setUint32(0, Number.parseInt(String(value), 16)),
    ],
  ];

  test.each(numbers)("%s", (type, values, bytes, write) => {
    fc.assert(
      fc.property(values, (value) => {
        const wire = ordered(
          order,
          encoded(bytes, (view) => write(view, value)),
        );
        expect(decoded(type, order, wire)).toBe(value);
      }),
    );
  });

  test.each([
    ["uint64", fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
    ["int64", fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ])("%s", (type, values) => {
    const edges = fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 0n, 2n ** 32n, 2n ** 63n - 1n);
    const small = fc.bigInt({ min: 0n, max: 2n ** 54n });
    fc.assert(
      fc.property(fc.oneof(values, edges, small), (value) => {
        const wire = ordered(
          order,
          encoded(8, (view) => view.setBigUint64(0, BigInt.asUintN(64, value))),
        );
        expect(decoded(type, order, wire)).toBe(exact(value));
      }),
    );
  });

  test("a bit of a word", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 0, max: 15 }), (word, bit) => {
        const wire = ordered(
          order,
          encoded(2, (view) => view.setUint16(0, word)),
        );
        expect(decoded("bool", order, wire, { bit })).toBe((word & (1 << bit)) !== 0);
      }),
    );
  });
});

test("negative 64-bit edges", () => {
  for (const value of [-1n, -(2n ** 53n) + 1n, -(2n ** 53n), -(2n ** 53n) - 1n, -(2n ** 63n)]) {
    expect(
      decoded(
        "int64",
        "ABCD",
        encoded(8, (view) => view.setBigInt64(0, value)),
      ),
    ).toBe(exact(value));
  }
});

test("every pattern of 64 random bits is a number, a bigint or a bad reading", () => {
  const types = ["uint64", "int64", "float64", "float32", "bcd32", "bcd16", "int16"];
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.constantFrom(...types), (bytes, type) => {
      const answer = decoded(type, "CDAB", bytes);
      if (typeof answer === "object") expect(answer).toMatchObject({ value: null, status: "bad" });
      else if (typeof answer === "number") expect(Number.isFinite(answer)).toBe(true);
      else expect(typeof answer).toBe("bigint");
    }),
  );
});

describe("what is no value is a bad reading", () => {
  test.each([
    ["float32", [0x7f, 0xc0, 0, 0], "not-a-number"],
    ["float32", [0xff, 0x80, 0, 0], "not-a-number"],
    ["float64", [0x7f, 0xf0, 0, 0, 0, 0, 0, 0], "not-a-number"],
    ["bcd16", [0x12, 0x3a], "bad-bcd"],
    ["bcd32", [0x12, 0x34, 0xf0, 0x00], "bad-bcd"],
  ])("%s %j", (type, bytes, code) => {
    expect(decoded(type, "ABCD", Uint8Array.from(bytes))).toMatchObject({ value: null, status: "bad", code });
  });
});

describe("text", () => {
  test.each([
    ["ends at its first NUL", "ABCD", "SDM630\0\0", "SDM630"],
    ["loses the blanks behind it", "ABCD", "RUT955  ", "RUT955"],
    ["has its bytes swapped, never its words", "DCBA", "DS6M03", "SDM630"],
    ["has its bytes swapped", "BADC", "DS6M03", "SDM630"],
    ["is left alone by a word order", "CDAB", "SDM630", "SDM630"],
    ["is UTF-8 where it can be", "ABCD", "Đèn 1", "Đèn 1"],
  ] as const)("%s", (_, order, wire, expected) => {
    const bytes = Buffer.from(wire.length % 2 === 0 ? wire : `${wire}\0`);
    expect(decoded("text", order, bytes, { length: bytes.length >> 1 })).toBe(expected);
  });

  test("is Latin-1 otherwise", () => {
    expect(decoded("text", "ABCD", Uint8Array.of(0xb0, 0x43), { length: 1 })).toBe("°C");
  });
});
