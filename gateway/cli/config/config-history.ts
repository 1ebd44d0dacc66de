import { dirname } from "node:path";
import { NotRunningError } from "../../control/control.ts";
import { exitCodes, printable } from "../../errors.ts";
import type { Generation, Standing } from "../../generations/desk.ts";
import { summaryOf } from "../../generations/plan.ts";
import { GenerationStore } from "../../generations/store.ts";
import { whoIn } from "../ioc/audit-words.ts";
import { configWords, wallDate } from "./config-words.ts";
import type { ChangeOptions } from "./config-change.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { askOnce, controlSocket, findSite, notRunning } from "../site.ts";
import { paint, table } from "../../text.ts";
import { reasonIn } from "../../generations/vietnamese.ts";

/** What `kerb config history` says to scripts. */
export interface HistoryResult {
  site: string;
  /** undefined: no gateway runs. */
  running?: Standing;
  /** The newest first. */
  generations: Generation[];
}

async function find(site: string): Promise<Omit<HistoryResult, "site">> {
  const socket = controlSocket(site);
  try {
    const running = await askOnce<Standing>(socket, { verb: "config-standing" });
    const generations = await askOnce<Generation[]>(socket, { verb: "config-history" });
    return { running, generations };
  } catch (error) {
    if (!(error instanceof NotRunningError)) throw error;
    return { generations: await new GenerationStore(dirname(socket)).list() };
  }
}

/** `kerb config history`: also without a gateway. */
export async function history(options: ChangeOptions): Promise<number> {
  const site = findSite(options.site);
  const language = languageOf(options.lang);
  const words = configWords[language];
  const found = await find(site).catch((error: unknown) => notRunning(error, site, language));
  const { running, generations } = found;
  if (options.json === true) {
    printData("config-history", { site, ...found } satisfies HistoryResult);
    return exitCodes.ok;
  }
  const titles = words.titles.map((title, i) => (i === 0 ? { title, side: "right" as const } : { title }));
  const rows = generations.map(({ number, at, by, how, of, plan, outcome, reason }) => {
    const what = running?.generation === number ? words.current : words.outcomes[outcome];
    const shown =
      outcome === "pending" && running?.generation === number ? `${what}, ${words.outcomes.pending}` : what;
    return [
      String(number),
      wallDate(Date.parse(at)),
      printable(whoIn(language, by)),
      of === undefined ? words.hows[how] : `${words.hows[how]} ${of}`,
      plan === undefined ? "" : summaryOf(plan),
      reason === undefined ? shown : `${shown}: ${printable(reasonIn(language, reason))}`,
    ];
  });
  if (rows.length === 0) hint(words.none);
  else {
    const [head = "", ...lines] = table(titles, rows);
    printLines([paint("bold", head), ...lines]);
  }
  if (running?.safeMode !== undefined) hint(words.safeMode(running.safeMode.count));
  else if (running?.filesDiffer === true) hint(words.filesDiffer);
  return exitCodes.ok;
}
