import type { OutboxStore } from "../outbox/store.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { Lanes } from "./lanes.ts";

/**
 * A receiver whose database was set back to a backup asks again for what it had confirmed. What is still here goes
 * again; what is deleted is declared, or its watermark would wait for ever and the outbox fill up.
 */
export class SetBack {
  readonly #uplink: string;
  #newestMs = 0;
  /** By epoch, in memory: a deletion that the disk refused is not in the store. */
  readonly #confirmed = new Map<number, number>();
  #toldRun: string | undefined;
  /** Receiver's runs and epochs whose rows were queued again. */
  readonly #queued = new Set<string>();

  constructor(uplink: string) {
    this.#uplink = uplink;
  }

  /** Compares an acknowledgement with what was confirmed before; `session` is ours. */
  check(document: Acknowledgement, session: number, store: OutboxStore, lanes: Lanes): void {
    // An old document that comes late or again also says less than was confirmed.
    if (document.sess !== session || document.ts < this.#newestMs) return;
    this.#newestMs = document.ts;
    for (const record of store.epochs) {
      const state = document.ep[record.epoch];
      if (state === undefined) continue;
      const before = this.#confirmed.get(record.epoch) ?? 0;
      const released = Math.max(before, store.releasedBy(this.#uplink, record.epoch));
      this.#confirmed.set(record.epoch, Math.max(before, state.wm));
      if (state.wm >= released) continue;
      this.#tellAgain(document.run ?? "", store);
      const top = Math.max(state.wm, state.top ?? 0);
      const missing = [...(state.miss ?? []), [top + 1, released] as const];
      for (const [first, last] of missing) {
        const end = Math.min(last, released);
        if (first > end || !store.declareReleased(record, first, end)) continue;
        const name = `${document.run}:${record.epoch}:${first}`;
        if (this.#queued.has(name)) continue;
        this.#queued.add(name);
        lanes.again(record.base + first, record.base + end);
      }
    }
  }

  /** What had been declared to it may be gone too, with the gap event that told. */
  #tellAgain(run: string, store: OutboxStore): void {
    if (run === this.#toldRun) return;
    this.#toldRun = run;
    store.losses.reportAgain();
  }
}
