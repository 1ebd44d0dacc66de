import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EventWriter, type DictionaryDevice } from "../../gateway/event.ts";
import { frameHeadBytes, writeFrame } from "../../gateway/outbox/frames.ts";
import { Outbox, type OutboxStats } from "../../gateway/outbox/outbox.ts";
import type { RegisterDevice } from "../../gateway/outbox/store.ts";
import { Ledger } from "../../gateway/receiver/ledger.ts";
import { readBatch } from "../../gateway/receiver/messages.ts";
import { Dictionary } from "../../gateway/uplink/encoding.ts";
import type { Message } from "../../gateway/uplink/flights.ts";

export const gateway = "gw-rig";
const stream = 1;
/** The device that feeds: a number, and text to make events larger. */
export const counter: RegisterDevice = {
  id: "counter",
  type: "counter",
  profile: "",
  points: (["number", "text"] as const).map((kind) => ({ name: kind, unit: "", kind, decimals: 0 })),
};

export interface RigOptions {
  folder: string;
  bytesMax?: number;
  /** Without it the IOC is away: everything is kept. */
  online?: boolean;
  /** Bytes of text in each event, beside its number. */
  padding?: number;
  /** How long the broker takes for a PUBACK, ms. */
  pubackMs?: number;
  commitAfterMs?: number;
}

/** A numbered event as the IOC got it. */
export interface Received {
  epoch: number;
  seq: number;
  kind: string;
  value: number | undefined;
  data: Record<string, unknown> | undefined;
}

/**
 * The real outbox worker between a numbered source and an IOC that keeps a real ledger. The IOC takes what is sent,
 * stores each id once, and acknowledges five times a second.
 */
export class OutboxRig {
  readonly options: RigOptions;
  readonly outbox: Outbox;
  readonly received = new Map<string, Received>();
  /** Ids that came with two contents: must stay empty. */
  readonly contradictions: string[] = [];
  readonly failures: (string | undefined)[] = [];
  readonly problems: string[] = [];
  readonly ledgers = new Map<number, Ledger>();
  died: Error | undefined;
  acceptedBytes = 0;
  fedBytes = 0;
  epoch = 0;
  fed = 0;
  readonly startedMs = performance.now();
  /** When the first event was accepted, and when the first one reached the IOC, ms after the start. */
  firstAcceptedMs: number | undefined;
  firstReceivedMs: number | undefined;
  #device: DictionaryDevice | undefined;
  #dictionaries = new Map<string, Dictionary>();
  #timer: NodeJS.Timeout | undefined;
  #session = 0;
  readonly #writer = new EventWriter();

  private constructor(options: RigOptions) {
    this.options = options;
    mkdirSync(options.folder, { recursive: true });
    this.outbox = new Outbox(
      {
        path: join(options.folder, "outbox.db"),
        bytesMax: options.bytesMax ?? 64 * 1024 * 1024,
        commitAfterMs: options.commitAfterMs ?? 50,
        commitEventsMax: 200,
        gateway,
        uplinks: [
          {
            name: "ioc",
            city: "rig",
            gateway,
            encoding: "columnar",
            windowMax: 20,
            bytesMax: 262_144,
            resendAfterMs: 5000,
          },
        ],
      },
      {
        accepted: (_stream, bytes) => {
          this.acceptedBytes += bytes;
          this.firstAcceptedMs ??= performance.now() - this.startedMs;
        },
        send: (_uplink, messages) => this.#take(messages),
        tail: () => {},
        failure: (text) => this.failures.push(text),
        problem: (text) => this.problems.push(text),
        died: (error) => {
          this.died = error;
        },
      },
    );
  }

