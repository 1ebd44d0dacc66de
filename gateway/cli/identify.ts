import { type DeviceConfig, loadSite } from "../config.ts";
import { driverSchemas } from "../config/drivers.ts";
import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable } from "../errors.ts";
import { firmwareDoubt } from "../host/identify.ts";
import { type Match, rankProfiles, ranks } from "../profile-match.ts";
import { flowText } from "../profile-draft/text.ts";
import { listProfiles, loadProfile, type Profile } from "../profiles.ts";
import { identifyWords } from "./identify-words.ts";
import { dictionary, languageOf } from "./language.ts";
import { namedIdentity } from "./named-identity.ts";
import { hint, printData, printLines, stopSignal } from "./output.ts";
import { openSource, type Source, deviceNamed, type WhoItIs } from "./read-source.ts";
import { findSite, notRunning } from "./site.ts";
import { table } from "./text.ts";

export interface IdentifyOptions {
  site?: string;
  accept?: boolean;
  json?: boolean;
  lang?: Language;
}

/** The profiles of a driver that can be read; `kerb profiles` says what is wrong with the others. */
export function library(driver: string): Profile[] {
  return listProfiles().flatMap((id) => {
    try {
      const profile = loadProfile(id);
      return profile.driver === driver ? [profile] : [];
    } catch {
      return [];
    }
  });
}

/** What makes one wonder whether the site file is right about the device. */
function doubtsOf(
  device: DeviceConfig,
  found: WhoItIs,
  matches: readonly Match[],
  marked: ReadonlySet<string>,
  language: Language,
): string[] {
  const words = identifyWords[language];
  const { identity, mismatch } = found;
  const own = matches.find(({ profile }) => profile === device.profile);
  // The markers of another profile were not read: whether it fits is open.
  const best = matches.find(({ profile }) => !marked.has(profile));
  const says = [identity.vendor, identity.model, identity.firmware, identity.serial];
  const isBetter =
    own !== undefined &&
    best !== undefined &&
    best.rank !== "none" &&
    (ranks.indexOf(best.rank) < ranks.indexOf(own.rank) ||
      (best.firmware === "inside" && own.firmware === "outside"));
  return [
    mismatch,
    firmwareDoubt(identity, device.firmwareRange),
    isBetter ? words.better(best.profile, own.profile) : undefined,
    says.every((one) => one === undefined) ? words.sayNothing : undefined,
  ].filter((one) => one !== undefined);
}

const inLine = (settings: Record<string, unknown>): string => flowText(settings).replaceAll(/^\{ | \}$/g, "");

/** Settings that it says who it is with, or may. */
function settingDoubts(
  { profile, settings }: DeviceConfig,
  { identity }: WhoItIs,
  needed: Record<string, unknown>,
  language: Language,
  untried: Record<string, unknown> = {},
): string[] {
  const words = identifyWords[language];
  if (Object.keys(needed).length > 0) return [words.needs(inLine(needed))];
  const isUntried = Object.keys(untried).some((key) => settings[key] !== untried[key]);
  const isOpen = profile === undefined && Object.keys(identity).length === 0;
  return isOpen && isUntried ? [words.mayNeed(inLine(untried))] : [];
}

function headLine(id: string, { identity }: WhoItIs, via: Source["via"], language: Language): string {
  const words = dictionary[language];
  const { certificate } = identity.more ?? {};
  const parts = [namedIdentity(identity, language), certificate && printable(`certificate ${certificate}`)];
  const who = parts.filter((part) => part !== undefined && part !== "").join(" ") || words.saysNothing;
  return `${id}   ${who}   ${via === "gateway" ? words.readThrough : words.readDirectly}`;
}

function siteLine(device: DeviceConfig, language: Language): string {
  const words = identifyWords[language];
  const { profile, identity, firmwareRange, serial } = device;
  const what =
    profile === undefined
      ? words.noProfile
      : `${profile} (${identity?.vendor} ${identity?.model}, firmware ${firmwareRange})`;
  return `${words.siteSays}: ${[what, serial && words.pinned(serial)].filter((part) => part).join(", ")}`;
}

function show(
  device: DeviceConfig,
  found: WhoItIs,
  matches: readonly Match[],
  doubts: readonly string[],
  language: Language,
): void {
  const words = identifyWords[language];
  printLines([siteLine(device, language)]);
  const { more = {} } = found.identity;
  printLines(Object.entries(more).map(([name, text]) => `  ${printable(`${name}: ${text}`)}`));
  const shown = matches.filter(({ rank, profile }) => rank !== "none" || profile === device.profile);
  if (shown.every(({ rank }) => rank === "none")) printLines([words.noneFits(device.driver)]);
  if (shown.length > 0) {
    const rows = shown.map(({ profile, rank, reasons }) => [
      profile,
      words.ranks[rank],
      printable(reasons.map((reason) => reason[language]).join("; ")),
    ]);
    printLines([
      "",
      ...table(
        words.titles.map((title) => ({ title })),
        rows,
      ),
      "",
    ]);
  }
  const hidden = matches.length - shown.length;
  if (hidden > 0) hint(words.others(hidden, device.driver));
  printLines(doubts.map((doubt) => `${words.doubt}: ${printable(doubt)}`));
  const { writable, unwritable } = found;
  if (unwritable !== undefined) printLines([printable(words.notWritable(unwritable.reason))]);
  else if (writable) printLines([words.writable]);
}

/**
 * `kerb identify`: who a device is, what the site file takes it for, and which profiles fit. Reads only; `accept`
 * notes the unit on this box. Exit codes: 2 the site file speaks against it, 3 unknown device, 5 no answer.
 */
export async function identify(id: string, options: IdentifyOptions): Promise<number> {
  const language = languageOf(options.lang);
  const site = findSite(options.site);
  const { devices } = await loadSite(site);
  const device = deviceNamed(devices, id, site);
  let source: Source | undefined;
  try {
    source = await openSource(site, id, { points: [], raw: false, asksWho: true, language });
    const isAccepted = options.accept === true;
    const { needed = {}, ...found } = await source.identify(isAccepted, stopSignal());
    const profiles = library(device.driver);
    const matches = rankProfiles(found.identity, device.driver, profiles);
    const marked = new Set(profiles.flatMap((one) => (one.identify.expect.length > 0 ? [one.id] : [])));
    const { tellsMore } = await driverSchemas(device.driver);
    // A running gateway asks as the site file says, and in no other way.
    const untried = source.via === "gateway" ? tellsMore : undefined;
    const doubts = [
      ...doubtsOf(device, found, matches, marked, language),
      ...settingDoubts(device, found, needed, language, untried),
    ];
    if (options.json === true) {
      const { profile = null, firmwareRange, serial = null, driver } = device;
      const says = { profile, firmware: firmwareRange, serial, driver };
      printData("identify", { device: id, via: source.via, ...found, site: says, matches, doubts });
      return exitCodes.ok;
    }
    hint(headLine(id, found, source.via, language));
    show(device, found, matches, doubts, language);
    if (isAccepted) hint(identifyWords[language].accepted);
    return exitCodes.ok;
  } catch (error) {
    return notRunning(error, site, language);
  } finally {
    await source?.close();
  }
}
