/**
 * The driver contract: all that a driver may import.
 *
 * The framework owns time; the driver owns bytes. The host decides when to connect, identify and read, when to
 * give up and when to try again. A driver turns one call into the protocol's bytes and the answer into values.
 *
 * Rules that the contract suite checks for every driver:
 *
 * 1. Calls on one connection never overlap, and calls on connections that share a `line` never overlap either.
 *    A driver needs no lock of its own.
 * 2. Each call gives up when its signal aborts: it rejects with `DeviceError("aborted")` within 50 ms, and what
 *    arrives afterwards for that call is never taken as the answer to another one.
 * 3. A point that the device refuses is a `bad` reading with a code; the other points of the call are still
 *    answered. A device that is lost (silent, refused, hung up, talking garbage) throws a `DeviceError`.
 * 4. A driver never retries, schedules, scales, renames or logs per reading. It never starts a timer that
 *    outlives a call, but for what its protocol demands of an open connection (a keep-alive). Where the device is
 *    the one that calls, its port may stay open for a bounded while after the last `close`, so that the device
 *    finds it between two tries; that keeps no process alive.
 * 5. `close` is safe twice, after a failure and during a call (which then rejects with "closed"). It settles
 *    within a second even when the peer does not answer.
 * 6. Nothing that a device sends may throw anything but a `DeviceError` or grow memory without a bound.
 * 7. `subscribe`, where a driver has it, runs beside the other calls from the connection's first moment to its
 *    last. It settles within 50 ms of its signal, and rejects with the `DeviceError` that ends the connection. What
 *    the device pushes is handed on once: a driver keeps nothing to send it again.
 *
 * A driver folder holds `settings.ts` (the zod schemas `settings` and `address`, read by the configuration check
 * in the supervisor) and `index.ts` (`export const driver: Driver`, loaded in the driver's own child process, and
 * only when a device uses it). The host receives settings and addresses that have already been parsed. It may hold
 * `discover.ts` (see `Discovery`) and `diagnose.ts` (see `Diagnosis`).
 */

import type { Duplex } from "node:stream";
import type { TlsOptions } from "node:tls";
import type {
  Look,
  Range,
  LineToSearch,
  Fit,
  Facts,
  DevicePlace,
  Failure,
  SeenValue,
} from "./driver-terms.ts";

export type {
  Look,
  Range,
  LineToSearch,
  Fit,
  Reached,
  Reach,
  Facts,
  Rung,
  DevicePlace,
  Failure,
  SeenValue,
} from "./driver-terms.ts";
export { tlsFacts } from "./driver-terms.ts";

/** A value as the protocol carries it, before scaling. `bigint` only for 64-bit integers beyond 2^53. */
export type Value = number | bigint | boolean | string;

export type QualityStatus = "good" | "uncertain" | "bad";

/**
 * One sample of one point with everything the device said about it. `value` is null if and only if the status is
 * "bad". `code` is the protocol's own code ("modbus-2", "BadNotReadable"), `reason` its text.
 */
export interface Reading {
  value: Value | null;
  status: QualityStatus;
  code?: string;
  reason?: string;
  /** The device's own time of the sample, ms since 1970 UTC, where the protocol carries one. */
  sourceTimeMs?: number;
  /** true: told late, from the device's memory: it was so at `sourceTimeMs` and says nothing of now. */
  past?: boolean;
  /** The bytes on the wire that made the value; only when `ReadOptions.raw` asked for them. */
  raw?: Uint8Array;
}

/** A bare value is short for a good reading taken now. */
export type Answer = Value | Reading;

