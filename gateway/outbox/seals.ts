import type Database from "better-sqlite3";
import { clockStates, EventReader } from "../event.ts";
import { ChainHash, chainStart } from "../uplink/canonical.ts";
import type { Dictionary } from "../uplink/encoding.ts";
import { shaped, type EpochRecord } from "./rows.ts";
import { sealHead, type PendingSeal, type Seal, type SealSource, type Tomb } from "../uplink/seal.ts";

/** One hash chain for each uplink and epoch, and the seals that its receiver has not stored yet. */
export function sealTables(database: Database.Database): void {
  database.exec(`
CREATE TABLE chain (
  uplink TEXT NOT NULL, epoch INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (uplink, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE seal (
  uplink TEXT NOT NULL, epoch INTEGER NOT NULL, no INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (uplink, epoch, no)
) STRICT, WITHOUT ROWID;
`);
}

/** What the chain needs of the outbox that it belongs to. */
export interface SealedOutbox {
  gateway: string;
  /** Length of a period, ms; an hour when it is not said. */
  everyMs: number | undefined;
  dictionary(): Dictionary;
  /** The row is as it was stored. */
  isIntact(row: SealedRow): boolean;
  /** The row with the times with which it went over this uplink. */
  asSent(uplink: string, row: SealedRow): SealedRow;
  epochs(): readonly EpochRecord[];
  lastIdOf(record: EpochRecord): number;
}

export interface SealedRow {
  id: number;
  lane: 0 | 1;
  recordedMs: number;
  crc: number;
  body: Uint8Array;
}

/** A chain between two steps. Numbers are those of its epoch; `h` and `prev` are hex. */
interface ChainState {
  /** Chained up to this number. */
  to: number;
  no: number;
  h: string;
  prev: string;
  /** The seal that is open; `fromMs` < 0: none is. */
  first: number;
  n: number;
  fromMs: number;
  toMs: number;
  clock: number;
  tomb: Tomb[];
  /** Of the last row: time of acceptance and monotonic time; -1: there was none. */
  lastMs: number;
  monoMs: number;
  ended: boolean;
  after?: [number, number];
}

interface Gap {
  first: number;
  last: number;
  reason: string;
  from_ms: number;
  to_ms: number;
}

const hourMs = 3_600_000;
const chunkRows = 32;
/** Time of one step: a commit waits for it. */
const stepMs = 8;
/** A seal with more ranges is closed early, so that it fits into a message. */
const tombsMax = 100;
const pendingMax = 2000;
const pendingListed = 64;

/**
 * Seals what the receiver of an uplink has committed. The chain runs over events, not over messages, and moves in
 * the transaction that releases them: a row is deleted only when every uplink's chain has passed it.
 */
export class Seals implements SealSource {
  version = 0;
  readonly #outbox: SealedOutbox;
  readonly #statements;
  readonly #transaction: (work: () => void) => void;
  readonly #hash = new ChainHash();
  readonly #reader = new EventReader();

  /** Also forgets the chains of epochs that the outbox has forgotten. */
  constructor(database: Database.Database, outbox: SealedOutbox) {
    this.#outbox = outbox;
    this.#statements = prepare(database);
    this.#transaction = (work) => database.transaction(work)();
    this.#statements.pruneChains.run();
  }

  /** The number up to which the chain of an uplink has passed an epoch. */
  sealedTo(uplink: string, epoch: number): number {
    return this.#load(uplink, epoch)?.to ?? 0;
  }

  /**
   * Moves a chain towards `watermark`, in the caller's transaction and for a bounded time. True when it has not
   * got there yet.
   */
  advance(uplink: string, epoch: number, watermark: number): boolean {
    const record = this.#outbox.epochs().find((candidate) => candidate.epoch === epoch);
    if (record === undefined) return false;
    const known = this.#load(uplink, epoch);
    const state = known ?? this.#fresh(record, watermark);
    if (state.ended) return false;
    const before = known?.to;
    this.#hash.value = Buffer.from(state.h, "hex");
    const seal: OpenSeal = { uplink, epoch, state };
    const untilMs = performance.now() + stepMs;
    while (state.to < watermark && performance.now() < untilMs)
      this.#chunk(seal, record.base, watermark, untilMs);
    const isOver = record !== this.#outbox.epochs().at(-1);
    if (isOver && state.to >= this.#outbox.lastIdOf(record) - record.base) this.#close(seal, true);
    else if (state.to === before) return false;
    this.#save(seal);
    return state.to < watermark;
  }

  /** Starts a chain that there is none of yet at `watermark`, in the caller's transaction; what follows is sealed later. */
  begin(uplink: string, epoch: number, watermark: number): void {
    if (this.#load(uplink, epoch) === undefined) this.advance(uplink, epoch, watermark);
  }

  /** Closes the periods that ended with everything sealed: also those in which nothing was recorded. */
  tick(uplinks: readonly string[], nowMs: number): void {
    const record = this.#outbox.epochs().at(-1);
    if (record === undefined) return;
    const last = this.#outbox.lastIdOf(record) - record.base;
    for (const uplink of uplinks) {
      const state = this.#load(uplink, record.epoch);
      if (state === undefined || state.to !== last || nowMs < state.toMs) continue;
      const seal = { uplink, epoch: record.epoch, state };
      this.#hash.value = Buffer.from(state.h, "hex");
      this.#transaction(() => {
        if (state.fromMs >= 0) this.#close(seal);
        this.#open(state, nowMs, nowMs);
        this.#save(seal);
      });
    }
  }

