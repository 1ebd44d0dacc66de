import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { monotonicMs } from "../clock.ts";
import { Line } from "./line.ts";
import { modbusRig, online, type Rig } from "./test-writing.ts";

/** Writes through a device's loop to a real pretend device: what is on the wire, and what is said of it. */

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function modbus(more?: Parameters<typeof modbusRig>[0]): Promise<Rig> {
  const rig = await modbusRig(more);
  rigs.push(rig);
  await online(rig);
  return rig;
}

describe("a write", () => {
  test("is done once and read back", async () => {
    const rig = await modbus();
    rig.simulator.set("level", 20);
    const startedMs = Date.now();
    const outcome = await rig.write("level", 50.5);
    expect(outcome).toMatchObject({ state: "done", before: 20, readBack: 50.5 });
    expect(outcome.code).toBeUndefined();
    expect(outcome.writtenMs).toBeGreaterThanOrEqual(startedMs);
    expect(rig.written()).toEqual(["function 6 holding 0 = 0065"]);
    const [shown] = await rig.loop.readNow(["level"], false);
    expect(shown?.value).toBe(50.5);
  });

  test.each<[string, number | string | boolean, string]>([
    ["mode", "on", "function 6 holding 2 = 0001"],
    ["relay", true, "function 5 coil 4 = ff00"],
    ["temperature", 21.5, "function 16 holding 5 = 00020441ac0000"],
    ["temperature", 0.1, "function 16 holding 5 = 0002043dcccccd"],
    ["temperature", 1234.567, "function 16 holding 5 = 000204449a5225"],
    ["guarded", -23.4, "function 6 holding 3 = ff16"],
    ["power", 1.5, "function 6 holding 9 = 000f"],
    ["lamp", true, "function 22 holding 1 = ffdf0020"],
  ])("of %s = %s is %s", async (point, value, wire) => {
    const rig = await modbus();
    const outcome = await rig.write(point, value);
    expect(outcome).toMatchObject({ state: "done" });
    expect(rig.written()).toEqual([wire]);
    if (typeof value === "number") expect(outcome.readBack).toBeCloseTo(value, 3);
    else expect(outcome.readBack).toBe(value);
  });

  test.each<[string, number | string | boolean, string]>([
    ["level", 50.25, "rejected"],
    ["level", 100.5, "value"],
    ["level", -0.5, "value"],
    ["level", Number.NaN, "value"],
    ["level", Infinity, "value"],
    ["level", "50", "value"],
    ["level", true, "value"],
    ["mode", "auto", "value"],
    ["mode", "dark", "value"],
    ["mode", "constructor", "value"],
    ["mode", 1, "value"],
    ["relay", 1, "value"],
    ["guarded", 3276.8, "rejected"],
    ["guarded", 0.05, "rejected"],
    ["temperature", 16_777_217, "rejected"],
    ["power", 1.55, "rejected"],
    ["count", 5, "not-writable"],
    ["toString", 5, "no-such-point"],
  ])("of %s = %s is refused as %s, and nothing is sent", async (point, value, code) => {
    const rig = await modbus();
    expect(await rig.write(point, value)).toMatchObject({ state: "failed", code });
    expect(rig.written()).toEqual([]);
  });

  test("is not done while an interlock says no, or cannot be read", async () => {
    const rig = await modbus();
    rig.simulator.set("door", 1);
    expect(await rig.write("guarded", 1)).toMatchObject({
      state: "failed",
      code: "interlock",
      reason: "door is true, and must be false",
    });
    expect(rig.written()).toEqual([]);
    rig.simulator.set("door", 0);
    expect(await rig.write("guarded", 1)).toMatchObject({ state: "done" });
    expect(rig.written()).toHaveLength(1);
  });

  test("is seen at another point where the profile says so", async () => {
    const rig = await modbus();
    expect(await rig.write("setpoint", 5, 300)).toMatchObject({
      state: "failed",
      code: "not-as-commanded",
      before: 0,
      readBack: 0,
    });
    rig.simulator.writes!.heard = () => void setTimeout(() => rig.simulator.set("actual", 6), 100);
    expect(await rig.write("setpoint", 6)).toMatchObject({ state: "done", before: 0, readBack: 6 });
    expect(rig.written()).toHaveLength(2);
  });

  test("that the device refuses is failed with its own word, and tried once", async () => {
    const rig = await modbus({ more: { functions: [3, 5] } });
    // The driver's settings allow what this device does not have.
    const strict = await modbus({
      placed: (address) => ({
        transport: { type: "tcp", host: "127.0.0.1", port: Number(/:(\d+) unit/.exec(address)?.[1]) },
        functions: [1, 3, 6],
      }),
      more: { functions: [1, 3] },
    });
    expect(await strict.write("level", 5)).toMatchObject({ state: "failed", code: "rejected" });
    expect((await strict.write("level", 5)).reason).toMatch(/modbus-1, illegal function/);
    expect(strict.simulator.writes?.all.map(({ isTaken }) => isTaken)).toEqual([false, false]);
    // Not even asked.
    expect(await rig.write("level", 5)).toMatchObject({ state: "failed", code: "unsupported" });
    expect(rig.written()).toEqual([]);
    // A refusal costs nobody the connection.
    expect(strict.loop.report.state).toBe("online");
    expect((await strict.loop.readNow(["level"], false))[0]?.status).toBe("good");
  });

  test("that the device takes and does not do is failed, not as commanded", async () => {
    const rig = await modbus();
    rig.simulator.writes!.heard = () => rig.simulator.set("level", 7);
    expect(await rig.write("level", 50, 400)).toMatchObject({
      state: "failed",
      code: "not-as-commanded",
      before: 0,
      readBack: 7,
    });
    expect(rig.written()).toHaveLength(1);
  });

  test("that the device does after a while is done", async () => {
    const rig = await modbus();
    rig.simulator.writes!.heard = () => {
      rig.simulator.set("level", 0);
      setTimeout(() => rig.simulator.set("level", 50), 250);
    };
    expect(await rig.write("level", 50)).toMatchObject({ state: "done", before: 0, readBack: 50 });
    expect(rig.written()).toHaveLength(1);
  });

  test("to a device that falls silent over it is unknown, and never sent again", async () => {
    const rig = await modbus({ more: { timeout: 200 } });
    rig.simulator.writes!.heard = () => rig.simulator.fault("silent");
    expect(await rig.write("level", 50, 1500)).toMatchObject({ state: "unknown", code: "silent", before: 0 });
    rig.simulator.fault(undefined);
    await sleep(500);
    expect(rig.written()).toHaveLength(1);
  });

  test("whose answer is lost is done where it can be seen in time", async () => {
    const rig = await modbus({ more: { timeout: 200 } });
    rig.simulator.writes!.heard = () => {
      rig.simulator.fault("silent");
      setTimeout(() => rig.simulator.fault(undefined), 300);
    };
    expect(await rig.write("level", 50, 8000)).toMatchObject({ state: "done", before: 0, readBack: 50 });
    expect(rig.written()).toHaveLength(1);
  });

  test("whose answer is lost and that cannot be seen is unknown, though the device is there again", async () => {
    const rig = await modbus({ more: { timeout: 200 } });
    rig.simulator.writes!.heard = () => {
      rig.simulator.set("level", 3);
      rig.simulator.fault("silent");
      setTimeout(() => rig.simulator.fault(undefined), 300);
    };
    expect(await rig.write("level", 50, 3000)).toMatchObject({
      state: "unknown",
      code: "silent",
      readBack: 3,
    });
    expect(rig.written()).toHaveLength(1);
  });

  test("after which the connection is lost is unknown", async () => {
    const rig = await modbus();
    // The answer still goes out; what comes after it does not.
    rig.simulator.writes!.heard = () => setImmediate(() => rig.simulator.fault("restart", 5000));
    const outcome = await rig.write("setpoint", 5, 1500);
    expect(outcome).toMatchObject({ state: "unknown", before: 0 });
    expect(["not-read-back", "hung-up"]).toContain(outcome.code);
    expect(outcome.readBack).toBeUndefined();
    expect(rig.written()).toHaveLength(1);
  });

  test("that only another unit shows, which has come in its place, is unknown", async () => {
    const rig = await modbus({
      more: { timeout: 200 },
      device: {
        identify: {
          standard: false,
          serial: { table: "holding", register: 8, type: "uint16" },
          expect: [],
        },
      },
    });
    rig.simulator.writes!.heard = () => {
      rig.simulator.set("count", 78);
      rig.simulator.fault("silent");
      setTimeout(() => rig.simulator.fault(undefined), 300);
    };
    expect(await rig.write("level", 50, 3000)).toMatchObject({ state: "unknown", code: "silent" });
    await expect.poll(() => rig.loop.report.unwritable?.code, { timeout: 10_000 }).toBe("other-unit");
    expect(rig.written()).toHaveLength(1);
  });

  test("to a device that does not answer before it is failed, and nothing is sent", async () => {
    const rig = await modbus({ more: { timeout: 200 } });
    rig.simulator.fault("silent");
    const requests = rig.simulator.counts.requests;
    expect(await rig.write("level", 50, 1000)).toMatchObject({ state: "failed", code: "silent" });
    rig.simulator.fault(undefined);
    expect(rig.simulator.counts.requests).toBeGreaterThan(requests);
    expect(await rig.write("level", 50, 1)).toMatchObject({ state: "failed" });
    expect(rig.written()).toEqual([]);
  });

  test("that the end of the host meets is unknown", async () => {
    const rig = await modbus({ more: { timeout: 5000 } });
    rig.simulator.writes!.heard = () => rig.simulator.fault("silent");
    const writing = rig.write("level", 50, 10_000);
    await expect.poll(() => rig.written().length).toBe(1);
    await rig.loop.stop();
    expect(await writing).toMatchObject({ state: "unknown", code: "aborted" });
    expect(await rig.write("level", 51)).toMatchObject({ state: "failed" });
    expect(rig.written()).toHaveLength(1);
  });
});

