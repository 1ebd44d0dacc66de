import type { Facts, Inquiry } from "../../gateway/driver.ts";
import { facts } from "./failure-facts.ts";
import { Listener } from "./listener.ts";
import type { Settings } from "./settings.ts";

const listenMsMin = 1500;
const listenMsMax = 3000;

/** What the host or `kerb why` says where it gives up before this driver does: nothing of why. */
const givenUp = /^no answer within \d+ s$/;

/** Whoever calls meanwhile under another name may be the site that is missed. */
export async function look(
  settings: Settings,
  { failure, askMs, context, signal }: Inquiry<Settings>,
): Promise<Facts> {
  if (!/has not called within/.test(failure.message) && !givenUp.test(failure.message)) return {};
  const seen: Facts = {};
  const heard = new AbortController();
  const listener = await Listener.join(
    settings,
    {
      ...context,
      stranger: (who) => {
        seen["rsmp.caller"] = who;
        heard.abort();
      },
    },
    signal,
  ).catch(() => undefined);
  if (listener === undefined) return seen;
  const waitMs = askMs ?? Math.min(listenMsMax, Math.max(listenMsMin, 2 * settings.reconnect));
  await listener
    .attach(settings.siteId, waitMs, AbortSignal.any([signal, heard.signal]))
    .then((session) => session.close(session.error("closed", "only looked")))
    .catch((error: Error) => Object.assign(seen, facts({ code: "silent", message: error.message })));
  listener.leave(settings.siteId);
  return seen;
}
