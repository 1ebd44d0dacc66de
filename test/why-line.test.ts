import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SerialPort } from "serialport";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { askOnce, controlSocket } from "../gateway/cli/site.ts";
import { loadSite } from "../gateway/config/config.ts";
import { climbed } from "../gateway/diagnosis/ladder.ts";
import { healthyStatus } from "../gateway/health/testing.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { envelope, kerbProgram, launcher } from "./cli-rig.ts";
import type { Place } from "./contract/contract.ts";
import { serialLine } from "./contract/serial-line.ts";
import { closePretended, portOf, pretend } from "./pretend.ts";

/** A serial line on which devices hear only what is sent at their own rate, and `kerb why` where that is another one. */

const serial = serialLine("rtu", (port) => ({ port }));
if (serial.missing !== undefined) console.warn(`skipped: ${serial.missing}`);

const folder = mkdtempSync(join(tmpdir(), "kerb-line-"));
const file = join(folder, "gateway.yaml");
const meter = "eastron/sdm630";
let line: Place;
let port = "";
/** The driver's end, to look at how it is set. */
let descriptor = 0;
let wire: SerialPort;
let far: Socket;
let first: Simulator;
let gateway: ChildProcess | undefined;
/** At which rate the devices speak. */
let rate = 38_400;
/** What was sent since the test began: at which rates, and with which Modbus functions. */
const rates = new Set<number>();
const functions = new Set<number | undefined>();
let chunks = 0;

function rateNow(): number {
  const { stdout } = spawnSync("stty", ["speed"], {
    stdio: [descriptor, "pipe", "inherit"],
    encoding: "utf8",
  });
  return Number(stdout);
}

async function openWire(): Promise<void> {
  line = await serial.open();
  const end = (which: "driver" | "simulator"): string =>
    String(line.settings({ end: which, device: 1, timeoutMs: 500, at: undefined })["port"]);
  port = end("driver");
  descriptor = openSync(port, constants.O_RDWR | constants.O_NOCTTY);
  const transport = { type: "rtu-over-tcp", host: "127.0.0.1", port: 0 };
  first = await pretend("modbus", meter, { transport, unit: 1 });
  await pretend("modbus", meter, { transport: { ...transport, port: portOf(first) }, unit: 2 });
  far = connect(portOf(first), "127.0.0.1");
  wire = new SerialPort({ path: end("simulator"), baudRate: 9600 });
  await Promise.all([once(far, "connect"), once(wire, "open")]);
  far.on("data", (bytes: Buffer) => void wire.write(bytes));
  wire.on("data", (bytes: Buffer) => {
    const now = rateNow();
    chunks++;
    rates.add(now);
    functions.add(bytes[1]);
    if (now === rate) far.write(bytes);
  });
}

function write(...devices: { id: string; unit: number; baud: number }[]): void {
  const whole = devices.map(({ id, unit, baud }) => ({
    id,
    unit,
    driver: "modbus",
    profile: meter,
    poll: "500ms",
    timeout: "600ms",
    transport: { type: "rtu", port, baud },
  }));
  const head = { id: "line", name: "Line", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway: head, devices: whole }));
}

/** The same in a file of their own, where people change them; gives that file. */
function writeApart(...devices: Parameters<typeof write>): string {
  write(...devices);
  const { devices: all, ...site } = JSON.parse(readFileSync(file, "utf8")) as { devices: object[] };
  const own = join(folder, "devices.d", "line.yaml");
  mkdirSync(join(folder, "devices.d"), { recursive: true });
  writeFileSync(own, JSON.stringify({ devices: all }, undefined, 1));
  writeFileSync(file, JSON.stringify({ ...site, include: ["devices.d/*.yaml"] }));
  return own;
}

async function set(id: string, ...given: string[]) {
  const program = kerbProgram("device", "set", id, ...given, "--yes", "--json", "--site", file);
  const code = await program.ended;
  const { data, error } = envelope(program.lines.join("\n"));
  return { code, data, error: error as unknown as { code: string; causes: { do: string }[] } };
}