describe("a write that must begin in time", () => {
  test("is not begun after that, whatever time it had to be done", async () => {
    const rig = await modbus();
    expect(await rig.write("level", 5, 3000, monotonicMs() - 1)).toMatchObject({
      state: "failed",
      code: "no-turn",
    });
    // The look before it takes longer than there is.
    rig.simulator.fault("slow", 300);
    expect(await rig.write("level", 6, 8000, monotonicMs() + 100)).toMatchObject({ code: "no-turn" });
    rig.simulator.fault(undefined);
    expect(rig.written()).toEqual([]);
    expect(rig.loop.report.state).toBe("online");
  });

  test("does not wait for its turn any longer", async () => {
    const rig = await modbus();
    rig.simulator.writes!.heard = () => rig.simulator.set("level", 7);
    const startedMs = performance.now();
    const stubborn = rig.write("level", 50, 3000).then(() => performance.now());
    expect(await rig.write("level", 51, 8000, monotonicMs() + 100)).toMatchObject({ code: "no-turn" });
    const saidMs = performance.now();
    expect(await stubborn).toBeGreaterThan(saidMs);
    expect(saidMs - startedMs).toBeGreaterThan(90);
    expect(rig.written()).toHaveLength(1);
  });

  test("that is begun in time has all its time to be seen", async () => {
    const rig = await modbus();
    rig.simulator.writes!.heard = () => {
      rig.simulator.set("level", 0);
      setTimeout(() => rig.simulator.set("level", 50), 1500);
    };
    expect(await rig.write("level", 50, 8000, monotonicMs() + 1000)).toMatchObject({ state: "done" });
  });
});

