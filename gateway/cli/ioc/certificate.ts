import { createPublicKey, verify, type KeyObject } from "node:crypto";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable } from "../../errors.ts";
import type { Certificate, CertificatePage, Finding, FindingCode } from "../../receiver/certificates.ts";
import { CommandError, notFoundError, usageError } from "../errors.ts";
import { languageOf } from "../../words.ts";
import { certificateWords } from "./certificate-words.ts";
import { printData, printLines } from "../output.ts";
import { grouped, paint, span } from "../../text.ts";
import { readGiven } from "../files.ts";

export interface CertificateOptions {
  url: string;
  from?: string;
  to?: string;
  recheck?: boolean;
  /** Files with certificates whose signatures are checked; nothing is asked then, unless `key` is absent. */
  verify?: string[];
  /** PEM file of the public key. */
  key?: string;
  json?: boolean;
  lang?: Language;
}

const answerTimeoutMs = 120_000;

/** Why a certificate is not complete, as a part of a sentence. */
function shownFinding({ code, epoch, seal, from, to, reason }: Finding, language: Language): string {
  const known = certificateWords[language].findings[code] as
    | (typeof certificateWords)["en"]["findings"][FindingCode]
    | undefined;
  const events = from === to ? `${epoch}:${from}` : `${epoch}:${from}-${to}`;
  const text = known?.({ events, seal: `${epoch}:${seal}`, epoch: String(epoch) }) ?? printable(code);
  return reason === undefined ? text : `${text} (${printable(reason)})`;
}

const isWhole = ({ state }: Certificate) => state === "complete" || state === "complete-with-declared-loss";

/** Seconds are shown where they are not 0: periods are hours but in trials. */
function shownSpan({ from, to }: { from: string; to: string }): string {
  const seconds = !from.endsWith(":00.000Z") || !to.endsWith(":00.000Z");
  const [start, end] = [from, to].map((time) => time.slice(0, seconds ? 19 : 16));
  return `${start}..${end?.slice(11)}Z`;
}

/** How much time spans take that may overlap, because several devices have them. */
function coveredMs(spans: readonly (readonly [from: string, to: string])[]): number {
  let sum = 0;
  let end = -Infinity;
  const times = spans.map(([from, to]) => [Date.parse(from), Date.parse(to)] as const);
  for (const [from, to] of times.toSorted(([a], [b]) => a - b)) {
    sum += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return sum;
}

/** One certificate as one line for people. */
export function certificateLine(one: Certificate, language: Language): string {
  const { gateway, state, events, lost, findings, devices, seals, off, checked } = one;
  const unknownMs = coveredMs(devices.flatMap(({ unknown }) => unknown));
  const w = certificateWords[language];
  const colour = isWhole(one) ? "green" : state === "gap" ? "red" : "yellow";
  const mark = isWhole(one) ? "✓" : state === "gap" ? "✗" : "…";
  const known = devices.filter(({ polls }) => polls !== null);
  const sum = (name: "polls" | "answered" | "failed" | "missed") =>
    grouped(known.reduce((total, device) => total + (device[name] ?? 0), 0));
  const lostCount = lost.reduce((total, { from, to }) => total + to - from + 1, 0);
  const parts = [
    `${gateway}  ${shownSpan(one)}`,
    paint(colour, `${mark} ${w.states[state] ?? printable(state)}`),
    `${grouped(events)} ${w.events}`,
    ...(lostCount === 0 ? [] : [`${grouped(lostCount)} ${w.lost}`]),
    ...(devices.length === 0 ? [] : [w.devices(devices.length)]),
    ...(known.length === 0 ? [] : [w.polls(sum("polls"), sum("answered"), sum("failed"), sum("missed"))]),
    ...(unknownMs === 0 ? [] : [w.unknown(span(unknownMs))]),
    ...(off.length === 0 ? [] : [`${w.off} ${off.map(shownSpan).join(", ")}`]),
    ...(seals.length === 0 ? [] : [`${w.seals} ${seals.map(({ epoch, no }) => `${epoch}:${no}`).join(" ")}`]),
    ...(checked === null ? [] : [`${w.checked} ${checked.slice(0, 16)}Z`]),
  ];
  const why = findings.map((finding) => shownFinding(finding, language)).join("; ");
  return parts.join("   ") + (why === "" ? "" : `   ${paint(colour, why)}`);
}

async function ask<Answer>(url: string, path: string): Promise<Answer> {
  const text = certificateWords[languageOf()];
  let response: Response;
  try {
    response = await fetch(new URL(path, url), { signal: AbortSignal.timeout(answerTimeoutMs) });
  } catch (error) {
    if (error instanceof TypeError && !URL.canParse(path, url))
      throw usageError(text.notUrl(url), text.notUrlCure);
    throw new CommandError({
      code: "KERB-CLI-NOT-RUNNING",
      exitCode: exitCodes.noAnswer,
      title: text.noReceiver(url),
      hint: text.noReceiverCure,
    });
  }
  const body = (await response.json()) as Answer & { error?: string };
  if (response.ok) return body;
  const title = printable(body.error ?? text.status(response.status));
  if (response.status === 404) throw notFoundError(title, text.unknownCure);
  if (response.status === 400) throw usageError(title, text.usageCure);
  throw new Error(title);
}

async function gatewaysOf(url: string): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const after = encodeURIComponent(ids.at(-1) ?? "");
    const { gateways } = await ask<{ gateways: { id: string }[] }>(url, `/gateways?after=${after}`);
    if (gateways.length === 0) return ids;
    ids.push(...gateways.map(({ id }) => id));
  }
}

