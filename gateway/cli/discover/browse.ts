import { type DeviceConfig, loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { type Browsed, DeviceError, type Identity, type LeftOut } from "../../driver.ts";
import { exitCodes, printable } from "../../errors.ts";
import { closed } from "../../host/identify.ts";
import { ucumOf } from "../../profiles/units.ts";
import { browseLines, leftLines } from "./browse-table.ts";
import { browseWords } from "./browse-words.ts";
import { deviceFailure, notFoundError, usageError } from "../errors.ts";
import { openAny, type OpenDevice } from "../../field/field.ts";
import { dictionary, languageOf } from "../language.ts";
import { namedIdentity } from "../../discovery/named-identity.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { deviceNamed } from "../read/read-source.ts";
import { findSite } from "../site.ts";

export interface BrowseOptions {
  site?: string;
  under?: string;
  limit?: number;
  depth?: number;
  /** How long the device is asked. */
  waitMs?: number;
  json?: boolean;
  lang?: Language;
}

const defaults = { limit: 1000, depth: 16, waitMs: 60_000 };
/** What the last request may take beyond the time. */
const lastRequestMs = 15_000;

/** What was listed before it ended, and why it ended early. */
export interface Listing {
  entries: Browsed[];
  left: LeftOut[];
  failure: DeviceError | undefined;
}

/** Is nothing left out but what every such device has? */
export function isComplete({ left, failure }: Listing): boolean {
  return failure === undefined && left.every((one) => one.left === "standard");
}

/** Lists what an open device has; what was listed before it was lost stays. */
export async function listDevice(
  device: OpenDevice,
  options: BrowseOptions,
  stop: AbortSignal,
): Promise<Listing> {
  const { limit, depth, waitMs } = { ...defaults, ...options };
  const { connection } = device;
  const deadline = AbortSignal.timeout(waitMs + lastRequestMs);
  const listing: Listing = { entries: [], left: [], failure: undefined };
  try {
    const items = connection.browse?.({
      ...(options.under === undefined ? {} : { under: options.under }),
      entriesMax: limit,
      depthMax: depth,
      untilMs: performance.now() + waitMs,
      signal: AbortSignal.any([stop, deadline]),
    });
    for await (const item of items ?? []) {
      if ("left" in item) listing.left.push(item);
      else listing.entries.push(withUcum(item));
    }
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    listing.failure =
      deadline.aborted && !stop.aborted
        ? new DeviceError("silent", `no answer within ${(waitMs + lastRequestMs) / 1000} s`, { cause: error })
        : error;
  }
  return listing;
}

/** A unit that the protocol has no code for may be written as kerb knows it. */
function withUcum(entry: Browsed): Browsed {
  if (entry.unit === undefined || entry.unit.ucum !== undefined) return entry;
  const ucum = ucumOf(entry.unit.text.trim());
  return ucum === undefined ? entry : { ...entry, unit: { ...entry.unit, ucum } };
}

/** An entry as JSON has it: the reading's parts beside the others, a 64-bit integer beyond 2^53 as text. */
function jsonEntry({ answer, ...entry }: Browsed) {
  if (answer === undefined) return entry;
  const reading = typeof answer === "object" ? answer : { value: answer, status: "good" as const };
  const { value, status, code, reason, sourceTimeMs } = reading;
  return {
    ...entry,
    value: typeof value === "bigint" ? String(value) : value,
    status,
    ...(code === undefined ? {} : { code }),
    ...(reason === undefined ? {} : { reason }),
    ...(sourceTimeMs === undefined ? {} : { sourceTimeMs }),
  };
}

function headLine(id: string, identity: Identity, language: Language): string {
  const who = namedIdentity(identity, language) || dictionary[language].saysNothing;
  return `${id}   ${who}   ${browseWords[language].ownSession}`;
}

function show(
  { id, driver }: DeviceConfig,
  { identity, mismatch }: OpenDevice["found"],
  listing: Listing,
  options: BrowseOptions,
): void {
  const { entries, left } = listing;
  const language = languageOf(options.lang);
  if (options.json === true) {
    const about = { device: id, driver, identity, doubt: mismatch ?? null, under: options.under ?? null };
    printData("browse", {
      ...about,
      isComplete: isComplete(listing),
      count: entries.length,
      left,
      entries: entries.map(jsonEntry),
    });
    return;
  }
  hint(headLine(id, identity, language));
  if (entries.length > 0) printLines(browseLines(entries, language));
  const limits = { ...defaults, ...options };
  for (const line of leftLines(entries, left, limits, language)) hint(line);
}

/**
 * `kerb browse`: lists what a device has, with addresses as a profile has them. Asks the device itself, beside a
 * running gateway too. Exit codes: 2 the driver cannot, 3 unknown device or node, 5 no answer, 130 interrupted.
 */
export async function browse(id: string, options: BrowseOptions): Promise<number> {
  const language = languageOf(options.lang);
  const site = findSite(options.site);
  const { devices, gateway } = await loadSite(site);
  const device = deviceNamed(devices, id, site);
  const stop = stopSignal();
  let open: OpenDevice | undefined;
  try {
    ({ open } = await openAny(device, gateway.stateFolder, stop));
    if (open.connection.browse === undefined)
      throw usageError(
        `${id}: ${browseWords[language].cannot(device.driver)}`,
        browseWords[language].cannotCure,
        language,
      );
    const listing = await listDevice(open, options, stop);
    const { entries, failure } = listing;
    if (failure?.code === "rejected" && entries.length === 0)
      throw notFoundError(`${id}: ${printable(failure.message)}`, browseWords[language].underCure);
    if (failure === undefined || entries.length > 0) show(device, open.found, listing, options);
    if (failure !== undefined) throw failure;
    return exitCodes.ok;
  } catch (error) {
    if (stop.aborted) return exitCodes.interrupted;
    if (!(error instanceof DeviceError)) throw error;
    throw deviceFailure(id, error.code, error.message, language);
  } finally {
    if (open !== undefined) await closed(open.connection);
  }
}
