import { createHmac } from "node:crypto";
import { askedOf } from "../profiles/derived.ts";
import type { Answer, Driver, Reading, RecordPhase, Sink } from "../driver.ts";
import { quality, type ReadingValue } from "../event.ts";
import type { HostDevice, HostPoint, HostRecord, LatestReading } from "./messages.ts";
import type { Normalised } from "./computed.ts";
import { Normaliser, shownReadings } from "./normalise.ts";

/** A device's clock is not believed when it is ahead by more than this, or shows a time before kerb. */
const aheadMsMax = 5000;
const earliestMs = Date.UTC(2020, 0, 1);
/** Instances of a device's records whose last state is known; the oldest is forgotten first. */
const statesMax = 1000;

/** The oldest of the times that are given with values, and when these came, ms since 1970. */
export interface PushTimes {
  timeMs: number;
  arrivalMs: number;
}

/** Where the events go: their bytes are made by the device loop, which owns the writer. */
export interface PushOutput {
  /** The device has spoken; `isGood`: with a value that is not bad. */
  heard(isGood: boolean): void;
  telemetry(normaliser: Normaliser, answers: Answer[], positions: readonly number[], times: PushTimes): void;
  event(kind: HostRecord["kind"], data: Record<string, unknown>, timeMs: number): void;
  /** The point at this position of `points` is to be polled. */
  poll(position: number): void;
  /** Knows when the events are on disk; absent where none is kept. */
  readonly custody?: { mark(): number; held(from: number, isPressing?: boolean): Promise<boolean> };
}

interface Latest {
  answer: Answer;
  timeMs: number;
  /** When it came, on the clock of `performance.now()`. */
  heardMs: number;
  /** Somebody had kept it for us. */
  isOld: boolean;
}

/** The time that a device gave, or the time of arrival when the device gave none that can be true. */
export function saneTimeMs(sourceTimeMs: number | undefined, arrivalMs: number): number {
  return canBeTrue(sourceTimeMs, arrivalMs) ? Math.round(sourceTimeMs) : arrivalMs;
}

function canBeTrue(timeMs: number | undefined, arrivalMs: number): timeMs is number {
  return timeMs !== undefined && timeMs >= earliestMs && timeMs <= arrivalMs + aheadMsMax;
}

/** What somebody had kept: good only with a time that can be true, for that of its arrival says nothing. */
function asKept(answer: Answer, arrivalMs: number): Answer {
  const reading: Reading = typeof answer === "object" ? answer : { value: answer, status: "good" };
  const { sourceTimeMs, ...rest } = reading;
  if (canBeTrue(sourceTimeMs, arrivalMs) || rest.status === "bad") return answer;
  const doubt = { code: "retained", reason: "kept for us, of unknown age" };
  return rest.status === "good" ? { ...rest, status: "uncertain", ...doubt } : rest;
}

/** Told late: by the driver's word, or by the device's own clock. */
function isOlder(answer: Answer, newest: Answer | undefined): boolean {
  if (typeof answer !== "object") return false;
  const newestMs = typeof newest === "object" ? newest.sourceTimeMs : undefined;
  return answer.past === true || (answer.sourceTimeMs ?? Infinity) < (newestMs ?? -Infinity);
}

function withoutTime(answer: Answer): Answer {
  if (typeof answer !== "object") return answer;
  const { sourceTimeMs: _, ...rest } = answer;
  return rest;
}

const isBad = (answer: Answer): boolean => typeof answer === "object" && answer.status === "bad";

/** Turns what one device pushes into events: readings into telemetry, records into events of their own. */
export class Push implements Sink {
  readonly points: readonly HostPoint[];
  /** Those of them that the device knows: indexes are positions in both. */
  readonly asked: readonly HostPoint[];
  readonly normaliser: Normaliser;
  readonly #device: HostDevice;
  readonly #output: PushOutput;
  readonly #records: { definition: HostRecord; normaliser: Normaliser }[];
  readonly #latest: (Latest | undefined)[] = [];
  /** Where the events begin that nobody has asked about yet. */
  #from: number | undefined;
  /** Last state of each instance of a record: what is said again is no news. */
  readonly #states = new Map<string, { state: string | undefined; told: string }>();

