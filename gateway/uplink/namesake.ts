import type { IPublishPacket, MqttClient } from "mqtt";
import { isDenied } from "../mqtt/link.ts";

/**
 * Finds out whether another box connects under this gateway's name: what is retained at the own birth's topic after a
 * session was hung up on is then the other's, of an epoch that is not ours. Asked only after a suspicious hang-up,
 * for some brokers hang up on whoever reads a topic that is not meant for him.
 */
export class NamesakeWatch {
  readonly #topic: string;
  readonly #epoch: number;
  /** A session that did nothing was hung up on, and the broker was there all the time. */
  #isDoubted = false;
  /** The broker has taken a birth of this run: an older one of ours is no longer retained. */
  #isBorn = false;
  /** Asked, and no answer yet: a broker that hangs up on the question is not asked again. */
  #isWaiting = false;

  constructor(topic: string, epoch: number) {
    this.#topic = topic;
    this.#epoch = epoch;
  }

  /**
   * A connection or an attempt is over. One that fails in between tells of a broker that was away, which may be back
   * with a birth of an earlier run.
   */
  ended(isSuspicious: boolean): void {
    this.#isDoubted = isSuspicious && this.#isBorn;
  }

  born(): void {
    this.#isBorn = true;
  }

  /** Call before the birth is published. */
  opened(client: MqttClient): void {
    if (!this.#isDoubted || this.#isWaiting) return;
    this.#isDoubted = false;
    this.#isWaiting = true;
    client.subscribe({ [this.#topic]: { qos: 0 } }, (error) => {
      if (error === null || isDenied(error)) this.#isWaiting = false;
    });
  }

  /** Undefined: not a birth of this gateway's name; else whether another box has written it. */
  received(topic: string, payload: Buffer, { retain }: Pick<IPublishPacket, "retain">): boolean | undefined {
    if (topic !== this.#topic) return undefined;
    try {
      const { ep } = JSON.parse(payload.toString("utf8")) as { ep?: unknown };
      return retain && typeof ep === "number" && ep !== this.#epoch;
    } catch {
      return false;
    }
  }
}
