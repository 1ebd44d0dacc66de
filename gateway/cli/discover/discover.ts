import { createInterface } from "node:readline/promises";
import type { Language } from "../../config/error-texts.ts";
import { keepFindings, type Finding } from "../../discovery/kept.ts";
import { listLooking, loadLooking } from "../../discovery/looks.ts";
import { type AddressRange, ownNetworks, rangeOf } from "../../discovery/range.ts";
import { search, type Wanted } from "../../discovery/search.ts";
import { realPort } from "../../discovery/known.ts";
import type { BrokerToHear, DeviceErrorCode, LineToSearch } from "../../driver.ts";
import { exitCodes } from "../../errors.ts";
import { languageOf } from "../../words.ts";
import { heldFindings, type Neighbours, neighbours } from "./discover-site.ts";
import { foundLines, nextCommands } from "./discover-table.ts";
import { discoverWords } from "./discover-words.ts";
import { CommandError, deviceFailure, notFoundError, usageError } from "../errors.ts";
import { Findings } from "../report/findings.ts";
import { lastLook, stateFolderOf } from "./last-discovered.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { Progress } from "../progress.ts";
import { findSite } from "../site.ts";
import { span } from "../../text.ts";

export interface DiscoverOptions {
  serial?: string;
  units?: number[];
  bauds?: number[];
  parity?: "none" | "even" | "odd";
  broker?: string;
  username?: string;
  password?: string;
  driver?: string;
  ports?: number[];
  callPort?: number;
  forMs?: number;
  why?: boolean;
  last?: boolean;
  yes?: boolean;
  site?: string;
  json?: boolean;
  lang?: Language;
}

const forMsDefault = 5000;

/** What `kerb discover --json` prints as `data`. */
export interface DiscoveryOutput {
  /** Networks, lines and brokers that were looked at. */
  looked: string[];
  found: Finding[];
  /** Ctrl-C came before the end. */
  interrupted: boolean;
  tookMs: number;
  troubles: { driver: string; code: DeviceErrorCode; reason: string }[];
}

/** The site file that is compared with, where there is one. */
function siteOf(given: string | undefined): string | undefined {
  try {
    return findSite(given);
  } catch (error) {
    if (given !== undefined) throw error;
    return undefined;
  }
}

function brokerOf(options: DiscoverOptions, language: Language): BrokerToHear | undefined {
  const { broker, username, password } = options;
  if (broker === undefined) return undefined;
  const url = URL.parse(broker);
  const isSecure = url?.protocol === "mqtts:";
  if (url === null || !(isSecure || url.protocol === "mqtt:") || url.hostname === "" || url.password !== "")
    throw usageError(
      `"${broker.replace(/\/\/[^@/]*@/, "//…@")}"`,
      discoverWords[language].brokerForm,
      language,
    );
  return {
    host: url.hostname.replaceAll(/[[\]]/g, ""),
    port: Number(url.port || (isSecure ? 8883 : 1883)),
    isSecure,
    ...(username === undefined ? {} : { username }),
    ...(username === undefined || password === undefined ? {} : { password }),
  };
}

async function agreed(language: Language): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^(y|yes|c|có)$/i.test((await lines.question(discoverWords[language].go)).trim());
  } finally {
    lines.close();
  }
}

/** The networks of this box, after a person has seen which. */
async function ownRanges(options: DiscoverOptions, language: Language): Promise<string[]> {
  const words = discoverWords[language];
  const { networks, large } = ownNetworks();
  const shown = (list: typeof networks): string =>
    list.map(({ cidr, interface: name }) => `${cidr} (${name})`).join(", ");
  if (large.length > 0) hint(words.tooLarge(shown(large)));
  if (networks.length === 0) throw usageError(words.noNetworks, words.noNetworksHint, language);
  const cidrs = [...new Set(networks.map(({ cidr }) => cidr))];
  hint(words.ownNetworks(shown(networks)));
  if (options.yes === true) return cidrs;
  const isPerson = process.stdin.isTTY && options.json !== true;
  if (isPerson && (await agreed(language))) return cidrs;
  throw new CommandError({
    code: "KERB-CLI-USAGE",
    exitCode: exitCodes.notAllowed,
    title: isPerson ? words.notLooked : `${words.notLooked}: ${words.needsYes}`,
    hint: words.needsYesHint(cidrs.join(" ")),
    language,
  });
}

function rangeNamed(texts: readonly string[], language: Language): AddressRange {
  const range = rangeOf(texts);
  if (!("problem" in range)) return range;
  const words = discoverWords[language];
  throw usageError(words.problem[range.problem](range.text), words.problemHint[range.problem], language);
}

/** A line that the running gateway holds is its own. */
function lineOf(options: DiscoverOptions, near: Neighbours, language: Language): LineToSearch | undefined {
  const { serial: port, bauds, parity } = options;
  if (port === undefined) return undefined;
  const words = discoverWords[language];
  const holding = near.isRunning ? near.occupied.lines.get(realPort(port)) : undefined;
  if (holding !== undefined)
    throw new CommandError({
      code: "KERB-CLI-TAKEN",
      exitCode: exitCodes.notAllowed,
      title: words.lineHeld(port, holding.map(({ id }) => id).join(", ")),
      hint: words.lineHeldHint(port),
      language,
    });
  return {
    port,
    ...(bauds === undefined ? {} : { bauds }),
    ...(parity === undefined ? {} : { parities: [parity] }),
  };
}

function driversOf(wanted: string | undefined, language: Language): string[] {
  const all = listLooking();
  if (wanted === undefined || all.includes(wanted)) return wanted === undefined ? all : [wanted];
  const words = discoverWords[language];
  throw usageError(words.noDriver(wanted), words.noDriverHint(all.join(", ")), language);
}