/** The certificates of a gateway, page by page. */
async function* certificatesOf(gateway: string, options: CertificateOptions): AsyncGenerator<Certificate> {
  let { from } = options;
  const { url, recheck, to } = options;
  for (;;) {
    const query = new URLSearchParams({ gw: gateway });
    if (to !== undefined) query.set("to", to);
    if (from !== undefined) query.set("from", from);
    if (recheck === true) query.set("recheck", "1");
    const { certificates, next } = await ask<CertificatePage>(url, `/certificates?${query.toString()}`);
    yield* certificates;
    if (next === null) return;
    from = next;
  }
}

/** As much of one as a line needs. */
function isCertificate(value: unknown): value is Certificate {
  if (typeof value !== "object" || value === null) return false;
  const { gateway, from, to, state, lost, findings, devices, seals, off } = value as Partial<Certificate>;
  return (
    [gateway, from, to, state].every((text) => typeof text === "string") &&
    [lost, findings, devices, seals, off].every((list) => Array.isArray(list))
  );
}

/** The public key in a PEM file, or the receiver's. */
async function publicKey({ key: file, url }: CertificateOptions): Promise<KeyObject> {
  if (file === undefined)
    return createPublicKey((await ask<{ publicKey: string }>(url, "/certificates/key")).publicKey);
  const pem = readGiven(file, languageOf());
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is of type ${key.asymmetricKeyType}`);
    return key;
  } catch (error) {
    const text = certificateWords[languageOf()];
    throw usageError(
      text.noKey(file, error instanceof Error ? error.message : String(error)),
      text.noKeyCure,
    );
  }
}

/** The certificates in a file: a list, an answer of the API, or what `--json` printed. */
function certificatesIn(file: string): Certificate[] {
  const text = certificateWords[languageOf()];
  let json: unknown;
  const content = readGiven(file, languageOf()).toString("utf8");
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw usageError(
      text.unreadable(file, error instanceof Error ? error.message : String(error)),
      text.fileCure,
    );
  }
  const outer = json as { data?: unknown } | null;
  const inner = (outer?.data ?? json ?? {}) as { certificates?: unknown };
  const list = inner.certificates ?? inner;
  const all: unknown[] = Array.isArray(list) ? list : [list];
  if (all.every(isCertificate)) return all;
  throw usageError(text.noCertificate(file), text.fileCure);
}

function isSigned(one: Certificate, key: KeyObject): boolean {
  const { key: _key, signature = "", ...signed } = one;
  return verify(null, Buffer.from(JSON.stringify(signed)), key, Buffer.from(signature, "base64"));
}

async function verifyFiles(files: readonly string[], options: CertificateOptions): Promise<number> {
  const language = languageOf(options.lang);
  const w = certificateWords[language];
  const key = await publicKey(options);
  const list = files.flatMap((file) => certificatesIn(file).map((one) => ({ file, one })));
  const texts = { right: w.signatureRight, wrong: w.signatureWrong, unsigned: w.unsigned };
  const results = list.map(({ file, one }) => {
    const { gateway, from, to, state, signature } = one;
    const isRight = signature !== undefined && isSigned(one, key);
    const verdict: keyof typeof texts = signature === undefined ? "unsigned" : isRight ? "right" : "wrong";
    return { file, gateway, from, to, state, signature: verdict, one };
  });
  if (options.json === true)
    printData(
      "certificate-signatures",
      results.map(({ one: _one, ...result }) => result),
    );
  else {
    printLines(
      results.map(({ signature, one }) => {
        const verdict = paint(signature === "right" ? "green" : "red", texts[signature]);
        return `${certificateLine(one, language)}   ${verdict}`;
      }),
    );
  }
  const isFine = results.length > 0 && results.every(({ signature }) => signature === "right");
  return isFine ? exitCodes.ok : exitCodes.findings;
}

/**
 * `kerb certificate [GATEWAY]`: is anything missing or altered, hour by hour? Exit code 6 when a certificate is
 * not complete or none can be given yet (or, with `verify`, a signature is wrong), 3 when no gateway has been heard,
 * 5 when no receiver answers.
 */
export async function certificate(gateway: string | undefined, options: CertificateOptions): Promise<number> {
  if (options.verify !== undefined) return verifyFiles(options.verify, options);
  const language = languageOf(options.lang);
  const gateways = gateway === undefined ? await gatewaysOf(options.url) : [gateway];
  if (gateways.length === 0)
    throw notFoundError(certificateWords[language].nobody.title, certificateWords[language].nobody.hint);
  const all: Certificate[] = [];
  let hasFindings = false;
  let count = 0;
  for (const id of gateways) {
    const before = count;
    for await (const one of certificatesOf(id, options)) {
      count++;
      hasFindings ||= !isWhole(one);
      if (options.json === true) all.push(one);
      else printLines([certificateLine(one, language)]);
    }
    if (count === before && options.json !== true)
      printLines([`${id}  ${certificateWords[language].nothing}`]);
  }
  if (options.json === true) printData("certificates", { certificates: all });
  return hasFindings || count === 0 ? exitCodes.findings : exitCodes.ok;
}
