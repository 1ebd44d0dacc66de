import type { Packet, SimulatedClient } from "./client.ts";
import { Actor, newBox, type World } from "./world.ts";

interface Session {
  id: string;
  subscriptions: Map<string, 0 | 1>;
  client: SimulatedClient | undefined;
  /** QoS 1 messages on their way to the client. */
  flying: Set<Packet>;
  queue: Packet[];
  leftAtMs: number;
}

/** What the broker does wrong, each with its probability per message. */
export interface BrokerFaults {
  swallowPuback: number;
  duplicate: number;
  forget: number;
  refuse: number;
  ackLost: number;
  ackLate: number;
}

const healthy: BrokerFaults = {
  swallowPuback: 0,
  duplicate: 0,
  forget: 0,
  refuse: 0,
  ackLost: 0,
  ackLate: 0,
};
/** Quota exceeded, packet too large, payload format invalid, and two that only say no. */
export const refusalReasons = [0x97, 0x95, 0x99, 0x87, 0x80];
const deliveredMax = 200;

/**
 * A broker as the contract may meet it: QoS 1 at least once with persistent sessions, retained messages and wills,
 * a bounded queue for who is away, and faults.
 */
export class SimulatedBroker {
  readonly actor: Actor;
  readonly #world: World;
  readonly #random: () => number;
  isUp = true;
  faults: BrokerFaults = { ...healthy };
  reasons: readonly number[] = [];
  connackReason = 0;
  receiveMaximum = 20;
  maximumPacketSize = 268_435_456;
  queuedMax = 1000;
  /** A look at every message at the moment it is sent. */
  watch: (client: SimulatedClient, packet: Packet) => void = () => {};
  readonly #sessions = new Map<string, Session>();
  readonly #retained = new Map<string, Packet>();
  readonly #wills = new Map<string, () => void>();
  readonly #clean = new WeakSet<SimulatedClient>();
  #acknowledgements: Packet[] = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.actor = new Actor(name, newBox());
    this.#random = world.random(name);
  }

  heal(): void {
    this.faults = { ...healthy };
    this.connackReason = 0;
  }

  /** Ends every connection; without `persistent` it knows nothing afterwards. */
  restart(persistent: boolean, downMs: number): void {
    this.isUp = false;
    for (const { client } of this.#sessions.values()) client?.abandonFromBroker();
    this.#wills.clear();
    for (const session of this.#sessions.values()) this.#leave(session);
    if (!persistent) {
      this.#sessions.clear();
      this.#retained.clear();
    }
    this.#world.after(this.actor, downMs, () => (this.isUp = true));
  }

  accept(client: SimulatedClient): void {
    if (!this.isUp) return client.hangUp(0x8b);
    const { receiveMaximum, maximumPacketSize } = this;
    if (this.connackReason !== 0) {
      client.granted({
        reason: this.connackReason,
        sessionPresent: false,
        receiveMaximum,
        maximumPacketSize,
      });
      return;
    }
    const id = client.options.clientId ?? "";
    let session = this.#sessions.get(id);
    const expiryMs = (client.options.properties?.sessionExpiryInterval ?? 3600) * 1000;
    if (session?.client !== undefined) {
      const old = session.client;
      this.#leave(session);
      old.hangUp(0x8e);
    } else if (session !== undefined && this.#world.nowMs - session.leftAtMs > expiryMs) session = undefined;
    this.#wills.delete(id);
    const sessionPresent = session !== undefined;
    session ??= { id, subscriptions: new Map(), client, flying: new Set(), queue: [], leftAtMs: 0 };
    session.client = client;
    this.#sessions.set(id, session);
    client.granted({ reason: 0, sessionPresent, receiveMaximum, maximumPacketSize });
    this.#drain(session);
  }

  subscribed(client: SimulatedClient, topics: Record<string, { qos: 0 | 1 }>): void {
    const session = this.#sessionOf(client);
    if (session === undefined) return;
    for (const [pattern, { qos }] of Object.entries(topics)) {
      session.subscriptions.set(pattern, qos);
      for (const packet of this.#retained.values()) {
        if (matches(pattern, packet.topic))
          this.#give(session, { ...packet, qos: qos === 0 ? 0 : packet.qos });
      }
    }
  }

  published(client: SimulatedClient, packet: Packet, id: number): void {
    if (this.#sessionOf(client) === undefined) return;
    const isBatch = packet.topic.includes("/up/");
    const { faults } = this;
    if (isBatch && this.#chance(faults.refuse)) {
      const reason = this.reasons[Math.floor(this.#random() * this.reasons.length)] ?? 0x97;
      this.#world.trace(`refuses ${packet.topic} with 0x${reason.toString(16)}`);
      client.puback(id, reason);
      return;
    }
    const kept = !isBatch || !this.#chance(faults.forget);
    if (kept) this.#route(packet);
    if (kept && this.#chance(faults.duplicate)) this.#route(packet);
    if (packet.qos === 1 && !this.#chance(faults.swallowPuback)) client.puback(id, 0);
  }

  /** A clean DISCONNECT: no will. */
  farewell(client: SimulatedClient): void {
    this.#clean.add(client);
  }

  closed(client: SimulatedClient): void {
    const session = this.#sessionOf(client);
    if (session === undefined) return;
    this.#leave(session);
    const { will } = client.options;
    if (will === undefined || this.#clean.has(client)) return;
    const publish = (): void => {
      if (this.#wills.get(session.id) !== publish) return;
      this.#wills.delete(session.id);
      this.#route({
        topic: will.topic,
        payload: Buffer.from(will.payload),
        qos: 1,
        retain: will.retain ?? false,
      });
    };
    this.#wills.set(session.id, publish);
    const delayMs = (will.properties?.willDelayInterval ?? 0) * 1000;
    this.#world.after(this.actor, delayMs, publish);
  }

  /** An acknowledgement of earlier comes again, as from a second broker that was away. */
  replayAcknowledgement(): void {
    const packet = this.#acknowledgements[Math.floor(this.#random() * this.#acknowledgements.length)];
    if (packet === undefined) return;
    this.#world.trace("repeats an old acknowledgement");
    this.#spread({ ...packet, retain: false });
  }

  #leave(session: Session): void {
    session.client = undefined;
    session.leftAtMs = this.#world.nowMs;
    session.queue.unshift(...session.flying);
    session.flying.clear();
  }

  #sessionOf(client: SimulatedClient): Session | undefined {
    const session = this.#sessions.get(client.options.clientId ?? "");
    return session?.client === client ? session : undefined;
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random() < probability;
  }

  #route(packet: Packet): void {
    if (packet.retain) this.#retained.set(packet.topic, packet);
    if (!packet.topic.includes("/ack/")) return this.#spread(packet);
    this.#acknowledgements.push(packet);
    if (this.#acknowledgements.length > deliveredMax) this.#acknowledgements.shift();
    if (this.#chance(this.faults.ackLost)) return this.#world.trace("loses an acknowledgement");
    if (!this.#chance(this.faults.ackLate)) return this.#spread(packet);
    this.#world.after(this.actor, this.#random() * 120_000, () => this.#spread(packet));
  }

  #spread(packet: Packet): void {
    for (const session of this.#sessions.values()) {
      for (const [pattern, qos] of session.subscriptions) {
        if (!matches(pattern, packet.topic)) continue;
        this.#give(session, { ...packet, retain: false, qos: qos === 0 ? 0 : packet.qos });
        break;
      }
    }
  }

  #give(session: Session, packet: Packet): void {
    if (packet.qos === 0) {
      session.client?.deliver(packet, () => {});
      return;
    }
    // As mosquitto with max_queued_messages: what comes beyond it is gone, PUBACK or not.
    if (session.queue.length >= this.queuedMax)
      return this.#world.trace(`drops ${packet.topic}: the queue is full`);
    session.queue.push(packet);
    this.#drain(session);
  }

  #drain(session: Session): void {
    const { client } = session;
    if (client === undefined) return;
    const windowMax = client.options.properties?.receiveMaximum ?? 20;
    while (session.flying.size < windowMax) {
      const packet = session.queue.shift();
      if (packet === undefined) return;
      session.flying.add(packet);
      client.deliver(packet, () => {
        if (session.client !== client) return;
        session.flying.delete(packet);
        this.#drain(session);
      });
    }
  }
}

function matches(pattern: string, topic: string): boolean {
  const parts = topic.split("/");
  const wanted = pattern.split("/");
  return wanted.length === parts.length && wanted.every((one, i) => one === "+" || one === parts[i]);
}
