import { clockState, monotonicMs } from "../clock.ts";
import {
  DeviceError,
  type Answer,
  type Connection,
  type Driver,
  type DriverContext,
  type Identity,
  type ReadResult,
} from "../driver.ts";
import { EventWriter, quality, type EventKind } from "../event.ts";
import { inFirmwareRange } from "../firmware.ts";
import type { Handover } from "./handover.ts";
import type { Line } from "./line.ts";
import type {
  DeviceReport,
  DeviceState,
  HostDevice,
  HostPoint,
  LatestReading,
  PollClass,
} from "./messages.ts";
import { Normaliser } from "./normalise.ts";

const connectTimeoutMs = 10_000;
/** A read may take several requests; past this the device is taken for lost whatever its driver waits for. */
const readTimeoutMs = 15_000;
const backOffFirstMs = 1000;
const backOffMaxMs = 30_000;
/** A poll that finds the hand-over full waits this long for room before it goes on and lets the oldest drop. */
const roomWaitMs = 50;
/** Answers of one poll that lie further apart than this carry their own times. */
const spreadMs = 10;

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

/** Runs one device: connect, identify, poll, back off. Never throws; ends with `stop`. */
export class DeviceLoop {
  readonly #options: DeviceOptions;
  readonly #device: HostDevice;
  readonly #writer = new EventWriter();
  readonly #stopping = new AbortController();
  #groups: Group[] = [];
  #connection: Connection<unknown> | undefined;
  #busy: Promise<void> = Promise.resolve();
  #failures = 0;
  #report: DeviceReport;
  #wake: (() => void) | undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#report = {
      id: options.device.id,
      state: "starting",
      sinceMs: Date.now(),
      polls: 0,
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
    const release = await this.#options.line?.acquire();
    const startedMs = performance.now();
    try {
      await this.#withDeadline(connectTimeoutMs, async (signal) => {
        this.#connection = await this.#options.driver.connect(
          this.#device.settings,
          this.#options.context,
          signal,
        );
        await this.#identify(this.#connection, signal);
      });
    } catch (error) {
      this.#options.line?.spent(performance.now() - startedMs, performance.now());
      throw error;
    } finally {
      release?.();
    }
  }

  /** Asks the device who it is, first by the protocol's means, then where the profile says. */
  async #identify(connection: Connection<unknown>, signal: AbortSignal): Promise<void> {
    const rules = this.#device.identify;
    let identity: Identity = {};
    if (rules === undefined || rules.standard) {
      try {
        identity = await connection.identify(signal);
      } catch (error) {
        if (!(error instanceof DeviceError) || error.code !== "unsupported") throw error;
      }
    }
    let mismatch: string | undefined;
    if (rules !== undefined) {
      const fields = (["vendor", "model", "firmware", "serial"] as const).filter(
        (field) => rules[field] !== undefined,
      );
      const points = [
        ...fields.map((field) => ({ name: field as string, address: rules[field] })),
        ...rules.expect.map(({ address }, i) => ({ name: `expect.${i}`, address })),
      ];
      const { answers } = points.length === 0 ? { answers: [] } : await connection.read(points, { signal });
      fields.forEach((field, i) => {
        const text = plain(answers[i]);
        if (text !== "") identity[field] = text;
      });
      rules.expect.forEach(({ address, equals }, i) => {
        const found = plain(answers[fields.length + i]);
        if (found !== String(equals)) {
          const place = this.#options.driver.describe(address);
          mismatch ??= `${place} holds ${found === "" ? "nothing" : found}, the profile expects ${equals}`;
        }
      });
    }
    this.#recognise(identity, mismatch);
  }

  #recognise(identity: Identity, mismatch: string | undefined): void {
    const before = this.#report.identity;
    if (Object.keys(identity).length > 0) this.#report.identity = identity;
    const { firmware } = identity;
    const covered = firmware === undefined || inFirmwareRange(firmware, this.#device.firmwareRange);
    this.#regroup(firmware);
    for (const group of this.#groups)
      group.normaliser.extraQuality = covered && mismatch === undefined ? 0 : quality.uncertain;
    if (mismatch !== undefined) this.#set("wrong-device", "wrong-device", mismatch);
    const changed = before !== undefined && JSON.stringify(before) !== JSON.stringify(this.#report.identity);
    if (changed)
      this.#event("device-status", { state: "identity-changed", before, now: this.#report.identity });
    if (!covered) {
      const reason = `firmware ${firmware} is outside the profile's range ${this.#device.firmwareRange}`;
      this.#event("device-status", { state: "firmware-unknown", reason });
    }
  }

  /** Splits the points that hold for a firmware into poll groups; an unknown one gets what the newest has. */
  #regroup(firmware: string | undefined): void {
    const version = firmware ?? "999999";
    const points = this.#device.points.filter(
      ({ when }) => when === undefined || inFirmwareRange(version, when),
    );
    const now = performance.now();
    this.#groups = (["fast", "normal", "slow"] as PollClass[]).flatMap((name) => {
      const mine = points.filter((point) => point.poll === name);
      if (mine.length === 0) return [];
      const periodMs = this.#device.pollMs[name];
      // A new connection keeps the schedule of the last one; the first poll is spread over the period.
      const before = this.#groups.find((group) => group.name === name);
      const dueMs =
        before === undefined
          ? now + this.#options.phase * Math.min(periodMs, 10_000)
          : Math.max(now, before.dueMs);
      const same =
        before?.points.length === mine.length && before.points.every((point, i) => point === mine[i]);
      return [
        {
          name,
          points: mine,
          normaliser: new Normaliser(mine),
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
    this.#report.lastReadMs = performance.now() - startedMs;
    this.#failures = 0;
    this.#set("online");
    this.#publish(group, result);
  }

  #publish(group: Group, result: ReadResult): void {
    const nowMs = performance.now();
    const wallMs = Date.now();
    let ageMs = 0;
    let offsets: number[] | undefined;
    if (result.atMs !== undefined && result.atMs.length > 0) {
      const first = Math.min(...result.atMs);
      ageMs = nowMs - first;
      if (Math.max(...result.atMs) - first > spreadMs)
        offsets = result.atMs.map((at) => Math.round(at - first));
    }
    const timeMs = Math.round(wallMs - ageMs);
    group.latest = { result, timeMs };
    this.#report.lastGoodMs = timeMs;
    this.#writer.begin("telemetry", this.#device.index, timeMs, monotonicMs() - ageMs, clockState());
    if (group.normaliser.write(result, this.#writer, nowMs, offsets) > 0) {
      this.#options.handover.push(1, this.#writer.bytes());
    }
  }

  /** One read on the connection: alone on it and on its line. */
  async #read(points: readonly HostPoint[], raw: boolean): Promise<ReadResult> {
    const before = this.#busy;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy = promise;
    await before;
    const release = await this.#options.line?.acquire();
    try {
      const connection = this.#connection;
      if (connection === undefined) throw new DeviceError("closed", `${this.#device.id} is not connected`);
      return await this.#withDeadline(readTimeoutMs, (signal) => connection.read(points, { signal, raw }));
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
    if (!(error instanceof DeviceError))
      this.#options.context.log("warn", `${reason}\n${(error as Error).stack ?? ""}`);
    // One lost answer on a good link is met by a new connection at once; only a second failure is news.
    if (this.#failures === 1 && this.#report.state === "online") return;
    this.#set("lost", code, reason);
    const backOffMs = Math.min(backOffMaxMs, backOffFirstMs * 2 ** Math.min(10, this.#failures - 1));
    const lineMs = this.#options.line?.deadWaitMs(performance.now()) ?? 0;
    const spentMs = performance.now() - startedMs;
    await this.#sleep(Math.max(lineMs, backOffMs * (0.75 + Math.random() / 2) - spentMs, 100));
  }

  #set(state: DeviceState, code?: string, reason?: string): void {
    const { state: before, code: codeBefore } = this.#report;
    if (state === "online" && before === "wrong-device") return;
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

  #event(kind: EventKind, data: Record<string, unknown>): void {
    this.#writer.begin(kind, this.#device.index, Date.now(), monotonicMs(), clockState());
    this.#writer.object(data);
    this.#options.handover.push(0, this.#writer.bytes());
  }

  /** The newest values as the last polls found them. */
  latest(): LatestReading[] {
    return this.#groups.flatMap((group) =>
      group.latest === undefined
        ? []
        : this.#readable(group.points, group.normaliser, group.latest.result, group.latest.timeMs),
    );
  }

  /** Reads now, between polls, with the bytes of each value. `names` empty: all points. */
  async readNow(names: readonly string[], raw: boolean): Promise<LatestReading[]> {
    const all = this.#groups.flatMap((group) => group.points);
    const wanted = names.length === 0 ? all : all.filter((point) => names.includes(point.name));
    // A scaled point cannot be told without its scale factor.
    const points = all.filter(
      (point) => wanted.includes(point) || wanted.some((one) => one.scaleFactor === point.name),
    );
    const result = await this.#read(points, raw);
    return this.#readable(points, new Normaliser(points), result, Date.now());
  }

  #readable(
    points: readonly HostPoint[],
    normaliser: Normaliser,
    result: ReadResult,
    timeMs: number,
  ): LatestReading[] {
    return points.flatMap((point, i) => {
      if (point.index < 0) return [];
      const { value, quality: bits, detail } = normaliser.single(i, result.answers);
      const answer: Answer | undefined = result.answers[i];
      const rawBytes = typeof answer === "object" ? answer.raw : undefined;
      const all = bits | normaliser.extraQuality;
      const status =
        (all & quality.bad) !== 0 ? "bad" : (all & quality.uncertain) !== 0 ? "uncertain" : "good";
      return [
        {
          point: point.name,
          value,
          unit: point.unit,
          status,
          ...detail,
          timeMs,
          address: this.#options.driver.describe(point.address),
          ...(rawBytes === undefined ? {} : { rawHex: Buffer.from(rawBytes).toString("hex") }),
        } satisfies LatestReading,
      ];
    });
  }

  async #close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close().catch(() => {});
  }

  async #withDeadline<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    const stop = () => controller.abort();
    this.#stopping.signal.addEventListener("abort", stop);
    try {
      return await work(controller.signal);
    } catch (error) {
      const late = controller.signal.aborted && !this.#stopping.signal.aborted;
      throw late
        ? new DeviceError("silent", `${this.#device.id}: no answer within ${timeoutMs / 1000} s`, {
            cause: error,
          })
        : error;
    } finally {
      clearTimeout(timer);
      this.#stopping.signal.removeEventListener("abort", stop);
    }
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

function plain(answer: Answer | undefined): string {
  if (answer === undefined) return "";
  if (typeof answer === "object") return answer.value === null ? "" : String(answer.value).trim();
  return String(answer).trim();
}
