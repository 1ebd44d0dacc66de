import {
  type DevicePlace,
  type Diagnosis,
  type Facts,
  type Failure,
  type Inquiry,
  type SeenValue,
  tlsFacts,
} from "../../gateway/driver.ts";
import { Camera } from "./camera.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an ONVIF camera fails. */

const lookMs = 3000;

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

const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** How far a clock is off, and whether that looks like local time that is told as UTC. */
function clockFacts(skewMs: number): Facts {
  const hours = Math.round(skewMs / 1_800_000) / 2;
  const isWhole = hours !== 0 && Math.abs(skewMs - hours * 3_600_000) < 120_000 && Math.abs(hours) <= 14;
  const nowMs = Date.now();
  return {
    "clock.offMs": Math.abs(Math.round(skewMs)),
    "clock.isZone": isWhole,
    "clock.camera": isoSeconds(nowMs + skewMs),
    "clock.box": isoSeconds(nowMs),
  };
}

/** The camera's clock, which it tells without a login: a token with a wrong time is refused like a wrong password. */
async function look(settings: Settings, { failure, signal }: Inquiry<Settings>): Promise<Facts> {
  if (failure.code !== "denied") return {};
  const camera = new Camera(settings);
  const skewMs = await camera.measureClock(signal, lookMs).catch(() => undefined);
  return skewMs === undefined ? { "clock.told": false } : clockFacts(skewMs);
}

function healthy(readings: readonly SeenValue[]): Facts {
  const skew = readings.find(({ address }) => address.startsWith("clock-skew"))?.value;
  return typeof skew === "number" ? clockFacts(skew * 1000) : {};
}

export const diagnosis: Diagnosis<Settings> = { place, facts, look, healthy };
