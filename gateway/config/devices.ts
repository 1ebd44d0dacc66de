import type { z } from "zod";
import type { DeviceWrite } from "../commands/policy.ts";
import type { DeviceSchedules } from "../schedules/levels.ts";
import { inputsOf, settled, withNeeded } from "../profiles/derived.ts";
import { checkPoints } from "../profiles/point-schema.ts";
import { tooMany, withParts } from "../profiles/profile-parts.ts";
import {
  fieldsNamed,
  mergeSettings,
  named,
  pointsNamed,
  pointsOf,
  type Point,
  type Profile,
  type RecordDefinition,
} from "../profiles/profiles.ts";
import {
  commonKeys,
  definitionsSchema,
  deviceSchema,
  overridesSchema,
  recordDefinitionsSchema,
  recordOverridesSchema,
} from "./device-schema.ts";
import type { Levels, Place } from "../event.ts";
import { checkDeviceWrite } from "./commands.ts";
import { checkSchedules } from "./schedules.ts";
import type { YamlDocument } from "./document.ts";
import { type DriverSchemas, driverSchemas } from "./drivers.ts";
import { isRecord, type Path, valueAt } from "./path.ts";
import { levelsOf, placeOf, warnOfPlace } from "./places.ts";
import type { OpenProfile, SiteFiles } from "./site-files.ts";
import { didYouMean, nearest } from "./words.ts";

/** A checked device: plain data with all references resolved. */
export interface DeviceConfig {
  id: string;
  name: string;
  driver: string;
  enabled: boolean;
  profile: string | undefined;
  class: string | undefined;
  /** Where it stands: its own place, else the gateway's. */
  location?: Place | undefined;
  levels?: Levels | undefined;
  firmwareRange: string;
  /** The serial number of the unit, where the site file says it. */
  serial?: string | undefined;
  /** What may be written to it, where the site file says so. */
  write?: DeviceWrite | undefined;
  /** What its points are to be at which time of the day. */
  schedules?: DeviceSchedules | undefined;
  /** How often it is asked again who it is. */
  identifyMs?: number;
  /** Parsed by the driver's schema, with the profile's settings underneath. */
  settings: Record<string, unknown>;
  /** The profile's, with addresses parsed. */
  identify: Profile["identify"] | undefined;
  /** What the profile is for. */
  identity: { vendor: string; model: string } | undefined;
  pollMs: { fast: number; normal: number; slow: number };
  /** The enabled points, and those that an enabled one takes its scale factor from. */
  points: Point[];
  records: RecordDefinition[];
  alarms: Profile["alarms"];
  localOverride?: Profile["localOverride"];
  /** A device that pushes and says nothing for this long is lost, ms; 0 = never. */
  silenceMs: number;
  place: { file: string; line: number };
}

/** By parsed settings, which a device keeps wherever it is copied to. */
const inFile = new WeakMap<DeviceConfig["settings"], Record<string, unknown>>();

/** The driver's settings as the device's file has them, not parsed, without those of its profile; {}: unknown. */
export const settingsInFile = ({ settings }: DeviceConfig): Record<string, unknown> =>
  inFile.get(settings) ?? {};

/** A misspelt `driver` or `profile` is taken for what it means, so that the rest of the device is checked too. */
function straightened(
  document: YamlDocument,
  path: Path,
  entry: Record<string, unknown>,
): Record<string, unknown> {
  const straight: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entry)) {
    const likely = commonKeys.find((one) => one === key.toLowerCase()) ?? nearest(key, ["driver", "profile"]);
    const meant = commonKeys.includes(key) ? undefined : likely;
    if (meant === undefined || meant in entry) straight[key] = value;
    else {
      straight[meant] = value;
      const message = `unknown key "${key}" - did you mean "${meant}"?`;
      document.mistake([...path, key], "KERB-CFG-KEY", message, { at: "key" });
    }
  }
  return straight;
}

function described(common: z.output<ReturnType<typeof deviceSchema>>, profile: Profile | undefined) {
  const {
    id,
    name,
    driver,
    enabled,
    poll,
    silence,
    serial,
    identifyEvery,
    location,
    levels,
    write,
    schedules,
  } = common;
  return {
    id,
    name: name ?? id,
    driver,
    enabled,
    profile: profile?.id,
    class: profile?.class,
    location: location === undefined ? undefined : placeOf(location),
    levels: levels === undefined ? undefined : levelsOf(levels),
    firmwareRange: profile?.firmware ?? "*",
    serial,
    write,
    schedules,
    identifyMs: identifyEvery,
    identity: profile === undefined ? undefined : { vendor: profile.vendor, model: profile.model },
    pollMs: {
      fast: poll?.fast ?? profile?.poll.fast ?? 1000,
      normal: poll?.normal ?? profile?.poll.normal ?? 10_000,
      slow: poll?.slow ?? profile?.poll.slow ?? 60_000,
    },
    alarms: profile?.alarms ?? [],
    localOverride: profile?.localOverride,
    silenceMs: silence ?? profile?.silence ?? 0,
  };
}

