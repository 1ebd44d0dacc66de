import type { DevicePlace, Diagnosis, Facts, Failure } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an RSMP site fails: it is the one that calls. */

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

export function facts({ message }: Failure): Facts {
  return { ...words.find(([pattern]) => pattern.test(message))?.[1] };
}

export const diagnosis: Diagnosis<Settings> = {
  place,
  facts,
  // Who only asks for places and words does not load the protocol.
  look: async (settings, inquiry) => (await import("./look.ts")).look(settings, inquiry),
};
