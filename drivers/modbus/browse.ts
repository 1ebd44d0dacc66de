import { setImmediate as turn } from "node:timers/promises";
import { DeviceError, type Browsed, type BrowseRequest, type LeftOut } from "../../gateway/driver.ts";
import { isBitTable, type Table } from "./codec.ts";
import { guessed, isEmpty, usualOrder, type Guessed } from "./guess.ts";
import type { Link } from "./link.ts";
import { range } from "./plan.ts";
import { Scan, type Scope, type Span } from "./scan.ts";
import type { Settings } from "./settings.ts";

/** Lists the registers of a device that is not known, with guesses of what they hold. */

const tables = ["holding", "input", "coil", "discrete"] as const satisfies Table[];
/** More bits than these side by side are told only where they are set. */
const bitsMax = 64;
const placesShown = 8;
const wordsPerValue = 4;

/** "holding", "holding 40000" (and what lies around it), "holding 0-199". */
function scopesOf(under: string | undefined, place: string): Scope[] {
  if (under === undefined) return tables.map((table) => ({ table }));
  const [, name, first, last] =
    /^ *(holding|input|coil|discrete)(?: +(\d{1,5})(?: *- *(\d{1,5}))?)? *$/.exec(under) ?? [];
  const table = tables.find((one) => one === name);
  const [from, to] = [Number(first ?? 0), Number(last ?? first ?? 0)];
  if (table === undefined || to < from || to > 0xffff)
    throw new DeviceError(
      "rejected",
      `${place}: "${under}" is no table with a range, such as "holding 0-199"`,
    );
  return [first === undefined ? { table } : { table, first: from, last: to }];
}

const foundTables = ({ spans }: Scan): Table[] =>
  tables.filter((table) => spans.some((span) => span.table === table && span.words.length > 0));

/** Tables that have pairs only where others have not: no setting holds for both. */
function oddTables(scan: Scan, { evenCount }: Settings): Table[] {
  const found = foundTables(scan);
  const isMixed = !evenCount && found.some((table) => !scan.paired.has(table));
  return isMixed ? found.filter((table) => scan.paired.has(table)) : [];
}

/** Settings that a profile needs for the device to be read as it was here. */
function neededBy(scan: Scan, settings: Settings): Record<string, unknown> {
  const { registers, bits } = scan.countMax;
  const needsEven = scan.paired.size > 0 && !settings.evenCount && oddTables(scan, settings).length === 0;
  return {
    ...(registers < settings.maxRegistersPerRead ? { maxRegistersPerRead: registers } : {}),
    ...(bits < settings.maxBitsPerRead ? { maxBitsPerRead: bits } : {}),
    ...(needsEven ? { evenCount: true } : {}),
  };
}

function bitsOf({ table, start, words }: Span): Browsed[] {
  return words.flatMap((bit, i) =>
    bit === 0 && words.length > bitsMax
      ? []
      : [
          {
            what: "value",
            address: { table, register: start + i, type: "bool" },
            path: [`${table} ${start + i}`],
            type: "bool",
            answer: bit === 1,
          },
        ],
  );
}

function entryOf(
  { table, start }: Span,
  { at, length, guesses, changes }: Guessed,
  odd: readonly Table[],
): Browsed {
  const register = start + at;
  const placed = guesses.map((guess) => ({ ...guess, address: { table, register, ...guess.address } }));
  const [best] = placed;
  const isReadable = !odd.includes(table) || (register % 2 === 0 && length % 2 === 0);
  return {
    what: "value",
    ...(best === undefined ? {} : { type: best.type, answer: best.answer }),
    ...(best === undefined || !isReadable ? {} : { address: best.address }),
    ...(isReadable ? {} : { more: { why: "the device gives it only with its neighbour (evenCount)" } }),
    path: [`${table} ${register}`],
    guesses: placed,
    ...(changes === undefined ? {} : { changes }),
  };
}

type Later = Awaited<ReturnType<Scan["again"]>>;

