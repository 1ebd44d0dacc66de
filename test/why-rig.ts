import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { type DeviceConfig, loadSite } from "../gateway/config/config.ts";
import { climbed } from "../gateway/diagnosis/ladder.ts";
import type { Diagnosed } from "../gateway/diagnosis/facts.ts";
import type { Known } from "../gateway/diagnosis/history.ts";
import { healthyStatus } from "../gateway/health/testing.ts";
import { mergeSettings } from "../gateway/profiles/profiles.ts";
import { loadSubject, Rig } from "./contract/contract.ts";

/** One device with a fault, and what the ladder says of it. */

type Tree = Record<string, unknown>;

/** A pretend device, what the site file says of it, and what is wrong. */
export interface Patient {
  driver: string;
  /** The name of a transport of the driver's contract table; default: its first. */
  transport?: string;
  profile?: string;
  /** Another profile in the site file than the device is built from. */
  siteProfile?: string;
  /** What the site file says otherwise than it should. */
  wrong?: Tree | ((settings: Tree) => Tree);
  /** What is done to the simulator, once it runs. */
  harm?: (rig: Rig) => unknown;
  /** A second device of the site, at the same place. */
  second?: boolean;
  /** Stands between driver and device; gives where the driver connects to. */
  between?: (target: { host: string; port: number }) => Promise<Listening>;
  /** How long the driver waits: short only where nothing is to come, for a busy machine answers late. */
  timeoutMs?: number;
  /** How long it is waited where the driver looks further. */
  askMs?: number;
  /** How long a late answer is waited for. */
  patientMs?: number;
  /** Longest wait for a connection. */
  reachMs?: number;
  /** It was lost by the running gateway, with this code. */
  lost?: string;
  /** Settings that both ends have. */
  settings?: Tree;
}

export interface Listening {
  port: number;
  close(): Promise<void>;
}

const listenMs = 400;

/** Listens on a free port; `serve` gets each connection. */
export function listening(serve: (socket: Socket) => void, host = "127.0.0.1"): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    serve(socket);
  });
  return opened(server, sockets, host);
}

/** Of a server that begins to listen; its end hangs up on whoever is there. */
export function opened(server: Server, sockets: ReadonlySet<Socket>, host = "127.0.0.1"): Promise<Listening> {
  return new Promise((resolve) => {
    server.listen(0, host, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => done());
          }),
      });
    });
  });
}

/** A line that damages what the device says: one bit of each piece, in its middle. */
export function noisy(target: { host: string; port: number }): Promise<Listening> {
  return listening((socket) => {
    const far = connect(target);
    far.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("close", () => far.destroy()).pipe(far);
    far.on("data", (bytes: Buffer) => {
      const damaged = Buffer.from(bytes);
      const middle = Math.min(damaged.length - 1, 4);
      damaged[middle] = (damaged[middle] ?? 0) ^ 0x10;
      socket.write(damaged);
    });
  });
}

/** A web server that answers each request with the same bytes. */
export function webServer(status: string, headers: readonly string[] = [], body = ""): Promise<Listening> {
  const head = [
    `HTTP/1.1 ${status}`,
    ...headers,
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  return listening((socket) => {
    socket.once("data", () => socket.end(`${head.join("\r\n")}\r\n\r\n${body}`));
  });
}

/** A service that says these bytes to whoever comes, and to all that is said to it. */
export function speaking(bytes: string | Uint8Array): Promise<Listening> {
  return listening((socket) => void socket.on("data", () => socket.write(bytes)));
}

function moved(settings: Tree, port: number): Tree {
  const { transport } = settings;
  return typeof transport === "object"
    ? { ...settings, transport: { ...transport, host: "127.0.0.1", port } }
    : { ...settings, host: "127.0.0.1", port };
}

const target = (settings: Tree): { host: string; port: number } => {
  const { host, port } = (settings["transport"] ?? settings) as { host: string; port: number };
  return { host, port };
};

interface Prepared {
  rig: Rig;
  relay: Listening | undefined;
  settings: Tree;
  others: Tree[];
}

/** Starts the device and harms it. */
async function prepare(patient: Patient): Promise<Prepared> {
  const { driver, wrong = {}, harm, between, timeoutMs = 8000, second = false } = patient;
  const subject = await loadSubject(driver);
  const transport = subject.table.transports.find(
    ({ name }) => patient.transport === undefined || name === patient.transport,
  );
  if (transport === undefined) throw new Error(`${driver} has no transport ${patient.transport}`);
  const rig = await Rig.open(subject, transport, {
    timeoutMs,
    devices: second ? 2 : 1,
    ...(patient.profile === undefined ? {} : { profile: patient.profile }),
    ...(patient.settings === undefined ? {} : { settings: patient.settings }),
  });
  const relay = await between?.(target(rig.siteSettings()));
  const own = relay === undefined ? rig.siteSettings() : moved(rig.siteSettings(), relay.port);
  const settings = typeof wrong === "function" ? wrong(own) : mergeSettings(own, wrong);
  await harm?.(rig);
  return { rig, relay, settings, others: second ? [rig.siteSettings(2)] : [] };
}

/** The site of a device as a file in this folder has it. */
async function siteOf(folder: string, { driver, siteProfile }: Patient, { rig, settings, others }: Prepared) {
  const file = join(folder, "gateway.yaml");
  const profile = siteProfile ?? rig.profile.id;
  const devices = [settings, ...others].map((one, index) => ({
    id: `device-${index + 1}`,
    driver,
    profile,
    ...one,
  }));
  const gateway = { id: "why-test", name: "why", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway, devices }));
  return loadSite(file);
}

