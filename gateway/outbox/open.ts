import type Database from "better-sqlite3";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { bootId } from "../clock.ts";
import { Accounts } from "./accounts.ts";
import { putAside, sweepAside, writeEpochs, readEpochs } from "./beside.ts";
import { checkBytesMax } from "./check.ts";
import type { Moment } from "./clock-fixes.ts";
import { isDamage } from "./faults.ts";
import { checkOwner, checkOwnerBeside, ownersIn } from "./owner.ts";
import { corrupt, type EpochRecord } from "./rows.ts";
import { openDatabase } from "./schema.ts";
import { rememberDevices, rememberEpochs, takeOver, type Resume } from "./takeover.ts";

export type Suspicion = false | "check" | "condemned";

export interface QueueOptions {
  path: string;
  bytesMax: number;
  /** Its id goes into the seals, and the state folder is its own from the first start on. */
  gateway?: string;
  sealEveryMs?: number;
  /** The first moment of this run, when something was read before the file was opened. */
  began?: Moment;
  /** Given when a running gateway opens its queue again: epoch and numbers go on. */
  resume?: Resume;
  /** SQLite called the file corrupt: "check" all its pages before it is trusted again, or do not trust it at all. */
  suspect?: Suspicion;
}

export interface OpenedQueue {
  database: Database.Database;
  /** The file that was put aside because it is damaged or not ours. */
  quarantined: string | undefined;
  /** Accepted events that the file does not hold any more; they are declared. */
  lost: number;
}

/**
 * Opens the queue file. One that is damaged is put aside and a fresh one takes over what is known of it, because a
 * box in a cabinet has nobody to do it. The first complaint is not believed: after an I/O error SQLite calls a
 * healthy file corrupt until it is opened again. Throws SQLite's error, or a sentence.
 */
export function openQueue({ path, bytesMax, gateway, resume, suspect = false }: QueueOptions): OpenedQueue {
  let quarantined: string | undefined;
  if (resume === undefined) checkOwnerBeside(path, gateway);
  if (!existsSync(path)) {
    if (resume !== undefined && statSync(dirname(path)).dev !== resume.device)
      throw Object.assign(new Error(`the file system of ${dirname(path)} is not mounted`), {
        code: "ENODEV",
      });
    // SQLite would delete a log without its file.
    if (existsSync(`${path}-wal`)) quarantined = putAside(path, "damaged");
  }
  for (let attempt = 1; ; attempt++) {
    let database: Database.Database | undefined;
    try {
      if (suspect === "condemned" && quarantined === undefined)
        throw Object.assign(new Error("corrupt again"), { code: "SQLITE_CORRUPT" });
      database = openDatabase(path, bytesMax);
      if (suspect === "check" && quarantined === undefined && statSync(path).size <= checkBytesMax)
        checkAll(database);
      checkSmall(database);
      const fresh = isEmpty(database);
      let lost = fresh ? takeOver(database, path, resume) : 0;
      if (resume === undefined) checkOwner(database, path, gateway);
      if (!fresh && resume !== undefined && isForeign(database, resume, gateway)) {
        database.close();
        quarantined = putAside(path, "replaced");
        continue;
      }
      if (resume !== undefined) lost += catchUp(database, resume);
      if (quarantined !== undefined) sweepAside(path, bytesMax);
      return { database, quarantined, lost };
    } catch (error) {
      database?.close();
      if ((error as { code?: string }).code === "SQLITE_BUSY")
        throw new Error(`another process has ${path} open`, { cause: error });
      if (!isDamage(error) || quarantined !== undefined) throw error;
      if (attempt > 1) quarantined = putAside(path, "damaged");
    }
  }
}

/** Grow with the backlog: checked with all pages, beside the work. */
const large = new Set(["event", "tombstone", "dead_letter", "dictionary", "seal"]);

/**
 * Reads the tables that say what rows mean and count, before anything is built on them: a lookup that a flipped bit
 * makes miss would give a device a second index.
 */
function checkSmall(database: Database.Database): void {
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .pluck()
    .all() as string[];
  for (const table of tables.filter((name) => !large.has(name))) check(database, `'${table}'`);
}

/** Reads every page of the file: 0.3 s for 250 MB in the cache. Throws SQLITE_CORRUPT when one is wrong. */
export function checkAll(database: Database.Database): void {
  check(database, "1");
}

/** SQLite documentation, "PRAGMA integrity_check": the argument is a table, or how many errors are wanted. */
function check(database: Database.Database, what: string): void {
  const answer = String(database.pragma(`integrity_check(${what})`, { simple: true }));
  if (answer !== "ok") throw corrupt(answer);
}

function isEmpty(database: Database.Database): boolean {
  return database.prepare("SELECT 1 FROM epoch LIMIT 1").get() === undefined;
}

/** A file that knows a later epoch than the running one, or another base of it, was written by somebody else. */
function isForeign(database: Database.Database, resume: Resume, gateway: string | undefined): boolean {
  const owners = ownersIn(database);
  if (gateway !== undefined && owners.length > 0 && !owners.includes(gateway)) return true;
  const { epoch, base } = database
    .prepare("SELECT epoch, base FROM epoch ORDER BY epoch DESC LIMIT 1")
    .get() as EpochRecord;
  return epoch > resume.epoch || (epoch === resume.epoch && base !== resume.base);
}

/**
 * Brings a file that was opened again up to what the gateway knows. Events that were accepted and are not in it
 * (an older copy, a lost log) are declared, and their numbers stay used. Returns how many.
 */
function catchUp(database: Database.Database, resume: Resume): number {
  const accounts = new Accounts(database);
  const last = accounts.last()?.id ?? 0;
  if (last >= resume.lastId) return 0;
  database.transaction(() => {
    rememberEpochs(database, resume.epochs);
    rememberDevices(database, resume.devices);
    const nowMs = Date.now();
    resume.epochs.forEach(({ epoch, base }, i) => {
      const from = Math.max(base, last);
      const to = resume.epochs[i + 1]?.base ?? resume.lastId;
      if (to <= from) return;
      database
        .prepare("INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, 'storage', ?, ?, 0)")
        .run(epoch, from - base + 1, to - base, nowMs, nowMs);
      accounts.vanish(to - from, "storage");
    });
    accounts.raise(resume.lastId);
  })();
  return resume.lastId - last;
}

/**
 * Above any epoch that this box is known to have used, in the table or beside it, and above the seconds since 1970:
 * neither a fresh file nor a state folder set back to a backup knows what was used since, and a number used twice
 * would hide new data as duplicates. Durable beside the file when it returns. `isOlder`: this file is not the
 * newest that the box had.
 */
export function nextEpoch(
  path: string,
  known: readonly EpochRecord[],
  base: number,
  gateway?: string,
): { epoch: number; isOlder: boolean } {
  const beside = readEpochs(path).newest;
  const inFile = Math.max(0, ...known.map((record) => record.epoch));
  const newest = Math.max(beside, inFile);
  const epoch = Math.max(newest, Math.floor(Date.now() / 1000)) + 1;
  writeEpochs(path, epoch, [...known, { epoch, base, boot: bootId() }], gateway);
  return { epoch, isOlder: beside > inFile };
}
