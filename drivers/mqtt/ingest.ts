import {
  DeviceError,
  type Answer,
  type DriverContext,
  type Reading,
  type RecordPhase,
  type Subscription,
  type Value,
} from "../../gateway/driver.ts";
import type { Message } from "./broker.ts";
import { formatOf, topicOf, type Format } from "./formats.ts";
import { parsePath, valueAt, type Step } from "./json-path.ts";
import { parseJson, textOf } from "./payload.ts";
import { isRepeated } from "./repeats.ts";
import type { Address, Settings } from "./settings.ts";
import { tooLarge } from "./trim.ts";

/** Messages in a row that are no payload of the format, after which the device is taken for lost. */
const garbageMax = 5;

interface Wanted {
  readonly index: number;
  readonly address: Address;
  readonly steps: readonly Step[];
  readonly when: { steps: readonly Step[]; equals: unknown } | undefined;
}
interface WantedRecord extends Wanted {
  readonly fields: readonly Wanted[];
}

/** What one topic filter brings. */
interface Route {
  readonly points: Wanted[];
  readonly records: WantedRecord[];
}

/** A parsed message, ready to be looked into. */
interface Told {
  readonly payload: unknown;
  readonly root: unknown;
  readonly uplink: unknown;
  readonly sourceTimeMs: number | undefined;
  readonly retained: boolean;
}

/** Turns the JSON messages of one device into readings and records. It never throws; `lost` says when it is over. */
export class Ingest {
  readonly routes = new Map<string, Route>();
  readonly #settings: Settings;
  readonly #format: Format;
  readonly #subscription: Subscription<Address>;
  readonly #context: DriverContext;
  readonly #lost: (error: DeviceError) => void;
  /** Topics that have been heard of since the subscription. */
  readonly #heard = new Set<string>();
  /** What a state record told last, by topic: a deleted one comes without its fields. */
  readonly #states = new Map<string, readonly (Answer | undefined)[]>();
  #garbage = 0;
  #isFull = false;

