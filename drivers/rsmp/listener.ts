import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { DeviceError, type DriverContext } from "../../gateway/driver.ts";
import { certificatesOf } from "./certificates.ts";
import { packetOf, PacketError, PacketReader, parsePacket } from "./codec.ts";
import { idOf, readVersion, typeOf, type VersionMessage } from "./messages.ts";
import { Session } from "./session.ts";
import type { Settings } from "./settings.ts";
import { agree } from "./versions.ts";

/** Callers that have not said who they are. */
const strangersMax = 64;
/** A Version message is short; who sends more before it is no site. */
const introductionBytesMax = 65_536;
const introductionMs = 10_000;
/** Refusals are told at most so often per name, and of so many names. */
const reportEveryMs = 600_000;
const reportedMax = 100;
const probeMsMax = 5000;
/** For the aggregated status, which is the first that a site tells after the handshake. */
const mainWaitMsMax = 3000;

/** A site that has said who it is and waits for kerb's answer. */
interface Caller {
  readonly socket: Socket;
  readonly version: VersionMessage;
  /** What it sent after its Version message. */
  readonly rest: Buffer[];
  readonly timer: NodeJS.Timeout;
}

/** One device of kerb on a listener. */
interface Expected {
  readonly settings: Settings;
  readonly context: DriverContext;
  /** Takes the call: set while `connect` waits. */
  take: ((caller: Caller) => void) | undefined;
  session: Session | undefined;
  parked: Caller | undefined;
  /** When its device was closed; it is still expected for a while. */
  leftMs: number | undefined;
}

/** How long a site is awaited after its device was closed. The host pauses for at most 38 s between two tries. */
const graceMs = ({ reconnect }: Settings): number => 6 * reconnect;

/** For as long a site that calls is still one of ours, however often it calls: its device may pause so long. */
const knownMsMin = 60_000;

const listeners = new Map<string, Listener>();

function keyOf({ host, port, tls }: Settings): string {
  return JSON.stringify([host, port, tls ?? null]);
}

function hostAndPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Where a device is awaited, at the head of its messages. */
export function placeOf({ host, port, siteId }: Settings): string {
  return `site ${siteId} at ${hostAndPort(host, port)}`;
}

/**
 * A port on which sites are awaited, shared by the devices that name it. It is open while a device is, and for a
 * while after the last one has gone: a site calls when it likes, and must not find the port closed between two
 * tries of the host.
 */
export class Listener {
  readonly #key: string;
  readonly #place: string;
  readonly #expected = new Map<string, Expected>();
  readonly #strangers = new Set<Socket>();
  readonly #reported = new Map<string, number>();
  #server: Server | undefined;
  #opening: Promise<void> | undefined;
  #grace: NodeJS.Timeout | undefined;

  private constructor(key: string, place: string) {
    this.#key = key;
    this.#place = place;
  }

  /** The listener of these settings, open. Rejects with `busy`, `refused` or `denied`. */
  static async join(settings: Settings, context: DriverContext, signal: AbortSignal): Promise<Listener> {
    if (signal.aborted) throw new DeviceError("aborted", `${placeOf(settings)}: given up by the caller`);
    const key = keyOf(settings);
    const listener = listeners.get(key) ?? new Listener(key, hostAndPort(settings.host, settings.port));
    listeners.set(key, listener);
    const known = listener.#expected.get(settings.siteId);
    if (known !== undefined && known.leftMs === undefined)
      throw new DeviceError("busy", `${placeOf(settings)}: another device has the same site id`);
    clearTimeout(listener.#grace);
    const { session, parked } = known ?? {};
    listener.#expected.set(settings.siteId, {
      settings,
      context,
      take: undefined,
      session,
      parked,
      leftMs: undefined,
    });
    listener.#opening ??= listener.#open(settings);
    try {
      await listener.#opening;
    } catch (error) {
      listener.#expected.delete(settings.siteId);
      if (listener.#expected.size === 0) listeners.delete(key);
      throw error;
    }
    listener.#server?.ref();
    return listener;
  }