  pending(uplink: string): PendingSeal[] {
    return this.#statements.pending.all(uplink, pendingListed) as PendingSeal[];
  }

  acknowledged(uplink: string, epoch: number, no: number): void {
    this.#statements.removeSeals.run(uplink, epoch, no);
    this.version++;
  }

  #load(uplink: string, epoch: number): ChainState | undefined {
    const row = this.#statements.state.get(uplink, epoch) as { state: string } | undefined;
    return row === undefined ? undefined : (JSON.parse(row.state) as ChainState);
  }

  #save({ uplink, epoch, state }: OpenSeal): void {
    state.h = this.#hash.value.toString("hex");
    this.#statements.putState.run(uplink, epoch, JSON.stringify(state));
  }

  /** A chain begins at the oldest number that is still here: an uplink may be newer than the epoch. */
  #fresh({ epoch, base }: EpochRecord, watermark: number): ChainState {
    const end = base + watermark;
    const row = this.#statements.firstRow.get(base + 1, end) as { id: number | null };
    const gap = this.#statements.firstGap.get(epoch) as { first: number | null };
    const first = Math.min((row.id ?? end + 1) - base, gap.first ?? Infinity, watermark + 1);
    const h = chainStart(this.#outbox.gateway, epoch).toString("hex");
    const records = this.#outbox.epochs();
    const earlier = records.filter(
      (record) => record.epoch < epoch && this.#outbox.lastIdOf(record) > record.base,
    );
    const before = earlier.at(-1);
    return {
      to: first - 1,
      no: 0,
      h,
      prev: h,
      first,
      n: 0,
      fromMs: -1,
      toMs: 0,
      clock: 0,
      tomb: [],
      lastMs: -1,
      monoMs: -1,
      ended: false,
      ...(before === undefined
        ? {}
        : { after: [before.epoch, this.#outbox.lastIdOf(before) - before.base] as [number, number] }),
    };
  }

  #chunk(seal: OpenSeal, base: number, watermark: number, untilMs: number): void {
    const { state } = seal;
    const rows = shaped<SealedRow>(
      this.#statements.rows.all(base + state.to + 1, base + watermark, chunkRows),
    );
    for (const row of rows) {
      const seq = row.id - base;
      if (seq > state.to + 1) this.#skip(seal, state.to + 1, seq - 1, row.recordedMs);
      this.#row(seal, seq, row);
      if (performance.now() > untilMs) return;
    }
    if (rows.length === chunkRows || state.to >= watermark) return;
    this.#skip(seal, state.to + 1, watermark, state.lastMs < 0 ? Date.now() : state.lastMs);
  }

  #row(seal: OpenSeal, seq: number, stored: SealedRow): void {
    const { state } = seal;
    const reader = this.#reader;
    const isIntact = this.#outbox.isIntact(stored);
    const row = isIntact ? this.#outbox.asSent(seal.uplink, stored) : stored;
    const isReadable = isIntact && succeeds(() => reader.open(row.body));
    this.#place(seal, row.recordedMs, row.recordedMs, isReadable ? reader.monoMs : undefined);
    const hashed = () => this.#hash.row(reader, this.#outbox.dictionary(), seq, row.recordedMs);
    if (!isReadable || !succeeds(hashed)) {
      this.#bury(seal, seq, seq, "unreadable");
      return;
    }
    state.to = seq;
    state.n++;
    state.lastMs = row.recordedMs;
    state.monoMs = reader.monoMs;
    state.clock = Math.max(state.clock, clockStates.indexOf(reader.clock));
  }

  /** Numbers without rows: dropped ones have a tombstone, with the time of what was dropped. */
  #skip(seal: OpenSeal, first: number, last: number, aroundMs: number): void {
    const gaps = this.#statements.gaps.all(seal.epoch, first, last) as Gap[];
    const { state } = seal;
    for (const gap of gaps) {
      const from = Math.max(first, gap.first);
      const to = Math.min(last, gap.last);
      if (from > state.to + 1) this.#unknown(seal, from - 1, aroundMs);
      this.#place(seal, Math.min(gap.from_ms, gap.to_ms), Math.max(gap.from_ms, gap.to_ms));
      this.#bury(seal, from, to, gap.reason);
    }
    if (state.to < last) this.#unknown(seal, last, aroundMs);
  }

  #unknown(seal: OpenSeal, to: number, aroundMs: number): void {
    this.#place(seal, aroundMs, aroundMs);
    this.#bury(seal, seal.state.to + 1, to, "unknown");
  }

  #bury(seal: OpenSeal, from: number, to: number, reason: string): void {
    const { state } = seal;
    const before = state.tomb.at(-1);
    if (before !== undefined && before[1] === from - 1 && before[2] === reason) before[1] = to;
    else state.tomb.push([from, to, reason]);
    state.to = to;
    if (state.tomb.length < tombsMax) return;
    const { fromMs, toMs } = state;
    this.#close(seal);
    state.fromMs = fromMs;
    state.toMs = toMs;
  }

  /** Sees to it that the open seal is for these times of acceptance; what was open for others is closed. */
  #place(seal: OpenSeal, fromMs: number, toMs: number, monoMs?: number): void {
    const { state } = seal;
    if (state.fromMs >= 0 && fromMs >= state.fromMs && toMs < state.toMs) return;
    const { everyMs = hourMs } = this.#outbox;
    const start = Math.floor(fromMs / everyMs) * everyMs;
    if (state.fromMs >= 0) {
      const endMs = state.toMs;
      this.#close(seal);
      // Hours without a row are sealed as empty, if the monotonic clock says that they have really passed.
      const passedMs = (monoMs ?? Infinity) - state.monoMs;
      const hasRun = state.lastMs >= 0 && Math.abs(passedMs - (fromMs - state.lastMs)) < everyMs;
      if (start > endMs && hasRun) {
        this.#open(state, endMs, start - 1);
        this.#close(seal);
      }
    }
    this.#open(state, fromMs, toMs);
  }

  #open(state: ChainState, fromMs: number, toMs: number): void {
    const { everyMs = hourMs } = this.#outbox;
    state.fromMs = Math.floor(fromMs / everyMs) * everyMs;
    state.toMs = (Math.floor(toMs / everyMs) + 1) * everyMs;
  }

  #close({ uplink, epoch, state }: OpenSeal, isEnd = false): void {
    const { prev, tomb, n, clock, to } = state;
    const no = ++state.no;
    const head: Omit<Seal, "h"> = {
      v: 1,
      gw: this.#outbox.gateway,
      ep: epoch,
      no,
      from: state.first,
      to,
      n,
      every: this.#outbox.everyMs ?? hourMs,
      // An end without a period of its own stands at the end of the last one.
      fromMs: state.fromMs < 0 ? state.toMs : state.fromMs,
      toMs: state.toMs,
      clock,
      tomb,
      ...(no > 1 || state.after === undefined ? {} : { after: state.after }),
      ...(isEnd ? { end: true as const } : {}),
      prev,
    };
    this.#hash.text(sealHead(head));
    const h = this.#hash.value.toString("hex");
    this.#statements.addSeal.run(uplink, epoch, no, JSON.stringify({ ...head, h } satisfies Seal));
    this.#statements.pruneSeals.run(uplink, uplink, pendingMax);
    this.version++;
    Object.assign(state, { prev: h, first: to + 1, n: 0, fromMs: -1, clock: 0, tomb: [], ended: isEnd });
  }
}

