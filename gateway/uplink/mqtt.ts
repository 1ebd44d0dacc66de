import { readFileSync } from "node:fs";
import mqttPacket from "mqtt-packet";
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from "mqtt";
import type { Logger } from "pino";
import type { UplinkConfig } from "../config.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { parseAcknowledgement } from "./acknowledgement.ts";
import { contentType as cloudEventsType } from "./cloudevents.ts";
import { contentType as columnarType } from "./columnar.ts";
import { compress } from "./encoding.ts";
import type { Message } from "./lanes.ts";

/**
 * One MQTT destination. mqtt.js is trusted with one connection and one window of messages, never with our backlog
 * or the reconnect: it re-sends a store one message per round trip, forgets callbacks over a reconnect, and gives
 * up for ever after one CONNACK error. So each connection is a new client, and what was in flight goes back to
 * the outbox.
 */

export interface UplinkStatus {
  id: string;
  url: string;
  encoding: string;
  custody: "C3";
  state: "connected" | "connecting" | "waiting" | "stopped";
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
  city: string;
  gateway: string;
  software: string;
  epoch: number;
  epochs: [number, number][];
  dictionary: { hash: string; json: string };
}

// mqtt-packet keeps a Buffer for each of the 65,536 packet identifiers: 11 MB to save an allocation of two bytes.
(mqttPacket.writeToStream as { cacheNumbers?: boolean }).cacheNumbers = false;

const backOffFirstMs = 500;
const connectTimeoutMs = 10_000;
/** Oldest message without a PUBACK; sooner than keepalive can, this shows that a link is half open. */
const ackTimeoutMs = 10_000;
/** A connection that held this long makes the next back-off start anew. */
const stableMs = 60_000;
/** Stands among the keys of messages in flight for the birth; messages count from 1. */
const birthKey = 0;
/** Topic, properties and headers beside the payload. */
const packetOverheadBytes = 256;
const sessionExpirySeconds = 300;
const willDelaySeconds = 30;

export class MqttUplink {
  readonly #config: UplinkConfig;
  readonly #outbox: Outbox;
  readonly #identity: UplinkIdentity;
  readonly #log: Logger;
  #client: MqttClient | undefined;
  #connectedAtMs = 0;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  readonly #inFlight = new Map<number, number>();
  #lastProgressMs = 0;
  #receiverTopic = "";
  #stopped = false;
  #bytes = { written: 0, read: 0 };
  #status: Omit<UplinkStatus, "bytesWritten" | "bytesRead">;

  constructor(config: UplinkConfig, outbox: Outbox, identity: UplinkIdentity, log: Logger) {
    this.#config = config;
    this.#outbox = outbox;
    this.#identity = identity;
    this.#log = log.child({ uplink: config.id });
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
  }

  get status(): UplinkStatus {
    const stream = this.#socket();
    return {
      ...this.#status,
      bytesWritten: this.#bytes.written + (stream?.bytesWritten ?? 0),
      bytesRead: this.#bytes.read + (stream?.bytesRead ?? 0),
    };
  }