  constructor(device: HostDevice, points: readonly HostPoint[], output: PushOutput) {
    this.points = points;
    this.asked = askedOf(points);
    this.normaliser = new Normaliser(points, device.firstIndex);
    this.#device = device;
    this.#output = output;
    this.#records = device.records.map((definition) => ({
      definition,
      normaliser: new Normaliser(definition.fields.map(asPoint)),
    }));
  }

  /** Bits that everything carries that it tells from now on; 0: none. */
  doubt(bits: number): void {
    for (const { normaliser } of [this, ...this.#records]) normaliser.extraQuality = bits;
  }

  alive(): void {
    this.#output.heard(false);
  }

  poll(index: number): void {
    this.#output.poll(index);
  }

  held(isPressing = false): Promise<boolean> {
    const { custody } = this.#output;
    const from = this.#from ?? custody?.mark() ?? 0;
    this.#from = undefined;
    if (custody === undefined) return Promise.resolve(true);
    return custody.held(from, isPressing).then((isHeld) => {
      // What was dropped comes again: it is news then, as it was.
      if (!isHeld) this.#forgetTold();
      return isHeld;
    });
  }

  #forgetTold(): void {
    for (const [instance, state] of this.#states) this.#states.set(instance, { ...state, told: "" });
    this.normaliser.forget();
  }

  readings(values: readonly { index: number; answer: Answer }[], { isOld = false } = {}): void {
    this.#from ??= this.#output.custody?.mark();
    // What makes no sense is no sign of life: a driver that knows better says `alive`.
    if (!isOld && values.some(({ answer }) => !isBad(answer))) this.#output.heard(true);
    const arrivalMs = Date.now();
    const answers: Answer[] = [];
    const positions: number[] = [];
    let timeMs = Infinity;
    for (const { index, answer: told } of values) {
      if (this.points[index] === undefined) continue;
      const answer = isOld ? asKept(told, arrivalMs) : told;
      const ownMs = saneTimeMs(typeof answer === "object" ? answer.sourceTimeMs : undefined, arrivalMs);
      if (positions.includes(index)) this.#tell(answers, positions.splice(0), { timeMs, arrivalMs });
      if (positions.length === 0) timeMs = ownMs;
      timeMs = Math.min(timeMs, ownMs);
      answers[index] = answer;
      positions.push(index);
      if (!isOlder(answer, this.#latest[index]?.answer))
        this.#latest[index] = { answer, timeMs: ownMs, heardMs: performance.now(), isOld };
    }
    this.#tell(answers, positions, { timeMs, arrivalMs });
  }

  #tell(answers: Answer[], positions: number[], times: PushTimes): void {
    if (positions.length > 0) this.#output.telemetry(this.normaliser, [...answers], positions, times);
  }

  record(
    index: number,
    told: readonly (Answer | undefined)[],
    about: NonNullable<Parameters<Sink["record"]>[2]> = {},
  ): void {
    const isOld = about.isOld === true;
    this.#from ??= this.#output.custody?.mark();
    if (!isOld) this.#output.heard(told.some((answer) => answer !== undefined && !isBad(answer)));
    const entry = this.#records[index];
    if (entry === undefined) return;
    const { definition, normaliser } = entry;
    const arrivalMs = Date.now();
    const isKept = isOld && !canBeTrue(about.sourceTimeMs, arrivalMs);
    const { phase = "occurred" } = about;
    // It happened some day.
    if (isKept && phase === "occurred") return;
    const answers = isKept
      ? told.map((one) => (one === undefined ? one : asKept(withoutTime(one), arrivalMs)))
      : told;
    const given = definition.fields.map((_, i) => answers[i] ?? { value: null, status: "bad" as const });
    const values: Record<string, unknown> = {};
    let instance = `${definition.name}\0${about.instance ?? ""}`;
    let active: ReadingValue = null;
    let isPersonal = false;
    definition.fields.forEach((field, i) => {
      if (answers[i] === undefined) return;
      const one = normaliser.single(i, given);
      if (field.instance) instance += `\0${String(one.value)}`;
      if (field.name === definition.active) active = one.value;
      isPersonal ||= field.privacy === "token";
      const how = field.privacy === "token" ? this.#device.personalData.how : field.privacy;
      if (how !== "drop") values[field.name] = this.#shown(field, one);
    });
    const state = phase === "deleted" ? "deleted" : this.#stateOf(instance, definition, active);
    // What a device tells late has happened, and changes nothing of what is known of now.
    const isPast = about.past === true;
    const isNews = isPast || this.#isNews(instance, definition, phase, state, values);
    if (phase !== "occurred" && !isNews) return;
    this.#output.event(
      definition.kind,
      {
        record: definition.name,
        ...(definition.category === undefined ? {} : { category: definition.category }),
        ...(definition.severity === undefined ? {} : { severity: definition.severity }),
        ...(state === undefined ? {} : { state }),
        ...(phase === "initial" ? { initial: true } : {}),
        ...(isPast ? { past: true } : {}),
        ...(isPersonal ? this.#privacy() : {}),
        values,
      },
      saneTimeMs(about.sourceTimeMs, arrivalMs),
    );
  }

  /** An alarm that does not say whether it is active is as it was: silence is no all-clear. */
  #stateOf(instance: string, { kind, active: name }: HostRecord, active: ReadingValue): string | undefined {
    if (kind !== "alarm" || name === undefined) return undefined;
    if (active !== null) return active === true || active === "true" || active === 1 ? "active" : "inactive";
    const before = this.#states.get(instance)?.state;
    return before === undefined || before === "deleted" ? "unknown" : before;
  }

  /** A property that a device tells anew, as after each subscription, is news only when it has changed. */
  #isNews(
    instance: string,
    definition: HostRecord,
    phase: RecordPhase,
    state: string | undefined,
    values: Record<string, unknown>,
  ): boolean {
    const told = JSON.stringify([state, definition.kind === "alarm" ? "" : values]);
    const before = this.#states.get(instance)?.told;
    this.#states.delete(instance);
    // What occurs has no state, unless it says so.
    if (phase !== "occurred" || state !== undefined) this.#states.set(instance, { state, told });
    const [oldest] = this.#states.keys();
    if (this.#states.size > statesMax && oldest !== undefined) this.#states.delete(oldest);
    // An alarm without a state is momentary, and a transaction has happened: each is one of its own.
    if (definition.kind === "alarm" && state === undefined) return true;
    if (definition.kind === "transaction" && phase === "changed") return true;
    // An alarm that is not there when the device is first asked has not ended just now.
    const isQuiet = phase === "initial" && definition.kind === "alarm" && state === "inactive";
    return told !== before && !(isQuiet && before === undefined);
  }

  #privacy(): Record<string, unknown> {
    const { personalData } = this.#device;
    return personalData.how === "clear"
      ? { privacy: "personal", legalBasis: personalData.legalBasis }
      : { privacy: "personal" };
  }

  #shown(field: HostRecord["fields"][number], { value, quality: bits, detail }: Normalised): unknown {
    const unit = field.unit === "1" ? {} : { unit: field.unit };
    const status = (bits & quality.bad) !== 0 ? "bad" : "uncertain";
    const { personalData } = this.#device;
    const isToken = field.privacy === "token" && personalData.how === "token" && value !== null;
    const shown = isToken ? { token: tokenOf(personalData.key, String(value)) } : { value };
    // The reason may hold what the device has told.
    const why = field.privacy === "token" && personalData.how !== "clear" ? { code: detail?.code } : detail;
    return { ...shown, ...unit, ...(bits === 0 ? {} : { quality: { status, ...why } }) };
  }

  /** The newest that was heard of a point; undefined: nothing yet. */
  heard(name: string): Readonly<Latest> | undefined {
    return this.#latest[this.points.findIndex((point) => point.name === name)];
  }

  /** The newest value of each point that has been heard, for people; of the others that they are `unheard`. */
  shown(driver: Driver<unknown, unknown>, withUnheard = false): LatestReading[] {
    const answers = this.points.map(
      (_, i) => this.#latest[i]?.answer ?? { value: null, status: "bad" as const },
    );
    const heardMs = (i: number) => this.#latest[i]?.timeMs ?? -Infinity;
    const times = new Map(
      this.points.map(({ name }, i) => [name, Math.min(...this.normaliser.sourcesOf(i).map(heardMs))]),
    );
    return shownReadings(driver, this.points, this.normaliser, { answers }, 0).flatMap((reading) => {
      const timeMs = times.get(reading.point);
      if (timeMs !== undefined && timeMs > -Infinity) return [{ ...reading, timeMs }];
      const { code: _code, reason: _reason, ...unheard } = reading;
      return withUnheard ? [{ ...unheard, unheard: true as const }] : [];
    });
  }
}

