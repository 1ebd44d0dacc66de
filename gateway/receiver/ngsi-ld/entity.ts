import type { PointState } from "../device-state.ts";
import type { Source } from "./models.ts";
import { convert } from "./units.ts";

/** An attribute of an entity before it is written in one of the two representations. */
export interface Attribute {
  name: string;
  kind: "property" | "relationship" | "geo";
  value: unknown;
  /** UCUM. */
  unit?: string;
  /** Time of observation, ms since 1970 UTC; undefined for what is not observed. */
  timeMs?: number;
  unsynced?: true;
  /** Why the value is uncertain. */
  doubt?: string;
}

/** An entity before it is written. `subject`: the Smart Data Models repository of its context. */
export interface Entity {
  id: string;
  type: string;
  subject?: string;
  attributes: Attribute[];
}

/** A value or an entity that is not given, and why. */
export interface Withheld {
  what: string;
  reason: string;
}

/** A value that its device has not told for so long, while it told others, is not its state any more. */
const staleMs = 24 * 3600 * 1000;

/** Times that RFC 3339 can write. */
const latestMs = 253_402_300_799_999;
export function isTime(timeMs: number | undefined): timeMs is number {
  return timeMs !== undefined && timeMs >= 0 && timeMs <= latestMs;
}

/** `urn:ngsi-ld:<type>:<gateway>:<device>[:<part>]`. */
export function entityId(type: string, gateway: string, device: string, part = ""): string {
  const names = [type, gateway, device, ...(part === "" ? [] : [part])];
  return `urn:ngsi-ld:${names.map((name) => encodeURIComponent(name)).join(":")}`;
}

/** What `entityId` made; undefined for any other id. */
export function parseEntityId(id: string): { type: string; gateway: string; device: string } | undefined {
  const [, type, gateway, device] =
    /^urn:ngsi-ld:([^:]{1,100}):([^:]{1,100}):([^:]{1,400})(?::|$)/.exec(id) ?? [];
  if (type === undefined || gateway === undefined || device === undefined) return undefined;
  try {
    return { type, gateway: decodeURIComponent(gateway), device: decodeURIComponent(device) };
  } catch {
    return undefined;
  }
}

/** The points of a device or the fields of a record; remembers which were used and why others were not. */
export class Values {
  readonly points: Readonly<Record<string, PointState>>;
  readonly withheld: Withheld[] = [];
  readonly used = new Set<string>();
  readonly #newestMs: number;

  constructor(points: Readonly<Record<string, PointState>>) {
    this.points = points;
    this.#newestMs = Object.values(points).reduce(
      (newest, { timeMs, value }) => (value === null ? newest : Math.max(newest, timeMs)),
      0,
    );
  }

  /** A value that can be shown at all: not bad, not long gone. */
  get(name: string): PointState | undefined {
    const point = Object.hasOwn(this.points, name) ? this.points[name] : undefined;
    if (point === undefined) return undefined;
    if (point.value === null) return this.#refuse(name, "its newest value is bad");
    if (!isTime(point.timeMs)) return this.#refuse(name, "its time cannot be true");
    if (typeof point.value === "number" && !Number.isFinite(point.value))
      return this.#refuse(name, "it is no finite number");
    if (this.#newestMs - point.timeMs > staleMs)
      return this.#refuse(name, "it has not been told for more than a day");
    return point;
  }

  /** The attribute that a line of a model asks for; undefined, and why, when no point gives it. */
  attribute(source: Source, part = ""): Attribute | undefined {
    for (const pattern of source.from) {
      const name = pattern.replace("*", part);
      const point = this.get(name);
      if (point === undefined) continue;
      const result = source.unit === undefined ? plain(source, point) : scaled(source, source.unit, point);
      if (typeof result === "string") {
        this.#refuse(name, result);
        continue;
      }
      this.used.add(name);
      return observed(source.to, result.value, point, source.unit);
    }
    return undefined;
  }

  #refuse(what: string, reason: string): undefined {
    this.withheld.push({ what, reason });
    return undefined;
  }
}

/** An observed attribute with the time and the doubt of its point. */
export function observed(name: string, value: unknown, point: PointState, unit?: string): Attribute {
  return {
    name,
    kind: "property",
    value,
    timeMs: point.timeMs,
    ...(unit === undefined ? {} : { unit }),
    ...(point.unsynced === true ? { unsynced: true as const } : {}),
    ...(point.doubt === undefined ? {} : { doubt: point.doubt }),
  };
}

function plain({ as = "text", values }: Source, { value }: PointState): { value: unknown } | string {
  if (as === "boolean") return typeof value === "boolean" ? { value } : "the model wants true or false";
  const text = String(value);
  return values === undefined || values.includes(text) ? { value: text } : "the model has no such word";
}

function scaled(source: Source, unit: string, { value, unit: from }: PointState): { value: number } | string {
  if (typeof value !== "number") return "the model wants a number";
  let number = convert(value, from, unit);
  if (number === undefined) return `"${from}" is not converted to "${unit}"`;
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = source;
  if (source.turns === true && number >= 0 && number <= 360 && number > most)
    number = Number((number - 360).toPrecision(12));
  if (source.whole === true) number = Math.round(number);
  return number >= least && number <= most ? { value: number } : "it lies outside of what the model allows";
}
