import { randomBytes } from "node:crypto";
import type { IClientPublishOptions, MqttClient } from "mqtt";
import {
  isDenied,
  mqttLink,
  type Link,
  type LinkEvents,
  type LinkOptions,
  type MakeLink,
} from "../mqtt/link.ts";

/** How an IOC that orders and configures reaches its broker. */
export interface IssuerLinkOptions {
  /** mqtt://host:1883 or mqtts://host:8883. */
  broker: string;
  city: string;
  protocol?: 5 | "3.1.1";
  username?: string | undefined;
  password?: string | undefined;
  tls?: LinkOptions["tls"];
  /** What is said of the connection, one sentence each. */
  log?: (text: string) => void;
  makeLink?: MakeLink;
}

const contentType = "application/json";
const keepaliveMs = 20_000;
const retryFirstMs = 250;
const retryMaxMs = 5000;
const farewellMs = 1000;

/** The broker will not let us listen, however often it is asked. */
export class DeniedError extends Error {}

/** The connection by which an IOC orders and configures: it comes back by itself, and says each thing once. */
export class IssuerLink {
  readonly #options: IssuerLinkOptions;
  readonly #link: Link;
  #said: string | undefined;
  #isClosed = false;

  /** `purpose`: part of the client's id. */
  constructor(
    options: IssuerLinkOptions,
    purpose: "command" | "twin",
    { opened, message }: Pick<LinkEvents, "message"> & { opened: (client: MqttClient) => void },
  ) {
    this.#options = options;
    const { broker, protocol = 5, username, password, tls, city } = options;
    this.#link = (options.makeLink ?? mqttLink)(
      {
        url: broker,
        protocol,
        clientId: `kerb-${purpose}-${city}-${randomBytes(6).toString("hex")}`,
        keepaliveMs,
        username,
        password,
        tls,
        retryFirstMs,
        retryMaxMs,
        spreadMs: () => 0,
      },
      {
        prepare: () => ({ clean: true }),
        opened: (client) => {
          this.#said = undefined;
          opened(client);
        },
        message,
        ended: ({ reason }) => {
          if (!this.#isClosed) this.say(`no connection to ${broker}: ${reason}; trying again`);
        },
      },
    );
  }

  /** The client while its session is established. */
  get client(): MqttClient | undefined {
    return this.#link.client;
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    this.#link.start();
  }

  /** Disconnects; settles within about a second. */
  async close(): Promise<void> {
    this.#isClosed = true;
    // It waits for what the broker has not acknowledged, for ever where the link is half open.
    const farewell = this.#link.client?.endAsync().catch(() => {});
    await Promise.race([farewell, new Promise((resolve) => setTimeout(resolve, farewellMs).unref())]);
    this.#link.stop();
  }

  say(text: string): void {
    if (text === this.#said) return;
    this.#said = text;
    this.#options.log?.(text);
  }

  /** Rejects with `DeniedError`, which is said, or with what ended the connection. `what`: is listened to. */
  async subscribe(client: MqttClient, topics: string[], what: string): Promise<void> {
    try {
      await client.subscribeAsync(topics, { qos: 1 });
    } catch (error) {
      if (!isDenied(error as Error)) throw error;
      const denied = new DeniedError(`the broker denies the subscription to ${what}`, { cause: error });
      this.say(denied.message);
      throw denied;
    }
  }

  /** `properties`: of MQTT 5. `what`: is said to be refused where the broker's answer is no. */
  publish(
    client: MqttClient,
    topic: string,
    document: unknown,
    { properties, ...more }: Pick<IClientPublishOptions, "retain" | "properties">,
    what: string,
  ): void {
    const five = (this.#options.protocol ?? 5) === 5;
    const options = {
      qos: 1 as const,
      ...more,
      ...(five ? { properties: { contentType, ...properties } } : {}),
    };
    client.publish(topic, JSON.stringify(document), options, (error) => {
      if (error && typeof (error as { code?: unknown }).code === "number")
        this.say(`the broker refused ${what}: ${error.message}`);
    });
  }
}