function checkSettings(
  document: YamlDocument,
  path: Path,
  own: Record<string, unknown>,
  schemas: DriverSchemas,
  opened: OpenProfile | undefined,
): Record<string, unknown> | undefined {
  const wrong = (schemas.siteOnly ?? []).filter((key) => Object.hasOwn(opened?.profile.settings ?? {}, key));
  for (const key of wrong) {
    const message = `a profile must not say "${key}": write it into the site file, at the device`;
    opened?.document.mistake(["settings", key], "KERB-CFG-KEY", message, { at: "key" });
  }
  if (wrong.length > 0) return undefined;
  const merged = opened === undefined ? own : mergeSettings(opened.profile.settings, own);
  return document.check(schemas.settings, merged, {
    alsoKnown: commonKeys,
    origin: (inner) => {
      const here = [...path, ...inner];
      const there = ["settings", ...inner];
      const isProfiles =
        document.depthOf(here) < here.length && opened?.document.depthOf(there) === there.length;
      return isProfiles ? { document: opened.document, path: there } : { document, path: here };
    },
  });
}

/** More parts or points than a device has, told where the site file says how many, else the profile. */
function saysTooMany(
  templates: readonly Point[],
  settings: Record<string, unknown>,
  document: YamlDocument,
  path: Path,
  profile?: YamlDocument,
): boolean {
  const many = tooMany(templates, settings);
  if (many === undefined) return false;
  const own = [...path, many.setting ?? "points"];
  const isOwn = profile === undefined || document.depthOf(own) === own.length;
  if (isOwn) document.mistake(own, "KERB-CFG-VALUE", many.message);
  else profile.mistake(["settings", many.setting ?? ""], "KERB-CFG-VALUE", many.message);
  return true;
}

/** The points of a device without a profile. */
function definedPoints(
  document: YamlDocument,
  path: Path,
  schemas: DriverSchemas,
  settings: Record<string, unknown> | undefined,
): Point[] | undefined {
  const at = [...path, "points"];
  if (valueAt(document.value, at) === undefined) {
    // A device may tell nothing but records.
    if (valueAt(document.value, [...path, "records"]) !== undefined) return [];
    const message = 'missing key "profile", or "points" that say everything about the device';
    document.mistake(at, "KERB-CFG-MISSING", message, { at: "key" });
    return undefined;
  }
  const definitions = document.check(definitionsSchema, valueAt(document.value, at), { path: at });
  if (definitions === undefined) return undefined;
  for (const [name, { each }] of Object.entries(definitions)) {
    if (each === undefined || settings === undefined || settings[each.setting] !== undefined) continue;
    const place = [...at, name, "each", "setting"];
    const known = Object.keys(settings);
    const message = `this device does not say "${each.setting}"${didYouMean(each.setting, known)}`;
    document.mistake(place, "KERB-CFG-VALUE", message);
  }
  checkPoints(definitions, (inner, message) =>
    document.mistake([...at, ...inner], "KERB-CFG-VALUE", message),
  );
  const templates = pointsNamed(definitions);
  if (saysTooMany(templates, settings ?? {}, document, path)) return undefined;
  const points = withParts(templates, settings ?? {}).map((point) => {
    if (point.derive !== undefined) return point;
    const address = document.check(schemas.address, point.address, { path: [...at, point.name, "address"] });
    checkPersonal(document, [...at, point.name], schemas, { address });
    return { ...point, address };
  });
  checkScaleFactors(points, document, at);
  return points;
}

export function checkScaleFactors(points: readonly Point[], document: YamlDocument, at: Path): void {
  const names = points.map(({ name }) => name);
  const known = new Set(names);
  for (const { name, scaleFactor } of points) {
    if (scaleFactor === undefined || known.has(scaleFactor)) continue;
    const place = [...at, name, "scaleFactor"];
    document.mistake(
      place,
      "KERB-CFG-VALUE",
      `unknown point ${document.shown(place)}${didYouMean(scaleFactor, names)}`,
    );
  }
}

