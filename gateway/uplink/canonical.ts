import { createHash, hash } from "node:crypto";
import {
  clockStates,
  eventKinds,
  quality,
  tag,
  type ClockState,
  type EventKind,
  type EventReader,
  type EventReading,
  type KerbEvent,
  type QualityDetail,
  type ReadingValue,
} from "../event.ts";
import type { Dictionary } from "./encoding.ts";

/**
 * The one form of an event that seals are computed over: the same from a stored row and from an event that either
 * encoding has carried. Chain: h = SHA-256(h before ‖ form). Layout (little endian; D(x, y) = first 8 bytes of
 * SHA-256 of the texts x \0 y):
 *   u8 form · u8 kind · u8 clock · f64 seq · f64 time · f64 recorded · D(device, profile)
 *   form 1, telemetry of good numbers with the event's own time: u32 count · first 16 bytes of SHA-256 over all
 *     D(point, unit) · count f64
 *   form 2, other telemetry: u32 count, then per reading: u8 tag · D(point, unit) · value · what its flags add
 *     tag low bits: 0 null, 1 number (f64), 2 false, 3 true, 4 text (u32 bytes, UTF-8)
 *     flags: 0x10 quality u16, 0x20 detail (u32 bytes, JSON), 0x40 time offset f64 ms
 *   form 3, other kinds (profile empty: a batch does not carry theirs): u32 bytes, the object as JSON
 * Times are 0 while the clock is unsynced: such a time is a guess that may be corrected on the way.
 */
const form = { plain: 1, mixed: 2, object: 3 } as const;
/** Events with more readings take the longer form on both sides. */
const plainMax = 4096;
const flag = { quality: 0x10, detail: 0x20, time: 0x40 } as const;
const hashBytes = 32;
const digestsMax = 200_000;

/** First 8 bytes of SHA-256 as two words. */
type Digest = readonly [low: number, high: number];

