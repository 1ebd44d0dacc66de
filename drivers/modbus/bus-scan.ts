import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError } from "../../gateway/driver.ts";
import { crc16, frameRtu, readPdu } from "./codec.ts";
import type { LineTransport } from "./line.ts";
import { aborted } from "./link.ts";
import { openSerial, type ByteStream, type SerialSettings } from "./serial.ts";
import { destroySocket, hostAndPort, openSocket } from "./socket.ts";

/** How characters look on a line. */
export type Framed = Pick<SerialSettings, "baud" | "parity">;

/** A line with all that has come on it since it was last asked for. */
export interface Bus {
  write(bytes: Uint8Array): void;
  heard(): Buffer;
  /** Time that so many characters take. */
  wireMs(characters: number): number;
  close(): Promise<void>;
}

/** A unit has so long, and may be late: its answer bears its number, so it is heard while the next one is asked. */
const answerMs = 150;
const networkMs = 250;
/** Of the answer to a read of one register, and of a refusal. */
const [answerBytes, refusalBytes] = [7, 5];
const heardBytesMax = 4096;

/** Opens a line for ourselves alone. Rejects as `openSerial` and `openSocket` do. */
export async function openBus(transport: LineTransport, signal: AbortSignal): Promise<Bus> {
  let heard = Buffer.alloc(0);
  let lost: DeviceError | undefined;
  const onBytes = (bytes: Uint8Array, length: number): void => {
    heard = Buffer.concat([heard, bytes.subarray(0, length)]).subarray(-heardBytesMax);
  };
  const onLost = (error: DeviceError): void => void (lost = error);
  const take = (): Buffer => {
    if (lost !== undefined) throw lost;
    const taken = heard;
    heard = Buffer.alloc(0);
    return taken;
  };
  const { stream, bits } = await open(transport, onBytes, onLost, signal);
  return {
    write: (bytes) => stream.write(bytes),
    heard: take,
    wireMs: (characters) => characters * bits,
    close: () => stream.close(),
  };
}

async function open(
  transport: LineTransport,
  onBytes: (bytes: Uint8Array, length: number) => void,
  onLost: (error: DeviceError) => void,
  signal: AbortSignal,
): Promise<{ stream: ByteStream; bits: number }> {
  if (transport.type === "rtu") {
    const stream = await openSerial(transport, { place: transport.port, onBytes, onLost }, signal);
    return { stream, bits: ((transport.parity === "none" ? 10 : 11) * 1000) / transport.baud };
  }
  const { host, port } = transport;
  const place = hostAndPort(host, port);
  const way = { host, port, place, timeoutMs: 1000, chunkBytes: 1024, onBytes, onLost };
  const socket = await openSocket(way, signal);
  const close = () => destroySocket(socket);
  return { stream: { write: (bytes) => void socket.write(bytes), close }, bits: networkMs / 100 };
}

/** Asks unit after unit for its first register, one at a time, and says who answered, be it with a no. */
export class BusScan {
  readonly #bus: Bus;
  #kept = Buffer.alloc(0);

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  async units(
    units: readonly number[],
    signal: AbortSignal,
    tell: (unit: number) => void,
  ): Promise<number[]> {
    const present = new Set<number>();
    for (const unit of units) {
      if (unit < 1 || unit > 247) continue;
      tell(unit);
      await this.#ask(unit, present, signal);
    }
    return [...present].filter((unit) => units.includes(unit)).toSorted((a, b) => a - b);
  }

  async #ask(unit: number, present: Set<number>, signal: AbortSignal): Promise<void> {
    const frame = frameRtu(unit, readPdu("holding", 0, 1));
    this.#bus.write(frame);
    const untilMs = performance.now() + answerMs + this.#bus.wireMs(frame.length + answerBytes);
    while (!present.has(unit) && performance.now() < untilMs) {
      await this.#pause(5, signal);
      this.#hear(present);
    }
    // Silence of 3.5 characters (Serial Line 1.02, 2.5.1.1), and what is still under way.
    await this.#pause(Math.max(2, this.#bus.wireMs(3.5)), signal);
    this.#hear(present);
  }

  #hear(present: Set<number>): void {
    const fresh = this.#bus.heard();
    if (fresh.length === 0) return;
    const all = Buffer.concat([this.#kept, fresh]);
    for (const unit of unitsIn(all)) present.add(unit);
    // A frame may come in two pieces.
    this.#kept = all.subarray(-(answerBytes - 1));
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(ms, undefined, { signal });
    } catch {
      throw aborted("the line");
    }
  }
}

/** The units whose answers to a read of one holding register are somewhere in these bytes. */
export function unitsIn(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at + refusalBytes <= bytes.length; at++) {
    const [unit = 0, code, third = 0] = bytes.subarray(at, at + 3);
    const length =
      code === 0x03 && third === 2
        ? answerBytes
        : code === 0x83 && third > 0 && third < 12
          ? refusalBytes
          : 0;
    if (length === 0 || at + length > bytes.length || unit < 1 || unit > 247) continue;
    const crc = crc16(bytes, at, at + length - 2);
    if (bytes[at + length - 2] === (crc & 0xff) && bytes[at + length - 1] === crc >> 8) found.push(unit);
  }
  return found;
}
