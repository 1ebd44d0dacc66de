import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { Client } from "./client.ts";
import type { BrokerFault } from "./faults.ts";
import { toMessage } from "./message.ts";
import { Router, type Counts, type Limits } from "./router.ts";

/** How often keep-alives, wills and expiries are looked at; they are exact to this. */
const tickMs = 250;

/** How long clients have to take the DISCONNECT of a broker that stops. */
const farewellMs = 200;

const connectionsMax = 2000;
const logLinesPerSecondMax = 20;
const logLineCharactersMax = 300;

export interface BrokerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** PEM. With `requestClientCertificate` only clients with a certificate of `ca` are let in. */
  readonly tls?: {
    readonly key: string | Buffer;
    readonly cert: string | Buffer;
    readonly ca?: string | Buffer;
    readonly requestClientCertificate?: boolean;
  };
  /** Passwords by user name; without it everybody may enter. */
  readonly users?: Readonly<Record<string, string>>;
  /** Told in the CONNACK and enforced with 0x93; default 100. */
  readonly receiveMaximum?: number;
  /** Bytes; told in the CONNACK and enforced with 0x95; default 1 MiB. */
  readonly maximumPacketSize?: number;
  /** Retained messages in all; default 10,000. */
  readonly retainedMax?: number;
  /** Messages that wait for one session; default 1000. */
  readonly queuedMax?: number;
  /** Gets at most 20 lines a second. */
  readonly log?: (text: string) => void;
  /** Sees each PUBLISH that was taken: what is told to a device that lives in this process. */
  readonly heard?: (topic: string, payload: Buffer) => void;
  /** Told of each filter that a client was granted. */
  readonly subscribed?: (filter: string) => void;
}

/** A running broker. */
export interface Broker {
  readonly port: number;
  /** "mqtt://127.0.0.1:1883", or mqtts. */
  readonly url: string;
  /** Raises a fault, or ends the standing one with undefined. */
  fault(fault: BrokerFault | undefined): void;
  /** Publishes for a device that lives in this process. */
  publish(topic: string, payload: string | Buffer, options: { qos: 0 | 1; retain: boolean }): void;
  readonly counts: Readonly<Counts>;
  /** Ids of the clients that are connected now. */
  readonly clients: string[];
  /** Says 0x8b to MQTT 5 clients and hangs up on all; wills are not published. Safe twice. */
  close(): Promise<void>;
}

