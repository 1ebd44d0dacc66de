import { basename } from "node:path";
import { clockState, monotonicMs } from "../clock.ts";
import { EventWriter, type KerbEvent } from "../event.ts";
import { decodeColumnar, encodeColumnar } from "../uplink/columnar.ts";
import { Lanes, type Message } from "../uplink/lanes.ts";
import { SealLane } from "../uplink/seal-lane.ts";
import { FrameSplitter, type Frame } from "./frames.ts";
import type { FromWorker, OutboxOptions, OutboxStats, ToWorker } from "./outbox.ts";
import { OutboxStore, type CutRecord, type StoredRow } from "./store.ts";

/** Rows of one transaction at most; more would hold the thread for longer than an alarm may wait. */
const commitRowsMax = 1000;
/** An urgent event waits this long for company. */
const urgentCommitMs = 20;
const retryMs = 1000;
const streamsMax = 64;
const evictAbove = 0.9;
const problemPauseMs = 10_000;

type Pending = Frame & { stream: number };
type Steering = Exclude<ToWorker, { type: "request" | "frames" | "event" | "tail" }>;

interface Uplink {
  name: string;
  lanes: Lanes;
  seals: SealLane;
  session: number;
  windowMax: number;
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
  #pending: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;
  readonly #housekeeper: NodeJS.Timeout;
  /** Set while commits fail. */
  #failure: string | undefined;
  /** Halved after each commit that the disk had no room for, so that even a tiny budget takes something. */
  #rowsMax = commitRowsMax;
  #tailing = false;
  /** Tombstones are reported once a minute and at each connect, not one event for each eviction. */
  #dropsDueMs = 0;
  #problem = { text: "", atMs: -Infinity };

  /** Opens the queue file; throws when that is not possible. */
  constructor(options: OutboxOptions, emit: (message: FromWorker, transfer: ArrayBuffer[]) => void) {
    this.#options = options;
    this.#emit = emit;
    this.#store = new OutboxStore(options);
    this.#commitBytesMax = Math.max(32_768, Math.floor(options.bytesMax / 16));
    const [self] = this.#store.register([{ id: options.gateway, type: "gateway", profile: "", points: [] }]);
    this.#gatewayDevice = self?.index ?? 0;
    this.#uplinks = options.uplinks.map((uplink) => ({
      name: uplink.name,
      lanes: new Lanes(this.#store, uplink),
      seals: new SealLane(this.#store.seals, uplink.name, uplink.resendAfterMs),
      session: 0,
      windowMax: uplink.windowMax,
    }));
    this.#uplinkNames = this.#uplinks.map((uplink) => uplink.name);
    this.#housekeeper = setInterval(() => this.#housekeeping(), 1000);
    this.#tellQuarantined();
  }

  #tellQuarantined(): void {
    if (this.#store.quarantined === undefined) return;
    const file = basename(this.#store.quarantined);
    this.#report(
      new Error(
        `the outbox could not be read; it was put aside as ${file}, and what it held is not delivered`,
      ),
    );
    this.receive({
      type: "event",
      kind: "gap",
      device: this.#gatewayDevice,
      data: { cause: "storage", file, epoch: this.#store.epoch },
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
    this.#pending.push({ ...frame, stream });
    if (this.#failure !== undefined) this.#schedule(retryMs);
    else if (this.#pending.length >= this.#options.commitEventsMax) this.#schedule(0);
    else this.#schedule(frame.lane === 0 ? urgentCommitMs : this.#options.commitAfterMs);
  }

  /** The next rows for one transaction; a single one of any size. */
  #nextBatch(): Pending[] {
    let bytes = 0;
    let rows = 0;
    while (rows < this.#pending.length && rows < this.#rowsMax) {
      bytes += this.#pending[rows]?.body.length ?? 0;
      if (rows > 0 && bytes > this.#commitBytesMax) break;
      rows++;
    }
    return this.#pending.slice(0, rows);
  }

  #commit(): void {
    this.#timer = undefined;
    this.#timerAtMs = Infinity;
    const batch = this.#nextBatch();
    if (batch.length === 0) return;
    try {
      this.#makeRoom();
      const rows = this.#storeRows(batch);
      this.#pending = this.#pending.slice(batch.length);
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
    const nowMs = performance.now();
    for (const { name, lanes, seals, windowMax } of this.#uplinks) {
      if (!lanes.connected) continue;
      // A window of one is shared by turns.
      const isShared = windowMax < 2;
      const seal = isShared && lanes.inFlight > 0 ? undefined : seals.next(nowMs);
      const messages =
        isShared && seals.inFlight > 0 ? [] : lanes.next(nowMs, fresh, (error) => this.#report(error));
      if (seal !== undefined) messages.push(seal);
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

  #housekeeping(): void {
    try {
      for (const { lanes } of this.#uplinks) lanes.tick(performance.now());
      this.#reportDrops();
      this.#store.seals.tick(this.#uplinkNames, Date.now());
      this.#pump();
    } catch (error) {
      this.#report(error);
    }
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
      oldestMs,
      failure: this.#failure,
      quarantined: this.#store.quarantined,
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
        };
      case "register":
        return { devices: this.#store.register(message.args[0] as never), dictionary: this.#dictionary() };
      case "session":
        return this.#store.nextSession(message.args[0] as string);
      case "stats":
        return this.#stats();
      case "close":
        return this.#close();
      default:
        throw new Error(`unknown request "${String(message.name)}"`);
    }
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
    const { lanes, seals } = uplink;
    const nowMs = performance.now();
    if (message.type === "connected") {
      uplink.session = message.session;
      // One place of the window is the seals' own: they can neither starve nor be in the way.
      lanes.connect(message.windowMax - 1, message.bytesMax);
      seals.connect(message.bytesMax);
      uplink.windowMax = message.windowMax;
      this.#dropsDueMs = 0;
    } else if (message.type === "disconnected") {
      lanes.disconnect();
      seals.disconnect();
    } else if (message.type !== "acknowledged" && message.type !== "receiver" && message.key < 0)
      seals.landed(message.key, message.type === "refused", nowMs);
    else if (message.type === "sent") lanes.sent(message.key, nowMs);
    else if (message.type === "refused") lanes.refused(message.key, message.reason, nowMs);
    else if (message.type === "receiver") lanes.receiver(message.name, message.online);
    else {
      for (const { epoch, watermark } of lanes.acknowledge(message.document, uplink.session, nowMs)) {
        this.#releaseAll(uplink.name, epoch, watermark);
      }
      seals.acknowledge(message.document);
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
