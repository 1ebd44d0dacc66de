import type { Language } from "../../config/error-texts.ts";
import type { Finding } from "../../discovery/kept.ts";
import { printable } from "../../errors.ts";
import { discoverWords } from "./discover-words.ts";
import { siteFlag } from "../site.ts";
import { type Column, displayWidth, table, terminalSize } from "../../text.ts";

/** What `kerb discover` has found, for people. */

const whoMax = 44;
const whoLeast = 20;
const shownMore = ["heard", "title", "server", "deviceName", "members", "sysDescr", "snmpEngineID", "siteId"];

/** "Schreder CAB-M4, fw 2.1.8"; of one that names no model what else it says. */
function whoIs({ identity, settings }: Finding, language: Language): string {
  const { vendor, model, firmware, more = {} } = identity;
  const name = [vendor, model].filter((part) => part !== undefined).join(" ");
  const parts = [name, firmware === undefined ? "" : `fw ${firmware}`].filter((part) => part !== "");
  if (parts.length > 0) return printable(parts.join(", "));
  const other = shownMore.find((key) => more[key] !== undefined);
  if (other !== undefined) return printable(more[other] ?? "");
  const words = discoverWords[language];
  // Whom the running gateway has is shown as the gateway knows him, be he silent.
  return Object.keys(settings).length === 0 ? words.unasked : words.nameless;
}

/** "exact", "likely, 6 of 6". */
export function matchText({ match, fits }: Pick<Finding, "match" | "fits">, language: Language): string {
  const words = discoverWords[language];
  return match === "likely" && fits !== undefined ? words.likely(fits.fits, fits.of) : words.matches[match];
}

const matchOf = (finding: Finding, language: Language): string =>
  finding.known === undefined ? matchText(finding, language) : discoverWords[language].already(finding.known);

const shortened = (place: string): string => printable(place).replace(/ unit (\d+)$/, " u$1");

/** The table; with `why` each line is followed by its reasons. */
export function foundLines(found: readonly Finding[], why: boolean, language: Language): string[] {
  const [number, place, protocol, who, profile, match] = discoverWords[language].titles;
  const rows = found.map((one) => [
    String(one.number),
    shortened(one.place),
    one.driver,
    whoIs(one, language),
    one.profile ?? "-",
    matchOf(one, language),
  ]);
  const titles = [number, place, protocol, who, profile, match];
  const wide = (column: number): number =>
    Math.max(...[titles, ...rows].map((row) => displayWidth(row[column] ?? "")));
  const others = [0, 1, 2, 4, 5].reduce((sum, column) => sum + wide(column) + 2, 0);
  // Who it is gives way on a narrow terminal; in a file nothing must.
  const widthMax = process.stdout.isTTY ? Math.max(whoLeast, terminalSize().columns - others) : whoMax;
  const columns: Column[] = titles.map((title, column) => ({
    title,
    ...(column === 0 ? { side: "right" as const } : {}),
    ...(column === 3 ? { widthMax: Math.min(whoMax, widthMax) } : {}),
  }));
  const [head = "", ...lines] = table(columns, rows);
  const reasons = ({ reasons: all }: Finding): string[] =>
    all.map((one) => `     ${printable(one[language])}`);
  return [head, ...lines.flatMap((line, i) => [line, ...(why ? reasons(found[i] as Finding) : [])])];
}

/** What is worth typing next: one that can be added as it is, and one that wants a login. */
export function nextCommands(
  found: readonly Finding[],
  { hasSite, site }: { hasSite: boolean; site?: string },
): string[] {
  const fresh = found.filter(({ known }) => known === undefined);
  const order = ["exact", "likely", "generic"];
  const ready = fresh
    .filter(({ match }) => order.includes(match))
    .toSorted((a, b) => order.indexOf(a.match) - order.indexOf(b.match))[0];
  const login = fresh.find(({ match, needs }) => match === "login" && needs.includes("user"));
  return [
    // Without a site file there is nothing to add to.
    ...(hasSite || fresh.length === 0 ? [] : ["kerb init"]),
    ...(ready === undefined ? [] : [`kerb device add ${ready.number}${siteFlag(site)}`]),
    ...(login === undefined ? [] : [`kerb device add ${login.number} --user NAME${siteFlag(site)}`]),
  ];
}
