import { join } from "node:path";
import type { IClientOptions, IConnackPacket, IPublishPacket, MqttClient } from "mqtt";
import type { Logger } from "pino";
import type { UplinkConfig } from "../config/config.ts";
import { LinkMemory } from "../mqtt/addresses.ts";
import { isDenied, mqttLink, type Ended, type Link, type MakeLink } from "../mqtt/link.ts";
import { spreadOf } from "../mqtt/reconnect.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { parseAcknowledgement } from "./acknowledgement.ts";
import { contentType as cloudEventsType } from "./cloudevents.ts";
import { contentType as columnarType } from "./columnar.ts";
import { CommandLane } from "./commands.ts";
import { NamesakeWatch } from "./namesake.ts";
import { compress } from "./encoding.ts";
import type { Message } from "./flights.ts";
import { TwinLane } from "./twin.ts";

export interface UplinkStatus {
  id: string;
  url: string;
  encoding: string;
  custody: "C3";
  state: "connected" | "connecting" | "waiting" | "stopped";
  /** Since when it has been connected, or has not been. */
  sinceMs: number;
  session: number;
  /** Why the last attempt or connection ended. */
  reason?: string;
  receiver: "online" | "offline" | "unknown";
  lastAcknowledgementMs?: number;
  /** Bytes of MQTT over this and earlier connections. */
  bytesWritten: number;
  bytesRead: number;
}

export interface UplinkIdentity {
  /** Dictionary index of the gateway itself. */
  device: number;
  /** Folder for what an uplink remembers over restarts; undefined = nothing. */
  folder?: string;
  city: string;
  gateway: string;
  software: string;
  epoch: number;
  epochs: [number, number][];
  dictionary: { hash: string; json: string };
}

const retryFirstMs = 1000;
/** Oldest message without a PUBACK; sooner than keepalive can, this shows that a link is half open. */
const ackTimeoutMs = 10_000;
/** Stands among the keys of messages in flight for the birth; messages count from 1. */
const birthKey = 0;
/** Topic, properties and headers beside the payload. */
const packetOverheadBytes = 256;
/** What a broker may send us at once: acknowledgements may be large, what is larger is none of ours. */
const receivedBytesMax = 1 << 20;
const sessionExpirySeconds = 300;
const willDelaySeconds = 30;
/** MQTT 5 reasons to end a session that say nothing against the messages on the way. */
const innocentCodes: ReadonlySet<number> = new Set([0x87, 0x93, 0x96, 0x97, 0x98]);

function packed({ hash, json }: UplinkIdentity["dictionary"]): { hash: string; payload: Buffer } {
  return { hash, payload: compress(`{"v":1,"dict":"${hash}","devices":${json}}`) };
}

/** One MQTT destination: births, messages and their PUBACKs, and what the receiver says. */
export class MqttUplink {
  /** Commands from the IOC, and the states of them. */
  readonly commands: CommandLane;
  readonly twin: TwinLane;
  readonly #config: UplinkConfig;
  readonly #outbox: Pick<Outbox, "request" | "tell">;
  readonly #identity: Omit<UplinkIdentity, "dictionary">;
  /** As it goes out: as text it takes megabytes, for as long as the gateway runs. */
  #dictionary: { hash: string; payload: Buffer };
  readonly #log: Logger;
  readonly #memory: LinkMemory;
  readonly #namesake: NamesakeWatch;
  readonly #link: Link;
  #watch: NodeJS.Timeout | undefined;
  readonly #inFlight = new Map<number, number>();
  #lastProgressMs = 0;
  #receiverTopic = "";
  #packetBytesMax = Infinity;
  #isStopped = false;
  #status: Omit<UplinkStatus, "bytesWritten" | "bytesRead">;

