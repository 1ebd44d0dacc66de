import { setTimeout as sleep } from "node:timers/promises";
import { Batch, Request } from "./batch.ts";
import { exceptionName, isBitTable, readFunction, readPdu, type Table } from "./codec.ts";
import { isEmpty } from "./guess.ts";
import { aborted, lost, type Link } from "./link.ts";
import { range } from "./plan.ts";
import type { Settings } from "./settings.ts";

/**
 * Finds out which registers an unknown device has: reads only, one request at a time with a pause behind each, and
 * around what the device refuses in ever smaller steps.
 */

/** Neighbours that the device has; of bits 0 or 1. */
export interface Span {
  readonly table: Table;
  readonly start: number;
  readonly words: number[];
}

/** Where to look: every register of a range, or the usual places of the whole table. */
export interface Scope {
  readonly table: Table;
  readonly first?: number;
  readonly last?: number;
}

const registersMax = 0x10000;
/** Every register up to here is tried, then every second, then every fourth. */
const denseTo = 128;
const secondTo = 512;
const fourthTo = 1024;
const commonTo = 10_000;
/** Behind the last register of a block others are looked for this far. */
const gapMax = 64;
/** So many registers of nothing, and the device answers whatever it is asked: it is only sampled from there on. */
const emptyMax = 500;
const beforeMax = 500;
const wordsMax = 20_000;
const requestsMax = 20_000;
const silencesMax = 20;
const silencesAtFirst = 3;
const busyTries = 3;
const busyMs = 200;
/** The device has as long to itself as it has worked for us. */
const pauseMs = [2, 100] as const;

/** The exceptions by which a device refuses a read for what it asks; with others it is busy, or not there. */
const tooMany: readonly number[] = [2, 3, 4];

type Answered = { words: number[] } | { refused: number };

function upTo(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}

/**
 * Places at which blocks of registers begin in real devices, in the order in which it is worth looking; the register
 * before a round number stands for maps that are counted from 1.
 */
function usualPlaces(table: Table): number[][] {
  const far = upTo(commonTo, registersMax, 1000).concat(upTo(0x3000, registersMax, 0x1000));
  const common = isBitTable(table)
    ? upTo(200, commonTo, 200)
    : [...upTo(1100, commonTo, 100).flatMap((place) => [place - 1, place]), ...upTo(fourthTo, commonTo, 128)];
  const sorted = [...new Set([...common, ...far])].toSorted((a, b) => a - b);
  if (isBitTable(table)) return [upTo(0, 32, 1), upTo(32, denseTo, 8), sorted];
  return [upTo(0, denseTo, 1), [...upTo(denseTo, secondTo, 2), ...upTo(secondTo, fourthTo, 4)], sorted];
}

/** The registers of one device, as far as they have been found. */
export class Scan {
  readonly spans: Span[] = [];
  /** Tables that the device does not have, with what it said. */
  readonly missing = new Map<Table, string>();
  /** Why not all has been looked at. */
  ended: "time" | "limit" | "bound" | undefined;
  /** The device takes fewer registers at once than the settings allow. */
  readonly countMax: Record<"registers" | "bits", number>;
  /** Tables that refuse single registers and have pairs. */
  readonly paired = new Set<Table>();
  readonly #link: Link;
  readonly #settings: Settings;
  readonly #place: string;
  readonly #untilMs: number;
  readonly #signal: AbortSignal;
  readonly #valuesMax: number;
  /** Tables that answer whatever is asked. */
  readonly #sampled = new Set<Table>();
  /** Registers that are not there by themselves. */
  readonly #refused = new Set<string>();
  #requests = 0;
  #silences = 0;
  #found = 0;
  /** Of registers only those that hold something. */
  #values = 0;
  /** Something that it has answered before, to see whether it is still there. */
  #known: { table: Table; start: number; count: number } | undefined;

  constructor(
    link: Link,
    settings: Settings,
    place: string,
    request: { untilMs: number; signal: AbortSignal; valuesMax: number },
  ) {
    this.#link = link;
    this.#settings = settings;
    this.#place = place;
    this.#untilMs = request.untilMs;
    this.#signal = request.signal;
    this.#valuesMax = request.valuesMax;
    this.countMax = { registers: settings.maxRegistersPerRead, bits: settings.maxBitsPerRead };
    if (settings.evenCount) this.paired.add("holding").add("input");
  }

