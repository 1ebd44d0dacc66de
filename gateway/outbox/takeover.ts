import Database from "better-sqlite3";
import { rmSync } from "node:fs";
import { basename } from "node:path";
import type { DictionaryDevice } from "../event.ts";
import { Accounts, tally } from "./accounts.ts";
import { damagedFiles, readDictionary, readEpochs } from "./beside.ts";
import { Losses } from "./losses.ts";
import { Numbers } from "./numbers.ts";
import { PageFile } from "./pages.ts";
import type { EpochRecord, StoredRow } from "./rows.ts";
import { Watermarks, type Watermark } from "./watermarks.ts";

/** What a running gateway knows of its queue without the file: with it a file opened anew goes on where it was. */
export interface Resume {
  epoch: number;
  base: number;
  epochs: readonly EpochRecord[];
  /** The id of the newest event that was accepted. */
  lastId: number;
  devices: readonly DictionaryDevice[];
  /** Number of the file system's device: another one, without our file, means that the mount is gone. */
  device: number;
  /** What the receivers have. */
  released: readonly Watermark[];
}

/** One file put aside whose rows are still to be fetched: those up to `last`. */
export const salvageTable = `
CREATE TABLE salvage (file TEXT PRIMARY KEY, last INTEGER NOT NULL, readable INTEGER NOT NULL) STRICT;
`;

/** Tables that are not copied: rows are salvaged one by one, in the background. */
const notCopied = new Set(["event", "salvage"]);

/**
 * Fills a fresh queue file with what is known of the damaged one before it: from memory (`resume`), its own small
 * tables as far as they can be read, and the files beside it. In one transaction, so that a kill repeats it. Returns
 * how many accepted events are lost for certain, because there is nothing to fetch them from.
 */
export function takeOver(database: Database.Database, queue: string, resume: Resume | undefined): number {
  const files = damagedFiles(queue);
  const [aside] = files;
  return database.transaction(() => {
    if (aside === undefined && resume === undefined) {
      // An index is never given twice, even when the file itself is gone.
      rememberDevices(database, readDictionary(queue));
      return 0;
    }
    // Before what the damaged tables say of them: an index that reads other than it was written is not taken over.
    rememberDevices(database, resume?.devices ?? readDictionary(queue));
    const before = aside === undefined ? undefined : copyTables(aside, database, resume?.lastId);
    rememberEpochs(database, resume?.epochs ?? epochsBeside(queue, database));
    rememberReleased(database, resume?.released ?? []);
    const known = database.prepare("SELECT 1 FROM device LIMIT 1").get() !== undefined;
    const sequence = before?.sequence ?? 0;
    const last = resume?.lastId ?? (sequence > 0 ? sequence : Math.max(0, ...files.map(highestId)));
    const { base } = database.prepare("SELECT coalesce(max(base), 0) AS base FROM epoch").get() as {
      base: number;
    };
    const accounts = new Accounts(database);
    accounts.coverDropped();
    accounts.raise(Math.max(last, base));
    if (aside === undefined) return declareAll(database, accounts, last, resume?.released ?? []);
    // Without the dictionary nobody can say what a row means, and a new one must not give its indexes again.
    if (!known) for (const table of ["device", "point"]) setSequence(database, table, nowSeconds());
    const add = database.prepare("INSERT OR REPLACE INTO salvage VALUES (?, ?, ?)");
    for (const path of files) {
      const file = basename(path);
      // What one file gives up to its own last number, the next may have given anew above it.
      const own = path === aside ? undefined : before?.salvages.get(file);
      add.run(file, own ?? last, known ? 1 : 0);
    }
    return 0;
  })();
}

/**
 * The epochs beside the queue, unless they are another file's: where an older one was brought back after a loss, they
 * would give its rows numbers that other events have had.
 */
function epochsBeside(queue: string, database: Database.Database): EpochRecord[] {
  const { records } = readEpochs(queue);
  const own = new Set(database.prepare("SELECT epoch FROM epoch").pluck().all() as number[]);
  return own.size === 0 || records.some(({ epoch }) => own.has(epoch)) ? records : [];
}

/** The file is gone with all its rows: what no receiver has is lost. */
function declareAll(
  database: Database.Database,
  accounts: Accounts,
  last: number,
  released: readonly Watermark[],
): number {
  const numbers = new Numbers(database);
  const uplinks = [...new Set(released.map(({ uplink }) => uplink))];
  const { lost } = numbers.declare(1, last, numbers.released(uplinks), numbers.delivered());
  if (lost > 0) accounts.vanish(lost, "storage");
  return lost;
}

