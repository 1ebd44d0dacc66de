import type Database from "better-sqlite3";
import type { EpochRecord } from "./rows.ts";

/** A birth names the newest ones. */
const named = 8;
/** The chain of an uplink that is not configured any more never ends. */
const chainedMax = 64;

/**
 * Forgets epochs that have nothing left to deliver, to declare or to seal, and none like that before them: an epoch
 * ends where the next one begins. `lastId`: of the newest event.
 */
export function pruneEpochs(database: Database.Database, lastId: number): void {
  const records = database
    .prepare("SELECT epoch, base FROM epoch ORDER BY base, epoch")
    .all() as EpochRecord[];
  const lowest = (database.prepare("SELECT min(id) FROM event").pluck().get() as number | null) ?? lastId + 1;
  const declared = database.prepare("SELECT 1 FROM tombstone WHERE epoch = ? LIMIT 1");
  const chained = database.prepare(
    "SELECT 1 FROM chain WHERE epoch = ? AND NOT json_extract(state, '$.ended') LIMIT 1",
  );
  for (const [i, { epoch }] of records.slice(0, Math.max(0, records.length - named)).entries()) {
    if ((records[i + 1]?.base ?? Infinity) >= lowest) return;
    if (declared.get(epoch) !== undefined) return;
    if (i >= records.length - chainedMax && chained.get(epoch) !== undefined) return;
    for (const table of ["epoch", "released"])
      database.prepare(`DELETE FROM ${table} WHERE epoch = ?`).run(epoch);
  }
}
