import type { KerbEvent } from "../event.ts";
import type { DecodedBatch, Dictionary } from "../uplink/encoding.ts";
import { ClockSteps } from "./clock-steps.ts";
import { decodeBatch } from "./decode.ts";
import type { Range } from "./ledger.ts";
import { parseDictionary } from "./messages.ts";
import type { BatchRow, Store } from "./store.ts";

/** A place in the events of a gateway, which are ordered by epoch and number. */
export interface Cursor {
  epoch: number;
  after: number;
}

/** A stored batch whose events cannot be shown, and why (its dictionary has not arrived). */
export interface Undecoded {
  epoch: number;
  first: number;
  last: number;
  dictionary?: string;
  reason: string;
}

/** One page; `next` is null at the end of what is stored. */
export interface EventPage {
  events: KerbEvent[];
  undecoded: Undecoded[];
  next: Cursor | null;
}

/** Work that one page may cost. */
const pageBatchesMax = 1000;
const chunk = 64;
const dictionariesMax = 256;
const otherDictionariesMax = 64;

/** Reads events out of stored batches. */
export class Archive {
  readonly #store: Store;
  /** Times of wrong clocks are put right by them in `events` and in the view. */
  readonly clockSteps: ClockSteps;
  readonly #dictionaries = new Map<string, Dictionary>();

  constructor(store: Store) {
    this.#store = store;
    this.clockSteps = new ClockSteps(store);
  }

  /** The events after `cursor`, at most `limit`, each exactly once, in order of epoch and number, times put right. */
  events(gateway: string, cursor: Cursor, limit: number): EventPage {
    const page = this.eventsAsTold(gateway, cursor, limit);
    return { ...page, events: page.events.map((event) => this.clockSteps.corrected(event)) };
  }

  /** The same as the gateway has told them: what seals are over. */
  eventsAsTold(gateway: string, cursor: Cursor, limit: number): EventPage {
    const page: EventPage = { events: [], undecoded: [], next: null };
    let budget = pageBatchesMax;
    let from = cursor;
    for (;;) {
      const [epoch, following] = this.#store.epochsFrom(gateway, from.epoch, 2);
      if (epoch === undefined) return page;
      const after = epoch.epoch === from.epoch ? from.after : 0;
      const part = this.#epochEvents(gateway, epoch, after, limit - page.events.length, budget);
      page.events.push(...part.events);
      page.undecoded.push(...part.undecoded);
      if (part.through !== undefined) return { ...page, next: { epoch: epoch.epoch, after: part.through } };
      if (following === undefined) return page;
      budget -= part.batches;
      from = { epoch: following.epoch, after: 0 };
      if (budget <= 0 || page.events.length >= limit) return { ...page, next: from };
    }
  }

  /**
   * The events of one epoch after a number. Batches are walked in order of their first event; since lanes share
   * the numbers, an event is final only when the next batch begins above it. `through` = the number up to which
   * the answer is complete, undefined = the whole epoch.
   */
  #epochEvents(
    gateway: string,
    { epoch, span }: { epoch: number; span: number },
    after: number,
    limit: number,
    budget: number,
  ): { events: KerbEvent[]; undecoded: Undecoded[]; through: number | undefined; batches: number } {
    const events: KerbEvent[] = [];
    const undecoded: Undecoded[] = [];
    let batches = 0;
    let bound = Number.POSITIVE_INFINITY;
    const finish = (through: number | undefined) => ({
      events: events
        .filter((event) => through === undefined || event.seq <= through)
        .sort((a, b) => a.seq - b.seq),
      undecoded: undecoded.filter((row) => through === undefined || row.first <= through),
      through,
      batches,
    });
    let above = after - span - 1;
    for (;;) {
      const rows = this.#store.batches(gateway, epoch, above, after, chunk);
      for (const row of rows) {
        if (row.first > bound) return finish(bound);
        if (batches >= budget) return finish(row.first - 1);
        // Batches that began before the page do not count, so that every page moves on.
        if (row.first > after) batches++;
        const decoded = this.decode(row);
        if (typeof decoded === "string") undecoded.push(undecodedRow(row, decoded));
        else for (const event of decoded) if (event.seq > after) events.push(event);
        if (events.length >= limit)
          bound = events.map((event) => event.seq).sort((a, b) => a - b)[limit - 1] ?? bound;
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < chunk) break;
      above = last.first;
    }
    return finish(bound === Number.POSITIVE_INFINITY ? undefined : bound);
  }

  /** The events that a row contributes, as told, or why they cannot be read. */
  decode(row: BatchRow): KerbEvent[] | string {
    try {
      const batch = decodeBatch(row.body);
      const events = this.#eventsOf(row.gateway, batch);
      const { take } = row;
      return take === undefined ? events : contributed(events, take);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /**
   * A dictionary that was lost on the way is made up for by any other that knows the batch's indexes: an index is
   * never used for anything else.
   */
  #eventsOf(gateway: string, batch: DecodedBatch): KerbEvent[] {
    const { dictionary: hash } = batch;
    const own = hash === undefined ? undefined : this.dictionary(gateway, hash);
    if (hash === undefined || own !== undefined) return batch.events(own);
    for (const other of this.#store.dictionaryHashes(gateway, otherDictionariesMax)) {
      try {
        return batch.events(this.dictionary(gateway, other));
      } catch {
        // It does not know all of them.
      }
    }
    return batch.events(undefined);
  }

  /** A dictionary that has arrived. */
  dictionary(gateway: string, hash: string): Dictionary | undefined {
    const key = `${gateway}/${hash}`;
    const known = this.#dictionaries.get(key);
    if (known !== undefined) return known;
    const body = this.#store.dictionary(gateway, hash);
    if (body === undefined) return undefined;
    const dictionary = parseDictionary(body);
    const oldest = this.#dictionaries.keys().next();
    if (this.#dictionaries.size >= dictionariesMax && oldest.done !== true)
      this.#dictionaries.delete(oldest.value);
    this.#dictionaries.set(key, dictionary);
    return dictionary;
  }
}

function undecodedRow(row: BatchRow, reason: string): Undecoded {
  const { epoch, first, last, dictionary } = row;
  return { epoch, first, last, ...(dictionary === undefined ? {} : { dictionary }), reason };
}

/** The events inside the ranges; both ascend. */
function contributed(events: readonly KerbEvent[], take: readonly Range[]): KerbEvent[] {
  let at = 0;
  return events.filter(({ seq }) => {
    while (seq > (take[at]?.[1] ?? Number.POSITIVE_INFINITY)) at++;
    return seq >= (take[at]?.[0] ?? Number.POSITIVE_INFINITY);
  });
}
