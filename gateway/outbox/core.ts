import { clockDoubt } from "../clock.ts";
import { Durations } from "../durations.ts";
import type { EventKind } from "../event.ts";
import { gap } from "../gaps.ts";
import { decodeRows } from "../uplink/batches.ts";
import { auditBooks, bookLines } from "./books.ts";
import { Failing } from "./failing.ts";
import { sentence } from "./faults.ts";
import { figuresOf, noFigures, type Figures } from "./figures.ts";
import { FrameSplitter, type Frame } from "./frames.ts";
import { QueueKeeper } from "./keeper.ts";
import type { Suspicion } from "./open.ts";
import type { FromWorker, OutboxOptions, OutboxStats, Pulse, Requests, ToWorker } from "./outbox.ts";
import { urgentEvent } from "./own-events.ts";
import { areStored, PendingEvents } from "./pending.ts";
import { makeRoom, withRoom } from "./room.ts";
import type { RosterEntry, TimeSpan } from "./runs.ts";
import { Senders } from "./senders.ts";
import type { OutboxStore, StoredRow } from "./store.ts";

/** Rows of one transaction at most; more would hold the thread for longer than an alarm may wait. */
const commitRowsMax = 1000;
/** An urgent event waits this long for company. */
const urgentCommitMs = 20;
const retryMs = 1000;
/** Larger transactions would make the log grow far beyond its usual size. */
const transactionBytesMax = 1024 * 1024;
const housekeepingMs = 1000;
const streamsMax = 64;
const problemPauseMs = 10_000;
const auditPauseMs = 60_000;

/** Questions that wait while the file is let go. */
const waiting: ReadonlySet<keyof Requests> = new Set(["open", "register", "roster"]);

/**
 * Group commit, lanes and encoding: what the storage thread does, without the thread. It speaks in messages, keeps
 * time by timers and blocks while the disk does; `emit` takes its answers.
 */
