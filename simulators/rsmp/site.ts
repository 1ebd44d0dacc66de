import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { readFileSync } from "node:fs";
import { seededRandom, type Fault } from "../simulator.ts";
import { acknowledgement, objectsOf, Splitter, withId, wrapped, type Message } from "./wire.ts";

/**
 * The site's end of a connection: it calls, shakes hands, acknowledges, sends watchdogs, and calls again when the
 * connection is lost. What it says beyond that comes from its owner.
 */

export interface SiteOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: { ca?: string; cert?: string; key?: string } | undefined;
  readonly siteId: string;
  readonly versions: readonly string[];
  /** Asked at each call: a controller that has a new one calls again. */
  readonly sxl: () => string;
  readonly reconnectMs: number;
  readonly watchdogMs: number;
  readonly seed: number;
  readonly log: (text: string) => void;
}

/** What happens on the connection. */
export interface SiteOwner {
  /** The handshake is done: time for the state of everything, then for what was buffered. */
  ready(): void;
  lost(): void;
  /** A message other than of the handshake; it is acknowledged, or not, by the owner. */
  request(message: Message): void;
  now(): number;
}

const requestTypes = new Set([
  "StatusRequest",
  "StatusSubscribe",
  "StatusUnsubscribe",
  "CommandRequest",
  "AggregatedStatusRequest",
  "Alarm",
]);
const delayedMax = 1000;
/** Longest wait for an acknowledgement, as the specification has it. */
const timeoutMs = 30_000;
const tickMs = 100;

export class Site {
  readonly counts = { requests: 0, errors: 0 };
  fault: Fault | undefined;
  /** RSMP version in use. */
  version = "";
  isReady = false;
  readonly #options: SiteOptions;
  readonly #owner: SiteOwner;
  readonly #random: () => number;
  readonly #unacknowledged = new Map<string, number>();
  readonly #delayed = new Set<NodeJS.Timeout>();
  #socket: Socket | undefined;
  #again: NodeJS.Timeout | undefined;
  #tick: NodeJS.Timeout | undefined;
  #delayMs = 0;
  #lateSpent = false;
  #isLate = false;
  #isAway = false;
  #isClosed = false;
  #versionSent: string | undefined;
  #hasVersion = false;
  #watchdogSent: string | undefined;
  #hasTheirWatchdog = false;
  #isOurWatchdogTaken = false;
  #watchdogAtMs = 0;

  constructor(options: SiteOptions, owner: SiteOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#random = seededRandom(options.seed);
  }

