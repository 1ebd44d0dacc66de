import { randomBytes } from "node:crypto";
import {
  anyNumber,
  checkRoom,
  seededRandom,
  WriteLog,
  type Fault,
  type SimulatedPoint,
  type Simulator,
  type SimulatorOptions,
  type StartSimulator,
} from "../simulator.ts";
import { jsonSpeech, lorawanSpeech, onvifSpeech, zigbeeSpeech } from "./json-speech.ts";
import { inTurn, Place, type PlaceSettings, type Resident } from "./place.ts";
import { sparkplugSpeech } from "./sparkplug-speech.ts";
import {
  addressOf,
  filled,
  valueAt,
  type Address,
  type Raw,
  type Said,
  type Settings,
  type Speech,
  type Valued,
} from "./speech.ts";

const defaultDelayMs = 2000;
/** A plausible device tells its values by itself so often. */
const tellEveryMs = 5000;
const clockErrorMs = 7 * 3_600_000;

/** A pretend device behind a broker of this process. */
class PretendDevice implements Resident {
  readonly counts = { requests: 0, errors: 0 };
  readonly writes = new WriteLog(this.counts);
  readonly #options: SimulatorOptions;
  readonly #random: () => number;
  readonly #speech: Speech;
  readonly #pinned = new Map<string, number | string>();
  /** Where the values that wander are, by point. */
  readonly #walked = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #place: Place | undefined;
  #fault: Fault | undefined;
  #delayMs = defaultDelayMs;
  #isFirst = false;
  #isTelling = false;

