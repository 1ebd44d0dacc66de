import { SocketDeniedError } from "../control/control.ts";
import { ConfigError, describeError, exitCodes } from "../errors.ts";
import { languageOf } from "../words.ts";
import { configCure, cureLines } from "./config/config-cure.ts";
import { complaintWords } from "./complaint-words.ts";
import { CommandError, type Complaint, renderComplaint } from "./errors.ts";
import { strayFileError } from "./files.ts";
import { isColour } from "../text.ts";

/** Every verb's machine-readable line: `{"api":"kerb/v1","kind":…,"ok":true,"data":…}`. */
export function printData(kind: string, data: unknown): void {
  process.stdout.write(`${JSON.stringify({ api: "kerb/v1", kind, ok: true, data })}\n`);
}

/** The line of a failure: `{"api":"kerb/v1","kind":…,"ok":false,"error":{"code","title","hint"}}`. */
export function printFailure(kind: string, { code, title, hint: cure, details = [], more }: Complaint): void {
  const error = { code, title, hint: cure ?? "", ...Object.fromEntries(details), ...more };
  process.stdout.write(`${JSON.stringify({ api: "kerb/v1", kind, ok: false, error })}\n`);
}

/** Colours that kerb uses, but nothing that hides text; and all that moves a cursor or turns a line round. */
const controls =
  // oxlint-disable-next-line no-control-regex
  /\u001b\[(?:[0-79]|2\d|[349][0-79])?m|(?![\t\n])[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

/** The last net: whoever prints a text from elsewhere has made it `printable`, or should have. */
function tame(text: string): string {
  return text.replaceAll(controls, (one) => (one.length > 1 ? one : "\ufffd"));
}

/** Lines for people on stdout. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(tame(lines.map((line) => `${line}\n`).join("")));
}

/** Progress and hints on stderr, where they spoil no pipe. */
export function hint(text: string): void {
  process.stderr.write(`${tame(text)}\n`);
}

function complaintOf(error: unknown): Complaint {
  if (error instanceof CommandError) return error.complaint;
  if (error instanceof ConfigError) {
    const code = error.diagnostics[0]?.code ?? "KERB-CFG-VALUE";
    return {
      code,
      exitCode: error.exitCode,
      title: error.message,
      hint: configCure(error) ?? describeError(code, languageOf()).do,
    };
  }
  if (error instanceof SocketDeniedError) {
    const text = complaintWords[languageOf()];
    const [title, cure] = [text.denied(error.socket), text.deniedCure(error.socket)];
    return { code: "KERB-CLI-NOT-RUNNING", exitCode: exitCodes.unexpected, title, hint: cure };
  }
  const ofFile = strayFileError(error);
  if (ofFile !== undefined) return ofFile.complaint;
  const title = error instanceof Error ? error.message : String(error);
  return { code: "KERB-CLI-FAILED", exitCode: exitCodes.unexpected, title };
}

/** Prints why a verb failed, for people or as JSON, and gives its exit code. */
export function reportFailure(kind: string, error: unknown, json: boolean): number {
  const complaint = complaintOf(error);
  if (json) printFailure(kind, complaint);
  else if (error instanceof ConfigError) {
    hint([error.render({ colour: isColour(process.stderr) }), ...cureLines(error)].join("\n"));
  } else hint(renderComplaint(complaint));
  if (process.env["KERB_DEBUG"] !== undefined && error instanceof Error) hint(error.stack ?? "");
  return complaint.exitCode;
}

/** Aborts at the first SIGINT, SIGTERM or SIGHUP. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => controller.abort(name));
  return controller.signal;
}

/** Resolves when the signal aborts, or after `ms`; leaves no timer behind. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
