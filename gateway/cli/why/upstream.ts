import { loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { ask } from "../../control/control.ts";
import { exitCodes, printable } from "../../errors.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import type { TestStep } from "../../uplink/upstream-test.ts";
import { type Box, findBox, isRunning } from "../box/box.ts";
import { meantBy } from "../complaint-words.ts";
import { notFoundError } from "../errors.ts";
import { hint, printData, printLines } from "../output.ts";
import { askOnce, findSite } from "../site.ts";
import { span } from "../../text.ts";
import { climbUpstream, ladderLines } from "./upstream-ladder.ts";
import { upstreamWords } from "./upstream-words.ts";

export interface UpstreamOptions {
  site?: string;
  uplink?: string;
  /** How long the IOC may take to confirm the test event. */
  waitMs?: number;
  json?: boolean;
  lang?: Language;
}

const waitDefaultMs = 90_000;

/** The event's steps by uplink ("": stored), until all have confirmed it or the time is over. */
async function testEvent(
  { socket }: Box,
  uplinks: readonly string[],
  waitMs: number,
): Promise<Map<string, TestStep>> {
  const found = new Map<string, TestStep>();
  const stop = AbortSignal.timeout(waitMs);
  try {
    for await (const answer of ask(socket, { verb: "upstream-test" }, stop)) {
      const step = answer as TestStep;
      found.set(step.step === "stored" ? "" : step.uplink, step);
      if (uplinks.every((id) => found.has(id))) break;
    }
  } catch {
    // What was seen until then counts.
  }
  return found;
}

/** `kerb upstream test`: the way to the IOC step by step, to an event that the IOC confirms; exit code 5 where it ends. */
export async function upstreamTest(options: UpstreamOptions): Promise<number> {
  const file = findSite(options.site);
  const box = findBox({ ...options, site: file });
  const { language } = box;
  const words = upstreamWords[language];
  const site = await loadSite(file);
  const ids = site.uplinks.map(({ id }) => id);
  if (ids.length === 0) throw notFoundError(words.noUplinks, words.noUplinksCure);
  const chosen = site.uplinks.filter(({ id }) => options.uplink === undefined || id === options.uplink);
  if (chosen.length === 0)
    throw notFoundError(
      words.noUplink(printable(options.uplink ?? "")) + meantBy(options.uplink ?? "", ids),
      words.noUplinkCure(ids.join(", ")),
    );
  const waitMs = options.waitMs ?? waitDefaultMs;
  const isAlive = await isRunning(box);
  const status = isAlive ? await askOnce<GatewayStatus>(box.socket, { verb: "status" }) : undefined;
  const links = status?.uplinks.filter(
    ({ id, state }) => state === "connected" && chosen.some((one) => one.id === id),
  );
  const connected = links?.map(({ id }) => id) ?? [];
  const test = connected.length > 0 ? testEvent(box, connected, waitMs) : undefined;
  if (test !== undefined && options.json !== true) hint(words.waiting(span(waitMs)));
  const around = { site, language, status, test, waitMs };
  const ladders = await Promise.all(chosen.map((uplink) => climbUpstream(uplink, around)));
  if (options.json === true) printData("upstream-test", ladders);
  else printLines(ladders.flatMap((ladder) => ladderLines(ladder, language)));
  return ladders.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.noAnswer;
}
