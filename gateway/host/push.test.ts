import { describe, expect, it } from "vitest";
import { DeviceError } from "../driver.ts";
import { point, run, tamper, weighing } from "./test-pushing.ts";

describe("a device that pushes", () => {
  it("is listening until it is heard, and its values leave as they come", async () => {
    const { loop, sink, of } = run([point("level", 7, { scale: 0.01 }), point("rain", 8)], []);
    const to = await sink();
    expect(loop.report.state).toBe("listening");
    to.readings([{ index: 0, answer: 123 }]);
    to.readings([{ index: 1, answer: { value: 5, status: "good", sourceTimeMs: 1_790_000_000_000 } }]);
    await expect.poll(() => of("telemetry").map(({ values }) => values)).toEqual([{ 7: 1.23 }, { 8: 5 }]);
    expect(of("telemetry")[1]?.timeMs).toBe(1_790_000_000_000);
    expect(loop.report.state).toBe("online");
    expect(loop.latest().map(({ point: name, value }) => [name, value])).toEqual([
      ["level", 1.23],
      ["rain", 5],
    ]);
    // Asked for now, a pushed value is shown with its age and not as a new one.
    const [, rain] = await loop.readNow([], false);
    expect(rain?.timeMs).toBe(1_790_000_000_000);
  });

  it("knows when what it has told is on disk, its values and its records alike", async () => {
    const { sink, of, handover } = run([point("level", 7)], [weighing]);
    const to = await sink();
    const held: string[] = [];
    to.readings([{ index: 0, answer: 1 }]);
    to.record(0, [4, "51F-1", "A"]);
    void to.held!().then((isHeld) => held.push(`held ${isHeld}`));
    await expect.poll(() => [of("telemetry").length, of("transaction").length]).toEqual([1, 1]);
    expect(held).toEqual([]);
    handover.credit(1 << 16);
    await expect.poll(() => held).toEqual(["held true"]);
  });

  it("tells again what did not arrive: the device sends it again, and nobody has seen it", async () => {
    const { sink, of, handover } = run([], [tamper, weighing]);
    const to = await sink();
    const fill = (bytes: number) => {
      for (let sum = 0; sum < bytes; sum += 100) to.record(1, [4, "51F-1", "A"]);
    };
    // The outbox commits nothing: credit and ring fill up, and the alarm falls out of the ring.
    fill(1 << 20);
    const at = handover.mark();
    to.record(0, [1, true], { phase: "changed" });
    const held = to.held!();
    fill(3 << 20);
    expect(await held).toBe(false);
    expect(handover.mark()).toBeGreaterThan(at);
    handover.credit(1 << 23);
    await expect.poll(() => of("transaction").length, { timeout: 3000 }).toBeGreaterThan(10_000);
    expect(of("alarm")).toEqual([]);
    to.record(0, [1, true], { phase: "initial" });
    await expect.poll(() => of("alarm").length, { timeout: 3000 }).toBe(1);
  });

  it("shows what has been heard while points before it have not", async () => {
    const { loop, sink } = run([point("level", 7), point("rain", 8), point("wind", 9)], []);
    (await sink()).readings([{ index: 2, answer: 3 }]);
    expect(loop.latest().map(({ point: name, value }) => [name, value])).toEqual([["wind", 3]]);
  });

  it("takes no value of the past for the newest, but passes it on", async () => {
    const { loop, sink, of } = run([point("level", 7)], []);
    const to = await sink();
    const sourceTimeMs = 1_790_000_000_000;
    to.readings([{ index: 0, answer: 5 }]);
    to.readings([{ index: 0, answer: { value: 4, status: "good", past: true, sourceTimeMs } }]);
    await expect.poll(() => of("telemetry").map(({ values }) => values[7])).toEqual([5, 4]);
    expect(of("telemetry")[1]?.timeMs).toBe(sourceTimeMs);
    expect(loop.latest().map(({ value }) => value)).toEqual([5]);
  });

  it("tells what was kept with an impossible time as of unknown age", async () => {
    const { loop, sink, of } = run([point("level", 7), point("rain", 8)], [tamper, weighing]);
    const to = await sink();
    const soon = Date.now() + 4 * 3_600_000;
    const values = [
      { index: 0, answer: { value: 5, status: "good", sourceTimeMs: 600_000 } },
      { index: 1, answer: { value: 6, status: "good", sourceTimeMs: soon } },
    ] as const;
    to.readings(values, { isOld: true });
    const active = { value: true, status: "good", sourceTimeMs: soon } as const;
    to.record(0, [1, active], { phase: "initial", sourceTimeMs: soon, isOld: true });
    to.record(1, [2447, "51F-123.45", undefined], { sourceTimeMs: soon, isOld: true });
    await expect.poll(() => of("alarm").length).toBe(1);
    expect(loop.latest()).toMatchObject([
      { value: 5, status: "uncertain", code: "retained" },
      { value: 6, status: "uncertain", code: "retained" },
    ]);
    expect(of("alarm")[0]?.data).toMatchObject({
      initial: true,
      values: { moved: { value: true, quality: { status: "uncertain", code: "retained" } } },
    });
    expect(of("transaction")).toEqual([]);
    // With a time that can be true they are what they say, whatever came before.
    const sourceTimeMs = Date.now() - 3_600_000;
    to.readings([{ index: 0, answer: { value: 7, status: "good", sourceTimeMs } }], { isOld: true });
    to.record(1, [2447], { sourceTimeMs, isOld: true });
    await expect.poll(() => of("transaction").map(({ timeMs }) => timeMs)).toEqual([sourceTimeMs]);
    expect(loop.latest()).toMatchObject([{ value: 7, status: "good", timeMs: sourceTimeMs }, { value: 6 }]);
    expect(loop.report.lastGoodMs).toBeUndefined();
  });

  it("shows no value of an older time than the one that it has", async () => {
    const { loop, sink, of } = run([point("level", 7)], []);
    const to = await sink();
    const nowMs = Date.now();
    const at = (value: number, sourceTimeMs: number) =>
      to.readings([{ index: 0, answer: { value, status: "good", sourceTimeMs } }]);
    at(100, nowMs - 1000);
    at(5, nowMs - 7_200_000);
    await expect.poll(() => of("telemetry").map(({ values }) => values[7])).toEqual([100, 5]);
    expect(loop.latest().map(({ value }) => value)).toEqual([100]);
    at(101, nowMs - 500);
    expect(loop.latest().map(({ value }) => value)).toEqual([101]);
  });

  it("keeps both of two values of one point that come together", async () => {
    const { sink, of } = run([point("level", 7)], []);
    (await sink()).readings([
      { index: 0, answer: 1 },
      { index: 0, answer: 2 },
    ]);
    await expect.poll(() => of("telemetry").map(({ values }) => values[7])).toEqual([1, 2]);
  });

  it("shows what has been heard, whichever came first, and says what has not", async () => {
    const { loop, sink } = run([point("level", 7), point("rain", 8)], []);
    (await sink()).readings([{ index: 1, answer: 5 }]);
    expect(loop.latest()).toMatchObject([{ point: "rain", value: 5 }]);
    expect(await loop.readNow([], false)).toMatchObject([
      { point: "level", value: null, unheard: true },
      { point: "rain", value: 5, status: "good" },
    ]);
    expect(await loop.readNow(["rain"], false)).toHaveLength(1);
  });

  it("that is lost is not read now", async () => {
    const { loop, sink, losses } = run([point("level", 7)], []);
    (await sink()).readings([{ index: 0, answer: 1 }]);
    losses[0]?.(new DeviceError("hung-up", "gone"));
    await loop.stop();
    await expect(loop.readNow([], false)).rejects.toThrow(/not connected/);
  });

  it("is polled for what it will not push", async () => {
    let count = 0;
    const { sink, of } = run([point("level", 7), point("rain", 8)], [], 0, () => ++count);
    const to = await sink();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(of("telemetry")).toEqual([]);
    to.poll(1);
    await expect.poll(() => of("telemetry").length, { timeout: 3000 }).toBeGreaterThan(2);
    expect(of("telemetry").every(({ values }) => values[8] !== undefined && values[7] === undefined)).toBe(
      true,
    );
  });

  it("is not online by what somebody had kept of it, and its old values leave all the same", async () => {
    const { loop, sink, of } = run([point("level", 7)], [tamper]);
    const to = await sink();
    const kept = { value: 5, status: "uncertain", code: "retained" } as const;
    to.readings([{ index: 0, answer: kept }], { isOld: true });
    to.record(0, [1, true], { phase: "initial", isOld: true });
    await expect.poll(() => of("telemetry").length + of("alarm").length).toBe(2);
    expect(loop.report.state).toBe("listening");
    to.readings([{ index: 0, answer: 6 }]);
    expect(loop.report.state).toBe("online");
  });

  it("is lost when it says nothing for too long, and listened to again", async () => {
    const { loop, sink, subscriptions } = run([point("level", 7)], [], 1500);
    (await sink()).alive();
    expect(loop.report.state).toBe("online");
    const startedMs = performance.now();
    await expect.poll(() => loop.report.state, { timeout: 8000 }).toBe("lost");
    // Once, and not after a second silence.
    expect(performance.now() - startedMs).toBeLessThan(2900);
    expect(loop.report.reason).toMatch(/nothing has been heard for 2 s/);
    expect(subscriptions[0]?.signal.aborted).toBe(true);
    await sink(1);
    expect(loop.report.state).toBe("lost");
    (await sink(1)).alive();
    expect(loop.report.state).toBe("online");
  }, 15_000);

  it("is silent across the connections that were lost meanwhile, and not for the time without one", async () => {
    const { loop, sink, losses } = run([point("level", 7)], [], 2500);
    (await sink()).alive();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    losses[0]?.(new DeviceError("hung-up", "gone"));
    await sink(1);
    const startedMs = performance.now();
    await expect.poll(() => loop.report.code, { timeout: 8000 }).toBe("silent");
    expect(performance.now() - startedMs).toBeGreaterThan(300);
    expect(performance.now() - startedMs).toBeLessThan(2300);
  }, 15_000);

  it("is lost when its subscription fails or ends", async () => {
    const { loop, sink, losses, of } = run([point("level", 7)], []);
    const states = () => of("device-status").map(({ data }) => [data["state"], data["reason"]]);
    (await sink()).alive();
    losses[0]?.(new DeviceError("hung-up", "gone"));
    // A last will comes once: nobody tells it a second time.
    await expect.poll(() => loop.report.state, { timeout: 3000 }).toBe("lost");
    expect(loop.report).toMatchObject({ code: "hung-up", reason: "gone" });
    (await sink(1)).alive();
    expect(loop.report.state).toBe("online");
    // Nothing is polled: a lost connection is no poll.
    expect(loop.report).toMatchObject({ polls: 0, failed: 0 });
    expect(states()).toEqual([
      ["listening", undefined],
      ["online", undefined],
      ["lost", "gone"],
      ["online", undefined],
    ]);
  });

  it("that is told to be offline at each subscription is lost once, and asked ever more seldom", async () => {
    const { loop, sink, losses, subscriptions, of } = run([point("level", 7)], []);
    for (let nth = 0; nth < 3; nth++) {
      (await sink(nth)).readings([{ index: 0, answer: { value: 1, status: "good" } }], { isOld: true });
      losses[nth]?.(new DeviceError("hung-up", `offline ${nth}`));
    }
    const startedMs = performance.now();
    await expect.poll(() => subscriptions.length, { timeout: 8000 }).toBe(4);
    expect(performance.now() - startedMs).toBeGreaterThan(2000);
    expect(of("device-status").map(({ data }) => data["state"])).toEqual(["listening", "lost"]);
    // For people the newest reason, though it is no news.
    expect(loop.report.reason).toBe("offline 2");
  }, 20_000);

  it("whose poll is lost once is opened again without a word, but not at once each time", async () => {
    let count = 0;
    const { loop, sink, subscriptions, of } = run([point("level", 7)], [], 0, () => {
      if (++count % 2 === 0) throw new DeviceError("silent", "no answer");
      return count;
    });
    (await sink()).poll(0);
    await expect.poll(() => subscriptions.length, { timeout: 8000 }).toBe(2);
    expect(loop.report.state).toBe("online");
    expect(of("device-status").map(({ data }) => data["state"])).toEqual(["listening", "online"]);
    const startedMs = performance.now();
    await expect.poll(() => subscriptions.length, { timeout: 8000 }).toBe(4);
    expect(performance.now() - startedMs).toBeGreaterThan(1500);
  }, 20_000);

  it("that only says what makes no sense is not there, and has no last good value", async () => {
    const { loop, sink, losses } = run([point("level", 7)], []);
    const garbage = { value: null, status: "bad", code: "garbage" } as const;
    (await sink()).readings([{ index: 0, answer: garbage }]);
    expect(loop.report.state).toBe("listening");
    losses[0]?.(new DeviceError("garbage", "five in a row"));
    await expect.poll(() => loop.report.state, { timeout: 3000 }).toBe("lost");
    (await sink(1)).readings([{ index: 0, answer: garbage }]);
    expect(loop.report.state).toBe("lost");
    (await sink(1)).readings([{ index: 0, answer: 5 }], { isOld: true });
    expect(loop.report.lastGoodMs).toBeUndefined();
    (await sink(1)).readings([
      { index: 0, answer: garbage },
      { index: 0, answer: 5 },
    ]);
    expect(loop.report.state).toBe("online");
    expect(loop.report.lastGoodMs).toBeGreaterThan(Date.now() - 5000);
  });

  it("was not listened to from its last word to the next one, though its polls went on", async () => {
    const { loop, sink, losses, of } = run([point("level", 7), point("load", 8, { poll: "fast" })], []);
    (await sink()).alive();
    const heardMs = Date.now();
    await expect.poll(() => of("telemetry").length).toBeGreaterThan(0);
    // That it was lost is told as well; its polls were answered again before it spoke.
    const deaf = () => of("gap").filter(({ data }) => data?.["cause"] === "not_listening");
    losses[0]?.(new DeviceError("rejected", "no such subscription"));
    const again = await sink(1);
    expect(deaf()).toEqual([]);
    again.alive();
    await expect.poll(() => deaf().length, { timeout: 3000 }).toBe(1);
    const data = deaf()[0]?.data ?? {};
    expect(data).toMatchObject({ cause: "not_listening", code: "rejected", open: false });
    expect(data).not.toHaveProperty("pollsMissed");
    expect(Math.abs(Date.parse(String(data["from"])) - heardMs)).toBeLessThan(300);
    again.alive();
    expect(deaf()).toHaveLength(1);
    expect(loop.report.state).toBe("online");
  }, 15_000);

  it("has no outage before it is first heard, and one from its last word when it is lost", async () => {
    const { sink, of } = run([point("level", 7)], [], 1500);
    const to = await sink();
    await new Promise((resolve) => setTimeout(resolve, 600));
    to.alive();
    const heardMs = Date.now();
    to.readings([{ index: 0, answer: 1 }]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(of("gap")).toEqual([]);
    await expect.poll(() => of("gap").length, { timeout: 8000 }).toBe(1);
    (await sink(1)).readings([{ index: 0, answer: 2 }]);
    await expect.poll(() => of("gap").length).toBe(2);
    const [open, end] = of("gap").map(({ data }) => data);
    expect(open).toMatchObject({ cause: "device_offline", code: "silent", open: true });
    expect(end).toMatchObject({ cause: "device_offline", code: "silent", open: false, from: open?.["from"] });
    expect(Math.abs(Date.parse(String(open?.["from"])) - heardMs)).toBeLessThan(300);
  }, 15_000);

  it("gives a value without a time that of its arrival, beside one with an old time", async () => {
    const { loop, sink, of } = run([point("level", 7), point("rain", 8)], []);
    const sourceTimeMs = Date.now() - 3_600_000;
    (await sink()).readings([
      { index: 0, answer: { value: 1, status: "good", sourceTimeMs } },
      { index: 1, answer: 2 },
    ]);
    await expect.poll(() => of("telemetry").length).toBe(1);
    const [event] = of("telemetry");
    expect(event?.timeMs).toBe(sourceTimeMs);
    expect(Math.abs((event?.times[8] ?? 0) - Date.now())).toBeLessThan(5000);
    expect(event?.times[7]).toBe(sourceTimeMs);
    expect(loop.report.lastGoodMs).toBeGreaterThan(Date.now() - 5000);
  });
});
