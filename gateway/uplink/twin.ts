import type { MqttClient } from "mqtt";
import type { Logger } from "pino";
import { isDenied } from "../mqtt/link.ts";

export interface TwinLaneOptions {
  city: string;
  gateway: string;
  protocol: 5 | "3.1.1";
  log: Logger;
}

/** Of a longer document this much is kept, which is enough to be refused as too long. */
const payloadBytesMax = 32_769;

/**
 * The twin on one uplink: hands on what the IOC wants, unopened, and keeps what the gateway has of it published. Both
 * are retained, so the newest is all that counts, and it is published anew at each connection.
 */
export class TwinLane {
  readonly #options: TwinLaneOptions;
  #take: ((payload: Uint8Array) => void) | undefined;
  /** The site file lets somebody configure: then a broker that denies it is worth a word. */
  #isOpen = false;
  #client: MqttClient | undefined;
  #have: string | undefined;
  #isOnTheWay = false;
  /** `#have` is not what was sent last. */
  #isDue = false;

  constructor(options: TwinLaneOptions) {
    this.#options = options;
  }

  /** From now on documents are asked for and handed to `take`. */
  listen(take: (payload: Uint8Array) => void, isOpen: boolean): void {
    this.#take = take;
    this.#isOpen = isOpen;
    if (this.#client !== undefined) this.#subscribe(this.#client);
  }

  get isQuiet(): boolean {
    return !this.#isOnTheWay;
  }

  /** What others may use of a broker's window: one message is on its way at most. */
  windowLeft(receiveMaximum: number): number {
    return this.#take === undefined ? receiveMaximum : Math.max(1, receiveMaximum - 1);
  }

  /** The report that is to stand at the broker. */
  tell(have: string): void {
    this.#have = have;
    this.#isDue = true;
    this.#send();
  }

  /** The broker has taken the birth. */
  opened(client: MqttClient): void {
    this.#client = client;
    this.#isDue = this.#have !== undefined;
    this.#send();
    if (this.#take !== undefined) this.#subscribe(client);
  }

  closed(): void {
    this.#client = undefined;
    this.#isOnTheWay = false;
  }

  /** True: the message was meant for the twin. */
  received(topic: string, payload: Buffer): boolean {
    if (topic !== this.#topic("want")) return false;
    // A copy: what waits must not hold on to all of what came.
    this.#take?.(Uint8Array.from(payload.subarray(0, payloadBytesMax)));
    return true;
  }

  #topic(kind: "want" | "have"): string {
    return `${this.#options.city}/twin/v1/${this.#options.gateway}/${kind}`;
  }

  #subscribe(client: MqttClient): void {
    client.subscribe(this.#topic("want"), { qos: 1 }, (error) => {
      if (client !== this.#client || !error || !isDenied(error) || !this.#isOpen) return;
      const text = `the broker refused our subscription to ${this.#topic("want")}: ${error.message}; nothing is configured from afar by this uplink`;
      this.#options.log.warn({ code: "KERB-UP-SUBSCRIBE" }, text);
    });
  }

  #send(): void {
    const client = this.#client;
    if (client === undefined || this.#isOnTheWay || !this.#isDue || this.#have === undefined) return;
    this.#isDue = false;
    this.#isOnTheWay = true;
    const properties = { contentType: "application/json" };
    const five = this.#options.protocol === 5;
    const options = { qos: 1 as const, retain: true, ...(five ? { properties } : {}) };
    client.publish(this.#topic("have"), this.#have, options, (error) => {
      if (client !== this.#client) return;
      this.#isOnTheWay = false;
      if (error && typeof (error as { code?: unknown }).code === "number")
        this.#options.log.warn(
          { code: "KERB-UP-REFUSED" },
          `the broker refused ${this.#topic("have")}: ${error.message}`,
        );
      this.#send();
    });
  }
}
