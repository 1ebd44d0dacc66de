import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { type Figures, noFigures, NoteWriter } from "./notes.ts";

/**
 * On whose behalf code runs: the dictionary index of a device. Devices on one wire share a scope, for they share a
 * socket or a port; it names the one whose turn it is.
 */
export interface Scope {
  device: number;
}

/**
 * Knows at each moment which device's code runs: in a call of the driver, and in every timer, event and promise
 * that the call has left behind. An uncaught error is noted always. What runs is noted only while the host is
 * watched closely, after it has died for an unknown reason: an endless loop, a blocked call and a crash then leave
 * their device's index behind, and memory that grows is booked to the device whose code ran last.
 */
export class Witness {
  readonly #scopes = new AsyncLocalStorage<Scope>();
  readonly #notes: NoteWriter;
  readonly #figures: Figures = { ...noFigures };
  readonly #grown = new Map<number, number>();
  /** What was running when something began inside of it. */
  readonly #below: number[] = [];
  readonly #hook = createHook({
    before: () => this.#begin(this.#scopes.getStore()?.device ?? -1),
    after: () => this.#end(),
  });
  #isClose = false;

  constructor(descriptor: number) {
    this.#notes = new NoteWriter(descriptor);
    process.on("uncaughtException", (error) => this.#uncaught(error));
    // A driver that ends the process leaves its name too.
    process.on("exit", () => this.#note(this.#scopes.getStore()?.device ?? -1));
  }

  /** Starts `work` on behalf of a device, with all that it leaves behind. What it throws at once ends the host. */
  run<Result>(scope: Scope, work: () => Result): Result {
    return this.#scopes.run(scope, () => {
      this.#begin(scope.device);
      try {
        return work();
      } catch (error) {
        return this.#uncaught(error);
      } finally {
        this.#end();
      }
    });
  }

  /** From here on the scope's code runs for this device. */
  turn(scope: Scope, device: number): void {
    scope.device = device;
    if (this.#isClose && this.#scopes.getStore() === scope) this.#note(device);
  }

  /** Whether each change of who runs is noted. It costs about two microseconds a callback. */
  watchClosely(on: boolean): void {
    if (on === this.#isClose) return;
    this.#isClose = on;
    if (on) {
      this.#grown.clear();
      const rss = process.memoryUsage.rss();
      Object.assign(this.#figures, noFigures, { rssAtSwitch: rss, rssAtStart: rss });
      this.#hook.enable();
    } else {
      this.#hook.disable();
      this.#below.length = 0;
      Object.assign(this.#figures, noFigures);
    }
    this.#notes.write(this.#figures);
  }

  #begin(device: number): void {
    const figures = this.#figures;
    this.#below.push(figures.running);
    figures.steps++;
    if (this.#isClose && device !== figures.account) this.#switch(device);
    this.#note(device);
  }

  #end(): void {
    this.#note(this.#below.pop() ?? -1);
  }

  #note(device: number): void {
    if (device === this.#figures.running) return;
    this.#figures.running = device;
    this.#notes.write(this.#figures);
  }

  /** Books what memory has grown since the last change to the one who ran until now. */
  #switch(device: number): void {
    const figures = this.#figures;
    const rss = process.memoryUsage.rss();
    const bytes = figures.accountBytes + rss - figures.rssAtSwitch;
    this.#grown.set(figures.account, bytes);
    if (figures.account >= 0 && (bytes > figures.leaderBytes || figures.account === figures.leader)) {
      figures.leader = figures.account;
      figures.leaderBytes = bytes;
    }
    figures.account = device;
    figures.accountBytes = this.#grown.get(device) ?? 0;
    figures.rssAtSwitch = rss;
  }

  #uncaught(error: unknown): never {
    const { stack, message } = error instanceof Error ? error : new Error(String(error));
    this.#note(this.#scopes.getStore()?.device ?? -1);
    this.#notes.fault(message);
    process.stderr.write(`${stack ?? message}\n`);
    process.exit(1);
  }
}