describe("evidence of a write", () => {
  test("is read now, at the point where the write is seen", async () => {
    const rig = await modbus();
    rig.simulator.set("setpoint", 9);
    rig.simulator.set("actual", 4);
    expect(await rig.shown("setpoint")).toEqual({ value: 4 });
    expect(await rig.shown("setpoint", 9)).toEqual({ value: 4, isSame: false });
    rig.simulator.set("actual", 9);
    expect(await rig.shown("setpoint", 9)).toEqual({ value: 9, isSame: true });
  });

  test("is in the words and to the digits that the device has", async () => {
    const rig = await modbus();
    rig.simulator.set("temperature", 0.1);
    expect(await rig.shown("temperature", 0.1)).toMatchObject({ isSame: true });
    expect(await rig.shown("temperature", 0.1001)).toMatchObject({ isSame: false });
    rig.simulator.set("mode", 1);
    expect(await rig.shown("mode", "on")).toEqual({ value: "on", isSame: true });
    expect(await rig.shown("mode", "off")).toEqual({ value: "on", isSame: false });
  });

  test("is none of a point that is not written, of a silent device and of another unit", async () => {
    const rig = await modbus({ more: { timeout: 200 } });
    expect(await rig.shown("ghost")).toMatchObject({ value: null, code: "no-such-point" });
    expect(await rig.shown("count")).toMatchObject({ value: null, code: "not-writable" });
    rig.simulator.fault("silent");
    expect(await rig.shown("level", 0)).toMatchObject({ value: null, code: "silent" });
    const identify = {
      standard: false,
      serial: { table: "holding", register: 8, type: "uint16" },
      expect: [],
    };
    const other = await modbus({ device: { serial: "A1", identify } });
    expect(await other.shown("level", 0)).toMatchObject({ value: null, code: "other-unit" });
  });
});