  /** Throws `DeviceError` `unsupported` when the settings lack a topic or a variable. */
  constructor(
    settings: Settings,
    subscription: Subscription<Address>,
    context: DriverContext,
    lost: (error: DeviceError) => void,
  ) {
    this.#settings = settings;
    this.#format = formatOf(settings);
    this.#subscription = subscription;
    this.#context = context;
    this.#lost = lost;
    subscription.points.forEach(({ address }, index) =>
      this.#route(address).points.push(wanted(address, index)),
    );
    subscription.records.forEach(({ address, fields }, index) =>
      this.#route(address).records.push({
        ...wanted(address, index),
        fields: fields.map((field, i) => wanted(field.address, i)),
      }),
    );
  }

  #route(address: Address): Route {
    const filter = filterOf(address, this.#settings, this.#format);
    const route = this.routes.get(filter) ?? { points: [], records: [] };
    this.routes.set(filter, route);
    return route;
  }

  /** Takes one message that came under a filter. */
  take(filter: string, message: Message): void {
    const route = this.routes.get(filter);
    if (route === undefined || !this.#isWanted(message)) return;
    const { payload, retained } = message;
    if (payload.length === 0) {
      this.#deleted(route, message.topic);
      return;
    }
    const parsed =
      payload.equals(tooLarge) || payload.length > this.#settings.payloadBytesMax
        ? { garbage: `more than ${this.#settings.payloadBytesMax} bytes`, code: "too-large" }
        : parseJson(payload);
    if ("garbage" in parsed) {
      this.#refuse(route, message, parsed);
      return;
    }
    this.#garbage = 0;
    const { value } = parsed;
    const sourceTimeMs = this.#format.time(value);
    if (this.#isKnown(message, value, sourceTimeMs)) return;
    const told: Told = {
      payload: value,
      root: this.#format.root(value),
      uplink: this.#format.uplink?.(value),
      sourceTimeMs,
      retained,
    };
    this.#tellPoints(route, told);
    for (const record of route.records) this.#tellRecord(record, told, message.topic);
  }

  /** Bounds the topics, and takes of each what the broker had retained only before anything newer. */
  #isWanted({ topic, retained }: Message): boolean {
    if (this.#heard.has(topic)) return !retained;
    if (this.#heard.size >= this.#settings.topicsMax) {
      if (!this.#isFull)
        this.#context.log("warn", `more than ${this.#settings.topicsMax} topics: ${topic} is ignored`);
      this.#isFull = true;
      return false;
    }
    this.#heard.add(topic);
    return true;
  }

  #isKnown({ topic, retained }: Message, payload: unknown, sourceTimeMs: number | undefined): boolean {
    const id = this.#format.id(payload);
    const own = id ?? sourceTimeMs;
    if (own === undefined) return false;
    const isKnown = isRepeated(this.#context.deviceId, `${topic}\0${own}`);
    // What is retained comes again with each subscription, and its time tells it; of two live messages it does not.
    return isKnown && (id !== undefined || retained);
  }

  #refuse(route: Route, { topic, retained }: Message, why: { garbage: string; code?: string }): void {
    const { code = "garbage", garbage: reason } = why;
    const answer: Reading = { value: null, status: "bad", code, reason };
    if (route.points.length > 0 && !retained)
      this.#subscription.sink.readings(route.points.map(({ index }) => ({ index, answer })));
    if (++this.#garbage < garbageMax) return;
    this.#lost(new DeviceError("garbage", `${topic}: ${garbageMax} messages in a row: ${reason}`));
  }

  #tellPoints({ points }: Route, told: Told): void {
    const values = points.flatMap((point) => {
      const answer = answerOf(point, told);
      return answer === undefined ? [] : [{ index: point.index, answer }];
    });
    if (values.length > 0) this.#subscription.sink.readings(values, { isOld: told.retained });
    // A device that says something else of itself lives all the same.
    else if (!told.retained) this.#subscription.sink.alive();
  }

  #tellRecord(record: WantedRecord, told: Told, topic: string): void {
    if (!applies(record, told)) return;
    const { state } = record.address;
    // An occurrence that the broker has kept, and that has no time, was some day.
    if (told.retained && !state && told.sourceTimeMs === undefined) return;
    const answers = record.fields.map((field) => answerOf(field, told));
    if (answers.every((answer) => answer === undefined)) return;
    if (state) {
      this.#states.delete(topic);
      this.#states.set(topic, answers);
    }
    const phase: RecordPhase = state ? (told.retained ? "initial" : "changed") : "occurred";
    this.#record(record.index, answers, phase, told);
  }

  #record(
    index: number,
    answers: readonly (Answer | undefined)[],
    phase: RecordPhase,
    { sourceTimeMs, retained }: Pick<Told, "sourceTimeMs" | "retained">,
  ): void {
    const time = sourceTimeMs === undefined ? {} : { sourceTimeMs };
    this.#subscription.sink.record(index, answers, { phase, ...time, isOld: retained });
  }

  /** A message without a payload takes back what was retained: the state is no more. */
  #deleted({ records }: Route, topic: string): void {
    const answers = this.#states.get(topic);
    if (answers === undefined) return;
    this.#states.delete(topic);
    for (const { index, address } of records)
      if (address.state)
        this.#record(index, answers, "deleted", { sourceTimeMs: undefined, retained: false });
  }
}

/** The filter under which an address is told. Throws `DeviceError` `unsupported` when something is missing. */
function filterOf(address: Address, settings: Settings, format: Format): string {
  const event = address.event === undefined ? undefined : `{prefix}/onvif-ej/${address.event}/#`;
  const template = address.topic ?? event ?? format.topic;
  if (template === undefined)
    throw new DeviceError(
      "unsupported",
      `${describe(address)} names no topic, and there is no setting "topic"`,
    );
  const filled = topicOf(template, settings);
  if ("missing" in filled)
    throw new DeviceError("unsupported", `${template} wants "${filled.missing}": write it under variables`);
  return filled.topic;
}