/** What is listed, and `table register` of everything that is in it. Large devices take a while: others get a turn. */
async function entries(
  scan: Scan,
  later: Later,
  odd: readonly Table[],
): Promise<{ found: Browsed[]; listed: Set<string> }> {
  const spans = scan.spans
    .filter(({ words }) => words.length > 0)
    .toSorted((a, b) => tables.indexOf(a.table) - tables.indexOf(b.table) || a.start - b.start);
  const runs = spans.filter(({ table }) => !isBitTable(table)).map(({ words }) => words);
  const order = await usualOrder(runs);
  const found: Browsed[] = [];
  const listed = new Set<string>();
  for (const span of spans) {
    await turn();
    if (isBitTable(span.table)) {
      const bits = bitsOf(span);
      found.push(...bits);
      for (const { address } of bits) listed.add(`${span.table} ${String(address?.["register"])}`);
      continue;
    }
    for (const one of guessed(span.words, later.get(span) ?? [], order)) {
      const { at, length } = one;
      if (span.words.slice(at, at + length).every(isEmpty)) continue;
      found.push(entryOf(span, one, odd));
      for (let i = at; i < at + length; i++) listed.add(`${span.table} ${span.start + i}`);
    }
  }
  return { found, listed };
}

/** Runs of registers that hold nothing and are in nothing that is listed: "holding 12-40". */
function emptyRuns({ table, start, words }: Span, listed: ReadonlySet<string>) {
  const runs: { place: string; count: number }[] = [];
  const isLeft = (at: number): boolean => isEmpty(words[at] ?? 0) && !listed.has(`${table} ${start + at}`);
  for (let at = 0; at < words.length; at++) {
    let end = at;
    while (end < words.length && isLeft(end)) end++;
    if (end === at) continue;
    runs.push({ place: range(table, start + at, end - at), count: end - at });
    at = end;
  }
  return runs;
}

function* leftBy(
  scan: Scan,
  scopes: readonly Scope[],
  listed: ReadonlySet<string>,
  odd: readonly Table[],
): Generator<LeftOut> {
  if (scan.ended !== undefined && scan.ended !== "limit") yield { left: scan.ended };
  const single = foundTables(scan).filter((table) => !scan.paired.has(table));
  for (const table of odd)
    yield {
      left: "refused",
      place: `${table} by single registers and odd counts`,
      reason: `(evenCount: true reads them, but not single ones of ${single.join(", ")})`,
    };
  for (const [place, reason] of scan.missing) yield { left: "refused", place, reason };
  const empty = scan.spans.flatMap((span) => emptyRuns(span, listed)).toSorted((a, b) => b.count - a.count);
  const shown = empty.slice(0, placesShown).map(({ place }) => place);
  const more = empty.length > shown.length ? ", …" : "";
  const count = empty.reduce((sum, run) => sum + run.count, 0);
  if (count > 0) yield { left: "empty", entries: count, place: shown.join(", ") + more };
  if (scopes.some(({ first }) => first === undefined)) yield { left: "unasked", place: "holding 1000-1999" };
}

/**
 * What the registers hold, with guesses. What was found before the device was lost or the caller gave up is told all
 * the same; then it rejects.
 */
export async function* browse(
  link: Link,
  settings: Settings,
  place: string,
  { under, entriesMax, untilMs, signal }: BrowseRequest,
): AsyncGenerator<Browsed | LeftOut> {
  const scopes = scopesOf(under, place);
  if (performance.now() >= untilMs) {
    yield { left: "time" };
    return;
  }
  const scan = new Scan(link, settings, place, { untilMs, signal, valuesMax: wordsPerValue * entriesMax });
  let later: Later = new Map();
  let failure: DeviceError | undefined;
  try {
    await scan.run(scopes);
    later = await scan.again();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    failure = error;
  }
  const needed = neededBy(scan, settings);
  const odd = oddTables(scan, settings);
  const { found, listed } = await entries(scan, later, odd);
  for (const entry of found.slice(0, entriesMax))
    yield Object.keys(needed).length === 0 ? entry : { ...entry, settings: needed };
  if (found.length > entriesMax || scan.ended === "limit")
    yield { left: "limit", entries: Math.max(0, found.length - entriesMax) };
  yield* leftBy(scan, scopes, listed, odd);
  if (failure !== undefined) throw failure;
}
