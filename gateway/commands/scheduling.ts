import { type Level, levelAt, type Scheduled } from "../schedules/levels.ts";
import type { Bench } from "./bench.ts";
import { checkDevice } from "./checks.ts";
import type { CommandValue } from "./command.ts";
import type { Job } from "./execution.ts";
import type { Moment } from "./journal.ts";
import type { Order } from "./memory.ts";
import type { CommandState } from "./state.ts";

/**
 * Keeps points at what their schedules say at this moment: after a start, a change, a reconnect, a device that forgot.
 * A lease goes before it, and so does an order for good until the schedule says something else. What is right already
 * is not written.
 */

/** kept: the device shows it · due: not looked at yet · leased, ordered: somebody goes before · held: see `problem`. */
export type ScheduleState = "kept" | "due" | "leased" | "ordered" | "held";

/** What stands against a schedule; the texts stand in the table of causes. */
export type ScheduleProblem =
  | "KERB-SCH-CLOCK"
  | "KERB-SCH-OVERRIDE"
  | "KERB-SCH-NOT-KEPT"
  | "KERB-SCH-LET-GO";

/** A schedule as `kerb device show` tells it. Times are ms since 1970 UTC. */
export interface ScheduleReport {
  point: string;
  /** null: nothing now. */
  value: CommandValue | null;
  sinceMs?: number;
  /** When it says something else. */
  untilMs?: number;
  state: ScheduleState;
  /** What stands against it, and by whose words; absent while the device is only not there. */
  problem?: ScheduleProblem;
  reason?: string;
}

const tickMs = 1000;
const checkMs = 10_000;
const retryMs = 60_000;
const retryMsMax = 900_000;
/** Where nothing is known of what a point shows it is read that often. */
const rereadMs = 60_000;
/** A device that has let go so often does not keep what it is told. */
const letGoMax = 3;
const noneMs = 3_600_000;
/** Points that are read and written at one moment: behind one line they wait for each other, and not for long. */
const turnsMax = 8;

type Present = Omit<Level, "value"> & { value: CommandValue | undefined };
/** What a device has shown last, by point. */
type Shown = (device: string) => Promise<ReadonlyMap<string, CommandValue>>;
type Standing = Pick<ScheduleReport, "state" | "problem" | "reason">;

/** A scheduled point and how it stands. Times beside those of `level` are monotonic ms. */
interface Kept extends Scheduled {
  level: Present | undefined;
  standing: Standing;
  /** The problem that was told. */
  told: ScheduleProblem | undefined;
  /** What was read last says nothing any more. */
  mustRead: boolean;
  dueMs: number;
  readMs: number;
  notBeforeMs: number;
  pauseMs: number;
  /** How often this level was written. */
  writes: number;
  /** While it is looked at. */
  running: Promise<void> | undefined;
}

const keyOf = (device: string, point: string): string => `${device}/${point}`;

/** Scaled numbers come back with the noise of their scale. */
function isSame(shown: CommandValue, wanted: CommandValue): boolean {
  if (typeof shown !== "number" || typeof wanted !== "number") return shown === wanted;
  return Math.abs(shown - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted));
}

export class Scheduling {
  readonly #bench: Bench;
  readonly #settle: Job["settle"];
  readonly #write: (device: string, point: string, value: CommandValue) => Promise<CommandState>;
  #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | undefined;
  #isClockTold = false;
  #turns = 0;
  readonly #waiting: (() => void)[] = [];

  /** `write`: as a command, in the turn of the device that has begun already. */
  constructor(
    bench: Bench,
    settle: Job["settle"],
    write: (device: string, point: string, value: CommandValue) => Promise<CommandState>,
  ) {
    this.#bench = bench;
    this.#settle = settle;
    this.#write = write;
    this.renew(bench.options.schedules ?? []);
  }