/** A point as the driver sees it: which address, and nothing of what it means. */
export interface PointRequest<Address> {
  readonly name: string;
  readonly address: Address;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Ask for `Reading.raw` on every answer (the technician's `kerb read --raw`). */
  readonly raw?: boolean;
}

/**
 * The answers of one `read`: `answers[i]` belongs to `points[i]`. `atMs[i]` (optional) is `performance.now()` at
 * the arrival of answer i, for a read that took several requests; without it all are stamped when `read` settles.
 */
export interface ReadResult {
  answers: Answer[];
  atMs?: number[];
}

/** What a device says of itself. Unknown fields are absent, never empty. */
export interface Identity {
  vendor?: string;
  model?: string;
  firmware?: string;
  serial?: string;
  /** Anything else the protocol offers, by its own name ("VendorUrl", "sysDescr"). */
  more?: Record<string, string>;
}

/**
 * Values that a device tells together and that leave as one event of their own: a weighing, a plate, an alarm.
 * `address` says where the record comes from (a topic, a frame, an event type), each field's where in it.
 */
export interface RecordRequest<Address> extends PointRequest<Address> {
  readonly fields: readonly PointRequest<Address>[];
}

/** How a record stands to the state that it tells of; a plain occurrence has no state. */
export type RecordPhase = "occurred" | "initial" | "changed" | "deleted";

/** Where pushed values go. No method throws, or waits but for `held`; indexes are positions in the subscription's lists. */
export interface Sink {
  /** The device itself has given a sign of life: data, a keep-alive. Values that are not bad are one as well. */
  alive(): void;
  /**
   * Values that came together; each may carry its own `sourceTimeMs`. `isOld`: somebody had kept them for us (a
   * broker's retained message), so that they are no sign of life.
   */
  readings(values: readonly { index: number; answer: Answer }[], about?: { isOld?: boolean }): void;
  /**
   * One record; `answers[i]` belongs to field i, undefined where the device left it out. `instance`: of which of
   * several alike it tells, by the protocol, beside the fields that the profile marks so.
   */
  record(
    index: number,
    answers: readonly (Answer | undefined)[],
    about?: {
      phase?: RecordPhase;
      sourceTimeMs?: number;
      isOld?: boolean;
      past?: boolean;
      instance?: string;
    },
  ): void;
  /** The device will not push this point: it is polled from now on. */
  poll(index: number): void;
  /**
   * For a device that forgets what it was told is taken: called right after what a message brought was handed on,
   * true when that is on disk, false when some of it was dropped instead. Absent where nothing is kept. It may take
   * a second, and does not settle while the disk takes nothing; `isPressing`: more can only come after it.
   */
  held?(isPressing?: boolean): Promise<boolean>;
}

/** What to push, and where to. */
export interface Subscription<Address> {
  readonly points: readonly PointRequest<Address>[];
  readonly records: readonly RecordRequest<Address>[];
  readonly sink: Sink;
  readonly signal: AbortSignal;
  /** Ask for `Reading.raw` on every answer, as `ReadOptions.raw` does. */
  readonly raw?: boolean;
}

/** A still picture of a device, in memory only. */
export interface Snapshot {
  /** Media type as the device says it: "image/jpeg". */
  type: string;
  bytes: Uint8Array;
}

/** Where to begin listing what a device has, and when to stop. */
export interface BrowseRequest {
  /** In the words of the protocol's addresses ("i=85", "1.3.6.1.2.1"); undefined: where it is worth beginning. */
  readonly under?: string;
  /** Most entries, and most levels below the beginning. */
  readonly entriesMax: number;
  readonly depthMax: number;
  /** `performance.now()` at which nothing further is asked for. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

/** One way to read a value where the protocol does not say how; `why` in a few English words. */
export interface Guess {
  address: Record<string, unknown>;
  type: string;
  answer: Answer;
  why?: string;
}

/** One thing that a device has and that a profile could name. Texts are the device's own, at most 1000 characters. */
export interface Browsed {
  what: "value" | "command" | "record";
  /** The very words of a profile's `address`, not parsed; absent where these cannot name it (`more.why` says why). */
  address?: Record<string, unknown>;
  /** Settings that the address needs and this device has not. */
  settings?: Record<string, unknown>;
  /** Other words for the same thing, such as those that hold for each device of the model. */
  also?: readonly Pick<Browsed, "address" | "settings">[];
  /** Its names, from below the beginning down to it. */
  path: readonly string[];
  label?: string;
  description?: string;
  /** The protocol's own word: "Double", "Int32[4]", "OctetString". */
  type?: string;
  /** Of a command: "write" where it may be given. Absent: the device does not say. */
  access?: "none" | "read" | "write" | "read-write";
  /** As the device writes it, and its UCUM code where the protocol has codes for units. */
  unit?: { text: string; ucum?: string };
  range?: readonly [low: number, high: number];
  /** What numbers stand for. */
  values?: Record<string, string>;
  /** The value now, as `read` would answer it. */
  answer?: Answer;
  /** The protocol does not say how it is read: the likeliest way first, of which the entry has `address` and `type`. */
  guesses?: readonly Guess[];
  /** It was another one each time that it was read during the listing. */
  changes?: boolean;
  /** Of a record: what it carries. */
  fields?: readonly Browsed[];
  more?: Record<string, string>;
}

/**
 * What a listing has left out. "limit" "depth" "time": as asked for; "bound": the driver's own; "refused": by the
 * device; "standard": what all devices have; "elsewhere": on another device; "empty": holds nothing; "unasked": where
 * hardly any device has something. `entries` are those that were seen, `branches` those that were not looked into.
 */
export interface LeftOut {
  left: "limit" | "depth" | "time" | "bound" | "refused" | "standard" | "elsewhere" | "empty" | "unasked";
  entries?: number;
  branches?: number;
  /** Where, in words that `under` takes. */
  place?: string;
  reason?: string;
}

/** One open device. See the rules at the head of this file. */
export interface Connection<Address> {
  /** Asks the device who it is; rejects with `DeviceError("unsupported")` if it has no way to say. */
  identify(signal: AbortSignal): Promise<Identity>;
  /**
   * Reads `points` in the fewest requests. The same array object means the same plan, so that a driver may keep
   * its plan in a WeakMap. A device that only pushes rejects with `DeviceError("unsupported")`.
   */
  read(points: readonly PointRequest<Address>[], options: ReadOptions): Promise<ReadResult>;
  close(): Promise<void>;
  /** Devices that push: hands on what they say until the signal aborts (resolves) or they are lost (rejects). */
  subscribe?(subscription: Subscription<Address>): Promise<void>;
  /** Devices that see: one picture as it is now. Runs beside the other calls, like `subscribe`; nothing is kept. */
  snapshot?(signal: AbortSignal): Promise<Snapshot>;
  /**
   * Devices that can be asked what they have: lists it, and in the end what was left out. Reads only, asks no more
   * at once than the device takes, follows no circle, and lets go of what the device keeps for it however it ends.
   * Rejects with "rejected" where `under` is nothing that the device has.
   */
  browse?(request: BrowseRequest): AsyncIterable<Browsed | LeftOut>;
  /** Devices that act: resolves when the device has accepted the value. */
  write?(point: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void>;
}

export interface DriverContext {
  readonly deviceId: string;
  /** A folder of the driver's own, to keep keys in; it may not exist yet. undefined: nothing can be kept. */
  readonly folder?: string;
  /** This is the gateway itself, of which there is one, and no passing tool: it may go by a name that is kept. */
  readonly resident?: boolean;
  /** At most a few lines per state change; the host limits the rate. */
  log(level: "debug" | "info" | "warn", text: string): void;
  /**
   * A caller was refused because no device of the site file may be it: what it calls itself, and why. The host
   * counts each one and bounds what is told of them, so that a driver may report every call.
   */
  stranger?(who: string, why: string): void;
  /** True while the box's own clock is known to be wrong: a driver must not set a device's clock by it. */
  clockIsWrong?(): boolean;
}

export interface Driver<Settings, Address> {
  /** Equal to the folder's name and to `driver:` in the configuration. */
  readonly name: string;
  /**
   * Devices whose settings give the same text share a wire (an RS-485 pair, one RTU-over-TCP converter) and are
   * read one at a time; undefined = a wire of its own.
   */
  line?(settings: Settings): string | undefined;
  /** Opens one device. Rejects with a `DeviceError` and leaves nothing behind when it fails or is aborted. */
  connect(settings: Settings, context: DriverContext, signal: AbortSignal): Promise<Connection<Address>>;
  /** What the address looks like to a technician: "holding 40011 uint16". */
  describe(address: Address): string;
}

/** Somebody who answers. Texts are the device's own, and bounded. */
export interface Found {
  /** Where, for people: "192.168.1.9:502 unit 3". */
  place: string;
  /** The settings by which it is told from its neighbours, in the words of a site file: host, port, unit. */
  at: Record<string, unknown>;
  /** Further settings that it is reached with, where they are not the defaults. */
  settings?: Record<string, unknown>;
  identity: Identity;
  /** The keys of settings, mostly of a login, that a person must add before it says more. */
  needs?: readonly string[];
  /** What it said by itself, for `Discovery.fit`; it is kept nowhere. */
  heard?: readonly (Uint8Array | string)[];
}

/** A broker, and the settings of its login. */
export interface BrokerToHear extends WirePlace {
  readonly isSecure: boolean;
  readonly username?: string;
  readonly password?: string;
}

/**
 * How devices of a protocol are found: `drivers/<name>/discover.ts` may export `discovery`, loaded by who looks for
 * devices and by no host. Every look only reads, asks one thing at a time, contacts nobody but the place that it is
 * given whatever a device names, and yields what it finds at once. One that finds nobody yields nothing; it rejects
 * with the `DeviceError` by which the place itself could not be looked at.
 */
export interface Discovery {
  /** TCP ports on which such devices wait, and UDP ports, on which nobody can be seen to. */
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
  /** Who asks first at a port of which nothing is known: those that say least, and what disturbs nobody. */
  readonly turn: number;
  /** One port of one machine. */
  atPort?(place: WirePlace, look: Look): AsyncIterable<Found>;
  /** Those who answer a call to all or call by themselves within `forMs`, from these addresses. */
  onNetwork?(range: Range, look: Look): AsyncIterable<Found>;
  onLine?(line: LineToSearch, look: Look): AsyncIterable<Found>;
  atBroker?(broker: BrokerToHear, look: Look): AsyncIterable<Found>;
  /** How much of what was heard is as a profile has it; undefined: nothing can be said. */
  fit?(found: Found, profile: { settings: unknown; addresses: readonly unknown[] }): Fit | undefined;
}

/** Who wants to know more of a device that has failed. */
export interface Inquiry<Settings> {
  readonly failure: Failure;
  /** Settings of other devices of this driver that the site has. */
  readonly others: readonly Settings[];
  /** Longest wait for one answer, ms; absent: as the driver thinks best. */
  readonly askMs?: number | undefined;
  /**
   * How long a serial line may be searched with other settings than the site file's, ms: nobody else is read there.
   * Absent: not at all.
   */
  readonly searchMs?: number | undefined;
  readonly context: DriverContext;
  readonly signal: AbortSignal;
}

/**
 * What a driver can tell of why a device fails, for `kerb why`: `drivers/<name>/diagnose.ts` exports it as
 * `diagnosis`. A fact "rung" says which rung it was, where the error's code alone does not.
 */
export interface Diagnosis<Settings> {
  place(settings: Settings): DevicePlace;
  /** What one of its errors says beyond its code. */
  facts(failure: Failure, settings: Settings): Facts;
  /** Looks further at a device that has failed: read-only, at most a few questions, each bounded. Never rejects. */
  look?(settings: Settings, inquiry: Inquiry<Settings>): Promise<Facts>;
  /** What the newest values of a device that answers say of how it is. */
  healthy?(readings: readonly SeenValue[], settings: Settings): Facts;
}

/** A place on this machine that stands in for a device's own. */
export interface WirePlace {
  readonly host: string;
  readonly port: number;
}

/** Who keeps what driver and device say to each other, told by the driver itself. */
export interface WireEar {
  /** Behind each question comes its answer; an answer without one came by itself. */
  said(from: "kerb" | "device", message: Uint8Array): void;
  /** A text by which this one device is known. */
  named(text: string): void;
  /** Something could not be told; what it was, in the plural. */
  left(what: string): void;
}

/**
 * By what bytes a device of these settings is reached, for who stands between driver and device (`kerb record`):
 * `settings.ts` may export `wire(settings): Wire`. `moved` gives the settings that lead to another place, over TCP
 * where it was a serial port, and in clear where it was TLS; `cannot`: these bytes cannot be kept, and why; `cure`:
 * what to do instead.
 */
export type Wire<Settings> =
  | {
      /** mqtt: what is published, whatever numbers the packets have. */
      over: "tcp" | "udp" | "mqtt";
      host: string;
      port: number;
      moved(place: WirePlace): Settings;
      /** Where it is TLS: connects as the driver does, and gives what is said inside. Rejects with a `DeviceError`. */
      reach?(): Promise<Duplex>;
      /** Settings as a site file has them that stand for those of TLS in what is recorded; undefined: left out. */
      instead?: Record<string, unknown>;
    }
  | {
      /** The device calls; what is said are JSON objects, each ended by a form feed. */
      over: "calls";
      host: string;
      port: number;
      moved(place: WirePlace): Settings;
      /** Is it this device that begins so? undefined: more of it must be heard. */
      isOurs(begin: Uint8Array): boolean | undefined;
      /** Where it is TLS: who kerb is, with the contents of its files. Throws where one cannot be used. */
      secured?(): TlsOptions;
      instead?: Record<string, unknown>;
    }
  | {
      /** What is asked and answered inside a session, whatever protects it; `moved`: in clear, with no login. */
      over: "opcua";
      host: string;
      port: number;
      moved(place: WirePlace): Settings;
      /** What this process says to the device from now on, until what it gives is called. */
      overhear(ear: WireEar): Promise<() => void>;
      instead: Record<string, unknown>;
    }
  | {
      over: "serial";
      path: string;
      baud: number;
      parity: "none" | "even" | "odd";
      dataBits: 7 | 8;
      stopBits: 1 | 2;
      moved(place: WirePlace): Settings;
    }
  | { over: "none"; cannot: { en: string; vi: string }; cure?: { en: string; vi: string } };

/**
 * Why a device is lost or a call failed. The codes are kerb's own (`gateway/errors.ts` has the texts in English
 * and Vietnamese); the protocol's detail goes into `message`.
 */
export type DeviceErrorCode =
  | "aborted" // the caller's signal
  | "closed" // the connection was closed by us
  | "refused" // nothing listens at the address, or the port does not exist
  | "unreachable" // no route, no such host
  | "silent" // no answer in time
  | "hung-up" // the peer closed or reset the connection
  | "garbage" // bytes that are not the protocol, or a frame that breaks it
  | "busy" // the port or the device is taken by someone else
  | "denied" // login or certificate refused
  | "unsupported" // the device or the driver cannot do this
  | "rejected"; // the device understood and said no (a write, a method)

export class DeviceError extends Error {
  readonly code: DeviceErrorCode;
  constructor(code: DeviceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DeviceError";
    this.code = code;
  }
}

const socketCodes: Readonly<Record<string, DeviceErrorCode>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "hung-up",
  EPIPE: "hung-up",
  ETIMEDOUT: "silent",
  EHOSTUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
};

/**
 * What an error of a Node socket (connect, DNS, read, write) says of the device, by its `code`; where several
 * addresses were tried, by the first. undefined: nothing of the network, so the driver must say what it means.
 */
export function socketErrorCode(error: Error & { code?: unknown }): DeviceErrorCode | undefined {
  const [first] = error instanceof AggregateError ? (error.errors as { code?: unknown }[]) : [];
  const code = error.code ?? first?.code;
  return typeof code === "string" && Object.hasOwn(socketCodes, code) ? socketCodes[code] : undefined;
}
