import type { Answer, Driver, QualityStatus, ReadResult, Reading, Value } from "../driver.ts";
import { quality, type EventWriter, type QualityDetail, type ReadingValue } from "../event.ts";
import { inputsOf } from "../profiles/derived.ts";
import { derived, type Normalised, shownDerivation } from "./computed.ts";
import type { HostPoint, LatestReading } from "./messages.ts";
import { type Sample, SwingingDoor } from "./swinging-door.ts";

/**
 * Turns the raw answers of one poll into readings: sentinels, scale, limits, enumerations, dead band. The usual
 * register (an integer and a power of ten) goes through without a float ever being made.
 */

/** Digits kept of a value whose own resolution is not known before it is read. */
const decimalsUnknown = 6;

/** Digits after the point with which a point's values leave. */
export function decimalsOf(
  point: Pick<HostPoint, "decimals" | "scale" | "offset"> &
    Partial<Pick<HostPoint, "scaleFactor" | "derive">>,
): number {
  if (point.decimals !== undefined) return point.decimals;
  if (point.derive !== undefined && !("bitmask" in point.derive)) return decimalsUnknown;
  const digits = -Math.log10(Math.abs(point.scale));
  const exact = Math.round(digits);
  const known = point.offset === 0 && point.scaleFactor === undefined;
  return known && exact >= 0 && exact <= 8 && Math.abs(digits - exact) < 1e-9 ? exact : decimalsUnknown;
}

/** Digits with which a person sees a value: the point's own, or as many as the value has. */
function shownDecimals(point: HostPoint, value: ReadingValue): number {
  const decimals = decimalsOf(point);
  if (point.decimals !== undefined || typeof value !== "number") return decimals;
  const own = Math.min(decimalsUnknown, String(value).split(".")[1]?.length ?? 0);
  return decimals < decimalsUnknown ? Math.max(decimals, own) : own;
}

interface Compiled {
  point: HostPoint;
  position: number;
  decimals: number;
  /** The raw integer is already value * 10^decimals. */
  exact: boolean;
  /** Limits in raw integers of the exact kind. */
  low: number;
  high: number;
  sentinels: Map<number, QualityDetail> | undefined;
  scaleFactor: number;
  /** Where what a derived point is made from stands; -1: nowhere. */
  inputs: readonly number[];
  /** Where the answers stand that its value is made from: its own, or its inputs'. */
  sources: readonly number[];
}

/** What was last reported of a point with a dead band. */
interface Last {
  value: ReadingValue | undefined;
  quality: number;
  code: string | undefined;
  atMs: number;
}

/** A sample that was kept back and leaves now, on the clock of `performance.now()`. */
export interface Held {
  entry: Compiled;
  sample: Sample;
}

const untold: Last = { value: undefined, quality: 0, code: undefined, atMs: -Infinity };

/** A sample that is older by less is one that a noisy line has brought back; by more, the device's clock was set. */
const setBackMsMin = 8 * 3_600_000;

const compiledLists = new WeakMap<readonly HostPoint[], Compiled[]>();

/** Lists of points are shared by equal devices, and so is this. */
function compiledOf(points: readonly HostPoint[]): Compiled[] {
  const known = compiledLists.get(points) ?? compile(points);
  compiledLists.set(points, known);
  return known;
}

/** All positions of a list in which each sample of each point is told; undefined: that has to be looked at. */
const plainLists = new WeakMap<readonly HostPoint[], readonly number[]>();

function plainPositions(points: readonly HostPoint[]): readonly number[] | undefined {
  const known = plainLists.get(points);
  if (known !== undefined) return known;
  const isPlain = points.every(
    ({ index, deadband, swingingDoor, once }) =>
      index >= 0 && deadband === undefined && swingingDoor === undefined && once !== true,
  );
  if (!isPlain) return undefined;
  const positions = points.map((_, position) => position);
  plainLists.set(points, positions);
  return positions;
}

const statusBits: Record<QualityStatus, number> = { good: 0, uncertain: quality.uncertain, bad: quality.bad };

