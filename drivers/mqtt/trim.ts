import { Duplex } from "node:stream";

/** Stands in for the payload of a message that was too large to be taken in. */
export const tooLarge = Buffer.from("\0kerb: too large\0", "latin1");

const publishType = 3;
const headBytesMax = 5;

/**
 * Cuts oversized messages out of what a broker sends, before the MQTT parser collects them: each becomes a PUBLISH
 * with the payload `tooLarge`, so that it is acknowledged and costs nobody else his messages. An oversized packet
 * of another type is an error. `hasProperties`: MQTT 5.
 */
export class Trimmer {
  readonly #bytesMax: number;
  readonly #hasProperties: boolean;
  /** Beginning of a packet, until it is known what it is. */
  #head = Buffer.alloc(0);
  /** Bytes of the packet that are still to come: passed on, or thrown away. */
  #pass = 0;
  #skip = 0;

  constructor(bytesMax: number, hasProperties: boolean) {
    this.#bytesMax = bytesMax;
    this.#hasProperties = hasProperties;
  }

  /** What is left of a chunk. Throws an `Error` for an oversized packet that cannot be left out. */
  trim(chunk: Buffer): Buffer {
    if (this.#head.length === 0 && this.#skip === 0 && this.#pass >= chunk.length) {
      this.#pass -= chunk.length;
      return chunk;
    }
    const parts: Buffer[] = [];
    let rest = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    this.#head = Buffer.alloc(0);
    while (rest.length > 0) {
      if (this.#skip > 0) {
        const count = Math.min(this.#skip, rest.length);
        this.#skip -= count;
        rest = rest.subarray(count);
        continue;
      }
      if (this.#pass === 0 && !this.#begin(rest, parts)) {
        this.#head = Buffer.from(rest);
        break;
      }
      const count = Math.min(this.#pass, rest.length);
      if (count > 0) parts.push(rest.subarray(0, count));
      this.#pass -= count;
      rest = rest.subarray(count);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Decides on the packet that begins here; false: too little of it is here. */
  #begin(bytes: Buffer, parts: Buffer[]): boolean {
    const length = remainingLength(bytes);
    if (length === undefined) return false;
    const total = length.bytes + 1 + length.value;
    if (total <= this.#bytesMax) {
      this.#pass = total;
      return true;
    }
    if (bytes[0]! >> 4 !== publishType) throw new Error(`a packet of ${total} bytes`);
    const topicAt = 1 + length.bytes;
    if (bytes.length < topicAt + 2) return false;
    const hasId = (bytes[0]! & 0x06) !== 0;
    const headBytes = 2 + bytes.readUInt16BE(topicAt) + (hasId ? 2 : 0);
    if (headBytes > length.value) throw new Error("a PUBLISH whose topic is longer than itself");
    if (bytes.length < topicAt + headBytes) return false;
    const noProperties = this.#hasProperties ? [0] : [];
    const body = Buffer.concat([
      bytes.subarray(topicAt, topicAt + headBytes),
      Buffer.from(noProperties),
      tooLarge,
    ]);
    parts.push(Buffer.from([bytes[0]!]), lengthBytes(body.length), body);
    this.#skip = total;
    return true;
  }
}

/** The variable byte integer behind the first byte (MQTT 5, 1.5.5); undefined: it is not complete. */
function remainingLength(bytes: Buffer): { value: number; bytes: number } | undefined {
  let value = 0;
  for (let i = 1; i < Math.min(bytes.length, headBytesMax); i++) {
    value += (bytes[i]! & 0x7f) * 128 ** (i - 1);
    if (bytes[i]! < 0x80) return { value, bytes: i };
  }
  if (bytes.length >= headBytesMax) throw new Error("a packet whose length is malformed");
  return undefined;
}

function lengthBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A stream with its incoming side trimmed; an oversized packet that cannot be left out destroys it. */
export function trimmed(inner: Duplex, trimmer: Trimmer): Duplex {
  const outer = new Duplex({
    read: () => void inner.resume(),
    write: (chunk: Buffer, _, done) => void inner.write(chunk, done),
    final: (done) => void inner.end(done),
    destroy(error, done) {
      inner.destroy();
      done(error);
    },
  });
  inner.on("data", (chunk: Buffer) => {
    try {
      const rest = trimmer.trim(chunk);
      if (rest.length > 0 && !outer.push(rest)) inner.pause();
    } catch (error) {
      outer.destroy(error as Error);
    }
  });
  inner.on("end", () => outer.push(null));
  inner.on("error", (error) => outer.destroy(error));
  inner.on("close", () => outer.destroy());
  return outer;
}
