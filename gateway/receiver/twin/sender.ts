import { randomBytes } from "node:crypto";
import type { MqttClient } from "mqtt";
import { mqttLink, type Link, type MakeLink } from "../../mqtt/link.ts";
import { isMistake, isSameVersion, parseTwin, type TwinDocument } from "../../twin/document.ts";
import { type Have, isSettled, parseHave } from "../../twin/have.ts";
import type { CommanderOptions } from "../commands/commander.ts";

export interface FollowTwinOptions {
  /** Each report about the document as it comes. */
  heard?: (have: Have) => void;
  /** How long its end is waited for; 2 min. */
  waitMs?: number;
  /** Ends the waiting; the document stays at the broker. */
  signal?: AbortSignal;
}

/** What became of a document as far as was heard. unanswered: nothing came; the broker keeps the document. */
export interface FollowedTwin {
  state: Have["state"] | "unanswered";
  last: Have | undefined;
}

/** What stands at the broker for a gateway. */
export interface TwinAtBroker {
  want: TwinDocument | undefined;
  have: Have | undefined;
}

const waitMsDefault = 120_000;
/** What is retained comes with the subscription. */
const retainedMs = 1500;
const keepaliveMs = 20_000;
const retryFirstMs = 250;
const retryMaxMs = 5000;

/** Publishes what is wanted of gateways and follows what they have of it, over one connection that comes back. */
export class TwinSender {
  readonly #options: CommanderOptions;
  readonly #link: Link;
  readonly #followed = new Map<
    string,
    { document?: TwinDocument; take: (topic: string, payload: Buffer) => void }
  >();
  #said: string | undefined;
  #isClosed = false;

  constructor(options: CommanderOptions) {
    this.#options = options;
    const { broker, protocol = 5, username, password, tls, city } = options;
    const makeLink: MakeLink = options.makeLink ?? mqttLink;
    this.#link = makeLink(
      {
        url: broker,
        protocol,
        clientId: `kerb-twin-${city}-${randomBytes(6).toString("hex")}`,
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
          for (const gateway of this.#followed.keys()) this.#begin(client, gateway);
        },
        message: (topic, payload) => this.#heard(topic, payload),
        ended: ({ reason }) => {
          if (!this.#isClosed) this.#say(`no connection to ${broker}: ${reason}; trying again`);
        },
      },
    );
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    this.#link.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#link.client?.endAsync().catch(() => {});
    this.#link.stop();
  }

  /** Publishes a document, retained, and follows it until it is applied, rejected or taken back. One at a time. */
  async send(document: TwinDocument, options: FollowTwinOptions = {}): Promise<FollowedTwin> {
    const { heard, waitMs = waitMsDefault, signal } = options;
    let last: Have | undefined;
    await this.#follow(document.gw, waitMs, signal, document, (topic, payload, end) => {
      const have = topic.endsWith("/have") ? parseHave(document.gw, payload) : undefined;
      if (have === undefined || !isSameVersion(have, document) || have.state === last?.state) return;
      last = have;
      heard?.(have);
      if (isSettled(have)) end();
    });
    return { state: last?.state ?? "unanswered", last };
  }

  /** What stands at the broker for a gateway, wanted and reported; waits for a moment. */
  async look(gateway: string, waitMs = retainedMs, signal?: AbortSignal): Promise<TwinAtBroker> {
    const found: TwinAtBroker = { want: undefined, have: undefined };
    await this.#follow(gateway, waitMs, signal, undefined, (topic, payload, end) => {
      if (topic.endsWith("/have")) found.have = parseHave(gateway, payload);
      else {
        const want = parseTwin(payload);
        found.want = isMistake(want) ? undefined : want;
      }
      if (found.want !== undefined && found.have !== undefined) end();
    });
    return found;
  }

  async #follow(
    gateway: string,
    waitMs: number,
    signal: AbortSignal | undefined,
    document: TwinDocument | undefined,
    take: (topic: string, payload: Buffer, end: () => void) => void,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    signal?.addEventListener("abort", () => resolve());
    if (signal?.aborted === true) resolve();
    const followed = { take: (topic: string, payload: Buffer) => take(topic, payload, resolve) };
    this.#followed.set(gateway, document === undefined ? followed : { ...followed, document });
    const { client } = this.#link;
    if (client !== undefined) this.#begin(client, gateway);
    await promise;
    clearTimeout(timer);
    this.#followed.delete(gateway);
  }

  #begin(client: MqttClient, gateway: string): void {
    const { document } = this.#followed.get(gateway) ?? {};
    const { city, protocol = 5 } = this.#options;
    const topics = [
      `${city}/twin/v1/${gateway}/have`,
      ...(document === undefined ? [`${city}/twin/v1/${gateway}/want`] : []),
    ];
    const properties = { contentType: "application/json" };
    client.subscribe(topics, { qos: 1 }, (error, granted) => {
      const isDenied = granted?.some(({ qos }) => qos >= 128) === true;
      if (error || isDenied) this.#say(`the broker denies the subscription to ${topics.join(", ")}`);
      if (document === undefined || client !== this.#link.client) return;
      const options = { qos: 1 as const, retain: true, ...(protocol === 5 ? { properties } : {}) };
      client.publish(`${city}/twin/v1/${gateway}/want`, JSON.stringify(document), options, (refused) => {
        if (refused && typeof (refused as { code?: unknown }).code === "number")
          this.#say(`the broker refused what is wanted of ${gateway}: ${refused.message}`);
      });
    });
  }

  #heard(topic: string, payload: Buffer): void {
    const [, kind, , gateway = ""] = topic.split("/");
    if (kind === "twin") this.#followed.get(gateway)?.take(topic, payload);
  }

  #say(text: string): void {
    if (text === this.#said) return;
    this.#said = text;
    this.#options.log?.(text);
  }
}
