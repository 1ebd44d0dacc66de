import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** How late the main loop was in the last 10 to 20 seconds, ms. */
export interface LoopDelay {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

const periodMs = 100;
/** To one in a hundred: each more costs ten times the memory. */
const newHistogram = (): RecordableHistogram => createHistogram({ figures: 2 });
const rotateMs = 10_000;

/**
 * Measures how late a timer fires: that is how long whatever else the main loop does keeps it from answering.
 * Not `monitorEventLoopDelay`: its `reset` forgets a pause that has begun, and it cannot look back over two spans.
 */
export class LoopProbe {
  #current = newHistogram();
  #before = newHistogram();
  #lastMs = performance.now();
  #rotatedMs = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), periodMs);
    this.#timer.unref();
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#current.record(Math.max(1, Math.round((nowMs - this.#lastMs - periodMs) * 1000)));
    this.#lastMs = nowMs;
    if (nowMs - this.#rotatedMs < rotateMs) return;
    this.#rotatedMs = nowMs;
    [this.#before, this.#current] = [this.#current, this.#before];
    this.#current.reset();
  }

  get delay(): LoopDelay {
    const both = newHistogram();
    both.add(this.#before);
    both.add(this.#current);
    if (both.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 };
    return { p50Ms: both.percentile(50) / 1000, p99Ms: both.percentile(99) / 1000, maxMs: both.max / 1000 };
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
