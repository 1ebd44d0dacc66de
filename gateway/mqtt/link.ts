import { readFileSync } from "node:fs";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import mqttPacket from "mqtt-packet";
import {
  MqttClient,
  type ErrorWithSubackPacket,
  type IClientOptions,
  type IConnackPacket,
  type IPublishPacket,
} from "mqtt";
import { LinkMemory } from "./addresses.ts";
import { endpointOf } from "./endpoint.ts";
import { Reconnect, type Ending } from "./reconnect.ts";

// mqtt-packet keeps a Buffer for each of the 65,536 packet identifiers: 11 MB to save an allocation of two bytes.
(mqttPacket.writeToStream as { cacheNumbers?: boolean }).cacheNumbers = false;

/** Who connects where, and how patiently. */
export interface LinkOptions {
  /** mqtt://host:port or mqtts://host:port. */
  url: string;
  protocol: 5 | "3.1.1";
  clientId: string;
  keepaliveMs: number;
  username?: string | undefined;
  password?: string | undefined;
  /** PEM files, read at each connection, so that a new certificate needs no restart. */
  tls?:
    | {
        ca?: string | undefined;
        cert?: string | undefined;
        key?: string | undefined;
        serverName?: string | undefined;
      }
    | undefined;
  /** Pauses between attempts. */
  retryFirstMs: number;
  retryMaxMs: number;
  /** Over how long the clients of a broker that was away come back. */
  spreadMs: () => number;
  memory?: LinkMemory;
}

/** Why a connection or an attempt is over. `code`: MQTT's reason code where the broker gave one. */
export interface Ended {
  ending: Ending;
  reason: string;
  code?: number;
  /** It had been established. */
  wasOpen: boolean;
  /** The broker hung up on a session that did nothing, as it does when another client comes with our id. */
  isSuspicious: boolean;
  pauseMs: number;
}

/** What the owner of a link does when something happens to it. */
export interface LinkEvents {
  /** Options of the next connection, such as its will. */
  prepare(): Promise<Partial<IClientOptions>> | Partial<IClientOptions>;
  connecting?(): void;
  opened(client: MqttClient, connack: IConnackPacket): void;
  message(topic: string, payload: Buffer, packet: IPublishPacket): void;
  ended(ended: Ended): void;
  /**
   * Another client uses our id, so this one stands back for `pauseMs`; 0: a first suspicion. `isGuess`: the broker
   * has not said so, it has hung up on us again and again.
   */
  contested?(pauseMs: number, isGuess: boolean): void;
  /** Nothing of ours was on the way that could be why the broker hangs up. Absent where nothing ever could be. */
  isQuiet?(): boolean;
}

/** What the owner of a link may do with it. */
export type Link = Pick<MqttLink, "client" | "bytes" | "start" | "stop" | "fail" | "refuse" | "confirm">;
export type MakeLink = (options: LinkOptions, events: LinkEvents) => Link;

/** What a link is made of; the simulation has a wire of its own. */
export interface Wiring {
  socket: typeof connect;
  client(stream: () => Socket | TLSSocket, options: IClientOptions): MqttClient;
}
const realWiring: Wiring = {
  socket: connect,
  client: (stream, options) => new MqttClient(stream, options),
};
export const mqttLink: MakeLink = (options, events) => new MqttLink(options, events);

/** TCP alone answers fast or not at all; one handshake retransmission fits in, the next attempt is the third. */
const reachTimeoutMs = 4000;
/** TLS and CONNACK, over a link that may be slow. */
const sessionTimeoutMs = 20_000;
const awayCodes: ReadonlySet<number> = new Set([0x88, 0x89, 0x8b, 0x9c, 0x9d, 0x9f]);

/**
 * A connection to one broker that comes back by itself. mqtt.js is trusted with one connection and one window of
 * messages, never with a backlog or the reconnect: it re-sends a store one message per round trip, forgets
 * callbacks over a reconnect, and gives up for ever after one CONNACK error. So each connection is a new client.
 */
export class MqttLink {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #memory: LinkMemory;
  readonly #wiring: Wiring;
  readonly #reconnect: Reconnect;
  readonly #host: string;
  readonly #port: number;
  readonly #isSecure: boolean;
  #client: MqttClient | undefined;
  #socket: Socket | undefined;
  #tlsSession: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;
  /** Grows with each attempt; what an earlier one still has to say is not heard. */
  #attempt = 0;
  #isStopped = false;
  #bytes = { written: 0, read: 0 };

