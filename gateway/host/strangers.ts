import { printable } from "../printable.ts";

/**
 * Callers that are refused because no device of the site file may be they: a controller that was put up and not
 * entered, one with a mistyped id, or somebody who tries ids. All are counted; of few names a window an event tells.
 */

const windowMs = 3_600_000;
const namesMax = 20;
const textMax = 200;

/** Data of a `device-status` event of the gateway. */
export interface StrangerEvent extends Record<string, unknown> {
  state: "unknown-device";
  driver: string;
  /** What it calls itself. */
  name: string;
  reason: string;
  /** Calls of all strangers since the host's start. */
  calls: number;
}

const short = (text: string): string => printable(text).slice(0, textMax);

export class Strangers {
  /** Calls since the host's start. */
  calls = 0;
  /** What the last of them called itself. */
  last: string | undefined;
  readonly #driver: string;
  readonly #tell: (data: StrangerEvent) => void;
  readonly #told = new Set<string>();
  #windowFromMs = -Infinity;

  constructor(driver: string, tell: (data: StrangerEvent) => void) {
    this.#driver = driver;
    this.#tell = tell;
  }

  report(who: string, why: string, nowMs = performance.now()): void {
    const name = short(who);
    this.calls++;
    this.last = name;
    if (nowMs - this.#windowFromMs >= windowMs) {
      this.#windowFromMs = nowMs;
      this.#told.clear();
    }
    if (this.#told.has(name) || this.#told.size >= namesMax) return;
    this.#told.add(name);
    const isLast = this.#told.size === namesMax;
    const reason = isLast ? `${short(why)}; for an hour further names are only counted` : short(why);
    this.#tell({ state: "unknown-device", driver: this.#driver, name, reason, calls: this.calls });
  }
}
