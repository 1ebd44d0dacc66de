import { faultOf } from "./faults.ts";
import type { OutboxStore } from "./store.ts";

const evictAbove = 0.9;
/** Evictions in a row that may free no page. */
const futileMax = 4;
/** Beside the rows themselves: pages of the indexes, the accounts and the cuts. */
const besideBytes = 65_536;

/**
 * Evicts the oldest rows above the site's own budget. A disk that others fill is no reason yet: their rows may be on
 * their way to the IOC.
 */
export function makeRoom(store: OutboxStore): void {
  if (!store.space.isShort) evictWhile(store, () => store.space.pressure > evictAbove);
}

/**
 * Stores by `commit` about `bytes`; where the site's budget or a short disk had no room for them, once more: after
 * `measure` has found new room, or with the oldest rows evicted.
 */
export function withRoom<Result>(
  store: OutboxStore,
  bytes: number,
  measure: () => void,
  commit: () => Result,
): Result {
  try {
    return commit();
  } catch (error) {
    const needed = 2 * bytes + besideBytes;
    // With pages left it is the log that has no room, and no eviction makes it any.
    if (faultOf(error) !== "full" || store.space.roomBytes >= needed) throw error;
    measure();
    evictWhile(store, () => store.space.roomBytes < needed);
    return commit();
  }
}

/** Ends also when something else than rows fills the file. */
function evictWhile(store: OutboxStore, isFull: () => boolean): void {
  let futile = 0;
  for (let room = store.space.roomBytes; isFull() && futile < futileMax;) {
    if (store.evict() === 0) return;
    const after = store.space.roomBytes;
    futile = after > room ? 0 : futile + 1;
    room = after;
  }
}