/**
 * How far the device's own times of its answers lie from the event's, and for answers without one that of their
 * arrival (`arrivals`, where they came one after the other), ms; undefined when all came at once without a time.
 */
export function sourceOffsets(
  answers: readonly Answer[],
  timeMs: number,
  arrivalMs = timeMs,
  arrivals?: number[],
): number[] | undefined {
  let offsets = arrivals;
  answers.forEach((answer, i) => {
    if (typeof answer !== "object" || answer.sourceTimeMs === undefined) return;
    offsets ??= Array.from({ length: answers.length }, () => arrivalMs - timeMs);
    offsets[i] = saneTimeMs(answer.sourceTimeMs, Date.now()) - timeMs;
  });
  return offsets;
}

function asPoint(field: HostRecord["fields"][number]): HostPoint {
  return { ...field, poll: "push", publish: true, heartbeat: 0, index: 0 };
}

/**
 * A token for a text that names a person or a vehicle: the same text gives the same token on one box, and nobody
 * without the key can find the text by trying. Written differently ("51F-123.45", "51f12345") it is the same.
 */
export function tokenOf(key: string, text: string): string {
  const plain = text.toUpperCase().replaceAll(/[^\p{L}\p{N}]/gu, "");
  return `hmac-sha256:${createHmac("sha256", key).update(plain).digest("base64url").slice(0, 22)}`;
}
