import type Database from "better-sqlite3";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { bootId, monotonicMs } from "../clock.ts";
import type { DictionaryDevice, DictionaryPoint } from "../event.ts";
import { Dictionary } from "../uplink/encoding.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Accounts, type AccountedRow } from "./accounts.ts";
import { Audit } from "./audit.ts";
import { ClockFixes } from "./clock-fixes.ts";
import { Losses } from "./losses.ts";
import type { Books, EpochRecord, RowLane, StoredRow } from "./rows.ts";
import { Runs } from "./runs.ts";
import { openDatabase } from "./schema.ts";
import { prepare } from "./statements.ts";

export type { Books, RowLane, StoredRow } from "./rows.ts";

/** A frozen batch of one uplink: all rows of `rowLane` with first <= id <= last, never over an epoch's border. */
export interface CutRecord {
  rowLane: RowLane;
  first: number;
  last: number;
  lane: "event" | "live" | "fill";
  dictionary: string;
  /** The newest clock fix when it was frozen: times are rendered as they were known then. */
  fix: number;
}

export interface RegisterDevice {
  id: string;
  type: string;
  profile: string;
  points: Omit<DictionaryPoint, "index">[];
}

export interface StoreOptions {
  path: string;
  bytesMax: number;
}

const evictRows = 500;
const header = Buffer.alloc(17);

function rowCrc(id: number, lane: number, recordedMs: number, body: Uint8Array): number {
  header.writeDoubleLE(id, 0);
  header.writeDoubleLE(recordedMs, 8);
  header[16] = lane;
  return crc32(body, crc32(header));
}

/**
 * The durable queue: one connection to one SQLite file, owned by one thread. Numbers are given inside the
 * transaction that stores the event, so a stored sequence has no hole by construction.
 */
export class OutboxStore {
  readonly path: string;
  readonly epoch: number;
  readonly base: number;
  /** The file that was put aside because it could not be read; undefined on a healthy start. */
  readonly quarantined: string | undefined;
  #database: Database.Database;
  #lastId: number;
  #epochs: EpochRecord[];
  #dictionary: Dictionary;
  readonly accounts: Accounts;
  readonly losses: Losses;
  readonly runs: Runs;
  readonly clock: ClockFixes;
  /** Rows found damaged in this run: the account that such a row was charged to is a guess until the next audit. */
  damaged = 0;
  #audit: Audit | undefined;
  readonly #statements;
  readonly #pagesMax: number;
  readonly deadLetters: DeadLetters;

