import type { Diagnostic } from "../errors.ts";
import type { Plan } from "./plan.ts";

/** What a running gateway does with its configuration: what the control socket, a signal and the twin ask for. */

/** How a generation came to run. */
type How = "start" | "apply" | "rollback" | "twin";
/** pending: it is watched, or waits to be confirmed · kept · reverted: the one before it runs again. */
type Outcome = "pending" | "kept" | "reverted";

/** A configuration that has been run. */
export interface Generation {
  number: number;
  /** ISO 8601. */
  at: string;
  by: string;
  how: How;
  /** With `rollback`: which earlier one it repeats. */
  of?: number;
  /** SHA-256 over its files' paths and bytes. */
  hash: string;
  /** Absolute paths of its files, the site file first. */
  files: string[];
  plan?: Plan;
  outcome: Outcome;
  /** Why it was reverted. */
  reason?: string;
}

/** What runs, and what is not settled about it. */
export interface Standing {
  /** 0: it could not be kept. */
  generation: number;
  at: string;
  by: string;
  how: How;
  of?: number;
  /** The files on the disk do not say what runs. */
  filesDiffer: boolean;
  /** The files were wrong at the start, and the last good generation runs in their place. */
  safeMode?: { count: number; mistakes: Diagnostic[] };
  /** It is taken back to `previous`: at `untilMs` if nobody confirms it, or when it does harm before `watchUntilMs`. */
  pending?: { previous: number; watchUntilMs: number; untilMs?: number };
  /** The newest that was taken back. */
  reverted?: { generation: number; reason: string };
}

/** Another configuration than the files on the disk. */
export interface Wanted {
  /** Absolute paths and texts: in the place of the disk's files of that name, or beside them. */
  files: [path: string, text: string][];
  /** There are no other files. */
  isWhole?: boolean;
}

/** An order to run another configuration. */
export interface Order {
  by: string;
  how: How;
  /** Absent: the files on the disk. */
  wanted?: Wanted;
  of?: number;
  /** Goes back by itself unless it is confirmed within this time. */
  confirmMs?: number;
  /** How long what it does is watched; 30 s. */
  watchMs?: number;
}

/** What has come of an order. `changed` false: nothing that runs is another one. */
export interface Applied {
  generation: number;
  previous: number;
  plan: Plan;
  changed: boolean;
}

/** A configuration that is wrong, as an answer. */
export interface Mistakes {
  mistakes: Diagnostic[];
  count: number;
}

/** Throws `ChangeRefused` where something stands against a change, and `SiteError` of files that are wrong. */
export interface ConfigDesk {
  standing(): Promise<Standing>;
  /** What an order would do; writes nothing. */
  plan(wanted?: Wanted): Promise<Plan>;
  apply(order: Order): Promise<Applied>;
  rollback(number: number, order: Omit<Order, "wanted" | "how" | "of">): Promise<Applied>;
  /** What is pending stays. */
  confirm(by: string): Promise<Standing>;
  /** The newest first. */
  history(): Promise<Generation[]>;
}

/** A change that cannot be made now; nothing has changed. */
export class ChangeRefused extends Error {
  readonly code: "KERB-CFG-PENDING" | "KERB-CFG-NOTHING" | "KERB-CFG-GENERATION" | "KERB-CFG-KEEP";
  constructor(code: ChangeRefused["code"], message: string) {
    super(message);
    this.code = code;
  }
}
