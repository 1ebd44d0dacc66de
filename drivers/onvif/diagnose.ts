import {
  type DevicePlace,
  type Diagnosis,
  type Facts,
  type Failure,
  type SeenValue,
  tlsFacts,
} from "../../gateway/driver.ts";
import { clockFacts } from "./clock-facts.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an ONVIF camera fails. */

function place({ host, port }: Settings): DevicePlace {
  return { over: "tcp", host, port };
}

const words: readonly [pattern: RegExp, facts: Facts][] = [
  [/login refused/, { "onvif.refused": true, rung: "login" }],
  [/points elsewhere \(HTTP 3/, { "onvif.redirects": true, rung: "protocol" }],
  [/no SOAP answer|HTTP-404|HTTP-405|HTTP-400/, { "onvif.noService": true, rung: "protocol" }],
  [/no HTTP \(/, { "onvif.notHttp": true, rung: "protocol" }],
  [/HTTP-5\d\d/, { "onvif.serverError": true, rung: "protocol" }],
];

function facts({ message, code }: Failure, { user, tls }: Settings): Facts {
  return {
    ...(code === "denied" || /no TLS/.test(message) ? tlsFacts(message) : {}),
    "onvif.hasLogin": user !== undefined,
    "onvif.hasTls": tls !== undefined,
    ...words.find(([pattern]) => pattern.test(message))?.[1],
  };
}

function healthy(readings: readonly SeenValue[]): Facts {
  const skew = readings.find(({ address }) => address.startsWith("clock-skew"))?.value;
  return typeof skew === "number" ? clockFacts(skew * 1000) : {};
}

export const diagnosis: Diagnosis<Settings> = {
  place,
  facts,
  // Who only asks for places and words does not load the protocol.
  look: async (settings, inquiry) => (await import("./look.ts")).look(settings, inquiry),
  healthy,
};
