import type { Language } from "../../config/error-texts.ts";
import type { LatestReading } from "../../host/messages.ts";
import { hint, pause } from "../output.ts";
import type { HeardRecord } from "./records.ts";
import { readWords } from "./read-words.ts";
import { span } from "../../text.ts";

/** Waiting for what a device tells by itself, for `kerb read`. */

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
  /** Whose progress is told on stderr; absent: none is. */
  told?: { device: string; language: Language };
}

const lookMs = 200;
/** Most devices tell what they have at once: who waits no longer needs not be told. */
const patienceMs = 600;
const progressMs = 5000;
/** So often it is looked whether a device of which only records are waited for is still there. */
const thereMs = 1000;

const unheardOf = (readings: readonly LatestReading[]): string[] =>
  readings.filter(({ unheard }) => unheard === true).map(({ point }) => point);

/** Nothing at all has come from the device. */
export function isMute(talker: Talker, readings: readonly LatestReading[]): boolean {
  const isSilent = unheardOf(readings).length === readings.length && talker.records.length === 0;
  return isSilent && (readings.length > 0 || talker.tellsRecords);
}

function progress(
  talker: Talker,
  readings: readonly LatestReading[],
  leftMs: number,
  { device, language }: NonNullable<HearOptions["told"]>,
): void {
  const heard = `${readings.length - unheardOf(readings).length}/${readings.length}`;
  const { length: records } = talker.records;
  hint(readWords[language].progress(device, heard, records, span(leftMs)));
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
      progress(talker, readings, leftMs, told);
      toldMs = nowMs;
    }
    await pause(Math.min(lookMs, leftMs), signal);
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

const namesMax = 20;

/** What was not heard, and how long the device may be silent; undefined when all was. */
export function unheardNote(
  talker: Talker,
  readings: readonly LatestReading[],
  waitMs: number,
  language: Language,
): string | undefined {
  const text = readWords[language];
  const points = unheardOf(readings);
  const more = points.length > namesMax ? ` +${points.length - namesMax}` : "";
  const isRecordless =
    talker.tellsRecords && talker.records.length === 0 && (points.length > 0 || readings.length === 0);
  const what = [points.slice(0, namesMax).join(", ") + more, isRecordless ? text.anyRecord : ""].filter(
    (part) => part !== "",
  );
  if (what.length === 0) return undefined;
  const silence = talker.silenceMs > 0 ? text.silence(span(talker.silenceMs)) : text.noSilence;
  return text.unheard(span(waitMs), what.join("; "), silence);
}

/** For `--raw`: which values came without their bytes; undefined: none. */
export function rawNote(readings: readonly LatestReading[], language: Language): string | undefined {
  const bare = readings.filter(
    ({ rawHex, unheard, value }) => rawHex === undefined && unheard !== true && value !== null,
  );
  if (bare.length === 0) return undefined;
  const names = bare
    .slice(0, namesMax)
    .map(({ point }) => point)
    .join(", ");
  return readWords[language].bare(names);
}