export class OutboxCore {
  readonly #options: OutboxOptions;
  readonly #emit: (message: FromWorker, transfer: ArrayBuffer[]) => void;
  readonly #keeper: QueueKeeper;
  readonly #gatewayDevice: number;
  readonly #senders: Senders;
  /** Bytes of one transaction: a share of the budget, so that what is evicted for it makes enough room. */
  readonly #commitBytesMax: number;
  readonly #splitters = new Map<number, FrameSplitter>();
  readonly #pending = new PendingEvents();
  /** What was asked while there was no file. */
  readonly #requests: (ToWorker & { type: "request" })[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;
  readonly #housekeeper: NodeJS.Timeout;
  readonly #failing = new Failing(
    (message) => this.#post(message),
    (kind, data) => this.#tell(kind, data),
  );
  /** For the time when the file does not answer. */
  #figures: Figures = noFigures;
  /** Halved after each commit that the disk had no room for, so that even a tiny budget takes something. */
  #rowsMax = commitRowsMax;
  #keptHouseAtMs = performance.now();
  #tailing = false;
  #isHurried = false;
  /** The newest session of each uplink. */
  readonly #sessions = new Map<string, number>();
  readonly #commits = new Durations();
  /** Since when events have been waiting for a commit. */
  #pendingSinceMs = 0;
  /** Tombstones are reported once a minute and at each connect, not one event for each eviction. */
  #dropsDueMs = 0;
  #problem = { text: "", atMs: -Infinity };
  #auditDueMs = 0;
  #auditedDamaged = 0;

  /** Opens the queue file; throws when that is not possible. */
  constructor(
    options: OutboxOptions,
    emit: (message: FromWorker, transfer: ArrayBuffer[]) => void,
    suspect?: Suspicion,
  ) {
    this.#options = options;
    this.#emit = emit;
    const { path, bytesMax } = options;
    this.#commitBytesMax = Math.max(32_768, Math.min(transactionBytesMax, Math.floor(bytesMax / 16)));
    const keeping = {
      path,
      bytesMax,
      gateway: options.gateway,
      sealEveryMs: options.sealEveryMs,
      began: options.began,
      transactionBytes: this.#commitBytesMax,
      uplinks: options.uplinks.map(({ name }) => name),
      makeRoom: () => makeRoom(this.#store),
      failing: (reason: string) => this.#failing.begin(reason),
      reopened: (lastId: number) => this.#reopened(lastId),
      salvaged: () => this.#renewLanes(),
      report: (text: string) => this.#report(new Error(text)),
      tell: (kind: EventKind, data: Record<string, unknown>) => this.#tell(kind, data),
    };
    this.#keeper = new QueueKeeper(keeping, suspect);
    try {
      const { gateway, uplinks } = options;
      const [self] = this.#store.register([{ id: gateway, type: "gateway", profile: "", points: [] }]);
      this.#gatewayDevice = self?.index ?? 0;
      this.#senders = new Senders(uplinks, this.#store, {
        store: () => (this.#keeper.outage === undefined ? this.#store : undefined),
        emit: (message, transfer) => this.#post(message, transfer),
        trouble: (error) => this.#trouble(error),
        dropsDue: () => {
          this.#dropsDueMs = 0;
        },
      });
      this.#keeper.begin();
      this.#watchClock();
      const off = this.#store.runs.boxOff(this.#store.clock);
      if (off !== undefined) this.#tell("gap", off.data, off.device);
    } catch (error) {
      // Whoever tries again needs the file unlocked, and nobody else at work.
      clearTimeout(this.#timer);
      this.#keeper.stop();
      this.#store.close();
      throw error;
    }
    this.#housekeeper = setInterval(() => this.#housekeeping(), housekeepingMs);
  }

  get #store(): OutboxStore {
    return this.#keeper.store;
  }

  #tell(kind: EventKind, data: Record<string, unknown>, device = this.#gatewayDevice): void {
    this.receive({ type: "event", kind, device, data });
  }

  #renewLanes(): void {
    this.#senders.renew(this.#store);
    this.#dropsDueMs = 0;
  }

  #trouble(error: unknown): void {
    if (!this.#keeper.failed(error)) this.#report(error);
  }

  /** The file is open again: the same one, or a fresh one in its place. */
  #reopened(lastId: number): void {
    // The last commit before the failure may be in the file: its events have their numbers then.
    const stored = this.#store.newer(lastId, commitRowsMax + 1);
    const { unsure } = this.#pending;
    this.#pending.unsure = [];
    if (areStored(unsure, stored)) {
      this.#pending.done(unsure);
      this.#confirm(unsure);
    }
    this.#renewLanes();
    this.#recovered();
    this.#schedule(0);
    for (const request of this.#requests.splice(0)) this.receive(request);
  }

  #post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#emit(message, transfer);
  }

  #schedule(afterMs: number): void {
    const at = performance.now() + afterMs;
    if (at >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = at;
    this.#timer = setTimeout(() => this.#commit(), afterMs);
  }

  #accept(stream: number, frame: Frame, source = String(stream)): void {
    if (this.#pending.length === 0) this.#pendingSinceMs = performance.now();
    const dropped = this.#pending.push({ ...frame, stream, source });
    if (dropped.length > 0) this.#confirm(dropped, true);
    if (this.#failing.reason !== undefined) this.#schedule(retryMs);
    else if (this.#pending.length >= this.#options.commitEventsMax) this.#schedule(0);
    else if (frame.lane === 0 || frame.isPressing === true || this.#isHurried) this.#schedule(urgentCommitMs);
    else this.#schedule(this.#options.commitAfterMs);
  }

  #commit(): void {
    this.#timer = undefined;
    this.#timerAtMs = Infinity;
    if (this.#keeper.outage !== undefined) return;
    const batch = this.#pending.next(this.#rowsMax, this.#commitBytesMax);
    if (batch.length === 0) return;
    try {
      makeRoom(this.#store);
      const startedMs = performance.now();
      this.#pending.unsure = batch;
      const rows = this.#storeRows(batch);
      this.#pending.unsure = [];
      this.#pendingSinceMs = performance.now();
      this.#commits.add(this.#pendingSinceMs - startedMs);
      this.#pending.done(batch);
      this.#rowsMax = commitRowsMax;
      this.#recovered();
      this.#confirm(batch);
      this.#handOn(rows);
    } catch (error) {
      this.#commitFailed(error);
    }
    if (this.#pending.length > 0) this.#schedule(this.#failing.reason === undefined ? 0 : retryMs);
  }

  /** Stores rows with the batches in which they go out, and whatever else belongs into the same transaction. */
  #storeRows(events: readonly { lane: 0 | 1; body: Uint8Array }[], also?: () => void): StoredRow[] {
    let planned: ReturnType<Senders["plan"]> = new Map();
    const bytes = events.reduce((sum, { body }) => sum + body.byteLength, 0);
    const commit = () =>
      this.#store.commit(events, (stored) => {
        also?.();
        planned = this.#senders.plan(stored);
        return [...planned].flatMap(([uplink, cuts]) => cuts.map((cut) => ({ uplink, cut })));
      });
    const rows = withRoom(this.#store, bytes, () => this.#keeper.measure(), commit);
    this.#senders.stored(rows, planned);
    return rows;
  }

  /** `dropped`: they are not on disk; only their room is free again. */
  #confirm(batch: readonly { stream: number; size: number }[], dropped = false): void {
    const bytes = new Map<number, number>();
    for (const { stream, size } of batch) bytes.set(stream, (bytes.get(stream) ?? 0) + size);
    for (const [stream, sum] of bytes)
      if (stream > 0) this.#post({ type: "accepted", stream, bytes: sum, dropped });
  }

  /** The disk refused. Nothing is lost: the events stay here and in the hosts' rings, and polling goes on. */
  #commitFailed(error: unknown): void {
    if ((error as { code?: string }).code === "SQLITE_FULL") this.#rowsMax = Math.max(1, this.#rowsMax >> 1);
    if (!this.#keeper.failed(error)) this.#failing.begin(sentence(error));
  }

  #recovered(): void {
    this.#failing.end();
    const overflow = this.#pending.takeOverflow();
    if (overflow === undefined) return;
    const { events, fromMs, toMs } = overflow;
    this.#tell("gap", gap("handover_overflow", fromMs, toMs, { lostCount: events }));
  }

  /** Something else than a commit went wrong; commits go on. The same text is said once in ten seconds. */
  #report(error: unknown): void {
    const text = sentence(error);
    const nowMs = performance.now();
    if (text === this.#problem.text && nowMs - this.#problem.atMs < problemPauseMs) return;
    this.#problem = { text, atMs: nowMs };
    this.#post({ type: "problem", text });
  }

  /** What is stored goes out, and to whoever watches. */
  #handOn(rows: StoredRow[]): void {
    this.#pump(rows);
    if (this.#tailing && rows.length > 0)
      this.#post({ type: "tail", events: decodeRows(this.#store, this.#options.gateway, rows) });
  }

  #pump(fresh?: readonly StoredRow[]): void {
    this.#senders.pump(fresh);
  }

  /** The gap event and the mark on what it declares go into one transaction: neither stands without the other. */
  #reportDrops(): void {
    if (performance.now() < this.#dropsDueMs) return;
    makeRoom(this.#store);
    const drops = this.#store.dropReport(this.#gatewayDevice);
    if (drops === undefined) return;
    // A receiver's watermark waits for what is not told yet.
    this.#dropsDueMs = drops.isFull ? 0 : performance.now() + 60_000;
    this.#storeRows([{ lane: 0, body: drops.body }], drops.mark);
  }

  /** A clock that was set or proved: remembered, and when it has jumped, told. */
  #watchClock(): void {
    const data = this.#store.clock.step(this.#store.epochs);
    if (data !== undefined) this.#tell("gap", data);
  }

  /** Compares the site's devices with those before; what changed becomes gap events. */
  #roster(roster: RosterEntry[], during?: TimeSpan): null {
    this.#commit();
    const { gaps, remember } = this.#store.runs.compare(roster, this.#store.clock, during);
    const events = gaps.map(({ device = this.#gatewayDevice, data }) => urgentEvent("gap", device, data));
    try {
      this.#handOn(this.#storeRows(events, remember));
    } catch (error) {
      // The roster of the run before stays: the next start compares with it again.
      this.#report(error);
    }
    return null;
  }

  #housekeeping(): void {
    this.#keptHouseAtMs = performance.now();
    if (this.#keeper.outage !== undefined) return;
    try {
      this.#keeper.tick();
      if (this.#keeper.outage !== undefined) return;
      this.#watchClock();
      this.#senders.tick(this.#store);
      this.#reportDrops();
      this.#audit();
      this.#pump();
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** A damaged row may have been booked on another account than its own; only counting all rows tells. */
  #audit(): void {
    const { damaged } = this.#store;
    if (damaged === this.#auditedDamaged || performance.now() < this.#auditDueMs) return;
    this.#auditDueMs = performance.now() + auditPauseMs;
    this.#auditedDamaged = damaged;
    auditBooks(this.#store).catch((error: unknown) => this.#trouble(error));
  }

  #stats(): OutboxStats {
    if (this.#keeper.outage === undefined) {
      try {
        this.#figures = figuresOf(this.#store);
      } catch (error) {
        this.#trouble(error);
      }
    }
    return {
      ...this.#figures,
      epoch: this.#store.epoch,
      lastSeq: this.#store.lastId - this.#store.base,
      bytesMax: this.#options.bytesMax,
      commits: this.#commits.counts,
      failure: this.#failing.reason,
      quarantined: this.#store.quarantined,
      uplinks: this.#senders.stats,
    };
  }

  #pulse(): Pulse {
    const waitingMs = this.#pending.length === 0 ? 0 : performance.now() - this.#pendingSinceMs;
    return {
      overdueMs: Math.max(0, waitingMs - this.#options.commitAfterMs),
      failure: this.#failing.reason,
    };
  }

  /** A disk that refuses must not keep the uplink away: what it takes is what makes room. */
  #session(uplink: string): number {
    try {
      this.#sessions.set(uplink, this.#store.nextSession(uplink, this.#sessions.get(uplink)));
      return this.#sessions.get(uplink) ?? 0;
    } catch (error) {
      const session = this.#sessions.get(uplink);
      if (session === undefined) throw error;
      this.#keeper.failed(error);
      this.#sessions.set(uplink, session + 1);
      return session + 1;
    }
  }

  #answer(message: ToWorker & { type: "request" }): unknown {
    const { outage } = this.#keeper;
    if (outage !== undefined && message.name === "retry")
      throw new Error(`the outbox is being opened again: ${outage.reason}`);
    switch (message.name) {
      case "open":
        return {
          epoch: this.#store.epoch,
          epochs: this.#store.epochs.map((it) => [it.epoch, this.#store.lastIdOf(it) - it.base]),
          dictionary: this.#store.dictionary.sent,
          clock: clockDoubt(),
        };
      case "roster":
        return this.#roster(message.args[0] as RosterEntry[], message.args[1] as TimeSpan | undefined);
      case "register":
        return {
          devices: this.#store.register(message.args[0] as never),
          dictionary: this.#store.dictionary.sent,
        };
      case "session":
        return this.#session(message.args[0] as string);
      case "stats":
        return this.#stats();
      case "accounts":
        return bookLines(this.#store);
      case "pulse":
        return this.#pulse();
      case "retry":
        return this.#retry();
      case "close":
        return this.#close();
      default:
        throw new Error(`unknown request "${message.name}"`);
    }
  }

  /** Accepts copies of refused events anew, under new numbers; returns how many. */
  #retry(): number {
    const { events, remove } = this.#store.deadLetters.takeCopies();
    if (events.length > 0) this.#storeRows(events, remove);
    this.#pump();
    return events.length;
  }

  /** Commits what it can: on a failing disk what is pending was never accepted, and the ring's owner knows. */
  #close(): null {
    this.#keeper.stop();
    for (let left = Infinity; this.#pending.length < left && this.#pending.length > 0;) {
      left = this.#pending.length;
      this.#commit();
    }
    clearInterval(this.#housekeeper);
    clearTimeout(this.#timer);
    this.#keeper.stop();
    this.#store.close();
    return null;
  }

  /** Takes one message of the supervisor; never throws. */
  receive(message: ToWorker): void {
    try {
      this.#take(message);
    } catch (error) {
      this.#trouble(error);
    }
  }

  #take(message: ToWorker): void {
    if (message.type === "request") {
      if (message.name === "books") {
        auditBooks(this.#store).then(
          (result) => this.#post({ type: "answer", id: message.id, result }),
          (error: Error) => {
            this.#keeper.failed(error);
            this.#post({ type: "answer", id: message.id, error: error.message });
          },
        );
        return;
      }
      this.#request(message);
      return;
    }
    if (message.type === "frames") {
      const splitter = this.#splitters.get(message.stream) ?? new FrameSplitter();
      this.#splitters.delete(message.stream);
      this.#splitters.set(message.stream, splitter);
      // Each start of a host is a stream of its own; the longest silent ones have ended.
      const [oldest] = this.#splitters.keys();
      if (this.#splitters.size > streamsMax && oldest !== undefined) this.#splitters.delete(oldest);
      for (const frame of splitter.push(message.bytes)) this.#accept(message.stream, frame, message.source);
      return;
    }
    if (message.type === "event") {
      const { kind, device, data } = message;
      this.#accept(0, { ...urgentEvent(kind, device, data), size: 0 });
      return;
    }
    if (message.type === "hurry") {
      this.#isHurried = true;
      this.#schedule(0);
      return;
    }
    if (message.type === "tail") {
      this.#tailing = message.on;
      return;
    }
    this.#senders.steer(message);
    this.#catchUp(performance.now());
    this.#pump();
  }

  /** What a start waits for waits for the file: a gateway that gave up would never open it again. */
  #request(message: ToWorker & { type: "request" }): void {
    const isFirstSession = message.name === "session" && !this.#sessions.has(message.args[0] as string);
    const mayWait = waiting.has(message.name) || isFirstSession;
    if (mayWait && this.#keeper.outage !== undefined) {
      this.#requests.push(message);
      return;
    }
    try {
      this.#post({ type: "answer", id: message.id, result: this.#answer(message) });
    } catch (error) {
      if (this.#keeper.failed(error) && mayWait) this.#requests.push(message);
      else this.#post({ type: "answer", id: message.id, error: (error as Error).message });
    }
  }

  /** A fast link brings so many acknowledgements during a drain that timers would wait until its end. */
  #catchUp(nowMs: number): void {
    if (nowMs > this.#timerAtMs) {
      clearTimeout(this.#timer);
      this.#commit();
    }
    if (nowMs > this.#keptHouseAtMs + 2 * housekeepingMs) this.#housekeeping();
  }
}
