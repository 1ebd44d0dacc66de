import { flushCompileCache } from "node:module";
import type { Logger } from "pino";
import type { Site } from "../config.ts";
import { loadSiteApart } from "../config/process.ts";
import { describeError, exitCodes } from "../errors.ts";
import { takeNotifyTarget } from "../health/notify.ts";
import { Watchdog } from "../health/watchdog.ts";
import { openLog } from "../log.ts";
import { Supervisor } from "../supervisor.ts";
import { languageOf } from "./language.ts";

async function openEndpoint({ health }: Site, supervisor: Supervisor, log: Logger) {
  if (health === undefined) return undefined;
  const { HealthEndpoint } = await import("../health/http.ts");
  const endpoint = new HealthEndpoint({
    ...health,
    status: () => supervisor.status(),
    accounts: () => supervisor.accounts(),
    log,
  });
  endpoint.start();
  return endpoint;
}

/** `kerb run FILE`: the gateway, until SIGINT or SIGTERM. `json`: log lines stay JSON on a terminal too. */
export async function run(file: string, options: { json?: boolean } = {}): Promise<number> {
  const notify = takeNotifyTarget(process.env);
  const site = await loadSiteApart(file);
  const log = openLog(site.log.level, options.json);
  for (const warning of site.warnings) log.warn({ file: warning.file, line: warning.line }, warning.message);
  const { promise, resolve } = Promise.withResolvers<number>();
  const supervisor = new Supervisor(site, log, (error) => {
    log.fatal(`the gateway cannot go on: ${error.message}`);
    resolve(exitCodes.unexpected);
  });
  process.on("SIGINT", () => resolve(exitCodes.ok));
  process.on("SIGTERM", () => resolve(exitCodes.ok));
  const watchdog = notify === undefined ? undefined : new Watchdog(notify, supervisor, log);
  watchdog?.starting();
  try {
    await Promise.race([supervisor.start(), promise]);
  } catch (error) {
    await supervisor.stop().catch(() => {});
    return sayWhy(log, error as Error & { code?: string });
  }
  watchdog?.ready();
  const endpoint = await openEndpoint(site, supervisor, log);
  // A box loses its power without a word; the next start shall find the cache.
  flushCompileCache();
  const code = await promise;
  log.info("stopping");
  watchdog?.stopping();
  endpoint?.stop();
  await supervisor.stop();
  log.info("stopped");
  return code;
}

/** Why the gateway did not start, and the exit code. 79: a restart does not help, a person has to. */
function sayWhy(log: Logger, { code, message }: Error & { code?: string }): number {
  if (code !== "KERB-OUT-NEWER") {
    log.fatal(message);
    return exitCodes.unexpected;
  }
  const { title, do: cure } = describeError(code, languageOf(undefined));
  log.fatal({ code, details: message }, `${title}; ${cure}`);
  return exitCodes.newerOutbox;
}