  /** Gives a device's place back; its site may still call for a while, and is then kept waiting. */
  leave(siteId: string): void {
    const expected = this.#expected.get(siteId);
    if (expected === undefined) return;
    expected.leftMs = performance.now();
    expected.take = undefined;
    if ([...this.#expected.values()].some(({ leftMs }) => leftMs === undefined)) return;
    this.#server?.unref();
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => this.#close(), graceMs(expected.settings));
    this.#grace.unref();
  }

  /**
   * The session of a site: of a call that is waiting, or of the next one within `waitMs`. Rejects with `silent`,
   * `aborted`, and the reason why the handshake failed.
   */
  async attach(siteId: string, waitMs: number, signal: AbortSignal): Promise<Session> {
    const expected = this.#expected.get(siteId);
    if (expected === undefined) throw new DeviceError("closed", `${this.#place}: ${siteId} is not awaited`);
    const givenUp = new DeviceError("aborted", `${placeOf(expected.settings)}: given up by the caller`);
    const caller = await this.#call(expected, waitMs, signal, givenUp);
    const session = this.#sessionOf(expected, caller);
    const onAbort = () => void session.close(givenUp);
    signal.addEventListener("abort", onAbort);
    try {
      await session.open(caller.version, caller.rest);
      const { component, timeout } = expected.settings;
      await session.findMain(component, Math.min(timeout, mainWaitMsMax));
      if (session.lost !== undefined) throw session.lost;
      return session;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The call that is waiting, or the next one. */
  #call(expected: Expected, waitMs: number, signal: AbortSignal, givenUp: DeviceError): Promise<Caller> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(givenUp);
      const { parked } = expected;
      if (parked !== undefined) {
        expected.parked = undefined;
        clearTimeout(parked.timer);
        return resolve(parked);
      }
      const done = () => {
        expected.take = undefined;
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        done();
        reject(givenUp);
      };
      const timer = setTimeout(() => {
        done();
        const text = `${placeOf(expected.settings)}: the site has not called within ${waitMs} ms`;
        reject(new DeviceError("silent", text));
      }, waitMs);
      signal.addEventListener("abort", onAbort);
      expected.take = (caller) => {
        done();
        resolve(caller);
      };
    });
  }

  #sessionOf(expected: Expected, { socket }: Caller): Session {
    const { settings, context } = expected;
    const { siteId, versions, sxl, messageBytesMax } = settings;
    socket.removeAllListeners("data");
    socket.removeAllListeners("close");
    socket.removeAllListeners("end");
    const from = hostAndPort(socket.remoteAddress ?? "?", socket.remotePort ?? 0);
    const session = new Session(socket, siteId, {
      versions,
      sxl,
      timeoutMs: settings.timeout,
      watchdogMs: settings.watchdog,
      messageBytesMax,
      place: `site ${siteId} at ${from}`,
      log: (level, text) => context.log(level, text),
      clockIsWrong: () => context.clockIsWrong?.() ?? false,
    });
    socket.on("data", (chunk: Buffer) => session.feed(chunk));
    expected.session = session;
    void this.#freeWhenGone(expected, session);
    return session;
  }

