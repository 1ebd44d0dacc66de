import { type HealthCheck, healthChecks } from "../health/health.ts";
import type { ErrorCode } from "../errors.ts";
import type { LatestReading } from "../host/messages.ts";
import type { DeviceConfig } from "../config/config.ts";
import type { Facts } from "../driver.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { rulesOf } from "./causes.ts";
import type { Finding, Text } from "./facts.ts";
import { answers, knownFacts, pollEveryMs } from "./history.ts";
import { diagnosisOf } from "./knowledge.ts";
import { placeFacts } from "./places.ts";
import { causeOf, doubtsOf } from "./rules.ts";
import { rungOf } from "./rungs.ts";

/** Something that is wrong now, with all that it drags along. */
export interface Problem {
  severity: "bad" | "warn";
  check: HealthCheck["check"];
  /** Which device, driver or uplink, or what the devices behind it share. */
  object?: string;
  code?: ErrorCode;
  seen: Text;
  /** Devices that are folded under it. */
  behind: string[];
}

/** What the problems are found in. */
export interface Seen {
  status: GatewayStatus;
  /** The newest values by device. */
  readings: Readonly<Record<string, readonly LatestReading[]>>;
  nowMs: number;
  /** The devices as the site file has them now. */
  configured: readonly Pick<DeviceConfig, "id" | "settings" | "pollMs" | "points">[];
}

type Device = GatewayStatus["devices"][number];

/** The facts of a device as its gateway has them, with what its driver reads out of the error. */
async function factsOf(device: Device, { status, readings, nowMs, configured }: Seen): Promise<Facts> {
  const driver = await diagnosisOf(device.driver);
  const own = configured.find(({ id }) => id === device.id);
  const known = readings[device.id] ?? [];
  const everyMs = own === undefined ? undefined : pollEveryMs(own);
  const facts: Facts = knownFacts(device.id, { status, readings: known, nowMs }, everyMs);
  // A device that only the running gateway knows is judged by what the gateway says.
  if (own === undefined || driver === undefined) return facts;
  Object.assign(facts, placeFacts(driver.place(own.settings)));
  if (device.code === undefined) return { ...facts, ...driver.healthy?.(known, own.settings) };
  const failure = { code: device.code, message: device.reason ?? "" };
  return { ...facts, "error.at": "gateway", ...driver.facts(failure, own.settings) };
}

/** What a lost device of the findings of `kerb health` is lost by; undefined: no rule fits what is known unasked. */
export async function causeOfLost(
  { check, object, behind = [] }: Pick<HealthCheck, "check" | "object" | "behind">,
  seen: Seen,
): Promise<Finding | undefined> {
  const device = seen.status.devices.find(({ id }) => id === object);
  if (check !== "device" || device?.code === undefined || behind.length > 0) return undefined;
  const facts = await factsOf(device, seen);
  return causeOf(rulesOf(device.driver), rungOf(facts, device.code), facts);
}

/** A lost device by the rules, as far as they need no look at it; else by its error alone. */
async function refined(problem: Problem, seen: Seen): Promise<Problem> {
  const found = await causeOfLost(problem, seen);
  return found === undefined ? problem : { ...problem, code: found.code, seen: found.seen };
}

/** What is wrong with a device that answers. */
async function doubts(device: Device, seen: Seen): Promise<Problem[]> {
  const facts = await factsOf(device, seen);
  const rules = rulesOf(device.driver);
  const strange = causeOf(rules, "identity", facts);
  const doubtful = doubtsOf(rules, facts).filter(({ code }) => code !== "KERB-SCH-CLOCK");
  const found = [...(strange === undefined ? [] : [strange]), ...doubtful];
  return found.map(({ code, seen: text }) => ({
    severity: "warn" as const,
    check: "device" as const,
    object: device.id,
    code,
    seen: text,
    behind: [],
  }));
}

function clockProblem(standing: readonly Device[]): Problem[] {
  if (standing.length === 0) return [];
  const seen = {
    en: `schedules of ${standing.length} devices stand still`,
    vi: `lịch của ${standing.length} thiết bị đang dừng`,
  };
  const behind = standing.map(({ id }) => id);
  return [{ severity: "warn", check: "clock", code: "KERB-SCH-CLOCK", seen, behind }];
}

/** What drags most along comes first. */
const weight = ({ severity, behind }: Problem): number => (severity === "bad" ? 1000 : 0) + behind.length;

/**
 * What is wrong now, worst first: the findings of `kerb health`, each lost device by its cause, and what is wrong
 * with devices that answer. Nobody is asked anything for it.
 */
export async function problemsOf(seen: Seen): Promise<Problem[]> {
  const { status, nowMs } = seen;
  const findings = healthChecks(status, nowMs, Infinity).filter(
    ({ state, check }) => state !== "ok" && check !== "devices",
  );
  const found = await Promise.all(
    findings.map(({ state, check, object, code, seen: text, behind = [] }) => {
      const severity = state === "bad" ? ("bad" as const) : ("warn" as const);
      const about = { ...(object === undefined ? {} : { object }), ...(code === undefined ? {} : { code }) };
      return refined({ severity, check, seen: text, behind, ...about }, seen);
    }),
  );
  // One clock, however many schedules wait for it.
  const standing = status.devices.filter(
    ({ enabled, schedules = [] }) => enabled && schedules.some(({ problem }) => problem === "KERB-SCH-CLOCK"),
  );
  const answering = status.devices.filter((one) => one.enabled && answers(one));
  const warned = await Promise.all(answering.map((device) => doubts(device, seen)));
  return [...found, ...clockProblem(standing), ...warned.flat()].toSorted((a, b) => weight(b) - weight(a));
}
