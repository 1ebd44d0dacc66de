import { createHash } from "node:crypto";
import type { IPublishPacket } from "mqtt";
import type { Unacknowledged } from "./sessions.ts";

/** As `Sink.held`. */
export type Held = (isPressing: boolean) => Promise<boolean>;

/** Of a message that waits for somebody: who knows when it is kept, once it is told; undefined: told to nobody. */
type HeldLater = Promise<Held | undefined>;

/** Messages are asked about together, as the host gathers what it hands over. */
const gatherMs = 20;

/**
 * When the QoS 1 messages of one connection are acknowledged: once what they brought is on disk, and in the order
 * in which they came (MQTT 5, 4.6), but that what waits for a device which is away holds nobody up for long. One that
 * comes again while it waits is not handed on again.
 */
export class Custody {
  readonly #unacknowledged: Map<number, Unacknowledged>;
  readonly #pressingFrom: number;
  readonly #on: { acknowledge(messageId: number): void; dropped(): void };
  #queue: { readonly messageId: number; isHeld: boolean; later: number }[] = [];
  #asked = new Map<Held, PromiseWithResolvers<boolean>>();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  /** Set while somebody waits for the end. */
  #finished: (() => void) | undefined;

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
    return this.#queue.every(({ later }) => later > 0);
  }

  /** Takes a message; `hand` hands it on and gives back who knows when it is kept. */
  take(
    { messageId = 0, dup, topic, payload }: IPublishPacket,
    hand: () => readonly (Held | HeldLater)[],
  ): void {
    const print = createHash("sha256").update(topic).update("\0").update(payload).digest("base64");
    const before = dup ? this.#unacknowledged.get(messageId) : undefined;
    const waiting = { messageId, isHeld: false, later: 0 };
    this.#queue.push(waiting);
    const held = before?.print === print ? before.held : this.#all(hand(), waiting);
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

  /** Asks for all that waits; settles when that is acknowledged, but not for what waits for somebody, or after `waitMsMax`. */
  async finish(waitMsMax: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMsMax);
    this.#finished = resolve;
    this.#ask();
    this.#acknowledge();
    await promise;
    clearTimeout(timer);
    this.#finished = undefined;
  }

  /** The connection is over: nothing is acknowledged any more, and the broker sends it again. */
  stop(): void {
    this.#isOver = true;
    this.#queue = [];
    this.#ask();
    this.#finished?.();
  }

  async #all(held: readonly (Held | HeldLater)[], waiting: { later: number }): Promise<boolean> {
    const isHeld = async (later: HeldLater): Promise<boolean> => {
      waiting.later++;
      const one = await later;
      waiting.later--;
      return one === undefined || this.#gather(one);
    };
    const all = await Promise.all(
      held.map((one) => (typeof one === "function" ? this.#gather(one) : isHeld(one))),
    );
    return all.every(Boolean);
  }

  #gather(held: Held): Promise<boolean> {
    const answer = this.#asked.get(held) ?? Promise.withResolvers<boolean>();
    this.#asked.set(held, answer);
    if (this.#queue.length >= this.#pressingFrom) {
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
    const isPressing = this.#finished !== undefined || this.#queue.length >= this.#pressingFrom;
    for (const [held, { resolve }] of asked) held(isPressing).then(resolve, () => resolve(false));
  }

  #acknowledge(): void {
    const isPressed = this.#finished !== undefined || this.#queue.length >= this.#pressingFrom;
    let skipped = 0;
    for (let next = this.#queue[0]; next !== undefined && !this.#isOver; next = this.#queue[skipped]) {
      if (next.isHeld) {
        this.#queue.splice(skipped, 1);
        this.#unacknowledged.delete(next.messageId);
        this.#on.acknowledge(next.messageId);
        // A broker knows them by their numbers; one that insists on the order sends them again.
      } else if (isPressed && next.later > 0) skipped++;
      else break;
    }
    if (this.isIdle) this.#finished?.();
  }
}
