import { monotonicMs } from "../clock.ts";
import type { HostRequest, LatestReading, Shown, WriteOutcome as HostOutcome } from "../host/messages.ts";
import type { Field } from "./order.ts";

/** The devices as the desk reaches them: through the hosts. */

/** Asks the host of a device; rejects where it is not running or does not answer. */
export type AskHost = (device: string, request: HostRequest, timeoutMs?: number) => Promise<unknown>;

/** A host takes two seconds longer than it was given, at most, and is on another core. */
const hostGraceMs = 4000;

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
    async execute({ beginMs, ...order }, signal) {
      const { device, timeoutMs } = order;
      const request: HostRequest = { name: "write", ...order, beginByMs: monotonicMs() + beginMs };
      const patienceMs = beginMs + timeoutMs + hostGraceMs;
      return (await unlessAborted(ask(device, request, patienceMs), signal)) as HostOutcome;
    },
    async read(device, point, signal, ordered) {
      const about = ordered === undefined ? {} : { value: ordered };
      const request: HostRequest = { name: "shown", device, point, ...about };
      const told = (await unlessAborted(ask(device, request), signal)) as Shown;
      const { value, isSame, reason = "it tells no value" } = told;
      if (isSame === true && ordered !== undefined) return { value: ordered };
      return value === null ? { value, reason } : { value };
    },
    async latest(device, signal) {
      const told = (await unlessAborted(ask(device, { name: "latest", device }), signal)) as LatestReading[];
      return new Map(
        told.flatMap(({ point, value, status }) =>
          status === "good" && value !== null ? [[point, value] as const] : [],
        ),
      );
    },
  };
}
