import { merge } from "./batches.ts";

interface Range {
  first: number;
  last: number;
}

/** Ids of telemetry that no batch covers yet, oldest first. */
export class Backlog {
  #ranges: Range[] = [];

  get oldest(): Range | undefined {
    return this.#ranges[0];
  }

  /** About how many events: what was evicted meanwhile still counts. */
  get size(): number {
    return this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }

  /** Newer ids than all others. */
  append(first: number, last: number): void {
    const tail = this.#ranges.at(-1);
    if (first > last) return;
    if (tail !== undefined && tail.last === first - 1) tail.last = last;
    else this.#ranges.push({ first, last });
  }

  /** Ids from anywhere. */
  give(ranges: readonly Range[]): void {
    this.#ranges = merge([...this.#ranges, ...ranges]);
  }

  /** Everything of the oldest range up to `last` is taken, or is not there. */
  takeTo(last: number): void {
    const [range] = this.#ranges;
    if (range === undefined) return;
    range.first = last + 1;
    if (range.first > range.last) this.#ranges.shift();
  }
}

/** How far urgent rows are cut. Batches from before a start may lie above rows that were salvaged since. */
export class UrgentMark {
  /** Urgent rows above this id are not cut yet, but for those that `know` has told of. */
  cutTo = 0;
  readonly #known: Range[] = [];

  /** A batch from before; told in the order of their ids. */
  know(cut: Readonly<Range>): void {
    this.#known.push(cut);
  }

  /** The last id to which the next batch may reach; `next` gives the first urgent row from an id on. */
  end(last: number, next: (from: number) => number | undefined): number {
    for (;;) {
      const [known] = this.#known;
      if (known === undefined) return last;
      if (known.first > (next(this.cutTo + 1) ?? Infinity)) return known.first - 1;
      this.cutTo = Math.max(this.cutTo, known.last);
      this.#known.shift();
    }
  }
}

const receiversMax = 64;

/** The receivers that were heard of over one connection. */
export class Receivers {
  readonly #online = new Map<string, boolean>();

  clear(): void {
    this.#online.clear();
  }

  heard(name: string, online: boolean): void {
    if (this.#online.size < receiversMax || this.#online.has(name)) this.#online.set(name, online);
  }

  /** Every one that was heard of has gone. */
  get areAway(): boolean {
    return this.#online.size > 0 && ![...this.#online.values()].includes(true);
  }
}
