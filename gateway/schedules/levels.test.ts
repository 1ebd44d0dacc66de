import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { levelAt, type ScheduleEntry, timeOf, weekdays } from "./levels.ts";
import { instantOf, localAt } from "./local-time.ts";
import { sunTime } from "./sun.ts";

const saigon = { timeZone: "Asia/Ho_Chi_Minh" };
const berlin = { timeZone: "Europe/Berlin" };
const night: ScheduleEntry[] = [
  { at: "17:45", value: 100 },
  { at: "23:00", value: 50, days: ["mon", "tue", "wed", "thu", "fri"] },
  { at: "05:30", value: 0 },
];
const valueAt = (schedule: ScheduleEntry[], time: string, site = saigon) =>
  levelAt(schedule, Date.parse(time), site)?.value;

const two = (number: number) => String(number).padStart(2, "0");

describe("levelAt", () => {
  it.each([
    ["2026-11-20T17:44:59+07:00", 0],
    ["2026-11-20T17:45:00+07:00", 100],
    ["2026-11-20T22:59:59+07:00", 100],
    ["2026-11-20T23:00:00+07:00", 50], // a Friday
    ["2026-11-21T03:00:00+07:00", 50],
    ["2026-11-21T05:30:00+07:00", 0],
    ["2026-11-21T23:30:00+07:00", 100], // a Saturday
    ["2026-11-22T05:29:00+07:00", 100],
  ])("says what holds at %s", (time, value) => {
    expect(valueAt(night, time)).toBe(value);
  });

  it("says from when until when, over the days that have none", () => {
    const weekly: ScheduleEntry[] = [
      { at: "08:00", value: 1, days: ["wed"] },
      { at: "07:00:30", value: 2, days: ["tue"] },
    ];
    expect(levelAt(weekly, Date.parse("2026-11-24T07:00:29+07:00"), saigon)).toEqual({
      value: 1,
      sinceMs: Date.parse("2026-11-18T08:00:00+07:00"),
      untilMs: Date.parse("2026-11-24T07:00:30+07:00"),
    });
  });

  it("takes a time that is left out when the clocks go forward over it, and one that comes twice at its first", () => {
    const spring: ScheduleEntry[] = [
      { at: "01:00", value: 1 },
      { at: "02:30", value: 2 },
    ];
    expect(valueAt(spring, "2026-03-29T00:59:59Z", berlin)).toBe(1);
    expect(levelAt(spring, Date.parse("2026-03-29T01:00:00Z"), berlin)).toMatchObject({
      value: 2,
      sinceMs: Date.parse("2026-03-29T01:00:00Z"),
    });
    expect(levelAt(spring, Date.parse("2026-10-25T01:10:00Z"), berlin)).toMatchObject({
      value: 2,
      sinceMs: Date.parse("2026-10-25T00:30:00Z"),
      untilMs: Date.parse("2026-10-26T00:00:00Z"),
    });
  });

  it("follows the sun, and says nothing where it never sets", () => {
    const lamps: ScheduleEntry[] = [
      { at: "sunset-15m", value: 100 },
      { at: "sunrise+10m", value: 0 },
    ];
    const site = { ...saigon, location: { lat: 10.7769, lon: 106.7009 } };
    const { sinceMs = 0, untilMs = 0 } = levelAt(lamps, Date.parse("2026-06-21T20:00:00+07:00"), site) ?? {};
    expect(Math.abs(sinceMs - Date.parse("2026-06-21T18:03:00+07:00"))).toBeLessThan(60_000);
    expect(Math.abs(untilMs - Date.parse("2026-06-22T05:42:00+07:00"))).toBeLessThan(60_000);
    const arctic = { timeZone: "Europe/Oslo", location: { lat: 78.2, lon: 15.6 } };
    expect(levelAt(lamps, Date.parse("2026-06-21T12:00:00Z"), arctic)).toBeUndefined();
    expect(levelAt(lamps, Date.parse("2026-06-21T12:00:00Z"), saigon)).toBeUndefined();
  });

  const zones = [
    "Asia/Ho_Chi_Minh",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
  ];
  const entry = fc.record({
    at: fc.tuple(fc.nat(23), fc.nat(59)).map(([hour, minute]) => `${two(hour)}:${two(minute)}`),
    value: fc.nat(100),
    days: fc.option(fc.uniqueArray(fc.constantFrom(...weekdays), { minLength: 1 }), { nil: undefined }),
  });
  const schedules = fc.array(entry, { minLength: 1, maxLength: 5 });
  const instants = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2040, 0, 1) });

  it("is total, holds now, and stays until it ends and no longer", () => {
    fc.assert(
      fc.property(schedules, instants, fc.constantFrom(...zones), (schedule, nowMs, timeZone) => {
        const level = levelAt(schedule, nowMs, { timeZone });
        if (level === undefined) throw new Error("no level");
        const { sinceMs, untilMs } = level;
        expect(sinceMs).toBeLessThanOrEqual(nowMs);
        expect(untilMs).toBeGreaterThan(nowMs);
        expect(untilMs - sinceMs).toBeLessThanOrEqual(8 * 86_400_000);
        for (const at of [sinceMs, Math.floor((sinceMs + untilMs) / 2), untilMs - 1])
          expect(levelAt(schedule, at, { timeZone })).toEqual(level);
        expect(levelAt(schedule, untilMs, { timeZone })?.sinceMs).toBe(untilMs);
      }),
      { numRuns: 300 },
    );
  });

  it("says what a clock on the wall says, where that is not set", () => {
    fc.assert(
      fc.property(schedules, instants, (schedule, nowMs) => {
        // The same by counting back minute by minute from now.
        let minute = Math.floor(nowMs / 60_000);
        const fits = (one: ScheduleEntry): boolean => {
          const shown = new Date(minute * 60_000 + 7 * 3_600_000).toISOString();
          const day = weekdays[new Date(shown).getUTCDay()]!;
          return shown.slice(11, 16) === one.at && (one.days?.includes(day) ?? true);
        };
        while (!schedule.some(fits)) minute--;
        expect(levelAt(schedule, nowMs, saigon)?.value).toBe(schedule.findLast(fits)?.value);
      }),
      { numRuns: 50 },
    );
  });

  it("finds the instant of each time that clocks show", () => {
    fc.assert(
      fc.property(instants, fc.constantFrom(...zones), (nowMs, timeZone) => {
        const second = Math.floor(nowMs / 1000) * 1000;
        const shown = localAt(second, timeZone);
        const found = instantOf(shown, timeZone);
        expect(localAt(found, timeZone)).toBe(shown);
        expect(found).toBeLessThanOrEqual(second);
      }),
      { numRuns: 500 },
    );
  });
});

