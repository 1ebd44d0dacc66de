import type Database from "better-sqlite3";
import { deviceOf } from "../event.ts";
import type { Books, RowLane } from "./rows.ts";

/**
 * The books, by class and device: accepted = delivered + kept + dropped, changed in the transactions that change
 * the rows. `last_*` tell of the commit in which a device last took part: the newest id, and when the box was last
 * known to be alive. Device 0 stands for what was accepted before accounts were kept by device.
 */
const tables = `
CREATE TABLE account (
  lane INTEGER NOT NULL, device INTEGER NOT NULL,   -- index in the dictionary
  accepted INTEGER NOT NULL, delivered INTEGER NOT NULL,
  last_id INTEGER NOT NULL, last_wall INTEGER NOT NULL, last_mono INTEGER NOT NULL,
  PRIMARY KEY (lane, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE dropped (
  lane INTEGER NOT NULL, device INTEGER NOT NULL, reason TEXT NOT NULL, events INTEGER NOT NULL,
  PRIMARY KEY (lane, device, reason)
) STRICT, WITHOUT ROWID;
`;

const totals = `
CREATE VIEW books AS SELECT lane, sum(accepted) AS accepted, sum(delivered) AS delivered,
  coalesce((SELECT sum(events) FROM dropped WHERE dropped.lane = account.lane), 0) AS dropped
FROM account GROUP BY lane;
`;

/** A row as far as its account needs it: `body` may be cut off behind the device index. */
export interface AccountedRow {
  id: number;
  lane: RowLane;
  body: Uint8Array;
}

/** One account. `dropped` by reason; kept is what is left. */
export interface Account {
  lane: RowLane;
  device: number;
  accepted: number;
  delivered: number;
  dropped: Record<string, number>;
}

/** The commit in which a device, or the box, last had an event accepted. */
export interface LastAccepted {
  id: number;
  wallMs: number;
  monoMs: number;
}

/** Key of an account in a tally. */
export function accountKey(lane: RowLane, device: number): number {
  return device * 2 + lane;
}

