import { createClock } from "@sinonjs/fake-timers";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { crc32 } from "node:zlib";
import { clockState, doubtClock } from "../../gateway/clock.ts";
import { seededRandom } from "../../simulators/simulator.ts";

/**
 * Virtual time for a whole seed: timers, wall clocks, monotonic clock and Math.random are the world's while it
 * runs. What is not a timer (promises, streams) runs to its end between two timers, so a seed has one order.
 */

/** A pretend machine: its wall clock may be wrong; monotonic time is everyone's. */
export interface Box {
  wallOffsetMs: number;
  /** Every offset that its clock has had. */
  offsetsMs: Set<number>;
  /** Its present boot: number and when it began. */
  boot: number;
  bootedMs: number;
}

/** A machine that has just been switched on. */
export function newBox(): Box {
  return { wallOffsetMs: 0, offsetsMs: new Set([0]), boot: 1, bootedMs: 0 };
}

/** Whatever the clock gives for a timer. */
type Handle = unknown;

/** A pretend process: its timers end with it. */
export class Actor {
  readonly name: string;
  readonly box: Box;
  alive = true;
  /** Called after each of its turns. */
  turned: (() => void) | undefined;
  readonly intervals = new Set<Handle>();

  constructor(name: string, box: Box) {
    this.name = name;
    this.box = box;
  }
}

/** What broke first, and what led to it. */
export interface Violation {
  atMs: number;
  text: string;
  context: string[];
}

const epochStartMs = Date.UTC(2026, 9, 1);
const contextLines = 80;
const timesyncMark = "/run/systemd/timesync/synchronized";
const bootFile = "/proc/sys/kernel/random/boot_id";
/** Far more than any second of any seed needs: who sets timers for "now" without end is caught here. */
const stepsWithoutTimeMax = 200_000;

const real = {
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  setImmediate,
  clearImmediate,
  now: Date.now,
  random: Math.random,
  hrtime: process.hrtime,
  readFileSync: fs.readFileSync,
  statSync: fs.statSync,
};

export class World {
  readonly #clock = createClock(0);
  readonly #seed: number;
  readonly #print: boolean;
  readonly #lines: string[] = [];
  current: Actor = new Actor("world", newBox());
  readonly chaos = this.current;
  violation: Violation | undefined;
  hash = 0;
  steps = 0;
  readonly #rejected = (reason: unknown): void => this.#threw(reason);

  constructor(seed: number, print = false) {
    this.#seed = seed;
    this.#print = print;
  }

  /** Monotonic ms since the seed began. */
  get nowMs(): number {
    return this.#clock.now;
  }

  /** What a clock that is right shows at a moment of the seed, ms since 1970. */
  trueMs(atMs: number): number {
    return epochStartMs + atMs;
  }

