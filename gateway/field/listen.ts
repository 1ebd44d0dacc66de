import { setTimeout as sleep } from "node:timers/promises";
import type { LatestReading } from "../host/messages.ts";
import type { HeardRecord } from "./field-push.ts";

/** Waiting for what a device tells by itself. */

/** Where such values come from; `read` asks for the named points, or for all. */
export interface Talker {
  /** The records that have come since it was first read. */
  readonly records: readonly HeardRecord[];
  /** The device has records to tell. */
  readonly tellsRecords: boolean;
  /** How long the device may say nothing, ms; 0: as long as it likes. */
  readonly silenceMs: number;
  read(signal: AbortSignal, names?: readonly string[]): Promise<LatestReading[]>;
}

export interface HearOptions {
  waitMs: number;
  /** first: anything at all has come; all: each point; record: a record, too. */
  until: "first" | "all" | "record";
  /** Ends the wait. */
  signal: AbortSignal;
  /** Told every few seconds of a wait: how many of how many points and how many records have come. */
  told?: (come: { heard: number; of: number; records: number; leftMs: number }) => void;
}

const lookMs = 200;
/** Most devices tell what they have at once: who waits no longer needs not be told. */
const patienceMs = 600;
const progressMs = 5000;
/** So often it is looked whether a device of which only records are waited for is still there. */
const thereMs = 1000;

/** The points that nothing was heard of. */
export const unheardOf = (readings: readonly LatestReading[]): string[] =>
  readings.filter(({ unheard }) => unheard === true).map(({ point }) => point);

/** Nothing at all has come from the device. */
export function isMute(talker: Talker, readings: readonly LatestReading[]): boolean {
  const isSilent = unheardOf(readings).length === readings.length && talker.records.length === 0;
  return isSilent && (readings.length > 0 || talker.tellsRecords);
}

/** The readings with those that come within the time; where the wait is ended, what has come until then. */
export async function hear(
  talker: Talker,
  first: LatestReading[],
  { waitMs, until, signal, told }: HearOptions,
): Promise<LatestReading[]> {
  let readings = first;
  const isWaiting = () =>
    until === "first"
      ? isMute(talker, readings)
      : unheardOf(readings).length > 0 ||
        (talker.tellsRecords && talker.records.length === 0 && (readings.length === 0 || until === "record"));
  if (!isWaiting()) return readings;
  const startedMs = performance.now();
  let toldMs = startedMs + patienceMs - progressMs;
  let readMs = startedMs;
  for (;;) {
    const nowMs = performance.now();
    const leftMs = startedMs + waitMs - nowMs;
    if (!isWaiting() || leftMs <= 0 || signal.aborted) return readings;
    if (told !== undefined && nowMs - toldMs >= progressMs) {
      const [of, records] = [readings.length, talker.records.length];
      told({ heard: of - unheardOf(readings).length, of, records, leftMs });
      toldMs = nowMs;
    }
    await sleep(Math.min(lookMs, leftMs), undefined, { signal }).catch(() => {});
    const names = unheardOf(readings);
    if (names.length === 0 && nowMs - readMs < thereMs) continue;
    readMs = nowMs;
    // A read is what tells that the device is lost; of many values one is enough for that.
    const asked = names.length > 0 ? names : readings.slice(0, 1).map(({ point }) => point);
    const read = await talker.read(new AbortController().signal, asked);
    const news = new Map(read.map((one) => [one.point, one]));
    readings = readings.map((reading) => news.get(reading.point) ?? reading);
  }
}