function digestOf(text: string): Digest {
  const bytes = createHash("sha256").update(text).digest();
  return [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
}

/** Digests by their two texts, without joining these for each reading. */
class Digests {
  #known = new Map<string, Map<string, Digest>>();
  #count = 0;

  of(first: string, second: string): Digest {
    let inner = this.#known.get(first);
    let digest = inner?.get(second);
    if (digest !== undefined) return digest;
    // The texts come from outside: a stream of new ones must not fill the memory.
    if (this.#count >= digestsMax) {
      this.#known.clear();
      this.#count = 0;
      inner = undefined;
    }
    if (inner === undefined) this.#known.set(first, (inner = new Map()));
    digest = digestOf(`${first}\0${second}`);
    inner.set(second, digest);
    this.#count++;
    return digest;
  }
}

const points = new Digests();
const devices = new Digests();

/** The digests of a dictionary by index, made when they are first needed: a row needs no look at any text. */
interface DictionaryDigests {
  point: (Digest | undefined)[];
  telemetryDevice: (Digest | undefined)[];
  otherDevice: (Digest | undefined)[];
  shapes: Shapes<number>;
}

const ofDictionary = new WeakMap<Dictionary, DictionaryDigests>();

function digestsOf(dictionary: Dictionary): DictionaryDigests {
  const known = ofDictionary.get(dictionary);
  if (known !== undefined) return known;
  const made: DictionaryDigests = {
    point: [],
    telemetryDevice: [],
    otherDevice: [],
    shapes: new Shapes(),
  };
  ofDictionary.set(dictionary, made);
  return made;
}

/** The points of an event, in their order, as one digest; each device has few such lists. */
interface Shape<Name> {
  names: Name[];
  digest: Buffer;
}
const shapeBytes = 16;
const shapesPerOwner = 8;
const ownersMax = 20_000;

class Shapes<Name> {
  readonly #known = new Map<string | number, Shape<Name>[]>();

  /** `isSame` and `make` look at the points of the event at hand. */
  of(
    owner: string | number,
    count: number,
    isSame: (names: Name[]) => boolean,
    make: () => { names: Name[]; digests: Digest[] },
  ): Buffer {
    const shapes = this.#known.get(owner) ?? [];
    for (const { names, digest } of shapes) if (names.length === count && isSame(names)) return digest;
    const { names, digests } = make();
    const list = Buffer.alloc(digests.length * 8);
    for (const [i, [low, high]] of digests.entries()) {
      list.writeUInt32LE(low, i * 8);
      list.writeUInt32LE(high, i * 8 + 4);
    }
    const digest = createHash("sha256").update(list).digest().subarray(0, shapeBytes);
    if (this.#known.size >= ownersMax) this.#known.clear();
    this.#known.set(owner, [{ names, digest }, ...shapes.slice(0, shapesPerOwner - 1)]);
    return digest;
  }
}

const eventShapes = new Shapes<string>();
const plainPoints = new Int32Array(plainMax);
const plainValues = new Float64Array(plainMax);
// Every machine that kerb runs on is little endian.
const plainBytes = Buffer.from(plainValues.buffer);

/** What a chain starts from: the gateway and the epoch, so that no chain can stand for another one. */
export function chainStart(gateway: string, epoch: number): Buffer {
  return createHash("sha256").update(`kerb seal 1\n${gateway}\n${epoch}`).digest();
}

/** Computes a chain event by event. One instance serves one chain at a time. */
export class ChainHash {
  #bytes = Buffer.allocUnsafe(16_384);
  #view = viewOf(this.#bytes);
  #at = 0;

  /** Where the chain stands: 32 bytes. */
  get value(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, hashBytes));
  }

  set value(h: Uint8Array) {
    this.#bytes.set(h.subarray(0, hashBytes), 0);
  }

  /** Goes on by a stored row that `reader` has opened. Throws `RangeError` on a row that cannot be read. */
  row(reader: EventReader, dictionary: Dictionary, seq: number, recordedMs: number): void {
    const { kind, clock, count, timeMs } = reader;
    const isTelemetry = kind === "telemetry";
    const known = digestsOf(dictionary);
    const list = isTelemetry ? known.telemetryDevice : known.otherDevice;
    const device = (list[reader.device] ??= deviceOf(dictionary, reader.device, isTelemetry));
    this.#head(kind, clock, seq, timeMs, recordedMs, device);
    if (!isTelemetry) this.#object(reader.object());
    else if (reader.plainNumbers(plainPoints, plainValues)) {
      const isSame = (names: number[]) => names.every((point, i) => point === plainPoints[i]);
      const make = () => {
        const names = [...plainPoints.subarray(0, count)];
        return { names, digests: names.map((point) => pointOf(known, dictionary, reader.device, point)) };
      };
      this.#plain(count, known.shapes.of(reader.device, count, isSame, make));
    } else {
      const { id = "" } = dictionary.device(reader.device) ?? {};
      this.#telemetry(id, timeMs, readingsOf(reader, dictionary));
    }
    this.#step();
  }

  /** Goes on by a decoded event. */
  event(event: KerbEvent): void {
    const { kind, clock, seq, timeMs, recordedMs, device, readings = [] } = event;
    const isTelemetry = kind === "telemetry";
    const profile = isTelemetry ? (event.profile ?? "") : "";
    this.#head(kind, clock, seq, timeMs, recordedMs, devices.of(device, profile));
    if (isTelemetry) this.#telemetry(device, timeMs, readings);
    else this.#object(event.data ?? {});
    this.#step();
  }

  /** Goes on by a text: the head that closes a seal. */
  text(text: string): void {
    this.#at = hashBytes;
    this.#text(text);
    this.#step();
  }

  #head(
    kind: EventKind,
    clock: ClockState,
    seq: number,
    timeMs: number,
    recordedMs: number,
    [low, high]: Digest,
  ): void {
    const bytes = this.#bytes;
    const view = this.#view;
    bytes[hashBytes + 1] = eventKinds.indexOf(kind);
    bytes[hashBytes + 2] = clockStates.indexOf(clock);
    const known = clock === "unsynced" ? 0 : 1;
    view.setFloat64(hashBytes + 3, seq, true);
    view.setFloat64(hashBytes + 11, timeMs * known, true);
    view.setFloat64(hashBytes + 19, recordedMs * known, true);
    view.setUint32(hashBytes + 27, low, true);
    view.setUint32(hashBytes + 31, high, true);
    this.#at = hashBytes + 35;
  }

  /** The values are in `plainValues`. */
  #plain(count: number, shape: Buffer): void {
    this.#bytes[hashBytes] = form.plain;
    this.#u32(count);
    this.#room(shapeBytes + count * 8);
    shape.copy(this.#bytes, this.#at);
    this.#at += shapeBytes;
    plainBytes.copy(this.#bytes, this.#at, 0, count * 8);
    this.#at += count * 8;
  }

  #telemetry(device: string, timeMs: number, readings: readonly EventReading[]): void {
    if (isPlain(readings, timeMs)) {
      const isSame = (names: string[]) =>
        readings.every(({ point, unit }, i) => names[2 * i] === point && names[2 * i + 1] === unit);
      const make = () => ({
        names: readings.flatMap(({ point, unit }) => [point, unit]),
        digests: readings.map(({ point, unit }) => points.of(point, unit)),
      });
      this.#plain(readings.length, eventShapes.of(device, 2 * readings.length, isSame, make));
      return;
    }
    this.#bytes[hashBytes] = form.mixed;
    this.#u32(readings.length);
    for (const { point, unit, value, quality: bits, detail, timeMs: readMs } of readings)
      this.#reading(points.of(point, unit), value, bits, detail, readMs - timeMs);
  }

  #object(data: Record<string, unknown>): void {
    this.#bytes[hashBytes] = form.object;
    this.#text(JSON.stringify(data));
  }

  #reading(
    digest: Digest,
    value: ReadingValue,
    bits: number,
    detail: QualityDetail | undefined,
    offsetMs: number,
  ): void {
    const kept = keptQuality(bits);
    const detailText = isEmpty(detail) ? undefined : JSON.stringify(detail);
    const flags =
      (kept === 0 ? 0 : flag.quality) |
      (detailText === undefined ? 0 : flag.detail) |
      (offsetMs === 0 ? 0 : flag.time);
    this.#room(64);
    const type =
      value === null
        ? tag.null
        : typeof value === "number"
          ? tag.f64
          : typeof value === "string"
            ? tag.text
            : value
              ? tag.true
              : tag.false;
    this.#bytes[this.#at++] = type | flags;
    this.#view.setUint32(this.#at, digest[0], true);
    this.#view.setUint32(this.#at + 4, digest[1], true);
    this.#at += 8;
    if (typeof value === "number") this.#f64(value);
    else if (typeof value === "string") this.#text(value);
    if (flags === 0) return;
    this.#room(16);
    if (kept !== 0) {
      this.#view.setUint16(this.#at, kept, true);
      this.#at += 2;
    }
    if (detailText !== undefined) this.#text(detailText);
    if (offsetMs !== 0) this.#f64(offsetMs);
  }

  #step(): void {
    const digest = hash("sha256", this.#bytes.subarray(0, this.#at), "buffer");
    this.#bytes.set(digest, 0);
  }

  #f64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#u32(length);
    this.#room(length);
    this.#at += this.#bytes.write(text, this.#at, "utf8");
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }
}

