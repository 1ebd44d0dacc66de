import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { EventEmitter } from "node:events";
import { networkInterfaces } from "node:os";
import type { SerialPort } from "serialport";
import { Receiver, type Endpoint, type Medium } from "./endpoint.ts";

const connectionsMax = 64;
/** A client that reads nothing is cut off at this many bytes. */
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

function send(socket: Socket, bytes: Buffer): void {
  if (socket.destroyed || !socket.writable) return;
  if (socket.writableLength > unreadBytesMax) socket.destroy();
  else socket.write(bytes);
}

/** A TCP listener; port 0 takes a free one and keeps it when the listener is closed and opened again. */
export function tcpMedium(host: string, port: number, endpoint: Endpoint): Medium {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let takenPort = port;
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    const wire = {
      write: (bytes: Buffer) => send(socket, bytes),
      hangUp: () => void socket.destroy(),
    };
    const receiver = new Receiver(endpoint, wire);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      if (endpoint.cutsAtFirstByte()) socket.destroy();
      else receiver.push(chunk);
    });
  };
  return {
    get place() {
      return `${host.includes(":") ? `[${host}]` : host}:${takenPort}`;
    },
    async open() {
      const next = createServer(serve);
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
    write: (bytes) => sockets.forEach((socket) => send(socket, bytes)),
    hangUp: () => sockets.forEach((socket) => socket.destroy()),
  };
}

/** A serial port; nothing but the bytes on it tells the other side that the device is there. */
export function serialMedium(
  settings: SerialSettings,
  endpoint: Endpoint,
  log: (text: string) => void,
): Medium {
  let port: SerialPort | undefined;
  const write = (bytes: Buffer): void => {
    if (port?.isOpen === true && port.writableLength <= unreadBytesMax) port.write(bytes);
  };
  return {
    place: settings.path,
    async open() {
      const { SerialPort } = await import("serialport");
      const next = new SerialPort({ ...settings, autoOpen: false });
      next.on("error", (error) => log(`serial simulator: ${settings.path}: ${error.message}`));
      await new Promise<void>((resolve, reject) => {
        next.open((error) => (error === null ? resolve() : reject(error)));
      });
      wakeOnPoll(next);
      const receiver = new Receiver(endpoint, { write, hangUp: () => {} });
      next.on("data", (chunk: Buffer) => receiver.push(chunk));
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
    write,
    hangUp: () => {},
  };
}

/** From Node 26.4 on, the poller's callbacks do not run while the event loop is otherwise idle (serialport#3148). */
function wakeOnPoll(port: SerialPort): void {
  const { poller } = (port.port ?? {}) as { poller?: EventEmitter };
  for (const event of ["readable", "writable", "disconnect"]) poller?.on(event, () => setImmediate(() => {}));
}
