import type { Answer, PointRequest, Value } from "../../gateway/driver.ts";
import { isBitTable } from "./codec.ts";
import type { Address } from "./settings.ts";

export type Order = NonNullable<Address["order"]>;

const BIT = 0; // of a coil or a discrete input
const WORD_BIT = 1;
const UINT16 = 2;
const INT16 = 3;
const UINT32 = 4;
const INT32 = 5;
const UINT64 = 6;
const INT64 = 7;
const FLOAT32 = 8;
const FLOAT64 = 9;
const BCD16 = 10;
const BCD32 = 11;
const TEXT = 12;

const kinds: Record<Address["type"], number> = {
  bool: WORD_BIT,
  uint16: UINT16,
  int16: INT16,
  uint32: UINT32,
  int32: INT32,
  uint64: UINT64,
  int64: INT64,
  float32: FLOAT32,
  float64: FLOAT64,
  bcd16: BCD16,
  bcd32: BCD32,
  text: TEXT,
};

const registers: Record<Exclude<Address["type"], "text">, number> = {
  bool: 1,
  uint16: 1,
  int16: 1,
  uint32: 2,
  int32: 2,
  uint64: 4,
  int64: 4,
  float32: 2,
  float64: 4,
  bcd16: 1,
  bcd32: 2,
};

/** How many registers an address spans; in a table of bits always one bit, whatever its `type` says. */
export function widthOf(address: Address): number {
  if (isBitTable(address.table)) return 1;
  return address.type === "text" ? (address.length ?? 1) : registers[address.type];
}

/** Where byte `index` of a value (0 = most significant) stands in `bytes` bytes on the wire. */
export function wirePosition(order: Order, bytes: number, index: number): number {
  const wordsReversed = order === "CDAB" || order === "DCBA";
  const bytesSwapped = order === "BADC" || order === "DCBA";
  const word = wordsReversed ? bytes / 2 - 1 - (index >> 1) : index >> 1;
  return 2 * word + (bytesSwapped ? 1 - (index & 1) : index & 1);
}

/** How the points of one read are decoded: flat, because it runs for each value. */
export interface Decoder {
  readonly kinds: Uint8Array;
  /** Eight per point: byte k of the value, most significant first, stands at the point's place + positions[8 i + k]. */
  readonly positions: Uint8Array;
  /** Bytes on the wire. */
  readonly sizes: Uint8Array;
  /** Type bool: which bit of the word. */
  readonly bits: Uint8Array;
}

/** Compiles addresses; `defaultOrder` is for those that do not say their own. */
export function compileDecoder(points: readonly PointRequest<Address>[], defaultOrder: Order): Decoder {
  const decoder = {
    kinds: new Uint8Array(points.length),
    positions: new Uint8Array(points.length * 8),
    sizes: new Uint8Array(points.length),
    bits: new Uint8Array(points.length),
  };
  points.forEach(({ address }, point) => {
    const size = isBitTable(address.table) ? 1 : widthOf(address) * 2;
    decoder.kinds[point] = isBitTable(address.table) ? BIT : kinds[address.type];
    decoder.sizes[point] = size;
    decoder.bits[point] = address.bit ?? 0;
    // A text is swapped inside its words at most: no device is known that turns the order of its words round.
    const width = address.type === "text" ? 2 : size;
    for (let index = 0; index < Math.min(width, 8) && !isBitTable(address.table); index++) {
      decoder.positions[8 * point + index] = wirePosition(address.order ?? defaultOrder, width, index);
    }
  });
  return decoder;
}

/** Which points one request carries and where: byte offset into its data, or bit offset for bits. */
export interface Layout {
  readonly points: Int32Array;
  readonly offsets: Int32Array;
}

const float64 = new Float64Array(1);
const float32 = new Float32Array(1);
const wordsOfFloat64 = new Uint32Array(float64.buffer);
const wordOfFloat32 = new Uint32Array(float32.buffer);

/** Turns the data of one answer, `bytes` from `at`, into `answers[point]` of each point in the layout. */
export function decode(
  decoder: Decoder,
  layout: Layout,
  bytes: Uint8Array,
  at: number,
  answers: Answer[],
): void {
  const { points, offsets } = layout;
  for (let index = 0; index < points.length; index++) {
    const point = points[index]!;
    answers[point] = decodeOne(decoder, point, bytes, at, offsets[index]!);
  }
}

