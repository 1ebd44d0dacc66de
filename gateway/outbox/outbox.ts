import { Worker } from "node:worker_threads";
import type { DurationCounts } from "../durations.ts";
import type { DictionaryDevice, EventKind, KerbEvent } from "../event.ts";
import type { Acknowledgement } from "../uplink/acknowledgement.ts";
import type { Message } from "../uplink/flights.ts";
import type { LanesOptions } from "../uplink/cuts.ts";
import type { AuditedBooks, BooksLine } from "./books.ts";
import type { ClockDoubt } from "../clock.ts";
import type { Moment } from "./clock-fixes.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { RosterEntry, TimeSpan } from "./runs.ts";
import type { Books, RegisterDevice } from "./store.ts";

/** What the worker is started with. */
export interface OutboxOptions {
  path: string;
  bytesMax: number;
  commitAfterMs: number;
  commitEventsMax: number;
  /** Length of the periods that are sealed; an hour by default. */
  sealEveryMs?: number;
  /** The first moment of this run; by default that of the file's opening. */
  began?: Moment;
  /** The gateway's own id: device of its own events. */
  gateway: string;
  uplinks: LanesOptions[];
}

interface UplinkStats {
  connected: boolean;
  inFlight: number;
  backlogRows: number;
  batches: number;
  events: number;
  bytes: number;
  resent: number;
  /** Messages that the broker refused, and events that it refused for good. */
  refused: number;
  dead: number;
}

export interface OutboxStats {
  epoch: number;
  lastSeq: number;
  books: Record<"event" | "live", Books>;
  rows: number;
  bytes: number;
  bytesMax: number;
  /** Share of the byte budget that is in use, 0 to 1; the file itself keeps the size it once had. */
  fill: number;
  oldestMs: number | undefined;
  /** How long the transactions took that stored events, this process. */
  commits: DurationCounts;
  /** Set while commits fail: what the disk said. */
  failure: string | undefined;
  quarantined: string | undefined;
  /** Events that a broker refused for good: how many per uplink, and the newest. */
  deadLetters: { counts: Record<string, number>; newest: DeadLetter[] };
  uplinks: Record<string, UplinkStats>;
}

/** A sign of life of the worker, without a look at the disk. */
export interface Pulse {
  /** How much longer than it may the oldest event has been waiting for its commit; 0 = nothing is late. */
  overdueMs: number;
  failure: string | undefined;
}

/** Questions that the worker answers, by name: arguments and result. */
export interface Requests {
  open: [
    [],
    {
      epoch: number;
      epochs: [number, number][];
      dictionary: { hash: string; json: string };
      clock: ClockDoubt;
    },
  ];
  /** Indexes for the time being; answered at once, while the file cannot be opened. Null: it is open. */
  early: [[RegisterDevice[]], DictionaryDevice[] | null];
  /** `during`: the site has changed within this run, then. */
  roster: [[RosterEntry[], during?: TimeSpan], null];
  register: [[RegisterDevice[]], { devices: DictionaryDevice[]; dictionary: { hash: string; json: string } }];
  session: [[uplink: string], number];
  stats: [[], OutboxStats];
  pulse: [[], Pulse];
  /** Sends copies of refused events anew; how many. */
  retry: [[], number];
  books: [[], AuditedBooks];
  /** The books by device and class, without counting the rows. */
  accounts: [[], BooksLine[]];
  close: [[], null];
}

/** Supervisor → worker, beside the requests. */
export type ToWorker =
  | { type: "request"; id: number; name: keyof Requests; args: unknown[] }
  /** `source`: whose events they are, over all starts of a host; default: the stream. */
  | { type: "frames"; stream: number; bytes: Uint8Array; source?: string }
  | { type: "event"; kind: EventKind; device: number; data: Record<string, unknown> }
  | { type: "connected"; uplink: string; windowMax: number; bytesMax: number; session: number }
  | { type: "disconnected"; uplink: string; blamed: boolean }
  | { type: "sent"; uplink: string; key: number }
  | { type: "refused"; uplink: string; key: number; reason: number }
  | { type: "acknowledged"; uplink: string; document: Acknowledgement }
  | { type: "receiver"; uplink: string; name: string; online: boolean }
  /** The gateway stops: what comes from now on is committed without waiting for company. */
  | { type: "hurry" }
  | { type: "tail"; on: boolean };

/** Worker → supervisor. */
export type FromWorker =
  | { type: "answer"; id: number; result?: unknown; error?: string }
  /** `dropped`: these are not on disk, and never will be. */
  | { type: "accepted"; stream: number; bytes: number; dropped: boolean }
  | { type: "send"; uplink: string; messages: Message[] }
  | { type: "tail"; events: KerbEvent[] }
  | { type: "failure"; text: string | undefined }
  | { type: "problem"; text: string };

export interface OutboxEvents {
  accepted(stream: number, bytes: number, dropped: boolean): void;
  send(uplink: string, messages: Message[]): void;
  tail(events: KerbEvent[]): void;
  failure(text: string | undefined): void;
  /** Something beside a commit went wrong: a damaged row, a file put aside. */
  problem(text: string): void;
  /** The worker has died; nothing is accepted any more. */
  died(error: Error): void;
}

/** The main thread's end of the outbox worker, the only owner of the queue file. */
export class Outbox {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #closed = false;
  #dead: Error | undefined;

  constructor(options: OutboxOptions, events: OutboxEvents) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: options,
      resourceLimits: { maxYoungGenerationSizeMb: 3 },
    });
    this.#worker.on("message", (message: FromWorker) => this.#receive(message, events));
    this.#worker.on("error", (error) => this.#died(error as Error, events));
    this.#worker.on("exit", () => this.#died(new Error("the outbox worker has ended"), events));
  }

  /** Asks the worker; rejects with its sentence. */
  request<Name extends keyof Requests>(name: Name, ...args: Requests[Name][0]): Promise<Requests[Name][1]> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.tell({ type: "request", id, name, args });
    });
  }

  tell(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /** Commits what is pending and closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#dead !== undefined) return;
    await this.request("close");
    await this.#worker.terminate();
  }

  #receive(message: FromWorker, events: OutboxEvents): void {
    if (message.type === "accepted") events.accepted(message.stream, message.bytes, message.dropped);
    else if (message.type === "send") events.send(message.uplink, message.messages);
    else if (message.type === "tail") events.tail(message.events);
    else if (message.type === "failure") events.failure(message.text);
    else if (message.type === "problem") events.problem(message.text);
    else {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.result as never);
      else waiting?.reject(new Error(message.error));
    }
  }

  #died(error: Error, events: OutboxEvents): void {
    if (this.#dead !== undefined) return;
    this.#dead = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    if (!this.#closed) events.died(error);
  }
}