/** Positions of the answers that the value at this one is made from. Profiles are free of circles. */
function sourcesOf(points: readonly HostPoint[], places: ReadonlyMap<string, number>, at: number): number[] {
  const point = points[at];
  if (point?.derive === undefined) return [at];
  return inputsOf(point).flatMap((input) => sourcesOf(points, places, places.get(input) ?? -1));
}

function compile(points: readonly HostPoint[]): Compiled[] {
  const places = new Map(points.map(({ name }, position) => [name, position]));
  return points.map((point, position) => {
    const decimals = decimalsOf(point);
    const power = 10 ** decimals;
    const exact =
      point.kind === "number" &&
      point.derive === undefined &&
      point.offset === 0 &&
      point.values === undefined &&
      point.scaleFactor === undefined &&
      point.deadband === undefined &&
      point.swingingDoor === undefined &&
      Math.abs(point.scale * power - 1) < 1e-12;
    return {
      point,
      position,
      decimals,
      exact,
      low: point.limits === undefined ? -Infinity : Math.round(point.limits[0] * power),
      high: point.limits === undefined ? Infinity : Math.round(point.limits[1] * power),
      sentinels:
        point.sentinels.length === 0
          ? undefined
          : new Map(point.sentinels.map(({ raw, code, reason }) => [raw, { code, reason }])),
      scaleFactor: points.findIndex((other) => other.name === point.scaleFactor),
      inputs: inputsOf(point).map((input) => places.get(input) ?? -1),
      sources: sourcesOf(points, places, position),
    };
  });
}

/** The points of one poll class of one device, ready for the hot path. */
export class Normaliser {
  readonly points: readonly HostPoint[];
  readonly #compiled: readonly Compiled[];
  readonly #plain: readonly number[] | undefined;
  readonly #firstIndex: number;
  readonly #last: Last[];
  /** The device's own time of the sample that was told last, of points that are told once. */
  readonly #toldMs: Map<number, number>;
  /** Of points that are told by their slope, by position; they know what they keep back also after a reconnect. */
  readonly #doors: Map<number, SwingingDoor>;
  /** Bits that every reading carries while the device's firmware is one that no profile covers. */
  extraQuality = 0;
  /** The code of those bits, where a reading has none of its own. */
  extraCode = "firmware-unknown";

  /** `before`: the normaliser of the same points until the last reconnect. */
  constructor(points: readonly HostPoint[], firstIndex = 0, before?: Normaliser) {
    this.points = points;
    this.#toldMs = before === undefined ? new Map() : before.#toldMs;
    this.#doors = before === undefined ? new Map() : before.#doors;
    this.#compiled = compiledOf(points);
    this.#plain = plainPositions(points);
    this.#firstIndex = firstIndex;
    this.#last = points.some(({ deadband }) => deadband !== undefined)
      ? points.map(() => ({ ...untold }))
      : [];
  }

  /**
   * Writes the readings of one poll, or of the `positions` that were pushed; returns how many. `offsets[i]` is
   * answer i's time relative to the event, `nowMs` the event's on the clock of `performance.now()`. What was held
   * back leaves with its own time.
   */
  write(
    { answers }: Pick<ReadResult, "answers">,
    writer: EventWriter,
    nowMs: number,
    offsets: readonly number[] | undefined,
    positions?: readonly number[],
  ): number {
    const compiled = this.#compiled;
    const first = this.#firstIndex;
    const held: Held[] = [];
    const reported = this.#reported(answers, { nowMs, offsets, held }, positions);
    writer.count(reported.length + held.length);
    this.#writeHeld(held, writer, nowMs);
    for (const i of reported) {
      const entry = compiled[i] as Compiled;
      const raw = answers[i];
      const offset = offsetOf(entry, offsets);
      if (
        entry.exact &&
        typeof raw === "number" &&
        raw >= entry.low &&
        raw <= entry.high &&
        (raw | 0) === raw &&
        raw < 0x2000_0000 &&
        raw > -0x2000_0000 &&
        offset === 0 &&
        this.extraQuality === 0 &&
        (entry.sentinels === undefined || !entry.sentinels.has(raw))
      ) {
        writer.decimal(first + entry.point.index, raw, entry.decimals);
        continue;
      }
      const { value, quality: bits, detail } = this.single(i, answers);
      const decimals = decimalsFor(entry, rawOf(raw));
      writer.reading(first + entry.point.index, value, decimals, bits, detail, offset);
    }
    return reported.length + held.length;
  }

