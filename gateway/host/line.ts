import { DeviceError } from "../driver.ts";

/**
 * Devices on one wire are read one at a time. A unit that does not answer may use at most a fifth of the wire's
 * time, all dead units together, so that it cannot eat the bus.
 */
const deadShare = 0.2;
/** So many writes one after the other while somebody waits to read: then there is one reading turn. */
const urgentRowMax = 4;

/** Who asks for the wire. */
export interface Claim {
  /** The unit has not answered of late: its turn comes only when the dead units' budget allows it. */
  isSuspect: boolean;
  /** When it last answered (`performance.now()`); while units are dying the ones seen alive go first. */
  aliveMs: number;
  /** A write, which goes ahead of what is read, whatever its unit owes; each fifth turn is left to the reading. */
  isUrgent?: boolean;
  signal?: AbortSignal;
}

interface Waiter {
  aliveMs: number;
  grant(): void;
}

export class Line {
  #isTaken = false;
  #deadUntilMs = -Infinity;
  #wasSuspect = false;
  /** Urgent turns since the last other one for which somebody waited. */
  #urgentRow = 0;
  readonly #urgent: Waiter[] = [];
  readonly #healthy: Waiter[] = [];
  readonly #suspects: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Waits for the wire; the returned function gives it back. Rejects with "aborted" when the signal aborts. */
  acquire(claim: Claim = { isSuspect: false, aliveMs: 0 }): Promise<() => void> {
    const { isSuspect, aliveMs, isUrgent = false, signal } = claim;
    const queue = isUrgent ? this.#urgent : isSuspect ? this.#suspects : this.#healthy;
    return new Promise((resolve, reject) => {
      const give = () => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(new DeviceError("aborted", "gave up waiting for the line"));
      };
      const waiter: Waiter = {
        aliveMs,
        grant: () => {
          signal?.removeEventListener("abort", give);
          this.#isTaken = true;
          this.#wasSuspect = isSuspect;
          resolve(() => this.#release());
        },
      };
      queue.push(waiter);
      signal?.addEventListener("abort", give, { once: true });
      if (signal?.aborted === true) give();
      else this.#next();
    });
  }

  /**
   * A unit that did not answer has cost the wire this long; called before the wire is given back. True when no
   * other unit was in debt: this one may be tried again at once.
   */
  spent(costMs: number, nowMs: number): boolean {
    const isFirst = this.#deadUntilMs <= nowMs - costMs;
    this.#deadUntilMs = Math.max(this.#deadUntilMs, nowMs) + costMs * (1 / deadShare - 1);
    return isFirst;
  }

  /** How long an attempt at a dead unit still has to wait, ms. */
  deadWaitMs(nowMs: number): number {
    return Math.max(0, this.#deadUntilMs - nowMs);
  }

  #release(): void {
    this.#isTaken = false;
    this.#next();
  }

  #next(): void {
    if (this.#isTaken) return;
    const waitMs = this.deadWaitMs(performance.now());
    const isSuspectDue = waitMs === 0 && this.#suspects.length > 0;
    const isAwaited = isSuspectDue || this.#healthy.length > 0;
    if (this.#urgent.length > 0 && !(isAwaited && this.#urgentRow >= urgentRowMax)) {
      this.#urgentRow = isAwaited ? this.#urgentRow + 1 : 0;
      this.#urgent.shift()?.grant();
      return;
    }
    this.#urgentRow = 0;
    // Neither kind may keep the other from the wire for longer than one turn.
    if (isSuspectDue && (this.#healthy.length === 0 || !this.#wasSuspect)) {
      this.#suspects.shift()?.grant();
      return;
    }
    let best = 0;
    if (waitMs > 0)
      this.#healthy.forEach(({ aliveMs }, i) => {
        if (aliveMs > (this.#healthy[best]?.aliveMs ?? 0)) best = i;
      });
    const [chosen] = this.#healthy.splice(best, 1);
    if (chosen !== undefined) chosen.grant();
    else if (this.#suspects.length > 0) this.#wait(waitMs);
  }

  #wait(forMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#next(), Math.ceil(forMs) + 1);
  }
}
