import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareFirmware, inFirmwareRange, isFirmwareRange } from "./firmware.ts";

describe("compareFirmware", () => {
  it.each([
    ["2.0", "2.0.0", 0],
    ["2.9", "2.10", -1],
    ["V5.7.12 build 3", "5.7.12.3", 0],
    ["V5.7.12 build 210702", "5.7.13", -1],
    ["v1.02", "1.2", 0],
    ["2.4.0-rc1", "2.4.0", 1],
    ["", "0", 0],
    ["unknown", "0.0.1", -1],
    ["1.10.3", "1.9.30", 1],
    ["00.00.01", "1", -1],
    ["5.20240101123456781", "5.20240101123456782", -1],
    [`1.${"9".repeat(400)}`, `1.${"9".repeat(399)}8`, 1],
  ])("%s against %s", (a, b, sign) => {
    expect(Math.sign(compareFirmware(a, b))).toBe(sign);
    expect(Math.sign(compareFirmware(b, a))).toBe(sign === 0 ? 0 : -sign);
  });

  it("orders any three strings without a contradiction", () => {
    const version = fc.oneof(
      fc.string(),
      fc.array(fc.nat(40), { maxLength: 4 }).map((parts) => parts.join(".")),
    );
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareFirmware(a, a)).toBe(0);
        expect(Math.sign(compareFirmware(a, b)) + Math.sign(compareFirmware(b, a))).toBe(0);
        if (compareFirmware(a, b) <= 0 && compareFirmware(b, c) <= 0) {
          expect(compareFirmware(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });
});

describe("isFirmwareRange", () => {
  it.each(["*", " * ", ">=2.0", ">=2.0 <2.4", "=5.7.12", "  <3  >1 ", "<=1.2-b3"])("takes %j", (range) => {
    expect(isFirmwareRange(range)).toBe(true);
  });
  it.each([
    "",
    " ",
    "2.0",
    "^2.0",
    "~2",
    ">= 2.0",
    "2.0 - 2.4",
    ">=2.0 || <1",
    "* >=2",
    "latest",
    ">=v2",
    "==",
  ])("refuses %j", (range) => {
    expect(isFirmwareRange(range)).toBe(false);
  });
});

describe("inFirmwareRange", () => {
  it.each([
    ["2.0", ">=2.0 <2.4", true],
    ["2.3.99", ">=2.0 <2.4", true],
    ["2.4", ">=2.0 <2.4", false],
    ["2.4.0", "<=2.4", true],
    ["1.99", ">=2.0 <2.4", false],
    ["V2.1 build 7", ">2.1", true],
    ["V2.1", ">2.1", false],
    ["2.1.0", "=2.1", true],
    ["anything at all", "*", true],
    ["", ">=1", false],
    ["", "<1", true],
  ])("%j in %j: %s", (version, range, inside) => {
    expect(inFirmwareRange(version, range)).toBe(inside);
  });

  it("is never inside a range that is not one", () => {
    expect(inFirmwareRange("2.0", "^2.0")).toBe(false);
    expect(inFirmwareRange("2.0", "")).toBe(false);
  });

  it("splits every version into exactly one of two halves that meet", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }), (version, parts) => {
        const bound = parts.join(".");
        expect(inFirmwareRange(version, `<${bound}`)).toBe(!inFirmwareRange(version, `>=${bound}`));
      }),
    );
  });
});
