import leven from "leven";
import type { Language } from "../../config/error-texts.ts";
import { quoted } from "../../config/words.ts";
import { describeError, type ErrorCode, errorTable, exitCodes } from "../../errors.ts";
import { languageOf } from "../../words.ts";
import { notFoundError } from "../errors.ts";
import { explainWords } from "./explain-words.ts";
import { hint, printData, printLines } from "../output.ts";
import { displayWidth, pad, paint } from "../../text.ts";

/** One code as `kerb explain --json` has it. `group`: the middle of the code. */
export interface Explained {
  code: ErrorCode;
  group: string;
  title: string;
  likely: string;
  do: string;
  /** The gateway tries again by itself. */
  retry: boolean;
}

/** Further codes that a mistyped one may mean. */
const nearMax = 4;
const changesMax = 5;

const codes = Object.keys(errorTable).sort() as ErrorCode[];

/** "DEV" of KERB-DEV-SILENT. */
export function groupOf(code: string): string {
  return code.split("-")[1] ?? "";
}

/** "dev-silent" is KERB-DEV-SILENT. */
function whole(given: string): string {
  const upper = given.trim().toUpperCase().replaceAll("_", "-");
  return upper.startsWith("KERB-") ? upper : `KERB-${upper}`;
}

/** The codes that a person may have meant, nearest first: mistyped ones, and those that end with the same word. */
function nearCodes(given: string): ErrorCode[] {
  const last = given.slice(given.lastIndexOf("-") + 1);
  const distance = (code: string) =>
    code.endsWith(`-${last}`) ? 1 : leven(given, code, { maxDistance: changesMax + 1 });
  const near = codes
    .map((code) => ({ code, changes: distance(code) }))
    .filter(({ changes }) => changes <= changesMax)
    .sort((a, b) => a.changes - b.changes);
  const least = near[0]?.changes ?? 0;
  return near
    .filter(({ changes }) => changes <= least + 1)
    .slice(0, nearMax)
    .map(({ code }) => code);
}

/** The codes that are named by one, by a group (KERB-DEV), or by nothing: all. */
function chosen(given: string | undefined, language: Language): ErrorCode[] {
  if (given === undefined) return codes;
  const code = whole(given);
  const group = codes.filter((one) => one === code || one.startsWith(`${code}-`));
  const exact = group.filter((one) => one === code);
  if (group.length > 0) return exact.length > 0 ? exact : group;
  const text = explainWords[language];
  const near = nearCodes(code);
  throw notFoundError(
    text.unknown(quoted(given).slice(1, -1)),
    near.length === 0 ? text.lists : text.near(near.join(", ")),
    language,
  );
}

function explained(code: ErrorCode, language: Language): Explained {
  const { title, likely, do: remedy, retry } = describeError(code, language);
  return { code, group: groupOf(code), title, likely, do: remedy, retry };
}

function oneLines({ code, title, likely, do: remedy, retry }: Explained, language: Language): string[] {
  const text = explainWords[language];
  const rows: [string, string][] = [
    [text.likely, likely],
    [text.remedy, remedy],
    [text.retry, retry ? text.retried : text.notRetried],
  ];
  const width = Math.max(...rows.map(([name]) => displayWidth(name)));
  return [
    `${paint("bold", code)}  ${title}`,
    ...rows.map(([name, told]) => `  ${pad(name, width)}  ${told}`),
  ];
}

function tableLines(list: readonly Explained[], language: Language): string[] {
  const names: Record<string, string> = explainWords[language].groups;
  const width = Math.max(...list.map(({ code }) => code.length));
  const groups = Map.groupBy(list, ({ group }) => group);
  return [...groups].flatMap(([group, members], i) => [
    ...(i === 0 ? [] : [""]),
    paint("bold", names[group] ?? group),
    ...members.map(({ code, title }) => `  ${code.padEnd(width)}  ${title}`),
  ]);
}

/**
 * `kerb explain [CODE]`: what a code means, its likely cause and what to do; without one, or with a group such as
 * KERB-DEV, the table. Needs neither a gateway nor a network. Exit code 3 when there is no such code.
 */
export async function explain(
  given: string | undefined,
  options: { json?: boolean; lang?: Language },
): Promise<number> {
  const language = languageOf(options.lang);
  const list = chosen(given, language).map((code) => explained(code, language));
  const [only] = list;
  if (options.json === true) printData("explain", { codes: list });
  else if (list.length === 1 && only !== undefined) printLines(oneLines(only, language));
  else {
    printLines(tableLines(list, language));
    hint(`\n${explainWords[language].more}`);
  }
  return exitCodes.ok;
}
