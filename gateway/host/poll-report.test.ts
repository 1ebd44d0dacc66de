import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PollClock, PollCounter } from "./poll-report.ts";

const hourMs = 3_600_000;
const startMs = Date.UTC(2026, 10, 1, 5, 20);
const borderMs = Date.UTC(2026, 10, 1, 6);
const spans: [number, number][] = [];
let clock: PollClock;

beforeEach(() => {
  vi.useFakeTimers({ now: startMs });
  spans.length = 0;
  clock = new PollClock(hourMs, (fromMs, toMs) => spans.push([fromMs, toMs]));
});
afterEach(() => {
  clock.end();
  vi.useRealTimers();
});

describe("PollClock", () => {
  it("reports at the border, for spans that meet there, and at the end", () => {
    vi.advanceTimersByTime(2 * hourMs);
    expect(spans).toEqual([
      [startMs, borderMs],
      [borderMs, borderMs + hourMs],
    ]);
    clock.end();
    expect(spans.at(-1)).toEqual([borderMs + hourMs, startMs + 2 * hourMs]);
  });

  it("gives the border itself when the host comes late to it", () => {
    vi.advanceTimersByTime(39 * 60_000);
    vi.setSystemTime(borderMs + 1500);
    vi.advanceTimersByTime(30_000);
    expect(spans).toEqual([[startMs, borderMs]]);
  });

  it("ends a span where a clock that was set found it, and never runs backwards", () => {
    vi.setSystemTime(startMs + 50 * hourMs);
    vi.advanceTimersByTime(30_000);
    vi.setSystemTime(startMs);
    vi.advanceTimersByTime(hourMs);
    expect(spans[0]).toEqual([startMs, startMs + 50 * hourMs + 30_000]);
    for (const [from, to] of spans) expect(to).toBeGreaterThanOrEqual(from);
    expect(spans.at(-1)?.[1]).toBe(borderMs);
  });
});

describe("PollCounter", () => {
  it("gives what was added since the last report", () => {
    const counter = new PollCounter();
    const counts = { polls: 10, answered: 8, failed: 2, missed: 1 };
    expect(counter.take(counts, startMs, borderMs)).toMatchObject({ ...counts, report: "polls" });
    expect(counter.take({ ...counts, polls: 13, answered: 11 }, borderMs, borderMs + hourMs)).toEqual({
      report: "polls",
      from: "2026-11-01T06:00:00.000Z",
      to: "2026-11-01T07:00:00.000Z",
      polls: 3,
      answered: 3,
      failed: 0,
      missed: 0,
    });
  });
});
