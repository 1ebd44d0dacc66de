import type { ClockState } from "../event.ts";
import type { Identity } from "../driver.ts";
import type { Finding } from "../diagnosis/facts.ts";
import type { Problem } from "../diagnosis/problems.ts";
import type { LatestReading, Unwritable } from "../host/messages.ts";
import type { GatewayBooks, GatewayStatus } from "../supervisor.ts";
import type { Both, Report, ReportDevice } from "./report.ts";

/** What was asked for a report, of the running gateway or of the devices themselves. */
export interface Gathered {
  /** undefined: no gateway runs. */
  status: GatewayStatus | undefined;
  books: GatewayBooks | undefined;
  clock: ClockState;
  devices: Map<string, Asked>;
  /** What the running gateway has to complain of; empty where none runs. */
  problems: readonly Problem[];
  writes: Map<string, NonNullable<ReportDevice["tests"]["write"]>>;
  audit: Report["box"]["audit"];
  missing: Report["missing"];
}

/** What one device has said. */
export interface Asked {
  readings: LatestReading[];
  /** How long one reading of all points took; undefined: none was tried, or it failed. */
  latencyMs?: number;
  identity?: Identity;
  /** It differs from what the profile demands of its model. */
  mismatch?: string;
  writable?: boolean;
  unwritable?: Unwritable;
  /** What its ladder has found beside why it could not be read; of one that no gateway reads. */
  causes?: readonly Finding[];
  /** Why it could not be read. */
  failure?: { code?: string; seen: Both };
}
