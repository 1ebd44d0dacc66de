import { stepMs } from "../clock.ts";
import { gap, type GapCause } from "../gaps.ts";

/** The time in which a device is not read, or not listened to: from its last good read or sign of life to the next. */
export class Outage {
  readonly #cause: GapCause;
  #goodMs = Date.now();
  #goodAtMs = performance.now();
  /** Before its first read no poll of a device has been, and the one that is due now is missed too. */
  #wasRead = false;
  #code: string | undefined;
  #toldFromMs: number | undefined;

  constructor(cause: GapCause = "device_offline") {
    this.#cause = cause;
  }

  /** It has been told as open and is not over. */
  get isTold(): boolean {
    return this.#code !== undefined;
  }

  /** A good read, or data that a device has pushed, at this wall time (ms). */
  read(timeMs: number): void {
    this.#goodMs = timeMs;
    this.#goodAtMs = performance.now() - Math.max(0, Date.now() - timeMs);
    this.#wasRead = true;
  }

  /**
   * The device is known to be lost. Gives the data of an open gap event, which stays when nobody lives to tell the
   * end; undefined when it was told before. `periodsMs`: how often its points are read.
   */
  lost(code: string, periodsMs: readonly number[]): Record<string, unknown> | undefined {
    if (this.#code !== undefined) return undefined;
    this.#code = code;
    return this.#gap(code, periodsMs, true);
  }

  /**
   * Ends the outage, at the device's return or, `open`, because nobody waits for it any longer; gives the data of
   * its gap event, undefined when there was none. `periodsMs`: how often its points are read.
   */
  end(periodsMs: readonly number[], open = false): Record<string, unknown> | undefined {
    const code = this.#code;
    if (code === undefined) return undefined;
    const data = this.#gap(code, periodsMs, open);
    this.#code = this.#toldFromMs = undefined;
    return data;
  }

  #gap(code: string, periodsMs: readonly number[], open: boolean): Record<string, unknown> {
    const nowMs = Date.now();
    const spentMs = performance.now() - this.#goodAtMs;
    const pollsMissed = periodsMs.reduce(
      (sum, periodMs) => sum + Math.max(0, Math.round(spentMs / periodMs) - (this.#wasRead ? 1 : 0)),
      0,
    );
    // Both ends by one clock: the wall clock may have been set since the last good read.
    const from = Math.round(nowMs - spentMs);
    const usual = this.#toldFromMs ?? this.#goodMs;
    const fromMs = Math.abs(from - usual) > stepMs ? from : usual;
    const told = this.#toldFromMs;
    this.#toldFromMs ??= fromMs;
    const replaces = told === undefined || told === fromMs ? {} : { replaces: new Date(told).toISOString() };
    const polls = this.#cause === "device_offline" ? { pollsMissed } : {};
    return gap(this.#cause, fromMs, nowMs, { code, ...polls, open, ...replaces });
  }
}
