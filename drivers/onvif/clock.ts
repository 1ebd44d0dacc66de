import { at, textAt } from "./soap.ts";

/** The camera's clock against ours. */

/** A camera tells whole seconds. */
const resolutionMs = 1000;

/** UTC of a `GetSystemDateAndTimeResponse`, ms since 1970; undefined: it tells none. */
export function systemTimeMs(body: unknown): number | undefined {
  const utc = at(body, "GetSystemDateAndTimeResponse", "SystemDateAndTime", "UTCDateTime");
  const [year, month, day] = ["Year", "Month", "Day"].map((name) => numberAt(utc, "Date", name));
  const [hour, minute, second] = ["Hour", "Minute", "Second"].map((name) => numberAt(utc, "Time", name));
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const timeMs = Date.UTC(year, month - 1, day, hour ?? 0, minute ?? 0, second ?? 0);
  return Number.isFinite(timeMs) ? timeMs : undefined;
}

function numberAt(tree: unknown, ...path: string[]): number | undefined {
  const text = textAt(tree, ...path);
  return text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}

/** An xs:dateTime as ms since 1970; without a zone it is UTC, as ONVIF has it. */
export function timeMsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, date, zone = "Z"] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,20})?)(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(text) ?? [];
  const whole = date?.toUpperCase().replace(/(\.\d{3})\d+/, "$1");
  // "+0700" and "+07" are no xs:dateTime, and cameras write them.
  const shift = zone
    .toUpperCase()
    .replace(/^([+-]\d\d):?(\d\d)?$/, (_, hours, rest = "00") => `${hours}:${rest}`);
  const timeMs = whole === undefined ? Number.NaN : Date.parse(whole + shift);
  return Number.isFinite(timeMs) ? timeMs : undefined;
}

/** An xs:duration of days and less as ms: "PT1M30S"; undefined: it is none, or nothing. */
export function durationMs(text: string | undefined): number | undefined {
  const [, ...parts] =
    /^P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6}(?:\.\d{1,9})?)S)?)?$/.exec(text ?? "") ??
    [];
  const [days, hours, minutes, seconds] = parts.map((part) => Number(part ?? 0));
  const ms = ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
  return ms > 0 ? ms : undefined;
}

/**
 * How far a clock is ahead, ms, that showed `shownMs` (whole seconds, cut off) some time between two of our own:
 * the smallest deviation that explains it, so 0 means that none can be shown.
 */
export function leastSkewMs(shownMs: number, sentMs: number, receivedMs: number): number {
  const least = shownMs - receivedMs;
  const most = shownMs + resolutionMs - sentMs;
  return least > 0 ? least : most < 0 ? most : 0;
}
