/**
 * The event model and the compact positional form in which a host encodes an event once. From there on an event
 * travels as these bytes: supervisor and outbox move them unopened; only an uplink's encoder reads them.
 *
 * Layout (little endian; varint = LEB128, zigzag for signed):
 *   u8 form version (1) · u8 kind · u8 clock state · varint device index · f64 time ms · f64 monotonic ms
 *   telemetry: varint count, then per reading: zigzag Δ point index · u8 tag · payload
 *     tag low 4 bits: 0 null, 1 f64, 2 false, 3 true, 4 text, 7+d decimal with d digits (zigzag: value * 10^d)
 *     tag flags in this order of payload: 0x10 quality varint, 0x20 detail (JSON text), 0x40 Δ time zigzag ms
 *   other kinds: the event's object as JSON text to the end
 */

export const eventKinds = [
  "telemetry",
  "state",
  "alarm",
  "transaction",
  "command-result",
  "device-status",
  "gap",
] as const;
export type EventKind = (typeof eventKinds)[number];

/** What is known of the box's clock: proved right, plausible but not proved, known to be wrong. */
export const clockStates = ["synced", "holdover", "unsynced"] as const;
export type ClockState = (typeof clockStates)[number];

/** Lanes by urgency. An event is born in `event` or `live`; `fill` carries backlog and re-sends. */
const lanes = ["event", "live", "fill"] as const;
export type Lane = (typeof lanes)[number];

/** Quality bits of a reading, kerb contract v1 (`q`); 0 is good. */
export const quality = { bad: 0x200, uncertain: 0x400, substituted: 0x800, clockUnsynced: 0x1000 } as const;

export type ReadingValue = number | boolean | string | null;

/** Why a reading is not good: the device's own code and text. */
export interface QualityDetail {
  code?: string;
  reason?: string;
}

/** One reading of a decoded event. `value` is null if and only if the quality has the bad bit. */
export interface EventReading {
  point: string;
  unit: string;
  value: ReadingValue;
  /** Bits of `quality`. */
  quality: number;
  detail?: QualityDetail;
  /** Source time of this reading, ms since 1970 UTC; the event's own where the device stamps nothing. */
  timeMs: number;
}

/** An event as the receiver hands it on: the same whichever encoding carried it. */
export interface KerbEvent {
  gateway: string;
  epoch: number;
  seq: number;
  kind: EventKind;
  device: string;
  profile?: string;
  /** Observation time and time of acceptance into the outbox, ms since 1970 UTC. */
  timeMs: number;
  recordedMs: number;
  clock: ClockState;
  /** Of an unsynced event: ms since the boot of its box, which a `clock_step` gap relates to the true time. */
  monoMs?: number;
  /** Of one whose time the receiver has corrected: the time that it was told with. */
  toldMs?: number;
  readings?: EventReading[];
  data?: Record<string, unknown>;
}

/** `gateway:epoch:seq`, unique for ever. */
export function eventId(event: { gateway: string; epoch: number; seq: number }): string {
  return `${event.gateway}:${event.epoch}:${event.seq}`;
}

const formVersion = 1;
const powers = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8] as const;

/** Tag constants, for the reader loops of the encoders. */
export const tag = { null: 0, f64: 1, false: 2, true: 3, text: 4, decimal: 7 } as const;
const flag = { quality: 0x10, detail: 0x20, time: 0x40 } as const;

/** Writes one event after the other into a reusable buffer. */
export class EventWriter {
  #buffer = Buffer.allocUnsafe(16_384);
  #at = 0;
  #point = 0;