  /** These hold from here on; one that says the same goes on as it was. */
  renew(schedules: readonly Scheduled[]): void {
    const before = this.#kept;
    this.#kept = new Map();
    for (const scheduled of schedules) {
      const key = keyOf(scheduled.device, scheduled.point);
      const known = before.get(key);
      before.delete(key);
      this.#kept.set(
        key,
        known !== undefined && saysSame(known, scheduled) ? known : fresh(scheduled, known),
      );
    }
    for (const { device, point, told } of before.values())
      if (told !== undefined)
        this.#bench.options.note?.(device, { report: "schedule", point, schedule: "ended" });
    if (this.#timer !== undefined) void this.look();
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#bench.options.scheduleTickMs ?? tickMs).unref();
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Something has changed about a device: what it showed before says nothing. */
  wake(device: string): void {
    for (const one of this.#kept.values()) if (one.device === device) again(one);
    void this.look();
  }

  /** What a point is to be now; undefined: nothing is known of that, or somebody has ordered something else since. */
  valueOf(device: string, point: string): CommandValue | undefined {
    const one = this.#kept.get(keyOf(device, point));
    const now = this.#bench.options.now();
    if (one === undefined || now.clock === "unsynced") return undefined;
    const { value, sinceMs } = this.#present(one, now);
    return this.#isOrdered(one, sinceMs, now) ? undefined : value;
  }

  /** Until the schedule of a point says something else, ms; undefined: there is none, or the time is not known. */
  untilChangeMs(device: string, point: string): number | undefined {
    const one = this.#kept.get(keyOf(device, point));
    const now = this.#bench.options.now();
    if (one === undefined || now.clock === "unsynced") return undefined;
    return this.#present(one, now).untilMs - now.wallMs;
  }

  /** How the schedules of a device stand. */
  reportsOf(device: string): ScheduleReport[] {
    return [...this.#kept.values()]
      .filter((one) => one.device === device)
      .map(({ point, level, standing }) => ({
        point,
        value: level?.value ?? null,
        ...(level?.value === undefined ? {} : { sinceMs: level.sinceMs }),
        ...(level === undefined || level.untilMs === Infinity ? {} : { untilMs: level.untilMs }),
        ...standing,
      }));
  }

  /** The clock may have been set: each time it is asked anew what holds now. */
  #present(one: Kept, { wallMs }: Moment): Present {
    const { level } = one;
    if (level !== undefined && level.sinceMs <= wallMs && wallMs < level.untilMs) return level;
    const nothing = { value: undefined, sinceMs: wallMs, untilMs: wallMs + noneMs };
    const found = levelAt(one.entries, wallMs, one.site) ?? nothing;
    if (found.sinceMs !== level?.sinceMs) {
      again(one);
      Object.assign(one, { writes: 0, notBeforeMs: -Infinity, pauseMs: retryMs });
      one.standing = { state: "due" };
    }
    one.level = found;
    return found;
  }

  /** Does what is due; resolves when that is done, and what was under way. Never rejects. */
  async look(): Promise<void> {
    const now = this.#bench.options.now();
    if (this.#bench.isStopping) return;
    const isWrong = now.clock === "unsynced" && this.#kept.size > 0;
    if (isWrong !== this.#isClockTold) this.#tellClock(isWrong);
    const latest = new Map<string, ReturnType<Shown>>();
    const shown: Shown = (device) => {
      const known = latest.get(device) ?? this.#bench.options.field.latest(device, this.#bench.signal);
      latest.set(device, known);
      return known;
    };
    for (const one of this.#kept.values()) {
      if (isWrong) {
        one.level = undefined;
        one.standing = { state: "held", problem: "KERB-SCH-CLOCK", reason: "the clock is unsynced" };
        continue;
      }
      const { value } = this.#present(one, now);
      if (value === undefined || one.running !== undefined || one.dueMs > now.monoMs) continue;
      one.running = this.#keep(one, value, shown).finally(() => {
        one.running = undefined;
      });
    }
    await Promise.all([...this.#kept.values()].flatMap(({ running }) => running ?? []));
  }

  #tellClock(isWrong: boolean): void {
    this.#isClockTold = isWrong;
    const why = isWrong ? { code: "KERB-SCH-CLOCK", reason: "the clock is unsynced" } : {};
    this.#bench.options.note?.(undefined, {
      report: "schedule",
      schedule: isWrong ? "held" : "kept",
      ...why,
    });
  }

  async #keep(one: Kept, value: CommandValue, shown: Shown): Promise<void> {
    const { options } = this.#bench;
    try {
      one.dueMs = options.now().monoMs + (options.scheduleCheckMs ?? checkMs);
      if (this.#isHeld(one)) one.dueMs = -Infinity;
      else if (options.now().monoMs >= one.notBeforeMs && (await this.#isOff(one, value, shown)))
        await this.#inTurn(() => this.#bench.queue.run(one.device, () => this.#turn(one)));
    } catch (error) {
      this.#failed(one, String(error));
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#turns >= turnsMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#turns++;
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#turns--;
      else next();
    }
  }

  /** Whether the point may be something else than it is to be: by what the device has shown last, where that is known. */
  async #isOff(one: Kept, value: CommandValue, shown: Shown): Promise<boolean> {
    if (one.mustRead) return true;
    const { options } = this.#bench;
    const now = (await shown(one.device).catch(() => undefined))?.get(one.shownAt);
    if (now !== undefined) return !isSame(now, value);
    return options.now().monoMs - one.readMs >= rereadMs;
  }

  /** Somebody goes before the schedule, or the device does not take anything now. */
  #isHeld(one: Kept): boolean {
    const { memory, options } = this.#bench;
    const { device, point, level } = one;
    const refused = checkDevice(device, false, options.facts(device));
    const isLeased = memory.lease(device, point) !== undefined;
    const isOrdered = level !== undefined && this.#isOrdered(one, level.sinceMs, options.now());
    if (!isLeased && !isOrdered && refused === undefined) return false;
    again(one);
    if (refused === undefined) this.#stand(one, { state: isLeased ? "leased" : "ordered" });
    else if (refused.code === "KERB-CMD-OFFLINE") one.standing = { state: "held", reason: refused.reason };
    else this.#stand(one, { state: "held", problem: problemOf(refused.code), reason: refused.reason });
    return true;
  }

  #isOrdered({ device, point }: Kept, sinceMs: number, now: Moment): boolean {
    const order: Order | undefined = this.#bench.memory.order(device, point);
    if (order === undefined) return false;
    // The clock may have been set since: how long ago it was does not change by that.
    const atMs = order.boot === now.boot ? now.wallMs - (now.monoMs - order.mono) : order.atMs;
    return atMs >= sinceMs && atMs <= now.wallMs;
  }

