import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { type AddressInfo, connect, createServer, isIPv6, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { DeviceError, type Wire, type WirePlace } from "../driver.ts";
import { callsTap } from "./tap-calls.ts";
import type { Frame } from "./cassette.ts";
import { messages } from "./mqtt-messages.ts";
import { portErrorCode, Reach } from "./reach.ts";
import { type Tap, Tape } from "./tape.ts";

/** Stands between a driver and its device, hands every byte on and keeps it. */

const loopback = "127.0.0.1";

/** Where a device listens, or the line it is on. */
type Way = Exclude<Wire<unknown>, { over: "none" }>;
type Far = Exclude<Way, { over: "calls" | "opcua" }>;

/** The other end of one connection. */
interface End {
  write(chunk: Uint8Array): void;
  close(): void;
}

function socketEnd(far: Duplex, near: Socket, heard: (chunk: Buffer) => void, reach: Reach): End {
  far.on("end", () => heard(Buffer.alloc(0)));
  // A device that cannot be reached must look to the driver as it does without a tap: refused or cut off.
  let isReached = false;
  const reached = () => {
    isReached = true;
    reach.succeeded();
  };
  if (far instanceof Socket && far.connecting) far.once("connect", reached);
  else reached();
  far.on("error", (error) => {
    if (!isReached) reach.failed(error);
    near.resetAndDestroy();
  });
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
    port.open((error) => {
      if (error === null) return resolve();
      // A port may be called "Airblock".
      const code = portErrorCode(error.message.replaceAll(path, ""));
      reject(new DeviceError(code, `${path}: ${error.message}`, { cause: error }));
    });
  });
  port.on("error", () => {});
  port.on("data", heard);
  return { write: (chunk) => void port.write(Buffer.from(chunk)), close: () => port.close(() => {}) };
}

/** Rejects where the device cannot be reached in a way that must be told. */
async function openEnd(far: Far, near: Socket, heard: (chunk: Buffer) => void, reach: Reach): Promise<End> {
  if (far.over === "serial") {
    const end = await serialEnd(far, heard);
    reach.succeeded();
    return end;
  }
  const { host, port } = far;
  const plain = far.reach === undefined ? connect({ host, port, noDelay: true }) : await far.reach();
  return socketEnd(plain, near, heard, reach);
}

async function streamTap(far: Far): Promise<Tap> {
  const tape = new Tape();
  const open = new Set<Socket>();
  const reach = new Reach("path" in far ? far.path : `${far.host}:${far.port}`);
  const server = createServer((near) => {
    open.add(near);
    const frames = tape.connection();
    const { kerb, device } = far.over === "mqtt" ? messages(tape, frames) : bytesOf(tape, frames);
    const told = (chunk: Buffer): void => {
      device(chunk);
      if (!near.destroyed && chunk.length > 0) near.write(chunk);
    };
    const end = openEnd(far, near, told, reach);
    near.setNoDelay(true);
    near.on("data", (chunk) => {
      kerb(chunk);
      end.then((one) => one.write(chunk)).catch(() => near.destroy());
    });
    near.on("error", () => near.destroy());
    near.on("close", () => {
      open.delete(near);
      end.then((one) => one.close()).catch(() => {});
    });
    end.catch((error: Error) => {
      reach.failed(error);
      near.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, loopback, resolve);
  });
  return {
    tape,
    place: { host: loopback, port: (server.address() as AddressInfo).port },
    get failure() {
      return reach.failure;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** What comes from either side, as it comes. */
function bytesOf(tape: Tape, frames: Frame[]): Record<Frame["from"], (chunk: Buffer) => void> {
  return {
    kerb: (chunk) => tape.keep(frames, "kerb", chunk),
    device: (chunk) => tape.keep(frames, "device", chunk),
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
  const reach = new Reach(`${host}:${port}`);
  let isOpen = true;
  const askers = new Map<number, { far: DatagramSocket; frames: Frame[]; isUp: Promise<boolean> }>();
  const ask = (asker: number) => {
    const far = createSocket(isIPv6(host) ? "udp6" : "udp4");
    const frames = tape.connection();
    far.on("error", (error) => reach.failed(error));
    far.on("message", (answer) => {
      reach.succeeded();
      tape.keep(frames, "device", answer);
      near.send(answer, asker, loopback);
    });
    // Only to who is connected the network tells that nothing listens there.
    const isUp = new Promise<boolean>((resolve) => {
      far.once("connect", () => resolve(true));
      far.once("error", () => resolve(false));
    });
    far.connect(port, host);
    const one = { far, frames, isUp };
    askers.set(asker, one);
    return one;
  };
  near.on("message", (chunk, { port: asker }) => {
    const { far, frames, isUp } = askers.get(asker) ?? ask(asker);
    tape.keep(frames, "kerb", chunk);
    void isUp.then((isConnected) => isConnected && isOpen && far.send(chunk));
  });
  return {
    tape,
    place: { host: loopback, port: near.address().port },
    get failure() {
      return reach.failure;
    },
    async close() {
      isOpen = false;
      near.close();
      for (const { far } of askers.values()) far.close();
    },
  };
}

/** The driver tells it. */
async function sessionTap(way: Extract<Way, { over: "opcua" }>): Promise<Tap> {
  const tape = new Tape();
  const frames = tape.connection();
  let isAsked = false;
  const stop = await way.overhear({
    said: (from, message) => {
      if (from === "device" && !isAsked) tape.told();
      isAsked = from === "kerb";
      tape.keep(frames, from, message);
    },
    named: (text) => void tape.names.add(text),
    left: (what) => void tape.skipped.add(what),
  });
  return { tape, place: undefined, close: async () => stop() };
}

/**
 * Opens a tap in front of a device: on loopback, or for one that calls where it calls; or listens to what its driver
 * tells. Rejects with the socket's error when no port can be had.
 */
export function openTap(way: Way): Promise<Tap> {
  if (way.over === "calls") return callsTap(way);
  if (way.over === "opcua") return sessionTap(way);
  return way.over === "udp" ? datagramTap(way) : streamTap(way);
}
