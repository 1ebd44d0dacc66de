import type { ReadingValue } from "../../event.ts";
import type { HeardRecord } from "../../field/field-push.ts";
import { printable } from "../../printable.ts";
import { shownValue } from "../../text.ts";

/** Records (a weighing, a plate, an alarm) as lines for people, for `kerb read` and `kerb tail`. */

interface Field {
  value?: ReadingValue;
  token?: string;
  unit?: string;
  quality?: { status?: string; reason?: string };
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}

/** "10:14:07.212". */
export function clockTime(ms: number): string {
  const date = new Date(ms);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits);
  return `${parts.join(":")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function shownField(name: string, { value = null, token, unit = "1", quality }: Field): string {
  const doubt = quality?.status === undefined ? "" : ` (${quality.status})`;
  return `${name} ${token ?? shownValue(value, unit)}${doubt}`;
}

/** "weighing  gross 24 470 kg  plate hmac-sha256:…"; undefined where an event's data are no record. */
export function shownRecord(data: Record<string, unknown>): string | undefined {
  const { record, values, severity, state } = data;
  if (typeof record !== "string" || typeof values !== "object" || values === null) return undefined;
  const about = [record, state, severity].filter((part) => typeof part === "string");
  const fields = Object.entries(values as Record<string, Field>).map(([name, field]) =>
    shownField(name, field),
  );
  return [about.join(" "), ...fields].join("  ");
}

/** "10:14:07.212  transaction  weighing  gross 24 470 kg". */
export function recordLine({ timeMs, kind, data }: HeardRecord): string {
  return printable(`${clockTime(timeMs)}  ${kind}  ${shownRecord(data) ?? JSON.stringify(data)}`);
}