  /** In the turn of the device: nobody else writes to it meanwhile. */
  async #turn(one: Kept): Promise<void> {
    const { options, signal } = this.#bench;
    const { device, point } = one;
    await this.#settle(device, [point]);
    const now = options.now();
    if (this.#bench.isStopping || now.clock === "unsynced" || this.#kept.get(keyOf(device, point)) !== one)
      return;
    const { value } = this.#present(one, now);
    if (value === undefined || this.#isHeld(one)) return;
    const shown = await options.field.read(device, point, signal, value);
    one.readMs = options.now().monoMs;
    if (shown.value === null) return this.#failed(one, shown.reason ?? "it cannot be read");
    if (isSame(shown.value, value)) return this.#isRight(one);
    const { state, code, reason } = await this.#write(device, point, value);
    if (state !== "done") return this.#failed(one, reason ?? state, code);
    one.writes++;
    this.#isRight(one);
    // It had it already, and has let go: whoever fights the device wears it out.
    if (one.writes > 1) this.#pause(one);
  }

  #isRight(one: Kept): void {
    one.mustRead = false;
    if (one.writes > letGoMax)
      this.#stand(one, { state: "kept", problem: "KERB-SCH-LET-GO", reason: `written ${one.writes} times` });
    else {
      if (one.writes <= 1) one.pauseMs = retryMs;
      this.#stand(one, { state: "kept" });
    }
  }

  #failed(one: Kept, reason: string, code?: string): void {
    one.mustRead = true;
    this.#pause(one);
    const said = code === undefined ? reason : `${code}: ${reason}`;
    this.#stand(one, { state: "held", problem: problemOf(code), reason: said });
  }

  #pause(one: Kept): void {
    one.notBeforeMs = this.#bench.options.now().monoMs + one.pauseMs;
    one.pauseMs = Math.min(retryMsMax, one.pauseMs * 2);
  }

  /** How it stands from here on; what is new of a problem, or its end, becomes an event. */
  #stand(one: Kept, standing: Standing): void {
    const { problem, reason, state: schedule } = standing;
    one.standing = standing;
    if (problem === one.told) return;
    one.told = problem;
    const why = problem === undefined ? {} : { code: problem, ...(reason === undefined ? {} : { reason }) };
    const value = one.level?.value;
    this.#bench.options.note?.(one.device, { report: "schedule", point: one.point, value, schedule, ...why });
  }
}

function problemOf(code: string | undefined): ScheduleProblem {
  return code === "KERB-CMD-OVERRIDE" ? "KERB-SCH-OVERRIDE" : "KERB-SCH-NOT-KEPT";
}

/** It is looked at anew, and as soon as its pause allows. */
function again(one: Kept): void {
  one.mustRead = true;
  one.dueMs = -Infinity;
}

function saysSame({ entries, site, shownAt }: Scheduled, other: Scheduled): boolean {
  const { entries: others, site: otherSite, shownAt: otherAt } = other;
  return JSON.stringify([entries, site, shownAt]) === JSON.stringify([others, otherSite, otherAt]);
}

/** `before`: what it was until now, with what was told of it. */
function fresh(scheduled: Scheduled, before?: Kept): Kept {
  return {
    ...scheduled,
    level: undefined,
    standing: { state: "due" },
    told: before?.told,
    mustRead: true,
    dueMs: -Infinity,
    readMs: -Infinity,
    notBeforeMs: -Infinity,
    pauseMs: retryMs,
    writes: 0,
    running: undefined,
  };
}
