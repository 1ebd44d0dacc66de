import { createHash } from "node:crypto";
import type { IPublishPacket } from "mqtt";
import type { Unacknowledged } from "./sessions.ts";

/** As `Sink.held`. */
export type Held = (isPressing: boolean) => Promise<boolean>;

/** Messages are asked about together, as the host gathers what it hands over. */
const gatherMs = 20;

/**
 * When the QoS 1 messages of one connection are acknowledged: once what they brought is on disk, and in the order
 * in which they came (MQTT 5, 4.6). One that comes again while it waits is not handed on again.
 */
export class Custody {
  readonly #unacknowledged: Map<number, Unacknowledged>;
  readonly #pressingFrom: number;
  readonly #on: { acknowledge(messageId: number): void; dropped(): void };
  #queue: { readonly messageId: number; isHeld: boolean }[] = [];
  #asked = new Map<Held, PromiseWithResolvers<boolean>>();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  /**
   * `pressingFrom`: so many that wait hold up what comes after them. `dropped`: something could not be kept, and is
   * to be had again only over a new connection.
   */
  constructor(
    unacknowledged: Map<number, Unacknowledged>,
    pressingFrom: number,
    on: { acknowledge(messageId: number): void; dropped(): void },
  ) {
    this.#unacknowledged = unacknowledged;
    this.#pressingFrom = pressingFrom;
    this.#on = on;
  }

  get isIdle(): boolean {
    return this.#queue.length === 0;
  }

  /** Takes a message; `hand` hands it on and gives back who knows when it is kept. */
  take({ messageId = 0, dup, topic, payload }: IPublishPacket, hand: () => readonly Held[]): void {
    const print = createHash("sha256").update(topic).update("\0").update(payload).digest("base64");
    const before = dup ? this.#unacknowledged.get(messageId) : undefined;
    const waiting = { messageId, isHeld: false };
    this.#queue.push(waiting);
    const held = before?.print === print ? before.held : this.#all(hand());
    this.#unacknowledged.set(messageId, { print, held });
    const settle = (isHeld: boolean): void => {
      waiting.isHeld = isHeld;
      if (isHeld) {
        this.#acknowledge();
        return;
      }
      if (this.#unacknowledged.get(messageId)?.held === held) this.#unacknowledged.delete(messageId);
      if (!this.#isOver) this.#on.dropped();
    };
    void held.then(settle, () => settle(false));
  }

  /** The connection is over: nothing is acknowledged any more, and the broker sends it again. */
  stop(): void {
    this.#isOver = true;
    this.#queue = [];
    this.#ask();
  }

  async #all(held: readonly Held[]): Promise<boolean> {
    const all = await Promise.all(held.map((one) => this.#gather(one)));
    return all.every(Boolean);
  }

  #gather(held: Held): Promise<boolean> {
    const answer = this.#asked.get(held) ?? Promise.withResolvers<boolean>();
    this.#asked.set(held, answer);
    if (this.#queue.length === this.#pressingFrom) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(), 0);
    } else this.#timer ??= setTimeout(() => this.#ask(), gatherMs);
    return answer.promise;
  }

  #ask(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const asked = this.#asked;
    this.#asked = new Map();
    const isPressing = this.#queue.length >= this.#pressingFrom;
    for (const [held, { resolve }] of asked) held(isPressing).then(resolve, () => resolve(false));
  }

  #acknowledge(): void {
    while (!this.#isOver && this.#queue[0]?.isHeld === true) {
      const { messageId } = this.#queue.shift()!;
      this.#unacknowledged.delete(messageId);
      this.#on.acknowledge(messageId);
    }
  }
}
