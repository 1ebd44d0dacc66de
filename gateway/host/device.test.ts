import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import type { Simulator, StartSimulator } from "../../simulators/simulator.ts";
import { DeviceError, type Driver } from "../driver.ts";
import { EventReader } from "../event.ts";
import { FrameSplitter } from "../outbox/frames.ts";
import { DeviceLoop } from "./device.ts";
import { openHandover } from "./test-handover.ts";
import { Line } from "./line.ts";
import type { DeviceReport, HostDevice } from "./messages.ts";
import { pointLike } from "./test-point.ts";

const name = "modbus";
const { driver: modbus } = (await import(`../../drivers/${name}/index.ts`)) as {
  driver: Driver<unknown, unknown>;
};
const parse = (await import(`../../drivers/${name}/settings.ts`)) as {
  settings: { parse(value: unknown): Record<string, unknown> };
  address: { parse(value: unknown): unknown };
};
const simulator = (await import(`../../simulators/${name}/index.ts`)) as { start: StartSimulator };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function simulate(type: string, port: number, unit: number): Promise<Simulator> {
  const running = await simulator.start({
    profile: "test/device",
    identity: {},
    settings: { transport: { type, host: "127.0.0.1", port }, unit },
    points: [
      { name: "model", address: { table: "holding", register: 0, type: "uint16" }, scale: 1, offset: 0 },
      { name: "level", address: { table: "holding", register: 1, type: "uint16" }, scale: 1, offset: 0 },
      { name: "far", address: { table: "holding", register: 500, type: "uint16" }, scale: 1, offset: 0 },
    ],
  });
  running.set("model", 33);
  cleanups.push(() => running.close());
  return running;
}

const portOf = (running: Simulator) => Number(/:(\d+) unit/.exec(running.address)?.[1]);
const register = (number: number) => parse.address.parse({ table: "holding", register: number });

interface Setup {
  type: string;
  port: number;
  unit: number;
  line?: Line;
  identify?: HostDevice["identify"];
  timeout?: number;
  /** Modbus, by default. */
  driver?: Driver<unknown, unknown>;
}

function run({ type, port, unit, line, identify, timeout = 300, driver = modbus }: Setup) {
  const stream = new PassThrough();
  const splitter = new FrameSplitter();
  const reader = new EventReader();
  const telemetry: number[] = [];
  const gaps: Record<string, unknown>[] = [];
  const reports: Record<string, unknown>[] = [];
  stream.on("data", (bytes: Buffer) => {
    for (const { body } of splitter.push(bytes)) {
      reader.open(body);
      if (reader.kind === "telemetry") telemetry.push(performance.now());
      const data = reader.kind === "device-status" ? reader.object() : {};
      if (data["report"] === "polls") reports.push(data);
      if (reader.kind === "gap") gaps.push({ device: reader.device, ...reader.object() });
    }
  });
  const settings = { transport: { type, host: "127.0.0.1", port }, unit, timeout, functions: [3] };
  const states: string[] = [];
  const loop = new DeviceLoop({
    driver,
    line,
    phase: 0,
    handover: openHandover(stream),
    context: { deviceId: `unit-${unit}`, log: () => {} },
    changed: (report: DeviceReport) => states.push(report.state),
    device: {
      id: `unit-${unit}`,
      index: unit,
      settings: parse.settings.parse(settings),
      identify,
      firmwareRange: "*",
      records: [],
      silenceMs: 0,
      personalData: { how: "drop" },
      pollMs: { fast: 200, normal: 200, slow: 200 },
      points: [pointLike({ name: "level", index: 1, address: register(1), unit: "m" })],
    },
  });
  void loop.run();
  cleanups.push(() => loop.stop());
  return { loop, states, telemetry, gaps, reports };
}

describe("a device that is another model", () => {
  it("is not read under this id until it is the right one again", async () => {
    const running = await simulate("tcp", 0, 1);
    running.set("model", 44);
    const identify = { standard: false, expect: [{ address: register(0), equals: 33 }] };
    const { loop, telemetry } = run({ type: "tcp", port: portOf(running), unit: 1, identify });
    await expect.poll(() => loop.report.state, { timeout: 3000 }).toBe("wrong-device");
    expect(loop.report.reason).toMatch(/holds 44, the profile expects 33/);
    await expect(loop.readNow([], false)).rejects.toThrow(/not connected/);
    const before = running.counts.requests;
    // It is asked again who it is, and nothing else.
    await expect.poll(() => running.counts.requests, { timeout: 5000 }).toBeGreaterThan(before);
    expect(telemetry).toEqual([]);
    expect(loop.report.state).toBe("wrong-device");
    running.set("model", 33);
    await expect.poll(() => telemetry.length, { timeout: 8000 }).toBeGreaterThan(0);
    expect(loop.report.state).toBe("online");
  }, 20_000);
});

