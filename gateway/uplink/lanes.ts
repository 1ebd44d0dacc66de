import { triesMax } from "../mqtt/reconnect.ts";
import type { CutRecord, OutboxStore, RowLane, StoredRow } from "../outbox/store.ts";
import type { Acknowledged, Acknowledgement } from "./acknowledgement.ts";
import { Backlog, Receivers, UrgentMark } from "./backlog.ts";
import { batchFormBytesMax, batchReadingsMax, chunks, encodeBatch } from "./batches.ts";
import { Flights, type LaneName, type Message } from "./flights.ts";
import { SizeLimit, Suspects } from "./suspects.ts";
import type { Chosen, Cut, LanesOptions } from "./cuts.ts";

/**
 * Three lanes from one outbox to one destination: what to send next, what is in flight, what to send again.
 *
 * Urgent rows go first and oldest first (lane event). Telemetry that is accepted while the uplink is up goes at
 * once (live). What was accepted while it was down, or got lost on the way, goes beside it (fill), oldest first,
 * and never takes more than its share of the window. A PUBACK only frees the window; rows leave the outbox when
 * the receiver's watermark covers them. Synchronous, no timers: the outbox worker drives it.
 */

const urgentEventsMax = 64;
/** Live batches that may wait for the window; when the link is too thin for more, the oldest become fill. */
const liveWaitingMax = 64;
/** Cuts remembered; beyond it the oldest are forgotten and cut anew if they are ever needed again. */
const cutsMax = 20_000;
const deadMax = 1000;
/** Fill batches are frozen by the handful, so that a drain does not pay one fsync for each. */
const fillFreezeBatches = 8;

function rethrow(error: unknown): never {
  throw error;
}

export class Lanes {
  readonly #store: OutboxStore;
  readonly #options: LanesOptions;
  /** What the broker grants, window and bytes, while there is a session. */
  #granted: [windowMax: number, bytesMax: number] | undefined;
  #receivers = new Receivers();
  /** All cuts of rows that are still in the outbox, by key; keys grow. */
  readonly #cuts = new Map<number, Cut>();
  #nextKey: number;
  readonly #waiting = { event: [] as Cut[], live: [] as Cut[], fill: [] as Cut[] };
  readonly #suspects = new Suspects<Cut>();
  readonly #flights = new Flights<Cut>();
  /** Rows in the outbox that this uplink's broker refuses. */
  #dead: Set<number>;
  readonly #backlog = new Backlog();
  readonly #urgent = new UrgentMark();
  /** No urgent row has a higher id. */
  #urgentTop: number;
  /** The receiver's run and our session that the last complete acknowledgement spoke of. */
  #answered = "";
  readonly #size = new SizeLimit();
  counts = { batches: 0, events: 0, bytes: 0, resent: 0, refused: 0, dead: 0 };

  constructor(store: OutboxStore, options: LanesOptions, firstKey = 1) {
    this.#store = store;
    this.#options = options;
    this.#nextKey = firstKey;
    this.#urgentTop = store.lastId;
    this.#dead = new Set(store.deadLetters.of(options.name));
    this.#restore();
  }

  /** The lanes of this uplink on a queue opened anew: the connection goes on, what was in flight goes again. */
  successor(store: OutboxStore): Lanes {
    const lanes = new Lanes(store, this.#options, this.#nextKey);
    if (this.#granted !== undefined) lanes.connect(...this.#granted);
    lanes.#flights.inherit(this.#flights);
    lanes.counts = this.counts;
    lanes.#receivers = this.#receivers;
    return lanes;
  }

  /** After a start: frozen cuts are sent again as they were, all other telemetry is backlog. */
  #restore(): void {
    let next = this.#store.firstId(1, 0) ?? this.#store.lastId + 1;
    // Salvaged rows may lie below what was cut meanwhile.
    this.#urgent.cutTo = (this.#store.firstId(0, 0) ?? this.#store.lastId + 1) - 1;
    for (const record of this.#store.cuts(this.#options.name)) {
      const cut = this.#adopt(record);
      if (record.rowLane === 0) {
        this.#waiting.event.push(cut);
        this.#urgent.know(cut);
        continue;
      }
      this.#waiting.fill.push(cut);
      this.#backlog.append(next, record.first - 1);
      next = Math.max(next, record.last + 1);
    }
    this.#backlog.append(next, this.#store.lastId);
  }

  #adopt(record: CutRecord): Cut {
    const cut: Cut = {
      ...record,
      state: "waiting",
      key: this.#nextKey++,
      sentMs: 0,
      tries: 0,
      stored: false,
      deaths: 0,
      witnessed: false,
      bytes: 0,
    };
    this.#cuts.set(cut.key, cut);
    return cut;
  }

