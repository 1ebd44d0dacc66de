import type { Identity, QualityStatus } from "../driver.ts";
import type { ReadingValue } from "../event.ts";
import type { Point } from "../profiles.ts";

/** A point as the host needs it: the profile's, with its dictionary index. Points that are read only to make others have index -1. */
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
}

/**
 * starting: not tried yet · online: answers · lost: does not · wrong-device: something else answers at its
 * address.
 */
export type DeviceState = "starting" | "online" | "lost" | "wrong-device";

export interface DeviceReport {
  id: string;
  state: DeviceState;
  code?: string;
  reason?: string;
  sinceMs: number;
  lastGoodMs?: number;
  identity?: Identity;
  polls: number;
  /** Polls that brought readings. */
  answered: number;
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
      /** `HostDevice[]` as JSON text. */
      devices: string;
      /** Dictionary index of the gateway itself. */
      gatewayIndex: number;
      /** Length of the periods for which polls are counted. */
      sealEveryMs: number;
      creditBytes: number;
      ringBytesMax: number;
    }
  | { type: "credit"; bytes: number }
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
