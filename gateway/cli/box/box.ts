import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { valueAt } from "../../config/path.ts";
import { siteSchema } from "../../config/site-schema.ts";
import type { Language } from "../../config/error-texts.ts";
import { ask, NotRunningError } from "../../control/control.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { storageCause } from "../../health/causes.ts";
import { StillQueue } from "../../outbox/still.ts";
import { readYaml } from "../../config/yaml.ts";
import { boxWords } from "./box-words.ts";
import { CommandError, notFoundError, tableError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { controlSocket, findSite } from "../site.ts";

/** The box by itself: its state folder, whether a gateway runs on it, and its queue file when none does. */

export interface BoxOptions {
  site?: string;
  /** The state folder, where the site file is not at hand: a disk that was taken out of a dead box. */
  state?: string;
  json?: boolean;
  lang?: Language;
}

export interface Box {
  /** undefined: only the state folder is known. */
  site: string | undefined;
  folder: string;
  socket: string;
  language: Language;
}

export function findBox({ site, state, lang }: BoxOptions): Box {
  const language = languageOf(lang);
  if (state !== undefined) {
    const folder = resolve(state);
    return { site: undefined, folder, socket: join(folder, "kerb.sock"), language };
  }
  const file = findSite(site);
  const socket = controlSocket(file);
  return { site: file, folder: dirname(socket), socket, language };
}

/** Whether a gateway listens; one that hangs runs as well. */
export async function isRunning({ socket }: Box): Promise<boolean> {
  if (!existsSync(socket)) return false;
  try {
    for await (const _ of ask(socket, { verb: "ping" }, AbortSignal.timeout(4000))) break;
    return true;
  } catch (error) {
    if (error instanceof NotRunningError) return false;
    if (/permission/.test((error as Error).message)) throw error;
    return true;
  }
}

/** Something that must not be done beside a gateway that runs; exit code 7. */
export function runsError({ site, folder, language }: Box): CommandError {
  const words = boxWords[language];
  const place = shownFile(site ?? folder);
  return new CommandError({
    code: "KERB-CLI-RUNS",
    exitCode: exitCodes.notAllowed,
    title: words.runs(place),
    hint: words.runsCure,
    language,
  });
}

/** The queue of a gateway that does not run. Throws `CommandError` when there is none or somebody has it open. */
export function openStill(box: Box): StillQueue {
  const words = boxWords[box.language];
  const path = join(box.folder, "outbox.db");
  if (!existsSync(path)) throw notFoundError(words.noQueue(shownFile(path)), words.noQueueCure);
  try {
    return new StillQueue(path);
  } catch (error) {
    const { code = "" } = error as { code?: string };
    if (code === "SQLITE_BUSY") throw runsError(box);
    if (code === "KERB-OUT-NEWER")
      throw tableError(shownFile(path), code, (error as Error).message, box.language, exitCodes.newerOutbox);
    const seen = `${code} ${(error as Error).message}`;
    throw tableError(shownFile(path), storageCause(seen), seen, box.language, exitCodes.findings);
  }
}

function siteValue(site: string): unknown {
  return readYaml(site, { secretsFolder: join(dirname(site), "secrets") }).value;
}

/** The byte budget of the queue as the site file has it; undefined without one, or where it is wrong. */
export function budgetOf({ site }: Box): number | undefined {
  if (site === undefined) return undefined;
  return siteSchema.shape.outbox.safeParse(valueAt(siteValue(site), ["outbox"]) ?? {}).data?.sizeMax;
}

/** The ids of the site's uplinks; undefined without a site file. */
export function uplinksOf({ site }: Box): string[] | undefined {
  const list = site === undefined ? undefined : valueAt(siteValue(site), ["uplinks"]);
  return Array.isArray(list) ? list.map((one) => String(valueAt(one, ["id"]))) : undefined;
}
