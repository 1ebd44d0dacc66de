import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";
import { type Signature, signAsBox, type Signed } from "../../box-key.ts";
import { loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { NotRunningError } from "../../control/control.ts";
import { describeError, exitCodes, printable, shownFile } from "../../errors.ts";
import { reportBytesMax } from "../../report/asked.ts";
import { buildReport } from "../../report/build.ts";
import { csvOf } from "../../report/csv.ts";
import { pageOf } from "../../report/page.ts";
import type { Problem, Report, SignedReport } from "../../report/report.ts";
import { isSigned, type Sign, signPage, signReport } from "../../report/signing.ts";
import { verifyReport } from "../../report/verify.ts";
import { usageError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { checkFolder, writeOut } from "../out-file.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { gather } from "./report-gather.ts";
import { reportWords } from "./report-words.ts";
import { askOnce, controlSocket, findSite, notRunning } from "../site.ts";
import { displayWidth, pad, paint } from "../../text.ts";
import { kerbVersion } from "../verbs.ts";

export interface ReportOptions {
  site?: string;
  /** Each named by its ending: .html, .json, .csv. */
  output?: string[];
  contract?: string;
  contractor?: string;
  acceptedBy?: string;
  note?: string;
  json?: boolean;
  lang?: Language;
}

type Form = "html" | "json" | "csv";
type Files = Map<string, Form>;

function formOf(file: string, language: Language): Form {
  const ending = extname(file).toLowerCase();
  if (ending === ".html" || ending === ".htm") return "html";
  if (ending === ".json" || ending === ".csv") return ending === ".json" ? "json" : "csv";
  const { form, formCure } = reportWords[language];
  throw usageError(form(file), formCure, language);
}

/** The files to be written: beside a page lies its report, for machines. Throws before anything is asked. */
function filesOf(output: readonly string[], language: Language): Files {
  const files: Files = new Map();
  for (const file of output) files.set(resolve(file), formOf(file, language));
  for (const [file, form] of files) {
    checkFolder(file, language);
    if (form !== "html") continue;
    const beside = `${file.slice(0, -extname(file).length)}.json`;
    if (files.has(beside)) continue;
    if (existsSync(beside) && verifyReport(readFileSync(beside, "utf8")) === undefined) {
      const { foreign, foreignCure } = reportWords[language];
      throw usageError(foreign(shownFile(beside)), foreignCure, language);
    }
    files.set(beside, "json");
  }
  return files;
}

/** The gateway signs, which may read the key; without one, this process tries. `failed` is told why nobody can. */
function signer(socket: string, made: Report, language: Language, failed: (why: string) => void): Sign {
  const words = reportWords[language];
  const text = JSON.stringify(made);
  const sign = async (signed: Signed): Promise<Signature> => {
    const direct = () => signAsBox(dirname(socket), signed);
    if (text.length > reportBytesMax)
      return direct().catch((error: Error) => {
        throw new Error(words.tooLarge, { cause: error });
      });
    const args = { report: text, ...(signed.what === "kerb-report" ? {} : { page: language }) };
    try {
      const signature = await askOnce<Signature>(socket, { verb: "sign-report", args });
      // It makes page and digest by itself.
      if (!isSigned(signed, signature)) throw new Error(words.otherVersion);
      return signature;
    } catch (error) {
      if (!(error instanceof NotRunningError)) throw error;
      return direct();
    }
  };
  return (signed) =>
    sign(signed).catch((error: NodeJS.ErrnoException) => {
      const isRefused = error.message.startsWith("KERB-REP-REFUSED");
      const { title, do: cure } = describeError("KERB-REP-REFUSED", language);
      failed(
        isRefused
          ? `${title} (KERB-REP-REFUSED); ${cure}`
          : `${error.code ?? error.message}; ${words.signAs}`,
      );
      return undefined;
    });
}

const envelopeText = (signed: SignedReport): string =>
  `${JSON.stringify({ api: "kerb/v1", kind: "report", ok: true, data: signed }, null, 2)}\n`;

async function write(files: Files, signed: SignedReport, sign: Sign, language: Language): Promise<void> {
  for (const [file, form] of files) {
    const text =
      form === "csv"
        ? csvOf(signed.report)
        : form === "json"
          ? envelopeText(signed)
          : await signPage(pageOf(signed, language), sign);
    writeOut(file, text, { flag: "w" }, language);
  }
}

const namesShown = 5;
const problemsShown = 20;

function problemLine({ severity, about, object, title, code }: Problem, width: number, language: Language) {
  const isBlocking = severity === "blocking";
  const mark = paint(isBlocking ? "red" : "yellow", isBlocking ? "✗" : "!");
  return ` ${mark} ${pad(placeOf({ about, object }, language), width)}  ${title[language]}  ${paint("dim", code)}`;
}

function placeOf({ about, object }: Pick<Problem, "about" | "object">, language: Language): string {
  return printable(
    [reportWords[language].places[about], object].filter((one) => one !== null && one !== "").join(" "),
  );
}

/** What stands in the report, worst first. */
export function reportLines({ summary, devices, problems }: Report, language: Language): string[] {
  const words = reportWords[language];
  const failing = devices.filter(({ verdict }) => verdict === "failing").map(({ id }) => id);
  const list = [...failing.slice(0, namesShown), ...(failing.length > namesShown ? ["…"] : [])].join(", ");
  const shown = problems.slice(0, problemsShown);
  const width = Math.max(0, ...shown.map((one) => displayWidth(placeOf(one, language))));
  return [
    words.summary(summary, list === "" ? "" : ` (${list})`),
    ...shown.map((one) => problemLine(one, width, language)),
    ...(problems.length > shown.length ? [words.more(problems.length - shown.length)] : []),
  ];
}

/** Counts on one line of a terminal; elsewhere it says nothing. */
function progress(language: Language): { show: (count: number, all: number) => void; end: () => void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => {}, end: () => {} };
  return {
    show: (count, all) => stderr.write(`\r\u001b[K${reportWords[language].reading(count, all)}`),
    end: () => stderr.write("\r\u001b[K"),
  };
}

const said = (text: string | undefined): string | null => (text === undefined || text === "" ? null : text);

/**
 * `kerb report`: reads every device once, says what is open and writes the signed report. Exit codes: 6 where
 * something is open or nobody could sign, 2 where a file cannot be written, 130 after Ctrl-C.
 */
export async function report(options: ReportOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = reportWords[language];
  const site = findSite(options.site);
  const files = filesOf(options.output ?? [], language);
  const socket = controlSocket(site);
  const loaded = await loadSite(site);
  const signal = stopSignal();
  const { show, end } = progress(language);
  try {
    const gathered = await gather(loaded, socket, show, signal);
    end();
    if (signal.aborted) {
      hint(words.stopped);
      return exitCodes.interrupted;
    }
    const { contract, contractor, acceptedBy, note } = options;
    const about = {
      contract: said(contract),
      contractor: said(contractor),
      acceptedBy: said(acceptedBy),
      note: said(note),
    };
    const made = buildReport(loaded, gathered, { about, version: kerbVersion(), nowMs: Date.now() });
    let failure: string | undefined;
    const sign = signer(socket, made, language, (why) => (failure ??= why));
    const signed = await signReport(made, sign);
    await write(files, signed, sign, language);
    if (options.json === true) printData("report", signed);
    else printLines(reportLines(made, language));
    const names = [...files.keys()].map(shownFile).join(", ");
    const told =
      failure === undefined
        ? words.wrote(names, `${signed.sha256.slice(0, 16)}…`)
        : words.unsignedFiles(names, printable(failure));
    if (options.json === true || files.size === 0) {
      if (failure !== undefined) hint(told);
      else if (options.json !== true) hint(words.next);
    } else printLines([told]);
    return made.problems.length > 0 || failure !== undefined ? exitCodes.findings : exitCodes.ok;
  } catch (error) {
    end();
    if (signal.aborted) {
      hint(words.stopped);
      return exitCodes.interrupted;
    }
    return notRunning(error, site, language);
  }
}
