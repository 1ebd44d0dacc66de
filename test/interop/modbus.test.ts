import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import type { Driver } from "../../gateway/driver.ts";
import type { StartSimulator } from "../../simulators/simulator.ts";
import { Bench, programPath, runProgram, twoDevices } from "./processes.ts";

/** A foreign Modbus master before kerb's pretend devices, beside kerb's own gateway. */

const mbpoll = programPath("mbpoll");

const benches: Bench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

/** What mbpoll shows for one register number (0-based). */
function poll(device: Record<string, unknown>, type: string, register: number): number {
  return shown(runProgram(mbpoll!, ...askedOf(device, type, register)), register);
}

/** The same of a device in this process, which must go on answering. */
async function pollAside(device: Record<string, unknown>, type: string, register: number): Promise<number> {
  const { stdout } = await promisify(execFile)(mbpoll!, askedOf(device, type, register));
  return shown(stdout, register);
}

function askedOf(device: Record<string, unknown>, type: string, register: number): string[] {
  const { port } = device["transport"] as { port: number };
  const place = ["-m", "tcp", "-p", String(port), "-a", String(device["unit"])];
  const what = ["-t", type, "-B", "-0", "-r", String(register), "-c", "1", "-1", "127.0.0.1"];
  return [...place, ...what];
}

function shown(output: string, register: number): number {
  const value = new RegExp(`^\\[${register}\\]:\\s+(\\S+)`, "m").exec(output)?.[1];
  expect(output).toMatch(/\[\d+\]:/);
  return Number(value);
}

const name = "modbus";
const { driver } = (await import(`../../drivers/${name}/index.ts`)) as { driver: Driver<unknown, unknown> };
const parse = (await import(`../../drivers/${name}/settings.ts`)) as {
  settings: { parse(value: unknown): Record<string, unknown> };
  address: { parse(value: unknown): unknown };
};
const simulator = (await import(`../../simulators/${name}/index.ts`)) as { start: StartSimulator };

describe.skipIf(mbpoll === undefined)("mbpoll and the driver", () => {
  test("what was written is what mbpoll reads", async () => {
    const address = (more: Record<string, unknown>) => parse.address.parse({ table: "holding", ...more });
    const places = [
      address({ register: 5 }),
      address({ register: 6, type: "float32" }),
      address({ register: 8, type: "bool", bit: 3 }),
      address({ register: 9, type: "int16" }),
      address({ table: "coil", register: 2 }),
    ];
    const started = await simulator.start({
      profile: "test/device",
      identity: {},
      settings: { transport: { type: "tcp", host: "127.0.0.1", port: 0 }, functions: [1, 3, 5, 6, 16, 22] },
      points: places.map((place, i) => ({ name: `p${i}`, address: place, scale: 1, offset: 0 })),
    });
    const transport = { type: "tcp", host: "127.0.0.1", port: Number(/:(\d+) /.exec(started.address)?.[1]) };
    const settings = parse.settings.parse({ transport, functions: [1, 3, 5, 6, 16, 22] });
    const { signal } = new AbortController();
    const connection = await driver.connect(settings, { deviceId: "d", log: () => {} }, signal);
    try {
      const values = [401, 21.5, true, -2, true];
      for (const [i, value] of values.entries())
        await connection.write!({ name: `p${i}`, address: places[i] }, value, signal);
      expect(started.writes?.all.map(({ isTaken }) => isTaken)).toEqual(values.map(() => true));
      const device = { transport, unit: 1 };
      expect(await pollAside(device, "4", 5)).toBe(401);
      expect(await pollAside(device, "4:float", 6)).toBe(21.5);
      expect(await pollAside(device, "4", 8)).toBe(8);
      expect(await pollAside(device, "4:hex", 9)).toBe(0xfffe);
      expect(await pollAside(device, "0", 2)).toBe(1);
    } finally {
      await connection.close();
      await started.close();
    }
  });
});

describe.skipIf(mbpoll === undefined)("mbpoll and the gateway", () => {
  test("read the same from the same pretend devices", { timeout: 60_000 }, async () => {
    const bench = new Bench();
    benches.push(bench);
    const devices = await twoDevices();
    const [meter, radar] = devices as [Record<string, unknown>, Record<string, unknown>];
    const file = bench.site("gw-modbus", devices);
    await bench.simulate(file, 2);
    const gateway = await bench.run(file, "gw-modbus");
    await gateway.until((status) => status.devices.every(({ state }) => state === "online"));

    // A setting of the radar, which does not wander: 400 cm.
    expect(poll(radar, "4", 5)).toBe(400);
    expect(await gateway.read("radar", "installationHeight")).toMatchObject({
      value: 4,
      unit: "m",
      status: "good",
    });

    // A voltage wanders by 0.4 V a second at most, and drifts but little between two reads that follow each other.
    for (const [point, register] of [
      ["voltage.L1", 0],
      ["voltage.L2", 2],
      ["voltage.L3", 4],
    ] as const) {
      const before = poll(meter, "3:float", register);
      const { value, status } = await gateway.read("meter", point);
      const after = poll(meter, "3:float", register);
      expect(status).toBe("good");
      expect(value).toBeGreaterThanOrEqual(Math.min(before, after) - 1);
      expect(value).toBeLessThanOrEqual(Math.max(before, after) + 1);
    }
    // The phases differ: a register read from the wrong place would not pass for the right one.
    expect(new Set([0, 2, 4].map((register) => poll(meter, "3:float", register))).size).toBeGreaterThan(1);
  });
});
