import { AsyncResource } from "node:async_hooks";
import { DeviceError } from "../../gateway/driver.ts";
import type { Broker, Message } from "./broker.ts";
import { shortTopic } from "./payload.ts";
import { dropOldest } from "./remember.ts";
import { metricsMax, type Codec, type Metric, type Payload } from "./sparkplug.ts";

/** A node is asked for its births at most so often; on a new connection, which knows none, sooner. */
const rebirthEveryMs = 30_000;
const newRebirthEveryMs = 2000;
const devicesMax = 1000;
const nodesMax = 1000;
/** Payloads in a row that are none, after which who sent them is taken for lost. */
const garbageMax = 5;

/** When each node was asked last; outlives the connection, or a flapping one would ask at each turn. */
const askedMs = new Map<string, number>();

export interface Place {
  group: string;
  node: string;
}

/** A metric with what its birth says of it. */
export interface KnownMetric {
  readonly name: string;
  readonly datatype: number | undefined;
  readonly metric: Metric;
}

/** Why what a node tells is not certain. */
export interface Doubt {
  code: "sequence-gap" | "no-birth";
  reason: string;
}

export interface NodeListener {
  /** undefined: the node itself. */
  readonly device: string | undefined;
  /** Whether the node may be asked for its births: one that says no speaks for all. */
  readonly mayAsk: boolean;
  /** The smallest of all is that of the node. */
  readonly payloadBytesMax: number;
  metrics(metrics: readonly KnownMetric[], payload: Payload, doubt: Doubt | undefined): void;
  lost(error: DeviceError): void;
}

interface Definition {
  readonly device: string | undefined;
  readonly name: string;
  readonly datatype: number | undefined;
}

const nodes = new WeakMap<Broker, Map<string, SparkplugNode>>();

/**
 * One edge node with its devices: births and their aliases, the sequence over all its messages, deaths. It decodes
 * each message once, however many of its devices are configured.
 */
export class SparkplugNode {
  readonly #broker: Broker;
  readonly #codec: Codec;
  readonly #id: string;
  readonly #place: Place;
  readonly #listeners = new Set<NodeListener>();
  readonly #granted: Promise<unknown>;
  readonly #stops: (() => void)[];
  readonly #byAlias = new Map<number, Definition>();
  readonly #byName = new Map<string, Definition>();
  readonly #garbage = new Map<string, number>();
  #isBorn = false;
  #hasGap = false;
  #bdSeq: number | undefined;
  #seq: number | undefined;
  #hasAsked = false;
  /** Runs while births are wanted and may not be asked for yet. */
  #asking: NodeJS.Timeout | undefined;

