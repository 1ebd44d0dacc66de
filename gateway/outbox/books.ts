import type { Dictionary } from "../uplink/encoding.ts";
import { keptOf } from "./accounts.ts";
import type { Audit } from "./audit.ts";
import type { Tombstone } from "./losses.ts";
import type { OutboxStore } from "./store.ts";

/** One line of the books: a device's events of one class. `rows` are really there; it closes when kept equals them. */
export interface BooksLine {
  /** The device's id; empty for what was accepted before accounts were kept by device. */
  device: string;
  class: "event" | "live";
  accepted: number;
  delivered: number;
  kept: number;
  rows: number;
  /** Events by reason. */
  dropped: Record<string, number>;
}

/** The books held against the rows: they close when every line does. */
export interface AuditedBooks {
  lines: BooksLine[];
  closes: boolean;
  /** Ranges of numbers that were dropped and that the receiver has not acknowledged, the oldest first. */
  tombstones: Tombstone[];
  tombstonesLeftOut: number;
}

const tombstonesMax = 1000;

/**
 * Adds up the accounts of one device id and class: a changed profile gives a device a new index. Without an `audit`
 * nothing is counted, and `rows` says what the books say.
 */
export function bookLines(store: OutboxStore, audit?: Audit): BooksLine[] {
  const dictionary: Dictionary = store.dictionary;
  const lines = new Map<string, BooksLine>();
  for (const account of store.accounts.list()) {
    const device =
      dictionary.device(account.device)?.id ?? (account.device === 0 ? "" : `#${account.device}`);
    const kind = account.lane === 0 ? "event" : "live";
    const rows = audit?.rows(account.lane, account.device) ?? keptOf(account);
    if (account.accepted === 0 && keptOf(account) === 0 && rows === 0) continue;
    const key = `${kind} ${device}`;
    const line = lines.get(key) ?? {
      device,
      class: kind,
      accepted: 0,
      delivered: 0,
      kept: 0,
      rows: 0,
      dropped: {},
    };
    lines.set(key, line);
    line.accepted += account.accepted;
    line.delivered += account.delivered;
    line.kept += keptOf(account);
    line.rows += rows;
    for (const [reason, events] of Object.entries(account.dropped))
      line.dropped[reason] = (line.dropped[reason] ?? 0) + events;
  }
  return [...lines.values()];
}

/** Lets the loop breathe between the steps of an audit. */
const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Audits the queue step by step, without holding up what else its thread has to do. */
export async function auditBooks(store: OutboxStore): Promise<AuditedBooks> {
  let audit = store.auditStep();
  while (audit === undefined) {
    await pause();
    audit = store.auditStep();
  }
  const lines = bookLines(store, audit);
  const tombstones = store.losses.unacknowledged(tombstonesMax + 1);
  return {
    lines,
    closes: lines.every(({ kept, rows }) => kept === rows),
    tombstones: tombstones.slice(0, tombstonesMax),
    tombstonesLeftOut: Math.max(0, tombstones.length - tombstonesMax),
  };
}
