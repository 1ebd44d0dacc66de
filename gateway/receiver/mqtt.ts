import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import type { Acknowledgement } from "./acknowledge.ts";
import type { Change, Receiver } from "./receiver.ts";

export interface BrokerOptions {
  /** mqtt://host:1883 or mqtts://host:8883. */
  broker: string;
  city: string;
  /** Of this receiver: part of its client id and of its `host` topic. */
  name: string;
  /** MQTT version. */
  protocol?: "5" | "3.1.1";
  /** PEM files for mqtts. */
  ca?: string;
  cert?: string;
  key?: string;
  username?: string;
  password?: string;
  /** Full-jitter back-off between connections. */
  retryFirstMs?: number;
  retryMaxMs?: number;
  log?: (change: Change) => void;
  /** Opens a connection: mqtt.js, or the simulation's stand-in for it. */
  dial?: (url: string, options: IClientOptions) => MqttClient;
}

const lanes = ["event", "live", "fill", "seal"] as const;
/** The broker keeps what comes while the receiver restarts, for this long. */
const sessionExpirySeconds = 3600;
const receiveMaximum = 200;
const packetBytesMax = 1024 * 1024 + 1024;
const connectTimeoutMs = 15_000;
const keepaliveSeconds = 30;
/** A connection that held this long makes the next back-off start anew. */
const stableMs = 10_000;
const farewellMs = 1000;

/**
 * The receiver's link to one broker: subscribes to what gateways send and publishes acknowledgements. Every
 * connection is a new mqtt.js client, because mqtt.js itself gives up for ever after one CONNACK error and
 * forgets callbacks over a reconnect.
 */
export class BrokerLink {
  readonly #receiver: Receiver;
  readonly #options: BrokerOptions;
  readonly #files: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  readonly #log: (change: Change) => void;
  #client: MqttClient | undefined;
  #attempts = 0;
  #subscribed = false;
  #connectedMs: number | undefined;
  #reason = "";
  #retryTimer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Reads the certificate files; throws if one cannot be read. Connects only at `open`. */
  constructor(receiver: Receiver, options: BrokerOptions) {
    this.#receiver = receiver;
    this.#options = options;
    this.#log = options.log ?? (() => {});
    for (const name of ["ca", "cert", "key"] as const) {
      const path = options[name];
      if (path !== undefined) this.#files[name] = readFileSync(path);
    }
  }

