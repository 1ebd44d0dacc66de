import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect } from "vitest";
import type { SimulatedPoint, Simulator, StartSimulator } from "../../simulators/simulator.ts";
import type { Driver } from "../driver.ts";
import { DeviceLoop } from "./device.ts";
import { openHandover } from "./test-handover.ts";
import type { Line } from "./line.ts";
import type { HostDevice, HostPoint, Shown, WriteOutcome } from "./messages.ts";
import { pointLike } from "./test-point.ts";

/** A device's loop before its simulator, as a host runs it, with the points of the test. */

interface Schemas {
  settings: { parse(value: unknown): Record<string, unknown> };
  address: { parse(value: unknown): unknown };
}

type Given = Partial<HostPoint> & Pick<HostPoint, "name"> & { simulated?: Partial<SimulatedPoint> };

interface Wanted {
  driver: string;
  points: readonly Given[];
  /** Of the simulator; the driver gets them with the place. */
  settings: Record<string, unknown>;
  /** The driver's settings that lead to where the simulator listens. */
  placed(address: string): Record<string, unknown>;
  device?: Partial<HostDevice>;
  line?: Line;
  identity?: Record<string, string>;
  /** false: nobody can note who the device is. */
  keeps?: boolean;
}

export interface Rig {
  loop: DeviceLoop;
  points: readonly HostPoint[];
  simulator: Simulator;
  /** What the simulator was told to change. */
  written(): string[];
  write(
    point: string,
    value: number | string | boolean,
    timeoutMs?: number,
    beginByMs?: number,
  ): Promise<WriteOutcome>;
  /** What a point shows, as evidence. */
  shown(point: string, value?: number | string | boolean): Promise<Shown>;
  close(): Promise<void>;
}

export async function rigOf(wanted: Wanted): Promise<Rig> {
  const { driver: name, points, settings, device, line, keeps = true } = wanted;
  const { driver } = (await import(`../../drivers/${name}/index.ts`)) as {
    driver: Driver<unknown, unknown>;
  };
  const schemas = (await import(`../../drivers/${name}/settings.ts`)) as Schemas;
  const { start } = (await import(`../../simulators/${name}/index.ts`)) as { start: StartSimulator };
  const parsed = points.map((point) => ({
    ...point,
    address: point.derive === undefined ? schemas.address.parse(point.address) : undefined,
  }));
  const simulator = await start({
    profile: "test/device",
    identity: wanted.identity ?? {},
    settings,
    recordEveryMs: 0,
    points: parsed
      .filter(({ derive }) => derive === undefined)
      .map(({ name: own, address, scale = 1, offset = 0, scaleFactor, write, simulated }) => ({
        name: own,
        address,
        scale,
        offset,
        isWritable: write !== undefined,
        ...(scaleFactor === undefined ? {} : { scaleFactor }),
        ...simulated,
      })),
  });
  const hostPoints = parsed.map(({ simulated: _simulated, ...point }, index) =>
    pointLike({ ...point, index }),
  );
  const folder = mkdtempSync(join(tmpdir(), "kerb-writing-"));
  const stream = new PassThrough();
  stream.resume();
  const loop = new DeviceLoop({
    driver,
    line,
    phase: 0,
    handover: openHandover(stream),
    context: { deviceId: "d", log: () => {}, ...(keeps ? { folder } : {}) },
    changed: () => {},
    device: {
      id: "d",
      index: 1,
      settings: schemas.settings.parse({ ...settings, ...wanted.placed(simulator.address) }),
      identify: undefined,
      firmwareRange: "*",
      records: [],
      silenceMs: 0,
      personalData: { how: "drop" },
      pollMs: { fast: 60_000, normal: 60_000, slow: 60_000 },
      points: hostPoints,
      ...device,
    },
  });
  const ended = loop.run();
  return {
    loop,
    points: hostPoints,
    simulator,
    written: () => (simulator.writes?.all ?? []).map(({ what }) => what),
    write: (point, value, timeoutMs = 3000, beginByMs = Infinity) =>
      loop.writing.write({ point, value, timeoutMs, beginByMs }),
    shown: (point, value) =>
      loop.writing.shown({
        point,
        ...(value === undefined ? {} : { value }),
      }),
    async close() {
      await loop.stop();
      await ended;
      await simulator.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until the device has answered or told something. */
export async function online({ loop }: Rig): Promise<void> {
  await expect.poll(() => loop.report.state, { timeout: 10_000 }).toBe("online");
}

export const writable = { write: { interlock: [] } };

const at = (register: number, own: Record<string, unknown> = {}) => ({ table: "holding", register, ...own });

/** A Modbus device with what the tests write to. */
export function modbusRig(more: Partial<Wanted> & { more?: Record<string, unknown> } = {}): Promise<Rig> {
  const functions = [1, 2, 3, 4, 5, 6, 15, 16, 22];
  const settings = { transport: { type: "tcp", host: "127.0.0.1", port: 0 }, functions, ...more.more };
  return rigOf({
    driver: "modbus",
    settings,
    placed: (address) => ({
      transport: { ...settings.transport, port: Number(/:(\d+) unit/.exec(address)?.[1]) },
    }),
    points: [
      { name: "level", address: at(0), unit: "%", scale: 0.5, limits: [0, 100], ...writable },
      { name: "door", address: at(1, { type: "bool", bit: 3 }), kind: "boolean" },
      {
        name: "mode",
        address: at(2),
        kind: "text",
        values: { 0: "off", 1: "on", 2: "auto", 7: "auto" },
        ...writable,
      },
      {
        name: "guarded",
        address: at(3, { type: "int16" }),
        scale: 0.1,
        write: { interlock: [{ point: "door", equals: false }] },
      },
      { name: "relay", address: { table: "coil", register: 4 }, kind: "boolean", ...writable },
      { name: "temperature", address: at(5, { type: "float32" }), ...writable },
      { name: "count", address: at(7, { type: "uint32" }), simulated: { fixed: 77 } },
      { name: "power", address: at(9, { type: "int16" }), scaleFactor: "factor", ...writable },
      { name: "factor", address: at(10, { type: "int16" }), simulated: { fixed: -1 } },
      { name: "lamp", address: at(1, { type: "bool", bit: 5 }), kind: "boolean", ...writable },
      { name: "setpoint", address: at(11), write: { interlock: [], readBack: "actual" } },
      { name: "actual", address: at(12) },
    ],
    ...more,
  });
}
