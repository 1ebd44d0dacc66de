import type { Value } from "../../gateway/driver.ts";
import { isBitTable } from "./codec.ts";
import { text, widthOf, wirePosition, type Order } from "./decode.ts";
import type { Address } from "./settings.ts";

/** Whole numbers that the registers of a type can hold. */
const ranges: Partial<Record<Address["type"], readonly [low: bigint, high: bigint]>> = {
  uint16: [0n, 0xffffn],
  int16: [-0x8000n, 0x7fffn],
  uint32: [0n, 0xffff_ffffn],
  int32: [-0x8000_0000n, 0x7fff_ffffn],
  uint64: [0n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  bcd16: [0n, 9999n],
  bcd32: [0n, 99_999_999n],
};

/** Digits that a single-precision number always holds. */
const singleDigits = 7;

/** A bit, as a coil or a bit of a register takes it; undefined: the value is none. */
export function bitOf(value: Value): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (value === 1 || value === 1n) return true;
  return value === 0 || value === 0n ? false : undefined;
}

/**
 * The bytes of the registers that hold a value, in the order of the wire: what `decode` turns back into it.
 * undefined: they cannot hold it exactly, for nothing is rounded, wrapped or cut off.
 */
export function encode(address: Address, value: Value, defaultOrder: Order): Buffer | undefined {
  const order = address.order ?? defaultOrder;
  const size = widthOf(address) * 2;
  if (isBitTable(address.table) || address.type === "bool") return undefined;
  if (address.type === "text") return textBytes(value, size, order);
  const bytes = numberBytes(address.type, value, size);
  if (bytes === undefined) return undefined;
  const wire = Buffer.alloc(size);
  bytes.forEach((byte, index) => (wire[wirePosition(order, size, index)] = byte));
  return wire;
}

/** Most significant byte first. */
function numberBytes(type: Address["type"], value: Value, size: number): Buffer | undefined {
  if (type === "float32" || type === "float64") return floatBytes(type, value);
  const whole = wholeOf(value);
  const range = ranges[type];
  if (whole === undefined || range === undefined || whole < range[0] || whole > range[1]) return undefined;
  const digits = type.startsWith("bcd") ? whole.toString() : BigInt.asUintN(8 * size, whole).toString(16);
  return Buffer.from(digits.padStart(2 * size, "0"), "hex");
}

function wholeOf(value: Value): bigint | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : undefined;
}

function floatBytes(type: "float32" | "float64", value: Value): Buffer | undefined {
  const number = typeof value === "number" || typeof value === "bigint" ? Number(value) : Number.NaN;
  if (!Number.isFinite(number) || (typeof value === "bigint" && BigInt(number) !== value)) return undefined;
  const bytes = Buffer.alloc(type === "float32" ? 4 : 8);
  if (type === "float64") {
    bytes.writeDoubleBE(number);
    return bytes;
  }
  const single = Math.fround(number);
  // Few decimal numbers are binary ones: 0.1 is held to the digits that such a register has, 0.123456789 is not.
  if (single !== number && Number(single.toPrecision(singleDigits)) !== number) return undefined;
  bytes.writeFloatBE(number);
  return bytes;
}

/** A text fills its registers up with NUL; it is refused where reading it back would give another one. */
function textBytes(value: Value, size: number, order: Order): Buffer | undefined {
  const bytes = Buffer.alloc(size);
  if (typeof value !== "string" || Buffer.byteLength(value) > size) return undefined;
  bytes.write(value, "utf8");
  if (text(bytes, 0, size, false) !== value) return undefined;
  return order === "BADC" || order === "DCBA" ? bytes.swap16() : bytes;
}
