/** First and last event number, both included. */
export type Range = [from: number, to: number];

/** Event numbers that the gateway declared it will never send, and its reason. */
export interface Loss {
  from: number;
  to: number;
  reason: string;
}

/** What is stored of a ledger, besides its losses. */
export interface LedgerState {
  top: number;
  holes: Range[];
  last: number | undefined;
}

/** A ledger as it stands in an acknowledgement. Every number ≤ `top` that is not in `miss` is accounted for. */
export interface EpochReport {
  wm: number;
  top: number;
  miss: Range[];
}

interface Hole {
  from: number;
  to: number;
  sinceMs: number;
}

/** Ranges that one acknowledgement lists for one epoch. */
const missingMax = 64;

/**
 * The event numbers of one gateway and epoch (from 1) that are accounted for: stored, or declared lost. It holds
 * the holes below the highest number known to exist, so that data in order costs nothing. Times are ms.
 */
export class Ledger {
  /** The highest number known to exist; 0 = none. */
  top = 0;
  /** Where the gateway said that the epoch ended; undefined while it runs. */
  last: number | undefined;
  /** The losses differ from what is stored; set here, cleared by who stores them. */
  lossesChanged = false;
  /** Ascending, disjoint; a later hole is never older than an earlier one. */
  #holes: Hole[] = [];
  /** Ascending, disjoint, and no number of them is stored. */
  #losses: Loss[] = [];

  constructor(state?: LedgerState, losses: Loss[] = []) {
    if (state === undefined) return;
    this.top = state.top;
    this.last = state.last;
    // What was missing before a restart has waited long enough.
    this.#holes = state.holes.map(([from, to]) => ({ from, to, sinceMs: Number.NEGATIVE_INFINITY }));
    this.#losses = losses;
  }

