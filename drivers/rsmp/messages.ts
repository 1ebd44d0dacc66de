import type { Json } from "./codec.ts";
import { atLeast } from "./versions.ts";

/**
 * What a site may say, checked by the rules of the RSMP version in use. Each reader gives the message's content,
 * or the reason why it is not understood: that text goes into MessageNotAck.
 */

type Quality = "recent" | "old" | "undefined" | "unknown";

/** One value of a StatusResponse or a StatusUpdate. */
export interface StatusValue {
  code: string;
  name: string;
  /** A text, or a list since 3.2; null where the site has no value. */
  value: string | readonly unknown[] | null;
  quality: Quality;
}
export interface StatusMessage {
  kind: "status";
  type: "StatusResponse" | "StatusUpdate";
  component: string;
  timeMs: number;
  values: StatusValue[];
}
export interface AggregatedMessage {
  kind: "aggregated";
  component: string;
  timeMs: number;
  bits: boolean[];
  position: string | null;
  state: string | null;
}
export interface AlarmMessage {
  kind: "alarm";
  component: string;
  code: string;
  externalCode: string;
  event: "Issue" | "Acknowledge" | "Suspend";
  active: boolean;
  acknowledged: boolean;
  suspended: boolean;
  timeMs: number;
  category: string;
  priority: string;
  arguments: ReadonlyMap<string, string>;
}
interface CommandValue {
  code: string;
  name: string;
  value: string | null;
  quality: Quality;
}
export interface CommandMessage {
  kind: "command";
  component: string;
  timeMs: number;
  values: CommandValue[];
}
interface WatchdogMessage {
  kind: "watchdog";
  timeMs: number;
}
export interface VersionMessage {
  id: string;
  versions: string[];
  siteIds: string[];
  sxl: string;
}
export type SiteMessage = StatusMessage | AggregatedMessage | AlarmMessage | CommandMessage | WatchdogMessage;

/** What is wrong with a message, for people and for `rea`. */
class Refusal extends Error {}

const itemsMax = 10_000;
const textMax = 200;
const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const timestamp = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
/** What older sites make of it: fewer digits, an offset, or none, which means UTC as all times of RSMP. */
const looseTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?$/;

function text(message: Json, name: string, lengthMax = textMax): string {
  const value = message[name];
  if (typeof value !== "string") throw new Refusal(`${name} must be a text`);
  if (value.length > lengthMax) throw new Refusal(`${name} is longer than ${lengthMax} characters`);
  return value;
}

function list(message: Json, name: string): Json[] {
  const value = message[name];
  if (!Array.isArray(value)) throw new Refusal(`${name} must be a list`);
  if (value.length > itemsMax) throw new Refusal(`${name} has more than ${itemsMax} entries`);
  for (const item of value) {
    if (typeof item !== "object" || item === null || Array.isArray(item))
      throw new Refusal(`${name} must hold objects`);
  }
  return value as Json[];
}

/** Older versions do not say that case matters, and sites of their time differ. */
function oneOf<Word extends string>(
  given: string,
  name: string,
  words: readonly Word[],
  version: string,
): Word {
  const found = atLeast(version, "3.2.0")
    ? words.find((word) => word === given)
    : words.find((word) => word.toLowerCase() === given.toLowerCase());
  if (found === undefined) throw new Refusal(`${name} must be one of ${words.join(", ")}`);
  return found;
}

function time(message: Json, name: string, version: string): number {
  const given = text(message, name);
  const form = atLeast(version, "3.2.0") ? timestamp : looseTime;
  const parts = form.exec(given);
  const timeMs =
    parts === null ? NaN : Date.parse(form === looseTime && parts[2] === undefined ? `${given}Z` : given);
  if (Number.isNaN(timeMs)) throw new Refusal(`${name} must be a time as 2015-06-08T11:49:03.293Z`);
  return timeMs;
}

/** The message's own id; undefined where nothing can be acknowledged. */
export function idOf(message: Json): string | undefined {
  const id = message["mId"];
  return typeof id === "string" && id.length > 0 && id.length <= 64 ? id : undefined;
}

/** The id that a MessageAck or MessageNotAck answers to. */
export function acknowledgedIdOf(message: Json): string | undefined {
  const id = message["oMId"];
  return typeof id === "string" ? id : undefined;
}

export function reasonOf(message: Json): string {
  const reason = message["rea"];
  return typeof reason === "string" && reason !== "" ? reason.slice(0, textMax) : "no reason given";
}

const qualities = ["recent", "old", "undefined", "unknown"] as const;

function statusValue(item: Json, version: string): StatusValue {
  const quality = oneOf(text(item, "q"), "q", qualities, version);
  const hasNone = quality === "undefined" || quality === "unknown";
  const value = item["s"];
  const isList = Array.isArray(value) && atLeast(version, "3.2.0");
  if (hasNone ? atLeast(version, "3.2.0") && value !== null : typeof value !== "string" && !isList)
    throw new Refusal(`s must be ${hasNone ? "null" : "a text or a list"} where q is ${quality}`);
  return {
    code: text(item, "sCI"),
    name: text(item, "n"),
    value: hasNone ? null : (value as string | unknown[]),
    quality,
  };
}

function readStatus(message: Json, type: StatusMessage["type"], version: string): StatusMessage {
  return {
    kind: "status",
    type,
    component: text(message, "cId"),
    timeMs: time(message, "sTs", version),
    values: list(message, "sS").map((item) => statusValue(item, version)),
  };
}

