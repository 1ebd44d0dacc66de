import { verify } from "node:crypto";
import { canonicalJson } from "../commands/canonical-json.ts";
import { issuerKey } from "../commands/command.ts";
import { sha256, type Signature, type Signed, signedText } from "../box-key.ts";
import type { Report, SignedReport } from "./report.ts";

/** The signature of a report, and of the page that people print. */

/** Signs in the name of the box; undefined: nobody can, and why was said. */
export type Sign = (signed: Signed) => Promise<Signature | undefined>;

/** Canonical JSON's digests of the parts of a report, each device by itself. */
export function partsOf(report: Omit<Report, "parts">): Record<string, string> {
  const { devices, ...rest } = report;
  const parts = Object.entries(rest).filter(([name]) => name !== "parts");
  return Object.fromEntries([
    ...parts.map(([name, part]) => [name, sha256(canonicalJson(part))]),
    ...devices.map((device) => [`device ${device.id}`, sha256(canonicalJson(device))]),
  ]);
}

export async function signReport(report: Report, sign: Sign): Promise<SignedReport> {
  const hash = sha256(canonicalJson(report));
  const signature = await sign({ what: "kerb-report", sha256: hash });
  return {
    report,
    sha256: hash,
    publicKey: signature?.publicKey ?? null,
    signature: signature?.signature ?? null,
  };
}

const pageMark = "<!-- kerb-report-page ";

/** The page with its signature as its last line: it is over all bytes before that line. */
export async function signPage(page: string, sign: Sign): Promise<string> {
  const found = await sign({ what: "kerb-report-page", sha256: sha256(page) });
  return found === undefined ? page : `${page}${pageMark}${found.signature} -->\n`;
}

/** A page without its signature, and that; it has none where the last line is another one. */
export function openPage(file: string): { page: string; signature: string | undefined } {
  const at = file.lastIndexOf(pageMark);
  const [, signature] = /^([A-Za-z0-9+/=]+) -->\n$/.exec(file.slice(at + pageMark.length)) ?? [];
  return at < 0 || signature === undefined
    ? { page: file, signature: undefined }
    : { page: file.slice(0, at), signature };
}

/** Whether the box of this key has signed it; false also for a key or a signature that is none. */
export function isSigned(signed: Signed, { publicKey, signature }: Signature): boolean {
  try {
    return verify(
      null,
      Buffer.from(signedText(signed)),
      issuerKey(publicKey),
      Buffer.from(signature, "base64"),
    );
  } catch {
    return false;
  }
}
