import { accessSync, constants, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Language } from "../config/error-texts.ts";
import { shownFile } from "../errors.ts";
import { type CommandError, usageError } from "./errors.ts";
import { newWords } from "./profile-new-words.ts";

/** The file that a verb writes in the end, after it has asked a device for minutes. */

function cannotWrite(file: string, error: unknown, language: Language): CommandError {
  const words = newWords[language];
  const { code = String(error) } = error as NodeJS.ErrnoException;
  return usageError(words.cannotWrite(shownFile(file), code), words.cannotWriteCure, language);
}

/** May a file be written there, in a folder that may still have to be made? Throws `CommandError`, exit code 2. */
export function checkFolder(file: string, language: Language): void {
  let folder = dirname(file);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    readdirSync(folder);
  } catch (error) {
    throw cannotWrite(file, error, language);
  }
}

/** Writes it, and makes its folder. Throws `CommandError`, exit code 2. */
export function writeOut(
  file: string,
  text: string,
  options: { flag: "w" | "wx"; mode?: number },
  language: Language,
): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, options);
  } catch (error) {
    throw cannotWrite(file, error, language);
  }
}
