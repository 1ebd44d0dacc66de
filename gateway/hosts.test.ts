import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import type { FromHost, HostDevice, ToHost } from "./host/messages.ts";
import { packDevices } from "./host/pack.ts";
import { Host, type HostOptions } from "./hosts.ts";

const log = pino({ level: "silent" });
const running: Host[] = [];

const folders: string[] = [];
const children: ChildProcess[] = [];

/** A driver written in the test, by the name under which a host finds it. */
function driverFolder(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), "kerb-driver-"));
  folders.push(folder);
  writeFileSync(join(folder, "index.ts"), source);
  return relative(fileURLToPath(new URL("../drivers", import.meta.url)), folder);
}

const device = (index: number): HostDevice => ({
  id: `device-${index}`,
  index,
  settings: {},
  identify: undefined,
  firmwareRange: "*",
  records: [],
  silenceMs: 0,
  personalData: { how: "drop" },
  pollMs: { fast: 1000, normal: 1000, slow: 1000 },
  points: [],
});

function start(more: Partial<HostOptions> = {}) {
  const reasons: string[] = [];
  const host = new Host({
    driver: "modbus",
    devices: [],
    gatewayIndex: 1,
    log,
    frames: () => {},
    changed: () => {},
    quarantined: () => {},
    failed: (reason) => reasons.push(reason),
    returned: () => {},
    ...more,
  });
  running.push(host);
  host.start();
  return { host, reasons };
}

/** Longer than the kernel takes for one variable: spawn throws E2BIG. */
function startWithLongVariable() {
  process.env["FAKE_HOST_TEST"] = "x".repeat(200_000);
  try {
    return start();
  } finally {
    delete process.env["FAKE_HOST_TEST"];
  }
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((host) => host.stop()));
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("a host process", () => {
  it("is started again when it is killed, and answers again", async () => {
    const returns: { fromMs: number; reason: string }[] = [];
    const { host, reasons } = start({ returned: (fromMs, reason) => returns.push({ fromMs, reason }) });
    await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
    const { pid } = host.status;
    const killedMs = Date.now();
    process.kill(pid ?? 0, "SIGKILL");
    await expect
      .poll(() => host.status.state === "running" && host.status.pid !== pid, { timeout: 10_000 })
      .toBe(true);
    expect(reasons).toEqual(["signal SIGKILL"]);
    expect(returns).toEqual([{ fromMs: expect.any(Number) as number, reason: "signal SIGKILL" }]);
    // Its last sign of life was its last heartbeat.
    expect(returns[0]?.fromMs).toBeGreaterThan(killedMs - 2500);
    expect(returns[0]?.fromMs).toBeLessThanOrEqual(killedMs + 50);
    expect(host.status.restarts).toBe(1);
    expect(await host.request({ name: "devices" })).toEqual([]);
  });

  it("that cannot be started is started again later, and the gateway lives", async () => {
    const { host, reasons } = startWithLongVariable();
    expect(host.status.state).toBe("waiting");
    expect(reasons).toEqual([expect.stringMatching(/E2BIG/)]);
    await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
    expect(host.status.restarts).toBe(1);
  });

  it("runs a device that is released while its driver is still being loaded", async () => {
    const folder = driverFolder(`
      await new Promise((resolve) => setTimeout(resolve, 500));
      export const driver = {
        name: "slow",
        describe: () => "",
        connect: async () => ({
          identify: async () => ({}),
          read: async () => ({ answers: [] }),
          close: async () => {},
        }),
      };
    `);
    const child = fork(fileURLToPath(new URL("host/main.ts", import.meta.url)), {
      execArgv: [],
      stdio: ["ignore", "inherit", "inherit", "ipc", "pipe", "ignore"],
    });
    children.push(child);
    const told: FromHost[] = [];
    child.on("message", (message: FromHost) => told.push(message));
    child.send({
      type: "start",
      driver: folder,
      devices: packDevices([device(1)]),
      gatewayIndex: 0,
      clock: { isWrong: false, staleMarkMs: undefined },
      held: [1],
      watchClosely: false,
      sealEveryMs: 3_600_000,
      creditBytes: 1 << 20,
      ringBytesMax: 1 << 20,
    } satisfies ToHost);
    child.send({ type: "release", device: 1 } satisfies ToHost);
    await expect
      .poll(() => told.flatMap((message) => (message.type === "state" ? [message.report.state] : [])), {
        timeout: 10_000,
      })
      .toContain("online");
  });

  it("is killed when its heartbeat stops, as an endless loop or a blocked call does it", async () => {
    const { host, reasons } = start();
    await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
    process.kill(host.status.pid ?? 0, "SIGSTOP");
    await expect.poll(() => reasons, { timeout: 15_000 }).toEqual(["no heartbeat for 6 s"]);
  });

  it("that ends by itself is said to have, though something that it has started holds its channel", async () => {
    const holder = `
      import { spawn } from "node:child_process";
      spawn("sleep", ["4"], { stdio: ["ignore", "ignore", "ignore", 3], detached: true }).unref();
      process.exit(7);
    `;
    const { reasons } = start({ driver: driverFolder(holder) });
    await expect.poll(() => reasons[0], { timeout: 15_000 }).toBe("exit status 7");
  });

  it("is killed when it takes more memory than it may", async () => {
    const { reasons } = start({ rssBytesMax: 20_000_000 });
    await expect.poll(() => reasons[0] ?? "", { timeout: 10_000 }).toMatch(/MB of memory, 20 are allowed/);
  });

  it("backs off when its driver cannot be loaded, and says why not to who asks", async () => {
    const { host, reasons } = start({ driver: "no-such-driver" });
    await expect.poll(() => reasons.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    expect(reasons[0]).toBe("exit status 1");
    await expect(host.request({ name: "devices" })).rejects.toThrow(/no-such-driver host is/);
  });

  it("is waited for while its driver takes long to load", async () => {
    const folder = driverFolder(`
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 7500);
      export const driver = { name: "slow" };
    `);
    const { host, reasons } = start({ driver: folder });
    await expect.poll(() => host.status.state, { timeout: 15_000 }).toBe("running");
    expect(reasons).toEqual([]);
  });

  it("hands over all that it has before it ends", async () => {
    const folder = driverFolder(`
      export const driver = {
        name: "chatty",
        describe: () => "",
        connect: async () => ({
          identify: async () => ({ model: "x".repeat(700_000) }),
          read: async () => ({ answers: [] }),
          close: async () => {},
        }),
      };
    `);
    let bytes = 0;
    const { host } = start({
      driver: folder,
      devices: [0, 1, 2, 3].map((index) => device(index)),
      frames: (stream, chunk) => {
        bytes += chunk.length;
        // A supervisor that is busy: the pipe is full when the host ends.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        host.credit(stream, chunk.length);
      },
    });
    await expect.poll(() => host.status.state, { timeout: 5000 }).toBe("running");
    await host.stop();
    expect(bytes).toBeGreaterThan(4 * 700_000);
  });

  it("ends with its supervisor's word, and leaves no process behind", async () => {
    const { host } = start();
    await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
    const { pid } = host.status;
    const startedMs = performance.now();
    await host.stop();
    expect(performance.now() - startedMs).toBeLessThan(2500);
    expect(host.status.state).toBe("stopped");
    await sleep(50);
    expect(() => process.kill(pid ?? 0, 0)).toThrow(/ESRCH/);
  });
});
