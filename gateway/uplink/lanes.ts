import type { CutRecord, OutboxStore, RowLane, StoredRow } from "../outbox/store.ts";
import type { Acknowledged, Acknowledgement } from "./acknowledgement.ts";
import { batchReadingsMax, chunks, merge } from "./batches.ts";
import { encodeCloudEvents } from "./cloudevents.ts";
import { encodeColumnar } from "./columnar.ts";
import { compress, type EncodingName } from "./encoding.ts";

/**
 * Three lanes from one outbox to one destination: what to send next, what is in flight, what to send again.
 *
 * Urgent rows go first and oldest first (lane event). Telemetry that is accepted while the uplink is up goes at
 * once (live). What was accepted while it was down, or got lost on the way, goes beside it (fill), oldest first,
 * and never takes more than its share of the window. A PUBACK only frees the window; rows leave the outbox when
 * the receiver's watermark covers them. Synchronous, no timers: the outbox worker drives it.
 */

export interface LanesOptions {
  name: string;
  city: string;
  gateway: string;
  encoding: EncodingName;
  /** Batches in flight over all lanes. */
  windowMax: number;
  /** Compressed bytes of one message. */
  bytesMax: number;
  /** How long a batch that was sent may stay outside the watermark before it is sent again, ms. */
  resendAfterMs: number;
}

/** A message for the uplink to send; `key` comes back with `sent`, `refused` or a disconnect. */
export interface Message {
  key: number;
  lane: "event" | "live" | "fill" | "seal";
  payload: Buffer;
}

interface Cut extends CutRecord {
  state: "waiting" | "flying" | "sent";
  key: number;
  sentMs: number;
  tries: number;
  /** The receiver has it, though its watermark is still held back by an older hole. */
  stored: boolean;
}

const urgentEventsMax = 64;
/** Live batches that may wait for the window; when the link is too thin for more, the oldest become fill. */
const liveWaitingMax = 64;
/** Cuts remembered; beyond it the oldest are forgotten and cut anew if they are ever needed again. */
/** Tries of a batch whose payload the broker refuses, before its rows are dropped and declared. */
const refusalsMax = 3;
const receiversMax = 64;
const cutsMax = 20_000;
/** Fill batches are frozen by the handful, so that a drain does not pay one fsync for each. */
const fillFreezeBatches = 8;

function rethrow(error: unknown): never {
  throw error;
}

export class Lanes {
  readonly #store: OutboxStore;
  readonly #options: LanesOptions;
  #connected = false;
  /** Receivers heard of over this connection. */
  readonly #receivers = new Map<string, boolean>();
  #windowMax: number;
  #bytesMax: number;
  /** All cuts of rows that are still in the outbox, by key; keys grow. */
  readonly #cuts = new Map<number, Cut>();
  #nextKey = 1;
  readonly #waiting = { event: [] as Cut[], live: [] as Cut[], fill: [] as Cut[] };
  readonly #flying = { event: 0, live: 0, fill: 0 };
  readonly #flyingCuts = new Map<number, { cut: Cut; lane: "event" | "live" | "fill"; atMs: number }>();
  /** Telemetry ids that no cut covers, oldest first. */
  #backlog: { first: number; last: number }[] = [];
  /** Urgent rows above this id are not cut yet. */
  #urgentCutTo = 0;
  /** No urgent row has a higher id. */
  #urgentTop: number;
  /** The receiver's run and our session that the last complete acknowledgement spoke of. */
  #answered = "";
  #pausedUntilMs = 0;
  #ackLatencyMs = 100;
  counts = { batches: 0, events: 0, bytes: 0, resent: 0, refused: 0 };

  constructor(store: OutboxStore, options: LanesOptions) {
    this.#store = store;
    this.#options = options;
    this.#windowMax = options.windowMax;
    this.#bytesMax = options.bytesMax;
    this.#urgentTop = store.lastId;
    this.#restore();
  }

