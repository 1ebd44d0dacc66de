import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { valueAt } from "../config/path.ts";
import { siteSchema } from "../config/site-schema.ts";
import { ask, type ControlRequest, NotRunningError } from "../control.ts";
import { exitCodes, shownFile } from "../errors.ts";
import { readYaml } from "../yaml.ts";
import { CommandError, notFoundError } from "./errors.ts";

const systemSite = "/etc/kerb/gateway.yaml";
const workedSite = join("config", "district", "gateway.yaml");

/** The site file that a verb works with: `--site`, KERB_SITE, /etc/kerb/gateway.yaml, or the worked site. */
export function findSite(given: string | undefined): string {
  const named = given ?? process.env["KERB_SITE"];
  if (named !== undefined && named !== "") {
    if (existsSync(named)) return resolve(named);
    const from = given === undefined ? " (from KERB_SITE)" : "";
    throw notFoundError(
      `there is no site file ${named}${from}`,
      "give the path of a gateway.yaml with --site FILE",
    );
  }
  const found = [systemSite, workedSite].find((file) => existsSync(file));
  if (found !== undefined) return resolve(found);
  throw notFoundError(
    `no site file was named, and there is neither ${systemSite} nor ${workedSite} here`,
    "give one with --site FILE, or set KERB_SITE",
  );
}

/** The control socket of the gateway of a site. A site file that is broken elsewhere still tells it. */
export function controlSocket(site: string): string {
  const { value } = readYaml(site, { secretsFolder: join(dirname(site), "secrets") });
  const { state } = siteSchema.shape.gateway.shape;
  const folder = state.safeParse(valueAt(value, ["gateway", "state"]));
  return join(resolve(dirname(site), folder.data ?? state.parse(undefined)), "kerb.sock");
}

/** The only answer of the running gateway. Throws `NotRunningError` when there is none. */
export async function askOnce<Answer>(socket: string, request: ControlRequest): Promise<Answer> {
  for await (const answer of ask(socket, request)) return answer as Answer;
  throw new Error(`the gateway closed the connection without an answer to "${request.verb}"`);
}

/** Turns `NotRunningError` into the sentence with the cure (exit code 4); anything else is thrown on. */
export function notRunning(error: unknown, site: string): never {
  if (!(error instanceof NotRunningError)) throw error;
  throw new CommandError({
    code: "KERB-CLI-NOT-RUNNING",
    exitCode: exitCodes.notRunning,
    title: `no gateway is running for ${shownFile(site)}`,
    hint: `start it: kerb run ${shownFile(site)}   or, as a service: systemctl start kerb`,
    details: [["seen", error.message]],
  });
}
