import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { FieldDevice } from "../../gateway/field/field.ts";
import { startSimulator } from "../../gateway/cli/simulate/simulate.ts";
import { type DeviceConfig, loadSite } from "../../gateway/config/config.ts";
import { jsonSchemas } from "../../gateway/config/json-schema.ts";
import { DeviceError } from "../../gateway/driver.ts";
import { ConfigError } from "../../gateway/errors.ts";
import { loadModels } from "../../gateway/profiles/models.ts";
import { loadProfile, mergeSettings, type Profile } from "../../gateway/profiles/profiles.ts";
import { rankProfiles } from "../../gateway/profiles/profile-match.ts";
import { lintProfiles } from "../../gateway/profiles/lint/lint.ts";
import { hostDevice, registration } from "../../gateway/config/site-devices.ts";
import { readYaml } from "../../gateway/config/yaml.ts";
import type { Simulator } from "../../simulators/simulator.ts";
import { freePort } from "../ports.ts";

/**
 * A process that takes profile files and does with each all that kerb does with a profile: the loader, the lint, the
 * editors' schema, a site of one such device, its simulator and its driver before that. What it throws, and what it
 * costs, it tells its parent; what hangs or eats memory ends it, and not the test.
 */

export interface Asked {
  /** Bytes of a profile file, base64. */
  profile: string;
}

export interface Outcome {
  /** How far it came: the last stage that was begun. */
  stage: string;
  /** What is wrong: a failure of kerb. */
  failure?: string;
  /** It loaded, and a device of it was simulated. */
  isLoaded: boolean;
  isSimulated: boolean;
  findings: number;
  /** CPU time of each stage, ms. */
  cpuMs: Record<string, number>;
}

const folder = process.argv[2] ?? "";
const profiles = join(folder, "profiles");
const file = join(profiles, "acme/fuzzed.yaml");
const site = join(folder, "gateway.yaml");
const models = loadModels();
const readMs = 400;

/** Where a device of each driver is; whatever stands in the profile, the site's word counts. */
const place = (port: number): Record<string, Record<string, unknown>> => {
  const transport = { transport: { type: "tcp", host: "127.0.0.1", port } };
  const net = { host: "127.0.0.1", port };
  const names = ["applicationId", "devEui", "deviceId", "name", "prefix", "group", "node", "device"];
  return {
    modbus: transport,
    serial: transport,
    mqtt: { ...net, variables: Object.fromEntries(names.map((name) => [name, "one"])) },
    opcua: { ...net, security: "none" },
    rsmp: { ...net, siteId: "KERB", reconnect: 50 },
    onvif: net,
    http: net,
    snmp: net,
  };
};

/** A mistake that people are told of, each with its place. Anything else is a failure. */
function told(error: unknown): string | undefined {
  if (!(error instanceof ConfigError)) return shown(error);
  if (error.diagnostics.length === 0) return "an error without a sentence";
  for (const one of error.diagnostics) {
    if (!one.file.startsWith(folder)) return `no place: ${one.file}: ${one.message}`;
    if (!/\S/.test(one.message)) return "an empty sentence";
    // Only a file that cannot be read as text at all has no line.
    if (one.code !== "KERB-CFG-FILE" && !(one.line > 0)) return `no line: ${one.message}`;
  }
  return undefined;
}

