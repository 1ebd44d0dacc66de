import { once } from "node:events";
import type { Writable } from "node:stream";
import { deviceOf } from "../event.ts";
import { frameHeadBytes, FrameSplitter, markPressing, writeFrame } from "../outbox/frames.ts";

/**
 * The host's end of the way into the outbox. Events are gathered for a moment and written in blocks; bytes that
 * the outbox has not yet committed count against a credit. What cannot be written waits in a bounded ring, and
 * when that is full the oldest block is dropped and counted. The gap event that tells of it is made when the ring
 * has room again, and its count returns to the counter should it be dropped itself.
 */
export interface HandoverOptions {
  creditBytes: number;
  ringBytesMax: number;
  /** Encodes the event that tells of events dropped because the outbox took none for too long. */
  gapEvent(loss: Loss): Uint8Array;
}

/** Events that got no number, also by device index. `fromMs` and `toMs` are ms since 1970 UTC. */
export interface Loss {
  events: number;
  devices: Map<number, number>;
  fromMs: number;
  toMs: number;
}

interface Block {
  bytes: Buffer;
  events: number;
  fromMs: number;
  toMs: number;
  /** What the gap event in this block tells of. */
  told: Loss | undefined;
  /** Its number, counted from the first block of this host. */
  number: number;
}

/** Somebody who wants to know when the blocks `from` to `to` are in the outbox. */
interface Waiter {
  from: number;
  to: number;
  settle: (isHeld: boolean) => void;
}

const blockBytes = 65_536;
/** Telemetry waits this long for company: far below the outbox's own group commit. */
const gatherMs = 20;

export class Handover {
  readonly #stream: Writable;
  readonly #options: HandoverOptions;
  #block = Buffer.allocUnsafe(blockBytes);
  #at = 0;
  #events = 0;
  /** Where the last event of the open block begins. */
  #lastAt = 0;
  #fromMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #ring: Block[] = [];
  #ringBytes = 0;
  #outstanding = 0;
  #waiters: (() => void)[] = [];
  /** The number that the open block will have. */
  #number = 0;
  /** Blocks that are written and not yet committed: their number, and the bytes written up to their end. */
  readonly #written: { number: number; endBytes: number }[] = [];
  #writtenBytes = 0;
  #committedBytes = 0;
  #waiting: Waiter[] = [];
  /** The newest block that was dropped. */
  #droppedNumber = -1;
  #loss: Loss | undefined;
  #told: Loss | undefined;
  #emptied: (() => void) | undefined;
  droppedEvents = 0;
  /** The same by device index. */
  readonly droppedOf = new Map<number, number>();