  constructor(options: LinkOptions, events: LinkEvents, wiring = realWiring) {
    this.#options = options;
    this.#events = events;
    this.#wiring = wiring;
    this.#memory = options.memory ?? new LinkMemory();
    const { retryFirstMs: firstMs, retryMaxMs: maxMs, spreadMs } = options;
    this.#reconnect = new Reconnect({ firstMs, maxMs, spreadMs });
    ({ host: this.#host, port: this.#port, isSecure: this.#isSecure } = endpointOf(options));
  }

  /** The client while its session is established. */
  get client(): MqttClient | undefined {
    return this.#isOpen ? this.#client : undefined;
  }

  /** Bytes on the wire over this and earlier connections. */
  get bytes(): { written: number; read: number } {
    const { bytesWritten = 0, bytesRead = 0 } = this.#socket ?? {};
    return { written: this.#bytes.written + bytesWritten, read: this.#bytes.read + bytesRead };
  }

  /** Begins to connect, and goes on until `stop`. */
  start(): void {
    if (!this.#isStopped) this.#begin();
  }

  /** Ends at once and for good. */
  stop(): void {
    this.#isStopped = true;
    this.#drop();
  }

  /** The owner has found out that the connection is dead. */
  fail(reason: string): void {
    this.#over("silent", reason);
  }

  /** The owner has seen that another client uses our id: what was a guess is none. */
  confirm(): void {
    this.#reconnect.confirm();
  }

  /** The owner cannot use what the broker grants. */
  refuse(reason: string): void {
    this.#over("refused", reason);
  }

  /** `isTurn`: our moment among all who were cut off has come. */
  #begin(isTurn = false): void {
    const attempt = ++this.#attempt;
    this.#events.connecting?.();
    const socket = this.#wiring.socket({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      lookup: this.#memory.lookup,
    });
    this.#socket = socket;
    this.#timer = setTimeout(
      () => this.#over("silent", `${this.#host} does not answer within ${reachTimeoutMs / 1000} s`),
      reachTimeoutMs,
    );
    const failed = (error: Error): void => {
      if (attempt === this.#attempt) this.#over(isRefusal(error) ? "away" : "silent", sentence(error));
    };
    socket.on("error", failed);
    socket.once("connect", () => {
      if (attempt !== this.#attempt) return;
      clearTimeout(this.#timer);
      const { pauseMs, owedMs, contested, isGuess } = isTurn
        ? { pauseMs: 0, owedMs: 0, contested: false, isGuess: true }
        : this.#reconnect.reached(performance.now());
      if (contested) this.#events.contested?.(pauseMs, isGuess);
      const waitMs = Math.max(pauseMs, owedMs);
      if (waitMs > 0) {
        // Waiting on an open connection would cost the broker one for each of us.
        socket.destroy();
        this.#timer = setTimeout(() => this.#begin(true), waitMs);
        return;
      }
      socket.off("error", failed).on("error", () => {});
      this.#session(attempt, socket).catch(failed);
    });
  }

  async #session(attempt: number, socket: Socket): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#over("silent", `the broker did not answer the CONNECT within ${sessionTimeoutMs / 1000} s`),
      sessionTimeoutMs,
    );
    const own = await this.#events.prepare();
    if (attempt !== this.#attempt) return;
    if (socket.destroyed) return this.#over("away", "the connection was closed");
    const options = { ...this.#clientOptions(), ...own };
    const client = this.#wiring.client(() => this.#stream(socket), options);
    this.#client = client;
    client.connect();
    this.#watch(client);
  }

  #watch(client: MqttClient): void {
    const current = (): boolean => client === this.#client;
    client.on("error", (error: Error & { code?: unknown }) => {
      if (current()) this.#over(...this.#meaning(error));
    });
    client.on("disconnect", ({ reasonCode = 0 }) => {
      const reason = `the broker ended the session: 0x${reasonCode.toString(16)}`;
      if (!current()) return;
      if (reasonCode === 0x8e)
        this.#over("taken-over", `${reason}, another client uses this gateway's id`, reasonCode);
      else if (reasonCode === 0x8d) this.#over("silent", reason, reasonCode);
      else this.#over(awayCodes.has(reasonCode) ? "away" : "closed", reason, reasonCode);
    });
    client.on("close", () => {
      // A broker that hangs up before it answers is not there yet.
      if (!current()) return;
      if (this.#isOpen) this.#over("closed", "the connection was closed");
      else this.#over("away", hungUpEarly);
    });
    client.on("connect", (connack) => {
      if (!current()) return;
      clearTimeout(this.#timer);
      this.#isOpen = true;
      this.#reconnect.opened(performance.now());
      this.#memory.good(this.#host, this.#socket?.remoteAddress ?? "");
      this.#events.opened(client, connack);
    });
    client.on("message", (topic, payload, packet) => {
      if (current()) this.#events.message(topic, payload, packet);
    });
  }

  /** What an error of socket, TLS or MQTT tells of the far end. */
  #meaning(error: Error & { code?: unknown }): [Ending, string, number?] {
    const { code } = error;
    if (typeof code === "number") {
      const isAway = awayCodes.has(code) || (this.#options.protocol !== 5 && code === 3);
      return [isAway ? "away" : "refused", sentence(error), code];
    }
    if (/keepalive timeout/i.test(error.message)) return ["silent", "the broker does not answer pings"];
    const hungUp = code === "ECONNRESET" || code === "EPIPE";
    if (hungUp) return this.#isOpen ? ["closed", sentence(error)] : ["away", `${hungUpEarly} (${code})`];
    return [this.#isOpen ? "silent" : "refused", sentence(error)];
  }

  #clientOptions(): IClientOptions {
    const { protocol, clientId, username, password, keepaliveMs } = this.#options;
    return {
      protocolId: "MQTT",
      protocolVersion: protocol === 5 ? 5 : 4,
      clientId,
      clean: false,
      reconnectPeriod: 0,
      connectTimeout: 2 * sessionTimeoutMs,
      keepalive: Math.round(keepaliveMs / 1000),
      queueQoSZero: false,
      resubscribe: false,
      manualConnect: true,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }

  #stream(socket: Socket): Socket | TLSSocket {
    if (!this.#isSecure) return socket;
    const secure = connectTls({
      socket,
      ...secureOptions(this.#host, this.#options.tls),
      // Saves 1.9 kB of each connection.
      ...(this.#tlsSession === undefined ? {} : { session: this.#tlsSession }),
    });
    secure.on("session", (session) => (this.#tlsSession = session));
    return secure;
  }

  #over(ending: Ending, reason: string, code?: number): void {
    if (this.#isStopped) return;
    const wasOpen = this.#isOpen;
    const why = ending === "closed" ? this.#whyClosed(code) : undefined;
    this.#drop();
    const { pauseMs, contested } = this.#reconnect.ended(ending, performance.now(), why);
    this.#timer = setTimeout(() => this.#begin(), pauseMs);
    const isSuspicious = why === "suspicious";
    this.#events.ended({
      ending,
      reason,
      wasOpen,
      isSuspicious,
      pauseMs,
      ...(code === undefined ? {} : { code }),
    });
    if (contested) this.#events.contested?.(pauseMs, false);
  }

  #whyClosed(code: number | undefined): "blamed" | "suspicious" | undefined {
    const isQuiet = this.#events.isQuiet?.();
    if (isQuiet === false) return "blamed";
    // MQTT 3.1.1 and older brokers have no word for a take-over: they hang up on a session that did nothing.
    return isQuiet === true && code === undefined ? "suspicious" : undefined;
  }

  #drop(): void {
    this.#attempt++;
    clearTimeout(this.#timer);
    this.#bytes = this.bytes;
    const [client, socket] = [this.#client, this.#socket];
    this.#client = this.#socket = undefined;
    this.#isOpen = false;
    client?.end(true);
    // A half-open connection does not end by itself.
    socket?.destroy();
  }
}

/** What is said where a broker hangs up without a word. */
export const hungUpEarly = "the broker hung up before it answered the CONNECT";

/** Whether the broker has answered a SUBSCRIBE with no; else its connection has ended, and the next one asks again. */
export function isDenied(error: Error | null): boolean {
  return (error as Partial<ErrorWithSubackPacket> | null)?.packet !== undefined;
}

function isRefusal(error: Error & { code?: string; errors?: { code?: string }[] }): boolean {
  return error.code === "ECONNREFUSED" || error.errors?.some(({ code }) => code === "ECONNREFUSED") === true;
}

/** How TLS is spoken with a broker; the PEM files are read anew. Throws what the file system says. */
export function secureOptions(host: string, tls: LinkOptions["tls"]): ConnectionOptions {
  const serverName = tls?.serverName ?? (isIP(host) === 0 ? host : undefined);
  return {
    host,
    ...(tls?.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls?.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls?.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** What an error of socket, TLS or MQTT says, as one line. OpenSSL wraps an alert into its own file and line. */
export function sentence(error: Error & { code?: unknown; errors?: Error[] }): string {
  const [, alert] = /\balert ([a-z ]+?)(?::|$)/i.exec(error.message) ?? [];
  if (alert !== undefined)
    return `the broker ended the TLS handshake: ${alert.toLowerCase()} (see uplinks → tls)`;
  const text = (error.message || error.errors?.[0]?.message || "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 300);
  return text === "" ? (typeof error.code === "string" ? error.code : error.name) : text;
}
