import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { EventEmitter } from "node:events";
import { networkInterfaces } from "node:os";
import type { SerialPort } from "serialport";

/**
 * Where a pretend device listens: a TCP port or a serial line. For simulators whose protocol runs on both. Bytes
 * have no meaning here: each simulator cuts and answers them with code of its own.
 */

const connectionsMax = 64;
/** A client that sends requests and reads no answers is cut off at this many bytes. */
const unreadBytesMax = 65_536;
const closeLimitMs = 1000;

/** Where to listen, as the settings of the mirrored driver have it; on a line `port` is its path. */
export interface Transport {
  readonly host?: string;
  readonly port?: number | string;
  readonly baud?: number;
  readonly parity?: "none" | "even" | "odd";
  readonly dataBits?: 7 | 8;
  readonly stopBits?: 1 | 2;
}

/** The way back to whoever has asked. */
export interface Wire {
  /** false: nothing more will reach the other side. */
  isOpen(): boolean;
  write(bytes: Uint8Array): void;
  /** Cuts the connection, where there is one. */
  hangUp(): void;
}

/** Takes what comes over one connection; `push` returns false when the connection must end. */
export interface Receiver {
  push(chunk: Buffer): boolean;
  close(): void;
}

/** A listener or a line. `write` and `hangUp` reach everybody who is connected. */
interface Medium {
  /** As a person would type it; known after `open`. */
  readonly place: string;
  open(): Promise<void>;
  /** Closes the listener or the port and every connection; safe twice. */
  close(): Promise<void>;
  write(bytes: Uint8Array): void;
  hangUp(): void;
}

type Receive = (wire: Wire) => Receiver;

/** An address of this machine to listen on: the one that was asked for if it is ours, else the loopback. */
export function localHost(host: string): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const isOwn = host.startsWith("127.") || own.some(({ address }) => address === host);
  return isOwn ? host : "127.0.0.1";
}

function send(socket: Socket, bytes: Uint8Array): void {
  if (socket.destroyed || !socket.writable) return;
  if (socket.writableLength > unreadBytesMax) socket.destroy();
  else socket.write(bytes);
}

