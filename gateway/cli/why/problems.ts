import { loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { type Problem, problemsOf } from "../../diagnosis/problems.ts";
import { describeError, exitCodes, shownFile } from "../../errors.ts";
import type { LatestReading } from "../../host/messages.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { healthWords } from "../health-words.ts";
import { dictionary, languageOf } from "../language.ts";
import { printData, printLines } from "../output.ts";
import { askOnce, controlSocket, findSite, notRunning, SilentError, silentFor } from "../site.ts";
import { displayWidth, forDevice, paint } from "../../text.ts";
import { labelled } from "./ladder-lines.ts";
import { whyWords } from "./why-words.ts";

/** A problem for machines: its texts in one language. */
export function plainProblem({ code, seen, ...problem }: Problem, language: Language) {
  const { title, likely, do: remedy } = code === undefined ? {} : describeError(code, language);
  return { ...problem, code, title, seen: seen[language], likely, do: remedyOf(problem, remedy) };
}

function remedyOf(
  { check, object, behind }: Pick<Problem, "check" | "object" | "behind">,
  text: string | undefined,
): string | undefined {
  const isDevice = check === "device" && behind.length === 0;
  return text === undefined ? undefined : forDevice(text, isDevice ? object : undefined);
}

/** What it is about, its title; what was seen, what to do; whom it drags along. */
export function problemLines(problem: Problem, language: Language): string[] {
  const words = { ...dictionary[language], ...whyWords[language] };
  const { severity, check, object, code, seen, behind } = problem;
  const isBad = severity === "bad";
  const { title, do: text } = code === undefined ? {} : describeError(code, language);
  const remedy = remedyOf(problem, text);
  const width = Math.max(9, ...[words.seen, words.remedy, words.behind].map(displayWidth)) + 1;
  const name = object ?? healthWords[language][check];
  const head = [name, title ?? seen[language], ...(code === undefined ? [] : [`(${code})`])].join("  ");
  const isDevice = check === "device" && behind.length === 0 && object !== undefined;
  return [
    paint(isBad ? "red" : "yellow", `${isBad ? "✗" : "!"} ${head}`),
    ...(title === undefined ? [] : labelled(words.seen, seen[language], 2, width)),
    ...(remedy === undefined ? [] : labelled(words.remedy, remedy, 2, width)),
    ...(behind.length === 0 ? [] : labelled(words.behind, behind.join(", "), 2, width)),
    ...(isDevice ? [`  ${" ".repeat(width)} ${words.more(object)}`] : []),
  ];
}

/** What the running gateway of a site has to complain of. Throws `NotRunningError` and others. */
export async function askProblems(site: string): Promise<{ problems: Problem[]; status?: GatewayStatus }> {
  const socket = controlSocket(site);
  try {
    const status = await askOnce<GatewayStatus>(socket, { verb: "status" });
    const readings = await askOnce<Record<string, LatestReading[]>>(socket, { verb: "latest" });
    const { devices: configured = [] } = (await loadSite(site).catch(() => undefined)) ?? {};
    return { problems: await problemsOf({ status, readings, nowMs: Date.now(), configured }), status };
  } catch (error) {
    if (!(error instanceof SilentError)) throw error;
    const stuck: Problem = {
      severity: "bad",
      check: "loop",
      code: "KERB-GW-SILENT",
      seen: silentFor,
      behind: [],
    };
    return { problems: [stuck] };
  }
}

/** `kerb problems`: what is wrong now, worst first; exit code 0 none, 6 some, 4 no gateway runs. */
export async function problems(options: { site?: string; json?: boolean; lang?: Language }): Promise<number> {
  const site = findSite(options.site);
  const language = languageOf(options.lang);
  const words = whyWords[language];
  const asked = await askProblems(site).catch((error: unknown) => notRunning(error, site, language));
  const { problems: found, status } = asked;
  if (options.json === true)
    printData("problems", {
      site: shownFile(site),
      problems: found.map((problem) => plainProblem(problem, language)),
    });
  else if (found.length === 0) printLines([words.noProblems(status?.devices.length ?? 0)]);
  else {
    const hidden = found.reduce((sum, { behind }) => sum + behind.length, 0);
    printLines([
      paint("bold", words.problems(found.length, hidden)),
      ...found.flatMap((problem) => ["", ...problemLines(problem, language)]),
    ]);
  }
  return found.length === 0 ? exitCodes.ok : exitCodes.findings;
}
