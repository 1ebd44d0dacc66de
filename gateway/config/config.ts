import { existsSync, globSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { z } from "zod";
import type { CommandsConfig } from "../commands/policy.ts";
import { checkCommands, checkTwin } from "./commands.ts";
import { checkDevice, type DeviceConfig } from "./devices.ts";
import type { YamlDocument } from "./document.ts";
import { type Path, valueAt } from "./path.ts";
import { placeOf, warnOfPlace } from "./places.ts";
import { SiteFiles } from "./site-files.ts";
import { devicesFileSchema, devicesMax, hostAndPort, type mqttUplink, siteSchema } from "./site-schema.ts";
import type { Place } from "../event.ts";
import { ConfigError, type Diagnostic } from "../errors.ts";
import { profileFolder } from "../profiles/profiles.ts";
import type { SiteTwin } from "../twin/document.ts";

export { type DeviceConfig, settingsInFile } from "./devices.ts";

const deviceFilesMax = 1000;

export type UplinkConfig = ReturnType<typeof uplinkConfig>;

/** A checked site: plain data with all references resolved, so treat it as a secret. Paths are absolute. */
export interface Site {
  file: string;
  /** The site file and the included ones. */
  files: string[];
  gateway: {
    id: string;
    name: string;
    city: string;
    stateFolder: string;
    timeZone: string;
    location: Place | undefined;
  };
  outbox: { bytesMax: number; commitAfterMs: number; commitEventsMax: number; sealEveryMs: number };
  uplinks: UplinkConfig[];
  privacy: {
    personalData: "token" | "drop" | "clear";
    legalBasis?: string | undefined;
    tokenKey?: string | undefined;
    snapshots?:
      | { records: string[]; devices?: string[] | undefined; keep: number; sizeMax: number }
      | undefined;
  };
  /** Who may command its devices. */
  commands: CommandsConfig;
  /** What may be configured from afar; undefined: nothing. */
  twin?: SiteTwin | undefined;
  log: { level: "debug" | "info" | "warn" | "error" };
  /** Where health checks and metrics are served; undefined: nowhere. */
  health: { host: string; port: number } | undefined;
  devices: DeviceConfig[];
  warnings: Diagnostic[];
}

function uplinkConfig(uplink: z.output<typeof mqttUplink>, folder: string) {
  const { keepalive, resendAfter, reconnectMax, tls, insecure, ...rest } = uplink;
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
  return {
    ...rest,
    insecure: insecure === "acknowledged",
    keepaliveMs: keepalive,
    resendAfterMs: resendAfter,
    reconnectMaxMs: reconnectMax,
    tls:
      tls === undefined
        ? undefined
        : {
            ca: absolute(tls.ca),
            cert: absolute(tls.cert),
            key: absolute(tls.key),
            serverName: tls.serverName,
          },
  };
}

function includedFiles(document: YamlDocument, patterns: readonly string[], given: Given): string[] {
  const added = [...(given.files?.keys() ?? [])].filter((file) => file !== document.file);
  if (given.isWhole === true) return added.toSorted();
  const folder = dirname(document.file);
  const files = patterns.flatMap((pattern, index) => {
    const found = globSync(pattern, { cwd: folder }).map((file) => resolve(folder, file));
    if (found.length === 0 && !/[*?[{]/.test(pattern)) {
      document.mistake(
        ["include", index],
        "KERB-CFG-FILE",
        `there is no file ${document.shown(["include", index])}`,
      );
    }
    if (found.length > deviceFilesMax) {
      document.mistake(["include", index], "KERB-CFG-FILE", `more than ${deviceFilesMax} files match`);
    }
    return found.slice(0, deviceFilesMax);
  });
  return [...new Set([...files, ...added])].filter((file) => file !== document.file).toSorted();
}

function warnings(document: YamlDocument, site: z.output<typeof siteSchema>, devices: number): void {
  const warn = (path: Path, code: "KERB-CFG-MISSING" | "KERB-CFG-FILE", message: string) =>
    document.mistake(path, code, message, { severity: "warning" });
  if (devices === 0) warn(["devices"], "KERB-CFG-MISSING", "no devices: there is nothing to read");
  if (site.uplinks.length === 0)
    warn(["uplinks"], "KERB-CFG-MISSING", "no uplinks: events stay in the outbox");
  for (const [index, { tls }] of site.uplinks.entries()) {
    for (const key of ["ca", "cert", "key"] as const) {
      const file = tls?.[key];
      const path = ["uplinks", index, "tls", key];
      if (file === undefined || existsSync(resolve(dirname(document.file), file))) continue;
      warn(path, "KERB-CFG-FILE", `there is no file ${document.shown(path)} yet: the uplink waits for it`);
    }
  }
}

/** A rule for a record that no device tells would never be seen to do nothing. */
function warnOfRecords(
  document: YamlDocument,
  names: readonly string[],
  devices: readonly DeviceConfig[],
): void {
  for (const [index, name] of names.entries()) {
    if (devices.some(({ records }) => records.some((record) => record.name === name))) continue;
    const path = ["privacy", "snapshots", "records", index];
    const message = `no device tells a record ${document.shown(path)}`;
    document.mistake(path, "KERB-CFG-VALUE", message, { severity: "warning" });
  }
}

function listAt(value: unknown, key: string): unknown[] {
  const list = valueAt(value, [key]);
  return Array.isArray(list) ? list : [];
}

async function devicesOf(loading: SiteFiles, document: YamlDocument): Promise<DeviceConfig[]> {
  const devices: DeviceConfig[] = [];
  for (const index of listAt(document.value, "devices").slice(0, devicesMax).keys()) {
    const device = await checkDevice(loading, document, ["devices", index]);
    if (device !== undefined) devices.push(device);
  }
  return devices;
}

/** Files that are read from memory instead of the disk, by absolute path; `isWhole`: there are no others. */
export interface Given {
  files?: ReadonlyMap<string, string>;
  isWhole?: boolean;
  /** Filled with what is read, also of a site that is wrong. */
  texts?: Map<string, string>;
  /** Puts into each file, before it is checked, what the twin wants. */
  lay?: (document: YamlDocument, isMain: boolean) => void;
}

/** A site with the bytes that it was made of. */
export interface SiteRead {
  site: Site;
  /** The site file and the included ones by absolute path, each as text with its byte order mark. */
  texts: ReadonlyMap<string, string>;
  /** What `include` says: patterns from the site file's folder. */
  include: string[];
}

/**
 * Reads a site file and all that it includes. Throws `ConfigError` with every mistake of every file. Warnings
 * (no devices, a certificate that is not there yet) are in `Site.warnings`.
 */
export async function loadSite(file: string, options: { profileFolder?: string } = {}): Promise<Site> {
  return (await readSite(file, options)).site;
}

/** `loadSite` with the bytes that were read, or given. */
export async function readSite(
  file: string,
  options: Given & { profileFolder?: string } = {},
): Promise<SiteRead> {
  const loading = new SiteFiles(options.profileFolder ?? profileFolder, options.files, options.texts);
  const folder = dirname(resolve(file));
  const secretsFolder = join(folder, "secrets");
  const main = loading.open(resolve(file), secretsFolder);
  if (main === undefined) throw new ConfigError(loading.found);
  options.lay?.(main, true);
  const site = main.check(siteSchema, main.value);
  loading.hasPlace = site?.gateway.location !== undefined;
  for (const [index, uplink] of listAt(main.value, "uplinks").entries()) {
    loading.unique("uplink", main, ["uplinks", index], valueAt(uplink, ["id"]));
  }
  const devices = await devicesOf(loading, main);
  // A mistake elsewhere in the site file must not hide those of the included files.
  const patterns = site?.include ?? listAt(main.value, "include").filter((one) => typeof one === "string");
  const files = includedFiles(
    main,
    patterns.filter((pattern) => !pattern.includes("**")),
    options,
  );
  for (const included of files) {
    const document = loading.open(included, secretsFolder);
    if (document === undefined) continue;
    options.lay?.(document, false);
    document.check(devicesFileSchema, document.value);
    devices.push(...(await devicesOf(loading, document)));
  }
  if (site !== undefined) warnings(main, site, devices.length);
  warnOfPlace(main, ["gateway", "location"], site?.gateway.location);
  warnOfRecords(main, site?.privacy.snapshots?.records ?? [], devices);
  // A device that is wrong is none of those that a role may name.
  const isSound = !loading.found.some(({ severity }) => severity === "error");
  if (site !== undefined && isSound) checkCommands(main, site.commands, devices);
  const twin = site === undefined ? undefined : checkTwin(main, site.commands, site.twin);
  const { found } = loading;
  const mistakes = found.filter(({ severity }) => severity === "error");
  if (mistakes.length > 0 || site === undefined) throw new ConfigError(mistakes);
  const { id, name, city, state, timeZone } = site.gateway;
  const location = site.gateway.location === undefined ? undefined : placeOf(site.gateway.location);
  const checked: Site = {
    file: main.file,
    files: [main.file, ...files],
    gateway: { id, name, city, stateFolder: resolve(folder, state), timeZone, location },
    outbox: {
      bytesMax: site.outbox.sizeMax,
      commitAfterMs: site.outbox.commitAfter,
      commitEventsMax: site.outbox.commitEvents,
      sealEveryMs: site.outbox.sealEvery,
    },
    uplinks: site.uplinks.map((uplink) => uplinkConfig(uplink, folder)),
    privacy: site.privacy,
    commands: site.commands,
    twin,
    log: site.log,
    health: hostAndPort(site.health.listen ?? ""),
    devices: devices.map((device) => ({ ...device, location: device.location ?? location })),
    warnings: found.filter(({ severity }) => severity === "warning"),
  };
  return { site: checked, texts: loading.texts, include: patterns };
}
