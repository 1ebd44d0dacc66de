import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askOnce, controlSocket } from "../gateway/cli/site.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { envelope, kerbProgram } from "./cli-rig.ts";
import { freePort } from "./ports.ts";
import { closePretended, portOf, pretend, someone } from "./pretend.ts";
import { noisy, type Listening } from "./why-rig.ts";

/** Nine faults at once in the field of one running gateway; `kerb why` names the cause of each. */

const folder = mkdtempSync(join(tmpdir(), "kerb-faults-"));
const file = join(folder, "gateway.yaml");
const relays: Listening[] = [];
const held: Socket[] = [];
const rsmpIdentity = { ...someone };
let theSwitch: ChildProcess;
/** The pretend traffic signal. */
let restarts: Simulator;
let gateway: ReturnType<typeof kerbProgram>;

const tcp = (port: number, host = "127.0.0.1") => ({ type: "tcp", host, port });

/** A switch in a process of its own, which can be stopped: what comes in then waits for ever, as behind a dead cable. */
async function startSwitch(to: number, hosts: readonly string[]): Promise<number[]> {
  const script = `
    const net = require("node:net");
    for (const host of ${JSON.stringify(hosts)}) {
      const server = net.createServer((near) => {
        const far = net.connect(${to}, "127.0.0.1");
        const end = () => (near.destroy(), far.destroy());
        near.on("error", end).on("close", end).pipe(far).on("error", end).on("close", end).pipe(near);
      });
      server.listen({ host, port: 0, backlog: 1 }, () => console.log(host + " " + server.address().port));
    }`;
  theSwitch = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const ports = new Map<string, number>();
  for await (const line of createInterface({ input: theSwitch.stdout! })) {
    const [host = "", port] = line.split(" ");
    ports.set(host, Number(port));
    if (ports.size === hosts.length) break;
  }
  return hosts.map((host) => ports.get(host) ?? 0);
}

const switched = ["127.9.9.1", "127.9.9.2", "127.9.9.3"];

beforeAll(async () => {
  const meter = "eastron/sdm630";
  const camera = { user: "kerb", password: "Trial-7-only" };
  const cameras = [await freePort(), await freePort()];
  const closed = await freePort();
  const rsmpPort = await freePort();
  const site = {
    host: "127.0.0.1",
    port: rsmpPort,
    siteId: "KERB+1=001TC",
    sxl: ["1.2.0", "1.9.0"],
    reconnect: "50ms",
    wait: "2s",
  };
  const [, skewed, controller] = await Promise.all([
    pretend("onvif", "onvif/profile-t", { ...camera, port: cameras[0], rtspPort: cameras[0] }),
    pretend("onvif", "onvif/profile-t", { ...camera, port: cameras[1], rtspPort: cameras[1] }),
    pretend("rsmp", "rsmp/tlc", { ...site, reconnect: 50, wait: 2000 }, rsmpIdentity),
  ]);
  const open = { transport: { type: "tcp", host: "127.0.0.1", port: 0 }, unit: 1 };
  const [good, mute, slow] = await Promise.all([
    pretend("modbus", meter, open),
    pretend("modbus", meter, open),
    pretend("modbus", meter, open),
  ]);
  const bus = await pretend("modbus", meter, {
    transport: { ...open.transport, type: "rtu-over-tcp" },
    unit: 1,
  });
  const line = await noisy({ host: "127.0.0.1", port: portOf(bus) });
  relays.push(line);
  const ports = await startSwitch(portOf(good), switched);
  restarts = controller;
  skewed.fault("clockWrong");
  mute.fault("silent");
  slow.fault("slow", 150);
  const modbus = { driver: "modbus", profile: meter, poll: "200ms", timeout: "300ms", unit: 1 };
  const onvif = { driver: "onvif", profile: "onvif/profile-t", poll: "500ms", ...camera };
  const devices = [
    {
      ...onvif,
      id: "cam-password",
      host: "127.0.0.1",
      port: cameras[0],
      rtspPort: cameras[0],
      password: "not-this-one",
    },
    { ...onvif, id: "cam-clock", host: "127.0.0.1", port: cameras[1], rtspPort: cameras[1] },
    { ...modbus, id: "meter-unit", transport: tcp(portOf(good)), unit: 9 },
    { ...modbus, id: "meter-port", transport: tcp(closed) },
    { ...modbus, id: "meter-silent", transport: tcp(portOf(mute)) },
    { ...modbus, id: "meter-slow", transport: tcp(portOf(slow)), poll: "100ms", timeout: "1s" },
    { ...modbus, id: "air-noise", transport: { ...tcp(line.port), type: "rtu-over-tcp" } },
    { driver: "rsmp", profile: "rsmp/tlc", id: "signal-firmware", ...site, identifyEvery: "10s" },
    ...switched.map((host, index) => ({
      ...modbus,
      id: `post-${index + 1}`,
      transport: tcp(ports[index]!, host),
    })),
  ];
  const head = { id: "faults", name: "Nine faults", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway: head, devices }));
  gateway = kerbProgram("run", file);
}, 30_000);

