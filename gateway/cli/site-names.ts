import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRecord } from "../config/path.ts";
import { within } from "../health/latest.ts";
import type { LatestReading } from "../host/messages.ts";
import { loadProfile } from "../profiles/profiles.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { readYaml } from "../config/yaml.ts";
import { askOnce, controlSocket, findSite } from "./site.ts";

/** The names of a site's devices and points, in no time and from whatever tells them: a broken file does, too. */

/** A device as the running gateway or the site file has it. */
export interface KnownDevice {
  id: string;
  name: string;
  /** Only of the one that was asked for. */
  points: string[];
}

/** Who presses Tab waits no longer. */
const answerMs = 400;

async function fromGateway(socket: string, id: string | undefined): Promise<KnownDevice[]> {
  if (id === undefined) {
    const { devices } = await askOnce<GatewayStatus>(socket, { verb: "status" });
    return devices.map((device) => ({ id: device.id, name: device.name, points: [] }));
  }
  const latest = await askOnce<LatestReading[]>(socket, { verb: "latest", args: { device: id } });
  const points = latest.map(({ point }) => point);
  return points.length === 0 ? [] : [{ id, name: "", points }];
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

function profilePoints(profile: string): string[] {
  try {
    return loadProfile(profile).points.flatMap(({ name, publish }) => (publish ? [name] : []));
  } catch {
    return [];
  }
}

/** What a file and those that it includes say of devices, unchecked; a secret is not looked up for a name. */
function devicesIn(file: string, isIncluded = false): Record<string, unknown>[] {
  const { value } = readYaml(file, { references: false });
  if (!isRecord(value)) return [];
  const { devices, include } = value;
  const own = Array.isArray(devices) ? devices.filter(isRecord) : [];
  // An included file includes nothing: two that name each other would never end.
  if (isIncluded) return own;
  const patterns = Array.isArray(include) ? include.filter((one) => typeof one === "string") : [];
  const files = patterns.flatMap((one) => (one.includes("**") ? [] : globSync(one, { cwd: dirname(file) })));
  return [...own, ...files.flatMap((one) => devicesIn(join(dirname(file), one), true))];
}

/** The site's devices, or the one of an id with its points; none where neither gateway nor site file tells. */
export async function knownDevices(site: string | undefined, id?: string): Promise<KnownDevice[]> {
  const file = findSite(site);
  const asked = fromGateway(controlSocket(file), id).catch(() => []);
  const running = (await within(asked, answerMs)) ?? [];
  if (running.length > 0) return running;
  const devices = devicesIn(file).filter((device) => id === undefined || device["id"] === id);
  return devices.map(({ id: own, name, profile, points }) => {
    const all = id === undefined ? [] : [...profilePoints(textOf(profile)), ...Object.keys(points ?? {})];
    return { id: textOf(own), name: textOf(name), points: [...new Set(all)] };
  });
}

/** The points of a device that the site file opens for writing. */
export function writablePoints(site: string | undefined, id: string): string[] {
  const { write } = devicesIn(findSite(site)).find((device) => device["id"] === id) ?? {};
  const allow = isRecord(write) ? write["allow"] : undefined;
  return Array.isArray(allow) ? allow.filter((point) => typeof point === "string") : [];
}