  state(): LedgerState {
    return { top: this.top, last: this.last, holes: this.#holes.map((hole) => [hole.from, hole.to]) };
  }

  get losses(): readonly Loss[] {
    return this.#losses;
  }

  /** Every number up to this one is accounted for. */
  get watermark(): number {
    return this.#holes[0] === undefined ? this.top : this.#holes[0].from - 1;
  }

  get holeCount(): number {
    return this.#holes.length;
  }

  /** Pieces that it takes to say what is missing and lost. */
  get fragments(): number {
    return this.#holes.length + this.#losses.length;
  }

  /** The epoch has ended and nothing of it is missing. */
  get closed(): boolean {
    return this.last !== undefined && this.watermark >= this.last;
  }

  /** Marks ascending ranges as stored; gives back the parts that were not stored before, ascending. */
  add(ranges: readonly Range[], nowMs: number): Range[] {
    const fresh: Range[] = [];
    for (const [from, to] of ranges) {
      const parts = this.#cover(from, to, nowMs);
      if (this.#losses.length > 0) {
        parts.push(...this.#found(from, to));
        parts.sort((a, b) => a[0] - b[0]);
      }
      for (const part of parts) append(fresh, part);
    }
    return fresh;
  }

  /** Marks numbers as lost unless they are stored. True when that changed anything. */
  declare(loss: Loss, nowMs: number): boolean {
    const parts = this.#cover(loss.from, loss.to, nowMs);
    for (const [from, to] of parts) {
      const at = lowerBound(this.#losses, from);
      const before = this.#losses[at - 1];
      if (before !== undefined && before.to === from - 1 && before.reason === loss.reason) before.to = to;
      else this.#losses.splice(at, 0, { from, to, reason: loss.reason });
    }
    if (parts.length > 0) this.lossesChanged = true;
    return parts.length > 0;
  }

  /** The gateway allocated numbers up to `last`: those not seen are missing. True when that was news. */
  extend(last: number, nowMs: number): boolean {
    if (last <= this.top) return false;
    this.#holes.push({ from: this.top + 1, to: last, sinceMs: nowMs });
    this.top = last;
    return true;
  }

  /** The epoch has ended at `last`. True when that was news. */
  expect(last: number, nowMs: number): boolean {
    const news = this.last === undefined || last > this.last;
    if (news) this.last = last;
    return this.extend(last, nowMs) || news;
  }

  /** Numbers missing for at least `olderThanMs`: at most 64 ranges, oldest first. */
  missing(olderThanMs: number, nowMs: number): Range[] {
    const list: Range[] = [];
    for (const hole of this.#holes) {
      if (list.length === missingMax || hole.sinceMs > nowMs - olderThanMs) break;
      list.push([hole.from, hole.to]);
    }
    return list;
  }

  /** The state for an acknowledgement: `top` stays below the first hole that `miss` leaves out. */
  report(olderThanMs: number, nowMs: number): EpochReport {
    const miss = this.missing(olderThanMs, nowMs);
    const unlisted = this.#holes[miss.length];
    return { wm: this.watermark, top: unlisted === undefined ? this.top : unlisted.from - 1, miss };
  }

  /** Takes [from, to] out of the holes; gives back the parts that were not accounted for. */
  #cover(from: number, to: number, nowMs: number): Range[] {
    if (from > this.top) {
      if (from > this.top + 1) this.#holes.push({ from: this.top + 1, to: from - 1, sinceMs: nowMs });
      this.top = to;
      return [[from, to]];
    }
    const parts: Range[] = [];
    const holes = this.#holes;
    const start = lowerBound(holes, from);
    const rest: Hole[] = [];
    let end = start;
    for (; end < holes.length; end++) {
      const hole = holes[end] as Hole;
      if (hole.from > to) break;
      parts.push([Math.max(from, hole.from), Math.min(to, hole.to)]);
      if (hole.from < from) rest.push({ ...hole, to: from - 1 });
      if (hole.to > to) rest.push({ ...hole, from: to + 1 });
    }
    if (end > start) holes.splice(start, end - start, ...rest);
    if (to > this.top) {
      parts.push([this.top + 1, to]);
      this.top = to;
    }
    return parts;
  }

  /** Takes [from, to] out of the losses, because the data came after all. */
  #found(from: number, to: number): Range[] {
    const parts: Range[] = [];
    const losses = this.#losses;
    const start = lowerBound(losses, from);
    const rest: Loss[] = [];
    let end = start;
    for (; end < losses.length; end++) {
      const loss = losses[end] as Loss;
      if (loss.from > to) break;
      parts.push([Math.max(from, loss.from), Math.min(to, loss.to)]);
      if (loss.from < from) rest.push({ ...loss, to: from - 1 });
      if (loss.to > to) rest.push({ ...loss, from: to + 1 });
    }
    if (end > start) {
      losses.splice(start, end - start, ...rest);
      this.lossesChanged = true;
    }
    return parts;
  }
}

/** Index of the first item that ends at or after `number`. */
function lowerBound(list: readonly { to: number }[], number: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as { to: number }).to < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

function append(ranges: Range[], part: Range): void {
  const before = ranges[ranges.length - 1];
  if (before !== undefined && before[1] + 1 >= part[0]) before[1] = Math.max(before[1], part[1]);
  else ranges.push(part);
}

/** Strictly ascending event numbers as ranges. Throws `RangeError` if they are anything else. */
export function rangesOf(seqs: readonly number[]): Range[] {
  const ranges: Range[] = [];
  let open: Range | undefined;
  for (const seq of seqs) {
    if (!Number.isSafeInteger(seq) || seq < 1 || (open !== undefined && seq <= open[1])) {
      throw new RangeError(`event numbers must ascend from 1; ${String(seq)} does not`);
    }
    if (open !== undefined && seq === open[1] + 1) open[1] = seq;
    else {
      open = [seq, seq];
      ranges.push(open);
    }
  }
  return ranges;
}

/** How many numbers the ranges hold. */
export function countOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}
