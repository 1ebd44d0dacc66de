import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { IClientOptions, MqttClient } from "mqtt";
import { MqttLink, type MakeLink } from "../../gateway/mqtt/link.ts";
import type { SimulatedBroker } from "./broker.ts";
import { Link, Wire } from "./wire.ts";
import type { Actor, World } from "./world.ts";

/** A message between client and broker. */
export interface Packet {
  topic: string;
  payload: Buffer;
  qos: 0 | 1;
  retain: boolean;
}

/** What a CONNACK grants. */
export interface Grant {
  reason: number;
  sessionPresent: boolean;
  receiveMaximum: number;
  maximumPacketSize: number;
}

type Done = (error?: Error | null, packet?: unknown) => void;

const headBytes = 60;

/**
 * What mqtt.js does for our uplink and our receiver, over a simulated wire: one connection, callbacks at PUBACK,
 * the message event before its PUBACK, errors before close. Anything else of mqtt.js is not used.
 */
export class SimulatedClient extends EventEmitter {
  connected = false;
  readonly stream = { bytesWritten: 0, bytesRead: 0, setNoDelay: (): void => {} };
  readonly options: IClientOptions;
  readonly #world: World;
  readonly actor: Actor;
  readonly #wire: Wire;
  readonly #broker: SimulatedBroker;
  readonly #waiting = new Map<number, { done: Done | undefined; isBatch: boolean }>();
  #nextId = 1;
  #ended = false;
  #batches = 0;
  #receiveMaximum = 65_535;

  constructor(world: World, broker: SimulatedBroker, link: Link, options: IClientOptions) {
    super();
    this.options = options;
    this.#world = world;
    this.#broker = broker;
    this.actor = world.current;
    const keepaliveMs = (options.keepalive ?? 60) * 1000;
    this.#wire = new Wire(
      link,
      { actor: this.actor, keepaliveMs, closed: (reason) => this.#closed(reason) },
      { actor: broker.actor, keepaliveMs, closed: () => broker.closed(this) },
    );
  }

  /** The CONNECT. */
  connect(): this {
    this.#wire.send("broker", 200, () => this.#broker.accept(this));
    return this;
  }

  /** Batches without a PUBACK. */
  get inFlight(): number {
    return this.#batches;
  }

  /** The process has died; `silently`: its machine too, so nobody tells the broker. */
  abandon(silently: boolean): void {
    this.#wire.abandon("client", silently);
  }

  // The broker's side of the wire.

