import type { EventEmitter } from "node:events";
import { readdir } from "node:fs/promises";
import { connect } from "node:net";
import { DeviceError, socketErrorCode, type DeviceErrorCode } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** Bytes in both directions, over a serial port or a socket. */
export interface ByteStream {
  write(bytes: Uint8Array): void;
  /** Settles within a second, also twice and after a loss. */
  close(): Promise<void>;
}

export interface StreamUser {
  onBytes(bytes: Uint8Array): void;
  /** The open stream is gone; not called by `close`. */
  onLost(error: DeviceError): void;
}

export type Transport = Settings["transport"];

const closeTimeoutMs = 900;
/** What a peer that does not read leaves unsent; nothing that kerb asks is so long. */
const unsentBytesMax = 16_384;

/** "192.168.1.9:4001", "[fe80::1]:4001" or "/dev/ttyUSB0". */
export function placeOf(transport: Transport): string {
  if (transport.type === "serial") return transport.port;
  const { host, port } = transport;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Opens a port for ourselves alone, or a TCP connection. Rejects with `refused` (nothing there), `busy` (another
 * process has the port), `denied`, `unreachable`, `silent`, `hung-up` or what `stop` was aborted with.
 */
export function openStream(
  transport: Transport,
  user: StreamUser,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<ByteStream> {
  return transport.type === "serial"
    ? openSerial(transport, user, stop)
    : openSocket(transport, user, timeoutMs, stop);
}

async function openSerial(
  settings: Extract<Transport, { type: "serial" }>,
  user: StreamUser,
  stop: AbortSignal,
): Promise<ByteStream> {
  const place = settings.port;
  const { SerialPort } = await import("serialport");
  const port = new SerialPort({
    path: settings.port,
    baudRate: settings.baud,
    parity: settings.parity,
    dataBits: settings.dataBits,
    stopBits: settings.stopBits,
    autoOpen: false,
  });
  let isOver = false;
  const lose = (reason: string) => {
    if (isOver) return;
    isOver = true;
    user.onLost(new DeviceError("hung-up", `${place}: ${reason}`));
  };
  const close = () =>
    new Promise<void>((resolve) => {
      isOver = true;
      if (!port.isOpen) return resolve();
      const timer = setTimeout(resolve, closeTimeoutMs);
      port.close(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  // Without a listener an error would end the process; the port is of no use after any.
  port.on("error", (error) => lose(error.message));
  const problem = await new Promise<Error | null>((resolve) => port.open(resolve));
  if (problem !== null) throw await openError(problem, place);
  wakeLoop(port.port);
  port.on("close", () => lose("the port is gone"));
  port.on("data", (chunk: Buffer) => {
    if (!isOver) user.onBytes(chunk);
  });
  if (stop.aborted) {
    await close();
    throw stop.reason;
  }
  return { close, write: (bytes) => void (port.writableLength < unsentBytesMax && port.write(bytes)) };
}

async function openError(problem: Error, place: string): Promise<DeviceError> {
  // A port may be called "Airblock".
  const message = problem.message.replaceAll(place, "the port");
  const error = (code: DeviceErrorCode, text: string) =>
    new DeviceError(code, `${place}: ${text}`, { cause: problem });
  if (/lock|busy|temporarily unavailable/i.test(message))
    return error("busy", "another program has this port open");
  if (/permission|denied/i.test(message))
    return error("denied", `${message}; the service needs the group dialout`);
  const ports = await presentPorts();
  return error("refused", `${message}; present: ${ports.length === 0 ? "no serial port" : ports.join(", ")}`);
}

/** The serial ports that this machine has, by their stable names where it gives them; 16 at most. */
async function presentPorts(): Promise<string[]> {
  const stable = await readdir("/dev/serial/by-id").catch(() => []);
  if (stable.length > 0) return stable.slice(0, 16).map((name) => `/dev/serial/by-id/${name}`);
  const all = await readdir("/dev").catch(() => []);
  return all
    .filter((name) => /^tty(USB|ACM|AMA|mxc|O|RS485-)\d+$/.test(name))
    .slice(0, 16)
    .map((name) => `/dev/${name}`);
}

/** serialport 13 does not deliver on Node 26.4 and later until something else turns the loop (nodejs/node#66158). */
function wakeLoop(binding: unknown): void {
  const poller = (binding as { poller?: EventEmitter } | undefined)?.poller;
  for (const event of ["readable", "writable", "disconnect"]) poller?.on(event, () => setImmediate(() => {}));
}

function openSocket(
  transport: Extract<Transport, { type: "tcp" }>,
  user: StreamUser,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<ByteStream> {
  const place = placeOf(transport);
  return new Promise((resolve, reject) => {
    let state: "opening" | "open" | "over" = "opening";
    // A peer that is half dead is found by its kernel, within the keep-alive; a quiet instrument is not lost.
    const socket = connect({ host: transport.host, port: transport.port, noDelay: true, keepAlive: true });
    const close = () =>
      new Promise<void>((settled) => {
        state = "over";
        if (socket.closed) return settled();
        socket.once("close", () => settled());
        socket.destroy();
      });
    const lose = (error: DeviceError) => {
      const before = state;
      state = "over";
      clearTimeout(timer);
      stop.removeEventListener("abort", onStop);
      socket.destroy();
      if (before === "opening") reject(error);
      if (before === "open") user.onLost(error);
    };
    const onStop = () => lose(stop.reason as DeviceError);
    const timer = setTimeout(
      () => lose(new DeviceError("silent", `${place}: no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    stop.addEventListener("abort", onStop);
    socket.on("connect", () => {
      if (state !== "opening") return;
      state = "open";
      clearTimeout(timer);
      stop.removeEventListener("abort", onStop);
      socket.setKeepAlive(true, 30_000);
      resolve({
        close,
        write: (bytes) => void (socket.writableLength < unsentBytesMax && socket.write(bytes)),
      });
    });
    socket.on("data", (chunk) => {
      if (state === "open") user.onBytes(chunk);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = socketErrorCode(error) ?? (state === "opening" ? "unreachable" : "hung-up");
      lose(new DeviceError(code, `${place}: ${error.code ?? error.message}`, { cause: error }));
    });
    const onGone = () => lose(new DeviceError("hung-up", `${place}: the other end closed the connection`));
    socket.on("end", onGone);
    socket.on("close", onGone);
  });
}
