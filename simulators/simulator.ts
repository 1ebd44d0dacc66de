/**
 * The simulator contract: with `media.ts`, all that a simulator may import besides its own folder and npm.
 *
 * A simulator is a pretend device that speaks the real protocol on a real socket or serial port. It is built from
 * the same profile as the driver's points, but it encodes with its own code or a foreign library: a codec that
 * driver and simulator shared would make both wrong together.
 */

/**
 * What may go wrong with a device:
 * silent (takes the request, never answers) · refuse (closes the listener, or answers each request with an error
 * of the protocol where there is no listener to close) · hangUp (closes on the first byte of a request) · garbage
 * (answers random bytes) · slow (answers after `delayMs`) · late (answers the first request after `delayMs`, the
 * next ones at once, so that a late answer meets a later request) · restart (drops all connections and is gone
 * for `delayMs`) · clockWrong (a device with a clock reports it 7 h off; without one: no effect).
 */
export const faults = [
  "silent",
  "refuse",
  "hangUp",
  "garbage",
  "slow",
  "late",
  "restart",
  "clockWrong",
] as const;
export type Fault = (typeof faults)[number];

/** A point of the profile as far as a pretend device needs it. */
export interface SimulatedPoint {
  readonly name: string;
  /** The driver's address of the point, as the profile has it. */
  readonly address: unknown;
  /** Engineering value = raw * scale + offset. */
  readonly scale: number;
  readonly offset: number;
  /** Engineering values wander plausibly between these two. Absent: the simulator shows a constant 0. */
  readonly typical?: readonly [number, number];
  /** The name of the point that holds the power of ten for this one (SunSpec scale factor). */
  readonly scaleFactor?: string;
  /** A fixed raw value (an identity text, a scale factor, a marker). */
  readonly fixed?: number | string;
  /** The profile lets it be written; where a protocol knows what is for writing, other points are not. */
  readonly isWritable?: boolean;
}

/** A record of the profile: values that the device tells together, as one message or event of its protocol. */
interface SimulatedRecord {
  readonly name: string;
  readonly address: unknown;
  readonly kind: "transaction" | "alarm" | "state";
  /** The field that is true while the alarm lasts. */
  readonly active?: string;
  readonly fields: readonly SimulatedPoint[];
}

export interface SimulatorOptions {
  readonly profile: string;
  readonly points: readonly SimulatedPoint[];
  /** Told by `tell`, and by a plausible device now and then by itself. */
  readonly records?: readonly SimulatedRecord[];
  /** How often it tells a record by itself, ms; 0 = never. */
  readonly recordEveryMs?: number;
  /** The parsed settings of the device: where the driver would connect to is where the simulator listens. */
  readonly settings: Record<string, unknown>;
  /** What the device answers when it is asked who it is; read at each question, so that it may become another one. */
  readonly identity: { vendor?: string; model?: string; firmware?: string; serial?: string };
  /** Same seed, same walk of values. */
  readonly seed?: number;
  readonly log?: (text: string) => void;
}

/** A running pretend device. */
export interface Simulator {
  /** Where it listens, as a person would type it: "127.0.0.1:1502 unit 1". */
  readonly address: string;
  /** A command of a program that is not ours, by which a person reads it; absent where none is known. */
  readonly readWith?: string;
  /** Pins an engineering value; undefined lets it wander again. */
  set(point: string, value: number | string | undefined): void;
  /** Tells one record: engineering values by field; a field that is not named is plausible. */
  tell?(record: string, values?: Record<string, number | string | boolean>): void;
  /** Raises a fault, or ends it with undefined. */
  fault(fault: Fault | undefined, delayMs?: number): void;
  /** Requests answered and refused so far. */
  readonly counts: { requests: number; errors: number };
  /** What it was told to change; absent: nothing can be written to such a device. */
  readonly writes?: WriteLog;
  close(): Promise<void>;
}

/** One thing that a device was told to change. */
export interface Written {
  /** `performance.now()`. */
  readonly atMs: number;
  /** `Simulator.counts.requests` then, this one counted. */
  readonly request: number;
  /** In the words of the protocol: "function 6 holding 11 = 01f4". */
  readonly what: string;
  /** false: the device said no. */
  readonly isTaken: boolean;
}

const writesMax = 10_000;

/** The newest 10,000 writes that reached a device, those that it refused among them. */
export class WriteLog {
  readonly all: Written[] = [];
  /** Called after each, before the device answers: what is set or raised here meets the answer. */
  heard: ((written: Written) => void) | undefined;
  readonly #counts: { readonly requests: number };

  constructor(counts: { readonly requests: number }) {
    this.#counts = counts;
  }

  add(what: string, isTaken: boolean): void {
    const written = { atMs: performance.now(), request: this.#counts.requests, what, isTaken };
    if (this.all.push(written) > writesMax) this.all.shift();
    this.heard?.(written);
  }
}

/** `simulators/<driver>/index.ts` exports this as `start`. */
export type StartSimulator = (options: SimulatorOptions) => Promise<Simulator>;

/** Raw values that a place on the wire can carry; `whole`: it rounds them to integers. */
export interface Room {
  readonly low: number;
  readonly high: number;
  readonly whole?: boolean;
  /** It has a way to say NaN and the infinities. */
  readonly hasNan?: boolean;
}

/** Any number that can be written down. */
export const anyNumber: Room = { low: -Number.MAX_VALUE, high: Number.MAX_VALUE };

/**
 * Throws an `Error` where the wire has no such value: a pretend device shows what was set or says no, it never wraps.
 * `power`: of ten, of the point's scale factor.
 */
export function checkRoom(
  { name, scale, offset }: Pick<SimulatedPoint, "name" | "scale" | "offset">,
  value: number | string | boolean | undefined,
  { low, high, whole = false, hasNan = false }: Room,
  power = 0,
): void {
  if (typeof value !== "number" || (hasNan && !Number.isFinite(value))) return;
  const raw = (value - offset) / (scale * 10 ** power);
  const shown = whole ? Math.round(raw) : raw;
  if (shown >= low && shown <= high) return;
  throw new Error(
    `${name} cannot show ${value}: its raw value would be ${shown}, and the wire carries ${low} to ${high}`,
  );
}

/** Deterministic pseudo-random numbers in [0, 1): mulberry32, for walks that repeat with their seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
