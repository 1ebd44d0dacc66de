import { setTimeout as sleep } from "node:timers/promises";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Connection, DriverContext, PointRequest } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { address, settings, type Address, type Settings } from "./settings.ts";

/** What the tests of this folder share: scripted agents, byte by byte, with a few lines of BER of their own. */

export interface Tlv {
  tag: number;
  body: Buffer;
}

export function tlvs(bytes: Buffer): Tlv[] {
  const found: Tlv[] = [];
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at + 1]!;
    const count = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + count;
    const length = count === 0 ? first : bytes.readUIntBE(at + 2, count);
    found.push({ tag: bytes[at]!, body: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}

export function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

export const bytes = (...octets: number[]): Buffer => Buffer.from(octets);
export const int = (value: number): Buffer =>
  tlv(
    2,
    value >= 0 && value < 128 ? bytes(value) : Buffer.from([value >> 24, value >> 16, value >> 8, value]),
  );
export const text = (value: string): Buffer => tlv(4, Buffer.from(value));

export interface Request {
  version: Buffer;
  community: Buffer;
  type: number;
  id: Buffer;
  /** Each varbind whole, and its OID's octets. */
  varbinds: { whole: Buffer; oid: Buffer; value: Buffer }[];
}

/** A request of v1 or v2c, taken apart. */
export function readRequest(datagram: Buffer): Request {
  const [version, community, pdu] = tlvs(tlvs(datagram)[0]!.body);
  const [id, , , list] = tlvs(pdu!.body);
  return {
    version: version!.body,
    community: community!.body,
    type: pdu!.tag,
    id: id!.body,
    varbinds: tlvs(list!.body).map(({ tag, body }) => {
      const [oid, value] = tlvs(body);
      return { whole: tlv(tag, body), oid: oid!.body, value: tlv(value!.tag, value!.body) };
    }),
  };
}

/** How many objects a request wants for each of its own: max-repetitions of GETBULK, otherwise 1. */
export function repetitionsIn(datagram: Buffer): number {
  const pdu = tlvs(tlvs(datagram)[0]!.body)[2]!;
  const repetitions = tlvs(pdu.body)[2]!.body;
  return pdu.tag === 0xa5 ? repetitions.readIntBE(0, repetitions.length) : 1;
}

/** The answer to a request: a value for each varbind, or an error-status and -index. */
export function answerTo(
  request: Request,
  answer: {
    values?: readonly Uint8Array[];
    status?: number;
    index?: number;
    id?: Uint8Array;
    community?: string;
  },
): Buffer {
  const { values, status = 0, index = 0 } = answer;
  const list = request.varbinds.map(({ oid, whole }, i) =>
    values === undefined ? whole : tlv(0x30, tlv(6, oid), values[i] ?? tlv(5)),
  );
  return tlv(
    0x30,
    tlv(2, request.version),
    answer.community === undefined ? tlv(4, request.community) : text(answer.community),
    tlv(0xa2, tlv(2, answer.id ?? request.id), int(status), int(index), tlv(0x30, ...list)),
  );
}

export interface ScriptedAgent {
  readonly port: number;
  readonly requests: Buffer[];
  readonly socket: Socket;
  close(): Promise<void>;
}

export type Script = (
  datagram: Buffer,
  reply: (bytes: Uint8Array) => void,
  index: number,
  from: number,
) => void;

/** A UDP agent whose answers are written in the test. */
export async function scriptedAgent(script: Script, host = "127.0.0.1"): Promise<ScriptedAgent> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const requests: Buffer[] = [];
  socket.on("message", (datagram, { port, address: from }) => {
    requests.push(datagram);
    script(datagram, (answer) => socket.send(answer, port, from, () => {}), requests.length - 1, port);
  });
  socket.bind(0, host);
  await once(socket, "listening");
  return {
    port: socket.address().port,
    requests,
    socket,
    close: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
}

export const patient = (): AbortSignal => new AbortController().signal;

export function settingsOf(port: number, more: Record<string, unknown> = {}): Settings {
  return settings.parse({ host: "127.0.0.1", port, timeout: 300, ...more });
}

export function pointsOf(...addresses: Record<string, unknown>[]): PointRequest<Address>[] {
  return addresses.map((one, index) => ({ name: `p${index}`, address: address.parse(one) }));
}

export const logged: string[] = [];
export const context: DriverContext = {
  deviceId: "d",
  log: (level, line) => logged.push(`${level} ${line}`),
};

export function connectTo(to: Settings, signal = patient()): Promise<Connection<Address>> {
  return driver.connect(to, context, signal);
}

export async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "resolved",
    (error: { code?: string; name?: string; message?: string }) =>
      error.name === "DeviceError" ? String(error.code) : `${error.name}: ${error.message}`,
  );
}

export async function freePort(): Promise<number> {
  const agent = await scriptedAgent(() => {});
  await agent.close();
  return agent.port;
}

export function isInstalled(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;
}

/** Runs a program to its end; what it wrote. */
export async function run(
  program: string,
  ...parameters: string[]
): Promise<{ status: number; output: string }> {
  const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const [status] = (await once(child, "close")) as [number | null];
  return { status: status ?? -1, output };
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** Waits for it at most two seconds; the caller looks again. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !isSo(); i++) await sleep(20);
}

export const randomBytes = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)));