  /** Opens the file and durably starts the next epoch before it accepts anything. */
  constructor(options: StoreOptions) {
    this.path = options.path;
    mkdirSync(dirname(options.path), { recursive: true });
    const opened = openOrQuarantine(options);
    this.#database = opened.database;
    this.quarantined = opened.quarantined;
    this.#pagesMax = this.#database.pragma("max_page_count", { simple: true }) as number;
    this.#statements = prepare(this.#database);
    this.deadLetters = new DeadLetters(this, this.#database);
    this.accounts = new Accounts(this.#database);
    this.losses = new Losses(this.#database);
    this.#lastId = (this.#statements.newest.get() as { id: number | null }).id ?? 0;
    this.runs = new Runs(this.#database, this.accounts);
    this.clock = new ClockFixes(this.#database, bootId(), this.runs.lastInThisBoot());
    this.epoch = this.#nextEpoch();
    this.base = this.#lastId;
    this.#statements.addEpoch.run(this.epoch, this.base, bootId(), Date.now(), monotonicMs());
    this.#epochs = this.#pruneEpochs(this.#statements.epochs.all() as EpochRecord[]);
    this.#dictionary = this.#loadDictionary();
  }

  /** The id of the newest event. */
  get lastId(): number {
    return this.#lastId;
  }

  get epochs(): readonly EpochRecord[] {
    return this.#epochs;
  }

  /** The epoch that an id belongs to. */
  epochOf(id: number): EpochRecord {
    for (let i = this.#epochs.length - 1; i >= 0; i--) {
      const record = this.#epochs[i];
      if (record !== undefined && record.base < id) return record;
    }
    throw new RangeError(`event ${id} belongs to no epoch of this outbox`);
  }

  /** The last id that an epoch has used, or may use. */
  lastIdOf(record: EpochRecord): number {
    const index = this.#epochs.indexOf(record);
    return this.#epochs[index + 1]?.base ?? this.#lastId;
  }

  /** Gives point and device indexes, durably; known ones keep theirs, changed ones get new ones. */
  register(devices: readonly RegisterDevice[]): DictionaryDevice[] {
    const { addDevice, deviceIndex, addPoint, pointIndex } = this.#statements;
    const registered = this.#database.transaction(() =>
      devices.map((device) => {
        addDevice.run(device.id, device.type, device.profile);
        const { idx } = deviceIndex.get(device.id, device.type, device.profile) as { idx: number };
        const points = device.points.map((point) => {
          addPoint.run(idx, point.name, point.unit, point.kind, point.decimals);
          const row = pointIndex.get(idx, point.name, point.unit, point.kind, point.decimals) as {
            idx: number;
          };
          return { ...point, index: row.idx };
        });
        return { index: idx, id: device.id, type: device.type, profile: device.profile, points };
      }),
    )();
    this.#dictionary = this.#loadDictionary();
    return registered;
  }

  get dictionary(): Dictionary {
    return this.#dictionary;
  }

  /** A dictionary that an older cut was frozen with. */
  dictionaryOf(hash: string): Dictionary {
    if (hash === this.#dictionary.hash) return this.#dictionary;
    const row = this.#statements.dictionary.get(hash) as { json: string } | undefined;
    return row === undefined
      ? this.#dictionary
      : new Dictionary(hash, JSON.parse(row.json) as DictionaryDevice[]);
  }

  /**
   * Stores events in order and gives them their numbers; `cuts` (made from the rows by the caller) go into the
   * same transaction. Returns the rows. Throws SQLite's error and has then stored nothing.
   */
  commit(
    events: readonly { lane: RowLane; body: Uint8Array }[],
    cuts: (rows: StoredRow[]) => { uplink: string; cut: CutRecord }[] = () => [],
  ): StoredRow[] {
    const recordedMs = Date.now();
    const first = this.#lastId + 1;
    const rows = events.map(({ lane, body }, i) => ({ id: first + i, lane, recordedMs, body }));
    const last = { id: this.#lastId + rows.length, wallMs: recordedMs, monoMs: monotonicMs() };
    this.#database.transaction(() => {
      for (const row of rows) {
        const { id, lane, body } = row;
        this.#statements.insert.run(id, lane, recordedMs, rowCrc(id, lane, recordedMs, body), body);
      }
      this.accounts.accept(rows, last);
      for (const { uplink, cut } of cuts(rows)) this.#addCut(uplink, cut);
    })();
    this.#lastId += rows.length;
    return rows;
  }

  /** Stores cuts of rows that are already in the outbox. */
  freeze(uplink: string, cuts: readonly CutRecord[]): void {
    this.#database.transaction(() => {
      for (const cut of cuts) this.#addCut(uplink, cut);
    })();
  }

  /** Replaces a cut by others of the same rows. */
  recut(uplink: string, cut: CutRecord, parts: readonly CutRecord[]): void {
    this.#database.transaction(() => {
      this.thaw(uplink, cut);
      for (const part of parts) this.#addCut(uplink, part);
    })();
  }

  /** Forgets a cut, so that its rows can be cut otherwise. */
  thaw(uplink: string, cut: CutRecord): void {
    this.#statements.removeCut.run(uplink, cut.rowLane, cut.first);
  }

  cuts(uplink: string): CutRecord[] {
    return this.#statements.cuts.all(uplink) as CutRecord[];
  }

  /**
   * Rows of a class in an id range, at most `limit`. A row whose CRC fails is never returned: it becomes a
   * tombstone "corrupt".
   */
  rows(lane: RowLane, first: number, last: number, limit = 500): StoredRow[] {
    const statement = lane === 0 ? this.#statements.urgentRows : this.#statements.rows;
    return this.#withoutDamaged(statement.all(first, last, limit) as (StoredRow & { crc: number })[]);
  }

