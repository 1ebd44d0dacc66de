import {
  DeviceError,
  type DriverContext,
  type Reading,
  type RecordPhase,
  type Subscription,
} from "../../gateway/driver.ts";
import { answerOf, applies, isBad, takesText, wanted, type Told, type Wanted } from "./answers.ts";
import type { Message } from "./broker.ts";
import { formatOf, topicOf, type Format } from "./formats.ts";
import { parseJson, shortTopic, textOf, type Parsed } from "./payload.ts";
import { isRepeated } from "./repeats.ts";
import type { Address, Settings } from "./settings.ts";
import { States, type State } from "./states.ts";
import { tooLarge } from "./trim.ts";

/** Messages of one topic in a row that are no payload of the format, after which the device is taken for lost. */
const garbageMax = 5;
/** What is retained comes one right behind the other. */
const retainedWithinMs = 2000;
/** A format that repeats what it has kept may be late by this much for a message of now. */
const lateMsMax = 60_000;

interface WantedRecord extends Wanted {
  readonly name: string;
  readonly fields: readonly Wanted[];
}

/** What one topic filter brings. Its messages are a stream of their own, also where another filter fits as well. */
interface Route {
  readonly filter: string;
  readonly points: Wanted[];
  readonly records: WantedRecord[];
  /** Topics that have been heard of since the subscription. */
  readonly heard: Set<string>;
}

