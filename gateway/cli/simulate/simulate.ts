import { type DeviceConfig, loadSite } from "../../config/config.ts";
import { driverSchemas } from "../../config/drivers.ts";
import { askedOf } from "../../profiles/derived.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { inFirmwareRange } from "../../profiles/firmware.ts";
import { mergeSettings, type Profile, simulatedPoints, simulatedRecords } from "../../profiles/profiles.ts";
import type { Fault, Simulator, StartSimulator } from "../../../simulators/simulator.ts";
import { languageOf } from "../../words.ts";
import { startBroker } from "./broker.ts";
import { complaintWords, meantBy } from "../complaint-words.ts";
import { CommandError, notFoundError, usageError } from "../errors.ts";
import { foreignCommand } from "../read/foreign.ts";
import { hint, pause, printData, printLines, stopSignal } from "../output.ts";
import { profileNamed, profiles } from "../profile/profiles.ts";
import { simulateWords } from "./simulate-words.ts";

export interface SimulateOptions {
  site?: string;
  /** Only these of the site's devices. */
  device?: string[];
  port?: number;
  unit?: number;
  serial?: string;
  firmware?: string;
  seed?: number;
  fault?: Fault;
  list?: boolean;
  cassette?: string;
  json?: boolean;
}

/** What a pretend device is made of: a configured device, or a profile with settings for this machine. */
type Model = Pick<
  DeviceConfig,
  "driver" | "profile" | "firmwareRange" | "settings" | "identify" | "identity" | "points" | "records"
> & {
  id: string;
};

/** A pretend device tells each of its records about so often. */
const recordEveryMs = 20_000;
const defaultPort = 1502;
const defaultBrokerPort = 18_830;

/** A version that the profile is for. */
function plausibleFirmware(range: string): string {
  const named = range.match(/\d+(?:\.\d+)*/g) ?? [];
  return ["1.0", ...named].find((version) => inFirmwareRange(version, range)) ?? "1.0";
}

/** Why the serial port of these settings cannot be used; undefined: it has none. */
function portFailure({ transport, port }: Record<string, unknown>, error: unknown): CommandError | undefined {
  const path =
    typeof transport === "object" && transport !== null ? (transport as { port?: unknown }).port : port;
  if (typeof path !== "string" || error instanceof CommandError) return undefined;
  const text = simulateWords[languageOf()];
  return usageError(text.cannotOpen(path, (error as Error).message), text.cannotOpenCure);
}

/** "listen EADDRINUSE: address already in use 127.0.0.1:1502" as a sentence with its cure. */
function explained(error: unknown, what: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== "EADDRINUSE" && code !== "EACCES") return error;
  const text = simulateWords[languageOf()];
  const place = /[\d.]+:\d+$/.exec(message)?.[0] ?? text.address;
  const port = place.split(":").at(-1) ?? "";
  const isTaken = code === "EADDRINUSE";
  return new CommandError({
    code: "KERB-CLI-TAKEN",
    exitCode: exitCodes.unexpected,
    title: isTaken ? text.taken(place, what) : text.needsRoot(place, what),
    hint: isTaken ? text.takenCure(port) : text.needsRootCure,
  });
}

async function simulatorOf(driver: string): Promise<StartSimulator> {
  const found: unknown = await import(
    new URL(`../../../simulators/${driver}/index.ts`, import.meta.url).href
  ).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ERR_MODULE_NOT_FOUND" && error.message.includes(`simulators/${driver}/index.ts`))
      return {};
    throw error;
  });
  const { start } = found as { start?: StartSimulator };
  if (start !== undefined) return start;
  const text = simulateWords[languageOf()];
  throw usageError(text.noSimulator(driver), text.noSimulatorCure);
}

/** Starts a pretend device at the very address where its driver looks for it. */
export async function startSimulator(
  model: Model,
  seed: number,
  firmware: string | undefined,
  everyMs = recordEveryMs,
): Promise<Simulator> {
  const start = await simulatorOf(model.driver);
  const version = firmware ?? plausibleFirmware(model.firmwareRange);
  const identity = { ...model.identity, firmware: version, serial: `SIM${seed}` };
  const identify = model.identify ?? { standard: true, expect: [] };
  const points = model.points.filter(({ when }) => when === undefined || inFirmwareRange(version, when));
  try {
    return await start({
      profile: model.profile ?? "",
      points: simulatedPoints({ points, identify }, identity),
      records: simulatedRecords(model),
      recordEveryMs: everyMs,
      settings: model.settings,
      identity,
      seed,
    });
  } catch (error) {
    throw portFailure(model.settings, error) ?? explained(error, model.id);
  }
}