  /** `makeLink`: the simulation puts its own wire in the place of MQTT's. */
  constructor(
    config: UplinkConfig,
    outbox: Pick<Outbox, "request" | "tell">,
    identity: UplinkIdentity,
    log: Logger,
    makeLink: MakeLink = mqttLink,
  ) {
    this.#config = config;
    this.#outbox = outbox;
    const { dictionary, ...own } = identity;
    this.#identity = own;
    this.#dictionary = packed(dictionary);
    this.#log = log.child({ uplink: config.id });
    const { folder } = identity;
    this.#memory = new LinkMemory(
      folder === undefined ? undefined : join(folder, `uplink-${config.id}.json`),
    );
    this.#status = {
      id: config.id,
      url: config.url,
      encoding: config.encoding,
      custody: "C3",
      state: "waiting",
      sinceMs: Date.now(),
      session: 0,
      receiver: "unknown",
    };
    const { url, protocol, keepaliveMs, username, password, tls, reconnectMaxMs } = config;
    const { city, gateway } = identity;
    this.commands = new CommandLane({ uplink: config.id, city, gateway, protocol, log: this.#log });
    this.twin = new TwinLane({ city, gateway, protocol, log: this.#log });
    this.#namesake = new NamesakeWatch(this.#topic("st"), identity.epoch);
    this.#link = makeLink(
      {
        url,
        protocol,
        clientId: `kerb-${identity.gateway}-${config.id}`,
        keepaliveMs,
        username,
        password,
        tls,
        retryFirstMs: Math.min(retryFirstMs, reconnectMaxMs),
        retryMaxMs: reconnectMaxMs,
        spreadMs: () => spreadOf(this.#memory.fleet),
        memory: this.#memory,
      },
      {
        prepare: () => this.#prepare(),
        connecting: () => this.#set("connecting"),
        opened: (client, connack) => this.#established(client, connack),
        message: (topic, payload, packet) => this.#received(topic, payload, packet),
        ended: (ended) => this.#ended(ended),
        contested: (pauseMs, isGuess) => this.#contested(pauseMs, isGuess),
        isQuiet: () => this.#inFlight.size === 0 && this.commands.isQuiet && this.twin.isQuiet,
      },
    );
  }

  get status(): UplinkStatus {
    const { written, read } = this.#link.bytes;
    return { ...this.#status, bytesWritten: written, bytesRead: read };
  }

  /** The dictionary has grown; the receiver keeps what it cannot read until it has it. */
  renewDictionary(dictionary: UplinkIdentity["dictionary"]): void {
    if (dictionary.hash === this.#dictionary.hash) return;
    this.#dictionary = packed(dictionary);
    const { client } = this.#link;
    if (client !== undefined && this.#status.state === "connected") this.#publishDictionary(client);
  }

  start(): void {
    this.#watch = setInterval(() => this.#checkProgress(), 1000);
    this.#link.start();
  }

  /** Publishes `online: false` and disconnects; never takes longer than two seconds. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#watch);
    const { client } = this.#link;
    if (client !== undefined) {
      const state = JSON.stringify({
        v: 1,
        online: false,
        ep: this.#identity.epoch,
        sess: this.#status.session,
        reason: "stopped",
        ts: Date.now(),
      });
      // Without a DISCONNECT the broker would publish the will, also over the birth of an uplink with another id.
      const farewell = client
        .publishAsync(this.#topic("st"), state, { qos: 1, retain: true })
        .then(() => client.endAsync())
        .catch(() => {});
      await Promise.race([farewell, new Promise((resolve) => setTimeout(resolve, 2000))]);
    }
    this.#link.stop();
    this.#lost(false);
    this.#set("stopped");
    await this.#memory.settled();
  }

  /** Sends what the lanes have chosen. */
  send(messages: readonly Message[]): void {
    const { client } = this.#link;
    // The lanes learn of the lost connection from `disconnected`, which is on its way to them.
    if (client === undefined) return;
    const batchType = this.#config.encoding === "columnar" ? columnarType : cloudEventsType;
    for (const { key, lane, payload } of messages) {
      this.#inFlight.set(key, performance.now());
      const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
      const contentType = lane === "seal" ? "application/json" : batchType;
      const options =
        this.#config.protocol === 5 ? { qos: 1 as const, properties: { contentType } } : { qos: 1 as const };
      client.publish(`${this.#topic("up")}/${lane}`, bytes, options, (error) =>
        this.#acknowledged(client, key, error),
      );
    }
  }

  #acknowledged(client: MqttClient, key: number, error: Error | null | undefined): void {
    if (client !== this.#link.client || !this.#inFlight.delete(key)) return;
    this.#lastProgressMs = performance.now();
    if (!error) {
      this.#outbox.tell({ type: "sent", uplink: this.#config.id, key });
      return;
    }
    const reason = (error as { code?: unknown }).code;
    if (typeof reason !== "number") return;
    this.#log.warn(
      { code: "KERB-UP-REFUSED", reason },
      `the broker refused a message: 0x${reason.toString(16)} ${error.message}`,
    );
    this.#status.reason = `message refused: 0x${reason.toString(16)} ${error.message}`;
    this.#outbox.tell({ type: "refused", uplink: this.#config.id, key, reason });
  }

  #topic(kind: "up" | "st" | "dict" | "ack"): string {
    return `${this.#identity.city}/${kind}/v1/${this.#identity.gateway}`;
  }

  async #prepare(): Promise<Partial<IClientOptions>> {
    const session = await this.#outbox.request("session", this.#config.id);
    this.#status.session = session;
    const five = this.#config.protocol === 5;
    return {
      will: {
        topic: this.#topic("st"),
        payload: Buffer.from(
          JSON.stringify({ v: 1, online: false, ep: this.#identity.epoch, sess: session }),
        ),
        qos: 1,
        retain: true,
        ...(five ? { properties: { willDelayInterval: willDelaySeconds } } : {}),
      },
      ...(five
        ? { properties: { sessionExpiryInterval: sessionExpirySeconds, maximumPacketSize: receivedBytesMax } }
        : {}),
    };
  }

  #established(client: MqttClient, connack: IConnackPacket): void {
    const { session } = this.#status;
    delete this.#status.reason;
    this.#set("connected");
    this.#log.info({ session }, `connected to ${this.#config.url}`);
    const { city } = this.#identity;
    client.subscribe({ [this.#topic("ack")]: { qos: 0 }, [`${city}/host/v1/+`]: { qos: 1 } }, (error) => {
      if (error && isDenied(error))
        this.#log.warn(
          { code: "KERB-UP-SUBSCRIBE" },
          `the broker refused our subscriptions: ${error.message}`,
        );
    });
    this.#namesake.opened(client);
    const { receiveMaximum = 65_535, maximumPacketSize = Infinity } = connack.properties ?? {};
    this.#packetBytesMax = maximumPacketSize;
    this.commands.opened(client, receiveMaximum, maximumPacketSize, connack.sessionPresent);
    this.#publishDictionary(client);
    // Events follow when the broker has taken birth and dictionary, so that these never count beyond its window.
    this.#inFlight.set(birthKey, performance.now());
    const birth = JSON.stringify(this.#birth(session));
    client.publish(this.#topic("st"), birth, { qos: 1, retain: true }, (error) => {
      if (client !== this.#link.client) return;
      this.#inFlight.delete(birthKey);
      if (!error) this.#namesake.born();
      this.twin.opened(client);
      this.#outbox.tell({
        type: "connected",
        uplink: this.#config.id,
        windowMax: Math.min(
          this.#config.windowMax,
          this.commands.windowLeft(this.twin.windowLeft(receiveMaximum)),
        ),
        bytesMax: Math.min(this.#config.messageBytesMax, maximumPacketSize - packetOverheadBytes),
        session,
      });
    });
  }

  #birth(session: number): Record<string, unknown> {
    const { epoch, epochs, software } = this.#identity;
    return {
      v: 1,
      online: true,
      sess: session,
      ep: epoch,
      // Earlier epochs with their last number, so that a lost tail shows as a hole.
      epochs: epochs.filter(([ended, last]) => ended !== epoch && last > 0).slice(-8),
      sw: software,
      dict: this.#dictionary.hash,
      custody: "C3",
      ts: Date.now(),
    };
  }

  #publishDictionary(client: MqttClient): void {
    const { payload } = this.#dictionary;
    if (payload.length + packetOverheadBytes > this.#packetBytesMax) {
      // Sending it would end the connection each time; the receiver keeps what it cannot read yet.
      this.#log.error(
        { code: "KERB-UP-TOO-LARGE" },
        `the broker takes ${this.#packetBytesMax} bytes a message, the point dictionary has ${payload.length}: have the broker's limit raised`,
      );
      return;
    }
    client.publish(this.#topic("dict"), payload, { qos: 1, retain: true });
  }

  #received(topic: string, payload: Buffer, packet: IPublishPacket): void {
    if (this.commands.received(topic, payload, packet) || this.twin.received(topic, payload)) return;
    const isOther = this.#namesake.received(topic, payload, packet);
    if (isOther === true) this.#link.confirm();
    if (isOther !== undefined) return;
    try {
      const document: unknown = JSON.parse(payload.toString("utf8"));
      if (typeof document !== "object" || document === null) throw new RangeError("not an object");
      if (topic === this.#topic("ack")) {
        const acknowledgement = parseAcknowledgement(document);
        this.#status.lastAcknowledgementMs = Date.now();
        this.#outbox.tell({ type: "acknowledged", uplink: this.#config.id, document: acknowledgement });
      } else if (topic.startsWith(`${this.#identity.city}/host/v1/`)) {
        const online = (document as { online?: unknown }).online === true;
        // Another receiver's old will must not speak for the one that is there.
        if (online || this.#status.receiver !== "online" || topic === this.#receiverTopic) {
          this.#status.receiver = online ? "online" : "offline";
          this.#receiverTopic = topic;
        }
        const { gateways } = document as { gateways?: unknown };
        if (Number.isSafeInteger(gateways)) this.#memory.setFleet(Math.max(1, gateways as number));
        this.#outbox.tell({ type: "receiver", uplink: this.#config.id, name: topic, online });
      }
    } catch (error) {
      this.#log.warn(
        { topic },
        `a message that is not kerb's contract was ignored: ${(error as Error).message}`,
      );
    }
  }

  #checkProgress(): void {
    const oldest = this.#inFlight.values().next().value;
    // A thin link may need long for a window; it is stuck when nothing at all comes back.
    if (oldest === undefined || performance.now() - Math.max(oldest, this.#lastProgressMs) < ackTimeoutMs)
      return;
    this.#link.fail(
      `no acknowledgement for ${ackTimeoutMs / 1000} s: the link is half open or the broker is stuck`,
    );
  }

  /** The connection or the attempt is over; the link tries again by itself. */
  #ended({ ending, reason, code = 0, wasOpen, isSuspicious }: Ended): void {
    this.#namesake.ended(isSuspicious);
    // A broker that hangs up while messages are on the way may mean one of them.
    this.#lost(ending === "closed" && !innocentCodes.has(code));
    if (this.#isStopped) return;
    if (wasOpen || reason !== this.#status.reason) {
      this.#log.warn(
        { code: "KERB-UP-LOST" },
        `${wasOpen ? "lost" : "cannot reach"} ${this.#config.url}: ${reason}`,
      );
    }
    this.#status.reason = reason;
    this.#set("waiting");
    if (ending === "taken-over") this.#alarmDuplicate("active");
  }

  #contested(pauseMs: number, isGuess: boolean): void {
    if (pauseMs === 0) return this.#alarmDuplicate("suspected");
    const id = `"${this.#identity.gateway}"`;
    const who = isGuess
      ? `the broker has hung up twice in a minute while nothing was on the way, as it does when another box uses the id ${id}`
      : `another box uses the id ${id}`;
    const reason = `${who}: this one stands back for ${Math.ceil(pauseMs / 1000)} s; give one of them an id of its own`;
    this.#log.error({ code: "KERB-UP-DUPLICATE" }, reason);
    this.#status.reason = reason;
    this.#set("waiting");
    return this.#alarmDuplicate("suspected");
  }

  /** The IOC hears it from the box that is still connected. */
  #alarmDuplicate(state: "active" | "suspected"): void {
    this.#outbox.tell({
      type: "event",
      kind: "alarm",
      device: this.#identity.device,
      data: {
        code: "KERB-UP-DUPLICATE",
        category: "identity",
        state,
        severity: "high",
        uplink: this.#config.id,
      },
    });
  }

  /** `blamed`: a message on the way may be why. */
  #lost(blamed: boolean): void {
    this.#status.receiver = "unknown";
    const { size } = this.#inFlight;
    this.#inFlight.clear();
    this.commands.closed(blamed);
    this.twin.closed();
    this.#outbox.tell({ type: "disconnected", uplink: this.#config.id, blamed: blamed && size > 0 });
  }

  #set(state: UplinkStatus["state"]): void {
    const before = this.#status.state;
    this.#status.state = state;
    // An attempt to connect does not make the outage a new one.
    const isTurn = (state === "connected") !== (before === "connected") || state === "stopped";
    if (isTurn) this.#status.sinceMs = Date.now();
  }
}
