import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import type { ClockState } from "../event.ts";

/**
 * The files of the journal of commands: `journal-000001.ndjson` and so on, one record a line. Each record carries the
 * hash of the one before (`prev`) and its own (`hash`: SHA-256 of the line without that last key), over all files.
 */

/** What somebody wants on the record: `ev` says what has happened. */
export interface Happening {
  ev: string;
  [key: string]: unknown;
}

/** A record as it stands in the journal. `at`: ms since 1970 UTC; `mono`: ms of the boot that `opened` has named. */
export interface Entry extends Happening {
  n: number;
  at: number;
  mono: number;
  clock: ClockState;
}

/** Where a chain stands: number and hash of its last record. */
export interface Tip {
  n: number;
  hash: string;
}

/** The newest record that was surely on the disk, kept apart from the journal: a tail that is cut off is missed. */
export interface Head extends Tip {
  segment: number;
  /** Segments that are kept. */
  kept: number;
}

export const chainStart: Tip = { n: 0, hash: "0".repeat(64) };
export const headFile = "head.json";
const segmentPattern = /^journal-(\d{6})\.ndjson$/;
const ending = /,"hash":"([0-9a-f]{64})"\}$/;

export function segmentFile(segment: number): string {
  return `journal-${String(segment).padStart(6, "0")}.ndjson`;
}

/** The segments of a folder in their order; none where there is no such folder. */
export async function segmentsOf(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  const numbers = names.map((name) => Number(segmentPattern.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).sort((a, b) => a - b);
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The line of a record (with its line end), and its hash. */
export function lineOf(entry: Entry, prev: string): { line: string; hash: string } {
  const { n, at, mono, clock, ...rest } = entry;
  const text = JSON.stringify({ n, at, mono, clock, ...rest, prev });
  const hash = digest(text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}\n`, hash };
}

/** A line as it was written; undefined: it is none, or was changed. */
export function readLine(line: string): (Entry & { prev: string; hash: string }) | undefined {
  const found = ending.exec(line);
  const [whole = "", hash = ""] = found ?? [];
  if (found === null || digest(`${line.slice(0, -whole.length)}}`) !== hash) return undefined;
  try {
    return JSON.parse(line) as Entry & { prev: string; hash: string };
  } catch {
    return undefined;
  }
}

/** Lines read at a stretch: the main thread has other work to do. */
const stretch = 100;

/** Each line of a segment without its end; `isWhole` is false for a last one that has none. */
export async function* linesOf(
  folder: string,
  segment: number,
): AsyncGenerator<{ text: string; line: number; offset: number; isWhole: boolean }> {
  const bytes = await readFile(join(folder, segmentFile(segment)));
  let line = 0;
  for (let offset = 0; offset < bytes.length;) {
    const end = bytes.indexOf(10, offset);
    const isWhole = end >= 0;
    const stop = isWhole ? end : bytes.length;
    yield { text: bytes.toString("utf8", offset, stop), line: ++line, offset, isWhole };
    offset = stop + 1;
    if (line % stretch === 0) await breathe();
  }
}

/** The head; undefined where there is none that can be read. */
export async function readHead(folder: string): Promise<Head | undefined> {
  try {
    const head = JSON.parse(await readFile(join(folder, headFile), "utf8")) as Head;
    const isSound = Number.isSafeInteger(head.n) && /^[0-9a-f]{64}$/.test(head.hash);
    return isSound ? head : undefined;
  } catch {
    return undefined;
  }
}