  /** Gives what swinging doors keep back, which is told with that; `isDue`: only what has been for a heartbeat. */
  release(isDue: boolean): Held[] {
    return [...this.#doors].flatMap(([position, door]) => {
      const entry = this.#compiled[position];
      const sample = entry === undefined ? undefined : door.release(isDue);
      return entry === undefined || sample === undefined ? [] : [{ entry, sample }];
    });
  }

  /** Writes all readings of an event: what was kept back. `nowMs`: as for `write`. */
  writeReleased(held: readonly Held[], writer: EventWriter, nowMs: number): void {
    writer.count(held.length);
    this.#writeHeld(held, writer, nowMs);
  }

  #writeHeld(held: readonly Held[], writer: EventWriter, nowMs: number): void {
    for (const { entry, sample } of held) {
      const { value, quality: bits, detail } = this.#doubted(sample);
      const index = this.#firstIndex + entry.point.index;
      writer.reading(index, value, digitsOf(entry, value), bits, detail, sample.timeMs - nowMs);
    }
  }

  /** The positions of what is told by answers at these, with those of derived points whose inputs are all there. */
  told(positions: readonly number[]): readonly number[] {
    const all = new Set(positions);
    for (const { point, position, sources } of this.#compiled)
      if (point.derive !== undefined && sources.every((source) => all.has(source))) all.add(position);
    return all.size === positions.length ? positions : [...all];
  }

  /** Where the answers stand that the value at this position is made from: it is as old as the oldest. */
  sourcesOf(position: number): readonly number[] {
    return this.#compiled[position]?.sources ?? [position];
  }

  /** Positions that go into the event: published ones that have moved out of their dead band, or are due. */
  #reported(
    answers: readonly Answer[],
    { nowMs, offsets, held }: { nowMs: number; offsets: readonly number[] | undefined; held: Held[] },
    given: readonly number[] | undefined,
  ): readonly number[] {
    if (given === undefined && this.#plain !== undefined) return this.#plain;
    const positions: number[] = [];
    const pushed = given === undefined ? undefined : this.told(given);
    const count = pushed?.length ?? this.#compiled.length;
    for (let n = 0; n < count; n++) {
      const i = pushed?.[n] ?? n;
      const entry = this.#compiled[i];
      if (entry === undefined || entry.point.index < 0) continue;
      if (entry.point.deadband !== undefined && !this.#due(entry, answers, nowMs)) continue;
      if (entry.point.swingingDoor !== undefined) {
        const timeMs = nowMs + offsetOf(entry, offsets);
        const newest = { ...this.#one(entry, answers), timeMs };
        for (const sample of this.#doorOf(entry).offer(newest))
          if (sample === newest) positions.push(i);
          else held.push({ entry, sample });
        continue;
      }
      if (entry.point.once === true && this.#isRepeat(i, answers[i])) continue;
      positions.push(i);
    }
    return positions;
  }

  /** What was told has not arrived: each point is news again. */
  forget(): void {
    this.#toldMs.clear();
    for (const door of this.#doors.values()) door.forget();
    this.#last.splice(0, this.#last.length, ...this.#last.map(() => ({ ...untold })));
  }

  #doorOf({ point, position }: Compiled): SwingingDoor {
    const door = this.#doors.get(position) ?? new SwingingDoor(point.swingingDoor ?? 0, point.heartbeat);
    this.#doors.set(position, door);
    return door;
  }

  #isRepeat(position: number, answer: Answer | undefined): boolean {
    const timeMs = typeof answer === "object" ? answer?.sourceTimeMs : undefined;
    if (timeMs === undefined) return false;
    const toldMs = this.#toldMs.get(position);
    if (toldMs !== undefined && timeMs <= toldMs && toldMs - timeMs < setBackMsMin) return true;
    this.#toldMs.set(position, timeMs);
    return false;
  }

  #due(entry: Compiled, answers: readonly Answer[], nowMs: number): boolean {
    const { value, quality: bits, detail } = this.#one(entry, answers);
    const last = this.#last[entry.position] ?? untold;
    const isSame = bits === last.quality && detail?.code === last.code;
    const isStill =
      typeof value === "number" && typeof last.value === "number"
        ? Math.abs(value - last.value) < (entry.point.deadband ?? 0)
        : value === last.value;
    if (isSame && isStill && nowMs - last.atMs < entry.point.heartbeat) return false;
    this.#last[entry.position] = { value, quality: bits, code: detail?.code, atMs: nowMs };
    return true;
  }

  /** One reading, with what is doubted of the whole device. */
  single(i: number, answers: readonly Answer[]): Normalised {
    return this.#doubted(this.#one(this.#compiled[i] as Compiled, answers));
  }

  #doubted(one: Normalised): Normalised {
    if (this.extraQuality === 0) return one;
    const hasCode = one.detail?.code !== undefined || one.value === null;
    const detail = hasCode ? one.detail : { code: this.extraCode, ...one.detail };
    return { ...one, quality: one.quality | this.extraQuality, detail };
  }

  #derived({ point, inputs, decimals }: Compiled, answers: readonly Answer[]): Normalised {
    const ofs = inputs.map((at) => {
      const entry = this.#compiled[at];
      const one = entry === undefined ? undefined : this.#one(entry, answers);
      return { name: entry?.point.name ?? "", raw: rawOf(answers[at]), ...(one ?? nothing) };
    });
    const made = derived(point, ofs);
    if (made.value === null || typeof made.value !== "number") return made;
    const { value, quality: bits, detail } = made;
    const sentinel = point.sentinels.find(({ raw }) => raw === value);
    if (sentinel !== undefined)
      return { value: null, quality: quality.bad, detail: { code: sentinel.code, reason: sentinel.reason } };
    if (point.values !== undefined) return this.#named(point, value, bits, detail);
    return measured(point, value * point.scale + point.offset, decimals, bits, detail);
  }

  #one(entry: Compiled, answers: readonly Answer[]): Normalised {
    if (entry.point.derive !== undefined) return this.#derived(entry, answers);
    const answer = answers[entry.position] ?? null;
    const reading: Reading =
      typeof answer === "object"
        ? (answer ?? { value: null, status: "bad", code: "no-answer" })
        : { value: answer, status: "good" };
    let detail: QualityDetail | undefined;
    if (reading.code !== undefined) detail = { code: reading.code };
    if (reading.reason !== undefined) detail = { ...detail, reason: reading.reason };
    if (reading.value === null || reading.status === "bad")
      return { value: null, quality: quality.bad, detail };
    const bits = statusBits[reading.status];
    const { point } = entry;
    if (typeof reading.value === "number" || typeof reading.value === "bigint") {
      const sentinel = entry.sentinels?.get(Number(reading.value));
      if (sentinel !== undefined) return { value: null, quality: quality.bad, detail: sentinel };
    }
    if (point.values !== undefined) return this.#named(point, reading.value, bits, detail);
    if (typeof reading.value === "boolean") return { value: reading.value, quality: bits, detail };
    if (typeof reading.value === "string") return { value: reading.value.trim(), quality: bits, detail };
    return this.#scaled(entry, reading.value, answers, bits, detail);
  }

  #named(point: HostPoint, raw: Value, bits: number, detail: QualityDetail | undefined): Normalised {
    const name = point.values?.[String(raw)];
    if (name !== undefined) return { value: name, quality: bits, detail };
    return {
      value: String(raw),
      quality: bits | quality.uncertain,
      detail: { code: "unknown-value", ...detail },
    };
  }

  #scaled(
    entry: Compiled,
    raw: number | bigint,
    answers: readonly Answer[],
    bits: number,
    detail: QualityDetail | undefined,
  ): Normalised {
    const { point } = entry;
    let value = Number(raw);
    if (point.kind === "boolean") return { value: value !== 0, quality: bits, detail };
    if (point.scaleFactor !== undefined) {
      const factor = answers[entry.scaleFactor];
      const exponent = typeof factor === "object" && factor.status === "good" ? factor.value : factor;
      if (typeof exponent !== "number" || exponent < -10 || exponent > 10) {
        return {
          value: null,
          quality: quality.bad,
          detail: { code: "scale-factor", reason: `of ${point.scaleFactor}` },
        };
      }
      value = exponent < 0 ? value / 10 ** -exponent : value * 10 ** exponent;
    }
    return measured(point, value * point.scale + point.offset, decimalsFor(entry, raw), bits, detail);
  }
}

