import type { EventEmitter } from "node:events";
import { DeviceError, type DeviceErrorCode } from "../../gateway/driver.ts";
import { aborted } from "./link.ts";
import type { Settings } from "./settings.ts";

/** Bytes in both directions, over a serial port or a socket. */
export interface ByteStream {
  write(bytes: Uint8Array): void;
  /** Settles within a second, also twice and after a loss. */
  close(): Promise<void>;
}

export interface ByteStreamOptions {
  readonly place: string;
  readonly onBytes: (buffer: Uint8Array, length: number) => void;
  /** The open stream is gone, by whatever cause. */
  readonly onLost: (error: DeviceError) => void;
}

export type SerialSettings = Extract<Settings["transport"], { type: "rtu" }>;

const closeTimeoutMs = 900;

/**
 * Opens a serial port for ourselves alone. Rejects with `refused` (no such port), `denied` (no permission),
 * `busy` (another process has it) or `aborted`. The package is loaded with the first port.
 */
export async function openSerial(
  settings: SerialSettings,
  options: ByteStreamOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  const { place } = options;
  const { SerialPort } = await import("serialport");
  const port = new SerialPort({
    path: settings.port,
    baudRate: settings.baud,
    parity: settings.parity,
    dataBits: settings.dataBits,
    stopBits: settings.stopBits,
    autoOpen: false,
  });
  let lost = false;
  const lose = (reason: string) => {
    if (lost) return;
    lost = true;
    options.onLost(new DeviceError("hung-up", `${place}: ${reason}`));
  };
  const close = () =>
    new Promise<void>((resolve) => {
      lost = true;
      if (!port.isOpen) return resolve();
      const timer = setTimeout(resolve, closeTimeoutMs);
      port.close(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  // Without a listener an error would end the process; the port is of no use after any.
  port.on("error", (error) => lose(error.message));
  await new Promise<void>((resolve, reject) => {
    port.open((error) => {
      if (error === null) resolve();
      else
        reject(new DeviceError(openErrorCode(error.message), `${place}: ${error.message}`, { cause: error }));
    });
  });
  wakeLoop(port.port);
  port.on("close", () => lose("the port is gone"));
  port.on("data", (chunk: Buffer) => {
    if (!lost) options.onBytes(chunk, chunk.length);
  });
  if (signal.aborted) {
    await close();
    throw aborted(place);
  }
  return {
    close,
    write: (bytes) => {
      port.write(bytes);
    },
  };
}

function openErrorCode(message: string): DeviceErrorCode {
  if (/lock|busy|temporarily unavailable/i.test(message)) return "busy";
  if (/permission|denied/i.test(message)) return "denied";
  return "refused";
}

/** serialport 13 does not deliver on Node 26.4 and later until something else turns the loop (nodejs/node#66158). */
function wakeLoop(binding: unknown): void {
  const poller = (binding as { poller?: EventEmitter } | undefined)?.poller;
  for (const event of ["readable", "writable", "disconnect"]) {
    poller?.on(event, () => setImmediate(() => {}));
  }
}
