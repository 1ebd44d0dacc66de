import Database from "better-sqlite3";
import assert from "node:assert";
import { deadLetterTables } from "./dead-letters.ts";
import { accountTables } from "./accounts.ts";
import { clockTables } from "./clock-fixes.ts";
import { gapTable } from "./gap-ledger.ts";
import { lossTables } from "./losses.ts";
import { corrupt } from "./rows.ts";
import { runTables } from "./runs.ts";
import { salvageTable } from "./takeover.ts";
import { sealTables } from "./seals.ts";

/**
 * The outbox's tables and the settings of its one connection.
 * Source of the settings: SQLite documentation, "PRAGMA statements"; each is proved by a test in outbox.test.ts.
 */

const firstTables = `
CREATE TABLE epoch (
  epoch INTEGER PRIMARY KEY,
  base INTEGER NOT NULL,          -- an event's seq is its id minus this
  boot TEXT NOT NULL, started_wall INTEGER NOT NULL, started_mono REAL NOT NULL
) STRICT;
CREATE TABLE event (
  -- AUTOINCREMENT: without it ids start again at 1 once everything has been delivered and deleted.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  lane INTEGER NOT NULL,          -- 0 event, 1 live: the row's class
  recorded INTEGER NOT NULL,      -- ms, when it was accepted
  crc INTEGER NOT NULL,           -- over id, lane, recorded and body
  body BLOB NOT NULL
) STRICT;
-- Urgent rows are few, so this index costs next to nothing, and an alarm behind a week of backlog is found at once.
CREATE INDEX event_urgent ON event (id) WHERE lane = 0;
CREATE TABLE device (
  idx INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, type TEXT NOT NULL, profile TEXT NOT NULL,
  UNIQUE (id, type, profile)
) STRICT;
CREATE TABLE point (
  idx INTEGER PRIMARY KEY AUTOINCREMENT,
  device INTEGER NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, decimals INTEGER NOT NULL,
  UNIQUE (device, name, unit, kind, decimals)
) STRICT;
CREATE TABLE tombstone (
  epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL,
  from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (epoch, first)
) STRICT;
CREATE TABLE books (
  lane INTEGER PRIMARY KEY, accepted INTEGER NOT NULL, delivered INTEGER NOT NULL, dropped INTEGER NOT NULL
) STRICT;
INSERT INTO books VALUES (0, 0, 0, 0), (1, 0, 0, 0);
CREATE TABLE uplink (name TEXT PRIMARY KEY, session INTEGER NOT NULL) STRICT;
CREATE TABLE released (
  uplink TEXT NOT NULL, epoch INTEGER NOT NULL, watermark INTEGER NOT NULL, PRIMARY KEY (uplink, epoch)
) STRICT;
-- A batch is frozen when it is first sent: the same rows and the same dictionary give the same bytes again.
CREATE TABLE cut (
  uplink TEXT NOT NULL, row_lane INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  lane TEXT NOT NULL, dictionary TEXT NOT NULL, PRIMARY KEY (uplink, row_lane, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE dictionary (hash TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
`;

/** The WAL is copied into the file when it has grown to this. */
export const walBytes = 1_024_000;
export const bytesMin = 256 * 1024;

/**
 * The steps from an empty file to today's tables, each the work of one released version; a step is never edited
 * once it is released. `user_version` counts the steps done, and a file with more of them is not opened;
 * `application_id` counts them too, so that a wrong bit is not taken for a newer kerb. 0: not written yet.
 */
export const migrations: readonly ((database: Database.Database) => void)[] = [
  (database) => database.exec(firstTables),
  (database) => {
    accountTables(database);
    lossTables(database);
    clockTables(database);
    runTables(database);
    deadLetterTables(database);
    database.exec(salvageTable);
    sealTables(database);
  },
  gapTable,
];

/**
 * Opens the queue file, creates or checks its tables (`steps`) and sets what SQLite forgets at every open. `bytesMax`
 * becomes `max_page_count`. Throws SQLite's error (code SQLITE_NOTADB, SQLITE_CORRUPT, …), or KERB-OUT-NEWER.
 */
export function openDatabase(path: string, bytesMax: number, steps = migrations): Database.Database {
  const database = new Database(path, { timeout: 0 });
  try {
    // Takes effect in a new file only. A commit rewrites half a dozen pages of which little has changed: small ones
    // save a third of the flash's wear; still smaller ones would hold one event of a large device each.
    database.pragma("page_size = 2048");
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    const pageBytes = database.pragma("page_size", { simple: true }) as number;
    database.pragma(`wal_autocheckpoint = ${Math.floor(walBytes / pageBytes)}`);
    database.pragma("journal_size_limit = 1048576");
    limitPages(database, bytesMax);
    database.pragma("mmap_size = 0");
    // better-sqlite3 would take 16 MB; a queue reads what it has just written.
    database.pragma("cache_size = -2000");
    const version = stepsDone(database, path, steps.length);
    // All steps or none: a kill in between leaves the file as it was.
    if (version < steps.length) {
      database.transaction(() => {
        for (const step of steps.slice(version)) step(database);
        for (const count of ["user_version", "application_id"]) database.pragma(`${count} = ${steps.length}`);
      })();
    }
    // better-sqlite3 is built with NORMAL as WAL's default: it comes back at the first table access unless FULL
    // was set after the mode, so the assertion stands behind such an access.
    database.prepare("SELECT count(*) FROM epoch").get();
    assert.equal(
      database.pragma("synchronous", { simple: true }),
      2,
      "the outbox must run with synchronous=FULL",
    );
    assert.equal(database.pragma("journal_mode", { simple: true }), "wal");
    if (descriptionOf(database) !== expectedOf(steps)) throw corrupt("the tables are described otherwise");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * The schema steps that the file has behind it. Throws KERB-OUT-NEWER where these are more than `known`, or
 * SQLITE_CORRUPT where it says two different numbers.
 */
export function stepsDone(database: Database.Database, path: string, known = migrations.length): number {
  const version = database.pragma("user_version", { simple: true }) as number;
  if (version <= known) return version;
  const again = database.pragma("application_id", { simple: true }) as number;
  if (again !== 0 && again !== version) throw corrupt(`two counts of schema steps: ${version}, ${again}`);
  const message = `the outbox ${path} was written by a newer kerb (schema ${version}, this one knows ${known})`;
  throw Object.assign(new Error(message), { code: "KERB-OUT-NEWER", path, version, known });
}

/** The byte budget; never less than the file has. */
export function limitPages(database: Database.Database, bytesMax: number): void {
  const pageBytes = database.pragma("page_size", { simple: true }) as number;
  database.pragma(`max_page_count = ${Math.floor(Math.max(bytesMin, bytesMax) / pageBytes)}`);
}

/** How SQLite describes the tables: a wrong bit in it may rename what a query gives, and nothing else would notice. */
function descriptionOf(database: Database.Database): string {
  const rows = database.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
  return JSON.stringify(rows.raw().all());
}

const expected = new WeakMap<typeof migrations, string>();

/** The description that the steps make. */
function expectedOf(steps: typeof migrations): string {
  const known = expected.get(steps);
  if (known !== undefined) return known;
  const database = new Database(":memory:");
  try {
    for (const step of steps) step(database);
    const description = descriptionOf(database);
    expected.set(steps, description);
    return description;
  } finally {
    database.close();
  }
}
