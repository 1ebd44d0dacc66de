import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A message that the broker has been given no PUBACK for. */
export interface Unacknowledged {
  readonly print: string;
  /** Whether what it brought is on disk. */
  readonly held: Promise<boolean>;
}

interface Saved {
  own: string;
  filters: string[];
}

const sessions = new Map<string, KeptSession>();

/**
 * A session that the broker keeps while kerb is away. What it must be called by, and which filters it has, is on
 * disk: a session that is called otherwise is another one, and filters that nobody wants any more would go on.
 */
export class KeptSession {
  /** Its part of the client id. */
  readonly own: string;
  readonly filters: Set<string>;
  /** By packet identifier, over the connections of this process. */
  readonly unacknowledged = new Map<number, Unacknowledged>();
  /** When its last connection of this process ended, on the clock of `performance.now()`. */
  endedMs = -Infinity;
  readonly #path: string;

  private constructor(path: string, own: string, filters: readonly string[]) {
    this.#path = path;
    this.own = own;
    this.filters = new Set(filters);
  }

  /** The session of this name; undefined where nothing can be kept. */
  static of(folder: string, name: string): KeptSession | undefined {
    const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
    const path = join(folder, `session-${hash}.json`);
    const known = sessions.get(path);
    if (known !== undefined) return known;
    const before = read(path);
    const session = new KeptSession(
      path,
      before?.own ?? randomBytes(4).toString("hex"),
      before?.filters ?? [],
    );
    try {
      mkdirSync(folder, { recursive: true });
      if (before === undefined) session.#save();
    } catch {
      return undefined;
    }
    sessions.set(path, session);
    return session;
  }

  /** Notes a filter before the broker is asked for it. */
  add(filter: string): void {
    if (this.filters.has(filter)) return;
    this.filters.add(filter);
    this.#trySave();
  }

  drop(filter: string): void {
    if (this.filters.delete(filter)) this.#trySave();
  }

  /** The broker knows nothing of it. */
  forget(): void {
    this.unacknowledged.clear();
    if (this.filters.size === 0) return;
    this.filters.clear();
    this.#trySave();
  }

  #save(): void {
    const text = JSON.stringify({ own: this.own, filters: [...this.filters] });
    writeFileSync(`${this.#path}.new`, text, { flush: true, mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
  }

  #trySave(): void {
    try {
      this.#save();
    } catch {
      // A full disk: at worst a filter that nobody wants goes on until the broker forgets the session.
    }
  }
}

function read(path: string): Saved | undefined {
  try {
    const { own, filters } = JSON.parse(readFileSync(path, "utf8")) as Partial<Record<keyof Saved, unknown>>;
    const isSound = typeof own === "string" && /^[0-9a-f]{8}$/.test(own) && Array.isArray(filters);
    if (isSound && filters.every((one) => typeof one === "string")) return { own, filters };
  } catch {
    // None yet, or none that can be read: it begins anew.
  }
  return undefined;
}