/** A site's report rule takes the place of the profile's: deadband or swinging door, never both. */
function reporting<Override extends { deadband?: number | undefined; swingingDoor?: number | undefined }>(
  override: Override,
) {
  if (override.deadband !== undefined) return { swingingDoor: undefined, ...override };
  return override.swingingDoor === undefined ? override : { deadband: undefined, ...override };
}

/** The points of the profile with the device's overrides. */
function profilePoints(
  document: YamlDocument,
  path: Path,
  schemas: DriverSchemas,
  { profile, document: profileDocument }: OpenProfile,
  settings: Record<string, unknown>,
): Point[] | undefined {
  const at = [...path, "points"];
  if (saysTooMany(profile.templates, settings, document, path, profileDocument)) return undefined;
  const parts = pointsOf(profile, settings);
  // What is made from a part that this device has not is not there either.
  const whole = new Set(settled(parts));
  const all = parts.filter((point) => whole.has(point));
  const overrides = document.check(overridesSchema, valueAt(document.value, at) ?? {}, { path: at });
  if (overrides === undefined) return undefined;
  const names = all.map(({ name }) => name);
  for (const name of Object.keys(overrides).filter((one) => !names.includes(one))) {
    const message = `the profile ${document.shown([...path, "profile"])} has no point "${name}"${didYouMean(name, names)}`;
    document.mistake([...at, name], "KERB-CFG-KEY", message, { at: "key" });
  }
  checkScaleFactors(all, profileDocument, ["points"]);
  const enabled = all.filter(({ name }) => overrides[name]?.enabled !== false);
  const points = withNeeded(all, enabled).map((point) => {
    const { enabled: _, ...override } = overrides[point.name] ?? {};
    const address =
      point.derive !== undefined
        ? undefined
        : profileDocument.check(schemas.address, point.address, {
            path: ["points", point.name, "address"],
          });
    checkPersonal(profileDocument, ["points", point.name], schemas, { address });
    return {
      ...point,
      ...reporting(override),
      address,
      publish: point.publish && enabled.includes(point),
    } as Point;
  });
  checkTogether(points, document, at);
  return points;
}

/** What holds for the points of a profile holds for them with the device's overrides as well. */
function checkTogether(points: readonly Point[], document: YamlDocument, at: Path): void {
  const pushed = new Map(points.map(({ name, poll }) => [name, poll === "push"]));
  for (const point of points) {
    const { swingingDoor, kind, values, once, poll } = point;
    const isSloped = kind === "number" && values === undefined && once !== true && poll !== "push";
    if (swingingDoor !== undefined && !isSloped)
      document.mistake(
        [...at, point.name],
        "KERB-CFG-VALUE",
        `"${point.name}" cannot have swingingDoor: only a number that is polled, and not told once`,
      );
    const apart = inputsOf(point).find((input) => pushed.get(input) !== pushed.get(point.name));
    if (apart === undefined) continue;
    const message = `"${point.name}" is made from "${apart}": either both are pushed or none`;
    const place = [point.name, apart].map((name) => [...at, name, "poll"]);
    document.mistake(
      place.find((one) => valueAt(document.value, one) !== undefined) ?? at,
      "KERB-CFG-VALUE",
      message,
    );
  }
}

/** Addresses of a record and of its fields, parsed where they stand. */
export function parsedRecord(
  document: YamlDocument,
  path: Path,
  schemas: DriverSchemas,
  record: RecordDefinition,
): RecordDefinition {
  const parse = (given: unknown, inner: Path) =>
    document.check(schemas.address, given, { path: [...path, ...inner, "address"] });
  const whole = parse(record.address, []);
  return {
    ...record,
    address: whole,
    fields: record.fields.map((field) => {
      const address = parse(field.address, ["fields", field.name]);
      checkPersonal(document, [...path, "fields", field.name], schemas, { ...field, address }, whole);
      return { ...field, address };
    }),
  };
}

/** What names a person or a vehicle leaves as the site's `privacy` says, which asks for a decision to be in the clear. */
export function checkPersonal(
  document: YamlDocument,
  path: Path,
  { personal }: DriverSchemas,
  { address, privacy }: { address: unknown; privacy?: string },
  record?: unknown,
): void {
  const isSafe = privacy !== undefined && privacy !== "none";
  if (address === undefined || isSafe || personal?.(address as never, record as never) !== true) return;
  const cure =
    record === undefined
      ? 'make it a field of a record, with "privacy: token"'
      : 'write "privacy: token" beside it';
  document.mistake(
    [...path, "address"],
    "KERB-CFG-VALUE",
    `this is personal data: ${cure}, or leave it out`,
    {
      at: "key",
    },
  );
}

