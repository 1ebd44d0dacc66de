/** The four tables of the Modbus data model and the function that reads each (Application Protocol 1.1b3, 6.1-6.4). */
export const readFunction = { coil: 1, discrete: 2, holding: 3, input: 4 } as const;

export type Table = keyof typeof readFunction;

/** Whether a table holds single bits and not registers. */
export function isBitTable(table: Table): boolean {
  return table === "coil" || table === "discrete";
}

/** Function 43 with MEI type 14: read device identification (Application Protocol 1.1b3, 6.21). */
export const identificationFunction = 43;

/** Longest RTU frame, in bytes: unit, 253 of PDU, two of CRC. */
export const rtuFrameBytesMax = 256;

const exceptionNames: Record<number, string> = {
  1: "illegal function",
  2: "illegal data address",
  3: "illegal data value",
  4: "server device failure",
  5: "acknowledge",
  6: "server device busy",
  7: "negative acknowledge",
  8: "memory parity error",
  10: "gateway path unavailable",
  11: "gateway target device failed to respond",
};

/** The standard name of an exception code (Application Protocol 1.1b3, 7), or its number. */
export function exceptionName(exception: number): string {
  return exceptionNames[exception] ?? `exception ${exception}`;
}

const crcTable = Uint16Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  return crc;
});

/** CRC-16 of `bytes[from, to)` (Serial Line 1.02, 6.2.2); its low byte goes first on the wire. */
export function crc16(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffff;
  for (let index = from; index < to; index++) {
    crc = (crc >>> 8) ^ crcTable[(crc ^ bytes[index]!) & 0xff]!;
  }
  return crc;
}

/** Puts a PDU on the wire for one unit: `frameTcp` or `frameRtu`. */
export type Framing = (unit: number, pdu: Uint8Array) => Uint8Array;

/** A Modbus TCP frame; the transaction id in bytes 0 and 1 is filled in when it is sent. */
export function frameTcp(unit: number, pdu: Uint8Array): Uint8Array {
  const frame = new Uint8Array(7 + pdu.length);
  const length = pdu.length + 1;
  frame[4] = length >> 8;
  frame[5] = length & 0xff;
  frame[6] = unit;
  frame.set(pdu, 7);
  return frame;
}

/** An RTU frame with its CRC. */
export function frameRtu(unit: number, pdu: Uint8Array): Uint8Array {
  const frame = new Uint8Array(pdu.length + 3);
  frame[0] = unit;
  frame.set(pdu, 1);
  const crc = crc16(frame, 0, pdu.length + 1);
  frame[pdu.length + 1] = crc & 0xff;
  frame[pdu.length + 2] = crc >> 8;
  return frame;
}

/** The PDU that reads `count` registers or bits from `start`. */
export function readPdu(table: Table, start: number, count: number): Uint8Array {
  return Uint8Array.of(readFunction[table], start >> 8, start & 0xff, count >> 8, count & 0xff);
}

/**
 * What a request expects: its function, and how many bytes of data (undefined = function 43, which says itself), or
 * of a write the very bytes.
 */
export interface Expectation {
  readonly functionCode: number;
  readonly dataBytes: number | undefined;
  readonly echo?: Uint8Array | undefined;
}

/**
 * Judges the answer PDU `bytes[at, at + length)`: 0 = the data that was asked for, 1-255 = an exception,
 * -1 = not an answer to this request.
 */
export function judge(expected: Expectation, bytes: Uint8Array, at: number, length: number): number {
  const functionCode = bytes[at]!;
  if (functionCode === expected.functionCode) {
    const { echo } = expected;
    if (echo !== undefined)
      return length === echo.length && echo.every((byte, index) => bytes[at + index] === byte) ? 0 : -1;
    if (expected.dataBytes === undefined) return length >= 7 ? 0 : -1;
    return bytes[at + 1] === expected.dataBytes && length === expected.dataBytes + 2 ? 0 : -1;
  }
  if (functionCode === (expected.functionCode | 0x80) && length === 2 && bytes[at + 1] !== 0) {
    return bytes[at + 1]!;
  }
  return -1;
}

/** Where an RTU answer was found: its PDU is `bytes[at, at + length)`; `exception` as `judge` gives it. */
export interface Found {
  at: number;
  length: number;
  exception: number;
}

/**
 * Searches `bytes[0, end)` for a frame with the right unit, function, length and CRC. What stands before it
 * (turnaround noise, the echo of the request on a two-wire adapter) is skipped. undefined = not yet.
 * `isLast`: no more bytes will come, so what may become an echo is none. `isEchoed`: the wire is known to give each
 * request back, for many a write is answered by the very same bytes.
 */
