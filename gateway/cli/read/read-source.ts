import { join } from "node:path";
import { type DeviceConfig, loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { languageOf } from "../../words.ts";
import { complaintWords, meantBy } from "../complaint-words.ts";
import { ask, NotRunningError } from "../../control/control.ts";
import { DeviceError, type DeviceErrorCode, type Identity } from "../../driver.ts";
import { type ErrorCode, errorTable, printable, shownFile } from "../../errors.ts";
import type { KerbEvent } from "../../event.ts";
import type { Identified, LatestReading } from "../../host/messages.ts";
import { Recognition } from "../../host/recognition.ts";
import { hostDevice } from "../../config/site-devices.ts";
import type { Point } from "../../profiles/profiles.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { closed } from "../../host/identify.ts";
import { CommandError, deviceFailure, notFoundError, tableError, usageError } from "../errors.ts";
import { FieldDevice, openAny } from "../../field/field.ts";
import { identifyWords } from "../discover/identify-words.ts";
import type { Talker } from "../../field/listen.ts";
import type { HeardRecord } from "../../field/field-push.ts";
import { askOnce, controlSocket, SilentError } from "../site.ts";

/** Where `kerb read` gets its readings: from the running gateway, or from the device itself. */

/** More than a person reads; the oldest go first. */
const recordsMax = 100;

/** What is to be read, and the language of the complaints. */
export interface Request {
  points: string[];
  raw: boolean;
  /** Only who it is shall be asked. */
  asksWho?: boolean;
  language: Language;
}

/** Who is there. `needed`: settings that the site file has not, without which it does not say that. */
export type WhoItIs = Identified & { mismatch?: string; needed?: Record<string, unknown> };

/** Where readings come from: the running gateway, or the wire itself. */
export interface Source extends Talker {
  via: "gateway" | "direct";
  profile: string | undefined;
  /** Known after the first read. */
  identity: Identity | undefined;
  doubt: string | undefined;
  /** As the site file has them, as far as that can be read: for what people read of a value. */
  readonly points: readonly Point[];
  /** Throws `CommandError`. */
  read(signal: AbortSignal, names?: readonly string[]): Promise<LatestReading[]>;
  /** Asks who it is; `accept`: this is the right unit from here on. Throws `CommandError`. */
  identify(accept: boolean, signal: AbortSignal): Promise<WhoItIs>;
  close(): Promise<void>;
}

/** The device of the site file. Throws `CommandError` with exit code 3 where there is none. */
export function deviceNamed<Device extends { id: string }>(
  devices: readonly Device[],
  id: string,
  site: string,
): Device {
  const device = devices.find((candidate) => candidate.id === id);
  if (device !== undefined) return device;
  const ids = devices.map((candidate) => candidate.id);
  const text = complaintWords[languageOf()];
  throw notFoundError(
    text.noDevice(printable(id), shownFile(site), meantBy(id, ids)),
    ids.length === 0 ? text.noDevices : text.devices(ids.slice(0, 20).join(", ")),
  );
}

function unknownPoint(device: string, name: string, names: readonly string[]): CommandError {
  const text = complaintWords[languageOf()];
  return notFoundError(
    text.noPoint(device, printable(name), meantBy(name, names)),
    text.points(names.slice(0, 60).join(", ")),
  );
}

/** The site file speaks against accepting the unit. */
const isOfSiteFile = (error: unknown): error is Error =>
  error instanceof Error && error.message.startsWith("the site file says");

const siteFileError = ({ message }: Error): CommandError =>
  usageError(message, complaintWords[languageOf()].editSite);

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
  readonly records: HeardRecord[] = [];
  readonly tellsRecords: boolean;
  readonly silenceMs: number;
  readonly points: readonly Point[];
  readonly #socket: string;
  readonly #device: string;
  readonly #request: Request;
  readonly #closing = new AbortController();

  /** `definition`: the device as the site file has it, as far as that can be read. */
  constructor(
    socket: string,
    { id, profile }: GatewayStatus["devices"][number],
    definition: DeviceConfig | undefined,
    request: Request,
  ) {
    this.#socket = socket;
    this.#device = id;
    this.profile = profile;
    this.#request = request;
    this.tellsRecords = (definition?.records.length ?? 0) > 0;
    this.silenceMs = definition?.silenceMs ?? 0;
    this.points = definition?.points ?? [];
    // Without records to tell there is nothing that the readings do not say.
    if (this.tellsRecords) void this.#hearRecords().catch(() => {});
  }

  async #hearRecords(): Promise<void> {
    for await (const answer of ask(this.#socket, { verb: "tail" }, this.#closing.signal)) {
      const { device, kind, timeMs, data } = answer as KerbEvent;
      if (device !== this.#device || data?.["record"] === undefined) continue;
      this.records.push({ kind, timeMs, data });
      if (this.records.length > recordsMax) this.records.shift();
    }
  }

  async read(
    signal: AbortSignal,
    points: readonly string[] = this.#request.points,
  ): Promise<LatestReading[]> {
    const { raw } = this.#request;
    const args = { device: this.#device, points, raw };
    let readings: LatestReading[];
    try {
      readings = await askOnce<LatestReading[]>(this.#socket, { verb: "read", args }, signal);
    } catch (error) {
      if (signal.aborted) throw error;
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

  async identify(accept: boolean, signal: AbortSignal): Promise<Identified> {
    const request = { verb: "identify", args: { device: this.#device, accept } };
    try {
      // What is being accepted is not broken off half-way.
      return await askOnce<Identified>(this.#socket, request, accept ? undefined : signal);
    } catch (error) {
      if (signal.aborted) throw error;
      throw accept && isOfSiteFile(error) ? siteFileError(error) : await this.#explained(error as Error);
    }
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
    // Of a connection that is being opened again the gateway knows more than the read does.
    const isTold = error instanceof DeviceError && error.code !== "closed" && report?.code === undefined;
    if (isTold) return deviceFailure(this.#device, error.code, error.message, this.#request.language);
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
        complaintWords[this.#request.language].notReached,
        this.#request.language,
      );
    }
    return deviceFailure(this.#device, "silent", error.message, this.#request.language);
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }
}

/** Its line is open and nothing comes back: a unit number that is wrong, or a device that does not know the question. */
function muteFailure({ id, driver }: DeviceConfig, language: Language): CommandError {
  const words = identifyWords[language];
  const { complaint } = deviceFailure(id, "silent", words.mute(driver), language);
  return new CommandError({ ...complaint, hint: `${words.muteCure(id, driver)}; ${complaint.hint}` });
}

/** Reads the device itself; opens it again after a failure. */
class DirectSource implements Source {
  readonly via = "direct";
  readonly profile: string | undefined;
  identity: Identity | undefined;
  doubt: string | undefined;
  readonly tellsRecords: boolean;
  readonly silenceMs: number;
  readonly points: readonly Point[];
  readonly #device: DeviceConfig;
  readonly #stateFolder: string;
  readonly #request: Request;
  #field: FieldDevice | undefined;

  constructor(device: DeviceConfig, stateFolder: string, request: Request) {
    this.#device = device;
    this.#stateFolder = stateFolder;
    this.profile = device.profile;
    this.#request = request;
    this.tellsRecords = device.records.length > 0;
    this.silenceMs = device.silenceMs;
    this.points = device.points;
  }

  get records(): readonly HeardRecord[] {
    return this.#field?.records ?? [];
  }

  async read(
    signal: AbortSignal,
    points: readonly string[] = this.#request.points,
  ): Promise<LatestReading[]> {
    try {
      this.#field ??= await FieldDevice.open(this.#device, this.#stateFolder, signal);
      this.identity = this.#field.identity;
      this.doubt = this.#field.doubt;
      return await this.#field.read({ points, raw: this.#request.raw }, signal);
    } catch (error) {
      await this.close();
      if (!(error instanceof DeviceError)) throw error;
      throw deviceFailure(this.#device.id, error.code, error.message, this.#request.language);
    }
  }

  async identify(accept: boolean, signal: AbortSignal): Promise<WhoItIs> {
    const device = this.#device;
    const folder = join(this.#stateFolder, "drivers", device.driver);
    const looking = new Recognition(
      hostDevice(device, undefined, { how: "drop" }),
      { folder, log: () => {} },
      { keeps: false },
    );
    try {
      const { open, isMute, needed } = await openAny(device, this.#stateFolder, signal);
      await closed(open.connection);
      if (isMute) throw muteFailure(device, this.#request.language);
      const { identity, mismatch } = open.found;
      // The gateway hears what the device tells with the settings of the site file, and no more.
      const told = Object.keys(needed).length === 0 ? identity : {};
      if (accept) await looking.accept(told);
      looking.take(told);
      return { identity, needed, ...looking.verdict, ...(mismatch === undefined ? {} : { mismatch }) };
    } catch (error) {
      if (accept && isOfSiteFile(error)) throw siteFileError(error);
      if (!(error instanceof DeviceError)) throw error;
      throw deviceFailure(device.id, error.code, error.message, this.#request.language);
    }
  }

  async close(): Promise<void> {
    await this.#field?.close();
    this.#field = undefined;
  }
}

async function directSource(site: string, id: string, request: Request): Promise<Source> {
  const { devices, gateway } = await loadSite(site);
  const device = deviceNamed(devices, id, site);
  const names = device.points.filter(({ publish }) => publish).map(({ name }) => name);
  const wrong = request.points.find((name) => !names.includes(name));
  if (wrong !== undefined) throw unknownPoint(id, wrong, names);
  return new DirectSource(device, gateway.stateFolder, request);
}

/** The running gateway where it has the device, else the device itself. Throws `CommandError`, `SilentError`. */
export async function openSource(site: string, id: string, request: Request): Promise<Source> {
  const socket = controlSocket(site);
  try {
    const { devices } = await askOnce<GatewayStatus>(socket, { verb: "status" });
    const device = deviceNamed(devices, id, site);
    // Who is there instead of the right model is asked directly: the gateway keeps no connection to it.
    if (device.enabled && !(request.asksWho === true && device.state === "wrong-device")) {
      const known = await loadSite(site).catch(() => undefined);
      const definition = known?.devices.find((candidate) => candidate.id === id);
      return new GatewaySource(socket, device, definition, request);
    }
  } catch (error) {
    if (!(error instanceof NotRunningError)) throw error;
  }
  return directSource(site, id, request);
}
