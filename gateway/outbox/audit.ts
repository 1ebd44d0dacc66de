import { accountKey, tally, type AccountedRow } from "./accounts.ts";

/**
 * Counts the rows of each account step by step while the queue goes on: rows up to the cursor are counted, and one
 * that is deleted behind it is taken off again. New rows come ahead of it.
 */
export class Audit {
  readonly counted = new Map<number, number>();
  /** Every row up to this id is counted. */
  cursor = 0;

  /** The next rows, in id order. */
  count(rows: readonly AccountedRow[]): void {
    for (const [key, events] of tally(rows)) this.#add(key, events);
  }

  /** Rows that were deleted a moment ago. */
  removed(rows: readonly AccountedRow[]): void {
    for (const [key, events] of tally(rows.filter(({ id }) => id <= this.cursor))) this.#add(key, -events);
  }

  #add(key: number, events: number): void {
    this.counted.set(key, (this.counted.get(key) ?? 0) + events);
  }

  rows(lane: 0 | 1, device: number): number {
    return this.counted.get(accountKey(lane, device)) ?? 0;
  }
}