function run(): void {
  const environment = { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8" };
  gateway = spawn(launcher, ["run", file], { env: environment, stdio: "ignore" });
}

async function until(id: string, state: string): Promise<void> {
  for (;;) {
    const status = await askOnce<GatewayStatus>(controlSocket(file), { verb: "status" }).catch(
      () => undefined,
    );
    if (status?.devices.some((one) => one.id === id && one.state === state)) return;
    await sleep(100);
  }
}

async function why(id: string) {
  const program = kerbProgram("why", id, "--json", "--site", file);
  const code = await program.ended;
  const { data } = envelope(program.lines.join("\n"));
  const [cause] = data["causes"] as { code: string; seen: string }[];
  return { code, cause: cause?.code, seen: cause?.seen };
}

describe.skipIf(serial.missing !== undefined)("a serial line", { timeout: 60_000 }, () => {
  beforeAll(openWire);
  afterEach(async () => {
    if (gateway !== undefined) {
      const ended = once(gateway, "close");
      gateway.kill("SIGTERM");
      await ended;
    }
    // What was still on the wire belongs to the test that has ended.
    for (let before = -1; before !== chunks; await sleep(300)) before = chunks;
    gateway = undefined;
    first.fault(undefined);
    rates.clear();
    functions.clear();
  });
  afterAll(async () => {
    await new Promise((resolve) => wire.close(resolve));
    far.destroy();
    closeSync(descriptor);
    await closePretended();
    await line.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("that no gateway reads is searched at other rates, and the right one is named", async () => {
    write({ id: "meter", unit: 1, baud: 9600 });
    expect(await why("meter")).toEqual({
      code: 6,
      cause: "KERB-LINE-SETTINGS",
      seen: "unit 1 answers at 38400-8N1; the site file says unit 1 at 9600-8N1, where nobody does",
    });
    expect([...functions].filter((one) => one !== 3 && one !== 4)).toEqual([]);
  });

  it("of which the gateway has lost all devices is searched too", async () => {
    write({ id: "meter", unit: 1, baud: 38_400 });
    run();
    await until("meter", "online");
    rate = 19_200;
    await until("meter", "lost");
    const found = await why("meter");
    rate = 38_400;
    expect(found).toMatchObject({ code: 6, cause: "KERB-LINE-SETTINGS" });
    expect(found.seen).toContain("unit 1 answers at 19200-8");
  });

  it("on which another device is read is left alone", async () => {
    write({ id: "meter", unit: 1, baud: 38_400 }, { id: "mate", unit: 2, baud: 38_400 });
    run();
    await until("meter", "online");
    await until("mate", "online");
    first.fault("silent");
    await until("meter", "lost");
    rates.clear();
    expect(await why("meter")).toMatchObject({ code: 6, cause: "KERB-MB-UNIT" });
    // The polls of the other device.
    await expect.poll(() => [...rates], { timeout: 5000 }).toEqual([38_400]);
  });

  it.each(["online", "starting"] as const)("on which another device is %s is not opened", async (state) => {
    write({ id: "meter", unit: 1, baud: 9600 }, { id: "mate", unit: 2, baud: 9600 });
    const { devices, gateway: own } = await loadSite(file);
    const nowMs = Date.now();
    const status = healthyStatus(nowMs);
    const [one] = status.devices;
    const place = { over: "serial", path: port, line: "9600-8N1" } as const;
    const lost = { state: "lost", code: "silent", reason: "no answer" } as const;
    status.devices = [
      { ...one!, id: "meter", place: { ...place, unit: "unit 1" }, ...lost },
      { ...one!, id: "mate", place: { ...place, unit: "unit 2" }, state },
    ];
    const { causes } = await climbed({
      device: devices[0]!,
      siblings: devices.slice(1),
      stateFolder: own.stateFolder,
      known: { status, readings: [], nowMs },
      signal: AbortSignal.timeout(30_000),
      searchMs: 10_000,
    });
    expect(causes.map(({ code }) => code)).toEqual([
      state === "online" ? "KERB-MB-UNIT" : "KERB-LINE-SILENT",
    ]);
    expect([...rates]).toEqual([]);
  });

  it("is not said to be searched where the port is another program's", async () => {
    write({ id: "meter", unit: 1, baud: 9600 });
    const other = new SerialPort({ path: port, baudRate: 9600 });
    await once(other, "open");
    const program = kerbProgram("why", "meter", "--site", file);
    const code = await program.ended;
    await new Promise((resolve) => other.close(resolve));
    expect([code, program.lines.join("\n")]).toEqual([6, expect.stringContaining("KERB-LINE-BUSY")]);
    expect(program.errorLines.join("\n")).not.toContain("line settings are tried");
  });

  it("is not given settings at which the device does not answer", async () => {
    const own = writeApart({ id: "meter", unit: 1, baud: 38_400 });
    const before = readFileSync(own, "utf8");
    const { code, error } = await set("meter", "transport.baud=9600");
    expect([code, error.code]).toEqual([5, "KERB-LINE-SETTINGS"]);
    expect(error.causes[0]?.do).toContain("kerb device set meter ");
    expect(readFileSync(own, "utf8")).toBe(before);
  });

  it("that the gateway holds is not tried, and how the device was says nothing of how it will be", async () => {
    writeApart({ id: "meter", unit: 1, baud: 38_400 });
    run();
    await until("meter", "online");
    first.fault("slow", 400);
    await expect
      .poll(() => why("meter"), { timeout: 30_000 })
      .toMatchObject({ code: 6, cause: "KERB-DEV-SLOW" });
    const { code, data } = await set("meter", "timeout=5s");
    expect({ code, data }).toMatchObject({ code: 0, data: { tested: false, causes: [] } });
  });

  it("on which nobody answers is silent, with what was tried; Ctrl-C ends the search", async () => {
    write({ id: "meter", unit: 1, baud: 9600 });
    rate = 300;
    const silent = await why("meter");
    expect(silent).toMatchObject({ code: 6, cause: "KERB-LINE-SILENT" });
    expect(silent.seen).toMatch(/with 9600-8N1, nor with 19200-8E1, 9600-8E1, 19200-8N1, /);
    rates.clear();
    const program = kerbProgram("why", "meter", "--site", file);
    while (rates.size < 2) await sleep(20);
    expect(await program.stop("SIGINT")).toBe(130);
    const seen = rates.size;
    rate = 38_400;
    expect(seen).toBeLessThan(7);
  });
});