  /** After a start: frozen cuts are sent again as they were, all other telemetry is backlog. */
  #restore(): void {
    let next = this.#store.firstId(1, 0) ?? this.#store.lastId + 1;
    for (const record of this.#store.cuts(this.#options.name)) {
      const cut = this.#adopt(record);
      if (record.rowLane === 0) {
        this.#waiting.event.push(cut);
        this.#urgentCutTo = Math.max(this.#urgentCutTo, record.last);
        continue;
      }
      this.#waiting.fill.push(cut);
      if (record.first > next) this.#backlog.push({ first: next, last: record.first - 1 });
      next = Math.max(next, record.last + 1);
    }
    if (next <= this.#store.lastId) this.#backlog.push({ first: next, last: this.#store.lastId });
  }

  #adopt(record: CutRecord): Cut {
    const cut: Cut = {
      ...record,
      state: "waiting",
      key: this.#nextKey++,
      sentMs: 0,
      tries: 0,
      stored: false,
    };
    this.#cuts.set(cut.key, cut);
    return cut;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Rows of telemetry (about) that wait in fill; 0 when the present is all there is. */
  get backlogRows(): number {
    return (
      this.#backlog.reduce((sum, range) => sum + range.last - range.first + 1, 0) +
      this.#waiting.fill.reduce((sum, cut) => sum + cut.last - cut.first + 1, 0)
    );
  }

  get inFlight(): number {
    return this.#flyingCuts.size;
  }

  /** The uplink has a session: `windowMax` and `bytesMax` are what the broker grants. */
  connect(windowMax: number, bytesMax: number): void {
    this.#connected = true;
    this.#windowMax = Math.max(1, Math.min(this.#options.windowMax, windowMax));
    this.#bytesMax = Math.min(this.#options.bytesMax, bytesMax);
    this.#pausedUntilMs = 0;
    this.#receivers.clear();
  }

