import type Database from "better-sqlite3";
import type { Loss } from "../../gateway/host/handover.ts";
import { contentOf, openBody } from "./content.ts";
import { disks } from "./files.ts";
import { gatewayId, type GatewayWatch, type SimulatedGateway } from "./gateway.ts";
import type { World } from "./world.ts";

/** An event that has a number. `order` counts the events of its device as the host made them. */
export interface Accepted {
  epoch: number;
  seq: number;
  lane: number;
  device: string;
  order: number;
  content: string;
  recordedMs: number;
  atMs: number;
  /** In the file · deleted at the watermark · dropped with a tombstone · gone with a file that was lost. */
  state: "kept" | "released" | "dropped" | "lost";
  reason?: string;
}

interface Produced {
  device: string;
  order: number;
  content: string;
  /** Equal events may be made in one millisecond (two gap events); each has a number of its own. */
  times: number;
  acceptedAs: string[];
}

interface Row {
  id: number;
  lane: number;
  recorded: number;
  body: Uint8Array;
}

interface Letters {
  epoch: number;
  seq: number;
  uplinks: number;
}

/** What this seed may do to the outbox; anything else that goes wrong is the product's fault. */
export interface Excuses {
  /** Reasons that tombstones may have. */
  reasons: Set<string>;
  /** The disk was made to fail, so commits and reads may. */
  disk: boolean;
  /** A page may be destroyed. */
  page: boolean;
}

/** What no host has made, the gateway says of itself. */
const ownEvents = { get: () => ({ id: gatewayId, profile: "", points: [] }) };

/** Reasons of tombstones for what brokers would not take. */
const refusals = new Set(["refused", "too-large", "kills-connection"]);

export const key = (epoch: number, seq: number): string => `${epoch}:${seq}`;

/**
 * The gateway's end of the model: looks into the queue file after every turn of the worker, with its own eyes, and
 * remembers every number that was ever given.
 */
export class OutboxModel implements GatewayWatch {
  readonly #world: World;
  readonly #excuses: Excuses;
  /** Does every receiver have this event, or know that it is lost? Asked when its row has been deleted. */
  readonly #mayRelease: (event: Accepted) => string | undefined;
  /** Does any receiver have it? */
  readonly #isTaken: (event: Accepted) => boolean;
  gateway: SimulatedGateway | undefined;
  readonly events = new Map<string, Accepted>();
  readonly #produced = new Map<string, Produced>();
  readonly #orders = new Map<string, number>();
  readonly #kept = new Map<number, Accepted>();
  /** How many uplinks have refused an event: the letters that tell it may be gone in the turn that settles them. */
  readonly #refusals = new Map<string, number>();
  #urgentKept = 0;
  #streams = new Map<number, { body: Uint8Array; size: number }[]>();
  #database: Database.Database | undefined;
  #query: ReturnType<typeof statements> | undefined;
  #changes = -1;
  #lastId = 0;
  #path = "";
  /** Set while a new process has not opened its file yet. */
  #epochBefore: number | undefined;
  #isSalvaging = false;
  #epochs: { epoch: number; base: number }[] = [];
  #booksAtOpen = { accepted: 0, delivered: 0, dropped: 0 };
  #counted = { accepted: 0, delivered: 0, dropped: 0 };
  /** Set before a start on a file that is not the one that was left. */
  fileReplaced = false;
  released = 0;
  uplinks = 1;

  constructor(
    world: World,
    excuses: Excuses,
    mayRelease: (event: Accepted) => string | undefined,
    isTaken: (event: Accepted) => boolean,
  ) {
    this.#world = world;
    this.#excuses = excuses;
    this.#mayRelease = mayRelease;
    this.#isTaken = isTaken;
  }

  get keptCount(): number {
    return this.#kept.size;
  }

