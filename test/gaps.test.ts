import Database from "better-sqlite3";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventReader } from "../gateway/event.ts";
import type { Simulator, StartSimulator } from "../simulators/simulator.ts";
import { start as startModbus } from "../simulators/modbus/index.ts";

/** A real gateway over several runs without a link to the IOC: whatever is missing has its cause in the outbox. */

const kerb = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kerb-gaps-"));
const file = join(folder, "gateway.yaml");
const database = join(folder, "state", "outbox.db");
let meters: Simulator[] = [];
let gateway: ChildProcess | undefined;
const output: string[] = [];

const start: StartSimulator = startModbus;
const meter = (port: number) =>
  start({
    profile: "test/meter",
    identity: {},
    settings: { transport: { type: "tcp", host: "127.0.0.1", port }, unit: 1 },
    points: [
      { name: "level", address: { table: "holding", register: 1, type: "uint16" }, scale: 1, offset: 0 },
    ],
  });
const portOf = (running: Simulator | undefined) => Number(/:(\d+) unit/.exec(running?.address ?? "")?.[1]);

interface DeviceLine {
  id: string;
  port: number;
  more?: string;
}

function writeSite(devices: DeviceLine[]): void {
  const blocks = devices.map(
    ({ id, port, more = "" }) => `
  - { id: ${id}, driver: modbus, transport: { type: tcp, host: 127.0.0.1, port: ${port} }, unit: 1, timeout: 300ms,
      poll: 200ms, functions: [3], points: { level: { address: { table: holding, register: 1 } } }${more} }`,
  );
  writeFileSync(
    file,
    `version: 1
gateway: { id: gaps-gw, name: Gaps, city: test, state: ./state }
outbox: { commitAfter: 100ms }
uplinks: [{ id: ioc, type: mqtt, url: "mqtt://127.0.0.1:9", reconnectMax: 1s }]
devices:${blocks.join("")}
`,
  );
}

