import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable } from "../../errors.ts";
import type { LatestReading } from "../../host/messages.ts";
import { decodings } from "./decodings.ts";
import { CommandError } from "../errors.ts";
import { dictionary, languageOf } from "../language.ts";
import { hear, isMute } from "../../field/listen.ts";
import { rawNote, unheardNote } from "./read-notes.ts";
import { namedIdentity } from "../../discovery/named-identity.ts";
import { hint, pause, printData, printFailure, printLines, stopSignal } from "../output.ts";
import { openSource, type Source } from "./read-source.ts";
import { readingLines } from "./read-table.ts";
import { recordLine } from "./record-lines.ts";
import { findSite, notRunning } from "../site.ts";
import { readWords } from "./read-words.ts";
import { span, terminalSize } from "../../text.ts";

export interface ReadOptions {
  site?: string;
  watch?: boolean;
  raw?: boolean;
  json?: boolean;
  lang?: Language;
  /** How long a device that pushes is listened to. */
  waitMs?: number;
}

function shownIdentity(
  id: string,
  { identity = {}, doubt, via, profile }: Source,
  language: Language,
): string {
  const words = dictionary[language];
  const how = via === "gateway" ? words.readThrough : words.readDirectly;
  const nobody =
    profile === undefined ? words.saysNothing : `${words.saysNothing}, ${words.takenFor} ${profile}`;
  const text = `${id}   ${namedIdentity(identity, language) || nobody}   ${how}`;
  return doubt === undefined ? text : `${text}\n${words.uncertain}: ${printable(doubt)}`;
}

/** What a state is called in both languages, where the profile or the models say so. */
function textOf({ points }: Pick<Source, "points">, { point, value }: LatestReading) {
  const texts = points.find(({ name }) => name === point)?.texts;
  return texts !== undefined && Object.hasOwn(texts, String(value)) ? texts[String(value)] : undefined;
}

function tableOf(source: Source, readings: readonly LatestReading[], language: Language): string[] {
  const shown = (reading: LatestReading) => textOf(source, reading)?.[language];
  return readingLines(readings, Date.now(), dictionary[language], shown);
}

function printReadings(id: string, source: Source, readings: LatestReading[]): void {
  const shown = readings.map((reading) => {
    const text = textOf(source, reading);
    return {
      ...reading,
      ...(text === undefined ? {} : { text }),
      ...(reading.rawHex === undefined ? {} : { decodings: decodings(reading.rawHex) }),
    };
  });
  const { identity, doubt, via, records, silenceMs } = source;
  const about = { device: id, via, identity: identity ?? {}, doubt: doubt ?? null };
  printData("read", { ...about, readings: shown, records, silenceMs });
}

function printForPeople(
  id: string,
  source: Source,
  readings: readonly LatestReading[],
  notes: readonly (string | undefined)[],
  language: Language,
): void {
  hint(shownIdentity(id, source, language));
  if (readings.length > 0) printLines(tableOf(source, readings, language));
  printLines(source.records.map(recordLine));
  for (const note of notes) if (note !== undefined) hint(note);
}

const defaultWaitMs = 10_000;
const recordsWatched = 5;
const watchPeriodMs = 1000;
const timesMax = 10_000;

/** What a watch saw of the device's answers. */
class Statistics {
  requests = 0;
  replies = 0;
  errors = 0;
  readonly #timesMs: number[] = [];

  replied(ms: number): void {
    this.replies++;
    if (this.#timesMs.push(ms) > timesMax) this.#timesMs.shift();
  }

  get p95Ms(): number {
    const sorted = this.#timesMs.toSorted((a, b) => a - b);
    return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * 0.95) - 1)] ?? 0);
  }

  get lossPercent(): number {
    return this.requests === 0 ? 0 : (100 * (this.requests - this.replies)) / this.requests;
  }

  shown(language: Language): string {
    const { requests, replies, errors, lossPercent, p95Ms } = this;
    const text = readWords[language];
    return `${text.counts(requests, replies, errors)}, ${text.loss(lossPercent.toFixed(1), p95Ms)}`;
  }
}

/** Draws a watch: on a terminal over the lines of the round before, elsewhere one block below the other. */
class Sheet {
  #linesBefore = 0;

