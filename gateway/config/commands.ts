import type { z } from "zod";
import { type DeviceWrite, isPhase } from "../commands/policy.ts";
import type { Point } from "../profiles/profiles.ts";
import type { Section, SiteTwin } from "../twin/document.ts";
import type { YamlDocument } from "./document.ts";
import type { Path } from "./path.ts";
import type { commandsSchema } from "./site-schema.ts";
import { didYouMean } from "./words.ts";

/** What a site file says of commands, against the devices and points that there are. */

function checkLimits(
  document: YamlDocument,
  path: Path,
  { name, kind, values, write }: Point,
  given: { min?: number | undefined; max?: number | undefined },
): void {
  if (kind !== "number" || values !== undefined)
    return document.mistake(path, "KERB-CFG-VALUE", `"${name}" is no number and has no limits`);
  const [least, most] = write?.limits ?? [-Infinity, Infinity];
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || (value >= least && value <= most)) continue;
    const message = `the profile lets "${name}" be from ${least} to ${most}`;
    document.mistake([...path, key], "KERB-CFG-VALUE", message);
  }
}

/** `write` of a device, against its points. */
export function checkDeviceWrite(
  document: YamlDocument,
  path: Path,
  { allow, limits = {} }: DeviceWrite,
  points: readonly Point[],
  deviceClass: string | undefined,
): void {
  const byName = new Map(points.map((point) => [point.name, point]));
  const writable = points.filter(({ name, write }) => write !== undefined && !isPhase(deviceClass, name));
  const names = writable.map(({ name }) => name);
  allow.forEach((name, i) => {
    const place = [...path, "allow", i];
    const point = byName.get(name);
    const wrong = (message: string) => document.mistake(place, "KERB-CFG-VALUE", message);
    if (point === undefined)
      wrong(`this device has no point ${document.shown(place)}${didYouMean(name, names)}`);
    else if (isPhase(deviceClass, name))
      wrong(
        `"${name}" of a signal controller is never driven: only plan, mode (or plan.requested, mode.requested) and lampTest are asked for`,
      );
    else if (point.write === undefined) wrong(`the profile does not offer "${name}" for writing`);
  });
  for (const [name, given] of Object.entries(limits)) {
    const place = [...path, "limits", name];
    const point = byName.get(name);
    if (point === undefined || !allow.includes(name)) {
      const message = `"${name}" is not in write.allow${didYouMean(name, allow)}`;
      document.mistake(place, "KERB-CFG-KEY", message, { at: "key" });
    } else checkLimits(document, place, point, given);
  }
}

interface Commanded {
  id: string;
  points: readonly Point[];
  write?: DeviceWrite | undefined;
}

/** `commands` of a site, against its devices: roles, devices and points that do not exist, and rights to nothing. */
export function checkCommands(
  document: YamlDocument,
  commands: z.output<typeof commandsSchema>,
  devices: readonly Commanded[],
): void {
  const roles = Object.keys(commands.roles);
  const wrong = (path: Path, message: string) =>
    document.mistake(["commands", ...path], "KERB-CFG-VALUE", message);
  const seen = new Set<string>();
  for (const [i, issuer] of commands.issuers.entries()) {
    if (seen.has(issuer.id)) wrong(["issuers", i, "id"], `there are two issuers "${issuer.id}"`);
    seen.add(issuer.id);
    for (const [j, role] of issuer.roles.entries())
      if (!roles.includes(role))
        wrong(["issuers", i, "roles", j], `there is no role "${role}"${didYouMean(role, roles)}`);
  }
  const ids = devices.map(({ id }) => id);
  for (const [role, given] of Object.entries(commands.roles)) {
    const mine = devices.filter(({ id }) => given.devices.includes(id));
    for (const [i, id] of given.devices.entries())
      if (!ids.includes(id))
        wrong(["roles", role, "devices", i], `there is no device "${id}"${didYouMean(id, ids)}`);
    // What a device that is not there would open, nobody knows.
    if (mine.length < given.devices.length) continue;
    const open = mine.flatMap(({ write }) => write?.allow ?? []);
    for (const [i, point] of (given.points ?? []).entries())
      if (!open.includes(point)) {
        const message = `no device of this role has "${point}" in write.allow${didYouMean(point, open)}`;
        wrong(["roles", role, "points", i], message);
      }
  }
}

/** `twin` of a site: with the keys of its issuers, which stand in the same file. */
export function checkTwin(
  document: YamlDocument,
  { issuers }: z.output<typeof commandsSchema>,
  twin: { allow: readonly Section[]; issuers: readonly string[]; watch: number } | undefined,
): SiteTwin | undefined {
  if (twin === undefined) return undefined;
  const ids = issuers.map(({ id }) => id);
  const named = twin.issuers.flatMap((id, i) => {
    const found = issuers.find((one) => one.id === id);
    if (found !== undefined) return [{ id, key: found.key }];
    const message = `commands.issuers has no "${id}"${didYouMean(id, ids)}`;
    document.mistake(["twin", "issuers", i], "KERB-CFG-VALUE", message);
    return [];
  });
  return { allow: twin.allow, issuers: named, watchMs: twin.watch };
}