  /** Epochs that the file knows. */
  get epochs(): Set<number> {
    return new Set(this.#epochs.map(({ epoch }) => epoch));
  }

  kept(): Accepted[] {
    return [...this.#kept.values()];
  }

  produced(body: Uint8Array, meaning: Parameters<GatewayWatch["produced"]>[1]): void {
    const told = openBody(body, meaning);
    const order = (this.#orders.get(told.device) ?? 0) + 1;
    this.#orders.set(told.device, order);
    const bytes = Buffer.from(body).toString("latin1");
    const known = this.#produced.get(bytes);
    if (known !== undefined) known.times++;
    else {
      const { device } = told;
      this.#produced.set(bytes, { device, order, content: contentOf(told), times: 1, acceptedAs: [] });
    }
  }

  overflowed(loss: Loss): void {
    this.#world.trace(`the ring overflowed: ${loss.events} events`);
  }

  framed(stream: number, body: Uint8Array, size: number): void {
    const frames = this.#streams.get(stream) ?? [];
    frames.push({ body: Uint8Array.from(body), size });
    this.#streams.set(stream, frames);
  }

  /** What is confirmed to a host must be in the file by now. */
  accepted(stream: number, bytes: number): void {
    this.turned();
    const frames = this.#streams.get(stream) ?? [];
    let left = bytes;
    while (left > 0) {
      const frame = frames.shift();
      if (frame === undefined)
        return this.#world.fail(`stream ${stream}: more bytes accepted than were sent`);
      left -= frame.size;
      const known = this.#produced.get(Buffer.from(frame.body).toString("latin1"));
      if (known === undefined || known.acceptedAs.length === 0)
        this.#world.fail(
          `confirmed to its host but not in the file: ${known?.content ?? "an unknown event"}`,
        );
    }
    if (left < 0) this.#world.fail(`stream ${stream}: part of a frame was accepted`);
  }

  said(kind: "failure" | "problem", text: string | undefined): void {
    this.#world.trace(`outbox ${kind}: ${text ?? "none"}`);
    if (text !== undefined && !this.#excuses.disk)
      this.#world.fail(`the outbox complains of a healthy disk: ${text}`);
  }

  starts(path: string, epochBefore: number): void {
    this.#path = path;
    this.#epochBefore = epochBefore;
    this.#query = undefined;
    this.#database = undefined;
    this.#streams = new Map();
  }

  /** Looks at the handle in use; false while there is none. A new one is of a new process, or after an outage. */
  #attach(): boolean {
    const database = disks.connection(this.#path);
    if (database === undefined) return false;
    if (database === this.#database) return true;
    // A file that was made on a disk that takes nothing has no tables yet.
    if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'epoch'").get() === undefined)
      return false;
    this.#query = statements(database);
    this.#database = database;
    this.#changes = -1;
    this.#epochs = this.#query.epochs.all() as { epoch: number; base: number }[];
    const epochBefore = this.#epochBefore;
    this.#epochBefore = undefined;
    if (epochBefore === undefined) {
      this.#world.trace("the outbox is open again");
      const isSalvaging = (this.#query.salvages.get() as number) > 0;
      if (this.fileReplaced || isSalvaging) this.#adopt(new Set(this.#query.ids.all() as number[]));
      return true;
    }
    const current = this.#current();
    if (current.epoch <= epochBefore) this.#world.fail(`epoch ${current.epoch} after epoch ${epochBefore}`);
    this.#world.trace(`epoch ${current.epoch} begins at ${current.base}`);
    // Also where the start itself has put a damaged file aside.
    if (this.fileReplaced || (this.#query.salvages.get() as number) > 0) {
      this.#lastId = current.base;
      this.#adopt(new Set(this.#query.ids.all() as number[]));
    }
    return true;
  }

  /** Another file than the one that was left: what it has counts, and nothing of what it had to tell. */
  #adopt(ids: ReadonlySet<number>): void {
    this.fileReplaced = false;
    for (const event of this.events.values()) if (event.state === "dropped") event.state = "lost";
    for (const event of this.#kept.values()) event.state = "lost";
    const before = this.#kept.size;
    this.#kept.clear();
    this.#urgentKept = 0;
    for (const id of ids) this.#return(id);
    if (before > this.#kept.size)
      this.#world.trace(`${before - this.#kept.size} events are gone with the old file`);
    this.#rebase();
  }

  /** An old row is there again. */
  #return(id: number): void {
    const { epoch, base } = this.#epochOf(id);
    const event = this.events.get(key(epoch, id - base));
    if (event === undefined) {
      const row = this.#query?.row.get(id) as Row;
      if (!this.#excuses.disk) this.#world.fail(`row ${id} (${epoch}:${id - base}) was never accepted`);
      return this.#take(row);
    }
    event.state = "kept";
    if (event.lane === 0) this.#urgentKept++;
    this.#kept.set(id, event);
  }

  /** The books as they stand are where counting begins. */
  #rebase(): void {
    this.#booksAtOpen = this.#books();
    this.#counted = { accepted: 0, delivered: 0, dropped: 0 };
  }

  #current(): { epoch: number; base: number } {
    return this.#epochs.reduce((a, b) => (b.epoch > a.epoch ? b : a), { epoch: 0, base: 0 });
  }

  #epochOf(id: number): { epoch: number; base: number } {
    const fits = this.#epochs.filter(({ base }) => base < id);
    return fits.reduce((a, b) => (b.base > a.base || (b.base === a.base && b.epoch > a.epoch) ? b : a), {
      epoch: 0,
      base: -1,
    });
  }

  #books(): { accepted: number; delivered: number; dropped: number } {
    return this.#query?.books.get() as { accepted: number; delivered: number; dropped: number };
  }

  /** After each turn of the worker: what is new, what is gone and why, and whether the books close. */
  turned(): void {
    try {
      this.#look();
    } catch (error) {
      // A page that was destroyed hides rows from the model as it does from the product, until that finds out.
      const { code = "", message } = error as { code?: string; message: string };
      if (!this.#excuses.page || !code.startsWith("SQLITE_")) throw error;
      this.#world.trace(`the model cannot look: ${message}`);
      this.#changes = -1;
    }
  }

  /** A handle of a running gateway is closed; one of a start that does not succeed tells nothing yet. */
  closing(): void {
    if (this.#epochBefore === undefined) this.turned();
  }

  #look(): void {
    if (!this.#attach()) return;
    const query = this.#query;
    if (query === undefined) return;
    const changes = query.changes.get() as number;
    if (changes === this.#changes) return;
    this.#changes = changes;
    for (const row of query.rows.all(this.#lastId) as Row[]) this.#take(row);
    this.#lastId = Math.max(this.#lastId, this.#current().base);
    for (const { epoch, seq, uplinks } of query.letters.all() as Letters[]) {
      const id = key(epoch, seq);
      this.#refusals.set(id, Math.max(uplinks, this.#refusals.get(id) ?? 0));
    }
    const { n, urgent } = query.count.get() as { n: number; urgent: number };
    const isSalvaging = (query.salvages.get() as number) > 0;
    if (n !== this.#kept.size || urgent !== this.#urgentKept) {
      const ids = new Set(query.ids.all() as number[]);
      if (isSalvaging || this.#isSalvaging) for (const id of ids) if (!this.#kept.has(id)) this.#return(id);
      if (n !== this.#kept.size) this.#findGone(ids);
    }
    if (n !== this.#kept.size || urgent !== this.#urgentKept)
      this.#world.fail(
        `${n} rows (${urgent} urgent) in the file, ${this.#kept.size} (${this.#urgentKept}) known`,
      );
    if (this.#isSalvaging && !isSalvaging) this.#rebase();
    this.#isSalvaging = isSalvaging;
    if (!isSalvaging) this.#checkBooks(n);
  }

  #checkBooks(rows: number): void {
    const books = this.#books();
    // Numbers of a file before this one, which its receivers asked for in vain.
    const vanished = books.accepted - this.#booksAtOpen.accepted - this.#counted.accepted;
    if (vanished > 0 && this.#excuses.reasons.has("storage")) {
      this.#counted.accepted += vanished;
      this.#counted.dropped += vanished;
    }
    for (const name of ["accepted", "delivered", "dropped"] as const) {
      const expected = this.#booksAtOpen[name] + this.#counted[name];
      if (books[name] !== expected)
        this.#world.fail(`the books say ${name} ${books[name]}, it is ${expected}`);
    }
    if (books.accepted !== books.delivered + books.dropped + rows)
      this.#world.fail(`the books do not close: ${JSON.stringify(books)}, ${rows} rows`);
  }

  #take(row: Row): void {
    const { epoch, base } = this.#epochOf(row.id);
    this.#lastId = Math.max(this.#lastId, row.id);
    const seq = row.id - base;
    const produced = this.#produced.get(Buffer.from(row.body).toString("latin1"));
    const event: Accepted = {
      epoch,
      seq,
      lane: row.lane,
      device: produced?.device ?? gatewayId,
      order: produced?.times === 1 ? produced.order : 0,
      content: produced?.content ?? contentOf(openBody(row.body, ownEvents)),
      recordedMs: row.recorded,
      atMs: this.#world.nowMs,
      state: "kept",
    };
    const id = key(epoch, seq);
    const before = this.events.get(id);
    if (before !== undefined)
      this.#world.fail(`number ${id} is used twice: ${before.content} and ${event.content}`);
    if (produced !== undefined && produced.acceptedAs.push(id) > produced.times)
      this.#world.fail(`one event has the numbers ${produced.acceptedAs.join(" and ")}: ${event.content}`);
    this.events.set(id, event);
    this.#kept.set(row.id, event);
    if (row.lane === 0) this.#urgentKept++;
    this.#counted.accepted++;
  }

  #findGone(ids: ReadonlySet<number>): void {
    const query = this.#query;
    if (query === undefined) return;
    const gone = [...this.#kept].filter(([id]) => !ids.has(id));
    const tombstones = query.tombstones.all() as {
      epoch: number;
      first: number;
      last: number;
      reason: string;
    }[];
    let dropped = 0;
    for (const [id, event] of gone) {
      this.#kept.delete(id);
      if (event.lane === 0) this.#urgentKept--;
      const tombstone = tombstones.find(
        ({ epoch, first, last }) => epoch === event.epoch && first <= event.seq && last >= event.seq,
      );
      if (tombstone === undefined) {
        event.state = "released";
        this.#counted.delivered++;
        this.released++;
        const fault = this.#mayRelease(event);
        if (fault !== undefined) this.#world.fail(`${event.epoch}:${event.seq} was deleted, but ${fault}`);
        continue;
      }
      dropped++;
      event.state = "dropped";
      event.reason = tombstone.reason;
      // What one of several uplinks has taken counts as delivered.
      const refusedBy = refusals.has(tombstone.reason) ? this.#refusedBy(event) : 0;
      if (refusedBy > 0 && refusedBy < this.uplinks && this.#isTaken(event)) this.#counted.delivered++;
      else this.#counted.dropped++;
      if (!this.#excuses.reasons.has(tombstone.reason))
        this.#world.fail(`${event.epoch}:${event.seq} was dropped as "${tombstone.reason}" without a cause`);
    }
    if (gone.length > 0) this.#world.trace(`${gone.length} rows gone, ${dropped} of them dropped`);
  }

  #refusedBy({ epoch, seq }: Accepted): number {
    return this.#refusals.get(key(epoch, seq)) ?? 0;
  }

  /** Events of the hosts that got no number, and how many the gap events that did get one tell of. */
  get handover(): { missing: number; told: number } {
    let missing = 0;
    for (const { content, acceptedAs, times } of this.#produced.values()) {
      // A gap event that is dropped is told again by the next one.
      if (!content.startsWith('["gap"')) missing += times - acceptedAs.length;
    }
    let told = 0;
    for (const { content } of this.events.values()) {
      if (!content.includes("handover_overflow")) continue;
      const data = (JSON.parse(content) as unknown[])[6] as { lostCount: number };
      told += data.lostCount;
    }
    return { missing, told };
  }
}

function statements(database: Database.Database) {
  return {
    changes: database.prepare("SELECT total_changes()").pluck(),
    epochs: database.prepare("SELECT epoch, base FROM epoch ORDER BY epoch"),
    rows: database.prepare("SELECT id, lane, recorded, body FROM event WHERE id > ? ORDER BY id"),
    row: database.prepare("SELECT id, lane, recorded, body FROM event WHERE id = ?"),
    salvages: database.prepare("SELECT count(*) FROM salvage").pluck(),
    letters: database.prepare("SELECT epoch, seq, count(*) AS uplinks FROM dead_letter GROUP BY epoch, seq"),
    count: database.prepare(
      "SELECT (SELECT count(*) FROM event) AS n, (SELECT count(*) FROM event NOT INDEXED WHERE lane = 0) AS urgent",
    ),
    ids: database.prepare("SELECT id FROM event").pluck(),
    books: database.prepare(
      "SELECT total(accepted) AS accepted, total(delivered) AS delivered, total(dropped) AS dropped FROM books",
    ),
    tombstones: database.prepare("SELECT epoch, first, last, reason FROM tombstone"),
  };
}