/** What a gateway knows of a device that it has lost a minute ago. */
function lostBy({ id, driver }: DeviceConfig, code: string): Known {
  const nowMs = Date.now();
  const status = healthyStatus(nowMs);
  const sinceMs = nowMs - 60_000;
  status.devices = status.devices
    .slice(0, 1)
    .map((one) => ({ ...one, id, driver, state: "lost", code, reason: "no answer", sinceMs }));
  return { status, readings: [], nowMs };
}

let turn: Promise<unknown> = Promise.resolve();

/** One after the other: many devices that are made at once keep the others from being answered in time. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const mine = turn.then(work);
  turn = mine.catch(() => {});
  return mine;
}

/** Makes the device and its fault, and climbs its ladder with no gateway. */
async function examined(patient: Patient): Promise<Diagnosed> {
  const { reachMs = 8000, askMs = 4000, patientMs = 0 } = patient;
  const folder = mkdtempSync(join(tmpdir(), "kerb-why-"));
  let prepared: Prepared | undefined;
  try {
    const site = await inTurn(async () => {
      prepared = await prepare(patient);
      return siteOf(folder, patient, prepared);
    });
    const [device, ...siblings] = site.devices;
    if (device === undefined) throw new Error("no device");
    const { stateFolder } = site.gateway;
    const signal = AbortSignal.timeout(60_000);
    const waits = { reachMs, listenMs, askMs, patientMs };
    const known = patient.lost === undefined ? undefined : lostBy(device, patient.lost);
    return await climbed({ device, siblings, stateFolder, signal, known, ...waits });
  } finally {
    await prepared?.relay?.close();
    await prepared?.rig.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A port that takes nobody any more, as a machine behind a dead cable: its process is stopped and its queue full. */
export async function unplugged(): Promise<Listening> {
  const script =
    'require("node:net").createServer().listen({ host: "127.0.0.1", port: 0, backlog: 1 }, function () { console.log(this.address().port) })';
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  child.kill("SIGSTOP");
  const port = Number(line);
  const held = [1, 2, 3].map(() => connect(port, "127.0.0.1").on("error", () => {}));
  await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    port,
    close: async () => {
      for (const socket of held) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}

/** English words of a text that should be Vietnamese; what stands in quotes or brackets is somebody else's own word. */
function english(text: string): string[] {
  const own = text.replaceAll(/"[^"]*"|\([^)]*\)|\S*[./:-]\S+|the pretend site refuses/g, "");
  const words =
    /\b(the|is|are|was|not|and|of|by|its|it|that|with|within|from|only|does|did|answers?|closed|refused|nothing|there)\b/g;
  return own.match(words) === null ? [] : [text];
}

/** One test a case: the device is harmed, and `why` names this cause and no other. */
export function causesAre(cases: readonly [code: string, patient: Patient][]): void {
  // Most of the time is waiting for what does not come.
  vi.setConfig({ maxConcurrency: cases.length });
  test.concurrent.for(cases)("%s", { timeout: 180_000 }, async ([code, patient]) => {
    const { causes, facts, steps } = await examined(patient);
    const texts = [...causes.map(({ seen }) => seen), ...steps.map(({ evidence }) => evidence)];
    expect(texts.map(({ vi: text }) => english(text)).filter((words) => words.length > 0)).toEqual([]);
    expect(
      causes.map((one) => one.code),
      JSON.stringify(facts),
    ).toEqual([code]);
  });
}
