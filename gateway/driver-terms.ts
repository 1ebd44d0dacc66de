/**
 * What finding a device and asking why it fails are told in: words of the contract that need nothing else of it.
 * Drivers import them from `driver.ts`.
 */

/** How far a look may go; it gives up like every call when its signal aborts. */
export interface Look {
  readonly signal: AbortSignal;
  /** How long those are heard who speak by themselves, ms. */
  readonly forMs: number;
  /** Units on a line; not given: the driver's own choice. */
  readonly units?: readonly number[];
  /** What is being done now, for people who wait: "9600-8N1 unit 12". */
  readonly tell: (text: string) => void;
}

/** Addresses that may be contacted, and the addresses of this machine from which they are. */
export interface Range {
  readonly has: (address: string) => boolean;
  readonly own: readonly string[];
  /** The port at which devices call, if not the protocol's own. */
  readonly port?: number;
  /** There the running gateway itself is called. */
  readonly isTaken: (port: number) => boolean;
}

/** A serial port; each that is given is tried alone, else those that are usual. */
export interface LineToSearch {
  readonly port: string;
  readonly bauds?: readonly number[];
  readonly parities?: readonly ("none" | "even" | "odd")[];
}

/** So many of so many. */
export interface Fit {
  fits: number;
  of: number;
}

/** Where a device is and how it is logged into, as a person types it: `host` or `line`, a serial port. */
export interface Reached {
  readonly host?: string;
  readonly port?: number;
  readonly line?: string;
  readonly unit?: number;
  readonly user?: string;
  readonly password?: string;
}

/**
 * `settings.ts` may export `reached`: the settings of a device at such a place, in the words of a site file. What is
 * undefined is left out; without it they are `host` and `port`.
 */
export type Reach = (to: Reached) => Record<string, unknown>;

/** What was seen, as plain values by name ("modbus.exception"); texts are the device's or the driver's own words. */
export type Facts = Record<string, string | number | boolean>;

/** How far a device was reached: the rungs of `kerb why`, in this order. */
export type Rung = "network" | "port" | "line" | "protocol" | "login" | "identity" | "values" | "upstream";

/**
 * Where a device is reached: devices behind one place fail together. `shared`: several devices live there behind one
 * wire or one broker. "calls": the device calls kerb, which listens there. `unit`: which of several it is.
 */
export type DevicePlace =
  | {
      readonly over: "tcp" | "udp";
      readonly host: string;
      readonly port: number;
      readonly shared?: "line" | "broker";
      readonly unit?: string;
    }
  | { readonly over: "serial"; readonly path: string; readonly line: string; readonly unit?: string }
  | { readonly over: "calls"; readonly host: string; readonly port: number; readonly unit?: string };

/** How a device was lost: by the driver's own call, or as the running gateway tells it. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** One value as people see it; `address` in the words of `describe`. */
export interface SeenValue {
  readonly point: string;
  readonly address: string;
  readonly value: string | number | boolean | null;
}

const tlsWords: readonly [pattern: RegExp, fact: string][] = [
  [/EXPIRED|has expired/i, "expired"],
  [/NOT_YET_VALID|not yet valid/i, "not-yet-valid"],
  [/ALTNAME|altnames/i, "other-name"],
  [/\bpinned\b/i, "other-certificate"],
  [/wrong version number|packet length too long|record layer|no TLS\b/i, "no-tls"],
  [/not trusted|SELF_SIGNED|self.signed|UNABLE_TO_|unable to (get|verify)/i, "untrusted"],
  [/\balert\b|handshake failure|certificate required|ended the TLS/i, "rejected"],
];

/** What a sentence about TLS says, as the fact "tls"; the first that fits. No fact: nothing of TLS in it. */
export function tlsFacts(message: string): Facts {
  const found = tlsWords.find(([pattern]) => pattern.test(message))?.[1];
  return found === undefined ? {} : { tls: found, rung: found === "no-tls" ? "protocol" : "login" };
}
