import type { Cassette, Frame } from "./cassette.ts";
import { packetOf } from "./mqtt-messages.ts";
import type { Player, PlayerOptions } from "./playing.ts";

/** Plays what was published: a broker that has what was retained, and tells the rest to whoever has subscribed. */

/** A filter that is not asked for any more, and a command that is not given, are waited for no longer. */
const patienceMs = 1500;

/** The simulators' broker, as far as a player needs it. */
interface Broker {
  readonly port: number;
  publish(topic: string, payload: Buffer, options: { qos: 0 | 1; retain: boolean }): void;
  close(): Promise<void>;
}
type StartBroker = (options: {
  host: string;
  port: number;
  heard: (topic: string) => void;
  subscribed: (filter: string) => void;
}) => Promise<Broker>;

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

/** Rejects with the socket's error when the place is taken. */
export async function startPublisher(cassette: Cassette, options: PlayerOptions): Promise<Player> {
  const name = "mqtt";
  const { startBroker } = (await import(`../../simulators/${name}/index.ts`)) as { startBroker: StartBroker };
  const { filters, messages } = messagesOf(cassette);
  const counts = { answered: 0, unknown: 0 };
  const wanted = new Set(filters);
  const given: string[] = [];
  let news: () => void = () => {};
  let quietFromMs = Infinity;
  let [isClosed, isPlaying] = [false, false];
  let running: Promise<void> = Promise.resolve();
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const until = async (isTrue: () => boolean): Promise<void> => {
    for (const endMs = performance.now() + patienceMs; !isTrue() && performance.now() < endMs && !isClosed;)
      await Promise.race([
        pause(endMs - performance.now()),
        new Promise<void>((resolve) => (news = resolve)),
      ]);
  };
  const play = async (broker: Broker): Promise<void> => {
    await until(() => wanted.size === 0);
    const retained = new Set<string>();
    let beforeMs = messages[0]?.ms ?? 0;
    for (const { from, ms, topic, payload, qos, retain } of messages) {
      const gapMs = Math.min(ms - beforeMs, options.gapMsMax);
      beforeMs = ms;
      if (from === "kerb") {
        await until(() => given.includes(topic));
        const at = given.indexOf(topic);
        if (at >= 0) given.splice(at, 1);
        continue;
      }
      // The broker has told it to who has just subscribed.
      if (retain && !retained.has(topic)) {
        retained.add(topic);
        continue;
      }
      if (gapMs > 0) await pause(gapMs);
      if (isClosed) return;
      broker.publish(topic, payload, { qos, retain: false });
    }
    quietFromMs = Math.min(quietFromMs, performance.now());
    isPlaying = false;
  };
  const { host = "127.0.0.1", port = 0 } = options;
  const broker = await startBroker({
    host,
    port,
    heard(topic) {
      const isKnown = messages.some((one) => one.from === "kerb" && one.topic === topic);
      counts[isKnown ? "answered" : "unknown"]++;
      if (!isKnown) options.log(`not on the tape: ${topic}`);
      if (given.length < messages.length) given.push(topic);
      news();
    },
    subscribed(filter) {
      wanted.delete(filter);
      news();
      if (isPlaying) return;
      isPlaying = true;
      running = play(broker);
    },
  });
  for (const { from, topic, payload, qos, retain } of messages.toReversed())
    if (from === "device" && retain) broker.publish(topic, payload, { qos, retain: true });
  return {
    place: { host, port: broker.port },
    counts,
    quietMs: () => Math.max(0, performance.now() - quietFromMs),
    async close() {
      isClosed = true;
      news();
      await broker.close();
      await running;
    },
  };
}
