import type Database from "better-sqlite3";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { deviceOf } from "../event.ts";
import { Accounts, accountKey } from "./accounts.ts";
import { markSalvaged } from "./beside.ts";
import { Numbers } from "./numbers.ts";
import { PageFile } from "./pages.ts";
import { rowCrc, type StoredRow } from "./rows.ts";

/** What came of a file that was put aside: rows fetched from it, and numbers declared lost. */
export interface SalvageResult {
  file: string;
  rows: number;
  lost: number;
}

/** A row of the table `salvage`: file name, highest id that was accepted, 0 = nothing of it can be understood. */
export interface SalvageRecord {
  file: string;
  last: number;
  readable: number;
}

/**
 * Fetches the rows of a file put aside into its successor, in small steps, under their old ids. First whatever
 * rows its pages hold, then the account: a number that is neither there, nor released, nor declared already
 * becomes a tombstone. Each step is one transaction and may be repeated after a kill.
 */
export class Salvage {
  readonly #database: Database.Database;
  readonly #path: string;
  readonly #record: SalvageRecord;
  readonly #uplinks: readonly string[];
  readonly #numbers: Numbers;
  readonly #insert: Database.Statement;
  #file: PageFile | undefined;
  #chunk: StoredRow[] | undefined;
  /** Ids up to here are accounted for. */
  #accountedTo = 0;
  #rows = 0;
  #lost = 0;
  #result: SalvageResult | undefined;
  /** The last of several files: only then all rows are there that can be. */
  readonly #isLast: boolean;

  /** `queue`: path of the queue file in use; the first of the records is worked off. A row that all of `uplinks` have sealed is not fetched again. */
  constructor(
    database: Database.Database,
    queue: string,
    records: readonly SalvageRecord[],
    uplinks: readonly string[],
  ) {
    this.#database = database;
    const [record] = records;
    if (record === undefined) throw new RangeError("nothing to salvage");
    this.#isLast = records.length === 1;
    this.#path = join(dirname(queue), record.file);
    this.#record = record;
    this.#uplinks = uplinks;
    this.#numbers = new Numbers(database);
    this.#insert = database.prepare(
      "INSERT OR IGNORE INTO event (id, lane, recorded, crc, body) VALUES (?, ?, ?, ?, ?)",
    );
    if (record.readable === 0 || !existsSync(this.#path)) return;
    try {
      this.#file = new PageFile(this.#path);
    } catch {
      // Nothing can be read of it: all of it is declared.
    }
  }

  /** The next 256 KB or 2,000 numbers. The result when all is done. Throws SQLite's error; may be called again. */
  step(): SalvageResult | undefined {
    this.#numbers.refresh();
    if (this.#file !== undefined) {
      // A chunk stays until it is stored: the disk may be full for a while.
      this.#chunk ??= this.#file.next();
      if (this.#chunk === undefined) this.close();
      else this.#fetch(this.#chunk);
      this.#chunk = undefined;
      return undefined;
    }
    return (this.#result ??= this.#account());
  }

  /** Declares what no file had. The result when all is done; what cannot be renamed is left as it is. */
  #account(): SalvageResult | undefined {
    const { last, file } = this.#record;
    const done = this.#database.transaction(() => {
      if (!this.#isLast) {
        this.#forget();
        return true;
      }
      const past = this.#numbers.past(this.#uplinks);
      const { end, lost } = this.#numbers.declare(
        this.#accountedTo + 1,
        last,
        past,
        this.#numbers.delivered(),
      );
      if (end === last) this.#settle(this.#lost + lost);
      return { end, lost };
    })();
    if (done !== true) {
      this.#accountedTo = done.end;
      this.#lost += done.lost;
      if (done.end < last) return undefined;
    }
    try {
      markSalvaged(this.#path);
    } catch {
      // Its name only says what has been done with it.
    }
    return { file, rows: this.#rows, lost: this.#lost };
  }

  #forget(): void {
    this.#database.prepare("DELETE FROM salvage WHERE file = ?").run(this.#record.file);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #fetch(rows: readonly StoredRow[]): void {
    const past = this.#numbers.past(this.#uplinks);
    this.#database.transaction(() => {
      for (const { id, lane, recordedMs, body } of rows) {
        const record = this.#numbers.epochOf(id);
        // Above `last` nothing was accepted: such a row is still waiting for its number.
        if (record === undefined || id > this.#record.last || id <= (past.get(record.epoch) ?? 0)) continue;
        if (this.#numbers.tombstoned(record, id) !== undefined) continue;
        this.#rows += this.#insert.run(
          id,
          lane,
          recordedMs,
          rowCrc(id, lane, recordedMs, body),
          body,
        ).changes;
      }
    })();
  }

  /** What the books still call kept and the table does not hold is lost, or was released meanwhile. */
  #settle(lostRows: number): void {
    const counted = new Map<number, number>();
    const rows = this.#database.prepare("SELECT lane, substr(body, 1, 12) AS body FROM event");
    for (const { lane, body } of rows.iterate() as Iterable<Pick<StoredRow, "lane" | "body">>) {
      const key = accountKey(lane, deviceOf(body));
      counted.set(key, (counted.get(key) ?? 0) + 1);
    }
    new Accounts(this.#database).salvaged(counted, lostRows, "storage");
    this.#forget();
  }
}
