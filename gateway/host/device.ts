import { clockState, monotonicMs } from "../clock.ts";
import { askedOf } from "../profiles/derived.ts";
import { DeviceError, type Connection, type Identity, type ReadResult } from "../driver.ts";
import { Durations } from "../durations.ts";
import { EventWriter, type EventKind } from "../event.ts";
import { backOffMs } from "./back-off.ts";
import type { DeviceOptions } from "./device-options.ts";
import { byClass, nextOf, planGroups, polled, skipOvertaken, timesOf, type Group } from "./groups.ts";
import { HeldBack } from "./held-back.ts";
import { closed, recogniseDevice, within, WrongDeviceError } from "./identify.ts";
import { Push, sourceOffsets, type PushTimes } from "./push.ts";
import type { DeviceState, HostDevice, HostPoint, Identified, LatestReading } from "./messages.ts";
import { inOrder, type Normaliser } from "./normalise.ts";
import { LocalOverride } from "./local-override.ts";
import { Outage } from "./outage.ts";
import { Pause } from "./pause.ts";
import { Pictures } from "./pictures.ts";
import { PointAlarms } from "./point-alarms.ts";
import { becomes, newReport, PollCounter } from "./poll-report.ts";
import { readNow } from "./read-now.ts";
import { Recognition } from "./recognition.ts";
import { reopenMs, Standing } from "./standing.ts";
import { StatusPoints } from "./status-points.ts";
import { Turns } from "./turns.ts";
import { Writing } from "./writing.ts";

const connectTimeoutMs = 10_000;
/** A read may take several requests; past this the device is taken for lost whatever its driver waits for. */
const readTimeoutMs = 15_000;
/** A poll that finds the hand-over full waits this long for room before it goes on and lets the oldest drop. */
const roomWaitMs = 50;

/** One for all devices: an event is written and handed over without a pause in between. */
const writer = new EventWriter();

