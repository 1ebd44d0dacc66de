import { canonicalJson } from "../commands/canonical-json.ts";
import { fingerprintOf, sha256 } from "../box-key.ts";
import type { Language } from "../config/error-texts.ts";
import { embeddedReport, pageOf } from "./page.ts";
import { type Report, type SignedReport, signedReportSchema } from "./report.ts";
import { isSigned, openPage, partsOf } from "./signing.ts";

/**
 * valid: as the box has signed it · altered: it is not · other-box: sound, and signed by another box than the one
 * that was named · unsigned: nobody has signed it.
 */
export type Verdict = "valid" | "altered" | "other-box" | "unsigned";

export interface Verification {
  verdict: Verdict;
  form: "page" | "json";
  /** What was altered, as far as that can be told: parts of the report, lines of the page. */
  where: string[];
  gateway: string | null;
  made: string | null;
  /** As it is now. */
  sha256: string | null;
  publicKey: string | null;
  fingerprint: string | null;
}

/** A signed report as it may look after somebody has edited it. */
type Found = Partial<Record<keyof SignedReport, unknown>> & { report: Partial<Report> };

function foundIn(text: string): Found | undefined {
  try {
    const json = JSON.parse(text) as { data?: unknown } & Record<string, unknown>;
    const inner = (json.data ?? json) as Found;
    return inner.report.kind === "kerb-commissioning-report" ? inner : undefined;
  } catch {
    return undefined;
  }
}

/** Parts whose digest is not the one that the report itself has for them; whoever alters both is not named. */
function alteredParts(report: Partial<Report>): string[] {
  try {
    const told = report.parts ?? {};
    const now = partsOf(report as Report);
    const names = [...new Set([...Object.keys(told), ...Object.keys(now)])];
    return names.filter((name) => told[name] !== now[name]);
  } catch {
    return [];
  }
}

/** The first line in which the page is not what its report says; none where another kerb has made it. */
function alteredLine(page: string, found: Found): string[] {
  const signed = signedReportSchema.safeParse(found);
  const language = /<html lang="(en|vi)">/.exec(page)?.[1];
  if (!signed.success || language === undefined) return [];
  const [is, was] = [page, pageOf(signed.data, language as Language)].map((text) => text.split("\n"));
  const line = was?.findIndex((text, i) => text !== is?.[i]) ?? -1;
  if (line >= 0) return [`line ${line + 1}`];
  return is?.length === was?.length ? [] : [`line ${(was?.length ?? 0) + 1}`];
}

function digestOf(report: unknown): string | null {
  try {
    return sha256(canonicalJson(report));
  } catch {
    return null;
  }
}

const textOr = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** Checks a page, or the JSON of a report. `isExpected`: whether a key is that of the box that was named. */
export function verifyReport(
  text: string,
  isExpected: (publicKey: string) => boolean = () => true,
): Verification | undefined {
  const isPage = /^\s*<!doctype html>/i.test(text);
  const { page, signature: pageSignature } = isPage ? openPage(text) : { page: "", signature: undefined };
  const found = foundIn(isPage ? (embeddedReport(page) ?? "") : text);
  if (found === undefined) return undefined;
  const { report } = found;
  const hash = digestOf(report);
  const publicKey = textOr(found.publicKey);
  const signature = textOr(found.signature);
  const about = {
    form: isPage ? ("page" as const) : ("json" as const),
    gateway: textOr(report.site?.gateway),
    made: textOr(report.made?.at),
    sha256: hash,
    publicKey,
    fingerprint: publicKey === null ? null : fingerprintOf(publicKey),
  };
  if (publicKey === null || signature === null) return { verdict: "unsigned", where: [], ...about };
  const isReportSigned =
    hash !== null &&
    hash === found.sha256 &&
    isSigned({ what: "kerb-report", sha256: hash }, { publicKey, signature });
  const isPageSigned =
    !isPage ||
    (pageSignature !== undefined &&
      isSigned({ what: "kerb-report-page", sha256: sha256(page) }, { publicKey, signature: pageSignature }));
  if (!isReportSigned || !isPageSigned) {
    const where = [
      ...(isReportSigned ? [] : alteredParts(report)),
      ...(isPageSigned ? [] : alteredLine(page, found)),
    ];
    return { verdict: "altered", where, ...about };
  }
  return { verdict: isExpected(publicKey) ? "valid" : "other-box", where: [], ...about };
}