const shown = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.stack ?? error.message}`.slice(0, 2000) : String(error);

/** Only a text by which a sentence begins may be so long. */
const sentenceMax = 5000;

async function lint(outcome: Outcome, isLoaded: boolean): Promise<string | undefined> {
  const [linted] = await lintProfiles([file], models);
  const findings = linted?.findings ?? [];
  outcome.findings = findings.length;
  if (!isLoaded && findings.length === 0) return "it does not load, and the lint finds nothing";
  for (const { line, rule, sentence } of findings) {
    if (line < (rule === "file" ? 0 : 1)) return `no line: ${sentence.en}`;
    if (!/\S/.test(sentence.vi)) return `nothing in Vietnamese: ${sentence.en}`;
    if (sentence.en.length > sentenceMax) return `a sentence of ${sentence.en.length} characters`;
  }
  return undefined;
}

let validate: ValidateFunction | undefined;
/** What an editor does: it may say yes or no, at once. */
function bySchema(): void {
  let value: unknown;
  try {
    ({ value } = readYaml(file, { references: false }));
  } catch {
    return;
  }
  validate?.(value);
}

/** What the supervisor and the host make of a device before it is opened. */
async function prepare(device: DeviceConfig, profile: Profile): Promise<void> {
  const points = registration(device).points.map(({ name }, index) => ({ name, index }));
  hostDevice(device, { index: 0, points }, { how: "drop" });
  const { driver } = (await import(`../../drivers/${device.driver}/index.ts`)) as {
    driver: { line?(settings: unknown): unknown; describe(address: unknown): string };
  };
  driver.line?.(device.settings);
  for (const { address, derive } of device.points) if (derive === undefined) driver.describe(address);
  rankProfiles({ vendor: "a".repeat(200), model: "RUT241", firmware: "1.0" }, profile.driver, [profile]);
}

/** The simulator of the device, and its driver before that, which is cut short: an error is a sentence, or of the device. */
async function pretend(checked: DeviceConfig, outcome: Outcome): Promise<string | undefined> {
  const own = place(await freePort())[checked.driver] ?? {};
  const device = { ...checked, settings: mergeSettings(checked.settings, own) };
  let simulator: Simulator;
  try {
    simulator = await startSimulator(device, 1, undefined, 0);
  } catch (error) {
    // It says no in a sentence: no stack of a slip in the code.
    if (error instanceof Error && error.constructor === Error && /\S/.test(error.message)) return undefined;
    return shown(error);
  }
  outcome.isSimulated = true;
  const signal = AbortSignal.timeout(readMs);
  try {
    const field = await FieldDevice.open(device, folder, signal);
    try {
      await field.read({ points: [], raw: false }, signal);
    } finally {
      await field.close();
    }
  } catch (error) {
    const isTold = error instanceof DeviceError || error instanceof ConfigError || signal.aborted;
    if (!isTold) return shown(error);
  } finally {
    await simulator.close();
  }
  return undefined;
}

/** Counts the CPU time of what comes until the next stage. */
class Stages {
  readonly #outcome: Outcome;
  #before = process.cpuUsage();

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
  }

  begin(stage: string): void {
    this.end();
    this.#outcome.stage = stage;
  }

  end(): void {
    const { cpuMs, stage } = this.#outcome;
    cpuMs[stage] = sinceMs(this.#before);
    this.#before = process.cpuUsage();
  }
}

async function attempt(bytes: Buffer, outcome: Outcome, stages: Stages): Promise<string | undefined> {
  writeFileSync(file, bytes);
  let profile: Profile | undefined;
  try {
    profile = loadProfile("acme/fuzzed", profiles);
    outcome.isLoaded = true;
  } catch (error) {
    const failure = told(error);
    if (failure !== undefined) return failure;
  }
  stages.begin("lint");
  const found = await lint(outcome, outcome.isLoaded);
  if (found !== undefined) return found;
  stages.begin("schema");
  bySchema();
  stages.begin("site");
  const driver = profile?.driver ?? "modbus";
  const device = { id: "fuzzed", driver, profile: "acme/fuzzed", ...place(15_020)[driver] };
  const gateway = { id: "box-01", name: "Box", city: "demo", state: "./state" };
  writeFileSync(site, JSON.stringify({ version: 1, gateway, devices: [device] }));
  let devices: DeviceConfig[];
  try {
    ({ devices } = await loadSite(site, { profileFolder: profiles }));
  } catch (error) {
    return told(error);
  }
  if (profile === undefined || devices[0] === undefined)
    return "a site that loads with a profile that does not";
  stages.begin("prepare");
  await prepare(devices[0], profile);
  stages.begin("pretend");
  return pretend(devices[0], outcome);
}

function sinceMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return Math.round((user + system) / 1000);
}

const stained = (): string[] => {
  const own = Object.keys(Object.prototype);
  return ({} as { polluted?: unknown }).polluted === undefined ? own : [...own, "polluted"];
};

let fallen: string | undefined;
process.on("uncaughtException", (error) => (fallen ??= `uncaught ${shown(error)}`));
process.on("unhandledRejection", (error) => (fallen ??= `unhandled ${shown(error)}`));

async function answer(profile: string): Promise<void> {
  const outcome: Outcome = {
    stage: "load",
    isLoaded: false,
    isSimulated: false,
    findings: 0,
    cpuMs: {},
  };
  const stages = new Stages(outcome);
  const failure = await attempt(Buffer.from(profile, "base64"), outcome, stages).catch(shown);
  stages.end();
  const stain = stained().length === 0 ? undefined : `Object.prototype: ${stained().join()}`;
  const why = failure ?? fallen ?? stain;
  fallen = undefined;
  process.send?.(why === undefined ? outcome : { ...outcome, failure: why });
}

process.on("message", ({ profile }: Asked) => void answer(profile));

const { profile: schema } = await jsonSchemas();
validate = new Ajv({ strict: false, allErrors: false, logger: false, unicodeRegExp: true }).compile(schema);
process.send?.("ready");