function stateBit(value: unknown, version: string): boolean {
  // Up to 3.1.2 the bits are texts.
  if (!atLeast(version, "3.1.3") && typeof value === "string")
    return oneOf(value, "se", ["true", "false"], version) === "true";
  if (typeof value !== "boolean") throw new Refusal("se must hold booleans");
  return value;
}

function textOrNull(message: Json, name: string): string | null {
  const value = message[name];
  return value === null || value === undefined ? null : text(message, name);
}

function readAggregated(message: Json, version: string): AggregatedMessage {
  const bits = message["se"];
  if (!Array.isArray(bits) || bits.length !== 8) throw new Refusal("se must hold eight booleans");
  return {
    kind: "aggregated",
    component: textOrNull(message, "cId") ?? "",
    timeMs: time(message, "aSTS", version),
    bits: bits.map((bit) => stateBit(bit, version)),
    position: textOrNull(message, "fP"),
    state: textOrNull(message, "fS"),
  };
}

function readAlarm(message: Json, version: string): AlarmMessage {
  const event = oneOf(text(message, "aSp"), "aSp", ["Issue", "Acknowledge", "Suspend", "Resume"], version);
  const suspended = ["suspended", "Suspended", "notSuspended"] as const;
  const values = list(message, "rvs").map((item): [string, string] => [
    text(item, "n"),
    text(item, "v", 10_000),
  ]);
  return {
    kind: "alarm",
    component: text(message, "cId"),
    code: text(message, "aCId"),
    externalCode: textOrNull(message, "xACId") ?? "",
    // A site that says Resume means the end of a suspension; the specification has it say Suspend for both.
    event: event === "Resume" ? "Suspend" : event,
    active: oneOf(text(message, "aS"), "aS", ["Active", "inActive"], version) === "Active",
    acknowledged:
      oneOf(text(message, "ack"), "ack", ["Acknowledged", "notAcknowledged"], version) === "Acknowledged",
    suspended: oneOf(text(message, "sS"), "sS", suspended, version) !== "notSuspended",
    timeMs: time(message, "aTs", version),
    category: oneOf(text(message, "cat"), "cat", ["T", "D"], version),
    priority: oneOf(text(message, "pri"), "pri", ["1", "2", "3"], version),
    arguments: new Map(values),
  };
}

function readCommand(message: Json, version: string): CommandMessage {
  const values = list(message, "rvs").map((item): CommandValue => {
    const value = item["v"];
    return {
      code: text(item, "cCI"),
      name: text(item, "n"),
      value:
        typeof value === "string"
          ? value.slice(0, 10_000)
          : value === null || value === undefined
            ? null
            : JSON.stringify(value),
      quality: oneOf(text(item, "age"), "age", qualities, version),
    };
  });
  return { kind: "command", component: text(message, "cId"), timeMs: time(message, "cTS", version), values };
}

const readers: Record<string, (message: Json, version: string) => SiteMessage> = {
  Watchdog: (message, version) => ({ kind: "watchdog", timeMs: time(message, "wTs", version) }),
  AggregatedStatus: readAggregated,
  Alarm: readAlarm,
  StatusResponse: (message, version) => readStatus(message, "StatusResponse", version),
  StatusUpdate: (message, version) => readStatus(message, "StatusUpdate", version),
  CommandResponse: readCommand,
};

/** Only a supervisor sends these. */
const notForUs = new Set([
  "AggregatedStatusRequest",
  "StatusRequest",
  "StatusSubscribe",
  "StatusUnsubscribe",
  "CommandRequest",
]);

const known = new Set(["MessageAck", "MessageNotAck", "Version", ...Object.keys(readers), ...notForUs]);

/** The type of a message, or why it is none of RSMP. */
export function typeOf(message: Json): { type: string } | { rea: string } {
  const type = message["type"];
  if (message["mType"] !== "rSMsg") return { rea: "mType must be rSMsg" };
  if (typeof type !== "string") return { rea: "type must be a text" };
  return known.has(type) ? { type } : { rea: `Unknown packet type: ${type.slice(0, textMax)}` };
}

/** The content of a message from a site, or the reason why it is not understood. */
export function readMessage(message: Json, type: string, version: string): SiteMessage | { rea: string } {
  const read = readers[type];
  if (read === undefined) return { rea: `${type} is not for a supervision system` };
  try {
    if (atLeast(version, "3.2.0") && !guid.test(idOf(message) ?? ""))
      throw new Refusal("mId must be a UUID of version 4");
    return read(message, version);
  } catch (error) {
    if (error instanceof Refusal) return { rea: `${type}: ${error.message}` };
    throw error;
  }
}

/** The content of a site's Version message, or the reason why it is not understood. */
export function readVersion(message: Json): VersionMessage | { rea: string } {
  try {
    const id = idOf(message);
    if (id === undefined) throw new Refusal("mId is missing");
    const versions = list(message, "RSMP").map((item) => text(item, "vers", 20));
    const siteIds = list(message, "siteId").map((item) => text(item, "sId"));
    const sxl = text(message, "SXL", 20);
    if (siteIds.length === 0) throw new Refusal("siteId is empty");
    if (versions.length === 0) throw new Refusal("RSMP is empty");
    return { id, versions, siteIds, sxl };
  } catch (error) {
    if (error instanceof Refusal) return { rea: `Version: ${error.message}` };
    throw error;
  }
}
