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
