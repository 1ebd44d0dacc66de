import {
  argsDigest,
  type Command,
  type CommandContent,
  type CommandValue,
  contentDigest,
  isRefusal,
  issuerOf,
  lifeMsMax,
  localIssuer,
  parseCommand,
  type Refusal,
  scheduleIssuer,
  verifyCommand,
} from "./command.ts";
import type { Moment } from "./journal.ts";
import type { Policy, WritablePoint } from "./policy.ts";
import type { ArmTokens, Nonces, Rate } from "./tokens.ts";

/** The checks of a command, in their order, each with its code. They change nothing: the desk does what follows. */

/** What the gateway knows of a device when a command comes. */
export interface DeviceFacts {
  /** As its report says: only "online" takes a command. */
  state: string;
  writable: boolean;
  /** Why it is not. */
  reason?: string;
  /** Somebody operates it on site, and how that shows. */
  override?: string | undefined;
}

export interface Around {
  gateway: string;
  /** First part of the topics. */
  city: string;
  policy: Policy;
  facts: (device: string) => DeviceFacts | undefined;
  now: Moment;
  tokens: ArmTokens;
  nonces: Nonces;
  rate: Rate;
  /** Until the schedule of a point says something else, ms; undefined: it has none now. */
  untilChangeMs: (device: string, point: string) => number | undefined;
}

/** What was made on this box needs neither key nor role. */
const isOwn = (issuer: string): boolean => issuer === localIssuer || issuer === scheduleIssuer;

/** One point of a command that may be executed. */
export interface Planned {
  point: WritablePoint;
  value: CommandValue;
  /** After so many ms it goes back. */
  leaseMs: number | undefined;
}

/** `lifeMs`: how long from now it may be begun. */
export interface Plan {
  points: Planned[];
  lifeMs: number;
}

/** `isFresh`: nobody sends an old command again; only such a one uses up nonce and rate. */
export interface Refused extends Refusal {
  isFresh?: true;
}

/** A command that a known issuer has signed. */
export interface Signed {
  command: Command;
  issuer: string;
  digest: string;
}

/** Clocks differ by as much without being wrong. */
const skewMs = 5000;

const refuse = (code: Refusal["code"], reason: string): Refusal => ({ code, reason });

/** What a topic names after `{city}/cmd/v1/`; undefined: it is no topic of commands of this gateway. */
function deviceOf(topic: string, { city, gateway }: Around): string | undefined {
  const start = `${city}/cmd/v1/${gateway}/`;
  const device = topic.startsWith(start) ? topic.slice(start.length) : "";
  return /^[a-z0-9-]{2,40}$/.test(device) ? device : undefined;
}

/** Size, topic, form, gateway, issuer, signature: who says this, and to whom. */
export function checkOrigin(
  bytes: Uint8Array,
  topic: string,
  around: Around,
): Signed | (Refusal & { claims?: Command }) {
  const command = parseCommand(bytes);
  if (isRefusal(command) && command.code === "KERB-CMD-SIZE") return command;
  const device = deviceOf(topic, around);
  if (device === undefined) return refuse("KERB-CMD-TOPIC", "it is no topic of commands of this gateway");
  if (isRefusal(command)) return command;
  const wrong = (code: Refusal["code"], reason: string) => ({ code, reason, claims: command });
  if (command.dev !== device) return wrong("KERB-CMD-TOPIC", `the topic names the device ${device}`);
  if (command.gw !== around.gateway) return wrong("KERB-CMD-GATEWAY", `this gateway is ${around.gateway}`);
  const issuer = around.policy.issuer(issuerOf(command.by));
  if (issuer === undefined)
    return wrong("KERB-CMD-ISSUER", `"${issuerOf(command.by)}" is no issuer of this site`);
  if (!verifyCommand(command, issuer.key))
    return wrong("KERB-CMD-SIGNATURE", `it is not signed with the key of "${issuer.id}"`);
  return { command, issuer: issuer.id, digest: contentDigest(command) };
}