/** Starts an MQTT 3.1.1 and 5 broker in this process; everything is kept in memory. */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const host = options.host ?? "127.0.0.1";
  const router = new Router(limitsOf(options), options.users, limitLines(options.log));
  router.heard = options.heard;
  router.subscribed = options.subscribed;
  const door = new Door(router, options.tls);
  // The listener never reads by itself: a stalled broker must leave what arrives in the kernel.
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => door.arrive(socket));
  server.maxConnections = connectionsMax;
  server.listen(options.port ?? 0, host);
  await once(server, "listening");
  // A connection that cannot be accepted (no file descriptors left) must not end the process.
  server.on("error", (error) => router.log(`cannot accept: ${error.message}`));
  const { port } = server.address() as AddressInfo;
  const timer = setInterval(() => door.tick(), tickMs);
  timer.unref();
  let closing: Promise<void> | undefined;
  const shutDown = async (): Promise<void> => {
    clearInterval(timer);
    const closed = once(server, "close");
    server.close();
    door.shutDown();
    await closed;
  };
  return {
    port,
    url: `${options.tls === undefined ? "mqtt" : "mqtts"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    fault: (fault) => door.fault(fault),
    publish(topic, payload, more) {
      const message = toMessage(topic, { payload: Buffer.from(payload), ...more }, performance.now());
      if (more.retain) router.retain(message);
      router.route(message, undefined);
    },
    counts: router.counts,
    get clients() {
      return door.clientIds();
    },
    close: () => (closing ??= shutDown()),
  };
}

/** Lets sockets in, holds them back during a stall, and keeps the list of clients. */
class Door {
  readonly #router: Router;
  readonly #tls: TlsServer | undefined;
  readonly #clients = new Set<Client>();
  /** Every socket until it is closed, with those that are still in their TLS handshake. */
  readonly #sockets = new Set<Socket>();
  /** Arrived during a stall. */
  #held: Socket[] = [];

  constructor(router: Router, tls: BrokerOptions["tls"]) {
    this.#router = router;
    if (tls === undefined) return;
    this.#tls = createTlsServer({
      key: tls.key,
      cert: tls.cert,
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      requestCert: tls.requestClientCertificate === true,
      rejectUnauthorized: tls.requestClientCertificate === true,
      minVersion: "TLSv1.2",
      handshakeTimeout: 10_000,
    });
    this.#tls.on("secureConnection", (socket) => this.#admit(socket));
    this.#tls.on("tlsClientError", (error, socket) => {
      router.log(`TLS refused: ${error.message}`);
      socket.destroy();
    });
  }

  get #stalled(): boolean {
    return this.#router.fault?.kind === "stall";
  }

  arrive(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // Without a listener an early reset would end the process.
    socket.on("error", () => {});
    if (this.#stalled) this.#held.push(socket);
    else this.#enter(socket);
  }

  #enter(socket: Socket): void {
    if (this.#tls === undefined) this.#admit(socket);
    else this.#tls.emit("connection", socket);
  }

  #admit(socket: Socket): void {
    const client = new Client(this.#router, socket, (gone) => this.#clients.delete(gone));
    this.#clients.add(client);
    if (this.#stalled) client.connection.pause();
    else client.connection.resume();
  }

  clientIds(): string[] {
    return [...this.#clients].flatMap((client) => client.clientId ?? []);
  }

  tick(): void {
    if (this.#stalled) return;
    const nowMs = performance.now();
    for (const client of this.#clients) client.tick(nowMs);
    this.#router.tick(nowMs);
  }

  fault(fault: BrokerFault | undefined): void {
    if (fault?.kind === "forget") {
      this.#router.forget(fault.retained === true);
      this.#destroyAll();
      return;
    }
    if (fault?.kind === "drop-connections") {
      this.#destroyAll();
      return;
    }
    const before = this.#stalled;
    this.#router.fault = fault;
    if (this.#stalled === before) return;
    for (const client of this.#clients) {
      if (this.#stalled) client.connection.pause();
      else client.connection.resume();
    }
    if (this.#stalled) return;
    const held = this.#held;
    this.#held = [];
    for (const socket of held) if (!socket.destroyed) this.#enter(socket);
  }

  /** Hangs up on all; whoever has not taken its DISCONNECT after a moment is cut off. */
  shutDown(): void {
    this.#router.withdrawWills();
    for (const client of this.#clients) client.connection.close(0x8b, "the broker stops");
    for (const socket of this.#held) socket.destroy();
    setTimeout(() => this.#destroyAll(), farewellMs).unref();
  }

  #destroyAll(): void {
    for (const client of this.#clients) client.connection.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#held = [];
  }
}

function limitsOf(options: BrokerOptions): Limits {
  return {
    receiveMaximum: options.receiveMaximum ?? 100,
    maximumPacketSize: options.maximumPacketSize ?? 1_048_576,
    topicAliasMaximum: 32,
    retainedMax: options.retainedMax ?? 10_000,
    retainedBytesMax: 64 * 1_048_576,
    queuedMax: options.queuedMax ?? 1000,
    queuedBytesMax: 16 * 1_048_576,
    inFlightMax: 256,
    sessionsMax: 2000,
    subscriptionsMax: 1000,
  };
}

function limitLines(log: ((text: string) => void) | undefined): (text: string) => void {
  let second = 0;
  let lines = 0;
  return (text) => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      second = now;
      lines = 0;
    }
    if (lines++ < logLinesPerSecondMax) log?.(text.slice(0, logLineCharactersMax));
  };
}
