import type Database from "better-sqlite3";
import { clockState, monotonicMs } from "../clock.ts";
import { deviceOf, EventWriter } from "../event.ts";
import { gap } from "../gaps.ts";
import type { AccountedRow } from "./accounts.ts";
import type { EpochRecord } from "./rows.ts";

/** Which devices the numbers of a tombstone belonged to; `at` is one of those numbers. */
const tables = `
CREATE TABLE tombstone_device (
  epoch INTEGER NOT NULL, at INTEGER NOT NULL, device INTEGER NOT NULL, events INTEGER NOT NULL,
  PRIMARY KEY (epoch, at, device)
) STRICT, WITHOUT ROWID;
`;

/** A range of numbers that were dropped, as long as the receiver's watermark has not passed it. */
export interface Tombstone {
  epoch: number;
  first: number;
  last: number;
  reason: string;
  fromMs: number;
  toMs: number;
  /** A gap event that declares it is stored or sent. */
  reported: boolean;
}

/** What was dropped, as one event. `isFull`: there is more. */
export interface DropReport {
  body: Buffer;
  mark: () => void;
  isFull: boolean;
}

/** Ranges in one report. */
const rangesMax = 100;

const columns = "epoch, first, last, reason, from_ms AS fromMs, to_ms AS toMs, reported";

export function lossTables(database: Database.Database): void {
  database.exec(tables);
}

/** Tombstones: what was dropped, why, and whether the receiver has been told. The caller opens the transactions. */
export class Losses {
  readonly #statements;

  constructor(database: Database.Database) {
    this.#statements = {
      grow: database.prepare(
        "UPDATE tombstone SET last = ?, to_ms = ? WHERE epoch = ? AND last = ? AND reason = ? AND reported = 0 RETURNING first",
      ),
      add: database.prepare("INSERT INTO tombstone VALUES (?, ?, ?, ?, ?, ?, 0)"),
      addDevice: database.prepare(
        "INSERT INTO tombstone_device VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
      ),
      unreported: database.prepare(
        `SELECT ${columns} FROM tombstone WHERE reported = 0 ORDER BY epoch, first LIMIT ${rangesMax}`,
      ),
      all: database.prepare(`SELECT ${columns} FROM tombstone ORDER BY epoch, first LIMIT ?`),
      devices: database.prepare(
        "SELECT device.id, sum(events) AS lostCount FROM tombstone_device JOIN device ON device.idx = device WHERE epoch = ? AND at BETWEEN ? AND ? GROUP BY device.id",
      ),
      covering: database.prepare("SELECT 1 FROM tombstone WHERE epoch = ? AND first <= ? AND last >= ?"),
      declare: database.prepare("INSERT OR IGNORE INTO tombstone VALUES (?, ?, ?, ?, ?, ?, 0)"),
      reportAgain: database.prepare("UPDATE tombstone SET reported = 0"),
      mark: database.prepare("UPDATE tombstone SET reported = 1 WHERE epoch = ? AND first = ? AND last = ?"),
      remove: database.prepare("DELETE FROM tombstone WHERE epoch = ? AND last <= ? AND reported = 1"),
      removeDevices: database.prepare(
        "DELETE FROM tombstone_device WHERE NOT EXISTS (SELECT 1 FROM tombstone AS t WHERE t.epoch = tombstone_device.epoch AND at BETWEEN first AND last)",
      ),
    };
  }

  /** Leaves tombstones for rows (in id order) that the running transaction deletes. */
  bury(
    rows: readonly (AccountedRow & { recordedMs: number })[],
    reason: string,
    epochOf: (id: number) => EpochRecord,
  ): void {
    const { reportAgain, grow, add, addDevice } = this.#statements;
    // A gap event may be among them: what it declared is declared again, which is harmless.
    if (rows.some((row) => row.lane === 0)) reportAgain.run();
    let run = { epoch: 0, at: 0, next: 0, devices: new Map<number, number>() };
    const flush = () => {
      for (const [device, events] of run.devices) addDevice.run(run.epoch, run.at, device, events);
    };
    for (const { id, recordedMs, body } of rows) {
      const { epoch, base } = epochOf(id);
      const seq = id - base;
      const grown = grow.get(seq, recordedMs, epoch, seq - 1, reason) as { first: number } | undefined;
      if (grown === undefined) add.run(epoch, seq, seq, reason, recordedMs, recordedMs);
      if (epoch !== run.epoch || seq !== run.next) {
        flush();
        // At one number for each tombstone the counts add up; else every eviction would leave its own.
        run = { epoch, at: grown?.first ?? seq, next: seq, devices: new Map() };
      }
      run.next = seq + 1;
      const device = deviceOf(body);
      run.devices.set(device, (run.devices.get(device) ?? 0) + 1);
    }
    flush();
  }

  /** A tombstone for numbers without rows, unless one covers them already. */
  declare(epoch: number, first: number, last: number, reason: string): void {
    const nowMs = Date.now();
    if (this.#statements.covering.get(epoch, first, last) === undefined)
      this.#statements.declare.run(epoch, first, last, reason, nowMs, nowMs);
  }

  /** Tombstones for the numbers of a range that are not among `kept` (in order). */
  declareBetween(epoch: number, first: number, last: number, kept: readonly number[], reason: string): void {
    let next = first;
    for (const seq of [...kept, last + 1]) {
      if (seq > next) this.declare(epoch, next, seq - 1, reason);
      next = seq + 1;
    }
  }

  /** Every tombstone that is still kept goes into a gap event once more. */
  reportAgain(): void {
    this.#statements.reportAgain.run();
  }

  /**
   * What the receiver has not heard of, as the body of one `gap` event of device index `self`; undefined when there
   * is nothing. Call `mark` in the transaction that stores it.
   */
  report(self: number): DropReport | undefined {
    const rows = this.#statements.unreported.all() as Tombstone[];
    if (rows.length === 0) return undefined;
    const devices = new Map<string, number>();
    for (const { epoch, first, last } of rows) {
      const found = this.#statements.devices.all(epoch, first, last) as { id: string; lostCount: number }[];
      for (const { id, lostCount } of found) devices.set(id, (devices.get(id) ?? 0) + lostCount);
    }
    const writer = new EventWriter();
    writer.begin("gap", self, Date.now(), monotonicMs(), clockState());
    writer.object(
      gap(
        rows.every((row) => row.reason === "evicted") ? "buffer_overflow" : "storage",
        Math.min(...rows.map((row) => row.fromMs)),
        Math.max(...rows.map((row) => row.toMs)),
        {
          lostCount: rows.reduce((sum, row) => sum + row.last - row.first + 1, 0),
          devices: [...devices].map(([device, lostCount]) => ({ device, lostCount })),
          dropped: rows.map(({ epoch, first, last, reason }) => ({ epoch, from: first, to: last, reason })),
        },
      ),
    );
    const mark = () => {
      for (const row of rows) this.#statements.mark.run(row.epoch, row.first, row.last);
    };
    return { body: Buffer.from(writer.bytes()), mark, isFull: rows.length === rangesMax };
  }

  /** The receiver has everything of `epoch` up to `watermark`: what was reported below it is forgotten. */
  forget(epoch: number, watermark: number): void {
    const { remove, removeDevices } = this.#statements;
    if (remove.run(epoch, watermark).changes > 0) removeDevices.run();
  }

  /** The oldest ranges that the receiver has not acknowledged. */
  unacknowledged(limit: number): Tombstone[] {
    return (this.#statements.all.all(limit) as (Omit<Tombstone, "reported"> & { reported: number })[]).map(
      (row) => ({ ...row, reported: row.reported === 1 }),
    );
  }
}
