import type { Connection } from "./connection.ts";
import { detachPayload, keptBytes, type DeliveryQos, type Message, type PublishEncoder } from "./message.ts";

/** `expirySeconds` of a session that never expires. */
const neverExpires = 0xffff_ffff;

export interface SessionLimits {
  readonly queuedMax: number;
  readonly queuedBytesMax: number;
  /** Unacknowledged deliveries at most, also when the client's Receive Maximum allows more. */
  readonly inFlightMax: number;
}

/** A message for one session. */
export interface Delivery {
  readonly message: Message;
  readonly qos: DeliveryQos;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
}

interface Queued extends Delivery {
  /** Set when it has been sent before: it goes again under the same id. */
  readonly messageId?: number;
}

export interface Will {
  readonly message: Message;
  readonly delaySeconds: number;
}

export interface Subscription {
  readonly qos: DeliveryQos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number | undefined;
}

/** What the broker remembers of one client id: subscriptions, queue, window. In memory only. */
export class Session {
  readonly clientId: string;
  readonly subscriptions = new Map<string, Subscription>();
  /** QoS 2 messages taken and answered with PUBREC, not yet released. */
  readonly received = new Set<number>();
  expirySeconds = 0;
  /** When an offline session ends and when its will is due, on the clock of `performance.now()`. */
  expiresAtMs = Infinity;
  willAtMs = Infinity;
  will: Will | undefined;
  ended = false;
  readonly #limits: SessionLimits;
  readonly #counts: { delivered: number; dropped: number; expired: number };
  readonly #encoder: PublishEncoder;
  #connection: Connection | undefined;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  readonly #inFlight = new Map<number, Delivery>();
  #messageId = 0;

  constructor(
    clientId: string,
    limits: SessionLimits,
    counts: { delivered: number; dropped: number; expired: number },
    encoder: PublishEncoder,
  ) {
    this.clientId = clientId;
    this.#limits = limits;
    this.#counts = counts;
    this.#encoder = encoder;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Takes a new connection and sends again what was in flight on the last one, then what is queued. */
  attach(connection: Connection): void {
    this.#connection = connection;
    this.expiresAtMs = Infinity;
    this.willAtMs = Infinity;
    const again = [...this.#inFlight].map(([messageId, delivery]) => ({ ...delivery, messageId }));
    this.#inFlight.clear();
    for (const { message } of again) this.#queuedBytes += keptBytes(message);
    this.#queue = [...again, ...this.#queue];
    this.pump();
  }

  detach(nowMs: number): void {
    this.#connection = undefined;
    this.expiresAtMs = this.expirySeconds === neverExpires ? Infinity : nowMs + this.expirySeconds * 1000;
  }

  /** Delivers now, or queues at QoS 1; when the queue is full its oldest message is dropped and counted. */
  deliver(delivery: Delivery): void {
    if (delivery.qos === 0) {
      if (this.#connection === undefined) return;
      if (this.#connection.writable) this.#transmit(this.#connection, delivery);
      else this.#counts.dropped++;
      return;
    }
    this.#queue.push(delivery);
    this.#queuedBytes += keptBytes(delivery.message);
    this.pump();
    if (this.#queue.length === 0) return;
    detachPayload(delivery.message);
    while (this.#queue.length > this.#limits.queuedMax || this.#queuedBytes > this.#limits.queuedBytesMax) {
      this.#shift();
      this.#counts.dropped++;
    }
  }

  /** The client has answered a delivery. */
  acknowledge(messageId: number): void {
    if (this.#inFlight.delete(messageId)) this.pump();
  }

  /** Sends from the queue as far as the client's window and its socket allow. */
  pump(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const window = Math.min(connection.receiveMaximum, this.#limits.inFlightMax);
    while (this.#queue.length > 0 && this.#inFlight.size < window && connection.writable) {
      const queued = this.#shift();
      if (queued === undefined) return;
      if (queued.messageId === undefined && queued.message.expiresAtMs <= performance.now()) {
        this.#counts.expired++;
        continue;
      }
      const messageId = queued.messageId ?? this.#nextMessageId();
      if (this.#transmit(connection, queued, messageId)) this.#inFlight.set(messageId, queued);
    }
  }

  #shift(): Queued | undefined {
    const queued = this.#queue.shift();
    if (queued !== undefined) this.#queuedBytes -= keptBytes(queued.message);
    return queued;
  }

  #nextMessageId(): number {
    do this.#messageId = (this.#messageId % 65_535) + 1;
    while (this.#inFlight.has(this.#messageId));
    return this.#messageId;
  }

  #transmit(connection: Connection, queued: Queued, messageId?: number): boolean {
    const { version } = connection;
    const variant = { version, qos: queued.qos, retain: queued.retain, identifiers: queued.identifiers };
    const { bytes, messageIdOffset } = this.#encoder.encode(queued.message, variant, performance.now());
    if (bytes.byteLength > connection.maximumPacketSize) {
      this.#counts.dropped++;
      return false;
    }
    this.#counts.delivered++;
    if (messageId === undefined) {
      connection.write(bytes);
      return true;
    }
    // The encoding is shared by all subscribers: only the head, which carries the id, is copied.
    const head = Buffer.from(bytes.subarray(0, messageIdOffset + 2));
    head.writeUInt16BE(messageId, messageIdOffset);
    if (queued.messageId !== undefined) head[0] = (head[0] ?? 0) | 0x08;
    connection.write(head);
    connection.write(bytes.subarray(messageIdOffset + 2));
    return true;
  }
}
