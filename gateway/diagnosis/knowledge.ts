import type { DevicePlace, Diagnosis } from "../driver.ts";

/** What the drivers know of places and failures, loaded when it is asked for. */

type Settings = Record<string, unknown>;
interface Placed {
  id: string;
  driver: string;
  settings: Settings;
}

const loaded = new Map<string, Promise<Diagnosis<Settings> | undefined>>();

async function load(driver: string): Promise<Diagnosis<Settings> | undefined> {
  try {
    const { diagnosis } = (await import(`../../drivers/${driver}/diagnose.ts`)) as {
      diagnosis: Diagnosis<Settings>;
    };
    return diagnosis;
  } catch {
    // A driver of somebody else may have none: its devices are judged by their error codes alone.
    return undefined;
  }
}

/** What a driver knows; undefined where it brings nothing. */
export function diagnosisOf(driver: string): Promise<Diagnosis<Settings> | undefined> {
  const known = loaded.get(driver) ?? load(driver);
  loaded.set(driver, known);
  return known;
}

/** Where each device is; none for drivers that do not say. */
export async function placesOf(devices: readonly Placed[]): Promise<Map<string, DevicePlace>> {
  const drivers = [...new Set(devices.map(({ driver }) => driver))];
  const known = new Map(
    await Promise.all(drivers.map(async (driver) => [driver, await diagnosisOf(driver)] as const)),
  );
  return new Map(
    devices.flatMap(({ id, driver, settings }) => {
      const place = known.get(driver)?.place(settings);
      return place === undefined ? [] : [[id, place] as const];
    }),
  );
}