  get connected(): boolean {
    return this.#granted !== undefined;
  }

  /** Rows of telemetry (about) that wait in fill; 0 when the present is all there is. */
  get backlogRows(): number {
    return this.#backlog.size + this.#waiting.fill.reduce((sum, cut) => sum + cut.last - cut.first + 1, 0);
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  /** The uplink has a session: `windowMax` and `bytesMax` are what the broker grants. */
  connect(windowMax: number, bytesMax: number): void {
    this.#granted = [windowMax, bytesMax];
    this.#flights.open(Math.max(1, Math.min(this.#options.windowMax, windowMax)));
    this.#size.granted = Math.min(this.#options.bytesMax, bytesMax);
    this.#suspects.connect();
    this.#receivers.clear();
  }

  /**
   * The link is gone: nothing in flight counts, live that waits becomes backlog. `blamed`: the broker hung up, and
   * a message on the way may be why.
   */
  disconnect(blamed = false): void {
    this.#granted = undefined;
    const isAlone = this.#flights.size === 1;
    const flown = this.#flights.close();
    for (const cut of flown) {
      if (blamed) cut.deaths++;
      this.#requeue(cut);
    }
    for (const cut of this.#waiting.live) this.#waiting.fill.push(cut);
    this.#waiting.live = [];
    this.#sortFill();
    const [only] = flown;
    if (blamed && isAlone && only !== undefined) this.#judge(only);
  }

  /** The broker hung up with nothing but this batch on the way. */
  #judge(cut: Cut): void {
    const rows = this.#rows(cut);
    if (rows.length > 1 && cut.deaths >= 2 && this.#size.learn(cut.bytes, cut.bytes >> 1)) {
      this.#withdraw(cut);
      this.#split(cut, rows, cut.rowLane === 0 ? "event" : "fill");
    } else if (cut.deaths >= triesMax && cut.witnessed) {
      this.#size.learn(cut.bytes, cut.bytes - 1);
      this.#withdraw(cut);
      this.#bury(cut, rows, "kills-connection");
    }
  }

  /** `{t}/host/v1/{ioc}`: while every receiver heard of is away, live goes on and fill waits. */
  receiver(name: string, online: boolean): void {
    this.#receivers.heard(name, online);
  }

  /** Inside the transaction that stores `rows`: the batches in which their telemetry goes out at once. */
  planNew(rows: readonly StoredRow[]): CutRecord[] {
    if (!this.connected) return [];
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
      this.#backlog.append(rows[0]?.id ?? last.id, last.id);
    }
  }