/** Operation, role, device, points: whether this issuer may do this at all. */
function checkRights(content: CommandContent, issuer: string, { policy }: Around): Refusal | undefined {
  const { role, dev, args } = content;
  const isLocal = isOwn(issuer);
  if (!isLocal && policy.issuer(issuer)?.roles.has(role) !== true)
    return refuse("KERB-CMD-ROLE", `"${issuer}" does not have the role "${role}"`);
  if (!policy.hasDevice(dev)) return refuse("KERB-CMD-DEVICE", `there is no device "${dev}"`);
  for (const point of Object.keys(args)) {
    if (!isLocal && !policy.allows(role, dev, point))
      return refuse("KERB-CMD-ROLE", `the role "${role}" does not have "${point}" of "${dev}"`);
    if (policy.isDriven(dev, point)) return refuse("KERB-CMD-PHASE", `"${point}" of a signal controller`);
    if (policy.point(dev, point) === undefined)
      return refuse("KERB-CMD-POINT", `"${point}" is not open for writing`);
  }
  return undefined;
}

function checkNumber(
  value: number,
  { name, least, most, step, stepFrom }: WritablePoint,
): Refusal | undefined {
  if (value < least || value > most)
    return refuse("KERB-CMD-LIMIT", `${name} = ${value}: from ${least} to ${most}`);
  const steps = step === undefined ? 0 : (value - stepFrom) / step;
  if (Math.abs(steps - Math.round(steps)) > 1e-9 * Math.max(1, Math.abs(steps)))
    return refuse("KERB-CMD-STEP", `${name} = ${value}: only multiples of ${step} from ${stepFrom}`);
  return undefined;
}

/** Why a point cannot have a value; undefined: it can. */
export function checkValue(value: CommandValue, point: WritablePoint): Refusal | undefined {
  const { name, kind, words, only, automatic } = point;
  if (value === automatic) return undefined;
  const shown = JSON.stringify(value);
  if (words !== undefined) {
    if (!words.includes(value as string))
      return refuse("KERB-CMD-VALUE", `${name} = ${shown}: expected ${words.slice(0, 20).join(", ")}`);
  } else if (typeof value !== (kind === "text" ? "string" : kind))
    return refuse("KERB-CMD-VALUE", `${name} = ${shown}: expected a ${kind}`);
  if (only !== undefined && !only.includes(value))
    return refuse("KERB-CMD-VALUE", `${name} = ${shown}: expected ${only.slice(0, 20).join(", ")}`);
  return typeof value === "number" ? checkNumber(value, point) : undefined;
}

/** How long a point is leased of which the command does not say so. A schedule may keep it; else its next entry ends it. */
function ownLeaseMs(
  dev: string,
  { name, alwaysLeased, leaseMsMax }: WritablePoint,
  issuer: string,
  { untilChangeMs }: Around,
): number | undefined {
  if (!alwaysLeased || issuer === scheduleIssuer) return undefined;
  return Math.min(leaseMsMax, Math.max(1, Math.ceil(untilChangeMs(dev, name) ?? Infinity)));
}

function planOf({ dev, args, lease }: CommandContent, issuer: string, around: Around): Planned[] | Refusal {
  const { policy } = around;
  const planned: Planned[] = [];
  const entries = Object.entries(args);
  for (const [name, value] of entries) {
    const point = policy.point(dev, name) as WritablePoint;
    if (point.isSafety && entries.length > 1) return refuse("KERB-CMD-SINGLE", `"${name}" is a safety point`);
    const wrong = checkValue(value, point);
    if (wrong !== undefined) return wrong;
    if (lease !== undefined && lease > point.leaseMsMax)
      return refuse("KERB-CMD-LEASE", `"${name}" is leased for ${point.leaseMsMax / 1000} s at most`);
    const leaseMs = lease ?? ownLeaseMs(dev, point, issuer, around);
    // What is given back does not go back.
    planned.push({ point, value, leaseMs: value === point.automatic ? undefined : leaseMs });
  }
  return planned;
}

