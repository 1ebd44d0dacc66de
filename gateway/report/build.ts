import type { DeviceConfig, Site } from "../config/config.ts";
import type { Identity } from "../driver.ts";
import type { LatestReading } from "../host/messages.ts";
import { firmwareDoubt } from "../host/identify.ts";
import { isLike, type Match, matchProfile } from "../profiles/profile-match.ts";
import { loadProfile, type Point, type Profile } from "../profiles/profiles.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { openProblems } from "./findings.ts";
import type { Asked, Gathered } from "./gathered.ts";
import { placeOf } from "./place.ts";
import type { Both, Report, ReportDevice, ReportPoint } from "./report.ts";
import { partsOf } from "./signing.ts";

/** Makes the report of what was gathered. */

type DeviceStatus = GatewayStatus["devices"][number];

const isoOf = (ms: number | undefined): string | null =>
  ms === undefined || !Number.isFinite(ms) ? null : new Date(ms).toISOString();

/** Texts of devices as JSON can hold them, and numbers that are none as null: they are signed as canonical JSON. */
function sound<Value>(value: Value): Value {
  if (typeof value === "string") return value.toWellFormed() as Value;
  if (typeof value === "number" && !Number.isFinite(value)) return null as Value;
  if (Array.isArray(value)) return value.map(sound) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [sound(key), sound(one)])) as Value;
}

function textsOf(point: Point | undefined, value: LatestReading["value"]): Both | null {
  const texts = point?.texts;
  return texts !== undefined && Object.hasOwn(texts, String(value)) ? (texts[String(value)] ?? null) : null;
}

const isOutside = (value: unknown, limits: readonly [number, number] | undefined): boolean =>
  typeof value === "number" && limits !== undefined && (value < limits[0] || value > limits[1]);

function pointOf(reading: LatestReading, point: Point | undefined, nowMs: number): ReportPoint {
  const { value, status, code, reason, timeMs, unheard, decimals } = reading;
  const isHeard = unheard !== true;
  return {
    name: reading.point,
    label: point?.label ?? null,
    unit: reading.unit,
    decimals,
    value: isHeard ? value : null,
    text: textsOf(point, value),
    quality: isHeard ? status : "unheard",
    code: code ?? null,
    reason: reason ?? null,
    time: isHeard ? isoOf(timeMs) : null,
    ageMs: isHeard ? Math.max(0, Math.round(nowMs - timeMs)) : null,
    address: reading.address,
    limits: point?.limits ?? null,
    outside: isOutside(value, point?.limits),
  };
}

/** A point of a device of which nothing is known. */
const unread = ({ name, label, unit, decimals, limits }: Point): ReportPoint => ({
  name,
  label: label ?? null,
  unit,
  decimals: decimals ?? null,
  value: null,
  text: null,
  quality: "unread",
  code: null,
  reason: null,
  time: null,
  ageMs: null,
  address: "",
  limits: limits ?? null,
  outside: false,
});

function pointsOf({ points }: DeviceConfig, { readings }: Asked, nowMs: number): ReportPoint[] {
  const published = points.filter(({ publish }) => publish);
  if (readings.length === 0) return published.map(unread);
  const byName = new Map(published.map((point) => [point.name, point]));
  return readings.map((reading) => pointOf(reading, byName.get(reading.point), nowMs));
}

function profileNamed(id: string | undefined): Profile | undefined {
  try {
    return id === undefined ? undefined : loadProfile(id);
  } catch {
    // One of a folder of its own: what the site file has of it must do.
    return undefined;
  }
}

/** What it tells is none of what the profile knows; undefined: it does not tell that, or nothing is known of it. */
function isStrange(told: string | undefined, known: readonly string[] | undefined): boolean | undefined {
  if (known === undefined) return false;
  return told === undefined ? undefined : !known.some((pattern) => isLike(told, pattern));
}

