import { type DeviceConfig, loadSite } from "../config.ts";
import type { Language } from "../config/error-texts.ts";
import { didYouMean } from "../config/words.ts";
import { NotRunningError } from "../control.ts";
import { DeviceError, type DeviceErrorCode, type Identity } from "../driver.ts";
import { type ErrorCode, errorTable, exitCodes, printable, shownFile } from "../errors.ts";
import type { LatestReading } from "../host/messages.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { decodings } from "./decodings.ts";
import { CommandError, deviceFailure, notFoundError, tableError } from "./errors.ts";
import { FieldDevice } from "./field.ts";
import { languageOf } from "./language.ts";
import { hint, pause, printData, printFailure, printLines, stopSignal } from "./output.ts";
import { readingLines } from "./read-table.ts";
import { askOnce, controlSocket, findSite, notRunning, SilentError } from "./site.ts";
import { counted, terminalSize } from "./text.ts";

export interface ReadOptions {
  site?: string;
  watch?: boolean;
  raw?: boolean;
  json?: boolean;
  lang?: Language;
}

/** What is to be read, and the language of the complaints. */
interface Request {
  points: string[];
  raw: boolean;
  language: Language;
}

/** Where readings come from: the running gateway, or the wire itself. */
interface Source {
  via: "gateway" | "direct";
  profile: string | undefined;
  /** Known after the first read. */
  identity: Identity | undefined;
  doubt: string | undefined;
  /** Throws `CommandError`. */
  read(signal: AbortSignal): Promise<LatestReading[]>;
  close(): Promise<void>;
}

function unknownDevice(id: string, ids: readonly string[], site: string): CommandError {
  return notFoundError(
    `there is no device "${id}" in ${shownFile(site)}${didYouMean(id, ids)}`,
    ids.length === 0 ? "the site has no devices yet" : `its devices: ${ids.slice(0, 20).join(", ")}`,
  );
}

function unknownPoint(device: string, name: string, names: readonly string[]): CommandError {
  return notFoundError(
    `${device} has no point "${name}"${didYouMean(name, names)}`,
    `its points: ${names.slice(0, 60).join(", ")}`,
  );
}

const hostSilentMs = 4000;

/** What is wrong with the driver's process itself. `said`: how the read failed, maybe before it ran again. */
function hostTrouble(
  { state, silentMs }: GatewayStatus["hosts"][number],
  said: string,
): ErrorCode | undefined {
  if (state !== "running" || /^the \S+ host (has ended|is (starting|waiting|stopped))/.test(said))
    return "KERB-HOST-ENDED";
  return silentMs > hostSilentMs ? "KERB-HOST-SILENT" : undefined;
}

/** Reads through the gateway, which owns the connection: a second one would disturb many devices. */
class GatewaySource implements Source {
  readonly via = "gateway";
  readonly profile: string | undefined;
  identity: Identity | undefined;
  doubt: string | undefined;
  readonly #socket: string;
  readonly #device: string;
  readonly #request: Request;

  constructor(socket: string, { id, profile }: GatewayStatus["devices"][number], request: Request) {
    this.#socket = socket;
    this.#device = id;
    this.profile = profile;
    this.#request = request;
  }

