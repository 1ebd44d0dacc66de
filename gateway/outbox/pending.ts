import type { Frame } from "./frames.ts";

export type Pending = Frame & { stream: number };

/**
 * Events that wait for their commit, in order within each stream. A transaction takes its rows from all streams in
 * turn: a host that storms fills what the others leave, and no more.
 */
export class PendingEvents {
  /** In the order in which the streams were served last. */
  readonly #streams = new Map<number, Pending[]>();
  length = 0;

  push(event: Pending): void {
    const events = this.#streams.get(event.stream);
    if (events === undefined) this.#streams.set(event.stream, [event]);
    else events.push(event);
    this.length++;
  }

  /** The next rows of one transaction, which stay until `done`; a single one may be of any size. */
  next(rowsMax: number, bytesMax: number): Pending[] {
    const batch: Pending[] = [];
    const left = [...this.#streams.values()].map((events) => ({ events, at: 0 }));
    let bytes = 0;
    while (left.length > 0 && batch.length < rowsMax) {
      // What one stream does not use of its share is shared by the others in the next round.
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

  /** A batch of `next` is stored. */
  done(batch: readonly Pending[]): void {
    for (const [stream, { length }] of Map.groupBy(batch, (event) => event.stream)) {
      const rest = this.#streams.get(stream)?.slice(length) ?? [];
      // Whom this transaction had no room for comes first in the next one.
      this.#streams.delete(stream);
      if (rest.length > 0) this.#streams.set(stream, rest);
    }
    this.length -= batch.length;
  }
}
