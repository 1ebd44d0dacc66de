import { eventHeadBytes, canBeEvent } from "../event.ts";

/** One event on its way from a host: its row class, its bytes, and what it counted against the host's credit. */
export interface Frame {
  lane: 0 | 1;
  body: Uint8Array;
  size: number;
  /** A device waits for it. */
  isPressing?: boolean;
}

/** u32 length of what follows, u8 row class (2: of class 1, and a device waits for it), then the event. */
export const frameHeadBytes = 5;
const pressingLane = 2;
const frameBytesMax = 1024 * 1024;

/** Writes the head of a frame in front of its body. */
export function writeFrame(target: Buffer, at: number, lane: 0 | 1, body: Uint8Array): number {
  target.writeUInt32LE(body.length + 1, at);
  target[at + 4] = lane;
  target.set(body, at + frameHeadBytes);
  return at + frameHeadBytes + body.length;
}

/** Says of the frame whose head is at `at` that a device waits for it. */
export function markPressing(target: Buffer, at: number): void {
  if (target[at + 4] !== 0) target[at + 4] = pressingLane;
}

/** Cuts the byte stream of one host into frames; a stream that is not frames is an error of our own. */
export class FrameSplitter {
  #rest: Uint8Array = new Uint8Array(0);

  /** The frames that are complete with these bytes. The bodies share memory with `bytes`. */
  push(bytes: Uint8Array): Frame[] {
    const data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const frames: Frame[] = [];
    let at = 0;
    while (at + frameHeadBytes <= data.length) {
      const length = view.getUint32(at, true);
      if (length < 1 || length > frameBytesMax)
        throw new RangeError(`a frame of ${length} bytes from a host`);
      if (at + 4 + length > data.length) break;
      frames.push({
        lane: data[at + 4] === 0 ? 0 : 1,
        body: data.subarray(at + frameHeadBytes, at + 4 + length),
        size: length + 4,
        ...(data[at + 4] === pressingLane ? { isPressing: true } : {}),
      });
      at += 4 + length;
    }
    this.#rest = data.subarray(at);
    return frames;
  }
}

/** Follows one host's byte stream from head to head, and opens no event. */
export class FrameGuard {
  /** Of a frame, and of the event in it. */
  readonly #head = Buffer.alloc(frameHeadBytes + eventHeadBytes);
  #headBytes = 0;
  #bodyLeft = 0;
  #isGarbled = false;

  /** How many of these bytes go into frames. Fewer than all: the rest are none, and neither is what follows. */
  good(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.#isGarbled) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, bytes.length - at);
        this.#bodyLeft -= taken;
        at += taken;
        continue;
      }
      const begunAt = at;
      while (this.#headBytes < this.#head.length && at < bytes.length)
        this.#head[this.#headBytes++] = bytes[at++] ?? 0;
      this.#isGarbled = !canBeHead(this.#head.subarray(0, this.#headBytes));
      if (this.#isGarbled) return begunAt;
      if (this.#headBytes < this.#head.length) break;
      this.#headBytes = 0;
      this.#bodyLeft = this.#head.readUInt32LE(0) - 1 - eventHeadBytes;
    }
    return at;
  }
}

/** Whether a frame with an event in it can begin with these bytes: whoever cuts the stream throws at a wrong length. */
function canBeHead(bytes: Buffer): boolean {
  if (bytes.length < 4) return true;
  const length = bytes.readUInt32LE(0);
  if (length < 1 + eventHeadBytes || length > frameBytesMax) return false;
  return (bytes[4] ?? 0) <= pressingLane && canBeEvent(bytes.subarray(frameHeadBytes));
}

const streamsMax = 64;

/** The frames of several byte streams. Each start of a host is one of its own; the longest silent ones have ended. */
export class FrameStreams {
  readonly #splitters = new Map<number, FrameSplitter>();

  /** The frames that are complete with these bytes, as `FrameSplitter.push`. */
  push(stream: number, bytes: Uint8Array): Frame[] {
    const splitter = this.#splitters.get(stream) ?? new FrameSplitter();
    this.#splitters.delete(stream);
    this.#splitters.set(stream, splitter);
    const [oldest] = this.#splitters.keys();
    if (this.#splitters.size > streamsMax && oldest !== undefined) this.#splitters.delete(oldest);
    return splitter.push(bytes);
  }
}
