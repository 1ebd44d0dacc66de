import { flushCompileCache } from "node:module";
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
/** An urgent event waits this long for company. */
const urgentCommitMs = 20;
const evictAbove = 0.9;

const splitters = new Map<number, FrameSplitter>();
let pending: (Frame & { stream: number })[] = [];
let timer: NodeJS.Timeout | undefined;
let timerAtMs = Infinity;
let failure: string | undefined;
let tailing = false;
/** Tombstones are reported once a minute and at each connect, not one event for each eviction. */
let dropsDueMs = 0;

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
  if (failure !== undefined) return;
  if (pending.length >= options.commitEventsMax) schedule(0);
  else schedule(frame.lane === 0 ? urgentCommitMs : options.commitAfterMs);
}

function commit(): void {
  timer = undefined;
  timerAtMs = Infinity;
  const batch = pending.slice(0, commitRowsMax);
  if (batch.length === 0) return;
  try {
    while (store.fill() > evictAbove && store.evict() > 0);
    const planned = new Map<string, CutRecord[]>();
    const rows = store.commit(batch, (stored) =>
      uplinks.flatMap(({ name, lanes }) => {
        const cuts = lanes.planNew(stored);
        planned.set(name, cuts);
        return cuts.map((cut) => ({ uplink: name, cut }));
      }),
    );
    pending = pending.slice(batch.length);
    for (const { name, lanes } of uplinks) lanes.stored(rows, planned.get(name) ?? []);
    recovered();
    confirm(batch);
    pump(rows);
    if (tailing) post({ type: "tail", events: decode(rows) });
  } catch (error) {
    failed(error);
  }
  if (pending.length > 0) schedule(failure === undefined ? 0 : 1000);
}

function confirm(batch: readonly { stream: number; size: number }[]): void {
  const bytes = new Map<number, number>();
  for (const { stream, size } of batch) bytes.set(stream, (bytes.get(stream) ?? 0) + size);
  for (const [stream, sum] of bytes) if (stream > 0) post({ type: "accepted", stream, bytes: sum });
}

/** The disk refused. Nothing is lost: the events stay here and in the hosts' rings, and polling goes on. */
function failed(error: unknown): void {
  const { code = "", message } = error as { code?: string; message: string };
  if (code === "SQLITE_FULL") store.evict();
  const text = code === "" ? message : `${code}: ${message}`;
  if (text !== failure) post({ type: "failure", text });
  failure = text;
}

function recovered(): void {
  if (failure === undefined) return;
  failure = undefined;
  post({ type: "failure", text: undefined });
}

/** Hands every uplink the messages that its window has room for. */
function pump(fresh: readonly StoredRow[] = []): void {
  for (const { name, lanes } of uplinks) {
    if (!lanes.connected) continue;
    try {
      const messages = lanes.next(performance.now(), fresh);
      if (messages.length > 0) post({ type: "send", uplink: name, messages }, messages.map(ownBuffer));
    } catch (error) {
      failed(error);
    }
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

function reportDrops(): void {
  if (performance.now() < dropsDueMs) return;
  const report = store.dropReport(gatewayDevice);
  if (report === undefined) return;
  dropsDueMs = performance.now() + 60_000;
  accept(0, { lane: 0, body: report.body, size: 0 });
  commit();
  if (failure === undefined) report.done();
}

function housekeeping(): void {
  try {
    for (const { lanes } of uplinks) lanes.tick(performance.now());
    reportDrops();
    pump();
  } catch (error) {
    failed(error);
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
  else if (message.type === "receiver") lanes.receiver(message.online);
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
    failed(error);
  }
}

port.on("message", (message: ToWorker) => {
  try {
    receive(message);
  } catch (error) {
    failed(error);
  }
});
setInterval(housekeeping, 1000);
// A worker that is terminated does not write its part of the cache by itself.
flushCompileCache();
