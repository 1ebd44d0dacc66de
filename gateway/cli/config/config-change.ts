import type { Language } from "../../config/error-texts.ts";
import { loadSiteApart } from "../../config/process.ts";
import { NotRunningError } from "../../control/control.ts";
import { ConfigError, exitCodes, printable, shownFile } from "../../errors.ts";
import type { ChangeAnswer, Refused } from "../../generations/answers.ts";
import type { Applied, Mistakes, Standing } from "../../generations/desk.ts";
import { isEmpty, type Plan, planOf } from "../../generations/plan.ts";
import { GenerationStore } from "../../generations/store.ts";
import { planLines } from "./config-plan.ts";
import { configWords, wallTime } from "./config-words.ts";
import { tableError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { hint, pause, printData, printLines, stopSignal } from "../output.ts";
import { askOnce, controlSocket, findSite, notRunning } from "../site.ts";
import { span } from "../../text.ts";
import { user } from "../user.ts";
import { reasonIn } from "../../generations/vietnamese.ts";

export interface ChangeOptions {
  site?: string;
  json?: boolean;
  lang?: Language;
  confirmMs?: number;
  watchMs?: number;
}

/** What `kerb config apply` and `rollback` say to scripts. */
export interface ChangeResult {
  site: string;
  generation: number;
  previous: number;
  plan: Plan;
  outcome: "unchanged" | "kept" | "reverted" | "unconfirmed" | "unknown";
  reason?: string;
  /** ISO 8601: it goes back then, unless it is confirmed. */
  confirmBefore?: string;
}

/** What `kerb config diff` says to scripts. */
export interface DiffResult {
  site: string;
  /** What the files were compared with. */
  generation: number;
  isRunning: boolean;
  changes: boolean;
  plan: Plan;
}

/** A gateway that restarts is away for a while; its outbox may have a long backlog to open. */
const awayMs = 60_000;
const lookMs = 400;

const refusedExit: Record<Refused["refused"], number> = {
  "KERB-CFG-PENDING": exitCodes.notAllowed,
  "KERB-CFG-NOTHING": exitCodes.notFound,
  "KERB-CFG-GENERATION": exitCodes.notFound,
  "KERB-CFG-KEEP": exitCodes.unexpected,
  "KERB-OUT-OWNER": exitCodes.configInvalid,
};

/** The answer, where it is one; a refusal and wrong files are thrown. */
function accepted<Answer extends object>(
  answer: Answer | Mistakes | Refused,
  site: string,
  language: Language,
): Answer {
  if ("mistakes" in answer) throw new ConfigError(answer.mistakes);
  if ("refused" in answer)
    throw tableError(
      shownFile(site),
      answer.refused,
      reasonIn(language, answer.reason),
      language,
      refusedExit[answer.refused],
    );
  return answer;
}

/** What the files would change in the generation that ran last, when no gateway runs. */
async function planOfStopped(site: string): Promise<{ plan: Plan; generation: number } | undefined> {
  const files = await loadSiteApart({ file: site });
  const store = new GenerationStore(files.site.gateway.stateFolder);
  const state = await store.state();
  const kept = await store.read(state?.pending?.previous ?? state?.current ?? 0);
  if (kept === undefined) return undefined;
  const last = await loadSiteApart({ file: site, files: kept.texts, isWhole: true });
  return { plan: planOf(last.facts, files.facts), generation: kept.generation.number };
}

async function findPlan(site: string, language: Language): Promise<Omit<DiffResult, "site" | "changes">> {
  const socket = controlSocket(site);
  try {
    const { generation } = await askOnce<Standing>(socket, { verb: "config-standing" });
    const plan = accepted(await askOnce<Plan | Mistakes>(socket, { verb: "config-plan" }), site, language);
    return { plan, generation, isRunning: true };
  } catch (error) {
    if (!(error instanceof NotRunningError)) return notRunning(error, site, language);
    const found = await planOfStopped(site);
    return found === undefined ? notRunning(error, site, language) : { ...found, isRunning: false };
  }
}

/** `kerb config diff`: 0 when the files say what runs, 6 when they would change something. */
export async function diff(file: string | undefined, options: ChangeOptions): Promise<number> {
  const site = findSite(file);
  const language = languageOf(options.lang);
  const words = configWords[language];
  const { plan, generation, isRunning } = await findPlan(site, language);
  const changes = !isEmpty(plan);
  if (options.json === true)
    printData("config-diff", { site, generation, isRunning, changes, plan } satisfies DiffResult);
  else {
    if (!isRunning) hint(words.stopped(generation));
    printLines(changes ? planLines(plan, language) : [words.nothing(generation)]);
    if (changes && isRunning) hint(words.toApply);
  }
  return changes ? exitCodes.findings : exitCodes.ok;
}

/** What the gateway says of it; undefined: it is on its way down or up. */
async function standingOf(socket: string): Promise<Standing | undefined> {
  try {
    return await askOnce<Standing>(socket, { verb: "config-standing" });
  } catch {
    return undefined;
  }
}

type Ending = Pick<ChangeResult, "outcome" | "reason" | "confirmBefore">;

function endingOf({ generation }: Applied, { reverted, pending }: Standing): Ending | undefined {
  if (reverted?.generation === generation) return { outcome: "reverted", reason: reverted.reason };
  if (pending === undefined) return { outcome: "kept" };
  if (pending.untilMs === undefined || Date.now() < pending.watchUntilMs + 1500) return undefined;
  return { outcome: "unconfirmed", confirmBefore: new Date(pending.untilMs).toISOString() };
}

/** Waits until the gateway knows whether it keeps what was applied; over its restart, too. */
async function follow(applied: Applied, socket: string, signal: AbortSignal): Promise<Ending> {
  let heardMs = performance.now();
  while (!signal.aborted && performance.now() - heardMs < awayMs) {
    const standing = await standingOf(socket);
    if (standing !== undefined) heardMs = performance.now();
    const isMine = standing?.generation === applied.generation || standing?.reverted !== undefined;
    const ending = standing === undefined || !isMine ? undefined : endingOf(applied, standing);
    if (ending !== undefined) return ending;
    await pause(lookMs, signal);
  }
  return { outcome: "unknown" };
}

function endingLines(
  applied: Applied,
  { outcome, reason = "", confirmBefore = "" }: Ending,
  language: Language,
): string[] {
  const words = configWords[language];
  const { generation, previous } = applied;
  if (outcome === "reverted")
    return [words.reverted(generation, previous, printable(reasonIn(language, reason)))];
  if (outcome === "unconfirmed")
    return words.confirmBy(generation, previous, wallTime(Date.parse(confirmBefore))).split("\n");
  return [outcome === "kept" ? words.kept(generation) : words.unknownEnd];
}

const exitOf: Record<ChangeResult["outcome"], number> = {
  unchanged: exitCodes.ok,
  kept: exitCodes.ok,
  unconfirmed: exitCodes.ok,
  reverted: exitCodes.notDone,
  unknown: exitCodes.timedOut,
};

async function change(
  kind: string,
  request: { verb: string; args: Record<string, unknown> },
  options: ChangeOptions,
): Promise<number> {
  const site = findSite(options.site);
  const language = languageOf(options.lang);
  const words = configWords[language];
  const socket = controlSocket(site);
  const { confirmMs, watchMs } = options;
  const args = { ...request.args, by: user(), confirmMs, watchMs };
  const asked = askOnce<ChangeAnswer>(socket, { verb: request.verb, args });
  const answer = await asked.catch((error: unknown) => notRunning(error, site, language));
  const applied = accepted(answer, site, language);
  const isJson = options.json === true;
  const { plan, generation, previous } = applied;
  if (!isJson) {
    printLines(applied.changed ? planLines(plan, language) : [words.nothing(generation)]);
    if (applied.changed) hint(plan.restartsGateway ? words.restarting : words.runs(generation));
    if (applied.changed) hint(words.watching(span(watchMs ?? 30_000)));
  }
  const signal = stopSignal();
  const ending: Ending = applied.changed ? await follow(applied, socket, signal) : { outcome: "unchanged" };
  if (signal.aborted) {
    hint(words.goesOn);
    return exitCodes.interrupted;
  }
  if (isJson) printData(kind, { site, generation, previous, plan, ...ending } satisfies ChangeResult);
  else if (applied.changed) printLines(endingLines(applied, ending, language));
  const isSettled = ending.outcome === "kept" || ending.outcome === "unconfirmed";
  if (!isJson && isSettled && kind === "config-rollback") hint(words.filesStay(generation));
  return exitOf[ending.outcome];
}

/** `kerb config apply`: the running gateway takes over its changed files, and takes them back where they do harm. */
export function apply(options: ChangeOptions): Promise<number> {
  return change("config-apply", { verb: "config-apply", args: {} }, options);
}

/** `kerb config rollback N`: an earlier generation runs. */
export function rollback(generation: number, options: ChangeOptions): Promise<number> {
  return change("config-rollback", { verb: "config-rollback", args: { number: generation } }, options);
}

/** `kerb config confirm`: what is pending stays; 3 where nothing is. */
export async function confirm(options: ChangeOptions): Promise<number> {
  const site = findSite(options.site);
  const language = languageOf(options.lang);
  const request = { verb: "config-confirm", args: { by: user() } };
  const asked = askOnce<Standing | Mistakes | Refused>(controlSocket(site), request);
  const answer = await asked.catch((error: unknown) => notRunning(error, site, language));
  const standing = accepted<Standing>(answer, site, language);
  if (options.json === true) printData("config-confirm", standing);
  else printLines([configWords[language].confirmed(standing.generation)]);
  return exitCodes.ok;
}
