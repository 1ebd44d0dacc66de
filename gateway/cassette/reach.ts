import { DeviceError, type DeviceErrorCode, socketErrorCode } from "../driver.ts";

/** Whether a tap reaches its device: from behind it a driver sees only that somebody hung up, or is silent. */
export class Reach {
  /** Why it does not; undefined: it does, or has not tried. */
  failure: Error | undefined;
  readonly #place: string;

  /** `place`: where the device is, in the words of its driver. */
  constructor(place: string) {
    this.#place = place;
  }

  /** Keeps the first error since it was last reached. */
  failed(error: Error & { code?: unknown }, code: DeviceErrorCode = "hung-up"): void {
    if (error instanceof DeviceError) this.failure ??= error;
    // Of several addresses none of which answers, only the code is told.
    const message = error.message === "" ? String(error.code) : error.message;
    this.failure ??= new DeviceError(socketErrorCode(error) ?? code, `${this.#place}: ${message}`, {
      cause: error,
    });
  }

  succeeded(): void {
    this.failure = undefined;
  }
}

/** What it means that a serial port cannot be opened. */
export function portErrorCode(message: string): DeviceErrorCode {
  if (/lock|busy|temporarily unavailable/i.test(message)) return "busy";
  return /permission|denied/i.test(message) ? "denied" : "refused";
}
