import { existsSync, globSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Diagnostic } from "./errors.ts";
import {
  listProfiles,
  loadProfile,
  mergeSettings,
  type Point,
  type Profile,
  profileFolder,
  profileSchema,
} from "./profiles.ts";
import { byteSizeBetween, durationBetween } from "./quantities.ts";
import { ConfigError, didYouMean, nearest, type Path, readYaml, valueAt, type YamlDocument } from "./yaml.ts";

const deviceFilesMax = 1000;
const devicesMax = 1000;

type Json = { [key: string]: unknown };

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function word(least: number, most: number) {
  return z.string().regex(new RegExp(`^[a-z0-9-]{${least},${most}}$`), {
    error: `expected ${least} to ${most} small letters, digits or "-"`,
  });
}

const label = z.string().min(1).max(120);
const filePath = z.string().min(1).max(1000);
const pollPeriod = durationBetween("1ms", "24h");

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What is wrong with a broker's address; the text never holds the address itself. */
function brokerProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !["mqtt:", "mqtts:"].includes(url.protocol) || url.hostname === "") {
    return "expected an address such as mqtts://ioc.example:8883";
  }
  if (url.username !== "" || url.password !== "") {
    return "user and password do not belong into the address: write the keys username and password";
  }
  const extra = !["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "";
  return extra ? "expected nothing behind the port of the address" : undefined;
}

