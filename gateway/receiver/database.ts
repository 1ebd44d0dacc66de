import Database from "better-sqlite3";
import { schema, schemaVersion } from "./schema.ts";

/** Why the database cannot be used: taken by another process, damaged, made by a newer kerb, or no disk for it. */
export type StoreErrorCode = "busy" | "corrupt" | "newer" | "unusable";

/** `message` is one sentence with the file's name and what to do. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.code = code;
  }
}

/** Opens or makes the receiver's database with every commit flushed to the disk. Throws `StoreError`. */
export function openDatabase(path: string): Database.Database {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: 1000 });
    // EXCLUSIVE: two receivers that keep two ledgers over one file would both acknowledge.
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("journal_size_limit = 67108864");
    database.pragma("mmap_size = 0");
    const version = database.pragma("user_version", { simple: true }) as number;
    if (version > schemaVersion) {
      throw new StoreError(
        "newer",
        `${path} was made by a newer kerb (schema ${version}, this one knows ${schemaVersion}): upgrade kerb, or name another file`,
      );
    }
    // Version 1 kept seals that no gateway sent.
    if (version === 1) database.exec("DROP TABLE IF EXISTS seal");
    // Until then nothing was learnt of clocks that were set: the view reads once more what is stored.
    if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'clock_set'").get() === undefined)
      database.exec("DROP TABLE IF EXISTS latest_cursor");
    database.exec(schema);
    database.pragma(`user_version = ${schemaVersion}`);
    database.prepare("SELECT count(*) FROM ledger").get();
    // WAL mode turns FULL into NORMAL at the first access to the schema, hence the order.
    const synchronous = database.pragma("synchronous", { simple: true });
    if (synchronous !== 2)
      throw new StoreError(
        "unusable",
        `${path} is open with synchronous=${String(synchronous)} instead of 2: commits would not survive a power cut`,
      );
    return database;
  } catch (error) {
    database?.close();
    throw storeError(path, error);
  }
}

/** Any failure of the database as a `StoreError` with one sentence. */
export function storeError(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const detail = error instanceof Error ? error.message : String(error);
  const name = typeof code === "string" ? code : "";
  if (name.startsWith("SQLITE_BUSY") || name.startsWith("SQLITE_LOCKED")) {
    return new StoreError(
      "busy",
      `${path} is in use by another process: stop the other receiver, or name another file`,
      { cause: error },
    );
  }
  if (name.startsWith("SQLITE_CORRUPT") || name === "SQLITE_NOTADB") {
    return new StoreError(
      "corrupt",
      `${path} is damaged or not a kerb database (${detail}): restore it from a backup, or move it away and start with a new one`,
      { cause: error },
    );
  }
  return new StoreError(
    "unusable",
    `${path} cannot be used (${detail}): check the folder, its rights and the free space`,
    { cause: error },
  );
}
