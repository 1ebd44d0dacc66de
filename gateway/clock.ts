import { existsSync, readFileSync } from "node:fs";
import type { ClockState } from "./event.ts";

/** kerb did not exist before this day: a clock that shows an earlier one is wrong. */
const earliestMs = Date.UTC(2026, 0, 1);

/** Left by systemd-timesyncd once it has set the clock. */
const timesyncMark = "/run/systemd/timesync/synchronized";

/**
 * What is known of the box's wall clock: "synced" when the time service says so, "unsynced" when the date is
 * impossible, else "holdover": plausible, but not proved.
 */
export function clockState(): ClockState {
  if (Date.now() < earliestMs) return "unsynced";
  const nowMs = performance.now();
  // Asked for every event, and answered by a system call: once a second is enough.
  if (nowMs - timesyncAskedMs > 1000) {
    timesyncAskedMs = nowMs;
    timesync = existsSync(timesyncMark);
  }
  return timesync ? "synced" : "holdover";
}
let timesyncAskedMs = -Infinity;
let timesync = false;

/** Milliseconds of CLOCK_MONOTONIC: the same in every process of one boot, never stepped. */
export function monotonicMs(): number {
  return performance.now() + monotonicOriginMs;
}
const [seconds, nanoseconds] = process.hrtime();
const monotonicOriginMs = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** Identity of this boot of the machine; monotonic times compare only within one. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}
