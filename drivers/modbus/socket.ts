import { connect, type Socket } from "node:net";
import { DeviceError, socketErrorCode } from "../../gateway/driver.ts";
import { aborted } from "./link.ts";

export interface SocketOptions {
  readonly host: string;
  readonly port: number;
  /** Names the other end in error messages. */
  readonly place: string;
  readonly timeoutMs: number;
  readonly chunkBytes: number;
  /** `buffer[0, length)` has arrived; the buffer is used again for what comes next. */
  readonly onBytes: (buffer: Uint8Array, length: number) => void;
  /** The open socket is gone; called once, also after `destroy`. */
  readonly onLost: (error: DeviceError, socket: Socket) => void;
}

/** "192.168.1.9:502" or "[fe80::1]:502". */
export function hostAndPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Opens a TCP connection and leaves no socket behind when that fails. Rejects with `refused`, `unreachable`,
 * `silent`, `hung-up` or `aborted`.
 */
export function openSocket(options: SocketOptions, signal: AbortSignal): Promise<Socket> {
  const { place, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted(place));
    let state: "opening" | "open" | "gone" = "opening";
    const socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      onread: {
        buffer: new Uint8Array(options.chunkBytes),
        callback: (length, buffer) => {
          if (state === "open") options.onBytes(buffer, length);
          return true;
        },
      },
    });
    const lose = (error: DeviceError) => {
      const before = state;
      state = "gone";
      socket.destroy();
      if (before === "opening") {
        stopWaiting();
        reject(error);
      } else if (before === "open") options.onLost(error, socket);
    };
    const onAbort = () => lose(aborted(place));
    const timer = setTimeout(
      () => lose(new DeviceError("silent", `${place}: no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const stopWaiting = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    signal.addEventListener("abort", onAbort);
    socket.on("connect", () => {
      if (state !== "opening") return;
      state = "open";
      stopWaiting();
      resolve(socket);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = socketErrorCode(error) ?? (state === "opening" ? "unreachable" : "hung-up");
      lose(new DeviceError(code, `${place}: ${error.code ?? error.message}`, { cause: error }));
    });
    const onGone = () => lose(new DeviceError("hung-up", `${place}: the device closed the connection`));
    socket.on("end", onGone);
    socket.on("close", onGone);
  });
}

/** Destroys a socket and waits until it is gone; needs nothing from the peer. */
export function destroySocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) return resolve();
    socket.once("close", () => resolve());
    socket.destroy();
  });
}
