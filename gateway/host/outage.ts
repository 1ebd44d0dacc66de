import { gap } from "../gaps.ts";

/** The time in which a device is not read: from its last good read to the next one. */
export class Outage {
  #goodMs = Date.now();
  #goodAtMs = performance.now();
  /** Before its first read no poll of a device has been, and the one that is due now is missed too. */
  #wasRead = false;
  #code: string | undefined;

  /** A good read, at this wall time (ms). */
  read(timeMs: number): void {
    this.#goodMs = timeMs;
    this.#goodAtMs = performance.now();
    this.#wasRead = true;
  }

  /** The device is known to be lost. */
  lost(code: string): void {
    this.#code ??= code;
  }

  /**
   * Ends the outage, at the device's return or, `open`, because nobody waits for it any longer; gives the data of
   * its gap event, undefined when there was none. `periodsMs`: how often its points are read.
   */
  end(periodsMs: readonly number[], open = false): Record<string, unknown> | undefined {
    const code = this.#code;
    if (code === undefined) return undefined;
    this.#code = undefined;
    const spentMs = performance.now() - this.#goodAtMs;
    const pollsMissed = periodsMs.reduce(
      (sum, periodMs) => sum + Math.max(0, Math.round(spentMs / periodMs) - (this.#wasRead ? 1 : 0)),
      0,
    );
    return gap("device_offline", this.#goodMs, Date.now(), { code, pollsMissed, open });
  }
}
