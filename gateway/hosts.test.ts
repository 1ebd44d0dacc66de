import pino from "pino";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Host } from "./hosts.ts";

const log = pino({ level: "silent" });
const running: Host[] = [];

function start(more: { driver?: string; rssBytesMax?: number } = {}) {
  const reasons: string[] = [];
  const host = new Host({
    driver: "modbus",
    devices: [],
    gatewayIndex: 1,
    log,
    frames: () => {},
    changed: () => {},
    failed: (reason) => reasons.push(reason),
    ...more,
  });
  running.push(host);
  host.start();
  return { host, reasons };
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((host) => host.stop()));
});

describe("a host process", () => {
  it("is started again when it is killed, and answers again", async () => {
    const { host, reasons } = start();
    await expect.poll(() => host.status.state).toBe("running");
    const { pid } = host.status;
    process.kill(pid ?? 0, "SIGKILL");
    await expect
      .poll(() => host.status.state === "running" && host.status.pid !== pid, { timeout: 10_000 })
      .toBe(true);
    expect(reasons).toEqual(["signal SIGKILL"]);
    expect(host.status.restarts).toBe(1);
    expect(await host.request({ name: "devices" })).toEqual([]);
  });

  it("is killed when its heartbeat stops, as an endless loop or a blocked call does it", async () => {
    const { host, reasons } = start();
    await expect.poll(() => host.status.state).toBe("running");
    process.kill(host.status.pid ?? 0, "SIGSTOP");
    await expect.poll(() => reasons, { timeout: 15_000 }).toEqual(["no heartbeat for 6 s"]);
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

  it("ends with its supervisor's word, and leaves no process behind", async () => {
    const { host } = start();
    await expect.poll(() => host.status.state).toBe("running");
    const { pid } = host.status;
    await host.stop();
    expect(host.status.state).toBe("stopped");
    await sleep(50);
    expect(() => process.kill(pid ?? 0, 0)).toThrow(/ESRCH/);
  });
});
