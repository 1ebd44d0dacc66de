/**
 * Devices on one wire are read one at a time. A unit that does not answer may use at most a fifth of the wire's
 * time, all dead units together, so that it cannot eat the bus.
 */
const deadShare = 0.2;

export class Line {
  #tail: Promise<void> = Promise.resolve();
  #deadUntilMs = 0;

  /** Waits for the wire; the returned function gives it back. */
  async acquire(): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#tail;
    this.#tail = before.then(() => promise);
    await before;
    return resolve;
  }

  /** A dead unit has cost the wire this long; returns when the next attempt at any dead unit may start. */
  spent(costMs: number, nowMs: number): void {
    this.#deadUntilMs = Math.max(this.#deadUntilMs, nowMs) + costMs * (1 / deadShare - 1);
  }

  /** How long an attempt at a dead unit still has to wait, ms. */
  deadWaitMs(nowMs: number): number {
    return Math.max(0, this.#deadUntilMs - nowMs);
  }
}
