import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Language } from "../config/error-texts.ts";
import { fileError, writeGiven } from "./files.ts";

/** The file that a verb writes in the end, after it has asked a device for minutes. */

/** May a file be written there, in a folder that may still have to be made? Throws `CommandError`, exit code 2. */
export function checkFolder(file: string, language: Language): void {
  let folder = dirname(file);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error(folder), { code: "ENOTDIR" });
    accessSync(folder, constants.W_OK | constants.X_OK);
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true)
      throw Object.assign(new Error(file), { code: "EISDIR" });
  } catch (error) {
    throw fileError(file, error, "write", language);
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
  } catch (error) {
    throw fileError(file, error, "write", language);
  }
  writeGiven(file, text, options, language);
}
