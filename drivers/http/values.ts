import type { Answer, Reading, ReadOptions, Value } from "../../gateway/driver.ts";
import { exactInteger, xmlText, type Format } from "./document.ts";
import { pick, type Step } from "./pick.ts";
import type { Address, Settings } from "./settings.ts";

/** A body as it came: its tree, and when what it says was so. */
export interface Document {
  readonly tree: unknown;
  readonly format: Format;
  /** When it was made, ms since 1970, where it is older than its arrival (a cache, a 304); else undefined. */
  readonly madeMs: number | undefined;
}

/** An address with its picks taken apart. */
export interface Place {
  readonly value: readonly Step[];
  readonly time: readonly Step[] | undefined;
  readonly type: Address["type"];
}

type Rules = Pick<Settings, "decimal" | "utcOffset" | "staleAfter">;

/** A device's clock may be ahead of ours by so much before what it says is no time any more. */
export const aheadMsMax = 5000;

const bad = (code: string, reason: string): Reading => ({ value: null, status: "bad", code, reason });

/** Points of a path that has no document: what the server said instead. */
export function refusedAnswer(code: string, reason: string): Reading {
  return bad(code, reason);
}

/** The answer for one place, looked for from `root`; undefined when nothing is there and `isOptional`. */
export function answerOf(
  document: Document,
  root: unknown,
  place: Place,
  rules: Rules,
  { raw = false, isOptional = false }: Pick<ReadOptions, "raw"> & { isOptional?: boolean } = {},
): Answer | undefined {
  const found = scalarOf(pick(root, place.value));
  if (found === undefined) return isOptional ? undefined : bad("not-found", "the answer has no such value");
  const value = valueOf(found, place.type, document, rules.decimal);
  const ownMs = timeOf(root, place, rules);
  const sourceTimeMs = ownMs ?? document.madeMs;
  const source = sourceTimeMs === undefined ? {} : { sourceTimeMs };
  const bytes = raw ? { raw: new TextEncoder().encode(rawText(found)) } : {};
  if (typeof value === "object") return { ...value, ...source, ...bytes };
  const doubt = doubtOf(root, place, ownMs, sourceTimeMs, rules, isOptional);
  if (doubt !== undefined) return { value, status: "uncertain", ...doubt, ...source, ...bytes };
  if (sourceTimeMs === undefined && !raw) return value;
  return { value, status: "good", ...source, ...bytes };
}

/** Why nobody can say that a value is of now; undefined when nothing speaks against it. */
function doubtOf(
  root: unknown,
  { time }: Place,
  ownMs: number | undefined,
  madeMs: number | undefined,
  { staleAfter }: Rules,
  isOptional: boolean,
): { code: string; reason: string } | undefined {
  if (time !== undefined && ownMs === undefined) {
    const found = scalarOf(pick(root, time));
    const isThere = found !== undefined && found !== null;
    // What a device posts without a time has just happened; what it shows without one may have stood there for days.
    if (isThere) return { code: "no-time", reason: `its time ${shown(found)} is none, or has no zone` };
    if (!isOptional) return { code: "no-time", reason: "the device does not say from when it is" };
  }
  if (staleAfter === undefined || madeMs === undefined) return undefined;
  const ageMs = Date.now() - madeMs;
  if (ageMs > staleAfter)
    return { code: "stale", reason: `the device's own time of it is ${Math.round(ageMs / 1000)} s ago` };
  if (ageMs < -aheadMsMax)
    return { code: "no-time", reason: `its time is ${Math.round(-ageMs / 1000)} s ahead of this box` };
  return undefined;
}

const shown = (found: unknown): string => JSON.stringify(String(found).slice(0, 40));

/** An element of XML with attributes has its text beside them. */
function scalarOf(found: unknown): unknown {
  const isElement = typeof found === "object" && found !== null && Object.hasOwn(found, "#text");
  return isElement ? (found as Record<string, unknown>)["#text"] : found;
}

function rawText(found: unknown): string {
  const text = ["string", "bigint"].includes(typeof found) ? String(found) : (JSON.stringify(found) ?? "");
  return text === "" ? '""' : text.slice(0, 4096);
}

function valueOf(
  found: unknown,
  type: Address["type"],
  document: Document,
  decimal: Settings["decimal"],
): Value | Reading {
  if (found === null) return bad("no-value", "the device says that there is none");
  if (!isScalar(found)) return bad("not-a-value", "this is a part of the document and no value");
  const value = document.format === "xml" && typeof found === "string" ? xmlText(found) : found;
  if (type === "text") return String(value).slice(0, 4096);
  if (type === "boolean") return booleanOf(value);
  return numberOf(value, decimal);
}

const isScalar = (found: unknown): found is Value =>
  ["string", "number", "boolean", "bigint"].includes(typeof found);

function booleanOf(found: Value): boolean | Reading {
  if (typeof found === "boolean") return found;
  const text = String(found).trim().toLowerCase();
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  return bad("not-a-boolean", `found ${shown(found)}`);
}

function numberOf(found: Value, decimal: Settings["decimal"]): Value | Reading {
  if (typeof found === "bigint") return found;
  if (typeof found === "number")
    return Number.isFinite(found) ? found : bad("not-a-number", "it is beyond all numbers");
  if (typeof found === "boolean") return Number(found);
  const text = found.trim();
  // A full stop beside decimal commas would stand for thousands.
  const plain = decimal === "," ? text.replaceAll(/[.,]/g, (sign) => (sign === "," ? "." : "?")) : text;
  const isNumber = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i.test(plain) && plain.length <= 40;
  if (!isNumber) return bad("not-a-number", `found ${shown(text)}`);
  const value = Number(plain);
  if (/^[-+]?\d+$/.test(plain) && !Number.isSafeInteger(value)) return exactInteger(plain) ?? value;
  return Number.isFinite(value) ? value : bad("not-a-number", "it is beyond all numbers");
}

/** The device's own time of a value, ms since 1970. */
export function timeOf(root: unknown, { time }: Pick<Place, "time">, rules: Rules): number | undefined {
  const found = time === undefined ? undefined : scalarOf(pick(root, time));
  if (typeof found !== "string" && typeof found !== "number") return undefined;
  return parseTime(found, rules.utcOffset);
}

/** ISO 8601 ("T" or a blank), or seconds or ms since 1970. Without a zone only where the settings give one. */
export function parseTime(found: string | number, utcOffset: string | undefined): number | undefined {
  const text = String(found).trim();
  if (/^\d{9,13}(\.\d+)?$/.test(text)) {
    const amount = Number(text);
    return Math.round(amount > 1e11 ? amount : amount * 1000);
  }
  const form =
    /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?([.,]\d+)?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(text) ?? undefined;
  if (form === undefined) return undefined;
  const [, date = "", minutes = "", seconds = ":00", fraction = "", zone = utcOffset] = form;
  if (zone === undefined) return undefined;
  const offset =
    zone.toUpperCase() === "Z" || zone.includes(":") ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  const milliseconds = fraction === "" ? "" : `.${fraction.slice(1, 4)}`;
  const ms = Date.parse(`${date}T${minutes}${seconds}${milliseconds}${offset.toUpperCase()}`);
  return Number.isNaN(ms) ? undefined : ms;
}
