import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, renderDiagnostic, shownFile } from "../../errors.ts";
import type { Finding } from "../../profiles/lint/findings.ts";
import { libraryFiles, lintProfiles } from "../../profiles/lint/lint.ts";
import { listProfiles, profileFolder } from "../../profiles/profiles.ts";
import { languageOf } from "../language.ts";
import { printLines } from "../output.ts";
import { noProfile } from "./profiles.ts";
import { profilesWords } from "./profiles-words.ts";
import { isColour } from "../../text.ts";

interface Options {
  json?: boolean;
  lang?: Language;
}

/** The file that a person means by a path, or by the id of a profile that ships with kerb. */
function fileOf(given: string): string {
  const ids = listProfiles();
  if (ids.includes(given)) return join(profileFolder, `${given}.yaml`);
  if (given.endsWith(".yaml") && existsSync(given)) return given;
  throw noProfile(given, ids);
}

function closing(count: { profiles: number; errors: number; warnings: number }, language: Language): string {
  const { profiles, errors, warnings } = count;
  const text = profilesWords[language];
  return errors + warnings === 0 ? text.clean(profiles) : text.found(profiles, errors, warnings);
}

function printJson(findings: readonly Finding[], count: object): void {
  const list = findings.map(({ rule, severity, file, line, column, path, sentence }) => ({
    rule,
    severity,
    file: shownFile(file),
    line,
    column,
    path,
    sentence,
  }));
  const ok = findings.length === 0;
  process.stdout.write(
    `${JSON.stringify({ api: "kerb/v1", kind: "profile-lint", ok, data: { ...count, findings: list } })}\n`,
  );
}

/**
 * `kerb profile lint [FILE|ID..]`: what is wrong with profiles, the whole library where none is named. Exit code 78
 * where a file does not load, 6 where there are other findings.
 */
export async function lintProfile(given: readonly string[], options: Options): Promise<number> {
  const files = given.length === 0 ? libraryFiles() : [...new Set(given.map(fileOf))];
  const linted = await lintProfiles(files);
  const findings = linted.flatMap((one) => one.findings);
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const count = { profiles: files.length, errors, warnings: findings.length - errors };
  if (options.json === true) printJson(findings, count);
  else {
    const language = languageOf(options.lang);
    const colour = isColour(process.stdout);
    const told = findings.map((one) =>
      renderDiagnostic({ ...one, message: one.sentence[language] }, { colour }),
    );
    printLines([...told, closing(count, language)]);
  }
  if (linted.some(({ lint }) => lint === undefined)) return exitCodes.configInvalid;
  return findings.length > 0 ? exitCodes.findings : exitCodes.ok;
}
