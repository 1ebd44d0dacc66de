import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { DriverContext, PointRequest } from "../../gateway/driver.ts";
import { address, settings, type Address, type Settings } from "./settings.ts";

/** A recorded exchange: what a server answered to each message of the driver, in their order. */
export interface Exchange {
  origin: string;
  /** Settings beside host and port. */
  settings: Record<string, unknown>;
  /** Addresses to read; none: the server is asked who it is. */
  points: Record<string, unknown>[];
  /** The points are listened to instead, until the server's answers are at an end. */
  listens: boolean;
  values: unknown;
  /** Messages of the driver, and the server's answers to each, as bytes. */
  requests: Buffer[];
  answers: Buffer[];
}

export function parseExchange(text: string): Exchange {
  const lines = text.split("\n");
  const field = (name: string): string =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
  const bytes = (name: string): Buffer[] =>
    lines
      .filter((line) => line.startsWith(`${name}: `))
      .map((line) => Buffer.from(line.slice(name.length + 2), "hex"));
  return {
    origin: field("origin"),
    settings: JSON.parse(field("settings")) as Record<string, unknown>,
    points: JSON.parse(field("points")) as Record<string, unknown>[],
    listens: field("listens") === "true",
    values: JSON.parse(field("values")),
    requests: bytes("request"),
    answers: bytes("answer"),
  };
}

/** The messages that are whole in some bytes, and what is left (OPC 10000-6, 7.1.2: type, then u32 length). */
export function messagesIn(bytes: Buffer): { messages: Buffer[]; rest: Buffer } {
  const messages: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= 8 && bytes.length - at >= bytes.readUInt32LE(at + 4)) {
    const length = Math.max(8, bytes.readUInt32LE(at + 4));
    messages.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { messages, rest: bytes.subarray(at) };
}

export interface ReplayServer {
  readonly port: number;
  /** Messages of the client. */
  readonly requests: Buffer[];
  close(): Promise<void>;
}

/** A server that gives recorded answers, whatever it is asked. */
export async function replay(answers: readonly Buffer[]): Promise<ReplayServer> {
  const sockets = new Set<Socket>();
  const requests: Buffer[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    let next = 0;
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      const parsed = messagesIn(Buffer.concat([rest, chunk]));
      rest = parsed.rest;
      for (const message of parsed.messages) {
        requests.push(message);
        const answer = answers[next++];
        if (answer === undefined) socket.destroy();
        else socket.write(answer);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

export function settingsAt(port: number, more: Record<string, unknown> = {}): Settings {
  return settings.parse({ host: "127.0.0.1", port, security: "none", timeout: 300, ...more });
}

export function pointsOf(...addresses: Record<string, unknown>[]): PointRequest<Address>[] {
  return addresses.map((wanted, index) => ({ name: `point${index}`, address: address.parse(wanted) }));
}

let devices = 0;
/** A device of its own, so that no session of another test is taken over. */
export function context(): DriverContext {
  return { deviceId: `device-${devices++}`, log: () => {} };
}
