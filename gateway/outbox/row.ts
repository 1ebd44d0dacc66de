import { crc32 } from "node:zlib";

/** Class of a row: 0 urgent (lane event), 1 telemetry (lane live). */
export type RowLane = 0 | 1;

export interface StoredRow {
  id: number;
  lane: RowLane;
  recordedMs: number;
  body: Uint8Array;
}

export interface EpochRecord {
  epoch: number;
  base: number;
}

const header = Buffer.alloc(17);

/** The checksum that goes with a row: over id, time of acceptance, class and body. */
export function rowCrc(id: number, lane: number, recordedMs: number, body: Uint8Array): number {
  header.writeDoubleLE(id, 0);
  header.writeDoubleLE(recordedMs, 8);
  header[16] = lane;
  return crc32(body, crc32(header));
}
