import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Note, noFigures } from "./host/notes.ts";
import { culprit, type Death, Quarantine } from "./quarantine.ts";

const mebibyte = 1024 * 1024;
const minuteMs = 60_000;

function death(more: Partial<Omit<Death, "note">> & { note?: Partial<Note> }): Death {
  return {
    how: "exit",
    signal: undefined,
    stepsBefore: 0,
    rssBytes: 100 * mebibyte,
    ...more,
    note: { ...noFigures, fault: undefined, ...more.note },
  };
}

describe("who has ended a host", () => {
  it.each([
    ["a crash", { how: "signal", signal: "SIGSEGV", note: { running: 5 } }, 5],
    ["an uncaught error", { how: "exit", note: { running: 5 } }, 5],
    ["an endless loop", { how: "hung", note: { running: 5, account: 5 } }, 5],
    [
      "an endless chain of promises",
      { how: "hung", note: { account: 5, steps: 9000 }, stepsBefore: 7000 },
      5,
    ],
    [
      "a host that was stopped while idle",
      { how: "hung", note: { account: 5, steps: 7 }, stepsBefore: 7 },
      undefined,
    ],
    ["a driver that cannot be loaded", { how: "exit" }, undefined],
    ["a kill from outside", { how: "signal", signal: "SIGKILL", note: { running: 5 } }, undefined],
  ] as [string, Parameters<typeof death>[0], number | undefined][])("%s", (_, parts, expected) => {
    expect(culprit(death(parts))).toBe(expected);
  });

  const grown = { account: 2, accountBytes: 10 * mebibyte, rssAtStart: 60 * mebibyte };
  it("memory: the device that has taken most of it, whoever runs when the host is killed", () => {
    const note = {
      ...grown,
      running: 2,
      rssAtSwitch: 300 * mebibyte,
      leader: 5,
      leaderBytes: 200 * mebibyte,
    };
    expect(culprit(death({ how: "memory", note, rssBytes: 300 * mebibyte }))).toBe(5);
    expect(culprit(death({ how: "signal", signal: "SIGKILL", note, rssBytes: 300 * mebibyte }))).toBe(5);
    expect(culprit(death({ how: "signal", signal: "SIGABRT", note, rssBytes: 300 * mebibyte }))).toBe(5);
  });

  it("memory: the device that is taking it at this moment, all at once", () => {
    const note = { ...grown, running: 2, rssAtSwitch: 80 * mebibyte, leader: 5, leaderBytes: 15 * mebibyte };
    expect(culprit(death({ how: "memory", note, rssBytes: 400 * mebibyte }))).toBe(2);
  });

  it("memory: nobody when the growth is spread", () => {
    const note = { ...grown, rssAtSwitch: 400 * mebibyte, leader: 5, leaderBytes: 40 * mebibyte };
    expect(culprit(death({ how: "memory", note, rssBytes: 400 * mebibyte }))).toBeUndefined();
  });
});

describe("a quarantine", () => {
  it("holds a device after its third death within an hour, and tries it after 10 min, 20 min … 6 h", () => {
    const quarantine = new Quarantine();
    let nowMs = 1000;
    expect(quarantine.died(5, nowMs)).toBeUndefined();
    expect(quarantine.died(5, (nowMs += minuteMs))).toBeUndefined();
    expect(quarantine.died(5, (nowMs += minuteMs))).toMatchObject({
      device: 5,
      deaths: 3,
      pauseMs: 10 * minuteMs,
    });
    const pauses: number[] = [];
    for (let pauseMs = 10 * minuteMs; pauses.length < 8;) {
      expect(quarantine.held).toEqual([5]);
      expect(quarantine.due(nowMs + pauseMs - 1)).toEqual([]);
      expect(quarantine.due((nowMs += pauseMs))).toEqual([5]);
      expect(quarantine.held).toEqual([]);
      expect(quarantine.isWary(nowMs + minuteMs)).toBe(true);
      pauseMs = quarantine.died(5, (nowMs += 30 * minuteMs))?.pauseMs ?? 0;
      pauses.push(pauseMs / minuteMs);
    }
    expect(pauses).toEqual([20, 40, 80, 160, 320, 360, 360, 360]);
  });

  it("forgives deaths that lie more than an hour apart", () => {
    const quarantine = new Quarantine();
    for (let i = 0; i < 20; i++) expect(quarantine.died(5, i * 31 * minuteMs)).toBeUndefined();
    expect(quarantine.isWary(19 * 31 * minuteMs + 59 * minuteMs)).toBe(true);
    expect(quarantine.isWary(19 * 31 * minuteMs + 61 * minuteMs)).toBe(false);
  });

  it("holds the bad devices within four deaths each and never a healthy one, in 300 random lives of a host", () => {
    const kinds = fc.constantFrom("loop", "promises", "crash", "throw", "leak", "foreign");
    const step = fc.record({
      kind: kinds,
      bad: fc.nat(),
      bystander: fc.nat(),
      afterMs: fc.integer({ min: 500, max: 20 * minuteMs }),
    });
    const life = fc.record({
      devices: fc.integer({ min: 2, max: 40 }),
      badCount: fc.integer({ min: 1, max: 3 }),
      steps: fc.array(step, { minLength: 30, maxLength: 60 }),
    });
    fc.assert(
      fc.property(life, ({ devices, badCount, steps }) => {
        const quarantine = new Quarantine();
        const bad = Array.from({ length: Math.min(badCount, devices - 1) }, (_, i) => (i * 7) % devices);
        const deaths = new Map<number, number[]>();
        let nowMs = 0;
        for (const { kind, bad: pick, bystander, afterMs } of steps) {
          nowMs += afterMs;
          quarantine.due(nowMs);
          const free = bad.filter((device) => !quarantine.held.includes(device));
          const guilty = free[pick % free.length];
          const other = bystander % devices;
          if (kind === "foreign" || guilty === undefined) {
            // Somebody kills or stops the host while any device runs, or none.
            const running = other % 2 === 0 ? other : -1;
            quarantine.died(culprit(death({ how: "signal", signal: "SIGKILL", note: { running } })), nowMs);
            continue;
          }
          const known = quarantine.isWary(nowMs) || kind === "throw";
          const note: Partial<Note> = !known
            ? {}
            : kind === "leak"
              ? {
                  account: other,
                  accountBytes: other === guilty ? 250 * mebibyte : 0,
                  rssAtSwitch: 390 * mebibyte,
                  rssAtStart: 90 * mebibyte,
                  running: other,
                  leader: guilty,
                  leaderBytes: 250 * mebibyte,
                }
              : kind === "promises"
                ? { account: guilty, steps: 10 }
                : { running: guilty, account: guilty };
          const how = (
            { loop: "hung", promises: "hung", crash: "signal", throw: "exit", leak: "memory" } as const
          )[kind];
          quarantine.died(
            culprit(
              death({
                how,
                signal: kind === "crash" ? "SIGSEGV" : undefined,
                note,
                rssBytes: 390 * mebibyte,
              }),
            ),
            nowMs,
          );
          const recent = [...(deaths.get(guilty) ?? []), nowMs].filter((at) => nowMs - at < 60 * minuteMs);
          deaths.set(guilty, recent);
          if (recent.length >= 4 && known) expect(quarantine.held).toContain(guilty);
        }
        for (const device of quarantine.held) expect(bad).toContain(device);
      }),
      { numRuns: 300 },
    );
  });
});