function identityResult(
  { vendor, model }: Identity,
  { mismatch, unwritable }: Asked,
  profile: Profile | undefined,
): ReportDevice["tests"]["identity"] {
  if (mismatch !== undefined) return "differs";
  if (unwritable?.code === "other-unit") return "other-unit";
  const is = profile?.identify.is;
  if (is === undefined) return "unknowable";
  if (is === "any") return "matches";
  const strange = [isStrange(vendor, is.vendor), isStrange(model, is.model)];
  if (strange.includes(true)) return "differs";
  return strange.includes(undefined) ? "untold" : "matches";
}

function profileOf(
  device: DeviceConfig,
  identity: Identity,
  match: Match | undefined,
  profile: Profile | undefined,
): ReportDevice["profile"] {
  const { profile: id, identity: made, firmwareRange } = device;
  if (id === undefined) return null;
  const { firmware } = identity;
  const isCovered = firmwareDoubt(identity, firmwareRange) === undefined;
  return {
    id,
    vendor: made?.vendor ?? "",
    model: made?.model ?? "",
    status: profile?.status ?? null,
    firmware: firmwareRange,
    covers: firmware === undefined ? "untold" : isCovered ? "inside" : "outside",
    reasons: match?.reasons ?? [],
  };
}

function pollsOf(status: DeviceStatus | undefined): ReportDevice["tests"]["polls"] {
  if (status === undefined || status.polls === 0) return null;
  const { polls, answered, failed, missed, reads } = status;
  return {
    polls,
    answered,
    failed,
    missed,
    lossPercent: Math.round((10_000 * (failed + missed)) / polls) / 100,
    meanMs: answered === 0 ? null : Math.round(reads.sumMs / answered),
  };
}

function readTest({ readings, latencyMs }: Asked): ReportDevice["tests"]["read"] {
  if (latencyMs === undefined) return null;
  return {
    asked: readings.length,
    answered: readings.filter(({ value, unheard }) => value !== null && unheard !== true).length,
    good: readings.filter(({ status, unheard }) => status === "good" && unheard !== true).length,
    latencyMs: Math.round(latencyMs),
  };
}

function eventsOf(id: string, { books }: Gathered): ReportDevice["events"] {
  if (books === undefined) return null;
  const sum = { accepted: 0, delivered: 0, kept: 0, dropped: 0 };
  for (const { device, accepted, delivered, kept, dropped } of books.lines) {
    if (device !== id) continue;
    sum.accepted += accepted;
    sum.delivered += delivered;
    sum.kept += kept;
    sum.dropped += Object.values(dropped).reduce((all, one) => all + one, 0);
  }
  return sum;
}

/** State as the gateway has it, or as the look at the device was. */
function stateOf(
  device: DeviceConfig,
  asked: Asked,
  { status }: Gathered,
): { state: ReportDevice["state"]; verdict: ReportDevice["verdict"] } {
  if (!device.enabled) return { state: "disabled", verdict: "not-commissioned" };
  const known = status?.devices.find(({ id }) => id === device.id);
  if (status !== undefined && known?.enabled !== true)
    return { state: "unknown", verdict: "not-commissioned" };
  const { readings } = asked;
  const isUnheard = readings.length > 0 && readings.every(({ unheard }) => unheard === true);
  // Of which nothing was ever heard, nobody can say that it works.
  if (asked.failure === undefined && (known?.state === "listening" || (status === undefined && isUnheard)))
    return { state: "listening", verdict: "not-commissioned" };
  const direct =
    asked.mismatch !== undefined ? "wrong-device" : asked.failure === undefined ? "online" : "lost";
  const state = known?.state ?? direct;
  return { state, verdict: state === "online" && asked.failure === undefined ? "ok" : "failing" };
}

