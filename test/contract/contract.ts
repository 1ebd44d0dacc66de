import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { z } from "zod";
import {
  DeviceError,
  type Answer,
  type Connection,
  type Driver,
  type PointRequest,
  type ReadResult,
  type RecordRequest,
} from "../../gateway/driver.ts";
import {
  loadProfile,
  mergeSettings,
  simulatedPoints,
  simulatedRecords,
  type Profile,
} from "../../gateway/profiles/profiles.ts";
import type { Fault, Simulator, StartSimulator } from "../../simulators/simulator.ts";

/** What the contract suite and its tables share: the table's shape, and one driver set before its simulator. */

type Tree = Record<string, unknown>;

/** Which settings are wanted: of which end, of which device on the line, and where its simulator listens. */
export interface WantedSettings {
  end: "driver" | "simulator";
  /** 1 or 2: two devices at one place. */
  device: number;
  /** Longest time that the driver waits for one answer. */
  timeoutMs: number;
  /** `Simulator.address` of the first device, once it is known. */
  at: string | undefined;
}

/** A wire between a driver and its simulator. */
export interface Place {
  settings(wanted: WantedSettings): Tree;
  close(): Promise<void>;
}

export interface Transport {
  name: string;
  /** Why this machine cannot try it: the checks are then skipped and the driver is not `simulated`. */
  missing?: string | undefined;
  /** true: a listener that can be closed and connections that can be cut; false: a wire that is always there. */
  hasListener: boolean;
  /** true: both devices of one place must name the same `line`. */
  isShared: boolean;
  /** Addresses at which no device can be made to show a value here: the driver's own measurements, say. */
  hides?: (address: unknown) => boolean;
  open(): Promise<Place>;
}

/** How a read may end under a fault: codes of `DeviceError`, or "good", "bad", "mixed" (see `outcomeOf`). */
export interface Outcomes {
  /** The fault came while connected. */
  connected: readonly string[];
  /** The fault was there before. */
  fresh: readonly string[];
}

/** What the suite needs of a driver that answers `read`. */
export interface ReadTable {
  /** The profile under the fault checks. */
  profile: string;
  /** Three points of it whose answers look alike on the wire, so that one could be taken for another. */
  alike: readonly [string, string, string];
  /** An address that the device of this profile refuses. */
  refused: unknown;
  /** Where the protocol's nature makes another outcome right than the suite's own table; say why beside it. */
  outcomes?: Partial<Record<Fault, Outcomes>>;
  /** The point that tells how wrong the device's clock is: under `clockWrong` it is left out. */
  clock?: string;
  /** What the device pushes cannot be asked for. */
  isPolledOnly?: boolean;
}

/** What the suite needs of a driver that has `subscribe`. */
export interface PushTable {
  /** The profile under the fault checks; it has points with `poll: push`, or records. */
  profile: string;
  /** A number of it that the device tells when it changes; without one the record is told instead. */
  moves?: string;
  /** A record of it. */
  record?: string;
  /**
   * What may become of a subscription under a fault: codes of the `DeviceError` that ends it, "quiet" (it goes on
   * and nothing comes: the host's `silence` decides), "good" (values go on coming).
   */
  outcomes: Record<Fault, PushOutcomes>;
}

/** The same everywhere, or one for transports with a listener and another for a wire that is always there. */
export type PushOutcomes = readonly string[] | { listener: readonly string[]; wire: readonly string[] };

/** `test/contract/<driver>.ts` exports this as `table`. At least one of `read` and `push` is there. */
export interface ContractTable {
  read?: ReadTable;
  push?: PushTable;
  /** Raw values for a point, and an address that is only read, where the driver itself knows. */
  write?: { profile: string; point: string; values: readonly [number, number]; readOnly?: unknown };
  /** Settings with which a device says who it is by the protocol's own means; absent: it has none. */
  identify?: Tree;
  /** What the protocol's own fields leave of `profileIdentity`; absent: all of it. */
  identity?: Partial<typeof profileIdentity>;
  /** It can list what a device has. */
  browse?: boolean;
  transports: readonly Transport[];
}

export const profileIdentity = { vendor: "Kerb Works", model: "K-1", firmware: "2.1.8", serial: "A0042" };

/** Parses a driver's settings and addresses as the configuration check does. */
interface Schemas {
  settings: z.ZodType<Tree>;
  address: z.ZodType;
}

/** A driver with all that belongs to it. */
export interface Subject {
  name: string;
  driver: Driver<unknown, unknown>;
  schemas: Schemas;
  start: StartSimulator;
  table: ContractTable;
}