/** The readings of a row as a decoder would give them. */
function readingsOf(reader: EventReader, dictionary: Dictionary): EventReading[] {
  const readings: EventReading[] = [];
  while (reader.next()) {
    const meaning = dictionary.point(reader.point)?.point;
    if (meaning === undefined) throw new RangeError(`point index ${reader.point} has no meaning`);
    const { detail } = reader;
    readings.push({
      point: meaning.name,
      unit: meaning.unit,
      value: reader.value(),
      quality: reader.quality,
      ...(detail === undefined ? {} : { detail }),
      timeMs: reader.timeMs + reader.timeOffsetMs,
    });
  }
  return readings;
}

/** Puts the values into `plainValues`; false if one of the readings is more than a good number. */
function isPlain(readings: readonly EventReading[], timeMs: number): boolean {
  if (readings.length > plainMax) return false;
  for (let i = 0; i < readings.length; i++) {
    const reading = readings[i] as EventReading;
    if (typeof reading.value !== "number" || reading.timeMs !== timeMs) return false;
    if (keptQuality(reading.quality) !== 0 || !isEmpty(reading.detail)) return false;
    plainValues[i] = reading.value;
  }
  return true;
}

/** Looked for in the device's own list first: an index of all points takes megabytes, and chains alone would need it. */
function pointOf(
  { point }: DictionaryDigests,
  dictionary: Dictionary,
  device: number,
  index: number,
): Digest {
  const known = point[index];
  if (known !== undefined) return known;
  const own = dictionary.device(device)?.points.find((candidate) => candidate.index === index);
  const meaning = own ?? dictionary.point(index)?.point;
  if (meaning === undefined) throw new RangeError(`point index ${index} has no meaning`);
  return (point[index] = points.of(meaning.name, meaning.unit));
}

function deviceOf(dictionary: Dictionary, index: number, isTelemetry: boolean): Digest {
  const { id = "", profile = "" } = dictionary.device(index) ?? {};
  return devices.of(id, isTelemetry ? profile : "");
}

function isEmpty(detail: QualityDetail | undefined): boolean {
  return detail === undefined || Object.keys(detail).length === 0;
}

/** The bits that both encodings carry; the clock's bit follows from the event's clock. */
function keptQuality(bits: number): number {
  if (bits === 0) return 0;
  const status = (bits & quality.bad) !== 0 ? quality.bad : bits & quality.uncertain;
  return status | (bits & quality.substituted);
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
