import { detachPayload, keptBytes, type Message } from "./message.ts";
import { matchesFilter } from "./topics.ts";

/** The retained message of each topic, bounded in number and bytes. */
export class RetainedMessages {
  readonly #byTopic = new Map<string, Message>();
  readonly #countMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  /** Keeps or, with an empty payload, deletes; false if there is no room for it. */
  set(message: Message): boolean {
    const previous = this.#byTopic.get(message.topic);
    const freed = previous === undefined ? 0 : keptBytes(previous);
    if (message.payload.byteLength === 0) {
      this.#byTopic.delete(message.topic);
      this.#bytes -= freed;
      return true;
    }
    const bytes = this.#bytes - freed + keptBytes(message);
    if (bytes > this.#bytesMax || (previous === undefined && this.#byTopic.size >= this.#countMax))
      return false;
    detachPayload(message);
    this.#byTopic.set(message.topic, message);
    this.#bytes = bytes;
    return true;
  }

  /** The messages under `filter` that have not expired at `nowMs`. */
  matching(filter: string, nowMs: number): Message[] {
    this.expire(nowMs);
    if (!/[+#]/.test(filter)) {
      const message = this.#byTopic.get(filter);
      return message === undefined ? [] : [message];
    }
    return [...this.#byTopic.values()].filter((message) => matchesFilter(filter, message.topic));
  }

  expire(nowMs: number): void {
    for (const [topic, message] of this.#byTopic) {
      if (message.expiresAtMs > nowMs) continue;
      this.#byTopic.delete(topic);
      this.#bytes -= keptBytes(message);
    }
  }

  clear(): void {
    this.#byTopic.clear();
    this.#bytes = 0;
  }
}