const root = new URL("../../", import.meta.url);

/** The names of the folders under `drivers/`. */
export function driverNames(): string[] {
  return readdirSync(new URL("drivers", root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
}

/** What a driver lacks for the suite to run over it: paths of missing files. */
export function missingFiles(name: string): string[] {
  return [
    `drivers/${name}/index.ts`,
    `drivers/${name}/settings.ts`,
    `simulators/${name}/index.ts`,
    `test/contract/${name}.ts`,
    `test/contract/${name}.test.ts`,
  ].filter((path) => !existsSync(fileURLToPath(new URL(path, root))));
}

export async function loadSubject(name: string): Promise<Subject> {
  const [index, schemas, simulator, own] = await Promise.all([
    import(new URL(`drivers/${name}/index.ts`, root).href) as Promise<Pick<Subject, "driver">>,
    import(new URL(`drivers/${name}/settings.ts`, root).href) as Promise<Schemas>,
    import(new URL(`simulators/${name}/index.ts`, root).href) as Promise<Pick<Subject, "start">>,
    import(new URL(`${name}.ts`, import.meta.url).href) as Promise<Pick<Subject, "table">>,
  ]);
  return { name, driver: index.driver, schemas, start: simulator.start, table: own.table };
}

type Points = readonly PointRequest<unknown>[];
type Expected = number | string;

export interface RigOptions {
  timeoutMs?: number;
  /** Default: the table's, of what the driver reads if it reads. */
  profile?: string;
  /** 1 or 2. */
  devices?: number;
  settings?: Tree;
}

/** A driver before its simulator, on one transport, with every value pinned to a whole number of its own. */
export class Rig {
  readonly subject: Subject;
  readonly profile: Profile;
  /** All points of the profile, and the addresses at which it keeps the device's identity. */
  readonly #all: Points;
  /** Those of them that can be asked for. */
  readonly points: Points;
  readonly timeoutMs: number;
  readonly transport: Transport;
  readonly simulators: Simulator[] = [];
  readonly log: string[] = [];
  readonly #place: Place;
  readonly #more: Tree;
  readonly #connections: Connection<unknown>[] = [];

  private constructor(subject: Subject, transport: Transport, place: Place, options: RigOptions) {
    const { table, schemas } = subject;
    this.subject = subject;
    this.transport = transport;
    this.#place = place;
    this.#more = options.settings ?? {};
    this.timeoutMs = options.timeoutMs ?? 2000;
    this.profile = loadProfile(options.profile ?? (table.read ?? table.push)?.profile ?? "");
    const own = new Set(this.profile.points.map(({ name }) => name));
    this.#all = simulatedPoints(this.profile, profileIdentity)
      .filter(({ name }) => own.has(name) || !name.startsWith("identify.expect"))
      .filter(({ address }) => transport.hides?.(address) !== true)
      .map(({ name, address }) => ({ name, address: schemas.address.parse(address) }));
    const pushed = this.profile.points.filter(({ poll }) => poll === "push").map(({ name }) => name);
    const isAsked = ({ name }: PointRequest<unknown>): boolean => !pushed.includes(name);
    this.points = table.read?.isPolledOnly === true ? this.#all.filter(isAsked) : this.#all;
  }

  static async open(subject: Subject, transport: Transport, options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(subject, transport, await transport.open(), options);
    try {
      for (let device = 1; device <= (options.devices ?? 1); device++) await rig.#startSimulator(device);
    } catch (error) {
      await rig.close();
      throw error;
    }
    return rig;
  }

  async #startSimulator(device: number): Promise<void> {
    const simulator = await this.subject.start({
      profile: this.profile.id,
      points: simulatedPoints(this.profile, profileIdentity),
      records: simulatedRecords(this.profile),
      recordEveryMs: 0,
      settings: this.#settings("simulator", device),
      identity: profileIdentity,
      seed: device,
      log: (text) => this.log.push(text),
    });
    this.simulators.push(simulator);
    this.pinAll(device);
  }

  /** Pins every value to its own number; a device that tells changes tells all. */
  pinAll(device = 1): void {
    for (const point of this.profile.points) {
      if (point.fixed !== undefined) continue;
      const raw = this.#rawOf(point.name, device);
      const power = point.scaleFactor === undefined ? 0 : Number(this.#rawOf(point.scaleFactor, device));
      const scaled = typeof raw === "string" ? raw : raw * point.scale * 10 ** power + point.offset;
      this.simulator(device).set(point.name, scaled);
    }
  }

  /** The points that the device pushes, and the records. */
  pushed(): { points: Points; records: readonly RecordRequest<unknown>[] } {
    const names = this.profile.points.filter(({ poll }) => poll === "push").map(({ name }) => name);
    const parse = (address: unknown): unknown => this.subject.schemas.address.parse(address);
    const records = this.profile.records.map(({ name, address, fields }) => ({
      name,
      address: parse(address),
      fields: fields.map((field) => ({ name: field.name, address: parse(field.address) })),
    }));
    return { points: this.pick(...names), records };
  }

  #settings(end: WantedSettings["end"], device: number): Tree {
    const wanted = { end, device, timeoutMs: this.timeoutMs, at: this.simulators[0]?.address };
    return mergeSettings(this.profile.settings, { ...this.#place.settings(wanted), ...this.#more });
  }

  /** What the driver is given for a device. */
  driverSettings(device = 1): Tree {
    return this.subject.schemas.settings.parse(this.#settings("driver", device));
  }

  /** What a site file says of a device beside its id, driver and profile. */
  siteSettings(device = 1): Tree {
    return this.#settings("driver", device);
  }

  /** The raw value that a point shows: fixed by the profile, or a whole number that no other point has. */
  #rawOf(name: string, device: number): Expected {
    const index = this.profile.points.findIndex((point) => point.name === name);
    const point = this.profile.points[index];
    if (point?.fixed !== undefined)
      return typeof point.fixed === "boolean" ? Number(point.fixed) : point.fixed;
    if (this.profile.points.some(({ scaleFactor }) => scaleFactor === name)) return -1;
    if (point?.kind === "boolean") return (index + device) % 2;
    const codes = Object.keys(point?.values ?? {});
    const code = codes[(index + device) % Math.max(1, codes.length)];
    if (code !== undefined) return point?.kind === "text" || Number.isNaN(Number(code)) ? code : Number(code);
    if (point?.kind === "text") return `K${device}${index}`;
    return device * 400 + index;
  }

  expected(points: Points, device = 1): Expected[] {
    return points.map(({ name }) =>
      name.startsWith("identify.")
        ? profileIdentity[name.slice("identify.".length) as keyof typeof profileIdentity]
        : this.#rawOf(name, device),
    );
  }

  /** The points of these names, in an array of their own (a plan of its own). */
  pick(...names: readonly string[]): Points {
    return names.map((name) => {
      const point = this.#all.find((candidate) => candidate.name === name);
      if (point === undefined) throw new Error(`${this.profile.id} has no point "${name}"`);
      return point;
    });
  }

  /** The simulator of a device. */
  simulator(device = 1): Simulator {
    const simulator = this.simulators[device - 1];
    if (simulator === undefined) throw new Error(`no device ${device} in this rig`);
    return simulator;
  }

  /** Raises a fault and lets the simulator act on it: closing a listener takes a turn of the event loop. */
  async fault(fault: Fault | undefined, delayMs?: number, device = 1): Promise<void> {
    this.simulator(device).fault(fault, delayMs);
    await sleep(20);
  }

  async connect(device = 1, signal = patient()): Promise<Connection<unknown>> {
    const context = {
      deviceId: `device-${device}`,
      log: (_: string, text: string) => void this.log.push(text),
    };
    const connection = await this.subject.driver.connect(this.driverSettings(device), context, signal);
    this.#connections.push(connection);
    return connection;
  }

  /** Connects; where answers are given up soon, a busy machine looks like a silent device, a few times at most. */
  async connects(device = 1): Promise<Connection<unknown>> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.connect(device);
      } catch (error) {
        if (!isSilence(error) || tries === triesMax) throw error;
        await sleep(100);
      }
    }
  }

  /** Connects and reads what was pinned, with the same patience; gives the connection. */
  async reads(points: Points): Promise<Connection<unknown>> {
    for (let tries = 1; ; tries++) {
      const connection = await this.connects();
      try {
        const result = await connection.read(points, { signal: patient() });
        if (tries === triesMax || !result.answers.some(isLost)) {
          this.expectGood(result, points);
          return connection;
        }
      } catch (error) {
        if (!isSilence(error) || tries === triesMax) throw error;
      }
      await connection.close();
      await sleep(100);
    }
  }

  /** Connects and reads until all values are there and right; a wrong value is never forgiven, a lost device is. */
  async readsGoodAgain(withinMs: number, device = 1): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const connection = await orCode(this.connect(device));
      if (typeof connection !== "string") {
        const result = await orCode(connection.read(this.points, { signal: patient() }));
        await connection.close();
        if (typeof result !== "string" && !result.answers.some(isLost)) {
          this.expectGood(result, this.points, device);
          return;
        }
      }
      if (performance.now() > until)
        throw new Error(`no good reading within ${withinMs} ms of the fault's end`);
      await sleep(50);
    }
  }

  /** All answers are good and hold what was pinned. */
  expectGood(result: ReadResult, points: Points, device = 1): void {
    const shown = result.answers.map((answer) => (typeof answer === "object" ? answer.value : answer));
    expect(result.answers).toHaveLength(points.length);
    if (result.atMs !== undefined) expect(result.atMs).toHaveLength(points.length);
    expect(named(points, shown.map(comparable))).toEqual(
      named(points, this.expected(points, device).map(comparable)),
    );
    for (const answer of result.answers) if (typeof answer === "object") expect(answer.status).toBe("good");
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) await connection.close();
    for (const simulator of this.simulators) await simulator.close();
    await this.#place.close();
  }
}

