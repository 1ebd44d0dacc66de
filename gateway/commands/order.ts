import { deviceErrors } from "../config/error-texts.ts";
import type { CommandValue } from "./command.ts";
import { type CommandCode, commandErrors } from "./error-texts.ts";

/** What the desk asks of whoever reaches the devices: a host, behind the supervisor. */

/** One write of one point; the value is in the point's unit, as events tell it. */
export interface WriteOrder {
  device: string;
  point: string;
  value: CommandValue;
  timeoutMs: number;
  /** Ms from the sending within which the write must begin: what waits for its turn longer than that is not written. */
  beginMs: number;
  /** By somebody on site. */
  isLocal?: boolean | undefined;
  /** Only while the point shows this value already. */
  isRefresh?: true;
}

/**
 * done: read back as ordered · failed: surely not written, or the device said no · unknown: it may have been written.
 * `code`: a host's, or of the error table. `before`, `readBack`: as the point showed before and shows now.
 */
export interface WriteOutcome {
  state: "done" | "failed" | "unknown";
  code?: string;
  reason?: string;
  before?: CommandValue | null;
  readBack?: CommandValue | null;
  /** When the device had accepted it, ms since 1970 UTC. */
  writtenMs?: number;
}

/** What a point shows (of one with a `readBack`: that), read now; null: it has no good value, and why. */
interface ReadOutcome {
  value: CommandValue | null;
  reason?: string;
}

/** Executes once and never repeats. Rejects where nobody can say whether it was written. */
type Execute = (order: WriteOrder, signal: AbortSignal) => Promise<WriteOutcome>;
/** `ordered`: a point that shows this to the digits that the device has is told as this. */
type ReadPoint = (
  device: string,
  point: string,
  signal: AbortSignal,
  ordered?: CommandValue,
) => Promise<ReadOutcome>;

/** What the points of a device have shown last, those with a good value; nobody is asked for it. */
type Latest = (device: string, signal: AbortSignal) => Promise<ReadonlyMap<string, CommandValue>>;

export interface Field {
  execute: Execute;
  read: ReadPoint;
  latest: Latest;
}

/** What a host says of a write that it did not do, in the table's codes. */
const hostCodes: Readonly<Record<string, CommandCode>> = {
  interlock: "KERB-CMD-INTERLOCK",
  override: "KERB-CMD-OVERRIDE",
  "no-such-device": "KERB-CMD-DEVICE",
  "not-connected": "KERB-CMD-OFFLINE",
  unidentified: "KERB-CMD-IDENTITY",
  "firmware-unknown": "KERB-CMD-IDENTITY",
  "firmware-untold": "KERB-CMD-IDENTITY",
  "other-unit": "KERB-CMD-IDENTITY",
  "unit-untold": "KERB-CMD-IDENTITY",
  "unit-unreadable": "KERB-CMD-IDENTITY",
  "no-such-point": "KERB-CMD-POINT",
  "not-writable": "KERB-CMD-POINT",
  "no-turn": "KERB-CMD-BUSY",
  unreadable: "KERB-CMD-BEFORE",
  value: "KERB-CMD-VALUE",
  lapsed: "KERB-CMD-LAPSED",
  "not-as-commanded": "KERB-CMD-NOT-WRITTEN",
  "not-read-back": "KERB-CMD-HOST",
  internal: "KERB-CMD-HOST",
};

/** A host's or a driver's code as the error table has it; one that nobody knows stays as it is. */
export function outcomeCode(code: string): string {
  if (Object.hasOwn(commandErrors, code)) return code;
  if (Object.hasOwn(hostCodes, code)) return hostCodes[code] as string;
  const ofDevice = `KERB-DEV-${code.toUpperCase()}`;
  return Object.hasOwn(deviceErrors, ofDevice) ? ofDevice : code;
}
