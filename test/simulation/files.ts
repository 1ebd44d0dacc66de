import Database from "better-sqlite3";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Real files of a seed, on memory where there is some: a seed commits thousands of times. */

export function temporaryFolder(): string {
  return mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "kerb-simulation-"));
}

/** Copies a state folder as it stands at this moment: what a killed process leaves. */
export function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (!name.endsWith("-shm")) copyFileSync(join(from, name), join(to, name));
  }
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

const original: Database.Database["pragma"] = Reflect.get(Database.prototype, "pragma");
const originalClose: Database.Database["close"] = Reflect.get(Database.prototype, "close");
const originalTransaction: Database.Database["transaction"] = Reflect.get(Database.prototype, "transaction");
/** By folder: whether the next transaction fails, before or after it has reached the disk. */
const flaky = new Map<string, () => "before" | "after" | undefined>();
/** Bytes of a page as the product makes them. */
export const pageBytes = 2048;
const connections = new Map<string, Database.Database>();
const sick = new Map<string, string[]>();

/**
 * The connections that the product opens, by their files, so that a disk can fail under them and the model can look
 * at what is really there. While it is installed, a file that was made sick stays so when it is opened again.
 */
export const disks = {
  /** Called before a connection is closed: what it did in this turn can still be seen. */
  closing: undefined as ((path: string) => void) | undefined,

  install(): void {
    Database.prototype.pragma = function (this: Database.Database, ...args) {
      if (connections.get(this.name) !== this) {
        connections.set(this.name, this);
        for (const pragma of sick.get(dirname(this.name)) ?? []) original.call(this, pragma);
      }
      return original.apply(this, args);
    };
    Database.prototype.close = function (this: Database.Database) {
      if (this.open && !this.inTransaction && connections.get(this.name) === this) disks.closing?.(this.name);
      return originalClose.call(this);
    };
    Database.prototype.transaction = function (this: Database.Database, work: never) {
      const run = originalTransaction.call(this, work) as unknown as (...args: unknown[]) => unknown;
      return ((...args: unknown[]): unknown => {
        // One inside another has no COMMIT of its own.
        const fails = this.inTransaction ? undefined : flaky.get(dirname(this.name))?.();
        const error = Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR_FSYNC" });
        if (fails === "before") throw error;
        const result = run(...args);
        if (fails === "after") throw error;
        return result;
      }) as never;
    } as never;
  },

  uninstall(): void {
    Database.prototype.pragma = original;
    Database.prototype.transaction = originalTransaction;
    Database.prototype.close = originalClose;
    this.closing = undefined;
    flaky.clear();
    for (const connection of connections.values()) connection.close();
    connections.clear();
    sick.clear();
  },

  connection(path: string): Database.Database | undefined {
    const connection = connections.get(path);
    return connection?.open === true ? connection : undefined;
  },

  /** Every write fails with SQLITE_READONLY, as after a re-mount. */
  readOnly(path: string): void {
    sick.set(dirname(path), ["query_only = 1"]);
    this.connection(path)?.pragma("query_only = 1");
  },

  /** The file cannot grow: SQLITE_FULL once its free pages are used up. */
  full(path: string): void {
    const connection = this.connection(path);
    const pages = connection?.pragma("page_count", { simple: true }) as number | undefined;
    if (pages !== undefined) connection?.pragma(`max_page_count = ${pages}`);
  },

  /** Some rows, marks and cuts cannot be written: a transaction fails in its middle and rolls back. */
  brokenSectors(path: string, every: number): void {
    if (sick.has(dirname(path))) return;
    const fails = "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END";
    for (const [i, when] of [
      `BEFORE INSERT ON main.event WHEN NEW.id % ${every} = 0`,
      `BEFORE INSERT ON main.cut WHEN NEW.first % ${every} = 1`,
      `BEFORE DELETE ON main.event WHEN OLD.id % ${every} = 2`,
      `BEFORE UPDATE ON main.tombstone WHEN NEW.first % ${every} = 3`,
    ].entries()) {
      this.connection(path)?.exec(`CREATE TEMP TRIGGER IF NOT EXISTS sector_${i} ${when} ${fails}`);
    }
  },

  /** Some transactions end with an I/O error, and nobody knows whether they are on the disk. */
  unsure(path: string, fails: () => "before" | "after" | undefined): void {
    flaky.set(dirname(path), fails);
  },

  /** All that ailed the file is over. */
  heal(path: string, pagesMax: number): void {
    sick.delete(dirname(path));
    flaky.delete(dirname(path));
    const connection = this.connection(path);
    if (connection === undefined) return;
    connection.pragma("query_only = 0");
    connection.pragma(`max_page_count = ${pagesMax}`);
    for (let i = 0; i < 4; i++) connection.exec(`DROP TRIGGER IF EXISTS temp.sector_${i}`);
  },
};
