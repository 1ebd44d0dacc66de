import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

import { walBytes } from "./schema.ts";

/**
 * Bytes that the queue may use on this disk now: its budget, or less when somebody else has taken the room. Twice
 * the log's peak stays free, because SQLite cannot even delete without a log to write to. Never less than it
 * has. `transactionBytes`: the largest transaction.
 */
export function bytesAllowed(path: string, bytesMax: number, transactionBytes: number): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  const fileBytes = size(path);
  const reserve = 2 * (walBytes * 1.02 + transactionBytes);
  const room = bavail * bsize + size(`${path}-wal`) - reserve;
  return Math.min(bytesMax, fileBytes + Math.max(0, room));
}

function size(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
