import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { DeviceError, type DeviceErrorCode } from "../../gateway/driver.ts";
import { packetOf, PacketError, PacketReader, parsePacket, type Json } from "./codec.ts";
import {
  acknowledgedIdOf,
  idOf,
  readMessage,
  reasonOf,
  typeOf,
  type AggregatedMessage,
  type SiteMessage,
  type VersionMessage,
} from "./messages.ts";
import { Owed, type Held } from "./owed.ts";
import { agree } from "./versions.ts";

/** What a site sent after the handshake and of its own accord. */
export type Pushed = Exclude<SiteMessage, { kind: "watchdog" | "command" }>;

export interface SessionOptions {
  readonly versions: readonly string[];
  readonly sxl: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly watchdogMs: number;
  readonly messageBytesMax: number;
  /** Names the site in messages: "site X at 192.0.2.1:40000". */
  readonly place: string;
  log(level: "debug" | "info" | "warn", text: string): void;
  /** Our own clock is known to be wrong. */
  clockIsWrong(): boolean;
}

/**
 * Messages of a site that nobody has subscribed to yet: its alarms, and what it kept during an outage, which are
 * 10,000 messages at the least (RSMP 3.2.2, 4.3.6). They are acknowledged, so that it does not tell them again.
 */
const keptMax = 30_000;
const keptBytesMax = 33_554_432;
/** Messages sent and not acknowledged; a site of many components is subscribed with two for each. */
const unacknowledgedMax = 4096;
/** Bytes that a site has not read. */
const unreadBytesMax = 4_194_304;
/** A site's clock is taken as it is up to this deviation, and corrected by what its watchdogs show beyond it. */
const clockToleranceMs = 10_000;
const notAcknowledgedMax = 100;
const componentsMax = 100;
const warnedMax = 50;

interface Sent {
  readonly type: string;
  readonly atMs: number;
  settle(rea: string | undefined): void;
}
interface Question {
  readonly id: string;
  matches(message: SiteMessage): boolean;
  /** undefined: the caller has gone; the answer that still comes is not for anybody else. */
  answer: ((message: SiteMessage) => void) | undefined;
  fail(error: DeviceError): void;
}

const isPushed = (message: SiteMessage): message is Pushed =>
  message.kind === "alarm" ||
  message.kind === "aggregated" ||
  (message.kind === "status" && message.type !== "StatusResponse");

/** How a request ended: the site's answer, or why it did not understand. */
export type Outcome = { message: SiteMessage } | { rea: string };

/**
 * One connection of one site, from its Version message to its end: handshake, acknowledgements both ways,
 * watchdogs (RSMP 3.2.2, 4.3.3 and 4.4.7 to 4.4.9).
 */
export class Session {
  readonly siteId: string;
  version = "";
  sxl = "";
  /** Id of the component that is meant where an address names none. */
  main: string;
  /** Ends with the reason why the connection was lost. */
  lost: DeviceError | undefined;
  /** Resolves with the same reason when that happens. */
  readonly gone: Promise<DeviceError>;
  /** The last aggregated status of each component. */
  readonly aggregated = new Map<string, AggregatedMessage>();
  readonly #socket: Socket;
  readonly #reader: PacketReader;
  readonly #options: SessionOptions;
  readonly #sent = new Map<string, Sent>();
  #questions: Question[] = [];
  #kept: { message: Pushed; bytes: number }[] = [];
  #keptBytes = 0;
  /** Length of the packet that is being taken. */
  #packetBytes = 0;
  readonly #named = Promise.withResolvers<string>();
  #listener: ((message: Pushed) => void) | undefined;
  #alive: (() => void) | undefined;
  #held: Held | undefined;
  readonly #owed: Owed;
  #state: "version" | "watchdog" | "ready" = "version";
  #opening: { resolve(): void; reject(error: DeviceError): void } | undefined;
  #tick: NodeJS.Timeout | undefined;
  #progressMs = performance.now();
  #watchdogMs = 0;
  #refused = 0;
  readonly #warned = new Set<string>();
  /** Our clock less the site's, ms: as its last watchdog shows it, and when it matters. */
  #clockOffsetMs = 0;
  #offsetMs = 0;
  readonly #end: (error: DeviceError) => void;

