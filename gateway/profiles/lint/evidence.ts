import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Path } from "../../config/path.ts";
import { didYouMean } from "../../config/words.ts";
import type { Profile } from "../profiles.ts";
import type { Lint } from "./findings.ts";

/** Where each line of a profile was read, and what its status claims of that. */

type Evidence = { path: Path; source: string | undefined; certainty: "seen" | "to-verify"; owes: boolean };

/** Every line that has evidence. `owes`: it must have some; a record has its fields', where each of them has some. */
function* linesOf({ templates, records, identify }: Profile): Generator<Evidence> {
  const one = (
    path: Path,
    { source, certainty }: Pick<Evidence, "certainty"> & { source?: string | undefined },
    owes: boolean,
  ) => ({ path, source, certainty, owes });
  for (const { name, sentinels, ...point } of templates) {
    yield one(["points", name], point, true);
    for (const [i, sentinel] of sentinels.entries())
      yield one(["points", name, "sentinels", i], sentinel, false);
  }
  for (const { name, fields, ...record } of records) {
    const areFounded =
      fields.length > 0 &&
      fields.every(({ source, certainty }) => source !== undefined || certainty === "to-verify");
    yield one(["records", name], record, !areFounded);
    for (const { name: field, sentinels, ...rest } of fields) {
      const path = ["records", name, "fields", field];
      yield one(path, rest, false);
      for (const [i, sentinel] of sentinels.entries()) yield one([...path, "sentinels", i], sentinel, false);
    }
  }
  for (const [i, expected] of identify.expect.entries()) yield one(["identify", "expect", i], expected, true);
}

/** How many lines of a profile say `to-verify`. */
export function unverifiedLines(profile: Profile): number {
  return [...linesOf(profile)].filter(({ certainty }) => certainty === "to-verify").length;
}

/** Ids among which a mistyped one is looked for. */
const idsMax = 200;

const admitsDoubt = (text: string): boolean => /\bto[- ]verify\b/i.test(text);
const wordsOf = (text: string): Set<string> =>
  new Set(text.match(/[A-Za-z0-9_.-]+/g)?.map((word) => word.replace(/(?<!\.)\.+$/, "")));

/** The ids that a source text names, and those before a ":" that are nowhere listed. */
function cited(text: string, ids: readonly string[]): { known: string[]; unknown: string[] } {
  const words = wordsOf(text);
  const heads = text.split(";").flatMap((part) => /^\s*([A-Za-z][\w.-]*):/.exec(part)?.[1] ?? []);
  return {
    known: ids.filter((id) => words.has(id)),
    unknown: heads.filter((head) => !ids.includes(head) && !admitsDoubt(head)),
  };
}

function checkSource(lint: Lint, at: Path, text: string, isDoubtful: boolean): string[] {
  const ids = Object.keys(lint.profile.sources);
  const { known, unknown } = cited(text, ids);
  for (const id of unknown)
    lint.say(
      "evidence",
      at,
      `there is no source "${id}" under sources${didYouMean(id, ids.slice(0, idsMax))}`,
      `không có nguồn "${id}" trong sources`,
    );
  if (known.length === 0 && unknown.length === 0 && !isDoubtful)
    lint.say(
      "evidence",
      at,
      'it names no id under sources: name one, or write "certainty: to-verify"',
      'không nêu mã nguồn nào trong sources: hãy nêu một nguồn, hoặc ghi "certainty: to-verify"',
    );
  return known;
}

function checkLine(lint: Lint, { path, source, certainty, owes }: Evidence): string[] {
  const isDoubtful = certainty === "to-verify";
  if (source === undefined) {
    if (owes && !isDoubtful)
      lint.say(
        "evidence",
        path,
        'it does not say where it was read: write "source", or "certainty: to-verify" where no source says so',
        'không nói đã đọc ở đâu: hãy ghi "source", hoặc "certainty: to-verify" nếu không nguồn nào nói vậy',
        { at: "key" },
      );
    return [];
  }
  const at = [...path, "source"];
  if (!isDoubtful && admitsDoubt(source))
    lint.say(
      "evidence",
      at,
      'it says that it is to be verified, and not "certainty: to-verify"',
      'nói là cần kiểm chứng nhưng không ghi "certainty: to-verify"',
    );
  return checkSource(lint, at, source, isDoubtful);
}

function checkStatus(lint: Lint): void {
  const { profile } = lint;
  const { status } = profile;
  if (status !== "community") {
    for (const { path, certainty } of linesOf(profile))
      if (certainty === "to-verify")
        lint.say(
          "status",
          [...path, "certainty"],
          `a profile with a line to verify is not "${status}": it is at most "community"`,
          `hồ sơ còn dòng cần kiểm chứng thì không thể là "${status}": nhiều nhất là "community"`,
        );
    for (const [index, { source }] of profile.quirks.entries())
      if (admitsDoubt(source))
        lint.say(
          "status",
          ["quirks", index, "source"],
          `a profile with a quirk to verify is not "${status}": it is at most "community"`,
          `hồ sơ còn lưu ý cần kiểm chứng thì không thể là "${status}": nhiều nhất là "community"`,
        );
  }
  if (status === "field-verified" && !hasCapturedFrames(profile))
    lint.say(
      "status",
      ["status"],
      `"field-verified" needs captured frames: a file under drivers/${profile.driver}/frames with a line "captured: …" that names the model`,
      `"field-verified" cần khung đã thu thật: một tệp trong drivers/${profile.driver}/frames có dòng "captured: …" nêu tên model`,
    );
}

const driverFolder = fileURLToPath(new URL("../../../drivers/", import.meta.url));

/** Is there a file of the driver with a line "captured: <device, firmware, day, who>" that names the model? */
function hasCapturedFrames({ driver, model }: Profile): boolean {
  const folder = `${driverFolder}${driver}/frames`;
  if (!existsSync(folder)) return false;
  return readdirSync(folder).some((file) => {
    const lines = file.endsWith(".txt") ? readFileSync(`${folder}/${file}`, "utf8").split("\n") : [];
    return lines.some(
      (line) => /^captured: +\S/.test(line) && line.toLowerCase().includes(model.toLowerCase()),
    );
  });
}

/** Sources of points, records, markers and quirks; those that are listed and not used; what the status claims. */
export function checkEvidence(lint: Lint): void {
  const { profile } = lint;
  const used = new Set([...linesOf(profile)].flatMap((line) => checkLine(lint, line)));
  for (const [index, { source }] of profile.quirks.entries())
    for (const id of checkSource(lint, ["quirks", index, "source"], source, admitsDoubt(source)))
      used.add(id);
  const { is } = profile.identify ?? {};
  const recognised = typeof is === "object" ? is.source : undefined;
  if (recognised !== undefined)
    for (const id of checkSource(lint, ["identify", "is", "source"], recognised, admitsDoubt(recognised)))
      used.add(id);
  for (const id of Object.keys(profile.sources)) {
    if (!used.has(id))
      lint.say(
        "source",
        ["sources", id],
        `no line names the source "${id}": cite it where it was read, or leave it out`,
        `không dòng nào nêu nguồn "${id}": hãy dẫn nó ở nơi đã đọc, hoặc bỏ đi`,
        { at: "key", severity: "warning" },
      );
  }
  checkStatus(lint);
}
