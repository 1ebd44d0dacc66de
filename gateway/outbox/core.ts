import { basename } from "node:path";
import { bootId, clockDoubt, clockState, monotonicMs } from "../clock.ts";
import { Durations } from "../durations.ts";
import { EventWriter, type KerbEvent } from "../event.ts";
import { gap } from "../gaps.ts";
import { decodeColumnar, encodeColumnar } from "../uplink/columnar.ts";
import type { Message } from "../uplink/flights.ts";
import { Lanes } from "../uplink/lanes.ts";
import { auditBooks } from "./books.ts";
import { FrameSplitter, type Frame } from "./frames.ts";
import type { FromWorker, OutboxOptions, OutboxStats, Pulse, ToWorker } from "./outbox.ts";
import { PendingEvents } from "./pending.ts";
import type { FoundGap, RosterEntry } from "./runs.ts";
import { OutboxStore, type CutRecord, type StoredRow } from "./store.ts";

/** Rows of one transaction at most; more would hold the thread for longer than an alarm may wait. */
const commitRowsMax = 1000;
/** An urgent event waits this long for company. */
const urgentCommitMs = 20;
const retryMs = 1000;
const streamsMax = 64;
const evictAbove = 0.9;
const problemPauseMs = 10_000;
const auditPauseMs = 60_000;

type Steering = Exclude<ToWorker, { type: "request" | "frames" | "event" | "tail" }>;

interface Uplink {
  name: string;
  lanes: Lanes;
  session: number;
}

/**
 * Group commit, lanes and encoding: what the storage thread does, without the thread. It speaks in messages, keeps
 * time by timers and blocks while the disk does; `emit` takes its answers.
 */
export class OutboxCore {
  readonly #options: OutboxOptions;
  readonly #emit: (message: FromWorker, transfer: ArrayBuffer[]) => void;
  readonly #store: OutboxStore;
  readonly #gatewayDevice: number;
  readonly #uplinks: Uplink[];
  readonly #uplinkNames: string[];
  /** Bytes of one transaction: a share of the budget, so that what is evicted for it makes enough room. */
  readonly #commitBytesMax: number;
  readonly #splitters = new Map<number, FrameSplitter>();
  readonly #pending = new PendingEvents();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;
  readonly #housekeeper: NodeJS.Timeout;
  /** Set while commits fail. */
  #failure: string | undefined;
  /** Halved after each commit that the disk had no room for, so that even a tiny budget takes something. */
  #rowsMax = commitRowsMax;
  #tailing = false;
  readonly #commits = new Durations();
  /** Since when events have been waiting for a commit. */
  #pendingSinceMs = 0;
  /** Tombstones are reported once a minute and at each connect, not one event for each eviction. */
  #dropsDueMs = 0;
  #problem = { text: "", atMs: -Infinity };
  #auditDueMs = 0;
  #auditedDamaged = 0;

