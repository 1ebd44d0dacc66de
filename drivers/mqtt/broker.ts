import { AsyncResource } from "node:async_hooks";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { MqttClient, type IClientOptions, type IConnackPacket, type IPublishPacket } from "mqtt";
import mqttPacket from "mqtt-packet";
import { DeviceError } from "../../gateway/driver.ts";
import { Absent, awayMsMax, type Granting, type Listening } from "./absent.ts";
import { Custody, type Held } from "./custody.ts";
import { forgetRefusal, meaningOf, remember, throwIfRefused, unreachable, onItsWay } from "./errors.ts";
import { clientIdOf, identifierOf, keyOf, placeOf, portOf, sessionKeyOf } from "./names.ts";
import { shortTopic } from "./payload.ts";
import { secured } from "./reach.ts";
import { Resuming } from "./resuming.ts";
import { KeptSession } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { overlap, TopicTree } from "./topics.ts";
import { trimmed, Trimmer } from "./trim.ts";

// mqtt-packet keeps a Buffer for each of the 65,536 packet identifiers: 11 MB to save an allocation of two bytes.
(mqttPacket.writeToStream as { cacheNumbers?: boolean }).cacheNumbers = false;

/** Larger packets are cut out of the stream: a list of all Zigbee devices fits in, a film does not. */
const packetBytesMax = 4 * 1024 * 1024;
/** How long a broker may take our DISCONNECT. */
const farewellMs = 200;
/** How long what has been told may take to be on disk, when the last one leaves. */
const finishMs = 600;
/** PUBACK of MQTT 5: the message went to nobody. */
const noSubscribers = 0x10;
/** MQTT 5: messages that the broker may send before the first is acknowledged. */
const receiveMax = 500;
/** Of MQTT 3.1.1 each broker has its own number, and that of mosquitto is 20. */
const pressingFrom = { "3.1.1": 8, 5: receiveMax / 2 };

export interface Message {
  readonly topic: string;
  readonly payload: Buffer;
  /** The broker had kept it: nobody knows how old it is. */
  readonly retained: boolean;
  /** It may have come while we were away. */
  readonly queued?: boolean;
}
export type Listener = (message: Message) => void;

interface ListenOptions {
  readonly qos: 0 | 1;
  readonly signal: AbortSignal;
  /** Knows when what was told is kept: QoS 1 messages are not acknowledged before. */
  readonly held?: Held | undefined;
  /** The device: what comes while it is opened anew waits for it. */
  readonly owner?: string;
}

const brokers = new Map<string, Broker>();

/**
 * One connection to a broker, shared by all devices of this process that enter it with the same credentials. Its
 * session outlives it where there is a folder to remember it by; without one it is clean.
 */
