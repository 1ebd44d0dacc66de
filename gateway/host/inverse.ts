import type { Answer, Value } from "../driver.ts";
import type { QualityDetail, ReadingValue } from "../event.ts";
import type { HostPoint } from "./messages.ts";
import type { Normaliser } from "./normalise.ts";

/**
 * From a value in the point's unit back to the raw one that the device is told. Nothing is computed twice: a
 * candidate counts only where the normaliser makes the very value of it again, and is good about it. So nothing is
 * ever rounded, wrapped, outside of the limits or a sentinel.
 */

/** Answers of one read, with the normaliser of their points. */
export interface Seen {
  readonly normaliser: Normaliser;
  readonly answers: readonly Answer[];
}

type Commanded = number | string | boolean;

/** The raw value for the point at a position, or why there is none, in one sentence. */
export type Inverse = { raw: Value } | { reason: string };

/** The device's own value behind an answer; null: it had none to give. */
export function rawOf(answer: Answer | undefined): Value | null {
  if (typeof answer !== "object") return answer ?? null;
  return answer.status === "bad" ? null : answer.value;
}

/** `seen`: as the device is now, which tells its scale factor and how it says such a value. */
export function inverse(seen: Seen, position: number, value: Commanded): Inverse {
  const { normaliser, answers } = seen;
  const point = normaliser.points[position];
  if (point === undefined || point.derive !== undefined) return { reason: "it is made from other points" };
  const refused = (why: string): Inverse => ({ reason: `${point.name} cannot be ${said(value)}: ${why}` });
  const sample = rawOf(answers[position]);
  const candidates = candidatesFor(point, value, sample, exponentOf(point, seen));
  if (typeof candidates === "string") return refused(candidates);
  let why: QualityDetail | undefined;
  for (const raw of candidates) {
    const one = normaliser.single(position, answers.with(position, raw));
    if (isSame(one.value, value) && one.quality === 0) return { raw };
    why ??= one.detail;
  }
  return refused(why?.reason ?? why?.code ?? "the device has no such value, and nothing is rounded");
}

/** Whether the point shows what was sent, in the normaliser's words or to the digits of a single-precision number. */
export function shows(seen: Seen, position: number, value: Commanded, sent: Value): boolean {
  const one = seen.normaliser.single(position, seen.answers);
  if (one.quality !== 0) return false;
  if (isSame(one.value, value)) return true;
  const raw = rawOf(seen.answers[position]);
  if (typeof raw !== "number" || typeof sent !== "number") return false;
  return !Number.isInteger(raw) && Math.fround(raw) === Math.fround(sent);
}

/** One zero, and no number that is a text. */
function isSame(shown: ReadingValue, value: Commanded): boolean {
  return typeof shown === "number" ? typeof value === "number" && shown === value : shown === value;
}

function said(value: Commanded): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
}

/** The power of ten of the point's scale factor; undefined: it has one that is not known. */
function exponentOf({ scaleFactor }: HostPoint, { normaliser, answers }: Seen): number | undefined {
  if (scaleFactor === undefined) return 0;
  const raw = rawOf(answers[normaliser.points.findIndex(({ name }) => name === scaleFactor)]);
  return typeof raw === "number" ? raw : undefined;
}

/** Raw values that may be it, the likeliest first, or why there are none. */
function candidatesFor(
  point: HostPoint,
  value: Commanded,
  sample: Value | null,
  exponent: number | undefined,
): readonly Value[] | string {
  if (point.values !== undefined) return named(point.values, value, sample);
  if (typeof value !== (point.kind === "text" ? "string" : point.kind)) return `it is a ${point.kind}`;
  if (typeof value === "boolean") return [typeof sample === "number" ? Number(value) : value];
  if (typeof value === "string") return [value];
  if (!Number.isFinite(value)) return "it is no number";
  if (exponent === undefined) return `its scale factor ${point.scaleFactor} is not known`;
  const scaled = (value - point.offset) / point.scale;
  const raw = exponent < 0 ? scaled * 10 ** -exponent : scaled / 10 ** exponent;
  // Division leaves noise in the last digits; what is whole or short without it was meant.
  return [Math.round(raw), Number(raw.toPrecision(15)), Number(raw.toPrecision(12)), raw];
}

/** What the device says for a name, in the kind of value that it uses now. */
function named(
  values: Readonly<Record<string, string>>,
  value: Commanded,
  sample: Value | null,
): readonly Value[] | string {
  const keys = Object.keys(values).filter((key) => values[key] === value);
  const [key] = keys;
  if (key === undefined) return `it is one of ${[...new Set(Object.values(values))].slice(0, 20).join(", ")}`;
  if (keys.length > 1) return `the device has ${keys.length} values of that name`;
  if (sample === null) return /^-?\d{1,15}$/.test(key) ? [Number(key), key] : [key];
  if (typeof sample === "number") return [Number(key)];
  if (typeof sample === "boolean") return [key === "true"];
  return [typeof sample === "bigint" ? BigInt(key) : key];
}
