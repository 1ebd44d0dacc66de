import { readFileSync, statSync } from "node:fs";
import type { ClockState } from "./event.ts";

/** kerb did not exist before this day: a clock that shows an earlier one is wrong. */
const earliestMs = Date.UTC(2026, 0, 1);

/**
 * Touched whenever the clock was found right: by systemd-timesyncd at each synchronisation, and by whatever the
 * operator lets touch the file that KERB_CLOCK_MARK names (chrony leaves no such file by itself).
 */
const timesyncMark = "/run/systemd/timesync/synchronized";
/** timesyncd asks every 34 minutes at the longest: a mark that is older tells that it has lost its server. */
const markAgeMaxMs = 2 * 3_600_000;
/** NTP turns a clock by half a second in a quarter of an hour; what jumps further was set. */
export const stepMs = 1000;

let lastOffsetMs = Date.now() - performance.now();
let askedMs = -Infinity;
let isMarked = false;
let markMs: number | undefined;

/** What one process knows against the clock and another one, started later, cannot see for itself. */
export interface ClockDoubt {
  /** It shows a time at which this boot cannot have been yet, or was moved away from one that was proved. */
  isWrong: boolean;
  /** The mark of this age was left before the clock was set, and proves nothing about it, ms since 1970. */
  staleMarkMs: number | undefined;
  /** Wall minus monotonic time as it was when the clock was last proved, ms; absent when it is not known. */
  provedOffsetMs?: number | undefined;
}
let doubt: ClockDoubt = { isWrong: false, staleMarkMs: undefined };

export function clockDoubt(): ClockDoubt {
  return doubt;
}

export function doubtClock(told: Partial<ClockDoubt>): void {
  // Another doubt has another remedy.
  const { provedOffsetMs } = told.isWrong === undefined ? doubt : told;
  doubt = { ...doubt, ...told, provedOffsetMs };
  askedMs = -Infinity;
}

/**
 * What is known of the box's wall clock. "synced": the time service has proved it within two hours, and it was not
 * set since. "unsynced": it shows an impossible time, or one other than the proved one. Else "holdover": plausible,
 * proved once or never.
 */
export function clockState(): ClockState {
  const wallMs = Date.now();
  const nowMs = performance.now();
  noticeStep(wallMs, nowMs);
  if (wallMs < earliestMs) return "unsynced";
  // Asked for every event, and answered by a system call: once a second is enough.
  if (nowMs - askedMs > 1000) {
    askedMs = nowMs;
    isMarked = readMarks(wallMs);
  }
  if (isMarked) return "synced";
  return doubt.isWrong ? "unsynced" : "holdover";
}

function noticeStep(wallMs: number, nowMs: number): void {
  const jumpMs = wallMs - nowMs - lastOffsetMs;
  lastOffsetMs += jumpMs;
  if (Math.abs(jumpMs) <= stepMs) return;
  const offsetMs = wallMs - monotonicMs();
  const staleMarkMs = markMs;
  if (isMarked) doubtClock({ isWrong: true, staleMarkMs, provedOffsetMs: offsetMs - jumpMs });
  else {
    const { provedOffsetMs } = doubt;
    const wasImpossible = wallMs - jumpMs < earliestMs && wallMs >= earliestMs;
    // Moved away from a proved time it stays wrong, until it is back there.
    const isBack = provedOffsetMs === undefined || Math.abs(offsetMs - provedOffsetMs) <= stepMs;
    const isWrong = doubt.isWrong && !wasImpossible && !isBack;
    doubtClock({ isWrong, staleMarkMs, provedOffsetMs: isWrong ? provedOffsetMs : undefined });
  }
  isMarked = false;
}

function readMarks(wallMs: number): boolean {
  markMs = undefined;
  for (const mark of [timesyncMark, process.env["KERB_CLOCK_MARK"] ?? ""]) {
    const modifiedMs = mark === "" ? undefined : statSync(mark, { throwIfNoEntry: false })?.mtimeMs;
    if (modifiedMs !== undefined) markMs = Math.max(markMs ?? -Infinity, modifiedMs);
  }
  if (markMs === undefined || markMs === doubt.staleMarkMs) return false;
  const ageMs = wallMs - markMs;
  if (ageMs > markAgeMaxMs || ageMs < -60_000) return false;
  doubt = { isWrong: false, staleMarkMs: undefined, provedOffsetMs: undefined };
  return true;
}

/** Milliseconds of CLOCK_MONOTONIC: the same in every process of one boot, never stepped. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Identity of this boot of the machine; monotonic times compare only within one. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/**
 * A time noted beside one that was told as `toldMs` and is `rightMs`, ms. One that did not come of the wrong clock
 * (a device's own, or read when the clock was right already) does not move.
 */
export function putRight(ms: number, toldMs: number, rightMs: number): number {
  return Math.abs(ms - toldMs) <= Math.abs(ms - rightMs) ? ms + rightMs - toldMs : ms;
}
