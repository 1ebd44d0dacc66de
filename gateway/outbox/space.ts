import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

const pageBytes = 4096;
/** A frame of the log: a page and its head. */
const frameBytes = pageBytes + 24;
/** `wal_autocheckpoint`. */
const checkpointPages = 250;

/**
 * Pages that the queue may use on this disk now: its budget, or less when somebody else has taken the room. Twice
 * the log's peak stays free, because SQLite cannot even delete without a log to write to. Never less than the
 * pages it has. `transactionBytes`: the largest transaction.
 */
export function pagesAllowed(path: string, pagesMax: number, transactionBytes: number): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  const fileBytes = size(path);
  const reserve = 2 * (checkpointPages * frameBytes + transactionBytes);
  const room = bavail * bsize + size(`${path}-wal`) - reserve;
  return Math.min(pagesMax, Math.floor((fileBytes + Math.max(0, room)) / pageBytes));
}

function size(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
