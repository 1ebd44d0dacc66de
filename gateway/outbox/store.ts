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
import { bootId, clockState, monotonicMs } from "../clock.ts";
import { EventWriter, type DictionaryDevice, type DictionaryPoint } from "../event.ts";
import { Dictionary } from "../uplink/encoding.ts";
import { openDatabase } from "./schema.ts";
import { Seals } from "./seals.ts";
import { prepare } from "./statements.ts";

/** Class of a row: 0 urgent (lane event), 1 telemetry (lane live). */
export type RowLane = 0 | 1;

export interface StoredRow {
  id: number;
  lane: RowLane;
  recordedMs: number;
  body: Uint8Array;
}

/** A frozen batch of one uplink: all rows of `rowLane` with first <= id <= last, never over an epoch's border. */
export interface CutRecord {
  rowLane: RowLane;
  first: number;
  last: number;
  lane: "event" | "live" | "fill";
  dictionary: string;
}

export interface EpochRecord {
  epoch: number;
  base: number;
}

/** Numbers of one class; accepted = delivered + kept + dropped at every commit. */
export interface Books {
  accepted: number;
  delivered: number;
  dropped: number;
  kept: number;
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
  /** Its id goes into the seals. */
  gateway?: string;
  sealEveryMs?: number;
}

const hourMs = 3_600_000;

interface Tombstone {
  epoch: number;
  first: number;
  last: number;
  reason: string;
  from_ms: number;
  to_ms: number;
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
  readonly seals: Seals;
  #database: Database.Database;
  #lastId: number;
  #epochs: EpochRecord[];
  #dictionary: Dictionary;
  readonly #statements;
  readonly #pagesMax: number;