/** How long the command may wait, ms; or why it is not fresh. */
function checkTime(
  { issued, notAfter, nonce }: CommandContent,
  issuer: string,
  around: Around,
): number | Refusal {
  const { wallMs, monoMs, clock } = around.now;
  const lifeMs = notAfter - issued;
  if (lifeMs <= 0 || lifeMs > lifeMsMax)
    return refuse("KERB-CMD-LIFETIME", `valid for ${lifeMs} ms: 1 to ${lifeMsMax}`);
  // What was made on this box was made now.
  if (isOwn(issuer)) return lifeMs;
  const nonceMs = nonce === undefined ? 0 : around.nonces.leftMs(nonce, issuer, monoMs);
  if (nonce !== undefined && nonceMs === 0) return refuse("KERB-CMD-NONCE", "it is not one that is open");
  const isProved = clock === "synced" || (clock === "holdover" && around.policy.takesHoldover);
  if (!isProved && nonce === undefined) return refuse("KERB-CMD-CLOCK", `the clock is ${clock}`);
  if (!isProved) return Math.min(nonceMs, lifeMs);
  if (wallMs >= notAfter)
    return refuse("KERB-CMD-EXPIRED", `it was to be executed ${Math.round(wallMs - notAfter)} ms ago`);
  if (issued > wallMs + skewMs)
    return refuse("KERB-CMD-FUTURE", `it was issued in ${Math.round(issued - wallMs)} ms`);
  return Math.min(notAfter - wallMs, lifeMs);
}

function checkSteps(
  content: CommandContent,
  issuer: string,
  planned: Planned[],
  around: Around,
): Refusal | undefined {
  const { mode, arm, by } = content;
  const needsArm = planned.find(({ point }) => point.needsArm)?.point.name;
  if (mode === "execute" && needsArm !== undefined)
    return refuse("KERB-CMD-ARM-NEEDED", `"${needsArm}" is armed, then committed`);
  if (arm === undefined) return undefined;
  const twoPerson = planned.some(({ point }) => point.twoPerson);
  const asked = { issuer, by, digest: argsDigest(content) };
  const whose = mode === "abort" ? "anybody" : twoPerson ? "another" : "the same";
  return around.tokens.refusal(arm, asked, whose, around.now.monoMs);
}

/** Whether the device takes a command now; asked again when its turn comes. */
export function checkDevice(
  device: string,
  isLocal: boolean,
  facts: DeviceFacts | undefined,
): Refusal | undefined {
  if (facts?.state !== "online")
    return refuse("KERB-CMD-OFFLINE", `${device} is ${facts?.state ?? "not known yet"}`);
  if (!facts.writable) return refuse("KERB-CMD-IDENTITY", facts.reason ?? `${device} must not be written to`);
  if (facts.override !== undefined && !isLocal) return refuse("KERB-CMD-OVERRIDE", facts.override);
  return undefined;
}

/** All that comes after the origin: rights, value, freshness, rate, arming, device. */
export function checkContent(content: CommandContent, issuer: string, around: Around): Plan | Refused {
  const right = checkRights(content, issuer, around);
  if (right !== undefined) return right;
  const planned = planOf(content, issuer, around);
  if (isRefusal(planned)) return planned;
  const lifeMs = checkTime(content, issuer, around);
  if (typeof lifeMs !== "number") return lifeMs;
  const late = checkTurn(content, issuer, planned, around);
  return late === undefined ? { points: planned, lifeMs } : { ...late, isFresh: true };
}

/** What a command of the right issuer, form and time may still be refused for. */
function checkTurn(
  content: CommandContent,
  issuer: string,
  planned: Planned[],
  around: Around,
): Refusal | undefined {
  const { ratePerMinute } = around.policy;
  if (issuer !== scheduleIssuer && around.rate.count(issuer, around.now.monoMs) >= ratePerMinute)
    return refuse("KERB-CMD-RATE", `at most ${ratePerMinute} a minute`);
  const step = checkSteps(content, issuer, planned, around);
  if (step !== undefined || content.mode === "abort") return step;
  return checkDevice(content.dev, issuer === localIssuer, around.facts(content.dev));
}
