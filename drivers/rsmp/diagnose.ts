import type { DevicePlace, Diagnosis, Facts, Failure, Inquiry } from "../../gateway/driver.ts";
import { Listener } from "./listener.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an RSMP site fails: it is the one that calls. */

const listenMsMin = 1500;
const listenMsMax = 3000;

function place({ host, port, siteId }: Settings): DevicePlace {
  return { over: "calls", host, port, unit: siteId };
}

const words: readonly [pattern: RegExp, facts: Facts][] = [
  [/has not called within/, { "rsmp.problem": "no-call", rung: "protocol" }],
  [/RSMP versions \[/, { "rsmp.problem": "version", rung: "login" }],
  [/SXL version/, { "rsmp.problem": "sxl", rung: "login" }],
  [/the site refuses kerb's version/, { "rsmp.problem": "refused", rung: "login" }],
  [/cannot listen .*EADDRINUSE/, { "listen.failed": "taken", rung: "port" }],
  [/cannot listen .*EADDRNOTAVAIL/, { "listen.failed": "no-address", rung: "port" }],
  [/cannot listen .*EACCES/, { "listen.failed": "denied", rung: "port" }],
  [/another device has the same site id/, { "listen.failed": "twice", rung: "port" }],
  [/certificate cannot be used/, { "listen.failed": "certificate", rung: "port" }],
  [
    /no answer to|no acknowledgement|does not go on|not acknowledged/,
    { "rsmp.problem": "mute", rung: "protocol" },
  ],
];

/** What the host or `kerb why` says where it gives up before this driver does: nothing of why. */
const givenUp = /^no answer within \d+ s$/;

function facts({ message }: Failure): Facts {
  return { ...words.find(([pattern]) => pattern.test(message))?.[1] };
}

/** Whoever calls meanwhile under another name may be the site that is missed. */
async function look(settings: Settings, { failure, context, signal }: Inquiry<Settings>): Promise<Facts> {
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
  const waitMs = Math.min(listenMsMax, Math.max(listenMsMin, 2 * settings.reconnect));
  await listener
    .attach(settings.siteId, waitMs, AbortSignal.any([signal, heard.signal]))
    .then((session) => session.close(session.error("closed", "only looked")))
    .catch((error: Error) => Object.assign(seen, facts({ code: "silent", message: error.message })));
  listener.leave(settings.siteId);
  return seen;
}

export const diagnosis: Diagnosis<Settings> = { place, facts, look };
