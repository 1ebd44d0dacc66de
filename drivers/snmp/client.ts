import snmp, { type Session, type SnmpUser, type Varbind } from "net-snmp";
import { DeviceError } from "../../gateway/driver.ts";
import { aborted, closed, EngineLost, genErr, notWritable, Refusal } from "./errors.ts";
import { readHeader } from "./header.ts";
import { Peer } from "./peer.ts";
import type { Settings } from "./settings.ts";
import { exceptionOf } from "./values.ts";

/** Keys of SNMPv3 that net-snmp keeps: one for each password and engine. */
const keysMax = 500;
/** One request of v3 may need two more messages: discovery of the engine, and its time. */
const messagesMax = 3;
const reportPdu = 0xa8;

/** The user of SNMPv3 as net-snmp names its parts. */
export function userOf({ security }: Pick<Settings, "security">): SnmpUser | undefined {
  if (security === undefined) return undefined;
  const { user: name, auth, authPassword, priv, privPassword } = security;
  const level = priv !== undefined ? "authPriv" : auth !== undefined ? "authNoPriv" : "noAuthNoPriv";
  return {
    name,
    level: snmp.SecurityLevel[level] ?? 1,
    ...(auth === undefined
      ? {}
      : { authProtocol: snmp.AuthProtocols[auth] ?? "", authKey: authPassword ?? "" }),
    ...(priv === undefined
      ? {}
      : { privProtocol: snmp.PrivProtocols[priv] ?? "", privKey: privPassword ?? "" }),
  };
}

/** Flags that each message of this user must carry. */
export function flagsOf({ security }: Pick<Settings, "security">): number {
  return (security?.auth === undefined ? 0 : 1) | (security?.priv === undefined ? 0 : 2);
}

/** A strange device may name ever new engines: their keys are forgotten. */
export function boundKeys(): void {
  const { authToKeyCache: keys } = snmp.Authentication;
  const names = Object.keys(keys);
  if (names.length > keysMax) for (const name of names) delete keys[name];
}

type Ask<T> = (session: Session, done: (error: Error | null, answer?: T) => void) => void;

/** Requests to one device, one at a time; none is sent twice. */
export class Client {
  readonly place: string;
  readonly timeoutMs: number;
  readonly peer: Peer;
  readonly #settings: Settings;
  #session: Session;
  /** Ends the request that is waited for. */
  #fail: ((error: Error) => void) | undefined;
  #strayBytes = 0;
  /** What the newest message of the device was, where it is not encrypted: reports are not. */
  #lastType: number | undefined;
  #isClosed = false;

  constructor(peer: Peer, settings: Settings, place: string) {
    this.peer = peer;
    this.place = place;
    this.#settings = settings;
    this.timeoutMs = settings.timeout;
    this.#session = this.#open();
    peer.onRefused = (code) => this.#fail?.(this.#refused(code));
    peer.admit = (bytes) => this.#isAdmitted(bytes);
  }

  #open(): Session {
    const { version, community, security, timeout } = this.#settings;
    // Several sessions may follow each other on one socket.
    this.peer.removeAllListeners();
    const options = {
      retries: 0,
      timeout,
      dgramModule: { createSocket: () => this.peer },
      context: security?.context ?? "",
    };
    const user = userOf(this.#settings);
    boundKeys();
    const session =
      user === undefined
        ? snmp.createSession("", community, {
            ...options,
            version: version === "1" ? snmp.Version1 : snmp.Version2c,
          })
        : snmp.createV3Session("", user, options);
    session.on("error", () => (this.#strayBytes += 1));
    return session;
  }

  /** Answers the objects in the order of the request. Throws `Refusal` or `DeviceError`. */
  get(oids: readonly string[], signal: AbortSignal): Promise<Varbind[]> {
    return this.#run(signal, (session, done) => session.get([...oids], done));
  }

  next(oid: string, signal: AbortSignal): Promise<Varbind[]> {
    return this.#run(signal, (session, done) => session.getNext([oid], done));
  }

  /** Objects behind this one; v1 has no GETBULK and answers one. */
  async following(oid: string, count: number, signal: AbortSignal): Promise<Varbind[]> {
    if (this.#settings.version === "1" || count === 1) return this.next(oid, signal);
    const columns = await this.#run<Varbind[][]>(signal, (session, done) =>
      session.getBulk([oid], 0, count, done),
    );
    return columns.flat();
  }

  async set(varbind: Varbind, signal: AbortSignal): Promise<void> {
    const { community, writeCommunity = community } = this.#settings;
    this.#session.community = writeCommunity;
    try {
      const answer = await this.#run<Varbind[]>(
        signal,
        (session, done) => session.set([varbind], done),
        true,
      );
      // Some agents answer without an error, and with noSuchInstance in place of the value.
      const [exception] = answer.flatMap((one) => exceptionOf(one)?.code ?? []);
      if (exception !== undefined && exception !== "no-value") throw new Refusal(notWritable, varbind.oid);
    } finally {
      this.#session.community = community;
    }
  }

  /** One request; after the loss of the engine it is asked once more, unless it may have been carried out. */
  async #run<T>(signal: AbortSignal, ask: Ask<T>, isWrite = false): Promise<T> {
    try {
      return await this.#once(signal, ask);
    } catch (error) {
      if (!(error instanceof EngineLost) || (isWrite && !error.isUndone)) throw error;
      return this.#once(signal, ask);
    }
  }

