import { describe, expect, it } from "vitest";
import { DeviceError, type Answer } from "../driver.ts";
import { saneTimeMs, tokenOf } from "./push.ts";
import { type Told, point, run, tamper, weighing } from "./test-pushing.ts";

/** Records, and what a pushing device says of its time and its state. */

describe("records", () => {
  it("leave as events of their own, personal data as tokens or not at all", async () => {
    const { sink, of } = run([], [weighing]);
    (await sink()).record(0, [2447, "51F-123.45", "Nguyen"], { sourceTimeMs: 1_790_000_000_000 });
    await expect.poll(() => of("transaction").length).toBe(1);
    const [event] = of("transaction");
    expect(event?.timeMs).toBe(1_790_000_000_000);
    expect(event?.data).toEqual({
      record: "weighing",
      privacy: "personal",
      values: { gross: { value: 24_470, unit: "kg" }, plate: { token: tokenOf("k".repeat(16), "51f12345") } },
    });
  });

  it("of a state that is told again are no news, but each channel has its own", async () => {
    const { sink, of } = run([], [tamper]);
    const to = await sink();
    to.record(0, [1, false], { phase: "initial" });
    to.record(0, [2, true], { phase: "initial" });
    to.record(0, [1, true], { phase: "changed" });
    to.record(0, [1, true], { phase: "changed" });
    to.record(0, [1, true], { phase: "initial" });
    to.record(0, [1, false], { phase: "changed" });
    to.record(0, [1], { phase: "deleted" });
    await expect
      .poll(() => of("alarm").map(({ data }) => [data["state"], data["initial"], data["values"]]))
      .toEqual([
        ["active", true, { channel: { value: 2 }, moved: { value: true } }],
        ["active", undefined, { channel: { value: 1 }, moved: { value: true } }],
        ["inactive", undefined, { channel: { value: 1 }, moved: { value: false } }],
        ["deleted", undefined, { channel: { value: 1 } }],
      ]);
  });

  it("of things that happened are each one of its own, also where the device calls them changes", async () => {
    const { sink, of } = run([], [weighing]);
    const to = await sink();
    to.record(0, [1, "51F-123.45"], { phase: "changed" });
    to.record(0, [1, "51F-123.45"], { phase: "changed" });
    to.record(0, [1, "51F-123.45"], { phase: "initial" });
    to.record(0, [1, "51F-123.45"], { phase: "changed" });
    await expect.poll(() => of("transaction").length).toBe(3);
    expect(of("transaction").map(({ data }) => data["initial"])).toEqual([undefined, undefined, undefined]);
  });

  it("of a state are told apart by what the driver says, where the profile does not", async () => {
    const { sink, of } = run([], [{ ...tamper, kind: "state" }]);
    const to = await sink();
    for (const instance of ["a", "b", "a"]) to.record(0, [1, true], { phase: "changed", instance });
    to.record(0, [1, true], { phase: "changed" });
    await expect.poll(() => of("state").length).toBe(3);
  });

  it("do not tell in a reason what only a token may tell", async () => {
    const { sink, of } = run([], [weighing]);
    const reason = 'the device told "51F-123.45"';
    (await sink()).record(0, [1, { value: null, status: "bad", code: "not-a-text", reason }]);
    await expect.poll(() => of("transaction").length).toBe(1);
    expect(JSON.stringify(of("transaction")[0]?.data)).not.toContain("51F");
    expect(of("transaction")[0]?.data).toMatchObject({
      values: { plate: { quality: { status: "bad", code: "not-a-text" } } },
    });
  });

  it("of the past are told with their time, and change nothing of what is known of now", async () => {
    const { sink, of } = run([], [tamper]);
    const to = await sink();
    const sourceTimeMs = 1_790_000_000_000;
    to.record(0, [1, false]);
    to.record(0, [1, true], { past: true, sourceTimeMs });
    to.record(0, [1, true], { phase: "changed" });
    await expect
      .poll(() => of("alarm").map(({ data }) => [data["state"], data["past"]]))
      .toEqual([
        ["inactive", undefined],
        ["active", true],
        ["active", undefined],
      ]);
    expect(of("alarm")[1]?.timeMs).toBe(sourceTimeMs);
  });

  it("of an alarm that does not say whether it is active are no all-clear", async () => {
    const { sink, of } = run([], [tamper]);
    const to = await sink();
    to.record(0, [1, true], { phase: "changed" });
    to.record(0, [1], { phase: "changed" });
    to.record(0, [1, { value: null, status: "bad" }], { phase: "changed" });
    to.record(0, [2], { phase: "changed" });
    to.record(0, [3, true]);
    to.record(0, [3], { phase: "changed" });
    to.record(0, [1, false], { phase: "changed" });
    await expect
      .poll(() => of("alarm").map(({ data }) => data["state"]))
      .toEqual(["active", "unknown", "active", "inactive"]);
  });

  it("of an alarm without a state are all news", async () => {
    const { active: _, ...momentary } = tamper;
    const { sink, of } = run([], [momentary]);
    const to = await sink();
    to.record(0, [1], { phase: "initial" });
    to.record(0, [1], { phase: "changed" });
    to.record(0, [1], { phase: "changed" });
    await expect.poll(() => of("alarm").length).toBe(3);
  });
});