const triesMax = 5;

function isSilence(error: unknown): boolean {
  return error instanceof DeviceError && error.code === "silent";
}

/** A point that was not answered; one that was refused, or is of no use, is no sign of a busy machine. */
function isLost(answer: Answer): boolean {
  return typeof answer === "object" && answer.code === "timeout";
}

/** Booleans as 0 and 1, big integers and codes as numbers, floats without the noise of 32 bits. */
function comparable(value: unknown): unknown {
  if (typeof value === "number") return Number(value.toPrecision(6));
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  if (typeof value !== "string") return value;
  return /^[1-9]?\d$/.test(value) ? Number(value) : value.trim();
}

function named(points: Points, values: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(points.map(({ name }, index) => [name, values[index]]));
}

/** A signal for calls that are not to be given up. */
export const patient = (): AbortSignal => new AbortController().signal;

/** What a call gave, or the code of its `DeviceError`; anything else that it throws is a breach of rule 6. */
export async function orCode<T>(call: Promise<T>): Promise<T | string> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof DeviceError) return error.code;
    throw new Error(`a driver may throw nothing but a DeviceError, this was: ${String(error)}`, {
      cause: error,
    });
  }
}

/** The code of the `DeviceError` that a call must end with. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  const result = await orCode(call);
  return typeof result === "string" ? result : "resolved";
}

/**
 * How a read ended: "good" (all values right), "bad" (each point refused with a code), "mixed" (some of each) or
 * the code of the `DeviceError`. Wrong values and bad readings without a code throw.
 */
