import { settled, withNeeded } from "../profiles/derived.ts";
import type { Answer, Driver, ReadResult } from "../driver.ts";
import type { HostDevice, HostPoint, LatestReading } from "./messages.ts";
import { Normaliser, shownReadings } from "./normalise.ts";
import { saneTimeMs } from "./push.ts";

const names = ["fast", "normal", "slow"] as const;
/** Answers of one poll that lie further apart than this carry their own times. */
const spreadMs = 10;
/** Devices that are polled at one moment: to wake up costs as much as to read one. */
const polledTogether = 8;
/** Few devices have a moment each. */
const momentsMin = 20;
type GroupName = (typeof names)[number];

/** Points that are polled together. */
export interface Group {
  name: GroupName;
  points: readonly HostPoint[];
  normaliser: Normaliser;
  periodMs: number;
  /** On the clock of `performance.now()`. */
  dueMs: number;
  /** The poll that is due at `dueMs` has failed and was counted; it is repeated on a new connection. */
  hasFailed: boolean;
  latest: { result: ReadResult; timeMs: number } | undefined;
}

/** The poll group of a point: what a device should push but does not is polled as normal. */
function groupOf({ poll }: HostPoint): GroupName {
  return poll === "push" ? "normal" : poll;
}

type ByGroup = Readonly<Record<GroupName, readonly HostPoint[]>>;
const known = new WeakMap<readonly HostPoint[], ByGroup>();

/** Points by group. Equal devices share their lists of points, and with them what is made from these. */
export function byClass(points: readonly HostPoint[]): ByGroup {
  const groups = known.get(points) ?? grouped(points);
  known.set(points, groups);
  return groups;
}

/** What a point needs is read with it (a scale factor, inputs), and published in its own group only. */
function grouped(points: readonly HostPoint[]): ByGroup {
  const of = (name: GroupName): readonly HostPoint[] => {
    const mine = points.filter((point) => groupOf(point) === name);
    const needed = withNeeded(points, mine).filter((point) => groupOf(point) !== name);
    return settled([...mine, ...needed.map((point) => ({ ...point, index: -1 }))]);
  };
  return { fast: of("fast"), normal: of("normal"), slow: of("slow") };
}

/** Where in its period (0 to 1) a device is polled, so that a host's devices are spread over it in small groups. */
export function phaseOf(position: number, devices: number): number {
  const moments = Math.min(devices, Math.max(momentsMin, Math.ceil(devices / polledTogether)));
  return Math.floor((position / devices) * moments) / moments;
}

/** The group whose poll is due first. */
export function nextOf(groups: readonly Group[]): Group | undefined {
  let next = groups[0];
  for (const group of groups) if (next === undefined || group.dueMs < next.dueMs) next = group;
  return next;
}

/** Leaves out the polls that have been overtaken by a later one that is due as well; how many were not counted. */
export function skipOvertaken(group: Group): number {
  const overtaken = Math.floor((performance.now() - group.dueMs) / group.periodMs);
  if (overtaken <= 0) return 0;
  const missed = overtaken - (group.hasFailed ? 1 : 0);
  group.dueMs += overtaken * group.periodMs;
  group.hasFailed = false;
  return missed;
}

/** How long ago the first answer of a poll came, and how far the others lie behind it, ms. */
export function timesOf(
  { atMs = [] }: ReadResult,
  nowMs: number,
): { ageMs: number; offsets: number[] | undefined } {
  if (atMs.length === 0) return { ageMs: 0, offsets: undefined };
  let first = Infinity;
  let last = 0;
  for (const at of atMs) {
    if (at < first) first = at;
    if (at > last) last = at;
  }
  const offsets = last - first > spreadMs ? atMs.map((at) => Math.round(at - first)) : undefined;
  return { ageMs: nowMs - first, offsets };
}

/**
 * The poll groups with these points. A new connection keeps the schedule of the last one (`before`); the first
 * poll lies at `phase` (0 to 1) of the period.
 */
export function planGroups(
  before: readonly Group[],
  phase: number,
  { pollMs, firstIndex }: Pick<HostDevice, "pollMs" | "firstIndex">,
  pointsOf: (name: GroupName) => readonly HostPoint[],
): Group[] {
  const now = performance.now();
  return names.flatMap((name) => {
    const points = settled(pointsOf(name));
    if (!points.some((point) => groupOf(point) === name)) return [];
    const periodMs = pollMs[name];
    const old = before.find((group) => group.name === name);
    // At a quicker pace the next poll does not wait for the end of a long period.
    const dueMs =
      old === undefined ? now + phase * Math.min(periodMs, 10_000) : Math.min(old.dueMs, now + periodMs);
    const same = old?.points.length === points.length && old.points.every((point, i) => point === points[i]);
    const latest = same ? old.latest : undefined;
    const hasFailed = old?.hasFailed ?? false;
    const normaliser = new Normaliser(points, firstIndex, same ? old.normaliser : undefined);
    return [{ name, points, normaliser, periodMs, dueMs, hasFailed, latest }];
  });
}

/** The points of all groups, each once: one that is read for another is in both groups. */
export function ownPoints(groups: readonly Group[]): HostPoint[] {
  return groups.flatMap((group) => group.points.filter((point) => groupOf(point) === group.name));
}

/** When an answer was so: the device's own time where it gives one that can be true, or that of the poll. */
export function ownTimes(timeMs: number): (answer: Answer | undefined) => number {
  return (answer) => saneTimeMs(typeof answer === "object" ? answer.sourceTimeMs : undefined, timeMs);
}

/** The newest values as the last polls found them. */
export function polled(groups: readonly Group[], driver: Driver<unknown, unknown>): LatestReading[] {
  return groups.flatMap(({ points, normaliser, latest }) =>
    latest === undefined
      ? []
      : shownReadings(driver, points, normaliser, latest.result, ownTimes(latest.timeMs)),
  );
}
