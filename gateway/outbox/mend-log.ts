import { existsSync, readFileSync } from "node:fs";
import { replace } from "./beside.ts";

/**
 * A write-ahead log with a destroyed page. SQLite takes what stands before the first wrong checksum, and drops the
 * rest without a word: right for the torn end of a commit that nobody was told of. In the middle it drops commits
 * that were confirmed, and after half a checkpoint leaves a file of old and new pages. Layout: SQLite documentation,
 * "Database File Format", 4.1 to 4.3 (WAL file format, checksum algorithm).
 */
const headBytes = 32;
const frameHeadBytes = 24;
/** The words of a checksum are little endian: who wrote the log is. */
const magic = 0x377f0682;
const version = 3_007_000;
const pageSizes = [2048, 4096, 1024, 8192];

/** Numbers of two words: salts, or a checksum. */
type Pair = readonly [number, number];

interface Frame {
  at: number;
  page: number;
  /** It ends a commit. */
  isCommit: boolean;
  /** It belongs to this generation of the log. */
  isOurs: boolean;
  isGone: boolean;
}

interface Log {
  bytes: Buffer;
  pageBytes: number;
  salts: Pair;
  hasHead: boolean;
}

/**
 * "whole": nothing to do. "mended": every page is again as it was written last. "guessed": a page may be older than
 * the others, so that the file is not to be trusted.
 */
export type Mended = "whole" | "mended" | "guessed";

/**
 * Looks at the log of a database that nobody has open, and writes it anew without what is destroyed, where that is
 * proven: behind the damage there is a commit and the beginning of another one, and with FULL that is not written
 * before all that stands in front of it is on the disk. Throws the system's errors.
 */
export function mendLog(database: string): Mended {
  const path = `${database}-wal`;
  if (!existsSync(path)) return "whole";
  const log = opened(readFileSync(path));
  if (log === undefined) return "whole";
  const frames = framesOf(log);
  const firstGone = log.hasHead ? frames.findIndex(({ isGone }) => isGone) : 0;
  if (firstGone < 0) return "whole";
  const commit = frames.findIndex(({ isCommit, isGone }, i) => i >= firstGone && isCommit && !isGone);
  const isProven =
    commit >= 0 && frames.some(({ isCommit, isGone }, i) => i > commit && !isGone && !isCommit);
  if (!isProven) return "whole";
  const end = frames.findLastIndex(({ isCommit, isGone }) => isCommit && !isGone);
  const kept = frames.slice(0, end + 1).filter(({ isGone }) => !isGone);
  replace(path, spliced(log, kept));
  const isLater = (gone: Frame, i: number) =>
    gone.isOurs && frames.some(({ page, isGone }, j) => j > i && j <= end && !isGone && page === gone.page);
  return frames.every((frame, i) => i > end || !frame.isGone || isLater(frame, i)) ? "mended" : "guessed";
}

/** undefined: there is nothing in it that could be told apart from an empty log. */
function opened(bytes: Buffer): Log | undefined {
  if (bytes.length < headBytes) return undefined;
  const isHead =
    bytes.readUInt32BE(0) === magic &&
    bytes.readUInt32BE(4) === version &&
    equals(checksum(bytes, 0, 24, [0, 0]), pairAt(bytes, 24));
  if (isHead) return { bytes, pageBytes: bytes.readUInt32BE(8), salts: pairAt(bytes, 16), hasHead: true };
  // Another byte order, or another program's: not ours to mend.
  if (bytes.readUInt32BE(0) === magic + 1) return undefined;
  for (const pageBytes of pageSizes) {
    const salts = [2, 3, 4].map((i) => headBytes + i * (frameHeadBytes + pageBytes) + 8);
    if ((salts[2] ?? 0) + 16 > bytes.length) continue;
    const [first, second, third] = salts.map((at) => pairAt(bytes, at)) as [Pair, Pair, Pair];
    if (equals(first, second) && equals(second, third) && first[0] !== 0)
      return { bytes, pageBytes, salts: first, hasHead: false };
  }
  return undefined;
}

/** The frames up to the last one of this generation of the log. */
function framesOf({ bytes, pageBytes, salts, hasHead }: Log): Frame[] {
  const frames: Frame[] = [];
  const size = frameHeadBytes + pageBytes;
  let isKnown = hasHead;
  let before: Pair = pairAt(bytes, 24);
  for (let at = headBytes; at + size <= bytes.length; at += size) {
    const isOurs = equals(pairAt(bytes, at + 8), salts);
    const stored = pairAt(bytes, at + 16);
    const own = isOurs ? checksum(bytes, at, 8, before) : before;
    const isRight = isOurs && equals(checksum(bytes, at + frameHeadBytes, pageBytes, own), stored);
    // Behind a frame that is gone nobody knows from what to count: its salts are all there is to go by.
    const isGone = !isOurs || (!isRight && isKnown);
    frames.push({
      at,
      page: bytes.readUInt32BE(at),
      isCommit: bytes.readUInt32BE(at + 4) > 0,
      isOurs,
      isGone,
    });
    isKnown = !isGone;
    before = stored;
  }
  return frames.slice(0, frames.findLastIndex(({ isOurs }) => isOurs) + 1);
}

/** A log of the frames that are left, with checksums of its own. */
function spliced({ bytes, pageBytes, salts }: Log, frames: readonly Frame[]): Buffer {
  const size = frameHeadBytes + pageBytes;
  const log = Buffer.alloc(headBytes + frames.length * size);
  log.writeUInt32BE(magic, 0);
  log.writeUInt32BE(version, 4);
  log.writeUInt32BE(pageBytes, 8);
  writePair(log, 16, salts);
  let sum = checksum(log, 0, 24, [0, 0]);
  writePair(log, 24, sum);
  frames.forEach((frame, i) => {
    const at = headBytes + i * size;
    bytes.copy(log, at, frame.at, frame.at + size);
    sum = checksum(log, at + frameHeadBytes, pageBytes, checksum(log, at, 8, sum));
    writePair(log, at + 16, sum);
  });
  return log;
}

/** Over whole pairs of words, from `seed`. */
function checksum(bytes: Buffer, at: number, length: number, seed: Pair): Pair {
  let [first, second] = seed;
  for (let i = at; i < at + length; i += 8) {
    first = (first + bytes.readUInt32LE(i) + second) >>> 0;
    second = (second + bytes.readUInt32LE(i + 4) + first) >>> 0;
  }
  return [first, second];
}

const pairAt = (bytes: Buffer, at: number): Pair => [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
const equals = (a: Pair, b: Pair): boolean => a[0] === b[0] && a[1] === b[1];

function writePair(bytes: Buffer, at: number, [first, second]: Pair): void {
  bytes.writeUInt32BE(first, at);
  bytes.writeUInt32BE(second, at + 4);
}
