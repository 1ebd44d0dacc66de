import type Database from "better-sqlite3";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { KerbEvent } from "../event.ts";
import { Numbers } from "./numbers.ts";
import { PageFile } from "./pages.ts";
import { rowCrc, shaped, type EpochRecord, type StoredRow } from "./rows.ts";
import type { SalvageRecord } from "./salvage.ts";
import type { prepare } from "./statements.ts";

/**
 * Numbers of one epoch that are kept and cannot be read, both ends included. "checksum": a row is there and altered;
 * "content": it is whole and cannot be understood; "page": no page that can be read holds it.
 */
export interface Unread {
  epoch: number;
  from: number;
  to: number;
  reason: "checksum" | "content" | "page";
}

/** `unread` comes with the last step; undefined there: which numbers the file had cannot be said. */
export interface StillStep {
  events: KerbEvent[];
  unread?: Unread[] | undefined;
  isLast?: boolean;
}

/** The highest id that was ever given. Files of the first versions count it in SQLite's own table. */
function highestOf(database: Database.Database): number {
  const found = [
    "SELECT max(last_id) FROM account",
    "SELECT seq FROM sqlite_sequence WHERE name = 'event'",
  ].map((query) => {
    try {
      return database.prepare(query).pluck().get() as number | null | undefined;
    } catch (error) {
      if ((error as { code?: string }).code === "SQLITE_ERROR") return undefined;
      throw error;
    }
  });
  return Math.max(0, ...found.map((id) => id ?? 0));
}

/** What the reading of a still queue needs of it. */
export interface Source {
  path: string;
  database: Database.Database;
  statements: Pick<ReturnType<typeof prepare>, "newer" | "salvages">;
  /** Throws when the file does not tell. */
  uplinks(): readonly string[];
  epochs: readonly EpochRecord[];
  /** Throws when what a row says is not understood. */
  decode(record: EpochRecord, rows: readonly StoredRow[]): KerbEvent[];
}

const rowsPerStep = 500;
const blockBits = 65_536;

/** Ids that were seen: a bit each, because there may be millions and they lie close together. */
class Ids {
  readonly #blocks = new Map<number, Uint8Array>();

  has(id: number): boolean {
    const bits = this.#blocks.get(Math.floor(id / blockBits));
    return ((bits?.[(id % blockBits) >> 3] ?? 0) & (1 << (id & 7))) !== 0;
  }

  add(id: number): void {
    const block = Math.floor(id / blockBits);
    const bits = this.#blocks.get(block) ?? new Uint8Array(blockBits / 8);
    this.#blocks.set(block, bits);
    const at = (id % blockBits) >> 3;
    bits[at] = (bits[at] ?? 0) | (1 << (id & 7));
  }
}

/**
 * Every event of a queue file that can be read: in the order of the numbers as long as SQLite finds its way, then
 * whatever the file's pages hold, and those of files that were put aside; last, what was not found.
 */