describe("timeOf", () => {
  it.each(["24:00", "7:45", "17:60", "17:45:60", "sunset-0m", "sunset+7h", "sunset+999m", "noon", ""])(
    "knows no %j",
    (at) => {
      expect(timeOf(at)).toBeUndefined();
    },
  );
});

/** As almanacs have them, by the minute (U.S. Naval Observatory and NOAA tables). */
describe("sunTime", () => {
  const london = { lat: 51.5074, lon: -0.1278 };
  const newYork = { lat: 40.7128, lon: -74.006 };
  const sydney = { lat: -33.8688, lon: 151.2093 };
  it.each([
    ["sunrise", "2026-06-21", london, "2026-06-21T04:43:00+01:00"],
    ["sunset", "2026-06-21", london, "2026-06-21T21:21:00+01:00"],
    ["sunrise", "2026-12-21", london, "2026-12-21T08:04:00Z"],
    ["sunset", "2026-12-21", london, "2026-12-21T15:53:00Z"],
    ["sunrise", "2026-06-21", newYork, "2026-06-21T05:25:00-04:00"],
    ["sunset", "2026-06-21", newYork, "2026-06-21T20:31:00-04:00"],
    ["sunrise", "2026-12-21", sydney, "2026-12-21T05:41:00+11:00"],
    ["sunset", "2026-12-21", sydney, "2026-12-21T20:05:00+11:00"],
  ] as const)("%s of %s", (event, day, place, published) => {
    const found = sunTime(event, Date.parse(`${day}T00:00:00Z`), place) ?? 0;
    expect(Math.abs(found - Date.parse(published))).toBeLessThan(75_000);
  });
});