/** How many of the rows belong to each account, by `accountKey`. */
export function tally(rows: readonly Pick<AccountedRow, "lane" | "body">[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { lane, body } of rows) {
    const key = accountKey(lane, deviceOf(body));
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

export function keptOf({ accepted, delivered, dropped }: Omit<Account, "lane" | "device">): number {
  return accepted - delivered - Object.values(dropped).reduce((sum, events) => sum + events, 0);
}

/** Creates the accounts; from the books by class and the rows of a file that had none. */
export function accountTables(database: Database.Database): void {
  database.exec(tables);
  const books = database.prepare("SELECT * FROM books").all() as (Omit<Books, "kept"> & { lane: RowLane })[];
  const sequence = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'event'").pluck().get();
  const rows = database.prepare("SELECT id, lane, recorded, substr(body, 1, 12) AS body FROM event");
  const kept = new Map<number, { events: number; lastId: number; lastMs: number }>();
  for (const row of rows.iterate() as Iterable<AccountedRow & { recorded: number }>) {
    const key = accountKey(row.lane, deviceOf(row.body));
    const before = kept.get(key)?.events ?? 0;
    kept.set(key, { events: before + 1, lastId: row.id, lastMs: row.recorded });
  }
  const add = database.prepare(
    "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, delivered = delivered + excluded.delivered, last_id = max(last_id, excluded.last_id)",
  );
  for (const [key, { events, lastId, lastMs }] of kept)
    add.run(key % 2, Math.floor(key / 2), events, 0, lastId, lastMs);
  const drop = database.prepare("INSERT INTO dropped VALUES (?, 0, 'unknown', ?)");
  for (const { lane, accepted, delivered, dropped } of books) {
    if (accepted === 0) continue;
    const known = [...kept].reduce((sum, [key, { events }]) => sum + (key % 2 === lane ? events : 0), 0);
    add.run(lane, 0, accepted - known, delivered, sequence ?? 0, 0);
    if (dropped > 0) drop.run(lane, dropped);
  }
  database.exec(`DROP TABLE books; ${totals}`);
  withoutAutoincrement(database);
}

/**
 * The accounts know the highest id, so SQLite need not count along in a page of its own at every commit. Rows stay
 * as they are: only the word in the table's text goes (SQLite documentation, "ALTER TABLE", clause 8).
 */
function withoutAutoincrement(database: Database.Database): void {
  database.unsafeMode(true);
  database.pragma("writable_schema = ON");
  database.exec(`
    UPDATE sqlite_schema SET sql = replace(sql, 'PRIMARY KEY AUTOINCREMENT', 'PRIMARY KEY')
      WHERE type = 'table' AND name = 'event';
    DELETE FROM sqlite_sequence WHERE name = 'event';
  `);
  const version = database.pragma("schema_version", { simple: true }) as number;
  database.pragma(`schema_version = ${version + 1}`);
  database.pragma("writable_schema = OFF");
  database.unsafeMode(false);
}

/** The accounts of one queue file. The caller opens the transactions. */
export class Accounts {
  readonly #statements;

  constructor(database: Database.Database) {
    this.#statements = {
      accept: database.prepare(
        "UPDATE account SET accepted = accepted + ?, last_id = ?, last_wall = ?, last_mono = ? WHERE lane = ? AND device = ?",
      ),
      grow: database.prepare("UPDATE account SET accepted = accepted + ? WHERE lane = ? AND device = ?"),
      lower: database.prepare("UPDATE account SET last_id = min(last_id, ?)"),
      open: database.prepare(
        "INSERT INTO account (accepted, last_id, last_wall, last_mono, lane, device, delivered) VALUES (?, ?, ?, ?, ?, ?, 0)",
      ),
      known: database.prepare("SELECT 1 FROM account WHERE lane = ? AND device = ?"),
      deliver: database.prepare("UPDATE account SET delivered = delivered + ? WHERE lane = ? AND device = ?"),
      drop: database.prepare(
        "INSERT INTO dropped VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
      ),
      cover: database.prepare(
        "INSERT INTO account SELECT lane, device, sum(events), 0, 0, 0, 0 FROM dropped WHERE true GROUP BY lane, device ON CONFLICT DO UPDATE SET accepted = max(accepted, delivered + excluded.accepted)",
      ),
      accounts: database.prepare(
        "SELECT lane, device, accepted, delivered FROM account ORDER BY device, lane",
      ),
      dropped: database.prepare("SELECT lane, device, reason, events FROM dropped WHERE events > 0"),
      books: database.prepare("SELECT * FROM books"),
      last: database.prepare(
        "SELECT last_id AS id, last_wall AS wallMs, last_mono AS monoMs FROM account ORDER BY last_id DESC, last_wall DESC LIMIT 1",
      ),
      lastOf: database.prepare(
        "SELECT last_id AS id, last_wall AS wallMs, last_mono AS monoMs FROM account WHERE device = ? ORDER BY last_id DESC LIMIT 1",
      ),
    };
  }

  /** Rows that the running transaction stores; `at` is that commit. */
  accept(rows: readonly AccountedRow[], at: LastAccepted): void {
    const { accept, open } = this.#statements;
    for (const [key, events] of tally(rows)) {
      const values = [events, at.id, at.wallMs, Math.round(at.monoMs), key % 2, Math.floor(key / 2)];
      if (accept.run(...values).changes === 0) open.run(...values);
    }
  }

  /** Rows that the running transaction deletes because every uplink has released them. */
  deliver(rows: readonly AccountedRow[]): void {
    for (const [key, events] of tally(rows)) this.#deliver(key, events);
  }

  #deliver(key: number, events: number): void {
    const { deliver, open } = this.#statements;
    if (deliver.run(events, key % 2, Math.floor(key / 2)).changes > 0) return;
    open.run(0, 0, 0, 0, key % 2, Math.floor(key / 2));
    deliver.run(events, key % 2, Math.floor(key / 2));
  }

  /** Rows that the running transaction deletes without having delivered them. */
  drop(rows: readonly AccountedRow[], reason: string): void {
    for (const [key, events] of tally(rows)) this.#charge(key, reason, events);
  }

  /** A damaged row names no account for sure, so one that does not exist may be charged for a moment. */
  #charge(key: number, reason: string, events: number): void {
    const { known, open, drop } = this.#statements;
    if (known.get(key % 2, Math.floor(key / 2)) === undefined)
      open.run(0, 0, 0, 0, key % 2, Math.floor(key / 2));
    drop.run(key % 2, Math.floor(key / 2), reason, events);
  }

  /** Events of unknown devices were accepted and are not there any more: known by their numbers alone. */
  vanish(events: number, reason: string): void {
    const { accept, open } = this.#statements;
    const at = this.last() ?? { id: 0, wallMs: 0, monoMs: 0 };
    const values = [events, at.id, at.wallMs, at.monoMs, 1, 0];
    if (accept.run(...values).changes === 0) open.run(...values);
    this.#charge(accountKey(1, 0), reason, events);
  }

  /**
   * Numbers that have vanished. Of those that the books call kept, more than the `rows` that are there, the next audit
   * finds out whose they were; the others were accepted into a file before this one.
   */
  miss(events: number, rows: number, reason: string): void {
    const { event, live } = this.books();
    const kept = Math.max(0, Math.min(events, event.kept + live.kept - rows));
    if (kept > 0) this.#charge(accountKey(1, 0), reason, kept);
    if (events > kept) this.vanish(events - kept, reason);
  }

  /** Numbers that have vanished, but that a receiver has: those of them that the books call kept are delivered. */
  handOver(events: number, rows: number): void {
    const { event, live } = this.books();
    const kept = Math.max(0, Math.min(events, event.kept + live.kept - rows));
    if (kept > 0) this.#deliver(accountKey(1, 0), kept);
  }

  /** Events that were never accepted under these numbers, though they are in the file: by `accountKey`. */
  revoke(counted: ReadonlyMap<number, number>, lastId: number): void {
    for (const [key, events] of counted) this.#statements.grow.run(-events, key % 2, Math.floor(key / 2));
    this.#statements.lower.run(lastId);
  }

  /** No number up to `id` is given again, though nothing else may tell of it. */
  raise(id: number): void {
    const { accept, open } = this.#statements;
    const { id: before, wallMs = Date.now(), monoMs = 0 } = this.last() ?? { id: 0 };
    if (before >= id) return;
    const values = [0, id, wallMs, monoMs, 1, 0];
    if (accept.run(...values).changes === 0) open.run(...values);
  }

  /** What a damaged file says was dropped was accepted, though its account could not be read. */
  coverDropped(): void {
    this.#statements.cover.run();
  }

  /**
   * After a salvage: holds the accounts against the rows that are there (`counted`, by `accountKey`). What is
   * missing is `lost` (at most so many), or was released meanwhile; accounts that could not be read start anew.
   */
  salvaged(counted: ReadonlyMap<number, number>, lost: number, reason: string): void {
    const accounts = new Map(
      this.list().map((account) => [accountKey(account.lane, account.device), account]),
    );
    let left = lost;
    // Telemetry first: it is what there is most of.
    const keys = [...new Set([...accounts.keys(), ...counted.keys()])].sort((a, b) => (b % 2) - (a % 2));
    for (const key of keys) {
      const account = accounts.get(key);
      const missing = (account === undefined ? 0 : keptOf(account)) - (counted.get(key) ?? 0);
      if (missing < 0) this.#accept(key, -missing);
      if (missing <= 0) continue;
      const gone = Math.min(missing, left);
      left -= gone;
      if (gone > 0) this.#charge(key, reason, gone);
      if (missing > gone) this.#deliver(key, missing - gone);
    }
    if (left > 0) this.vanish(left, reason);
  }

  #accept(key: number, events: number): void {
    const { grow, open } = this.#statements;
    const [lane, device] = [key % 2, Math.floor(key / 2)];
    if (grow.run(events, lane, device).changes === 0) open.run(events, 0, 0, 0, lane, device);
  }

  /** The totals of both classes. */
  books(): Record<"event" | "live", Books> {
    const rows = this.#statements.books.all() as (Omit<Books, "kept"> & { lane: RowLane })[];
    const of = (lane: RowLane): Books => {
      const { accepted = 0, delivered = 0, dropped = 0 } = rows.find((row) => row.lane === lane) ?? {};
      return { accepted, delivered, dropped, kept: accepted - delivered - dropped };
    };
    return { event: of(0), live: of(1) };
  }

  /** Every account, by device. */
  list(): Account[] {
    const dropped = this.#statements.dropped.all() as {
      lane: RowLane;
      device: number;
      reason: string;
      events: number;
    }[];
    const byKey = Map.groupBy(dropped, ({ lane, device }) => accountKey(lane, device));
    return (this.#statements.accounts.all() as Omit<Account, "dropped">[]).map((account) => ({
      ...account,
      dropped: Object.fromEntries(
        (byKey.get(accountKey(account.lane, account.device)) ?? []).map(({ reason, events }) => [
          reason,
          events,
        ]),
      ),
    }));
  }

  /**
   * Holds the accounts against the rows that are really there (`counted`, by `accountKey`). A row that was damaged
   * when it left was booked on whichever account its bytes named: where all differences cancel out, such bookings
   * move to the accounts that lack them. Their sums stay as they are.
   */
  settle(counted: ReadonlyMap<number, number>): void {
    const differing = this.list()
      .map((account) => {
        const key = accountKey(account.lane, account.device);
        return { key, account, missing: keptOf(account) - (counted.get(key) ?? 0) };
      })
      .filter(({ missing }) => missing !== 0);
    if (differing.reduce((sum, { missing }) => sum + missing, 0) !== 0) return;
    const moving: { reason: string | undefined; events: number }[] = [];
    for (const { key, account, missing } of differing) {
      let surplus = -missing;
      const { corrupt = 0, ...others } = account.dropped;
      const bookings: [string | undefined, number][] = [
        ["corrupt", corrupt],
        ...Object.entries(others),
        [undefined, account.delivered],
      ];
      for (const [reason, booked] of bookings) {
        const events = Math.min(surplus, booked);
        if (events <= 0) continue;
        this.#book(key, reason, -events);
        moving.push({ reason, events });
        surplus -= events;
      }
    }
    for (const { key, missing } of differing) {
      let lacking = missing;
      for (const booking of moving) {
        const events = Math.min(lacking, booking.events);
        if (events <= 0) continue;
        this.#book(key, booking.reason, events);
        booking.events -= events;
        lacking -= events;
      }
    }
  }

  #book(key: number, reason: string | undefined, events: number): void {
    if (reason !== undefined) this.#charge(key, reason, events);
    else this.#deliver(key, events);
  }

  /** The newest commit of all; undefined when nothing was ever accepted. */
  last(): LastAccepted | undefined {
    return this.#statements.last.get() as LastAccepted | undefined;
  }

  /** The last commit in which a device took part. */
  lastOf(device: number): LastAccepted | undefined {
    return this.#statements.lastOf.get(device) as LastAccepted | undefined;
  }
}