describe("the time that a device gives", () => {
  it("is believed unless it cannot be true", () => {
    const nowMs = 1_790_000_000_000;
    expect(saneTimeMs(undefined, nowMs)).toBe(nowMs);
    expect(saneTimeMs(nowMs - 3_600_000, nowMs)).toBe(nowMs - 3_600_000);
    expect(saneTimeMs(nowMs + 4000, nowMs)).toBe(nowMs + 4000);
    expect(saneTimeMs(nowMs + 60_000, nowMs)).toBe(nowMs);
    expect(saneTimeMs(0, nowMs)).toBe(nowMs);
    expect(saneTimeMs(NaN, nowMs)).toBe(nowMs);
  });
});

const reportsOf = (told: Told[]) =>
  told.flatMap(({ data }) => (data["report"] === "point" ? [{ ...data, report: undefined }] : []));

describe("points that say how a device is", () => {
  it("are told when they are first known and when they change, and no more often", async () => {
    let value: Answer = true;
    const stream = point("stream", 7, { kind: "boolean", poll: "fast", status: true });
    const { of } = run([stream, point("load", 8, { poll: "fast" })], [], 0, () => value);
    const told = () => reportsOf(of("device-status"));
    await expect.poll(() => of("telemetry").length).toBeGreaterThan(2);
    expect(told()).toEqual([{ point: "stream", value: true }]);
    value = false;
    await expect.poll(() => told().length).toBe(2);
    expect(told()[1]).toEqual({ point: "stream", value: false, before: true });
    value = { value: null, status: "bad", code: "no-login", reason: "401" };
    await expect.poll(() => told().length).toBe(3);
    const quality = { status: "bad", code: "no-login", reason: "401" };
    expect(told()[2]).toEqual({ point: "stream", value: null, before: false, quality });
  });

  it("are told when they are pushed, and a new connection is no news", async () => {
    const door = point("door", 7, { kind: "boolean", status: true });
    const { sink, losses, of } = run([door, point("level", 8)], []);
    const told = () => reportsOf(of("device-status"));
    const first = await sink();
    first.readings([{ index: 1, answer: 3 }]);
    first.readings([{ index: 0, answer: true }]);
    losses[0]?.(new DeviceError("hung-up", "gone"));
    const again = await sink(1);
    again.readings([{ index: 0, answer: true }]);
    again.readings([{ index: 0, answer: false }]);
    await expect.poll(() => told().length).toBe(2);
    expect(told()).toEqual([
      { point: "door", value: true },
      { point: "door", value: false, before: true },
    ]);
  });
});