function deviceOf(device: DeviceConfig, gathered: Gathered, nowMs: number): ReportDevice {
  const asked = gathered.devices.get(device.id) ?? { readings: [] };
  const status = gathered.status?.devices.find(({ id }) => id === device.id);
  const identity = asked.identity ?? status?.identity ?? {};
  const profile = profileNamed(device.profile);
  const match = profile === undefined ? undefined : matchProfile(identity, profile);
  const { state, verdict } = stateOf(device, asked, gathered);
  const { vendor = null, model = null, firmware = null, serial = null, more = {} } = identity;
  const isAsked = asked.identity !== undefined || status?.identity !== undefined;
  const { failure } = asked;
  return {
    id: device.id,
    name: device.name,
    driver: device.driver,
    address: placeOf(device.settings),
    verdict,
    state,
    code: status?.code ?? failure?.code ?? null,
    reason: state === "online" ? null : (status?.reason ?? failure?.seen.en ?? null),
    identity: { vendor, model, firmware, serial, more },
    profile: profileOf(device, identity, match, profile),
    writable: asked.writable ?? status?.writable ?? false,
    unwritable: (asked.unwritable ?? status?.unwritable)?.code ?? null,
    tests: {
      read: readTest(asked),
      readFailure: failure?.seen.en ?? null,
      identity: isAsked ? identityResult(identity, asked, profile) : "unasked",
      polls: pollsOf(status),
      write: gathered.writes.get(device.id) ?? null,
    },
    events: eventsOf(device.id, gathered),
    points: pointsOf(device, asked, nowMs),
  };
}

function boxOf({ status, books, clock, audit }: Gathered, version: string): Report["box"] {
  const { outbox, uplinks = [], gateway, diskFreeBytes } = status ?? {};
  const sum = (name: "accepted" | "delivered" | "kept" | "dropped") =>
    outbox === undefined ? 0 : outbox.books.event[name] + outbox.books.live[name];
  return {
    kerb: gateway?.version ?? version,
    via: status === undefined ? "direct" : "gateway",
    startedAt: isoOf(gateway?.startedMs),
    clock,
    diskFreeBytes: diskFreeBytes ?? null,
    outbox:
      outbox === undefined
        ? null
        : {
            accepted: sum("accepted"),
            delivered: sum("delivered"),
            kept: sum("kept"),
            dropped: sum("dropped"),
            closes: books?.closes ?? null,
            bytes: outbox.bytes,
            bytesMax: outbox.bytesMax,
          },
    uplinks: uplinks.map(({ id, url, encoding, custody, state, sinceMs, reason, receiver, ...uplink }) => ({
      id,
      url,
      encoding,
      custody,
      state,
      since: isoOf(sinceMs) ?? "",
      reason: reason ?? null,
      receiver,
      lastAcknowledgement: isoOf(uplink.lastAcknowledgementMs),
    })),
    audit,
  };
}

const two = (value: number): string => String(Math.floor(Math.abs(value))).padStart(2, "0");

/** "2026-11-22T17:30:05+07:00": the moment as this machine's clocks on the wall show it. */
function localTime(ms: number): string {
  const date = new Date(ms);
  const minutes = -date.getTimezoneOffset();
  const offset = `${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
  return `${new Date(ms + minutes * 60_000).toISOString().slice(0, 19)}${offset}`;
}

export interface ReportWish {
  about: Report["about"];
  /** kerb's own, where no gateway says it. */
  version: string;
  nowMs: number;
}

/** The whole report. Every text of a device in it is as the device told it: who shows it has to escape it. */
export function buildReport(site: Site, gathered: Gathered, { about, version, nowMs }: ReportWish): Report {
  const devices = site.devices.map((device) => deviceOf(device, gathered, nowMs));
  const problems = openProblems(site, gathered, devices);
  const count = (verdict: ReportDevice["verdict"]) =>
    devices.filter((device) => device.verdict === verdict).length;
  const blocking = problems.filter(({ severity }) => severity === "blocking").length;
  const { id, name, city } = site.gateway;
  const report: Omit<Report, "parts"> = sound({
    kind: "kerb-commissioning-report",
    version: 1,
    made: {
      at: new Date(nowMs).toISOString(),
      local: localTime(nowMs),
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    },
    about,
    site: { gateway: id, name, city },
    box: boxOf(gathered, version),
    summary: {
      devices: devices.length,
      ok: count("ok"),
      failing: count("failing"),
      notCommissioned: count("not-commissioned"),
      blocking,
      warnings: problems.length - blocking,
    },
    problems,
    devices,
    missing: gathered.missing,
  });
  return { ...report, parts: partsOf(report) };
}