export async function outcomeOf(
  rig: Rig,
  read: Promise<ReadResult>,
  points: Points,
  device = 1,
): Promise<string> {
  const result = await orCode(read);
  if (typeof result === "string") return result;
  const bad = result.answers.map((answer) => typeof answer === "object" && answer.status === "bad");
  for (const answer of result.answers) {
    if (typeof answer !== "object") continue;
    expect(answer.value === null).toBe(answer.status === "bad");
    if (answer.status === "bad") expect(answer.code).toMatch(/^\S+$/);
  }
  const good = points.filter((_, index) => bad[index] !== true);
  const answers = result.answers.filter((_, index) => bad[index] !== true);
  rig.expectGood({ answers }, good, device);
  return good.length === points.length ? "good" : good.length === 0 ? "bad" : "mixed";
}

/** A promise with the time that it took to settle. */
export async function timed<T>(call: Promise<T>): Promise<{ result: T; tookMs: number }> {
  const begunAt = performance.now();
  const result = await call;
  return { result, tookMs: performance.now() - begunAt };
}

/** The least that a count shows over a moment: the test runner has short timers of its own. */
export async function leastOf(count: () => number): Promise<number> {
  let least = count();
  for (let i = 0; i < 20; i++) {
    await sleep(10);
    least = Math.min(least, count());
  }
  return least;
}

/** Waits until a count has come back to what it was. */
export async function settlesAt(
  count: () => number,
  before: number,
  withinMs: number,
  what: string,
): Promise<void> {
  const until = performance.now() + withinMs;
  while (count() > before) {
    if (performance.now() > until) throw new Error(`${count() - before} ${what} more than before`);
    await sleep(10);
  }
}

export const openDescriptors = (): number => readdirSync("/proc/self/fd").length;
/** Timers that keep the process alive, of driver and simulator together. */
export const runningTimers = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