export function findRtuAnswer(
  bytes: Uint8Array,
  end: number,
  expected: Expectation,
  request: Uint8Array,
  { isLast = false, isEchoed = false }: { isLast?: boolean; isEchoed?: boolean } = {},
): Found | undefined {
  const unit = request[0];
  const isSame = expected.echo?.length === request.length - 3;
  let copies = 0;
  for (let at = 0; at + 5 <= end; at++) {
    if (bytes[at] !== unit) continue;
    // The head of an echo can be a valid answer, CRC and all: 04 04 02 B1 00 01 60 of 04 04 02 B1 00 01 60 00.
    const echoed = commonLength(bytes, at, end, request);
    if (echoed === request.length) {
      if (isSame && (!isEchoed || copies > 0))
        return { at: at + 1, length: request.length - 3, exception: 0 };
      copies++;
      at += echoed - 1;
      continue;
    }
    if (at + echoed === end && !isLast) continue;
    const length = pduLength(expected, bytes, at + 1, end);
    const crcAt = at + 1 + length;
    if (length === 0 || crcAt + 2 > end || crcAt + 2 - at > rtuFrameBytesMax) continue;
    const exception = judge(expected, bytes, at + 1, length);
    if (exception < 0) continue;
    const crc = crc16(bytes, at, crcAt);
    if (bytes[crcAt] === (crc & 0xff) && bytes[crcAt + 1] === crc >> 8)
      return { at: at + 1, length, exception };
  }
  return undefined;
}

/** How many of `bytes[0, end)` are not the echo of the request. */
export function strayBytes(bytes: Uint8Array, end: number, request: Uint8Array): number {
  for (let at = 0; at < end; at++) {
    if (commonLength(bytes, at, end, request) === request.length) return end - request.length;
  }
  return end;
}

/** How many bytes from `at` are the beginning of the request. */
function commonLength(bytes: Uint8Array, at: number, end: number, request: Uint8Array): number {
  let length = 0;
  while (length < request.length && at + length < end && bytes[at + length] === request[length]) length++;
  return length;
}

/** Length of the answer PDU that starts at `at`, from its own first bytes; 0 = cannot be told (yet). */
function pduLength(expected: Expectation, bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === (expected.functionCode | 0x80)) return 2;
  if (bytes[at] !== expected.functionCode) return 0;
  if (expected.echo !== undefined) return expected.echo.length;
  if (expected.dataBytes !== undefined) return expected.dataBytes + 2;
  // Function 43: seven bytes of head, the last of which counts the objects: id, length, text.
  if (at + 7 > end) return 0;
  let next = at + 7;
  for (let left = bytes[at + 6]!; left > 0; left--) {
    if (next + 2 > end) return 0;
    next += 2 + bytes[next + 1]!;
  }
  return next - at;
}

/** Called for each whole MBAP frame; the PDU is `bytes[at, at + length)` and valid only during the call. */
export type MbapFrame = (
  transaction: number,
  unit: number,
  bytes: Uint8Array,
  at: number,
  length: number,
) => void;

/** Cuts a TCP stream into MBAP frames (Messaging on TCP/IP 1.0b, 3.1.3). Keeps at most one partial frame. */
export class MbapReader {
  readonly #frame: MbapFrame;
  readonly #buffer: Uint8Array;
  #kept = 0;

  /** `chunkBytesMax`: the longest chunk that `push` will be given. */
  constructor(chunkBytesMax: number, frame: MbapFrame) {
    this.#buffer = new Uint8Array(chunkBytesMax + 260);
    this.#frame = frame;
  }

  /** Bytes of a frame that has begun but not ended. */
  get partialBytes(): number {
    return this.#kept;
  }

  /** Takes what arrived. Returns what breaks the protocol, after which the stream is of no use. */
  push(chunk: Uint8Array, length: number): string | undefined {
    let bytes = chunk;
    let end = length;
    if (this.#kept > 0) {
      this.#buffer.set(length === chunk.length ? chunk : chunk.subarray(0, length), this.#kept);
      bytes = this.#buffer;
      end = this.#kept + length;
    }
    let at = 0;
    while (end - at >= 6) {
      if (bytes[at + 2] !== 0 || bytes[at + 3] !== 0) return "protocol id is not 0";
      const follows = (bytes[at + 4]! << 8) | bytes[at + 5]!;
      if (follows < 3 || follows > 254) return `length field says ${follows}`;
      if (end - at < 6 + follows) break;
      this.#frame((bytes[at]! << 8) | bytes[at + 1]!, bytes[at + 6]!, bytes, at + 7, follows - 1);
      at += 6 + follows;
    }
    this.#kept = end - at;
    if (bytes === this.#buffer) bytes.copyWithin(0, at, end);
    else for (let index = at; index < end; index++) this.#buffer[index - at] = bytes[index]!;
    return undefined;
  }
}

/** Whether `bytes[0, end)` hold an answer to `frame` that has everything but the right checksum. */
export function isDamagedAnswer(
  bytes: Uint8Array,
  end: number,
  frame: Uint8Array,
  { functionCode, dataBytes }: Expectation,
): boolean {
  if (dataBytes === undefined) return false;
  for (let at = 0; at + 5 + dataBytes <= end; at++)
    if (bytes[at] === frame[0] && bytes[at + 1] === functionCode && bytes[at + 2] === dataBytes) return true;
  return false;
}
