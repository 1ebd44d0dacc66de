import {
  quality,
  type DeviceSite,
  type EventReading,
  type KerbEvent,
  type QualityDetail,
  type ReadingValue,
} from "../event.ts";
import { putRight } from "../clock.ts";
import type { RightTime } from "./clock-steps.ts";

/** What is known of a device beside its events: from the dictionary, and whether its gateway is connected. */
export interface KnownDevice extends DeviceSite {
  gateway: string;
  id: string;
  class: string;
  /** False: the gateway is known to be away, so nothing is known of the device now. */
  gatewayOnline?: boolean;
}

/** Where a value comes from: observation time (ms), number of its event, whether the gateway's clock was wrong. */
interface Stamp {
  timeMs: number;
  epoch: number;
  seq: number;
  unsynced?: true;
  /** As told by a wrong clock, with its event's time and ms since the boot of the box: by them it is corrected. */
  told?: { timeMs: number; eventMs: number; monoMs: number };
}

/** A reading of a point. `value` is null where it is bad; `doubt` says why it is uncertain. */
export interface PointState extends Stamp {
  value: ReadingValue;
  unit: string;
  /** Bits of `quality`, where there are any, and what the source says to them. */
  quality?: number;
  detail?: QualityDetail;
  doubt?: string;
  /** Span that the value was averaged or counted over, where the source tells it. */
  periodMs?: number;
  /** The reading that was accepted last, where it is not this one, which was observed last. */
  accepted?: Omit<PointState, "accepted">;
}

/** The newest record of one name, as the host shaped it. */
export interface RecordState extends Stamp {
  kind: "alarm" | "transaction" | "state";
  category?: string;
  severity?: string;
  state?: string;
  personal?: true;
  values: Record<string, unknown>;
}

/** What a device or its gap events said last about itself. */
interface StatusState extends Stamp {
  state: string;
  code?: string;
}

/** The latest of one device, foldable and storable as JSON. */
export interface DeviceState {
  profile?: string;
  /** Observation time of the newest event with data, ms. */
  seenMs?: number;
  points: Record<string, PointState>;
  records: Record<string, RecordState>;
  status?: StatusState;
  identity?: { firmware?: string; serial?: string };
}

const pointsMax = 2000;
const recordsMax = 64;
const textMax = 4096;

export function emptyState(): DeviceState {
  return { points: {}, records: {} };
}

/**
 * Whether `a` may take the place of `b`: observed later, or at the same time and accepted later. A wrong clock orders
 * nothing, so there the order of acceptance decides.
 */
function isNewer(a: Stamp, b: Stamp | undefined): boolean {
  if (b === undefined) return true;
  if (a.unsynced === true || b.unsynced === true) return byNumber(a, b) > 0;
  return (a.timeMs - b.timeMs || byNumber(a, b)) > 0;
}

function byNumber(a: Stamp, b: Stamp): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

/**
 * Takes an event into the state of its device, in any order of arrival; `receivedMs` bounds times of the future, which
 * would never be overwritten. `right`: when an unsynced event was in truth. Returns whether anything changed.
 */
export function applyEvent(
  state: DeviceState,
  event: KerbEvent,
  receivedMs: number,
  right?: RightTime,
): boolean {
  const { epoch, seq, monoMs } = event;
  const stamp = (timeMs: number): Stamp => {
    const at = { timeMs: Math.min(timeMs, receivedMs), epoch, seq };
    if (event.clock !== "unsynced") return at;
    if (monoMs === undefined) return { ...at, unsynced: true };
    const told = { timeMs, eventMs: event.timeMs, monoMs };
    if (right === undefined) return { ...at, unsynced: true, told };
    return { ...at, timeMs: Math.min(trueMs(told, right), receivedMs), told };
  };
  const at = stamp(event.timeMs);
  if (event.kind === "telemetry") return applyReadings(state, event, stamp);
  const data = event.data ?? {};
  if (event.kind === "device-status") return applyStatus(state, data, at);
  if (event.kind === "gap") return applyGap(state, data, at);
  if (event.kind === "command-result") return false;
  seen(state, event, at);
  if (typeof data["record"] !== "string") return true;
  return applyRecord(state, event.kind, data["record"], data, at);
}

/** Never later than what tells it arrived: it would pass for current until then. */
function trueMs({ timeMs, eventMs }: NonNullable<Stamp["told"]>, { ms, latestMs }: RightTime): number {
  return Math.min(putRight(timeMs, eventMs, ms), latestMs);
}

/** Puts times right that come of a wrong clock; `right`: the true one. Returns whether there are any. */
export function correctTimes(
  state: DeviceState,
  right: (epoch: number, monoMs: number) => RightTime | undefined,
): boolean {
  const { points, records, status, seenMs = 0 } = state;
  const readings = Object.values(points).flatMap((point) =>
    point.accepted === undefined ? [point] : [point, point.accepted],
  );
  const stamps: (Stamp & { quality?: number })[] = [...readings, ...Object.values(records)];
  if (status !== undefined) stamps.push(status);
  const before = new Set<number>();
  for (const at of stamps) {
    const rightTime = at.told === undefined ? undefined : right(at.epoch, at.told.monoMs);
    if (at.told === undefined || rightTime === undefined) continue;
    before.add(at.timeMs);
    at.timeMs = trueMs(at.told, rightTime);
    delete at.unsynced;
    if (at.quality !== undefined) at.quality &= ~quality.clockUnsynced;
  }
  if (before.size === 0) return false;
  const good = readings.filter((point) => ((point.quality ?? 0) & quality.bad) === 0);
  const times = [...good, ...Object.values(records)].map(({ timeMs }) => timeMs);
  // Data that is not kept any more may have been newer.
  if (!before.has(seenMs)) times.push(seenMs);
  const newestMs = times.reduce((a, b) => Math.max(a, b), 0);
  if (newestMs > 0) state.seenMs = newestMs;
  return true;
}

