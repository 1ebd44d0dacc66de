import { flushCompileCache } from "node:module";
import { basename } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { clockState, monotonicMs } from "../clock.ts";
import { EventWriter, type KerbEvent } from "../event.ts";
import { decodeColumnar, encodeColumnar } from "../uplink/columnar.ts";
import { Lanes, type Message } from "../uplink/lanes.ts";
import { FrameSplitter, type Frame } from "./frames.ts";
import type { FromWorker, OutboxOptions, OutboxStats, ToWorker } from "./outbox.ts";
import { OutboxStore, type CutRecord, type StoredRow } from "./store.ts";

/**
 * The storage thread: group commit, lanes and encoding. Everything that may wait for the disk or costs more than
 * a moment of CPU happens here, so that the supervisor's thread never blocks.
 */

const options = workerData as OutboxOptions;
const port = parentPort;
if (port === null) throw new Error("worker.ts runs as the outbox's worker thread");

const store = new OutboxStore({ path: options.path, bytesMax: options.bytesMax });
const [self] = store.register([{ id: options.gateway, type: "gateway", profile: "", points: [] }]);
const gatewayDevice = self?.index ?? 0;
const uplinks = options.uplinks.map((uplink) => ({
  name: uplink.name,
  lanes: new Lanes(store, uplink),
  session: 0,
}));
const uplinkNames = uplinks.map((uplink) => uplink.name);

/** Rows of one transaction at most; more would hold the thread for longer than an alarm may wait. */
const commitRowsMax = 1000;
/** Bytes of one transaction: a share of the budget, so that what is evicted for it makes enough room. */
const commitBytesMax = Math.max(32_768, Math.floor(options.bytesMax / 16));
/** An urgent event waits this long for company. */
const urgentCommitMs = 20;
const retryMs = 1000;
const streamsMax = 64;
const evictAbove = 0.9;
const problemPauseMs = 10_000;

type Pending = Frame & { stream: number };

const splitters = new Map<number, FrameSplitter>();
let pending: Pending[] = [];
let timer: NodeJS.Timeout | undefined;
let timerAtMs = Infinity;
/** Set while commits fail. */
let failure: string | undefined;
/** Halved after each commit that the disk had no room for, so that even a tiny budget takes something. */
let rowsMax = commitRowsMax;
let tailing = false;
/** Tombstones are reported once a minute and at each connect, not one event for each eviction. */
let dropsDueMs = 0;
let problem = { text: "", atMs: -Infinity };

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function schedule(afterMs: number): void {
  const at = performance.now() + afterMs;
  if (at >= timerAtMs) return;
  clearTimeout(timer);
  timerAtMs = at;
  timer = setTimeout(commit, afterMs);
}

function accept(stream: number, frame: Frame): void {
  pending.push({ ...frame, stream });
  if (failure !== undefined) schedule(retryMs);
  else if (pending.length >= options.commitEventsMax) schedule(0);
  else schedule(frame.lane === 0 ? urgentCommitMs : options.commitAfterMs);
}

/** The next rows for one transaction; a single one of any size. */
function nextBatch(): Pending[] {
  let bytes = 0;
  let rows = 0;
  while (rows < pending.length && rows < rowsMax) {
    bytes += pending[rows]?.body.length ?? 0;
    if (rows > 0 && bytes > commitBytesMax) break;
    rows++;
  }
  return pending.slice(0, rows);
}

function commit(): void {
  timer = undefined;
  timerAtMs = Infinity;
  const batch = nextBatch();
  if (batch.length === 0) return;
  try {
    makeRoom();
    const rows = storeRows(batch);
    pending = pending.slice(batch.length);
    rowsMax = commitRowsMax;
    recovered();
    confirm(batch);
    pump(rows);
    if (tailing) post({ type: "tail", events: decode(rows) });
  } catch (error) {
    commitFailed(error);
  }
  if (pending.length > 0) schedule(failure === undefined ? 0 : retryMs);
}

