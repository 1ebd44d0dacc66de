/** Whether all that was handed on so far is kept; as `Sink.held`. */
export type Held = () => Promise<boolean>;

/** Messages are asked about together, as the host gathers what it hands over. */
const gatherMs = 20;
/** So long a message waits for somebody to listen; the site's own patience is 30 s (RSMP 3.2.2, 4.4.7). */
const listenerMsMax = 10_000;
const owedMax = 30_000;

interface Owing {
  readonly id: string;
  readonly atMs: number;
}

/**
 * The acknowledgements that a site has to wait for: those of what it tells by itself, until it is on disk. A site
 * that gets none within its timeout takes the connection for broken and keeps what it tells (4.3.6), so that what
 * cannot be kept here ends the connection instead of being acknowledged.
 */
export class Owed {
  readonly #timeoutMs: number;
  readonly #on: { acknowledge(id: string): void; lost(why: string): void };
  /** Come, and handed on to nobody yet. */
  #waiting: Owing[] = [];
  /** Handed on, and not asked about. */
  #handed: Owing[] = [];
  readonly #asked = new Set<readonly Owing[]>();
  #held: Held | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(timeoutMs: number, on: { acknowledge(id: string): void; lost(why: string): void }) {
    this.#timeoutMs = timeoutMs;
    this.#on = on;
  }

  came(id: string): void {
    this.#waiting.push({ id, atMs: performance.now() });
    if (this.#waiting.length > owedMax) this.#acknowledge(this.#waiting.splice(0, 1));
  }

  /** All that came has been handed on; undefined: nobody listens. */
  handedOn(held: Held | undefined): void {
    if (held === undefined || this.#waiting.length === 0 || this.#isOver) return;
    this.#held = held;
    this.#handed.push(...this.#waiting.splice(0));
    this.#timer ??= setTimeout(() => this.#ask(), gatherMs);
  }

  /** To be called now and then. */
  look(nowMs: number): void {
    // Where nobody wants what a site tells it is not to be kept waiting for ever.
    const withinMs = Math.min(listenerMsMax, this.#timeoutMs / 3);
    const late = this.#waiting.findIndex(({ atMs }) => nowMs - atMs < withinMs);
    this.#acknowledge(this.#waiting.splice(0, late < 0 ? this.#waiting.length : late));
    const [oldest] = this.#asked;
    if (nowMs - (oldest?.[0]?.atMs ?? nowMs) > this.#timeoutMs)
      this.#on.lost(`what it told could not be stored within ${this.#timeoutMs} ms, and is not acknowledged`);
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#handed = [];
    this.#asked.clear();
  }

  #ask(): void {
    this.#timer = undefined;
    const batch = this.#handed.splice(0);
    this.#asked.add(batch);
    const settle = (isHeld: boolean) => {
      this.#asked.delete(batch);
      if (this.#isOver) return;
      if (isHeld) this.#acknowledge(batch);
      else this.#on.lost("what it told could not be stored, and is not acknowledged");
    };
    this.#held?.().then(settle, () => settle(false));
  }

  #acknowledge(batch: readonly Owing[]): void {
    for (const { id } of batch) this.#on.acknowledge(id);
  }
}
