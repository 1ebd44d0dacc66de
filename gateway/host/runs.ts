import type { Driver } from "../driver.ts";
import { clockState } from "../clock.ts";
import { DeviceLoop } from "./device.ts";
import { phaseOf } from "./groups.ts";
import type { Handover } from "./handover.ts";
import { Line } from "./line.ts";
import { limitLog } from "./log-rate.ts";
import type { DeviceReport, HostChange, HostDevice } from "./messages.ts";
import { unpackDevices } from "./pack.ts";
import type { Scope, Witness } from "./witness.ts";

/** What the devices of a host are run with. */
export interface RunsOptions {
  driver: Driver<unknown, unknown>;
  /** Where the driver may keep what outlives it. */
  folder: string | undefined;
  handover: Handover;
  witness: Witness;
  stranger: (who: string, why: string) => void;
  log: (level: "debug" | "info" | "warn", device: string, text: string) => void;
  changed: (report: DeviceReport) => void;
  /** Since when polls have been counted and not yet told, ms since 1970. */
  countedFromMs: () => number;
}

interface Run {
  device: HostDevice;
  line: string | undefined;
  scope: Scope;
  /** Absent: it is held back. */
  loop?: DeviceLoop;
  ended?: Promise<void>;
  startedMs: number;
}

/** How long what has been told may take to the disk before its device is stopped. */
const commitMs = 500;
const loopEndMs = 1300;

/** The devices that a host runs: one starts and stops without the others. */
export class DeviceRuns {
  readonly #options: RunsOptions;
  readonly #runs = new Map<string, Run>();
  /** Devices that share a line share one, and the scope that names whose turn it is. */
  readonly #lines = new Map<string, { line: Line; scope: Scope }>();
  /** A device that is started anew keeps its place in the period. */
  readonly #phases = new Map<string, number>();
  /** Released before it was known how to start them. */
  readonly #released = new Set<number>();
  /** Device ids by dictionary index, those of earlier devices too: events of theirs may still be dropped. */
  readonly names = new Map<number, string>();

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  get loops(): DeviceLoop[] {
    return [...this.#runs.values()].flatMap(({ loop }) => loop ?? []);
  }

  loop(id: string): DeviceLoop | undefined {
    return this.#runs.get(id)?.loop;
  }

  scope(id: string): Scope {
    return this.#runs.get(id)?.scope ?? { device: -1 };
  }

  /** `held`: dictionary indexes of those that are not run until `release`. */
  start(devices: readonly HostDevice[], held: readonly number[]): void {
    const count = this.#runs.size + devices.length;
    for (const device of devices) {
      const { id, index } = device;
      this.names.set(index, id);
      const position = this.#runs.size;
      this.#phases.set(id, this.#phases.get(id) ?? phaseOf(position, count));
      const run = this.#add(device);
      if (!held.includes(index) || this.#released.has(index)) this.#begin(run);
    }
  }

  #add(device: HostDevice): Run {
    const { driver, witness } = this.#options;
    const own = { device: device.index };
    const key = witness.run(own, () => driver.line?.(device.settings));
    const shared = key === undefined ? undefined : (this.#lines.get(key) ?? { line: new Line(), scope: own });
    if (key !== undefined && shared !== undefined) this.#lines.set(key, shared);
    const run = { device, line: key, scope: shared?.scope ?? own, startedMs: Date.now() };
    this.#runs.set(device.id, run);
    return run;
  }

  #begin(run: Run): void {
    const { driver, folder, handover, witness, changed, log, stranger } = this.#options;
    const { device, line, scope } = run;
    const { id, index } = device;
    run.startedMs = Date.now();
    const loop = new DeviceLoop({
      driver,
      device,
      line: line === undefined ? undefined : this.#lines.get(line)?.line,
      handover,
      phase: this.#phases.get(id) ?? 0,
      context: {
        deviceId: id,
        ...(folder === undefined ? {} : { folder }),
        resident: true,
        clockIsWrong: () => clockState() === "unsynced",
        stranger,
        log: limitLog((level, text) => log(level, id, text)),
      },
      changed,
      turn: () => witness.turn(scope, index),
    });
    run.loop = loop;
    run.ended = witness.run(scope, () => loop.run());
  }

  /** The device with this dictionary index is tried again. */
  release(index: number): void {
    this.#released.add(index);
    const run = [...this.#runs.values()].find(({ device }) => device.index === index);
    if (run !== undefined && run.loop === undefined) this.#begin(run);
  }

  /** Stops, starts and paces single devices; resolves when those that were stopped have ended. */
  async change({ stop, start, pace }: Omit<HostChange, "name">): Promise<void> {
    await this.#end(stop);
    this.start(unpackDevices(start), []);
    for (const { device, pollMs } of pace) this.#runs.get(device)?.loop?.retime(pollMs);
  }

  async #end(ids: readonly string[]): Promise<void> {
    const ending = ids.flatMap((id) => this.#runs.get(id) ?? []);
    if (ending.length === 0) return;
    const { handover, countedFromMs } = this.#options;
    await Promise.race([handover.held(handover.mark(), true), wait(commitMs)]);
    await Promise.race([Promise.all(ending.map(ended)), wait(loopEndMs)]);
    const nowMs = Date.now();
    for (const { device, loop, line, startedMs } of ending) {
      loop?.reportPolls(Math.min(nowMs, Math.max(countedFromMs(), startedMs)), nowMs);
      this.#runs.delete(device.id);
      this.#released.delete(device.index);
      const isLast = ![...this.#runs.values()].some((other) => other.line === line);
      if (line !== undefined && isLast) this.#lines.delete(line);
    }
    handover.flush();
  }

  /** Each device tells its polls of the time since `fromMs`, or since it was started. */
  reportPolls(fromMs: number, toMs: number): void {
    for (const { loop, startedMs } of this.#runs.values())
      loop?.reportPolls(startedMs > fromMs && startedMs < toMs ? startedMs : fromMs, toMs);
  }

  /** Stops all of them; resolves when they have ended. */
  async stop(): Promise<void> {
    const runs = [...this.#runs.values()];
    await Promise.all(runs.map(ended));
  }
}

async function ended(run: Run): Promise<void> {
  await Promise.all([run.loop?.stop(), run.ended]);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
