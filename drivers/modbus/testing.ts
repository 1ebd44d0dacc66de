import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Connection, DriverContext, PointRequest } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { address, settings, type Address, type Settings } from "./settings.ts";

/** A TCP server whose answers are written in the test, byte by byte. */
export interface ScriptedServer {
  readonly port: number;
  /** Each whole request, in the order of arrival. */
  readonly requests: Buffer[];
  readonly sockets: Set<Socket>;
  /** Connections accepted so far. */
  accepted: number;
  /** `data` events so far: how many writes the requests came in. */
  chunks: number;
  close(): Promise<void>;
}

/** Answers one request; `index` counts the requests of this server from 0. */
export type Script = (request: Buffer, socket: Socket, index: number) => void;

export async function scriptedServer(kind: "tcp" | "rtu", script: Script): Promise<ScriptedServer> {
  const server = createServer({ noDelay: true });
  const scripted: ScriptedServer = {
    port: 0,
    requests: [],
    sockets: new Set(),
    accepted: 0,
    chunks: 0,
    close: async () => {
      for (const socket of scripted.sockets) socket.destroy();
      server.close();
      if (server.listening) await once(server, "close");
    },
  };
  server.on("connection", (socket) => {
    scripted.accepted++;
    scripted.sockets.add(socket);
    let kept = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => scripted.sockets.delete(socket));
    socket.on("data", (chunk) => {
      scripted.chunks++;
      kept = Buffer.concat([kept, chunk]);
      for (;;) {
        const length = requestLength(kind, kept);
        if (kept.length < length) break;
        const request = Buffer.from(kept.subarray(0, length));
        kept = kept.subarray(length);
        scripted.requests.push(request);
        script(request, socket, scripted.requests.length - 1);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(scripted, { port: (server.address() as AddressInfo).port });
}

function requestLength(kind: "tcp" | "rtu", bytes: Buffer): number {
  if (kind === "tcp") return bytes.length < 6 ? 6 : 6 + bytes.readUInt16BE(4);
  if (bytes[1] === 15 || bytes[1] === 16) return 9 + (bytes[6] ?? 0);
  return bytes[1] === 43 ? 7 : bytes[1] === 22 ? 10 : 8;
}

/** A Modbus TCP answer to `request`, any part of which may be falsified. */
export function tcpAnswer(
  request: Buffer,
  pdu: readonly number[],
  wrong: { transaction?: number; protocol?: number; length?: number; unit?: number } = {},
): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt16BE(wrong.transaction ?? request.readUInt16BE(0), 0);
  head.writeUInt16BE(wrong.protocol ?? 0, 2);
  head.writeUInt16BE(wrong.length ?? pdu.length + 1, 4);
  head[6] = wrong.unit ?? request[6]!;
  return Buffer.concat([head, Buffer.from(pdu)]);
}

/** An RTU frame; its CRC is computed bit by bit, as Serial Line 1.02 appendix B draws it. */
export function rtuFrame(unit: number, pdu: readonly number[]): Buffer {
  const body = Buffer.from([unit, ...pdu]);
  let crc = 0xffff;
  for (const byte of body) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      const carry = crc & 1;
      crc >>= 1;
      if (carry === 1) crc ^= 0xa001;
    }
  }
  return Buffer.concat([body, Buffer.from([crc & 0xff, crc >> 8])]);
}

/** The PDU that answers the read request PDU with `valueOf(register)`; undefined = exception 2. */
export function registersPdu(request: Buffer, valueOf: (register: number) => number | undefined): number[] {
  const [functionCode, start, count] = [request[0]!, request.readUInt16BE(1), request.readUInt16BE(3)];
  const values = Array.from({ length: count }, (_, index) => valueOf(start + index));
  if (values.includes(undefined)) return [functionCode | 0x80, 2];
  return [functionCode, 2 * count, ...values.flatMap((value) => [value! >> 8, value! & 0xff])];
}

/** What a test passes to `connect`. */
export function settingsOf(port: number, more: Record<string, unknown> = {}, type = "tcp"): Settings {
  return settings.parse({ transport: { type, host: "127.0.0.1", port }, timeout: 200, ...more });
}

/** Points by their addresses: `pointsOf({ register: 4, type: "int16" })`; table is holding unless said. */
export function pointsOf(...addresses: Record<string, unknown>[]): PointRequest<Address>[] {
  return addresses.map((wanted, index) => ({
    name: `point${index}`,
    address: address.parse({ table: "holding", ...wanted }),
  }));
}

export function contextOf(lines: string[] = []): DriverContext {
  return { deviceId: "device", log: (level, text) => lines.push(`${level} ${text}`) };
}

/** A signal for calls that are not to be given up. */
export const patient = (): AbortSignal => new AbortController().signal;

export function connectTo(wanted: Settings, lines?: string[]): Promise<Connection<Address>> {
  return driver.connect(wanted, contextOf(lines), patient());
}

/** The code of the error that a promise rejects with, or "resolved". */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return error instanceof Error && error.name === "DeviceError"
      ? (error as Error & { code: string }).code
      : `not a DeviceError: ${String(error)}`;
  }
}

/** Whether a program can be started, with a word on the console when not. */
export function isInstalled(program: string, ...argument: string[]): boolean {
  const isThere = spawnSync(program, argument, { stdio: "ignore" }).status === 0;
  if (!isThere) console.warn(`skipped: ${program} ${argument.join(" ")} is not available`);
  return isThere;
}

/** A pseudo-terminal at `path` whose other end is a TCP connection to `port`. */
export interface Pty {
  readonly path: string;
  /** What a pulled USB plug does. */
  unplug(): Promise<void>;
  close(): Promise<void>;
}

export async function ptyTo(
  port: number,
  folder = mkdtempSync(join(tmpdir(), "kerb-modbus-")),
): Promise<Pty> {
  const path = join(folder, "tty");
  const socat = spawn("socat", ["-d", "-d", `pty,rawer,link=${path}`, `TCP:127.0.0.1:${port},nodelay`]);
  await lineOf(socat, "starting data transfer loop");
  // While somebody has the terminal open, socat outlives a close by the driver.
  const held = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  let isHeld = true;
  const unplug = async () => {
    if (!isHeld) return;
    isHeld = false;
    closeSync(held);
    await stop(socat);
  };
  return {
    path,
    unplug,
    close: async () => {
      await unplug();
      rmSync(folder, { recursive: true, force: true });
    },
  };
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