const nothing: Normalised = { value: null, quality: quality.bad, detail: undefined };

/** A number of the point's unit, rounded and held to its limits. */
function measured(
  point: HostPoint,
  exact: number,
  decimals: number,
  bits: number,
  detail: QualityDetail | undefined,
): Normalised {
  const power = 10 ** decimals;
  const rounded = Math.round(exact * power) / power;
  // Rounding is for the noise of floats; a value too large for it is kept as it is.
  const value = Number.isFinite(rounded) ? rounded : exact;
  if (!Number.isFinite(value)) return { value: null, quality: quality.bad, detail: { code: "not-a-number" } };
  if (point.limits !== undefined && (value < point.limits[0] || value > point.limits[1])) {
    const reason = `outside ${point.limits[0]} to ${point.limits[1]} ${point.unit}`;
    return { value, quality: bits | quality.uncertain, detail: { code: "limit", reason, ...detail } };
  }
  return { value, quality: bits, detail };
}

/** How far a value's time lies from the event's: that of the oldest of what it is made from. */
function offsetOf({ sources }: Compiled, offsets: readonly number[] | undefined): number {
  if (offsets === undefined) return 0;
  let least = Infinity;
  for (const source of sources) least = Math.min(least, offsets[source] ?? 0);
  return Number.isFinite(least) ? least : 0;
}

