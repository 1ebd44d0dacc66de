import { randomUUID } from "node:crypto";
import type { Frame } from "./cassette.ts";

/**
 * JSON objects between form feeds, as a device that calls says them (RSMP). What differs from one conversation to
 * the next is known by its look: ids that are UUIDs, and times.
 */

export type Json = Record<string, unknown>;

export interface Packet {
  from: Frame["from"];
  /** When it was complete, since the recording began. */
  ms: number;
  text: string;
  value: unknown;
}

const formFeed = "\f";
/** A packet as it is said. */
export const textOf = (value: Json): string => JSON.stringify(value) + formFeed;
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;
const isWhole = (pattern: RegExp, text: string): boolean => text.match(pattern)?.[0] === text;

export const uuidsOf = (text: string): string[] => text.match(uuid) ?? [];

/** Cuts one direction into packets; text that is no JSON object is none. */
export class Packets {
  #text = "";
  readonly #decoder = new TextDecoder();
  readonly #charsMax: number;

  constructor(charsMax = 1_048_576) {
    this.#charsMax = charsMax;
  }

  push(chunk: Uint8Array): { text: string; value: unknown }[] {
    const pieces = (this.#text + this.#decoder.decode(chunk, { stream: true })).split(formFeed);
    this.#text = (pieces.pop() ?? "").slice(-this.#charsMax);
    return pieces.flatMap((text) => {
      try {
        const value: unknown = JSON.parse(text);
        return typeof value === "object" && value !== null ? [{ text, value }] : [];
      } catch {
        return [];
      }
    });
  }
}

/** A recorded connection as its packets, in their order. */
export function packetsOf(frames: readonly Frame[]): Packet[] {
  const sides = { kerb: new Packets(), device: new Packets() };
  return frames.flatMap(({ from, ms, bytes }) =>
    sides[from].push(bytes).map((packet) => ({ from, ms, ...packet })),
  );
}

/** How a recorded conversation and the one of now stand to each other. */
export class Likeness {
  /** Ids that kerb gave, as recorded and as now. */
  readonly #ids = new Map<string, string>();
  readonly #own: ReadonlySet<string>;
  readonly #known: ReadonlySet<string>;

  constructor(packets: readonly Packet[]) {
    const own = new Set<string>();
    const known = new Set<string>();
    // An id is of the side that says it first; the other tells it back.
    for (const { from, text } of packets)
      for (const id of uuidsOf(text))
        if (!own.has(id) && !known.has(id)) (from === "kerb" ? own : known).add(id);
    this.#own = own;
    this.#known = known;
  }

  /** Is what kerb says now what it said then, but for ids and times of its own, and for what was scrubbed? */
  isSame(recorded: unknown, live: unknown): boolean {
    if (typeof recorded === "string" && typeof live === "string") {
      if (recorded === live || (recorded.length === live.length && /^x+$/.test(recorded))) return true;
      if (isWhole(time, recorded)) return isWhole(time, live);
      return this.#own.has(recorded) && isWhole(uuid, live) && !this.#known.has(live);
    }
    if (typeof recorded !== "object" || typeof live !== "object" || recorded === null || live === null)
      return recorded === live;
    const [was, is] = [Object.entries(recorded), new Map(Object.entries(live))];
    return (
      was.length === is.size && was.every(([name, one]) => is.has(name) && this.isSame(one, is.get(name)))
    );
  }

  /** Notes the ids that kerb has given now to what it gave others then. */
  learn(recorded: unknown, live: unknown): void {
    if (typeof recorded === "string" && typeof live === "string") {
      if (this.#own.has(recorded) && isWhole(uuid, live)) this.#ids.set(recorded, live);
    } else if (
      typeof recorded === "object" &&
      recorded !== null &&
      typeof live === "object" &&
      live !== null
    ) {
      const is = new Map(Object.entries(live));
      for (const [name, one] of Object.entries(recorded)) this.learn(one, is.get(name));
    }
  }

  /** What the device said, with the ids of now and times moved by `shiftMs`; undefined: it answers what is not said. */
  told({ text }: Packet, shiftMs: number, ids: ReadonlyMap<string, string> = this.#ids): string | undefined {
    if (uuidsOf(text).some((id) => this.#own.has(id) && !ids.has(id))) return undefined;
    const moved = (one: string) => {
      const ms = Date.parse(one);
      return Number.isNaN(ms) ? one : new Date(ms + shiftMs).toISOString();
    };
    return text.replaceAll(uuid, (id) => ids.get(id) ?? id).replaceAll(time, moved) + formFeed;
  }

  /** The ids of a packet of kerb's, as recorded and as now, and new ones for those that the device gave in `answers`. */
  idsOf(asked: Packet, live: string, answers: readonly Packet[]): Map<string, string> {
    const now = uuidsOf(live);
    const own = uuidsOf(asked.text).map((id, i): [string, string] => [id, now[i] ?? id]);
    const given = answers.flatMap(({ text }) => uuidsOf(text)).filter((id) => this.#known.has(id));
    return new Map([...given.map((id): [string, string] => [id, randomUUID()]), ...own]);
  }
}

/** What a message is, by its own word for it; "": it has none. */
export function kindOf({ value }: Pick<Packet, "value">): string {
  const { type } = value as { type?: unknown };
  return typeof type === "string" ? type : "";
}

/** What the device said to a packet of kerb's: what names its id, and the response to a request. */
export function answersTo(packets: readonly Packet[], asked: Packet): Packet[] {
  const after = packets.slice(packets.indexOf(asked) + 1).filter(({ from }) => from === "device");
  const [id = ""] = uuidsOf(asked.text);
  const named = after.filter(({ text }) => id !== "" && text.includes(id));
  const kind = kindOf(asked);
  const [first] = named;
  const response = kind.endsWith("Request") ? kind.replace(/Request$/, "Response") : undefined;
  const answer =
    first === undefined
      ? undefined
      : after.slice(after.indexOf(first)).find((one) => kindOf(one) === response);
  return [...new Set([...named, ...(answer === undefined ? [] : [answer])])];
}

/** When a recording began by the device's own clock, ms since 1970; undefined: it has told no time. */
export function beganMs(packets: readonly Packet[]): number | undefined {
  for (const { from, ms, text } of packets) {
    const [first] = from === "device" ? (text.match(time) ?? []) : [];
    const timeMs = first === undefined ? Number.NaN : Date.parse(first);
    if (!Number.isNaN(timeMs)) return timeMs - ms;
  }
  return undefined;
}
