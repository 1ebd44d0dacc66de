import type Database from "better-sqlite3";
import { bootId } from "../clock.ts";
import { withoutFix } from "./clock-fixes.ts";

import { shaped, type EpochRecord, type RowLane, type StoredRow } from "./rows.ts";

/** What dead letters need of the queue that they come from. */
interface Queue {
  epochOf(id: number): { epoch: number; base: number };
  readonly epochs: readonly EpochRecord[];
  readonly bytesMax: number;
  readonly seals: { sealedTo(uplink: string, epoch: number): number };
  /** With its times as they are known now. */
  corrected(row: StoredRow): StoredRow;
  drop(rows: readonly StoredRow[], reason: string, booked: "dropped" | "delivered"): void;
}

/** An event that one uplink's broker refused for good. `body` is kept once the event has left the queue. */
export interface DeadLetter {
  uplink: string;
  id: number;
  epoch: number;
  seq: number;
  reason: string;
  tries: number;
  refusedMs: number;
}

/** Copies that are kept for another try; the oldest go first. */
const copiesMax = 500;
/** What they may take of the byte budget. */
const copiesShare = 0.05;
const settledAtOnce = 500;

export function deadLetterTables(database: Database.Database): void {
  database.exec(`
CREATE TABLE dead_letter (
  uplink TEXT NOT NULL, id INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  lane INTEGER NOT NULL, recorded INTEGER NOT NULL, reason TEXT NOT NULL, tries INTEGER NOT NULL,
  refused INTEGER NOT NULL,         -- ms
  settled INTEGER NOT NULL DEFAULT 0, -- 1: out of the queue and declared
  body BLOB,
  PRIMARY KEY (uplink, id)
) STRICT, WITHOUT ROWID;`);
}

/**
 * What brokers refuse for good, per uplink. The event stays in the queue until every other uplink has delivered or
 * refused it: a declared loss is believed by all receivers, so one that still waits for the event must not hear
 * of it. Then it leaves the queue (booked as delivered when one of them took it, else as dropped), a tombstone
 * declares it, and a copy stays for another try.
 */
export class DeadLetters {
  readonly #queue: Queue;
  readonly #database: Database.Database;
  readonly #statements;

  constructor(queue: Queue, database: Database.Database) {
    this.#queue = queue;
    this.#database = database;
    const row = "uplink, id, epoch, seq, reason, tries, refused AS refusedMs";
    this.#statements = {
      add: database.prepare(
        "INSERT OR IGNORE INTO dead_letter (uplink, id, epoch, seq, lane, recorded, reason, tries, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      ),
      open: database.prepare("SELECT id FROM dead_letter WHERE uplink = ? AND settled = 0"),
      unsettled: database.prepare(
        "SELECT DISTINCT id, epoch, seq FROM dead_letter WHERE settled = 0 ORDER BY id LIMIT ?",
      ),
      of: database.prepare(
        "SELECT uplink, lane, recorded, reason FROM dead_letter WHERE id = ? AND settled = 0",
      ),
      event: database.prepare("SELECT id, lane, body FROM event WHERE id = ?"),
      removeCut: database.prepare(
        "DELETE FROM cut WHERE uplink = :uplink AND row_lane = :lane AND last >= :id AND first = (SELECT max(first) FROM cut WHERE uplink = :uplink AND row_lane = :lane AND first <= :id) AND NOT EXISTS (SELECT 1 FROM event WHERE lane = row_lane AND id BETWEEN first AND last)",
      ),
      forget: database.prepare("DELETE FROM dead_letter WHERE id = ? AND settled = 0"),
      settle: database.prepare("UPDATE dead_letter SET settled = 1, body = ? WHERE id = ?"),
      trim: database.prepare(
        "DELETE FROM dead_letter WHERE (uplink, id) IN (SELECT uplink, id FROM (SELECT uplink, id, row_number() OVER newest AS place, sum(length(body)) OVER newest AS bytes FROM dead_letter WHERE settled = 1 WINDOW newest AS (ORDER BY refused DESC, id DESC, uplink ROWS UNBOUNDED PRECEDING)) WHERE place > ? OR bytes > ?)",
      ),
      count: database.prepare("SELECT uplink, count(*) AS count FROM dead_letter GROUP BY uplink"),
      newest: database.prepare(`SELECT ${row} FROM dead_letter ORDER BY refused DESC, id DESC LIMIT ?`),
      copies: database.prepare(
        "SELECT epoch, lane, body FROM dead_letter WHERE settled = 1 GROUP BY id ORDER BY id LIMIT ?",
      ),
      removeCopies: database.prepare(
        "DELETE FROM dead_letter WHERE settled = 1 AND id IN (SELECT DISTINCT id FROM dead_letter WHERE settled = 1 ORDER BY id LIMIT ?)",
      ),
      dropCopies: database.prepare("DELETE FROM dead_letter WHERE settled = 1"),
    };
  }