describe("who is not known is not written to", () => {
  test("another unit than the one that was there first", async () => {
    const rig = await modbus({
      device: {
        serial: "A1",
        identify: {
          standard: false,
          serial: { table: "holding", register: 8, type: "uint16" },
          expect: [],
        },
      },
    });
    expect(await rig.write("level", 5)).toMatchObject({ state: "failed", code: "other-unit" });
    expect(rig.written()).toEqual([]);
  });

  test("a firmware that the profile does not know", async () => {
    const rig = await modbus({
      more: { functions: [3, 6, 43] },
      identity: { vendor: "Kerb", model: "K", firmware: "3.0" },
      device: { firmwareRange: ">=1.0 <2.0" },
    });
    expect(await rig.write("level", 5)).toMatchObject({ state: "failed", code: "firmware-unknown" });
    expect(rig.written()).toEqual([]);
  });

  test("whoever it is, where nobody can note it", async () => {
    const rig = await modbus({ keeps: false });
    expect(await rig.write("level", 5)).toMatchObject({ state: "failed", code: "unidentified" });
    expect(rig.written()).toEqual([]);
  });

  test("a device that is gone", async () => {
    const rig = await modbus({ more: { timeout: 200 } });
    rig.simulator.fault("refuse");
    await rig.loop.readNow([], false).catch(() => {});
    expect(await rig.write("level", 5)).toMatchObject({ state: "failed", code: "not-connected" });
    expect(rig.written()).toEqual([]);
  });
});

/** Reads that take 200 ms each, and how many requests were answered when the write came. */
async function overtakes(line: Line | undefined): Promise<void> {
  const type = line === undefined ? "tcp" : "rtu-over-tcp";
  const transport = { type, host: "127.0.0.1", port: 0 };
  const first = await modbus({ ...(line === undefined ? {} : { line }), more: { transport } });
  const rig = first;
  rig.simulator.fault("slow", 200);
  const order: string[] = [];
  const reads = Array.from({ length: 8 }, (_, i) =>
    rig.loop.readNow(["count"], false).then(() => order.push(`read ${i}`)),
  );
  await sleep(50);
  const before = rig.simulator.counts.requests;
  const startedAt = performance.now();
  const writing = rig.write("level", 9, 10_000).then((outcome) => {
    order.push("write");
    return outcome;
  });
  expect(await writing).toMatchObject({ state: "done" });
  const tookMs = performance.now() - startedAt;
  // The read that had begun, then the look, the write and the read-back, with nobody between.
  expect(order).toEqual(["read 0", "write"]);
  expect(rig.simulator.writes!.all[0]!.request - before).toBe(2);
  expect(tookMs).toBeLessThan(1600);
  await Promise.all(reads);
  expect(order).toHaveLength(9);
}

describe("a write goes ahead of what waits", () => {
  test("on its connection", () => overtakes(undefined), 20_000);
  test("on a line that it shares", () => overtakes(new Line()), 20_000);

  test("of other devices on the line, too", async () => {
    const line = new Line();
    const order: string[] = [];
    const rig = await modbus({
      line,
      more: { transport: { type: "rtu-over-tcp", host: "127.0.0.1", port: 0 } },
    });
    const release = await line.acquire();
    const others = Array.from({ length: 5 }, async (_, i) => {
      const leave = await line.acquire();
      order.push(`other ${i}`);
      await sleep(20);
      leave();
    });
    const own = rig.loop.readNow([], false).then(() => order.push("own poll"));
    await sleep(20);
    rig.simulator.writes!.heard = () => order.push("write");
    const writing = rig.write("level", 9);
    await sleep(20);
    release();
    await Promise.all([...others, own, writing]);
    expect(order[0]).toBe("write");
  });

  test("and waits for an earlier write to the device, whose read-back it must not disturb", async () => {
    const rig = await modbus();
    const outcomes = await Promise.all([1, 2, 3, 4].map((value) => rig.write("level", value)));
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "done", "done", "done"]);
    expect(outcomes.map(({ before }) => before)).toEqual([0, 1, 2, 3]);
    rig.simulator.writes!.heard = () => rig.simulator.set("level", 7);
    const [stubborn, late] = await Promise.all([rig.write("level", 50, 600), rig.write("level", 51, 200)]);
    expect(stubborn).toMatchObject({ state: "failed", code: "not-as-commanded" });
    expect(late).toMatchObject({ state: "failed", code: "no-turn" });
    expect(rig.written()).toHaveLength(5);
  });
});
