import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { loadSite } from "../gateway/config.ts";
import { climbLadder } from "../gateway/diagnosis/ladder.ts";
import type { Diagnosed } from "../gateway/diagnosis/facts.ts";
import { mergeSettings } from "../gateway/profiles.ts";
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
  timeoutMs?: number;
  /** Longest wait for a connection. */
  reachMs?: number;
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

/** Climbs the ladder of a device as a site file has it, with no gateway. */
async function diagnose(
  driver: string,
  profile: string,
  settings: Tree,
  { others, reachMs = 5000 }: { others: Tree[]; reachMs: number | undefined },
): Promise<Diagnosed> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-why-"));
  const file = join(folder, "gateway.yaml");
  const all = [settings, ...others].map((one, index) => ({
    id: `device-${index + 1}`,
    driver,
    profile,
    ...one,
  }));
  const gateway = { id: "why-test", name: "why", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway, devices: all }));
  try {
    const site = await loadSite(file);
    const [device, ...siblings] = site.devices;
    if (device === undefined) throw new Error("no device");
    const { stateFolder } = site.gateway;
    const climbing = climbLadder({
      device,
      siblings,
      stateFolder,
      signal: AbortSignal.timeout(45_000),
      reachMs,
      listenMs,
    });
    for (;;) {
      const { done, value } = await climbing.next();
      if (done === true) return value;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts the device, harms it, and says what is found. */
async function examined(patient: Patient): Promise<Diagnosed> {
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
  let relay: Listening | undefined;
  try {
    let settings = rig.siteSettings();
    if (between !== undefined) {
      relay = await between(target(settings));
      settings = moved(settings, relay.port);
    }
    settings = typeof wrong === "function" ? wrong(settings) : mergeSettings(settings, wrong);
    const others = second ? [rig.siteSettings(2)] : [];
    await harm?.(rig);
    return await diagnose(driver, patient.siteProfile ?? rig.profile.id, settings, {
      others,
      reachMs: patient.reachMs,
    });
  } finally {
    await relay?.close();
    await rig.close();
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

/** One test a case: the device is harmed, and `why` names this cause and no other. */
export function causesAre(cases: readonly [code: string, patient: Patient][]): void {
  // A machine that is busy with other things may answer later than any device would.
  vi.setConfig({ maxConcurrency: 12 });
  test.concurrent.for(cases)("%s", { timeout: 90_000, retry: 2 }, async ([code, patient]) => {
    const { causes, facts } = await examined(patient);
    expect(
      causes.map((one) => one.code),
      JSON.stringify(facts),
    ).toEqual([code]);
  });
}
