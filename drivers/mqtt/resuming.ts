import type { IPublishPacket } from "mqtt";
import { freshMs } from "./absent.ts";

/** A kept session brings its messages before our devices listen: each comes back after a pause of its own. */
const listenersWithinMs = 45_000;
const earlyBytesMax = 16 * 1024 * 1024;
/** What a broker had kept comes without a longer pause than a far link makes between two windows. */
const pauseMs = 2000;
const catchingUpMsMax = 120_000;
/** What came while we were away for less is as good as live. */
const shortAwayMs = 5000;

interface ResumingOptions {
  /** Somebody listens to each filter that the session has. */
  isComplete(): boolean;
  /** No message waits for its acknowledgement. */
  isIdle(): boolean;
  /** `queued`: it was held back for so long that it is not live any more. */
  release(early: readonly { packet: IPublishPacket; queued: boolean }[]): void;
}

/**
 * The beginning of a connection whose session the broker had kept: holds back what comes before the devices listen,
 * and knows for how long messages may be older than they look.
 */
export class Resuming {
  /** A message may have come while kerb was away. */
  isCatchingUp: boolean;
  readonly #on: ResumingOptions;
  readonly #begunMs = performance.now();
  #early: { packet: IPublishPacket; fromMs: number }[] | undefined = [];
  #bytes = 0;
  #timer: NodeJS.Timeout;
  #newestMs = performance.now();

  /** `endedMs`: when the connection before this one ended, by `performance.now()`. */
  constructor(endedMs: number, on: ResumingOptions) {
    this.#on = on;
    this.isCatchingUp = performance.now() - endedMs > shortAwayMs;
    this.#timer = setTimeout(() => this.#release(), listenersWithinMs);
  }

  /** Somebody has begun to listen. */
  listening(): void {
    if (this.#early === undefined || !this.#on.isComplete()) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#release(), 0);
  }

  /** Whether the message is held back, to be released later. */
  takes(packet: IPublishPacket): boolean {
    this.#newestMs = performance.now();
    if (this.#early === undefined) return false;
    this.#early.push({ packet, fromMs: this.#newestMs });
    this.#bytes += packet.payload.length;
    if (this.#bytes > earlyBytesMax) this.#release();
    return true;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#early = [];
  }

  #release(): void {
    clearTimeout(this.#timer);
    const early = this.#early ?? [];
    this.#early = undefined;
    const nowMs = performance.now();
    this.#on.release(early.map(({ packet, fromMs }) => ({ packet, queued: nowMs - fromMs > freshMs })));
    if (this.isCatchingUp) this.#timer = setTimeout(() => this.#look(), pauseMs);
  }

  #look(): void {
    const nowMs = performance.now();
    // The broker sends the next ones when these have been acknowledged.
    if (!this.#on.isIdle()) this.#newestMs = nowMs;
    const isOver = this.#on.isIdle() && nowMs - this.#newestMs >= pauseMs;
    if (isOver || nowMs - this.#begunMs > catchingUpMsMax) this.isCatchingUp = false;
    else this.#timer = setTimeout(() => this.#look(), pauseMs);
  }
}