export class StillEvents {
  readonly #source: Source;
  readonly #read = new Ids();
  readonly #unread = new Map<number, Unread["reason"]>();
  /** Whole files may be destroyed; none of them is a reason to stop. */
  #isDamaged = false;
  #lastId = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  *steps(): Generator<StillStep> {
    yield* this.#inOrder();
    const numbers = this.#numbers();
    if (this.#isDamaged) yield* this.#fromPages(this.#source.path, Infinity, numbers);
    for (const { file, last, readable } of this.#putAside())
      if (readable !== 0) yield* this.#fromPages(join(dirname(this.#source.path), file), last, numbers);
    yield { events: [], unread: this.#account(numbers), isLast: true };
  }

  *#inOrder(): Generator<StillStep> {
    for (;;) {
      let found: (StoredRow & { crc: number })[];
      try {
        found = shaped<StoredRow & { crc: number }>(
          this.#source.statements.newer.all(this.#lastId, rowsPerStep),
        );
      } catch {
        this.#isDamaged = true;
        return;
      }
      const end = found.at(-1);
      if (end === undefined) return;
      this.#lastId = end.id;
      const whole = found.filter((row) => rowCrc(row.id, row.lane, row.recordedMs, row.body) === row.crc);
      for (const { id } of found) if (!whole.some((row) => row.id === id)) this.#unread.set(id, "checksum");
      yield { events: this.#decoded(whole) };
    }
  }

  *#fromPages(path: string, last: number, numbers: Numbers | undefined): Generator<StillStep> {
    let file: PageFile;
    try {
      file = new PageFile(path);
    } catch {
      return;
    }
    try {
      const past = this.#past(numbers);
      for (let rows = file.next(); rows !== undefined; rows = file.next()) {
        // A page may still hold what was delivered and deleted.
        const kept = rows.filter(({ id }) => {
          const record = this.#epochOf(id);
          if (record === undefined || id > last || id <= (past.get(record.epoch) ?? 0)) return false;
          return !this.#read.has(id) && !this.#isBuried(record, id, numbers);
        });
        if (kept.length > 0) yield { events: this.#decoded(kept.sort((a, b) => a.id - b.id)) };
      }
    } finally {
      file.close();
    }
  }

  /** Up to where everybody has sealed everything; nothing of that where the file does not tell. */
  #past(numbers: Numbers | undefined): ReadonlyMap<number, number> {
    try {
      return numbers?.past(this.#source.uplinks()) ?? new Map();
    } catch {
      return new Map();
    }
  }

  #isBuried(record: EpochRecord, id: number, numbers: Numbers | undefined): boolean {
    try {
      return numbers?.tombstoned(record, id) !== undefined;
    } catch {
      return false;
    }
  }

  #decoded(rows: readonly StoredRow[]): KerbEvent[] {
    // A row that was moved may still stand where it was before.
    const once = new Map(rows.map((row) => [row.id, row]));
    const fresh = [...once.values()].filter(
      ({ id }) => !this.#read.has(id) && this.#epochOf(id) !== undefined,
    );
    const byEpoch = Map.groupBy(fresh, ({ id }) => this.#epochOf(id)!);
    return [...byEpoch].flatMap(([record, of]) => {
      try {
        return this.#taken(record, of);
      } catch {
        return of.flatMap((row) => {
          try {
            return this.#taken(record, [row]);
          } catch {
            this.#unread.set(row.id, "content");
            return [];
          }
        });
      }
    });
  }

  #taken(record: EpochRecord, rows: readonly StoredRow[]): KerbEvent[] {
    const events = this.#source.decode(record, rows);
    for (const { id } of rows) {
      this.#read.add(id);
      this.#unread.delete(id);
    }
    return events;
  }

  #epochOf(id: number): EpochRecord | undefined {
    return this.#source.epochs.findLast(({ base }) => base < id);
  }

  #numbers(): Numbers | undefined {
    try {
      return new Numbers(this.#source.database);
    } catch {
      return undefined;
    }
  }

  #putAside(): SalvageRecord[] {
    try {
      const records = this.#source.statements.salvages.all() as SalvageRecord[];
      return records.filter(({ file }) => existsSync(join(dirname(this.#source.path), file)));
    } catch {
      return [];
    }
  }

  /** What was accepted, and is neither read, nor delivered, nor declared as lost already. */
  #account(numbers: Numbers | undefined): Unread[] | undefined {
    const unread: Unread[] = [];
    const add = ({ epoch, base }: EpochRecord, id: number) => {
      const seq = id - base;
      const reason = this.#unread.get(id) ?? "page";
      const before = unread.at(-1);
      if (before?.epoch === epoch && before.to === seq - 1 && before.reason === reason) before.to = seq;
      else unread.push({ epoch, from: seq, to: seq, reason });
    };
    try {
      if (numbers === undefined) return undefined;
      const { epochs, database } = this.#source;
      const top = highestOf(database);
      const released = numbers.delivered();
      for (const [i, record] of epochs.entries()) {
        const end = Math.min(top, epochs[i + 1]?.base ?? Infinity);
        for (let id = Math.max(record.base, released.get(record.epoch) ?? 0) + 1; id <= end; id++) {
          if (this.#read.has(id)) continue;
          const covered = numbers.tombstoned(record, id);
          if (covered === undefined) add(record, id);
          else id = covered;
        }
      }
      return unread;
    } catch {
      return undefined;
    }
  }
}