const mqttUplink = z
  .strictObject({
    id: word(2, 40).describe("unique among the uplinks"),
    type: z.literal("mqtt"),
    url: z
      .string()
      .max(500)
      .superRefine((text, context) => {
        const problem = brokerProblem(text);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .describe("mqtts://host:port, or mqtt:// without TLS"),
    insecure: z
      .literal("acknowledged")
      .optional()
      .describe("allows mqtt:// to another machine: everything in the clear"),
    protocol: z
      .union([z.literal(5), z.literal("3.1.1")])
      .default(5)
      .describe("version of MQTT"),
    encoding: z.enum(["columnar", "cloudevents"]).default("columnar").describe("compact, or self-describing"),
    username: z.string().min(1).optional(),
    password: z.string().min(1).optional().describe("as a reference: ${secret:NAME}"),
    tls: z
      .strictObject({
        ca: filePath
          .optional()
          .describe("certificate of the authority that signed the broker's; without it the system's"),
        cert: filePath.optional().describe("the gateway's certificate"),
        key: filePath.optional().describe("the key of `cert`"),
        serverName: z
          .string()
          .min(1)
          .optional()
          .describe("the name in the broker's certificate, if not the host of `url`"),
      })
      .optional(),
    keepalive: durationBetween("5s", "1h").prefault("30s"),
    windowMax: z.int().min(1).max(100).default(20).describe("messages in flight"),
    messageBytesMax: byteSizeBetween("1KiB", "1MiB").prefault("32KiB").describe("after compression"),
    resendAfter: durationBetween("1s", "1h").prefault("30s").describe("without the receiver's word"),
    reconnectMax: durationBetween("100ms", "1h").prefault("60s").describe("longest pause between attempts"),
  })
  .superRefine((uplink, context) => {
    const url = URL.parse(uplink.url);
    if (url?.protocol === "mqtt:" && !isLoopback(url.hostname) && uplink.insecure === undefined) {
      const message =
        'mqtt:// to another machine sends everything in the clear: use mqtts://, or write "insecure: acknowledged"';
      context.addIssue({ code: "custom", path: ["url"], message });
    }
    if ((uplink.tls?.cert === undefined) !== (uplink.tls?.key === undefined)) {
      context.addIssue({ code: "custom", path: ["tls"], message: "cert and key go together" });
    }
  });

/** The site file (`gateway.yaml`) but for its devices, which each driver's own schema checks. */
export const siteSchema = z.strictObject({
  version: z.literal(1),
  gateway: z.strictObject({
    id: word(3, 40).describe("part of every event's id and topic; never use it for another box"),
    name: label.describe("as people call the cabinet"),
    city: word(2, 16).describe("first part of the topics"),
    state: filePath.default("/var/lib/kerb").describe("folder of outbox and journal, relative to this file"),
  }),
  outbox: z
    .strictObject({
      sizeMax: byteSizeBetween("1MiB", "64GiB")
        .prefault("256MiB")
        .describe("beyond it the oldest telemetry is dropped and declared"),
      commitAfter: durationBetween("10ms", "10s")
        .prefault("1s")
        .describe("longest time that an event waits for the disk"),
      commitEvents: z.int().min(1).max(10_000).default(200).describe("events that are committed at once"),
    })
    .prefault({}),
  uplinks: z.array(mqttUplink).max(8).default([]),
  log: z.strictObject({ level: z.enum(["debug", "info", "warn", "error"]).default("info") }).prefault({}),
  include: z
    .array(filePath.regex(/^(?!.*\*\*)/, { error: "** would search whole disks: name the folder" }))
    .max(20)
    .default([])
    .describe("files with further devices, such as devices.d/*.yaml"),
  devices: z.array(z.unknown()).max(devicesMax).default([]),
});

const devicesFileSchema = z.strictObject({ devices: z.array(z.unknown()).max(devicesMax) });

const pollSchema = z.union([
  pollPeriod.transform((normal) => ({ fast: undefined, normal, slow: undefined })),
  z.strictObject({ fast: pollPeriod.optional(), normal: pollPeriod.optional(), slow: pollPeriod.optional() }),
]);

const overrideSchema = z.strictObject({
  enabled: z.boolean().optional().describe("false: not read, unless other points need it"),
  limits: z.tuple([z.number(), z.number()]).optional().describe("outside these the value is uncertain"),
  deadband: z.number().positive().optional(),
  heartbeat: durationBetween("1s", "24h").optional(),
  poll: z.enum(["fast", "normal", "slow"]).optional(),
});
const overridesSchema = z.record(z.string(), overrideSchema);
const definitionsSchema = profileSchema.shape.points;

/** The keys that devices of every driver have; the driver's own settings stand beside them. */
function deviceSchema(drivers: readonly string[]) {
  return z.strictObject({
    id: word(2, 40).describe("unique over all files"),
    name: label.optional().describe("as people call it; the id if not given"),
    driver: z.enum(drivers).describe("the protocol"),
    profile: z
      .string()
      .max(100)
      .optional()
      .describe("vendor/model; not needed where `points` say everything"),
    enabled: z.boolean().default(true),
    poll: pollSchema.optional().describe("one period, or one for each class of points"),
    points: z.record(z.string(), z.unknown()).optional(),
  });
}

const commonKeys = Object.keys(deviceSchema([]).shape);

/** What a driver's `settings.ts` exports. */
interface DriverSchemas {
  settings: z.ZodType<Record<string, unknown>>;
  address: z.ZodType;
}

const driverFolder = fileURLToPath(new URL("../drivers", import.meta.url));

/** The names of the drivers that are installed, sorted. */
function listDrivers(): string[] {
  return readdirSync(driverFolder)
    .filter((name) => existsSync(join(driverFolder, name, "settings.ts")))
    .toSorted();
}

async function driverSchemas(name: string): Promise<DriverSchemas> {
  return (await import(`../drivers/${name}/settings.ts`)) as DriverSchemas;
}

type PointConfig = Point;

export type UplinkConfig = ReturnType<typeof uplinkConfig>;

export interface DeviceConfig {
  id: string;
  name: string;
  driver: string;
  enabled: boolean;
  profile: string | undefined;
  class: string | undefined;
  firmwareRange: string;
  /** Parsed by the driver's schema, with the profile's settings underneath. */
  settings: Record<string, unknown>;
  /** The profile's, with addresses parsed. */
  identify: Profile["identify"] | undefined;
  /** What the profile is for. */
  identity: { vendor: string; model: string } | undefined;
  pollMs: { fast: number; normal: number; slow: number };
  /** The enabled points, and those that an enabled one takes its scale factor from. */
  points: PointConfig[];
  place: { file: string; line: number };
}

/** A checked site: plain data with all references resolved, so treat it as a secret. Paths are absolute. */
export interface Site {
  file: string;
  /** The site file and the included ones. */
  files: string[];
  gateway: { id: string; name: string; city: string; stateFolder: string };
  outbox: { bytesMax: number; commitAfterMs: number; commitEventsMax: number };
  uplinks: UplinkConfig[];
  log: { level: "debug" | "info" | "warn" | "error" };
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

/** A profile with its text at hand, for the places of mistakes that only a driver's schema can find. */
interface OpenProfile {
  profile: Profile;
  document: YamlDocument;
}

class SiteLoading {
  readonly #documents: YamlDocument[] = [];
  readonly #profileDocuments: YamlDocument[] = [];
  /** Mistakes of files that could not be opened as documents. */
  readonly #broken: Diagnostic[] = [];
  readonly #profileFolder: string;
  readonly #profileIds: string[];
  readonly #drivers = listDrivers();
  readonly #profiles = new Map<string, OpenProfile | undefined>();
  readonly #places = new Map<string, string>();

  constructor(folder: string) {
    this.#profileFolder = folder;
    this.#profileIds = existsSync(folder) ? listProfiles(folder) : [];
  }

  /** All mistakes and warnings so far: of the site's own files, then of the profiles. */
  get found(): Diagnostic[] {
    const documents = [...this.#documents, ...this.#profileDocuments];
    return [...documents.flatMap(({ mistakes }) => mistakes), ...this.#broken];
  }

  /** Opens a file, or records why it cannot be. */
  open(file: string, secretsFolder: string): YamlDocument | undefined {
    try {
      const document = readYaml(file, { secretsFolder });
      this.#documents.push(document);
      return document;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#broken.push(...error.diagnostics);
      return undefined;
    }
  }

  #openProfile(id: string): OpenProfile | undefined {
    if (this.#profiles.has(id)) return this.#profiles.get(id);
    let opened: OpenProfile | undefined;
    try {
      const profile = loadProfile(id, this.#profileFolder);
      opened = { profile, document: readYaml(profile.file, { references: false }) };
      this.#profileDocuments.push(opened.document);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#broken.push(...error.diagnostics);
    }
    this.#profiles.set(id, opened);
    return opened;
  }

  /** The profile that a device names; undefined with the mistake recorded when there is none, or a wrong one. */
  #profileOf(document: YamlDocument, path: Path, id: string, driver: string): OpenProfile | undefined {
    const at = [...path, "profile"];
    if (!this.#profileIds.includes(id)) {
      const hint = didYouMean(id, this.#profileIds);
      document.mistake(at, "KERB-CFG-VALUE", `unknown profile ${document.shown(at)}${hint}`);
      return undefined;
    }
    const opened = this.#openProfile(id);
    if (opened === undefined || opened.profile.driver === driver) return opened;
    const message = `this profile is for the driver "${opened.profile.driver}", the device has ${document.shown([...path, "driver"])}`;
    document.mistake(at, "KERB-CFG-VALUE", message);
    return undefined;
  }

  /** Records an id that was used before, naming both places. `kind` keeps devices and uplinks apart. */
  unique(kind: string, document: YamlDocument, path: Path, id: unknown): void {
    if (typeof id !== "string") return;
    const at = [...path, "id"];
    const { file, line, column } = document.locate(at);
    const first = this.#places.get(`${kind} ${id}`);
    if (first === undefined) this.#places.set(`${kind} ${id}`, `${file}:${line}:${column}`);
    else
      document.mistake(
        at,
        "KERB-CFG-DUPLICATE",
        `the id ${document.shown(at)} is used twice: first at ${shownPlace(first)}`,
      );
  }

  async device(document: YamlDocument, path: Path): Promise<DeviceConfig | undefined> {
    const entry = valueAt(document.value, path);
    const schema = deviceSchema(this.#drivers);
    if (!isJson(entry)) {
      document.check(schema, entry, { path });
      return undefined;
    }
    const raw = straightened(document, path, entry);
    const entries = Object.entries(raw);
    const shared = Object.fromEntries(entries.filter(([key]) => commonKeys.includes(key)));
    const common = document.check(schema, shared, { path });
    this.unique("device", document, path, valueAt(raw, ["id"]));
    const driver = valueAt(raw, ["driver"]);
    if (typeof driver !== "string" || !this.#drivers.includes(driver)) return undefined;
    const schemas = await driverSchemas(driver);
    const profileId = valueAt(raw, ["profile"]);
    const opened =
      typeof profileId === "string" ? this.#profileOf(document, path, profileId, driver) : undefined;
    // Without the profile that the device names, every setting and point that it brings would seem to be missing.
    if (profileId !== undefined && opened === undefined) return undefined;
    const own = Object.fromEntries(entries.filter(([key]) => !commonKeys.includes(key)));
    const settings = checkSettings(document, path, own, schemas, opened);
    const points =
      opened === undefined
        ? definedPoints(document, path, schemas)
        : profilePoints(document, path, schemas, opened);
    const identify = opened === undefined ? undefined : checkIdentify(schemas, opened);
    if (common === undefined || settings === undefined || points === undefined) return undefined;
    const { line } = document.locate([...path, "id"]);
    return {
      ...described(common, opened?.profile),
      settings,
      identify,
      points,
      place: { file: document.file, line },
    };
  }
}

/** A misspelt `driver` or `profile` is taken for what it means, so that the rest of the device is checked too. */
function straightened(document: YamlDocument, path: Path, entry: Json): Json {
  const straight: Json = {};
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

function shownPlace(place: string): string {
  const near = `${process.cwd()}/`;
  return place.startsWith(near) ? place.slice(near.length) : place;
}

function described(common: z.output<ReturnType<typeof deviceSchema>>, profile: Profile | undefined) {
  const { id, name, driver, enabled, poll } = common;
  return {
    id,
    name: name ?? id,
    driver,
    enabled,
    profile: profile?.id,
    class: profile?.class,
    firmwareRange: profile?.firmware ?? "*",
    identity: profile === undefined ? undefined : { vendor: profile.vendor, model: profile.model },
    pollMs: {
      fast: poll?.fast ?? profile?.poll.fast ?? 1000,
      normal: poll?.normal ?? profile?.poll.normal ?? 10_000,
      slow: poll?.slow ?? profile?.poll.slow ?? 60_000,
    },
  };
}

function checkSettings(
  document: YamlDocument,
  path: Path,
  own: Record<string, unknown>,
  schemas: DriverSchemas,
  opened: OpenProfile | undefined,
): Record<string, unknown> | undefined {
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

/** The points of a device without a profile. */
function definedPoints(
  document: YamlDocument,
  path: Path,
  schemas: DriverSchemas,
): PointConfig[] | undefined {
  const at = [...path, "points"];
  if (valueAt(document.value, at) === undefined) {
    const message = 'missing key "profile", or "points" that say everything about the device';
    document.mistake(at, "KERB-CFG-MISSING", message, { at: "key" });
    return undefined;
  }
  const definitions = document.check(definitionsSchema, valueAt(document.value, at), { path: at });
  if (definitions === undefined) return undefined;
  const points = Object.entries(definitions).map(([name, point]) => {
    const address = document.check(schemas.address, point.address, { path: [...at, name, "address"] });
    return { ...point, name, address };
  });
  checkScaleFactors(points, document, at);
  return points;
}

function checkScaleFactors(points: readonly PointConfig[], document: YamlDocument, at: Path): void {
  const names = points.map(({ name }) => name);
  for (const { name, scaleFactor } of points) {
    if (scaleFactor === undefined || names.includes(scaleFactor)) continue;
    const place = [...at, name, "scaleFactor"];
    document.mistake(
      place,
      "KERB-CFG-VALUE",
      `unknown point ${document.shown(place)}${didYouMean(scaleFactor, names)}`,
    );
  }
}

/** The points of the profile with the device's overrides. */
function profilePoints(
  document: YamlDocument,
  path: Path,
  schemas: DriverSchemas,
  { profile, document: profileDocument }: OpenProfile,
): PointConfig[] | undefined {
  const at = [...path, "points"];
  const overrides = document.check(overridesSchema, valueAt(document.value, at) ?? {}, { path: at });
  if (overrides === undefined) return undefined;
  const names = profile.points.map(({ name }) => name);
  for (const name of Object.keys(overrides).filter((one) => !names.includes(one))) {
    const message = `the profile ${document.shown([...path, "profile"])} has no point "${name}"${didYouMean(name, names)}`;
    document.mistake([...at, name], "KERB-CFG-KEY", message, { at: "key" });
  }
  checkScaleFactors(profile.points, profileDocument, ["points"]);
  const enabled = profile.points.filter(({ name }) => overrides[name]?.enabled !== false);
  const sources = new Set(enabled.flatMap(({ scaleFactor }) => scaleFactor ?? []));
  return profile.points
    .filter((point) => enabled.includes(point) || sources.has(point.name))
    .map((point) => {
      const { enabled: _, ...override } = overrides[point.name] ?? {};
      const address = profileDocument.check(schemas.address, point.address, {
        path: ["points", point.name, "address"],
      });
      return {
        ...point,
        ...override,
        address,
        publish: point.publish && enabled.includes(point),
      } as PointConfig;
    });
}

function checkIdentify(schemas: DriverSchemas, { profile, document }: OpenProfile): Profile["identify"] {
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

function includedFiles(document: YamlDocument, patterns: readonly string[]): string[] {
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
  return [...new Set(files)].filter((file) => file !== document.file).toSorted();
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

function listAt(value: unknown, key: string): unknown[] {
  const list = valueAt(value, [key]);
  return Array.isArray(list) ? list : [];
}

async function devicesOf(loading: SiteLoading, document: YamlDocument): Promise<DeviceConfig[]> {
  const devices: DeviceConfig[] = [];
  for (const index of listAt(document.value, "devices").slice(0, devicesMax).keys()) {
    const device = await loading.device(document, ["devices", index]);
    if (device !== undefined) devices.push(device);
  }
  return devices;
}

/**
 * Reads a site file and all that it includes. Throws `ConfigError` with every mistake of every file. Warnings
 * (no devices, a certificate that is not there yet) are in `Site.warnings`.
 */
export async function loadSite(file: string, options: { profileFolder?: string } = {}): Promise<Site> {
  const loading = new SiteLoading(options.profileFolder ?? profileFolder);
  const folder = dirname(resolve(file));
  const secretsFolder = join(folder, "secrets");
  const main = loading.open(resolve(file), secretsFolder);
  if (main === undefined) throw new ConfigError(loading.found);
  const site = main.check(siteSchema, main.value);
  for (const [index, uplink] of listAt(main.value, "uplinks").entries()) {
    loading.unique("uplink", main, ["uplinks", index], valueAt(uplink, ["id"]));
  }
  const devices = await devicesOf(loading, main);
  // A mistake elsewhere in the site file must not hide those of the included files.
  const patterns = site?.include ?? listAt(main.value, "include").filter((one) => typeof one === "string");
  const files = includedFiles(
    main,
    patterns.filter((pattern) => !pattern.includes("**")),
  );
  for (const included of files) {
    const document = loading.open(included, secretsFolder);
    if (document === undefined) continue;
    document.check(devicesFileSchema, document.value);
    devices.push(...(await devicesOf(loading, document)));
  }
  if (site !== undefined) warnings(main, site, devices.length);
  const { found } = loading;
  const mistakes = found.filter(({ severity }) => severity === "error");
  if (mistakes.length > 0 || site === undefined) throw new ConfigError(mistakes);
  return {
    file: main.file,
    files: [main.file, ...files],
    gateway: { ...gatewayOf(site), stateFolder: resolve(folder, site.gateway.state) },
    outbox: {
      bytesMax: site.outbox.sizeMax,
      commitAfterMs: site.outbox.commitAfter,
      commitEventsMax: site.outbox.commitEvents,
    },
    uplinks: site.uplinks.map((uplink) => uplinkConfig(uplink, folder)),
    log: site.log,
    devices,
    warnings: found.filter(({ severity }) => severity === "warning"),
  };
}

function gatewayOf({ gateway }: z.output<typeof siteSchema>) {
  return { id: gateway.id, name: gateway.name, city: gateway.city };
}

const referenceJson: Json = { type: "string", pattern: "\\$\\{(env|file|secret):[^{}]*\\}" };

function mapJson(node: unknown, change: (node: Json) => Json): unknown {
  if (Array.isArray(node)) return node.map((one) => mapJson(one, change));
  if (!isJson(node)) return node;
  return change(
    Object.fromEntries(Object.entries(node).map(([key, value]) => [key, mapJson(value, change)])),
  );
}

/** Lets a reference stand where a number, true/false or a patterned text is wanted. */
function withReferences(schema: Json): Json {
  const properties = (node: Json) => {
    if (!isJson(node["properties"])) return node;
    const changed = Object.entries(node["properties"]).map(([key, value]) => [
      key,
      isJson(value) ? orReference(value) : value,
    ]);
    return { ...node, properties: Object.fromEntries(changed) };
  };
  return mapJson(schema, properties) as Json;
}

function orReference(node: Json): Json {
  const typed =
    ["number", "integer", "boolean"].includes(String(node["type"])) || node["pattern"] !== undefined;
  if (!typed || node["const"] !== undefined) return node;
  const { description, default: byDefault, ...rest } = node;
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf: [rest, referenceJson],
  };
}

/** Settings of which the profile may hold any part: nothing is required, and several variants may fit. */
function partial(schema: Json): Json {
  return mapJson(schema, (node) => {
    const kept = Object.entries(node).filter(([key]) => key !== "required");
    return Object.fromEntries(kept.map(([key, value]) => [key === "oneOf" ? "anyOf" : key, value]));
  }) as Json;
}

function toJson(schema: z.ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: "input",
    target: "draft-7",
    unrepresentable: "any",
  });
  return json;
}

function mergeProperties(schema: Json, more: Json): Json {
  return { ...schema, properties: { ...(schema["properties"] as Json), ...(more["properties"] as Json) } };
}

async function driverJson(name: string): Promise<{ device: Json; profile: Json }> {
  const { settings, address } = await driverSchemas(name);
  const settingsJson = partial(toJson(settings));
  const pointsJson = {
    properties: { points: pointsWithAddress(toJson(definitionsSchema), toJson(address)) },
  };
  const device = mergeProperties(toJson(deviceSchema([name])), settingsJson);
  const points = {
    properties: { points: { anyOf: [toJson(overridesSchema), pointsJson.properties.points] } },
  };
  const profile = mergeProperties(toJson(profileSchema.extend({ driver: z.literal(name) })), pointsJson);
  return {
    device: withReferences(mergeProperties(device, points)),
    profile: mergeProperties(profile, { properties: { settings: settingsJson } }),
  };
}

function pointsWithAddress(points: Json, address: Json): Json {
  const point = points["additionalProperties"] as Json;
  return { ...points, additionalProperties: mergeProperties(point, { properties: { address } }) };
}

/** The JSON Schemas for editors of the site file, of files with devices and of profiles. */
export async function jsonSchemas(): Promise<{ gateway: Json; devices: Json; profile: Json }> {
  const drivers = await Promise.all(listDrivers().map(driverJson));
  const devices = {
    type: "array",
    maxItems: devicesMax,
    items: { oneOf: drivers.map(({ device }) => device) },
  };
  const headed = (title: string, schema: Json) => ({
    $schema: "http://json-schema.org/draft-07/schema#",
    title,
    ...schema,
  });
  const site = withReferences(toJson(siteSchema));
  return {
    gateway: headed("kerb site file", mergeProperties(site, { properties: { devices } })),
    devices: headed("kerb devices", mergeProperties(toJson(devicesFileSchema), { properties: { devices } })),
    profile: headed("kerb profile", { oneOf: drivers.map(({ profile }) => profile) }),
  };
}

/** Writes `gateway.schema.json`, `devices.schema.json` and `profile.schema.json` into a folder. */
export async function writeJsonSchemas(folder: string): Promise<void> {
  for (const [name, schema] of Object.entries(await jsonSchemas())) {
    writeFileSync(join(folder, `${name}.schema.json`), `${JSON.stringify(schema, undefined, 2)}\n`);
  }
}
