import { Lanes } from "../uplink/lanes.ts";
import type { Message } from "../uplink/flights.ts";
import { SealLane } from "../uplink/seal-lane.ts";
import { SetBack } from "../uplink/set-back.ts";
import type { FromWorker, OutboxOptions, OutboxStats, ToWorker } from "./outbox.ts";
import type { CutRecord, OutboxStore, StoredRow } from "./store.ts";

/** What the main thread says of one uplink. */
export type Steering = Exclude<ToWorker, { type: "request" | "frames" | "event" | "tail" | "hurry" }>;

interface Uplink {
  readonly name: string;
  lanes: Lanes;
  readonly seals: SealLane;
  readonly setBack: SetBack;
  session: number;
  windowMax: number;
}

/** What senders need of the core that they belong to. */
export interface SendersHost {
  /** The store in use; undefined while there is no file. */
  store(): OutboxStore | undefined;
  emit(message: FromWorker, transfer: ArrayBuffer[]): void;
  /** The store has failed. */
  trouble(error: unknown): void;
  /** There are losses to declare, and somebody to declare them to. */
  dropsDue(): void;
}

/** Missing ranges that are looked up for one acknowledgement; the next one brings the others. */
const vanishedRangesMax = 8;

/** What goes out over each uplink, and what its receiver says of it. */
export class Senders {
  readonly names: readonly string[];
  readonly #uplinks: readonly Uplink[];
  readonly #host: SendersHost;

  constructor(options: OutboxOptions["uplinks"], store: OutboxStore, host: SendersHost) {
    this.#host = host;
    this.names = options.map(({ name }) => name);
    this.#uplinks = options.map((uplink) => ({
      name: uplink.name,
      lanes: new Lanes(store, uplink),
      seals: new SealLane(store.seals, uplink.name, uplink.resendAfterMs),
      setBack: new SetBack(uplink.name),
      session: 0,
      windowMax: uplink.windowMax,
    }));
  }

  /** The queue was opened anew: what was in flight goes again. */
  renew(store: OutboxStore): void {
    for (const uplink of this.#uplinks) {
      uplink.lanes = uplink.lanes.successor(store);
      uplink.seals.renew(store.seals);
      // What was acknowledged during a salvage is sealed and deleted now.
      for (const { epoch } of store.epochs)
        this.#release(uplink.name, epoch, store.releasedBy(uplink.name, epoch));
    }
  }

  /** Inside the transaction that stores `rows`: the batches in which they go out at once. */
  plan(rows: readonly StoredRow[]): Map<string, CutRecord[]> {
    return new Map(this.#uplinks.map(({ name, lanes }) => [name, lanes.planNew(rows)]));
  }

  /** `rows` are stored, and with them the batches of `plan`. */
  stored(rows: readonly StoredRow[], planned: ReadonlyMap<string, CutRecord[]>): void {
    for (const { name, lanes } of this.#uplinks) lanes.stored(rows, planned.get(name) ?? []);
  }

  tick(store: OutboxStore): void {
    for (const { lanes } of this.#uplinks) lanes.tick(performance.now());
    store.deadLetters.settle(this.names);
    store.seals.tick(this.names, Date.now());
  }

  get stats(): OutboxStats["uplinks"] {
    return Object.fromEntries(
      this.#uplinks.map(({ name, lanes }) => {
        const { connected, inFlight, backlogRows, counts } = lanes;
        return [name, { connected, inFlight, backlogRows, ...counts }];
      }),
    );
  }

  /** Hands every uplink the messages that its window has room for. `fresh`: rows that are still in memory. */
  pump(fresh: readonly StoredRow[] = []): void {
    if (this.#host.store() === undefined) return;
    const nowMs = performance.now();
    for (const { name, lanes, seals, windowMax } of this.#uplinks) {
      if (!lanes.connected) continue;
      // A window of one is shared by turns.
      const isShared = windowMax < 2;
      const seal = isShared && lanes.inFlight > 0 ? undefined : seals.next(nowMs);
      const messages: Message[] =
        isShared && seals.inFlight > 0 ? [] : lanes.next(nowMs, fresh, (error) => this.#host.trouble(error));
      if (seal !== undefined) messages.push(seal);
      if (messages.length > 0)
        this.#host.emit({ type: "send", uplink: name, messages }, messages.map(ownBuffer));
    }
  }

  steer(message: Steering): void {
    const uplink = this.#uplinks.find(({ name }) => name === message.uplink);
    if (uplink === undefined) return;
    const { lanes, seals } = uplink;
    const nowMs = performance.now();
    if (message.type === "connected") {
      uplink.session = message.session;
      // One place of the window is the seals' own: they can neither starve nor be in the way.
      lanes.connect(message.windowMax - 1, message.bytesMax);
      seals.connect(message.bytesMax);
      uplink.windowMax = message.windowMax;
      this.#host.dropsDue();
    } else if (message.type === "disconnected") {
      seals.disconnect();
      lanes.disconnect(message.blamed);
    } else if (message.type === "receiver") lanes.receiver(message.name, message.online);
    else if (message.type === "acknowledged") this.#acknowledged(uplink, message.document, nowMs);
    else if (message.key < 0) seals.landed(message.key, message.type === "refused", nowMs);
    else if (message.type === "sent") lanes.sent(message.key, nowMs);
    else lanes.refused(message.key, message.reason, nowMs);
  }

  #acknowledged(
    { name, lanes, seals, setBack, session }: Uplink,
    document: (Steering & { type: "acknowledged" })["document"],
    nowMs: number,
  ): void {
    const store = this.#host.store();
    if (store === undefined) return;
    setBack.check(document, session, store, lanes);
    for (const { epoch, watermark } of lanes.acknowledge(document, session, nowMs))
      this.#release(name, epoch, watermark);
    for (const [epoch, { miss = [] }] of Object.entries(document.ep)) {
      // Numbers that the receiver lacks and that are no rows any more have vanished: they are declared.
      if (miss.length === 0) continue;
      if (store.declareVanished(Number(epoch), miss.slice(0, vanishedRangesMax), this.names) > 0)
        this.#host.dropsDue();
    }
    seals.acknowledge(document);
  }

  /** A long backlog is deleted in steps, so that commits and sends get their turn in between. */
  #release(name: string, epoch: number, watermark: number): void {
    try {
      if (this.#host.store()?.release(name, epoch, watermark, this.names) === true)
        setImmediate(() => this.#release(name, epoch, watermark));
    } catch (error) {
      this.#host.trouble(error);
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
