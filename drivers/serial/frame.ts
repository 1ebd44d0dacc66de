import type { Answer, Reading } from "../../gateway/driver.ts";
import type { Whole } from "./deframer.ts";
import type { At, Frame } from "./grammar.ts";
import { timeOf, zoneMs } from "./time.ts";
import { decode, judge, worse } from "./values.ts";

/** What a field is read from: a frame, or one of its items. */
type Part = (at: At) => string | undefined;

/** One frame of a known kind, ready to be asked for its fields. */
export interface Told {
  readonly name: string;
  readonly frame: Frame;
  readonly part: Part;
  readonly whole: Whole;
  readonly timeMs: number | undefined;
  readonly parts: readonly string[];
}

/** A JSON frame's object or list; undefined when it is none. */
export function membersOf(text: string): object | undefined {
  try {
    const found = JSON.parse(text) as unknown;
    return typeof found === "object" && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}

function member(value: unknown, path: string): string | undefined {
  let here = value;
  for (const key of path.split(".")) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, key)) return undefined;
    here = (here as Record<string, unknown>)[key];
  }
  return typeof here === "string" || typeof here === "number" || typeof here === "boolean"
    ? String(here)
    : undefined;
}

function splitParts(text: string, delimiter: string | undefined): readonly string[] {
  if (delimiter === undefined || delimiter === "json") return [];
  return delimiter === " " ? text.trim().split(/ +/) : text.split(delimiter);
}

/** The frame as one of a kind; undefined when it is of another kind, is cut short, or is nobody's business. */
export function tell(name: string, frame: Frame, whole: Whole, zone: string): Told | undefined {
  const { text } = whole;
  const parts = splitParts(text, frame.split);
  const members = frame.split === "json" ? membersOf(text) : undefined;
  if (frame.split === "json" && members === undefined) return undefined;
  const part: Part = (at) => {
    if (typeof at === "number") return parts.at(at);
    if (typeof at === "string") return member(members, at);
    const [from, length] = at;
    return text.length > from ? text.slice(from, from + length) : undefined;
  };
  if (frame.parts !== undefined && parts.length < frame.parts) return undefined;
  if (frame.partsMax !== undefined && parts.length > frame.partsMax) return undefined;
  if (!frame.match.every(({ at, is }) => part(at) === is)) return undefined;
  let timeMs: number | undefined;
  if (frame.time !== undefined) {
    const written = part(frame.time.at) ?? "";
    timeMs = timeOf(written, frame.time.format, zone);
    const { wholeHours, required } = frame.time;
    // A row of a log has a time; the line above it, with the names of the columns, has none.
    if ((wholeHours || required) && timeMs === undefined) return undefined;
    if (wholeHours && timeMs !== undefined && (timeMs + zoneMs(zone)) % 3_600_000 !== 0) return undefined;
  }
  return { name, frame, part, whole, timeMs, parts };
}

/** Whether the frame comes from this station: leading zeros mean nothing, and no station means any. */
export function isFrom({ frame, part }: Told, station: string): boolean {
  if (frame.station === undefined || station === "") return true;
  return plain(part(frame.station) ?? "") === plain(station);
}

const plain = (station: string): string => station.trim().replace(/^0+(?=.)/, "");

function itemOf({ frame: { items }, parts, whole }: Told, key: string): Part | undefined {
  if (items === undefined) return undefined;
  const { from, size } = items;
  const isSplit = parts.length > 0;
  const end = isSplit ? parts.length : whole.text.length;
  for (let begin = from; begin + size <= end; begin += size) {
    const part: Part = (at) => {
      if (typeof at === "number") return isSplit && at < size ? parts[begin + at] : undefined;
      if (typeof at === "string") return undefined;
      return isSplit ? undefined : whole.text.slice(begin + at[0], begin + Math.min(size, at[0] + at[1]));
    };
    if (plain(part(items.key) ?? "") === plain(key)) return part;
  }
  return undefined;
}

const bad = (code: string, reason: string): Reading => ({ value: null, status: "bad", code, reason });

/**
 * The value of one field of a frame, or of one of its items, with what the status says of it. undefined: the frame
 * has no such part this time.
 */
export function answerOf(
  told: Told,
  item: string | undefined,
  name: string,
  raw: boolean,
): Answer | undefined {
  const { frame } = told;
  const fields = item === undefined ? frame.fields : (frame.items?.fields ?? {});
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field === undefined)
    return bad("no-such-field", `the profile's frame ${told.name} has no field ${name}`);
  const part = item === undefined ? told.part : itemOf(told, item);
  if (part === undefined) return bad("no-such-item", `the instrument told nothing of ${item}`);
  const text = part(field.at);
  if (text === undefined) return undefined;
  // What is wrong with the whole frame is wrong with each item.
  const whole = judge(frame.flags, told.part, item === undefined ? name : undefined, told.parts.length);
  const verdict = item === undefined ? whole : worse(judge(frame.items?.flags ?? [], part, name), whole);
  const decoded = decode(field, text);
  const rest = {
    ...(told.timeMs === undefined ? {} : { sourceTimeMs: told.timeMs }),
    ...(raw ? { raw: told.whole.bytes } : {}),
  };
  // The instrument's own word on a value says more than that it is empty.
  if ("code" in decoded)
    return {
      ...(verdict.status === "bad"
        ? { ...verdict, value: null, status: "bad" }
        : bad(decoded.code, decoded.reason)),
      ...rest,
    };
  if (verdict.status === "bad") return { ...verdict, value: null, status: "bad", ...rest };
  if (verdict.status === "good" && Object.keys(rest).length === 0) return decoded.value;
  return { ...verdict, value: decoded.value, ...rest };
}