  async #once<T>(signal: AbortSignal, ask: Ask<T>): Promise<T> {
    if (this.#isClosed) throw closed(this.place);
    if (signal.aborted) throw aborted(this.place);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#strayBytes = 0;
    this.#fail = reject;
    const giveUp = (): void => reject(aborted(this.place));
    signal.addEventListener("abort", giveUp, { once: true });
    // net-snmp has a timer for each message; this one is for all that one request may need.
    const timer = setTimeout(() => reject(this.#silent()), messagesMax * this.timeoutMs + 100);
    const session = this.#session;
    try {
      ask(session, (error, answer) => {
        if (error !== null || answer === undefined) reject(error ?? new Error("an empty answer"));
        else resolve(answer);
      });
      return await promise;
    } catch (error) {
      throw this.#explained(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      this.#fail = undefined;
      session.cancelRequests(new Error("given up"));
    }
  }

  /** An answer that is less protected than the user is no answer; only a report may be. */
  #isAdmitted(bytes: Buffer): boolean {
    const header = readHeader(bytes);
    if (header === undefined) {
      this.#strayBytes += bytes.length;
      return false;
    }
    this.#lastType = header.pduType;
    if (header.version !== 3 || header.pduType === reportPdu) return true;
    const wanted = flagsOf(this.#settings);
    return (header.flags & wanted) === wanted;
  }

  #explained(error: unknown): unknown {
    if (error instanceof DeviceError) return error;
    const { name, message, status, code } = error as Error & { status?: unknown; code?: number };
    // A status that net-snmp does not know comes as a text.
    if (name === "RequestFailedError" && status !== undefined)
      return new Refusal(typeof status === "number" ? status : genErr, /: ([\d.]+)$/.exec(message)?.[1]);
    if (name === "RequestTimedOutError") return this.#silent();
    if (name === "ResponseInvalidError") return this.#invalid(message, code);
    return new DeviceError("garbage", `${this.place}: ${message}`, { cause: error });
  }

  #invalid(message: string, code: number | undefined): DeviceError {
    const { EAuthFailure, ECommunityNoMatch, ENotInTimeWindow } = snmp.ResponseInvalidCode;
    // net-snmp's own words hold both communities, and they are secrets.
    if (code === ECommunityNoMatch)
      return new DeviceError("garbage", `${this.place}: answers with another community`);
    if (code === ENotInTimeWindow || message === "Not In Time Window") {
      // Its notion of time leads nowhere any more: the next request finds the engine anew.
      this.#session = this.#open();
      const what = `${this.place}: the device's SNMPv3 clock has jumped`;
      return new EngineLost("denied", what, this.#lastType === reportPdu);
    }
    // A report says why; a digest that is not ours was made with another password.
    const reason = message.startsWith("Authentication digest") ? "wrong digest" : message.split(" (")[0];
    if (code === EAuthFailure && message !== "Unknown Engine ID")
      return new DeviceError("denied", `${this.place}: SNMPv3 says "${reason}"`);
    return new DeviceError("garbage", `${this.place}: ${message.slice(0, 120)}`);
  }

  #silent(): DeviceError {
    const within = `${this.place}: no answer within ${this.timeoutMs} ms`;
    return this.#strayBytes > 0
      ? new DeviceError("garbage", `${within}, only datagrams that are no SNMP`)
      : new DeviceError("silent", within);
  }

  #refused(code: string): DeviceError {
    if (code === "ECONNREFUSED") return new DeviceError("refused", `${this.place}: nothing listens there`);
    return new DeviceError("unreachable", `${this.place}: ${code}`);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fail?.(closed(this.place));
    this.peer.close();
  }
}
