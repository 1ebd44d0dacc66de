import { createHash, hash } from "node:crypto";
import {
  clockStates,
  eventKinds,
  quality,
  tag,
  type ClockState,
  type EventKind,
  type EventReader,
  type KerbEvent,
  type QualityDetail,
  type ReadingValue,
} from "../event.ts";
import type { Dictionary } from "./encoding.ts";

/**
 * The one form of an event that seals are computed over: the same from a stored row and from an event that either
 * encoding has carried. Chain: h = SHA-256(h before ‖ form). Layout (little endian):
 *   u8 form version (1) · u8 kind · u8 clock · f64 seq · f64 time · f64 recorded · 8 bytes of SHA-256(device \0 profile)
 *   telemetry: u32 count, then per reading: u8 tag · 8 bytes of SHA-256(point \0 unit) · value · what its flags add
 *     tag low bits: 0 null, 1 number (f64), 2 false, 3 true, 4 text (u32 bytes, UTF-8)
 *     flags: 0x10 quality u16, 0x20 detail (u32 bytes, JSON), 0x40 time offset f64 ms
 *   other kinds (profile left empty: a batch does not carry theirs): u32 bytes, the object as JSON
 * Times are 0 while the clock is unsynced: such a time is a guess that may be corrected on the way.
 */
const formVersion = 1;
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

/** The digests of a dictionary by index: what a stored row needs, without a look at any text. */
interface DictionaryDigests {
  point: (Digest | undefined)[];
  telemetryDevice: (Digest | undefined)[];
  otherDevice: (Digest | undefined)[];
}

const ofDictionary = new WeakMap<Dictionary, DictionaryDigests>();

function digestsOf(dictionary: Dictionary): DictionaryDigests {
  const known = ofDictionary.get(dictionary);
  if (known !== undefined) return known;
  const made: DictionaryDigests = { point: [], telemetryDevice: [], otherDevice: [] };
  for (const { index, id, profile, points: list } of dictionary.devices) {
    made.telemetryDevice[index] = devices.of(id, profile);
    made.otherDevice[index] = devices.of(id, "");
    for (const point of list) made.point[point.index] = points.of(point.name, point.unit);
  }
  ofDictionary.set(dictionary, made);
  return made;
}

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
    const { kind, clock } = reader;
    const { point, telemetryDevice, otherDevice } = digestsOf(dictionary);
    const device = (kind === "telemetry" ? telemetryDevice : otherDevice)[reader.device];
    this.#head(kind, clock, seq, reader.timeMs, recordedMs, device ?? devices.of("", ""));
    if (kind === "telemetry") {
      this.#u32(reader.count);
      while (reader.next()) {
        const digest = point[reader.point];
        if (digest === undefined) throw new RangeError(`point index ${reader.point} has no meaning`);
        const { type, quality: bits, detail, timeOffsetMs } = reader;
        const isPlain = bits === 0 && detail === undefined && timeOffsetMs === 0;
        if (isPlain && (type === tag.f64 || type >= tag.decimal))
          this.#number(digest, reader.value() as number);
        else this.#reading(digest, reader.value(), bits, detail, timeOffsetMs);
      }
    } else this.#text(JSON.stringify(reader.object()));
    this.#step();
  }

  /** Goes on by a decoded event. */
  event(event: KerbEvent): void {
    const { kind, clock, seq, timeMs, recordedMs, readings = [] } = event;
    const profile = kind === "telemetry" ? (event.profile ?? "") : "";
    this.#head(kind, clock, seq, timeMs, recordedMs, devices.of(event.device, profile));
    if (kind === "telemetry") {
      this.#u32(readings.length);
      for (const reading of readings) {
        const digest = points.of(reading.point, reading.unit);
        this.#reading(digest, reading.value, reading.quality, reading.detail, reading.timeMs - timeMs);
      }
    } else this.#text(JSON.stringify(event.data ?? {}));
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
    bytes[hashBytes] = formVersion;
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

  /** A good number with the event's own time: nearly every reading. */
  #number([low, high]: Digest, value: number): void {
    let at = this.#at;
    if (at + 64 > this.#bytes.length) this.#room(64);
    const view = this.#view;
    this.#bytes[at++] = tag.f64;
    view.setUint32(at, low, true);
    view.setUint32(at + 4, high, true);
    view.setFloat64(at + 8, value, true);
    this.#at = at + 16;
  }

  #reading(
    digest: Digest,
    value: ReadingValue,
    bits: number,
    detail: QualityDetail | undefined,
    offsetMs: number,
  ): void {
    const kept = keptQuality(bits);
    const detailText =
      detail === undefined || Object.keys(detail).length === 0 ? undefined : JSON.stringify(detail);
    const flags =
      (kept === 0 ? 0 : flag.quality) |
      (detailText === undefined ? 0 : flag.detail) |
      (offsetMs === 0 ? 0 : flag.time);
    if (flags === 0 && typeof value === "number") {
      this.#number(digest, value);
      return;
    }
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

/** The bits that both encodings carry; the clock's bit follows from the event's clock. */
function keptQuality(bits: number): number {
  if (bits === 0) return 0;
  const status = (bits & quality.bad) !== 0 ? quality.bad : bits & quality.uncertain;
  return status | (bits & quality.substituted);
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
