import { describe, expect, it } from "vitest";
import { Pace, type Flight } from "./pace.ts";

interface Line {
  bytesPerMs: number;
  /** There and back when it is empty. */
  delayMs: number;
}

/** A line in virtual time: fill as much as the pace admits, and `burst` live messages every second. */
function drive(line: Line, messageBytes: number, burst: number, seconds: number) {
  const pace = new Pace();
  const flying: { flight: Flight; lane: "live" | "fill"; backMs: number }[] = [];
  const count = { live: 0, fill: 0 };
  const queueMs: number[] = [];
  let busyUntilMs = 0;
  let sent = 0;
  let liveWaiting = 0;
  for (let nowMs = 0; nowMs < seconds * 1000; nowMs++) {
    if (nowMs % 1000 === 500) liveWaiting += burst;
    for (let next = flying[0]; next !== undefined && next.backMs <= nowMs; next = flying[0]) {
      flying.shift();
      count[next.lane]--;
      pace.land(next.flight, nowMs, true);
    }
    for (;;) {
      const lane = liveWaiting > 0 ? "live" : "fill";
      if (!pace.admits(lane, count[lane])) break;
      if (lane === "live") liveWaiting--;
      const flight = pace.leave(messageBytes, messageBytes, nowMs);
      // What an alarm that comes now waits for.
      if (nowMs > 5000) queueMs.push(Math.max(0, busyUntilMs - nowMs));
      busyUntilMs = Math.max(busyUntilMs, nowMs) + flight.bytes / line.bytesPerMs;
      flying.push({ flight, lane, backMs: busyUntilMs + line.delayMs });
      count[lane]++;
      if (nowMs > 5000) sent += flight.bytes;
    }
  }
  return {
    use: sent / ((seconds - 5) * 1000 * line.bytesPerMs),
    queueMs: Math.max(...queueMs),
    rate: pace.rate,
  };
}

describe("the pace of a line", () => {
  const lines: [string, Line][] = [
    ["256 kbit/s, near", { bytesPerMs: 32, delayMs: 20 }],
    ["256 kbit/s, far", { bytesPerMs: 32, delayMs: 400 }],
    ["64 kbit/s", { bytesPerMs: 8, delayMs: 200 }],
    ["2 Mbit/s", { bytesPerMs: 250, delayMs: 60 }],
  ];
  it.each(lines)("is learnt and used, with little in front of an alarm: %s", (_name, line) => {
    const { use, queueMs, rate } = drive(line, 1200, 3, 40);
    expect(rate).toBeGreaterThan(line.bytesPerMs * 0.8);
    expect(rate).toBeLessThan(line.bytesPerMs * 1.2);
    expect(use).toBeGreaterThan(0.7);
    const messageMs = 1350 / line.bytesPerMs;
    expect(queueMs).toBeLessThan(250 + 3 * messageMs);
  });

  it("makes smaller messages for a line on which one would take long", () => {
    const pace = new Pace();
    expect(pace.fillFormBytes(16_384)).toBe(16_384);
    for (let i = 0; i < 20; i++) pace.land(pace.leave(8000, 16_000, i * 1000), i * 1000 + 1000, true);
    expect(pace.fillFormBytes(16_384)).toBeLessThan(3000);
  });

  it("goes down with the line within seconds", () => {
    const pace = new Pace();
    let nowMs = 0;
    for (let i = 0; i < 50; i++) pace.land(pace.leave(1200, 1200, nowMs), (nowMs += 10), true);
    const before = pace.rate;
    for (let i = 0; i < 10; i++) pace.land(pace.leave(1200, 1200, nowMs), (nowMs += 1000), true);
    expect(pace.rate).toBeLessThan(before / 20);
  });
});
