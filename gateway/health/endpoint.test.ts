import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { hostname } from "node:os";
import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import type { GatewayStatus } from "../supervisor.ts";
import { HealthEndpoint } from "./http.ts";
import { Latest, within } from "./latest.ts";
import { LoopProbe } from "./loop.ts";
import { takeNotifyTarget } from "./notify.ts";
import { healthyAccounts, healthyStatus } from "./testing.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  closing.push(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

function healthy(): Promise<GatewayStatus> {
  return Promise.resolve(healthyStatus(Date.now()));
}

const noAccounts = () => Promise.resolve([]);

async function serve(status: () => Promise<GatewayStatus>) {
  const { server, port } = await listening();
  await new Promise((resolve) => server.close(resolve));
  const endpoint = new HealthEndpoint({
    host: "127.0.0.1",
    port,
    status,
    accounts: () => Promise.resolve(healthyAccounts()),
    log: pino({ level: "silent" }),
  });
  endpoint.start();
  closing.push(() => endpoint.stop());
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return { code: response.status, type: response.headers.get("content-type"), text: await response.text() };
  };
  return Object.assign(get, { port });
}

/** The whole answer to a request under a name, as a browser sends it; without one as HTTP/1.0. */
async function asked(port: number, path: string, host?: string): Promise<string> {
  const version = host === undefined ? "1.0" : `1.1\r\nHost: ${host}`;
  const socket = connect(port, "127.0.0.1");
  socket.end(`GET ${path} HTTP/${version}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe("the health endpoint", () => {
  it("answers three paths and nothing else", async () => {
    const get = await serve(healthy);
    expect(await get("/healthz")).toMatchObject({ code: 200, text: '{"ok":true,"reasons":[]}\n' });
    expect((await get("/readyz?x=1")).code).toBe(200);
    const metrics = await get("/metrics");
    expect(metrics).toMatchObject({ code: 200, type: expect.stringContaining("version=0.0.4") as string });
    expect(metrics.text).toMatch(/^kerb_device_up\{device="meter-01",driver="modbus"\} 1$/m);
    expect(await get("/")).toMatchObject({ code: 404 });
    expect(await get("/metrics", "POST")).toMatchObject({ code: 405 });
    expect(await get("/healthz", "HEAD")).toMatchObject({ code: 200, text: "" });
  });

  it("answers under its own names only: not a page whose name leads here", async () => {
    const { port } = await serve(healthy);
    for (const path of ["/metrics", "/healthz", "/readyz", "/"])
      for (const host of ["attacker.example", "attacker.example:9464", "127.0.0.1.attacker.example", ""])
        expect(await asked(port, path, host)).toMatch(/^HTTP\/1\.1 421 (.|\r\n)*is no name of this server/);
    for (const host of ["127.0.0.1:9464", "localhost", "[::1]", "10.0.0.5", hostname(), undefined])
      expect(await asked(port, "/healthz", host)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("tells alive from ready", async () => {
    const status = healthyStatus(Date.now());
    const get = await serve(() => Promise.resolve(status));
    status.outbox.failure = "SQLITE_FULL: database or disk is full";
    expect((await get("/healthz")).code).toBe(200);
    expect(await get("/readyz")).toMatchObject({
      code: 503,
      text: expect.stringContaining("outbox: SQLITE_FULL") as string,
    });
    status.loop.maxMs = 9000;
    expect(await get("/healthz")).toMatchObject({
      code: 503,
      text: expect.stringContaining("loop: ") as string,
    });
  });

  it("is alive and not ready while it starts, and says why metrics fail", async () => {
    const get = await serve(() => Promise.reject(new Error("the gateway is still opening its outbox")));
    expect((await get("/healthz")).code).toBe(200);
    expect(await get("/readyz")).toMatchObject({
      code: 503,
      text: expect.stringContaining("still opening") as string,
    });
    expect(await get("/metrics")).toMatchObject({ code: 500 });
  });

  it("does not end the gateway when its port is taken, and takes it when it is free", async () => {
    const { server, port } = await listening();
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    const endpoint = new HealthEndpoint({
      host: "127.0.0.1",
      port,
      status: healthy,
      accounts: noAccounts,
      log,
    });
    closing.push(() => endpoint.stop());
    endpoint.start();
    await expect.poll(() => lines.join("")).toContain("KERB-GW-ENDPOINT");
    expect(lines.join("")).toContain("EADDRINUSE");
    server.close();
    await expect.poll(() => lines.at(-1), { timeout: 15_000 }).toContain("health and metrics at");
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  });
});

describe("an answer that may not come", () => {
  it("is asked for once, however many wait, and the last one stands in", async () => {
    const open: ((answer: number) => void)[] = [];
    const latest = new Latest(() => new Promise<number>((resolve) => open.push(resolve)));
    const first = latest.get(10_000);
    await expect.poll(() => open.length).toBe(1);
    open[0]?.(1);
    expect(await first).toEqual({ answer: 1, silentMs: 0 });
    const late = await Promise.all([latest.get(30), latest.get(30), latest.get(30)]);
    expect(open).toHaveLength(2);
    for (const { answer, silentMs } of late) {
      expect(answer).toBe(1);
      expect(silentMs).toBeGreaterThan(20);
    }
    open[1]?.(2);
    expect(await latest.get(1000)).toMatchObject({ answer: 2, silentMs: 0 });
  });

  it("that is an error is asked for again", async () => {
    let tries = 0;
    const latest = new Latest(() => {
      if (++tries === 1) throw new Error("not yet");
      return Promise.resolve(tries);
    });
    expect((await latest.get(1000)).answer).toBeUndefined();
    expect(await latest.get(1000)).toEqual({ answer: 2, silentMs: 0 });
  });

  it("does not keep the process waiting", async () => {
    expect(await within(new Promise(() => {}), 10)).toBeUndefined();
    expect(await within(Promise.reject(new Error("no")), 10_000)).toBeUndefined();
  });
});

describe("the loop probe", () => {
  it("sees a pause of the main loop", async () => {
    const probe = new LoopProbe();
    closing.push(() => probe.stop());
    const untilMs = performance.now() + 600;
    while (performance.now() < untilMs);
    await expect.poll(() => probe.delay.maxMs).toBeGreaterThan(400);
    expect(probe.delay.p50Ms).toBeLessThanOrEqual(probe.delay.maxMs);
  });
});

describe("what systemd asks for", () => {
  it("is taken out of the environment", () => {
    const environment = {
      NOTIFY_SOCKET: "/run/x",
      WATCHDOG_USEC: "30000000",
      WATCHDOG_PID: String(process.pid),
      A: "b",
    };
    expect(takeNotifyTarget(environment)).toEqual({ socket: "/run/x", watchdogMs: 30_000 });
    expect(environment).toEqual({ A: "b" });
  });

  it("is nothing without a socket, and no pings for another process or a number that is none", () => {
    expect(takeNotifyTarget({ WATCHDOG_USEC: "1" })).toBeUndefined();
    expect(
      takeNotifyTarget({ NOTIFY_SOCKET: "@x", WATCHDOG_USEC: "5", WATCHDOG_PID: "1" })?.watchdogMs,
    ).toBeUndefined();
    expect(takeNotifyTarget({ NOTIFY_SOCKET: "@x", WATCHDOG_USEC: "soon" })?.watchdogMs).toBeUndefined();
  });
});