afterAll(async () => {
  for (const socket of held) socket.destroy();
  theSwitch.kill("SIGKILL");
  for (const relay of relays) await relay.close();
  await closePretended();
  rmSync(folder, { recursive: true, force: true });
});

async function said(...args: string[]) {
  const program = kerbProgram(...args, "--site", file, "--json");
  const code = await program.ended;
  return { code, data: envelope(program.lines.join("\n")).data, errors: program.errorLines };
}

type Device = GatewayStatus["devices"][number];

interface Told {
  severity: string;
  object?: string;
  code: string;
  behind?: string[];
}

async function devicesNow(): Promise<Device[]> {
  return (await askOnce<GatewayStatus>(controlSocket(file), { verb: "status" })).devices;
}

/** The switch dies: whoever is connected hears nothing more, and nobody new comes in. */
async function unplug(): Promise<void> {
  theSwitch.kill("SIGSTOP");
  for (const { id, place } of await devicesNow())
    if (id.startsWith("post-") && place?.over === "tcp")
      for (let index = 0; index < 3; index++) held.push(connect(place).on("error", () => {}));
}

const expected: [device: string, cause: string][] = [
  ["cam-password", "KERB-ONVIF-LOGIN"],
  ["cam-clock", "KERB-ONVIF-CLOCK"],
  ["meter-unit", "KERB-MB-UNIT"],
  ["meter-port", "KERB-NET-PORT"],
  ["meter-silent", "KERB-MB-SILENT"],
  ["meter-slow", "KERB-DEV-SLOW"],
  ["air-noise", "KERB-MB-NOISE"],
  ["signal-firmware", "KERB-DEV-FIRMWARE"],
  ["post-2", "KERB-NET-SWITCH"],
];

test(
  "nine faults at once: each has its own cause, and the switch drags its devices along",
  { timeout: 90_000 },
  async () => {
    await gateway.line(/is running/);
    const untilMs = performance.now() + 40_000;
    const waitFor = async (device: string, isSo: (one: Device) => boolean): Promise<void> => {
      for (;;) {
        // A gateway that has just started has no status yet.
        const found = (await devicesNow().catch(() => [])).find(({ id }) => id === device);
        if (found !== undefined && isSo(found)) return;
        if (performance.now() > untilMs) throw new Error(`${device}: ${JSON.stringify(found)}`);
        await sleep(100);
      }
    };
    await waitFor("post-3", ({ state }) => state === "online");
    await waitFor("signal-firmware", ({ state }) => state === "online" || state === "listening");
    // The controller comes back with another list of signals than its profile speaks of.
    rsmpIdentity.firmware = "1.9.0";
    restarts.fault("restart", 100);
    await unplug();
    await waitFor("post-3", ({ state }) => state === "lost");
    await waitFor("meter-slow", ({ missed }) => missed > 5);
    await waitFor("signal-firmware", ({ unwritable }) => unwritable?.code === "firmware-unknown");
    const found = await Promise.all(
      expected.map(async ([device]) => {
        const { data, code } = await said("why", device);
        const causes = (data["causes"] as { code: string }[]).map((one) => one.code);
        if (process.env["SHOW"] === device) console.log(device, code, JSON.stringify(data, null, 1));
        return [device, causes.join()];
      }),
    );
    expect(found).toEqual(expected);
    const { data, code } = await said("problems");
    const problems = data["problems"] as Told[];
    if (process.env["SHOW"]) console.log(JSON.stringify(problems, null, 1));
    expect(code).toBe(6);
    expect(problems[0]).toMatchObject({ code: "KERB-NET-SWITCH", behind: ["post-1", "post-2", "post-3"] });
    expect(problems.filter(({ object }) => object?.startsWith("post-"))).toEqual([]);
    // What stands in the report is the same, the devices behind the switch folded under it.
    const { data: signed } = await said("report");
    const { report } = signed as { report: { problems: Told[]; summary: { blocking: number } } };
    const blocking = report.problems.filter(({ severity }) => severity === "blocking");
    expect(report.problems.slice(0, blocking.length)).toEqual(blocking);
    expect(report.summary.blocking).toBe(blocking.length);
    expect(report.problems.filter(({ code: one }) => one === "KERB-NET-SWITCH")).toMatchObject([
      { severity: "blocking", behind: ["post-1", "post-2", "post-3"] },
    ]);
    expect(report.problems.filter(({ object }) => object?.startsWith("post-"))).toEqual([]);
    const firmware = report.problems.filter(({ object }) => object === "signal-firmware");
    expect(firmware.map((one) => [one.severity, one.code])).toContainEqual(["warning", "KERB-DEV-FIRMWARE"]);
  },
);