/** Where a pretend device of a profile lives on this machine. */
function ownSettings(
  { port, unit, serial }: SimulateOptions,
  hasTransport: boolean,
  serialType: string,
): Record<string, unknown> {
  const own = unit === undefined ? {} : { unit };
  if (serial !== undefined)
    return hasTransport
      ? { ...own, transport: { type: serialType, port: serial } }
      : { ...own, port: serial };
  const place = { host: "127.0.0.1", port: port ?? defaultPort };
  return hasTransport ? { ...own, transport: { type: "tcp", ...place } } : { ...own, ...place };
}

/** A device of a profile on this machine, checked by the driver's own schemas. */
export async function modelOf(profile: Profile, options: SimulateOptions): Promise<Model> {
  const schemas = await driverSchemas(profile.driver);
  const { shape } = schemas.settings as unknown as { shape?: Record<string, unknown> };
  const hasTransport = shape !== undefined && "transport" in shape;
  // What the driver calls a serial port is what its profile says of one.
  const { type } = (profile.settings["transport"] ?? {}) as { type?: unknown };
  const serialType = typeof type === "string" && type !== "tcp" ? type : "rtu";
  // A device that calls says who it is; a pretend one is its model.
  const siteId = shape !== undefined && "siteId" in shape ? { siteId: profile.id } : {};
  const own = { ...siteId, ...ownSettings(options, hasTransport, serialType) };
  // The schema allows no port 0, by which a simulator takes any free one: it is put in afterwards.
  const isAny = options.port === 0 && options.serial === undefined;
  const checked = isAny
    ? { ...siteId, ...ownSettings({ ...options, port: defaultPort }, hasTransport, serialType) }
    : own;
  const parsed = schemas.settings.safeParse(
    mergeSettings(profile.settings, { ...schemas.example, ...checked }),
  );
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const why = `${issue?.path.join(".")} ${issue?.message}`;
    throw usageError(simulateWords[languageOf()].notLikeThis(profile.id, why), "kerb simulate --help");
  }
  const address = (given: unknown) => schemas.address.parse(given);
  const { identify } = profile;
  const fields = (["vendor", "model", "firmware", "serial"] as const).filter(
    (field) => identify[field] !== undefined,
  );
  return {
    id: profile.id,
    driver: profile.driver,
    profile: profile.id,
    firmwareRange: profile.firmware,
    settings: isAny ? mergeSettings(parsed.data, own) : parsed.data,
    identify: {
      ...identify,
      ...Object.fromEntries(fields.map((field) => [field, address(identify[field])])),
      expect: identify.expect.map((one) => ({ ...one, address: address(one.address) })),
    },
    identity: { vendor: profile.vendor, model: profile.model },
    points: askedOf(profile.points).map((point) => ({ ...point, address: address(point.address) })),
    records: profile.records.map((record) => ({
      ...record,
      address: address(record.address),
      fields: record.fields.map((field) => ({ ...field, address: address(field.address) })),
    })),
  };
}

/** The settings with the port that the simulator really took. */
function placed(settings: Record<string, unknown>, address: string): Record<string, unknown> {
  const port = Number(/:(\d+)\b/.exec(address)?.[1]);
  if (!Number.isInteger(port)) return settings;
  const { transport } = settings;
  return typeof transport === "object"
    ? { ...settings, transport: { ...transport, port } }
    : { ...settings, port };
}

const kindOf = ({ profile, driver }: Model): string => profile ?? driver;

/** Until Ctrl-C, also when nothing keeps the process alive: a serial port that is gone holds nothing open. */
async function stopped(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await pause(60_000, signal);
}

/** Runs pretend devices until Ctrl-C. */
async function runSimulators(models: readonly Model[], options: SimulateOptions): Promise<number> {
  const signal = stopSignal();
  const running: Simulator[] = [];
  const [ids, kinds] = [models.map(({ id }) => id), models.map(kindOf)].map((texts) =>
    Math.max(0, ...texts.map((text) => text.length)),
  ) as [number, number];
  try {
    for (const [i, model] of models.entries()) {
      const simulator = await startSimulator(model, (options.seed ?? 0) + i + 1, options.firmware);
      running.push(simulator);
      if (options.fault !== undefined) simulator.fault(options.fault);
      const { address } = simulator;
      if (options.json === true) printData("simulator", { id: model.id, profile: model.profile, address });
      else
        printLines([
          `${model.id.padEnd(ids)}   ${kindOf(model).padEnd(kinds)}   ${simulateWords[languageOf()].at} ${address}`,
        ]);
    }
    if (options.json === true) printData("simulate", { devices: models.length, pid: process.pid });
    else printHints(models, running, options);
    await stopped(signal);
  } finally {
    await Promise.all(running.map((simulator) => simulator.close()));
  }
  return exitCodes.ok;
}

