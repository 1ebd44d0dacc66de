import { DeviceError, type Answer, type Reading, type Value } from "../../gateway/driver.ts";
import { statusName } from "./failures.ts";
import { DataType, LocalizedText, Variant, VariantArrayType, type DataValue } from "./library.ts";
import type { Address, Scalar } from "./settings.ts";

/** Longest text and longest byte string that become a value; a byte string is told in hex. */
const textLengthMax = 4096;
const bytesMax = 1024;
/** InfoType DataValue and Overflow (OPC 10000-4, 7.39.1): the server's queue was full and values are missing. */
const overflowBits = 0x480;

type Where = Pick<Address, "index" | "layout" | "member">;

class Unusable extends Error {
  readonly code: string;
  constructor(code: string, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** What a server says of one value, as a reading with the server's own quality and time. */
export function answerOf(data: DataValue, where: Where, isRaw = false): Answer {
  const { statusCode } = data;
  const code = statusName(statusCode);
  const times = timesOf(data);
  const severity = statusCode.value >>> 30;
  if (severity >= 2) return { value: null, status: "bad", code, ...times };
  const isOverflow = (statusCode.value & overflowBits) === overflowBits;
  try {
    const value = valueOf(data.value, where);
    const bytes = isRaw ? bytesOf(data.value, value) : undefined;
    const raw = bytes === undefined ? {} : { raw: bytes };
    if (severity === 1) return { value, status: "uncertain", code, ...times, ...raw };
    if (isOverflow)
      return {
        value,
        status: "uncertain",
        code: "Overflow",
        reason: "the server had more values than its queue holds",
        ...times,
        ...raw,
      };
    const how = code === "Good" ? {} : { code };
    return { value, status: "good", ...how, ...times, ...raw };
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return { value: null, status: "bad", code: error.code, reason: error.message, ...times };
  }
}

/** The value of an event's field, which carries no quality of its own. */
export function fieldOf(variant: Variant, where: Where): Answer | undefined {
  if (variant.dataType === DataType.Null) return undefined;
  if (variant.dataType === DataType.StatusCode) return bad(statusName(variant.value as { name: string }));
  try {
    return valueOf(variant, where);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return bad(error.code, error.message);
  }
}

export function bad(code: string, reason?: string): Reading {
  return { value: null, status: "bad", code, ...(reason === undefined ? {} : { reason }) };
}

function timesOf({ sourceTimestamp, serverTimestamp }: DataValue): { sourceTimeMs?: number } {
  for (const time of [sourceTimestamp, serverTimestamp]) {
    const ms = time?.getTime();
    // 1601 is how the protocol writes "no time".
    if (ms !== undefined && Number.isFinite(ms) && ms > 0) return { sourceTimeMs: ms };
  }
  return {};
}

function valueOf(variant: Variant | null, { index, layout, member }: Where): Value {
  if (variant === null || variant === undefined || variant.dataType === DataType.Null)
    throw new Unusable("no-value", "the server has no value");
  let value: unknown = variant.value;
  if (variant.arrayType !== VariantArrayType.Scalar) {
    if (index === undefined) throw new Unusable("array", "an array; the address names no index");
    value = (value as ArrayLike<unknown> | null)?.[index];
    if (value === undefined) throw new Unusable("no-element", `the array has no element ${index}`);
  }
  if (variant.dataType === DataType.ExtensionObject) {
    if (layout === undefined || member === undefined)
      throw new Unusable("structure", "a structure; the address names no member");
    return memberOf(value, layout, member);
  }
  return scalarOf(variant.dataType, value);
}

function scalarOf(type: DataType, value: unknown): Value {
  switch (type) {
    case DataType.Boolean:
      return value === true;
    case DataType.Int64:
    case DataType.UInt64:
      return wide(value as readonly [number, number], type === DataType.Int64);
    case DataType.DateTime:
      return (value as Date | null)?.getTime() ? (value as Date).toISOString() : none();
    case DataType.LocalizedText:
      return text((value as LocalizedText | null)?.text ?? "");
    case DataType.QualifiedName:
      return text((value as { name: string | null } | null)?.name ?? "");
    case DataType.StatusCode:
      return (value as { name: string }).name;
    case DataType.ByteString:
      return hex(value as Buffer | null);
    case DataType.NodeId:
    case DataType.ExpandedNodeId:
      return text((value as { toString(): string } | null)?.toString() ?? "");
    case DataType.String:
    case DataType.Guid:
    case DataType.XmlElement:
      return text((value as string | null) ?? "");
  }
  if (typeof value !== "number") throw new Unusable("unsupported-type", `a value of type ${DataType[type]}`);
  if (!Number.isFinite(value)) throw new Unusable("not-a-number", String(value));
  return value;
}

function none(): never {
  throw new Unusable("no-value", "the server has no value");
}

function text(value: string): string {
  if (value.length <= textLengthMax) return value;
  throw new Unusable("too-long", `a text of ${value.length} characters`);
}

function hex(bytes: Buffer | null): string {
  if (bytes === null || bytes === undefined) return "";
  if (bytes.length > bytesMax) throw new Unusable("too-long", `${bytes.length} bytes`);
  return bytes.toString("hex");
}

function wide([high, low]: readonly [number, number], isSigned: boolean): number | bigint {
  const bits = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  const value = isSigned ? BigInt.asIntN(64, bits) : bits;
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

/** Bytes of the fixed-length types in a structure's binary encoding (OPC 10000-6, 5.2). */
const sizes: Partial<Record<Scalar, number>> = {
  Boolean: 1,
  SByte: 1,
  Byte: 1,
  Int16: 2,
  UInt16: 2,
  Int32: 4,
  UInt32: 4,
  Int64: 8,
  UInt64: 8,
  Float: 4,
  Double: 8,
  DateTime: 8,
};

/** One member of a structure that the library does not know and keeps as bytes. */
function memberOf(value: unknown, layout: Record<string, Scalar>, member: string): Value {
  const { buffer } = (value ?? {}) as { buffer?: Buffer };
  if (!Buffer.isBuffer(buffer)) return knownMember(value, member);
  let at = 0;
  let found: Value | undefined;
  for (const [name, type] of Object.entries(layout)) {
    const isText = type === "String" || type === "ByteString";
    if (isText && at + 4 > buffer.length) throw tooShort();
    const length = isText ? Math.max(0, buffer.readInt32LE(at)) : (sizes[type] ?? 0);
    const from = isText ? at + 4 : at;
    if (length === 0 && !isText) throw new Unusable("unsupported-type", `a member of type ${type}`);
    if (from + length > buffer.length) throw tooShort();
    if (name === member) found = decoded(type, buffer.subarray(from, from + length));
    at = from + length;
  }
  // Another version of the type would give wrong numbers without a sign of it.
  if (at !== buffer.length)
    throw new Unusable("structure", `the structure has ${buffer.length} bytes, the layout ${at}`);
  return found ?? none();
}

function tooShort(): Unusable {
  return new Unusable("structure", "the structure is shorter than its layout");
}

function knownMember(value: unknown, member: string): Value {
  const name = member.charAt(0).toLowerCase() + member.slice(1);
  const found = (value as Record<string, unknown> | null)?.[name];
  if (typeof found === "number" && Number.isFinite(found)) return found;
  if (typeof found === "boolean") return found;
  if (typeof found === "string") return text(found);
  if (found instanceof LocalizedText) return text(found.text ?? "");
  throw new Unusable("structure", `the structure has no plain member ${member}`);
}

function decoded(type: Scalar, bytes: Buffer): Value {
  switch (type) {
    case "Boolean":
      return bytes[0] !== 0;
    case "SByte":
      return bytes.readInt8();
    case "Byte":
      return bytes.readUInt8();
    case "Int16":
      return bytes.readInt16LE();
    case "UInt16":
      return bytes.readUInt16LE();
    case "Int32":
      return bytes.readInt32LE();
    case "UInt32":
      return bytes.readUInt32LE();
    case "Int64":
    case "UInt64":
      return wide([bytes.readUInt32LE(4), bytes.readUInt32LE(0)], type === "Int64");
    case "Float":
      return finite(bytes.readFloatLE());
    case "Double":
      return finite(bytes.readDoubleLE());
    case "DateTime":
      return fileTime(bytes.readBigInt64LE());
    case "String":
      return text(bytes.toString("utf8"));
    default:
      return hex(bytes);
  }
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new Unusable("not-a-number", String(value));
}

/** 100 ns since 1601. */
function fileTime(ticks: bigint): string {
  const ms = Number(ticks / 10_000n) - 11_644_473_600_000;
  return ms > 0 && ms < 8.64e15 ? new Date(ms).toISOString() : none();
}

/**
 * The binary encoding of a scalar (OPC 10000-6, 5.2.2), for the technician who compares it with a capture; nothing
 * for types that are told in another form than they came.
 */
function bytesOf({ dataType, value: told }: Variant, value: Value): Uint8Array | undefined {
  const bytes = Buffer.alloc(8);
  if (dataType === DataType.Boolean) return Uint8Array.of(value === true ? 1 : 0);
  if (typeof value === "string") {
    const isPlain = [DataType.String, DataType.XmlElement, DataType.ByteString].includes(dataType);
    if (!isPlain || told === null || told === undefined) return undefined;
    const body = dataType === DataType.ByteString ? Buffer.from(value, "hex") : Buffer.from(value, "utf8");
    bytes.writeInt32LE(body.length);
    return Buffer.concat([bytes.subarray(0, 4), body]);
  }
  if (dataType === DataType.Int64 || dataType === DataType.UInt64) {
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    return bytes;
  }
  if (dataType === DataType.Float) {
    bytes.writeFloatLE(Number(value));
    return bytes.subarray(0, 4);
  }
  const size = sizes[DataType[dataType] as Scalar];
  if (size === undefined) return undefined;
  if (dataType === DataType.Double || size === 8) bytes.writeDoubleLE(Number(value));
  else bytes.writeUIntLE(Number(value) < 0 ? Number(value) + 2 ** (8 * size) : Number(value), 0, size);
  return bytes.subarray(0, size);
}

const integerRanges: Partial<Record<string, readonly [bigint, bigint]>> = {
  SByte: [-128n, 127n],
  Byte: [0n, 255n],
  Int16: [-32_768n, 32_767n],
  UInt16: [0n, 65_535n],
  Int32: [-(2n ** 31n), 2n ** 31n - 1n],
  UInt32: [0n, 2n ** 32n - 1n],
  Int64: [-(2n ** 63n), 2n ** 63n - 1n],
  UInt64: [0n, 2n ** 64n - 1n],
};

/** A value as the server wants it. Throws `DeviceError` "rejected" where it is none of that type. */
export function variantOf(value: Value, type: string, place: string): Variant {
  const refuse = (): never => {
    throw new DeviceError("rejected", `${place}: ${String(value)} is no ${type}`);
  };
  const range = integerRanges[type];
  const dataType = DataType[type as keyof typeof DataType];
  if (range !== undefined) {
    if (typeof value === "string" || (typeof value === "number" && !Number.isInteger(value))) return refuse();
    const whole = BigInt(value);
    if (whole < range[0] || whole > range[1]) return refuse();
    if (!type.endsWith("64")) return new Variant({ dataType, value: Number(whole) });
    const bits = BigInt.asUintN(64, whole);
    const halves = [Number(bits >> 32n), Number(bits & 0xffff_ffffn)];
    return new Variant({ dataType, arrayType: VariantArrayType.Scalar, value: halves });
  }
  switch (type) {
    case "Boolean":
      return typeof value === "boolean" || value === 0 || value === 1
        ? new Variant({ dataType, value: Boolean(value) })
        : refuse();
    case "Float":
    case "Double": {
      const number = typeof value === "number" || typeof value === "bigint" ? Number(value) : Number.NaN;
      const isInRange = Number.isFinite(type === "Float" ? Math.fround(number) : number);
      return isInRange ? new Variant({ dataType, value: number }) : refuse();
    }
    case "String":
      return new Variant({ dataType, value: String(value) });
    case "LocalizedText":
      return new Variant({ dataType, value: new LocalizedText({ text: String(value) }) });
    case "DateTime": {
      const time = new Date(typeof value === "bigint" ? Number(value) : String(value));
      return Number.isFinite(time.getTime()) ? new Variant({ dataType, value: time }) : refuse();
    }
    case "ByteString":
      return typeof value === "string" && /^([0-9a-f]{2})*$/i.test(value)
        ? new Variant({ dataType, value: Buffer.from(value, "hex") })
        : refuse();
    case "Guid":
      return typeof value === "string" ? new Variant({ dataType, value }) : refuse();
  }
  throw new DeviceError("unsupported", `${place}: a value of type ${type} cannot be written`);
}
