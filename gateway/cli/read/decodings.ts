import { grouped } from "../../text.ts";

/** Every way to read a register's bytes as a number, side by side, for a map that is not certain. */

/** Position of byte A, B, C, D of the value in the bytes as they arrived. */
const orders: [name: string, positions: number[]][] = [
  ["ABCD", [0, 1, 2, 3]],
  ["CDAB", [2, 3, 0, 1]],
  ["BADC", [1, 0, 3, 2]],
  ["DCBA", [3, 2, 1, 0]],
];
const shortOrders: [name: string, positions: number[]][] = [
  ["AB", [0, 1]],
  ["BA", [1, 0]],
];

export interface Decoding {
  order: string;
  values: Record<string, number>;
}

/** The decodings of 2 or 4 bytes (hex); none for any other length. */
export function decodings(hex: string): Decoding[] {
  const bytes = Buffer.from(hex, "hex");
  const list = bytes.length === 2 ? shortOrders : bytes.length === 4 ? orders : [];
  return list.map(([order, positions]) => {
    const sorted = Buffer.from(positions.map((position) => bytes[position] ?? 0));
    const values: Record<string, number> =
      sorted.length === 2
        ? { uint16: sorted.readUInt16BE(0), int16: sorted.readInt16BE(0) }
        : { uint32: sorted.readUInt32BE(0), int32: sorted.readInt32BE(0), float32: sorted.readFloatBE(0) };
    return { order, values };
  });
}

function shown(value: number, type: string): string {
  if (type !== "float32") return grouped(value);
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) return value.toExponential(4);
  return grouped(value, size >= 1000 ? 2 : 4);
}

/** The decodings as aligned lines: one for each order, with a word or byte order at its head. */
export function decodingLines(hex: string): string[] {
  const list = decodings(hex);
  const types = Object.keys(list[0]?.values ?? {});
  const columns = types.map((type) => {
    const texts = list.map(({ values }) => shown(values[type] ?? 0, type));
    const width = Math.max(...texts.map((text) => text.length));
    return texts.map((text) => `${type} ${text.padStart(width)}`);
  });
  return list.map(({ order }, i) => [order, ...columns.map((column) => column[i] ?? "")].join("   "));
}