  constructor(socket: Socket, siteId: string, options: SessionOptions) {
    this.#socket = socket;
    this.siteId = siteId;
    this.main = siteId;
    this.#options = options;
    this.#reader = new PacketReader(options.messageBytesMax);
    this.#owed = new Owed(options.timeoutMs, {
      acknowledge: (id) => this.#acknowledge(id),
      lost: (why) => this.#lose("hung-up", why),
    });
    const { promise, resolve } = Promise.withResolvers<DeviceError>();
    this.gone = promise;
    this.#end = resolve;
    socket.on("error", (error: NodeJS.ErrnoException) => this.#lose("hung-up", error.code ?? error.message));
    socket.on("close", () => this.#lose("hung-up", "the site closed the connection"));
    socket.on("end", () => this.#lose("hung-up", "the site closed the connection"));
  }

  /** SHA-256 of the certificate that the site has shown, hex; undefined where it has shown none. */
  get certificate(): string | undefined {
    const { getPeerCertificate } = this.#socket as Partial<TLSSocket>;
    const { fingerprint256 } = getPeerCertificate?.call(this.#socket as TLSSocket, false) ?? {};
    return fingerprint256?.replaceAll(":", "").toLowerCase();
  }

  /** From the site's Version message to the acknowledged watchdogs. Rejects with the reason of the loss. */
  open(theirs: VersionMessage, rest: readonly Buffer[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.lost !== undefined) return reject(this.lost);
      this.#opening = { resolve, reject };
      const agreed = agree(theirs.versions, theirs.sxl, this.#options);
      if (agreed.rea !== undefined) {
        this.#write({ mType: "rSMsg", type: "MessageNotAck", oMId: theirs.id, rea: agreed.rea });
        this.#lose("rejected", agreed.rea);
        return;
      }
      this.version = agreed.version;
      this.sxl = agreed.sxl;
      const { timeoutMs } = this.#options;
      this.#tick = setInterval(() => this.#onTick(), Math.max(20, Math.min(1000, timeoutMs / 4)));
      this.#write({ mType: "rSMsg", type: "MessageAck", oMId: theirs.id });
      const version = {
        RSMP: agreed.offered.map((vers) => ({ vers })),
        siteId: theirs.siteIds.map((sId) => ({ sId })),
        SXL: agreed.sxl,
      };
      this.#send("Version", version, (rea) => {
        if (rea !== undefined) return this.#lose("rejected", `the site refuses kerb's version: ${rea}`);
        this.#state = "watchdog";
        this.#progressMs = performance.now();
      });
      for (const chunk of rest) this.feed(chunk);
    });
  }

  /** Bytes that came on the socket. */
  feed(chunk: Buffer): void {
    if (this.lost !== undefined) return;
    try {
      this.#reader.push(chunk, (packet) => {
        this.#packetBytes = packet.length;
        if (this.lost === undefined) this.#take(parsePacket(packet));
      });
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#lose("garbage", error.message);
    }
  }

  /**
   * Takes what the site tells by itself from now on, and what it has told since the handshake. It is acknowledged
   * when `held` says that what was taken is kept.
   */
  listen(listener: (message: Pushed) => void, alive: () => void, held: Held): void {
    const kept = this.#kept;
    this.#kept = [];
    this.#alive = alive;
    this.#listener = listener;
    this.#keptBytes = 0;
    this.#held = held;
    for (const { message } of kept) listener(message);
    this.#owed.handedOn(held);
  }

  unlisten(): void {
    this.#listener = undefined;
    this.#alive = undefined;
  }

  /**
   * Sends a request and waits for the answer that `matches`, or without `matches` for the acknowledgement alone.
   * Rejects with `aborted`, `silent` (which costs the connection) and the reason of a loss.
   */
  ask(
    type: string,
    body: Json,
    matches: ((message: SiteMessage) => boolean) | undefined,
    signal: AbortSignal,
  ): Promise<Outcome | undefined> {
    return new Promise((resolve, reject) => {
      if (this.lost !== undefined) return reject(this.lost);
      if (signal.aborted) return reject(this.error("aborted", "given up by the caller"));
      const { timeoutMs } = this.#options;
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      const fail = (error: DeviceError) => {
        done();
        reject(error);
      };
      const forget = () => (this.#questions = this.#questions.filter((one) => one !== question));
      const onAbort = () => {
        question.answer = undefined;
        fail(this.error("aborted", "given up by the caller"));
      };
      const timer = setTimeout(
        () => this.#lose("silent", `no answer to ${type} within ${timeoutMs} ms`),
        timeoutMs,
      );
      signal.addEventListener("abort", onAbort);
      const id = this.#send(type, body, (rea) => {
        if (rea === undefined && matches !== undefined) return;
        forget();
        done();
        resolve(rea === undefined ? undefined : { rea });
      });
      const question: Question = {
        id,
        matches: matches ?? (() => false),
        answer: (message) => {
          done();
          resolve({ message });
        },
        fail,
      };
      if (this.lost !== undefined) return fail(this.lost);
      this.#questions.push(question);
      if (this.#questions.length > unacknowledgedMax)
        this.#lose("silent", `more than ${unacknowledgedMax} requests are not answered`);
    });
  }

  /** Sends a message that nobody waits for; its missing acknowledgement still counts. */
  tell(type: string, body: Json, notAcknowledged?: (rea: string) => void): void {
    if (this.lost !== undefined) return;
    this.#send(type, body, (rea) => {
      if (rea !== undefined) notAcknowledged?.(rea);
    });
  }

  /** Asks for a sign of life within a moment, because somebody else claims to be this site. */
  probe(withinMs: number): void {
    if (this.lost !== undefined || this.#state !== "ready") return;
    const timer = setTimeout(
      () => this.#lose("silent", "no acknowledgement while the site calls anew"),
      withinMs,
    );
    timer.unref();
    this.#send("Watchdog", { wTs: this.#watchdogTime }, () => clearTimeout(timer));
  }

  /**
   * Finds the main component: the one that is configured, else that of the aggregated status, which a site tells
   * after each handshake, else, when it tells none within `waitMs`, the one that is called like the site.
   */
  async findMain(configured: string | undefined, waitMs: number): Promise<void> {
    const over = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => over.resolve(undefined), waitMs);
    const lost = this.gone.then(() => undefined);
    this.main = configured ?? (await Promise.race([this.#named.promise, over.promise, lost])) ?? this.siteId;
    clearTimeout(timer);
  }

  /** The component whose aggregated status is the site's: the main one, or the first that has any. */
  get aggregatedMain(): string {
    const [first = this.main] = this.aggregated.keys();
    return this.aggregated.has(this.main) ? this.main : first;
  }

  /** The site's time as kerb's: corrected only where the site's clock is known to be wrong. */
  timeMs(siteTimeMs: number): number {
    return siteTimeMs + this.#offsetMs;
  }

  /** Says something of this connection's site once. */
  warnOnce(about: string, text: string): void {
    if (this.#warned.has(about) || this.#warned.size >= warnedMax) return;
    this.#warned.add(about);
    this.#options.log("warn", `${this.#options.place}: ${text}`);
  }

  error(code: DeviceErrorCode, text: string): DeviceError {
    return new DeviceError(code, `${this.#options.place}: ${text}`);
  }

  /** Ends the connection; settles when the socket is gone, within 300 ms. */
  close(error: DeviceError): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      this.#lose(error.code, "", error);
      if (socket.closed) return resolve();
      const timer = setTimeout(() => socket.destroy(), 200);
      socket.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #take(message: Json): void {
    const id = idOf(message);
    const found = typeOf(message);
    const type = "type" in found ? found.type : "";
    if (type === "MessageAck" || type === "MessageNotAck") return this.#settle(message, type);
    if (id === undefined) throw new PacketError("a message without mId, which cannot be acknowledged");
    // Nothing but Version is acknowledged before versions are exchanged: the site then starts anew.
    if (this.#state === "version") return;
    if ("rea" in found) return this.#refuse(id, found.rea);
    if (type === "Version") return this.#refuse(id, "extraneous Version message");
    const read = readMessage(message, type, this.version);
    if ("rea" in read) return this.#refuse(id, read.rea);
    if (isPushed(read)) {
      this.#owed.came(id);
      this.#handle(read);
      this.#owed.handedOn(this.#listener === undefined ? undefined : this.#held);
      return;
    }
    this.#acknowledge(id);
    this.#handle(read);
  }

  #acknowledge(id: string): void {
    this.#write({ mType: "rSMsg", type: "MessageAck", oMId: id });
  }

  #handle(message: SiteMessage): void {
    switch (message.kind) {
      case "watchdog":
        return this.#onWatchdog(message.timeMs);
      case "command":
        this.#answer(message);
        return;
      case "status":
        // An answer that nobody waits for is no news.
        if (message.type === "StatusResponse") this.#answer(message);
        else this.#push(message);
        return;
      case "aggregated":
        if (message.component !== "") this.#named.resolve(message.component);
        if (this.aggregated.size < componentsMax || this.aggregated.has(message.component))
          this.aggregated.set(message.component, message);
        this.#answer(message);
        return this.#push(message);
      case "alarm":
        return this.#push(message);
    }
  }

  #onWatchdog(siteTimeMs: number): void {
    this.#alive?.();
    const offsetMs = Date.now() - siteTimeMs;
    this.#clockOffsetMs = offsetMs;
    const isWrong = Math.abs(offsetMs) > clockToleranceMs;
    if (isWrong && this.#offsetMs === 0)
      this.#options.log(
        "warn",
        `${this.#options.place}: its clock is ${Math.round(-offsetMs / 1000)} s ahead of ours`,
      );
    this.#offsetMs = isWrong ? offsetMs : 0;
    if (this.#state !== "watchdog" || this.#watchdogMs !== 0) return;
    this.#progressMs = performance.now();
    this.#sendWatchdog(() => {
      this.#state = "ready";
      this.#opening?.resolve();
      this.#opening = undefined;
    });
  }

  /** Sites set their clocks by it: while ours is wrong they get their own time back. */
  get #watchdogTime(): string {
    const offsetMs = this.#options.clockIsWrong() ? this.#clockOffsetMs : 0;
    return new Date(Date.now() - offsetMs).toISOString();
  }

  #sendWatchdog(settled?: () => void): void {
    this.#watchdogMs = performance.now();
    this.#send("Watchdog", { wTs: this.#watchdogTime }, (rea) => {
      if (rea !== undefined)
        this.#options.log("warn", `${this.#options.place}: refuses the watchdog: ${rea}`);
      settled?.();
    });
  }

  #answer(message: SiteMessage): void {
    const at = this.#questions.findIndex((question) => question.matches(message));
    const [question] = at < 0 ? [] : this.#questions.splice(at, 1);
    question?.answer?.(message);
  }

  #push(message: Pushed): void {
    if (this.#listener !== undefined) return this.#listener(message);
    this.#kept.push({ message, bytes: this.#packetBytes });
    this.#keptBytes += this.#packetBytes;
    if (this.#kept.length <= keptMax && this.#keptBytes <= keptBytesMax) return;
    while (this.#kept.length > keptMax || this.#keptBytes > keptBytesMax)
      this.#keptBytes -= this.#kept.shift()?.bytes ?? 0;
    this.warnOnce("kept", "tells more before a subscription than is kept: the oldest is lost");
  }

  #refuse(id: string, rea: string): void {
    this.#write({ mType: "rSMsg", type: "MessageNotAck", oMId: id, rea });
    this.#refused++;
    if (this.#refused === 1 || this.#refused === notAcknowledgedMax)
      this.#options.log(
        "warn",
        `${this.#options.place}: message ${this.#refused} that is not understood: ${rea}`,
      );
  }

  #settle(message: Json, type: string): void {
    const id = acknowledgedIdOf(message) ?? "";
    const sent = this.#sent.get(id);
    if (sent === undefined) return;
    this.#sent.delete(id);
    if (type === "MessageAck") return sent.settle(undefined);
    this.#questions = this.#questions.filter((question) => question.id !== id);
    sent.settle(reasonOf(message));
  }

  #send(type: string, body: Json, settle: (rea: string | undefined) => void): string {
    const id = randomUUID();
    this.#sent.set(id, { type, atMs: performance.now(), settle });
    this.#write({ mType: "rSMsg", type, mId: id, ...body });
    if (this.#sent.size > unacknowledgedMax)
      this.#lose("silent", `more than ${unacknowledgedMax} messages are not acknowledged`);
    return id;
  }

  #write(message: Json): void {
    if (this.lost !== undefined || this.#socket.destroyed) return;
    this.#socket.write(packetOf(message));
    if (this.#socket.writableLength > unreadBytesMax) this.#lose("silent", "the site does not read");
  }

  #onTick(): void {
    const nowMs = performance.now();
    const { timeoutMs, watchdogMs } = this.#options;
    const [oldest] = this.#sent.values();
    if (oldest !== undefined && nowMs - oldest.atMs > timeoutMs)
      return this.#lose("silent", `no acknowledgement of ${oldest.type} within ${timeoutMs} ms`);
    if (this.#state !== "ready") {
      if (nowMs - this.#progressMs > timeoutMs)
        this.#lose("silent", "the site does not go on with the handshake");
      return;
    }
    this.#owed.look(nowMs);
    if (this.lost === undefined && nowMs - this.#watchdogMs >= watchdogMs) this.#sendWatchdog();
  }

  #lose(code: DeviceErrorCode, text: string, error = this.error(code, text)): void {
    if (this.lost !== undefined) return;
    this.lost = error;
    clearInterval(this.#tick);
    this.#owed.stop();
    // What has been written still goes out: a MessageNotAck tells the site why.
    if (code === "silent" || code === "hung-up") this.#socket.destroy();
    else {
      this.#socket.end();
      this.#socket.resume();
      const socket = this.#socket;
      setTimeout(() => socket.destroy(), 200).unref();
    }
    for (const question of this.#questions.splice(0)) if (question.answer !== undefined) question.fail(error);
    this.#opening?.reject(error);
    this.#opening = undefined;
    this.#sent.clear();
    this.#kept = [];
    this.#end(error);
  }
}