  /** The link is gone: nothing in flight counts, live that waits becomes backlog. */
  disconnect(): void {
    this.#connected = false;
    for (const { cut } of this.#flyingCuts.values()) this.#requeue(cut);
    this.#flyingCuts.clear();
    this.#flying.event = this.#flying.live = this.#flying.fill = 0;
    for (const cut of this.#waiting.live) this.#waiting.fill.push(cut);
    this.#waiting.live = [];
    this.#sortFill();
  }

  /** `{t}/host/v1/{ioc}`: while every receiver heard of is away, live goes on and fill waits. */
  receiver(name: string, online: boolean): void {
    if (this.#receivers.size < receiversMax || this.#receivers.has(name)) this.#receivers.set(name, online);
  }

  get #receiverAway(): boolean {
    return this.#receivers.size > 0 && ![...this.#receivers.values()].includes(true);
  }

  /** Inside the transaction that stores `rows`: the batches in which their telemetry goes out at once. */
  planNew(rows: readonly StoredRow[]): CutRecord[] {
    if (!this.#connected) return [];
    // Urgent rows are cut in id order, older ones included, when the window has room for them.
    const telemetry = rows.filter((row) => row.lane === 1);
    return chunks(telemetry).map((batch) => this.#record(1, batch, "live"));
  }

  /** `rows` are stored, and with them the `planned` batches. */
  stored(rows: readonly StoredRow[], planned: readonly CutRecord[]): void {
    this.#urgentTop = rows.findLast((row) => row.lane === 0)?.id ?? this.#urgentTop;
    for (const record of planned) this.#waiting.live.push(this.#adopt(record));
    const surplus = this.#waiting.live.length - liveWaitingMax;
    if (surplus > 0) {
      this.#waiting.fill.push(...this.#waiting.live.splice(0, surplus));
      this.#sortFill();
    }
    const last = rows.at(-1);
    if (planned.length === 0 && last !== undefined && rows.some((row) => row.lane === 1)) {
      this.#extendBacklog(rows[0]?.id ?? last.id, last.id);
    }
  }

  #record(rowLane: RowLane, rows: readonly { id: number }[], lane: CutRecord["lane"]): CutRecord {
    const first = rows[0]?.id ?? 0;
    return { rowLane, first, last: rows.at(-1)?.id ?? first, lane, dictionary: this.#store.dictionary.hash };
  }

  #extendBacklog(first: number, last: number): void {
    const tail = this.#backlog.at(-1);
    if (tail !== undefined && tail.last === first - 1) tail.last = last;
    else this.#backlog.push({ first, last });
  }

  /**
   * The next messages that the window has room for. `fresh`: rows that are still in memory. An error of the store
   * goes to `failed`; what it hit stays queued, and what was rendered before goes out.
   */
  next(
    nowMs: number,
    fresh: readonly StoredRow[] = [],
    failed: (error: unknown) => void = rethrow,
  ): Message[] {
    const messages: Message[] = [];
    while (this.#connected && nowMs >= this.#pausedUntilMs && this.#flyingCuts.size < this.#windowMax) {
      let chosen: { cut: Cut; lane: "event" | "live" | "fill" } | undefined;
      try {
        chosen = this.#choose();
        if (chosen === undefined) break;
        const message = this.#render(chosen.cut, chosen.lane, nowMs, fresh);
        if (message !== undefined) messages.push(message);
      } catch (error) {
        if (chosen !== undefined && this.#cuts.has(chosen.cut.key))
          this.#waiting[chosen.lane].unshift(chosen.cut);
        failed(error);
        break;
      }
    }
    return messages;
  }

  #choose(): { cut: Cut; lane: "event" | "live" | "fill" } | undefined {
    const urgent = this.#waiting.event.shift() ?? this.#cutUrgent();
    if (urgent !== undefined) return { cut: urgent, lane: "event" };
    const live = this.#waiting.live.shift();
    if (live !== undefined) return { cut: live, lane: "live" };
    if (this.#receiverAway || this.#flying.fill >= this.#fillWindow()) return undefined;
    const fill = this.#nextFill();
    return fill === undefined ? undefined : { cut: fill, lane: "fill" };
  }

  /**
   * Fill batches that may be in flight: two on a slow link, so that live never queues behind them on the shared
   * socket; up to half the window when acknowledgements come back fast.
   */
  #fillWindow(): number {
    return Math.max(2, Math.min(Math.floor(this.#windowMax / 2), Math.floor(400 / this.#ackLatencyMs)));
  }

  #cutUrgent(): Cut | undefined {
    if (this.#urgentCutTo >= this.#urgentTop) return undefined;
    const rows = this.#withinEpoch(
      this.#store.rows(0, this.#urgentCutTo + 1, this.#store.lastId, urgentEventsMax),
    );
    if (rows.length === 0) {
      this.#urgentCutTo = this.#urgentTop;
      return undefined;
    }
    const record = this.#record(0, rows, "event");
    this.#store.freeze(this.#options.name, [record]);
    this.#urgentCutTo = record.last;
    return this.#adopt(record);
  }

  /** The oldest of: batches to send again, and backlog that was never cut. */
  #nextFill(): Cut | undefined {
    for (let range = this.#backlog[0]; range !== undefined; range = this.#backlog[0]) {
      const again = this.#waiting.fill[0];
      if (again !== undefined && again.first < range.first) break;
      if (this.#cutBacklog(range)) break;
      // Nothing is left of the range: it was evicted.
      this.#backlog.shift();
    }
    return this.#waiting.fill.shift();
  }

  /** Cuts the oldest rows of a range; false when it holds none. */
  #cutBacklog(range: { first: number; last: number }): boolean {
    const rows = this.#withinEpoch(this.#store.rows(1, range.first, range.last, batchReadingsMax));
    if (rows.length === 0) return false;
    const batches = chunks(rows).slice(0, fillFreezeBatches);
    const records = batches.map((batch) => this.#record(1, batch, "fill"));
    this.#store.freeze(this.#options.name, records);
    for (const record of records) this.#waiting.fill.push(this.#adopt(record));
    this.#sortFill();
    range.first = (records.at(-1)?.last ?? range.last) + 1;
    if (range.first > range.last) this.#backlog.shift();
    return true;
  }

  #withinEpoch(rows: StoredRow[]): StoredRow[] {
    const first = rows[0];
    if (first === undefined) return rows;
    const last = this.#store.lastIdOf(this.#store.epochOf(first.id));
    return rows.filter((row) => row.id <= last);
  }

  #sortFill(): void {
    this.#waiting.fill.sort((a, b) => a.first - b.first);
  }

  #render(
    cut: Cut,
    lane: "event" | "live" | "fill",
    nowMs: number,
    fresh: readonly StoredRow[],
  ): Message | undefined {
    const inMemory = (fresh[0]?.id ?? Infinity) <= cut.first && (fresh.at(-1)?.id ?? 0) >= cut.last;
    const rows = inMemory
      ? fresh.filter((row) => row.id >= cut.first && row.id <= cut.last && row.lane === cut.rowLane)
      : this.#store.rows(cut.rowLane, cut.first, cut.last, cut.last - cut.first + 1);
    if (rows.length === 0) {
      this.#forget(cut);
      return undefined;
    }
    const { epoch, base } = this.#store.epochOf(cut.first);
    const header = {
      city: this.#options.city,
      gateway: this.#options.gateway,
      epoch,
      lane: cut.lane,
      dictionary: this.#store.dictionaryOf(cut.dictionary),
    };
    const encode = this.#options.encoding === "columnar" ? encodeColumnar : encodeCloudEvents;
    const payload = compress(
      encode(
        header,
        rows.map((row) => ({ seq: row.id - base, recordedMs: row.recordedMs, body: row.body })),
      ),
    );
    if (payload.length > this.#bytesMax) {
      this.#split(cut, rows, lane);
      return undefined;
    }
    if (cut.tries > 0) this.counts.resent++;
    else {
      this.counts.batches++;
      this.counts.events += rows.length;
    }
    this.counts.bytes += payload.length;
    cut.state = "flying";
    cut.tries++;
    this.#flying[lane]++;
    this.#flyingCuts.set(cut.key, { cut, lane, atMs: nowMs });
    return { key: cut.key, lane, payload };
  }

  /** A batch over the size limit goes as two; an event that is too large alone can never go and is dropped. */
  #split(cut: Cut, rows: StoredRow[], lane: "event" | "live" | "fill"): void {
    const [only] = rows;
    if (rows.length === 1 && only !== undefined) {
      this.#store.drop([only], "too-large");
      this.#forget(cut);
      return;
    }
    const middle = rows.length >> 1;
    const records = [rows.slice(0, middle), rows.slice(middle)].map((half) => ({
      ...this.#record(cut.rowLane, half, cut.lane),
      dictionary: cut.dictionary,
    }));
    this.#store.recut(this.#options.name, cut, records);
    this.#forget(cut);
    this.#waiting[lane].unshift(...records.map((record) => this.#adopt(record)));
  }

  #forget(cut: Cut): void {
    this.#cuts.delete(cut.key);
  }