/** The records of a device: its own, or the profile's that it does not switch off. */
function checkRecords(
  document: YamlDocument,
  path: Path,
  schemas: DriverSchemas,
  opened: OpenProfile | undefined,
): RecordDefinition[] | undefined {
  const at = [...path, "records"];
  const given = valueAt(document.value, at) ?? {};
  if (opened === undefined) {
    const definitions = document.check(recordDefinitionsSchema, given, { path: at });
    if (definitions === undefined) return undefined;
    return named(definitions).map((record) =>
      parsedRecord(document, [...at, record.name], schemas, {
        ...record,
        fields: fieldsNamed(record.fields),
      }),
    );
  }
  const overrides = document.check(recordOverridesSchema, given, { path: at });
  if (overrides === undefined) return undefined;
  const { profile, document: profileDocument } = opened;
  const names = profile.records.map(({ name }) => name);
  for (const name of Object.keys(overrides).filter((one) => !names.includes(one))) {
    const message = `the profile ${document.shown([...path, "profile"])} has no record "${name}"${didYouMean(name, names)}`;
    document.mistake([...at, name], "KERB-CFG-KEY", message, { at: "key" });
  }
  return profile.records
    .filter(({ name }) => overrides[name]?.enabled !== false)
    .map((record) => parsedRecord(profileDocument, ["records", record.name], schemas, record));
}

export function checkIdentify(
  schemas: DriverSchemas,
  { profile, document }: OpenProfile,
): Profile["identify"] {
  const { identify } = profile;
  const parsed = { ...identify };
  for (const key of ["vendor", "model", "firmware", "serial"] as const) {
    if (identify[key] === undefined) continue;
    parsed[key] = document.check(schemas.address, identify[key], { path: ["identify", key] });
  }
  parsed.expect = identify.expect.map((one, index) => ({
    ...one,
    address: document.check(schemas.address, one.address, { path: ["identify", "expect", index, "address"] }),
  }));
  return parsed;
}

/** Checks one entry of `devices` with its profile; undefined when it is wrong, with the mistakes recorded. */
export async function checkDevice(
  files: SiteFiles,
  document: YamlDocument,
  path: Path,
): Promise<DeviceConfig | undefined> {
  const entry = valueAt(document.value, path);
  const schema = deviceSchema(files.drivers);
  if (!isRecord(entry)) {
    document.check(schema, entry, { path });
    return undefined;
  }
  const raw = straightened(document, path, entry);
  const entries = Object.entries(raw);
  const shared = Object.fromEntries(entries.filter(([key]) => commonKeys.includes(key)));
  const common = document.check(schema, shared, { path });
  files.unique("device", document, path, valueAt(raw, ["id"]));
  const driver = valueAt(raw, ["driver"]);
  if (typeof driver !== "string" || !files.drivers.includes(driver)) return undefined;
  const schemas = await driverSchemas(driver);
  const profileId = valueAt(raw, ["profile"]);
  const opened =
    typeof profileId === "string" ? files.profileOf(document, path, profileId, driver) : undefined;
  // Without the profile that the device names, every setting and point that it brings would seem to be missing.
  if (profileId !== undefined && opened === undefined) return undefined;
  const own = Object.fromEntries(entries.filter(([key]) => !commonKeys.includes(key)));
  const settings = checkSettings(document, path, own, schemas, opened);
  const points =
    opened === undefined
      ? definedPoints(document, path, schemas, settings)
      : profilePoints(document, path, schemas, opened, settings ?? opened.profile.settings);
  warnOfPlace(document, [...path, "location"], common?.location);
  const records = checkRecords(document, path, schemas, opened);
  const identify = opened === undefined ? undefined : checkIdentify(schemas, opened);
  if (common === undefined || settings === undefined || points === undefined || records === undefined)
    return undefined;
  if (common.write !== undefined)
    checkDeviceWrite(document, [...path, "write"], common.write, points, opened?.profile.class);
  const about = described(common, opened?.profile);
  const hasPlace = files.hasPlace || about.location !== undefined;
  if (about.schedules !== undefined)
    checkSchedules(document, [...path, "schedules"], about.schedules, { ...about, points }, hasPlace);
  const { line } = document.locate([...path, "id"]);
  inFile.set(settings, own);
  return {
    ...about,
    settings,
    identify,
    points,
    records,
    place: { file: document.file, line },
  };
}
