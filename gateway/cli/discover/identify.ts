import { type DeviceConfig, loadSite } from "../../config/config.ts";
import { driverSchemas } from "../../config/drivers.ts";
import type { Language } from "../../config/error-texts.ts";
import { type Chosen, ofRank, profilesOf, type TryOut } from "../../discovery/candidates.ts";
import { DeviceError } from "../../driver.ts";
import { exitCodes, printable } from "../../errors.ts";
import { firmwareDoubt } from "../../host/identify.ts";
import { type Match, rankProfiles, ranks } from "../../profiles/profile-match.ts";
import { flowText } from "../../profiles/draft/text.ts";
import { matchText } from "./discover-table.ts";
import { identifyWords } from "./identify-words.ts";
import { dictionary, languageOf } from "../language.ts";
import { namedIdentity } from "../../discovery/named-identity.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { profileFor } from "./profile-choice.ts";
import { openSource, type Source, deviceNamed, type WhoItIs } from "../read/read-source.ts";
import { findSite, notRunning } from "../site.ts";
import { table } from "../../text.ts";

export interface IdentifyOptions {
  site?: string;
  accept?: boolean;
  json?: boolean;
  lang?: Language;
}

/** Another profile fits better than the one that the site file says. */
function isBetter({ profile, also, equals = [] }: Chosen, own: Match, matches: readonly Match[]): boolean {
  if (profile === undefined || profile === own.profile || [...also, ...equals].includes(own.profile))
    return false;
  const best = matches.find((one) => one.profile === profile);
  if (best === undefined || best.rank === "none") return true;
  return (
    ranks.indexOf(best.rank) < ranks.indexOf(own.rank) ||
    (best.firmware === "inside" && own.firmware === "outside")
  );
}

/** What makes one wonder whether the site file is right about the device. */
function doubtsOf(
  device: DeviceConfig,
  found: WhoItIs,
  chosen: Chosen,
  matches: readonly Match[],
  language: Language,
): string[] {
  const words = identifyWords[language];
  const { identity, mismatch } = found;
  const own = matches.find(({ profile }) => profile === device.profile);
  const says = [identity.vendor, identity.model, identity.firmware, identity.serial];
  return [
    mismatch,
    firmwareDoubt(identity, device.firmwareRange),
    own !== undefined && isBetter(chosen, own, matches)
      ? words.better(chosen.profile ?? "", own.profile)
      : undefined,
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

/** A profile that may be the device's, as `kerb discover` would say it. */
interface Candidate {
  profile: string;
  fits: string;
  reasons: Chosen["reasons"];
}

/** The one that was chosen, then those that fit as well or nearly, and the device's own. */
function candidates(
  own: string | undefined,
  chosen: Chosen,
  matches: readonly Match[],
  language: Language,
): Candidate[] {
  const { profile, equals = [], also } = chosen;
  const shown = [...new Set([profile, ...equals, ...also, own])].filter((one) => one !== undefined);
  return shown.map((one) => {
    if (one === profile) return { profile: one, fits: matchText(chosen, language), reasons: chosen.reasons };
    const { rank, reasons } = matches.find((match) => match.profile === one) ?? { rank: "none", reasons: [] };
    const isOwn = one === own && !also.includes(one) && !equals.includes(one);
    const match = rank === "none" && !isOwn ? chosen.match : ofRank[rank];
    return { profile: one, fits: matchText({ match }, language), reasons };
  });
}

function show(
  device: DeviceConfig,
  found: WhoItIs,
  { chosen, matches }: Judged,
  doubts: readonly string[],
  language: Language,
): void {
  const words = identifyWords[language];
  printLines([siteLine(device, language)]);
  const { more = {} } = found.identity;
  printLines(Object.entries(more).map(([name, text]) => `  ${printable(`${name}: ${text}`)}`));
  const shown = candidates(device.profile, chosen, matches, language);
  if (chosen.profile === undefined) printLines(chosen.reasons.map((reason) => printable(reason[language])));
  if (shown.length > 0) {
    const rows = shown.map(({ profile, fits, reasons }) => [
      profile,
      fits,
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

/** What fits: by all that can be seen, and by what it says of itself alone. */
interface Judged {
  chosen: Chosen;
  matches: Match[];
}

/** The running gateway has the device: of its profiles only the device's own can be read. */
function throughGateway(source: Source, { profile }: DeviceConfig, signal: AbortSignal): TryOut {
  return async (candidate, names) => {
    if (candidate.profile !== profile) throw new DeviceError("busy", "the gateway reads it");
    return { identity: {}, mismatch: undefined, readings: await source.read(signal, names) };
  };
}

/** Asks the device as `kerb discover` would. Closes a source that is the device itself: many have one session only. */
async function judged(
  device: DeviceConfig,
  { identity }: WhoItIs,
  source: Source,
  signal: AbortSignal,
): Promise<Judged> {
  const matches = rankProfiles(identity, device.driver, profilesOf(device.driver));
  if (source.via === "direct") await source.close();
  const tryOut = source.via === "direct" ? undefined : throughGateway(source, device, signal);
  return { chosen: await profileFor(device, identity, signal, tryOut), matches };
}

/**
 * `kerb identify`: who a device is, what the site file takes it for, and which profiles fit. Reads only; `accept`
 * notes the unit on this box. Exit codes: 2 the site file speaks against it, 3 unknown device, 5 no answer, 130 Ctrl-C.
 */
export async function identify(id: string, options: IdentifyOptions): Promise<number> {
  const language = languageOf(options.lang);
  const site = findSite(options.site);
  const { devices } = await loadSite(site);
  const device = deviceNamed(devices, id, site);
  const signal = stopSignal();
  let source: Source | undefined;
  try {
    source = await openSource(site, id, { points: [], raw: false, asksWho: true, language });
    const isAccepted = options.accept === true;
    const { needed = {}, ...found } = await source.identify(isAccepted, signal);
    const { chosen, matches } = await judged(device, found, source, signal);
    if (signal.aborted) return exitCodes.interrupted;
    const { tellsMore } = await driverSchemas(device.driver);
    // A running gateway asks as the site file says, and in no other way.
    const untried = source.via === "gateway" ? tellsMore : undefined;
    const doubts = [
      ...doubtsOf(device, found, chosen, matches, language),
      ...settingDoubts(device, found, needed, language, untried),
    ];
    if (options.json === true) {
      const { profile = null, firmwareRange, serial = null, driver } = device;
      const says = { profile, firmware: firmwareRange, serial, driver };
      const { needs: _, identity: __, ...choice } = chosen;
      printData("identify", { device: id, via: source.via, ...found, site: says, choice, matches, doubts });
      return exitCodes.ok;
    }
    hint(headLine(id, found, source.via, language));
    show(device, found, { chosen, matches }, doubts, language);
    if (isAccepted) hint(identifyWords[language].accepted);
    return exitCodes.ok;
  } catch (error) {
    if (signal.aborted) return exitCodes.interrupted;
    return notRunning(error, site, language);
  } finally {
    await source?.close();
  }
}