  /** PUBACK without an error: the window is free, the rows stay. */
  sent(key: number, nowMs: number): void {
    const flight = this.#land(key);
    if (flight === undefined) return;
    flight.cut.state = "sent";
    flight.cut.sentMs = nowMs;
    this.#ackLatencyMs = Math.max(1, this.#ackLatencyMs * 0.8 + (nowMs - flight.atMs) * 0.2);
  }

  /**
   * PUBACK with a reason code >= 0x80. Quota and rate (0x96, 0x97): pause and send again. Too large (0x95): split.
   * Payload refused (0x99): after three tries the batch is dropped and declared. Others: pause.
   */
  refused(key: number, reason: number, nowMs: number): void {
    const flight = this.#land(key);
    if (flight === undefined) return;
    this.counts.refused++;
    const { cut, lane } = flight;
    if (reason === 0x95) {
      this.#split(cut, this.#store.rows(cut.rowLane, cut.first, cut.last), lane);
      return;
    }
    if (reason === 0x99 && cut.tries >= refusalsMax) {
      this.#forget(cut);
      this.#store.drop(this.#store.rows(cut.rowLane, cut.first, cut.last), "refused");
      return;
    }
    this.#requeue(cut);
    this.#pausedUntilMs = nowMs + Math.min(60_000, 1000 * 2 ** Math.min(6, cut.tries - 1));
  }