interface OpenSeal {
  uplink: string;
  epoch: number;
  state: ChainState;
}

/** Whether a stored body can be read: what it throws says no more than that. */
function succeeds(read: () => void): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function prepare(database: Database.Database) {
  return {
    rows: database.prepare(
      "SELECT id, lane, recorded AS recordedMs, crc, body FROM event WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ? + 0",
    ),
    firstRow: database.prepare("SELECT min(id) AS id FROM event WHERE id BETWEEN ? AND ?"),
    firstGap: database.prepare("SELECT min(first) AS first FROM tombstone WHERE epoch = ?"),
    gaps: database.prepare(
      "SELECT first, last, reason, from_ms, to_ms FROM tombstone WHERE epoch = ? AND last >= ? AND first <= ? ORDER BY first",
    ),
    state: database.prepare("SELECT state FROM chain WHERE uplink = ? AND epoch = ?"),
    putState: database.prepare("INSERT OR REPLACE INTO chain VALUES (?, ?, ?)"),
    pruneChains: database.prepare("DELETE FROM chain WHERE epoch NOT IN (SELECT epoch FROM epoch)"),
    addSeal: database.prepare("INSERT OR REPLACE INTO seal VALUES (?, ?, ?, ?)"),
    removeSeals: database.prepare("DELETE FROM seal WHERE uplink = ? AND epoch = ? AND no <= ?"),
    // A receiver that knows no seals shall not fill the disk with them.
    pruneSeals: database.prepare(
      "DELETE FROM seal WHERE uplink = ? AND (epoch, no) IN (SELECT epoch, no FROM seal WHERE uplink = ? ORDER BY epoch DESC, no DESC LIMIT -1 OFFSET ?)",
    ),
    pending: database.prepare(
      "SELECT epoch, no, body FROM seal WHERE uplink = ? ORDER BY epoch, no LIMIT ? + 0",
    ),
  };
}
