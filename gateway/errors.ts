import { relative } from "node:path";
import { cliErrors } from "./cli/error-texts.ts";
import { commandErrors } from "./commands/error-texts.ts";
import {
  configErrors,
  deviceErrors,
  type Language,
  outboxErrors,
  uplinkErrors,
} from "./config/error-texts.ts";
import type { DeviceErrorCode } from "./driver.ts";
import { diagnosisErrors } from "./diagnosis/error-texts.ts";
import { generationErrors } from "./generations/error-texts.ts";
import { healthErrors } from "./health/error-texts.ts";
import { uplinkCauses } from "./health/uplink-error-texts.ts";
import { sentenceInVietnamese } from "./config/vietnamese.ts";
import { logErrors } from "./log-texts.ts";
import { reportErrors } from "./report/error-texts.ts";
import { printable } from "./printable.ts";
import { twinErrors } from "./twin/error-texts.ts";
import { languageOf } from "./words.ts";

export { printable } from "./printable.ts";

/** Exit codes of the `kerb` command; scripts depend on them, so a number is never used for anything else. */
export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  notRunning: 4,
  noAnswer: 5,
  findings: 6,
  notAllowed: 7,
  timedOut: 8,
  notDone: 9,
  unsure: 10,
  /** Some points of a command stand as ordered, and others do not: to repeat it is no cure. */
  partly: 11,
  configInvalid: 78,
  newerOutbox: 79,
  interrupted: 130,
} as const;

/** All error codes; a code is never used again for another meaning. */
export const errorTable = {
  ...deviceErrors,
  ...configErrors,
  ...outboxErrors,
  ...uplinkErrors,
  ...uplinkCauses,
  ...generationErrors,
  ...healthErrors,
  ...commandErrors,
  ...reportErrors,
  ...twinErrors,
  ...diagnosisErrors,
  ...logErrors,
  ...cliErrors,
};

export type ErrorCode = keyof typeof errorTable;
export type ConfigErrorCode = keyof typeof configErrors;

/** The table's code of a driver's error: "hung-up" is KERB-DEV-HUNG-UP. */
export function deviceErrorCode(code: DeviceErrorCode): ErrorCode {
  return `KERB-DEV-${code.toUpperCase() as Uppercase<DeviceErrorCode>}`;
}

/** What an error code means, what the cause likely is and what to do, in one language. */
export function describeError(code: ErrorCode, language: Language) {
  const { title, likely, do: remedy, retry } = errorTable[code];
  return { code, title: title[language], likely: likely[language], do: remedy[language], retry };
}

/**
 * One mistake in a configuration file. `line` and `column` count from 1 (UTF-16 units); both are 0 when the file
 * as a whole is meant. `path` addresses the entry: `devices "air-01".transport.port`.
 */
export interface Diagnostic {
  file: string;
  line: number;
  column: number;
  severity: "error" | "warning";
  code?: ConfigErrorCode;
  message: string;
  sourceLine: string;
  path?: string;
}

/** A file as a person names it: relative to the working folder where it lies inside it. */
export function shownFile(file: string): string {
  const near = relative(process.cwd(), file);
  return near === "" || near.startsWith("..") ? file : near;
}

const sourceColumnsMax = 160;

function excerpt(diagnostic: Diagnostic): string[] {
  if (diagnostic.line === 0 || diagnostic.column - 1 > diagnostic.sourceLine.length) return [];
  const before = Math.max(0, diagnostic.column - 1);
  const start = before > sourceColumnsMax - 40 ? before - 40 : 0;
  const source = printable(diagnostic.sourceLine);
  // Combining marks take no column of their own, and a tab must stay a tab for the caret to stand below its key.
  const indent = source.slice(start, before).replaceAll(/\p{M}/gu, "").replaceAll(/[^\t]/g, " ");
  return [
    `${String(diagnostic.line).padStart(5)} | ${source.slice(start, start + sourceColumnsMax)}`,
    `      | ${indent}^`,
  ];
}

const severities = {
  en: { error: "error", warning: "warning" },
  vi: { error: "lỗi", warning: "cảnh báo" },
};

/** `file:line:column  error  message`, the source line and a caret below the place. */
export function renderDiagnostic(diagnostic: Diagnostic, options: { colour?: boolean } = {}): string {
  const paint = (code: number, text: string) =>
    options.colour === true ? `\u001b[${code}m${text}\u001b[0m` : text;
  const position = diagnostic.line === 0 ? "" : `:${diagnostic.line}:${diagnostic.column}`;
  const language = languageOf();
  const severity = paint(
    diagnostic.severity === "error" ? 31 : 33,
    severities[language][diagnostic.severity],
  );
  const message = language === "vi" ? sentenceInVietnamese(diagnostic.message) : diagnostic.message;
  const head = `${printable(shownFile(diagnostic.file))}${position}  ${severity}  ${printable(message)}`;
  return [head, ...excerpt(diagnostic).map((line) => paint(2, line))].join("\n");
}

const diagnosticsMax = 50;
const furtherWords = {
  en: (count: number) => `and ${count} more`,
  vi: (count: number) => `và ${count} lỗi nữa`,
};

function inFileOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const rank = new Map([...new Set(diagnostics.map(({ file }) => file))].map((file, index) => [file, index]));
  const unique = new Map(
    diagnostics.map((one) => [`${one.file}\n${one.line}:${one.column}\n${one.message}`, one]),
  );
  return [...unique.values()].sort(
    (a, b) => (rank.get(a.file) ?? 0) - (rank.get(b.file) ?? 0) || a.line - b.line || a.column - b.column,
  );
}

/**
 * Every mistake found in the configuration, file by file and in the order of the lines; at most 50 are kept,
 * `count` is how many there are. The command ends with `exitCode`.
 */
export class ConfigError extends Error {
  readonly exitCode = exitCodes.configInvalid;
  readonly diagnostics: readonly Diagnostic[];
  readonly count: number;
  constructor(diagnostics: readonly Diagnostic[]) {
    const ordered = inFileOrder(diagnostics);
    const [first] = ordered;
    const more = ordered.length > 1 ? ` (${furtherWords[languageOf()](ordered.length - 1)})` : "";
    super(
      first === undefined ? "the configuration is wrong" : `${renderDiagnostic(first).split("\n")[0]}${more}`,
    );
    this.name = "ConfigError";
    this.diagnostics = ordered.slice(0, diagnosticsMax);
    this.count = ordered.length;
  }

  render(options: { colour?: boolean } = {}): string {
    const hidden = this.count - this.diagnostics.length;
    const lines = this.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, options));
    return [...lines, ...(hidden > 0 ? [`… ${furtherWords[languageOf()](hidden)}`] : [])].join("\n");
  }
}