function rememberReleased(database: Database.Database, released: readonly Watermark[]): void {
  const marks = new Watermarks(database);
  for (const { uplink, epoch, watermark } of released) marks.set(uplink, epoch, watermark);
}

/** Epochs that the file does not know, or knows with another base. */
export function rememberEpochs(database: Database.Database, records: readonly EpochRecord[]): void {
  const add = database.prepare(
    "INSERT INTO epoch VALUES (?, ?, ?, 0, 0) ON CONFLICT (epoch) DO UPDATE SET base = excluded.base",
  );
  for (const { epoch, base, boot } of records) add.run(epoch, base, boot);
}

/** Devices and points that the file does not know. */
export function rememberDevices(database: Database.Database, devices: readonly DictionaryDevice[]): void {
  const addDevice = database.prepare(
    "INSERT OR IGNORE INTO device (idx, id, type, profile) VALUES (?, ?, ?, ?)",
  );
  const addPoint = database.prepare(
    "INSERT OR IGNORE INTO point (idx, device, name, unit, kind, decimals) VALUES (?, ?, ?, ?, ?, ?)",
  );
  for (const { index, id, type, profile, points } of devices) {
    addDevice.run(index, id, type, profile);
    for (const point of points)
      addPoint.run(point.index, index, point.name, point.unit, point.kind, point.decimals);
  }
}

function setSequence(database: Database.Database, table: string, value: number): void {
  const { changes } = database
    .prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?")
    .run(value, table);
  if (changes === 0)
    database.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").run(table, value);
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

interface Before {
  /** The highest id that the file had given; 0 when it does not say. */
  sequence: number;
  /** Files whose rows it was still fetching, with the highest id of each. */
  salvages: Map<string, number>;
}

/** Copies what can be read of every table but the rows. `lastId`: what is newer was never accepted, if it is known. */
function copyTables(aside: string, database: Database.Database, lastId: number | undefined): Before {
  const before: Before = { sequence: 0, salvages: new Map() };
  let source: Database.Database | undefined;
  try {
    source = new Database(aside, { readonly: true, fileMustExist: true, timeout: 0 });
    for (const table of tablesOf(database)) if (!notCopied.has(table)) copyTable(source, database, table);
    before.sequence =
      (source.prepare("SELECT max(last_id) FROM account").pluck().get() as number | null) ?? 0;
    if (lastId !== undefined && before.sequence > lastId) revoke(source, database, lastId);
    for (const [file, last] of source.prepare("SELECT file, last FROM salvage").raw().iterate() as Iterable<
      [string, number]
    >)
      before.salvages.set(file, last);
  } catch {
    // What was read until then counts.
  } finally {
    source?.close();
    rmSync(`${aside}-shm`, { force: true });
  }
  return before;
}

/** A commit of unknown outcome is in the file: its events are committed again, under these very numbers. */
function revoke(source: Database.Database, database: Database.Database, lastId: number): void {
  const rows = source.prepare("SELECT lane, substr(body, 1, 12) AS body FROM event WHERE id > ?");
  const counted = new Map<number, number>();
  try {
    for (const row of rows.iterate(lastId) as Iterable<Pick<StoredRow, "lane" | "body">>)
      for (const [key, events] of tally([row])) counted.set(key, (counted.get(key) ?? 0) + events);
  } finally {
    new Accounts(database).revoke(counted, lastId);
    database.prepare("DELETE FROM cut WHERE last > ?").run(lastId);
    // One of them may have declared losses.
    new Losses(database).reportAgain();
  }
}

function tablesOf(database: Database.Database): string[] {
  return database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all() as string[];
}

function copyTable(source: Database.Database, database: Database.Database, table: string): void {
  const columns = (database.pragma(`table_info("${table}")`) as { name: string }[]).map(({ name }) => name);
  const list = columns.map((name) => `"${name}"`).join(", ");
  const add = database.prepare(
    `INSERT OR ${/^(device|point)$/.test(table) ? "IGNORE" : "REPLACE"} INTO "${table}" (${list}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  try {
    for (const row of source.prepare(`SELECT ${list} FROM "${table}"`).raw().iterate()) {
      try {
        add.run(...(row as unknown[]));
      } catch {
        // A damaged value that the table does not take; the next row may be whole.
      }
    }
  } catch {
    // What comes behind a damaged page is not reached.
  }
}

/** The highest id of a row whose checksum holds, by one look at each page. */
function highestId(aside: string): number {
  let highest = 0;
  try {
    const file = new PageFile(aside);
    try {
      for (let rows = file.next(true); rows !== undefined; rows = file.next(true))
        for (const { id } of rows) highest = Math.max(highest, id);
    } finally {
      file.close();
    }
  } catch {
    // Nothing can be read of it at all.
  }
  return highest;
}
