import { performance } from "node:perf_hooks";
import type { KerbEvent } from "../event.ts";
import { ChainHash } from "../uplink/canonical.ts";
import { sealHead, type Seal } from "../uplink/seal.ts";
import type { Archive } from "./archive.ts";
import type { Range } from "./ledger.ts";
import { parseSeal } from "./messages.ts";
import type { Columns, Store } from "./store.ts";

/** What a look at the stored events found of one seal. Ranges are event numbers of its epoch, at most 64. */
export interface SealCheck {
  /** Every event that the seal is over is stored once, and the chain over them is the seal's. */
  ok: boolean;
  /** Whether the chain is the seal's; undefined when events are missing, so that it cannot be told. */
  isChainEqual?: boolean;
  events: number;
  /** Not stored. Of `vanished` the ledger says that they were. */
  missing: Range[];
  vanished: Range[];
  /** Stored more than once. */
  repeated: Range[];
  /** Stored in messages that cannot be read, and why. */
  unreadable: { range: Range; reason: string }[];
  /** Declared lost, and stored all the same: nothing proves them. */
  unproved: number;
  /** Events per device. */
  devices: Record<string, number>;
  checkedMs: number;
}

export interface SealName {
  gateway: string;
  epoch: number;
  no: number;
}

const rangesMax = 64;
const devicesMax = 5000;
const openMax = 20_000;
const pollsMax = 10_000;
const resultsMax = 64;
/** One slice of work; a slice over it makes the next ones smaller. */
const sliceMs = 8;
const pageFirst = 32;
const pageMax = 1000;

/** Lets everything else have its turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Holds seals against the stored events, one after the other and in slices of some milliseconds. What did not hold
 * is looked at again when more of its epoch arrives.
 */
export class SealChecks {
  readonly #store: Store;
  readonly #archive: Archive;
  readonly #failed: (error: unknown) => void;
  readonly #queue = new Map<string, SealName>();
  /** Seals that did not hold, by gateway and epoch. */
  readonly #open = new Map<string, Map<number, Range>>();
  #running: Promise<void> | undefined;
  /** Taken out of the queue, and not saved yet. */
  readonly #doing = new Map<string, SealName>();
  #results: Result[] = [];
  #waiting: (() => void)[] = [];
  #pageSize = pageFirst;
  #isClosed = false;

  constructor(store: Store, archive: Archive, failed: (error: unknown) => void) {
    this.#store = store;
    this.#archive = archive;
    this.#failed = failed;
    for (const row of store.all(
      "SELECT gw, ep, no, first, last, ok FROM seal WHERE ok IS NOT 1 LIMIT ?",
      openMax,
    )) {
      const name = { gateway: row["gw"] as string, epoch: row["ep"] as number, no: row["no"] as number };
      if (row["ok"] === null) this.#queue.set(key(name), name);
      else this.#remember(name, [row["first"] as number, row["last"] as number]);
    }
    this.#start();
  }