  /** True while subscribed. */
  get connected(): boolean {
    return this.#connectedMs !== undefined;
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    if (!this.#closed) this.#connect();
  }

  /** Publishes `online: false` and disconnects; settles within about a second. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#receiver.stop();
    const client = this.#client;
    if (client === undefined) return;
    if (client.connected) {
      const farewell = client
        .publishAsync(this.#hostTopic(), hostState(false), { qos: 1, retain: true })
        .then(() => client.endAsync())
        .catch(() => {});
      await Promise.race([farewell, new Promise((resolve) => setTimeout(resolve, farewellMs).unref())]);
    }
    client.end(true);
  }

  #hostTopic(): string {
    return `${this.#options.city}/host/v1/${this.#options.name}`;
  }

  #connect(): void {
    const { broker, dial = mqtt.connect } = this.#options;
    const client = dial(broker, this.#clientOptions());
    this.#client = client;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      client.end(true);
      this.#ended();
    };
    client.on("error", (error: Error & { code?: unknown }) => {
      this.#reason = error.message === "" && typeof error.code === "string" ? error.code : error.message;
      // mqtt.js leaves the socket open after a refused CONNECT and after bytes that are not MQTT.
      end();
    });
    client.on("disconnect", (packet) => {
      this.#reason = `the broker ended the session (reason ${packet.reasonCode ?? 0})`;
    });
    client.on("close", end);
    client.on("message", (topic, payload) => {
      if (!over) this.#dispatch(topic, payload);
    });
    client.on("connect", (connack) => {
      setNoDelay(client);
      void this.#subscribe(client, connack.sessionPresent).then((failure) => {
        if (over) return;
        if (failure === undefined) return this.#established(client);
        this.#reason = failure;
        return end();
      });
    });
    setNoDelay(client);
  }

  #clientOptions(): IClientOptions {
    const { city, name, protocol = "5", username, password } = this.#options;
    const five = protocol === "5";
    return {
      protocolVersion: five ? 5 : 4,
      clientId: `kerb-receive-${city}-${name}`,
      clean: false,
      reconnectPeriod: 0,
      connectTimeout: connectTimeoutMs,
      keepalive: keepaliveSeconds,
      queueQoSZero: false,
      resubscribe: false,
      will: {
        topic: this.#hostTopic(),
        payload: Buffer.from(JSON.stringify({ online: false })),
        qos: 1,
        retain: true,
      },
      ...(five
        ? {
            properties: {
              sessionExpiryInterval: sessionExpirySeconds,
              receiveMaximum,
              maximumPacketSize: packetBytesMax,
            },
          }
        : {}),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...this.#files,
    };
  }

  /**
   * Subscribes, unless the broker kept the session that this process subscribed in. Retained births and
   * dictionaries come with it. Gives back why it failed.
   */
  async #subscribe(client: MqttClient, sessionPresent: boolean): Promise<string | undefined> {
    if (sessionPresent && this.#subscribed) return undefined;
    this.#subscribed = false;
    const { city } = this.#options;
    const topics = [
      ...lanes.map((lane) => `${city}/up/v1/+/${lane}`),
      `${city}/st/v1/+`,
      `${city}/dict/v1/+`,
    ];
    try {
      const grants = await client.subscribeAsync(topics, { qos: 1 });
      const denied = grants.filter((grant) => grant.qos >= 128).map((grant) => grant.topic);
      if (denied.length > 0) return `the broker denies the subscription to ${denied.join(", ")}`;
    } catch (error) {
      return `the broker refused the subscriptions: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#subscribed = true;
    return undefined;
  }

  #established(client: MqttClient): void {
    this.#connectedMs = performance.now();
    this.#reason = "";
    this.#log({ kind: "connected", text: `connected to ${this.#options.broker}` });
    client.publish(this.#hostTopic(), hostState(true), { qos: 1, retain: true });
    this.#receiver.start((gateway, document) => this.#publish(client, gateway, document));
  }

  #publish(client: MqttClient, gateway: string, document: Acknowledgement): void {
    if (!client.connected) return;
    client.publish(`${this.#options.city}/ack/v1/${gateway}`, JSON.stringify(document), {
      qos: 0,
      retain: true,
    });
  }

  #dispatch(topic: string, payload: Buffer): void {
    const [, kind, version, gateway = "", lane] = topic.split("/");
    if (version !== "v1") return;
    if (kind === "up" && lane !== undefined) this.#receiver.take(gateway, lane, payload);
    else if (kind === "st") this.#receiver.birth(gateway, payload);
    else if (kind === "dict") this.#receiver.dictionary(gateway, payload);
  }

  /** The connection or the attempt is over; the next one follows after a jittered pause. */
  #ended(): void {
    this.#receiver.stop();
    const { broker, retryFirstMs = 1000, retryMaxMs = 60_000 } = this.#options;
    const connectedMs = this.#connectedMs;
    this.#connectedMs = undefined;
    this.#client = undefined;
    if (this.#closed) return;
    const reason = this.#reason === "" ? "the connection was closed" : this.#reason;
    // A CONNECT that was given up may still have made a session: present at the next one, and without subscriptions.
    if (connectedMs === undefined) this.#subscribed = false;
    if (connectedMs !== undefined) this.#log({ kind: "lost", text: `lost ${broker}: ${reason}` });
    else if (this.#attempts === 0)
      this.#log({ kind: "lost", text: `cannot reach ${broker}: ${reason}; trying again` });
    if (connectedMs !== undefined && performance.now() - connectedMs > stableMs) this.#attempts = 0;
    const pauseMs = Math.random() * Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(16, this.#attempts));
    this.#attempts++;
    this.#retryTimer = setTimeout(() => this.#connect(), pauseMs);
  }
}

function hostState(online: boolean): string {
  return JSON.stringify({ online, ts: Date.now() });
}

/** Nagle costs 88 ms for every round trip of small messages. */
function setNoDelay(client: MqttClient): void {
  (client.stream as { setNoDelay?: (on: boolean) => void } | undefined)?.setNoDelay?.(true);
}