  constructor(options: SimulatorOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed ?? 1);
    this.#speech = this.#speechOf(options.settings);
  }

  #speechOf(settings: Settings): Speech {
    switch (settings.format) {
      case "lorawan":
        return lorawanSpeech(settings);
      case "zigbee2mqtt":
        return zigbeeSpeech(settings, this.#options.identity, (name, entry) => {
          this.#place?.zigbee.set(name, entry);
          return [...(this.#place?.zigbee.values() ?? [entry])];
        });
      case "onvif-ej":
        return onvifSpeech(settings);
      case "sparkplug-b":
        return sparkplugSpeech(settings);
      default:
        return jsonSpeech(settings);
    }
  }

  async enter(): Promise<Place> {
    const { settings, recordEveryMs, records = [] } = this.#options;
    this.#place = await inTurn(() => Place.join(settings as PlaceSettings, this));
    this.arrived();
    if (recordEveryMs !== 0) {
      this.#every(tellEveryMs, () => this.#tellValues());
      if (recordEveryMs !== undefined && records.length > 0)
        this.#every(recordEveryMs, () => {
          const one = records[Math.floor(this.#random() * records.length)];
          if (one !== undefined) this.tell(one.name);
        });
    }
    return this.#place;
  }

  get isAway(): "down" | "hanging-up" | undefined {
    if (this.#fault === "refuse" || this.#fault === "restart") return "down";
    return this.#fault === "hangUp" ? "hanging-up" : undefined;
  }

  arrived(): void {
    if (this.isAway === undefined) this.#say(this.#speech.hello(this.#values(), this.#now()));
  }

  heard(topic: string, payload: Buffer): void {
    this.counts.requests++;
    if (this.#speech.isAsked?.(topic, payload) === true) this.arrived();
    this.#obey(topic, payload);
  }

  /** Does what its command topics say, and tells it. */
  #obey(topic: string, payload: Buffer): void {
    const { points, settings } = this.#options;
    const { variables = {} } = settings as Settings;
    const commanded = points.filter(({ address }) => {
      const { write } = (address ?? {}) as Address;
      const own = write?.topic === undefined ? this.#speech.commandTopic : filled(write.topic, variables);
      return write !== undefined && own === topic;
    });
    if (commanded.length === 0) return;
    const told = jsonOf(payload);
    const given = commanded.map((point) => {
      const { write, path = "$" } = addressOf(point);
      return { point, raw: valueAt(told, write?.path ?? path) };
    });
    const known = given.filter(({ raw }) => ["number", "string", "boolean"].includes(typeof raw));
    const before = this.#fault;
    this.writes.add(`${topic} ${String(payload)}`, known.length > 0);
    // Who falls silent over it has taken it all the same.
    if (known.length === 0 || (before !== undefined && before !== "slow" && before !== "late")) return;
    for (const { point, raw } of known) this.#pinned.set(point.name, pinnedOf(point, raw as Raw));
    this.#tellValues();
  }

  set(name: string, value: number | string | undefined): void {
    const point = this.#options.points.find((one) => one.name === name);
    if (point !== undefined) checkRoom(point, value, this.#speech.room?.(point) ?? anyNumber);
    if (value === undefined) this.#pinned.delete(name);
    else this.#pinned.set(name, value);
    // What is set together is told together.
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      this.#tellValues();
    });
  }

  tell(name: string, values: Record<string, Raw> = {}): void {
    const record = this.#options.records?.find((one) => one.name === name);
    if (record === undefined) return;
    const fields = record.fields.map((field) => this.#valued(field, values[field.name]));
    this.#say(this.#speech.record(record, fields, this.#values(), this.#now()));
  }

  raise(fault: Fault | undefined, delayMs = defaultDelayMs): void {
    const wasAway = this.isAway !== undefined;
    this.#fault = fault;
    this.#delayMs = delayMs;
    this.#isFirst = true;
    const isAway = this.isAway !== undefined;
    // Its last will, which the others who live there still hear.
    if (isAway && !wasAway) for (const one of this.#speech.goodbye()) this.#publish(one);
    this.#place?.reconcile();
    if (wasAway && !isAway) this.arrived();
    if (fault === "restart") this.#after(delayMs, () => this.raise(undefined));
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const place = this.#place;
    this.#place = undefined;
    if (place !== undefined) await inTurn(() => place.leave(this));
  }

  #now(): number {
    return Date.now() + (this.#fault === "clockWrong" ? clockErrorMs : 0);
  }

  #values(): Valued[] {
    return this.#options.points.map((point) => this.#valued(point, this.#pinned.get(point.name)));
  }

  /** `given` is an engineering value; without one it is plausible. */
  #valued(point: SimulatedPoint, given: Raw | undefined): Valued {
    if (point.fixed !== undefined && given === undefined) return { point, value: point.fixed };
    if (typeof given === "string" || typeof given === "boolean") return { point, value: given };
    if (given === undefined && addressOf(point).type === "text") return { point, value: "plausible" };
    if (given === undefined && addressOf(point).type === "boolean")
      return { point, value: this.#tossed(point) };
    const raw = ((given ?? this.#walk(point)) - point.offset) / point.scale;
    return { point, value: given === undefined ? Number(raw.toFixed(1)) : Number(raw.toPrecision(12)) };
  }

  /** A point that is healthy with one value only keeps it; other points change now and then, fields each time. */
  #tossed(point: SimulatedPoint): boolean {
    const { name, typical: [low, high] = [0, 1] } = point;
    if (low === high) return low === 1;
    if (!this.#options.points.includes(point)) return this.#random() < 0.5;
    const before = this.#walked.get(name) ?? 0;
    const next = this.#random() < 0.15 ? 1 - before : before;
    this.#walked.set(name, next);
    return next === 1;
  }

  /** A small step from where the value was; each field of a record is a new one. */
  #walk(point: SimulatedPoint): number {
    const { name, typical: [low, high] = [0, 0] } = point;
    if (!this.#options.points.includes(point)) return low + this.#random() * (high - low);
    const before = this.#walked.get(name);
    const next =
      before === undefined
        ? low + (0.25 + this.#random() / 2) * (high - low)
        : Math.min(high, Math.max(low, before + (this.#random() - 0.5) * 0.04 * (high - low)));
    this.#walked.set(name, next);
    return next;
  }

  #tellValues(): void {
    this.#say(this.#speech.values(this.#values(), this.#now()));
  }

  #say(messages: readonly Said[]): void {
    if (this.#fault === "silent" || this.isAway !== undefined) return;
    const isLate = this.#fault === "slow" || (this.#fault === "late" && this.#isFirst);
    this.#isFirst = false;
    const shown =
      this.#fault === "garbage"
        ? messages.map((one) => ({ ...one, payload: Buffer.concat([Buffer.from([0xff]), randomBytes(16)]) }))
        : messages;
    if (!isLate) for (const one of shown) this.#publish(one);
    else
      this.#after(this.#delayMs, () => {
        for (const one of shown) this.#publish(one);
      });
  }

  #publish({ topic, payload, qos, retain }: Said): void {
    this.#place?.publish(topic, payload, { qos, retain });
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #every(ms: number, work: () => void): void {
    this.#timers.add(setInterval(work, ms));
  }
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(String(payload));
  } catch {
    return undefined;
  }
}

/** A raw value as the engineering value that makes it again. */
function pinnedOf(point: SimulatedPoint, raw: Raw): number | string {
  const { type, isTrue = true } = addressOf(point);
  if (type === "boolean") return Number(raw === isTrue);
  return typeof raw === "number" ? raw * point.scale + point.offset : String(raw);
}

/**
 * Starts a pretend device behind a broker at `settings.host` and `settings.port` (0: any free one); devices with
 * the same place share the broker. Rejects with an `Error` when the port is taken.
 */
export const start: StartSimulator = async (options) => {
  const device = new PretendDevice(options);
  const place = await device.enter();
  const simulator: Simulator = {
    address: place.address,
    counts: device.counts,
    writes: device.writes,
    set: (point, value) => device.set(point, value),
    tell: (record, values) => device.tell(record, values),
    fault: (fault, delayMs) => device.raise(fault, delayMs),
    close: () => device.close(),
  };
  return simulator;
};
