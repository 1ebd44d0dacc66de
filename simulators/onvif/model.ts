import { anyNumber, checkRoom, type SimulatedPoint, type SimulatorOptions } from "../simulator.ts";

/** What the camera shows and tells, without its wire. */

export interface Address {
  reading?: string;
  topic?: string;
  item?: string;
  part?: "source" | "key" | "data";
  source?: Record<string, string>;
  token?: string;
  type?: string;
}

export type Raw = string | number | boolean;

/** One thing that happened, ready to be told to every subscription. */
export interface Happening {
  topic: string;
  operation: "Initialized" | "Changed" | undefined;
  timeMs: number;
  items: { part: "Source" | "Key" | "Data"; name: string; value: Raw }[];
}

/** A topic as GetEventProperties tells it. */
export interface Described {
  topic: string;
  lasts: boolean;
  items: { part: "Source" | "Key" | "Data"; name: string; type: string }[];
}

type SimulatedRecord = NonNullable<SimulatorOptions["records"]>[number];

const parts = { source: "Source", key: "Key", data: "Data" } as const;
const hourMs = 3_600_000;

export class Model {
  readonly #points: readonly SimulatedPoint[];
  readonly #records: readonly SimulatedRecord[];
  readonly #random: () => number;
  readonly #pinned = new Map<string, number | string>();
  /** The last state of each property, told to every new subscription. */
  readonly #states = new Map<string, Happening>();
  isClockWrong = false;

  constructor({ points, records = [] }: SimulatorOptions, random: () => number) {
    this.#points = points;
    this.#records = records;
    this.#random = random;
    for (const point of points)
      if (addressOf(point).topic !== undefined) this.#keep(point.name, this.#ofPoint(point));
    for (const record of records) {
      if (record.active === undefined) continue;
      this.#keep(record.name, this.#ofRecord(record, { [record.active]: false }));
    }
  }

  get nowMs(): number {
    const skew = this.#points.find((point) => addressOf(point).reading === "clock-skew");
    const skewS = skew === undefined ? 0 : Number(this.rawOf(skew));
    return Date.now() + skewS * 1000 + (this.isClockWrong ? 7 * hourMs : 0);
  }

  rawOf(point: SimulatedPoint): Raw {
    const pinned = this.#pinned.get(point.name);
    if (typeof pinned === "string") return pinned;
    if (pinned !== undefined) return Number(((pinned - point.offset) / point.scale).toPrecision(12));
    if (point.fixed !== undefined) return point.fixed;
    if (point.typical === undefined) return 0;
    const [low, high] = point.typical;
    return Math.round((low + this.#random() * (high - low) - point.offset) / point.scale);
  }

  /** The raw value of what is asked for by name of reading; undefined: this camera has no such thing. */
  reading(reading: string, item?: string): { token: string | undefined; raw: Raw }[] {
    return this.#points.flatMap((point) => {
      const address = addressOf(point);
      if (address.reading !== reading || address.item !== item) return [];
      return [{ token: address.token, raw: this.rawOf(point) }];
    });
  }

  /** Pins a value; what has a topic is told at once. */
  set(name: string, value: number | string | undefined): Happening | undefined {
    const point = this.#points.find((one) => one.name === name);
    if (point === undefined) throw new Error(`no point "${name}"`);
    checkRoom(point, value, anyNumber);
    if (value === undefined) this.#pinned.delete(name);
    else this.#pinned.set(name, value);
    if (addressOf(point).topic === undefined) return undefined;
    return this.#keep(name, this.#ofPoint(point));
  }

  tell(name: string, values: Record<string, Raw> = {}): Happening {
    const record = this.#records.find((one) => one.name === name);
    if (record === undefined) throw new Error(`no record "${name}"`);
    const happening = this.#ofRecord(record, values);
    return record.kind === "transaction" || (record.kind === "alarm" && record.active === undefined)
      ? { ...happening, operation: undefined }
      : this.#keep(name, happening);
  }

  /** Something plausible that happens by itself. */
  any(): Happening | undefined {
    const record = this.#records[Math.floor(this.#random() * this.#records.length)];
    return record === undefined ? undefined : this.tell(record.name);
  }

  /** What it may tell: each topic once, with the items of its messages and the types of their values. */
  described(): Described[] {
    const told = new Map<string, Described>();
    const add = ({ topic = "" }: Address, lasts: boolean, fields: readonly SimulatedPoint[]) => {
      if (topic === "") return;
      const items = fields.map((field) => {
        const { item = "Value", part, type = "text" } = addressOf(field);
        return { part: part === undefined ? "Data" : parts[part], name: item, type } as const;
      });
      const plain = topic.replaceAll("*", "ImagingService");
      told.set(plain, { topic: plain, lasts, items });
    };
    for (const point of this.#points) add(addressOf(point), true, [point]);
    for (const { address, kind, active, fields } of this.#records)
      add(address as Address, kind === "state" || active !== undefined, fields);
    return [...told.values()];
  }

  initial(): Happening[] {
    return [...this.#states.values()].map((state) => ({ ...state, operation: "Initialized" }));
  }

  #keep(name: string, happening: Happening): Happening {
    this.#states.set(name, happening);
    return happening;
  }

  #ofPoint(point: SimulatedPoint): Happening {
    const address = addressOf(point);
    return this.#happening(address, [this.#item(point, this.rawOf(point), "Data")]);
  }

  #ofRecord(record: SimulatedRecord, values: Record<string, Raw>): Happening {
    const items = record.fields.map((field) => {
      const given = values[field.name];
      const raw =
        typeof given === "number"
          ? Number(((given - field.offset) / field.scale).toPrecision(12))
          : (given ?? this.#plausible(field, record.active));
      return this.#item(field, raw, "Data");
    });
    return this.#happening(record.address as Address, items);
  }

  #plausible(field: SimulatedPoint, active: string | undefined): Raw {
    const { type } = addressOf(field);
    if (field.fixed !== undefined && typeof field.fixed !== "string" && type === "boolean")
      return field.fixed !== 0;
    if (field.name === active) return this.#random() < 0.5;
    if (type === "boolean") return this.#random() < 0.5;
    if (type === "time") return new Date(this.nowMs).toISOString();
    return this.rawOf(field);
  }

  #item(point: SimulatedPoint, raw: Raw, otherwise: "Data"): Happening["items"][number] {
    const { item = "Value", part, type } = addressOf(point);
    const value = type === "boolean" && typeof raw === "number" ? raw !== 0 : raw;
    return { part: part === undefined ? otherwise : parts[part], name: item, value };
  }

  #happening({ topic = "", source = {} }: Address, items: Happening["items"]): Happening {
    const named = Object.entries(source).map(([name, value]) => ({ part: "Source" as const, name, value }));
    const own = items.filter(({ name }) => !(name in source));
    // A wildcard of the profile stands for one of the services that tell it.
    const concrete = topic.replaceAll("*", "ImagingService");
    return { topic: concrete, operation: "Changed", timeMs: this.nowMs, items: [...named, ...own] };
  }
}

function addressOf(point: SimulatedPoint): Address {
  return point.address as Address;
}
