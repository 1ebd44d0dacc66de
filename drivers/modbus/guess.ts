import { setImmediate as turn } from "node:timers/promises";
import type { Answer, Guess } from "../../gateway/driver.ts";
import { compileDecoder, decode } from "./decode.ts";
import type { Address } from "./settings.ts";

/**
 * What the registers of an unknown device may hold. Modbus says nothing of types: each way to read a few words has a
 * price in bits (how much must be said to tell the value that way), and the cheapest division of a run of words wins.
 */

type Order = NonNullable<Address["order"]>;
type Type = Address["type"];

/** Some registers that belong together, and the ways to read them; the first is the likeliest. */
export interface Guessed {
  /** Position in the run of words. */
  readonly at: number;
  readonly length: number;
  readonly guesses: Guess[];
  /** undefined: the words were not all read again, and those that were are the same. */
  readonly changes: boolean | undefined;
}

interface Way {
  readonly type: Type;
  readonly order?: Order;
  readonly length: number;
  readonly bits: number;
  readonly value: Answer;
}

const orders = ["ABCD", "CDAB", "BADC", "DCBA"] as const;
/** Before anything else is known: how rare each order is. Any two words make some whole number in some order. */
const rarity: Record<Order, number> = { ABCD: 0, CDAB: 1, BADC: 4, DCBA: 4 };
const swappedWhole = 4;
/** Once most values of the device have one order, another one is a bold claim. */
const otherOrder = 8;
/** A device that has floats has more of them. */
const likeOthers = 4;
const votesMin = 2;
const halfWord = 0x7fff;
/** What devices put where they have no value. */
const fillers = new Set([0xffff, 0x8000, halfWord]);
const textWordsMin = 3;
const textWordsMax = 32;
const textLettersMin = 6;
/** A float that is larger or smaller is more likely something else. */
const floatSpan = [1e-6, 1e9] as const;
const likelySpan = [1e-2, 1e5] as const;
/** A lead of so many bits over the next way is a clear one. */
const clearBits = 8;

/** The value of words under a type, by the driver's own decoder. */
export function valueOf(words: readonly number[], at: number, type: Type, order: Order, length = 1): Answer {
  const bytes = Buffer.alloc(2 * Math.max(4, length));
  for (let i = 0; i < Math.max(4, length); i++) bytes.writeUInt16BE(words[at + i] ?? 0, 2 * i);
  const address: Address = {
    table: "holding",
    register: 0,
    type,
    order,
    ...(type === "text" ? { length } : {}),
  };
  const answers: Answer[] = [];
  const layout = { points: Int32Array.of(0), offsets: Int32Array.of(0) };
  decode(compileDecoder([{ name: "", address }], order), layout, bytes, 0, answers);
  return answers[0] ?? 0;
}

function numberOf(answer: Answer): number {
  return typeof answer === "object" ? Number.NaN : Number(answer);
}

function wholeBits(value: number): number {
  return Math.log2(Math.abs(value) + 1);
}

/** Digits that a person or a sensor would have written are cheaper than all that the type can hold. */
function decimalBits(value: number, isExact: (value: number) => number, digitsMax: number): number {
  for (let digits = 0; digits <= digitsMax; digits++) {
    const factor = 10 ** digits;
    const whole = Math.round(value * factor);
    if (isExact(whole / factor) === value) return wholeBits(whole) + 2 * digits;
  }
  return Infinity;
}

function wordBits(word: number): number {
  if (word === 0) return 0.5;
  if (fillers.has(word)) return 3;
  return 4 + Math.log2(word) + (word > halfWord ? 3 : 0);
}

function int16Bits(word: number): number {
  return word > 0x8000 && word < 0xffff ? 5 + 1.3 * wholeBits(word - 0x10000) : Infinity;
}

function uint32Bits(value: number): number {
  if (value < 0x10000) return 9 + wholeBits(value);
  // Counters seldom come so far.
  return 6 + wholeBits(value) + (value >= 2 ** 31 ? 8 : value >= 2 ** 27 ? 4 : 0);
}

function int32Bits(value: number): number {
  return value < -1 ? 7 + 1.2 * wholeBits(value) : Infinity;
}

/** A smaller one would be one of two words, and a larger one is hardly anything's count. */
function int64Bits(value: number): number {
  const size = Math.abs(value);
  return size >= 2 ** 32 && size < 2 ** 53 ? 7 + 1.05 * wholeBits(value) : Infinity;
}

