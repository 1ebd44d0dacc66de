import type { KerbEvent } from "../event.ts";
import type { CutRecord, OutboxStore, StoredRow } from "../outbox/store.ts";
import { encodeCloudEvents } from "./cloudevents.ts";
import { decodeColumnar, encodeColumnar } from "./columnar.ts";
import { compress, type EncodingName } from "./encoding.ts";

/** Readings and form bytes of one batch; small enough for 16 KiB on the wire in either encoding. */
export const batchReadingsMax = 500;
export const batchFormBytesMax = 16_384;

/** Splits rows into batches by readings and bytes; a single large event is a batch of its own. */
export function chunks(rows: readonly StoredRow[], formBytesMax = batchFormBytesMax): StoredRow[][] {
  const batches: StoredRow[][] = [];
  let batch: StoredRow[] = [];
  let readings = 0;
  let bytes = 0;
  for (const row of rows) {
    const count = readingCount(row.body);
    if (batch.length > 0 && (readings + count > batchReadingsMax || bytes + row.body.length > formBytesMax)) {
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

/**
 * The payload of a cut: the same rows of one epoch give the same bytes each time. undefined: among them is one that is
 * no event, because something wrote into the pipe of its host. Throws the store's error.
 */
export function encodeBatch(
  store: OutboxStore,
  { city, gateway, encoding }: { city: string; gateway: string; encoding: EncodingName },
  cut: CutRecord,
  rows: readonly StoredRow[],
): Buffer | undefined {
  const { epoch, base } = store.epochOf(cut.first);
  const header = { city, gateway, epoch, lane: cut.lane, dictionary: store.dictionaryOf(cut.dictionary) };
  const encode = encoding === "columnar" ? encodeColumnar : encodeCloudEvents;
  const timed = () =>
    rows.map((row) => {
      const { recordedMs, body } = store.corrected(row, cut.fix);
      return { seq: row.id - base, recordedMs, body };
    });
  let text: ReturnType<typeof encode>;
  try {
    text = encode(header, timed());
  } catch {
    return undefined;
  }
  return compress(text);
}

/** Rows of one epoch as events, for people who look on; without those that are none. */
export function decodeRows(
  { epoch, base, dictionary }: Pick<OutboxStore, "epoch" | "base" | "dictionary">,
  gateway: string,
  rows: readonly StoredRow[],
): KerbEvent[] {
  if (rows.length === 0) return [];
  const batch = rows.map(({ id, recordedMs, body }) => ({ seq: id - base, recordedMs, body }));
  try {
    const text = encodeColumnar({ city: "", gateway, epoch, lane: "live", dictionary }, batch);
    return decodeColumnar(JSON.parse(text)).events(dictionary);
  } catch {
    if (rows.length === 1) return [];
    return rows.flatMap((row) => decodeRows({ epoch, base, dictionary }, gateway, [row]));
  }
}
