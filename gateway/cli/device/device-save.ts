import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import type { DeviceConfig } from "../../config/config.ts";
import {
  type ChangedLine,
  changedLines,
  EditError,
  indexOfDevice,
  placeOfDevice,
} from "../../config/device-edits.ts";
import type { Language } from "../../config/error-texts.ts";
import { type Change, ChangedMeanwhileError, type DevicesFiles } from "../../config/devices-file.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { type Taken, tellGateway } from "./device-apply.ts";
import { type DeviceWords, deviceWords } from "./device-words.ts";
import { CommandError, usageError } from "../errors.ts";
import { hint, printLines } from "../output.ts";
import { askYes, isPersonThere, NoAnswerError } from "../prompt.ts";
import { paint } from "../../text.ts";

/** What the verbs that change files share: show the lines, ask, save, tell the gateway. */

/** Options of every verb that changes a file. */
export interface SaveOptions {
  site?: string;
  yes?: boolean;
  json?: boolean;
  lang?: Language;
}

/** A verb that was ended by its person; nothing was saved. */
class SaidNoError extends Error {}

/** Not allowed: exit code 7. */
function notAllowed(title: string, cure: string, language: Language): CommandError {
  return new CommandError({
    code: "KERB-CLI-USAGE",
    exitCode: exitCodes.notAllowed,
    title,
    hint: cure,
    language,
  });
}

/** `FILE:LINE` as an editor takes it. */
export function shownPlace({ place }: Pick<DeviceConfig, "place">): string {
  return `${shownFile(place.file)}:${place.line}`;
}

/** Throws `CommandError` where the file of a device is the site file; `what` is to be done by hand then. */
export function checkEditable(
  files: DevicesFiles,
  device: DeviceConfig,
  what: (words: DeviceWords, place: { first: number; last: number }) => string,
  language: Language,
): void {
  const { file } = device.place;
  if (file !== files.siteFile) return checkWritable(file, language);
  const words = deviceWords[language];
  const text = files.textOf(file) ?? "";
  const place = placeOfDevice(text, indexOfDevice(text, device.id));
  const title = words.handWritten(device.id, shownPlace(device));
  throw notAllowed(title, words.handHint(what(words, place)), language);
}

/** Throws `CommandError` where this user may not write a file: before a device is asked for minutes. */
export function checkWritable(file: string, language: Language): void {
  let folder = dirname(file);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw cannotWrite(file, error, language);
  }
}

function cannotWrite(file: string, error: unknown, language: Language): CommandError {
  const words = deviceWords[language];
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return notAllowed(words.cannotWrite(shownFile(file), code), words.cannotWriteHint, language);
}

/** Makes a change of one device's lines; what cannot be done by ranges has to be done by hand. */
export function edited(device: DeviceConfig, language: Language, edit: () => Change): Change {
  try {
    return edit();
  } catch (error) {
    if (!(error instanceof EditError)) throw error;
    const words = deviceWords[language];
    const { file } = device.place;
    throw notAllowed(
      words.byHand(shownFile(file), words.whyByHand[error.reason](printable(error.detail))),
      words.byHandHint(shownPlace(device)),
      language,
    );
  }
}

const linesMax = 60;

/** The lines that go and come, as people read them before they say yes. */
export function shownChange(change: Change, words: DeviceWords): string[] {
  const file = shownFile(change.file);
  if (change.after === undefined) return [words.willDelete(file)];
  const lines = linesOf(change);
  const width = Math.max(...lines.map(({ number }) => String(number).length), 3);
  const row = ({ sign, number, text }: ChangedLine) =>
    paint(sign === "+" ? "green" : "red", `  ${String(number).padStart(width)} ${sign} ${printable(text)}`);
  const more = lines.length > linesMax ? ["  …"] : [];
  return [
    words.willWrite(file, lines.length, change.before === undefined),
    ...lines.slice(0, linesMax).map(row),
    ...more,
  ];
}

/** The lines of a change. */
function linesOf({ before = "", after = "" }: Change): ChangedLine[] {
  return changedLines(before, after);
}

/** Asks whether to go on. Throws `CommandError` where nobody can be asked, `SaidNoError` where the answer is no. */
export async function agree(
  question: string,
  otherwise: boolean,
  options: SaveOptions,
  language: Language,
): Promise<void> {
  if (options.yes === true) return;
  const words = deviceWords[language];
  if (options.json === true || !isPersonThere())
    throw notAllowed(`${words.notSaved}: ${words.needsYes}`, words.needsYesHint, language);
  if (!(await askYes(question, otherwise))) throw new SaidNoError();
}

/** What has become of a change. */
export interface Saved {
  file: string;
  deleted: boolean;
  lines: ChangedLine[];
  gateway: Taken;
}

/** Saves what was agreed on, does `whenSaved`, and tells the gateway. Throws `CommandError`. */
export async function store(
  files: DevicesFiles,
  change: Change,
  options: SaveOptions,
  language: Language,
  whenSaved?: () => void,
): Promise<Saved> {
  const words = deviceWords[language];
  const file = shownFile(change.file);
  try {
    files.save(change);
  } catch (error) {
    if (error instanceof ChangedMeanwhileError)
      throw usageError(`${words.notSaved}: ${words.meanwhile(file)}`, words.meanwhileHint, language);
    throw cannotWrite(change.file, error, language);
  }
  whenSaved?.();
  const lines = linesOf(change);
  const deleted = change.after === undefined;
  const { gateway, sentence } = await tellGateway(files.siteFile, language);
  if (options.json !== true) {
    const fresh = lines.filter(({ sign }) => sign === "+");
    const where = fresh.length === 0 ? "" : `:${fresh[0]!.number}`;
    printLines([deleted ? words.deleted(file) : words.saved(file, where)]);
    hint(sentence);
  }
  return { file: change.file, deleted, lines, gateway };
}

/** Runs a verb that asks; Ctrl-C and no end it with 130 and "Not saved". */
export async function asking(language: Language, work: () => Promise<number>): Promise<number> {
  const words = deviceWords[language];
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SaidNoError) && !(error instanceof NoAnswerError)) throw error;
    hint(`${words.notSaved}: ${error instanceof SaidNoError ? words.saidNo : words.interrupted}`);
    return exitCodes.interrupted;
  }
}
