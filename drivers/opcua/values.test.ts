import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  coerceNodeId,
  DataType,
  DataValue,
  LocalizedText,
  StatusCodes,
  Variant,
  VariantArrayType,
} from "./library.ts";
import { Nodes } from "./nodes.ts";
import { answerOf, variantOf } from "./values.ts";

const noTimes = { sourceTimestamp: null, serverTimestamp: null };
const of = (dataType: DataType, value: unknown, more: object = {}) =>
  new DataValue({ value: new Variant({ dataType, value, ...more }), ...noTimes });
const valueOf = (dataType: DataType, value: unknown, more: object = {}, where = {}) => {
  const answer = answerOf(of(dataType, value, more), where);
  return typeof answer === "object" ? (answer.value ?? answer.code) : answer;
};
const scalar = { arrayType: VariantArrayType.Scalar };

const read = (buffer: Buffer, where: object) => {
  const data = new DataValue({ ...noTimes });
  data.value = {
    dataType: DataType.ExtensionObject,
    arrayType: VariantArrayType.Scalar,
    value: { buffer },
  } as never;
  const answer = answerOf(data, where);
  return typeof answer === "object" ? (answer.value ?? answer.code) : answer;
};

describe("a value of type", () => {
  test.each([
    [DataType.Boolean, true, true],
    [DataType.SByte, -128, -128],
    [DataType.UInt32, 4_294_967_295, 4_294_967_295],
    [DataType.Double, 1.5, 1.5],
    [DataType.Double, Number.NaN, "not-a-number"],
    [DataType.Float, Infinity, "not-a-number"],
    [DataType.String, "ngã tư", "ngã tư"],
    [DataType.String, null, ""],
    [DataType.String, "x".repeat(5000), "too-long"],
    [DataType.LocalizedText, new LocalizedText({ text: "xanh", locale: "vi" }), "xanh"],
    [DataType.DateTime, new Date(1_700_000_000_000), "2023-11-14T22:13:20.000Z"],
    [DataType.ByteString, Buffer.from([0xde, 0xad]), "dead"],
    [DataType.ByteString, Buffer.alloc(2000), "too-long"],
    [DataType.StatusCode, StatusCodes.BadTimeout, "BadTimeout"],
    [DataType.Null, null, "no-value"],
    [DataType.ExtensionObject, null, "structure"],
  ])("%s", (dataType, value, expected) => {
    expect(valueOf(dataType, value)).toBe(expected);
  });

  test("64 bits: a number while it is exact, then a bigint", () => {
    expect(valueOf(DataType.Int64, [0xffff_ffff, 0xffff_ffff], scalar)).toBe(-1);
    expect(valueOf(DataType.UInt64, [0x1f_ffff, 0xffff_ffff], scalar)).toBe(Number.MAX_SAFE_INTEGER);
    expect(valueOf(DataType.UInt64, [0x20_0000, 1], scalar)).toBe(2n ** 53n + 1n);
    expect(valueOf(DataType.UInt64, [0xffff_ffff, 0xffff_ffff], scalar)).toBe(2n ** 64n - 1n);
    expect(valueOf(DataType.Int64, [0x8000_0000, 0], scalar)).toBe(-(2n ** 63n));
  });

  test("array: refused, or one element of it", () => {
    const array = { arrayType: VariantArrayType.Array };
    expect(valueOf(DataType.Int32, [4, 5, 6], array)).toBe("array");
    expect(valueOf(DataType.Int32, [4, 5, 6], array, { index: 1 })).toBe(5);
    expect(valueOf(DataType.Int32, [4, 5, 6], array, { index: 3 })).toBe("no-element");
  });

  test("structure: a member by its layout, and nothing where the layout does not fit", () => {
    const body = Buffer.alloc(24);
    [20_000.5, 12_000, 8000.5].forEach((value, i) => body.writeDoubleLE(value, 8 * i));
    const layout = { Gross: "Double", Net: "Double", Tare: "Double" } as const;
    expect(read(body, { layout, member: "Tare" })).toBe(8000.5);
    expect(read(body, {})).toBe("structure");
    expect(read(body.subarray(0, 20), { layout, member: "Gross" })).toBe("structure");
    expect(read(Buffer.concat([body, Buffer.alloc(1)]), { layout, member: "Gross" })).toBe("structure");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        read(Buffer.from(bytes), { layout: { a: "String", b: "Int64", c: "DateTime" }, member: "c" });
      }),
    );
  });
});

