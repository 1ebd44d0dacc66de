import type { Socket } from "node:net";
import { generate, parser as createParser, type Packet, type Parser } from "mqtt-packet";
import type { Version } from "./message.ts";

/** Bytes that may wait in one socket before deliveries to it wait in the session, or are dropped at QoS 0. */
const writeBacklogBytesMax = 1_048_576;

/** How long a peer has to take our last packet and hang up, after which the socket is destroyed. */
const lingerMs = 1000;

/** A packet while it is being parsed: `length` is -1 until the fixed header is complete. */
type ParserState = Parser & { readonly packet: { readonly length: number }; readonly _pos: number };

export interface ConnectionEvents {
  packet(packet: Packet): void;
  /** The peer has taken what waited in the socket. */
  drained(): void;
  /** Called once, whoever closed; without a reason code it was not the broker that found fault. */
  closed(reasonCode?: number, reason?: string): void;
}

/** One socket: frames in, packets out, writes of one turn joined. It knows nothing of sessions. */
export class Connection {
  /** Set by CONNECT. */
  version: Version = 4;
  receiveMaximum = 65_535;
  maximumPacketSize = Infinity;
  /** CONNACK with success has been sent, so a DISCONNECT may be. */
  established = false;
  lastSeenMs = performance.now();
  readonly #socket: Socket;
  readonly #counts: { bytesIn: number; bytesOut: number };
  readonly #packetBytesMax: number;
  readonly #events: ConnectionEvents;
  readonly #parser = createParser() as ParserState;
  #open = true;
  #corked = false;

  constructor(
    socket: Socket,
    packetBytesMax: number,
    counts: { bytesIn: number; bytesOut: number },
    events: ConnectionEvents,
  ) {
    this.#socket = socket;
    this.#packetBytesMax = packetBytesMax;
    this.#counts = counts;
    this.#events = events;
    this.#parser.on("packet", (packet) => this.#receive(packet));
    this.#parser.on("error", (error: Error) => this.close(0x81, error.message));
    socket.on("data", (chunk: Buffer) => this.#data(chunk));
    socket.on("drain", () => {
      if (this.#open) events.drained();
    });
    // "close" follows every error and is where the connection ends.
    socket.on("error", () => {});
    socket.on("close", () => this.#finish());
  }

  /** False while so much waits in the socket that more should not be added. */
  get writable(): boolean {
    return this.#open && this.#socket.writableLength < writeBacklogBytesMax;
  }

  write(bytes: Uint8Array): void {
    if (!this.#open) return;
    this.#counts.bytesOut += bytes.byteLength;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  send(packet: Packet): void {
    this.write(generate(packet, { protocolVersion: this.version }));
  }

  /** Says why, which only MQTT 5 can, and hangs up. */
  close(reasonCode: number, reason: string): void {
    if (!this.#open) return;
    if (this.established && this.version === 5) this.send({ cmd: "disconnect", reasonCode });
    this.#hangUp();
    this.#finish(reasonCode, reason);
  }

  /** Hangs up once what has been written is out. */
  end(): void {
    if (!this.#open) return;
    this.#hangUp();
    this.#finish();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#finish();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.lastSeenMs = performance.now();
    this.#socket.resume();
  }

  #hangUp(): void {
    this.#socket.end();
    // The rest is read and thrown away: closing with unread bytes resets, and the peer would miss our last packet.
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  #finish(reasonCode?: number, reason?: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#events.closed(reasonCode, reason);
  }

  #data(chunk: Buffer): void {
    this.#counts.bytesIn += chunk.byteLength;
    if (!this.#open) return;
    this.lastSeenMs = performance.now();
    try {
      this.#parser.parse(chunk);
    } catch (error) {
      this.close(0x81, String(error));
    }
    // Deliveries stop at the backlog, so that what goes beyond is answers to a peer that asks and does not read.
    if (this.#socket.writableLength > 2 * writeBacklogBytesMax + this.#packetBytesMax) {
      this.close(0x97, "does not read its answers");
    }
    if (this.#open && this.#parser.packet.length > this.#packetBytesMax) this.close(0x95, "packet too large");
  }

  #receive(packet: Packet): void {
    if (!this.#open) return;
    const length = packet.length ?? 0;
    if (length > this.#packetBytesMax) return this.close(0x95, "packet too large");
    // The parser does not notice when a length inside the packet points beyond its end.
    if (this.#parser._pos > length) return this.close(0x81, `${packet.cmd} overruns its length`);
    this.#events.packet(packet);
  }
}