function seen(state: DeviceState, event: KerbEvent, { timeMs }: Stamp): void {
  state.seenMs = Math.max(state.seenMs ?? 0, timeMs);
  if (event.profile !== undefined) state.profile = event.profile;
}

function applyReadings(state: DeviceState, event: KerbEvent, stamp: (timeMs: number) => Stamp): boolean {
  let changed = false;
  for (const { point, value, unit, quality: toldBits, detail, timeMs } of event.readings ?? []) {
    const at = stamp(timeMs);
    const isCorrected = at.told !== undefined && at.unsynced === undefined;
    const bits = isCorrected ? toldBits & ~quality.clockUnsynced : toldBits;
    const known = Object.hasOwn(state.points, point) ? state.points[point] : undefined;
    const last = known?.accepted ?? known;
    const isObservedLast = isNewer(at, known);
    const isAcceptedLast = last === undefined || byNumber(at, last) >= 0;
    if (!isObservedLast && !isAcceptedLast) continue;
    if (known === undefined && Object.keys(state.points).length >= pointsMax) continue;
    const isBad = (bits & quality.bad) !== 0;
    const isDoubtful = (bits & (quality.uncertain | quality.substituted)) !== 0;
    const doubt =
      detail?.reason ?? detail?.code ?? ((bits & quality.substituted) === 0 ? "uncertain" : "substituted");
    const made: PointState = {
      ...at,
      value: isBad ? null : typeof value === "string" ? value.slice(0, textMax) : value,
      unit,
    };
    if (bits !== 0) made.quality = bits;
    if (detail !== undefined) made.detail = shortened(detail);
    if (isDoubtful && !isBad) made.doubt = doubt.slice(0, 200);
    changed = true;
    if (known !== undefined && !isObservedLast) {
      known.accepted = made;
      continue;
    }
    state.points[point] = isAcceptedLast ? made : { ...made, accepted: last };
    if (!isBad) seen(state, event, at);
  }
  return changed;
}

function shortened({ code, reason }: QualityDetail): QualityDetail {
  return {
    ...(code === undefined ? {} : { code: code.slice(0, textMax) }),
    ...(reason === undefined ? {} : { reason: reason.slice(0, textMax) }),
  };
}

function applyRecord(
  state: DeviceState,
  kind: RecordState["kind"],
  name: string,
  data: Record<string, unknown>,
  at: Stamp,
): boolean {
  const known = Object.hasOwn(state.records, name) ? state.records[name] : undefined;
  if (!isNewer(at, known)) return false;
  if (known === undefined && Object.keys(state.records).length >= recordsMax) return false;
  const text = (key: string) => (typeof data[key] === "string" ? { [key]: data[key] } : {});
  const values = data["values"];
  state.records[name] = {
    ...at,
    kind,
    ...text("category"),
    ...text("severity"),
    ...text("state"),
    ...(data["privacy"] === "personal" ? { personal: true as const } : {}),
    values: typeof values === "object" && values !== null ? (values as Record<string, unknown>) : {},
  };
  return true;
}

function applyStatus(state: DeviceState, data: Record<string, unknown>, at: Stamp): boolean {
  const told = data["state"];
  if (typeof told !== "string" || !isNewer(at, state.status)) return false;
  if (["identity-changed", "firmware-unknown"].includes(told)) return false;
  const { code, identity } = data as { code?: unknown; identity?: { firmware?: unknown; serial?: unknown } };
  state.status = { ...at, state: told, ...(typeof code === "string" ? { code } : {}) };
  if (typeof identity === "object" && identity !== null) {
    const { firmware, serial } = identity;
    state.identity = {
      ...(typeof firmware === "string" ? { firmware } : {}),
      ...(typeof serial === "string" ? { serial } : {}),
    };
  }
  return true;
}

/** A gap that is open says that the device is away since then; a closed one that it is back. */
function applyGap(state: DeviceState, data: Record<string, unknown>, at: Stamp): boolean {
  const { cause, open, code } = data as { cause?: unknown; open?: unknown; code?: unknown };
  if (cause !== "device_offline" && cause !== "not_listening" && cause !== "disabled") return false;
  if (!isNewer(at, state.status)) return false;
  const told = cause === "disabled" ? "disabled" : open === true ? "offline" : "online";
  state.status = { ...at, state: told, ...(typeof code === "string" ? { code } : {}) };
  return true;
}

/** What was accepted last of each point, by the point's name: as readings of events, each with its event's number. */
export function acceptedLast({ points }: DeviceState): (EventReading & { epoch: number; seq: number })[] {
  return Object.entries(points).map(([point, state]) => {
    const { epoch, seq, unit, value, detail, timeMs, quality: bits } = state.accepted ?? state;
    return {
      epoch,
      seq,
      point,
      unit,
      value,
      // Rows of earlier versions have no bits.
      quality: bits ?? (value === null ? quality.bad : 0),
      ...(detail === undefined ? {} : { detail }),
      timeMs,
    };
  });
}
