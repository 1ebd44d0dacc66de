import type Database from "better-sqlite3";
import { openDatabase } from "./database.ts";
import { Ledger, type Loss, type Range } from "./ledger.ts";
import type { Seal } from "../uplink/seal.ts";

/** A batch and the events that it contributes; `take` undefined = all of them. */
export interface BatchRow {
  gateway: string;
  epoch: number;
  first: number;
  last: number;
  lane: string;
  dictionary: string | undefined;
  receivedMs: number;
  take: Range[] | undefined;
  body: Uint8Array;
}

/** A ledger with what is stored beside it. `span` = the widest last - first of a stored batch. */
export interface EpochState {
  gateway: string;
  epoch: number;
  ledger: Ledger;
  span: number;
  closedMs: number | undefined;
}

/** What is known of a gateway; undefined where nothing was heard. Counters are totals. */
export interface GatewayState {
  id: string;
  online: boolean | undefined;
  session: number | undefined;
  epoch: number | undefined;
  birthMs: number | undefined;
  events: number;
  duplicates: number;
  duplicateEvents: number;
  rejected: number;
  receivedMs: number | undefined;
}

export interface RejectedRow {
  gateway: string;
  slot: number;
  receivedMs: number;
  lane: string;
  reason: string;
  body: Uint8Array;
}

export interface DictionaryRow {
  gateway: string;
  hash: string;
  receivedMs: number;
  body: Uint8Array;
}

/** The last birth as it came. */
export interface BirthRow {
  gateway: string;
  receivedMs: number;
  body: Uint8Array;
}

export interface SealRow {
  seal: Seal;
  receivedMs: number;
}

/** What one transaction writes. */
export interface Group {
  batches: readonly BatchRow[];
  epochs: Iterable<EpochState>;
  gateways: Iterable<GatewayState>;
  dictionaries: readonly DictionaryRow[];
  births: Iterable<BirthRow>;
  seals: Iterable<SealRow>;
  rejected: Iterable<RejectedRow>;
}

export type Columns = Record<string, unknown>;

/** The receiver's database. It owns the only connection; a second receiver on the same file is refused. */
export class Store {
  readonly #path: string;
  #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  /** Opens or makes the file. Throws `StoreError`. */
  constructor(path: string) {
    this.#path = path;
    this.#database = openDatabase(path);
  }