export class Broker {
  readonly place: string;
  readonly #key: string;
  readonly #settings: Settings;
  /** 1, and more for clients that have the filters which overlap those of another. */
  readonly #nth: number;
  readonly #opened = Promise.withResolvers<void>();
  readonly #tree = new TopicTree<Listening>();
  readonly #lost = new Set<(error: DeviceError) => void>();
  readonly #filters = new Map<string, { id: number; users: number; timer?: NodeJS.Timeout }>();
  /** The broker keeps it while we are away; what it has sent is acknowledged when it is on disk. */
  readonly #kept: KeptSession | undefined;
  readonly #folder: string | undefined;
  #custody: Custody | undefined;
  #absent: Absent | undefined;
  #resuming: Resuming | undefined;
  /** Settled when the other clients that were left are closed. */
  #besides = Promise.resolve();
  #users = 0;
  #isFinishing = false;
  /** MQTT 5: each message names the filters for which it comes. */
  #namesFilters = false;
  #acknowledged: number | undefined;
  #isOpen = false;
  /** By `performance.now()`: a link may be dead for long before anybody notices. */
  #heardMs = 0;
  #end: DeviceError | undefined;
  #socket: Socket | undefined;
  #client: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(key: string, settings: Settings, nth: number, folder: string | undefined) {
    this.#key = key;
    this.#folder = folder;
    if (folder !== undefined && settings.sessionExpiry > 0)
      this.#kept = KeptSession.of(folder, sessionKeyOf(settings, nth));
    this.place = placeOf(settings);
    this.#settings = settings;
    this.#nth = nth;
    this.#opened.promise.catch(() => {});
  }

  /**
   * The broker that the settings name, connected. Each join needs one `leave`. Rejects with `refused`,
   * `unreachable`, `silent`, `hung-up`, `denied`, `busy`, `garbage`, `unsupported` or `aborted`. `folder`: where to
   * remember a session that the broker keeps.
   */
  static join(settings: Settings, signal: AbortSignal, folder?: string): Promise<Broker> {
    return Broker.#join(settings, signal, 1, folder);
  }

  static async #join(
    settings: Settings,
    signal: AbortSignal,
    nth: number,
    folder: string | undefined,
  ): Promise<Broker> {
    if (signal.aborted) throw new DeviceError("aborted", `${placeOf(settings)}: given up by the caller`);
    const key = keyOf(settings, nth);
    const known = brokers.get(key);
    if (known === undefined) throwIfRefused(key);
    const broker = known ?? new Broker(key, settings, nth, folder);
    broker.#users++;
    if (known === undefined) {
      brokers.set(key, broker);
      broker.#open();
    }
    try {
      await broker.#within(broker.#opened.promise, signal);
      return broker;
    } catch (error) {
      await broker.leave();
      throw error;
    }
  }

  /** The last one closes the connection, when what it has brought is acknowledged. Settles within 800 ms. */
  async leave(): Promise<void> {
    await Promise.all([this.#leave(), this.#besides]);
  }

  async #leave(): Promise<void> {
    if (--this.#users > 0 || this.#end !== undefined || this.#isFinishing) return;
    this.#isFinishing = true;
    if (this.#absent !== undefined) this.#absent.isClosing = true;
    if (this.#custody?.isIdle === false) await this.#custody.finish(finishMs);
    this.#isFinishing = false;
    if (this.#absent !== undefined) this.#absent.isClosing = this.#users === 0;
    if (this.#users > 0 || this.#end !== undefined) return;
    const client = this.#isOpen ? this.#client : undefined;
    this.#forget(new DeviceError("closed", `${this.place}: the connection is closed`));
    if (client !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, farewellMs);
      client.end(false, () => resolve());
      await promise;
      clearTimeout(timer);
    }
    this.#drop();
  }

  /** Calls `tell` when the connection is lost, at once if it is already; gives back how to stop that. */
  onLost(tell: (error: DeviceError) => void): () => void {
    const bound = AsyncResource.bind(tell);
    if (this.#end !== undefined) bound(this.#end);
    else this.#lost.add(bound);
    return () => this.#lost.delete(bound);
  }

  /**
   * Hands on the messages under a filter. Once the broker has agreed it sends what it has retained, to all who
   * listen to that filter.
   */
  listen(filter: string, listener: Listener, options: ListenOptions): Granting {
    const others = this.#namesFilters ? [] : [...this.#filters.keys(), ...(this.#kept?.filters ?? [])];
    if (others.some((other) => other !== filter && overlap(other, filter)))
      return this.#listenBeside(filter, listener, options);
    const known = this.#filters.get(filter) ?? { id: identifierOf(filter), users: 0 };
    known.users++;
    clearTimeout(known.timer);
    this.#filters.set(filter, known);
    // What the device's code does here counts as the device's, whoever opened the socket.
    const { held, owner } = options;
    const bound = { filter, id: known.id, tell: AsyncResource.bind(listener), held, owner };
    this.#tree.add(filter, bound);
    this.#absent?.back(bound);
    // What is asked for with QoS 0 is not kept either.
    const kept = options.qos === 0 ? undefined : this.#kept;
    kept?.add(filter);
    this.#resuming?.listening();
    let isStopped = false;
    const stop = (): void => {
      if (isStopped) return;
      isStopped = true;
      this.#tree.delete(filter, bound);
      this.#absent?.left(bound);
      if (--known.users > 0) return;
      // A kept session has to keep its filters where kerb itself is about to end.
      if (kept === undefined) this.#unsubscribe(filter);
      else known.timer = setTimeout(() => this.#unsubscribe(filter), awayMsMax).unref();
    };
    return { granted: this.#subscribe(filter, known.id, options), stop };
  }

  #unsubscribe(filter: string): void {
    const users = this.#filters.get(filter)?.users ?? 0;
    if (users > 0 || this.#end !== undefined) return;
    this.#filters.delete(filter);
    this.#kept?.drop(filter);
    if (this.#isOpen) this.#client?.unsubscribe(filter, () => {});
  }

  /**
   * With MQTT 3.1.1 a message that fits two filters of a client may come once or twice, and nobody can tell that
   * from two equal messages: a filter that overlaps others gets another client.
   */
  #listenBeside(filter: string, listener: Listener, options: ListenOptions): Granting {
    const bound = AsyncResource.bind(listener);
    const leaving = new AbortController();
    const listen = async (): Promise<void> => {
      const broker = await Broker.#join(this.#settings, leaving.signal, this.#nth + 1, this.#folder);
      const forget = broker.onLost((error) => this.#over(error));
      const listening = leaving.signal.aborted ? undefined : broker.listen(filter, bound, options);
      const leave = (): void => {
        forget();
        listening?.stop();
        const before = this.#besides;
        this.#besides = broker.leave().then(() => before);
      };
      leaving.signal.addEventListener("abort", leave);
      if (leaving.signal.aborted) leave();
      await listening?.granted;
    };
    return { granted: this.#within(listen(), options.signal), stop: () => leaving.abort() };
  }

  async #subscribe(
    filter: string,
    subscriptionIdentifier: number,
    { qos, signal }: { qos: 0 | 1; signal: AbortSignal },
  ): Promise<void> {
    const client = this.#connected();
    const answer = Promise.withResolvers<void>();
    const properties = this.#namesFilters ? { properties: { subscriptionIdentifier } } : {};
    client.subscribe(filter, { qos, ...properties }, (error, _, suback) => {
      const [code = 0] = suback?.granted.map(Number) ?? [];
      if (error === null || error === undefined) answer.resolve();
      else if (code < 0x80) answer.reject(this.#hungUp(error));
      else {
        const text = `${this.place}: the broker does not let us listen to ${filter} (0x${code.toString(16)})`;
        answer.reject(new DeviceError("denied", text, { cause: error }));
      }
    });
    await this.#answered(answer.promise, signal, `SUBSCRIBE ${filter}`);
  }

  /** Publishes with QoS 1; resolves at the PUBACK. `rejected`: its reason code says no, or that nobody listens. */
  async publish(topic: string, payload: string | Buffer, signal: AbortSignal): Promise<void> {
    const client = this.#connected();
    const answer = Promise.withResolvers<void>();
    client.publish(topic, payload, { qos: 1 }, (error) => {
      const code = (error as { code?: unknown } | undefined)?.code;
      const isSent = error === null || error === undefined;
      if (isSent && this.#acknowledged === noSubscribers)
        answer.reject(new DeviceError("rejected", `${this.place}: nobody listens to ${topic} (0x10)`));
      else if (isSent) answer.resolve();
      else if (typeof code === "number" && code >= 0x80) {
        const text = `${this.place}: the broker refuses ${topic} (0x${code.toString(16)})`;
        answer.reject(new DeviceError("rejected", text, { cause: error }));
      } else answer.reject(this.#hungUp(error));
    });
    await this.#answered(answer.promise, signal, `PUBLISH ${topic}`).catch((error: unknown) => {
      throw error === this.#end ? onItsWay(error) : error;
    });
  }

  /** Publishes with QoS 0 and without waiting; nothing is sent where the connection is over. */
  send(topic: string, payload: Buffer): void {
    if (this.#isOpen) this.#client?.publish(topic, payload, { qos: 0 }, () => {});
  }

  #hungUp(error: Error): DeviceError {
    return this.#end ?? new DeviceError("hung-up", `${this.place}: ${error.message}`, { cause: error });
  }

  #connected(): MqttClient {
    if (this.#end !== undefined) throw this.#end;
    return this.#client!;
  }

  /** Waits for the broker's answer; one that does not answer is silent for all its devices. */
  async #answered(answer: Promise<void>, signal: AbortSignal, what: string): Promise<void> {
    const { timeout } = this.#settings;
    const timer = setTimeout(
      () => this.#over(new DeviceError("silent", `${this.place}: no answer to ${what} within ${timeout} ms`)),
      timeout,
    );
    try {
      await this.#within(answer, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until `work` settles, the signal aborts or the connection is over. */
  async #within<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
    const gone = Promise.withResolvers<never>();
    const giveUp = () => gone.reject(new DeviceError("aborted", `${this.place}: given up by the caller`));
    const forget = this.onLost(gone.reject);
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
    work.catch(() => {});
    try {
      return await Promise.race([work, gone.promise]);
    } finally {
      signal.removeEventListener("abort", giveUp);
      forget();
    }
  }

  #open(): void {
    const { host, timeout } = this.#settings;
    this.#timer = setTimeout(
      () =>
        this.#over(
          new DeviceError("silent", `${this.place}: the broker did not let us in within ${timeout} ms`),
        ),
      timeout,
    );
    const socket = connect({ host, port: portOf(this.#settings), noDelay: true });
    this.#socket = socket;
    const failed = (error: Error): void => this.#over(unreachable(this.place, error));
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed).on("error", () => {});
      try {
        this.#session(socket);
      } catch (error) {
        // A certificate file that is missing or no certificate.
        this.#over(new DeviceError("denied", `${this.place}: ${(error as Error).message}`, { cause: error }));
      }
    });
  }

  #session(socket: Socket): void {
    const trimmer = new Trimmer(packetBytesMax, this.#settings.protocol === 5);
    const stream = trimmed(secured(socket, this.#settings), trimmer);
    const client = new MqttClient(() => stream, this.#options());
    this.#client = client;
    client.on("error", (error) => this.#over(meaningOf(this.place, error, this.#isOpen)));
    client.on("disconnect", ({ reasonCode = 0 }) => {
      const code = reasonCode === 0x8e ? "busy" : "hung-up";
      const more = reasonCode === 0x8e ? ", another client uses our id" : "";
      const text = `${this.place}: the broker ended the session (0x${reasonCode.toString(16)}${more})`;
      this.#over(new DeviceError(code, text));
    });
    client.on("close", () => {
      const when = this.#isOpen ? "" : " before it let us in; is it the right port, and does it want tls?";
      this.#over(new DeviceError("hung-up", `${this.place}: the broker closed the connection${when}`));
    });
    client.on("connect", () => {
      clearTimeout(this.#timer);
      this.#isOpen = true;
      forgetRefusal(this.#key);
      this.#opened.resolve();
    });
    // The library's own callback does not say that nobody listens.
    client.on("packetreceive", (packet) => {
      this.#heardMs = performance.now();
      if (packet.cmd === "puback") this.#acknowledged = packet.reasonCode;
      // Messages may come before the library has told that it is connected.
      if (packet.cmd === "connack" && (packet.reasonCode ?? packet.returnCode ?? 0) === 0)
        this.#entered(stream, packet);
    });
    // An error here is no error to the library: it only leaves the PUBACK to us.
    client.handleMessage = (packet, done) =>
      done(this.#custody !== undefined && packet.qos === 1 ? new Error("not yet") : undefined);
    client.on("message", (_topic, _payload, packet) => this.#receive(packet));
    client.connect();
  }

  #entered(stream: Duplex, { sessionPresent, properties }: IConnackPacket): void {
    const { protocol } = this.#settings;
    this.#namesFilters = protocol === 5 && properties?.subscriptionIdentifiersAvailable !== false;
    const kept = this.#kept;
    if (kept === undefined) return;
    if (!sessionPresent) kept.forget();
    else
      this.#resuming = new Resuming(kept.endedMs, {
        isComplete: () => [...kept.filters].every((filter) => (this.#filters.get(filter)?.users ?? 0) > 0),
        isIdle: () => this.#custody?.isIdle === true,
        release: (early) => this.#release(early),
      });
    this.#absent = new Absent(pressingFrom[protocol], (one, packet, queued) =>
      this.#tell([one], packet, queued),
    );
    this.#custody = new Custody(kept.unacknowledged, pressingFrom[protocol], {
      acknowledge: (messageId) => {
        const puback = { cmd: "puback", messageId, reasonCode: 0 } as const;
        mqttPacket.writeToStream(puback, stream, { protocolVersion: protocol === 5 ? 5 : 4 });
      },
      dropped: () => {
        const text = `${this.place}: what came could not be kept; the broker is asked to send it again`;
        this.#over(new DeviceError("hung-up", text));
      },
    });
  }

  /** Whoever wants them listens by now; what nobody wants any more is not asked for any longer. */
  #release(early: readonly { packet: IPublishPacket; queued: boolean }[]): void {
    for (const { packet, queued } of early) this.#receive(packet, queued);
    for (const filter of this.#kept?.filters ?? []) if (!this.#filters.has(filter)) this.#unsubscribe(filter);
  }

  #receive(packet: IPublishPacket, wasHeldBack = false): void {
    if (this.#end !== undefined) return;
    const custody = packet.qos === 1 ? this.#custody : undefined;
    if (custody === undefined) void this.#hand(packet, false);
    else if (this.#resuming?.takes(packet) !== true) {
      const queued = wasHeldBack || this.#resuming?.isCatchingUp === true;
      custody.take(packet, () => this.#hand(packet, queued));
    }
  }

  /** Gives back who knows when it is kept, for those who are away when they have been told. */
  #hand(packet: IPublishPacket, queued: boolean): ReturnType<Parameters<Custody["take"]>[1]> {
    const named = packet.properties?.subscriptionIdentifier;
    const ids = this.#namesFilters && named !== undefined ? [named].flat() : undefined;
    const absent = packet.qos === 1 ? this.#absent : undefined;
    const all = this.#tree.matching(packet.topic).filter(({ id }) => ids === undefined || ids.includes(id));
    const there = all.filter((one) => absent?.has(one) !== true);
    this.#tell(there, packet, queued);
    const holders = new Set(there.flatMap(({ held }) => held ?? []));
    return [...holders, ...(absent?.park(packet, ids, queued) ?? [])];
  }

  #tell(listening: readonly Listening[], packet: IPublishPacket, queued: boolean): void {
    const { topic, payload: given, retain } = packet;
    const payload = Buffer.isBuffer(given) ? given : Buffer.from(given);
    const message = { topic, payload, retained: retain, ...(queued ? { queued } : {}) };
    try {
      for (const { tell } of listening) tell(message);
    } catch (error) {
      const text = `${this.place}: ${shortTopic(topic)} cannot be taken: ${String(error)}`;
      this.#over(new DeviceError("garbage", text, { cause: error }));
    }
  }

  #options(): IClientOptions {
    const { protocol, username, password, keepalive, sessionExpiry } = this.#settings;
    const kept = this.#kept;
    const session =
      kept === undefined
        ? {}
        : { sessionExpiryInterval: Math.ceil(sessionExpiry / 1000), receiveMaximum: receiveMax };
    return {
      protocolId: "MQTT",
      protocolVersion: protocol === 5 ? 5 : 4,
      clientId: clientIdOf(this.#key, this.#settings, this.#nth, kept?.own),
      clean: kept === undefined,
      reconnectPeriod: 0,
      connectTimeout: 2 * this.#settings.timeout,
      keepalive: Math.round(keepalive / 1000),
      queueQoSZero: false,
      resubscribe: false,
      manualConnect: true,
      ...(protocol === 5 ? { properties: { maximumPacketSize: packetBytesMax, ...session } } : {}),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }

  /** The connection is of no use any more; all who share it are told. */
  #over(error: DeviceError): void {
    if (this.#end !== undefined) return;
    if (!this.#isOpen) remember(this.#key, error);
    this.#forget(error);
    this.#drop();
    for (const tell of this.#lost) tell(error);
  }

  #forget(error: DeviceError): void {
    this.#end = error;
    // An attempt that came to nothing has heard nothing, and one that was still catching up not all.
    if (this.#kept !== undefined && this.#isOpen && this.#resuming?.isCatchingUp !== true)
      this.#kept.endedMs = error.code === "closed" ? performance.now() : this.#heardMs;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#resuming?.stop();
    this.#absent?.stop();
    this.#custody?.stop();
    if (brokers.get(this.#key) === this) brokers.delete(this.#key);
    this.#opened.reject(error);
  }

  #drop(): void {
    this.#client?.end(true);
    this.#socket?.destroy();
  }
}
