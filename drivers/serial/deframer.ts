import { isChecksum } from "./checksum.ts";
import type { Framing } from "./grammar.ts";

/** A frame whose delimiters, length and checksum are right: what is between them, and all of it. */
export interface Whole {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** Starts before one end that are tried one by one. */
const startsMax = 8;

/** Finds frames in a stream of bytes. Holds at most `lengthMax` bytes of an unfinished one; never throws. */
export class Deframer {
  /** Bytes that belonged to no whole frame. */
  garbageBytes = 0;
  /** Frames without a start that were longer than `lengthMax`, and how many of those bytes they had. */
  oversized = { frames: 0, bytes: 0 };
  readonly #framing: Framing;
  readonly #start: Buffer | undefined;
  readonly #end: Buffer;
  #kept: Buffer = Buffer.alloc(0);
  /** Up to here there is no end. */
  #searched = 0;
  /** How many starts were tried for the end at this place of the stream. */
  #failed = { endAt: -1, starts: 0 };
  #passedBytes = 0;
  /** What is left of the frame that was too long is none. */
  #isTooLong = false;

  constructor(framing: Framing) {
    this.#framing = framing;
    this.#start = framing.start === undefined ? undefined : Buffer.from(framing.start, "latin1");
    this.#end = Buffer.from(framing.end, "latin1");
  }

  /** Bytes of a frame that has begun. */
  get pendingBytes(): number {
    return this.#kept.length;
  }

  /** The frames that are whole with these bytes. */
  push(chunk: Uint8Array): Whole[] {
    const frames: Whole[] = [];
    // In pieces, so that what is kept of a flood stays small.
    for (let from = 0; from < chunk.length; from += this.#framing.lengthMax) {
      this.#kept = Buffer.concat([this.#kept, chunk.subarray(from, from + this.#framing.lengthMax)]);
      this.#take(frames);
    }
    return frames;
  }

  #take(frames: Whole[]): void {
    for (;;) {
      if (!this.#seekStart()) return;
      const length = this.#frameLength();
      if (length === undefined) {
        if (this.#kept.length <= this.#framing.lengthMax) return;
        if (this.#start === undefined) this.#leaveOut(this.#kept.length - this.#end.length + 1);
        else this.#drop(1);
        continue;
      }
      if (this.#kept.length < length) return;
      if (this.#isTooLong) {
        this.#leaveOut(length);
        this.#isTooLong = false;
        continue;
      }
      if (this.#cutBy(length)) continue;
      const whole = this.#check(this.#kept.subarray(0, length));
      if (whole !== undefined) frames.push(whole);
      if (whole !== undefined || this.#start === undefined) this.#skip(length);
      else this.#retry(length);
    }
  }

  /** The start may have been noise, or that of a frame which another one has cut. */
  #retry(length: number): void {
    const endAt = this.#passedBytes + length;
    const starts = this.#failed.endAt === endAt ? this.#failed.starts + 1 : 1;
    this.#failed = { endAt, starts };
    // Of a flood of starts the last one is tried, and not all of them.
    const last = starts < startsMax ? 0 : this.#kept.subarray(0, length).lastIndexOf(this.#start!);
    this.#drop(Math.max(1, last));
  }

  /** Part of a frame that is too long. Where the size is known, the last characters may still be a frame. */
  #leaveOut(length: number): void {
    if (!this.#isTooLong) this.oversized.frames++;
    this.oversized.bytes += length;
    this.#isTooLong = this.#framing.size === undefined;
    this.#drop(length);
  }

  /** Drops what comes before a frame; false when there is no beginning of one. */
  #seekStart(): boolean {
    if (this.#start === undefined) return this.#kept.length > 0;
    const at = this.#kept.indexOf(this.#start);
    if (at > 0) this.#drop(at);
    if (at >= 0) return true;
    // The last bytes may be the beginning of a start.
    const kept = Math.min(this.#kept.length, this.#start.length - 1);
    this.#drop(this.#kept.length - kept);
    return false;
  }

  /** How long the frame at the front is, as far as that can be said; 0-based lengths beyond the limit are none. */
  #frameLength(): number | undefined {
    const { lengthAt, tail, lengthMax } = this.#framing;
    if (lengthAt !== undefined) {
      const counted = this.#kept[lengthAt];
      if (counted === undefined) return undefined;
      const length = lengthAt + 1 + counted + this.#end.length + tail;
      return length > lengthMax ? 1 : length;
    }
    const from = Math.max(this.#searched, this.#start?.length ?? 0);
    const at = this.#kept.indexOf(this.#end, from);
    if (at >= 0) return at + this.#end.length + tail;
    this.#searched = Math.max(0, this.#kept.length - this.#end.length + 1);
    return undefined;
  }

  /** Without a checksum, a start inside a frame is that of another one, which has cut it. */
  #cutBy(length: number): boolean {
    const { lengthAt, checksum } = this.#framing;
    if (this.#start === undefined || lengthAt !== undefined || checksum !== undefined) return false;
    const again = this.#kept.subarray(0, length).lastIndexOf(this.#start);
    if (again > 0) this.#drop(again);
    return again > 0;
  }

  #check(bytes: Buffer): Whole | undefined {
    const { lengthAt, tail, size, lengthMax, checksum, encoding } = this.#framing;
    const endAt = bytes.length - tail - this.#end.length;
    const startBytes = this.#start?.length ?? 0;
    if (endAt < startBytes || bytes.length > lengthMax) return this.#refuse(bytes);
    if (!bytes.subarray(endAt, endAt + this.#end.length).equals(this.#end)) return this.#refuse(bytes);
    let from = lengthAt === undefined ? startBytes : lengthAt + 1;
    if (this.#start === undefined) {
      // A line feed of the line before, or noise of a port that opens.
      while (from < endAt && bytes[from]! < 0x20) from++;
      if (from === endAt) return undefined;
      if (size !== undefined && endAt - from > size) {
        this.garbageBytes += endAt - from - size;
        from = endAt - size;
      }
    }
    let body = bytes.subarray(from, endAt);
    if (checksum !== undefined) {
      const { digits, place, over, after = "" } = checksum;
      const field = place === "tail" ? bytes.subarray(endAt + this.#end.length) : body;
      const data =
        place === "tail" ? body : body.subarray(0, Math.max(0, body.length - digits - after.length));
      const written = field.toString("latin1").slice(place === "tail" ? 0 : -digits);
      const covered =
        over === "body"
          ? data
          : bytes.subarray(this.#start === undefined ? from : 0, endAt + this.#end.length);
      const between =
        place === "tail" ? "" : body.subarray(data.length, body.length - digits).toString("latin1");
      if (between !== after || !isChecksum(checksum, covered, written.slice(0, digits)))
        return this.#refuse(bytes);
      body = data;
    }
    if (size !== undefined && body.length !== size) return this.#refuse(bytes);
    return { text: body.toString(encoding), bytes: Uint8Array.from(bytes) };
  }

  /** A frame with a start is searched anew from its second byte, which counts what is dropped. */
  #refuse(bytes: Buffer): undefined {
    if (this.#start === undefined) this.garbageBytes += bytes.length;
    return undefined;
  }

  #drop(length: number): void {
    this.garbageBytes += length;
    this.#skip(length);
  }

  #skip(length: number): void {
    this.#kept = this.#kept.subarray(length);
    this.#passedBytes += length;
    this.#searched = Math.max(0, this.#searched - length);
  }
}