/** A copy of the bytes that make one point of the layout. */
export function rawBytes(
  decoder: Decoder,
  point: number,
  bytes: Uint8Array,
  at: number,
  offset: number,
): Uint8Array {
  const from = decoder.kinds[point] === BIT ? at + (offset >> 3) : at + offset;
  return bytes.slice(from, from + decoder.sizes[point]!);
}

function decodeOne(decoder: Decoder, point: number, bytes: Uint8Array, at: number, offset: number): Answer {
  const kind = decoder.kinds[point]!;
  if (kind === BIT) return ((bytes[at + (offset >> 3)]! >> (offset & 7)) & 1) === 1;
  const base = at + offset;
  const positions = decoder.positions;
  const first = 8 * point;
  const word = (bytes[base + positions[first]!]! << 8) | bytes[base + positions[first + 1]!]!;
  switch (kind) {
    case UINT16:
      return word;
    case INT16:
      return (word << 16) >> 16;
    case WORD_BIT:
      return ((word >> decoder.bits[point]!) & 1) === 1;
    case BCD16:
      return bcd(word, 4);
    case TEXT:
      return text(bytes, base, decoder.sizes[point]!, positions[first] === 1);
  }
  const high = doubleWord(bytes, base, positions, first);
  switch (kind) {
    case UINT32:
      return high;
    case INT32:
      return high | 0;
    case FLOAT32:
      wordOfFloat32[0] = high;
      return finite(float32[0]!);
    case BCD32:
      return bcd(high, 8);
  }
  const low = doubleWord(bytes, base, positions, first + 4);
  if (kind === UINT64) return integer64(high, low);
  if (kind === INT64) return integer64(high | 0, low);
  wordsOfFloat64[0] = low;
  wordsOfFloat64[1] = high;
  return finite(float64[0]!);
}

function doubleWord(bytes: Uint8Array, base: number, positions: Uint8Array, first: number): number {
  return (
    ((bytes[base + positions[first]!]! << 24) |
      (bytes[base + positions[first + 1]!]! << 16) |
      (bytes[base + positions[first + 2]!]! << 8) |
      bytes[base + positions[first + 3]!]!) >>>
    0
  );
}

function integer64(high: number, low: number): Value {
  const value = high * 4294967296 + low;
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low);
}

function finite(value: number): Answer {
  if (Number.isFinite(value)) return value;
  return { value: null, status: "bad", code: "not-a-number", reason: `the device answered ${value}` };
}

function bcd(digits: number, count: number): Answer {
  let value = 0;
  for (let shift = 4 * count - 4; shift >= 0; shift -= 4) {
    const digit = (digits >>> shift) & 15;
    if (digit > 9) {
      const hexadecimal = digits.toString(16).padStart(count, "0");
      return {
        value: null,
        status: "bad",
        code: "bad-bcd",
        reason: `0x${hexadecimal} is not binary coded decimal`,
      };
    }
    value = value * 10 + digit;
  }
  return value;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Text up to its first NUL without the blanks behind it: UTF-8, or else Latin-1. */
export function text(bytes: Uint8Array, at: number, size: number, swapped: boolean): string {
  // A copy, which `slice` of a Buffer is not.
  const characters = new Uint8Array(bytes.subarray(at, at + size));
  if (swapped) {
    for (let index = 0; index + 1 < size; index += 2) {
      characters[index] = bytes[at + index + 1]!;
      characters[index + 1] = bytes[at + index]!;
    }
  }
  const end = characters.indexOf(0);
  const used = end < 0 ? characters : characters.subarray(0, end);
  try {
    return utf8.decode(used).trimEnd();
  } catch {
    return Buffer.from(used).toString("latin1").trimEnd();
  }
}

/** The same without control characters: a device may answer anything, and this is shown to people. */
export function printable(bytes: Uint8Array, at: number, size: number): string {
  return text(bytes, at, size, false)
    .replaceAll(/\p{Cc}/gu, "")
    .trim();
}
