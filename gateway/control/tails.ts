import type { KerbEvent } from "../event.ts";

const queueMax = 5000;
/** Fewer than the control socket has places: those who only watch must not keep out those who command. */
export const watchersMax = 24;

export interface MissedEvents {
  missed: number;
}

/** Those who watch events as they are accepted: `kerb tail`. */
export class Tails {
  readonly #watchers = new Set<(events: KerbEvent[]) => void>();
  readonly #switch: (on: boolean) => void;

  /** `turn`: whether anybody watches. */
  constructor(turn: (on: boolean) => void) {
    this.#switch = turn;
  }

  take(events: KerbEvent[]): void {
    for (const watch of this.#watchers) watch(events);
  }

  /** Events, and after a reader that was too slow how many it has missed. */
  async *follow(signal: AbortSignal): AsyncGenerator<KerbEvent | MissedEvents> {
    if (this.#watchers.size >= watchersMax)
      throw new Error(`${watchersMax} others watch already: end one of them (kerb tail, kerb upstream test)`);
    let queue: KerbEvent[] = [];
    let missed = 0;
    let wake: (() => void) | undefined;
    const take = (events: KerbEvent[]) => {
      // A slow reader misses events on its screen, never in the outbox.
      queue = [...queue, ...events];
      missed += Math.max(0, queue.length - queueMax);
      queue = queue.slice(-queueMax);
      wake?.();
    };
    this.#watchers.add(take);
    this.#switch(true);
    signal.addEventListener("abort", () => wake?.());
    try {
      while (!signal.aborted) {
        const gone = missed;
        missed = 0;
        if (gone > 0) yield { missed: gone };
        yield* queue.splice(0);
        if (queue.length > 0) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted) resolve();
        });
      }
    } finally {
      this.#watchers.delete(take);
      if (this.#watchers.size === 0) this.#switch(false);
    }
  }
}