  /** Looks at all scopes, the likely places of each first. Throws the `DeviceError` of a device that is lost. */
  async run(scopes: readonly Scope[]): Promise<void> {
    for (const { table, first, last } of scopes)
      if (first !== undefined) {
        const end = Math.min(last ?? first, registersMax - 1) + 1;
        await this.#look(table, upTo(first, end, 1), end);
      }
    const whole = scopes.filter(({ first }) => first === undefined);
    for (const stage of [0, 1, 2])
      for (const { table } of whole) await this.#look(table, usualPlaces(table)[stage] ?? [], registersMax);
  }

  /** Reads what was found once more: undefined where that does not come, and where there was nothing. */
  async again(): Promise<Map<Span, readonly (number | undefined)[]>> {
    const later = new Map<Span, readonly (number | undefined)[]>();
    for (const span of this.spans) {
      const words: (number | undefined)[] = span.words.map(() => undefined);
      later.set(span, words);
      const step = this.#most(span.table);
      for (let at = 0; at < words.length; at += step) {
        if (this.#isOver()) return later;
        const count = Math.min(step, words.length - at);
        if (span.words.slice(at, at + count).every(isEmpty)) continue;
        const answer = await this.#read(span.table, span.start + at, count);
        if ("words" in answer) words.splice(at, count, ...answer.words);
      }
    }
    return later;
  }

  #most(table: Table): number {
    const most = this.countMax[isBitTable(table) ? "bits" : "registers"];
    return this.paired.has(table) ? most - (most % 2) : most;
  }

