import { afterEach, describe, expect, test } from "vitest";
import { Bench, programPath, runProgram, twoDevices } from "./processes.ts";

/** A foreign Modbus master before kerb's pretend devices, beside kerb's own gateway. */

const mbpoll = programPath("mbpoll");

const benches: Bench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

/** What mbpoll shows for one register number (0-based). */
function poll(device: Record<string, unknown>, type: string, register: number): number {
  const { port } = device["transport"] as { port: number };
  const place = ["-m", "tcp", "-p", String(port), "-a", String(device["unit"])];
  const what = ["-t", type, "-B", "-0", "-r", String(register), "-c", "1", "-1", "127.0.0.1"];
  const output = runProgram(mbpoll!, ...place, ...what);
  const value = new RegExp(`^\\[${register}\\]:\\s+(\\S+)`, "m").exec(output)?.[1];
  expect(output).toMatch(/\[\d+\]:/);
  return Number(value);
}

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
