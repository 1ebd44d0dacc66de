import type { Frame } from "./frames.ts";

export type Pending = Frame & { stream: number };

/** Events that were dropped because the disk took none for too long. ms since 1970 UTC. */
export interface Overflow {
  events: number;
  fromMs: number;
  toMs: number;
}

/** All hosts' credits together stay far below; what is more comes from hosts that start again and again. */
const bytesMax = 32 * 1024 * 1024;
/** What an event takes beside its body. */
const overheadBytes = 100;

/** Events on their way into the outbox, in order and bounded: when it is full the oldest telemetry goes first. */
export class PendingEvents {
  #events: Pending[] = [];
  #bytes = 0;
  #overflow: Overflow | undefined;
  readonly #bytesMax: number;

  constructor(bytes = bytesMax) {
    this.#bytesMax = bytes;
  }

  get length(): number {
    return this.#events.length;
  }

  /** Takes an event. Returns those that were dropped for it. */
  push(event: Pending): Pending[] {
    this.#events.push(event);
    this.#bytes += event.body.length + overheadBytes;
    return this.#bytes > this.#bytesMax ? this.#shed() : [];
  }

  /** The oldest events, at most `rows` of them and `bytes` together; a single one of any size. */
  first(rows: number, bytes: number): Pending[] {
    let sum = 0;
    let count = 0;
    while (count < this.#events.length && count < rows) {
      sum += this.#events[count]?.body.length ?? 0;
      if (count > 0 && sum > bytes) break;
      count++;
    }
    return this.#events.slice(0, count);
  }

  /** The oldest `count` are stored. */
  remove(count: number): void {
    for (const { body } of this.#events.slice(0, count)) this.#bytes -= body.length + overheadBytes;
    this.#events = this.#events.slice(count);
  }

  /** What was dropped since the last call. */
  takeOverflow(): Overflow | undefined {
    const overflow = this.#overflow;
    this.#overflow = undefined;
    return overflow;
  }

  /** Makes room for a tenth, so that a full queue does not look for a victim at every event. */
  #shed(): Pending[] {
    const dropped = new Set<Pending>();
    for (const lane of [1, 0] as const) {
      for (const event of this.#events) {
        if (this.#bytes <= this.#bytesMax * 0.9) break;
        if (event.lane !== lane) continue;
        dropped.add(event);
        this.#bytes -= event.body.length + overheadBytes;
      }
    }
    this.#events = this.#events.filter((event) => !dropped.has(event));
    const nowMs = Date.now();
    this.#overflow ??= { events: 0, fromMs: nowMs, toMs: nowMs };
    this.#overflow.events += dropped.size;
    this.#overflow.toMs = nowMs;
    return [...dropped];
  }
}
