import type { CommandValue } from "./command.ts";

/** Where a command is, as it travels to whoever sent it and as it stands in the journal. */

/** accepted → running → done, failed, expired or unknown; or rejected at once. An unknown is followed by done or failed. */
export type CommandStage = "accepted" | "rejected" | "running" | "done" | "failed" | "expired" | "unknown";

/** The centre, somebody on site, or a schedule of the site file. */
export type CommandSource = "ioc" | "local" | "schedule";

export interface CommandState {
  v: 1;
  id: string;
  gw: string;
  dev: string;
  state: CommandStage;
  /** ms since 1970 UTC by the gateway's clock. */
  at: number;
  by?: string;
  mode?: string;
  args?: Record<string, CommandValue>;
  code?: string;
  reason?: string;
  /** Points as they were read before and after. */
  before?: Record<string, CommandValue | null>;
  readBack?: Record<string, CommandValue | null>;
  /** When the device had accepted the last of them, ms since 1970 UTC by the gateway's clock. */
  writtenMs?: number;
  /** Of an `arm`: the token for the commit, and how long it is good. */
  arm?: string;
  armMs?: number;
  /** Of a command that could not be told fresh: what a new one may carry, and how long. */
  nonce?: string;
  nonceMs?: number;
  /** After so many ms the points go back by themselves. */
  leaseMs?: number;
  /** The same command has come before, and this is its answer. */
  replay?: true;
  /** It was unknown, and the point has been read since. */
  resolved?: true;
  /** A point goes back at the end of the lease of this command. */
  returns?: string;
  /** Nobody has proved to be its issuer: this says nothing of a signed command of the same id. */
  unsigned?: true;
  /** The result could not be put on the record. */
  unrecorded?: true;
  source?: CommandSource;
}

const finals: readonly CommandStage[] = ["rejected", "done", "failed", "expired"];

/** Nothing follows it. */
export function isFinal({ state, resolved }: CommandState): boolean {
  return finals.includes(state) || resolved === true;
}
