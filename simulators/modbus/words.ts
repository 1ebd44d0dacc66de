import { anyNumber, type Room } from "../simulator.ts";

/** What the address of a point says, as the profile has it (the driver's own schema has already checked it). */
export interface Address {
  table: Table;
  register: number;
  type: string;
  order: Order;
  bit: number | undefined;
  /** Registers that the value takes; 1 for a coil or a discrete input. */
  length: number;
}
export const tables = ["coil", "discrete", "holding", "input"] as const;
export type Table = (typeof tables)[number];
export type Order = "ABCD" | "CDAB" | "BADC" | "DCBA";

const registersOf: Record<string, number> = Object.fromEntries([
  ...["bool", "uint16", "int16", "bcd16"].map((type) => [type, 1]),
  ...["uint32", "int32", "float32", "bcd32"].map((type) => [type, 2]),
  ...["uint64", "int64", "float64"].map((type) => [type, 4]),
]);

/** Reads a profile's address; throws an `Error` that names what is wrong with it. */
export function parseAddress(address: unknown, defaultOrder: Order): Address {
  const { table, register, type = "uint16", order, bit, length } = (address ?? {}) as Record<string, unknown>;
  const isBit = table === "coil" || table === "discrete";
  const registers = isBit ? 1 : type === "text" ? Number(length) : registersOf[String(type)];
  if (!tables.includes(table as Table)) throw new Error(`no such table: ${String(table)}`);
  if (!Number.isInteger(register)) throw new Error(`no register in ${JSON.stringify(address)}`);
  if (registers === undefined || !(registers >= 1 && Number(register) + registers <= 65_536)) {
    throw new Error(`cannot place ${JSON.stringify(address)} in the register image`);
  }
  return {
    table: table as Table,
    register: Number(register),
    type: String(type),
    order: (order as Order | undefined) ?? defaultOrder,
    bit: typeof bit === "number" ? bit : undefined,
    length: registers,
  };
}

const most64 = { uint64: 2 ** 64 - 2048, int64: 2 ** 63 - 1024 };
const single = 3.4028234663852886e38;

/** The numbers that the registers of an address can hold (those of 64 bits as far as a double tells them apart). */
export function roomOf({ table, type, length }: Address): Room {
  if (table === "coil" || table === "discrete" || type === "bool") return { low: 0, high: 1, whole: true };
  if (type === "text") return anyNumber;
  if (type === "float32") return { low: -single, high: single, hasNan: true };
  if (type === "float64") return { ...anyNumber, hasNan: true };
  if (type.startsWith("bcd")) return { low: 0, high: 10 ** (length * 4) - 1, whole: true };
  const bits = length * 16;
  if (type.startsWith("int"))
    return { low: -(2 ** (bits - 1)), high: bits === 64 ? most64.int64 : 2 ** (bits - 1) - 1, whole: true };
  return { low: 0, high: bits === 64 ? most64.uint64 : 2 ** bits - 1, whole: true };
}

function clamp(value: number, low: number, high: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(Math.round(value), low), high) : 0;
}

/** An integer of `bytes` bytes in two's complement, high byte first; out of range: the nearest that fits. */
function integer(value: number, bytes: number, signed: boolean): Buffer {
  const bits = BigInt(bytes * 8);
  const low = signed ? -(2 ** (bytes * 8 - 1)) : 0;
  const high = signed ? 2 ** (bytes * 8 - 1) - 1 : 2 ** (bytes * 8) - 1;
  // Doubles above 2^53 round up past the largest 64-bit integer, which must not wrap to the smallest.
  const largest = (1n << (signed ? bits - 1n : bits)) - 1n;
  const whole = BigInt(clamp(value, low, high));
  const fitted = BigInt.asUintN(bytes * 8, whole > largest ? largest : whole);
  return Buffer.from(fitted.toString(16).padStart(bytes * 2, "0"), "hex");
}

function bytesOf(address: Address, raw: number | string): Buffer {
  if (address.type === "text") {
    const bytes = Buffer.alloc(address.length * 2);
    bytes.write(String(raw), "utf8");
    return bytes;
  }
  const value = Number(raw);
  const bytes = Buffer.alloc(address.length * 2);
  switch (address.type) {
    case "float32":
      bytes.writeFloatBE(value);
      return bytes;
    case "float64":
      bytes.writeDoubleBE(value);
      return bytes;
    case "bool":
      bytes.writeUInt16BE(value !== 0 && !Number.isNaN(value) ? 1 << (address.bit ?? 0) : 0);
      return bytes;
    case "bcd16":
    case "bcd32": {
      const digits = address.length * 4;
      return Buffer.from(String(clamp(value, 0, 10 ** digits - 1)).padStart(digits, "0"), "hex");
    }
    default:
      return integer(value, address.length * 2, address.type.startsWith("int"));
  }
}

/** A raw value as the registers that a device of this word order would show. */
export function encode(address: Address, raw: number | string): number[] {
  const bytes = bytesOf(address, raw);
  if (address.order === "BADC" || address.order === "DCBA") bytes.swap16();
  const words = Array.from({ length: address.length }, (_, index) => bytes.readUInt16BE(index * 2));
  const lowWordFirst = address.order === "CDAB" || address.order === "DCBA";
  return lowWordFirst && address.type !== "text" ? words.toReversed() : words;
}