  async #freeWhenGone(expected: Expected, session: Session): Promise<void> {
    await session.gone;
    if (expected.session === session) expected.session = undefined;
  }

  async #open(settings: Settings): Promise<void> {
    const server = await this.#makeServer(settings);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        const code = error.code === "EADDRINUSE" ? "busy" : error.code === "EACCES" ? "denied" : "refused";
        reject(
          new DeviceError(code, `cannot listen on ${this.#place}: ${error.code ?? error.message}`, {
            cause: error,
          }),
        );
      });
      server.listen({ host: settings.host, port: settings.port }, () => resolve());
    });
    server.on("error", (error) => this.#log("warn", `${this.#place}: ${error.message}`));
    this.#server = server;
  }

  async #makeServer({ tls }: Settings): Promise<Server> {
    const accept = (socket: Socket) => this.#accept(socket);
    if (tls === undefined) return createServer({ noDelay: true, keepAlive: true }, accept);
    const { createServer: createTlsServer } = await import("node:tls");
    try {
      const server = createTlsServer({ ...certificatesOf(tls), handshakeTimeout: introductionMs }, accept);
      server.on("tlsClientError", (error, socket) =>
        this.#report(`TLS from ${socket.remoteAddress ?? "?"}`, `refuses a caller: ${error.message}`),
      );
      return server;
    } catch (error) {
      throw new DeviceError("denied", `${this.#place}: its certificate cannot be used: ${String(error)}`, {
        cause: error,
      });
    }
  }

  #close(): void {
    listeners.delete(this.#key);
    this.#server?.close();
    for (const socket of this.#strangers) socket.destroy();
    for (const { parked } of this.#expected.values()) {
      clearTimeout(parked?.timer);
      parked?.socket.destroy();
    }
  }

  /** A caller says who it is with its first packet, or is not listened to. */
  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    // A site says who it is at once: whoever has waited longest with it is the least likely to be one.
    const [slowest] = this.#strangers;
    if (slowest !== undefined && this.#strangers.size >= strangersMax) {
      this.#report("strangers", "has too many callers that do not say who they are");
      this.#strangers.delete(slowest);
      slowest.destroy();
    }
    this.#strangers.add(socket);
    const reader = new PacketReader(introductionBytesMax);
    const from = socket.remoteAddress ?? "?";
    const timer = setTimeout(() => this.#drop(socket, from, "says nothing"), introductionMs);
    timer.unref();
    socket.on("close", () => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
    });
    let first: Buffer | undefined;
    const rest: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => {
      if (first !== undefined) {
        rest.push(chunk);
        return;
      }
      try {
        reader.push(chunk, (packet) => {
          if (first === undefined) first = Buffer.from(packet);
          else rest.push(Buffer.concat([packet, Buffer.from("\f")]));
        });
        if (first === undefined) return;
        clearTimeout(timer);
        this.#strangers.delete(socket);
        const end = reader.rest();
        if (end.length > 0) rest.push(end);
        this.#introduce(socket, first, rest, from);
      } catch (error) {
        if (!(error instanceof PacketError)) throw error;
        this.#drop(socket, from, error.message);
      }
    });
  }

  #drop(socket: Socket, from: string, why: string): void {
    this.#report(from, `hangs up on ${from}: ${why}`);
    this.#strangers.delete(socket);
    socket.destroy();
  }

  #introduce(socket: Socket, packet: Buffer, rest: Buffer[], from: string): void {
    const message = parsePacket(packet);
    const found = typeOf(message);
    // Nothing but Version is acknowledged here, not even negatively.
    if (!("type" in found) || found.type !== "Version")
      return this.#drop(socket, from, "its first message is no Version");
    const version = readVersion(message);
    const id = idOf(message);
    if (id === undefined) return this.#drop(socket, from, "its Version has no mId, which cannot be answered");
    if ("rea" in version) return this.#reject(socket, id, version.rea, from);
    const named = version.siteIds.map((siteId) => this.#awaited(siteId)).filter((one) => one !== undefined);
    const [expected] = named;
    if (expected === undefined) return this.#refuseStranger(socket, version, from);
    const { session, settings } = expected;
    for (const other of named.slice(1)) {
      const text = `calls together with ${settings.siteId}: a connection can be of one device only, which is that one`;
      this.#report(`shared ${other.settings.siteId}`, `site ${other.settings.siteId} ${text}`);
    }
    if (session !== undefined) {
      // The one that is here stays, unless it turns out to be dead: the next call then finds the place free.
      session.probe(Math.min(settings.timeout, probeMsMax));
      return this.#reject(socket, version.id, `Site id [${settings.siteId}] is already connected`, from);
    }
    // A mismatch needs nobody to wait for the site; where somebody does, the session tells both.
    const { rea } = agree(version.versions, version.sxl, settings);
    if (rea !== undefined && expected.take === undefined) return this.#reject(socket, version.id, rea, from);
    this.#park(expected, { socket, version, rest });
  }

  #refuseStranger(socket: Socket, { id, siteIds }: VersionMessage, from: string): void {
    const ids = siteIds.join(",");
    const [first] = this.#expected.values();
    first?.context.stranger?.(
      ids,
      `no enabled device of the site file has this site id; it called ${this.#place} from ${from}`,
    );
    const cure = `enter one with "siteId: ${ids}", or correct the id at the site`;
    const told = `no enabled device of the site file has the site id ${ids}; ${cure}`;
    this.#reject(socket, id, `Site id [${ids}] is not known`, from, told);
  }

  #awaited(siteId: string): Expected | undefined {
    const expected = this.#expected.get(siteId);
    if (expected?.leftMs === undefined) return expected;
    if (performance.now() - expected.leftMs < Math.max(knownMsMin, graceMs(expected.settings)))
      return expected;
    this.#expected.delete(siteId);
    return undefined;
  }

  /** Hands the caller to whoever waits for it, or lets it wait for less long than it waits by itself. */
  #park(expected: Expected, call: Omit<Caller, "timer">): void {
    const { settings, parked } = expected;
    clearTimeout(parked?.timer);
    parked?.socket.destroy();
    const { socket } = call;
    const timer = setTimeout(
      () => socket.destroy(),
      Math.min(0.8 * settings.timeout, 2.5 * settings.reconnect),
    );
    timer.unref();
    const caller = { ...call, timer };
    if (expected.take !== undefined) {
      clearTimeout(timer);
      return expected.take(caller);
    }
    expected.parked = caller;
    let length = 0;
    socket.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > introductionBytesMax) socket.destroy();
    });
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(timer);
      if (expected.parked === caller) expected.parked = undefined;
    });
  }

  #reject(socket: Socket, id: string, rea: string, from: string, told = rea): void {
    this.#report(`${from} ${rea}`, `refuses ${from}: ${told}`);
    socket.end(packetOf({ mType: "rSMsg", type: "MessageNotAck", oMId: id, rea }));
    setTimeout(() => socket.destroy(), 1000).unref();
  }

  /** At most once in ten minutes for each cause. */
  #report(cause: string, text: string): void {
    const nowMs = performance.now();
    const before = this.#reported.get(cause);
    if (before !== undefined && nowMs - before < reportEveryMs) return;
    if (before === undefined && this.#reported.size >= reportedMax) {
      const [oldest, atMs] = [...this.#reported][0]!;
      if (nowMs - atMs < reportEveryMs) return;
      this.#reported.delete(oldest);
    }
    this.#reported.delete(cause);
    this.#reported.set(cause, nowMs);
    this.#log("warn", `${this.#place} ${text}`);
  }

  #log(level: "warn", text: string): void {
    const [first] = this.#expected.values();
    first?.context.log(level, text);
  }
}
