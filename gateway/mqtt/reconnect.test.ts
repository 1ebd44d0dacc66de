import { describe, expect, it } from "vitest";
import { Reconnect, spreadOf, type Ending } from "./reconnect.ts";

const options = { firstMs: 1000, maxMs: 60_000, spreadMs: () => spreadOf(500), random: () => 1 };

function held(
  reconnect: Reconnect,
  fromMs: number,
  forMs: number,
  ending: Ending,
  why?: "suspicious" | "blamed",
): number {
  reconnect.opened(fromMs);
  return reconnect.ended(ending, fromMs + forMs, why).pauseMs;
}

/** The same, and then the port is found open: the whole pause before the next CONNECT. */
function heldAndLooked(...[reconnect, fromMs, forMs, ending, why]: Parameters<typeof held>): number {
  const beforeMs = held(reconnect, fromMs, forMs, ending, why);
  return beforeMs + reconnect.reached(fromMs + forMs + beforeMs).owedMs;
}

describe("when to connect again", () => {
  it("is at once for a good connection that was cut, and nobody has to take turns", () => {
    for (const ending of ["silent", "closed"] as const) {
      const reconnect = new Reconnect(options);
      expect(held(reconnect, 0, 100_000, ending)).toBe(0);
      expect(reconnect.reached(100_001)).toEqual({ pauseMs: 0, owedMs: 0, contested: false, isGuess: true });
    }
  });

  it("looks every second in the first minute of an outage, and at most every minute later", () => {
    const reconnect = new Reconnect(options);
    held(reconnect, 0, 100_000, "silent");
    expect(reconnect.ended("silent", 110_000).pauseMs).toBe(1000);
    expect(reconnect.ended("silent", 100_000 + 600_000).pauseMs).toBe(10_000);
    expect(reconnect.ended("silent", 100_000 + 86_400_000).pauseMs).toBe(60_000);
  });

  it("is doubled for each session in a row that did not hold, and for each refusal; late where a message may be why", () => {
    const reconnect = new Reconnect(options);
    const pauses = [0, 1, 2, 3, 4].map((i) => heldAndLooked(reconnect, i * 10_000, 2000, "closed", "blamed"));
    expect(pauses).toEqual([1000, 1000, 1000, 2000, 4000]);
    expect(held(reconnect, 50_000, 100_000, "closed")).toBe(0);
    for (const why of ["suspicious", undefined] as const) {
      const other = new Reconnect(options);
      const others = [0, 1, 2].map((i) => heldAndLooked(other, i * 100_000, 2000, "closed", why));
      expect(others).toEqual([1000, 2000, 4000]);
    }
    const refused = [0, 1, 2].map((i) => reconnect.ended("refused", 150_000 + i).pauseMs);
    expect(refused).toEqual([1000, 2000, 4000]);
  });

  it("is each client's own moment once a broker that was away is back: 500 over 33 s, one at once", () => {
    const moments = Array.from({ length: 500 }, (_, i) => {
      const reconnect = new Reconnect({ ...options, random: () => i / 500 });
      held(reconnect, 0, 100_000, "closed");
      reconnect.ended("away", 100_010);
      return reconnect.reached(103_000).pauseMs;
    });
    expect(Math.max(...moments) - Math.min(...moments)).toBeGreaterThan(30_000);
    expect(moments.filter((ms) => ms < 1000).length).toBeLessThan(30);
    const alone = new Reconnect({ ...options, spreadMs: () => spreadOf(1) });
    alone.ended("away", 0);
    expect(alone.reached(1000).pauseMs).toBeLessThan(100);
  });

  it("is each client's own moment also where the sessions before did not hold, and the broker was away for a second", () => {
    const moments = [0, 0.5, 1].map((at) => {
      const reconnect = new Reconnect({ ...options, random: () => at });
      for (const fromMs of [0, 10_000]) held(reconnect, fromMs, 2000, "closed");
      expect(held(reconnect, 20_000, 2000, "closed"), "the port is looked at first").toBe(0);
      reconnect.ended("away", 22_001);
      return reconnect.reached(24_000).pauseMs;
    });
    expect(moments).toEqual([0, spreadOf(500) / 2, spreadOf(500)]);
  });

  it("does not stay a herd after the session was established", () => {
    const reconnect = new Reconnect(options);
    reconnect.ended("away", 0);
    reconnect.opened(1000);
    reconnect.ended("silent", 100_000);
    expect(reconnect.reached(100_001).pauseMs).toBe(0);
  });

  it("is far off after two take-overs in a minute, and not after two in an hour", () => {
    const often = new Reconnect(options);
    held(often, 0, 100_000, "taken-over");
    often.opened(100_000);
    expect(often.ended("taken-over", 101_000)).toEqual({ pauseMs: 3_600_000, contested: true });
    const seldom = new Reconnect(options);
    held(seldom, 0, 100_000, "taken-over");
    seldom.opened(100_000);
    expect(seldom.ended("taken-over", 1_900_000).contested).toBe(false);
  });

  it("takes a silent session that is hung up on for a take-over only when the port is open right after", () => {
    const clone = new Reconnect(options);
    clone.opened(0);
    clone.ended("closed", 100_000, "suspicious");
    expect(clone.reached(100_001)).toMatchObject({ pauseMs: 0, contested: false });
    clone.opened(100_002);
    clone.ended("closed", 101_000, "suspicious");
    expect(clone.reached(101_001)).toMatchObject({ pauseMs: 60_000, contested: true, isGuess: true });
    const other = new Reconnect(options);
    other.opened(0);
    other.ended("closed", 1000, "suspicious");
    expect(other.reached(1001), "a suspicion").toMatchObject({ pauseMs: 0, contested: true });
    const seen = new Reconnect(options);
    for (const fromMs of [0, 1000]) {
      seen.opened(fromMs);
      seen.confirm();
      seen.ended("closed", fromMs + 900, "suspicious");
      if (fromMs === 0) seen.reached(901);
    }
    expect(seen.reached(1901)).toMatchObject({ pauseMs: 3_600_000, contested: true, isGuess: false });
    seen.opened(5_000_000);
    for (const atMs of [5_100_000, 5_100_900]) {
      seen.ended("closed", atMs, "suspicious");
      if (atMs === 5_100_000) seen.reached(atMs + 1);
      seen.opened(atMs + 2);
    }
    seen.ended("closed", 5_101_500, "suspicious");
    expect(seen.reached(5_101_501), "a session that held forgets it").toMatchObject({ isGuess: true });
    const restarts = new Reconnect(options);
    for (let i = 0; i < 4; i++) {
      restarts.opened(i * 5000);
      restarts.ended("closed", i * 5000 + 1000, "suspicious");
      restarts.ended("away", i * 5000 + 1001);
      expect(restarts.reached(i * 5000 + 2000).contested).toBe(false);
    }
  });
});
