import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Wire } from "../driver.ts";
import type { Frame } from "./cassette.ts";
import { type Tap, Tape } from "./tape.ts";

/** A tap for a device that calls: it listens where the device calls, and calls the driver in its place. */

type Calls = Extract<Wire<unknown>, { over: "calls" }>;

const loopback = "127.0.0.1";
/** The driver may not listen yet when the device calls. */
const driverWaitMs = 30_000;
const againMs = 50;
const callersMax = 64;
const handshakeMs = 10_000;
const earlyMax = 16;
/** Who has not said who it is by then is none of ours. */
const beginBytesMax = 65_536;

/** A port of this machine that nobody has; somebody else may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server, 0, loopback);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listening(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  server.on("error", () => {});
  return (server.address() as AddressInfo).port;
}

/** Connects as soon as somebody listens; undefined: nobody did, or `isOver`. */
export async function call(
  port: number,
  host: string,
  waitMs: number,
  isOver: () => boolean,
): Promise<Socket | undefined> {
  for (const endMs = performance.now() + waitMs; performance.now() < endMs && !isOver();) {
    const socket = connect({ port, host, noDelay: true });
    const isUp = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (isUp) return socket.on("error", () => socket.destroy());
    await new Promise((resolve) => setTimeout(resolve, againMs));
  }
  return undefined;
}

/** Keeps what one caller and the driver say, once it is known to be the device. */
class Caller {
  readonly #tape: Tape;
  readonly #way: Calls;
  readonly #found: () => void;
  #waiting: { from: Frame["from"]; chunk: Buffer }[] | undefined = [];
  #frames: Frame[] | undefined;

  constructor(tape: Tape, way: Calls, found: () => void) {
    this.#found = found;
    this.#tape = tape;
    this.#way = way;
  }

  heard(from: Frame["from"], chunk: Buffer): void {
    if (this.#frames !== undefined) return this.#tape.keep(this.#frames, from, chunk);
    if (this.#waiting === undefined) return;
    this.#waiting.push({ from, chunk });
    const begin = Buffer.concat(this.#waiting.flatMap((one) => (one.from === "device" ? [one.chunk] : [])));
    const isOurs = this.#way.isOurs(begin) ?? (begin.length > beginBytesMax ? false : undefined);
    if (isOurs === undefined) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (!isOurs) return;
    this.#found();
    const frames = this.#tape.connection();
    this.#frames = frames;
    for (const one of waiting) this.#tape.keep(frames, one.from, one.chunk);
  }
}

/** Rejects with the socket's error where the port cannot be had, and with the driver's where its TLS cannot. */
export async function callsTap(way: Calls): Promise<Tap> {
  const tape = new Tape();
  const place = { host: loopback, port: await freePort() };
  const open = new Set<Socket>();
  let isClosed = false;
  const called = Promise.withResolvers<void>();
  const accept = async (far: Socket): Promise<void> => {
    far.on("error", () => far.destroy());
    far.setNoDelay(true);
    const caller = new Caller(tape, way, called.resolve);
    const early: Buffer[] = [];
    const hear = (chunk: Buffer): void => {
      caller.heard("device", chunk);
      // It says who it is, and waits for an answer: what is more than that can wait in the socket.
      if (near === undefined && early.push(chunk) > earlyMax) far.pause();
      near?.write(chunk);
    };
    let near: Socket | undefined;
    far.on("data", hear);
    far.on("end", () => caller.heard("device", Buffer.alloc(0)));
    near = await call(place.port, loopback, driverWaitMs, () => isClosed || far.destroyed);
    if (near === undefined || far.destroyed) {
      near?.destroy();
      return void far.destroy();
    }
    const driver = near;
    for (const chunk of early.splice(0)) driver.write(chunk);
    driver.on("data", (chunk: Buffer) => {
      caller.heard("kerb", chunk);
      far.write(chunk);
    });
    far.on("close", () => driver.destroySoon());
    driver.on("close", () => far.destroySoon());
    far.resume();
  };
  const take = (far: Socket) => void accept(far).catch(() => far.destroy());
  const server: Server =
    way.secured === undefined
      ? createServer(take)
      : createTlsServer({ ...way.secured(), handshakeTimeout: handshakeMs }, take);
  server.maxConnections = callersMax;
  // Also those that have only begun to speak TLS.
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
  });
  await listening(server, way.port, way.host);
  return {
    tape,
    place,
    called: called.promise,
    close: () =>
      new Promise((resolve) => {
        isClosed = true;
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
