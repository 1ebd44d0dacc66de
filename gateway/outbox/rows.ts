import { crc32 } from "node:zlib";

/** Class of a row: 0 urgent (lane event), 1 telemetry (lane live). */
export type RowLane = 0 | 1;

export interface StoredRow {
  id: number;
  lane: RowLane;
  recordedMs: number;
  body: Uint8Array;
}

/** `boot` is the boot of the machine in which the epoch ran. */
export interface EpochRecord {
  epoch: number;
  base: number;
  boot: string;
}

/** Numbers of one class; accepted = delivered + kept + dropped at every commit. */
export interface Books {
  accepted: number;
  delivered: number;
  dropped: number;
  kept: number;
}

/**
 * Rows as they came out of the file. A flipped bit in a row's head changes the types of its columns, which SQLite
 * looks at only in a check: throws SQLITE_CORRUPT then, so that the file is checked and its rows are salvaged.
 */
export function shaped<Row extends { id: number; lane: number; body: Uint8Array }>(found: unknown[]): Row[] {
  const rows = found as Row[];
  for (const [i, { id, lane, body }] of rows.entries()) {
    if (!Number.isSafeInteger(id) || (lane !== 0 && lane !== 1) || !(body instanceof Uint8Array))
      throw corrupt("a row of the wrong shape");
    // A damaged key shows as disorder. To delete by such a key would hit a healthy row.
    if (i > 0 && id <= (rows[i - 1]?.id ?? 0)) throw corrupt("rows out of order");
  }
  return rows;
}

export function corrupt(text: string): Error {
  return Object.assign(new Error(text), { code: "SQLITE_CORRUPT" });
}

const header = Buffer.alloc(17);

/** The checksum that goes with a row: over id, time of acceptance, class and body. */
export function rowCrc(id: number, lane: number, recordedMs: number, body: Uint8Array): number {
  header.writeDoubleLE(id, 0);
  header.writeDoubleLE(recordedMs, 8);
  header[16] = lane;
  return crc32(body, crc32(header));
}
