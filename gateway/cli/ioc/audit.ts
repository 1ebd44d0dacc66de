import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { checkJournal, type JournalCheck } from "../../commands/journal-check.ts";
import { type Entry, linesOf, readLine, segmentsOf } from "../../commands/journal-lines.ts";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { auditWords, whoIn } from "./audit-words.ts";
import { notFoundError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { printData, printLines } from "../output.ts";
import { controlSocket, findSite } from "../site.ts";
import { grouped } from "../../text.ts";

export interface AuditOptions {
  site?: string;
  /** The state folder, where the site file is not at hand. */
  state?: string;
  /** The newest so many records. */
  last?: number;
  json?: boolean;
  lang?: Language;
}

const lastDefault = 50;

function journalFolder({ state, site, lang }: AuditOptions): string {
  const folder = join(
    state === undefined ? dirname(controlSocket(findSite(site))) : resolve(state),
    "commands",
  );
  if (existsSync(folder)) return folder;
  const words = auditWords[languageOf(lang)];
  throw notFoundError(`${words.none} ${shownFile(folder)}`, words.noneHint);
}

function checkLines(check: JournalCheck, language: Language): string[] {
  const words = auditWords[language];
  const { records, from, to, hash, break: broken, declared, torn, hasHead } = check;
  return [
    broken === undefined
      ? words.whole(grouped(records), String(from), String(to))
      : `${words.broken} (${broken.what})  ${broken.place}  ${broken.reason}`,
    ...declared.map(({ place, bytes, lost, broken: line }) => {
      const what = [
        ...(bytes === undefined ? [] : [`${bytes} ${words.cut}`]),
        ...(lost === undefined ? [] : [`${lost} ${words.lost}`]),
        ...(line === undefined ? [] : [`${words.unread}: ${line}`]),
      ];
      return `${words.declared} ${place}: ${what.join(", ")}`;
    }),
    ...(torn === undefined ? [] : [`${torn} ${words.torn}`]),
    ...(hasHead ? [] : [words.noHead]),
    `${words.tip} ${hash}`,
  ];
}

/** `kerb audit verify`: whether the journal of commands is what was written; exit code 6 where it is not. */
export async function auditVerify(options: AuditOptions): Promise<number> {
  const check = await checkJournal(journalFolder(options));
  if (options.json === true) printData("audit-verify", check);
  else printLines(checkLines(check, languageOf(options.lang)));
  return check.break === undefined ? exitCodes.ok : exitCodes.findings;
}

function part(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The parts of a record that say the most, in one line. */
function recordLine(entry: Entry, language: Language): string {
  const { n, at, ev, ...rest } = entry;
  const record = rest as Record<string, unknown>;
  const about = { ...part(record["cmd"]), ...part(record["state"]), ...record };
  const word = (key: string): string => (typeof about[key] === "string" ? about[key] : "");
  const told = part(record["state"])["state"] ?? (ev === "wrote" ? record["state"] : undefined);
  const args = record["point"] === undefined ? about["args"] : { [word("point")]: record["value"] };
  const texts = [
    new Date(at).toISOString(),
    String(n).padStart(6),
    ev.padEnd(10),
    typeof told === "string" ? told.padEnd(8) : "",
    word("id") || word("of"),
    word("dev"),
    typeof args === "object" ? JSON.stringify(args) : "",
    whoIn(language, word("by")),
    word("code"),
    word("reason"),
  ];
  return printable(texts.filter((one) => one.trim() !== "").join("  "));
}

/** `kerb audit show`: the newest records of the journal of commands. */
export async function auditShow(options: AuditOptions): Promise<number> {
  const folder = journalFolder(options);
  const { last = lastDefault } = options;
  const language = languageOf(options.lang);
  const words = auditWords[language];
  let newest: { line: string; place: string }[] = [];
  // From the newest segment back, until there are enough.
  for (const segment of (await segmentsOf(folder)).toReversed()) {
    const lines: typeof newest = [];
    for await (const { text: line, line: number, isWhole } of linesOf(folder, segment))
      if (isWhole) lines.push({ line, place: `${segment}:${number}` });
    newest = [...lines, ...newest].slice(-last);
    if (newest.length >= last) break;
  }
  for (const { line, place } of newest) {
    const entry = readLine(line);
    if (options.json === true) printData("audit-record", entry ?? { place, unreadable: true });
    else printLines([entry === undefined ? `${place}  ${words.unreadable}` : recordLine(entry, language)]);
  }
  return exitCodes.ok;
}
