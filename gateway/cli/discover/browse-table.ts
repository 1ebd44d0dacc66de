import type { Language } from "../../config/error-texts.ts";
import type { Browsed, LeftOut } from "../../driver.ts";
import { printable } from "../../errors.ts";
import { settingsNeeded } from "../../profiles/draft/points.ts";
import { browseWords } from "./browse-words.ts";
import { dictionary } from "../language.ts";
import { flowText } from "../../profiles/draft/text.ts";
import { cut, grouped, paint, shownUnit, shownValue, table } from "../../text.ts";

/** What `kerb browse` shows to people: one line an entry, below the name of what it belongs to. */

const nameColumnsMax = 40;
const valueColumnsMax = 36;
const headColumnsMax = 120;

function shownAnswer({ answer, unit, values }: Browsed): string {
  if (answer === undefined) return "";
  const { value, status, code } =
    typeof answer === "object" ? answer : { value: answer, status: "good", code: undefined };
  if (value === null) return `- ${printable(code ?? status)}`;
  const mark = unit === undefined ? "" : (unit.ucum ?? unit.text);
  const text = shownValue(typeof value === "bigint" ? String(value) : value, mark).replaceAll("\t", " ");
  const name = values?.[String(value)];
  const meaning = name === undefined || name === "" ? "" : ` ${printable(name)}`;
  return `${text}${meaning}${status === "good" ? "" : ` (${printable(code ?? status)})`}`;
}

function shownRange({ range, unit }: Browsed): string {
  if (range === undefined) return "";
  const [low, high] = range.map((end) => (Number.isInteger(end) ? grouped(end) : String(end)));
  const mark = unit === undefined ? "" : shownUnit(unit.ucum ?? unit.text);
  return `${low} … ${high}${mark === "" ? "" : ` ${mark}`}`;
}

function shownAddress({ address, more = {} }: Browsed): string {
  if (address !== undefined) return flowText(address);
  return ["-", more["node"], more["why"]]
    .filter((part) => part !== undefined)
    .map(printable)
    .join("  ");
}

/** A type that the protocol does not tell has a "?" behind it. */
function shownType({ what, type = "", guesses, more = {} }: Browsed): string {
  if (guesses !== undefined) return printable(`${type} ?`);
  if (what === "command") return printable(more["arguments"] ?? "");
  const name = more["dataType"];
  return printable(name === undefined || name === type ? type : `${type} (${name})`);
}

/** A command that may not be given stands in brackets. */
function shownAccess(
  { what, access }: Browsed,
  { command, record }: Record<"command" | "record", string>,
): string {
  if (what === "value") return access ?? "?";
  if (what === "record") return record;
  return access === "none" ? `(${command})` : command;
}

/** The name of what an entry belongs to. */
function above({ path }: Browsed): string {
  return path
    .slice(0, -1)
    .map((name) => printable(name))
    .join(" / ");
}

/** The titles, then the entries below the names of what they belong to. */
export function browseLines(entries: readonly Browsed[], language: Language): string[] {
  const words = { ...dictionary[language], ...browseWords[language] };
  const columns = [
    { title: words.nameColumn, widthMax: nameColumnsMax },
    { title: words.typeColumn, widthMax: nameColumnsMax },
    { title: words.accessColumn },
    { title: words.valueColumn, widthMax: valueColumnsMax },
    { title: words.rangeColumn },
    { title: words.addressColumn },
  ];
  const rows = entries.map((entry) => [
    `${entry.path.length > 1 ? "  " : ""}${printable(entry.path.at(-1) ?? "")}`,
    shownType(entry),
    shownAccess(entry, words),
    shownAnswer(entry),
    shownRange(entry),
    shownAddress(entry),
  ]);
  const [head = "", ...lines] = table(columns, rows);
  let place = "";
  return [
    paint("bold", head),
    ...lines.flatMap((line, i) => {
      const entry = entries[i];
      const here = entry === undefined ? "" : above(entry);
      const isNew = here !== place;
      place = here;
      return isNew && here !== "" ? [paint("dim", cut(here, headColumnsMax)), line] : [line];
    }),
  ];
}

/** How many there are, what the addresses need beside, and what was left out and why. */
export function leftLines(
  entries: readonly Browsed[],
  left: readonly LeftOut[],
  limits: { limit: number; depth: number; waitMs: number },
  language: Language,
): string[] {
  const words = browseWords[language];
  const commands = entries.filter(({ what }) => what === "command").length;
  const needed = settingsNeeded(entries);
  const settings = Object.keys(needed).length === 0 ? [] : [`${words.settingsNeeded}: ${flowText(needed)}`];
  return [
    words.entries(entries.length, commands, entries.filter(({ guesses }) => guesses !== undefined).length),
    ...settings,
    ...left.map((one) => printable(words.left(one, limits))),
  ];
}
