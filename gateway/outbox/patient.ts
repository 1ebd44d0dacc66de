import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Durations } from "../durations.ts";
import { OutboxCore } from "./core.ts";
import { faultOf, isDamage, isPassing, sentence } from "./faults.ts";
import type { Suspicion } from "./open.ts";
import { noBooks } from "./rows.ts";
import type { FromWorker, OutboxOptions, OutboxStats, ToWorker } from "./outbox.ts";

type Emit = (message: FromWorker, transfer: ArrayBuffer[]) => void;

const firstPauseMs = 1000;
const pauseMsMax = 10_000;
const messagesMax = 10_000;

/**
 * The outbox from its first moment: while the disk does not let it open its file (read-only, full, not mounted)
 * it waits and tries again instead of dying, answers `stats`, and keeps the other messages for later.
 */
export class PatientOutbox {
  readonly #options: OutboxOptions;
  readonly #emit: Emit;
  #core: OutboxCore | undefined;
  #messages: ToWorker[] = [];
  #failure = "";
  #suspect: Suspicion = false;
  #pauseMs = firstPauseMs;
  #timer: NodeJS.Timeout | undefined;

  /** Throws when waiting would not help: no permission, another process, a newer file. */
  constructor(options: OutboxOptions, emit: Emit) {
    this.#options = options;
    this.#emit = emit;
    this.#open();
  }

  receive(message: ToWorker): void {
    if (this.#core !== undefined) this.#core.receive(message);
    else if (message.type !== "request") this.#keep(message);
    else if (message.name === "stats")
      this.#emit({ type: "answer", id: message.id, result: this.#stats() }, []);
    else if (message.name === "pulse")
      this.#emit({ type: "answer", id: message.id, result: { overdueMs: 0, failure: this.#failure } }, []);
    else if (message.name === "close") {
      clearTimeout(this.#timer);
      this.#emit({ type: "answer", id: message.id, result: null }, []);
    } else this.#keep(message);
  }

  #keep(message: ToWorker): void {
    if (this.#messages.length < messagesMax) this.#messages.push(message);
  }

  #open(): void {
    try {
      examine(this.#options.path);
      this.#core = new OutboxCore(this.#options, this.#emit, this.#suspect);
    } catch (error) {
      if (isDamage(error) && this.#suspect !== "condemned") {
        this.#suspect = this.#suspect === false ? "check" : "condemned";
        this.#open();
        return;
      }
      if (faultOf(error) === "other") throw error;
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
      books: { event: noBooks, live: noBooks },
      rows: 0,
      bytes: 0,
      bytesMax: this.#options.bytesMax,
      fill: 0,
      oldestMs: undefined,
      commits: new Durations().counts,
      deadLetters: { counts: {}, newest: [] },
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
