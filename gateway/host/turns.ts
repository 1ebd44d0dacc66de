import { Line } from "./line.ts";

/**
 * Who may use a device's connection: one call at a time, and with it the line that it shares. What is urgent goes
 * ahead of what waits; a call that has begun is never broken off for it.
 */
export class Turns {
  /** Has not answered since it was last lost: on a shared line it gets its turn within the dead units' budget. */
  isSuspect = true;
  readonly #shared: Line | undefined;
  /** Who has the wire has the connection: nobody who waits for the one keeps the other from an urgent call. */
  readonly #line: Line;
  readonly #ending: AbortSignal;
  #aliveMs = 0;

  /** `ending`: nobody gets a turn after it. */
  constructor(line: Line | undefined, ending: AbortSignal) {
    this.#shared = line;
    this.#line = line ?? new Line();
    this.#ending = ending;
  }

  /** The device has answered. */
  alive(): void {
    this.isSuspect = false;
    this.#aliveMs = performance.now();
  }

  /**
   * Waits for the turn; the returned function gives it back. `urgent`: it is, until this signal. Rejects with
   * "aborted" when a signal says so first.
   */
  take(urgent?: AbortSignal): Promise<() => void> {
    return this.#line.acquire({
      isSuspect: this.#shared !== undefined && this.isSuspect,
      aliveMs: this.#aliveMs,
      isUrgent: urgent !== undefined,
      signal: urgent === undefined ? this.#ending : AbortSignal.any([urgent, this.#ending]),
    });
  }

  /** A call that began at `startedMs` was not answered. `isRepeated`: nor was the one before. */
  failed(startedMs: number, isRepeated: boolean): void {
    const nowMs = performance.now();
    const mayRetry = this.#shared?.spent(nowMs - startedMs, nowMs) ?? true;
    // A lone lost answer may be noise; when several units fail, each has to wait.
    this.isSuspect ||= !mayRetry || isRepeated;
  }
}
