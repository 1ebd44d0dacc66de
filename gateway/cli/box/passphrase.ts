import { createInterface } from "node:readline";
import type { Language } from "../../config/error-texts.ts";
import { passphraseCharsMin } from "../../backup/sealed.ts";
import { exitCodes } from "../../errors.ts";
import { backupWords } from "./backup-words.ts";
import { CommandError, usageError } from "../errors.ts";

/** A passphrase from a person, or from the first line of stdin. Never from an argument: other users see those. */

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) return line;
  return "";
}

function interrupted(language: Language): CommandError {
  const [code, exitCode] = ["KERB-CLI-FAILED", exitCodes.interrupted] as const;
  return new CommandError({ code, exitCode, title: backupWords[language].interrupted, language });
}

/** A line that is typed and not shown. */
async function hiddenLine(prompt: string, language: Language): Promise<string> {
  process.stderr.write(prompt);
  const { stdin } = process;
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  let text = "";
  try {
    for await (const chunk of stdin as AsyncIterable<string>)
      for (const key of chunk) {
        if (key === "\r" || key === "\n") return text;
        if (key === "\u0003") throw interrupted(language);
        text = key === "\u007f" || key === "\b" ? Array.from(text).slice(0, -1).join("") : text + key;
      }
    return text;
  } finally {
    stdin.setRawMode(false);
    process.stderr.write("\n");
  }
}

/** `isNew`: it is typed twice and must be long enough. Throws `CommandError`. */
export async function askPassphrase(
  options: { passphraseStdin?: boolean },
  isNew: boolean,
  language: Language,
): Promise<string> {
  const words = backupWords[language];
  const isTyped = options.passphraseStdin !== true;
  if (isTyped && !process.stdin.isTTY) throw usageError(words.nobody, words.nobodyCure, language);
  const passphrase = isTyped ? await hiddenLine(words.passphrase, language) : await firstLine();
  if (!isNew) return passphrase;
  if (Array.from(passphrase).length < passphraseCharsMin)
    throw usageError(words.tooShort(passphraseCharsMin), words.tooShortCure, language);
  if (isTyped && (await hiddenLine(words.again, language)) !== passphrase)
    throw usageError(words.differs, words.differsCure, language);
  return passphrase;
}
