import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach } from "vitest";
import { DeviceError, type Answer, type Connection, type PointRequest } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { address, settings, type Address } from "./settings.ts";

/** A server whose answers are written in the test, byte by byte, and a driver before it. */

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

export const cleanUp = (work: () => Promise<unknown>): void => void cleanups.push(work);

export interface Scripted {
  readonly port: number;
  /** Each request as text, head and body, in the order of arrival. */
  readonly requests: string[];
  /** Connections accepted so far. */
  accepted: number;
}

/** Answers each request that has a whole head (and the body that it announces); `index` counts them from 0. */
export async function scripted(
  script: (request: string, socket: Socket, index: number) => void,
): Promise<Scripted> {
  const seen: Scripted & { requests: string[] } = { port: 0, requests: [], accepted: 0 };
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    seen.accepted++;
    sockets.add(socket);
    let kept = "";
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      kept += bytes.toString("latin1");
      for (;;) {
        const end = kept.indexOf("\r\n\r\n");
        if (end < 0) return;
        const length = end + 4 + Number(/content-length: (\d+)/i.exec(kept.slice(0, end))?.[1] ?? 0);
        if (kept.length < length) return;
        seen.requests.push(kept.slice(0, length));
        kept = kept.slice(length);
        script(seen.requests.at(-1)!, socket, seen.requests.length - 1);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUp(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return Object.assign(seen, { port: (server.address() as AddressInfo).port });
}

/** A port that nobody listens on: below those of connections that go out, and of no other test. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 13_000 + Math.floor(Math.random() * 1900);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("listening", () => resolve(true)).once("error", () => resolve(false));
      server.listen(port, "127.0.0.1");
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** An answer with its length. */
export function http(status: number, body: string | Buffer, headers: Record<string, string> = {}): Buffer {
  const bytes = Buffer.from(body);
  const lines = Object.entries({
    "Content-Type": "application/json",
    "Content-Length": `${bytes.length}`,
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} x\r\n${lines.join("")}\r\n`), bytes]);
}

export const json = (value: unknown, headers: Record<string, string> = {}): Buffer =>
  http(200, JSON.stringify(value), headers);

export async function connect(
  port: number,
  more: Record<string, unknown> = {},
): Promise<Connection<Address>> {
  const given = settings.parse({ host: "127.0.0.1", port, timeout: 1000, ...more });
  const context = { deviceId: "d", log: () => {} };
  const connection = await driver.connect(given, context, new AbortController().signal);
  cleanUp(() => connection.close());
  return connection;
}

/** Points named p0, p1 … */
export const points = (...addresses: Record<string, unknown>[]): PointRequest<Address>[] =>
  addresses.map((one, i) => ({ name: `p${i}`, address: address.parse(one) }));

export const patient = (): AbortSignal => new AbortController().signal;

export const read = async (
  connection: Connection<Address>,
  list: readonly PointRequest<Address>[],
): Promise<Answer[]> => (await connection.read(list, { signal: patient() })).answers;

/** The code and message of the `DeviceError` that a call ends with. */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    return `resolved: ${JSON.stringify(await call)}`;
  } catch (error) {
    if (error instanceof DeviceError) return `${error.code}: ${error.message}`;
    throw error;
  }
}