/** Stores rows with the batches in which they go out, and whatever else belongs into the same transaction. */
function storeRows(events: readonly { lane: 0 | 1; body: Uint8Array }[], also?: () => void): StoredRow[] {
  const planned = new Map<string, CutRecord[]>();
  const rows = store.commit(events, (stored) => {
    also?.();
    return uplinks.flatMap(({ name, lanes }) => {
      const cuts = lanes.planNew(stored);
      planned.set(name, cuts);
      return cuts.map((cut) => ({ uplink: name, cut }));
    });
  });
  for (const { name, lanes } of uplinks) lanes.stored(rows, planned.get(name) ?? []);
  return rows;
}

function makeRoom(): void {
  while (store.fill() > evictAbove && store.evict() > 0);
}

function confirm(batch: readonly { stream: number; size: number }[]): void {
  const bytes = new Map<number, number>();
  for (const { stream, size } of batch) bytes.set(stream, (bytes.get(stream) ?? 0) + size);
  for (const [stream, sum] of bytes) if (stream > 0) post({ type: "accepted", stream, bytes: sum });
}

function sentence(error: unknown): string {
  const { code = "", message } = error as { code?: string; message: string };
  return code === "" ? message : `${code}: ${message}`;
}

/** The disk refused. Nothing is lost: the events stay here and in the hosts' rings, and polling goes on. */
function commitFailed(error: unknown): void {
  if ((error as { code?: string }).code === "SQLITE_FULL") rowsMax = Math.max(1, rowsMax >> 1);
  const text = sentence(error);
  if (text !== failure) post({ type: "failure", text });
  failure = text;
}

function recovered(): void {
  if (failure === undefined) return;
  failure = undefined;
  post({ type: "failure", text: undefined });
}

/** Something else than a commit went wrong; commits go on. The same text is said once in ten seconds. */
function report(error: unknown): void {
  const text = sentence(error);
  const nowMs = performance.now();
  if (text === problem.text && nowMs - problem.atMs < problemPauseMs) return;
  problem = { text, atMs: nowMs };
  post({ type: "problem", text });
}

/** Hands every uplink the messages that its window has room for. */
function pump(fresh: readonly StoredRow[] = []): void {
  for (const { name, lanes } of uplinks) {
    if (!lanes.connected) continue;
    const messages = lanes.next(performance.now(), fresh, report);
    if (messages.length > 0) post({ type: "send", uplink: name, messages }, messages.map(ownBuffer));
  }
}

/** The payload moves to the main thread instead of being copied; a pooled buffer cannot move. */
function ownBuffer(message: Message): ArrayBuffer {
  const { payload } = message;
  if (payload.byteLength !== payload.buffer.byteLength)
    message.payload = Buffer.from(Uint8Array.from(payload).buffer);
  return message.payload.buffer as ArrayBuffer;
}

function decode(rows: readonly StoredRow[]): KerbEvent[] {
  if (rows.length === 0) return [];
  const header = {
    city: "",
    gateway: options.gateway,
    epoch: store.epoch,
    lane: "live" as const,
    dictionary: store.dictionary,
  };
  const batch = rows.map((row) => ({ seq: row.id - store.base, recordedMs: row.recordedMs, body: row.body }));
  return decodeColumnar(JSON.parse(encodeColumnar(header, batch))).events(store.dictionary);
}

/** The gap event and the mark on what it declares go into one transaction: neither stands without the other. */
function reportDrops(): void {
  if (performance.now() < dropsDueMs) return;
  makeRoom();
  const drops = store.dropReport(gatewayDevice);
  if (drops === undefined) return;
  dropsDueMs = performance.now() + 60_000;
  storeRows([{ lane: 0, body: drops.body }], drops.mark);
}

function housekeeping(): void {
  try {
    for (const { lanes } of uplinks) lanes.tick(performance.now());
    reportDrops();
    pump();
  } catch (error) {
    report(error);
  }
}

