import { DeviceError } from "../../gateway/driver.ts";
import type { Batch, Request } from "./batch.ts";
import type { Framing } from "./codec.ts";

/** The way to one unit, over whichever transport. */
export interface Link {
  readonly framing: Framing;
  /** Requests that may be out at once. */
  readonly inFlightMax: number;
  /** Whether the wire gives each request back, as some two-wire adapters do; undefined: no answer has told yet. */
  readonly isEchoed: boolean | undefined;
  /**
   * Sends the unsent requests of a batch. Resolves when all are settled, when one is `lost` (the rest is then
   * unsent) or when the batch is hopeless. Rejects with `hung-up`, `garbage`, `aborted`, `closed`, `refused`,
   * `unreachable`, `busy`, `denied`.
   */
  run(batch: Batch, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The error of a call whose caller gave up. */
export function aborted(place: string): DeviceError {
  return new DeviceError("aborted", `${place}: given up by the caller`);
}

/** The error of a call that ran while, or was made after, the connection was closed. */
export function closed(place: string): DeviceError {
  return new DeviceError("closed", `${place}: the connection is closed`);
}

/** The error of a request that was not answered. */
export function lost(place: string, { strayBytes, text }: Request): DeviceError {
  return new DeviceError(strayBytes > 0 ? "garbage" : "silent", `${place}: no answer to ${text}`);
}

const waitingMax = 256;

/** Lets one call in at a time; the others wait in order, at most 256 of them. */
export class Turn {
  #taken = false;
  readonly #waiting: (() => void)[] = [];

  /** undefined = free, and now taken. Rejects with `giveUp()` when the signal aborts first. */
  take(signal: AbortSignal, giveUp: () => DeviceError): Promise<void> | undefined {
    if (!this.#taken) {
      this.#taken = true;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(giveUp());
      if (this.#waiting.length >= waitingMax)
        return reject(new DeviceError("busy", "too many calls wait for the line"));
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(giveUp());
      };
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(enter);
    });
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next();
  }
}
