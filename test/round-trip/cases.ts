import { decimalsOf } from "../../gateway/host/normalise.ts";
import type { ReadingValue } from "../../gateway/event.ts";
import type { LatestReading } from "../../gateway/host/messages.ts";
import type { Point } from "../../gateway/profiles/profiles.ts";
import type { Wire } from "./wire.ts";

/** What is set on one point of a pretend device, and how it must be read back. */
export interface Case {
  set: number | string;
  /** "refused": `set` throws, because the wire has no such value. */
  expected: "refused" | Expected;
}

interface Expected {
  status: "good" | "uncertain" | "bad";
  code?: string;
  value: ReadingValue;
  /** By how much a number may differ. */
  within?: number;
}

export type PointFacts = Pick<
  Point,
  "kind" | "scale" | "offset" | "limits" | "sentinels" | "values" | "typical"
> & { decimals?: number | undefined; scaleFactor?: string | undefined };

const bad = (code?: string): Expected => ({
  status: "bad",
  value: null,
  ...(code === undefined ? {} : { code }),
});

/** How an engineering value must come back; `power` is that of the scale factor. */
function expectedOf(point: PointFacts, wire: Wire, value: number, power: number): Case["expected"] {
  if (!Number.isFinite(value)) return wire.hasNan === true ? bad() : "refused";
  const step = point.scale * 10 ** power;
  const ideal = (value - point.offset) / step;
  const raw = wire.isWhole === true ? Math.round(ideal) : ideal;
  if (!(raw >= wire.low && raw <= wire.high)) return "refused";
  const sentinel = point.sentinels.find((one) => one.raw === raw);
  if (sentinel !== undefined) return bad(sentinel.code);
  const digits = 10 ** decimalsOf(point);
  const exact = quantised(raw, wire) * step + point.offset;
  const shown = Math.abs(exact) < 1e9 ? Math.round(exact * digits) / digits : exact;
  const within = resolutionOf(point, wire, value, power);
  const [low, high] = point.limits ?? [-Infinity, Infinity];
  const isOutside = shown < low || shown > high;
  return isOutside
    ? { status: "uncertain", code: "limit", value, within }
    : { status: "good", value, within };
}

/** A raw value as the wire has it. */
function quantised(raw: number, { isSingle, digits, fraction }: Wire): number {
  let value = isSingle === true ? Math.fround(raw) : raw;
  if (fraction !== undefined) value = Number(value.toFixed(fraction));
  return digits === undefined ? value : Number(value.toPrecision(digits));
}

/** By how much a value may differ from what was set: half a step of the wire and half a digit of the profile. */
function resolutionOf(point: PointFacts, wire: Wire, value: number, power: number): number {
  const step = Math.abs(point.scale * 10 ** power);
  const size = Math.abs(value - point.offset);
  let half = size * 1e-12;
  if (wire.isWhole === true) half += step / 2;
  if (wire.isSingle === true) half += size * 2 ** -24 + step * 2 ** -149;
  if (wire.digits !== undefined) half += (step * 10 ** (leading(size / step) - wire.digits + 1)) / 2;
  if (wire.fraction !== undefined) half += (step * 10 ** -wire.fraction) / 2;
  return half + 10 ** -decimalsOf(point) / 2 + Math.abs(value) * 1e-12;
}

const leading = (size: number): number => (size === 0 ? 0 : Math.floor(Math.log10(size)));

/** The smallest change that both the wire and the profile show. */
function stepOf(point: PointFacts, wire: Wire, near: number, power: number): number {
  return resolutionOf(point, wire, near, power) * 2.1;
}