  #land(key: number): { cut: Cut; lane: "event" | "live" | "fill"; atMs: number } | undefined {
    const flight = this.#flyingCuts.get(key);
    if (flight === undefined) return undefined;
    this.#flyingCuts.delete(key);
    this.#flying[flight.lane]--;
    return flight;
  }

  #requeue(cut: Cut): void {
    cut.state = "waiting";
    if (cut.rowLane === 0) this.#waiting.event.push(cut);
    else this.#waiting.fill.push(cut);
  }

  /**
   * An acknowledgement document. Returns the epochs and watermarks to release. The first one of a receiver's run
   * or of our session is complete, so everything that it does not cover is sent again at once.
   */
  acknowledge(
    document: Acknowledgement,
    session: number,
    nowMs: number,
  ): { epoch: number; watermark: number }[] {
    const answer = `${document.run}:${document.sess}`;
    const complete = answer !== this.#answered && (document.sess === undefined || document.sess === session);
    if (complete) this.#answered = answer;
    const releases: { epoch: number; watermark: number }[] = [];
    for (const [name, state] of Object.entries(document.ep)) {
      const record = this.#store.epochs.find((candidate) => candidate.epoch === Number(name));
      if (record === undefined) continue;
      releases.push({ epoch: record.epoch, watermark: state.wm });
      this.#apply(record.base, this.#store.lastIdOf(record), state, complete, nowMs);
    }
    this.#sortFill();
    return releases;
  }

  #apply(base: number, end: number, state: Acknowledged, complete: boolean, nowMs: number): void {
    const watermark = base + state.wm;
    const top = base + (state.top ?? state.wm);
    const miss = (state.miss ?? []).map(([first, last]) => [base + first, base + last] as const);
    for (const cut of this.#cuts.values()) {
      if (cut.first <= base || cut.first > end) continue;
      if (cut.last <= watermark) {
        this.#cuts.delete(cut.key);
        if (cut.state === "waiting") this.#withdraw(cut);
        continue;
      }
      if (cut.state !== "sent") continue;
      const missed = miss.some(([first, last]) => cut.first <= last && cut.last >= first);
      const beyond = cut.last > top;
      cut.stored = !missed && !beyond;
      if (missed ? complete || nowMs - cut.sentMs > 5000 : complete && beyond) this.#requeue(cut);
    }
  }

  #withdraw(cut: Cut): void {
    for (const lane of ["event", "live", "fill"] as const) {
      const index = this.#waiting[lane].indexOf(cut);
      if (index >= 0) this.#waiting[lane].splice(index, 1);
    }
  }

  /** Once a second or so: batches that have been outside the watermark for too long are sent again. */
  tick(nowMs: number): void {
    const lowestPending = Math.min(
      this.#backlog[0]?.first ?? Infinity,
      this.#waiting.fill[0]?.first ?? Infinity,
    );
    for (const cut of this.#cuts.values()) {
      if (cut.state !== "sent" || cut.stored) continue;
      // While older rows are still on their way the watermark cannot pass: that is no sign of a loss.
      if (cut.first > lowestPending) continue;
      const patience = Math.min(3_600_000, this.#options.resendAfterMs * 2 ** (cut.tries - 1));
      if (nowMs - cut.sentMs > patience) this.#requeue(cut);
    }
    this.#sortFill();
    if (this.#cuts.size > cutsMax) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const surplus = [...this.#cuts.values()].filter((cut) => cut.state === "sent" && cut.rowLane === 1);
    for (const cut of surplus.slice(0, this.#cuts.size - cutsMax)) {
      this.#forget(cut);
      this.#store.thaw(this.#options.name, cut);
      this.#backlog.push({ first: cut.first, last: cut.last });
    }
    this.#backlog = merge(this.#backlog);
  }
}
