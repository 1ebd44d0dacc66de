import { mkdirSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { gap } from "../gaps.ts";
import { dropSalvaged, writeEpochs } from "./beside.ts";
import { Warming } from "./check.ts";
import type { Moment } from "./clock-fixes.ts";
import { faultOf } from "./faults.ts";
import { mendLog } from "./mend-log.ts";
import type { QueueOptions, Suspicion } from "./open.ts";
import { Reopening, type Outage } from "./reopening.ts";
import type { Salvage } from "./salvage.ts";
import { bytesAllowed } from "./space.ts";
import { OutboxStore } from "./store.ts";
import { FileWatch, type Meddling } from "./watch.ts";

export interface KeeperOptions {
  path: string;
  bytesMax: number;
  gateway: string;
  sealEveryMs: number | undefined;
  /** The first moment of this run. */
  began: Moment | undefined;
  /** Bytes of the largest transaction. */
  transactionBytes: number;
  uplinks: string[];
  /** Evicts above the budget, before salvaged rows need the room. */
  makeRoom(): void;
  failing(reason: string): void;
  /** Another store is there, at the end of an outage. `lastId`: of the one before it. */
  reopened(lastId: number): void;
  /** The rows of a file put aside are all there and may be delivered. */
  salvaged(): void;
  report(text: string): void;
  tell(kind: "gap" | "device-status", data: Record<string, unknown>): void;
}

/** Steps of what may wait: messages and commits get their turn in between. */
const stepMs = 5;
const retryMs = 1000;
/** The first events and batches go before a check of all pages. */
const checkAfterMs = 500;

const meddlings: Record<Meddling, string> = {
  "log-gone": "the outbox's log (-wal) was deleted or cut under the running gateway; its contents are saved",
  "file-gone": "the outbox file was deleted or replaced under the running gateway; its contents are saved",
  "file-cut": "the outbox file was cut short under the running gateway",
};

/**
 * Keeps the queue file alive without a human: lets go of a handle that fails and opens the file again, fetches the
 * rows of a damaged one, sees when somebody touches it, and makes the budget follow the room on the disk.
 */
export class QueueKeeper {
  readonly #options: KeeperOptions;
  readonly #reopening: Reopening;
  #store: OutboxStore;
  #watch: FileWatch;
  #salvage: Salvage | undefined;
  #timer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  /** And nobody has been told. */
  #isLogMended = false;

  /** Opens the file; throws when that is not possible. `suspect`: it was damaged at the attempt before. */
  constructor(options: KeeperOptions, suspect?: Suspicion) {
    this.#options = options;
    const { path, bytesMax, gateway, sealEveryMs } = options;
    const queue = { path, bytesMax, gateway, ...(sealEveryMs === undefined ? {} : { sealEveryMs }) };
    const began = options.began === undefined ? {} : { began: options.began };
    this.#store = this.#mendedStore({ ...queue, ...began, ...(suspect === undefined ? {} : { suspect }) });
    this.#watch = new FileWatch(path);
    this.#reopening = new Reopening({
      open: (suspicion) => this.#mendedStore({ ...queue, resume: this.#store.resume, suspect: suspicion }),
      opened: (store) => this.#opened(store),
      failing: (reason) => options.failing(reason),
    });
    this.#checkPages();
  }

  #mendedStore({ suspect = false, ...queue }: QueueOptions): OutboxStore {
    const log = mendLog(queue.path);
    if (log === "whole") return new OutboxStore({ ...queue, suspect });
    this.#isLogMended = log === "mended";
    return new OutboxStore({ ...queue, suspect: log === "guessed" ? "condemned" : suspect || "check" });
  }

  /** The store in use; a closed one during an outage. */
  get store(): OutboxStore {
    return this.#store;
  }

  /** Set while there is no file. */
  get outage(): Outage | undefined {
    return this.#reopening.outage;
  }

  /** Tells what was found at the start, and starts to mend it. Once, when the rest is ready to take events. */
  begin(): void {
    if (this.#isLogMended)
      this.#options.report(
        "a page of the outbox's log (-wal) was destroyed; all of it was found again, nothing is lost",
      );
    this.#isLogMended = false;
    this.#tellQuarantined();
    this.#startSalvage();
  }

  /** An error of the store: true when the file is let go for it, or was already. */
  failed(error: unknown): boolean {
    if (faultOf(error) !== "file") return false;
    this.#letGo(error);
    return true;
  }

  /** Once a second: looks whether the file is still the one that is open, and how much room there is. */
  tick(): void {
    const meddling = this.#watch.check();
    if (meddling !== undefined) {
      this.#save(meddling);
      return;
    }
    this.measure();
  }

  /** Makes the budget follow the room on the disk. */
  measure(): void {
    const { path, bytesMax, transactionBytes } = this.#options;
    const allowed = bytesAllowed(path, bytesMax, transactionBytes);
    if (allowed < bytesMax && dropSalvaged(path)) return;
    this.#store.space.limit(allowed);
  }

  /** Ends what runs in the background. */
  stop(): void {
    this.#reopening.stop();
    clearTimeout(this.#timer);
    // A core that could not be made leaves a keeper behind, which must not open the file a second time.
    clearTimeout(this.#checkTimer);
    this.#salvage?.close();
    this.#salvage = undefined;
  }

  #letGo(error: unknown, pauseMs?: number): void {
    if (this.outage !== undefined) return;
    this.stop();
    this.#store.letGo();
    this.#reopening.begin(error, pauseMs);
  }

  #opened(store: OutboxStore): void {
    const { lastId } = this.#store;
    this.#store = store;
    this.#watch = new FileWatch(this.#options.path);
    try {
      this.#options.reopened(lastId);
      if (store.lost > 0) {
        this.#options.report(`${store.lost} accepted events are not in the outbox file; they are declared`);
      }
      this.begin();
    } catch (error) {
      if (!this.failed(error)) throw error;
    }
  }

  #tellQuarantined(): void {
    const { quarantined, epoch } = this.#store;
    if (quarantined === undefined) return;
    const file = basename(quarantined);
    this.#options.report(
      `the outbox was damaged; it was put aside as ${file}, its events are being salvaged`,
    );
    const nowMs = Date.now();
    this.#options.tell("gap", gap("storage", nowMs, nowMs, { file, epoch }));
  }

  /** Fetches the rows of a file put aside; only when all are there they are delivered, in order. */
  #startSalvage(): void {
    this.#salvage = this.#store.salvage(this.#options.uplinks);
    if (this.#salvage !== undefined) this.#timer = setTimeout(() => this.#salvageStep(), stepMs);
  }

  #salvageStep(): void {
    let pauseMs = stepMs;
    try {
      this.#options.makeRoom();
      const result = this.#salvage?.step();
      if (result !== undefined) {
        const { file, rows, lost } = result;
        this.#store.lift();
        this.#options.report(`${rows} events were salvaged from ${file}; ${lost} are lost and declared`);
        this.#options.tell("device-status", { state: "storage-salvaged", file, salvaged: rows, lost });
        this.#options.salvaged();
        this.#startSalvage();
        return;
      }
    } catch (error) {
      if (this.failed(error)) return;
      this.#options.report((error as Error).message);
      pauseMs = retryMs;
    }
    this.#timer = setTimeout(() => this.#salvageStep(), pauseMs);
  }

  /**
   * After each start all pages are read, beside the work: bits flip in a file at rest as well, and one in the root
   * of a tree hides all its rows without an error.
   */
  #checkPages(): void {
    const store = this.#store;
    let warming: Warming | undefined;
    const step = () => {
      try {
        // None: the file has been replaced, which the watch sees.
        const descriptor = this.#watch.descriptor();
        if (descriptor === undefined) return;
        warming ??= new Warming(descriptor);
        if (!warming.step()) this.#checkTimer = setTimeout(step, stepMs).unref();
        else if (warming.isWhole) store.check();
      } catch (error) {
        this.failed(error);
      }
    };
    this.#checkTimer = setTimeout(step, checkAfterMs).unref();
  }

  /** Somebody has touched the file: what the open handle still reaches is saved, then the file is opened anew. */
  #save(meddling: Meddling): void {
    const { path, gateway } = this.#options;
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (error) {
        this.#options.report((error as Error).message);
      }
    };
    attempt(() => this.#store.secure());
    attempt(() => {
      if (meddling !== "file-gone" || !isOn(this.#store.resume.device, dirname(path))) return;
      mkdirSync(dirname(path), { recursive: true });
      this.#watch.rescue();
      const { epoch, epochs } = this.#store.resume;
      writeEpochs(path, epoch, epochs, gateway);
    });
    const code = meddling === "file-cut" ? { code: "SQLITE_CORRUPT" } : {};
    this.#letGo(Object.assign(new Error(meddlings[meddling]), code), 0);
  }
}

/** Whether a folder is on a file system, or would be if it were made: without its mount it would be on another. */
function isOn(device: number, folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  return (found ?? statSync(dirname(folder))).dev === device;
}
