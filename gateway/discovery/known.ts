import { realpathSync } from "node:fs";
import { lookup } from "node:dns/promises";
import { isIPv4 } from "node:net";
import type { DeviceConfig } from "../config/config.ts";
import { driverSchemas } from "../config/drivers.ts";
import { isRecord } from "../config/path.ts";
import type { Found } from "../driver.ts";

/** What of the site file is in the way of a look, and whom it has already. */

const lookupMs = 1000;

/** A place that devices of the site file are reached at. */
export interface Occupied {
  readonly devices: readonly DeviceConfig[];
  /** "192.168.1.9:502" → the devices there. */
  readonly places: ReadonlyMap<string, readonly DeviceConfig[]>;
  /** The real path of a serial port → the devices on it. */
  readonly lines: ReadonlyMap<string, readonly DeviceConfig[]>;
  /** Ports on which the gateway is called. */
  readonly called: ReadonlyMap<number, readonly DeviceConfig[]>;
}

/** A port by its real name, whichever of its links was given. */
export function realPort(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function addressOf(host: string): Promise<string> {
  if (isIPv4(host)) return host;
  const late = new Promise<string>((resolve) => setTimeout(() => resolve(host), lookupMs).unref());
  const found = lookup(host, 4).then(
    ({ address }) => address,
    () => host,
  );
  return Promise.race([found, late]);
}

/** Where a device is reached: by the driver's own word, else by the settings that say host and port. */
async function placeOf({ driver, settings }: DeviceConfig) {
  const { wire } = await driverSchemas(driver);
  const way = wire?.(settings as never);
  if (way !== undefined && way.over !== "none") return way;
  const { host, port } = settings;
  return typeof host === "string" && typeof port === "number"
    ? ({ over: "tcp", host, port } as const)
    : undefined;
}

function add<Key>(map: Map<Key, DeviceConfig[]>, key: Key, device: DeviceConfig): void {
  map.set(key, [...(map.get(key) ?? []), device]);
}

/** What the enabled devices of a site occupy. */
export async function occupiedBy(devices: readonly DeviceConfig[]): Promise<Occupied> {
  const places = new Map<string, DeviceConfig[]>();
  const lines = new Map<string, DeviceConfig[]>();
  const called = new Map<number, DeviceConfig[]>();
  await Promise.all(
    devices
      .filter(({ enabled }) => enabled)
      .map(async (device) => {
        const way = await placeOf(device);
        if (way?.over === "serial") add(lines, realPort(way.path), device);
        else if (way?.over === "calls") add(called, way.port, device);
        else if (way !== undefined && way.over !== "mqtt")
          add(places, `${await addressOf(way.host)}:${way.port}`, device);
      }),
  );
  return { devices, places, lines, called };
}

/** Is all of `part` in `whole`? Serial ports are the same by whichever name. */
function isWithin(part: unknown, whole: unknown): boolean {
  if (isRecord(part))
    return isRecord(whole) && Object.entries(part).every(([key, value]) => isWithin(value, whole[key]));
  if (typeof part === "string" && typeof whole === "string" && part.startsWith("/dev/"))
    return realPort(part) === realPort(whole);
  if (part === "127.0.0.1" && whole === "localhost") return true;
  return JSON.stringify(part) === JSON.stringify(whole);
}

/** The device of the site file that was found there. */
export function knownAs(driver: string, { at }: Found, devices: readonly DeviceConfig[]): string | undefined {
  return devices.find((device) => device.driver === driver && isWithin(at, device.settings))?.id;
}
