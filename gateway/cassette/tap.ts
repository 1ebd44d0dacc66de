import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { type AddressInfo, connect, createServer, isIPv6, type Socket } from "node:net";
import type { Wire, WirePlace } from "../driver.ts";
import { cassetteLimits, type Frame } from "./cassette.ts";

/** Stands between a driver and its device, hands every byte on and keeps it. */

/** What a tap keeps, up to its limits; beyond them bytes are still handed on. */
class Tape {
  readonly connections: Frame[][] = [];
  /** Which limit ended it; undefined: none. */
  full: "bytes" | "frames" | "connections" | undefined;
  #bytes = 0;
  #frames = 0;
  readonly #startedMs = performance.now();

  connection(): Frame[] {
    const frames: Frame[] = [];
    if (this.connections.length >= cassetteLimits.connectionsMax) this.full ??= "connections";
    else this.connections.push(frames);
    return frames;
  }

  keep(frames: Frame[], from: Frame["from"], chunk: Uint8Array): void {
    if (this.full === undefined && this.#bytes + chunk.length > cassetteLimits.bytesMax) this.full = "bytes";
    if (this.full === undefined && this.#frames >= cassetteLimits.framesMax) this.full = "frames";
    if (this.full !== undefined) return;
    this.#bytes += chunk.length;
    this.#frames++;
    const ms = Math.round(performance.now() - this.#startedMs);
    frames.push({ ms, from, bytes: Buffer.from(chunk), hidden: new Uint8Array(chunk.length) });
  }
}

export interface Tap {
  readonly place: WirePlace;
  readonly tape: Tape;
  close(): Promise<void>;
}

const loopback = "127.0.0.1";

/** Where a device listens, or the line it is on. */
type Far = Exclude<Wire<unknown>, { over: "none" }>;

/** The other end of one connection. */
interface End {
  write(chunk: Uint8Array): void;
  close(): void;
}

function tcpEnd({ host, port }: WirePlace, near: Socket, heard: (chunk: Buffer) => void): End {
  const far = connect({ host, port, noDelay: true });
  far.on("end", () => heard(Buffer.alloc(0)));
  // A device that cannot be reached must look to the driver as it does without a tap: refused or cut off.
  far.on("error", () => near.resetAndDestroy());
  far.on("close", () => near.destroySoon());
  far.on("data", heard);
  return { write: (chunk) => void far.write(chunk), close: () => void far.destroy() };
}

async function serialEnd(
  line: Extract<Far, { over: "serial" }>,
  heard: (chunk: Buffer) => void,
): Promise<End> {
  const { SerialPort } = await import("serialport");
  const { path, baud: baudRate, parity, dataBits, stopBits } = line;
  const port = new SerialPort({ path, baudRate, parity, dataBits, stopBits, autoOpen: false });
  await new Promise<void>((resolve, reject) => {
    port.open((error) => (error === null ? resolve() : reject(error)));
  });
  port.on("error", () => {});
  port.on("data", heard);
  return { write: (chunk) => void port.write(Buffer.from(chunk)), close: () => port.close(() => {}) };
}

async function streamTap(far: Far): Promise<Tap> {
  const tape = new Tape();
  const open = new Set<Socket>();
  const server = createServer((near) => {
    open.add(near);
    const frames = tape.connection();
    const heard = (chunk: Buffer) => {
      tape.keep(frames, "device", chunk);
      if (!near.destroyed && chunk.length > 0) near.write(chunk);
    };
    const end = far.over === "serial" ? serialEnd(far, heard) : Promise.resolve(tcpEnd(far, near, heard));
    near.setNoDelay(true);
    near.on("data", (chunk) => {
      tape.keep(frames, "kerb", chunk);
      end.then((one) => one.write(chunk)).catch(() => near.destroy());
    });
    near.on("error", () => near.destroy());
    near.on("close", () => {
      open.delete(near);
      end.then((one) => one.close()).catch(() => {});
    });
    end.catch(() => near.resetAndDestroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, loopback, resolve);
  });
  return {
    tape,
    place: { host: loopback, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

async function bound(socket: DatagramSocket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, loopback, resolve);
  });
  socket.on("error", () => {});
}

async function datagramTap({ host, port }: WirePlace): Promise<Tap> {
  const tape = new Tape();
  const near = createSocket("udp4");
  await bound(near);
  const askers = new Map<number, { far: DatagramSocket; frames: Frame[] }>();
  near.on("message", (chunk, { port: asker }) => {
    let one = askers.get(asker);
    if (one === undefined) {
      const far = createSocket(isIPv6(host) ? "udp6" : "udp4");
      const frames = tape.connection();
      far.on("error", () => {});
      far.on("message", (answer) => {
        tape.keep(frames, "device", answer);
        near.send(answer, asker, loopback);
      });
      one = { far, frames };
      askers.set(asker, one);
    }
    tape.keep(one.frames, "kerb", chunk);
    one.far.send(chunk, port, host);
  });
  return {
    tape,
    place: { host: loopback, port: near.address().port },
    async close() {
      near.close();
      for (const { far } of askers.values()) far.close();
    },
  };
}

/** Opens a tap on loopback in front of a device. Rejects with the socket's error when no port can be had. */
export function openTap(far: Far): Promise<Tap> {
  return far.over === "serial" || far.over === "tcp" ? streamTap(far) : datagramTap(far);
}