  #socket(): { bytesWritten?: number; bytesRead?: number; setNoDelay?: (on: boolean) => void } | undefined {
    return this.#client?.stream as never;
  }

  start(): void {
    this.#watch = setInterval(() => this.#checkProgress(), 1000);
    this.#connect().catch((error: Error) => this.#ended(error.message));
  }

  /** Publishes `online: false` and disconnects; never takes longer than two seconds. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    const client = this.#client;
    if (client !== undefined && this.#status.state === "connected") {
      const state = JSON.stringify({
        v: 1,
        online: false,
        sess: this.#status.session,
        reason: "stopped",
        ts: Date.now(),
      });
      await Promise.race([
        client.publishAsync(this.#topic("st"), state, { qos: 1, retain: true }).catch(() => {}),
        new Promise((resolve) => setTimeout(resolve, 2000)),
      ]);
    }
    this.#drop();
    this.#set("stopped");
  }

  /** Sends what the lanes have chosen. */
  send(messages: readonly Message[]): void {
    const client = this.#client;
    // The lanes learn of the lost connection from `disconnected`, which is on its way to them.
    if (client === undefined || this.#status.state !== "connected") return;
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
    if (client !== this.#client || !this.#inFlight.delete(key)) return;
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

  async #connect(): Promise<void> {
    if (this.#stopped) return;
    this.#set("connecting");
    const session = await this.#outbox.request("session", this.#config.id);
    if (this.#stopped) return;
    this.#status.session = session;
    const client = mqtt.connect(this.#config.url, this.#clientOptions(session));
    this.#client = client;
    let reason: string | undefined;
    client.on("error", (error) => {
      reason ??= sentence(error);
    });
    client.on("disconnect", (packet) => {
      reason = `the broker ended the session: 0x${(packet.reasonCode ?? 0).toString(16)}`;
    });
    client.on("close", () => {
      if (client === this.#client) this.#ended(reason ?? "the connection was closed");
    });
    client.on("connect", (connack) => {
      if (client === this.#client) this.#established(client, connack, session);
    });
    client.on("message", (topic, payload) => {
      if (client === this.#client) this.#received(topic, payload);
    });
  }

  #clientOptions(session: number): IClientOptions {
    const { username, password, tls, keepaliveMs } = this.#config;
    const five = this.#config.protocol === 5;
    const will = JSON.stringify({ v: 1, online: false, sess: session });
    return {
      protocolVersion: five ? 5 : 4,
      clientId: `kerb-${this.#identity.gateway}-${this.#config.id}`,
      clean: false,
      reconnectPeriod: 0,
      connectTimeout: connectTimeoutMs,
      keepalive: Math.round(keepaliveMs / 1000),
      queueQoSZero: false,
      resubscribe: false,
      will: {
        topic: this.#topic("st"),
        payload: Buffer.from(will),
        qos: 1,
        retain: true,
        ...(five ? { properties: { willDelayInterval: willDelaySeconds } } : {}),
      },
      ...(five ? { properties: { sessionExpiryInterval: sessionExpirySeconds } } : {}),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls?.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
      ...(tls?.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
      ...(tls?.key === undefined ? {} : { key: readFileSync(tls.key) }),
      ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
    };
  }

  #established(client: MqttClient, connack: IConnackPacket, session: number): void {
    this.#socket()?.setNoDelay?.(true);
    this.#connectedAtMs = performance.now();
    delete this.#status.reason;
    this.#set("connected");
    this.#log.info({ session }, `connected to ${this.#config.url}`);
    const { city } = this.#identity;
    client.subscribe({ [this.#topic("ack")]: { qos: 0 }, [`${city}/host/v1/+`]: { qos: 1 } }, (error) => {
      if (error)
        this.#log.warn(
          { code: "KERB-UP-SUBSCRIBE" },
          `the broker refused our subscriptions: ${error.message}`,
        );
    });
    this.#publishDictionary(client);
    const { receiveMaximum = 65_535, maximumPacketSize = Infinity } = connack.properties ?? {};
    // Events follow when the broker has taken birth and dictionary, so that these never count beyond its window.
    this.#inFlight.set(birthKey, performance.now());
    client.publish(this.#topic("st"), JSON.stringify(this.#birth(session)), { qos: 1, retain: true }, () => {
      if (client !== this.#client) return;
      this.#inFlight.delete(birthKey);
      this.#outbox.tell({
        type: "connected",
        uplink: this.#config.id,
        windowMax: Math.min(this.#config.windowMax, receiveMaximum),
        bytesMax: Math.min(this.#config.messageBytesMax, maximumPacketSize - packetOverheadBytes),
        session,
      });
    });
  }

  #birth(session: number): Record<string, unknown> {
    const { epoch, epochs, software, dictionary } = this.#identity;
    return {
      v: 1,
      online: true,
      sess: session,
      ep: epoch,
      // Earlier epochs with their last number, so that a lost tail shows as a hole.
      epochs: epochs.filter(([ended, last]) => ended !== epoch && last > 0).slice(-8),
      sw: software,
      dict: dictionary.hash,
      custody: "C3",
      ts: Date.now(),
    };
  }

  /** The dictionary has grown: the receiver gets it before the first batch that needs it. */
  dictionaryChanged(dictionary: { hash: string; json: string }): void {
    this.#identity.dictionary = dictionary;
    if (this.#client !== undefined && this.#status.state === "connected")
      this.#publishDictionary(this.#client);
  }

  #publishDictionary(client: MqttClient): void {
    const { hash, json } = this.#identity.dictionary;
    client.publish(this.#topic("dict"), compress(`{"v":1,"dict":"${hash}","devices":${json}}`), {
      qos: 1,
      retain: true,
    });
  }

  #received(topic: string, payload: Buffer): void {
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
    this.#ended(
      `no acknowledgement for ${ackTimeoutMs / 1000} s: the link is half open or the broker is stuck`,
    );
  }

  /** The connection or the attempt is over; the next one follows after a jittered pause. */
  #ended(reason: string): void {
    const was = this.#status.state;
    this.#drop();
    if (this.#stopped) return;
    if (was === "connected" && performance.now() - this.#connectedAtMs > stableMs) this.#attempts = 0;
    const ceiling = Math.min(this.#config.reconnectMaxMs, backOffFirstMs * 2 ** Math.min(16, this.#attempts));
    this.#attempts++;
    const pauseMs = Math.random() * ceiling;
    if (was === "connected" || reason !== this.#status.reason) {
      this.#log.warn(
        { code: "KERB-UP-LOST" },
        `${was === "connected" ? "lost" : "cannot reach"} ${this.#config.url}: ${reason}`,
      );
    }
    this.#status.reason = reason;
    this.#set("waiting");
    this.#timer = setTimeout(() => {
      this.#connect().catch((error: Error) => this.#ended(error.message));
    }, pauseMs);
  }

  #drop(): void {
    const client = this.#client;
    if (client === undefined) return;
    this.#bytes.written += this.#socket()?.bytesWritten ?? 0;
    this.#bytes.read += this.#socket()?.bytesRead ?? 0;
    this.#client = undefined;
    this.#status.receiver = "unknown";
    this.#inFlight.clear();
    client.end(true);
    this.#outbox.tell({ type: "disconnected", uplink: this.#config.id });
  }

  #set(state: UplinkStatus["state"]): void {
    if (state === this.#status.state) return;
    this.#status.state = state;
    this.#status.sinceMs = Date.now();
  }
}

/** What an error of socket, TLS or MQTT says, as one line. OpenSSL wraps an alert into its own file and line. */
function sentence(error: Error): string {
  const [, alert] = /\balert ([a-z ]+?)(?::|$)/i.exec(error.message) ?? [];
  if (alert !== undefined)
    return `the broker ended the TLS handshake: ${alert.toLowerCase()} (see uplinks → tls)`;
  const text = error.message.replaceAll(/\s+/g, " ").trim().slice(0, 300);
  return text === "" ? ((error as { code?: string }).code ?? error.name) : text;
}
