import Database from "better-sqlite3";
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

/**
 * Opens the queue file of a gateway that does not run, for reading alone; `remove` after it is closed. SQLite needs a
 * file of its own beside a log; where none can be made, a copy is read.
 */
export function openStill(path: string): { database: Database.Database; remove: () => void } {
  const options = { readonly: true, fileMustExist: true, timeout: 0 };
  const made = [`${path}-shm`, `${path}-wal`].filter((file) => !existsSync(file));
  const remove = () => {
    // A log with something in it is none that a reader made.
    for (const file of made)
      if (file.endsWith("-shm") || statSync(file, { throwIfNoEntry: false })?.size === 0)
        rmSync(file, { force: true });
  };
  try {
    return { database: opened(path, options), remove };
  } catch (error) {
    if ((error as { code?: string }).code !== "SQLITE_BUSY") remove();
    if (!/SQLITE_(CANTOPEN|READONLY)/.test((error as { code?: string }).code ?? "") || !existsSync(path))
      throw error;
    const folder = mkdtempSync(join(tmpdir(), "kerb-outbox-"));
    const copy = join(folder, basename(path));
    for (const suffix of ["", "-wal"])
      if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    return {
      database: opened(copy, options),
      remove: () => rmSync(folder, { recursive: true, force: true }),
    };
  }
}

function opened(path: string, options: Database.Options): Database.Database {
  const database = new Database(path, options);
  try {
    database.prepare("SELECT count(*) FROM epoch").get();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
