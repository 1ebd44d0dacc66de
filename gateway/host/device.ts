import { clockState, monotonicMs } from "../clock.ts";
import { DeviceError, type Connection, type Driver, type DriverContext, type ReadResult } from "../driver.ts";
import { EventWriter, quality, type EventKind } from "../event.ts";
import type { Handover } from "./handover.ts";
import {
  firmwareDoubt,
  identifyDevice,
  pointsFor,
  within,
  withFactors,
  type Recognised,
} from "./identify.ts";
import type { Line } from "./line.ts";
import type {
  DeviceReport,
  DeviceState,
  HostDevice,
  HostPoint,
  LatestReading,
  PollClass,
} from "./messages.ts";
import { Normaliser, shownReadings } from "./normalise.ts";
import { PollCounter } from "./poll-report.ts";

const connectTimeoutMs = 10_000;
/** A read may take several requests; past this the device is taken for lost whatever its driver waits for. */
const readTimeoutMs = 15_000;
const backOffFirstMs = 1000;
const backOffMaxMs = 30_000;
/** A poll that finds the hand-over full waits this long for room before it goes on and lets the oldest drop. */
const roomWaitMs = 50;
/** Answers of one poll that lie further apart than this carry their own times. */
const spreadMs = 10;
/** A driver's `close` may take a second; one that takes longer is not waited for. */
const closeTimeoutMs = 1000;

/** Something else answers at the device's address. */
class WrongDeviceError extends Error {}

interface Group {
  name: PollClass;
  points: HostPoint[];
  normaliser: Normaliser;
  periodMs: number;
  dueMs: number;
  latest: { result: ReadResult; timeMs: number } | undefined;
}

export interface DeviceOptions {
  driver: Driver<unknown, unknown>;
  device: HostDevice;
  line: Line | undefined;
  handover: Handover;
  context: DriverContext;
  /** Place of this device among its host's, 0 to 1: spreads the polls over the period. */
  phase: number;
  changed(report: DeviceReport): void;
}

/** One for all devices: an event is written and handed over without a pause in between. */
const writer = new EventWriter();