  /** Settles when these have been checked, or while that is not possible. */
  async settled(names: readonly SealName[]): Promise<void> {
    const left = new Set(names.map(key));
    for (;;) {
      for (const place of left) if (!this.#doing.has(place) && !this.#queue.has(place)) left.delete(place);
      if (left.size === 0 || this.#running === undefined) return;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The work that is under way stops at its next slice. */
  close(): void {
    this.#isClosed = true;
    this.#queue.clear();
  }

  add(name: SealName): void {
    if (this.#isClosed) return;
    this.#queue.set(key(name), name);
    this.#start();
  }

  /** Events of these numbers have been stored: seals over them that did not hold may do so now. */
  stored(gateway: string, epoch: number, first: number, last: number): void {
    const open = this.#open.get(`${gateway}/${epoch}`);
    if (open === undefined) return;
    for (const [no, [from, to]] of open) if (from <= last && to >= first) this.add({ gateway, epoch, no });
  }

  /** A dictionary has come: messages that waited for it can be read. */
  readable(gateway: string): void {
    for (const [place, open] of this.#open) {
      const [owner = "", epoch] = place.split("/");
      if (owner === gateway) for (const no of open.keys()) this.add({ gateway, epoch: Number(epoch), no });
    }
  }

  #remember({ gateway, epoch, no }: SealName, range: Range): void {
    const place = `${gateway}/${epoch}`;
    const open = this.#open.get(place) ?? new Map<number, Range>();
    if (this.#open.size < openMax && open.size < openMax) this.#open.set(place, open.set(no, range));
  }

  #start(): void {
    if (this.#running !== undefined || this.#queue.size === 0) return;
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      this.#wake();
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #work(): Promise<void> {
    for (;;) {
      await turn();
      const next = this.#queue.entries().next().value;
      if (next === undefined) return;
      const [place, name] = next;
      try {
        this.#queue.delete(place);
        this.#doing.set(place, name);
        const result = await this.#check(name);
        if (result !== undefined) this.#results.push(result);
        if (this.#queue.size > 0 && this.#results.length < resultsMax) continue;
        this.#save();
        this.#doing.clear();
      } catch (error) {
        if (this.#isClosed) return;
        // The database refuses: the work goes on with the next seal that can be stored.
        for (const [again, one] of this.#doing) this.#queue.set(again, one);
        this.#doing.clear();
        this.#results = [];
        this.#failed(error);
        return;
      }
      this.#wake();
    }
  }

  async #check(name: SealName): Promise<Result | undefined> {
    const { gateway, epoch, no } = name;
    const [row] = this.#store.all(
      "SELECT * FROM seal WHERE gw = ? AND ep = ? AND no = ?",
      gateway,
      epoch,
      no,
    );
    const seal = row === undefined ? undefined : sealOf(row);
    if (seal === undefined) return undefined;
    const look = new Look(seal);
    let after = seal.from - 1;
    while (after < seal.to && seal.to >= seal.from) {
      const startedMs = performance.now();
      const page = this.#archive.eventsAsTold(gateway, { epoch, after }, this.#pageSize);
      for (const { epoch: of, first, last, reason } of page.undecoded)
        if (of === epoch && first <= seal.to && last >= seal.from) look.unreadable([first, last], reason);
      for (const event of page.events) look.event(event);
      const spentMs = performance.now() - startedMs;
      if (spentMs > sliceMs) this.#pageSize = Math.max(1, this.#pageSize >> 1);
      else if (spentMs < sliceMs / 4) this.#pageSize = Math.min(pageMax, this.#pageSize * 2);
      if (page.next === null || page.next.epoch !== epoch) break;
      after = page.next.after;
      await turn();
      if (this.#isClosed) throw new Error("the receiver is closed");
    }
    const check = look.result();
    this.#tellVanished(seal, check);
    const open = this.#open.get(`${gateway}/${epoch}`);
    if (!check.ok) this.#remember(name, [seal.from, seal.to]);
    else if (open?.delete(no) === true && open.size === 0) this.#open.delete(`${gateway}/${epoch}`);
    return { seal, check, look };
  }

  /** Missing numbers that the ledger knows as stored were taken out of the database. */
  #tellVanished(seal: Seal, check: SealCheck): void {
    const state = this.#store.epoch(seal.gw, seal.ep);
    if (state === undefined) return;
    const gaps = [
      ...state.ledger.state().holes,
      ...state.ledger.losses.map(({ from, to }): Range => [from, to]),
      [state.ledger.top + 1, Infinity] as Range,
    ];
    const isKnown = ([from, to]: Range) => gaps.some(([a, b]) => a <= from && b >= to);
    check.vanished = check.missing.filter((range) => !isKnown(range));
    check.missing = check.missing.filter(isKnown);
  }

  /** Writes what was found, many seals in one transaction: all gateways seal at the same time. */
  #save(): void {
    const results = this.#results;
    this.#results = [];
    this.#store.transaction(() => {
      for (const result of results) this.#saveOne(result);
    });
  }

  #saveOne({ seal: { gw, ep, no }, check, look }: Result): void {
    const sql = "UPDATE seal SET ok = ?, checked = ? WHERE gw = ? AND ep = ? AND no = ?";
    this.#store.run(sql, check.ok ? 1 : 0, JSON.stringify(check), gw, ep, no);
    if (!check.ok) return;
    for (const [device, [from, to], counts] of look.polls) {
      const row = [gw, from, to, device, ...counts];
      this.#store.run("INSERT OR REPLACE INTO polls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ...row);
    }
    for (const [from, to] of look.off)
      this.#store.run("INSERT OR IGNORE INTO box_off VALUES (?, ?, ?)", gw, from, to);
  }
}

interface Result {
  seal: Seal;
  check: SealCheck;
  look: Look;
}

/** The seal of a stored row; undefined when the row is not as it was written. */
export function sealOf(row: Columns): Seal | undefined {
  try {
    const seal = parseSeal(row["gw"] as string, Buffer.from(row["body"] as string));
    const is = [seal.ep, seal.no, seal.from, seal.to, seal.fromMs, seal.toMs];
    const names = ["ep", "no", "first", "last", "from_ms", "to_ms"];
    return names.every((name, i) => row[name] === is[i]) ? seal : undefined;
  } catch {
    return undefined;
  }
}

function key({ gateway, epoch, no }: SealName): string {
  return `${gateway}/${epoch}/${no}`;
}

/** Walks the events of one seal in the order of their numbers. */
class Look {
  readonly #seal: Seal;
  readonly #chain = new ChainHash();
  #next: number;
  #hashed = 0;
  readonly #devices = new Map<string, number>();
  readonly #check: SealCheck;
  /** Poll counts and times off that its events tell of. */
  readonly polls: [device: string, range: Range, counts: number[]][] = [];
  readonly off: Range[] = [];

  constructor(seal: Seal) {
    this.#seal = seal;
    this.#chain.value = Buffer.from(seal.prev, "hex");
    this.#next = seal.from;
    this.#check = {
      ok: false,
      events: 0,
      missing: [],
      vanished: [],
      repeated: [],
      unreadable: [],
      unproved: 0,
      devices: {},
      checkedMs: 0,
    };
  }

  unreadable(range: Range, reason: string): void {
    const { unreadable } = this.#check;
    if (unreadable.length < rangesMax && !unreadable.some((known) => known.range[0] === range[0]))
      unreadable.push({ range, reason: reason.slice(0, 200) });
  }

  event(event: KerbEvent): void {
    const { gw, ep, to, tomb } = this.#seal;
    const { seq } = event;
    // A message that was put under another gateway or epoch is none of theirs.
    if (event.gateway !== gw || event.epoch !== ep || seq > to) return;
    if (seq < this.#next) {
      note(this.#check.repeated, seq, seq);
      return;
    }
    this.#lack(seq - 1);
    this.#next = seq + 1;
    if (tomb.some(([a, b]) => seq >= a && seq <= b)) {
      this.#check.unproved++;
      return;
    }
    this.#chain.event(event);
    this.#hashed++;
    const { device } = event;
    if (this.#devices.size < devicesMax || this.#devices.has(device))
      this.#devices.set(device, (this.#devices.get(device) ?? 0) + 1);
    this.#hear(event);
  }

  result(): SealCheck {
    const seal = this.#seal;
    const check = this.#check;
    this.#lack(seal.to);
    check.events = this.#hashed;
    check.devices = Object.fromEntries(this.#devices);
    check.checkedMs = Date.now();
    if (check.missing.length > 0) return check;
    this.#chain.text(sealHead(seal));
    check.isChainEqual = this.#hashed === seal.n && this.#chain.value.toString("hex") === seal.h;
    check.ok = check.isChainEqual && check.repeated.length === 0;
    return check;
  }

  /** The numbers up to `last` have not come; those that were declared lost need not. */
  #lack(last: number): void {
    let from = this.#next;
    for (const [a, b] of this.#seal.tomb) {
      if (b < from || a > last) continue;
      if (a > from) note(this.#check.missing, from, a - 1);
      from = b + 1;
    }
    if (from <= last) note(this.#check.missing, from, last);
    this.#next = Math.max(this.#next, last + 1);
  }

  #hear({ kind, device, data = {} }: KerbEvent): void {
    const isPolls = kind === "device-status" && data["report"] === "polls";
    const isOff = kind === "gap" && data["cause"] === "box_off";
    if (!isPolls && !isOff) return;
    const range: Range = [Date.parse(String(data["from"])), Date.parse(String(data["to"]))];
    if (!(range[0] <= range[1])) return;
    const counts = ["polls", "answered", "failed", "missed"].map((name) => data[name]) as number[];
    if (isOff && this.off.length < pollsMax) this.off.push(range);
    else if (isPolls && this.polls.length < pollsMax && counts.every((count) => Number.isSafeInteger(count)))
      this.polls.push([device, range, counts]);
  }
}

function note(ranges: Range[], from: number, to: number): void {
  const before = ranges.at(-1);
  if (before !== undefined && before[1] >= from - 1) before[1] = Math.max(before[1], to);
  else if (ranges.length < rangesMax) ranges.push([from, to]);
}