  /** Opens the file anew after an I/O error, when the old connection can no longer be believed. */
  reopen(): void {
    this.close();
    this.#database = openDatabase(this.#path);
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  /** Writes a group in one durable transaction; throws if any of it could not be written. */
  commit(group: Group): void {
    this.#database.transaction(() => {
      for (const row of group.batches) this.#insertBatch(row);
      for (const state of group.epochs) this.#putEpoch(state);
      for (const row of group.gateways) this.#putGateway(row);
      for (const row of group.dictionaries) {
        this.run(
          "INSERT OR IGNORE INTO dictionary VALUES (?, ?, ?, ?)",
          row.gateway,
          row.hash,
          row.receivedMs,
          row.body,
        );
      }
      for (const row of group.births) {
        this.run("INSERT OR REPLACE INTO birth VALUES (?, ?, ?)", row.gateway, row.receivedMs, row.body);
      }
      for (const row of group.seals) {
        const { gw, ep, no, from, to, fromMs, toMs } = row.seal;
        const values = [gw, ep, no, from, to, fromMs, toMs, row.receivedMs, JSON.stringify(row.seal)];
        this.run("INSERT OR IGNORE INTO seal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", ...values);
      }
      for (const row of group.rejected) {
        const values = [row.gateway, row.slot, row.receivedMs, row.lane, row.reason, row.body];
        this.run("INSERT OR REPLACE INTO rejected VALUES (?, ?, ?, ?, ?, ?)", ...values);
      }
    })();
  }

  gateways(): GatewayState[] {
    return this.all("SELECT * FROM gateway ORDER BY gw").map((row) => ({
      id: row["gw"] as string,
      online: row["online"] === null ? undefined : row["online"] === 1,
      session: (row["session"] ?? undefined) as number | undefined,
      epoch: (row["epoch"] ?? undefined) as number | undefined,
      birthMs: (row["birth_ms"] ?? undefined) as number | undefined,
      events: row["events"] as number,
      duplicates: row["duplicates"] as number,
      duplicateEvents: row["duplicate_events"] as number,
      rejected: row["rejected"] as number,
      receivedMs: (row["received_ms"] ?? undefined) as number | undefined,
    }));
  }

  /** The epochs of a gateway that are not closed, or were closed after `closedSinceMs`; newest first. */
  openEpochs(gateway: string, closedSinceMs: number, limit: number): EpochState[] {
    const sql =
      "SELECT * FROM ledger WHERE gw = ? AND (closed_ms IS NULL OR closed_ms > ?) ORDER BY ep DESC LIMIT ?";
    return this.all(sql, gateway, closedSinceMs, limit).map((row) => this.#epochState(gateway, row));
  }

  epoch(gateway: string, epoch: number): EpochState | undefined {
    const row = this.all("SELECT * FROM ledger WHERE gw = ? AND ep = ?", gateway, epoch)[0];
    return row === undefined ? undefined : this.#epochState(gateway, row);
  }

  /** The numbers of the epochs from `from` on, with their span. */
  epochsFrom(gateway: string, from: number, limit: number): { epoch: number; span: number }[] {
    const sql = "SELECT ep, span FROM ledger WHERE gw = ? AND ep >= ? ORDER BY ep LIMIT ?";
    return this.all(sql, gateway, from, limit).map((row) => ({
      epoch: row["ep"] as number,
      span: row["span"] as number,
    }));
  }

  /** Batches of an epoch in order of their first event: those that begin above `first` and end above `last`. */
  batches(gateway: string, epoch: number, first: number, last: number, limit: number): BatchRow[] {
    const sql =
      "SELECT * FROM batch WHERE gw = ? AND ep = ? AND first > ? AND last > ? ORDER BY first LIMIT ?";
    return this.all(sql, gateway, epoch, first, last, limit).map(batchRow);
  }

  /** Batches of all gateways in the order in which they were stored. */
  batchesAfter(id: number, limit: number): { id: number; row: BatchRow }[] {
    const rows = this.all("SELECT * FROM batch WHERE id > ? ORDER BY id LIMIT ?", id, limit);
    return rows.map((row) => ({ id: row["id"] as number, row: batchRow(row) }));
  }

  dictionary(gateway: string, hash: string): Uint8Array | undefined {
    return this.all("SELECT body FROM dictionary WHERE gw = ? AND hash = ?", gateway, hash)[0]?.["body"] as
      | Uint8Array
      | undefined;
  }

  /** The hashes of a gateway's dictionaries, the one that came last first. */
  dictionaryHashes(gateway: string, limit: number): string[] {
    const sql = "SELECT hash FROM dictionary WHERE gw = ? ORDER BY rowid DESC LIMIT ?";
    return this.all(sql, gateway, limit).map((row) => row["hash"] as string);
  }

  dictionaryCount(gateway: string): number {
    return this.all("SELECT count(*) AS n FROM dictionary WHERE gw = ?", gateway)[0]?.["n"] as number;
  }

  rejected(gateway: string): RejectedRow[] {
    return this.all("SELECT * FROM rejected WHERE gw = ? ORDER BY received_ms, slot", gateway).map((row) => ({
      gateway: row["gw"] as string,
      slot: row["slot"] as number,
      receivedMs: row["received_ms"] as number,
      lane: row["lane"] as string,
      reason: row["reason"] as string,
      body: row["body"] as Uint8Array,
    }));
  }

  #epochState(gateway: string, row: Columns): EpochState {
    const epoch = row["ep"] as number;
    const losses = this.all(
      "SELECT first, last, reason FROM loss WHERE gw = ? AND ep = ? ORDER BY first",
      gateway,
      epoch,
    );
    const state = {
      top: row["top"] as number,
      holes: JSON.parse(row["holes"] as string) as Range[],
      last: (row["last"] ?? undefined) as number | undefined,
    };
    return {
      gateway,
      epoch,
      ledger: new Ledger(
        state,
        losses.map((loss): Loss => ({
          from: loss["first"] as number,
          to: loss["last"] as number,
          reason: loss["reason"] as string,
        })),
      ),
      span: row["span"] as number,
      closedMs: (row["closed_ms"] ?? undefined) as number | undefined,
    };
  }

  #insertBatch(row: BatchRow): void {
    // A commit whose answer was lost in an I/O error may be there already: then the row is the same one.
    this.run(
      "INSERT OR IGNORE INTO batch (gw, ep, first, last, lane, dict, received_ms, take, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      row.gateway,
      row.epoch,
      row.first,
      row.last,
      row.lane,
      row.dictionary ?? null,
      row.receivedMs,
      row.take === undefined ? null : JSON.stringify(row.take),
      row.body,
    );
  }

  #putEpoch(state: EpochState): void {
    const { gateway } = state;
    const { top, holes, last } = state.ledger.state();
    const values = [
      gateway,
      state.epoch,
      top,
      JSON.stringify(holes),
      last ?? null,
      state.span,
      state.closedMs ?? null,
    ];
    this.run("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", ...values);
    if (!state.ledger.lossesChanged) return;
    this.run("DELETE FROM loss WHERE gw = ? AND ep = ?", gateway, state.epoch);
    for (const loss of state.ledger.losses) {
      this.run(
        "INSERT INTO loss VALUES (?, ?, ?, ?, ?)",
        gateway,
        state.epoch,
        loss.from,
        loss.to,
        loss.reason,
      );
    }
  }

  #putGateway(row: GatewayState): void {
    this.run(
      "INSERT OR REPLACE INTO gateway VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      row.id,
      row.online === undefined ? null : Number(row.online),
      row.session ?? null,
      row.epoch ?? null,
      row.birthMs ?? null,
      row.events,
      row.duplicates,
      row.duplicateEvents,
      row.rejected,
      row.receivedMs ?? null,
    );
  }

  /** Runs `work` in one durable transaction. */
  transaction(work: () => void): void {
    this.#database.transaction(work)();
  }

  #statement(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs a statement that changes something. */
  run(sql: string, ...values: unknown[]): number {
    return this.#statement(sql).run(...values).changes;
  }

  /** The rows of a query. */
  all(sql: string, ...values: unknown[]): Columns[] {
    return this.#statement(sql).all(...values) as Columns[];
  }
}

function batchRow(row: Columns): BatchRow {
  return {
    gateway: row["gw"] as string,
    epoch: row["ep"] as number,
    first: row["first"] as number,
    last: row["last"] as number,
    lane: row["lane"] as string,
    dictionary: (row["dict"] ?? undefined) as string | undefined,
    receivedMs: row["received_ms"] as number,
    take: row["take"] === null ? undefined : (JSON.parse(row["take"] as string) as Range[]),
    body: row["body"] as Uint8Array,
  };
}
