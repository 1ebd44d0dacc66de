import { anyNumber, checkRoom, seededRandom, type Room, type SimulatedPoint } from "../simulator.ts";
import { encode, integer, octets, oid, tags } from "./ber.ts";

/** The addresses of the profile as far as a pretend device needs them: `drivers/snmp/settings.ts` has them all. */
export interface Address {
  oid?: string;
  states?: Record<string, string>;
  walk?: string;
  measure?: string;
  sign?: string;
  notification?: string;
  type?: string;
  syntax?: string;
  bit?: number;
  order?: string;
  octets?: number;
}

const walkStepMs = 1000;
const walkStepsMax = 60;
/** Signals go in turns: so many, each so long, with an end that is neither stop nor go. */
const turns = 4;
const turnMs = 8000;
const endMs = 2000;

/** What one point says now: pinned, fixed or wandering. */
export class PointValue {
  readonly point: SimulatedPoint;
  readonly address: Address;
  readonly #random: () => number;
  #value: number;
  #walkedAtMs = performance.now();
  #pinned: number | string | undefined;

  constructor(point: SimulatedPoint, seed: number) {
    this.point = point;
    this.address = point.address as Address;
    this.#random = seededRandom(seed);
    const [low, high] = point.typical ?? [0, 0];
    this.#value = low + (high - low) * (0.25 + this.#random() / 2);
  }

  get isPinned(): boolean {
    return this.#pinned !== undefined;
  }

  set(value: number | string | undefined): void {
    checkRoom(this.point, value, roomOf(this.address));
    this.#pinned = value;
  }

  /** The raw value: what the profile's scale makes the engineering value of. */
  raw(): number | string {
    const { point } = this;
    if (this.#pinned === undefined && point.fixed !== undefined) return point.fixed;
    if (this.#pinned === undefined && point.typical !== undefined) this.#walk(point.typical);
    const value = this.#pinned ?? this.#value;
    return typeof value === "string" ? value : (value - point.offset) / point.scale;
  }

  /** The state of a signal that shows one of `names` at a time: its turn comes with those of the same `bit` mod 4. */
  state(names: readonly string[], bit: number): string {
    const shown = this.#pinned ?? this.point.fixed;
    if (shown !== undefined) return String(shown);
    const [rest = "", between = "", goes = ""] = names;
    const isItsTurn = Math.floor(performance.now() / turnMs) % turns === bit % turns;
    if (!isItsTurn) return rest;
    return performance.now() % turnMs < turnMs - endMs ? goes : between;
  }

  #walk([low, high]: readonly [number, number]): void {
    const steps = Math.floor((performance.now() - this.#walkedAtMs) / walkStepMs);
    if (steps < 1) return;
    this.#walkedAtMs += steps * walkStepMs;
    for (let step = 0; step < Math.min(steps, walkStepsMax); step++) {
      const push = (this.#random() - 0.5) * (high - low) * 0.04;
      const pull = ((low + high) / 2 - this.#value) * 0.01;
      this.#value = Math.min(Math.max(this.#value + push + pull, low), high);
    }
  }
}

/** The syntax in which an object of this type is told where the address names none. */
function syntaxOf({ type = "auto", syntax }: Address): string {
  if (syntax !== undefined) return syntax;
  return ["text", "hex", "bcd", "stage"].includes(type) ? "octets" : "integer";
}

const rooms: Record<string, Room> = {
  integer: { low: -(2 ** 31), high: 2 ** 31 - 1, whole: true },
  gauge: { low: 0, high: 2 ** 32 - 1, whole: true },
  counter: { low: 0, high: 2 ** 32 - 1, whole: true },
  ticks: { low: 0, high: 2 ** 32 - 1, whole: true },
  // As far as a double tells them apart.
  counter64: { low: 0, high: 2 ** 64 - 2048, whole: true },
  float: { low: -3.4028234663852886e38, high: 3.4028234663852886e38, hasNan: true },
};

/** The numbers that an object can hold (RFC 2578, 7.1). */
function roomOf(address: Address): Room {
  const { type, states, walk } = address;
  if (states !== undefined || type === "bits") return { low: 0, high: 1, whole: true };
  if (walk !== undefined) return anyNumber;
  if (type === "stage") return { low: 0, high: 2000, whole: true };
  if (type === "bcd") return { low: 0, high: 99_999_999, whole: true };
  return rooms[syntaxOf(address)] ?? anyNumber;
}

/** A raw value as the object that the address describes. */
export function valueOf(address: Address, raw: number | string): Buffer {
  const { type = "auto" } = address;
  if (type === "stage") return octets(stageBits(Number(raw)));
  if (type === "bcd") return octets(Buffer.from(String(Math.round(Number(raw))).padStart(8, "0"), "hex"));
  if (type === "hex") return octets(Buffer.from(String(raw), "hex"));
  return plain(syntaxOf(address), raw);
}

export function plain(syntax: string, raw: number | string): Buffer {
  const number = (): number => Math.round(Number(raw));
  switch (syntax) {
    case "integer":
      return integer(number());
    case "gauge":
      return integer(number() >>> 0, tags.gauge);
    case "counter":
      return integer(number() >>> 0, tags.counter);
    case "counter64":
      return integer(BigInt(number()), tags.counter64);
    case "ticks":
      return integer(number() >>> 0, tags.ticks);
    case "ip":
      return encode(tags.ip, Buffer.from(String(raw).split(".").map(Number)));
    case "oid":
      return oid(String(raw));
    case "float": {
      // Opaque that holds a float: 9F 78 04 and 32 bits (draft-perkins-opaque, as net-snmp's agent sends it).
      const body = Buffer.from([0x9f, 0x78, 4, 0, 0, 0, 0]);
      body.writeFloatBE(Number(raw), 3);
      return encode(tags.opaque, body);
    }
    default:
      return octets(typeof raw === "number" ? String(Number(raw.toPrecision(9))) : raw);
  }
}

/** A UG405 stage as its bitmap: stage 1 is the lowest bit of the first octet. */
function stageBits(stage: number): Buffer {
  const bytes = Buffer.alloc(Math.max(1, Math.ceil(stage / 8)));
  if (stage >= 1) bytes[(stage - 1) >> 3] = 1 << ((stage - 1) & 7);
  return bytes;
}

/** Several points that are bits of one object. */
export class Bitmap {
  readonly #bits: { bit: number; isSet: () => boolean }[] = [];
  readonly #syntax: string;
  readonly #isSmiBits: boolean;

  constructor({ syntax = "integer", order }: Address) {
    this.#syntax = order === "bits" ? "octets" : syntax;
    this.#isSmiBits = order === "bits";
  }

  add(bit: number, isSet: () => boolean): void {
    this.#bits.push({ bit, isSet });
  }

  value(): Buffer {
    const last = Math.max(...this.#bits.map(({ bit }) => bit));
    const bytes = Buffer.alloc((last >> 3) + 1);
    for (const { bit, isSet } of this.#bits) {
      if (isSet()) bytes[bit >> 3]! |= this.#isSmiBits ? 0x80 >> (bit & 7) : 1 << (bit & 7);
    }
    if (this.#syntax === "octets") return octets(bytes);
    return integer(bytes.reduceRight((sum, byte) => sum * 256 + byte, 0));
  }
}