function stats(): OutboxStats {
  const { rows, oldestMs, bytes } = store.count();
  return {
    epoch: store.epoch,
    lastSeq: store.lastId - store.base,
    books: store.books(),
    rows,
    bytes,
    bytesMax: options.bytesMax,
    oldestMs,
    failure,
    quarantined: store.quarantined,
    uplinks: Object.fromEntries(
      uplinks.map(({ name, lanes }) => [
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

function dictionary(): { hash: string; json: string } {
  const { hash, devices } = store.dictionary;
  return { hash, json: JSON.stringify(devices) };
}

function answer(message: ToWorker & { type: "request" }): unknown {
  switch (message.name) {
    case "open":
      return {
        epoch: store.epoch,
        epochs: store.epochs.map((record) => [record.epoch, store.lastIdOf(record) - record.base]),
        dictionary: dictionary(),
      };
    case "register":
      return { devices: store.register(message.args[0] as never), dictionary: dictionary() };
    case "session":
      return store.nextSession(message.args[0] as string);
    case "stats":
      return stats();
    case "close":
      return close();
    default:
      throw new Error(`unknown request "${String(message.name)}"`);
  }
}

/** Commits what it can: on a failing disk what is pending was never accepted, and the ring's owner knows. */
function close(): null {
  for (let left = Infinity; pending.length < left && pending.length > 0;) {
    left = pending.length;
    commit();
  }
  store.close();
  return null;
}

function receive(message: ToWorker): void {
  if (message.type === "request") {
    try {
      post({ type: "answer", id: message.id, result: answer(message) });
    } catch (error) {
      post({ type: "answer", id: message.id, error: (error as Error).message });
    }
    return;
  }
  if (message.type === "frames") {
    const splitter = splitters.get(message.stream) ?? new FrameSplitter();
    splitters.set(message.stream, splitter);
    // Each start of a host is a stream of its own; the oldest ones have long ended.
    const [oldest] = splitters.keys();
    if (splitters.size > streamsMax && oldest !== undefined) splitters.delete(oldest);
    for (const frame of splitter.push(message.bytes)) accept(message.stream, frame);
    return;
  }
  if (message.type === "event") {
    const writer = new EventWriter();
    writer.begin(message.kind, message.device, Date.now(), monotonicMs(), clockState());
    writer.object(message.data);
    accept(0, { lane: 0, body: Buffer.from(writer.bytes()), size: 0 });
    return;
  }
  if (message.type === "tail") {
    tailing = message.on;
    return;
  }
  const uplink = uplinks.find((candidate) => candidate.name === message.uplink);
  if (uplink !== undefined) steer(uplink, message);
}

type Steering = Exclude<ToWorker, { type: "request" | "frames" | "event" | "tail" }>;

function steer(uplink: (typeof uplinks)[number], message: Steering): void {
  const { lanes } = uplink;
  const nowMs = performance.now();
  if (message.type === "connected") {
    uplink.session = message.session;
    lanes.connect(message.windowMax, message.bytesMax);
    dropsDueMs = 0;
  } else if (message.type === "disconnected") lanes.disconnect();
  else if (message.type === "sent") lanes.sent(message.key, nowMs);
  else if (message.type === "refused") lanes.refused(message.key, message.reason, nowMs);
  else if (message.type === "receiver") lanes.receiver(message.name, message.online);
  else {
    for (const { epoch, watermark } of lanes.acknowledge(message.document, uplink.session, nowMs)) {
      releaseAll(uplink.name, epoch, watermark);
    }
  }
  pump();
}

/** A long backlog is deleted in steps, so that commits and sends get their turn in between. */
function releaseAll(name: string, epoch: number, watermark: number): void {
  try {
    if (store.release(name, epoch, watermark, uplinkNames)) setImmediate(releaseAll, name, epoch, watermark);
  } catch (error) {
    report(error);
  }
}

port.on("message", (message: ToWorker) => {
  try {
    receive(message);
  } catch (error) {
    report(error);
  }
});
setInterval(housekeeping, 1000);
if (store.quarantined !== undefined) {
  const file = basename(store.quarantined);
  report(
    new Error(`the outbox could not be read; it was put aside as ${file}, and what it held is not delivered`),
  );
  receive({
    type: "event",
    kind: "gap",
    device: gatewayDevice,
    data: { cause: "storage", file, epoch: store.epoch },
  });
}
// A worker that is terminated does not write its part of the cache by itself.
flushCompileCache();