/** Turns the JSON messages of one device into readings and records. `lost` says when it is over. */
export class Ingest {
  readonly routes = new Map<string, Route>();
  readonly #settings: Settings;
  readonly #format: Format;
  readonly #subscription: Subscription<Address>;
  readonly #context: DriverContext;
  readonly #lost: (error: DeviceError) => void;
  readonly #states: States;
  readonly #topics = new Set<string>();
  /** Garbage in a row, by topic. */
  readonly #garbage = new Map<string, number>();
  /** The newest time that the device has given. */
  #newestMs: number | undefined;
  #isFull = false;
  #isGranted = false;
  #retainedTimer: NodeJS.Timeout | undefined;

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
    this.#states = new States(context.deviceId);
    subscription.points.forEach(({ address }, index) =>
      this.#route(address).points.push(wanted(address, index)),
    );
    subscription.records.forEach(({ name, address, fields }, index) =>
      this.#route(address).records.push({
        ...wanted(address, index),
        name,
        fields: fields.map((field, i) => wanted(field.address, i)),
      }),
    );
  }

  #route(address: Address): Route {
    const filter = filterOf(address, this.#settings, this.#format);
    const route = this.routes.get(filter) ?? { filter, points: [], records: [], heard: new Set() };
    this.routes.set(filter, route);
    return route;
  }

  /** The broker has agreed to all filters. */
  granted(): void {
    this.#isGranted = true;
    this.#retainedTimer?.refresh();
  }

  stop(): void {
    clearTimeout(this.#retainedTimer);
  }

  /** Takes one message that came under a filter. */
  take(filter: string, message: Message): void {
    const route = this.routes.get(filter);
    if (route === undefined || !this.#isWanted(route, message)) return;
    const { payload, topic, retained } = message;
    if (payload.length === 0) {
      this.#deleted(route, topic);
      return;
    }
    const parsed = this.#parsed(route, payload);
    if ("garbage" in parsed) {
      this.#refuse(route, message, parsed);
      return;
    }
    this.#garbage.clear();
    const { value } = parsed;
    if (this.#format.isPretended?.(value) === true) return;
    const sourceTimeMs = this.#format.time(value);
    const told: Told = {
      payload: value,
      root: this.#format.root(value),
      uplink: this.#format.uplink?.(value),
      sourceTimeMs,
      retained,
      queued: message.queued === true,
      isOld: retained || this.#isLate(sourceTimeMs),
    };
    const states = this.#kept(route, told, topic);
    if (this.#isKnown(route, message, told)) return;
    this.#tellPoints(route, told);
    for (const record of route.records) this.#tellRecord(record, told, states.get(record));
  }

  #parsed(route: Route, payload: Buffer): Parsed & { code?: string } {
    const { payloadBytesMax } = this.#settings;
    if (payload.equals(tooLarge) || payload.length > payloadBytesMax)
      return { garbage: `more than ${payloadBytesMax} bytes`, code: "too-large" };
    const parsed = parseJson(payload);
    if ("value" in parsed || parsed.garbage !== "no JSON") return parsed;
    const all = [...route.points, ...route.records.flatMap(({ fields }) => fields)];
    return all.some(takesText) ? { value: textOf(payload) } : parsed;
  }

  /** Bounds the topics, and takes of each what the broker had retained only before anything newer. */
  #isWanted({ heard }: Route, { topic, retained }: Message): boolean {
    if (retained) this.#awaitRetained();
    if (heard.has(topic)) return !retained;
    if (this.#topics.size >= this.#settings.topicsMax && !this.#topics.has(topic)) {
      if (!this.#isFull) {
        const text = `more than ${this.#settings.topicsMax} topics: ${shortTopic(topic)} is ignored`;
        this.#context.log("warn", text);
      }
      this.#isFull = true;
      return false;
    }
    this.#topics.add(topic);
    heard.add(topic);
    return true;
  }

  /** A bridge that starts tells again what it has kept, with the time that it had. */
  #isLate(sourceTimeMs: number | undefined): boolean {
    if (this.#format.tellsKept !== true || sourceTimeMs === undefined) return false;
    const isNewer = this.#newestMs !== undefined && sourceTimeMs > this.#newestMs;
    this.#newestMs = Math.max(sourceTimeMs, this.#newestMs ?? 0);
    return Date.now() - sourceTimeMs > lateMsMax && !isNewer;
  }

  #isKnown({ filter }: Route, { topic, retained }: Message, { payload, sourceTimeMs }: Told): boolean {
    const id = this.#format.id(payload);
    const own = id ?? sourceTimeMs;
    if (own === undefined) return false;
    const { topicsMax } = this.#settings;
    const placesMax = topicsMax * this.routes.size;
    const isKnown = isRepeated(this.#context.deviceId, `${filter}\0${topic}`, String(own), placesMax);
    // What is retained comes again with each subscription, and its time tells it; of two live messages it does not.
    return isKnown && (id !== undefined || retained);
  }

  #refuse(
    route: Route,
    { topic, retained }: Message,
    { garbage: reason, code = "garbage" }: { garbage: string; code?: string },
  ): void {
    // It comes with each subscription, however well the device is.
    if (retained) return;
    const answer: Reading = { value: null, status: "bad", code, reason };
    if (route.points.length > 0)
      this.#subscription.sink.readings(route.points.map(({ index }) => ({ index, answer })));
    const count = (this.#garbage.get(topic) ?? 0) + 1;
    this.#garbage.set(topic, count);
    if (count < garbageMax) return;
    const text = `${shortTopic(topic)}: ${garbageMax} messages in a row: ${reason}`;
    this.#lost(new DeviceError("garbage", text));
  }

  #tellPoints({ points }: Route, told: Told): void {
    const { sink } = this.#subscription;
    const values = points.flatMap((point) => {
      const answer = answerOf(point, told);
      return answer === undefined ? [] : [{ index: point.index, answer }];
    });
    // What the broker had kept for us says nothing of now.
    const isOld = told.isOld || told.queued;
    if (values.length > 0) sink.readings(values, { isOld });
    // A device whose values are bad, or that says something else of itself, lives all the same.
    if (!isOld && values.every(({ answer }) => isBad(answer))) sink.alive();
  }

  /** The states that a message tells, remembered for their end: also those that are no news after a reconnect. */
  #kept({ records }: Route, told: Told, topic: string): Map<WantedRecord, State["answers"]> {
    const states = new Map<WantedRecord, State["answers"]>();
    for (const record of records) {
      if (!applies(record, told)) continue;
      const answers = record.fields.map((field) => answerOf(field, told));
      if (answers.every((answer) => answer === undefined)) continue;
      states.set(record, answers);
      if (record.address.state)
        this.#states.set({ topic, record: record.name, answers, isRetained: told.retained });
    }
    return states;
  }

  #tellRecord({ index, address: { state } }: WantedRecord, told: Told, answers?: State["answers"]): void {
    const { retained, sourceTimeMs, isOld } = told;
    // An occurrence that the broker has kept, and that has no time, was some day.
    if (answers === undefined || (retained && !state && sourceTimeMs === undefined)) return;
    const phase: RecordPhase = state ? (retained ? "initial" : "changed") : "occurred";
    const time = sourceTimeMs === undefined ? {} : { sourceTimeMs };
    this.#subscription.sink.record(index, answers, { phase, ...time, isOld });
  }

  /** A message without a payload takes back what was retained: the state is no more. */
  #deleted({ records, heard }: Route, topic: string): void {
    heard.delete(topic);
    if ([...this.routes.values()].every((route) => !route.heard.has(topic))) this.#topics.delete(topic);
    for (const { name, index } of records) {
      const state = this.#states.take(name, topic);
      if (state !== undefined)
        this.#subscription.sink.record(index, state.answers, { phase: "deleted", isOld: false });
    }
  }

  #awaitRetained(): void {
    if (this.#retainedTimer !== undefined) this.#retainedTimer.refresh();
    else this.#retainedTimer = setTimeout(() => this.#missed(), retainedWithinMs);
  }

  /**
   * States that were retained, and are not among those that have come now, were deleted while we were away. A broker
   * that gives nothing at all has rather lost its memory.
   */
  #missed(): void {
    if (!this.#isGranted || this.#isFull) return;
    for (const { records, heard } of this.routes.values()) {
      for (const { name, index } of records) {
        for (const topic of this.#states.retained(name)) {
          if (heard.has(topic)) continue;
          const answers = this.#states.take(name, topic)?.answers ?? [];
          this.#subscription.sink.record(index, answers, { phase: "deleted", isOld: true });
        }
      }
    }
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
