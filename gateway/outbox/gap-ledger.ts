import type Database from "better-sqlite3";
import { EventReader, eventKinds } from "../event.ts";
import type { StoredRow } from "./rows.ts";

/**
 * The newest gap events that were accepted, kept beyond their delivery: what the box itself can say of what is missing.
 * Each stands under the number of its event; of the ranges in `dropped` only their count is kept.
 */
const table = `
CREATE TABLE gap_told (
  id INTEGER PRIMARY KEY, recorded INTEGER NOT NULL, body BLOB NOT NULL,
  -- The event itself was dropped: no receiver has heard it.
  lost INTEGER NOT NULL DEFAULT 0
) STRICT;
`;

/** A file of 64 MiB keeps so many; a smaller one fewer. */
const entriesMax = 1000;
const entriesMin = 16;
const bytesPerEntry = 65_536;

const gapKind = eventKinds.indexOf("gap");

export function gapTable(database: Database.Database): void {
  database.exec(table);
}

/** The caller opens the transactions. */
export class GapLedger {
  readonly #statements;
  readonly #max: number;

  constructor(database: Database.Database, bytesMax: number) {
    this.#max = Math.max(entriesMin, Math.min(entriesMax, Math.floor(bytesMax / bytesPerEntry)));
    this.#statements = {
      add: database.prepare("INSERT OR REPLACE INTO gap_told VALUES (?, ?, ?, 0)"),
      prune: database.prepare(
        "DELETE FROM gap_told WHERE id <= (SELECT id FROM gap_told ORDER BY id DESC LIMIT 1 OFFSET ? + 0)",
      ),
      lose: database.prepare("UPDATE gap_told SET lost = 1 WHERE id = ?"),
      list: database.prepare("SELECT id, recorded AS recordedMs, body, lost FROM gap_told ORDER BY id"),
    };
  }

  /** Remembers the gap events among rows that the running transaction stores. */
  keep(rows: readonly StoredRow[]): void {
    const found = rows.filter(({ lane, body }) => lane === 0 && body[1] === gapKind);
    for (const { id, recordedMs, body } of found) {
      const kept = keptForm(body);
      if (kept !== undefined) this.#statements.add.run(id, recordedMs, kept);
    }
    if (found.length > 0) this.#statements.prune.run(this.#max);
  }

  /** Rows that the running transaction drops: what they told was not heard. */
  lose(rows: readonly { id: number; lane: number }[]): void {
    for (const { id, lane } of rows) if (lane === 0) this.#statements.lose.run(id);
  }

  list(): (StoredRow & { lost: number })[] {
    return this.#statements.list.all() as (StoredRow & { lost: number })[];
  }
}

/** The event with the count of its `dropped` instead of the ranges; undefined when it cannot be read. */
function keptForm(body: Uint8Array): Uint8Array | undefined {
  try {
    const data = gapOf(body).data;
    if (!Array.isArray(data["dropped"])) return body;
    let at = 3;
    while ((body[at++] ?? 0) > 127);
    const text = JSON.stringify({ ...data, dropped: data["dropped"].length });
    return Buffer.concat([body.subarray(0, at + 16), Buffer.from(text)]);
  } catch {
    return undefined;
  }
}

/** Throws `RangeError` for bytes that are no event. */
export function gapOf(body: Uint8Array): { device: number; data: Record<string, unknown> } {
  const reader = new EventReader();
  reader.open(body);
  return { device: reader.device, data: reader.object() };
}
