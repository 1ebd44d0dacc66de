import { instantOf, localAt } from "./local-time.ts";
import { type SunEvent, sunTime } from "./sun.ts";

/** Dimming plans: what a point is to be at a moment. Pure: no clock and no device is asked. */

export const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
type Weekday = (typeof weekdays)[number];

/** From `at` on the point is `value`: each day, or on these. */
export interface ScheduleEntry {
  /** "17:45", "17:45:30", "sunset-15m", "sunrise+1h". */
  at: string;
  value: number | string | boolean;
  days?: readonly Weekday[] | undefined;
}

/** By point. */
export type DeviceSchedules = Readonly<Record<string, readonly ScheduleEntry[]>>;

/** Where the times of a schedule are those of. */
export interface ScheduleSite {
  /** As IANA names it. */
  timeZone: string;
  location?: { lat: number; lon: number } | undefined;
}

/** The schedule of one point of a device. */
export interface Scheduled {
  device: string;
  point: string;
  /** Where it is seen what it is. */
  shownAt: string;
  entries: readonly ScheduleEntry[];
  site: ScheduleSite;
}

/** What a schedule says, from when until when (ms since 1970 UTC; Infinity: it says nothing else). */
export interface Level {
  value: ScheduleEntry["value"];
  sinceMs: number;
  untilMs: number;
}

const dayMs = 86_400_000;
/** In so many days each entry comes at least once. */
const reachDays = 8;
const clockTime = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;
const sunPattern = /^(sunrise|sunset)(?:([+-])([1-9]\d{0,2})(m|h))?$/;
const offsetMsMax = 6 * 3_600_000;

type Time = { ofDayMs: number } | { event: SunEvent; offsetMs: number };

/** What `at` says; undefined: nothing that is known. */
export function timeOf(at: string): Time | undefined {
  const [, hour, minute, second = "0"] = clockTime.exec(at) ?? [];
  if (hour !== undefined)
    return { ofDayMs: ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 };
  const [, event, sign = "+", count = "0", unit] = sunPattern.exec(at) ?? [];
  if (event === undefined) return undefined;
  const offsetMs = Number(`${sign}${count}`) * (unit === "h" ? 3_600_000 : 60_000);
  return Math.abs(offsetMs) > offsetMsMax ? undefined : { event: event as SunEvent, offsetMs };
}

/** When an entry comes on a day of the place (its midnight as if it were UTC); undefined: not on that one. */
function comesAt(
  { at, days }: ScheduleEntry,
  midnightMs: number,
  { timeZone, location }: ScheduleSite,
): number | undefined {
  const weekday = weekdays[new Date(midnightMs).getUTCDay()] as Weekday;
  if (days !== undefined && !days.includes(weekday)) return undefined;
  const time = timeOf(at);
  if (time === undefined) return undefined;
  if ("ofDayMs" in time) return instantOf(midnightMs + time.ofDayMs, timeZone);
  const found = location === undefined ? undefined : sunTime(time.event, midnightMs, location);
  return found === undefined ? undefined : found + time.offsetMs;
}

/**
 * What a schedule says at an instant (ms since 1970 UTC): its newest entry; of two at the same instant the later in
 * the list. undefined: it has none that has come (an empty one; a sun that never sets).
 */
export function levelAt(
  schedule: readonly ScheduleEntry[],
  nowMs: number,
  site: ScheduleSite,
): Level | undefined {
  const shownMs = localAt(nowMs, site.timeZone);
  const today = shownMs - (((shownMs % dayMs) + dayMs) % dayMs);
  let present: { entry: ScheduleEntry; sinceMs: number } | undefined;
  let untilMs = Infinity;
  const look = (day: number): void => {
    for (const entry of schedule) {
      const at = comesAt(entry, today + day * dayMs, site);
      if (at === undefined) continue;
      if (at > nowMs) untilMs = Math.min(untilMs, at);
      else if (present === undefined || at >= present.sinceMs) present = { entry, sinceMs: at };
    }
  };
  // Clocks that are set, and hours after sunset, carry an entry over midnight, but not over a day.
  for (let day = -2; day <= 2; day++) look(day);
  for (let day = 3; day <= reachDays; day++) {
    if (present === undefined) look(-day);
    if (untilMs === Infinity) look(day);
  }
  if (present === undefined) return undefined;
  return { value: present.entry.value, sinceMs: present.sinceMs, untilMs };
}
