import type { StoredRow } from "../outbox/store.ts";

/** Readings and form bytes of one batch; small enough for 16 KiB on the wire in either encoding. */
export const batchReadingsMax = 500;
const batchFormBytesMax = 16_384;

/** Splits rows into batches by readings and bytes; a single large event is a batch of its own. */
export function chunks(rows: readonly StoredRow[]): StoredRow[][] {
  const batches: StoredRow[][] = [];
  let batch: StoredRow[] = [];
  let readings = 0;
  let bytes = 0;
  for (const row of rows) {
    const count = readingCount(row.body);
    if (
      batch.length > 0 &&
      (readings + count > batchReadingsMax || bytes + row.body.length > batchFormBytesMax)
    ) {
      batches.push(batch);
      batch = [];
      readings = bytes = 0;
    }
    batch.push(row);
    readings += count;
    bytes += row.body.length;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** Readings in a telemetry event, from its head alone (see the layout in event.ts). */
function readingCount(body: Uint8Array): number {
  // Other kinds have none.
  if (body[1] !== 0) return 1;
  let at = 3;
  while ((body[at++] ?? 0) > 127);
  at += 16;
  let count = 0;
  let factor = 1;
  for (;;) {
    const byte = body[at++] ?? 0;
    count += (byte & 127) * factor;
    if (byte < 128) return count;
    factor *= 128;
  }
}

/** Id ranges in order, with those that touch joined. */
export function merge(ranges: { first: number; last: number }[]): { first: number; last: number }[] {
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const tail = merged.at(-1);
    if (tail !== undefined && tail.last >= range.first - 1) tail.last = Math.max(tail.last, range.last);
    else merged.push({ ...range });
  }
  return merged;
}