function printHints(
  models: readonly Model[],
  running: readonly Simulator[],
  { fault }: SimulateOptions,
): void {
  const text = simulateWords[languageOf()];
  if (fault !== undefined) hint(`${text.fault}: ${fault}`);
  const programs = new Set<string>();
  for (const [i, { id, driver, settings, points }] of models.entries()) {
    const simulator = running[i];
    const place = placed(settings, simulator?.address ?? "");
    const command = simulator?.readWith ?? foreignCommand(driver, place, askedOf(points));
    const [program = ""] = command?.split(" ") ?? [];
    // One use of each program shows how it is done.
    if (command === undefined || programs.has(program)) continue;
    programs.add(program);
    hint(`${text.readIt(models.length === 1 ? text.it : id)}  ${command}`);
  }
  hint(text.ctrlC);
}

/** The named devices; all of them if none is named. */
function chosen(
  devices: readonly DeviceConfig[],
  ids: readonly string[] | undefined,
  site: string,
): DeviceConfig[] {
  const known = devices.map(({ id }) => id);
  for (const id of ids ?? []) {
    if (known.includes(id)) continue;
    const text = complaintWords[languageOf()];
    throw notFoundError(
      text.noDevice(printable(id), shownFile(site), meantBy(id, known)),
      text.devices(known.join(", ")),
    );
  }
  return devices.filter(({ id }) => ids?.includes(id) ?? true);
}

async function simulateBroker(options: SimulateOptions): Promise<number> {
  const signal = stopSignal();
  const broker = await startBroker({ port: options.port ?? defaultBrokerPort }).catch((error: unknown) => {
    throw explained(error, simulateWords[languageOf()].theBroker);
  });
  if (options.json === true) printData("simulate", { broker: broker.url, pid: process.pid });
  else {
    const text = simulateWords[languageOf()];
    printLines([`broker   ${text.at} ${broker.url}   ${text.inMemory}`]);
    hint(`${text.listen}  mosquitto_sub -p ${broker.port} -v -t '#'\n${text.ctrlC}`);
  }
  await stopped(signal);
  await broker.close();
  return exitCodes.ok;
}

/** Does a device of the profile say its firmware, or is it read by it? */
function knowsFirmware({ identify, templates }: Profile): boolean {
  return (
    identify.standard || identify.firmware !== undefined || templates.some(({ when }) => when !== undefined)
  );
}

/** `kerb simulate`: a pretend device of a profile, one for each device of a site, or a broker; until Ctrl-C. */
export async function simulate(profile: string | undefined, options: SimulateOptions): Promise<number> {
  if (options.list === true) return profiles(undefined, options);
  if (options.cassette !== undefined) {
    const { simulateCassette } = await import("./simulate-cassette.ts");
    return simulateCassette(options.cassette, options.port, options.json === true).catch((error: unknown) => {
      throw explained(error, options.cassette ?? "");
    });
  }
  if (profile === "broker") return simulateBroker(options);
  const text = simulateWords[languageOf()];
  if (profile === undefined && options.site === undefined) {
    throw usageError(text.nothing, text.nothingCure);
  }
  if (profile !== undefined && options.site !== undefined) {
    throw usageError(text.both, text.bothCure);
  }
  if (profile !== undefined && options.device !== undefined)
    throw usageError(text.deviceNeedsSite, text.leaveOut("device"));
  if (profile !== undefined) {
    const named = profileNamed(profile);
    if (options.firmware !== undefined && !knowsFirmware(named))
      throw usageError(text.noFirmware(named.id), text.leaveOut("firmware"));
    return runSimulators([await modelOf(named, options)], options);
  }
  for (const name of ["port", "unit", "serial", "firmware"] as const) {
    if (options[name] === undefined) continue;
    throw usageError(text.forProfile(name), text.leaveOut(name));
  }
  const site = await loadSite(options.site ?? "");
  return runSimulators(chosen(site.devices, options.device, site.file), options);
}
