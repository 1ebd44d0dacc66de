import type { Facts, Failure } from "../../gateway/driver.ts";

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

/** What an error of this driver says beyond its code. */
export function facts({ message }: Failure): Facts {
  return { ...words.find(([pattern]) => pattern.test(message))?.[1] };
}