  /** `notes` stand below the table, whatever of it fits. */
  draw(table: string[], notes: string[]): void {
    if (!process.stdout.isTTY) {
      printLines([...table, ...notes, ""]);
      return;
    }
    const room = Math.max(2, terminalSize().rows - 1 - notes.length);
    const hidden = table.length - room + 1;
    const more = readWords[languageOf()].more(hidden);
    const fitting = [...(hidden > 1 ? [...table.slice(0, room - 1), more] : table), ...notes];
    const up = this.#linesBefore === 0 ? "" : `\u001b[${this.#linesBefore}A`;
    const text = fitting.map((line) => `\r\u001b[K${line}\n`).join("");
    // A line that wrapped would be two, and the next round would be drawn a line too low.
    process.stdout.write(`\u001b[?7l${up}${text}\u001b[J\u001b[?7h`);
    this.#linesBefore = fitting.length;
  }
}

async function watch(id: string, source: Source, options: ReadOptions): Promise<number> {
  const signal = stopSignal();
  const statistics = new Statistics();
  const sheet = new Sheet();
  const language = languageOf(options.lang);
  let readings: LatestReading[] = [];
  while (!signal.aborted) {
    const startedMs = performance.now();
    let failure: CommandError | undefined;
    try {
      const fresh = await source.read(signal);
      statistics.requests++;
      statistics.replied(performance.now() - startedMs);
      readings = fresh;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof CommandError) || error.complaint.exitCode !== exitCodes.noAnswer) throw error;
      statistics.requests++;
      statistics.errors++;
      failure = error;
    }
    if (options.json === true) {
      if (failure === undefined) printReadings(id, source, readings);
      else printFailure("read", failure.complaint);
    } else {
      const { code, title } = failure?.complaint ?? {};
      const records = source.records.slice(-recordsWatched).map(recordLine);
      const lost = failure === undefined ? [] : [`${code}  ${title}`];
      const notes = [...records, ...lost, statistics.shown(language)];
      const table = readings.length === 0 ? [] : tableOf(source, readings, language);
      // Elsewhere than on a terminal the counts come once, in the end.
      sheet.draw(table, process.stdout.isTTY ? notes : notes.slice(0, -1));
    }
    await pause(watchPeriodMs - (performance.now() - startedMs), signal);
  }
  const { requests, replies, errors, lossPercent, p95Ms } = statistics;
  if (options.json === true) printData("read-statistics", { requests, replies, errors, lossPercent, p95Ms });
  else printLines([`${process.stdout.isTTY ? "\n" : ""}${statistics.shown(language)}`]);
  return requests > 0 && replies === 0 ? exitCodes.noAnswer : exitCodes.ok;
}

/**
 * `kerb read`: one device's values, through the running gateway or, where none runs, directly. Exit codes: 3
 * unknown device or point, 5 the device does not answer.
 */
export async function read(id: string, points: string[], options: ReadOptions): Promise<number> {
  const request = { points, raw: options.raw === true, language: languageOf(options.lang) };
  const site = findSite(options.site);
  let source: Source | undefined;
  try {
    source = await openSource(site, id, request);
    if (options.watch === true) return await watch(id, source, options);
    const { language } = request;
    const { waitMs = defaultWaitMs } = options;
    const first = await source.read(new AbortController().signal);
    const readings = await hear(source, first, {
      waitMs,
      until: options.waitMs === undefined ? "all" : "record",
      signal: stopSignal(),
      ...(options.json === true
        ? {}
        : {
            told: ({ heard, of, records, leftMs }) =>
              hint(readWords[language].progress(id, `${heard}/${of}`, records, span(leftMs))),
          }),
    });
    if (options.json === true) printReadings(id, source, readings);
    else {
      const bare = request.raw ? rawNote(readings, language) : undefined;
      const notes = [unheardNote(source, readings, waitMs, language), bare];
      printForPeople(id, source, readings, notes, language);
    }
    return isMute(source, readings) ? exitCodes.noAnswer : exitCodes.ok;
  } catch (error) {
    return notRunning(error, site, request.language);
  } finally {
    await source?.close();
  }
}