describe("a device that does not answer", () => {
  it("has missed the polls that came due while somebody else asked it in vain", async () => {
    const running = await simulate("tcp", 0, 1);
    const { loop, telemetry } = run({ type: "tcp", port: portOf(running), unit: 1, timeout: 2000 });
    await expect.poll(() => telemetry.length).toBeGreaterThan(2);
    const { polls, answered } = loop.report;
    running.fault("silent");
    await expect(loop.readNow([], false)).rejects.toThrow(/no answer/);
    running.fault(undefined);
    await expect.poll(() => loop.report.answered, { timeout: 8000 }).toBeGreaterThan(answered);
    // One is due every 200 ms, and it was asked for 2 s.
    expect(loop.report.polls - polls).toBeGreaterThan(7);
  }, 20_000);

  it("leaves a gap from its last good read to the first one after it, with the code of the loss", async () => {
    const running = await simulate("tcp", 0, 1);
    const { loop, telemetry, gaps } = run({ type: "tcp", port: portOf(running), unit: 1 });
    await expect.poll(() => telemetry.length).toBeGreaterThan(3);
    running.fault("silent");
    await expect.poll(() => loop.report.state, { timeout: 5000 }).toBe("lost");
    const lastGoodMs = loop.report.lastGoodMs ?? 0;
    // Told at the loss already, for nobody may live to tell its end.
    await expect.poll(() => gaps.length, { timeout: 3000 }).toBe(1);
    const from = new Date(lastGoodMs).toISOString();
    expect(gaps[0]).toMatchObject({ device: 1, cause: "device_offline", code: "silent", open: true, from });
    running.fault(undefined);
    await expect.poll(() => loop.report.state, { timeout: 8000 }).toBe("online");
    const backMs = Date.now();
    await expect.poll(() => gaps.length, { timeout: 3000 }).toBe(2);
    const [, gap] = gaps;
    expect(gap).toMatchObject({ device: 1, cause: "device_offline", code: "silent", open: false });
    expect(gap?.["from"]).toBe(from);
    expect(gap).not.toHaveProperty("replaces");
    const toMs = Date.parse(String(gap?.["to"]));
    expect(Math.abs(toMs - backMs)).toBeLessThan(1000);
    // A poll is due every 200 ms.
    expect(Math.abs(Number(gap?.["pollsMissed"]) - (toMs - lastGoodMs) / 200)).toBeLessThan(2);
  }, 20_000);

  it("is lost as before while somebody else has its port for a moment, and for that when it lasts", async () => {
    const told: (string | undefined)[] = [];
    const codes = ["silent", "busy", "busy"] as const;
    const absent: Driver<unknown, unknown> = {
      ...modbus,
      connect: () => {
        told.push(loop.report.code);
        return Promise.reject(new DeviceError(codes[told.length - 1] ?? "busy", "it does not answer"));
      },
    };
    const { loop } = run({ type: "tcp", port: 1, unit: 1, driver: absent });
    await expect.poll(() => told, { timeout: 15_000 }).toEqual([undefined, "silent", "silent", "busy"]);
  }, 20_000);

  it("leaves an open gap when it is stopped before it comes back", async () => {
    const running = await simulate("tcp", 0, 1);
    running.fault("silent");
    const startedMs = Date.now();
    const { loop, gaps } = run({ type: "tcp", port: portOf(running), unit: 1 });
    await expect.poll(() => loop.report.state, { timeout: 5000 }).toBe("lost");
    await loop.stop();
    await expect.poll(() => gaps.length, { timeout: 3000 }).toBe(2);
    expect(gaps[1]).toMatchObject({ cause: "device_offline", code: "silent", open: true });
    expect(gaps[1]?.["from"]).toBe(gaps[0]?.["from"]);
    expect(Math.abs(Date.parse(String(gaps[0]?.["from"])) - startedMs)).toBeLessThan(1000);
  }, 20_000);
});

