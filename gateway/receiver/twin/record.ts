import { type Have, parseHave } from "../../twin/have.ts";
import type { Store } from "../store.ts";

/** The newest report of a gateway's twin. `receivedMs`: ms since 1970. */
export interface TwinRow {
  gateway: string;
  receivedMs: number;
  have: Have;
}

const pendingMax = 10_000;
const flushMs = 50;

/** What gateways have of their twins: the newest of each, kept beside custody; the events bring its history. */
export class TwinRecord {
  readonly #store: Store;
  readonly #pending = new Map<string, { have: Have; receivedMs: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** A report, which may be anything. */
  take(gateway: string, payload: Uint8Array): void {
    const have = parseHave(gateway, payload);
    if (have === undefined || (this.#pending.size >= pendingMax && !this.#pending.has(gateway))) return;
    this.#pending.set(gateway, { have, receivedMs: Date.now() });
    this.#timer ??= setTimeout(() => this.#flush(), flushMs).unref();
  }

  /** By gateway, those behind `after`. */
  page(after: string, limit: number): TwinRow[] {
    this.#flush();
    return this.#store
      .all("SELECT * FROM twin WHERE gw > ? ORDER BY gw LIMIT ?", after, limit)
      .map((row) => ({
        gateway: row["gw"] as string,
        receivedMs: row["received_ms"] as number,
        have: JSON.parse(row["body"] as string) as Have,
      }));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const taken = [...this.#pending];
    this.#pending.clear();
    if (taken.length === 0) return;
    const sql =
      "INSERT INTO twin VALUES (?, ?, ?) ON CONFLICT (gw) DO UPDATE SET received_ms = excluded.received_ms, body = excluded.body";
    try {
      this.#store.transaction(() => {
        for (const [gateway, { have, receivedMs }] of taken)
          this.#store.run(sql, gateway, receivedMs, JSON.stringify(have));
      });
    } catch {
      // A database that refuses: the receiver tells it, and the broker keeps the newest.
    }
  }
}
