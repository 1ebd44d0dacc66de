import type { Facts } from "../../gateway/driver.ts";

const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** How far a clock is off, and whether that looks like local time that is told as UTC. */
export function clockFacts(skewMs: number): Facts {
  const hours = Math.round(skewMs / 1_800_000) / 2;
  const isWhole = hours !== 0 && Math.abs(skewMs - hours * 3_600_000) < 120_000 && Math.abs(hours) <= 14;
  const nowMs = Date.now();
  return {
    "clock.offMs": Math.abs(Math.round(skewMs)),
    "clock.isZone": isWhole,
    "clock.camera": isoSeconds(nowMs + skewMs),
    "clock.box": isoSeconds(nowMs),
  };
}
