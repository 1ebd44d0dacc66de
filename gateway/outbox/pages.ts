import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { rowCrc, type StoredRow } from "./rows.ts";

/**
 * Event rows out of the pages of a damaged queue file, without SQLite: one destroyed page of a tree hides
 * thousands of healthy rows from it, and a destroyed first page hides all. Each row's own checksum says whether it
 * is one. Source: SQLite documentation, "Database File Format", sections 1.6, 2.1 and 4.
 */

/** Of files whose head does not say it any more: what kerb makes. */
const usualPageBytes = 2048;
const chunkPages = 64;
const walHeadBytes = 32;
const frameHeadBytes = 24;
/** Far above what a checkpoint every 250 pages leaves. */
const walBytesMax = 256 * 1024 * 1024;
const leafOfTable = 0x0d;
type PageOf = (page: number) => Uint8Array | undefined;

/** A damaged file with the committed pages of its write-ahead log, read chunk by chunk. */
export class PageFile {
  readonly #file: number;
  readonly #pageBytes: number;
  readonly #pages: number;
  /** Newest committed version of each page that the log holds. */
  readonly #logged: Map<number, Uint8Array>;
  #loggedLeft: Uint8Array[];
  #next = 1;

  /** Throws when the file cannot be opened. */
  constructor(path: string) {
    this.#file = openSync(path, "r");
    const log = readLog(`${path}-wal`);
    const pageBytes = pageBytesOf(this.#file, log);
    this.#pageBytes = pageBytes;
    this.#pages = Math.ceil(fstatSync(this.#file).size / pageBytes);
    const frames = committedFrames(log, pageBytes);
    this.#logged = new Map(frames.map(({ page, bytes }) => [page, bytes]));
    this.#loggedLeft = frames.map(({ bytes }) => bytes);
  }

  /** The rows of the next 64 pages whose checksum holds; undefined at the end. `newestOnly`: one row of each page. */
  next(newestOnly = false): StoredRow[] | undefined {
    const rows: StoredRow[] = [];
    const pageBytes = this.#pageBytes;
    const pageOf: PageOf = (page) => this.#page(page);
    if (this.#loggedLeft.length > 0) {
      for (const bytes of this.#loggedLeft.splice(0, chunkPages))
        rows.push(...rowsOf(bytes, pageOf, newestOnly));
      return rows;
    }
    if (this.#next > this.#pages) return undefined;
    const chunk = this.#read(this.#next, chunkPages);
    for (let at = 0; at + pageBytes <= chunk.length; at += pageBytes) {
      rows.push(...rowsOf(chunk.subarray(at, at + pageBytes), pageOf, newestOnly));
    }
    this.#next += chunkPages;
    return rows;
  }

  close(): void {
    closeSync(this.#file);
  }

  #page(page: number): Uint8Array | undefined {
    if (page < 1 || page > 0x7fff_ffff) return undefined;
    const bytes = this.#logged.get(page) ?? this.#read(page, 1);
    return bytes.length === this.#pageBytes ? bytes : undefined;
  }

  /** Bytes that the disk cannot give are zeros: the pages around them are still wanted. */
  #read(page: number, count: number): Uint8Array {
    const pageBytes = this.#pageBytes;
    const bytes = Buffer.alloc(count * pageBytes);
    const at = (page - 1) * pageBytes;
    try {
      return bytes.subarray(0, readSync(this.#file, bytes, 0, bytes.length, at));
    } catch {
      if (count === 1) return bytes.subarray(0, 0);
      for (let i = 0; i < count; i++) bytes.set(this.#read(page + i, 1), i * pageBytes);
      return bytes;
    }
  }
}

/** The page size as the file's head has it, or its log's. */
function pageBytesOf(file: number, log: Buffer): number {
  const head = Buffer.alloc(18);
  const isHead =
    readSync(file, head, 0, 18, 0) === 18 && head.toString("latin1", 0, 15) === "SQLite format 3";
  const said = isHead ? head.readUInt16BE(16) : log.length >= walHeadBytes ? log.readUInt32BE(8) : 0;
  const isSize = said >= 512 && said <= 32_768 && (said & (said - 1)) === 0;
  return isSize ? said : usualPageBytes;
}

function readLog(path: string): Buffer {
  try {
    return statSync(path).size > walBytesMax ? Buffer.alloc(0) : readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

/** The frames up to the last commit whose chain of checksums holds: what SQLite itself would believe. */
function committedFrames(log: Buffer, pageBytes: number): { page: number; bytes: Uint8Array }[] {
  if (log.length < walHeadBytes) return [];
  const magic = log.readUInt32BE(0);
  if ((magic & ~1) >>> 0 !== 0x377f0682 || log.readUInt32BE(8) !== pageBytes) return [];
  const isBigEndian = (magic & 1) === 1;
  const sum: [number, number] = [0, 0];
  addUp(sum, log, 0, 24, isBigEndian);
  if (sum[0] !== log.readUInt32BE(24) || sum[1] !== log.readUInt32BE(28)) return [];
  const frames: { page: number; bytes: Uint8Array }[] = [];
  let committed = 0;
  const step = frameHeadBytes + pageBytes;
  for (let at = walHeadBytes; at + step <= log.length; at += step) {
    if (log.compare(log, 16, 24, at + 8, at + 16) !== 0) break;
    addUp(sum, log, at, 8, isBigEndian);
    addUp(sum, log, at + frameHeadBytes, pageBytes, isBigEndian);
    if (sum[0] !== log.readUInt32BE(at + 16) || sum[1] !== log.readUInt32BE(at + 20)) break;
    frames.push({ page: log.readUInt32BE(at), bytes: log.subarray(at + frameHeadBytes, at + step) });
    if (log.readUInt32BE(at + 4) !== 0) committed = frames.length;
  }
  return frames.slice(0, committed);
}

function addUp(sum: [number, number], log: Buffer, from: number, length: number, isBigEndian: boolean): void {
  let [first, second] = sum;
  for (let at = from; at < from + length; at += 8) {
    first = (first + (isBigEndian ? log.readUInt32BE(at) : log.readUInt32LE(at)) + second) >>> 0;
    second = (second + (isBigEndian ? log.readUInt32BE(at + 4) : log.readUInt32LE(at + 4)) + first) >>> 0;
  }
  sum[0] = first;
  sum[1] = second;
}

function rowsOf(page: Uint8Array, pageOf: PageOf, newestOnly: boolean): StoredRow[] {
  if (page[0] !== leafOfTable) return [];
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const cells = view.getUint16(3);
  if (cells === 0 || 8 + cells * 2 > page.length) return [];
  const rows: StoredRow[] = [];
  for (let cell = cells - 1; cell >= 0; cell--) {
    // SQLite, too, leaves out the bits of a pointer that lead out of the page.
    const row = rowOf(page, view.getUint16(8 + cell * 2) % page.length, pageOf);
    if (row === undefined) continue;
    rows.push(row);
    if (newestOnly) break;
  }
  return rows;
}

/** Value and end of a SQLite varint (big endian, 7 bits a byte, at most 9); a number beyond 2^53 is garbage. */
function varint(bytes: Uint8Array, from: number): [value: number, end: number] {
  let value = 0;
  for (let at = from; at < from + 8; at++) {
    const byte = bytes[at] ?? 0;
    value = value * 128 + (byte & 127);
    if (byte < 128) return [value, at + 1];
  }
  return [Number.MAX_SAFE_INTEGER, from + 9];
}

function rowOf(page: Uint8Array, from: number, pageOf: PageOf): StoredRow | undefined {
  const [length, afterLength] = varint(page, from);
  const [id, start] = varint(page, afterLength);
  // An event is at most 1 MiB; its record adds a few bytes.
  if (length < 12 || length > 1_048_576 + 64 || id > 2 ** 52) return undefined;
  const record = recordAt(page, start, length, pageOf);
  return record === undefined ? undefined : decode(record, id);
}

function recordAt(page: Uint8Array, start: number, length: number, pageOf: PageOf): Uint8Array | undefined {
  const pageBytes = page.length;
  // The largest record that needs no overflow page, and what a leaf keeps at least of one that does.
  const localMax = pageBytes - 35;
  const localMin = Math.floor(((pageBytes - 12) * 32) / 255) - 23;
  if (length <= localMax)
    return start + length > page.length ? undefined : page.subarray(start, start + length);
  const surplus = localMin + ((length - localMin) % (pageBytes - 4));
  const local = surplus <= localMax ? surplus : localMin;
  if (start + local + 4 > page.length) return undefined;
  const record = new Uint8Array(length);
  record.set(page.subarray(start, start + local));
  let at = local;
  let next = Buffer.from(page.buffer, page.byteOffset, page.byteLength).readUInt32BE(start + local);
  while (at < length) {
    const overflow = pageOf(next);
    if (overflow === undefined) return undefined;
    record.set(overflow.subarray(4, 4 + Math.min(length - at, pageBytes - 4)), at);
    at += pageBytes - 4;
    next = Buffer.from(overflow.buffer, overflow.byteOffset, overflow.byteLength).readUInt32BE(0);
  }
  return record;
}

const integerBytes = [0, 1, 2, 3, 4, 6, 8, 0, 0, 0];

/** The record `(NULL for id, lane, recorded, crc, body)` of the table `event`. */
function decode(record: Uint8Array, id: number): StoredRow | undefined {
  const [headBytes, afterHead] = varint(record, 0);
  const types: number[] = [];
  for (let at = afterHead; at < headBytes && types.length < 5;) {
    const [type, end] = varint(record, at);
    types.push(type);
    at = end;
  }
  const [none, lane = 0, recorded = 0, crc = 0, blob = 0] = types;
  if (types.length !== 5 || none !== 0 || blob < 12 || blob % 2 !== 0) return undefined;
  let at = headBytes;
  const values = [lane, recorded, crc].map((type) => {
    const bytes = integerBytes[type] ?? 0;
    const value = type === 9 ? 1 : integerOf(record, at, bytes);
    at += bytes;
    return value;
  });
  const [laneValue = -1, recordedMs = 0, crcValue = -1] = values;
  const body = record.slice(at, at + (blob - 12) / 2);
  if (laneValue !== 0 && laneValue !== 1) return undefined;
  if (rowCrc(id, laneValue, recordedMs, body) !== crcValue) return undefined;
  return { id, lane: laneValue, recordedMs, body };
}

function integerOf(bytes: Uint8Array, at: number, length: number): number {
  let value = (bytes[at] ?? 0) > 127 && length > 0 ? -1 : 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
