import { expect, test } from "vitest";
import { address } from "./settings.ts";
import { bitOf, decode, rawOf, types } from "./values.ts";

const read = (
  type: number | undefined,
  value: unknown,
  how: Record<string, unknown> = {},
  charset: "utf8" | "latin1" = "utf8",
) => decode({ oid: "1.3", type: type!, value }, address.parse({ oid: "1.3", ...how }), charset);
const hex = (text: string): Buffer => Buffer.from(text, "hex");

const bits = (
  type: number | undefined,
  value: unknown,
  order?: "first-octet-low" | "last-octet-low" | "bits",
) => Array.from({ length: 10 }, (_, bit) => bitOf({ oid: "1.3", type: type!, value }, bit, order));

const stage = (octets: string, order = "first-octet-low") =>
  read(types.octets, hex(octets), { type: "stage", order });

const raw = (value: number) => Buffer.from(rawOf({ oid: "1", type: 2, value })).toString("hex");

test("numbers of every type, and texts that are one", () => {
  expect(read(types.integer, -7, { type: "number" })).toBe(-7);
  expect(read(types.counter, 4_294_967_295, { type: "number" })).toBe(4_294_967_295);
  expect(read(types.counter64, hex("00ffffffff"), { type: "number" })).toBe(4_294_967_295);
  expect(read(types.counter64, hex("001fffffffffffff"), { type: "number" })).toBe(Number.MAX_SAFE_INTEGER);
  expect(read(types.counter64, hex("00ffffffffffffffff"), { type: "number" })).toBe(2n ** 64n - 1n);
  expect(read(types.octets, Buffer.from(" -85.5\0"), { type: "number" })).toBe(-85.5);
  expect(read(types.opaque, hex("9f780441ac0000"), { type: "number" })).toBe(21.5);
  expect(read(types.opaque, hex("9f79084035800000000000"), { type: "number" })).toBe(21.5);
  expect(read(types.octets, hex("00012345"), { type: "bcd" })).toBe(12_345);
});

test.each([
  [types.octets, Buffer.from("n/a"), { type: "number" }, "not-a-number"],
  [types.opaque, hex("9f78047fc00000"), { type: "number" }, "not-a-number"],
  [types.octets, hex("12ab"), { type: "bcd" }, "bad-bcd"],
  [types.octets, hex(""), { type: "bits", bit: 0 }, "not-a-bitmap"],
  [types.ip, "1.2.3.4", { type: "bits", bit: 0 }, "not-a-bitmap"],
  [types.noSuchObject, null, {}, "noSuchObject"],
  [types.noSuchInstance, null, {}, "noSuchInstance"],
  [types.endOfMibView, null, {}, "endOfMibView"],
  [types.null, null, {}, "no-value"],
  [types.octets, null, { type: "text" }, "no-value"],
] as const)("type %s %s as %j is bad with %s", (type, value, how, code) => {
  expect(read(type, value, how)).toMatchObject({ value: null, status: "bad", code });
});

test("texts: to the first NUL, UTF-8 or else Latin-1", () => {
  expect(read(types.octets, Buffer.from("Nút giao\0xx"), { type: "text" })).toBe("Nút giao");
  expect(read(types.octets, hex("636166e9"), { type: "text" })).toBe("café");
  expect(read(types.octets, Buffer.from("é"), { type: "text" }, "latin1")).toBe("Ã©");
  expect(read(types.octets, hex("0102ff"))).toBe("0102ff");
  expect(read(types.octets, hex("0102"), { type: "hex" })).toBe("0102");
  expect(read(types.ip, "10.0.0.1")).toBe("10.0.0.1");
  expect(read(types.oid, "1.3.6.1", { type: "oid" })).toBe("1.3.6.1");
});

test("bits of INTEGER and of OCTET STRING, in each order", () => {
  expect(bits(types.integer, 0b1_0000_0101).map(Number)).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
  // 8 bits in a signed octet, as some controllers send them.
  expect(bits(types.integer, -128).map(Number)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
  expect(bits(types.octets, hex("0501")).map(Number)).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
  expect(bits(types.octets, hex("0105"), "last-octet-low").map(Number)).toEqual([
    1, 0, 1, 0, 0, 0, 0, 0, 1, 0,
  ]);
  expect(bits(types.octets, hex("a080"), "bits").map(Number)).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
  expect(bits(types.octets, hex("05"))[8]).toBeUndefined();
  expect(bits(types.octets, hex("05"), "bits")[8]).toBe(false);
});

const detectors = (octets: string) =>
  [0, 4, 8, 12].map((bit) => read(types.octets, hex(octets), { type: "bits", bit, width: 4 }));

test("UG405 detectors: four samples of a quarter second each, detector 1 in the low half of the first octet", () => {
  expect(detectors("0100")).toEqual([true, false, false, false]);
  expect(detectors("0800")).toEqual([true, false, false, false]);
  expect(detectors("2040")).toEqual([false, true, false, true]);
  expect(detectors("f0")).toEqual([
    false,
    true,
    expect.objectContaining({ code: "not-a-bitmap" }),
    expect.objectContaining({ code: "not-a-bitmap" }),
  ]);
});

test("UG405 stages: one bit, none, two, and the pair that means unknown", () => {
  expect(["01", "02", "08", "80"].map((one) => stage(one))).toEqual([1, 2, 4, 8]);
  expect([stage("0001"), stage("0100")]).toEqual([9, 1]);
  expect([stage("0001", "last-octet-low"), stage("0100", "last-octet-low")]).toEqual([1, 9]);
  expect(stage("00")).toBe(0);
  expect(stage("03")).toMatchObject({ status: "bad", code: "stage-unknown" });
  expect(stage("05")).toMatchObject({ status: "bad", code: "conflicting-stages" });
});

test("the octets of a value", () => {
  expect([0, 127, 128, -1, -129, 4_294_967_295].map(raw)).toEqual([
    "00",
    "7f",
    "0080",
    "ff",
    "ff7f",
    "00ffffffff",
  ]);
});
