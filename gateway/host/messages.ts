import type { ClockDoubt } from "../clock.ts";
import type { Identity, QualityStatus } from "../driver.ts";
import type { DurationCounts } from "../durations.ts";
import type { ReadingValue } from "../event.ts";
import type { AlarmDefinition, Point, RecordDefinition } from "../profiles/profiles.ts";
import type { SnapshotRule } from "../snapshots.ts";
import type { ToldError } from "../told-error.ts";

/**
 * A point as the host needs it: the profile's, with its dictionary index, counted from its device's `firstIndex`.
 * Points that are read only to make others have index -1.
 */
export interface HostPoint extends Omit<
  Point,
  "address" | "label" | "texts" | "source" | "certainty" | "write"
> {
  address: unknown;
  index: number;
  /** It may be written: while each of `interlock` is so, and seen to be done at `readBack` or at itself. */
  write?: Pick<NonNullable<Point["write"]>, "interlock" | "readBack"> | undefined;
}

/** Where the profile says that a device tells who it is. */
export interface IdentifyRules {
  standard: boolean;
  vendor?: unknown;
  model?: unknown;
  firmware?: unknown;
  serial?: unknown;
  expect: { address: unknown; equals: number | string | boolean }[];
}

/** A record with the addresses parsed. */
export type HostRecord = Omit<RecordDefinition, "label">;

export interface HostDevice {
  id: string;
  index: number;
  settings: Record<string, unknown>;
  identify: IdentifyRules | undefined;
  firmwareRange: string;
  /** The serial number of the only unit that may be written to; absent: of the one that was there first. */
  serial?: string;
  /** How often the device is asked again who it is, ms. */
  identifyMs?: number;
  pollMs: Record<"fast" | "normal" | "slow", number>;
  points: HostPoint[];
  records: HostRecord[];
  /** Absent: none. */
  alarms?: AlarmDefinition[];
  /** A person at the device has taken over while this point has this value. */
  localOverride?: { point: string; when: number | string | boolean };
  /** A device that pushes and says nothing for this long is lost, ms; 0 = its silence means nothing. */
  silenceMs: number;
  /** What leaves of the fields of records that hold personal data. */
  personalData: { how: "drop" } | { how: "clear"; legalBasis: string } | { how: "token"; key: string };
  /** Which of its records come with a picture; absent: none. */
  snapshots?: SnapshotRule;
  /** Dictionary index from which those of the points count; 0 when absent. Equal devices have equal points by it. */
  firstIndex?: number;
}

/**
 * starting: not tried yet · listening: nothing has been heard of it yet · online: answers · lost: does not ·
 * wrong-device: something else answers at its address · quarantined: not run for a while, because its host has
 * ended three times while its code ran.
 */
export type DeviceState = "starting" | "listening" | "online" | "lost" | "wrong-device" | "quarantined";

/**
 * Why a device must not be written to: firmware-unknown: outside the profile's range · firmware-untold: the range
 * ends somewhere and the device does not say its firmware · other-unit: not the unit that was there first, or that
 * the site file names · unit-untold: it was known and does not say it any more · unit-unreadable: what was known is
 * lost.
 */
export interface Unwritable {
  code: "firmware-unknown" | "firmware-untold" | "other-unit" | "unit-untold" | "unit-unreadable";
  reason: string;
}

/** What `kerb identify` asks of a host. */
export interface Identified {
  identity: Identity;
  writable: boolean;
  unwritable?: Unwritable;
}

export interface DeviceReport {
  id: string;
  state: DeviceState;
  code?: string;
  reason?: string;
  sinceMs: number;
  lastGoodMs?: number;
  identity?: Identity;
  /** Nothing of what the device says of itself speaks against a write; whoever writes asks this first. */
  writable: boolean;
  /** Why not; absent also while the device has not been asked yet. */
  unwritable?: Unwritable;
  /** How it shows that a person operates it on site, while one does. */
  override?: string;
  /** Polls that were due and have had their outcome: answered + failed + missed. */
  polls: number;
  /** Polls that brought readings. */
  answered: number;
  /** Polls that did not, also where a repeat on a new connection did. */
  failed: number;
  /** Polls that came due while another was still running or the device was not connected. */
  missed: number;
  lastReadMs: number;
  /** How long the polls took that were answered. */
  reads: DurationCounts;
}

/** The newest value of a point, for people: `kerb status`, `read`, the demo. */
export interface LatestReading {
  point: string;
  value: ReadingValue;
  unit: string;
  /** Digits after the point that the device resolves. */
  decimals: number;
  status: QualityStatus;
  code?: string;
  reason?: string;
  timeMs: number;
  address: string;
  rawHex?: string;
  /** The device pushes this point and has not told it yet: there is no value and no time. */
  unheard?: true;
}

