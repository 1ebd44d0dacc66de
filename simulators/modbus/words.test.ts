import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encode, parseAddress } from "./words.ts";

describe("encode", () => {
  it.each([
    [{ type: "int16" }, -2, "fffe"],
    [{ type: "uint16" }, 70_000, "ffff"],
    [{ type: "uint16" }, Number.NaN, "0000"],
    [{ type: "uint16", order: "BADC" }, 0x0102, "0201"],
    [{ type: "int32", order: "DCBA" }, 0x01020304, "04030201"],
    [{ type: "float32" }, -1.5, "bfc00000"],
    [{ type: "float32" }, Number.NaN, "7fc00000"],
    [{ type: "float64" }, 1, "3ff0000000000000"],
    [{ type: "float64", order: "CDAB" }, 1, "0000000000003ff0"],
    [{ type: "uint64" }, 2 ** 70, "ffffffffffffffff"],
    [{ type: "int64" }, -1, "ffffffffffffffff"],
    [{ type: "int64" }, 2 ** 70, "7fffffffffffffff"],
    [{ type: "bcd16" }, 1234, "1234"],
    [{ type: "bcd32", order: "CDAB" }, 12_345_678, "56781234"],
    [{ type: "bool", bit: 15 }, 1, "8000"],
    [{ type: "text", length: 3, order: "DCBA" }, "abcde", "626164630065"],
  ])("%j of %d is %s", (address, raw, hex) => {
    const words = encode(parseAddress({ table: "holding", register: 0, ...address }, "ABCD"), raw);
    expect(words.map((word) => word.toString(16).padStart(4, "0")).join("")).toBe(hex);
  });

  it("fills its registers with words for any number or text", () => {
    const types = [
      "bool",
      "uint16",
      "int16",
      "uint32",
      "int32",
      "uint64",
      "int64",
      "float32",
      "float64",
      "bcd16",
      "bcd32",
      "text",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.oneof(fc.double(), fc.string()), (type, raw) => {
        const address = parseAddress({ table: "holding", register: 0, type, length: 5 }, "ABCD");
        const words = encode(address, raw);
        expect(words).toHaveLength(address.length);
        expect(words.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffff)).toBe(true);
      }),
    );
  });

  it.each([
    { table: "none", register: 0 },
    { table: "holding" },
    null,
    { table: "holding", register: 65_535, type: "uint32" },
    { table: "input", register: 1, type: "text" },
  ])("refuses %j as an address", (address) => {
    expect(() => parseAddress(address, "ABCD")).toThrow();
  });
});
