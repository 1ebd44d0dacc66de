import { setTimeout as pause } from "node:timers/promises";
import type { Cassette, Frame } from "./cassette.ts";
import { packetOf } from "./mqtt-messages.ts";
import type { Broker, Player, PlayerOptions } from "./playing.ts";

/** Plays what was published: a broker that has what was retained, and tells the rest to whoever has subscribed. */

/** A filter that is not asked for any more, and a command that is not given, are waited for no longer. */
const patienceMs = 1500;
const subscribeMsMax = 5000;

interface Message {
  from: Frame["from"];
  ms: number;
  topic: string;
  payload: Buffer;
  qos: 0 | 1;
  retain: boolean;
}

/** What was said on all connections. Where several have brought the same topic, one of them says it. */
function messagesOf({ connections }: Cassette): { filters: Set<string>; messages: Message[] } {
  const filters = new Set<string>();
  const bringers = new Map<string, number>();
  const messages = connections.flatMap((frames, nth) =>
    frames.flatMap((frame): Message[] => {
      const packet = packetOf(frame);
      if (packet?.cmd === "subscribe") for (const { topic } of packet.subscriptions) filters.add(topic);
      if (packet?.cmd !== "publish") return [];
      const { topic, payload, qos, retain } = packet;
      const bringer = bringers.get(topic) ?? nth;
      if (frame.from === "device") bringers.set(topic, bringer);
      if (frame.from === "device" && bringer !== nth) return [];
      return [
        {
          from: frame.from,
          ms: frame.ms,
          topic,
          payload: Buffer.from(payload),
          qos: qos === 0 ? 0 : 1,
          retain,
        },
      ];
    }),
  );
  return { filters, messages: messages.toSorted((a, b) => a.ms - b.ms) };
}

/** One tape, and who has asked for what is on it. */
class Publisher {
  readonly counts = { answered: 0, unknown: 0 };
  readonly #messages: readonly Message[];
  readonly #wanted: Set<string>;
  readonly #options: PlayerOptions;
  /** Topics of commands that have come and are not used up. */
  readonly #given: string[] = [];
  #broker: Broker | undefined;
  #running: Promise<void> | undefined;
  #news: (() => void) | undefined;
  /** Whoever has not subscribed by then does not. */
  #quietFromMs = performance.now() + subscribeMsMax;
  #isClosed = false;
  #isUnplayed = true;

  constructor(cassette: Cassette, options: PlayerOptions) {
    const { filters, messages } = messagesOf(cassette);
    this.#messages = messages;
    this.#wanted = filters;
    this.#options = options;
  }

  /** The broker begins with what was retained. */
  begin(broker: Broker): void {
    this.#broker = broker;
    for (const { from, topic, payload, qos, retain } of this.#messages.toReversed())
      if (from === "device" && retain) broker.publish(topic, payload, { qos, retain: true });
  }

  heard(topic: string): void {
    const isKnown = this.#messages.some((one) => one.from === "kerb" && one.topic === topic);
    this.counts[isKnown ? "answered" : "unknown"]++;
    if (!isKnown) this.#options.log(`not on the tape: ${topic}`);
    if (this.#given.length < this.#messages.length) this.#given.push(topic);
    this.#news?.();
  }

  subscribed(filter: string): void {
    this.#wanted.delete(filter);
    this.#news?.();
    if (this.#isUnplayed) this.#quietFromMs = Infinity;
    this.#isUnplayed = false;
    this.#running ??= this.#play().finally(() => (this.#running = undefined));
  }

  quietMs(): number {
    return Math.max(0, performance.now() - this.#quietFromMs);
  }

  async #until(isTrue: () => boolean): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!isTrue() && !this.#isClosed && performance.now() < endMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#news = resolve;
      await Promise.race([pause(endMs - performance.now()), promise]);
    }
  }

  async #play(): Promise<void> {
    await this.#until(() => this.#wanted.size === 0);
    const retained = new Set<string>();
    let beforeMs = this.#messages[0]?.ms ?? 0;
    for (const { from, ms, topic, payload, qos, retain } of this.#messages) {
      const gapMs = Math.min(ms - beforeMs, this.#options.gapMsMax);
      beforeMs = ms;
      if (from === "kerb") {
        await this.#until(() => this.#given.includes(topic));
        const at = this.#given.indexOf(topic);
        if (at >= 0) this.#given.splice(at, 1);
        continue;
      }
      // The broker has told it to who has just subscribed.
      if (retain && !retained.has(topic)) {
        retained.add(topic);
        continue;
      }
      if (gapMs > 0) await pause(gapMs);
      if (this.#isClosed) return;
      this.#broker?.publish(topic, payload, { qos, retain: false });
    }
    this.#quietFromMs = Math.min(this.#quietFromMs, performance.now());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#news?.();
    await this.#broker?.close();
    await this.#running;
  }
}

/** Rejects with the socket's error when the place is taken. */
export async function startPublisher(cassette: Cassette, options: PlayerOptions): Promise<Player> {
  const publisher = new Publisher(cassette, options);
  const { host = "127.0.0.1", port = 0 } = options;
  const broker = await options.startBroker({
    host,
    port,
    heard: (topic) => publisher.heard(topic),
    subscribed: (filter) => publisher.subscribed(filter),
  });
  publisher.begin(broker);
  return {
    place: { host, port: broker.port },
    counts: publisher.counts,
    quietMs: () => publisher.quietMs(),
    close: () => publisher.close(),
  };
}
