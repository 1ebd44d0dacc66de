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

/** The books of a file that nothing is known of. */
export const noBooks: Books = { accepted: 0, delivered: 0, dropped: 0, kept: 0 };

const header = Buffer.alloc(17);

/** The checksum that goes with a row: over id, time of acceptance, class and body. */
export function rowCrc(id: number, lane: number, recordedMs: number, body: Uint8Array): number {
  header.writeDoubleLE(id, 0);
  header.writeDoubleLE(recordedMs, 8);
  header[16] = lane;
  return crc32(body, crc32(header));
}
