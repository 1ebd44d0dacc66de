import type Database from "better-sqlite3";
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

import { bytesMin, limitPages, walBytes } from "./schema.ts";

/**
 * Bytes that the queue may use on this disk now: its budget, or less when somebody else has taken the room. Twice
 * the log's peak stays free, because SQLite cannot even delete without a log to write to. Never less than it
 * has. `transactionBytes`: the largest transaction.
 */
export function bytesAllowed(path: string, bytesMax: number, transactionBytes: number): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  const fileBytes = size(path);
  const reserve = 2 * (walBytes * 1.02 + transactionBytes);
  const room = bavail * bsize + size(`${path}-wal`) - reserve;
  return Math.min(bytesMax, fileBytes + Math.max(0, room));
}

function size(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The room of one queue file: the site's own budget, and what the disk gives of it now. */
export class Space {
  readonly #database: Database.Database;
  readonly #pages;
  readonly #freePages;
  readonly #pageBytes: number;
  readonly #budget: number;
  #limit: number;

  constructor(database: Database.Database, budget: number) {
    this.#database = database;
    this.#pages = database.prepare("PRAGMA page_count").pluck();
    this.#freePages = database.prepare("PRAGMA freelist_count").pluck();
    this.#pageBytes = database.pragma("page_size", { simple: true }) as number;
    this.#budget = this.#limit = budget;
  }

  /** The file's size. */
  get bytes(): number {
    return (this.#pages.get() as number) * this.#pageBytes;
  }

  get #usedBytes(): number {
    return this.bytes - (this.#freePages.get() as number) * this.#pageBytes;
  }

  /** The disk gives less than the site allows. */
  get isShort(): boolean {
    return this.#limit < this.#budget;
  }

  /** What the file may take before SQLite refuses. */
  get roomBytes(): number {
    return Math.max(this.#limit, bytesMin) - this.#usedBytes;
  }

  /** Share in use of what the file may have now, 0 to 1. */
  get pressure(): number {
    return this.#usedBytes / this.#limit;
  }

  /** Share in use of the site's own budget: more than 1 when that was lowered. */
  get fill(): number {
    return this.#usedBytes / this.#budget;
  }

  /** Sets what the disk gives, in bytes; never less than the file has. */
  limit(bytes: number): void {
    const wanted = Math.max(bytes, this.bytes);
    if (wanted === this.#limit) return;
    this.#limit = wanted;
    limitPages(this.#database, wanted);
  }
}