  #withoutDamaged(rows: (StoredRow & { crc: number })[]): StoredRow[] {
    const bad = rows.filter((row) => rowCrc(row.id, row.lane, row.recordedMs, row.body) !== row.crc);
    if (bad.length === 0) return rows;
    this.drop(bad, "corrupt");
    this.damaged += bad.length;
    return rows.filter((row) => !bad.includes(row));
  }

  /** The highest id among the first `limit` rows of a class from `first` on; undefined when there is none. */
  firstId(lane: RowLane, first: number): number | undefined {
    const statement = lane === 0 ? this.#statements.urgentFirst : this.#statements.first;
    return (statement.get(first) as { id: number } | undefined)?.id;
  }

  /**
   * Takes rows out of the queue, leaving tombstones that say why; of `body` only the head is needed. `booked`: what
   * they count as.
   */
  drop(
    rows: readonly (AccountedRow & { recordedMs: number })[],
    reason: string,
    booked: "dropped" | "delivered" = "dropped",
  ): void {
    const nowMs = Date.now();
    const timed = rows.map((row) => {
      // A damaged row may name any time.
      const { recordedMs } = row;
      const wasMs =
        reason === "corrupt"
          ? Math.max(0, Math.min(nowMs, recordedMs))
          : this.clock.correctedMs(row, this.epochOf(row.id).boot);
      return { ...row, recordedMs: wasMs };
    });
    this.#database.transaction(() => {
      this.losses.bury(timed, reason, (id) => this.epochOf(id));
      if (booked === "dropped") this.accounts.drop(rows, reason);
      else this.accounts.deliver(rows);
      for (const { id } of rows) this.#statements.remove.run(id);
    })();
    this.#audit?.removed(rows);
  }

  /** A row as it is to be sent, with its times put right by the clock fixes up to `fix`. */
  corrected(row: StoredRow, fix: number): StoredRow {
    return this.clock.corrected(row, this.epochOf(row.id).boot, fix);
  }

  /** Share of the byte budget that is in use, 0 to 1. */
  fill(): number {
    const pages = this.#database.pragma("page_count", { simple: true }) as number;
    const free = this.#database.pragma("freelist_count", { simple: true }) as number;
    return (pages - free) / this.#pagesMax;
  }

  /** Drops the oldest telemetry, then (only when there is none) the oldest urgent rows. Returns how many. */
  evict(): number {
    const live = this.#statements.oldest.all(1, evictRows) as StoredRow[];
    const rows = live.length > 0 ? live : (this.#statements.oldest.all(0, evictRows) as typeof live);
    this.drop(rows, "evicted");
    return rows.length;
  }

  /** What was dropped and not yet declared, as one `gap` event: see `Losses.report`. */
  dropReport(device: number): { body: Buffer; mark: () => void } | undefined {
    return this.losses.report(device);
  }

  /**
   * The receiver of `uplink` has committed every event of `epoch` up to `watermark`: rows that all of `uplinks`
   * have released are deleted, at most `limit` a call. Returns true when more could be deleted.
   */
  release(
    uplink: string,
    epoch: number,
    watermark: number,
    uplinks: readonly string[],
    limit = 2000,
  ): boolean {
    const record = this.#epochs.find((candidate) => candidate.epoch === epoch);
    if (record === undefined) return false;
    const capped = Math.min(watermark, this.lastIdOf(record) - record.base);
    const released = this.#database.transaction(() => {
      this.#statements.setReleased.run(uplink, epoch, capped);
      const marks = uplinks.map((name) => this.releasedBy(name, epoch));
      const last = record.base + Math.min(...marks);
      const found = this.#statements.releasable.all(record.base + 1, last, limit) as AccountedRow[];
      const more = found.length === limit;
      // Beyond the last row of this call everything up to the watermark has been evicted already.
      const end = more ? (found.at(-1)?.id ?? last) : last;
      this.#statements.removeRange.run(record.base + 1, end);
      this.accounts.deliver(found);
      this.#statements.removeCuts.run(end, record.base);
      this.losses.forget(epoch, end - record.base);
      return { found, more };
    })();
    this.#audit?.removed(released.found);
    return released.more;
  }

  /** The watermark of an uplink's receiver in an epoch. */
  releasedBy(uplink: string, epoch: number): number {
    const found = this.#statements.released.get(uplink, epoch) as { watermark: number } | undefined;
    return found?.watermark ?? 0;
  }

  /** The session number of the next CONNECT: one more than ever before, durably. */
  nextSession(uplink: string): number {
    this.#statements.bumpSession.run(uplink);
    return (this.#statements.session.get(uplink) as { session: number }).session;
  }

  books(): Record<"event" | "live", Books> {
    return this.accounts.books();
  }

  /**
   * Counts the next rows of each account and checks their CRCs, until all are counted and the accounts are held
   * against them; undefined until then. The queue may go on between two steps.
   */
  auditStep(limit = 500): Audit | undefined {
    this.#audit ??= new Audit();
    const audit = this.#audit;
    const found = this.#statements.anyRows.all(audit.cursor, limit) as (StoredRow & { crc: number })[];
    const good = this.#withoutDamaged(found);
    audit.cursor = found.at(-1)?.id ?? audit.cursor;
    audit.count(good);
    if (found.length === limit) return undefined;
    this.#audit = undefined;
    this.#database.transaction(() => this.accounts.settle(audit.counted))();
    return audit;
  }

  /** Rows that are really in the table, to hold against the books, and the time of the oldest. */
  count(): { rows: number; oldestMs: number | undefined; bytes: number } {
    const { rows } = this.#statements.count.get() as { rows: number };
    const oldest = this.#statements.oldestRow.get() as { recorded: number } | undefined;
    const pages = this.#database.pragma("page_count", { simple: true }) as number;
    const pageBytes = this.#database.pragma("page_size", { simple: true }) as number;
    return { rows, oldestMs: oldest?.recorded, bytes: pages * pageBytes };
  }

  close(): void {
    try {
      this.runs.end(this.epoch);
    } catch {
      // On a failing disk the next start takes this one for killed.
    }
    this.#database.close();
  }

  #addCut(uplink: string, cut: CutRecord): void {
    const { rowLane, first, last, lane, dictionary, fix } = cut;
    this.#statements.addCut.run(uplink, rowLane, first, last, lane, dictionary, fix);
  }

  /** One more than any epoch that this box is known to have used: in the table, beside it, or by the clock. */
  #nextEpoch(): number {
    const known = (this.#statements.lastEpoch.get() as { epoch: number | null }).epoch;
    const sidecar = join(dirname(this.path), "epoch");
    const beside = existsSync(sidecar) ? Number.parseInt(readFileSync(sidecar, "utf8"), 10) || 0 : 0;
    // A fresh file does not know what a lost one had used, and a number used twice would hide new data as
    // duplicates: the seconds since 1970 lie above whatever an earlier file of this box counted up to.
    const epoch =
      (known === null ? Math.max(beside, Math.floor(Date.now() / 1000)) : Math.max(beside, known)) + 1;
    const descriptor = openSync(`${sidecar}.new`, "w");
    writeSync(descriptor, `${epoch}\n`);
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(`${sidecar}.new`, sidecar);
    return epoch;
  }

  /** Forgets epochs that have nothing left in the queue; the newest eight stay, because a birth names them. */
  #pruneEpochs(records: EpochRecord[]): EpochRecord[] {
    const oldest = this.#statements.minId.get() as { id: number | null };
    const lowest = oldest.id ?? this.#lastId + 1;
    return records.filter((record, i) => {
      const next = records[i + 1];
      if (next === undefined || i >= records.length - 8 || next.base >= lowest) return true;
      this.#statements.removeEpoch.run(record.epoch);
      this.#statements.removeReleased.run(record.epoch);
      return false;
    });
  }

  #loadDictionary(): Dictionary {
    const points = this.#statements.points.all() as (DictionaryPoint & { device: number })[];
    const byDevice = Map.groupBy(points, (point) => point.device);
    const devices = (this.#statements.devices.all() as Omit<DictionaryDevice, "points">[]).map((device) => ({
      ...device,
      points: (byDevice.get(device.index) ?? []).map(({ device: _device, ...point }) => point),
    }));
    const json = JSON.stringify(devices);
    const hash = createHash("sha256").update(json).digest("hex").slice(0, 8);
    this.#statements.addDictionary.run(hash, json);
    this.#statements.pruneDictionaries.run(hash);
    return new Dictionary(hash, devices);
  }
}

/**
 * Opens the file; one that is not a database or is damaged beyond opening is put aside under another name and a
 * fresh one is started, because a box in a cabinet has nobody to delete it. The first complaint is not believed:
 * after an I/O error SQLite calls a healthy file corrupt until it is opened again.
 */
function openOrQuarantine(options: StoreOptions): {
  database: Database.Database;
  quarantined: string | undefined;
} {
  for (let attempt = 1; ; attempt++) {
    try {
      return { database: openDatabase(options.path, options.bytesMax), quarantined: undefined };
    } catch (error) {
      const code = (error as { code?: string }).code ?? "";
      if (code === "SQLITE_BUSY")
        throw new Error(`another process has ${options.path} open`, { cause: error });
      if (!/^SQLITE_(NOTADB|CORRUPT)/.test(code)) throw error;
      if (attempt === 1) continue;
      const aside = `${options.path}.damaged-${Date.now()}`;
      for (const suffix of ["", "-wal"]) {
        if (existsSync(options.path + suffix)) renameSync(options.path + suffix, aside + suffix);
      }
      return { database: openDatabase(options.path, options.bytesMax), quarantined: aside };
    }
  }
}
