import type { Socket } from "node:net";
import type {
  IDisconnectPacket,
  IPublishPacket,
  ISubscribePacket,
  ISubscription,
  IUnsubscribePacket,
  Packet,
} from "mqtt-packet";
import { acceptConnect } from "./connect.ts";
import { Connection } from "./connection.ts";
import { hasBrokenProperty, toMessage } from "./message.ts";
import type { Router } from "./router.ts";
import type { Session, Subscription } from "./session.ts";
import { isTopicFilter, isTopicName } from "./topics.ts";

/** Time that a new connection has for its CONNECT. */
const connectTimeoutMs = 10_000;

/** Server shutting down, keep-alive timeout, session taken over: no fault of the protocol. */
const orderlyReasons: ReadonlySet<number> = new Set([0x8b, 0x8d, 0x8e]);

const pingResponse = Buffer.from([0xd0, 0x00]);

/** One connected client: turns its packets into calls of the router. */
export class Client {
  readonly connection: Connection;
  readonly #router: Router;
  /** Topic aliases last as long as the connection. */
  readonly #aliases = new Map<number, string>();
  /** PUBLISHes whose PUBACK or PUBREC the fault "swallow-puback" withheld. */
  readonly #withheld = new Set<number>();
  #session: Session | undefined;
  #silenceMsMax = connectTimeoutMs;
  #disconnected = false;

  constructor(router: Router, socket: Socket, closed: (client: Client) => void) {
    this.#router = router;
    this.connection = new Connection(socket, router.limits.maximumPacketSize, router.counts, {
      packet: (packet) => this.#packet(packet),
      drained: () => this.#session?.pump(),
      closed: (reasonCode, reason) => {
        if (reasonCode !== undefined) {
          if (!orderlyReasons.has(reasonCode)) router.counts.violations++;
          router.log(`${JSON.stringify(this.#session?.clientId ?? "")} closed: ${reason}`);
        }
        if (this.#session !== undefined) router.close(this.#session, !this.#disconnected);
        closed(this);
      },
    });
  }

  /** The id of a client that has been let in. */
  get clientId(): string | undefined {
    return this.#session?.clientId;
  }

  /** Closes a client that has been silent for 1.5 times its keep-alive, or sent no CONNECT. */
  tick(nowMs: number): void {
    if (nowMs - this.connection.lastSeenMs > this.#silenceMsMax) this.connection.close(0x8d, "silent");
  }

  #packet(packet: Packet): void {
    const session = this.#session;
    if (packet.cmd === "connect") {
      if (session !== undefined) return this.connection.close(0x82, "second CONNECT");
      const accepted = acceptConnect(this.#router, this.connection, packet);
      this.#session = accepted?.session;
      this.#silenceMsMax = accepted?.silenceMsMax ?? 0;
      return undefined;
    }
    if (session === undefined) return this.connection.close(0x82, `${packet.cmd} before CONNECT`);
    if ("properties" in packet && hasBrokenProperty(packet.properties)) {
      return this.connection.close(0x81, `broken property in ${packet.cmd}`);
    }
    switch (packet.cmd) {
      case "publish":
        return this.#publish(session, packet);
      case "puback":
        return session.acknowledge(packet.messageId ?? 0);
      case "pubrel":
        return this.#release(session, packet.messageId ?? 0);
      case "subscribe":
        return this.#subscribe(session, packet);
      case "unsubscribe":
        return this.#unsubscribe(session, packet);
      case "pingreq":
        return this.connection.write(pingResponse);
      case "disconnect":
        return this.#disconnect(session, packet);
      default:
        return this.connection.close(0x82, `unexpected ${packet.cmd}`);
    }
  }

  #publish(session: Session, packet: IPublishPacket): void {
    const { connection } = this;
    const router = this.#router;
    const topic = this.#resolveAlias(packet);
    if (topic === undefined) return;
    if (!isTopicName(topic)) return connection.close(0x90, "not a topic name");
    const { responseTopic, subscriptionIdentifier } = packet.properties ?? {};
    if (
      subscriptionIdentifier !== undefined ||
      (responseTopic !== undefined && !isTopicName(responseTopic))
    ) {
      return connection.close(0x82, "property not allowed in a PUBLISH");
    }
    const messageId = packet.messageId ?? 0;
    if (packet.qos > 0 && !(messageId > 0)) return connection.close(0x82, "PUBLISH without an id");
    if (packet.qos === 2 && session.received.has(messageId)) return this.#answer(session, packet, 0);
    if (packet.qos > 0 && this.#overWindow(session, messageId)) {
      return connection.close(0x93, "Receive Maximum exceeded");
    }
    const fault = router.publishFault(topic, packet.payload);
    if (fault === "hang-up") {
      router.counts.refused++;
      return connection.destroy();
    }
    if (typeof fault === "number") {
      router.counts.refused++;
      return this.#answer(session, packet, fault);
    }
    const message = toMessage(topic, packet, performance.now());
    if (message.retain && !router.retain(message)) {
      router.counts.refused++;
      return this.#answer(session, packet, 0x97);
    }
    router.counts.published++;
    if (fault !== "swallow") this.#answer(session, packet, 0);
    else if (packet.qos > 0) this.#withheld.add(messageId);
    router.route(message, session);
    router.heard?.(topic, message.payload);
  }

  #resolveAlias(packet: IPublishPacket): string | undefined {
    const alias = packet.properties?.topicAlias;
    if (alias === undefined) return packet.topic;
    if (alias === 0 || alias > this.#router.limits.topicAliasMaximum) {
      this.connection.close(0x94, "topic alias out of range");
      return undefined;
    }
    if (packet.topic !== "") {
      this.#aliases.set(alias, packet.topic);
      return packet.topic;
    }
    const topic = this.#aliases.get(alias);
    if (topic === undefined) this.connection.close(0x82, "unknown topic alias");
    return topic;
  }

