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
    return new Map(
      this.#epochs.map(({ epoch, base }) => {
        const marks = uplinks.map(
          (uplink) => (this.#statements.released.get(uplink, epoch) as number | undefined) ?? 0,
        );
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
   * came; `lost`: numbers that got a tombstone. `released` as of `released()`. Belongs into a transaction.
   */
  declare(
    first: number,
    last: number,
    released: ReadonlyMap<number, number> = new Map(),
  ): { end: number; lost: number } {
    const rows = this.#statements.present.all(first, last, rowsMax) as { id: number; recordedMs: number }[];
    let lost = 0;
    let before = { id: first - 1, recordedMs: 0 };
    for (const row of rows) {
      lost += this.#bury(
        before.id + 1,
        row.id - 1,
        before.recordedMs || row.recordedMs,
        row.recordedMs,
        released,
      );
      before = row;
    }
    if (rows.length === rowsMax) return { end: before.id, lost };
    const nowMs = Date.now();
    return {
      end: last,
      lost: lost + this.#bury(before.id + 1, last, before.recordedMs || nowMs, nowMs, released),
    };
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
