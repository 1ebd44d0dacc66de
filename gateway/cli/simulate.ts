import { loadSite, type DeviceConfig } from "../config.ts";
import { exitCodes } from "../errors.ts";
import { simulatedPoints } from "../profiles.ts";
import type { Simulator, SimulatorOptions } from "../../simulators/simulator.ts";

/** Starts a pretend device for one configured device, at the very address where its driver looks for it. */
export async function simulateDevice(device: DeviceConfig, seed: number): Promise<Simulator> {
  const module = (await import(`../../simulators/${device.driver}/index.ts`)) as {
    start: (options: SimulatorOptions) => Promise<Simulator>;
  };
  const identity = { ...device.identity, firmware: "1.0", serial: `SIM${seed}` };
  const identify = device.identify ?? { standard: true, expect: [] };
  return module.start({
    profile: device.profile ?? "",
    points: simulatedPoints({ points: device.points, identify }, identity),
    settings: device.settings,
    identity,
    seed,
  });
}

/** `kerb simulate --site FILE`: a pretend device for each device of a site, until SIGINT or SIGTERM. */
export async function simulateSite(file: string): Promise<number> {
  const site = await loadSite(file);
  const { promise, resolve } = Promise.withResolvers<number>();
  process.on("SIGINT", () => resolve(exitCodes.ok));
  process.on("SIGTERM", () => resolve(exitCodes.ok));
  const simulators: Simulator[] = [];
  for (const [i, device] of site.devices.entries()) {
    const simulator = await simulateDevice(device, i + 1);
    simulators.push(simulator);
    process.stdout.write(`${device.id}  ${device.profile ?? device.driver}  at ${simulator.address}\n`);
  }
  const code = await promise;
  await Promise.all(simulators.map((simulator) => simulator.close()));
  return code;
}
