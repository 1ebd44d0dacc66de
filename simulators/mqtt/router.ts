import type { Connection } from "./connection.ts";
import { publishFault, type BrokerFault } from "./faults.ts";
import { PublishEncoder, type DeliveryQos, type Message } from "./message.ts";
import { RetainedMessages } from "./retained.ts";
import { Session, type SessionLimits, type Subscription } from "./session.ts";
import { SubscriptionTree } from "./topics.ts";

export interface Limits extends SessionLimits {
  /** Unacknowledged PUBLISHes that a client may have towards the broker. */
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  readonly retainedMax: number;
  readonly retainedBytesMax: number;
  readonly sessionsMax: number;
  readonly subscriptionsMax: number;
}

/** Totals since the start. */
export interface Counts {
  /** CONNECTs accepted. */
  connections: number;
  /** PUBLISHes taken for delivery. */
  published: number;
  /** PUBLISHes sent to subscribers, repeats included. */
  delivered: number;
  /** PUBLISHes not taken: by a fault, or because the store of retained messages is full. */
  refused: number;
  /** Messages a subscriber did not get: queue full, socket backed up, or larger than it takes. */
  dropped: number;
  /** Queued messages whose expiry interval ran out. */
  expired: number;
  /** Connections closed because the client broke the protocol or a limit. */
  violations: number;
  bytesIn: number;
  bytesOut: number;
}

