import { isDamage, sentence } from "./faults.ts";
import type { Suspicion } from "./open.ts";
import type { OutboxStore } from "./store.ts";

/** A time without a queue file. `fromMs`: ms since 1970 UTC. */
export interface Outage {
  reason: string;
  fromMs: number;
}

export interface ReopeningOptions {
  /** Opens the file again; throws while that is not possible. */
  open(suspect: Suspicion): OutboxStore;
  opened(store: OutboxStore): void;
  /** Once at the start and whenever the reason changes. */
  failing(reason: string): void;
}

const firstPauseMs = 1000;
const pauseMsMax = 10_000;
/** Damage again so soon after a check that found nothing: the file is not believed any more. */
const condemnWithinMs = 60_000;

/** Opens a queue file that has failed again and again, with growing pauses, until it is there. */
export class Reopening {
  readonly #options: ReopeningOptions;
  #outage: Outage | undefined;
  #suspect: Suspicion = false;
  #damagedAtMs = -Infinity;
  #pauseMs = firstPauseMs;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReopeningOptions) {
    this.#options = options;
  }

  get outage(): Outage | undefined {
    return this.#outage;
  }

  /** The handle is closed; the next one is tried after `pauseMs`. */
  begin(error: unknown, pauseMs = firstPauseMs): void {
    const nowMs = performance.now();
    if (isDamage(error)) {
      this.#suspect = nowMs - this.#damagedAtMs < condemnWithinMs ? "condemned" : "check";
      this.#damagedAtMs = nowMs;
    } else this.#suspect = false;
    this.#outage = { reason: sentence(error), fromMs: Date.now() };
    this.#pauseMs = Math.max(firstPauseMs, pauseMs);
    this.#options.failing(this.#outage.reason);
    this.#timer = setTimeout(() => this.#try(), pauseMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #try(): void {
    let store: OutboxStore;
    try {
      store = this.#options.open(this.#suspect);
    } catch (error) {
      if (isDamage(error)) this.#suspect = this.#suspect === false ? "check" : "condemned";
      const reason = sentence(error);
      if (this.#outage !== undefined && reason !== this.#outage.reason) {
        this.#outage.reason = reason;
        this.#options.failing(reason);
      }
      this.#timer = setTimeout(() => this.#try(), this.#pauseMs);
      this.#pauseMs = Math.min(pauseMsMax, this.#pauseMs * 2);
      return;
    }
    this.#outage = undefined;
    this.#options.opened(store);
  }
}
