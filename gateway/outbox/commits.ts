import { type DurationCounts, Durations } from "../durations.ts";

/** How fast events come in, over the last ten minutes or since the start. `bytesPerS`: about, of the queue file. */
export interface Inflow {
  eventsPerS: number;
  bytesPerS: number;
}

const slotMs = 10_000;
const slotsMax = 60;
/** Of the row's head in its page, and the part of a page that stays empty, as measured. */
const rowHeadBytes = 26;
const pageShare = 0.93;

/** The transactions that stored events: how long they took, and how much came in. */
export class Commits {
  readonly #durations = new Durations();
  readonly #startedMs = performance.now();
  /** By their number since the start. */
  readonly #slots = new Map<number, { events: number; bytes: number }>();

  add(tookMs: number, events: readonly { body: Uint8Array }[]): void {
    this.#durations.add(tookMs);
    const slot = this.#slot;
    const sum = this.#slots.get(slot) ?? { events: 0, bytes: 0 };
    sum.events += events.length;
    for (const { body } of events) sum.bytes += body.byteLength + rowHeadBytes;
    this.#slots.set(slot, sum);
    this.#prune();
  }

  get counts(): DurationCounts {
    return this.#durations.counts;
  }

  get inflow(): Inflow {
    this.#prune();
    const spentMs = performance.now() - this.#startedMs;
    const seconds = Math.max(1, Math.min(spentMs, (slotsMax - 1) * slotMs + (spentMs % slotMs)) / 1000);
    const sums = [...this.#slots.values()];
    return {
      eventsPerS: sums.reduce((sum, { events }) => sum + events, 0) / seconds,
      bytesPerS: sums.reduce((sum, { bytes }) => sum + bytes, 0) / pageShare / seconds,
    };
  }

  get #slot(): number {
    return Math.floor((performance.now() - this.#startedMs) / slotMs);
  }

  #prune(): void {
    const oldest = this.#slot - slotsMax + 1;
    for (const slot of this.#slots.keys()) if (slot < oldest) this.#slots.delete(slot);
  }
}
