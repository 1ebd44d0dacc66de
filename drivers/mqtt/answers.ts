import type { Answer, Reading, Value } from "../../gateway/driver.ts";
import { parsePath, valueAt, type Step } from "./json-path.ts";
import type { Address } from "./settings.ts";

/** What a parsed message says of an address. */

export interface Wanted {
  readonly index: number;
  readonly address: Address;
  readonly steps: readonly Step[];
  readonly when: { steps: readonly Step[]; equals: unknown } | undefined;
}

/** A parsed message, ready to be looked into. */
export interface Told {
  readonly payload: unknown;
  readonly root: unknown;
  readonly uplink: unknown;
  readonly sourceTimeMs: number | undefined;
  readonly retained: boolean;
  /** The broker may have kept it while kerb was away. */
  readonly queued: boolean;
  /** Somebody had kept it: it is no sign of life. */
  readonly isOld: boolean;
}

export function wanted(address: Address, index: number): Wanted {
  const { when } = address;
  return {
    index,
    address,
    steps: parsePath(address.path) ?? [],
    when: when === undefined ? undefined : { steps: parsePath(when.path) ?? [], equals: when.equals },
  };
}

/** A payload that is no JSON may be the value itself. */
export function takesText({ address, steps }: Wanted): boolean {
  return (
    steps.length === 0 &&
    address.from === "payload" &&
    (address.type === "text" || address.type === "boolean")
  );
}

export function applies({ when }: Wanted, { root }: Told): boolean {
  return when === undefined || valueAt(root, when.steps) === when.equals;
}

/** The answer of a message for one address; undefined where it says nothing of it. */
export function answerOf(one: Wanted, told: Told): Answer | undefined {
  if (!applies(one, told)) return undefined;
  const found = valueAt(one.address.from === "uplink" ? told.uplink : told.root, one.steps);
  if (found === undefined) return undefined;
  const reading = readingOf(found, one.address);
  const time = told.sourceTimeMs === undefined ? undefined : { sourceTimeMs: told.sourceTimeMs };
  if (time !== undefined) return { ...reading, ...time };
  if (reading.status === "bad") return reading;
  if (told.queued)
    return {
      ...reading,
      status: "uncertain",
      code: "queued",
      reason: "kept while kerb was away, of unknown age",
    };
  if (!told.retained) return reading;
  return { ...reading, status: "uncertain", code: "retained", reason: "kept by the broker, of unknown age" };
}

const textCharactersMax = 4096;

function bad(code: string, reason?: string): Reading {
  return { value: null, status: "bad", code, ...(reason === undefined ? {} : { reason }) };
}

/** A value of JSON as the address wants it. */
function readingOf(found: unknown, address: Address): Reading {
  if (found === null) return bad("null");
  if (typeof found === "object") return bad("not-a-value", "an object or a list");
  return readingAs({ value: found as Value, status: "good" }, address);
}

/** A reading with its value turned into what the address says that it is. */
export function readingAs(reading: Reading, { type, isTrue, isFalse }: Address): Reading {
  let { value } = reading;
  if (value === null) return reading;
  if (typeof value === "string" && value.length > textCharactersMax) return bad("too-large");
  if (type === "boolean") {
    const made = truthOf(value, isTrue ?? true, isFalse ?? false);
    if (made === undefined) return bad("not-a-boolean", String(value).slice(0, 100));
    value = made;
  } else if (type === "number" && typeof value === "string") {
    if (!/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value))
      return bad("not-a-number", value.slice(0, 100));
    value = Number(value);
  } else if (type === "text") value = String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return bad("not-a-number");
  return { ...reading, value };
}

function truthOf(value: Value, isTrue: Value, isFalse: Value): boolean | undefined {
  if (value === isTrue) return true;
  if (value === isFalse) return false;
  if (isTrue !== true || isFalse !== false) return undefined;
  // XML's boolean, which ONVIF writes as text.
  if (value === 1 || value === "1" || value === "true") return true;
  return value === 0 || value === "0" || value === "false" ? false : undefined;
}

export const isBad = (answer: Answer): boolean => typeof answer === "object" && answer.status === "bad";
