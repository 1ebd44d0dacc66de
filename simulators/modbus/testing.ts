import { once } from "node:events";
import { connect, type Socket } from "node:net";
import modbusSerial from "modbus-serial";
import { afterEach } from "vitest";
import type { SimulatedPoint, Simulator, SimulatorOptions } from "../simulator.ts";
import { start } from "./index.ts";

export type Client = InstanceType<typeof modbusSerial.default>;

export const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

export function point(name: string, address: object, more: Partial<SimulatedPoint> = {}): SimulatedPoint {
  return { name, address, scale: 1, offset: 0, ...more };
}

const points: SimulatedPoint[] = [
  point("voltage", { table: "input", register: 0, type: "float32" }, { typical: [218, 238] }),
  point("power", { table: "input", register: 2, type: "int16" }, { typical: [-400, 900] }),
  point("level", { table: "holding", register: 10, type: "uint16" }, { scale: 0.001, typical: [1, 2] }),
  point("offset", { table: "holding", register: 11, type: "int16" }, { scale: 0.1, offset: -40 }),
  point("counter", { table: "holding", register: 12, type: "uint32" }, { scaleFactor: "factor" }),
  point("factor", { table: "holding", register: 14, type: "int16" }, { fixed: -2 }),
  point("name", { table: "holding", register: 16, type: "text", length: 4 }, { fixed: "kerb" }),
  point("door", { table: "holding", register: 40, type: "bool", bit: 3 }),
  point("lamp", { table: "holding", register: 40, type: "bool", bit: 5 }),
  point("far", { table: "holding", register: 100, type: "uint16" }, { fixed: 7 }),
  point("relay.1", { table: "coil", register: 0, type: "bool" }),
  point("relay.2", { table: "coil", register: 1, type: "bool" }, { fixed: 1 }),
  point("contact", { table: "discrete", register: 4, type: "bool" }, { fixed: 1 }),
];
const identity = { vendor: "kerb", model: "SIM-1", firmware: "2.1.8", serial: "A0042" };

export async function simulate(
  settings: Record<string, unknown> = {},
  more: Partial<SimulatorOptions> = {},
): Promise<Simulator> {
  const simulator = await start({
    profile: "test/device",
    points,
    identity,
    settings: { transport: { type: "tcp", host: "127.0.0.1", port: 0 }, unit: 1, ...settings },
    ...more,
  });
  cleanups.push(() => simulator.close());
  return simulator;
}

export function portOf(simulator: Simulator): number {
  return Number(/:(\d+) unit/.exec(simulator.address)?.[1]);
}

export async function clientOf(simulator: Simulator, unit = 1): Promise<Client> {
  const client = new modbusSerial.default();
  client.setTimeout(2000);
  await client.connectTCP("127.0.0.1", { port: portOf(simulator) });
  client.setID(unit);
  cleanups.push(() => client.destroy(() => {}));
  return client;
}

/** A socket of our own, with all that arrived on it. */
export async function rawOf(
  simulator: Simulator,
): Promise<{ socket: Socket; received: () => Buffer; closed: Promise<void> }> {
  const socket = connect(portOf(simulator), "127.0.0.1");
  let bytes = Buffer.alloc(0);
  socket.on("data", (chunk) => (bytes = Buffer.concat([bytes, chunk])));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await once(socket, "connect");
  cleanups.push(() => socket.destroy());
  return { socket, received: () => bytes, closed };
}

/** A socket as soon as the listener is open again; gives up after 5 s. */
export async function reconnect(simulator: Simulator): ReturnType<typeof rawOf> {
  const end = Date.now() + 5000;
  for (;;) {
    try {
      return await rawOf(simulator);
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** Read holding register 100 (which is 7) of a unit, as Modbus TCP. */
export function request(transaction: number, unit = 1): Buffer {
  return Buffer.from([transaction >> 8, transaction & 0xff, 0, 0, 0, 6, unit, 3, 0, 100, 0, 1]);
}
export function answer(transaction: number, unit = 1): Buffer {
  return Buffer.from([transaction >> 8, transaction & 0xff, 0, 0, 0, 5, unit, 3, 2, 0, 7]);
}

export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error("it did not happen within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Settles when a request that was sent later has been answered on another connection: "nothing came" is then sure. */
export async function roundTrip(simulator: Simulator): Promise<void> {
  const other = await rawOf(simulator);
  other.socket.write(request(9, 99));
  other.socket.end();
  await other.closed;
}
