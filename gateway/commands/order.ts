import type { CommandValue } from "./command.ts";

/** What the desk asks of whoever reaches the devices: a host, behind the supervisor. */

/** One write of one point; the value is in the point's unit, as events tell it. */
export interface WriteOrder {
  device: string;
  point: string;
  value: CommandValue;
  timeoutMs: number;
}

/**
 * done: read back as ordered · failed: surely not written, or the device said no · unknown: it may have been written.
 * `code`: of the error table, or the device's own.
 */
export interface WriteOutcome {
  state: "done" | "failed" | "unknown";
  code?: string;
  reason?: string;
  before?: CommandValue | null;
  readBack?: CommandValue | null;
  /** From the order to the value that was read back. */
  writtenMs?: number;
}

/** The value of a point, read now; null: it has no good one, and why. */
interface ReadOutcome {
  value: CommandValue | null;
  code?: string;
  reason?: string;
}

/** Executes once and never repeats. Rejects where nobody can say whether it was written. */
type Execute = (order: WriteOrder, signal: AbortSignal) => Promise<WriteOutcome>;
type ReadPoint = (device: string, point: string, signal: AbortSignal) => Promise<ReadOutcome>;

export interface Field {
  execute: Execute;
  read: ReadPoint;
}
