import type { DevicePlace, Diagnosis, Facts, Failure } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";
import { urlOf } from "./url.ts";

/** What is known of why an OPC UA server fails. */

function place(settings: Settings): DevicePlace {
  const { host = "", port = "4840" } =
    /^\[?(?<host>.*?)\]?:(?<port>\d+)$/.exec(urlOf(settings).place)?.groups ?? {};
  return { over: "tcp", host, port: Number(port) };
}

const words: readonly [pattern: RegExp, facts: Facts][] = [
  [/shows no certificate/, { "ua.problem": "no-certificate", rung: "login" }],
  [/is not pinned/, { "ua.problem": "not-pinned", rung: "login" }],
  [/another certificate than/, { "ua.problem": "other-certificate", rung: "login" }],
  [/wants the password in clear/, { "ua.problem": "clear-password", rung: "login" }],
  [/own certificate .* cannot be used/, { "ua.problem": "own-certificate", rung: "login" }],
  [/certificate or key cannot be used/, { "ua.problem": "user-certificate", rung: "login" }],
  [/not OPC UA/, { "ua.problem": "not-ua", rung: "protocol" }],
];

/** At which rung a service result belongs: who may come in is asked after the protocol is spoken. */
const loginStatus =
  /^Bad(IdentityToken|UserAccess|UserSignature|SecurityChecks|Certificate|ApplicationSignature)/;

function facts({ message, code }: Failure, { user }: Settings): Facts {
  const offered = /does not offer (.*), it offers: (.*)$/.exec(message);
  const ways = /takes no (\w+) login, it takes: (.*)$/.exec(message);
  const status = /: (Bad[A-Z]\w+)$/.exec(message)?.[1];
  return {
    "ua.hasLogin": user !== undefined,
    ...(offered === null
      ? {}
      : {
          "ua.problem": "no-endpoint",
          "ua.wanted": offered[1] ?? "",
          "ua.offers": offered[2] ?? "",
          rung: "protocol",
        }),
    ...(ways === null
      ? {}
      : { "ua.problem": "no-token", "ua.wanted": ways[1] ?? "", "ua.offers": ways[2] ?? "", rung: "login" }),
    ...(status === undefined
      ? {}
      : { "ua.status": status, rung: loginStatus.test(status) ? "login" : "protocol" }),
    ...(code === "garbage" && status === undefined ? { "ua.problem": "not-ua" } : {}),
    ...words.find(([pattern]) => pattern.test(message))?.[1],
  };
}

export const diagnosis: Diagnosis<Settings> = { place, facts };
