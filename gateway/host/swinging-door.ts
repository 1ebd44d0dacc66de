import type { Normalised } from "./computed.ts";

/**
 * Swinging-door compression (E. H. Bristol, "Swinging door trending", ISA 1990): of a value only the corners of a
 * line leave that passes no sample by more than the deviation. A sample ends the line only while its own slope lies
 * between the doors, which the plain algorithm does not ask and which is what holds the bound.
 */

/** A clock that goes back by more was set; by less, a sample has come late. */
const setBackMsMin = 8 * 3_600_000;

/** `timeMs`: of any clock that only this door sees. */
export interface Sample extends Normalised {
  timeMs: number;
}

/** The door of one point. What it keeps back is the newest sample, until `release` or for one heartbeat of samples. */
export class SwingingDoor {
  readonly #deviation: number;
  readonly #heartbeatMs: number;
  /** The last that was told, where the line begins. */
  #told: Sample | undefined;
  /** The newest, which has not been told: a line to it passes all before it. */
  #held: Sample | undefined;
  /** Since when something has been kept back, on the clock of `performance.now()`. */
  #heldFromMs = 0;
  /** Slopes per ms between which a line passes all samples since `#told`. */
  #least = -Infinity;
  #most = Infinity;

  constructor(deviation: number, heartbeatMs: number) {
    this.#deviation = deviation;
    this.#heartbeatMs = heartbeatMs;
  }

  /** Takes a sample; gives those that leave now, the oldest first: those that were held back with their own time. */
  offer(sample: Sample): Sample[] {
    const told = this.#told;
    if (told === undefined)
      return [...this.#kept().filter(({ timeMs }) => timeMs < sample.timeMs), ...this.#begin(sample)];
    if (typeof sample.value !== "number" || !isAlike(sample, told)) return this.#changed(sample, told);
    const newest = this.#held ?? told;
    if (newest.timeMs - sample.timeMs >= setBackMsMin) return [...this.#kept(), ...this.#begin(sample)];
    if (sample.timeMs <= newest.timeMs) {
      const isRepeat = sample.timeMs === newest.timeMs && sample.value === newest.value;
      return isRepeat ? [] : [sample];
    }
    const slope = slopeOf(told, sample, 0);
    if (slope >= this.#least && slope <= this.#most) return this.#within(sample, told);
    const ends = this.#kept();
    const [corner] = ends;
    if (corner === undefined) return this.#begin(sample);
    this.#begin(corner);
    return [...ends, ...this.#within(sample, corner)];
  }

  /** Gives what is kept back, which is told with that; `isDue`: only what has been for a heartbeat. */
  release(isDue: boolean): Sample | undefined {
    const held = this.#held;
    if (held === undefined || (isDue && performance.now() - this.#heldFromMs < this.#heartbeatMs))
      return undefined;
    this.#begin(held);
    return held;
  }

  /** What was told has not arrived: the next sample is told, whatever it is. */
  forget(): void {
    this.#told = undefined;
  }

  /** What is not a number, or of another quality, breaks the line: it leaves at once, then once per heartbeat. */
  #changed(sample: Sample, told: Sample): Sample[] {
    const isSame = isAlike(sample, told) && sample.value === told.value;
    if (isSame && sample.timeMs - told.timeMs < this.#heartbeatMs && sample.timeMs >= told.timeMs) return [];
    return [...this.#kept(), ...this.#begin(sample)];
  }

  #within(sample: Sample, told: Sample): Sample[] {
    if (sample.timeMs - told.timeMs >= this.#heartbeatMs) return this.#begin(sample);
    this.#least = Math.max(this.#least, slopeOf(told, sample, -this.#deviation));
    this.#most = Math.min(this.#most, slopeOf(told, sample, this.#deviation));
    if (this.#held === undefined) this.#heldFromMs = performance.now();
    this.#held = sample;
    return [];
  }

  #begin(sample: Sample): Sample[] {
    this.#told = sample;
    this.#held = undefined;
    this.#least = -Infinity;
    this.#most = Infinity;
    return [sample];
  }

  #kept(): Sample[] {
    return this.#held === undefined ? [] : [this.#held];
  }
}

function isAlike(a: Sample, b: Sample): boolean {
  return a.quality === b.quality && a.detail?.code === b.detail?.code && typeof a.value === typeof b.value;
}

function slopeOf(from: Sample, to: Sample, more: number): number {
  return (Number(to.value) + more - Number(from.value)) / (to.timeMs - from.timeMs);
}