function numbersOf(point: PointFacts, wire: Wire, random: () => number, power: number): number[] {
  const { scale, offset, limits, sentinels, typical } = point;
  const step = scale * 10 ** power;
  const of = (raw: number): number => raw * step + offset;
  const [low, high] = typical ?? limits ?? [0, 100];
  const inside = (): number => low + random() * (high - low);
  const ends = (limits ?? []).flatMap((end) => {
    const by = stepOf(point, wire, end, power);
    return [end, end - by, end + by];
  });
  // What has no fixed width is told as the largest that somebody would measure.
  const widest = [wire.low, wire.high].map((raw) => (Math.abs(raw) > 1e30 ? Math.sign(raw) * 1e9 : raw));
  const beyond = [wire.low, wire.high].map((raw) => raw + Math.sign(raw || -1) * Math.max(1, Math.abs(raw)));
  return [
    inside(),
    0,
    ...widest.map(of),
    -0,
    ...ends,
    ...sentinels.map(({ raw }) => of(raw)),
    NaN,
    ...beyond.map(of).filter(Number.isFinite),
    2 ** 53 + 2,
    Infinity,
    inside(),
    -Infinity,
    ...[-3, -1, 1, 2, 4, 6].map((exponent) => 10 ** exponent),
    -1,
    inside(),
  ];
}

const vietnamese = "Đường Nguyễn Huệ, ngã tư số 7";
const bytesOf = (text: string): number => Buffer.byteLength(text);

const good = (text: string): Case => ({ set: text, expected: { status: "good", value: text } });

function textsOf({ texts, textBytes }: Wire): Case[] {
  if (texts === "none") return [];
  if (texts === "ascii") return ["DI CHAM", "[jp3]NGAP NUOC[nl]DI CHAM"].map(good);
  if (textBytes === undefined) return [vietnamese, "a<b & 'c' \"d\"", "x".repeat(60), "Ổ"].map(good);
  let full = "";
  for (const letter of vietnamese.repeat(9)) if (bytesOf(full + letter) <= textBytes) full += letter;
  const whole = `${full.trim()}${"x".repeat(textBytes)}`.slice(
    0,
    textBytes - bytesOf(full.trim()) + full.trim().length,
  );
  return [good("A"), good(whole), good(full.trim()), { set: "y".repeat(textBytes + 1), expected: "refused" }];
}

function wordsOf({ values = {}, kind }: PointFacts, wire: Wire): Case[] {
  const cases = Object.entries(values).map(([code, word]): Case => ({
    set: kind === "text" || Number.isNaN(Number(code)) ? code : Number(code),
    expected: { status: "good", value: word },
  }));
  const codes = Object.keys(values).map(Number);
  if (wire.isWhole !== true || codes.some(Number.isNaN)) return cases;
  const strange = Math.max(...codes) + 1;
  if (strange > wire.high) return cases;
  const unknown = { status: "uncertain", code: "unknown-value", value: String(strange) } as const;
  return [...cases, { set: kind === "text" ? String(strange) : strange, expected: unknown }];
}

/** What to try on a point, the plainest first, then in an order of chance. */
export function casesOf(point: PointFacts, wire: Wire, random: () => number, power: number): Case[] {
  if (point.values !== undefined) return shuffled(wordsOf(point, wire), random);
  if (point.kind === "boolean")
    return shuffled(
      [0, 1].map((set) => ({ set, expected: { status: "good", value: set === 1 } })),
      random,
    );
  if (point.kind === "text") return shuffled(textsOf(wire), random);
  const [first, ...rest] = numbersOf(point, wire, random, power).map((set): Case => {
    const expected = expectedOf(point, wire, set, power);
    return { set, expected };
  });
  return first === undefined ? [] : [first, ...shuffled(rest, random)];
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** How a reading differs from what was expected; undefined: it does not. */
export function difference(
  expected: Expected,
  { value, status, code }: Pick<LatestReading, "value" | "status"> & { code?: string | undefined },
): string | undefined {
  const isNear =
    typeof expected.value === "number" && typeof value === "number"
      ? Math.abs(value - expected.value) <= (expected.within ?? 0)
      : value === expected.value;
  const isSame = status === expected.status && (expected.code === undefined || code === expected.code);
  if (isNear && isSame) return undefined;
  const wanted = [expected.value, expected.status, expected.code].filter((part) => part !== undefined);
  return `read ${String(value)} ${status} ${code ?? ""}, expected ${wanted.map(String).join(" ")}`;
}
