import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "yaml";
import {
  DeviceError,
  type Answer,
  type Connection,
  type PointRequest,
  type RecordRequest,
  type Sink,
} from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { address, settings, type Address, type Settings } from "./settings.ts";

type Tree = Record<string, unknown>;

/** A shipped profile as it stands in its file. */
export interface ProfileFile {
  driver: string;
  settings: Tree & { grammar: Tree };
  points: Record<string, { address: Tree; poll?: string; once?: boolean }>;
  records?: Record<string, { address: Tree; fields: Record<string, { address: Tree }> }>;
}

const profileFolder = new URL("../../firmware-profiles/", import.meta.url);

export function profileFile(id: string): ProfileFile {
  return parse(readFileSync(new URL(`${id}.yaml`, profileFolder), "utf8")) as ProfileFile;
}

/** Settings of a profile, or of a grammar, over TCP. */
export function settingsOf(from: string | Tree, port: number, more: Tree = {}): Settings {
  const base = typeof from === "string" ? profileFile(from).settings : { grammar: from };
  return settings.parse({
    timeout: 250,
    ...base,
    transport: { type: "tcp", host: "127.0.0.1", port },
    ...more,
  });
}

export function pointsOf(addresses: readonly Tree[]): PointRequest<Address>[] {
  return addresses.map((one, index) => ({ name: `point${index}`, address: address.parse(one) }));
}

export function recordsOf(id: string): RecordRequest<Address>[] {
  return Object.entries(profileFile(id).records ?? {}).map(([name, record]) => ({
    name,
    address: address.parse(record.address),
    fields: Object.entries(record.fields).map(([field, one]) => ({
      name: field,
      address: address.parse(one.address),
    })),
  }));
}

export const patient = (): AbortSignal => new AbortController().signal;
export const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

export function connectTo(wanted: Settings): Promise<Connection<Address>> {
  return driver.connect(wanted, { deviceId: "device", log: () => {} }, patient());
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return error instanceof DeviceError ? error.code : `not a DeviceError: ${String(error)}`;
  }
}

/** A TCP server that takes bytes and says what a test wants. */
export interface ScriptedServer {
  readonly port: number;
  /** All that came, as latin1 text. */
  heard: string;
  readonly sockets: Set<Socket>;
  say(text: string | Uint8Array): void;
  close(): Promise<void>;
}

/** `script` gets each chunk, and what it returns is sent. */
export async function scriptedServer(
  script: (text: string, socket: Socket) => string | undefined,
): Promise<ScriptedServer> {
  const server = createServer({ noDelay: true });
  const scripted: ScriptedServer = {
    port: 0,
    heard: "",
    sockets: new Set(),
    say: (text) => {
      for (const socket of scripted.sockets) socket.write(typeof text === "string" ? latin1(text) : text);
    },
    close: async () => {
      for (const socket of scripted.sockets) socket.destroy();
      server.close();
      if (server.listening) await once(server, "close");
    },
  };
  server.on("connection", (socket) => {
    scripted.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => scripted.sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      scripted.heard += text;
      const answer = script(text, socket);
      if (answer !== undefined) socket.write(latin1(answer));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(scripted, { port: (server.address() as AddressInfo).port });
}

/** What a subscription handed on. */
export class Ear implements Sink {
  signs = 0;
  readonly values: Map<number, Answer> = new Map();
  readonly told: { index: number; answer: Answer }[][] = [];
  readonly records: { index: number; answers: readonly (Answer | undefined)[]; sourceTimeMs?: number }[] = [];
  readonly polled: number[] = [];

  alive(): void {
    this.signs++;
  }
  readings(values: readonly { index: number; answer: Answer }[]): void {
    this.told.push([...values]);
    for (const { index, answer } of values) this.values.set(index, answer);
  }
  record(
    index: number,
    answers: readonly (Answer | undefined)[],
    about: { sourceTimeMs?: number } = {},
  ): void {
    this.records.push({ index, answers: [...answers], ...about });
  }
  poll(index: number): void {
    this.polled.push(index);
  }
}

export async function until(what: string, isSo: () => boolean, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const hasSocat = spawnSync("socat", ["-V"], { stdio: "ignore" }).status === 0;
if (!hasSocat) console.warn("skipped: socat is not installed");

/** Whether the system's Python has these modules. */
export function hasPython(...modules: string[]): boolean {
  const isThere =
    spawnSync("/usr/bin/python3", ["-c", `import ${modules.join(", ")}`], { stdio: "ignore" }).status === 0;
  if (!isThere) console.warn(`skipped: python3 without ${modules.join(", ")}`);
  return isThere;
}

/** Two joined pseudo-terminals: the driver's and the instrument's. */
export interface Wire {
  readonly driver: string;
  readonly instrument: string;
  /** What a pulled USB plug does. */
  unplug(): Promise<void>;
  close(): Promise<void>;
}

export async function wire(): Promise<Wire> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-serial-"));
  const [ours, theirs] = [join(folder, "driver"), join(folder, "instrument")];
  const socat = spawn("socat", ["-d", "-d", `pty,rawer,link=${ours}`, `pty,rawer,link=${theirs}`]);
  await lineOf(socat, "starting data transfer loop");
  // While somebody has a terminal open, socat outlives a close by its user.
  const held = [ours, theirs].map((path) => openSync(path, constants.O_RDWR | constants.O_NOCTTY));
  const unplug = async () => {
    for (const descriptor of held.splice(0)) closeSync(descriptor);
    await stop(socat);
  };
  const close = async () => {
    await unplug();
    rmSync(folder, { recursive: true, force: true });
  };
  return { driver: ours, instrument: theirs, unplug, close };
}

/** Resolves when a process has written a line with `text` to its standard output or error. */
export function lineOf(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const seen: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream! }).on("line", (line) => {
        seen.push(line);
        if (line.includes(text)) resolve(line);
      });
    }
    child.once("exit", () => reject(new Error(`ended without "${text}": ${seen.join("\n")}`)));
    child.once("error", reject);
  });
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}