/** A TCP listener; port 0 takes a free one and keeps it when the listener is closed and opened again. */
function tcpMedium(host: string, port: number, receive: Receive): Medium {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let takenPort = port;
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    const receiver = receive({
      isOpen: () => !socket.destroyed,
      write: (bytes) => send(socket, bytes),
      hangUp: () => void socket.destroy(),
    });
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      receiver.close();
    });
    socket.on("data", (chunk) => {
      if (!receiver.push(chunk)) socket.destroy();
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
function serialMedium(transport: Transport, receive: Receive, log: (text: string) => void): Medium {
  const { baud: baudRate = 9600, parity = "none", dataBits = 8, stopBits = 1 } = transport;
  const path = String(transport.port);
  let port: SerialPort | undefined;
  const wire: Wire = {
    isOpen: () => port?.isOpen === true,
    write(bytes) {
      if (port?.isOpen === true && port.writableLength <= unreadBytesMax) port.write(Buffer.from(bytes));
    },
    hangUp: () => {},
  };
  return {
    ...wire,
    place: path,
    async open() {
      const { SerialPort } = await import("serialport");
      const next = new SerialPort({ path, baudRate, parity, dataBits, stopBits, autoOpen: false });
      next.on("error", (error) => log(`${path}: ${error.message}`));
      await new Promise<void>((resolve, reject) => {
        next.open((error) => (error === null ? resolve() : reject(error)));
      });
      wakeOnPoll(next);
      const receiver = receive(wire);
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
  for (const event of ["readable", "writable", "disconnect"]) poller?.on(event, () => setImmediate(() => {}));
}

/** A device on an endpoint, as far as the endpoint must know it. */
interface Unit {
  /** How it is called on its endpoint: "unit 1". */
  readonly title: string;
  /** True while nothing listens for it. */
  readonly isAway: boolean;
  close(): void;
}

/** One listener or one line and the devices that live on it. */
export abstract class Endpoint<Device extends Unit> {
  /** A serial line cannot be closed for the other side, so its units stay and refuse in words. */
  readonly hasListener: boolean;
  protected readonly units = new Set<Device>();
  readonly #medium: Medium;
  readonly #log: (text: string) => void;
  #turn: Promise<void> = Promise.resolve();
  #isOpen = false;
  #isClosed = false;

  constructor(transport: Transport, hasListener: boolean, log: (text: string) => void) {
    const receive = (wire: Wire) => this.receiver(wire);
    const { host = "127.0.0.1", port = 0 } = transport;
    this.hasListener = hasListener;
    this.#log = log;
    this.#medium = hasListener
      ? tcpMedium(localHost(host), Number(port), receive)
      : serialMedium(transport, receive, log);
  }

  /** What takes the bytes of a new connection. */
  protected abstract receiver(wire: Wire): Receiver;

  get place(): string {
    return this.#medium.place;
  }

  async open(): Promise<void> {
    await this.#medium.open();
    this.#isOpen = true;
  }

  /** Throws an `Error` when there is one of this name. */
  add(unit: Device): void {
    const { title } = unit;
    if ([...this.units].some((other) => other.title === title))
      throw new Error(`${title} at ${this.place} is simulated already`);
    this.units.add(unit);
    this.reconcile();
  }

  /** Takes a unit away; true when it was the last one and the endpoint should be closed. */
  remove(unit: Device): boolean {
    unit.close();
    this.units.delete(unit);
    this.reconcile();
    return this.units.size === 0;
  }

  /** Opens or closes the listener as the faults of the units want it: closed while all of them are away. */
  reconcile(): void {
    if (this.hasListener) this.#turn = this.#listenOrNot(this.#turn);
  }

  async #listenOrNot(before: Promise<void>): Promise<void> {
    await before;
    const shouldListen = !this.#isClosed && [...this.units].some(({ isAway }) => !isAway);
    if (shouldListen === this.#isOpen) return;
    try {
      await (shouldListen ? this.#medium.open() : this.#medium.close());
      this.#isOpen = shouldListen;
    } catch (error) {
      this.#log(`${this.place}: ${String(error)}`);
    }
  }

  isOpen(): boolean {
    return this.#isOpen;
  }

  /** To everybody who is connected. */
  write(bytes: Uint8Array): void {
    if (this.#isOpen) this.#medium.write(bytes);
  }

  hangUp(): void {
    this.#medium.hangUp();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    this.#isOpen = false;
    await this.#medium.close();
  }
}

/** The endpoints of one simulator in this process; devices share one when their settings name the same place. */
export class Endpoints<Device extends Unit, Shared extends Endpoint<Device>> {
  readonly #running = new Map<string, Shared>();
  #turn: Promise<unknown> = Promise.resolve();

  /** Opening and closing take turns, so that two that start at once find the same listener. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /**
   * The endpoint at the place of `made`, with the unit on it: the one that is there already, which `check` may
   * turn down by throwing, else `made`, opened. Rejects with an `Error` when the place or the unit is taken.
   */
  join(made: Shared, unit: Device, check: (running: Shared) => void = () => {}): Promise<Shared> {
    return this.#inTurn(async () => {
      const running = this.#running.get(made.place);
      if (running === undefined) await made.open();
      else check(running);
      const endpoint = running ?? made;
      endpoint.add(unit);
      this.#running.set(endpoint.place, endpoint);
      return endpoint;
    });
  }

  /** Takes the unit away, and closes the endpoint behind the last one. */
  leave(endpoint: Shared, unit: Device): Promise<void> {
    return this.#inTurn(async () => {
      if (!endpoint.remove(unit)) return;
      this.#running.delete(endpoint.place);
      await endpoint.close();
    });
  }
}