  static async start(options: RigOptions): Promise<OutboxRig> {
    const rig = new OutboxRig(options);
    const opened = await rig.outbox.request("open");
    rig.epoch = opened.epoch;
    const { devices, dictionary } = await rig.outbox.request("register", [counter]);
    rig.#device = devices[0];
    rig.#dictionaries.set(
      dictionary.hash,
      new Dictionary(dictionary.hash, JSON.parse(dictionary.json) as DictionaryDevice[]),
    );
    if (options.online !== false) await rig.connect();
    return rig;
  }

  async connect(): Promise<void> {
    this.#session = await this.outbox.request("session", "ioc");
    this.outbox.tell({
      type: "connected",
      uplink: "ioc",
      windowMax: 20,
      bytesMax: 262_144,
      session: this.#session,
    });
    this.#timer ??= setInterval(() => this.acknowledge(), 200);
  }

  #take(messages: readonly Message[]): void {
    this.firstReceivedMs ??= performance.now() - this.startedMs;
    for (const { key, lane, payload } of messages) {
      if (lane === "seal") {
        this.outbox.tell({ type: "sent", uplink: "ioc", key });
        continue;
      }
      const { decoded, ranges, losses } = readBatch(gateway, Buffer.from(payload));
      const nowMs = performance.now();
      const ledger = this.#ledger(decoded.epoch);
      ledger.add(ranges, nowMs);
      for (const loss of losses) this.#ledger(loss.epoch).declare(loss, nowMs);
      this.#keep(decoded.events(this.#dictionaries.get(decoded.dictionary ?? "") ?? this.#newest()));
      const sent = () => this.outbox.tell({ type: "sent", uplink: "ioc", key });
      if (this.options.pubackMs === undefined) sent();
      else setTimeout(sent, this.options.pubackMs);
    }
  }

  #newest(): Dictionary | undefined {
    return [...this.#dictionaries.values()].at(-1);
  }

  #keep(
    events: readonly {
      epoch: number;
      seq: number;
      kind: string;
      readings?: { value: unknown }[];
      data?: Record<string, unknown>;
    }[],
  ): void {
    for (const { epoch, seq, kind, readings, data } of events) {
      const id = `${epoch}:${seq}`;
      const one = { epoch, seq, kind, value: readings?.[0]?.value as number | undefined, data };
      const before = this.received.get(id);
      if (before !== undefined && (before.value !== one.value || before.kind !== kind))
        this.contradictions.push(`${id}: ${before.kind} ${before.value}, then ${kind} ${one.value}`);
      this.received.set(id, one);
    }
  }

  #ledger(epoch: number): Ledger {
    const ledger = this.ledgers.get(epoch) ?? new Ledger();
    this.ledgers.set(epoch, ledger);
    return ledger;
  }

  acknowledge(): void {
    const nowMs = performance.now();
    const ep = Object.fromEntries(
      [...this.ledgers].map(([epoch, ledger]) => [epoch, ledger.report(500, nowMs)]),
    );
    this.outbox.tell({
      type: "acknowledged",
      uplink: "ioc",
      document: { v: 1, ts: Date.now(), run: "rig", sess: this.#session, ep },
    });
  }

  /** Hands over the next `count` numbered events. Returns their numbers' end. */
  feed(count: number, lane: 0 | 1 = 1): number {
    const text = "x".repeat(this.options.padding ?? 0);
    const parts: Buffer[] = [];
    const [number, filler] = this.#device?.points ?? [];
    for (let i = 0; i < count; i++) {
      this.#writer.begin("telemetry", this.#device?.index ?? 0, Date.now(), performance.now(), "synced");
      this.#writer.count(text === "" ? 1 : 2);
      this.#writer.reading(number?.index ?? 0, ++this.fed, 0);
      if (text !== "") this.#writer.reading(filler?.index ?? 0, text, 0);
      const body = this.#writer.bytes();
      const frame = Buffer.alloc(body.length + frameHeadBytes);
      writeFrame(frame, 0, lane, body);
      parts.push(frame);
    }
    const bytes = Uint8Array.from(Buffer.concat(parts));
    this.fedBytes += bytes.length;
    this.outbox.tell({ type: "frames", stream, bytes }, [bytes.buffer]);
    return this.fed;
  }

  /** Hands over events as a host does: at most 1 MiB of them not yet accepted. False when that takes too long. */
  async feedAll(count: number, timeoutMs = 60_000): Promise<boolean> {
    for (let left = count; left > 0; left -= 500) {
      if (!(await this.until(() => this.fedBytes - this.acceptedBytes < 1_048_576, timeoutMs))) return false;
      this.feed(Math.min(left, 500));
    }
    return this.until(() => this.acceptedBytes >= this.fedBytes, timeoutMs);
  }

  stats(): Promise<OutboxStats> {
    return this.outbox.request("stats");
  }

  /** Numbers of the source that the IOC has. */
  values(): Set<number> {
    return new Set([...this.received.values()].flatMap(({ value }) => (value === undefined ? [] : [value])));
  }

  /** Waits until `holds` does; false when it does not within the time. */
  async until(holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
    const endMs = performance.now() + timeoutMs;
    while (performance.now() < endMs) {
      if (await holds()) return true;
      await sleep(25);
    }
    return holds();
  }

  /** Nothing is kept any more: all that was accepted is delivered or declared. */
  drained(timeoutMs: number): Promise<boolean> {
    return this.until(async () => {
      if (this.acceptedBytes < this.fedBytes) return false;
      const { books, failure } = await this.stats();
      return failure === undefined && books.event.kept + books.live.kept === 0;
    }, timeoutMs);
  }

  /** Numbers of the ledger that were declared lost. */
  declared(): number {
    return [...this.ledgers.values()].reduce(
      (sum, ledger) => sum + ledger.losses.reduce((part, { from, to }) => part + to - from + 1, 0),
      0,
    );
  }

  /** Device-status and gap events that name the storage. */
  told(): Record<string, unknown>[] {
    return [...this.received.values()].flatMap(({ kind, data }) =>
      (kind === "device-status" || kind === "gap") && data !== undefined ? [data] : [],
    );
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.outbox.close().catch(() => {});
  }
}

/** Books of both classes: accepted - delivered - dropped - kept must be 0. */
export function balance({ books }: OutboxStats): number {
  return [books.event, books.live].reduce(
    (sum, { accepted, delivered, dropped, kept }) => sum + accepted - delivered - dropped - kept,
    0,
  );
}