  /** Starts an event; what was written before is gone. */
  begin(kind: EventKind, device: number, timeMs: number, monoMs: number, clock: ClockState): void {
    this.#at = 0;
    this.#point = 0;
    const buffer = this.#buffer;
    buffer[0] = formVersion;
    buffer[1] = eventKinds.indexOf(kind);
    buffer[2] = clockStates.indexOf(clock);
    this.#at = 3;
    this.#varint(device);
    buffer.writeDoubleLE(timeMs, this.#at);
    buffer.writeDoubleLE(monoMs, this.#at + 8);
    this.#at += 16;
  }

  /** Telemetry: how many readings follow. */
  count(readings: number): void {
    this.#room(32);
    this.#varint(readings);
  }

  /**
   * One telemetry reading. A number with `decimals` (0-8) is kept as that decimal if it is one exactly, else as
   * a 64-bit float. `timeOffsetMs` is relative to the event.
   */
  reading(
    point: number,
    value: ReadingValue,
    decimals: number,
    qualityBits = 0,
    detail?: QualityDetail,
    timeOffsetMs = 0,
  ): void {
    this.#room(64);
    this.#zigzag(point - this.#point);
    this.#point = point;
    const flags =
      (qualityBits === 0 ? 0 : flag.quality) |
      (detail === undefined ? 0 : flag.detail) |
      (timeOffsetMs === 0 ? 0 : flag.time);
    this.#value(value, decimals, flags);
    if (flags === 0) return;
    if (qualityBits !== 0) this.#varint(qualityBits);
    if (detail !== undefined) this.#text(JSON.stringify(detail));
    if (timeOffsetMs !== 0) this.#zigzag(Math.round(timeOffsetMs));
  }

  /** Telemetry: a good reading that is already a decimal integer (value * 10^decimals, |integer| < 2^30). */
  decimal(point: number, integer: number, decimals: number): void {
    if (this.#at + 64 > this.#buffer.length) this.#room(64);
    const buffer = this.#buffer;
    const delta = point - this.#point;
    this.#point = point;
    if (delta >= 0 && delta < 64) buffer[this.#at++] = delta << 1;
    else this.#zigzag(delta);
    buffer[this.#at++] = tag.decimal + decimals;
    let rest = ((integer << 1) ^ (integer >> 31)) >>> 0;
    while (rest > 127) {
      buffer[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    buffer[this.#at++] = rest;
  }

  /** The object of any other kind. */
  object(data: Record<string, unknown>): void {
    const text = JSON.stringify(data);
    this.#room(text.length * 3);
    this.#at += this.#buffer.write(text, this.#at, "utf8");
  }

  /** The finished event; valid until the next `begin`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #value(value: ReadingValue, decimals: number, flags: number): void {
    const buffer = this.#buffer;
    if (value === null) buffer[this.#at++] = tag.null | flags;
    else if (typeof value === "number") {
      const scaled = Math.round(value * (powers[decimals] ?? 1));
      if (scaled > -0x4000_0000 && scaled < 0x4000_0000 && scaled / (powers[decimals] ?? 1) === value) {
        buffer[this.#at++] = (tag.decimal + decimals) | flags;
        this.#zigzag(scaled);
      } else {
        buffer[this.#at++] = tag.f64 | flags;
        this.#at = buffer.writeDoubleLE(value, this.#at);
      }
    } else if (typeof value === "boolean") buffer[this.#at++] = (value ? tag.true : tag.false) | flags;
    else {
      buffer[this.#at++] = tag.text | flags;
      this.#text(value);
    }
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#room(length + 16);
    this.#varint(length);
    this.#at += this.#buffer.write(text, this.#at, "utf8");
    this.#room(64);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.#buffer[this.#at++] = (rest & 127) | 128;
      rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 128);
    }
    this.#buffer[this.#at++] = rest;
  }

  #zigzag(value: number): void {
    this.#varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** The device index of an event, from its first 11 bytes alone; of damaged ones some number below 2^56. */
export function deviceOf(body: Uint8Array): number {
  let device = 0;
  let factor = 1;
  for (let at = 3; at < 11; at++) {
    const byte = body[at] ?? 0;
    device += (byte & 127) * factor;
    if (byte < 128) break;
    factor *= 128;
  }
  return device;
}

/** So many bytes at the beginning of an event say of which form, kind and clock state it is. */
export const eventHeadBytes = 3;

/** Whether an event can begin with these bytes, which may be fewer than its head. */
export function canBeEvent([form = formVersion, kind = 0, clock = 0]: Uint8Array): boolean {
  return form === formVersion && kind < eventKinds.length && clock < clockStates.length;
}

/** Reads the positional form. One reader serves many events: `open` each, then walk its readings. */
export class EventReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #left = 0;
  kind: EventKind = "telemetry";
  clock: ClockState = "synced";
  device = 0;
  timeMs = 0;
  monoMs = 0;
  /** Number of readings (telemetry). */
  count = 0;

  // The reading that `next` moved to.
  point = 0;
  /** One of `tag`, or `tag.decimal` + digits. */
  type = 0;
  /** The decimal integer, or the float. */
  number = 0;
  text = "";
  quality = 0;
  detail: QualityDetail | undefined;
  timeOffsetMs = 0;

  /** Opens an event. Throws `RangeError` on bytes that are not one. */
  open(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes[0] !== formVersion) throw new RangeError(`unknown form version ${bytes[0]} of a stored event`);
    const kind = eventKinds[bytes[1] ?? 255];
    const clock = clockStates[bytes[2] ?? 255];
    if (kind === undefined || clock === undefined) throw new RangeError("a stored event has an unknown kind");
    this.kind = kind;
    this.clock = clock;
    this.#at = 3;
    this.device = this.#varint();
    this.timeMs = this.#view.getFloat64(this.#at, true);
    this.monoMs = this.#view.getFloat64(this.#at + 8, true);
    this.#at += 16;
    this.point = 0;
    this.count = kind === "telemetry" ? this.#varint() : 0;
    this.#left = this.count;
  }

  /** Moves to the next reading; false at the end. */
  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    this.point += this.#zigzag();
    const head = this.#bytes[this.#at++] ?? 0;
    this.type = head & 15;
    if (this.type >= tag.decimal) this.number = this.#zigzag();
    else if (this.type === tag.f64) {
      this.number = this.#view.getFloat64(this.#at, true);
      this.#at += 8;
    } else if (this.type === tag.text) this.text = this.#string();
    this.quality = (head & flag.quality) === 0 ? 0 : this.#varint();
    this.detail = (head & flag.detail) === 0 ? undefined : (JSON.parse(this.#string()) as QualityDetail);
    this.timeOffsetMs = (head & flag.time) === 0 ? 0 : this.#zigzag();
    return true;
  }

  /**
   * All readings at once: point indexes and values, if each is a good number with the event's own time. False, and
   * nothing is read, if one is anything else or the lists are too short.
   */
  plainNumbers(points: Int32Array, values: Float64Array): boolean {
    const bytes = this.#bytes;
    const { count } = this;
    if (count > points.length || count > values.length) return false;
    let at = this.#at;
    let point = 0;
    for (let i = 0; i < count; i++) {
      let byte = bytes[at++] ?? 0;
      let raw = byte & 127;
      for (let shift = 7; byte > 127; shift += 7) {
        if (shift > 21) return false;
        byte = bytes[at++] ?? 0;
        raw |= (byte & 127) << shift;
      }
      point += (raw >>> 1) ^ -(raw & 1);
      points[i] = point;
      const head = bytes[at++] ?? 0;
      if (head >= tag.decimal && head < flag.quality) {
        byte = bytes[at++] ?? 0;
        let number = byte & 127;
        for (let factor = 128; byte > 127; factor *= 128) {
          if (at >= bytes.length) return false;
          byte = bytes[at++] ?? 0;
          number += (byte & 127) * factor;
        }
        values[i] = (number % 2 === 0 ? number / 2 : -(number + 1) / 2) / (powers[head - tag.decimal] ?? 1);
      } else if (head === tag.f64 && at + 8 <= bytes.length) {
        values[i] = this.#view.getFloat64(at, true);
        at += 8;
      } else return false;
    }
    return true;
  }

  /** The value of the current reading. */
  value(): ReadingValue {
    if (this.type >= tag.decimal) return this.number / (powers[this.type - tag.decimal] ?? 1);
    if (this.type === tag.f64) return this.number;
    if (this.type === tag.text) return this.text;
    return this.type === tag.null ? null : this.type === tag.true;
  }

  /** The object of any kind but telemetry. */
  object(): Record<string, unknown> {
    return JSON.parse(Buffer.from(this.#bytes.subarray(this.#at)).toString("utf8")) as Record<
      string,
      unknown
    >;
  }

  #string(): string {
    const length = this.#varint();
    const start = this.#at;
    if (start + length > this.#bytes.length)
      throw new RangeError("a stored event ends in the middle of a text");
    this.#at += length;
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, length).toString("utf8");
  }

  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++] ?? 0;
    let value = byte & 127;
    let factor = 128;
    while (byte > 127) {
      if (this.#at >= bytes.length) throw new RangeError("a stored event ends in the middle of a number");
      byte = bytes[this.#at++] ?? 0;
      value += (byte & 127) * factor;
      factor *= 128;
    }
    return value;
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** A point of the dictionary: what a point index means. An index is never used again within a gateway. */
export interface DictionaryPoint {
  index: number;
  name: string;
  unit: string;
  kind: "number" | "boolean" | "text";
  decimals: number;
}

/** Where a device stands (WGS 84, degrees). */
export interface Place {
  lat: number;
  lon: number;
  address?: string;
}

/** Reference levels of a device for water levels, m above its datum. `reference`: height of the sensor. */
export interface Levels {
  datum?: string;
  reference?: number;
  alert?: number;
  danger?: number;
}

/** What a site file says of a device that no event carries; what is not said is absent. */
export interface DeviceSite {
  name?: string;
  place?: Place;
  levels?: Levels;
}

/** A device of the dictionary with its points. */
export interface DictionaryDevice extends DeviceSite {
  index: number;
  id: string;
  type: string;
  profile: string;
  points: DictionaryPoint[];
}