/** Supervisor → host. */
export type ToHost =
  | {
      type: "start";
      driver: string;
      /** The driver's own, under the state folder. */
      folder?: string;
      /** As `packDevices` writes them. */
      devices: string;
      /** Dictionary index of the gateway itself. */
      gatewayIndex: number;
      /** What is known against the clock, which a process that starts later cannot see. */
      clock: ClockDoubt;
      /** Dictionary indexes of the devices that are not to be run until `release`. */
      held: number[];
      /** Note which device's code runs. */
      watchClosely: boolean;
      /** Length of the periods for which polls are counted. */
      sealEveryMs: number;
      creditBytes: number;
      ringBytesMax: number;
    }
  | { type: "credit"; bytes: number; dropped: boolean }
  | { type: "release"; device: number }
  | { type: "watch"; closely: boolean }
  | { type: "request"; id: number; request: HostRequest }
  | { type: "stop" };

/** Devices that are stopped (ids), started (as `packDevices` writes them) and paced while the others go on. */
export interface HostChange {
  name: "change";
  stop: string[];
  start: string;
  pace: { device: string; pollMs: HostDevice["pollMs"] }[];
}

export type HostRequest =
  | { name: "devices" }
  | HostChange
  | { name: "latest"; device: string }
  | { name: "identify"; device: string; accept: boolean }
  | { name: "read"; device: string; points: string[]; raw: boolean }
  | ({ name: "shown"; device: string } & ShownRequest)
  | ({ name: "write"; device: string } & WriteRequest);

/** A point that may be written. */
export interface ShownRequest {
  point: string;
  /** Whether it shows this; it may lack the digits that the device does not have. */
  value?: number | string | boolean;
}

/** What is good and of now at the point's `readBack` or at itself; null: nobody can say, and why. */
export interface Shown {
  value: ReadingValue;
  /** It shows what was asked about. */
  isSame?: boolean;
  /** As of a `WriteOutcome`. */
  code?: string;
  reason?: string;
}

/** `value`: in the point's unit and words. The outcome comes `timeoutMs` later at most, and two seconds. */
export interface WriteRequest {
  point: string;
  value: number | string | boolean;
  timeoutMs: number;
  /** The device is told before this or not at all ("no-turn"); `monotonicMs` of the asker, the same in every process. */
  beginByMs?: number;
  /** Somebody at the device has ordered it: his taking over is no reason against it. */
  isLocal?: boolean | undefined;
  /** It is said again to a device that falls back by itself: only while it shows this value already ("lapsed"). */
  isRefresh?: true;
}

/**
 * What became of a write. done: it is there · failed: surely not written, or the device said no, or it took it and
 * shows something else · unknown: it may have been written. `before`, `readBack`: the point as it was read right
 * before and last. `writtenMs`: when the device had accepted it, ms since 1970.
 */
export interface WriteOutcome {
  state: "done" | "failed" | "unknown";
  /** A `WriteRefusal`, an `Unwritable` code, or that of a `DeviceError`. */
  code?: string;
  reason?: string;
  before?: ReadingValue;
  readBack?: ReadingValue;
  writtenMs?: number;
}

/**
 * Why a write was not done, where neither identity nor device says so. no-such-device · no-such-point: not at this
 * firmware · not-writable: its profile or its driver has no way · unidentified: not asked yet who it is ·
 * not-connected · no-turn: others kept the connection until the time was over · interlock · override: a person at it
 * has taken over · unreadable: what stands
 * there now cannot be read · value: cannot be held exactly · lapsed (of a refresh): it shows another value · not-as-commanded · not-read-back (only `unknown`).
 */
export type WriteRefusal =
  | "no-such-device"
  | "no-such-point"
  | "not-writable"
  | "unidentified"
  | "not-connected"
  | "no-turn"
  | "interlock"
  | "override"
  | "unreadable"
  | "value"
  | "lapsed"
  | "not-as-commanded"
  | "not-read-back"
  | "internal";

/** Host → supervisor. */
export type FromHost =
  | { type: "ready" }
  | {
      type: "beat";
      rssBytes: number;
      cpuMs: number;
      ringBytes: number;
      dropped: Record<string, number>;
      /** Calls of those whom no device of the site file may be, and what the last called itself. */
      strangers: number;
      lastStranger?: string;
    }
  | { type: "answer"; id: number; result: unknown }
  | ({ type: "answer"; id: number } & ToldError)
  | { type: "state"; report: DeviceReport }
  | { type: "log"; level: "debug" | "info" | "warn"; device: string; text: string }
  | { type: "stopped" };
