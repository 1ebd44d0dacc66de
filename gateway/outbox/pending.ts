import type { Frame } from "./frames.ts";
import type { StoredRow } from "./rows.ts";

/** `stream`: a start of a host, whose credit it is. `source`: whose events stay in order, over its starts. */
export type Pending = Frame & { stream: number; source: string };

/** Events that were dropped because the disk took none for too long. ms since 1970 UTC. */
export interface Overflow {
  events: number;
  fromMs: number;
  toMs: number;
}

/** All hosts' credits together stay far below; what is more comes from hosts that start again and again. */
const bytesMaxUsual = 32 * 1024 * 1024;
/** What an event takes beside its body. */
const overheadBytes = 100;

/**
 * Events that wait for their commit, in order within each source. A transaction takes its rows from all of them in
 * turn: a host that storms fills what the others leave, and no more. Bounded: when it is full the oldest telemetry
 * goes first.
 */
export class PendingEvents {
  /** In the order in which the sources were served last. */
  readonly #sources = new Map<string, Pending[]>();
  readonly #bytesMax: number;
  #bytes = 0;
  #overflow: Overflow | undefined;
  length = 0;
  /** A batch of which nobody knows whether it is in the file: it is not dropped. */
  unsure: readonly Pending[] = [];

  constructor(bytesMax = bytesMaxUsual) {
    this.#bytesMax = bytesMax;
  }

  /** Takes an event. Returns those that were dropped for it. */
  push(event: Pending): Pending[] {
    const events = this.#sources.get(event.source);
    if (events === undefined) this.#sources.set(event.source, [event]);
    else events.push(event);
    this.length++;
    this.#bytes += event.body.length + overheadBytes;
    return this.#bytes > this.#bytesMax ? this.#shed() : [];
  }

  /** The next rows of one transaction, which stay until `done`; a single one may be of any size. */
  next(rowsMax: number, bytesMax: number): Pending[] {
    const batch: Pending[] = [];
    const left = [...this.#sources.values()].map((events) => ({ events, at: 0 }));
    let bytes = 0;
    while (left.length > 0 && batch.length < rowsMax) {
      // What one source does not use of its share is shared by the others in the next round.
      const share = Math.ceil((rowsMax - batch.length) / left.length);
      for (const queue of left.splice(0)) {
        const { events } = queue;
        const end = Math.min(events.length, queue.at + share, queue.at + rowsMax - batch.length);
        for (; queue.at < end; queue.at++) {
          const event = events[queue.at] as Pending;
          bytes += event.body.length;
          if (batch.length > 0 && bytes > bytesMax) return batch;
          batch.push(event);
        }
        if (queue.at < events.length) left.push(queue);
      }
    }
    return batch;
  }

  /** A batch of `next` is stored. Nothing of it can have been dropped since: it was `unsure`, or there was no time. */
  done(batch: readonly Pending[]): void {
    for (const [source, stored] of Map.groupBy(batch, (event) => event.source)) {
      const rest = this.#sources.get(source)?.slice(stored.length) ?? [];
      this.#forget(stored);
      // Whom this transaction had no room for comes first in the next one.
      this.#sources.delete(source);
      if (rest.length > 0) this.#sources.set(source, rest);
    }
  }

  /** What was dropped since the last call. */
  takeOverflow(): Overflow | undefined {
    const overflow = this.#overflow;
    this.#overflow = undefined;
    return overflow;
  }

  #forget(events: readonly Pending[]): void {
    this.length -= events.length;
    for (const { body } of events) this.#bytes -= body.length + overheadBytes;
  }

  /** Makes room for a tenth, so that a full queue does not look for a victim at every event. */
  #shed(): Pending[] {
    const dropped: Pending[] = [];
    const unsure = new Set(this.unsure);
    for (const lane of [1, 0] as const) {
      // The largest source gives first: the one that storms.
      const sources = [...this.#sources].sort((a, b) => b[1].length - a[1].length);
      for (const [source, events] of sources) {
        const kept = events.filter((event) => {
          if (event.lane !== lane || this.#bytes <= this.#bytesMax * 0.9 || unsure.has(event)) return true;
          this.#forget([event]);
          dropped.push(event);
          return false;
        });
        this.#sources.set(source, kept);
      }
    }
    const nowMs = Date.now();
    this.#overflow ??= { events: 0, fromMs: nowMs, toMs: nowMs };
    this.#overflow.events += dropped.length;
    this.#overflow.toMs = nowMs;
    return dropped;
  }
}

/** Whether the rows found in the file are those of a commit of which nobody knew. */
export function areStored(events: readonly Pending[], rows: readonly StoredRow[]): boolean {
  const isSame = ({ lane, body }: Pending, row: StoredRow | undefined): boolean =>
    row?.lane === lane && Buffer.compare(body, row.body) === 0;
  return events.length > 0 && events.length === rows.length && events.every((it, i) => isSame(it, rows[i]));
}