  #record(rowLane: RowLane, rows: readonly { id: number }[], lane: CutRecord["lane"]): CutRecord {
    const first = rows[0]?.id ?? 0;
    const last = rows.at(-1)?.id ?? first;
    const { dictionary, clock } = this.#store;
    return { rowLane, first, last, lane, dictionary: dictionary.hash, fix: clock.latest };
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
    while (this.connected && this.#flights.hasRoom) {
      let chosen: Chosen | undefined;
      try {
        chosen = this.#choose(nowMs);
        if (chosen === undefined) break;
        const message = this.#render(chosen.cut, chosen.lane, nowMs, fresh);
        if (message !== undefined) messages.push(message);
      } catch (error) {
        if (chosen !== undefined && this.#cuts.has(chosen.cut.key)) {
          const { cut, lane } = chosen;
          if (cut.deaths > 0) this.#suspects.giveBack(cut);
          else this.#waiting[lane].unshift(cut);
        }
        failed(error);
        break;
      }
    }
    return messages;
  }

  #choose(nowMs: number): Chosen | undefined {
    const isSuspectFlying = [...this.#flights.batches()].some(({ deaths }) => deaths > 0);
    if (this.#suspects.size === 0 && !isSuspectFlying) return this.#chooseFreely(nowMs);
    if (this.#flights.size > 0) return undefined;
    return this.#suspects.next(
      () => this.#chooseFreely(nowMs),
      (cut) => ({ cut, lane: cut.rowLane === 0 ? "event" : "fill" }),
    );
  }

  #chooseFreely(nowMs: number): Chosen | undefined {
    if (this.#flights.admits("event", nowMs)) {
      const urgent = this.#waiting.event.shift() ?? this.#cutUrgent();
      if (urgent !== undefined) return { cut: urgent, lane: "event" };
    }
    if (this.#waiting.live.length > 0) {
      const live = this.#flights.admits("live", nowMs) ? this.#waiting.live.shift() : undefined;
      if (live !== undefined) return { cut: live, lane: "live" };
      // Fill would only make the queue longer that live is waiting for.
      if (!this.#flights.pauses.has("live")) return undefined;
    }
    if (this.#receivers.areAway || !this.#flights.admits("fill", nowMs)) return undefined;
    const fill = this.#nextFill();
    return fill === undefined ? undefined : { cut: fill, lane: "fill" };
  }

  #cutUrgent(): Cut | undefined {
    const end = this.#urgent.end(this.#store.lastId, (from) => this.#store.firstId(0, from));
    if (this.#urgent.cutTo >= this.#urgentTop) return undefined;
    const found = this.#store.rows(0, this.#urgent.cutTo + 1, end, urgentEventsMax);
    const rows = this.#withinEpoch(this.#alive(found));
    if (rows.length === 0) {
      this.#urgent.cutTo = found.at(-1)?.id ?? Math.min(end, this.#urgentTop);
      return undefined;
    }
    const record = this.#record(0, rows, "event");
    this.#store.freeze(this.#options.name, [record]);
    this.#urgent.cutTo = record.last;
    return this.#adopt(record);
  }

  /** The oldest of: batches to send again, and backlog that was never cut. */
  #nextFill(): Cut | undefined {
    for (let { oldest } = this.#backlog; oldest !== undefined; { oldest } = this.#backlog) {
      const again = this.#waiting.fill[0];
      if (again !== undefined && again.first < oldest.first) break;
      if (this.#cutBacklog(oldest)) break;
    }
    return this.#waiting.fill.shift();
  }

  /** Cuts the oldest rows of a range; false when the first of it are gone, or dead letters. */
  #cutBacklog({ first, last }: { first: number; last: number }): boolean {
    const found = this.#store.rows(1, first, last, batchReadingsMax);
    const rows = this.#withinEpoch(this.#alive(found));
    if (rows.length === 0) {
      this.#backlog.takeTo(found.at(-1)?.id ?? last);
      return false;
    }
    const batches = chunks(rows, this.#flights.pace.fillFormBytes(batchFormBytesMax)).slice(
      0,
      fillFreezeBatches,
    );
    const records = batches.map((batch) => this.#record(1, batch, "fill"));
    this.#store.freeze(this.#options.name, records);
    for (const record of records) this.#waiting.fill.push(this.#adopt(record));
    this.#sortFill();
    this.#backlog.takeTo(records.at(-1)?.last ?? last);
    return true;
  }

  /** The first rows in a row that are no dead letters: a batch must not reach over one, which never gets there. */
  #alive(rows: StoredRow[]): StoredRow[] {
    if (this.#dead.size === 0) return rows;
    const start = rows.findIndex(({ id }) => !this.#dead.has(id));
    const end = rows.findIndex(({ id }, i) => i > start && this.#dead.has(id));
    return start < 0 ? [] : rows.slice(start, end < 0 ? undefined : end);
  }

  #rows(cut: Cut): StoredRow[] {
    return this.#alive(this.#store.rows(cut.rowLane, cut.first, cut.last, cut.last - cut.first + 1));
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

  #render(cut: Cut, lane: LaneName, nowMs: number, fresh: readonly StoredRow[]): Message | undefined {
    const inMemory = (fresh[0]?.id ?? Infinity) <= cut.first && (fresh.at(-1)?.id ?? 0) >= cut.last;
    const rows = inMemory
      ? fresh.filter((row) => row.id >= cut.first && row.id <= cut.last && row.lane === cut.rowLane)
      : this.#rows(cut);
    if (rows.length === 0) {
      this.#cuts.delete(cut.key);
      return undefined;
    }
    const payload = encodeBatch(this.#store, this.#options, cut, rows);
    if (payload === undefined || payload.length > this.#size.max) {
      this.#split(cut, rows, lane, payload === undefined ? "corrupt" : "too-large");
      return undefined;
    }
    cut.bytes = payload.length;
    if (cut.tries > 0) this.counts.resent++;
    else {
      this.counts.batches++;
      this.counts.events += rows.length;
    }
    this.counts.bytes += payload.length;
    cut.state = "flying";
    cut.tries++;
    const form = rows.reduce((sum, row) => sum + row.body.length, 0);
    this.#flights.start(cut.key, cut, lane, { payload: payload.length, form }, nowMs);
    return { key: cut.key, lane, payload };
  }

  /**
   * Dead letters: the uplink goes on without these events. Their cut stays: should the receiver have one of them after
   * all, it is sealed with the times that it was sent with.
   */
  #bury(cut: Cut, rows: StoredRow[], reason: string): void {
    this.#store.deadLetters.add(this.#options.name, rows, reason, cut.tries);
    for (const { id } of rows) this.#dead.add(id);
    this.#cuts.delete(cut.key);
    this.counts.dead += rows.length;
  }

  /** A batch over the size limit, or with an event in it that is none, goes as two; one event alone can never go. */
  #split(cut: Cut, rows: StoredRow[], lane: LaneName, reason = "too-large"): void {
    if (rows.length <= 1) return this.#bury(cut, rows, reason);
    const middle = rows.length >> 1;
    const records = [rows.slice(0, middle), rows.slice(middle)].map((half) => ({
      ...this.#record(cut.rowLane, half, cut.lane),
      dictionary: cut.dictionary,
      fix: cut.fix,
    }));
    this.#store.recut(this.#options.name, cut, records);
    this.#cuts.delete(cut.key);
    this.#waiting[lane].unshift(...records.map((record) => this.#adopt(record)));
  }

  /** PUBACK without an error: the window is free, the rows stay. */
  sent(key: number, nowMs: number): void {
    const cut = this.#flights.land(key, nowMs, true)?.batch;
    if (cut === undefined) return;
    cut.state = "sent";
    cut.sentMs = nowMs;
    this.#suspects.passed(cut);
    this.#size.passed(cut.bytes);
  }

  /**
   * PUBACK with a reason code >= 0x80. Too large (0x95): split. Payload refused (0x99): after three tries the
   * events become dead letters. Quota, rate, rights and all others: the lane pauses, longer each time.
   */
  refused(key: number, reason: number, nowMs: number): void {
    const flying = this.#flights.land(key, nowMs, false);
    if (flying === undefined) return;
    this.counts.refused++;
    const { batch: cut, lane } = flying;
    try {
      if (reason === 0x95) return this.#split(cut, this.#rows(cut), lane);
      if (reason === 0x99 && cut.tries >= triesMax) return this.#bury(cut, this.#rows(cut), "refused");
    } catch (error) {
      // The disk refused too: what is neither split nor laid aside is still to be sent.
      this.#requeue(cut);
      throw error;
    }
    this.#requeue(cut);
    this.#flights.pauses.refused(lane, nowMs);
  }

  #requeue(cut: Cut): void {
    cut.state = "waiting";
    if (cut.deaths > 0) this.#suspects.add(cut);
    else if (cut.rowLane === 0) this.#waiting.event.push(cut);
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

  /** Rows of this range go again, whatever was confirmed of them. */
  again(first: number, last: number): void {
    this.#backlog.give([{ first, last }]);
    this.#urgent.cutTo = Math.min(this.#urgent.cutTo, first - 1);
  }

  #withdraw(cut: Cut): void {
    for (const lane of ["event", "live", "fill"] as const) {
      const index = this.#waiting[lane].indexOf(cut);
      if (index >= 0) this.#waiting[lane].splice(index, 1);
    }
    this.#suspects.remove(cut);
  }

  /** Once a second or so: batches that have been outside the watermark for too long are sent again. */
  tick(nowMs: number): void {
    const lowestPending = Math.min(
      this.#backlog.oldest?.first ?? Infinity,
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
    if (this.#dead.size > deadMax) this.#dead = new Set(this.#store.deadLetters.of(this.#options.name));
    if (this.#cuts.size > cutsMax) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const sent = [...this.#cuts.values()].filter((cut) => cut.state === "sent" && cut.rowLane === 1);
    const surplus = sent.slice(0, this.#cuts.size - cutsMax);
    for (const cut of surplus) {
      this.#cuts.delete(cut.key);
      this.#store.thaw(this.#options.name, cut);
    }
    this.#backlog.give(surplus.map(({ first, last }) => ({ first, last })));
  }
}