describe("quality", () => {
  test("good with a reason stays good, and server time stands in for the source's", () => {
    const data = of(DataType.Double, 1);
    data.statusCode = StatusCodes.GoodClamped;
    data.serverTimestamp = new Date(1_700_000_000_000);
    expect(answerOf(data, {})).toEqual({
      value: 1,
      status: "good",
      code: "GoodClamped",
      sourceTimeMs: 1_700_000_000_000,
    });
    data.sourceTimestamp = new Date(1_600_000_000_000);
    expect(answerOf(data, {})).toMatchObject({ sourceTimeMs: 1_600_000_000_000 });
  });

  test("bad has no value, whatever the server sends with it", () => {
    const data = of(DataType.Double, 1);
    data.statusCode = StatusCodes.BadCommunicationError;
    expect(answerOf(data, {})).toEqual({ value: null, status: "bad", code: "BadCommunicationError" });
  });
});

describe("a value to write", () => {
  test.each([
    ["Byte", 256],
    ["Byte", -1],
    ["Int16", 1.5],
    ["UInt32", "7"],
    ["Boolean", 2],
    ["Float", 1e300],
    ["Double", Number.NaN],
    ["Double", "x"],
    ["DateTime", "yesterday"],
    ["ByteString", "xyz"],
  ])("%s refuses %s", (type, value) => {
    expect(() => variantOf(value, type, "here")).toThrow(
      expect.objectContaining({ code: "rejected" }) as Error,
    );
  });

  test("comes back as it was given", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const answer = answerOf(new DataValue({ value: variantOf(value, "Int64", ""), ...noTimes }), {});
        expect(BigInt((answer as { value: bigint | number }).value)).toBe(value);
      }),
    );
  });
});

const rawOf = (dataType: DataType, value: unknown) => {
  const answer = answerOf(of(dataType, value), {}, true);
  return typeof answer === "object" && answer.raw !== undefined
    ? Buffer.from(answer.raw).toString("hex")
    : undefined;
};

test("bytes are told as they came, or not at all", () => {
  expect(rawOf(DataType.Int16, -2)).toBe("feff");
  expect(rawOf(DataType.String, "ab")).toBe("020000006162");
  expect(rawOf(DataType.Float, 1.5)).toBe("0000c03f");
  expect(rawOf(DataType.DateTime, new Date(1_700_000_000_000))).toBeUndefined();
  expect(rawOf(DataType.LocalizedText, new LocalizedText({ text: "xanh" }))).toBeUndefined();
  expect(rawOf(DataType.Guid, "72962B91-FA75-4AE6-8D28-B404DC7DAF63")).toBeUndefined();
  expect(rawOf(DataType.String, null)).toBeUndefined();
});

test("of equal namespaces the first counts, and the places of the others stay", () => {
  const named = { root: "i=85", namespaces: { b: "urn:b" }, names: {} };
  const nodes = new Nodes(named, ["http://opcfoundation.org/UA/", "urn:a", "urn:a", "urn:b"]);
  const below = nodes.below(coerceNodeId("i=85"));
  for (const one of [nodes, below]) {
    expect(one.name("b:x")).toMatchObject({ namespaceIndex: 3 });
    expect(one.byId("nsu=urn:a;i=1")).toMatchObject({ node: { namespace: 1 } });
  }
});
