import type Database from "better-sqlite3";
import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { bootId, monotonicMs } from "../clock.ts";
import type { DictionaryDevice } from "../event.ts";
import type { Dictionary } from "../uplink/encoding.ts";
import { Accounts, type AccountedRow } from "./accounts.ts";
import { Audit } from "./audit.ts";
import { checkBytesMax } from "./check.ts";
import { acceptedMs, ClockFixes } from "./clock-fixes.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Dictionaries, type RegisterDevice } from "./dictionaries.ts";
import { pruneEpochs } from "./epochs.ts";
import { GapLedger } from "./gap-ledger.ts";
import { Losses, type DropReport } from "./losses.ts";
import { Numbers } from "./numbers.ts";
import { checkAll, nextEpoch, openQueue, type QueueOptions } from "./open.ts";
import {
  corrupt,
  rowCrc,
  shaped,
  type Books,
  type EpochRecord,
  type RowLane,
  type StoredRow,
} from "./rows.ts";
import { Runs } from "./runs.ts";
import { Salvage, type SalvageRecord } from "./salvage.ts";
import { Seals } from "./seals.ts";
import { Space } from "./space.ts";
import { prepare } from "./statements.ts";
import type { Resume } from "./takeover.ts";
import { Watermarks } from "./watermarks.ts";

export type { RegisterDevice } from "./dictionaries.ts";
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

type CheckedRow = StoredRow & { crc: number };

