/**
 * Packets: JSON objects in UTF-8, each ended by a form feed (RSMP 3.2.2, 4.3.7). Form feeds in front of and
 * between packets are read over and never sent.
 */

const formFeed = 0x0c;
/** The deepest message of the published schemas has four levels; a value may be a list of objects. */
const depthMax = 16;

/** Line ends that a site writes behind its form feeds are no packet. */
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

export type Json = Record<string, unknown>;

/** A packet that is none: why, for people. */
export class PacketError extends Error {}

/** Cuts a stream into packets. Holds at most `bytesMax` bytes. */
export class PacketReader {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Calls `take` with the bytes of each packet that is complete; throws `PacketError` when one is too large. */
  push(chunk: Buffer, take: (packet: Buffer) => void): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(formFeed, from);
      if (end < 0) break;
      const packet = this.#join(chunk.subarray(from, end));
      from = end + 1;
      if (packet.some((byte) => !isBlank(byte))) take(packet);
    }
    const rest = chunk.subarray(from);
    this.#grow(rest.length);
    // A copy: the socket's chunk is much larger than what may have to be kept of it.
    if (rest.length > 0) this.#parts.push(Buffer.from(rest));
  }

  /** What has come of the next packet; it is the caller's from here on. */
  rest(): Buffer {
    const rest = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    return rest;
  }

  #join(last: Buffer): Buffer {
    this.#grow(last.length);
    const packet = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#length = 0;
    return packet;
  }

  #grow(bytes: number): void {
    this.#length += bytes;
    if (this.#length > this.#bytesMax)
      throw new PacketError(`a message of more than ${this.#bytesMax} bytes`);
    // Many tiny parts cost more than their bytes.
    if (this.#parts.length >= 1024) this.#parts = [Buffer.concat(this.#parts)];
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The object in a packet. Throws `PacketError`, and nothing else. */
export function parsePacket(packet: Buffer): Json {
  let text: string;
  try {
    text = utf8.decode(packet);
  } catch {
    throw new PacketError("bytes that are no UTF-8");
  }
  if (depthOf(packet) > depthMax) throw new PacketError(`JSON of more than ${depthMax} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PacketError(`no JSON: ${JSON.stringify(text.slice(0, 40))}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PacketError("JSON that is no object");
  return value as Json;
}

/** How deep brackets are nested, outside of strings. */
function depthOf(packet: Buffer): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < packet.length; i++) {
    const byte = packet[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
}

/** The bytes of a message. `JSON.stringify` never gives a form feed: inside strings it is escaped. */
export function packetOf(message: Json): string {
  return `${JSON.stringify(message)}\f`;
}
