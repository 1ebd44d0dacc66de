import Database from "better-sqlite3";
import { decodeBatch } from "../../gateway/receiver/decode.ts";
import { parseDictionary } from "../../gateway/receiver/messages.ts";
import type { Dictionary } from "../../gateway/uplink/encoding.ts";

/** An event as it lies in a receiver's database. Times are wall-clock ms. */
export interface Arrival {
  epoch: number;
  seq: number;
  device: string;
  kind: string;
  lane: string;
  /** Of the observation, of the outbox, of the receiver. */
  timeMs: number;
  recordedMs: number;
  receivedMs: number;
  data: Record<string, unknown> | undefined;
  value: unknown;
}

/** Reads everything that a receiver has stored, also while it runs. */
export function arrivals(file: string): Arrival[] {
  const database = new Database(file, { readonly: true });
  try {
    const dictionaries = new Map<string, Dictionary>();
    for (const { hash, body } of database.prepare("SELECT hash, body FROM dictionary").all() as {
      hash: string;
      body: Buffer;
    }[])
      dictionaries.set(hash, parseDictionary(body));
    const found: Arrival[] = [];
    for (const row of database.prepare("SELECT lane, dict, received_ms, take, body FROM batch").iterate()) {
      const {
        lane,
        dict,
        received_ms: receivedMs,
        take,
        body,
      } = row as {
        lane: string;
        dict: string;
        received_ms: number;
        take: string | null;
        body: Buffer;
      };
      const ranges = take === null ? undefined : (JSON.parse(take) as [number, number][]);
      for (const event of decodeBatch(body).events(dictionaries.get(dict))) {
        if (ranges?.some(([first, last]) => event.seq >= first && event.seq <= last) === false) continue;
        const { epoch, seq, device, kind, timeMs, recordedMs, data, readings } = event;
        found.push({
          epoch,
          seq,
          device,
          kind,
          lane,
          timeMs,
          recordedMs,
          receivedMs,
          data,
          value: readings?.[0]?.value,
        });
      }
    }
    return found;
  } finally {
    database.close();
  }
}

/** The value below which this share (0 to 1) of a list lies; NaN of an empty list. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