describe("the polls of a device", () => {
  it("have one outcome each, also those that come due while it is not connected", async () => {
    const running = await simulate("tcp", 0, 1);
    const startedMs = performance.now();
    const { loop, reports } = run({ type: "tcp", port: portOf(running), unit: 1 });
    await expect.poll(() => loop.report.answered).toBeGreaterThan(3);
    running.fault("silent");
    await expect.poll(() => loop.report.state, { timeout: 5000 }).toBe("lost");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const check = () => {
      loop.reportPolls(startedMs, Date.now());
      const { polls, answered, failed, missed } = loop.report;
      expect(polls).toBe(answered + failed + missed);
      // One is due every 200 ms; the one that is due now has no outcome yet.
      expect(Math.abs(polls - (performance.now() - startedMs) / 200)).toBeLessThan(4);
      return loop.report;
    };
    expect(check().missed).toBeGreaterThan(2);
    running.fault(undefined);
    await expect.poll(() => loop.report.state, { timeout: 8000 }).toBe("online");
    check();
    await loop.stop();
    await expect.poll(() => reports.length, { timeout: 3000 }).toBe(2);
    const sum = (count: string) => reports.reduce((all, report) => all + Number(report[count]), 0);
    expect(sum("polls")).toBe(sum("answered") + sum("failed") + sum("missed"));
  }, 20_000);
});

describe("a shared line with several dead units", () => {
  it("goes on serving the healthy one when all others die together", async () => {
    const type = "rtu-over-tcp";
    const first = await simulate(type, 0, 1);
    const port = portOf(first);
    const line = new Line();
    const others = [];
    for (let unit = 2; unit <= 7; unit++) others.push(await simulate(type, port, unit));
    const healthy = run({ type, port, unit: 1, line });
    const dying = others.map((_, i) => run({ type, port, unit: i + 2, line }));
    await expect.poll(() => dying.every(({ loop }) => loop.report.state === "online")).toBe(true);
    for (const other of others) other.fault("silent");
    await expect
      .poll(() => dying.every(({ loop }) => loop.report.state === "lost"), { timeout: 15_000 })
      .toBe(true);
    // Past the first failures only every fifth slice of time is theirs.
    const fromMs = performance.now();
    const before = others.reduce((sum, { counts }) => sum + counts.requests, 0);
    await expect.poll(() => performance.now() - fromMs, { timeout: 10_000 }).toBeGreaterThan(6000);
    const asked = others.reduce((sum, { counts }) => sum + counts.requests, 0) - before;
    expect(asked).toBeLessThanOrEqual(6);
    const times = healthy.telemetry;
    const gaps = times.slice(1).map((at, i) => ({ at, gapMs: at - (times[i] ?? 0) }));
    // Nobody can know beforehand who has died: each may cost its timeout (300 ms) and the quiet after it (500 ms)
    // once, and then one at a time.
    expect(Math.max(...gaps.map(({ gapMs }) => gapMs))).toBeLessThan(8 * 850);
    // From then on it waits for one of them at the most: 800 ms, its own period, and a busy machine.
    expect(Math.max(...gaps.filter(({ at }) => at > fromMs + 500).map(({ gapMs }) => gapMs))).toBeLessThan(
      1600,
    );
    expect(healthy.loop.report.state).toBe("online");
  }, 40_000);
});

describe("a read of several requests in flight together", () => {
  it("stamps each answer when it arrives", async () => {
    const running = await simulate("tcp", 0, 1);
    const transport = { type: "tcp", host: "127.0.0.1", port: portOf(running) };
    const settings = parse.settings.parse({
      transport,
      requestsInFlight: 2,
      gapRegisters: 0,
      evenCount: false,
    });
    const { signal } = new AbortController();
    const connection = await modbus.connect(settings, { deviceId: "unit", log: () => {} }, signal);
    cleanups.push(() => connection.close());
    running.fault("late", 150);
    const points = [0, 500].map((number) => ({ name: `at ${number}`, address: register(number) }));
    const { atMs } = await connection.read(points, { signal });
    expect((atMs?.[0] ?? 0) - (atMs?.[1] ?? 0)).toBeGreaterThan(100);
  });
});