  granted(grant: Grant): void {
    this.#down(headBytes, () => {
      if (grant.reason !== 0) {
        const error = Object.assign(new Error(`Connection refused: 0x${grant.reason.toString(16)}`), {
          code: grant.reason,
        });
        this.emit("error", error);
        this.#wire.close("client", error.message);
        return;
      }
      this.connected = true;
      this.#world.trace(`is connected to ${this.#broker.actor.name}`);
      this.#receiveMaximum = grant.receiveMaximum;
      const { receiveMaximum, maximumPacketSize } = grant;
      this.emit("connect", {
        sessionPresent: grant.sessionPresent,
        properties: { receiveMaximum, maximumPacketSize },
      });
    });
  }

  puback(id: number, reason: number): void {
    this.#down(4, () => {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) return;
      this.#waiting.delete(id);
      if (waiting.isBatch) this.#batches--;
      if (reason < 0x80) waiting.done?.();
      else waiting.done?.(Object.assign(new Error(`Publish error: ${reason}`), { code: reason }));
    });
  }

  deliver(packet: Packet, taken: () => void): void {
    this.#down(packet.payload.length + headBytes, () => {
      this.emit("message", packet.topic, packet.payload, packet);
      if (packet.qos === 1) this.#up(4, taken);
    });
  }

  /** The broker is killed: its kernel resets the connection. */
  abandonFromBroker(): void {
    this.#wire.abandon("broker", false);
  }

  hangUp(reasonCode: number): void {
    this.#down(4, () => this.emit("disconnect", { reasonCode }));
    this.#wire.close("broker", "");
  }

  #down(bytes: number, work: () => void): void {
    this.stream.bytesRead += bytes;
    this.#wire.send("client", bytes, () => {
      if (!this.#ended) work();
    });
  }

  #up(bytes: number, work: () => void): void {
    this.stream.bytesWritten += bytes;
    this.#wire.send("broker", bytes, work);
  }

  #closed(reason: string): void {
    this.connected = false;
    if (this.#ended) return;
    this.#world.trace(`connection closed: ${reason}`);
    if (reason !== "the peer closed the connection")
      this.emit("error", Object.assign(new Error(reason), /^E[A-Z]+$/.test(reason) ? { code: reason } : {}));
    if (!this.#ended) this.emit("close");
  }

  // mqtt.js, as far as uplink and receiver use it.

  publish(
    topic: string,
    payload: Buffer | string,
    options: { qos?: 0 | 1; retain?: boolean },
    done?: Done,
  ): this {
    const { qos = 0, retain = false } = options;
    const packet = { topic, payload: Buffer.from(payload), qos, retain };
    const id = this.#nextId++;
    if (qos === 1) {
      const isBatch = topic.includes("/up/");
      this.#waiting.set(id, { done, isBatch });
      if (isBatch) this.#batches++;
      if (isBatch && this.#batches > this.#receiveMaximum)
        this.#world.fail(`${this.#batches} batches in flight, the broker takes ${this.#receiveMaximum}`);
    }
    this.#world.trace(`publishes ${topic} (${packet.payload.length} bytes) to ${this.#broker.actor.name}`);
    this.#broker.watch(this, packet);
    this.#up(packet.payload.length + headBytes, () => this.#broker.published(this, packet, id));
    if (qos === 0) done?.();
    return this;
  }

  publishAsync(
    topic: string,
    payload: Buffer | string,
    options: { qos?: 0 | 1; retain?: boolean },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      this.publish(topic, payload, options, (error) => (error ? reject(error) : resolve()));
    });
  }

  subscribe(topics: Record<string, { qos: 0 | 1 }>, done: Done): this {
    this.#subscribe(topics, done);
    return this;
  }

  /** Of commands, which no gateway of the simulation has ever subscribed to. */
  unsubscribe(_topic: string, done: Done): this {
    this.#up(headBytes, () => this.#down(4, () => done(null)));
    return this;
  }

  subscribeAsync(topics: string[], options: { qos: 0 | 1 }): Promise<{ topic: string; qos: number }[]> {
    return new Promise((resolve) => {
      const wanted = Object.fromEntries(topics.map((topic) => [topic, options]));
      this.#subscribe(wanted, () => resolve(topics.map((topic) => ({ topic, qos: options.qos }))));
    });
  }

  #subscribe(topics: Record<string, { qos: 0 | 1 }>, done: Done): void {
    this.#up(headBytes, () => {
      this.#broker.subscribed(this, topics);
      this.#down(8, () => done(null));
    });
  }

  end(_force?: boolean): this {
    if (this.#ended) return this;
    this.#ended = true;
    this.connected = false;
    this.#wire.close("client", "ended");
    return this;
  }

  endAsync(): Promise<void> {
    this.#broker.farewell(this);
    this.end();
    return Promise.resolve();
  }

  /** As the type that the product knows; what is missing would throw, and that fails the seed. */
  asMqtt(): MqttClient {
    return this as unknown as MqttClient;
  }
}

/** A TCP connection as far as a link looks at it before its client takes over. */
class SimulatedSocket extends EventEmitter {
  destroyed = false;
  readonly bytesWritten = 0;
  readonly bytesRead = 0;
  readonly remoteAddress = "192.0.2.1";

  constructor(world: World, broker: SimulatedBroker, link: Link) {
    super();
    // A SYN that nobody hears is given up by the link itself.
    world.after(world.current, 2 * link.latencyMs, () => {
      if (this.destroyed || link.stalled) return;
      if (!link.refused && broker.isUp) this.emit("connect");
      else this.emit("error", Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }));
    });
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** The product's link on a simulated wire; `made` hears of each client. */
export function simulatedLink(
  world: World,
  broker: SimulatedBroker,
  link: Link,
  made: (client: SimulatedClient) => void,
): MakeLink {
  return (options, events) =>
    new MqttLink(options, events, {
      socket: (() => new SimulatedSocket(world, broker, link)) as unknown as () => Socket,
      client: (_stream, clientOptions) => {
        const client = new SimulatedClient(world, broker, link, clientOptions);
        made(client);
        return client.asMqtt();
      },
    });
}
