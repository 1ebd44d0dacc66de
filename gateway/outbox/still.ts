import type Database from "better-sqlite3";
import { bootId } from "../clock.ts";
import { decodeRows } from "../uplink/batches.ts";
import { Dictionary } from "../uplink/encoding.ts";
import { ClockFixes } from "./clock-fixes.ts";
import { readEpochs } from "./beside.ts";
import { storedDevices } from "./dictionaries.ts";
import { GapLedger } from "./gap-ledger.ts";
import type { EpochRecord, StoredRow } from "./rows.ts";
import { stepsDone } from "./schema.ts";
import { prepare } from "./statements.ts";
import { StillEvents, type StillStep } from "./still-events.ts";
import { openStill } from "./still-file.ts";
import { Watermarks } from "./watermarks.ts";

/** What stands in the file of a class. */
export interface StillFigures {
  rows: { event: number; live: number };
  bytes: number;
  /** Of what is free in it already. */
  freeBytes: number;
  oldestMs: number | undefined;
}

/**
 * The queue file of a gateway that does not run, read without changing a byte of it. Throws SQLite's error
 * (SQLITE_BUSY: somebody has it open), or KERB-OUT-NEWER.
 */
export class StillQueue {
  readonly #path: string;
  readonly #database: Database.Database;
  readonly #statements;
  #marks: Watermarks | undefined;
  readonly #clock: ClockFixes;
  readonly #remove: () => void;
  readonly gaps: Pick<GapLedger, "list">;
  readonly dictionary: Dictionary;
  readonly epochs: readonly EpochRecord[];
  /** None is running. */
  readonly epoch = 0;

  constructor(path: string) {
    this.#path = path;
    const { database, remove } = openStill(path);
    this.#database = database;
    this.#remove = remove;
    try {
      const version = stepsDone(database, path);
      this.#statements = prepare(database);
      this.#clock = new ClockFixes(database, bootId(), undefined);
      // What is damaged of these is no obstacle for who wants the events.
      this.gaps = { list: (...of) => (version < 3 ? [] : new GapLedger(database, 0).list(...of)) };
      this.dictionary = new Dictionary("", storedDevices(this.#statements));
      this.epochs = this.#statements.epochs.all() as EpochRecord[];
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The id of the gateway that wrote it; before the state folder said so, that of the newest name. */
  get gateway(): string {
    const { owner } = readEpochs(this.#path);
    return owner ?? this.dictionary.devices.findLast(({ type }) => type === "gateway")?.id ?? "";
  }

  /** Those that ever connected. */
  get uplinks(): string[] {
    return this.#database.prepare("SELECT name FROM uplink ORDER BY name").pluck().all() as string[];
  }

  /** The newest session number of each uplink. */
  get sessions(): Record<string, number> {
    const rows = this.#database.prepare("SELECT name, session FROM uplink").raw().all() as [string, number][];
    return Object.fromEntries(rows);
  }

  epochOf(id: number): EpochRecord {
    const record = this.epochs.findLast(({ base }) => base < id);
    if (record === undefined) throw new RangeError(`event ${id} belongs to no epoch of this outbox`);
    return record;
  }

  corrected(row: StoredRow): StoredRow {
    return this.#clock.corrected(row, this.epochOf(row.id).boot, this.#clock.latest);
  }

  releasedBy(uplink: string, epoch: number): number {
    return (this.#marks ??= new Watermarks(this.#database)).of(uplink, epoch);
  }

  figures(): StillFigures {
    const count = (lane: number) =>
      this.#database.prepare("SELECT count(*) FROM event WHERE lane = ?").pluck().get(lane) as number;
    const pragma = (name: string) => this.#database.pragma(name, { simple: true }) as number;
    const pageBytes = pragma("page_size");
    return {
      rows: { event: count(0), live: count(1) },
      bytes: pragma("page_count") * pageBytes,
      freeBytes: pragma("freelist_count") * pageBytes,
      oldestMs: (this.#statements.oldestRow.get() as { recorded: number } | undefined)?.recorded,
    };
  }

  /** Every event that is kept and can be read, some at a time; the last step says what cannot. */
  events(gateway: string): Generator<StillStep> {
    return new StillEvents({
      path: this.#path,
      database: this.#database,
      statements: this.#statements,
      uplinks: () => this.uplinks,
      epochs: this.epochs,
      decode: ({ epoch, base }, rows) =>
        decodeRows(
          { epoch, base, dictionary: this.dictionary },
          gateway,
          rows.map((row) => this.corrected(row)),
        ),
    }).steps();
  }

  close(): void {
    this.#database.close();
    this.#remove();
  }
}
