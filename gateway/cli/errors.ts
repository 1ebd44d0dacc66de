import type { DeviceErrorCode } from "../driver.ts";
import type { Language } from "../config/error-texts.ts";
import { type ErrorCode, describeError, deviceErrorCode, exitCodes, printable } from "../errors.ts";

/** What went wrong with a command, and what to do about it. */
export interface Complaint {
  /** An error code of the table, or one of the command line's own: KERB-CLI-… */
  code:
    | ErrorCode
    | "KERB-CLI-USAGE"
    | "KERB-CLI-NOT-FOUND"
    | "KERB-CLI-NOT-RUNNING"
    | "KERB-CLI-TAKEN"
    | "KERB-CLI-FAILED";
  exitCode: number;
  /** One sentence. */
  title: string;
  /** The cure. */
  hint?: string;
  /** Further lines for people, such as what was seen and what the cause likely is. */
  details?: [name: string, text: string][];
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
export function usageError(title: string, hint: string): CommandError {
  return new CommandError({ code: "KERB-CLI-USAGE", exitCode: exitCodes.usage, title, hint });
}

/** Something that was named does not exist; exit code 3. */
export function notFoundError(title: string, hint: string): CommandError {
  return new CommandError({ code: "KERB-CLI-NOT-FOUND", exitCode: exitCodes.notFound, title, hint });
}

/** The title, likely cause and remedy of a device's failure; exit code 5. `seen` is the driver's own sentence. */
export function deviceFailure(
  device: string,
  code: DeviceErrorCode,
  seen: string,
  language: Language,
): CommandError {
  return tableError(device, deviceErrorCode(code), seen, language);
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
    details: [
      ["seen", printable(seen)],
      ["likely", likely],
    ],
  });
}

/** The lines of a complaint on stderr. */
export function renderComplaint({ code, title, hint, details = [] }: Complaint): string {
  const isTable = !code.startsWith("KERB-CLI-");
  const remedy: [string, string][] = hint === undefined ? [] : [["do", hint]];
  const lines = [...details, ...remedy].map(([name, text]) => `  ${name.padEnd(7)} ${text}`);
  return [`kerb: ${isTable ? `${code}  ` : ""}${title}`, ...lines].join("\n");
}
