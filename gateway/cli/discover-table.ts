import type { Language } from "../config/error-texts.ts";
import type { Finding } from "../discovery/kept.ts";
import { printable } from "../errors.ts";
import { discoverWords } from "./discover-words.ts";
import { type Column, table } from "./text.ts";

/** What `kerb discover` has found, for people. */

const whoMax = 44;
const shownMore = ["heard", "title", "server", "deviceName", "members", "sysDescr", "snmpEngineID", "siteId"];

/** "Schreder CAB-M4, fw 2.1.8"; of one that names no model what else it says. */
function whoIs({ identity }: Finding, language: Language): string {
  const { vendor, model, firmware, more = {} } = identity;
  const name = [vendor, model].filter((part) => part !== undefined).join(" ");
  const parts = [name, firmware === undefined ? "" : `fw ${firmware}`].filter((part) => part !== "");
  if (parts.length > 0) return printable(parts.join(", "));
  const other = shownMore.find((key) => more[key] !== undefined);
  return other === undefined ? discoverWords[language].nameless : printable(more[other] ?? "");
}

function matchOf({ match, fits, known }: Finding, language: Language): string {
  const words = discoverWords[language];
  if (known !== undefined) return words.already(known);
  return match === "likely" && fits !== undefined ? words.likely(fits.fits, fits.of) : words.matches[match];
}

/** The table; with `why` each line is followed by its reasons. */
export function foundLines(found: readonly Finding[], why: boolean, language: Language): string[] {
  const [number, place, protocol, who, profile, match] = discoverWords[language].titles;
  const columns: Column[] = [
    { title: number, side: "right" },
    { title: place },
    { title: protocol },
    { title: who, widthMax: whoMax },
    { title: profile },
    { title: match },
  ];
  const rows = found.map((one) => [
    String(one.number),
    printable(one.place),
    one.driver,
    whoIs(one, language),
    one.profile ?? "-",
    matchOf(one, language),
  ]);
  const [titles = "", ...lines] = table(columns, rows);
  const reasons = ({ reasons: all }: Finding): string[] => all.map((one) => `     ${printable(one[language])}`);
  return [titles, ...lines.flatMap((line, i) => [line, ...(why ? reasons(found[i] as Finding) : [])])];
}

/** What is worth typing next: one that can be added as it is, and one that wants a login. */
export function nextCommands(found: readonly Finding[]): string[] {
  const fresh = found.filter(({ known }) => known === undefined);
  const order = ["exact", "likely", "generic"];
  const ready = fresh
    .filter(({ match, needs }) => order.includes(match) && needs.length === 0)
    .toSorted((a, b) => order.indexOf(a.match) - order.indexOf(b.match))[0];
  const login = fresh.find(({ needs }) => needs.includes("user") || needs.includes("password"));
  return [
    ...(ready === undefined ? [] : [`kerb device add ${ready.number}`]),
    ...(login === undefined ? [] : [`kerb device add ${login.number} --user NAME`]),
  ];
}