export function describe({ topic, event, metric, path, from }: Address): string {
  if (metric !== undefined) return `metric ${metric}`;
  const where = topic ?? event;
  return `${where === undefined ? "" : `${where} `}${from === "uplink" ? "uplink " : ""}${path}`;
}

function wanted(address: Address, index: number): Wanted {
  const { when } = address;
  return {
    index,
    address,
    steps: parsePath(address.path) ?? [],
    when: when === undefined ? undefined : { steps: parsePath(when.path) ?? [], equals: when.equals },
  };
}

function applies({ when }: Wanted, { root }: Told): boolean {
  return when === undefined || valueAt(root, when.steps) === when.equals;
}

/** The answer of a message for one address; undefined where it says nothing of it. */
function answerOf(one: Wanted, told: Told): Answer | undefined {
  if (!applies(one, told)) return undefined;
  const found = valueAt(one.address.from === "uplink" ? told.uplink : told.root, one.steps);
  if (found === undefined) return undefined;
  const reading = readingOf(found, one.address);
  const time = told.sourceTimeMs === undefined ? undefined : { sourceTimeMs: told.sourceTimeMs };
  if (time !== undefined) return { ...reading, ...time };
  if (!told.retained || reading.status === "bad") return reading;
  return { ...reading, status: "uncertain", code: "retained", reason: "kept by the broker, of unknown age" };
}

const textCharactersMax = 4096;

function bad(code: string, reason?: string): Reading {
  return { value: null, status: "bad", code, ...(reason === undefined ? {} : { reason }) };
}

/** A value of JSON as the address wants it. */
function readingOf(found: unknown, address: Address): Reading {
  if (found === null) return bad("null");
  if (typeof found === "object") return bad("not-a-value", "an object or a list");
  return readingAs({ value: found as Value, status: "good" }, address);
}

/** A reading with its value turned into what the address says that it is. */
export function readingAs(reading: Reading, { type, isTrue, isFalse }: Address): Reading {
  let { value } = reading;
  if (value === null) return reading;
  if (typeof value === "string" && value.length > textCharactersMax) return bad("too-large");
  if (type === "boolean") {
    const made = truthOf(value, isTrue ?? true, isFalse ?? false);
    if (made === undefined) return bad("not-a-boolean", String(value).slice(0, 100));
    value = made;
  } else if (type === "number" && typeof value === "string") {
    if (!/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value))
      return bad("not-a-number", value.slice(0, 100));
    value = Number(value);
  } else if (type === "text") value = String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return bad("not-a-number");
  return { ...reading, value };
}

function truthOf(value: Value, isTrue: Value, isFalse: Value): boolean | undefined {
  if (value === isTrue) return true;
  if (value === isFalse) return false;
  if (isTrue !== true || isFalse !== false) return undefined;
  // XML's boolean, which ONVIF writes as text.
  if (value === 1 || value === "1" || value === "true") return true;
  return value === 0 || value === "0" || value === "false" ? false : undefined;
}

/** Whether an availability message says online or offline; undefined: neither. */
export function availability(
  rule: NonNullable<Settings["available"]>[number],
  payload: Buffer,
): "online" | "offline" | undefined {
  if (payload.length > 4096) return undefined;
  const parsed = rule.path === undefined ? undefined : parseJson(payload);
  const found =
    parsed !== undefined && "value" in parsed && typeof parsed.value === "object"
      ? valueAt(parsed.value, parsePath(rule.path ?? "$") ?? [])
      : textOf(payload)?.trim();
  if (String(found) === rule.offline) return "offline";
  return String(found) === rule.online ? "online" : undefined;
}