function rawOf(answer: Answer | undefined): Value | null | undefined {
  return typeof answer === "object" ? answer?.value : answer;
}

/** Digits of a value that has been made, whatever it was made from. */
function digitsOf({ point, decimals }: Compiled, value: ReadingValue): number {
  const isWhole = typeof value !== "number" || Number.isInteger(value);
  return isWhole || point.decimals !== undefined ? decimals : Math.max(decimals, decimalsUnknown);
}

/** The scale tells the resolution of an integer; a float has its own, which only the configuration can narrow. */
function decimalsFor({ point, decimals }: Compiled, raw: Value | null | undefined): number {
  const isFloat = typeof raw === "number" && !Number.isInteger(raw);
  return isFloat && point.decimals === undefined ? Math.max(decimals, decimalsUnknown) : decimals;
}

/**
 * The readings of one poll as people see them: `points` are those of the normaliser and of `result`. `timeMs`: of
 * the poll, or of each answer.
 */
export function shownReadings(
  driver: Driver<unknown, unknown>,
  points: readonly HostPoint[],
  normaliser: Normaliser,
  result: ReadResult,
  timeMs: number | ((answer: Answer | undefined) => number),
): LatestReading[] {
  return points.flatMap((point, i) => {
    if (point.index < 0) return [];
    const { value, quality: bits, detail } = normaliser.single(i, result.answers);
    const answer = result.answers[i];
    const raw = typeof answer === "object" ? answer.raw : undefined;
    const bad = (bits & quality.bad) !== 0;
    return [
      {
        point: point.name,
        value,
        unit: point.unit,
        decimals: shownDecimals(point, value),
        status: bad ? "bad" : (bits & quality.uncertain) !== 0 ? "uncertain" : "good",
        ...detail,
        timeMs:
          typeof timeMs === "number"
            ? timeMs
            : Math.min(...normaliser.sourcesOf(i).map((source) => timeMs(result.answers[source]))),
        address: point.derive === undefined ? driver.describe(point.address) : shownDerivation(point.derive),
        ...(raw === undefined ? {} : { rawHex: Buffer.from(raw).toString("hex") }),
      } satisfies LatestReading,
    ];
  });
}

/** Readings in the order of the profile; of two of the same point the later one. */
export function inOrder(points: readonly HostPoint[], readings: readonly LatestReading[]): LatestReading[] {
  const byPoint = new Map(readings.map((reading) => [reading.point, reading]));
  return points.flatMap(({ name }) => byPoint.get(name) ?? []);
}
