import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { valueAt } from "../config/path.ts";
import { siteSchema } from "../config/site-schema.ts";
import { stateFolderOf } from "../config/state-folder.ts";
import type { Language } from "../config/error-texts.ts";
import { ask, type ControlRequest, NotRunningError } from "../control/control.ts";
import { ConfigError, exitCodes, shownFile } from "../errors.ts";
import { within } from "../health/latest.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { readYaml } from "../config/yaml.ts";
import { CommandError, notFoundError, tableError } from "./errors.ts";
import { languageOf } from "../words.ts";
import { complaintWords } from "./complaint-words.ts";
import { pause } from "./output.ts";

export const systemSite = "/etc/kerb/gateway.yaml";
/** What `kerb init` writes where one stands. */
export const localSite = "gateway.yaml";
const workedSite = join("config", "sites", "district.yaml");
const usualSites = [systemSite, localSite, workedSite];

/** The site file that a verb works with: `--site`, KERB_SITE, /etc/kerb/gateway.yaml, or the worked site. */
export function findSite(given: string | undefined): string {
  const text = complaintWords[languageOf()];
  const named = given ?? process.env["KERB_SITE"];
  if (named !== undefined && named !== "") {
    if (existsSync(named)) return resolve(named);
    const from = given === undefined ? text.fromEnvironment : "";
    throw notFoundError(text.noSite(named) + from, text.noSiteCure);
  }
  const found = usualSites.find((file) => existsSync(file));
  if (found !== undefined) return resolve(found);
  throw notFoundError(text.noSiteNamed(usualSites.join(", ")), text.noSiteNamedCure);
}

/** The site file of a verb without `--site`; undefined: there is none. */
export function usualSite(): string | undefined {
  const named = process.env["KERB_SITE"] || usualSites.find((file) => existsSync(file));
  return named === undefined ? undefined : resolve(named);
}

/** A path as a shell takes it. */
export function typed(path: string): string {
  return /^[\p{L}\d_@%+=:,./-]+$/u.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}

/** What the next verb needs to find the same site: " --site FILE" where this one was told, else nothing. */
export function siteFlag(given: string | undefined): string {
  return given === undefined ? "" : ` --site ${typed(given)}`;
}

/** The control socket of the gateway of a site. A site file that is broken elsewhere still tells it. */
export function controlSocket(site: string): string {
  try {
    return socketSaid(site);
  } catch (error) {
    // Of a file that is no YAML any more the last good generation may run.
    const guess = join(stateFolderOf(site), "kerb.sock");
    if (error instanceof ConfigError && existsSync(guess)) return guess;
    throw error;
  }
}

function socketSaid(site: string): string {
  const { value } = readYaml(site, { secretsFolder: join(dirname(site), "secrets") });
  const { state } = siteSchema.shape.gateway.shape;
  const folder = state.safeParse(valueAt(value, ["gateway", "state"]));
  return join(resolve(dirname(site), folder.data ?? state.parse(undefined)), "kerb.sock");
}

/** A gateway that runs answers a ping at once, whatever hangs beside its main loop. */
const answerMs = 4000;

/** What was seen of a gateway that listens and does not answer. */
export const silentFor: Record<Language, string> = {
  en: `no answer within ${answerMs / 1000} s`,
  vi: `không phản hồi trong ${answerMs / 1000} giây`,
};

/** A gateway listens and does not answer. */
export class SilentError extends Error {}

async function firstAnswer(socket: string, request: ControlRequest, signal: AbortSignal): Promise<unknown> {
  for await (const answer of ask(socket, request, signal)) return answer;
  throw new Error(`the gateway closed the connection without an answer to "${request.verb}"`);
}

/** Throws `SilentError` when a gateway listens and does not answer. */
export async function checkAnswers(socket: string): Promise<void> {
  const stop = new AbortController();
  // Also "no such verb" is an answer.
  const asked = firstAnswer(socket, { verb: "ping" }, stop.signal).catch(() => true);
  const isAlive = (await within(asked, answerMs)) !== undefined;
  stop.abort();
  if (!isAlive) throw new SilentError(silentFor.en);
}

/**
 * The only answer of the running gateway, however long it takes while the gateway lives. Throws `NotRunningError` or
 * `SilentError`, anything once `signal` has aborted.
 */
export async function askOnce<Answer>(
  socket: string,
  request: ControlRequest,
  signal = new AbortController().signal,
): Promise<Answer> {
  signal.throwIfAborted();
  const done = new AbortController();
  const ended = AbortSignal.any([done.signal, signal]);
  const watch = async (): Promise<never> => {
    while (!done.signal.aborted) {
      await checkAnswers(socket);
      await pause(answerMs, done.signal);
    }
    return new Promise(() => {});
  };
  try {
    return (await Promise.race([firstAnswer(socket, request, ended), watch()])) as Answer;
  } finally {
    done.abort();
  }
}

/** The status of the gateway that runs; undefined: none does. Throws `SilentError`. */
export async function runningStatus(socket: string): Promise<GatewayStatus | undefined> {
  try {
    return await askOnce<GatewayStatus>(socket, { verb: "status" });
  } catch (error) {
    if (error instanceof NotRunningError) return undefined;
    throw error;
  }
}

/**
 * Turns `NotRunningError` (exit code 4) and `SilentError` (5) into the sentence with the cure; anything else is thrown
 * on.
 */
export function notRunning(error: unknown, site: string, language = languageOf(undefined)): never {
  if (error instanceof SilentError)
    throw tableError(shownFile(site), "KERB-GW-SILENT", silentFor[language], language);
  if (!(error instanceof NotRunningError)) throw error;
  const file = shownFile(site);
  const text = complaintWords[language];
  throw new CommandError({
    code: "KERB-CLI-NOT-RUNNING",
    exitCode: exitCodes.notRunning,
    title: text.notRunning(file),
    hint: text.notRunningCure(typed(file)),
    details: [["seen", text.nobodyAt(error.socket)]],
    language,
  });
}