const evictRows = 500;

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
  readonly seals: Seals;
  /** Accepted events that were gone when the file was opened again; tombstones declare them. */
  readonly lost: number;
  #database: Database.Database;
  #lastId: number;
  #epochs: EpochRecord[];
  readonly accounts: Accounts;
  readonly losses: Losses;
  readonly gaps: GapLedger;
  readonly runs: Runs;
  readonly clock: ClockFixes;
  readonly deadLetters: DeadLetters;
  /** Rows found damaged in this run: the account that such a row was charged to is a guess until the next audit. */
  damaged = 0;
  #audit: Audit | undefined;
  readonly #statements;
  readonly #dictionaries: Dictionaries;
  readonly #device: number;
  readonly #numbers: Numbers;
  readonly #marks: Watermarks;
  /** The site's own budget. */
  readonly bytesMax: number;
  readonly space: Space;
  /** Rows up to this id are being salvaged; they are not delivered before that is done. */
  #floor: number;

  /** Opens the file and durably starts the next epoch before it accepts anything; with `resume` it goes on. */
  constructor(options: QueueOptions) {
    const { path, bytesMax, resume } = options;
    this.path = path;
    // A folder that is gone may be a mount that comes back: it is not made anew then.
    if (resume === undefined) mkdirSync(dirname(path), { recursive: true });
    const { database, quarantined, lost } = openQueue(options);
    this.#database = database;
    this.bytesMax = bytesMax;
    this.space = new Space(database, bytesMax);
    this.quarantined = quarantined;
    this.lost = lost;
    try {
      this.#device = statSync(dirname(path)).dev;
      this.#statements = prepare(database);
      this.#numbers = new Numbers(database);
      this.#marks = new Watermarks(database);
      this.deadLetters = new DeadLetters(this, database);
      this.accounts = new Accounts(database);
      this.losses = new Losses(database);
      this.gaps = new GapLedger(database, bytesMax);
      this.#lastId = (this.#statements.newest.get() as { id: number | null }).id ?? 0;
      this.#floor = Math.max(0, ...this.#salvageRecords().map(({ last }) => last));
      this.runs = new Runs(database, this.accounts, options.began?.monoMs);
      this.clock = new ClockFixes(database, bootId(), this.runs.lastInThisBoot(), options.began);
      const known = this.#statements.epochs.all() as EpochRecord[];
      const next = resume ?? nextEpoch(path, known, this.#lastId, options.gateway);
      this.epoch = next.epoch;
      this.base = resume?.base ?? this.#lastId;
      if (resume === undefined)
        this.#statements.addEpoch.run(this.epoch, this.base, bootId(), Date.now(), monotonicMs());
      // What is being salvaged may belong to any of them.
      if (this.#floor === 0) pruneEpochs(database, this.#lastId);
      this.#epochs = this.#statements.epochs.all() as EpochRecord[];
      this.#dictionaries = new Dictionaries(database, this.#statements, path, resume?.devices);
      if ("isOlder" in next && next.isOlder) this.#dictionaries.skip(this.epoch);
      this.#numbers.refresh();
      this.seals = new Seals(database, {
        gateway: options.gateway ?? "",
        everyMs: options.sealEveryMs,
        dictionary: () => this.dictionary,
        isIntact: (row) => rowCrc(row.id, row.lane, row.recordedMs, row.body) === row.crc,
        // What no fix corrects is as it was stored, whichever its batch was frozen with.
        asSent: (sender, row) =>
          this.corrected(row) === row ? row : { ...row, ...this.corrected(row, this.#fixOf(sender, row)) },
        epochs: () => this.#epochs,
        lastIdOf: (record) => this.lastIdOf(record),
      });
    } catch (error) {
      // Whoever tries again needs the file unlocked.
      database.close();
      throw error;
    }
  }

  /** What the next handle on this file needs to go on where this one was. */
  get resume(): Resume {
    const { epoch, base, epochs, lastId } = this;
    const { devices } = this.dictionary;
    return { epoch, base, epochs, lastId, devices, device: this.#device, released: this.#marks.list };
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
    return this.#dictionaries.register(devices);
  }

  get dictionary(): Dictionary {
    return this.#dictionaries.current;
  }

  /** A dictionary that an older cut was frozen with. */
  dictionaryOf(hash: string): Dictionary {
    return this.#dictionaries.of(hash);
  }

  /**
   * Stores events in order and gives them their numbers; `cuts` (made from the rows by the caller) go into the
   * same transaction. Returns the rows. Throws SQLite's error and has then stored nothing.
   */
  commit(
    events: readonly { lane: RowLane; body: Uint8Array }[],
    cuts: (rows: StoredRow[]) => { uplink: string; cut: CutRecord }[] = () => [],
  ): StoredRow[] {
    const [wallMs, monoMs, first] = [Date.now(), monotonicMs(), this.#lastId + 1];
    const rows = events.map(({ lane, body }, i) => {
      return { id: first + i, lane, recordedMs: acceptedMs(body, wallMs, monoMs), body };
    });
    const last = { id: this.#lastId + rows.length, wallMs, monoMs };
    this.#database.transaction(() => {
      for (const row of rows) {
        const { id, lane, recordedMs, body } = row;
        this.#statements.insert.run(id, lane, recordedMs, rowCrc(id, lane, recordedMs, body), body);
      }
      this.accounts.accept(rows, last);
      this.gaps.keep(rows);
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
    return this.#withoutDamaged(shaped<CheckedRow>(statement.all(this.#above(first), last, limit)));
  }

  #withoutDamaged(rows: CheckedRow[]): StoredRow[] {
    const bad = rows.filter((row) => rowCrc(row.id, row.lane, row.recordedMs, row.body) !== row.crc);
    if (bad.length === 0) return rows;
    this.drop(bad, "corrupt");
    this.damaged += bad.length;
    return rows.filter((row) => !bad.includes(row));
  }

  /** The highest id among the first `limit` rows of a class from `first` on; undefined when there is none. */
  firstId(lane: RowLane, first: number): number | undefined {
    const statement = lane === 0 ? this.#statements.urgentFirst : this.#statements.first;
    return (statement.get(this.#above(first)) as { id: number } | undefined)?.id;
  }

  #above(first: number): number {
    return Math.max(first, this.#floor + 1);
  }

  /** Rows of all classes above an id, oldest first. */
  newer(id: number, limit = 2000): StoredRow[] {
    return shaped(this.#statements.newer.all(id, limit));
  }

  /** The work on a file that was put aside, if there is any; when it is done, `lift` makes its rows deliverable. */
  salvage(uplinks: readonly string[]): Salvage | undefined {
    const records = this.#salvageRecords();
    return records.length === 0 ? undefined : new Salvage(this.#database, this.path, records, uplinks);
  }

  lift(): void {
    this.#floor = Math.max(0, ...this.#salvageRecords().map(({ last }) => last));
  }

  #salvageRecords(): SalvageRecord[] {
    return this.#statements.salvages.all() as SalvageRecord[];
  }

  /**
   * The receiver has not got these numbers of an epoch (pairs, both included): those that are no rows any more
   * are declared, or its watermark could never pass them. Returns how many.
   */
  declareVanished(
    epoch: number,
    missing: readonly (readonly [number, number])[],
    uplinks: readonly string[],
  ): number {
    const record = this.#epochs.find((candidate) => candidate.epoch === epoch);
    if (record === undefined || missing.length === 0) return 0;
    const end = this.lastIdOf(record);
    return this.#database.transaction(() => {
      const ranges = missing.map(
        ([from, to]) => [this.#above(record.base + from), record.base + to] as const,
      );
      const { lost, handed } = this.#numbers.declareAll(ranges, end, uplinks);
      if (handed > 0) this.accounts.handOver(handed, this.count().rows + lost);
      if (lost > 0) {
        // Damage may hide rows that can be salvaged: throws then, and nothing is declared.
        this.check();
        this.accounts.miss(lost, this.count().rows, "storage");
      }
      this.damaged += lost + handed;
      return lost + handed;
    })();
  }

  /** Moves everything from the log into the file. */
  secure(): void {
    this.#database.pragma("wal_checkpoint(TRUNCATE)");
  }

  /** Reads all pages, unless there are too many. Throws SQLITE_CORRUPT when one is wrong. */
  check(): void {
    if (this.space.bytes <= checkBytesMax) checkAll(this.#database);
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
      this.gaps.lose(rows);
      if (booked === "dropped") this.accounts.drop(rows, reason);
      else this.accounts.deliver(rows);
      for (const { id } of rows)
        if (this.#statements.remove.run(id).changes !== 1) throw corrupt("rows that cannot be reached");
    })();
    this.#audit?.removed(rows);
  }

  /** A row as it is to be sent, with its times put right by the clock fixes up to `fix`. */
  corrected(row: StoredRow, fix = this.clock.latest): StoredRow {
    return this.clock.corrected(row, this.epochOf(row.id).boot, fix);
  }

  /** The clock fix by which a row was sent over an uplink. */
  #fixOf(uplink: string, { id, lane }: StoredRow): number {
    return (this.#statements.fixOf.get(uplink, lane, id, id) as number | undefined) ?? this.clock.latest;
  }

  /** Share of the site's own byte budget that is in use. */
  fill(): number {
    return this.space.fill;
  }

  /** Drops copies of refused events, else the oldest telemetry, else the oldest urgent rows. Returns how many. */
  evict(): number {
    const copies = this.deadLetters.dropCopies();
    if (copies > 0) return copies;
    const live = shaped<StoredRow>(this.#statements.oldest.all(1, evictRows));
    const rows = live.length > 0 ? live : shaped<StoredRow>(this.#statements.oldest.all(0, evictRows));
    this.drop(rows, "evicted");
    return rows.length;
  }

  /** What was dropped and not yet declared, as one `gap` event: see `Losses.report`. */
  dropReport(device: number): DropReport | undefined {
    return this.losses.report(device);
  }

  /**
   * The receiver of `uplink` has committed every event of `epoch` up to `watermark`: rows that all of `uplinks`
   * have released and sealed are deleted, at most `limit` a call. Returns true when more could be deleted.
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
    const top = this.lastIdOf(record) - record.base;
    const released = this.#database.transaction(() => {
      const isSalvaging = this.#floor > record.base;
      if (isSalvaging) this.seals.begin(uplink, epoch, this.#marks.of(uplink, epoch));
      this.#marks.set(uplink, epoch, Math.min(watermark, top));
      // The chain would take rows that are not fetched yet for lost.
      if (isSalvaging) return { found: [], more: false };
      const isSealing = this.seals.advance(uplink, epoch, Math.min(watermark, top));
      // A chain is never ahead of what its uplink has released.
      const marks = uplinks.map((name) => this.seals.sealedTo(name, epoch));
      // What a damaged file says of its last epoch may go beyond where the next one had to begin.
      const last = record.base + Math.min(top, ...marks);
      const found = shaped<AccountedRow>(this.#statements.releasable.all(record.base + 1, last, limit));
      const more = found.length === limit;
      // Beyond the last row of this call everything up to the watermark has been evicted already.
      const end = more ? (found.at(-1)?.id ?? last) : last;
      const { changes } = this.#statements.removeRange.run(record.base + 1, end);
      // Found by one way and not by another: they would be booked again and again.
      if (changes !== found.length) throw corrupt("rows that cannot be reached");
      this.accounts.deliver(found);
      this.#statements.removeCuts.run(end, record.base);
      this.losses.forget(epoch, end - record.base);
      return { found, more: more || isSealing };
    })();
    this.#audit?.removed(released.found);
    return released.more;
  }

  /** The watermark of an uplink's receiver in an epoch. */
  releasedBy(uplink: string, epoch: number): number {
    return this.#marks.of(uplink, epoch);
  }

  /**
   * Numbers of an epoch that are asked for again after they were confirmed: those whose rows are gone become
   * tombstones "released", which are not dropped in the books. True when some of the rows are still here.
   */
  declareReleased({ epoch, base }: EpochRecord, first: number, last: number): boolean {
    const ids = this.#statements.rowIds.all(base + first, base + last) as number[];
    const kept = ids.map((id) => id - base);
    this.#database.transaction(() => this.losses.declareBetween(epoch, first, last, kept, "released"))();
    return ids.length > 0;
  }

  /** The session number of the next CONNECT: one more than ever before, durably. */
  nextSession(uplink: string, atLeast = 0): number {
    this.#statements.bumpSession.run(uplink, atLeast + 1, atLeast);
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
    const found = shaped<CheckedRow>(this.#statements.anyRows.all(audit.cursor, limit));
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
    return { ...(this.#statements.count.get() as { rows: number }), ...this.size() };
  }

  /** Without counting rows, which reads the whole file. */
  size(): { oldestMs: number | undefined; bytes: number } {
    const oldest = this.#statements.oldestRow.get() as { recorded: number } | undefined;
    return { oldestMs: oldest?.recorded, bytes: this.space.bytes };
  }

  close(): void {
    try {
      this.runs.end(this.epoch);
    } catch {
      // On a failing disk the next start takes this one for killed.
    }
    this.#database.close();
  }

  /** Closes the handle on a file that fails; the gateway goes on. */
  letGo(): void {
    try {
      this.#database.close();
    } catch {
      // It is gone as far as we are concerned.
    }
  }

  #addCut(uplink: string, cut: CutRecord): void {
    const { rowLane, first, last, lane, dictionary, fix } = cut;
    this.#statements.addCut.run(uplink, rowLane, first, last, lane, dictionary, fix);
  }
}