  /** Opens the queue file; throws when that is not possible. */
  constructor(options: OutboxOptions, emit: (message: FromWorker, transfer: ArrayBuffer[]) => void) {
    this.#options = options;
    this.#emit = emit;
    this.#store = new OutboxStore({ path: options.path, bytesMax: options.bytesMax });
    this.#commitBytesMax = Math.max(32_768, Math.floor(options.bytesMax / 16));
    const [self] = this.#store.register([{ id: options.gateway, type: "gateway", profile: "", points: [] }]);
    this.#gatewayDevice = self?.index ?? 0;
    this.#uplinks = options.uplinks.map((uplink) => ({
      name: uplink.name,
      lanes: new Lanes(this.#store, uplink),
      session: 0,
    }));
    this.#uplinkNames = this.#uplinks.map((uplink) => uplink.name);
    this.#housekeeper = setInterval(() => this.#housekeeping(), 1000);
    this.#tellQuarantined();
    this.#watchClock();
    const off = this.#store.runs.boxOff(this.#store.clock);
    if (off !== undefined) this.#tellGap(off);
  }

  #tellGap({ device = this.#gatewayDevice, data }: FoundGap): void {
    this.receive({ type: "event", kind: "gap", device, data });
  }

  #tellQuarantined(): void {
    if (this.#store.quarantined === undefined) return;
    const file = basename(this.#store.quarantined);
    this.#report(
      new Error(
        `the outbox could not be read; it was put aside as ${file}, and what it held is not delivered`,
      ),
    );
    const nowMs = Date.now();
    this.#tellGap({
      device: undefined,
      data: gap("storage", nowMs, nowMs, { file, epoch: this.#store.epoch }),
    });
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

  #accept(stream: number, frame: Frame): void {
    if (this.#pending.length === 0) this.#pendingSinceMs = performance.now();
    this.#pending.push({ ...frame, stream });
    if (this.#failure !== undefined) this.#schedule(retryMs);
    else if (this.#pending.length >= this.#options.commitEventsMax) this.#schedule(0);
    else this.#schedule(frame.lane === 0 ? urgentCommitMs : this.#options.commitAfterMs);
  }

  #commit(): void {
    this.#timer = undefined;
    this.#timerAtMs = Infinity;
    const batch = this.#pending.next(this.#rowsMax, this.#commitBytesMax);
    if (batch.length === 0) return;
    try {
      this.#makeRoom();
      const startedMs = performance.now();
      const rows = this.#storeRows(batch);
      this.#pendingSinceMs = performance.now();
      this.#commits.add(this.#pendingSinceMs - startedMs);
      this.#pending.done(batch);
      this.#rowsMax = commitRowsMax;
      this.#recovered();
      this.#confirm(batch);
      this.#pump(rows);
      if (this.#tailing) this.#post({ type: "tail", events: this.#decode(rows) });
    } catch (error) {
      this.#commitFailed(error);
    }
    if (this.#pending.length > 0) this.#schedule(this.#failure === undefined ? 0 : retryMs);
  }

  /** Stores rows with the batches in which they go out, and whatever else belongs into the same transaction. */
  #storeRows(events: readonly { lane: 0 | 1; body: Uint8Array }[], also?: () => void): StoredRow[] {
    const planned = new Map<string, CutRecord[]>();
    const rows = this.#store.commit(events, (stored) => {
      also?.();
      return this.#uplinks.flatMap(({ name, lanes }) => {
        const cuts = lanes.planNew(stored);
        planned.set(name, cuts);
        return cuts.map((cut) => ({ uplink: name, cut }));
      });
    });
    for (const { name, lanes } of this.#uplinks) lanes.stored(rows, planned.get(name) ?? []);
    return rows;
  }

  #makeRoom(): void {
    while (this.#store.fill() > evictAbove && this.#store.evict() > 0);
  }

  #confirm(batch: readonly { stream: number; size: number }[]): void {
    const bytes = new Map<number, number>();
    for (const { stream, size } of batch) bytes.set(stream, (bytes.get(stream) ?? 0) + size);
    for (const [stream, sum] of bytes) if (stream > 0) this.#post({ type: "accepted", stream, bytes: sum });
  }

  /** The disk refused. Nothing is lost: the events stay here and in the hosts' rings, and polling goes on. */
  #commitFailed(error: unknown): void {
    if ((error as { code?: string }).code === "SQLITE_FULL") this.#rowsMax = Math.max(1, this.#rowsMax >> 1);
    const text = sentence(error);
    if (text !== this.#failure) this.#post({ type: "failure", text });
    this.#failure = text;
  }

  #recovered(): void {
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#post({ type: "failure", text: undefined });
  }

  /** Something else than a commit went wrong; commits go on. The same text is said once in ten seconds. */
  #report(error: unknown): void {
    const text = sentence(error);
    const nowMs = performance.now();
    if (text === this.#problem.text && nowMs - this.#problem.atMs < problemPauseMs) return;
    this.#problem = { text, atMs: nowMs };
    this.#post({ type: "problem", text });
  }

  /** Hands every uplink the messages that its window has room for. */
  #pump(fresh: readonly StoredRow[] = []): void {
    for (const { name, lanes } of this.#uplinks) {
      if (!lanes.connected) continue;
      const messages = lanes.next(performance.now(), fresh, (error) => this.#report(error));
      if (messages.length > 0) this.#post({ type: "send", uplink: name, messages }, messages.map(ownBuffer));
    }
  }

  #decode(rows: readonly StoredRow[]): KerbEvent[] {
    if (rows.length === 0) return [];
    const header = {
      city: "",
      gateway: this.#options.gateway,
      epoch: this.#store.epoch,
      lane: "live" as const,
      dictionary: this.#store.dictionary,
    };
    const batch = rows.map((row) => ({
      seq: row.id - this.#store.base,
      recordedMs: row.recordedMs,
      body: row.body,
    }));
    return decodeColumnar(JSON.parse(encodeColumnar(header, batch))).events(this.#store.dictionary);
  }

  /** The gap event and the mark on what it declares go into one transaction: neither stands without the other. */
  #reportDrops(): void {
    if (performance.now() < this.#dropsDueMs) return;
    this.#makeRoom();
    const drops = this.#store.dropReport(this.#gatewayDevice);
    if (drops === undefined) return;
    this.#dropsDueMs = performance.now() + 60_000;
    this.#storeRows([{ lane: 0, body: drops.body }], drops.mark);
  }

  /** A clock that was set or proved: remembered, and when it has jumped, told. */
  #watchClock(): void {
    const news = this.#store.clock.watch();
    if (news === undefined || news.stepMs === 0) return;
    const { wallMs, monoMs } = news;
    const step = Math.round(news.stepMs);
    const boot = bootId();
    const epochs = this.#store.epochs.filter((record) => record.boot === boot).map(({ epoch }) => epoch);
    const data = gap("clock_step", wallMs - step, wallMs, {
      stepMs: step,
      boot,
      epochs,
      monoMs: Math.round(monoMs),
    });
    this.#tellGap({ device: undefined, data });
  }

  /** Compares the site's devices with those of the run before; what changed becomes gap events. */
  #roster(roster: RosterEntry[]): null {
    this.#commit();
    const { gaps, remember } = this.#store.runs.compare(roster, this.#store.clock);
    const writer = new EventWriter();
    const events = gaps.map(({ device = this.#gatewayDevice, data }) => {
      writer.begin("gap", device, Date.now(), monotonicMs(), clockState());
      writer.object(data);
      return { lane: 0 as const, body: Buffer.from(writer.bytes()) };
    });
    try {
      this.#storeRows(events, remember);
    } catch (error) {
      // The roster of the run before stays: the next start compares with it again.
      this.#report(error);
    }
    return null;
  }

  #housekeeping(): void {
    try {
      this.#watchClock();
      for (const { lanes } of this.#uplinks) lanes.tick(performance.now());
      this.#store.deadLetters.settle(this.#uplinkNames);
      this.#reportDrops();
      this.#audit();
      this.#pump();
    } catch (error) {
      this.#report(error);
    }
  }

  /** A damaged row may have been booked on another account than its own; only counting all rows tells. */
  #audit(): void {
    const { damaged } = this.#store;
    if (damaged === this.#auditedDamaged || performance.now() < this.#auditDueMs) return;
    this.#auditDueMs = performance.now() + auditPauseMs;
    this.#auditedDamaged = damaged;
    auditBooks(this.#store).catch((error: unknown) => this.#report(error));
  }

  #stats(): OutboxStats {
    const { rows, oldestMs, bytes } = this.#store.count();
    return {
      epoch: this.#store.epoch,
      lastSeq: this.#store.lastId - this.#store.base,
      books: this.#store.books(),
      rows,
      bytes,
      bytesMax: this.#options.bytesMax,
      fill: this.#store.fill(),
      oldestMs,
      commits: this.#commits.counts,
      failure: this.#failure,
      quarantined: this.#store.quarantined,
      deadLetters: this.#store.deadLetters.summary(),
      uplinks: Object.fromEntries(
        this.#uplinks.map(({ name, lanes }) => [
          name,
          {
            connected: lanes.connected,
            inFlight: lanes.inFlight,
            backlogRows: lanes.backlogRows,
            ...lanes.counts,
          },
        ]),
      ),
    };
  }

  #pulse(): Pulse {
    const waitingMs = this.#pending.length === 0 ? 0 : performance.now() - this.#pendingSinceMs;
    return {
      overdueMs: Math.max(0, waitingMs - this.#options.commitAfterMs),
      failure: this.#failure,
    };
  }

  #dictionary(): { hash: string; json: string } {
    const { hash, devices } = this.#store.dictionary;
    return { hash, json: JSON.stringify(devices) };
  }

  #answer(message: ToWorker & { type: "request" }): unknown {
    switch (message.name) {
      case "open":
        return {
          epoch: this.#store.epoch,
          epochs: this.#store.epochs.map((record) => [
            record.epoch,
            this.#store.lastIdOf(record) - record.base,
          ]),
          dictionary: this.#dictionary(),
          clock: clockDoubt(),
        };
      case "roster":
        return this.#roster(message.args[0] as RosterEntry[]);
      case "register":
        return { devices: this.#store.register(message.args[0] as never), dictionary: this.#dictionary() };
      case "session":
        return this.#store.nextSession(message.args[0] as string);
      case "stats":
        return this.#stats();
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
    for (let left = Infinity; this.#pending.length < left && this.#pending.length > 0;) {
      left = this.#pending.length;
      this.#commit();
    }
    clearInterval(this.#housekeeper);
    clearTimeout(this.#timer);
    this.#store.close();
    return null;
  }

  /** Takes one message of the supervisor; never throws. */
  receive(message: ToWorker): void {
    try {
      this.#take(message);
    } catch (error) {
      this.#report(error);
    }
  }

  #take(message: ToWorker): void {
    if (message.type === "request") {
      if (message.name === "books") {
        auditBooks(this.#store).then(
          (result) => this.#post({ type: "answer", id: message.id, result }),
          (error: Error) => this.#post({ type: "answer", id: message.id, error: error.message }),
        );
        return;
      }
      try {
        this.#post({ type: "answer", id: message.id, result: this.#answer(message) });
      } catch (error) {
        this.#post({ type: "answer", id: message.id, error: (error as Error).message });
      }
      return;
    }
    if (message.type === "frames") {
      const splitter = this.#splitters.get(message.stream) ?? new FrameSplitter();
      this.#splitters.set(message.stream, splitter);
      // Each start of a host is a stream of its own; the oldest ones have long ended.
      const [oldest] = this.#splitters.keys();
      if (this.#splitters.size > streamsMax && oldest !== undefined) this.#splitters.delete(oldest);
      for (const frame of splitter.push(message.bytes)) this.#accept(message.stream, frame);
      return;
    }
    if (message.type === "event") {
      const writer = new EventWriter();
      writer.begin(message.kind, message.device, Date.now(), monotonicMs(), clockState());
      writer.object(message.data);
      this.#accept(0, { lane: 0, body: Buffer.from(writer.bytes()), size: 0 });
      return;
    }
    if (message.type === "tail") {
      this.#tailing = message.on;
      return;
    }
    const uplink = this.#uplinks.find((candidate) => candidate.name === message.uplink);
    if (uplink !== undefined) this.#steer(uplink, message);
  }

  #steer(uplink: Uplink, message: Steering): void {
    const { lanes } = uplink;
    const nowMs = performance.now();
    if (message.type === "connected") {
      uplink.session = message.session;
      lanes.connect(message.windowMax, message.bytesMax);
      this.#dropsDueMs = 0;
    } else if (message.type === "disconnected") lanes.disconnect(message.blamed);
    else if (message.type === "sent") lanes.sent(message.key, nowMs);
    else if (message.type === "refused") lanes.refused(message.key, message.reason, nowMs);
    else if (message.type === "receiver") lanes.receiver(message.name, message.online);
    else {
      for (const { epoch, watermark } of lanes.acknowledge(message.document, uplink.session, nowMs)) {
        this.#releaseAll(uplink.name, epoch, watermark);
      }
    }
    this.#pump();
  }

  /** A long backlog is deleted in steps, so that commits and sends get their turn in between. */
  #releaseAll(name: string, epoch: number, watermark: number): void {
    try {
      if (this.#store.release(name, epoch, watermark, this.#uplinkNames))
        setImmediate(() => this.#releaseAll(name, epoch, watermark));
    } catch (error) {
      this.#report(error);
    }
  }
}

function sentence(error: unknown): string {
  const { code = "", message } = error as { code?: string; message: string };
  return code === "" ? message : `${code}: ${message}`;
}

/** The payload moves to the main thread instead of being copied; a pooled buffer cannot move. */
function ownBuffer(message: Message): ArrayBuffer {
  const { payload } = message;
  if (payload.byteLength !== payload.buffer.byteLength)
    message.payload = Buffer.from(Uint8Array.from(payload).buffer);
  return message.payload.buffer as ArrayBuffer;
}
