import type { IClientSubscribeOptions, IPublishPacket, MqttClient } from "mqtt";
import type { Logger } from "pino";
import { isDenied } from "../mqtt/link.ts";

/** Where the answers to a command are wanted beside the topic of all (MQTT 5), and what they carry back. */
export interface ReplyTo {
  topic?: string;
  correlation?: Uint8Array;
}

/** A command as it came, unopened. `retained`: the broker had kept it, so it may be as old as the hills. */
export interface ArrivedCommand {
  uplink: string;
  topic: string;
  payload: Uint8Array;
  reply: ReplyTo | undefined;
  retained: boolean;
}

/** A state of a command on its way. `reply`: only on the uplink by which the command came. */
export interface ToldState {
  id: string;
  /** JSON. */
  body: string;
  reply?: ReplyTo | undefined;
}

export interface CommandLaneOptions {
  uplink: string;
  city: string;
  gateway: string;
  protocol: 5 | "3.1.1";
  log: Logger;
}

interface Waiting {
  /** One publication replaces an older one of the same key while neither has been sent. */
  key: string;
  topic: string;
  body: string;
  correlation: Uint8Array | undefined;
  /** Sessions that the broker has ended while it was on its way. */
  ends: number;
}

/** States that wait for the broker; beyond it the oldest go, which the IOC also gets as events. */
export const waitingMax = 64;
/** The broker's window is shared with the events: states take this much of it at most. */
const windowShare = 4;
const topicBytesMax = 256;
const correlationBytesMax = 1024;
/** Of a larger command this much is kept, which is enough to be refused as too large. */
const payloadBytesMax = 8193;
/** Topic, properties and headers beside a state. */
const packetOverheadBytes = 1536;
/** Sessions that ended while a state was on its way; beyond it the broker is taken to mean the state. */
const endsMax = 2;
const idPattern = /^[0-9A-Z]{26}$/;
const warnEveryMs = 60_000;

/**
 * The commands of one uplink: subscribes to them, hands them on unopened, and publishes their states, at most a few
 * at a time. What cannot be sent now waits and is told after the next connection.
 */
export class CommandLane {
  readonly #options: CommandLaneOptions;
  #take: ((command: ArrivedCommand) => void) | undefined;
  #client: MqttClient | undefined;
  #window = windowShare;
  #packetBytesMax = Infinity;
  readonly #waiting: Waiting[] = [];
  readonly #onTheWay = new Set<Waiting>();
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(options: CommandLaneOptions) {
    this.#options = options;
  }