async function run(): Promise<void> {
  output.length = 0;
  gateway = spawn(kerb, ["run", file, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  gateway.stdout?.on("data", (bytes: Buffer) => output.push(bytes.toString()));
  gateway.stderr?.on("data", (bytes: Buffer) => output.push(bytes.toString()));
  await seen(/dev-a is online/);
}

async function seen(pattern: RegExp): Promise<void> {
  await expect.poll(() => output.join(""), { timeout: 15_000 }).toMatch(pattern);
}

async function end(signal: NodeJS.Signals): Promise<void> {
  const child = gateway;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill(signal);
  await ended;
}

interface Gap extends Record<string, unknown> {
  device: string;
  cause: string;
  fromMs: number;
  toMs: number;
}

/** The gap events of the newest epoch, from the file of a gateway that has ended. */
function gaps(): Gap[] {
  const queue = new Database(database, { readonly: true });
  const base = queue.prepare("SELECT max(base) FROM epoch").pluck().get();
  const bodies = queue
    .prepare("SELECT body FROM event WHERE lane = 0 AND id > ? ORDER BY id")
    .pluck()
    .all(base) as Buffer[];
  const names = new Map(queue.prepare("SELECT idx, id FROM device").raw().all() as [number, string][]);
  queue.close();
  const reader = new EventReader();
  return bodies.flatMap((body) => {
    reader.open(body);
    if (reader.kind !== "gap") return [];
    const data = reader.object() as { cause: string; from: string; to: string };
    const device = names.get(reader.device) ?? "";
    return [{ ...data, device, fromMs: Date.parse(data.from), toMs: Date.parse(data.to) }];
  });
}

/** The meters live in this process: while it waits for a command they answer. */
async function command(...args: string[]): Promise<{ status: number | null; stdout: string }> {
  const child = spawn(kerb, [...args, "--site", file], { stdio: ["ignore", "pipe", "ignore"] });
  let stdout = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout };
}

const books = (...args: string[]) => command("books", ...args);

beforeAll(async () => {
  meters = [await meter(0), await meter(0)];
});
afterAll(async () => {
  await end("SIGKILL");
  for (const running of meters) await running.close();
  rmSync(folder, { recursive: true, force: true });
});

const a = () => ({ id: "dev-a", port: portOf(meters[0]) });
const b = (more?: string) => ({
  id: "dev-b",
  port: portOf(meters[1]),
  ...(more === undefined ? {} : { more }),
});

describe("what is missing over the runs of a gateway", () => {
  it("has no cause in a first run", async () => {
    writeSite([a(), b()]);
    await run();
    await seen(/dev-b is online/);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { status, stdout } = await books();
    expect(stdout).toMatch(/^DEVICE +CLASS +ACCEPTED +DELIVERED +KEPT +LOST BEFORE +DROPPED$/m);
    expect(stdout).toMatch(/^dev-a +live +[1-9]\d* +0 +[1-9]\d* +0 +0$/m);
    expect(stdout).toMatch(/^dev-b +event +[1-9]/m);
    expect(stdout).toMatch(/^gaps-gw +event +[1-9]/m);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("closes: yes");
    expect(status).toBe(0);
    expect((await books("--lang", "vi")).stdout.trimEnd().split("\n").at(-1)).toBe("khớp: có");
    await end("SIGKILL");
    expect(gaps()).toEqual([]);
  }, 40_000);

  it("is box_off after a kill, disabled for a device that is switched off, config_change for a new one", async () => {
    const killedMs = Date.now();
    writeSite([a(), b(", enabled: false"), { id: "dev-c", port: portOf(meters[1]) }]);
    await run();
    await seen(/dev-c is online/);
    await end("SIGTERM");
    const found = gaps();
    expect(found).toMatchObject([
      { device: "gaps-gw", cause: "box_off", restart: "process", ended: "killed" },
      { device: "dev-b", cause: "disabled", open: true },
      { device: "gaps-gw", cause: "config_change", devices: [{ device: "dev-c", change: "added" }] },
    ]);
    for (const { fromMs, toMs } of found) {
      // The last commit before the kill: within its 100 ms, and a busy machine.
      expect(fromMs).toBeGreaterThan(killedMs - 5000);
      expect(fromMs).toBeLessThanOrEqual(killedMs + 5);
      expect(toMs).toBeGreaterThan(killedMs);
    }
  }, 40_000);

  it("is box_off after a power cut, and the end of what was disabled; a killed driver and a silent device", async () => {
    const queue = new Database(database);
    queue.exec("UPDATE epoch SET boot = 'the boot before'");
    queue.close();
    writeSite([{ ...a(), more: ", name: Renamed" }, b()]);
    await run();
    await seen(/dev-b is online/);
    const status = JSON.parse((await command("status", "--json")).stdout) as {
      data: { hosts: { pid: number }[] };
    };
    output.length = 0;
    process.kill(status.data.hosts[0]?.pid ?? 0, "SIGKILL");
    await seen(/dev-a is online/);
    meters[0]?.fault("silent");
    await seen(/dev-a is lost/);
    output.length = 0;
    meters[0]?.fault(undefined);
    await seen(/dev-a is online/);
    meters[1]?.fault("silent");
    await seen(/dev-b is lost/);
    await end("SIGTERM");
    const found = gaps();
    expect(found).toMatchObject([
      { device: "gaps-gw", cause: "box_off", restart: "boot", ended: "clean" },
      { device: "dev-b", cause: "disabled", open: false },
      { device: "gaps-gw", cause: "config_change", devices: [{ device: "dev-c", change: "removed" }] },
      { device: "gaps-gw", cause: "driver_error", driver: "modbus", devices: ["dev-a", "dev-b"] },
      { device: "dev-a", cause: "device_offline", code: "silent", open: true },
      { device: "dev-a", cause: "device_offline", code: "silent", open: false },
      { device: "dev-b", cause: "device_offline", code: "silent", open: true },
      { device: "dev-b", cause: "device_offline", code: "silent", open: true },
    ]);
    for (const { fromMs, toMs } of found) expect(toMs).toBeGreaterThan(fromMs);
    // The later one with the same start takes the place of the earlier.
    expect(found[5]?.from).toBe(found[4]?.from);
    expect(found[7]?.from).toBe(found[6]?.from);
    expect(found[3]?.["reason"]).toBe("signal SIGKILL");
  }, 60_000);

  it("is found by the books when it has no cause: they say which device does not close", async () => {
    const queue = new Database(database);
    queue.exec("DELETE FROM event WHERE id = (SELECT min(id) FROM event WHERE lane = 1)");
    queue.close();
    meters[1]?.fault(undefined);
    await run();
    const { status, stdout } = await books();
    expect(status).toBe(6);
    expect(stdout).toMatch(/^ {2}dev-[ab] live: kept \d+, rows in the file \d+$/m);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("closes: no");
    const json = JSON.parse((await books("--json")).stdout) as { ok: boolean; data: { closes: boolean } };
    expect(json).toMatchObject({ ok: true, data: { closes: false } });
    await end("SIGTERM");
  }, 40_000);
});
