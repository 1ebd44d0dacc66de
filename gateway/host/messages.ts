import type { Identity, QualityStatus } from "../driver.ts";
import type { ReadingValue } from "../event.ts";
import type { Point } from "../profiles.ts";

/**
 * A point as the host needs it: the profile's, with its dictionary index, counted from its device's `firstIndex`.
 * Points that are read only to make others have index -1.
 */
export interface HostPoint extends Omit<Point, "address" | "label" | "source" | "certainty"> {
  address: unknown;
  index: number;
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

export type PollClass = "fast" | "normal" | "slow";

export interface HostDevice {
  id: string;
  index: number;
  settings: Record<string, unknown>;
  identify: IdentifyRules | undefined;
  firmwareRange: string;
  pollMs: Record<PollClass, number>;
  points: HostPoint[];
  /** Dictionary index from which those of the points count; 0 when absent. Equal devices have equal points by it. */
  firstIndex?: number;
}

/**
 * starting: not tried yet · online: answers · lost: does not · wrong-device: something else answers at its
 * address · quarantined: not run for a while, because its host has ended three times while its code ran.
 */
export type DeviceState = "starting" | "online" | "lost" | "wrong-device" | "quarantined";

export interface DeviceReport {
  id: string;
  state: DeviceState;
  code?: string;
  reason?: string;
  sinceMs: number;
  lastGoodMs?: number;
  identity?: Identity;
  polls: number;
  failed: number;
  /** Polls that were due while the one before was still running. */
  missed: number;
  lastReadMs: number;
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
}

/** Supervisor → host. */
export type ToHost =
  | {
      type: "start";
      driver: string;
      /** As `packDevices` writes them. */
      devices: string;
      /** Dictionary index of the gateway itself. */
      gatewayIndex: number;
      /** Dictionary indexes of the devices that are not to be run until `release`. */
      held: number[];
      /** Note which device's code runs. */
      watchClosely: boolean;
      creditBytes: number;
      ringBytesMax: number;
    }
  | { type: "credit"; bytes: number }
  | { type: "release"; device: number }
  | { type: "watch"; closely: boolean }
  | { type: "request"; id: number; request: HostRequest }
  | { type: "stop" };

export type HostRequest =
  | { name: "devices" }
  | { name: "latest"; device: string }
  | { name: "read"; device: string; points: string[]; raw: boolean };

/** Host → supervisor. */
export type FromHost =
  | { type: "ready" }
  | { type: "beat"; rssBytes: number; cpuMs: number; ringBytes: number; droppedEvents: number }
  | { type: "answer"; id: number; result?: unknown; error?: string }
  | { type: "state"; report: DeviceReport }
  | { type: "log"; level: "debug" | "info" | "warn"; device: string; text: string }
  | { type: "stopped" };