  /** From now on commands are asked for and handed to `take`. */
  listen(take: (command: ArrivedCommand) => void): void {
    this.#take = take;
    if (this.#client !== undefined) this.#subscribe(this.#client);
  }

  /** Nothing is on its way that a broker could mean by hanging up. */
  get isQuiet(): boolean {
    return this.#onTheWay.size === 0;
  }

  /** What events may use of a broker's window. */
  windowLeft(receiveMaximum: number): number {
    if (this.#take === undefined) return receiveMaximum;
    return Math.max(1, receiveMaximum - this.#shareOf(receiveMaximum));
  }

  /** A session stands, new or (`isKept`) one that the broker has kept: subscribes, and tells what has waited. */
  opened(client: MqttClient, receiveMaximum: number, packetBytesMax = Infinity, isKept = false): void {
    this.#client = client;
    this.#window = this.#shareOf(receiveMaximum);
    this.#packetBytesMax = packetBytesMax;
    if (this.#take !== undefined) this.#subscribe(client);
    // From when something could still be written.
    else if (isKept) client.unsubscribe(`${this.#prefix}+`, () => {});
    this.#sendOn();
  }

  /**
   * The session is over: what was on its way waits again, before what came later. `blamed`: it may be why; a state that
   * was there each time would be so for ever.
   */
  closed(blamed = false): void {
    this.#client = undefined;
    const kept: Waiting[] = [];
    for (const one of this.#onTheWay) {
      if (blamed) one.ends++;
      if (one.ends < endsMax) kept.push(one);
    }
    const dropped = this.#onTheWay.size - kept.length;
    if (dropped > 0)
      this.#warn(`the broker hung up over ${dropped} states of commands each time: they come as events only`);
    this.#waiting.unshift(...kept);
    this.#onTheWay.clear();
    this.#bound();
  }

  /** True: the message was meant for commands. */
  received(topic: string, payload: Buffer, { retain, properties }: IPublishPacket): boolean {
    if (!topic.startsWith(this.#prefix)) return false;
    if (this.#take === undefined) this.#warn("a command came, and nothing of this site may be written");
    const { responseTopic, correlationData } = properties ?? {};
    const wanted = responseTopic !== undefined && this.#mayReply(responseTopic) ? responseTopic : undefined;
    const fits = correlationData !== undefined && correlationData.length <= correlationBytesMax;
    const reply = {
      ...(wanted === undefined ? {} : { topic: wanted }),
      ...(fits ? { correlation: Uint8Array.from(correlationData) } : {}),
    };
    this.#take?.({
      uplink: this.#options.uplink,
      topic,
      // A copy: what waits must not hold on to all of what came.
      payload:
        payload.length <= payloadBytesMax ? payload : Uint8Array.from(payload.subarray(0, payloadBytesMax)),
      reply: Object.keys(reply).length === 0 ? undefined : reply,
      retained: retain,
    });
    return true;
  }

  /** Publishes a state on the topic of the command, and where the sender wants it. */
  tell({ id, body, reply }: ToldState): void {
    const { city, gateway } = this.#options;
    const { topic: wanted, correlation } = reply ?? {};
    const own = idPattern.test(id) ? `${city}/rsp/v1/${gateway}/${id}` : undefined;
    for (const topic of new Set([own, wanted])) {
      if (topic === undefined) continue;
      this.#replace({ key: `${topic}\n${id}`, topic, body, correlation, ends: 0 });
    }
    this.#bound();
    this.#sendOn();
  }

  get #prefix(): string {
    return `${this.#options.city}/cmd/v1/${this.#options.gateway}/`;
  }

  #shareOf(receiveMaximum: number): number {
    return Math.max(1, Math.min(windowShare, receiveMaximum >> 2));
  }

  /** Whoever may send commands must not make this gateway write anywhere at the broker. */
  #mayReply(topic: string): boolean {
    const { city, gateway } = this.#options;
    // oxlint-disable-next-line no-control-regex
    const isSound = !/[+#\u0000-\u001f\u007f]/.test(topic) && Buffer.byteLength(topic) <= topicBytesMax;
    return isSound && topic.startsWith(`${city}/rsp/v1/${gateway}/`);
  }

  #subscribe(client: MqttClient): void {
    const five = this.#options.protocol === 5;
    // As published: a command that was to be kept by the broker is seen to be one.
    const options: IClientSubscribeOptions = five ? { qos: 1, rap: true } : { qos: 1 };
    client.subscribe(`${this.#prefix}+`, options, (error) => {
      if (client !== this.#client || !error || !isDenied(error)) return;
      const text = `the broker refused our subscription to commands: ${error.message}; none will come by this uplink`;
      this.#options.log.warn({ code: "KERB-UP-SUBSCRIBE" }, text);
    });
  }

  /** A newer state of the same command takes the place of one that nobody has been told. */
  #replace(next: Waiting): void {
    const at = this.#waiting.findIndex(({ key }) => key === next.key);
    // While they are sent, each state is told: the one that waits is about to go.
    if (at >= 0 && this.#client === undefined) this.#waiting.splice(at, 1);
    this.#waiting.push(next);
  }

  #bound(): void {
    const surplus = this.#waiting.length - waitingMax;
    if (surplus <= 0) return;
    this.#waiting.splice(0, surplus);
    this.#warn(`${surplus} states of commands were not told at once, they come as events`);
  }

  #warn(text: string): void {
    if (performance.now() - this.#warnedMs < warnEveryMs) return;
    this.#warnedMs = performance.now();
    this.#options.log.warn({ code: "KERB-UP-COMMAND" }, text);
  }

  #sendOn(): void {
    const client = this.#client;
    if (client === undefined) return;
    while (this.#onTheWay.size < this.#window) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const bytes = Buffer.byteLength(next.body) + packetOverheadBytes;
      if (bytes > this.#packetBytesMax) {
        this.#warn(
          `a state of a command is too large for the broker (${bytes} bytes): it comes as an event only`,
        );
        continue;
      }
      this.#onTheWay.add(next);
      this.#publish(client, next);
    }
  }

  #publish(client: MqttClient, next: Waiting): void {
    const { topic, body, correlation } = next;
    const properties = {
      contentType: "application/json",
      ...(correlation === undefined ? {} : { correlationData: Buffer.from(correlation) }),
    };
    const options = this.#options.protocol === 5 ? { qos: 1 as const, properties } : { qos: 1 as const };
    client.publish(topic, body, options, (error) => {
      if (client !== this.#client || !this.#onTheWay.has(next)) return;
      const { code } = (error ?? {}) as { code?: unknown };
      // Without the broker's own word the connection is about to end, and `closed` keeps it.
      if (error && typeof code !== "number") return;
      this.#onTheWay.delete(next);
      if (error) this.#warn(`the broker refused a state of a command: ${error.message}`);
      this.#sendOn();
    });
  }
}
