/** Upper bounds of the buckets, ms: from a commit to memory to a device that is slow to death. */
export const durationBoundsMs = [5, 20, 100, 500, 2000, 10_000] as const;

/** How often something took how long. `counts[i]`: at most `durationBoundsMs[i]` and above the bound before it. */
export interface DurationCounts {
  /** One more than there are bounds: the last counts what is above them all. */
  counts: number[];
  sumMs: number;
}

/** A histogram of durations since the start. */
export class Durations {
  readonly #counts = Array.from({ length: durationBoundsMs.length + 1 }, () => 0);
  #sumMs = 0;

  add(ms: number): void {
    let bucket = 0;
    while (bucket < durationBoundsMs.length && ms > (durationBoundsMs[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs += ms;
  }

  get counts(): DurationCounts {
    return { counts: [...this.#counts], sumMs: this.#sumMs };
  }
}