  call(): void {
    if (this.#isClosed || this.#isAway || this.#socket !== undefined) return;
    const { host, port, tls } = this.#options;
    const splitter = new Splitter();
    const place = { host, port, noDelay: true };
    const socket =
      tls === undefined
        ? connect(place)
        : connectTls({
            ...place,
            ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
            ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
            ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
          });
    this.#socket = socket;
    socket.on(tls === undefined ? "connect" : "secureConnect", () => this.#introduce());
    socket.on("data", (chunk) => {
      if (this.#socket !== socket) return;
      if (this.fault === "hangUp") {
        this.counts.requests += 1;
        socket.destroy();
        return;
      }
      for (const message of splitter.push(chunk)) this.#take(message);
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onClose(socket));
  }

  /** Cuts the connection, and calls again when it is time. */
  hangUp(): void {
    this.#socket?.destroy();
  }

  #onClose(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#reset();
    this.#owner.lost();
    if (this.#isClosed || this.#isAway) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.call(), this.#options.reconnectMs);
  }

  #reset(): void {
    clearInterval(this.#tick);
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#delayed.clear();
    this.#unacknowledged.clear();
    this.isReady = false;
    this.#hasVersion = false;
    this.#versionSent = undefined;
    this.#watchdogSent = undefined;
    this.#hasTheirWatchdog = false;
    this.#isOurWatchdogTaken = false;
  }

  #introduce(): void {
    const { siteId, versions, sxl } = this.#options;
    const message = withId("Version", {
      RSMP: versions.map((vers) => ({ vers })),
      siteId: [{ sId: siteId }],
      SXL: sxl(),
    });
    this.#versionSent = message.mId;
    this.#unacknowledged.set(message.mId, performance.now());
    this.#socket?.write(wrapped(message));
    this.#tick = setInterval(() => this.#onTick(), tickMs);
  }

  /** A missing acknowledgement is a broken link. */
  #onTick(): void {
    const nowMs = performance.now();
    const [oldestMs] = this.#unacknowledged.values();
    if (oldestMs !== undefined && nowMs - oldestMs > timeoutMs) return this.#drop();
    if (this.isReady && nowMs - this.#watchdogAtMs > this.#options.watchdogMs) this.#sendWatchdog();
  }

  #sendWatchdog(): string {
    this.#watchdogAtMs = performance.now();
    return this.tell("Watchdog", { wTs: new Date(this.#owner.now()).toISOString() });
  }

  #take(message: Message | undefined): void {
    if (message === undefined) return this.#options.log("rsmp simulator: a packet that is no JSON");
    const { type } = message;
    if (requestTypes.has(type)) this.counts.requests += 1;
    if (type === "MessageAck" || type === "MessageNotAck") return this.#onAcknowledged(message);
    if (this.fault === "silent") return;
    this.#isLate = this.fault === "late" && !this.#lateSpent && type !== "Watchdog";
    if (this.#isLate) this.#lateSpent = true;
    if (type === "Version") this.#onVersion(message);
    // As in the specification: nothing but Version is acknowledged before versions are exchanged.
    else if (this.#hasVersion) this.#serve(message);
    this.#isLate = false;
  }

  #serve(message: Message): void {
    if (message.type === "Watchdog") {
      this.acknowledge(message);
      this.#hasTheirWatchdog = true;
      return this.#checkReady();
    }
    if (this.fault === "refuse") return this.acknowledge(message, "the pretend site refuses");
    if (requestTypes.has(message.type)) return this.#owner.request(message);
    this.acknowledge(message, `Unknown packet type: ${message.type}`);
  }

  #onAcknowledged(message: Message): void {
    const id = String(message["oMId"]);
    this.#unacknowledged.delete(id);
    const isRefused = message.type === "MessageNotAck";
    if (isRefused) this.#options.log(`rsmp simulator: not acknowledged: ${String(message["rea"])}`);
    if (id === this.#versionSent && isRefused) this.#drop();
    if (id === this.#watchdogSent && !isRefused) this.#isOurWatchdogTaken = true;
    this.#checkReady();
  }

  /** Ready when both have acknowledged the other's watchdog. */
  #checkReady(): void {
    if (this.isReady || !this.#hasTheirWatchdog || !this.#isOurWatchdogTaken) return;
    this.isReady = true;
    this.#owner.ready();
  }

  #onVersion(message: Message): void {
    const theirs = objectsOf<{ vers: unknown }>(message["RSMP"]).map(({ vers }) => String(vers));
    const ids = objectsOf<{ sId: unknown }>(message["siteId"]).map(({ sId }) => String(sId));
    const { siteId, versions } = this.#options;
    const sxl = this.#options.sxl();
    const common = versions.filter((version) => theirs.includes(version));
    const problem = this.#hasVersion
      ? "extraneous Version message"
      : this.fault === "refuse"
        ? "the pretend site refuses"
        : common.length === 0
          ? `RSMP versions [${theirs.join(",")}] requested, but only [${versions.join(",")}] supported`
          : !ids.includes(siteId)
            ? `Site id [${ids.join(",")}] is not ours`
            : message["SXL"] !== sxl
              ? `SXL version ${String(message["SXL"])} requested, but only [${sxl}] supported`
              : undefined;
    this.acknowledge(message, problem);
    if (problem !== undefined) {
      if (!this.#hasVersion) this.#socket?.end();
      return;
    }
    this.#hasVersion = true;
    this.version = common.toSorted().at(-1) ?? "";
    this.#watchdogSent = this.#sendWatchdog();
  }

  acknowledge(message: Message, rea?: string): void {
    if (rea !== undefined) this.counts.errors += 1;
    this.#write(acknowledgement(message, rea));
  }

  /** Sends a message that must be acknowledged; gives its id. */
  tell(type: string, body: object): string {
    const message = withId(type, body);
    if (this.fault !== "silent") {
      this.#unacknowledged.set(message.mId, performance.now());
      this.#write(message);
    }
    return message.mId;
  }

  #write(message: Message): void {
    const { fault } = this;
    if (fault === "silent") return;
    const bytes = fault === "garbage" ? this.#noise() : wrapped(message);
    if (fault !== "slow" && !this.#isLate) {
      this.#socket?.write(bytes);
      return;
    }
    if (this.#delayed.size >= delayedMax) return;
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      this.#socket?.write(bytes);
    }, this.#delayMs);
    this.#delayed.add(timer);
  }

  #noise(): Buffer {
    const length = 1 + Math.floor(this.#random() * 260);
    const bytes = Array.from({ length }, () => Math.floor(this.#random() * 256));
    return Buffer.from([...bytes.filter((byte) => byte !== 0x0c), 0x0c]);
  }

  raise(fault: Fault | undefined, delayMs: number): void {
    this.fault = fault;
    this.#delayMs = delayMs;
    this.#lateSpent = false;
    if (fault !== "restart") return;
    this.#isAway = true;
    this.#drop();
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      this.#isAway = false;
      this.fault = undefined;
      this.call();
    }, delayMs);
  }

  #drop(): void {
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    const socket = this.#socket;
    if (socket !== undefined && !socket.closed) {
      const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.destroy();
      await gone;
    }
    this.#reset();
  }
}