  /** Rows that this uplink will not send again. `reason` goes to the IOC as the tombstone's. */
  add(uplink: string, rows: readonly Omit<StoredRow, "body">[], reason: string, tries: number): void {
    this.#database.transaction(() => {
      for (const { id, lane, recordedMs } of rows) {
        const { epoch, base } = this.#queue.epochOf(id);
        this.#statements.add.run(uplink, id, epoch, id - base, lane, recordedMs, reason, tries, Date.now());
      }
    })();
  }

  /** Ids of rows in the queue that this uplink leaves out. */
  of(uplink: string): number[] {
    return (this.#statements.open.all(uplink) as { id: number }[]).map(({ id }) => id);
  }

  /** Takes out of the queue what no uplink waits for any more; `uplinks` are those that are configured. */
  settle(uplinks: readonly string[]): void {
    type Open = { id: number; epoch: number; seq: number };
    for (const letter of this.#statements.unsettled.all(settledAtOnce) as Open[])
      this.#settle(letter, uplinks);
  }

  #settle({ id, epoch, seq }: { id: number; epoch: number; seq: number }, uplinks: readonly string[]): void {
    const [event] = shaped(this.#statements.event.all(id));
    if (event === undefined) {
      // Evicted or damaged meanwhile, and declared as that.
      this.#statements.forget.run(id);
      return;
    }
    const letters = this.#statements.of.all(id) as {
      uplink: string;
      lane: RowLane;
      recorded: number;
      reason: string;
    }[];
    const others = uplinks.filter((name) => !letters.some(({ uplink }) => uplink === name));
    // Its chain, not only its receiver: the seals of an uplink that delivered the event must say so.
    if (others.some((name) => this.#queue.seals.sealedTo(name, epoch) < seq)) return;
    const [{ lane, recorded: recordedMs, reason } = { lane: 1, recorded: 0, reason: "refused" } as const] =
      letters;
    this.#database.transaction(() => {
      const { body } = event;
      this.#statements.settle.run(this.#queue.corrected({ id, lane, recordedMs, body }).body, id);
      this.#queue.drop([{ id, lane, recordedMs, body }], reason, others.length > 0 ? "delivered" : "dropped");
      // No seal asks any more with which times it was sent.
      for (const { uplink } of letters) this.#statements.removeCut.run({ uplink, lane, id });
      this.#statements.trim.run(copiesMax, this.#queue.bytesMax * copiesShare);
    })();
  }

  /** How many per uplink, and the newest. */
  summary(): { counts: Record<string, number>; newest: DeadLetter[] } {
    const counts = this.#statements.count.all() as { uplink: string; count: number }[];
    return {
      counts: Object.fromEntries(counts.map(({ uplink, count }) => [uplink, count])),
      newest: this.#statements.newest.all(5) as DeadLetter[],
    };
  }

  /** The copies, oldest first, and what forgets them: call `remove` in the transaction that stores them anew. */
  takeCopies(limit = 200): { events: { lane: RowLane; body: Uint8Array }[]; remove: () => void } {
    const copies = this.#statements.copies.all(limit) as { epoch: number; lane: RowLane; body: Buffer }[];
    const boots = new Map(this.#queue.epochs.map(({ epoch, boot }) => [epoch, boot]));
    const events = copies.map(({ epoch, lane, body }) => ({
      lane,
      body: boots.get(epoch) === bootId() ? body : withoutFix(body),
    }));
    return { events, remove: () => void this.#statements.removeCopies.run(limit) };
  }

  /** Events that were never sent need the room more than another try does. Returns how many were dropped. */
  dropCopies(): number {
    return this.#statements.dropCopies.run().changes;
  }
}