  /** Opens the file and durably starts the next epoch before it accepts anything. */
  constructor(options: StoreOptions) {
    this.path = options.path;
    mkdirSync(dirname(options.path), { recursive: true });
    const opened = openOrQuarantine(options);
    this.#database = opened.database;
    this.quarantined = opened.quarantined;
    this.#pagesMax = this.#database.pragma("max_page_count", { simple: true }) as number;
    this.#statements = prepare(this.#database);
    this.#lastId = (this.#statements.sequence.get() as { seq: number } | undefined)?.seq ?? 0;
    this.epoch = this.#nextEpoch();
    this.base = this.#lastId;
    this.#statements.addEpoch.run(this.epoch, this.base, bootId(), Date.now(), monotonicMs());
    this.#epochs = this.#pruneEpochs(this.#statements.epochs.all() as EpochRecord[]);
    this.#dictionary = this.#loadDictionary();
    this.seals = new Seals(this.#database, {
      gateway: options.gateway ?? "",
      everyMs: options.sealEveryMs ?? hourMs,
      dictionary: () => this.#dictionary,
      isIntact: (row) => rowCrc(row.id, row.lane, row.recordedMs, row.body) === row.crc,
      epochs: () => this.#epochs,
      lastIdOf: (record) => this.lastIdOf(record),
    });
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
    const accepted: [number, number] = [0, 0];
    this.#database.transaction(() => {
      for (const row of rows) {
        const { id, lane, body } = row;
        this.#statements.insert.run(id, lane, recordedMs, rowCrc(id, lane, recordedMs, body), body);
        accepted[lane]++;
      }
      for (const lane of [0, 1] as const)
        if (accepted[lane] > 0) this.#statements.accept.run(accepted[lane], lane);
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
    const found = statement.all(first, last, limit) as (StoredRow & { crc: number })[];
    const bad = found.filter((row) => rowCrc(row.id, row.lane, row.recordedMs, row.body) !== row.crc);
    if (bad.length === 0) return found;
    this.drop(bad, "corrupt");
    return found.filter((row) => !bad.includes(row));
  }

  /** The highest id among the first `limit` rows of a class from `first` on; undefined when there is none. */
  firstId(lane: RowLane, first: number): number | undefined {
    const statement = lane === 0 ? this.#statements.urgentFirst : this.#statements.first;
    return (statement.get(first) as { id: number } | undefined)?.id;
  }

  /** Takes rows out of the queue, leaving tombstones that say why. */
  drop(rows: readonly { id: number; lane: RowLane; recordedMs: number }[], reason: string): void {
    this.#database.transaction(() => {
      // A gap event may be among them: what it declared is declared again, which is harmless.
      if (rows.some((row) => row.lane === 0)) this.#statements.reportAgain.run();
      for (const row of rows) {
        const { epoch, base } = this.epochOf(row.id);
        const seq = row.id - base;
        const grown = this.#statements.growTombstone.run(seq, row.recordedMs, epoch, seq - 1, reason);
        if (grown.changes === 0)
          this.#statements.addTombstone.run(epoch, seq, seq, reason, row.recordedMs, row.recordedMs);
        this.#statements.remove.run(row.id);
        this.#statements.bookDropped.run(1, row.lane);
      }
    })();
  }

  /** Share of the byte budget that is in use, 0 to 1. */
  fill(): number {
    const pages = this.#database.pragma("page_count", { simple: true }) as number;
    const free = this.#database.pragma("freelist_count", { simple: true }) as number;
    return (pages - free) / this.#pagesMax;
  }

  /** Drops the oldest telemetry, then (only when there is none) the oldest urgent rows. Returns how many. */
  evict(): number {
    const live = this.#statements.oldest.all(1, evictRows) as {
      id: number;
      lane: RowLane;
      recordedMs: number;
    }[];
    const rows = live.length > 0 ? live : (this.#statements.oldest.all(0, evictRows) as typeof live);
    this.drop(rows, "evicted");
    return rows.length;
  }

  /**
   * The tombstones that the IOC has not heard of, as the body of one `gap` event; undefined when there are none.
   * `device` is the dictionary index of the gateway itself. Call `mark` in the transaction that stores it.
   */
  dropReport(device: number): { body: Buffer; mark: () => void } | undefined {
    const rows = this.#statements.unreported.all() as Tombstone[];
    if (rows.length === 0) return undefined;
    const writer = new EventWriter();
    writer.begin("gap", device, Date.now(), monotonicMs(), clockState());
    writer.object({
      cause: rows.every((row) => row.reason === "evicted") ? "buffer_overflow" : "storage",
      from: new Date(Math.min(...rows.map((row) => row.from_ms))).toISOString(),
      to: new Date(Math.max(...rows.map((row) => row.to_ms))).toISOString(),
      lostCount: rows.reduce((sum, row) => sum + row.last - row.first + 1, 0),
      dropped: rows.map(({ epoch, first, last, reason }) => ({ epoch, from: first, to: last, reason })),
    });
    const mark = () => {
      for (const row of rows) this.#statements.markReported.run(row.epoch, row.first, row.last);
    };
    return { body: Buffer.from(writer.bytes()), mark };
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
    const capped = Math.min(watermark, this.lastIdOf(record) - record.base);
    return this.#database.transaction(() => {
      this.#statements.setReleased.run(uplink, epoch, capped);
      const isSealing = this.seals.advance(uplink, epoch, capped);
      // A chain is never ahead of what its uplink has released.
      const marks = uplinks.map((name) => this.seals.sealedTo(name, epoch));
      const last = record.base + Math.min(...marks);
      const found = this.#statements.releasable.all(record.base + 1, last, limit) as {
        id: number;
        lane: RowLane;
      }[];
      const more = found.length === limit;
      // Beyond the last row of this call everything up to the watermark has been evicted already.
      const end = more ? (found.at(-1)?.id ?? last) : last;
      this.#statements.removeRange.run(record.base + 1, end);
      for (const lane of [0, 1] as const) {
        this.#statements.bookDelivered.run(found.filter((row) => row.lane === lane).length, lane);
      }
      this.#statements.removeCuts.run(end, record.base);
      this.#statements.removeTombstones.run(epoch, end - record.base);
      return more || isSealing;
    })();
  }

  /** The session number of the next CONNECT: one more than ever before, durably. */
  nextSession(uplink: string): number {
    this.#statements.bumpSession.run(uplink);
    return (this.#statements.session.get(uplink) as { session: number }).session;
  }

  books(): Record<"event" | "live", Books> {
    const rows = this.#statements.books.all() as (Omit<Books, "kept"> & { lane: RowLane })[];
    const of = (lane: RowLane): Books => {
      const { accepted = 0, delivered = 0, dropped = 0 } = rows.find((row) => row.lane === lane) ?? {};
      return { accepted, delivered, dropped, kept: accepted - delivered - dropped };
    };
    return { event: of(0), live: of(1) };
  }

  /** Rows that are really in the table, to hold against the books, and the time of the oldest. */
  count(): { rows: number; oldestMs: number | undefined; bytes: number } {
    const { rows } = this.#statements.count.get() as { rows: number };
    const oldest = this.#statements.oldestRow.get() as { recorded: number } | undefined;
    const pages = this.#database.pragma("page_count", { simple: true }) as number;
    return { rows, oldestMs: oldest?.recorded, bytes: pages * 4096 };
  }

  close(): void {
    this.#database.close();
  }

  #addCut(uplink: string, cut: CutRecord): void {
    this.#statements.addCut.run(uplink, cut.rowLane, cut.first, cut.last, cut.lane, cut.dictionary);
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
