import type { DeviceErrorCode } from "../driver.ts";
import type { Language } from "../config/error-texts.ts";
import { type ErrorCode, describeError, deviceErrorCode, exitCodes, printable } from "../errors.ts";
import { languageOf } from "../words.ts";
import { dictionary } from "./language.ts";
import { displayWidth, forDevice, pad } from "../text.ts";

/** What went wrong with a command, and what to do about it. */
export interface Complaint {
  code: ErrorCode;
  exitCode: number;
  /** One sentence. */
  title: string;
  /** The cure. */
  hint?: string;
  /** Further lines for people: what was seen and what the cause likely is. */
  details?: [name: "seen" | "likely", text: string][];
  /** For scripts alone. */
  more?: Record<string, unknown>;
  /** Of the labels before the lines; title and hint are written in it already. */
  language?: Language;
}

/** Ends a verb: the command line prints the complaint and exits with its code. */
export class CommandError extends Error {
  readonly complaint: Complaint;
  constructor(complaint: Complaint) {
    super(complaint.title);
    this.name = "CommandError";
    this.complaint = complaint;
  }
}

/** A wrong argument; exit code 2. */
export function usageError(title: string, hint: string, language = languageOf()): CommandError {
  return new CommandError({ code: "KERB-CLI-USAGE", exitCode: exitCodes.usage, title, hint, language });
}

/** Something that was named does not exist; exit code 3. */
export function notFoundError(title: string, hint: string, language = languageOf()): CommandError {
  return new CommandError({
    code: "KERB-CLI-NOT-FOUND",
    exitCode: exitCodes.notFound,
    title,
    hint,
    language,
  });
}

/** The title, likely cause and remedy of a device's failure; exit code 5. `seen` is the driver's own sentence. */
export function deviceFailure(
  device: string,
  code: DeviceErrorCode,
  seen: string,
  language: Language,
): CommandError {
  const { complaint } = tableError(device, deviceErrorCode(code), seen, language);
  return new CommandError({ ...complaint, hint: forDevice(complaint.hint ?? "", device) });
}

/** An error of the table at a place: a device, a driver, a site file; exit code 5 unless another one is given. */
export function tableError(
  place: string,
  code: ErrorCode,
  seen: string,
  language: Language,
  exitCode: number = exitCodes.noAnswer,
): CommandError {
  const { title, likely, do: remedy } = describeError(code, language);
  return new CommandError({
    code,
    exitCode,
    title: `${place}: ${title}`,
    hint: remedy,
    language,
    details: [
      ["seen", printable(seen)],
      ["likely", likely],
    ],
  });
}

/** The lines of a complaint on stderr. */
export function renderComplaint(complaint: Complaint): string {
  const { code, title, hint, details = [], language = languageOf() } = complaint;
  const isTable = !code.startsWith("KERB-CLI-");
  const words = dictionary[language];
  const width = 1 + Math.max(...[words.seen, words.likely, words.remedy].map(displayWidth));
  const remedy = hint === undefined ? [] : [[words.remedy, hint] as const];
  const lines = [...details.map(([name, text]) => [words[name], text] as const), ...remedy].map(
    ([name, text]) => `  ${pad(name, width)} ${text}`,
  );
  return [`kerb: ${isTable ? `${code}  ` : ""}${title}`, ...lines].join("\n");
}
