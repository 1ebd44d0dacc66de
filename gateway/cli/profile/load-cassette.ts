import { existsSync } from "node:fs";
import { type Cassette, parseCassette } from "../../cassette/cassette.ts";
import type { Language } from "../../config/error-texts.ts";
import { sentenceInVietnamese } from "../../config/vietnamese.ts";
import { fileBytesMax, readText } from "../../config/file-text.ts";
import { ConfigError, exitCodes, printable, shownFile } from "../../errors.ts";
import { languageOf } from "../../words.ts";
import { CommandError, notFoundError } from "../errors.ts";
import { recordWords } from "./record-words.ts";

/** One sentence with its place, and one cure; exit code 78. `line` 0: the file as a whole. */
function unusable(file: string, line: number, what: string, cure: string, language: Language): CommandError {
  const place = `${shownFile(file)}${line === 0 ? "" : `:${line}`}`;
  return new CommandError({
    code: "KERB-CLI-CASSETTE",
    exitCode: exitCodes.configInvalid,
    title: printable(`${place}: ${what}`),
    hint: cure,
    language,
  });
}

/** Has the text a member of this name at its outermost level? */
const has = (text: string, name: string): boolean => new RegExp(`^${name}:`, "m").test(text);

/**
 * The cassette in a file. Throws `CommandError` where there is none (exit code 3), or where it cannot be read, is cut
 * off, too large or otherwise no whole recording (exit code 78).
 */
export function loadCassette(file: string, language: Language = languageOf()): Cassette {
  const words = recordWords[language];
  if (!existsSync(file)) throw notFoundError(words.noFile(printable(file)), words.noFileCure);
  const content = readText(file, fileBytesMax);
  if ("problem" in content) {
    const problem = language === "vi" ? sentenceInVietnamese(content.problem) : content.problem;
    throw unusable(file, 0, words.unreadable(problem), words.unreadableCure, language);
  }
  const { text } = content;
  const lines = text.trimEnd().split("\n").length;
  if (!has(text, "cassette")) throw unusable(file, 1, words.noCassette, words.noCassetteCure, language);
  try {
    return parseCassette(text, file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [first] = error.diagnostics;
    // What is written last is missing first; what else is wrong follows from that.
    if (!has(text, "records")) throw unusable(file, lines, words.cutOff, words.damagedCure, language);
    const { line = 0, message = error.message } = first ?? {};
    throw unusable(file, line, words.damaged(message, error.count - 1), words.damagedCure, language);
  }
}
