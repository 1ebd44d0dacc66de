import type { Overlay } from "../config/process.ts";
import type { Diagnostic } from "../errors.ts";
import type { TwinDocument, TwinMistake, Version } from "../twin/document.ts";
import type { TwinStanding } from "../twin/standing.ts";
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
  /** The document of the twin that came with it; `by`: whose. */
  twin?: Version & { by: string };
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
  /** The newest that was taken back; `by`: by somebody, and not because it did harm. */
  reverted?: { generation: number; reason: string; by?: string };
  /** What the IOC wants; absent where it never said anything. */
  twin?: TwinStanding;
}

/** What runs, as the twin needs it. */
export interface Laid extends Pick<Standing, "generation" | "reverted"> {
  by: string;
  /** What is laid over the files, or why it is not. */
  overlay?: Overlay;
  /** It is not settled. */
  isPending: boolean;
}

/** Whoever lays something over the files: hears of each change of what runs, and says what it wants. */
export interface Overlaying {
  moved: (laid: Laid) => void;
  standing: () => TwinStanding | undefined;
}

/** Another configuration than the files on the disk. */
export interface Wanted {
  /** Absolute paths and texts: in the place of the disk's files of that name, or beside them. */
  files: [path: string, text: string][];
  /** There are no other files. */
  isWhole?: boolean;
  /** Laid over them; null: nothing, absent: what the state folder says. */
  twin?: TwinDocument | null;
}

/** An order to run another configuration. */
export interface Order {
  by: string;
  how: How;
  /** Absent: the files on the disk. */
  wanted?: Wanted;
  /** With `twin`: what is laid over the files that run. */
  document?: TwinDocument;
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

/**
 * Throws `ChangeRefused` where something stands against a change, `SiteError` of files that are wrong, and `Misfit` of a
 * document that does not fit them.
 */
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
  /** One lays something over the files; it is told what runs at once, or as soon as something does. */
  overlays(overlaying: Overlaying | undefined): void;
}

/** A document of the twin cannot be laid over the files that run; nothing has changed. */
export class Misfit extends Error {
  readonly mistakes: readonly TwinMistake[];
  constructor(mistakes: readonly TwinMistake[]) {
    super(mistakes[0]?.text ?? "it does not fit");
    this.mistakes = mistakes;
  }
}

/** A change that cannot be made now; nothing has changed. */
export class ChangeRefused extends Error {
  readonly code:
    | "KERB-CFG-PENDING"
    | "KERB-CFG-NOTHING"
    | "KERB-CFG-GENERATION"
    | "KERB-CFG-KEEP"
    | "KERB-OUT-OWNER";
  constructor(code: ChangeRefused["code"], message: string) {
    super(message);
    this.code = code;
  }
}
