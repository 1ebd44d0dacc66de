import type Database from "better-sqlite3";
import type { EpochRecord } from "./rows.ts";

const rowsMax = 2000;

/**
 * The account of numbers: each one that was accepted is a row, released, or covered by a tombstone. What is none
 * of these has vanished (a destroyed page, a flipped bit in a key, a lost log) and gets a tombstone "storage".
 */
export class Numbers {
  readonly #statements;
  #epochs: EpochRecord[] = [];

  constructor(database: Database.Database) {
    this.#statements = {
      epochs: database.prepare("SELECT epoch, base, boot FROM epoch ORDER BY base, epoch"),
      released: database.prepare("SELECT watermark FROM released WHERE uplink = ? AND epoch = ?").pluck(),
      tombstone: database
        .prepare("SELECT last FROM tombstone WHERE epoch = ? AND first <= ? ORDER BY first DESC LIMIT 1")
        .pluck(),
      next: database.prepare("SELECT min(first) FROM tombstone WHERE epoch = ? AND first > ?").pluck(),
      present: database.prepare(
        "SELECT id, recorded AS recordedMs FROM event WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
      ),
      tellAgain: database.prepare("UPDATE tombstone SET reported = 0"),
      highest: database.prepare("SELECT max(watermark) FROM released WHERE epoch = ?").pluck(),
      sealed: database
        .prepare("SELECT json_extract(state, '$.to') FROM chain WHERE uplink = ? AND epoch = ?")
        .pluck(),
      release: database.prepare("INSERT OR IGNORE INTO tombstone VALUES (?, ?, ?, 'released', ?, ?, 0)"),
      bury: database.prepare("INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, 'storage', ?, ?, 0)"),
    };
    this.refresh();
  }

  /** Reads the epochs again. */
  refresh(): void {
    this.#epochs = this.#statements.epochs.all() as EpochRecord[];
  }

  epochOf(id: number): EpochRecord | undefined {
    return this.#epochs.findLast(({ base }) => base < id);
  }

  /** The last id of each epoch that every one of `uplinks` has released. */
  released(uplinks: readonly string[]): Map<number, number> {
    return this.#lowest(uplinks, (uplink, epoch) => this.#releasedBy(uplink, epoch) ?? 0);
  }

  /** The last id of each epoch that any uplink has released, also one that is not configured any more. */
  delivered(): Map<number, number> {
    return new Map(
      this.#epochs.map(({ epoch, base }) => [
        epoch,
        base + ((this.#statements.highest.get(epoch) as number | null) ?? 0),
      ]),
    );
  }

  /**
   * The last id of each epoch that the chains of all `uplinks` have passed: rows above it are still to be sealed. Of
   * an uplink without a chain it is what that one has released.
   */
  past(uplinks: readonly string[]): Map<number, number> {
    return this.#lowest(
      uplinks,
      (uplink, epoch) => this.#sealedBy(uplink, epoch) ?? this.#releasedBy(uplink, epoch) ?? 0,
    );
  }

  #releasedBy(uplink: string, epoch: number): number | undefined {
    return this.#statements.released.get(uplink, epoch) as number | undefined;
  }

  #sealedBy(uplink: string, epoch: number): number | undefined {
    return this.#statements.sealed.get(uplink, epoch) as number | undefined;
  }

  #lowest(uplinks: readonly string[], mark: (uplink: string, epoch: number) => number): Map<number, number> {
    return new Map(
      this.#epochs.map(({ epoch, base }) => {
        const marks = uplinks.map((uplink) => mark(uplink, epoch));
        return [epoch, base + (marks.length === 0 ? 0 : Math.min(...marks))];
      }),
    );
  }

  /** The last id of the tombstone that covers `id`; undefined when none does. */
  tombstoned({ epoch, base }: EpochRecord, id: number): number | undefined {
    const last = this.#statements.tombstone.get(epoch, id - base) as number | undefined;
    return last === undefined || last < id - base ? undefined : base + last;
  }

  /**
   * Declares what has vanished between two ids, both included, but looks at 2,000 rows at most. `end`: how far it
   * came; `lost`: numbers that got a tombstone "storage"; `handed`: those that some receiver has (`delivered`) and
   * that became "released". What all have (`past`) is passed over. Belongs into a transaction.
   */
  declare(
    first: number,
    last: number,
    past: ReadonlyMap<number, number> = new Map(),
    delivered: ReadonlyMap<number, number> = past,
  ): { end: number; lost: number; handed: number } {
    const rows = this.#statements.present.all(first, last, rowsMax) as { id: number; recordedMs: number }[];
    const sum = { lost: 0, handed: 0 };
    const hole = (from: number, to: number, fromMs: number, toMs: number) => {
      if (from > to) return;
      sum.handed += this.#release(from, to, fromMs, past, delivered);
      sum.lost += this.#bury(from, to, fromMs, toMs, delivered);
    };
    let before = { id: first - 1, recordedMs: 0 };
    for (const row of rows) {
      hole(before.id + 1, row.id - 1, before.recordedMs || row.recordedMs, row.recordedMs);
      before = row;
    }
    if (rows.length === rowsMax) return { end: before.id, ...sum };
    const nowMs = Date.now();
    hole(before.id + 1, last, before.recordedMs || nowMs, nowMs);
    return { end: last, ...sum };
  }

  /** The same for several ranges up to `end`, as far as `uplinks` and others have them now. */
  declareAll(
    ranges: readonly (readonly [number, number])[],
    end: number,
    uplinks: readonly string[],
  ): { lost: number; handed: number } {
    const released = this.released(uplinks);
    const delivered = this.delivered();
    const found = ranges.map(([first, last]) =>
      this.declare(first, Math.min(end, last), released, delivered),
    );
    return {
      lost: found.reduce((sum, { lost }) => sum + lost, 0),
      handed: found.reduce((sum, { handed }) => sum + handed, 0),
    };
  }

  #release(
    first: number,
    last: number,
    atMs: number,
    past: ReadonlyMap<number, number>,
    delivered: ReadonlyMap<number, number>,
  ): number {
    let handed = 0;
    for (const record of this.#epochs) {
      const { epoch, base } = record;
      const end = Math.min(last, delivered.get(epoch) ?? 0);
      let id = Math.max(first, base + 1, (past.get(epoch) ?? 0) + 1);
      while (id <= end) {
        const covered = this.tombstoned(record, id);
        if (covered === undefined) {
          const next = this.#statements.next.get(epoch, id - base) as number | null;
          const to = Math.min(end, next === null ? end : base + next - 1);
          this.#statements.release.run(epoch, id - base, to - base, atMs, atMs);
          handed += to - id + 1;
          id = to + 1;
        } else id = covered + 1;
      }
    }
    return handed;
  }

  #bury(
    first: number,
    last: number,
    fromMs: number,
    toMs: number,
    released: ReadonlyMap<number, number>,
  ): number {
    let lost = 0;
    for (const [i, record] of this.#epochs.entries()) {
      const { epoch, base } = record;
      const end = Math.min(last, this.#epochs[i + 1]?.base ?? last);
      let id = Math.max(first, base + 1, (released.get(epoch) ?? 0) + 1);
      while (id <= end) {
        const covered = this.tombstoned(record, id);
        if (covered !== undefined) {
          id = covered + 1;
          continue;
        }
        const next = this.#statements.next.get(epoch, id - base) as number | null;
        const to = Math.min(end, next === null ? end : base + next - 1);
        this.#statements.bury.run(epoch, id - base, to - base, fromMs, Math.max(fromMs, toMs));
        lost += to - id + 1;
        // A gap event may be among them: what it declared is declared again, which is harmless.
        this.#statements.tellAgain.run();
        id = to + 1;
      }
    }
    return lost;
  }
}
