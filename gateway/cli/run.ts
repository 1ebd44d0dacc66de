import { flushCompileCache } from "node:module";
import { ConfigEngine } from "../generations/engine.ts";
import { GatewayRun } from "../generations/gateway-run.ts";
import { chooseStart } from "../generations/start.ts";
import { reasonIn } from "../generations/vietnamese.ts";
import type { Logger } from "pino";
import { describeError, type ErrorCode, exitCodes } from "../errors.ts";
import { takeNotifyTarget } from "../health/notify.ts";
import { Watchdog } from "../health/watchdog.ts";
import { openLog } from "../log.ts";
import { languageOf } from "./language.ts";

/**
 * `kerb run [FILE]`: the gateway, until SIGINT or SIGTERM; SIGHUP takes over a changed file. A wrong file runs the last
 * good generation, unless `strictConfig`. `json`: log lines stay JSON on a terminal too.
 */
export async function run(
  given: string | undefined,
  options: { json?: boolean; strictConfig?: boolean } = {},
): Promise<number> {
  // A file that is not there has its own complaint, and perhaps a last good generation.
  // Looking for one loads what reads site files, which the gateway itself leaves to another process.
  const file = given ?? (await import("./site.ts")).findSite(undefined);
  const notify = takeNotifyTarget(process.env);
  let begun: ConfigEngine | undefined;
  // Before there is anything to take over it must not end the process; a terminal that closes still does.
  const hangUp = () => void (begun === undefined ? undefined : applyFiles(begun, log));
  if (!process.stdout.isTTY) process.on("SIGHUP", hangUp);
  const chosen = await chooseStart(file, { strict: options.strictConfig === true });
  const { site } = chosen.loaded;
  const log = openLog(site.log.level, options.json);
  for (const warning of site.warnings) log.warn({ file: warning.file, line: warning.line }, warning.message);
  const { promise, resolve } = Promise.withResolvers<number>();
  const gateway = new GatewayRun(log, (error) => {
    log.fatal(`the gateway cannot go on: ${error.message}`);
    resolve(exitCodes.unexpected);
  });
  const engine = new ConfigEngine(chosen, gateway, log);
  process.on("SIGINT", () => resolve(exitCodes.ok));
  process.on("SIGTERM", () => resolve(exitCodes.ok));
  const watchdog = notify === undefined ? undefined : new Watchdog(notify, gateway, log);
  watchdog?.starting();
  try {
    await Promise.race([gateway.start(site, engine), promise]);
  } catch (error) {
    await gateway.stop().catch(() => {});
    return sayWhy(log, error as Error & { code?: string });
  }
  watchdog?.ready();
  await engine.begin();
  begun = engine;
  // A box loses its power without a word; the next start shall find the cache.
  flushCompileCache();
  const code = await promise;
  log.info("stopping");
  watchdog?.stopping();
  engine.stop();
  await gateway.stop();
  log.info("stopped");
  return code;
}

/** SIGHUP: there is nobody to answer but the log. */
async function applyFiles(engine: ConfigEngine, log: Logger): Promise<void> {
  try {
    const { generation, changed } = await engine.apply({ by: "SIGHUP", how: "apply" });
    if (!changed) log.info(`SIGHUP: nothing has changed, generation ${generation} runs`);
  } catch (error) {
    log.error(
      { code: "KERB-CFG-REFUSED" },
      `SIGHUP: the files are not taken over: ${(error as Error).message}`,
    );
  }
}

/** A restart does not help against these, a person has to. */
const exitCodeOf: Readonly<Record<string, number>> = {
  "KERB-OUT-NEWER": exitCodes.newerOutbox,
  "KERB-OUT-OWNER": exitCodes.configInvalid,
};

/** Why the gateway did not start, and the exit code. */
function sayWhy(log: Logger, { code = "", message }: Error & { code?: string }): number {
  const exitCode = exitCodeOf[code];
  if (exitCode === undefined) {
    log.fatal(message);
    return exitCodes.unexpected;
  }
  const language = languageOf(undefined);
  const { title, do: cure } = describeError(code as ErrorCode, language);
  const what = code === "KERB-OUT-OWNER" ? reasonIn(language, message) : title;
  log.fatal({ code, details: message }, `${what}; ${cure}`);
  return exitCode;
}