  /** Whether a new PUBLISH makes more unanswered ones than the CONNACK allowed; MQTT 3.1.1 knows no such limit. */
  #overWindow(session: Session, messageId: number): boolean {
    if (this.connection.version !== 5 || this.#withheld.has(messageId)) return false;
    return this.#withheld.size + session.received.size >= this.#router.limits.receiveMaximum;
  }

  /** PUBACK or PUBREC; MQTT 3.1.1 cannot say no, so there a refused message is acknowledged like any other. */
  #answer(session: Session, packet: IPublishPacket, reasonCode: number): void {
    if (packet.qos === 0) return;
    const messageId = packet.messageId ?? 0;
    const refused = reasonCode !== 0 && this.connection.version === 5;
    if (packet.qos === 2 && !refused) session.received.add(messageId);
    if (refused) this.connection.send({ cmd: packet.qos === 1 ? "puback" : "pubrec", messageId, reasonCode });
    else this.connection.write(acknowledgement(packet.qos === 1 ? 0x40 : 0x50, messageId));
  }

  #release(session: Session, messageId: number): void {
    const known = session.received.delete(messageId);
    if (known || this.connection.version === 4) this.connection.write(acknowledgement(0x70, messageId));
    else this.connection.send({ cmd: "pubcomp", messageId, reasonCode: 0x92 });
  }

  #subscribe(session: Session, packet: ISubscribePacket): void {
    const messageId = packet.messageId ?? 0;
    const identifier = packet.properties?.subscriptionIdentifier;
    if (!(messageId > 0) || packet.subscriptions.length === 0 || identifier === 0) {
      return this.connection.close(0x82, "SUBSCRIBE without an id or a filter");
    }
    const granted: number[] = [];
    const wanted: [string, Subscription][] = [];
    for (const request of packet.subscriptions) {
      const reasonCode = this.#refusal(session, request);
      granted.push(reasonCode ?? Math.min(request.qos, 1));
      if (reasonCode !== undefined) continue;
      const subscription: Subscription = {
        qos: request.qos === 0 ? 0 : 1,
        noLocal: request.nl === true,
        retainAsPublished: request.rap === true,
        identifier,
      };
      const { known } = this.#router.subscribe(session, request.topic, subscription);
      const retainHandling = request.rh ?? 0;
      if (retainHandling === 0 || (retainHandling === 1 && !known))
        wanted.push([request.topic, subscription]);
    }
    this.connection.send({ cmd: "suback", messageId, granted });
    for (const [filter, subscription] of wanted) this.#router.deliverRetained(session, filter, subscription);
    for (const { topic } of packet.subscriptions.filter((_, i) => (granted[i] ?? 0x80) < 0x80))
      this.#router.subscribed?.(topic);
    return undefined;
  }

  #refusal(session: Session, { topic }: ISubscription): number | undefined {
    const full = session.subscriptions.size >= this.#router.limits.subscriptionsMax;
    let reasonCode: number | undefined;
    if (!isTopicFilter(topic)) reasonCode = 0x8f;
    else if (topic.startsWith("$share/")) reasonCode = 0x9e;
    else if (full && !session.subscriptions.has(topic)) reasonCode = 0x97;
    return reasonCode !== undefined && this.connection.version === 4 ? 0x80 : reasonCode;
  }

  #unsubscribe(session: Session, packet: IUnsubscribePacket): void {
    const messageId = packet.messageId ?? 0;
    if (!(messageId > 0) || packet.unsubscriptions.length === 0) {
      return this.connection.close(0x82, "UNSUBSCRIBE without an id or a filter");
    }
    const granted = packet.unsubscriptions.map((filter) =>
      this.#router.unsubscribe(session, filter) ? 0 : 0x11,
    );
    return this.connection.send({ cmd: "unsuback", messageId, granted });
  }

  /** 0x04 asks for the will; everything else ends the connection without it (MQTT 5 clause 3.14.4). */
  #disconnect(session: Session, packet: IDisconnectPacket): void {
    const expirySeconds = packet.properties?.sessionExpiryInterval;
    if (expirySeconds !== undefined) {
      if (session.expirySeconds === 0 && expirySeconds > 0) {
        return this.connection.close(0x82, "session expiry raised from 0");
      }
      session.expirySeconds = expirySeconds;
    }
    this.#disconnected = (packet.reasonCode ?? 0) === 0;
    return this.connection.end();
  }
}

function acknowledgement(type: number, messageId: number): Buffer {
  return Buffer.from([type, 2, messageId >> 8, messageId & 0xff]);
}