  /** A stream of random numbers of its own: what one part draws does not shift another's. */
  random(name: string): () => number {
    return seededRandom(crc32(name, this.#seed));
  }

  /** One line of the trace; the hash over all of them is the seed's identity. */
  trace(text: string): void {
    const line = `${(this.nowMs / 1000).toFixed(3).padStart(9)} ${this.current.name.padEnd(9)} ${text}`;
    this.hash = crc32(line, this.hash);
    this.#lines.push(line);
    if (this.#lines.length > contextLines * 2) this.#lines.splice(0, contextLines);
    if (this.#print) console.log(line);
  }

  /** An invariant does not hold. Only the first one counts: what follows may be its consequence. */
  fail(text: string): void {
    if (this.violation !== undefined) return;
    this.trace(`VIOLATION ${text}`);
    this.violation = { atMs: this.nowMs, text, context: this.#lines.slice(-contextLines) };
  }

  /** Runs `work` as a turn of `actor`. */
  enter<Result>(actor: Actor, work: () => Result): Result {
    const before = this.current;
    this.current = actor;
    try {
      return work();
    } finally {
      this.current = before;
    }
  }

  /** A turn of `actor` after `afterMs`, if it lives then. */
  after(actor: Actor, afterMs: number, work: () => void): Handle {
    return this.#clock.setTimeout(() => this.#turn(actor, work), Math.max(0, afterMs));
  }

  cancel(handle: Handle): void {
    this.#clock.clearTimeout(handle as never);
  }

  /** Ends a process as kill -9 does. */
  kill(actor: Actor): void {
    actor.alive = false;
    for (const handle of actor.intervals) this.#clock.clearInterval(handle as never);
    actor.intervals.clear();
  }

  #turn(actor: Actor, work: () => void): void {
    if (!actor.alive) return;
    this.current = actor;
    try {
      work();
    } catch (error) {
      this.#threw(error);
    }
  }

  #threw(error: unknown): void {
    this.fail(`${this.current.name} threw: ${error instanceof Error ? (error.stack ?? "") : String(error)}`);
  }

  /** Takes over time and chance in this process; `uninstall` gives them back. */
  install(): void {
    const clock = this.#clock;
    const owned =
      (set: (work: () => void, ms: number) => Handle) =>
      (work: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Handle => {
        const owner = this.current;
        return set(() => this.#turn(owner, () => work(...args)), ms);
      };
    Object.assign(globalThis, {
      setTimeout: owned((work, ms) => clock.setTimeout(work, ms)),
      setImmediate: owned((work) => clock.setImmediate(work)),
      setInterval: owned((work, ms) => {
        const handle = clock.setInterval(work, ms);
        this.current.intervals.add(handle);
        return handle;
      }),
      clearTimeout: (handle: never) => clock.clearTimeout(handle),
      clearImmediate: (handle: never) => clock.clearImmediate(handle),
      clearInterval: (handle: never) => {
        this.current.intervals.delete(handle);
        clock.clearInterval(handle);
      },
    });
    Date.now = () => Math.floor(epochStartMs + clock.now + this.current.box.wallOffsetMs);
    performance.now = () => clock.now;
    process.hrtime = (() => {
      const ms = clock.now - this.current.box.bootedMs;
      return [Math.floor(ms / 1000), (ms % 1000) * 1e6];
    }) as typeof process.hrtime;
    fs.readFileSync = ((path: string, ...rest: []) =>
      path === bootFile ? `boot-${this.current.box.boot}\n` : real.readFileSync(path, ...rest)) as never;
    // Only the seed's own mark counts.
    const writable = fs as { statSync: unknown };
    writable.statSync = (path: string, ...rest: []) =>
      path === timesyncMark ? undefined : real.statSync(path, ...rest);
    syncBuiltinESMExports();
    this.freshClock();
    Math.random = this.random("product");
    process.on("unhandledRejection", this.#rejected);
  }

  /** What a process that has just started knows of its clock: nothing. */
  freshClock(): void {
    clockState();
    doubtClock({ isWrong: false, staleMarkMs: undefined });
    clockState();
  }

  uninstall(): void {
    const { now, random, hrtime, readFileSync, statSync, ...timers } = real;
    Object.assign(globalThis, timers);
    process.hrtime = hrtime;
    fs.readFileSync = readFileSync;
    (fs as { statSync: unknown }).statSync = statSync;
    syncBuiltinESMExports();
    Date.now = now;
    // The own property that hides the prototype's.
    delete (performance as { now?: unknown }).now;
    Math.random = random;
    process.off("unhandledRejection", this.#rejected);
  }

  /** Runs until `untilMs` of virtual time, or until an invariant is broken. */
  async run(untilMs: number): Promise<void> {
    const end = { reached: false };
    this.#clock.setTimeout(() => (end.reached = true), Math.max(0, untilMs - this.nowMs));
    let stoodAtMs = -1;
    let stood = 0;
    while (!end.reached && this.violation === undefined) {
      this.#clock.next();
      this.steps++;
      // Promises and streams of this turn come to rest before time goes on.
      await new Promise((resolve) => real.setImmediate(resolve));
      // What a turn still does after its process was killed in it, nobody has done.
      if (this.current.alive) this.current.turned?.();
      stood = this.nowMs === stoodAtMs ? stood + 1 : 0;
      stoodAtMs = this.nowMs;
      if (stood > stepsWithoutTimeMax) this.fail("time stands still: timers for now without end");
    }
  }
}

/** Messages from one process to another: in order, each after a moment. */
export class Channel {
  readonly #world: World;
  readonly #to: Actor;
  readonly #delayMs: () => number;
  #lastAtMs = 0;
  readonly #queue: (() => void)[] = [];

  constructor(world: World, to: Actor, delayMs: () => number) {
    this.#world = world;
    this.#to = to;
    this.#delayMs = delayMs;
  }

  post(work: () => void): void {
    const { nowMs } = this.#world;
    this.#lastAtMs = Math.max(this.#lastAtMs, nowMs + this.#delayMs());
    // First come, first served: two sums of the same moment may differ in the last bit.
    this.#queue.push(work);
    this.#world.after(this.#to, this.#lastAtMs - nowMs, () => this.#queue.shift()?.());
  }
}