  #isOver(): boolean {
    if (this.ended === "limit") return true;
    if (performance.now() >= this.#untilMs) this.ended ??= "time";
    else if (this.#requests >= requestsMax || this.#found >= wordsMax || this.#silences >= silencesMax)
      this.ended ??= "bound";
    return this.ended !== undefined;
  }

  async #look(table: Table, places: readonly number[], end: number): Promise<void> {
    if (!this.#settings.functions.includes(readFunction[table])) return;
    for (const place of places) {
      if (this.#isOver() || this.missing.has(table)) return;
      if (this.#sampled.has(table) && place % 1000 !== 0 && place % 0x1000 !== 0) continue;
      await this.#follow(table, place, end);
    }
  }

  /** Looks at one place, and where something is there at all that lies around it. */
  async #follow(table: Table, place: number, end: number): Promise<void> {
    let last = place;
    for (let at = place; at <= last && at < end && !this.#isOver() && !this.#has(table, at); at++) {
      const unit = await this.#probe(table, at);
      if (unit === 0) continue;
      const looksBack = at === place && !this.#sampled.has(table);
      const before = looksBack ? await this.#before(table, at) : [];
      const span: Span = { table, start: at - before.length, words: before };
      this.spans.push(span);
      this.#count(table, before);
      const isSampled = await this.#grow(span, at, end, unit);
      if (isSampled) return;
      // What lies directly behind the block has been refused with it.
      at = span.start + span.words.length;
      last = at + gapMax;
    }
  }

  #has(table: Table, register: number): boolean {
    return this.spans.some(
      (span) => span.table === table && register >= span.start && register < span.start + span.words.length,
    );
  }

  /** How many registers from here on the device gives at least: 0, 1, or a pair where it has only these. */
  async #probe(table: Table, at: number): Promise<0 | 1 | 2> {
    if (this.#refused.has(`${table} ${at}`)) return 0;
    const isPaired = this.paired.has(table);
    if (!isPaired && "words" in (await this.#read(table, at, 1))) return 1;
    const mayPair = isPaired || (at < 32 && this.spans.every((span) => span.table !== table));
    if (isBitTable(table) || !mayPair || at % 2 !== 0 || at + 1 >= registersMax || this.missing.has(table))
      return 0;
    if (!("words" in (await this.#read(table, at, 2)))) return 0;
    this.paired.add(table);
    return 2;
  }

  /** What lies directly before a register that is there. */
  async #before(table: Table, at: number): Promise<number[]> {
    const words: number[] = [];
    const least = this.paired.has(table) ? 2 : 1;
    for (let size = least; words.length < beforeMax && !this.#isOver();) {
      const from = at - words.length - size;
      const isRefused = from < 0 || this.#isKnown(table, from, size);
      const answer = isRefused ? undefined : await this.#read(table, from, size);
      if (answer !== undefined && "words" in answer) {
        words.unshift(...answer.words);
        size = Math.min(2 * size, this.#most(table));
      } else if (size === least) break;
      else size = Math.max(least, size >> 1);
    }
    return words;
  }

  /** Has something of this been found, or refused by itself? */
  #isKnown(table: Table, from: number, count: number): boolean {
    for (let at = from; at < from + count; at++)
      if (this.#has(table, at) || this.#refused.has(`${table} ${at}`)) return true;
    return false;
  }

  /** Reads on to the end of a block; true where the device seems to answer whatever it is asked. */
  async #grow(span: Span, from: number, end: number, unit: number): Promise<boolean> {
    const { table } = span;
    const isPaired = this.paired.has(table);
    let size = this.#most(table);
    let empty = 0;
    let largest = 0;
    for (let at = from; at < end && !this.#isOver();) {
      const most = Math.min(size, end - at, this.#room(table, at));
      const count = isPaired ? most - (most % 2) : most;
      if (count < unit) break;
      const answer = await this.#read(table, at, count);
      if ("words" in answer) {
        this.#take(span, answer.words);
        at += count;
        largest = Math.max(largest, count);
        empty = answer.words.every(isEmpty) ? empty + count : 0;
        if (this.#sampled.has(table)) return true;
        if (empty < emptyMax) continue;
        this.#sampled.add(table);
        return true;
      }
      if (count <= unit) break;
      size = Math.max(unit, count >> 1);
    }
    if (!this.#isOver()) await this.#learnMost(span, from, largest);
    return false;
  }

  /** Up to the next block that has been read already. */
  #room(table: Table, at: number): number {
    const starts = this.spans
      .filter((one) => one.table === table && one.start > at && one.words.length > 0)
      .map(({ start }) => start - at);
    return Math.min(registersMax - at, ...starts);
  }

  /** A block that came in small steps, and does not come at once: the device gives no more with one answer. */
  async #learnMost(span: Span, from: number, largest: number): Promise<void> {
    const key = isBitTable(span.table) ? "bits" : "registers";
    const read = Math.min(span.start + span.words.length - from, this.countMax[key]);
    if (largest < 2 || read < 2 * largest) return;
    const answer = await this.#read(span.table, from, read);
    if ("refused" in answer && tooMany.includes(answer.refused)) this.countMax[key] = largest;
  }

  #take(span: Span, words: readonly number[]): void {
    span.words.push(...words);
    this.#found += words.length;
    this.#count(span.table, words);
    if (this.#values > this.#valuesMax) this.ended = "limit";
  }

  #count(table: Table, words: readonly number[]): void {
    this.#values += isBitTable(table) ? words.length : words.filter((word) => !isEmpty(word)).length;
  }

  /** One request; refusals of any kind are answers. Throws `DeviceError` when the device is lost. */
  async #read(table: Table, start: number, count: number): Promise<Answered> {
    for (let tries = 1; ; tries++) {
      const begunMs = performance.now();
      const { request, words } = await this.#ask(table, start, count);
      if (request.state === "lost" || request.exception === 10 || request.exception === 11) {
        await this.#missed(request);
        return { refused: request.exception };
      }
      this.#known = { table, start, count };
      await this.#pause(Math.min(Math.max(performance.now() - begunMs, pauseMs[0]), pauseMs[1]));
      if (request.state === "answered") return { words };
      const { exception } = request;
      if ((exception === 5 || exception === 6) && tries < busyTries) {
        await this.#pause(busyMs);
        continue;
      }
      if (count === 1) this.#refused.add(`${table} ${start}`);
      const isFirst = !this.spans.some((span) => span.table === table);
      if (exception === 1 && isFirst) this.missing.set(table, exceptionName(exception));
      return { refused: exception };
    }
  }

  async #ask(table: Table, start: number, count: number): Promise<{ request: Request; words: number[] }> {
    this.#requests++;
    const isBits = isBitTable(table);
    const request = new Request(
      readPdu(table, start, count),
      `read ${range(table, start, count)}`,
      isBits ? (count + 7) >> 3 : 2 * count,
    );
    let words: number[] = [];
    const batch = new Batch([request], this.#link.framing, this.#settings.unit, (_, bytes, at) => {
      const data = at + 2;
      words = Array.from({ length: count }, (__, i) =>
        isBits
          ? ((bytes[data + (i >> 3)] ?? 0) >> (i & 7)) & 1
          : ((bytes[data + 2 * i] ?? 0) << 8) | (bytes[data + 2 * i + 1] ?? 0),
      );
    });
    await this.#link.run(batch, this.#signal);
    return { request, words };
  }

  /** No answer: some devices say nothing where others refuse. Throws when it says nothing to anything. */
  async #missed(request: Request): Promise<void> {
    this.#silences++;
    if (this.#known === undefined) {
      if (this.#silences >= silencesAtFirst) throw lost(this.#place, request);
      return;
    }
    const { table, start, count } = this.#known;
    const check = await this.#ask(table, start, count);
    if (check.request.state === "lost" || check.request.exception === 11) throw lost(this.#place, request);
  }

  async #pause(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#signal });
    } catch {
      throw aborted(this.#place);
    }
  }
}