/** Runs one device: connect, identify, poll, back off. Never throws; ends with `stop`. */
export class DeviceLoop {
  readonly #options: DeviceOptions;
  readonly #device: HostDevice;
  readonly #byClass: ReturnType<typeof byClass>;
  readonly #stopping = new AbortController();
  /** Ends with the connection. */
  #session: AbortController | undefined;
  #groups: Group[] = [];
  #connection: Connection<unknown> | undefined;
  /** Lives as long as the device: what it told last is still what it told last after a reconnect. */
  #push: Push | undefined;
  /** Positions of push points that the device will not push. */
  readonly #pulled = new Set<number>();
  readonly #standing = new Standing();
  /** Why the connection was closed at a call of ours; a subscription knows only that it was. */
  #cause: unknown;
  readonly #turns: Turns;
  /** Ahead of the polls. */
  readonly writing: Writing;
  readonly #recognition: Recognition;
  #report: ReturnType<typeof newReport>;
  readonly #reads = new Durations();
  readonly #outage = new Outage();
  readonly #alarms: PointAlarms;
  readonly #override: LocalOverride;
  readonly #deaf = new Outage("not_listening");
  readonly #polls = new PollCounter();
  readonly #pause = new Pause();
  readonly #pictures: Pictures;
  readonly #status = new StatusPoints();
  readonly #heldBack: HeldBack;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#byClass = byClass(options.device.points);
    this.#recognition = new Recognition(options.device, options.context);
    this.#turns = new Turns(options.line, this.#stopping.signal);
    this.writing = new Writing({
      device: options.device,
      ending: this.#stopping.signal,
      points: () => this.#recognition.points(options.device.points),
      verdict: () => this.#recognition.verdict,
      connection: () => this.#connection,
      push: () => this.#push,
      alone: (work, urgent) => this.#alone(work, urgent),
      reopen: () => this.#reopen(),
    });
    this.#pictures = new Pictures(
      this.#device,
      () => this.#connection,
      (data) => this.#event("state", data),
    );
    this.#alarms = new PointAlarms(options.device, (data, timeMs) => this.#event("alarm", data, timeMs));
    this.#override = new LocalOverride(options.device);
    this.#report = newReport(this.#device.id, Date.now());
    this.#heldBack = new HeldBack(this.#device, options.handover, () =>
      [...this.#groups, this.#push].flatMap((one) => one?.normaliser ?? []),
    );
    this.#regroup();
  }

  get report(): ReturnType<typeof newReport> {
    return {
      ...this.#report,
      ...this.#recognition.verdict,
      ...this.#override.told,
      reads: this.#reads.counts,
    };
  }

  /** Ends when `stop` is called. */
  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const startedMs = performance.now();
      try {
        await this.#open();
        await this.#work();
      } catch (error) {
        await this.#lost(error, startedMs);
      }
    }
    this.#heldBack.end();
    this.#endOutage(true);
    await this.#close();
  }

  /** Polls, and listens where the device pushes, until one of the two fails. */
  async #work(): Promise<void> {
    const session = (this.#session = new AbortController());
    // `stop` may have come while the device was being opened.
    if (this.#stopping.signal.aborted) session.abort();
    const polling = this.#pollOn(session.signal);
    const asking = this.#askOn(session.signal);
    try {
      await Promise.race([this.#listen(session.signal) ?? polling, polling, asking]);
    } finally {
      session.abort();
      await this.#close();
      // Its next poll or question must not meet the next connection.
      await Promise.allSettled([polling, asking]);
      this.#heldBack.release();
    }
  }

  /** Whoever polls or listens on what is lost shall notice now. */
  #reopen(): void {
    if (this.#connection !== undefined) return;
    this.#session?.abort();
    this.#pause.wake();
  }

  async #pollOn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.#pollNext(signal);
  }

  /** Asks again who is there, between polls. */
  async #askOn(signal: AbortSignal): Promise<void> {
    let { phase } = this.#options;
    for (; await this.#recognition.due(signal, phase); phase = 1) await this.identifyNow(false);
  }

  /** Asks the device who it is; `accept`: whoever answers is the right unit from here on. */
  async identifyNow(accept: boolean): Promise<Identified> {
    this.#connected();
    const found = await this.#alone(() =>
      within(connectTimeoutMs, this.#stopping.signal, (signal) =>
        recogniseDevice(this.#options.driver, this.#connected(), this.#device.identify, signal),
      ),
    );
    const before = this.#recognition.firmware;
    if (accept) await this.#recognition.accept(found);
    this.#recognise(found);
    if (this.#recognition.firmware !== before) this.#plan();
    this.#options.changed(this.report);
    return { identity: found, ...this.#recognition.verdict };
  }

  /** Listens to a device that pushes, until it is lost; undefined where there is nothing to listen to. */
  #listen(signal: AbortSignal): Promise<void> | undefined {
    const connection = this.#connected();
    const push = this.#push;
    if (connection.subscribe === undefined || push === undefined) {
      if (this.#groups.length === 0) this.#set("online");
      return undefined;
    }
    // Who was lost stays so until something is heard: that a broker is back says nothing of a device behind it.
    if (["starting", "wrong-device"].includes(this.#report.state)) this.#set("listening");
    const { records } = this.#device;
    const subscribe = () => connection.subscribe!({ points: push.asked, records, sink: push, signal });
    return this.#standing.listen(subscribe, this.#device.silenceMs, signal);
  }

  /** The device has spoken by itself; `isGood`: a value came. */
  #heard(isGood: boolean): void {
    this.#standing.heard();
    if (isGood) this.#report.lastGoodMs = Date.now();
    // Of a device that only pushes the outage says it all.
    const isTold = this.#outage.isTold && this.#groups.length === 0;
    this.#turns.alive();
    this.#set("online");
    this.#outage.read(Date.now());
    const deaf = this.#deaf.end([]);
    if (!isTold) this.#gap(deaf);
    this.#deaf.read(Date.now());
  }

  /** Polls at this pace from here on. */
  retime(pollMs: HostDevice["pollMs"]): void {
    this.#device.pollMs = pollMs;
    this.#regroup();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#session?.abort();
    await this.#pictures.end();
    await this.#close();
  }

  async #open(): Promise<void> {
    const { driver, context } = this.#options;
    const identity = await this.#alone(() =>
      within(connectTimeoutMs, this.#stopping.signal, async (signal) => {
        const connection = await driver.connect(this.#device.settings, context, signal);
        if (signal.aborted) {
          // A driver that was given up on may still come back with a connection.
          void connection.close().catch(() => {});
          throw new DeviceError("aborted", `${this.#device.id} was connected too late`);
        }
        this.#connection = connection;
        return recogniseDevice(driver, connection, this.#device.identify, signal);
      }),
    );
    this.#recognise(identity);
    this.#plan();
  }

  #recognise(identity: Identity): void {
    if (Object.keys(identity).length > 0) {
      this.#turns.alive();
      this.#report.identity = identity;
    }
    for (const data of this.#recognition.take(identity)) this.#event("device-status", data);
  }

  /** What the device is to push; the rest, and all of it where the driver cannot listen, is polled. */
  #plan(): void {
    this.#heldBack.release();
    const points = this.#recognition.points(this.#device.points).filter(({ poll }) => poll === "push");
    const canPush = this.#connection?.subscribe !== undefined;
    const same =
      this.#push?.points.every((point, i) => point === points[i]) &&
      this.#push.points.length === points.length;
    if (canPush && (points.length > 0 || this.#device.records.length > 0) && !same) {
      // What was subscribed to holds no more: the next connection subscribes anew.
      this.#session?.abort();
      this.#push = new Push(this.#device, points, {
        heard: (isGood) => this.#heard(isGood),
        telemetry: (normaliser, answers, positions, times) => {
          this.#tell(normaliser, { answers }, times, positions);
        },
        event: (kind, data, timeMs) => this.#event(kind, this.#pictures.withReference(data), timeMs),
        custody: this.#options.handover,
        poll: (position) => {
          this.#pulled.add(position);
          this.#regroup();
        },
      });
      this.#pulled.clear();
    }
    this.#regroup();
  }

  /** Splits the points that hold for the firmware into poll groups. */
  #regroup(): void {
    this.#heldBack.release();
    const push = this.#push;
    const isPolled = (point: HostPoint) => {
      const position = push?.points.indexOf(point) ?? -1;
      return point.derive !== undefined || position < 0 || this.#pulled.has(position);
    };
    this.#groups = planGroups(this.#groups, this.#options.phase, this.#device, (name) => {
      const points = this.#recognition.points(this.#byClass[name]);
      // The very list that equal devices share, where there is nothing to leave out.
      return push === undefined ? points : points.filter(isPolled);
    });
    for (const group of this.#groups) group.normaliser.extraQuality = this.#recognition.extraQuality;
    push?.doubt(this.#recognition.extraQuality);
    this.#pause.wake();
  }

  async #pollNext(signal: AbortSignal): Promise<void> {
    const next = nextOf(this.#groups);
    if (next === undefined) {
      await this.#pause.sleep(60_000, signal);
      return;
    }
    await this.#pause.sleep(next.dueMs - performance.now(), signal);
    if (signal.aborted || !this.#groups.includes(next)) return;
    const waiting = this.#options.handover.room(roomWaitMs);
    if (waiting !== undefined) await waiting;
    this.#skip(next);
    try {
      await this.#poll(next);
    } catch (error) {
      if (!next.hasFailed && !this.#stopping.signal.aborted) this.#count("failed");
      next.hasFailed = true;
      throw error;
    }
    next.dueMs += next.periodMs;
    next.hasFailed = false;
    this.#skip(next);
  }

  /** Each poll that was due has one outcome: polls = answered + failed + missed. */
  #count(outcome: "answered" | "failed" | "missed", count = 1): void {
    this.#report.polls += count;
    this.#report[outcome] += count;
  }

  #skip(group: Group): void {
    this.#count("missed", skipOvertaken(group));
  }

  async #poll(group: Group): Promise<void> {
    const startedMs = performance.now();
    const result = await this.#read(group.points, false);
    // Meanwhile it was found to have another firmware: its points are other ones, or uncertain.
    if (!this.#groups.includes(group)) return;
    if (!group.hasFailed) this.#count("answered");
    this.#report.lastReadMs = performance.now() - startedMs;
    this.#reads.add(this.#report.lastReadMs);
    this.#standing.polled();
    this.#turns.alive();
    this.#set("online");
    this.#publish(group, result);
  }

  #publish(group: Group, result: ReadResult): void {
    const { ageMs, offsets: arrivals } = timesOf(result, performance.now());
    const timeMs = Math.round(Date.now() - ageMs);
    group.latest = { result, timeMs };
    this.#report.lastGoodMs = timeMs;
    this.#outage.read(timeMs);
    const offsets = sourceOffsets(result.answers, timeMs, timeMs, arrivals);
    this.#hand(group.normaliser, result, { timeMs, ageMs, offsets });
  }

  /** Hands on what was pushed: `answers` holds something at the `positions`. */
  #tell(
    normaliser: Normaliser,
    result: ReadResult,
    { timeMs, arrivalMs }: PushTimes,
    positions: readonly number[],
  ): void {
    const offsets = sourceOffsets(result.answers, timeMs, arrivalMs);
    this.#hand(normaliser, result, { timeMs, ageMs: arrivalMs - timeMs, offsets }, positions);
  }

  #hand(
    normaliser: Normaliser,
    result: ReadResult,
    { timeMs, ageMs, offsets }: { timeMs: number; ageMs: number; offsets: number[] | undefined },
    positions?: readonly number[],
  ): void {
    writer.begin("telemetry", this.#device.index, timeMs, monotonicMs() - ageMs, clockState());
    if (normaliser.write(result, writer, performance.now() - ageMs, offsets, positions) > 0)
      this.#options.handover.push(1, writer.bytes());
    this.#alarms.look(normaliser, result, timeMs);
    if (this.#override.look(normaliser, result)) this.#options.changed(this.report);
    for (const data of this.#status.news(normaliser, result.answers, positions))
      this.#event("device-status", data, timeMs);
  }

  async #read(points: readonly HostPoint[], raw: boolean): Promise<ReadResult> {
    // Who asks while the device is being opened shall not wait for that.
    this.#connected();
    return this.#alone(() => {
      const connection = this.#connected();
      return within(readTimeoutMs, this.#stopping.signal, (signal) =>
        connection.read(askedOf(points), { signal, raw }),
      );
    });
  }

  #connected(): Connection<unknown> {
    if (this.#connection !== undefined) return this.#connection;
    throw new DeviceError("closed", `${this.#device.id} is not connected`);
  }

  /** Runs `work` alone on the connection and on its line; a failure costs the connection. `urgent`: see `Turns`. */
  async #alone<Result>(work: () => Promise<Result>, urgent?: AbortSignal): Promise<Result> {
    const release = await this.#turns.take(urgent);
    const startedMs = performance.now();
    try {
      this.#options.turn?.();
      return await work();
    } catch (error) {
      this.#cause = error;
      await this.#close();
      if (error instanceof WrongDeviceError) this.#turns.alive();
      else this.#turns.failed(startedMs, this.#standing.failures > 0);
      throw error;
    } finally {
      release();
    }
  }

  async #lost(thrown: unknown, startedMs: number): Promise<void> {
    await this.#close();
    if (this.#stopping.signal.aborted) return;
    const standing = this.#standing;
    standing.failures++;
    const isOurs = thrown instanceof DeviceError && thrown.code === "closed";
    const error = isOurs ? (this.#cause ?? thrown) : thrown;
    this.#cause = undefined;
    const spentMs = performance.now() - startedMs;
    const code = error instanceof DeviceError ? error.code : "internal";
    if (this.#push !== undefined) this.#deaf.lost(code, []);
    const reason = error instanceof Error ? error.message : String(error);
    if (!(error instanceof DeviceError || error instanceof WrongDeviceError))
      this.#options.context.log("warn", `${reason}\n${(error as Error).stack ?? ""}`);
    if (error instanceof WrongDeviceError) this.#set("wrong-device", "wrong-device", reason);
    // One lost answer on a good link is met by a new connection at once; only a second failure is news.
    else if (standing.isLoneLoss && this.#report.state === "online" && !this.#turns.isSuspect) {
      if (spentMs < reopenMs) await this.#pause.sleep(reopenMs - spentMs, this.#stopping.signal);
      return;
    } else if (standing.meets(code, this.#report)) this.#set("lost", code, reason);
    const pauseMs = Math.max(backOffMs(standing.failures, code) - spentMs, 100);
    await this.#pause.sleep(pauseMs, this.#stopping.signal);
  }

  #set(state: DeviceState, code?: string, reason?: string): void {
    const { state: before, code: codeBefore } = this.#report;
    if (state === before && code === codeBefore) {
      if (reason !== undefined) this.#report.reason = reason;
      return;
    }
    const why = { ...(code === undefined ? {} : { code }), ...(reason === undefined ? {} : { reason }) };
    const { report, news } = becomes(this.#report, state, why);
    this.#report = report;
    this.#event("device-status", news);
    if (state === "online") this.#endOutage(false);
    // Who listens for the first time has lost nothing yet.
    else if (state !== "listening") this.#gap(this.#outage.lost(code ?? state, this.#periodsMs));
    this.#options.changed(this.report);
  }

  #endOutage(open: boolean): void {
    this.#gap(this.#outage.end(this.#periodsMs, open));
  }

  get #periodsMs(): number[] {
    return this.#groups.map(({ periodMs }) => periodMs);
  }

  #gap(data: Record<string, unknown> | undefined): void {
    if (data !== undefined) this.#event("gap", data);
  }

  #event(kind: EventKind, data: Record<string, unknown>, timeMs = Date.now(), lane: 0 | 1 = 0): void {
    writer.begin(kind, this.#device.index, timeMs, monotonicMs() - (Date.now() - timeMs), clockState());
    writer.object(data);
    this.#options.handover.push(lane, writer.bytes());
  }

  /** Hands over how many polls there were since the last time that this was called. */
  reportPolls(fromMs: number, toMs: number): void {
    // What comes due while nobody is connected is missed; what is being read now has its outcome later.
    if (this.#connection === undefined) for (const group of this.#groups) this.#skip(group);
    this.#event("device-status", { ...this.#polls.take(this.#report, fromMs, toMs) }, Date.now(), 1);
  }

  /** The newest values as the last polls found them, in the profile's order. */
  latest(): LatestReading[] {
    const { driver } = this.#options;
    const readings = [...(this.#push?.shown(driver) ?? []), ...polled(this.#groups, driver)];
    return inOrder(this.#device.points, readings);
  }

  /** Reads now, between polls, with the bytes of each value. `names` empty: all points. */
  readNow(names: readonly string[], raw: boolean): Promise<LatestReading[]> {
    return readNow(
      {
        driver: this.#options.driver,
        device: this.#device,
        groups: this.#groups,
        push: this.#push,
        extraQuality: this.#recognition.extraQuality,
        read: (points) => this.#read(points, raw),
        connected: () => this.#connected(),
        reopen: () => this.#reopen(),
      },
      names,
    );
  }

  async #close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) await closed(connection);
  }
}
