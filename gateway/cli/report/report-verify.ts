import { createPublicKey } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { boxPublicKey, fingerprintOf } from "../../box-key.ts";
import { issuerKey } from "../../commands/command.ts";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { publicKeyOf } from "../../receiver/commands/make.ts";
import { type Verdict, verifyReport } from "../../report/verify.ts";
import { CommandError, usageError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { reportWords } from "./report-words.ts";
import { controlSocket, findSite } from "../site.ts";
import { displayWidth, pad, paint } from "../../text.ts";
import { readGiven } from "../files.ts";

export interface VerifyOptions {
  /** The box that must have signed: its public key, the fingerprint, or a file with the key. */
  key?: string;
  json?: boolean;
  lang?: Language;
}

const digits = (fingerprint: string): string => fingerprint.replaceAll(/[\s:]/g, "").toLowerCase();

/** A public key as base64, from base64 or PEM; undefined: it is none. */
function publicKeyIn(text: string): string | undefined {
  try {
    if (text.includes("BEGIN PUBLIC KEY")) return publicKeyOf(createPublicKey(text));
    issuerKey(text.trim());
    return text.trim();
  } catch {
    return undefined;
  }
}

/** Whether a key is the one that was named. Throws `CommandError` on what names none. */
function expected(key: string | undefined, language: Language): ((publicKey: string) => boolean) | undefined {
  if (key === undefined) return undefined;
  if (/^[0-9a-f]{32}$/.test(digits(key)))
    return (publicKey) => digits(fingerprintOf(publicKey)) === digits(key);
  const named = publicKeyIn(existsSync(key) ? readGiven(key, language).toString("utf8") : key);
  if (named !== undefined) return (publicKey) => publicKey === named;
  const { noKey, noKeyCure } = reportWords[language];
  throw usageError(noKey(printable(key)), noKeyCure, language);
}

const colours: Record<Verdict, "green" | "red" | "yellow"> = {
  valid: "green",
  altered: "red",
  "other-box": "red",
  unsigned: "yellow",
};

/** "line 12, device meter-01, summary" */
function shownPlaces(where: readonly string[], language: Language): string {
  const { line, device } = reportWords[language];
  const shown = where.map((one) => one.replace(/^line(?= )/, line).replace(/^device(?= )/, device));
  return printable(shown.join(", "));
}

/** `kerb report verify FILE`: is it what the box has signed? Exit code 6 where it is not, 3 without such a file. */
export function reportVerify(file: string, options: VerifyOptions): number {
  const language = languageOf(options.lang);
  const words = reportWords[language];
  const isExpected = expected(options.key, language);
  const found = verifyReport(readGiven(file, language).toString("utf8"), isExpected);
  if (found === undefined) throw usageError(words.noReport(printable(file)), words.noReportCure, language);
  const { verdict, where, gateway, made, fingerprint } = found;
  if (options.json === true) printData("report-verify", { file, ...found });
  else {
    const sign = verdict === "valid" ? "✓" : "✗";
    printLines([
      paint(colours[verdict], `${sign} ${shownFile(file)}  ${words.verdicts[verdict]}`),
      ...(where.length === 0 ? [] : [`  ${words.altered(shownPlaces(where, language))}`]),
      `  ${printable(words.madeBy(gateway ?? "?", made ?? "?"))}`,
      ...(fingerprint === null ? [] : [`  ${words.fingerprint} ${fingerprint}`]),
    ]);
    if (verdict === "valid" && isExpected === undefined) hint(`  ${words.compare}`);
  }
  return verdict === "valid" ? exitCodes.ok : exitCodes.findings;
}

/** `kerb report key`: by what people and `verify` know this box. The key is made where there is none yet. */
export async function reportKey(options: {
  site?: string;
  json?: boolean;
  lang?: Language;
}): Promise<number> {
  const language = languageOf(options.lang);
  const words = reportWords[language];
  const site = findSite(options.site);
  const stateFolder = dirname(controlSocket(site));
  const publicKey = await boxPublicKey(stateFolder).catch((error: NodeJS.ErrnoException) => {
    const title = words.noBoxKey(error.code ?? error.message);
    const code = "KERB-CLI-FAILED" as const;
    throw new CommandError({
      code,
      exitCode: exitCodes.unexpected,
      title,
      hint: words.noBoxKeyCure,
      language,
    });
  });
  const fingerprint = fingerprintOf(publicKey);
  if (options.json === true) printData("report-key", { publicKey, fingerprint });
  else {
    const width = Math.max(displayWidth(words.key), displayWidth(words.fingerprint));
    printLines([
      `${pad(words.key, width)}  ${publicKey}`,
      `${pad(words.fingerprint, width)}  ${fingerprint}`,
    ]);
  }
  return exitCodes.ok;
}
