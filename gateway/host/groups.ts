import type { ReadResult } from "../driver.ts";
import type { HostDevice, HostPoint } from "./messages.ts";
import { Normaliser } from "./normalise.ts";

const names = ["fast", "normal", "slow"] as const;
type GroupName = (typeof names)[number];

/** Points that are polled together. */
export interface Group {
  name: GroupName;
  points: readonly HostPoint[];
  normaliser: Normaliser;
  periodMs: number;
  /** On the clock of `performance.now()`. */
  dueMs: number;
  latest: { result: ReadResult; timeMs: number } | undefined;
}

/** The poll group of a point: what a device should push but does not is polled as normal. */
export function groupOf({ poll }: HostPoint): GroupName {
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

/** A scale factor is read with each point that it scales, and published in its own group only. */
function grouped(points: readonly HostPoint[]): ByGroup {
  const of = (name: GroupName): HostPoint[] => {
    const mine = points.filter((point) => groupOf(point) === name);
    const needed = new Set(mine.map((point) => point.scaleFactor));
    const factors = points.filter((point) => needed.has(point.name) && groupOf(point) !== name);
    return [...mine, ...factors.map((factor) => ({ ...factor, index: -1 }))];
  };
  return { fast: of("fast"), normal: of("normal"), slow: of("slow") };
}

/**
 * The poll groups with these points. A new connection keeps the schedule of the last one (`before`); the first
 * poll lies at `phase` (0 to 1) of the period, so that a host's devices are spread over it.
 */
export function planGroups(
  before: readonly Group[],
  phase: number,
  { pollMs, firstIndex }: Pick<HostDevice, "pollMs" | "firstIndex">,
  pointsOf: (name: GroupName) => readonly HostPoint[],
): Group[] {
  const now = performance.now();
  return names.flatMap((name) => {
    const points = pointsOf(name);
    if (!points.some((point) => groupOf(point) === name)) return [];
    const periodMs = pollMs[name];
    const old = before.find((group) => group.name === name);
    const dueMs = old === undefined ? now + phase * Math.min(periodMs, 10_000) : Math.max(now, old.dueMs);
    const same = old?.points.length === points.length && old.points.every((point, i) => point === points[i]);
    const latest = same ? old.latest : undefined;
    return [{ name, points, normaliser: new Normaliser(points, firstIndex), periodMs, dueMs, latest }];
  });
}
