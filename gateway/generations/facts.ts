import { createHash } from "node:crypto";
import type { Site } from "../config/config.ts";
import type { ScheduleEntry } from "../schedules/levels.ts";

/** One key of a configuration: a digest of what it says, and, where nothing in it can be a secret, the value itself. */
export interface Fact {
  digest: string;
  shown?: string;
}

export interface DeviceFacts {
  driver: string;
  enabled: boolean;
  keys: Record<string, Fact>;
}

/** All that a plan needs to know of a configuration: small, and without a secret. */
export interface Facts {
  site: Record<string, Fact>;
  devices: Record<string, DeviceFacts>;
}

/** Keys whose texts may be shown; numbers and true/false may, unless their key sounds like a secret. */
const shownTexts =
  /(^|\.)(id|name|city|state|driver|profile|host|path|url|type|level|listen|encoding|class|serial|firmwareRange|address|personalData|allow)$/;
const secretive = /pass|secret|key|token|pin|auth|community|credential|code/i;

/** Texts that are never shown. */
type Hidden = ReadonlySet<string>;

/** Digests are of resolved secrets too, so they are never kept on disk nor told. */
function factOf(key: string, value: unknown, hidden: Hidden): Fact {
  const digest = createHash("sha256")
    .update(JSON.stringify(value) ?? "")
    .digest("base64url")
    .slice(0, 22);
  const whole = shownOf(key, value);
  // A short one would be found in everything: it is hidden where it stands alone.
  const isHidden = [...hidden].some((text) => whole === text || (text.length > 2 && whole?.includes(text)));
  const shown = isHidden ? undefined : whole?.slice(0, 80);
  return shown === undefined ? { digest } : { digest, shown };
}

function shownOf(key: string, value: unknown): string | undefined {
  if (secretive.test(key)) return undefined;
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return /Ms$|^poll\./.test(key) ? spanOf(value) : String(value);
  if (typeof value === "string" && shownTexts.test(key)) return value;
  if (key.startsWith("schedules.")) return scheduleOf(value as readonly ScheduleEntry[]);
  const isTexts = Array.isArray(value) && value.length < 9 && value.every((one) => typeof one === "string");
  return isTexts && shownTexts.test(key) ? value.join(", ") : undefined;
}

/** "17:45 100, 23:00 50 mon tue". */
export function scheduleOf(entries: readonly ScheduleEntry[]): string {
  const shown = entries.map(({ at, value, days = [] }) => [at, String(value), ...days].join(" "));
  return shown.join(", ");
}

/** "500 ms", "10 s", "2 min": exact, or in the smaller unit. */
function spanOf(ms: number): string {
  if (ms === 0 || ms % 1000 !== 0) return `${ms} ms`;
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The leaves of an object by their path; lists are leaves, unless their entries have ids. */
function leaves(key: string, value: unknown, found: Record<string, Fact>, hidden: Hidden): void {
  const isNamed =
    Array.isArray(value) && value.length > 0 && value.every((one) => isRecord(one) && "id" in one);
  const entries: [string, unknown][] | undefined = isNamed
    ? value.map((one) => [String((one as { id: unknown }).id), one])
    : isRecord(value)
      ? Object.entries(value)
      : undefined;
  if (value === undefined) return;
  if (entries === undefined) found[key] = factOf(key, value, hidden);
  else for (const [name, inner] of entries) leaves(`${key}.${name}`, inner, found, hidden);
}

/** Lists of points are long and told as one. */
const whole: readonly string[] = ["points", "records", "alarms", "identify", "identity", "place"];

function deviceFacts({ settings, pollMs, ...device }: Site["devices"][number], hidden: Hidden): DeviceFacts {
  const keys: Record<string, Fact> = {};
  for (const [name, value] of Object.entries(pollMs))
    keys[`poll.${name}`] = factOf(`poll.${name}`, value, hidden);
  // As they are written: beside the common keys, with nothing around them.
  for (const [name, value] of Object.entries(settings)) leaves(`settings.${name}`, value, keys, hidden);
  for (const [name, value] of Object.entries(device)) {
    if (value === undefined) continue;
    if (whole.includes(name)) keys[name] = factOf(name, value, hidden);
    else leaves(name, value, keys, hidden);
  }
  return { driver: device.driver, enabled: device.enabled, keys };
}

/** What a checked site says, key by key. `hidden`: texts that are shown behind no key. */
export function factsOf(site: Site, hidden: Hidden = new Set()): Facts {
  const found: Record<string, Fact> = {};
  const { gateway, outbox, uplinks, privacy, commands, twin, log, health } = site;
  const { stateFolder: state, ...about } = gateway;
  for (const [key, value] of Object.entries({
    gateway: { ...about, state },
    outbox,
    uplinks,
    privacy,
    commands,
    twin,
    log,
    health,
  }))
    leaves(key, value, found, hidden);
  const devices = site.devices.map((device) => [device.id, deviceFacts(device, hidden)] as const);
  return { site: found, devices: Object.fromEntries(devices) };
}
