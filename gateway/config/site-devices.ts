import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { DeviceConfig, Site } from "./config.ts";
import { driverSchemas } from "./drivers.ts";
import { writeDurably } from "../durable-file.ts";
import type { HostDevice } from "../host/messages.ts";
import { decimalsOf } from "../host/normalise.ts";
import type { Point } from "../profiles/profiles.ts";
import type { RegisterDevice } from "../outbox/store.ts";
import { keepSweeping, prepareSnapshots, type SnapshotRule, snapshotFolder } from "../snapshots.ts";
import type { LanesOptions } from "../uplink/cuts.ts";

/** The site's devices as the outbox and the hosts need them. */

export function registration(device: DeviceConfig): RegisterDevice {
  const { name, location: place, levels } = device;
  return {
    id: device.id,
    type: device.class ?? device.driver,
    profile: device.profile ?? "",
    ...(name === device.id ? {} : { name }),
    ...(place === undefined ? {} : { place }),
    ...(levels === undefined ? {} : { levels }),
    points: device.points
      .filter((point) => point.publish)
      .map((point) => ({
        name: point.name,
        unit: point.unit,
        kind: point.kind,
        decimals: decimalsOf(point),
      })),
  };
}

/** The gateway itself and its devices, in this order. */
export function registrations(gateway: string, devices: readonly DeviceConfig[]): RegisterDevice[] {
  return [{ id: gateway, type: "gateway", profile: "", points: [] }, ...devices.map(registration)];
}

/** 32 bytes as base64url. */
const keyChars = 43;

const hasPersonalData = ({ enabled, records }: DeviceConfig) =>
  enabled && records.some(({ fields }) => fields.some((field) => field.privacy === "token"));

/**
 * Those that are read while there is no state folder. They tell nothing by themselves, so that nothing but values is
 * lost with what is not stored; and their drivers have no settings of whom to trust, so that no pin is missed.
 */
export async function readWithoutFolder(devices: readonly DeviceConfig[]): Promise<DeviceConfig[]> {
  const asked = devices.filter(
    ({ records, points }) => records.length === 0 && points.every(({ poll }) => poll !== "push"),
  );
  const names = [...new Set(asked.map(({ driver }) => driver))];
  const open = await Promise.all(names.map(async (name) => (await driverSchemas(name)).siteOnly ?? []));
  return asked.filter(({ driver }) => open[names.indexOf(driver)]?.length === 0);
}

/** How the site lets personal data leave; the key of the tokens is its own or one that the box makes. */
export function personalData(
  { privacy, gateway, devices }: Site,
  log: Pick<Logger, "warn">,
): HostDevice["personalData"] {
  const { personalData: how, legalBasis = "", tokenKey } = privacy;
  if (how === "drop") return { how };
  if (how === "clear") return { how, legalBasis };
  if (tokenKey !== undefined) return { how, key: tokenKey };
  // A full disk must not end a start that needs no key.
  if (!devices.some(hasPersonalData)) return { how: "drop" };
  const file = join(gateway.stateFolder, "token.key");
  if (existsSync(file)) {
    const key = readFileSync(file, "utf8").trim();
    if (key.length >= keyChars) return { how, key };
    log.warn(`${file} is cut short: a new key is made, tokens from here on differ from those before`);
  }
  const key = randomBytes(32).toString("base64url");
  writeDurably(file, `${key}\n`);
  return { how, key };
}

/** The site's rule for pictures as far as it is about this device. */
export function snapshotRule({ privacy }: Site, folder: string, { id, records }: DeviceConfig) {
  const { snapshots } = privacy;
  if (snapshots === undefined || snapshots.devices?.includes(id) === false) return undefined;
  const wanted = records.map(({ name }) => name).filter((name) => snapshots.records.includes(name));
  const { keep: keepMs, sizeMax: bytesMax } = snapshots;
  return wanted.length === 0 ? undefined : { folder, records: wanted, keepMs, bytesMax };
}

/** Old pictures go also when their rule or their device has gone. `folder`: where they are; `end` ends it. */
export function sweepSnapshots(
  { gateway, privacy: { snapshots: rule } }: Site,
  log: Pick<Logger, "error" | "warn">,
): { folder: string; end: () => void } {
  const folder = snapshotFolder(gateway.stateFolder);
  try {
    if (rule !== undefined) prepareSnapshots(folder);
  } catch (error) {
    // Events go on without their pictures.
    log.error(`snapshots cannot be kept: ${(error as Error).message}`);
  }
  const limits = rule === undefined ? undefined : { keepMs: rule.keep, bytesMax: rule.sizeMax };
  return { folder, end: keepSweeping(folder, limits, (text) => log.warn(text)) };
}

/** The uplinks as the outbox packs for them. */
export function lanesOf({ gateway, uplinks }: Site): LanesOptions[] {
  return uplinks.map((uplink) => ({
    name: uplink.id,
    city: gateway.city,
    gateway: gateway.id,
    encoding: uplink.encoding,
    windowMax: uplink.windowMax,
    bytesMax: uplink.messageBytesMax,
    resendAfterMs: uplink.resendAfterMs,
  }));
}

/** Every device of the site with a hash of what it is and how it is read. */
export function roster(
  devices: readonly DeviceConfig[],
  registered: readonly { id: string; index: number }[],
) {
  const indexes = new Map(registered.map(({ id, index }) => [id, index]));
  return devices.map(({ id, enabled, driver, profile, settings, pollMs, points }) => ({
    id,
    enabled,
    device: indexes.get(id),
    fingerprint: createHash("sha256")
      .update(JSON.stringify([driver, profile, settings, pollMs, points]))
      .digest("hex")
      .slice(0, 16),
  }));
}

/** A point without what only people read; of what commands are held to, what must be seen at the device. */
export function bare({ label: _1, texts: _2, source: _3, certainty: _4, write, ...point }: Point) {
  if (write === undefined) return point;
  const { interlock, readBack } = write;
  return { ...point, write: { interlock, ...(readBack === undefined ? {} : { readBack }) } };
}

export function hostDevice(
  device: DeviceConfig,
  registered: { index: number; points: { name: string; index: number }[] } | undefined,
  personal: HostDevice["personalData"],
  snapshots?: SnapshotRule,
): HostDevice {
  const indexes = new Map(registered?.points.map((point) => [point.name, point.index]));
  // Counted from there the points of equal devices are equal.
  const firstIndex = indexes.size === 0 ? 0 : Math.min(...indexes.values());
  const indexOf = (name: string) => (indexes.has(name) ? (indexes.get(name) ?? 0) - firstIndex : -1);
  return {
    id: device.id,
    index: registered?.index ?? 0,
    settings: device.settings,
    identify: device.identify,
    firmwareRange: device.firmwareRange,
    ...(device.serial === undefined ? {} : { serial: device.serial }),
    ...(device.identifyMs === undefined ? {} : { identifyMs: device.identifyMs }),
    pollMs: device.pollMs,
    silenceMs: device.silenceMs,
    personalData: personal,
    ...(snapshots === undefined ? {} : { snapshots }),
    records: device.records.map(({ label: _label, ...record }) => record),
    alarms: device.alarms,
    ...(device.localOverride === undefined ? {} : { localOverride: device.localOverride }),
    points: device.points.map((point) => ({ ...bare(point), index: indexOf(point.name) })),
    firstIndex,
  };
}