/** What all clients share: sessions, subscriptions, retained messages, the standing fault, counts. */
export class Router {
  readonly limits: Limits;
  readonly users: Readonly<Record<string, string>> | undefined;
  readonly log: (text: string) => void;
  readonly counts: Counts = {
    connections: 0,
    published: 0,
    delivered: 0,
    refused: 0,
    dropped: 0,
    expired: 0,
    violations: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
  fault: BrokerFault | undefined;
  heard: ((topic: string, payload: Buffer) => void) | undefined;
  subscribed: ((filter: string) => void) | undefined;
  readonly sessions = new Map<string, Session>();
  readonly #retained: RetainedMessages;
  readonly #tree = new SubscriptionTree<Session, Subscription>();
  readonly #encoder = new PublishEncoder();

  constructor(
    limits: Limits,
    users: Readonly<Record<string, string>> | undefined,
    log: (text: string) => void,
  ) {
    this.limits = limits;
    this.users = users;
    this.log = log;
    this.#retained = new RetainedMessages(limits.retainedMax, limits.retainedBytesMax);
  }

  publishFault(topic: string, payload: string | Buffer): number | "swallow" | "hang-up" | undefined {
    return publishFault(this.fault, topic, payload);
  }

  /**
   * The session of `clientId`, after a connection that holds it has been taken over (0x8e). `present` says whether
   * it is an old one; undefined if there is no room for one more.
   */
  open(clientId: string, cleanStart: boolean): { session: Session; present: boolean } | undefined {
    const existing = this.sessions.get(clientId);
    if (existing?.connection !== undefined) {
      existing.connection.close(0x8e, "taken over");
    }
    if (existing !== undefined && !existing.ended) {
      // Its CONNECT brings a new will; one that still waited for its delay is not published any more.
      if (!cleanStart) return { session: existing, present: true };
      this.#end(existing);
    }
    if (this.sessions.size >= this.limits.sessionsMax) {
      const offline = [...this.sessions.values()].find((session) => session.connection === undefined);
      if (offline === undefined) return undefined;
      this.log(`no room for another session: that of ${JSON.stringify(offline.clientId)} is dropped`);
      this.#end(offline);
    }
    const session = new Session(clientId, this.limits, this.counts, this.#encoder);
    this.sessions.set(clientId, session);
    return { session, present: false };
  }

  /** The connection of a session is gone; `abnormal` if its will is to be published. */
  close(session: Session, abnormal: boolean): void {
    if (session.ended) return;
    const nowMs = performance.now();
    session.detach(nowMs);
    if (!abnormal) session.will = undefined;
    else if (session.will !== undefined) {
      session.willAtMs = nowMs + session.will.delaySeconds * 1000;
      if (session.will.delaySeconds === 0) this.#publishWill(session);
    }
    if (session.expirySeconds === 0) this.#end(session);
  }

  /** Adds or replaces a subscription; `known` if there was one with this filter. */
  subscribe(session: Session, filter: string, subscription: Subscription): { known: boolean } {
    const known = session.subscriptions.has(filter);
    session.subscriptions.set(filter, subscription);
    this.#tree.set(filter, session, subscription);
    return { known };
  }

  unsubscribe(session: Session, filter: string): boolean {
    this.#tree.delete(filter, session);
    return session.subscriptions.delete(filter);
  }

  deliverRetained(session: Session, filter: string, subscription: Subscription): void {
    const identifiers = subscription.identifier === undefined ? [] : [subscription.identifier];
    for (const message of this.#retained.matching(filter, performance.now())) {
      const qos = Math.min(message.qos, subscription.qos) as DeliveryQos;
      session.deliver({ message, qos, retain: true, identifiers });
    }
  }

  /** Keeps a retained message; false if the store has no room. */
  retain(message: Message): boolean {
    if (this.#retained.set(message)) return true;
    this.log(`no room to retain ${JSON.stringify(message.topic)}`);
    return false;
  }

  /** Hands a message to every session that wants it, once each, at the best QoS of its matching subscriptions. */
  route(message: Message, publisher: Session | undefined): void {
    const matches = new Map<Session, Subscription[]>();
    this.#tree.match(message.topic, (session, subscription) => {
      if (subscription.noLocal && session === publisher) return;
      const known = matches.get(session);
      if (known === undefined) matches.set(session, [subscription]);
      else known.push(subscription);
    });
    for (const [session, subscriptions] of matches) {
      let qos: DeliveryQos = 0;
      let retain = false;
      const identifiers: number[] = [];
      for (const subscription of subscriptions) {
        if (subscription.qos > qos) qos = subscription.qos;
        if (subscription.retainAsPublished && message.retain) retain = true;
        if (subscription.identifier !== undefined) identifiers.push(subscription.identifier);
      }
      session.deliver({ message, qos: Math.min(qos, message.qos) as DeliveryQos, retain, identifiers });
    }
  }

  /** Ends what has run out: wills that are due, offline sessions, retained messages. */
  tick(nowMs: number): void {
    this.#retained.expire(nowMs);
    for (const session of this.sessions.values()) {
      if (session.connection !== undefined) continue;
      if (session.willAtMs <= nowMs) this.#publishWill(session);
      if (session.expiresAtMs <= nowMs) this.#end(session);
    }
  }

  /** Drops all sessions and what is queued in them, without a will, as a broker that lost its disk. */
  forget(retained: boolean): void {
    const connections: Connection[] = [];
    for (const session of this.sessions.values()) {
      session.will = undefined;
      if (session.connection !== undefined) connections.push(session.connection);
      this.#end(session);
    }
    if (retained) this.#retained.clear();
    for (const connection of connections) connection.destroy();
  }

  /** Withdraws all wills, for a broker that stops. */
  withdrawWills(): void {
    for (const session of this.sessions.values()) session.will = undefined;
  }

  #publishWill(session: Session): void {
    const message = session.will?.message;
    session.will = undefined;
    session.willAtMs = Infinity;
    if (message === undefined) return;
    if (message.retain && !this.retain(message)) this.counts.dropped++;
    this.route(message, session);
  }

  /** Ends a session; a will that still waits for its delay is published now (MQTT 5 clause 3.1.2.5). */
  #end(session: Session): void {
    if (session.ended) return;
    session.ended = true;
    this.sessions.delete(session.clientId);
    for (const filter of session.subscriptions.keys()) this.#tree.delete(filter, session);
    this.#publishWill(session);
  }
}