  constructor(stream: Writable, options: HandoverOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  get ringBytes(): number {
    return this.#ringBytes + this.#at;
  }

  /** Takes one event; `urgent` ones do not wait for company. */
  push(lane: 0 | 1, body: Uint8Array): void {
    if (this.#stream.writableEnded) return;
    const size = body.length + frameHeadBytes;
    if (this.#at + size > this.#block.length) this.#close(size);
    if (this.#events === 0) this.#fromMs = Date.now();
    this.#lastAt = this.#at;
    this.#at = writeFrame(this.#block, this.#at, lane, body);
    this.#events++;
    if (lane === 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), gatherMs);
  }

  /** Resolves when the ring is less than half full, but after `waitMsMax` at the latest. */
  room(waitMsMax: number): Promise<void> | undefined {
    if (this.#ringBytes < this.#options.ringBytesMax / 2) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMsMax);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** What is pushed from now on is in the block of this number or in later ones. */
  mark(): number {
    return this.#number;
  }

  /**
   * Resolves with true when all that was pushed since `mark` is in the outbox, with false when some was dropped.
   * `isPressing`: the outbox is not to wait for company.
   */
  held(from: number, isPressing = false): Promise<boolean> {
    if (isPressing && this.#events > 0) markPressing(this.#block, this.#lastAt);
    this.flush();
    const to = this.#number - 1;
    if (this.#stream.writableEnded || this.#droppedNumber >= from) return Promise.resolve(false);
    return new Promise((settle) => {
      this.#waiting.push({ from, to, settle });
      this.#settle();
    });
  }

  /**
   * The outbox has committed events of this many bytes. `dropped`: it has not, and does not say which: of nothing that
   * is on the way to it is it known any more whether it is held.
   */
  credit(bytes: number, dropped = false): void {
    if (dropped) this.#doubt();
    this.#outstanding = Math.max(0, this.#outstanding - bytes);
    this.#committedBytes += bytes;
    while ((this.#written[0]?.endBytes ?? Infinity) <= this.#committedBytes) this.#written.shift();
    this.#settle();
    this.#drain();
    this.#tellLoss();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#close(0);
    this.#drain();
    this.#tellLoss();
  }

  /**
   * Hands over what it can within `waitMsMax`, tells what it could not, and ends the stream. Resolves when the
   * last byte is in the pipe.
   */
  async end(waitMsMax: number): Promise<void> {
    this.flush();
    if (this.#ring.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#emptied = resolve;
      const timer = setTimeout(resolve, waitMsMax);
      await promise;
      clearTimeout(timer);
    }
    while (this.#ring.length > 0) this.#dropOldest();
    this.#tellLoss();
    // The one event that says what is missing goes even when there is no credit for it.
    for (const { bytes } of this.#ring.splice(0)) this.#stream.write(bytes);
    this.#ringBytes = 0;
    // Nobody will be told any more.
    for (const { settle } of this.#waiting.splice(0)) settle(false);
    const finished = once(this.#stream, "finish");
    this.#stream.end();
    await finished;
  }

  #close(nextSize: number): void {
    if (this.#events > 0) {
      const bytes = this.#block.subarray(0, this.#at);
      this.#ring.push({
        bytes,
        events: this.#events,
        fromMs: this.#fromMs,
        toMs: Date.now(),
        told: this.#told,
        number: this.#number++,
      });
      this.#told = undefined;
      this.#ringBytes += bytes.length;
      const left = this.#block.length - this.#at;
      this.#block =
        left < 4096 || nextSize > left
          ? Buffer.allocUnsafe(Math.max(blockBytes, nextSize))
          : this.#block.subarray(this.#at);
      this.#at = 0;
      this.#events = 0;
    } else if (nextSize > this.#block.length) this.#block = Buffer.allocUnsafe(nextSize);
    while (this.#ringBytes > this.#options.ringBytesMax) this.#dropOldest();
    this.#drain();
  }

  #drain(): void {
    while (this.#ring.length > 0 && this.#outstanding < this.#options.creditBytes) {
      const block = this.#ring.shift() as Block;
      this.#ringBytes -= block.bytes.length;
      this.#outstanding += block.bytes.length;
      this.#writtenBytes += block.bytes.length;
      this.#written.push({ number: block.number, endBytes: this.#writtenBytes });
      this.#stream.write(block.bytes);
    }
    if (this.#ring.length === 0) this.#emptied?.();
    if (this.#waiters.length > 0 && this.#ringBytes < this.#options.ringBytesMax / 2) {
      for (const wake of this.#waiters.splice(0)) wake();
    }
  }

  #doubt(): void {
    const newest = this.#written.at(-1)?.number ?? -1;
    this.#droppedNumber = Math.max(this.#droppedNumber, newest);
    for (const { settle } of this.#waiting.filter(({ from }) => from <= newest)) settle(false);
    this.#waiting = this.#waiting.filter(({ from }) => from > newest);
  }

  #settle(): void {
    if (this.#waiting.length === 0) return;
    const oldest = this.#written[0]?.number ?? this.#ring[0]?.number ?? this.#number;
    this.#waiting = this.#waiting.filter(({ from, to, settle }) => {
      const isLost = this.#droppedNumber >= from && this.#droppedNumber <= to;
      if (isLost || oldest > to) settle(!isLost);
      return !isLost && oldest <= to;
    });
  }

  #dropOldest(): void {
    const block = this.#ring.shift();
    if (block === undefined) return;
    this.#ringBytes -= block.bytes.length;
    const { events, fromMs, toMs, told, number } = block;
    // A gap event, alone in its block, is no loss by itself: what it told will be told again.
    if (told !== undefined) {
      this.#count(told);
      return;
    }
    this.#droppedNumber = number;
    this.#settle();
    const devices = new Map<number, number>();
    for (const { body } of new FrameSplitter().push(block.bytes)) add(devices, deviceOf(body), 1);
    this.droppedEvents += events;
    for (const [device, count] of devices) add(this.droppedOf, device, count);
    this.#count({ events, devices, fromMs, toMs });
  }

  #count({ events, devices, fromMs, toMs }: Loss): void {
    const before = this.#loss ?? { events: 0, devices: new Map<number, number>(), fromMs, toMs };
    for (const [device, count] of devices) add(before.devices, device, count);
    this.#loss = {
      events: before.events + events,
      devices: before.devices,
      fromMs: Math.min(before.fromMs, fromMs),
      toMs: Math.max(before.toMs, toMs),
    };
  }

  #tellLoss(): void {
    const loss = this.#loss;
    if (loss === undefined || this.ringBytes >= this.#options.ringBytesMax / 2) return;
    // A block tells of one loss at most.
    if (this.#events > 0) this.#close(0);
    this.#loss = undefined;
    this.#told = loss;
    this.push(0, this.#options.gapEvent(loss));
  }
}

function add(counts: Map<number, number>, key: number, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
