import { monotonicMs } from "../clock.ts";
import type { DeviceErrorCode } from "../driver.ts";
import { deviceErrorCode, errorTable } from "../errors.ts";
import type { HostRequest, Shown, WriteOutcome as HostOutcome } from "../host/messages.ts";
import type { CommandCode } from "./error-texts.ts";
import type { Field, WriteOutcome } from "./order.ts";

/** The devices as the desk reaches them: through the hosts. */

/** Asks the host of a device; rejects where it is not running or does not answer. */
export type AskHost = (device: string, request: HostRequest, timeoutMs?: number) => Promise<unknown>;

/** A host takes two seconds longer than it was given, at most, and is on another core. */
const hostGraceMs = 4000;

/** What the error table calls the reasons of a host. */
const codes: Readonly<Record<string, CommandCode>> = {
  "no-such-device": "KERB-CMD-DEVICE",
  "no-such-point": "KERB-CMD-POINT",
  "not-writable": "KERB-CMD-POINT",
  unidentified: "KERB-CMD-IDENTITY",
  "firmware-unknown": "KERB-CMD-IDENTITY",
  "firmware-untold": "KERB-CMD-IDENTITY",
  "other-unit": "KERB-CMD-IDENTITY",
  "unit-untold": "KERB-CMD-IDENTITY",
  "unit-unreadable": "KERB-CMD-IDENTITY",
  "not-connected": "KERB-CMD-OFFLINE",
  "no-turn": "KERB-CMD-BUSY",
  interlock: "KERB-CMD-INTERLOCK",
  unreadable: "KERB-CMD-BEFORE",
  value: "KERB-CMD-VALUE",
  "not-as-commanded": "KERB-CMD-NOT-WRITTEN",
  "not-read-back": "KERB-CMD-HOST",
  internal: "KERB-CMD-HOST",
};

function codeOf(code: string): string {
  const known = Object.hasOwn(codes, code) ? codes[code] : undefined;
  const device = deviceErrorCode(code as DeviceErrorCode);
  return known ?? (Object.hasOwn(errorTable, device) ? device : code);
}

function outcomeOf(told: HostOutcome, tookMs: number): WriteOutcome {
  const { state, code, reason, before, readBack, writtenMs } = told;
  return {
    state,
    ...(code === undefined ? {} : { code: codeOf(code) }),
    ...(reason === undefined ? {} : { reason }),
    ...(before === undefined ? {} : { before }),
    ...(readBack === undefined ? {} : { readBack }),
    ...(writtenMs === undefined ? {} : { writtenMs: Math.round(tookMs) }),
  };
}

function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) return Promise.reject(new Error("the gateway stops"));
  return new Promise((resolve, reject) => {
    const end = () => reject(new Error("the gateway stops"));
    signal.addEventListener("abort", end, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

export function hostField(ask: AskHost): Field {
  return {
    async execute({ device, point, value, timeoutMs, beginMs }, signal) {
      const startedMs = performance.now();
      const beginByMs = monotonicMs() + beginMs;
      const request: HostRequest = { name: "write", device, point, value, timeoutMs, beginByMs };
      const patienceMs = beginMs + timeoutMs + hostGraceMs;
      const told = await unlessAborted(ask(device, request, patienceMs), signal);
      return outcomeOf(told as HostOutcome, performance.now() - startedMs);
    },
    async read(device, point, signal, { ordered, sinceMs } = {}) {
      const about = {
        ...(ordered === undefined ? {} : { value: ordered }),
        ...(sinceMs === undefined ? {} : { sinceMs }),
      };
      const request: HostRequest = { name: "shown", device, point, ...about };
      const told = (await unlessAborted(ask(device, request), signal)) as Shown;
      const { value, isSame, code, reason = "it tells no value" } = told;
      if (isSame === true && ordered !== undefined) return { value: ordered };
      if (value !== null) return { value };
      return { value, ...(code === undefined ? {} : { code: codeOf(code) }), reason };
    },
  };
}
