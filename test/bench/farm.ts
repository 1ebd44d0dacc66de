import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { answerBytes, meterPoints, ranges } from "./device-shape.ts";

/**
 * The device farm, a process of its own (`fork`ed by the bench): Modbus TCP devices with answers that are made
 * beforehand. Per request it copies one of them and patches the transaction and the number, nothing else.
 */

export interface FarmOptions {
  devices: number;
  /** Accept and never answer: the first `silent` devices. */
  silent: number;
  /** Every answer waits this long. */
  delayMs: number;
  /** When the registers change: once a second, or before each poll. */
  change: "second" | "poll";
}

export type ToFarm = { type: "start"; options: FarmOptions } | { type: "hold" } | { type: "log" };

/** Polls of one device in order. Times are wall-clock ms; `number[i]` is what poll i was told. */
export interface DeviceLog {
  number: number[];
  askedMs: number[];
  answeredMs: number[];
  /** Change n was at `changedMs + 1000 n` (change "second"). */
  changedMs: number;
}

export type FromFarm =
  | { type: "listening"; ports: number[] }
  | { type: "held" }
  | { type: "log"; devices: DeviceLog[] };

const slots = 256;
const numberAt = 9;
/** From here on nothing new is answered: a poll that has begun is finished, the next one stays without an answer. */
let holding = false;

function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A small generator with a seed, so that every run has the same values. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A ring of answers: per slot the four frames, one behind the other. Values walk by a few counts a slot. */
function prepareAnswers(seed: number): Buffer[][] {
  const random = generator(seed);
  const values = new Map(
    meterPoints.map(({ register, middle, step }) => [register, middle + (random() - 0.5) * 20 * step]),
  );
  return Array.from({ length: slots }, () => {
    for (const { register, middle, step } of meterPoints) {
      const value = values.get(register) ?? middle;
      // Pulled back to its middle a little, or it would leave its type in a long ring.
      values.set(register, value + Math.round((random() * 2 - 1) * step) + (middle - value) * 0.002);
    }
    return ranges.map(({ start, registers }, range) => {
      const frame = Buffer.alloc(answerBytes[range] ?? 0);
      frame.writeUInt16BE(3 + 2 * registers, 4);
      frame[6] = 1;
      frame[7] = 3;
      frame[8] = 2 * registers;
      for (let i = 0; i < registers; i++) {
        const value = Math.round(values.get(start + i) ?? 0);
        frame.writeUInt16BE(value & 0xffff, 9 + 2 * i);
      }
      return frame;
    });
  });
}

class FarmDevice {
  readonly log: DeviceLog;
  readonly #options: FarmOptions;
  readonly #answers: Buffer[][];
  readonly #isSilent: boolean;
  #number = 0;
  #held = false;

  constructor(index: number, options: FarmOptions) {
    this.#options = options;
    this.#isSilent = index < options.silent;
    this.#answers = prepareAnswers(index + 1);
    // Spread over the second by the golden ratio, so that changes keep no step with the gateway's polls.
    this.log = {
      number: [],
      askedMs: [],
      answeredMs: [],
      changedMs: wallMs() - 1000 + ((index * 618.034) % 1000),
    };
  }

  serve(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    let rest: Buffer | undefined;
    socket.on("data", (chunk: Buffer) => {
      if (this.#isSilent) return;
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      const used = this.#take(socket, bytes);
      rest = used === bytes.length ? undefined : bytes.subarray(used);
    });
  }

  /** Answers every whole request in `bytes` with one write; returns how many bytes they took. */
  #take(socket: Socket, bytes: Buffer): number {
    const askedMs = wallMs();
    let end = 0;
    let count = 0;
    while (end + 6 <= bytes.length) {
      const next = end + 6 + ((bytes[end + 4] ?? 0) << 8) + (bytes[end + 5] ?? 0);
      if (next > bytes.length) break;
      end = next;
      count++;
    }
    if (count === 0) return end;
    if (this.#options.delayMs === 0) this.#answer(socket, bytes, end, askedMs);
    else setTimeout(() => this.#answer(socket, bytes, end, askedMs), this.#options.delayMs);
    return end;
  }

  #answer(socket: Socket, bytes: Buffer, end: number, askedMs: number): void {
    const out = Buffer.allocUnsafe(64 * Math.ceil(end / 11));
    let length = 0;
    for (let at = 0; at < end; at += 6 + ((bytes[at + 4] ?? 0) << 8) + (bytes[at + 5] ?? 0)) {
      const range = bytes[at + 7] === 3 ? rangeOf(((bytes[at + 8] ?? 0) << 8) | (bytes[at + 9] ?? 0)) : -1;
      if (range === 0 && holding) this.#held = true;
      if (this.#held) continue;
      if (range < 0) {
        out.set([bytes[at] ?? 0, bytes[at + 1] ?? 0, 0, 0, 0, 3, 1, (bytes[at + 7] ?? 0) | 0x80, 1], length);
        length += 9;
        continue;
      }
      if (range === 0) this.#poll(askedMs);
      const frame = this.#answers[this.#number % slots]?.[range] as Buffer;
      out.set(frame, length);
      out[length] = bytes[at] ?? 0;
      out[length + 1] = bytes[at + 1] ?? 0;
      if (range === 0) out.writeUInt32BE(this.#number, length + numberAt);
      length += frame.length;
    }
    if (length > 0 && !socket.destroyed) socket.write(out.subarray(0, length));
  }

  #poll(askedMs: number): void {
    const nowMs = this.#options.delayMs === 0 ? askedMs : wallMs();
    if (this.#options.change === "poll") this.#number++;
    else this.#number = Math.floor((nowMs - this.log.changedMs) / 1000);
    this.log.number.push(this.#number);
    this.log.askedMs.push(askedMs);
    this.log.answeredMs.push(nowMs);
  }
}

function rangeOf(register: number): number {
  return register % 200 === 0 && register <= 600 ? register / 200 : -1;
}

async function listen(device: FarmDevice): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => device.serve(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function send(message: FromFarm): void {
  process.send?.(message);
}

const devices: FarmDevice[] = [];

async function openFarm(options: FarmOptions): Promise<void> {
  for (let i = 0; i < options.devices; i++) devices.push(new FarmDevice(i, options));
  const servers = await Promise.all(devices.map(listen));
  send({ type: "listening", ports: servers.map((server) => (server.address() as AddressInfo).port) });
}

process.on("message", (message: ToFarm) => {
  if (message.type === "start") void openFarm(message.options);
  else if (message.type === "hold") {
    holding = true;
    send({ type: "held" });
  } else send({ type: "log", devices: devices.map(({ log }) => log) });
});
process.on("disconnect", () => process.exit(0));
