import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listDrivers } from "../config/drivers.ts";
import type { Discovery } from "../driver.ts";

/** A driver that knows how its devices are found. */
export interface Looking {
  driver: string;
  discovery: Discovery;
}

const driverFolder = fileURLToPath(new URL("../../drivers", import.meta.url));

/** The drivers with a `discover.ts`, sorted. */
export function listLooking(): string[] {
  return listDrivers().filter((name) => existsSync(join(driverFolder, name, "discover.ts")));
}

/** How the devices of these drivers are found; those that disturb least come first. */
export async function loadLooking(drivers: readonly string[]): Promise<Looking[]> {
  const loaded = await Promise.all(
    drivers.map(async (driver) => {
      const { discovery } = (await import(`../../drivers/${driver}/discover.ts`)) as { discovery: Discovery };
      return { driver, discovery };
    }),
  );
  return loaded.toSorted((a, b) => a.discovery.turn - b.discovery.turn);
}
