import type { Answer, Reading } from "../../gateway/driver.ts";
import type { AggregatedMessage, StatusValue } from "./messages.ts";
import type { AggregatedAddress, StatusAddress } from "./settings.ts";

/** What is said of a value that a site buffered while nobody listened: quality `old`, kept as such. */
export const buffered = { code: "rsmp-old", reason: "buffered by the site", past: true } as const;

export function bad(code: string, reason: string): Reading {
  return { value: null, status: "bad", code, reason };
}

/** One character, one entry, or the whole value; undefined where there is no such entry. */
function partOf(value: string | readonly unknown[], { of, item }: StatusAddress): string | undefined {
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  if (of === undefined || item === undefined) return whole;
  if (of === "chars") return whole[item - 1];
  const entry = typeof value === "string" ? value.split(",")[item - 1] : value[item - 1];
  if (entry === undefined || typeof entry === "string") return entry;
  return JSON.stringify(entry);
}

/** The text of a value as what the address says that it is (RSMP 3.2.2, 4.6). */
export function typed(text: string, as: StatusAddress["as"]): Answer {
  if (as === "text") return text;
  if (as === "number") {
    return /^-?\d{1,15}(\.\d{1,15})?$/.test(text)
      ? Number(text)
      : bad("rsmp-type", `${short(text)} is no number`);
  }
  const word = text.toLowerCase();
  if (word === "true" || word === "1") return true;
  if (word === "false" || word === "0") return false;
  return bad("rsmp-type", `${short(text)} is no boolean`);
}

const short = (text: string): string => JSON.stringify(text.slice(0, 40));

/** The answer of a point from the site's value of its status; `timeMs` is when the site fetched it. */
export function answerOf(address: StatusAddress, given: StatusValue, timeMs: number, raw = false): Answer {
  const { value, quality } = given;
  const bytes = raw ? { raw: Buffer.from(JSON.stringify(value)) } : {};
  if (quality === "undefined") return { ...bad("rsmp-undefined", "the component does not exist"), ...bytes };
  if (quality === "unknown" || value === null)
    return { ...bad("rsmp-unknown", "the site does not know the value"), ...bytes };
  const part = partOf(value, address);
  if (part === undefined || (address.of === "chars" && part === "-"))
    return { ...bad("rsmp-absent", `there is no item ${address.item ?? 1}`), ...bytes };
  const answer = typed(part, address.as);
  const reading: Reading = typeof answer === "object" ? answer : { value: answer, status: "good" };
  const isOld = quality === "old";
  const old = isOld ? buffered : {};
  return {
    ...reading,
    ...(reading.status === "good" ? old : isOld ? { past: true } : {}),
    sourceTimeMs: timeMs,
    ...bytes,
  };
}

/** The answer of a point of the aggregated status. */
export function aggregatedAnswer(
  { aggregated, bit }: AggregatedAddress,
  message: AggregatedMessage,
  timeMs: number,
  { raw = false, past = false } = {},
): Answer {
  const value =
    aggregated === "se"
      ? message.bits[(bit ?? 1) - 1]
      : aggregated === "fP"
        ? message.position
        : message.state;
  const bytes = raw ? { raw: Buffer.from(JSON.stringify(value ?? null)) } : {};
  if (value === undefined || value === null || value === "")
    return { ...bad("rsmp-none", `the site gives no ${aggregated}`), ...bytes };
  const late = past ? buffered : {};
  return { value, status: "good", ...late, sourceTimeMs: timeMs, ...bytes };
}
