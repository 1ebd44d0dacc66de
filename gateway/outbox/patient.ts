import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { clockState, monotonicMs } from "../clock.ts";
import { Durations } from "../durations.ts";
import type { DictionaryDevice } from "../event.ts";
import { Early } from "./early.ts";
import { OutboxCore } from "./core.ts";
import { noFigures } from "./figures.ts";
import { faultOf, isDamage, isPassing, sentence } from "./faults.ts";
import type { Suspicion } from "./open.ts";
import type { RegisterDevice } from "./dictionaries.ts";
import type { FromWorker, OutboxOptions, OutboxStats, Requests, ToWorker } from "./outbox.ts";

type Emit = (message: FromWorker, transfer: ArrayBuffer[]) => void;

const firstPauseMs = 1000;
const pauseMsMax = 10_000;
const messagesMax = 10_000;
const problemPauseMs = 10_000;
/** Of a question of our own; the supervisor's begin at 1. */
const ownId = 0;

/**
 * The outbox from its first moment: while the disk does not let it open its file (read-only, full, not mounted)
 * it waits and tries again instead of dying, answers `stats`, and keeps events and the other messages for later.
 */
export class PatientOutbox {
  readonly #options: OutboxOptions;
  readonly #emit: Emit;
  #core: OutboxCore | undefined;
  #messages: ToWorker[] = [];
  readonly #early = new Early();
  /** The question for the indexes that waits for its answer. */
  #registering: number | undefined;
  #failure = "";
  #suspect: Suspicion = false;
  #problemAtMs = -Infinity;
  #pauseMs = firstPauseMs;
  #timer: NodeJS.Timeout | undefined;

  /** Throws when waiting would not help: no permission, another process, a newer file. */
  constructor(options: OutboxOptions, emit: Emit) {
    this.#options = { began: { wallMs: Date.now(), monoMs: monotonicMs(), state: clockState() }, ...options };
    this.#emit = emit;
    this.#open();
  }

  receive(message: ToWorker): void {
    if (this.#takeEarly(message)) return;
    if (this.#core !== undefined) {
      if (message.type === "request" && message.name === "register") this.#registering = message.id;
      if (message.type === "request" && message.name === "close") this.#adoptAtEnd(this.#core);
      if (message.type === "request" && message.name === "early") this.#answerEarly(message, null);
      else this.#core.receive(message);
    } else if (message.type !== "request") this.#keep(message);
    else if (message.name === "stats")
      this.#emit({ type: "answer", id: message.id, result: this.#stats() }, []);
    else if (message.name === "pulse")
      this.#emit({ type: "answer", id: message.id, result: { overdueMs: 0, failure: this.#failure } }, []);
    else if (message.name === "close") {
      clearTimeout(this.#timer);
      this.#tellLost();
      this.#emit({ type: "answer", id: message.id, result: null }, []);
    } else if (message.name === "early")
      this.#answerEarly(message, this.#early.register(message.args[0] as RegisterDevice[]));
    else this.#keep(message);
  }

  /** A stop after the file was opened and before the site's names came: those of the early devices will do. */
  #adoptAtEnd(core: OutboxCore): void {
    if (this.#early.count === 0) return;
    this.#registering = ownId;
    core.receive({ type: "request", id: ownId, name: "register", args: [this.#early.devices] });
    this.#tellLost();
  }

  #tellLost(): void {
    const { count } = this.#early;
    const text = `${count} events of this run could not be stored and are lost`;
    if (count > 0) this.#emit({ type: "problem", text }, []);
  }

  /** Their room in the host is free again at once: nobody who is read before the file is open waits for the disk. */
  #takeEarly(message: ToWorker): boolean {
    try {
      if (!this.#early.takes(message)) return false;
    } catch (error) {
      const nowMs = performance.now();
      if (nowMs - this.#problemAtMs > problemPauseMs)
        this.#emit({ type: "problem", text: sentence(error) }, []);
      this.#problemAtMs = nowMs;
    }
    if (message.type === "frames" && message.bytes.length > 0) {
      const { stream, bytes } = message;
      this.#emit({ type: "accepted", stream, bytes: bytes.length, dropped: true }, []);
    }
    return true;
  }

  #answerEarly({ id }: { id: number }, result: DictionaryDevice[] | null): void {
    this.#emit({ type: "answer", id, result }, []);
  }

  /** When the names have their indexes in the file, what was kept goes there. */
  #emitted(message: FromWorker, transfer: ArrayBuffer[]): void {
    this.#emit(message, transfer);
    if (message.type !== "answer" || message.id !== this.#registering || message.error !== undefined) return;
    this.#registering = undefined;
    const { devices } = message.result as Requests["register"][1];
    for (const kept of this.#early.adopt(devices)) this.#core?.receive(kept);
  }

  #keep(message: ToWorker): void {
    if (this.#messages.length < messagesMax) this.#messages.push(message);
  }

  #open(): void {
    try {
      examine(this.#options.path);
      const emit: Emit = (message, transfer) => this.#emitted(message, transfer);
      this.#core = new OutboxCore(this.#options, emit, this.#suspect);
    } catch (error) {
      if (isDamage(error) && this.#suspect !== "condemned") {
        this.#suspect = this.#suspect === false ? "check" : "condemned";
        this.#open();
        return;
      }
      // Once it waits it goes on: what it keeps would be lost with it.
      if (faultOf(error) === "other" && this.#failure === "") throw error;
      const text = sentence(error);
      if (text !== this.#failure) this.#emit({ type: "failure", text }, []);
      this.#failure = text;
      this.#timer = setTimeout(() => this.#open(), this.#pauseMs);
      this.#pauseMs = Math.min(pauseMsMax, this.#pauseMs * 2);
      return;
    }
    if (this.#failure !== "") this.#emit({ type: "failure", text: undefined }, []);
    for (const message of this.#messages.splice(0)) this.#core.receive(message);
  }

  #stats(): OutboxStats {
    return {
      epoch: 0,
      lastSeq: 0,
      ...noFigures,
      bytesMax: this.#options.bytesMax,
      commits: new Durations().counts,
      inflow: { eventsPerS: 0, bytesPerS: 0 },
      failure: this.#failure,
      quarantined: undefined,
      uplinks: {},
    };
  }
}

/** Tells a wrong path or owner from a disk that may come back: SQLite says the same of both. */
function examine(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    if (existsSync(path)) accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (isPassing(error)) throw error;
    throw new Error(`cannot use the state folder ${folder}: ${(error as Error).message}`, { cause: error });
  }
}
