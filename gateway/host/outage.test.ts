import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Outage } from "./outage.ts";

const noon = Date.UTC(2026, 10, 22, 12);
const at = (text: unknown) => Date.parse(String(text));

beforeEach(() => {
  // Only the wall clock is faked: monotonic time goes on by itself.
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => vi.useRealTimers());

it.each([
  ["from 1970", 0],
  ["an hour back", noon + 3_600_000],
])("measures an outage by one clock when the wall clock is set before the loss, %s", (_, beforeMs) => {
  vi.setSystemTime(beforeMs);
  const outage = new Outage();
  outage.read(beforeMs);
  vi.setSystemTime(noon);
  const open = outage.lost("silent", []);
  expect(Math.abs(at(open?.["from"]) - noon)).toBeLessThan(1000);
  expect(open?.["to"]).toBe(new Date(noon).toISOString());
});

it("names the one that it replaces when the clock is set between loss and return", () => {
  vi.setSystemTime(90_000);
  const outage = new Outage();
  const open = outage.lost("silent", []);
  expect(outage.lost("refused", [])).toBeUndefined();
  vi.setSystemTime(noon);
  const end = outage.end([]);
  expect(Math.abs(at(end?.["from"]) - noon)).toBeLessThan(1000);
  expect(end).toMatchObject({ code: "silent", open: false, replaces: open?.["from"] });
  expect(outage.end([])).toBeUndefined();
});