function floatBits(value: number, mantissaBits: number, isExact: (value: number) => number): number {
  const size = Math.abs(value);
  if (!(size >= floatSpan[0] && size <= floatSpan[1])) return Infinity;
  const isLikely = size >= likelySpan[0] && size <= likelySpan[1];
  const digits = decimalBits(value, isExact, mantissaBits > 23 ? 6 : 3);
  return 6 + Math.min(mantissaBits, digits) + (isLikely ? 0 : 5) + (value < 0 ? 1 : 0);
}

const letter = /[A-Za-z0-9 ]/;

/** How many words from here on are one text; 0: none. Blanks and NULs behind it belong to it. */
function textLength(words: readonly number[], at: number): { length: number; bits: number } {
  let letters = 0;
  let bits = 8;
  let length = 0;
  let isEnded = false;
  for (; length < textWordsMax && at + length < words.length; length++) {
    const word = words[at + length] ?? 0;
    const pair = [word >> 8, word & 0xff];
    const isText = pair.every((code) => code === 0 || (code >= 0x20 && code < 0x7f));
    // Behind a NUL another value may begin.
    if (!isText || (isEnded && word !== 0) || (length === 0 && word === 0)) break;
    if (pair[0] === 0 && pair[1] !== 0) break;
    for (const code of pair) {
      const isLetter = letter.test(String.fromCharCode(code));
      if (code !== 0 && code !== 0x20 && isLetter) letters++;
      bits += code === 0 ? 0.2 : isLetter ? 5.5 : 8;
      isEnded ||= code === 0;
    }
    if (isEnded && word === 0) bits += 0.1;
  }
  while (length > 0 && words[at + length - 1] === 0) length--;
  const isText = length >= textWordsMin && letters >= textLettersMin;
  return isText ? { length, bits } : { length: 0, bits: Infinity };
}

interface Divided {
  parts: { at: number; way: Way; ways: Way[] }[];
  bits: number;
}

/** What is known of the device by now. */
interface Prior {
  readonly order: Order | undefined;
}

const double = (value: number): number => value;

/** All ways to read the words from `at` on that are not absurd. */
function waysAt(words: readonly number[], at: number, { order: usual }: Prior): Way[] {
  const word = words[at] ?? 0;
  const ways: Way[] = [{ type: "uint16", length: 1, bits: wordBits(word), value: word }];
  const add = (type: Type, order: Order, length: number, bits: number, value: Answer): void => {
    if (!Number.isFinite(bits)) return;
    const isFloat = type.startsWith("float");
    const isUsual = order === usual && isFloat;
    const rare = rarity[order] + (isFloat || rarity[order] < swappedWhole ? 0 : swappedWhole);
    const strange = usual === undefined ? rare : order === usual ? 0 : otherOrder;
    // Values of two words lie side by side from the beginning on.
    const shifted = at % 2 === 0 ? 0 : 2;
    ways.push({ type, order, length, bits: bits + strange + shifted - (isUsual ? likeOthers : 0), value });
  };
  const int16 = int16Bits(word);
  if (Number.isFinite(int16)) ways.push({ type: "int16", length: 1, bits: int16, value: word - 0x10000 });
  if (at + 1 < words.length && !(word === 0 && words[at + 1] === 0))
    for (const order of orders) {
      const value = (type: Type) => valueOf(words, at, type, order);
      const [u, i, f] = [value("uint32"), value("int32"), value("float32")];
      add("uint32", order, 2, uint32Bits(numberOf(u)), u);
      add("int32", order, 2, int32Bits(numberOf(i)), i);
      add("float32", order, 2, floatBits(numberOf(f), 23, Math.fround), f);
    }
  if (at + 3 < words.length && words.slice(at, at + 4).filter((one) => one !== 0).length > 1)
    for (const order of orders) {
      const value = valueOf(words, at, "float64", order);
      add("float64", order, 4, 3 + floatBits(numberOf(value), 52, double), value);
      const whole = valueOf(words, at, "int64", order);
      add("int64", order, 4, int64Bits(numberOf(whole)), whole);
    }
  const text = textLength(words, at);
  if (text.length > 0)
    ways.push({ type: "text", ...text, value: valueOf(words, at, "text", "ABCD", text.length) });
  return ways;
}

