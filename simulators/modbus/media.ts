import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { EventEmitter } from "node:events";
import { networkInterfaces } from "node:os";
import type { SerialPort } from "serialport";
import type { Endpoint, Medium } from "./endpoint.ts";
import { mbapReceiver, rtuReceiver } from "./frames.ts";

const connectionsMax = 64;
/** A client that sends requests and reads no answers is cut off at this many bytes. */
const unreadBytesMax = 65_536;
const closeLimitMs = 1000;

export interface SerialSettings {
  path: string;
  baudRate: number;
  parity: "none" | "even" | "odd";
  dataBits: 7 | 8;
  stopBits: 1 | 2;
}

/** An address of this machine to listen on: the one that was asked for if it is ours, else the loopback. */
export function localHost(host: string): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const isOwn = host.startsWith("127.") || own.some(({ address }) => address === host);
  return isOwn ? host : "127.0.0.1";
}

function serveSocket(socket: Socket, endpoint: Endpoint): void {
  const wire = {
    write(bytes: Uint8Array): void {
      if (socket.destroyed || !socket.writable) return;
      if (socket.writableLength > unreadBytesMax) socket.destroy();
      else socket.write(bytes);
    },
    hangUp: () => void socket.destroy(),
  };
  const receiver =
    endpoint.framing === "mbap"
      ? mbapReceiver((request) => {
          endpoint.handle(request, wire);
          return !socket.destroyed;
        })
      : rtuReceiver((request) => endpoint.handle(request, wire));
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => receiver.close());
  socket.on("data", (chunk) => {
    if (endpoint.cutsAtFirstByte() || !receiver.push(chunk)) socket.destroy();
  });
}

/** A TCP listener; port 0 takes a free one and keeps it when the listener is closed and opened again. */
export function tcpMedium(host: string, port: number, endpoint: Endpoint): Medium {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let takenPort = port;
  return {
    get place() {
      return `${host.includes(":") ? `[${host}]` : host}:${takenPort}`;
    },
    async open() {
      const next = createServer((socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
        serveSocket(socket, endpoint);
      });
      next.maxConnections = connectionsMax;
      await new Promise<void>((resolve, reject) => {
        next.once("error", reject);
        next.listen(takenPort, host, () => {
          next.removeListener("error", reject);
          next.on("error", () => {});
          resolve();
        });
      });
      takenPort = (next.address() as AddressInfo).port;
      server = next;
    },
    async close() {
      const closing = server;
      server = undefined;
      if (closing === undefined) return;
      const closed = new Promise<void>((resolve) => closing.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A serial port; nothing but the bytes on it tells the other side that the device is there. */
export function serialMedium(
  settings: SerialSettings,
  endpoint: Endpoint,
  log: (text: string) => void,
): Medium {
  let port: SerialPort | undefined;
  return {
    place: settings.path,
    async open() {
      const { SerialPort } = await import("serialport");
      const next = new SerialPort({ ...settings, autoOpen: false });
      next.on("error", (error) => log(`modbus simulator: ${settings.path}: ${error.message}`));
      await new Promise<void>((resolve, reject) => {
        next.open((error) => (error === null ? resolve() : reject(error)));
      });
      wakeOnPoll(next);
      const wire = {
        write(bytes: Uint8Array): void {
          if (next.isOpen && next.writableLength <= unreadBytesMax) next.write(Buffer.from(bytes));
        },
        hangUp: () => {},
      };
      const receiver = rtuReceiver((request) => endpoint.handle(request, wire));
      next.on("data", (chunk: Buffer) => receiver.push(chunk));
      next.on("close", () => receiver.close());
      port = next;
    },
    async close() {
      const closing = port;
      port = undefined;
      if (closing === undefined || !closing.isOpen) return;
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, closeLimitMs);
        closing.close(() => {
          clearTimeout(limit);
          resolve();
        });
      });
    },
  };
}

/** From Node 26.4 on, the poller's callbacks do not run while the event loop is otherwise idle (serialport#3148). */
function wakeOnPoll(port: SerialPort): void {
  const { poller } = (port.port ?? {}) as { poller?: EventEmitter };
  for (const event of ["readable", "writable", "disconnect"]) {
    poller?.on(event, () => setImmediate(() => {}));
  }
}