  async read(): Promise<LatestReading[]> {
    const { points, raw } = this.#request;
    const args = { device: this.#device, points, raw };
    let readings: LatestReading[];
    try {
      readings = await askOnce<LatestReading[]>(this.#socket, { verb: "read", args });
    } catch (error) {
      throw await this.#explained(error as Error);
    }
    const missing = points.find((name) => readings.every(({ point }) => point !== name));
    if (missing === undefined) {
      this.identity ??= (await this.#known()).report?.identity;
      return readings.filter(({ point }) => points.length === 0 || points.includes(point));
    }
    const all = await askOnce<LatestReading[]>(this.#socket, { verb: "read", args: { ...args, points: [] } });
    throw unknownPoint(
      this.#device,
      missing,
      all.map(({ point }) => point),
    );
  }

  async #known() {
    const { devices, hosts } = await askOnce<GatewayStatus>(this.#socket, { verb: "status" });
    const report = devices.find(({ id }) => id === this.#device);
    return { report, host: hosts.find(({ driver }) => driver === report?.driver) };
  }

  /** The gateway knows why it lost the device; the failed read often knows only that it did. */
  async #explained(error: Error): Promise<Error> {
    if (error instanceof NotRunningError || error instanceof SilentError) return error;
    const { report, host } = await this.#known();
    const trouble = host === undefined ? undefined : hostTrouble(host, error.message);
    if (trouble !== undefined)
      return tableError(report?.driver ?? "", trouble, error.message, this.#request.language);
    const code = report?.code;
    if (code !== undefined && `KERB-DEV-${code.toUpperCase()}` in errorTable) {
      return deviceFailure(
        this.#device,
        code as DeviceErrorCode,
        report?.reason ?? error.message,
        this.#request.language,
      );
    }
    if (report?.state === "starting") {
      return deviceFailure(
        this.#device,
        "closed",
        "the gateway has not reached it yet: try again",
        this.#request.language,
      );
    }
    return deviceFailure(this.#device, "silent", error.message, this.#request.language);
  }

  async close(): Promise<void> {}
}

/** Reads the device itself; opens it again after a failure. */
class DirectSource implements Source {
  readonly via = "direct";
  readonly profile: string | undefined;
  identity: Identity | undefined;
  doubt: string | undefined;
  readonly #device: DeviceConfig;
  readonly #stateFolder: string;
  readonly #request: Request;
  #field: FieldDevice | undefined;

  constructor(device: DeviceConfig, stateFolder: string, request: Request) {
    this.#device = device;
    this.#stateFolder = stateFolder;
    this.profile = device.profile;
    this.#request = request;
  }

  async read(signal: AbortSignal): Promise<LatestReading[]> {
    try {
      this.#field ??= await FieldDevice.open(this.#device, this.#stateFolder, signal);
      this.identity = this.#field.identity;
      this.doubt = this.#field.doubt;
      return await this.#field.read(this.#request, signal);
    } catch (error) {
      await this.close();
      if (!(error instanceof DeviceError)) throw error;
      throw deviceFailure(this.#device.id, error.code, error.message, this.#request.language);
    }
  }

  async close(): Promise<void> {
    await this.#field?.close();
    this.#field = undefined;
  }
}

async function directSource(site: string, id: string, request: Request): Promise<Source> {
  const { devices, gateway } = await loadSite(site);
  const device = devices.find((candidate) => candidate.id === id);
  if (device === undefined)
    throw unknownDevice(
      id,
      devices.map((candidate) => candidate.id),
      site,
    );
  const names = device.points.filter(({ publish }) => publish).map(({ name }) => name);
  const wrong = request.points.find((name) => !names.includes(name));
  if (wrong !== undefined) throw unknownPoint(id, wrong, names);
  return new DirectSource(device, gateway.stateFolder, request);
}

async function openSource(site: string, id: string, request: Request): Promise<Source> {
  const socket = controlSocket(site);
  try {
    const { devices } = await askOnce<GatewayStatus>(socket, { verb: "status" });
    const device = devices.find((candidate) => candidate.id === id);
    if (device === undefined)
      throw unknownDevice(
        id,
        devices.map((candidate) => candidate.id),
        site,
      );
    if (device.enabled) return new GatewaySource(socket, device, request);
  } catch (error) {
    if (!(error instanceof NotRunningError)) throw error;
  }
  return directSource(site, id, request);
}

function shownIdentity(id: string, { identity, doubt, via, profile }: Source): string {
  const { vendor, model, firmware, serial } = identity ?? {};
  const known = [vendor, model, firmware && `firmware ${firmware}`, serial && `serial ${serial}`];
  const who = known.filter((part) => part !== undefined && part !== "").join(" ");
  const how = via === "gateway" ? "through the running gateway" : "directly, no gateway runs";
  const nobody =
    profile === undefined ? "does not say who it is" : `does not say who it is, taken for ${profile}`;
  const text = `${id}   ${who === "" ? nobody : printable(who)}   read ${how}`;
  return doubt === undefined ? text : `${text}\nuncertain: ${printable(doubt)}`;
}

function printReadings(id: string, source: Source, readings: LatestReading[]): void {
  const shown = readings.map((reading) =>
    reading.rawHex !== undefined ? { ...reading, decodings: decodings(reading.rawHex) } : reading,
  );
  const { identity, doubt, via } = source;
  printData("read", { device: id, via, identity: identity ?? {}, doubt: doubt ?? null, readings: shown });
}

const watchPeriodMs = 1000;
const timesMax = 10_000;

/** What a watch saw of the device's answers. */
class Statistics {
  requests = 0;
  replies = 0;
  errors = 0;
  readonly #timesMs: number[] = [];

  replied(ms: number): void {
    this.replies++;
    if (this.#timesMs.push(ms) > timesMax) this.#timesMs.shift();
  }

  get p95Ms(): number {
    const sorted = this.#timesMs.toSorted((a, b) => a - b);
    return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * 0.95) - 1)] ?? 0);
  }

  get lossPercent(): number {
    return this.requests === 0 ? 0 : (100 * (this.requests - this.replies)) / this.requests;
  }

  toString(): string {
    const { requests, replies, errors, lossPercent, p95Ms } = this;
    const counts = `${counted(requests, "request")}, ${counted(replies, "reply", "replies")}, ${counted(errors, "error")}`;
    return `${counts}, ${lossPercent.toFixed(1)} % loss, p95 ${p95Ms} ms`;
  }
}

/** Draws a watch: on a terminal over the lines of the round before, elsewhere one block below the other. */
class Sheet {
  #linesBefore = 0;

  /** `notes` stand below the table, whatever of it fits. */
  draw(table: string[], notes: string[]): void {
    if (!process.stdout.isTTY) {
      printLines([...table, ...notes, ""]);
      return;
    }
    const room = Math.max(2, terminalSize().rows - 1 - notes.length);
    const hidden = table.length - room + 1;
    const more = `… ${hidden} more lines: name the points to watch`;
    const fitting = [...(hidden > 1 ? [...table.slice(0, room - 1), more] : table), ...notes];
    const up = this.#linesBefore === 0 ? "" : `\u001b[${this.#linesBefore}A`;
    const text = fitting.map((line) => `\r\u001b[K${line}\n`).join("");
    // A line that wrapped would be two, and the next round would be drawn a line too low.
    process.stdout.write(`\u001b[?7l${up}${text}\u001b[J\u001b[?7h`);
    this.#linesBefore = fitting.length;
  }
}

async function watch(id: string, source: Source, options: ReadOptions): Promise<number> {
  const signal = stopSignal();
  const statistics = new Statistics();
  const sheet = new Sheet();
  let readings: LatestReading[] = [];
  while (!signal.aborted) {
    const startedMs = performance.now();
    let failure: CommandError | undefined;
    try {
      const fresh = await source.read(signal);
      statistics.requests++;
      statistics.replied(performance.now() - startedMs);
      readings = fresh;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof CommandError) || error.complaint.exitCode !== exitCodes.noAnswer) throw error;
      statistics.requests++;
      statistics.errors++;
      failure = error;
    }
    if (options.json === true) {
      if (failure === undefined) printReadings(id, source, readings);
      else printFailure("read", failure.complaint);
    } else {
      const { code, title } = failure?.complaint ?? {};
      const notes = failure === undefined ? [String(statistics)] : [`${code}  ${title}`, String(statistics)];
      const table = readings.length === 0 ? [] : readingLines(readings, Date.now());
      // Elsewhere than on a terminal the counts come once, in the end.
      sheet.draw(table, process.stdout.isTTY ? notes : notes.slice(0, -1));
    }
    await pause(watchPeriodMs - (performance.now() - startedMs), signal);
  }
  const { requests, replies, errors, lossPercent, p95Ms } = statistics;
  if (options.json === true) printData("read-statistics", { requests, replies, errors, lossPercent, p95Ms });
  else printLines([`${process.stdout.isTTY ? "\n" : ""}${statistics.toString()}`]);
  return requests > 0 && replies === 0 ? exitCodes.noAnswer : exitCodes.ok;
}

/**
 * `kerb read`: one device's values, through the running gateway or, where none runs, directly. Exit codes: 3
 * unknown device or point, 5 the device does not answer.
 */
export async function read(id: string, points: string[], options: ReadOptions): Promise<number> {
  const request = { points, raw: options.raw === true, language: languageOf(options.lang) };
  const site = findSite(options.site);
  let source: Source | undefined;
  try {
    source = await openSource(site, id, request);
    if (options.watch === true) return await watch(id, source, options);
    const readings = await source.read(new AbortController().signal);
    if (options.json === true) printReadings(id, source, readings);
    else {
      hint(shownIdentity(id, source));
      printLines(readingLines(readings, Date.now()));
    }
    return exitCodes.ok;
  } catch (error) {
    return notRunning(error, site, request.language);
  } finally {
    await source?.close();
  }
}
