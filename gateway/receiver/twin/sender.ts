import type { MqttClient } from "mqtt";
import { isMistake, isSameVersion, parseTwin, type TwinDocument } from "../../twin/document.ts";
import { type Have, isSettled, parseHave } from "../../twin/have.ts";
import { IssuerLink, type IssuerLinkOptions } from "../issuer-link.ts";

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

/** Publishes what is wanted of gateways and follows what they have of it, over one connection that comes back. */
export class TwinSender {
  readonly #city: string;
  readonly #link: IssuerLink;
  readonly #followed = new Map<
    string,
    { document?: TwinDocument; take: (topic: string, payload: Buffer) => void }
  >();

  constructor(options: IssuerLinkOptions) {
    this.#city = options.city;
    this.#link = new IssuerLink(options, "twin", {
      opened: (client) => {
        for (const gateway of this.#followed.keys()) void this.#begin(client, gateway);
      },
      message: (topic, payload) => this.#heard(topic, payload),
    });
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    this.#link.open();
  }

  async close(): Promise<void> {
    await this.#link.close();
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
    const end = () => resolve();
    const timer = setTimeout(end, waitMs);
    signal?.addEventListener("abort", end);
    if (signal?.aborted === true) end();
    const followed = { take: (topic: string, payload: Buffer) => take(topic, payload, resolve) };
    this.#followed.set(gateway, document === undefined ? followed : { ...followed, document });
    const { client } = this.#link;
    if (client !== undefined) void this.#begin(client, gateway);
    await promise;
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    this.#followed.delete(gateway);
  }

  async #begin(client: MqttClient, gateway: string): Promise<void> {
    const { document } = this.#followed.get(gateway) ?? {};
    const [want, have] = [`${this.#city}/twin/v1/${gateway}/want`, `${this.#city}/twin/v1/${gateway}/have`];
    const topics = document === undefined ? [have, want] : [have];
    // A document is of use also where its reports are not heard.
    await this.#link.subscribe(client, topics, topics.join(", ")).catch(() => {});
    if (document === undefined || client !== this.#link.client) return;
    this.#link.publish(client, want, document, { retain: true }, `what is wanted of ${gateway}`);
  }

  #heard(topic: string, payload: Buffer): void {
    const [, kind, , gateway = ""] = topic.split("/");
    if (kind === "twin") this.#followed.get(gateway)?.take(topic, payload);
  }
}