function showLast(site: string | undefined, options: DiscoverOptions, language: Language): number {
  const words = discoverWords[language];
  const last = lastLook(site);
  if (last === undefined) throw notFoundError(words.noLast, words.noLastHint);
  if (options.json === true) {
    printData("discovery", { looked: [], found: last.found, interrupted: false, tookMs: 0, troubles: [] });
    return exitCodes.ok;
  }
  // Sweden writes a time as ISO 8601 does, which nobody takes for another day.
  hint(words.lastAt(new Date(last.atMs).toLocaleString("sv")));
  printLines(foundLines(last.found, options.why === true, language));
  return exitCodes.ok;
}

function lookedAt({ range, line, broker }: Wanted, language: Language): string[] {
  const words = discoverWords[language];
  const network =
    range === undefined ? [] : [`${range.names.join(", ")} (${words.addresses(range.addresses.length)})`];
  return [
    ...network,
    ...(line === undefined ? [] : [line.port]),
    ...(broker ? [`${broker.host}:${broker.port}`] : []),
  ];
}

/** Keeps what was found for `kerb device add`; that it cannot be kept is no failure of the look. */
function keep(site: string | undefined, found: Finding[], language: Language): void {
  try {
    keepFindings(
      { version: 1, atMs: Date.now(), ...(site === undefined ? {} : { site }), found },
      stateFolderOf(site),
    );
  } catch (error) {
    hint(discoverWords[language].unkept((error as Error).message));
  }
}

/**
 * `kerb discover`: who is on networks, a serial line or a broker. Reads only, and contacts nobody outside of what was
 * named. Exit codes: 2 wrong arguments, 5 the line or the broker cannot be used, 7 nobody said yes or the gateway
 * holds the line, 130 stopped, with what was found until then.
 */
export async function discover(ranges: readonly string[], options: DiscoverOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = discoverWords[language];
  const site = siteOf(options.site);
  if (options.last === true) return showLast(site, options, language);
  const drivers = driversOf(options.driver, language);
  const broker = brokerOf(options, language);
  const isOwn = ranges.length === 0 && options.serial === undefined && broker === undefined;
  const named = isOwn ? await ownRanges(options, language) : ranges;
  const range = named.length === 0 ? undefined : rangeNamed(named, language);
  const near = await neighbours(site, language);
  const line = lineOf(options, near, language);
  const { isRunning, occupied } = near;
  const wanted: Wanted = {
    ...(range === undefined ? {} : { range }),
    ...(line === undefined ? {} : { line }),
    ...(broker === undefined ? {} : { broker }),
    ...(options.units === undefined ? {} : { units: options.units }),
    ...(options.callPort === undefined ? {} : { callPort: options.callPort }),
    ports: options.ports ?? [],
    forMs: options.forMs ?? forMsDefault,
    isHeld: (host, port) => isRunning && occupied.places.has(`${host}:${port}`),
    isCalledAt: (port) => isRunning && occupied.called.has(port),
  };
  const looked = lookedAt(wanted, language);
  hint(words.looking(looked.join(", ")));
  hint(words.polite);
  const startedMs = performance.now();
  const signal = stopSignal();
  const looking = await loadLooking(drivers);
  const findings = new Findings(looking, near);
  const progress = new Progress(() => words.foundCount(findings.size));
  const troubles: DiscoveryOutput["troubles"] = [];
  findings.addHeld(heldFindings(near, wanted, drivers));
  await search(
    looking,
    wanted,
    {
      found: (driver, found, isAsked) => findings.add(driver, found, isAsked),
      trouble: (driver, { code, message }) => troubles.push({ driver, code, reason: message }),
      doing: (what, text) => progress.doing(what, text),
    },
    signal,
  );
  const found = await findings.chosen(signal, (place) => progress.doing("match", words.comparing(place)));
  progress.end();
  const [trouble] = troubles;
  // The line or the broker itself is what cannot be used.
  if (trouble !== undefined && found.length === 0 && range === undefined && !signal.aborted)
    throw deviceFailure(looked.join(", "), trouble.code, trouble.reason, language);
  keep(site, found, language);
  const output = {
    looked,
    found,
    interrupted: signal.aborted,
    tookMs: Math.round(performance.now() - startedMs),
    troubles,
  } satisfies DiscoveryOutput;
  if (options.json === true) printData("discovery", output);
  else show(output, near, wanted, { ...options, hasSite: site !== undefined }, language);
  return signal.aborted ? exitCodes.interrupted : exitCodes.ok;
}

function show(
  { found, tookMs, troubles, interrupted }: DiscoveryOutput,
  near: Neighbours,
  wanted: Wanted,
  options: DiscoverOptions & { hasSite: boolean },
  language: Language,
): void {
  const words = discoverWords[language];
  if (found.length > 0) printLines(foundLines(found, options.why === true, language));
  for (const { driver, reason } of troubles) hint(words.trouble(driver, reason));
  const called = near.isRunning && wanted.range !== undefined ? [...near.occupied.called] : [];
  for (const [port, devices] of called) hint(words.calledHere(port, devices.map(({ id }) => id).join(", ")));
  if (interrupted) hint(words.interrupted);
  const known = found.filter((one) => one.known !== undefined).length;
  if (found.length === 0) {
    hint(words.nobody(span(tookMs)));
    if (!interrupted) hint(`  ${words.nobodyHint}`);
    return;
  }
  const next = nextCommands(found, options);
  hint(
    [
      words.found(found.length, known, span(tookMs)),
      ...(next.length > 0 ? [words.next(next.join("   "))] : []),
    ].join("   "),
  );
}