  private constructor(broker: Broker, codec: Codec, place: Place) {
    this.#broker = broker;
    this.#codec = codec;
    this.#place = place;
    this.#id = `${place.group}/${place.node}`;
    const base = `spBv1.0/${place.group}/+/${place.node}`;
    const options = { qos: 1 as const, signal: new AbortController().signal };
    const listening = [base, `${base}/+`].map((filter) =>
      broker.listen(filter, (message) => this.#guarded(message), options),
    );
    this.#stops = listening.map(({ stop }) => stop);
    this.#granted = Promise.all(listening.map(({ granted }) => granted));
    this.#granted.catch(() => {});
  }

  /** Listens to a node; the first who does subscribes, and each asks for the births that it has missed. */
  static join(
    broker: Broker,
    codec: Codec,
    { place, listener }: { place: Place; listener: NodeListener },
  ): { granted: Promise<unknown>; stop: () => void } {
    const known = nodes.get(broker) ?? new Map<string, SparkplugNode>();
    nodes.set(broker, known);
    const id = `${place.group}/${place.node}`;
    const node = known.get(id) ?? new SparkplugNode(broker, codec, place);
    known.set(id, node);
    const bound: NodeListener = {
      ...listener,
      metrics: AsyncResource.bind(listener.metrics.bind(listener)),
      lost: AsyncResource.bind(listener.lost.bind(listener)),
    };
    node.#listeners.add(bound);
    const granted = node.#granted.then(() => node.#ask());
    granted.catch(() => {});
    const stop = (): void => {
      node.#listeners.delete(bound);
      if (node.#listeners.size > 0 || known.get(id) !== node) return;
      known.delete(id);
      clearTimeout(node.#asking);
      for (const end of node.#stops) end();
    };
    return { granted, stop };
  }

  /** What a node sends may cost that node, and nobody else behind the broker. */
  #guarded(message: Message): void {
    try {
      this.#take(message);
    } catch (error) {
      const text = `${this.#id}: ${shortTopic(message.topic)} cannot be taken: ${String(error)}`;
      for (const listener of this.#listeners) listener.lost(new DeviceError("garbage", text));
    }
  }

  #take({ topic, payload: bytes, retained }: Message): void {
    const [, , kind = "", , device] = topic.split("/");
    // Births and data are never retained (specification 3.0, tck-id-payloads-…-retain).
    if (retained || !/^[ND](BIRTH|DATA|DEATH)$/.test(kind)) return;
    const payload = this.#decoded(bytes, device);
    if (payload === undefined) return;
    if (kind === "NDEATH") {
      this.#nodeDied(payload);
      return;
    }
    if (kind === "NBIRTH") this.#born(payload);
    else this.#checkSequence(payload);
    if (kind === "DBIRTH") this.#define(payload, device);
    if (kind === "DDEATH") {
      const text = `device ${shortTopic(device ?? "")} of ${this.#id} is dead (DDEATH)`;
      this.#tellLost(text, device);
    } else this.#tell(payload, device);
  }

  #decoded(bytes: Buffer, device: string | undefined): Payload | undefined {
    const who = device ?? "";
    try {
      const bytesMax = Math.min(...[...this.#listeners].map(({ payloadBytesMax }) => payloadBytesMax));
      if (bytes.length > bytesMax) throw new Error(`more than ${bytesMax} bytes`);
      const payload = this.#codec.decode(bytes);
      this.#garbage.delete(who);
      return payload;
    } catch (error) {
      const count = (this.#garbage.get(who) ?? 0) + 1;
      if (this.#garbage.size < devicesMax || this.#garbage.has(who)) this.#garbage.set(who, count);
      if (count === garbageMax) {
        const text = `${this.#id}: ${garbageMax} payloads in a row are no Sparkplug: ${(error as Error).message}`;
        this.#tellLost(text, device, "garbage");
        this.#garbage.delete(who);
      }
      return undefined;
    }
  }

  #born(payload: Payload): void {
    this.#byAlias.clear();
    this.#byName.clear();
    this.#isBorn = true;
    this.#hasGap = false;
    clearTimeout(this.#asking);
    this.#asking = undefined;
    this.#seq = payload.seq;
    this.#bdSeq = bdSeqOf(payload);
    this.#define(payload, undefined);
  }

  /** Remembers what a birth says of its metrics. */
  #define({ metrics }: Payload, device: string | undefined): void {
    if (device !== undefined) {
      for (const known of [this.#byAlias, this.#byName] as Map<unknown, Definition>[])
        for (const [key, definition] of known) if (definition.device === device) known.delete(key);
    }
    for (const { name, alias, datatype } of metrics) {
      if (name === undefined || this.#byName.size >= metricsMax) continue;
      const definition = { device, name, datatype };
      this.#byName.set(nameKey(device, name), definition);
      if (alias !== undefined) this.#byAlias.set(alias, definition);
    }
  }

  /** 0 to 255 over all messages of a node but its death; a loss of exactly 256 cannot be seen. */
  #checkSequence({ seq }: Payload): void {
    const expected = this.#seq === undefined ? undefined : (this.#seq + 1) % 256;
    this.#seq = seq;
    if (this.#isBorn && seq === expected && !this.#hasGap) return;
    this.#hasGap = this.#isBorn;
    this.#ask();
  }

  /** The will of an earlier session may come late; only that of this one counts. */
  #nodeDied(payload: Payload): void {
    if (this.#isBorn && bdSeqOf(payload) !== this.#bdSeq) return;
    this.#isBorn = false;
    this.#seq = undefined;
    for (const listener of this.#listeners)
      listener.lost(new DeviceError("hung-up", `${this.#id} is dead (NDEATH)`));
  }

  #tell(payload: Payload, device: string | undefined): void {
    const known = payload.metrics.flatMap((metric): KnownMetric[] => {
      const { name, alias } = metric;
      const definition =
        name === undefined ? this.#byAlias.get(alias ?? -1) : this.#byName.get(nameKey(device, name));
      const shown = name ?? definition?.name;
      if (shown === undefined) this.#ask();
      // An alias of another device of the node would be its value under our name.
      if (shown === undefined || (definition !== undefined && definition.device !== device)) return [];
      return [{ name: shown, datatype: metric.datatype ?? definition?.datatype, metric }];
    });
    for (const listener of this.#listeners)
      if (listener.device === device) listener.metrics(known, payload, this.#doubt());
  }

  #doubt(): Doubt | undefined {
    if (!this.#isBorn) return { code: "no-birth", reason: "the node's birth has not been heard" };
    return this.#hasGap ? { code: "sequence-gap", reason: "messages of the node were lost" } : undefined;
  }

  #tellLost(text: string, device: string | undefined, code: "hung-up" | "garbage" = "hung-up"): void {
    for (const listener of this.#listeners)
      if (listener.device === device) listener.lost(new DeviceError(code, text));
  }

  /** Asks for births, at once or as soon as it may be done again; a birth that comes meanwhile is the answer. */
  #ask(): void {
    const listeners = [...this.#listeners];
    if (this.#asking !== undefined || listeners.length === 0) return;
    if (listeners.some(({ mayAsk }) => !mayAsk)) return;
    const everyMs = this.#hasAsked ? rebirthEveryMs : newRebirthEveryMs;
    const dueMs = (askedMs.get(this.#key) ?? -Infinity) + everyMs - performance.now();
    if (dueMs <= 0) this.#send();
    else this.#asking = setTimeout(() => this.#send(), dueMs);
  }

  #send(): void {
    this.#asking = undefined;
    this.#hasAsked = true;
    askedMs.delete(this.#key);
    askedMs.set(this.#key, performance.now());
    dropOldest(askedMs, nodesMax);
    const { group, node } = this.#place;
    this.#broker.send(`spBv1.0/${group}/NCMD/${node}`, this.#codec.rebirth());
  }

  get #key(): string {
    return `${this.#broker.place} ${this.#id}`;
  }
}

const nameKey = (device: string | undefined, name: string): string => `${device ?? ""}\0${name}`;

function bdSeqOf({ metrics }: Payload): number | undefined {
  const { longValue, intValue } = metrics.find(({ name }) => name === "bdSeq")?.wire ?? {};
  const low = typeof longValue === "object" ? longValue.low : longValue;
  return low ?? intValue;
}
