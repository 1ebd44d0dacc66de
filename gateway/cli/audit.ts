import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { checkJournal, type JournalCheck } from "../commands/journal-check.ts";
import { type Entry, linesOf, readLine, segmentsOf } from "../commands/journal-lines.ts";
import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../errors.ts";
import { notFoundError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { printData, printLines } from "./output.ts";
import { controlSocket, findSite } from "./site.ts";
import { grouped } from "./text.ts";

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

const text = {
  en: {
    none: "there is no journal of commands in",
    noneHint:
      "name the gateway's state folder with --state FOLDER; a site that opens nothing for writing has none",
    whole: (records: string, from: string, to: string) =>
      `whole: ${records} records, ${from} to ${to}, every hash is right`,
    broken: "BROKEN",
    declared: "the gateway itself has told of it at",
    cut: "bytes of an unfinished line were cut off",
    lost: "records were lost",
    unread: "a line could not be read",
    torn: "bytes of a line that is not finished yet",
    noHead: "there is no head.json: a tail that was cut off would not be missed",
    tip: "the last hash",
    unreadable: "this line is not what was written",
  },
  vi: {
    none: "không có nhật ký lệnh trong",
    noneHint:
      "chỉ ra thư mục trạng thái bằng --state THƯ_MỤC; nơi không mở điểm nào để ghi thì không có nhật ký",
    whole: (records: string, from: string, to: string) =>
      `nguyên vẹn: ${records} bản ghi, ${from} đến ${to}, mọi mã băm đều đúng`,
    broken: "BỊ SỬA",
    declared: "chính gateway đã khai báo tại",
    cut: "byte của một dòng dở dang đã bị cắt",
    lost: "bản ghi bị mất",
    unread: "một dòng không đọc được",
    torn: "byte của một dòng chưa viết xong",
    noHead: "không có head.json: nếu phần cuối bị cắt sẽ không phát hiện được",
    tip: "mã băm cuối",
    unreadable: "dòng này không phải dòng đã ghi",
  },
};

function journalFolder({ state, site, lang }: AuditOptions): string {
  const folder = join(
    state === undefined ? dirname(controlSocket(findSite(site))) : resolve(state),
    "commands",
  );
  if (existsSync(folder)) return folder;
  const words = text[languageOf(lang)];
  throw notFoundError(`${words.none} ${shownFile(folder)}`, words.noneHint);
}

function checkLines(check: JournalCheck, language: Language): string[] {
  const words = text[language];
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
function recordLine(entry: Entry): string {
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
    word("by"),
    word("code"),
    word("reason"),
  ];
  return printable(texts.filter((one) => one.trim() !== "").join("  "));
}

/** `kerb audit show`: the newest records of the journal of commands. */
export async function auditShow(options: AuditOptions): Promise<number> {
  const folder = journalFolder(options);
  const { last = lastDefault } = options;
  const words = text[languageOf(options.lang)];
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
    else printLines([entry === undefined ? `${place}  ${words.unreadable}` : recordLine(entry)]);
  }
  return exitCodes.ok;
}