/** The cheapest way to divide a run of words, and its price. */
function divided(words: readonly number[], prior: Prior): Divided {
  const all = words.map((_, at) => waysAt(words, at, prior));
  const costs = Array.from<number>({ length: words.length + 1 }).fill(Infinity);
  const chosen: (Way | undefined)[] = [];
  costs[words.length] = 0;
  for (let at = words.length - 1; at >= 0; at--)
    for (const way of all[at] ?? []) {
      const bits = way.bits + (costs[at + way.length] ?? Infinity);
      if (bits >= (costs[at] ?? Infinity)) continue;
      costs[at] = bits;
      chosen[at] = way;
    }
  const parts: Divided["parts"] = [];
  for (let at = 0; at < words.length;) {
    const way = chosen[at];
    if (way === undefined) break;
    if (way.type !== "uint16" || way.value !== 0) parts.push({ at, way, ways: all[at] ?? [] });
    at += way.length;
  }
  return { parts, bits: costs[0] ?? 0 };
}

/** The order with which all that the device holds is told most cheaply, where it has floats of it and a clear lead. */
export async function usualOrder(runs: readonly (readonly number[])[]): Promise<Order | undefined> {
  const tried: { order: Order; bits: number; votes: number }[] = [];
  for (const order of orders) {
    const found: Divided[] = [];
    for (const words of runs) {
      found.push(divided(words, { order }));
      // A large device takes a while, and others have their turn.
      await turn();
    }
    const isVote = ({ way }: { way: Way }) => way.order === order && way.type.startsWith("float");
    tried.push({
      order,
      bits: found.reduce((sum, one) => sum + one.bits, rarity[order]),
      votes: found.flatMap(({ parts }) => parts.filter(isVote)).length,
    });
  }
  const [first, second] = tried.toSorted((a, b) => a.bits - b.bits);
  if (first === undefined || first.votes < votesMin) return undefined;
  return (second?.bits ?? 0) - first.bits >= clearBits ? first.order : undefined;
}

const reasons: Partial<Record<Type, string>> = {
  uint16: "it may stand for itself",
  int16: "it would be just below 0",
  uint32: "its low word would be large for one register",
  int32: "it would be just below 0",
  int64: "it would be a count beyond 32 bits",
  float32: "it would be of plausible size",
  float64: "it would be of plausible size",
  text: "letters and digits",
};

/** How much dearer a way is than to take each of its words for a number by itself. */
function excess(words: readonly number[], at: number, { bits, length }: Way): number {
  return words.slice(at, at + length).reduce((left, word) => left - wordBits(word), bits);
}

function whyOf(words: readonly number[], at: number, way: Way, ways: readonly Way[]): string {
  const { type } = way;
  if (type === "uint16" && fillers.has(Number(way.value))) return "or a sign for no value";
  const rivals = ways.filter((one) => one !== way).map((one) => excess(words, at, one));
  const lead = Math.min(...rivals) - excess(words, at, way);
  const others = lead >= clearBits ? "and the others are far less likely" : "and others are nearly as likely";
  return `${reasons[type] ?? "possible"}, ${others}`;
}

function guessOf({ type, order, length, value }: Way): Guess {
  const address: Record<string, unknown> = {
    type,
    ...(type === "text" ? { length } : order === undefined ? {} : { order }),
  };
  return { address, type: order === undefined ? type : `${type} ${order}`, answer: value };
}

/** Every way to read what lies at `at`, the chosen one first. */
function guessesAt(words: readonly number[], at: number, way: Way, ways: readonly Way[]): Guess[] {
  const others = ways.filter((one) => one !== way).map(guessOf);
  return [{ ...guessOf(way), why: whyOf(words, at, way, ways) }, ...others];
}

/**
 * What a run of words may hold, from its first register on; words of 0 are left out. `later`: the same words read
 * again; `order`: that most values of this device have.
 */
export function guessed(
  words: readonly number[],
  later: readonly (number | undefined)[],
  order: Order | undefined,
): Guessed[] {
  return divided(words, { order }).parts.map(({ at, way, ways }) => ({
    at,
    length: way.length,
    guesses: guessesAt(words, at, way, ways),
    changes: changed(words.slice(at, at + way.length), later.slice(at, at + way.length)),
  }));
}

function changed(words: readonly number[], later: readonly (number | undefined)[]): boolean | undefined {
  if (words.some((word, i) => (later[i] ?? word) !== word)) return true;
  return words.every((_, i) => later[i] !== undefined) ? false : undefined;
}

/** Words that hold nothing, and those that many devices answer where they have none. */
export function isEmpty(word: number): boolean {
  return word === 0 || word === 0xffff;
}
