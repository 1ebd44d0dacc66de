import { accessSync, constants } from "node:fs";
import type { IClientOptions, MqttClient } from "mqtt";
import { mqttLink, type Ended, type Link, type MakeLink } from "../mqtt/link.ts";
import type { Acknowledgement } from "./acknowledge.ts";
import type { Change } from "./change.ts";
import type { Receiver } from "./receiver.ts";

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
  /** The simulation puts its own wire in the place of MQTT's. */
  makeLink?: MakeLink;
}

const lanes = ["event", "live", "fill", "seal"] as const;
/** The broker keeps what comes while the receiver restarts, for this long. */
const sessionExpirySeconds = 3600;
const receiveMaximum = 200;
const packetBytesMax = 1024 * 1024 + 1024;
const keepaliveMs = 20_000;
const farewellMs = 1000;
/** How often the number of gateways is compared with what was published. */
const countMs = 10_000;

/**
 * The receiver's link to one broker: subscribes to what gateways send and publishes acknowledgements. Its `host`
 * topic also says how many gateways there are, over which they spread themselves after the broker was away.
 */
export class BrokerLink {
  readonly #receiver: Receiver;
  readonly #options: BrokerOptions;
  readonly #link: Link;
  readonly #log: (change: Change) => void;
  #isSubscribed = false;
  #isReady = false;
  /** Why there is no connection, as it was said last. */
  #said: string | undefined;
  #gateways = 0;
  #counter: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** Throws if a certificate file cannot be read. Connects only at `open`. */
  constructor(receiver: Receiver, options: BrokerOptions) {
    this.#receiver = receiver;
    this.#options = options;
    this.#log = options.log ?? (() => {});
    const { broker, city, name, protocol = "5", username, password, ca, cert, key } = options;
    for (const file of [ca, cert, key]) if (file !== undefined) accessSync(file, constants.R_OK);
    this.#link = (options.makeLink ?? mqttLink)(
      {
        url: broker,
        protocol: protocol === "5" ? 5 : "3.1.1",
        clientId: `kerb-receive-${city}-${name}`,
        keepaliveMs,
        username,
        password,
        tls: { ca, cert, key },
        retryFirstMs: options.retryFirstMs ?? 1000,
        retryMaxMs: options.retryMaxMs ?? 60_000,
        // Receivers are few, and gateways wait for them.
        spreadMs: () => 0,
      },
      {
        prepare: () => this.#clientOptions(),
        opened: (client, connack) => void this.#opened(client, connack.sessionPresent),
        message: (topic, payload) => this.#dispatch(topic, payload),
        ended: (ended) => this.#ended(ended),
      },
    );
  }

  /** True while subscribed. */
  get connected(): boolean {
    return this.#isReady;
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    if (this.#isClosed) return;
    this.#link.start();
    this.#counter = setInterval(() => this.#recount(), countMs);
  }

  /** Publishes `online: false` and disconnects; settles within about a second. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#counter);
    this.#receiver.stop();
    const { client } = this.#link;
    if (client?.connected === true) {
      const farewell = client
        .publishAsync(this.#hostTopic(), hostState(false), { qos: 1, retain: true })
        .then(() => client.endAsync())
        .catch(() => {});
      await Promise.race([farewell, new Promise((resolve) => setTimeout(resolve, farewellMs).unref())]);
    }
    this.#link.stop();
  }

  #hostTopic(): string {
    return `${this.#options.city}/host/v1/${this.#options.name}`;
  }

  #clientOptions(): Partial<IClientOptions> {
    return {
      will: {
        topic: this.#hostTopic(),
        payload: Buffer.from(JSON.stringify({ online: false })),
        qos: 1,
        retain: true,
      },
      ...(this.#options.protocol === "3.1.1"
        ? {}
        : {
            properties: {
              sessionExpiryInterval: sessionExpirySeconds,
              receiveMaximum,
              maximumPacketSize: packetBytesMax,
            },
          }),
    };
  }

  async #opened(client: MqttClient, sessionPresent: boolean): Promise<void> {
    const failure = await this.#subscribe(client, sessionPresent);
    if (client !== this.#link.client || this.#isClosed) return;
    if (failure !== undefined) this.#link.refuse(failure);
    else this.#established(client);
  }

  /**
   * Subscribes, unless the broker kept the session that this process subscribed in. Retained births and
   * dictionaries come with it. Gives back why it failed.
   */
  async #subscribe(client: MqttClient, sessionPresent: boolean): Promise<string | undefined> {
    if (sessionPresent && this.#isSubscribed && !this.#receiver.hasMissed) return undefined;
    this.#isSubscribed = false;
    const { city } = this.#options;
    const topics = [...lanes.map((lane) => `${city}/up/v1/+/${lane}`), ...this.#retained];
    // Not after the answer: the store may have failed anew by then.
    this.#receiver.hasMissed = false;
    try {
      await client.subscribeAsync(topics, { qos: 1 });
    } catch (error) {
      return `the broker refused the subscriptions: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#isSubscribed = true;
    // A broker that denies the answers to commands takes nothing away: they come as events, too.
    client.subscribe({ [`${city}/rsp/v1/+/+`]: { qos: 1 } }, () => {});
    client.subscribe({ [`${city}/twin/v1/+/have`]: { qos: 1 } }, () => {});
    return undefined;
  }

  #established(client: MqttClient): void {
    this.#isReady = true;
    this.#said = undefined;
    const { broker } = this.#options;
    this.#log({ kind: "connected", text: `connected to ${broker}`, broker });
    this.#sayOnline(client);
    this.#receiver.start(
      (gateway, document) => this.#publish(client, gateway, document),
      () => this.#askAgain(client),
    );
  }

  /** Topics of births and dictionaries. */
  get #retained(): string[] {
    const { city } = this.#options;
    return [`${city}/st/v1/+`, `${city}/dict/v1/+`];
  }

  /** A broker sends what is retained to whoever subscribes, also again. */
  #askAgain(client: MqttClient): void {
    const topics = Object.fromEntries(this.#retained.map((topic) => [topic, { qos: 1 as const }]));
    this.#receiver.hasMissed = false;
    client.subscribe(topics, (error) => {
      if (error !== null) this.#receiver.hasMissed = true;
    });
  }

  #sayOnline(client: MqttClient): void {
    this.#gateways = this.#receiver.gatewayCount;
    client.publish(this.#hostTopic(), hostState(true, this.#gateways), { qos: 1, retain: true });
  }

  #recount(): void {
    const { client } = this.#link;
    const now = this.#receiver.gatewayCount;
    if (client !== undefined && this.#isReady && Math.abs(now - this.#gateways) > this.#gateways / 10)
      this.#sayOnline(client);
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
    else if (kind === "rsp") this.#receiver.answer(gateway, payload);
    else if (kind === "twin") this.#receiver.answer(gateway, payload, "twin");
  }

  /** One line for each change of the state or its reason, not one for each attempt. */
  #ended({ reason, wasOpen }: Ended): void {
    if (this.#isClosed) return;
    this.#receiver.stop();
    // A CONNECT that was given up may still have made a session: present at the next one, and without subscriptions.
    if (!wasOpen) this.#isSubscribed = false;
    const { broker } = this.#options;
    const why = { kind: "lost", broker, reason } as const;
    if (this.#isReady) this.#log({ ...why, text: `lost ${broker}: ${reason}` });
    else if (reason !== this.#said)
      this.#log({ ...why, text: `cannot reach ${broker}: ${reason}; trying again` });
    this.#isReady = false;
    this.#said = reason;
  }
}

function hostState(online: boolean, gateways?: number): string {
  return JSON.stringify({ online, ts: Date.now(), ...(gateways === undefined ? {} : { gateways }) });
}