/** Runs one device: connect, identify, poll, back off. Never throws; ends with `stop`. */
export class DeviceLoop {
  readonly #options: DeviceOptions;
  readonly #device: HostDevice;
  readonly #byClass: Record<PollClass, HostPoint[]>;
  readonly #stopping = new AbortController();
  #groups: Group[] = [];
  #connection: Connection<unknown> | undefined;
  #busy: Promise<void> = Promise.resolve();
  #failures = 0;
  /** Has not answered since it was last lost: on a shared line it gets its turn within the dead units' budget. */
  #isSuspect = true;
  #aliveMs = 0;
  #extraQuality = 0;
  #report: DeviceReport;
  readonly #polls = new PollCounter();
  #wake: (() => void) | undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#byClass = byClass(options.device.points);
    this.#report = {
      id: options.device.id,
      state: "starting",
      sinceMs: Date.now(),
      polls: 0,
      answered: 0,
      failed: 0,
      missed: 0,
      lastReadMs: 0,
    };
    this.#regroup(undefined);
  }

  get report(): DeviceReport {
    return { ...this.#report };
  }

  /** Ends when `stop` is called. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const startedMs = performance.now();
      try {
        await this.#open();
        if (this.#groups.length === 0) this.#set("online");
        while (!signal.aborted) await this.#pollNext();
      } catch (error) {
        await this.#lost(error, startedMs);
      }
    }
    await this.#close();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake?.();
    await this.#close();
  }

  async #open(): Promise<void> {
    const { driver, context } = this.#options;
    const recognised = await this.#alone(() =>
      within(connectTimeoutMs, this.#stopping.signal, async (signal) => {
        const connection = await driver.connect(this.#device.settings, context, signal);
        if (signal.aborted) {
          // A driver that was given up on may still come back with a connection.
          void connection.close().catch(() => {});
          throw new DeviceError("aborted", `${this.#device.id} was connected too late`);
        }
        this.#connection = connection;
        const found = await identifyDevice(driver, connection, this.#device.identify, signal);
        if (found.mismatch !== undefined) throw new WrongDeviceError(found.mismatch);
        return found;
      }),
    );
    this.#recognise(recognised);
  }

  #alive(): void {
    this.#isSuspect = false;
    this.#aliveMs = performance.now();
  }

  #recognise({ identity }: Recognised): void {
    const hasAnswered = Object.keys(identity).length > 0;
    if (hasAnswered) this.#alive();
    const before = this.#report.identity;
    if (hasAnswered) this.#report.identity = identity;
    const doubt = firmwareDoubt(identity, this.#device.firmwareRange);
    this.#regroup(identity.firmware);
    this.#extraQuality = doubt === undefined ? 0 : quality.uncertain;
    for (const group of this.#groups) group.normaliser.extraQuality = this.#extraQuality;
    const changed = before !== undefined && JSON.stringify(before) !== JSON.stringify(this.#report.identity);
    if (changed)
      this.#event("device-status", { state: "identity-changed", before, now: this.#report.identity });
    if (doubt !== undefined) this.#event("device-status", { state: "firmware-unknown", reason: doubt });
  }

  /** Splits the points that hold for a firmware into poll groups; an unknown one gets what the newest has. */
  #regroup(firmware: string | undefined): void {
    const now = performance.now();
    this.#groups = pollClasses.flatMap((name) => {
      const points = pointsFor(this.#byClass[name], firmware);
      if (!points.some((point) => point.poll === name)) return [];
      const periodMs = this.#device.pollMs[name];
      // A new connection keeps the schedule of the last one; the first poll is spread over the period.
      const before = this.#groups.find((group) => group.name === name);
      const dueMs =
        before === undefined
          ? now + this.#options.phase * Math.min(periodMs, 10_000)
          : Math.max(now, before.dueMs);
      const same =
        before?.points.length === points.length && before.points.every((point, i) => point === points[i]);
      return [
        {
          name,
          points,
          normaliser: new Normaliser(points),
          periodMs,
          dueMs,
          latest: same ? before.latest : undefined,
        },
      ];
    });
  }

  async #pollNext(): Promise<void> {
    let next = this.#groups[0];
    for (const group of this.#groups) if (next === undefined || group.dueMs < next.dueMs) next = group;
    if (next === undefined) {
      await this.#sleep(60_000);
      return;
    }
    await this.#sleep(next.dueMs - performance.now());
    if (this.#stopping.signal.aborted) return;
    const waiting = this.#options.handover.room(roomWaitMs);
    if (waiting !== undefined) await waiting;
    await this.#poll(next);
    const now = performance.now();
    next.dueMs += next.periodMs;
    if (next.dueMs < now) {
      const missed = Math.floor((now - next.dueMs) / next.periodMs);
      this.#report.missed += missed;
      next.dueMs += missed * next.periodMs;
    }
  }

  async #poll(group: Group): Promise<void> {
    this.#report.polls++;
    const startedMs = performance.now();
    const result = await this.#read(group.points, false);
    this.#report.answered++;
    this.#report.lastReadMs = performance.now() - startedMs;
    this.#failures = 0;
    this.#alive();
    this.#set("online");
    this.#publish(group, result);
  }

  #publish(group: Group, result: ReadResult): void {
    const nowMs = performance.now();
    const wallMs = Date.now();
    let ageMs = 0;
    let offsets: number[] | undefined;
    if (result.atMs !== undefined && result.atMs.length > 0) {
      let first = Infinity;
      let last = 0;
      for (const at of result.atMs) {
        if (at < first) first = at;
        if (at > last) last = at;
      }
      ageMs = nowMs - first;
      if (last - first > spreadMs) offsets = result.atMs.map((at) => Math.round(at - first));
    }
    const timeMs = Math.round(wallMs - ageMs);
    group.latest = { result, timeMs };
    this.#report.lastGoodMs = timeMs;
    writer.begin("telemetry", this.#device.index, timeMs, monotonicMs() - ageMs, clockState());
    if (group.normaliser.write(result, writer, nowMs, offsets) > 0) {
      this.#options.handover.push(1, writer.bytes());
    }
  }

  async #read(points: readonly HostPoint[], raw: boolean): Promise<ReadResult> {
    // Who asks while the device is being opened shall not wait for that.
    this.#connected();
    return this.#alone(() => {
      const connection = this.#connected();
      return within(readTimeoutMs, this.#stopping.signal, (signal) =>
        connection.read(points, { signal, raw }),
      );
    });
  }

  #connected(): Connection<unknown> {
    if (this.#connection !== undefined) return this.#connection;
    throw new DeviceError("closed", `${this.#device.id} is not connected`);
  }

  /** Runs `work` alone on the connection and on its line; a failure costs the connection. */
  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const before = this.#busy;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy = promise;
    let release: (() => void) | undefined;
    try {
      await before;
      const { line } = this.#options;
      release = await line?.acquire({
        isSuspect: this.#isSuspect,
        aliveMs: this.#aliveMs,
        signal: this.#stopping.signal,
      });
      const startedMs = performance.now();
      try {
        return await work();
      } catch (error) {
        await this.#close();
        if (error instanceof WrongDeviceError) {
          this.#alive();
          throw error;
        }
        const nowMs = performance.now();
        const mayRetry = line?.spent(nowMs - startedMs, nowMs) ?? true;
        // A lone lost answer may be noise; when several units fail, each has to wait.
        this.#isSuspect ||= !mayRetry || this.#failures > 0;
        throw error;
      }
    } finally {
      release?.();
      resolve();
    }
  }

  async #lost(error: unknown, startedMs: number): Promise<void> {
    await this.#close();
    if (this.#stopping.signal.aborted) return;
    this.#report.failed++;
    this.#failures++;
    const code = error instanceof DeviceError ? error.code : "internal";
    const reason = error instanceof Error ? error.message : String(error);
    if (!(error instanceof DeviceError || error instanceof WrongDeviceError))
      this.#options.context.log("warn", `${reason}\n${(error as Error).stack ?? ""}`);
    if (error instanceof WrongDeviceError) this.#set("wrong-device", "wrong-device", reason);
    // One lost answer on a good link is met by a new connection at once; only a second failure is news.
    else if (this.#failures === 1 && this.#report.state === "online" && !this.#isSuspect) return;
    else this.#set("lost", code, reason);
    const backOffMs = Math.min(backOffMaxMs, backOffFirstMs * 2 ** Math.min(10, this.#failures - 1));
    const spentMs = performance.now() - startedMs;
    await this.#sleep(Math.max(backOffMs * (0.75 + Math.random() / 2) - spentMs, 100));
  }

  #set(state: DeviceState, code?: string, reason?: string): void {
    const { state: before, code: codeBefore } = this.#report;
    if (state === before && code === codeBefore) return;
    const { code: _code, reason: _reason, ...kept } = this.#report;
    this.#report = { ...kept, state, sinceMs: Date.now() };
    if (code !== undefined) this.#report.code = code;
    if (reason !== undefined) this.#report.reason = reason;
    const { identity } = this.#report;
    this.#event("device-status", {
      state,
      ...(code === undefined ? {} : { code }),
      ...(reason === undefined ? {} : { reason }),
      ...(state === "online" && identity !== undefined ? { identity } : {}),
    });
    this.#options.changed(this.report);
  }

  #event(kind: EventKind, data: Record<string, unknown>, lane: 0 | 1 = 0): void {
    writer.begin(kind, this.#device.index, Date.now(), monotonicMs(), clockState());
    writer.object(data);
    this.#options.handover.push(lane, writer.bytes());
  }

  /** Hands over how many polls there were since the last time that this was called. */
  reportPolls(fromMs: number, toMs: number): void {
    this.#event("device-status", { ...this.#polls.take(this.#report, fromMs, toMs) }, 1);
  }

  /** The newest values as the last polls found them, in the profile's order. */
  latest(): LatestReading[] {
    const { driver } = this.#options;
    return this.#ordered(
      this.#groups.flatMap(({ points, normaliser, latest }) =>
        latest === undefined ? [] : shownReadings(driver, points, normaliser, latest.result, latest.timeMs),
      ),
    );
  }

  /** Reads now, between polls, with the bytes of each value. `names` empty: all points. */
  async readNow(names: readonly string[], raw: boolean): Promise<LatestReading[]> {
    const all = this.#groups.flatMap((group) => group.points.filter((point) => point.poll === group.name));
    const points = withFactors(all, names);
    const normaliser = new Normaliser(points);
    normaliser.extraQuality = this.#extraQuality;
    const result = await this.#read(points, raw);
    const shown = shownReadings(this.#options.driver, points, normaliser, result, Date.now());
    return this.#ordered(names.length === 0 ? shown : shown.filter(({ point }) => names.includes(point)));
  }

  #ordered(readings: readonly LatestReading[]): LatestReading[] {
    const byPoint = new Map(readings.map((reading) => [reading.point, reading]));
    return this.#device.points.flatMap((point) => byPoint.get(point.name) ?? []);
  }

  async #close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, closeTimeoutMs);
    connection.close().then(resolve, () => resolve());
    await promise;
    clearTimeout(timer);
  }

  async #sleep(forMs: number): Promise<void> {
    if (forMs <= 0 || this.#stopping.signal.aborted) {
      // The loop must breathe even when every poll is overdue, or one fast device starves the rest of its host.
      await new Promise((resolve) => setImmediate(resolve));
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, forMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const pollClasses: PollClass[] = ["fast", "normal", "slow"];

/** Points by poll class. A scale factor is read with each point that it scales, and published in its own class only. */
function byClass(points: readonly HostPoint[]): Record<PollClass, HostPoint[]> {
  const of = (name: PollClass): HostPoint[] => {
    const mine = points.filter((point) => point.poll === name);
    const needed = new Set(mine.map((point) => point.scaleFactor));
    const factors = points.filter((point) => needed.has(point.name) && point.poll !== name);
    return [...mine, ...factors.map((factor) => ({ ...factor, index: -1 }))];
  };
  return { fast: of("fast"), normal: of("normal"), slow: of("slow") };
}
