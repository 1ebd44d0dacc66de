import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { randomBytes } from "node:crypto";
import mqtt, { type MqttClient } from "mqtt";
import { answerBytes, pointsPerDevice, ranges } from "./device-shape.ts";

/**
 * The floor, a process of its own: the same reads and the same publishes as a gateway makes, and nothing in
 * between. No decoding, no events, no disk, no second process: what plain Node needs at the least.
 */

export interface FloorOptions {
  ports: number[];
  broker: string;
  /** Time between the polls of one device; 0 = the next as soon as one is done. */
  periodMs: number;
  /** Size and share of one message, as the gateway's were. */
  payloadBytes: number;
  readingsPerMessage: number;
}

export type ToFloor = { type: "start"; options: FloorOptions } | { type: "count" };
export type FromFloor = { type: "started" } | { type: "count"; polls: number; messages: number };

const inFlightMax = 20;
const count = { polls: 0, messages: 0, inFlight: 0 };
const room: (() => void)[] = [];

function send(message: FromFloor): void {
  process.send?.(message);
}

/** The four requests of a poll, sent with one write. */
function requests(): Buffer {
  return Buffer.concat(
    ranges.map(({ start, registers }, i) =>
      Buffer.from([0, i, 0, 0, 0, 6, 1, 3, start >> 8, start & 255, registers >> 8, registers & 255]),
    ),
  );
}

class FloorDevice {
  readonly #socket: Socket;
  readonly #frames = requests();
  #pending = 0;
  #done: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#pending -= chunk.length;
      if (this.#pending <= 0) this.#done?.();
    });
  }

  poll(): Promise<void> {
    this.#pending = answerBytes.reduce((sum, bytes) => sum + bytes, 0);
    this.#socket.write(this.#frames);
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  }
}

/** Publishes a message for as many readings as one holds. */
async function published(client: MqttClient, options: FloorOptions, payload: Buffer): Promise<void> {
  while ((count.polls * pointsPerDevice) / options.readingsPerMessage >= count.messages + 1) {
    while (count.inFlight >= inFlightMax) await new Promise<void>((resolve) => room.push(resolve));
    count.messages++;
    count.inFlight++;
    client.publish("bench/up/v1/floor/live", payload, { qos: 1 }, () => {
      count.inFlight--;
      room.shift()?.();
    });
  }
}

async function run(
  device: FloorDevice,
  phaseMs: number,
  client: MqttClient,
  options: FloorOptions,
): Promise<void> {
  const payload = randomBytes(options.payloadBytes);
  let dueMs = performance.now() + phaseMs;
  for (;;) {
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    await device.poll();
    count.polls++;
    await published(client, options, payload);
    dueMs += options.periodMs;
  }
}

async function openFloor(options: FloorOptions): Promise<void> {
  const client = await mqtt.connectAsync(options.broker, { protocolVersion: 5, clientId: "bench-floor" });
  (client.stream as unknown as Socket).setNoDelay(true);
  const sockets = options.ports.map((port) => connect(port, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  sockets.forEach((socket, i) => {
    void run(new FloorDevice(socket), (i / sockets.length) * options.periodMs, client, options);
  });
  send({ type: "started" });
}

process.on("message", (message: ToFloor) => {
  if (message.type === "start") void openFloor(message.options);
  else send({ type: "count", polls: count.polls, messages: count.messages });
});
process.on("disconnect", () => process.exit(0));
