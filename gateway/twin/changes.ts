import type { DeviceConfig, Site } from "../config/config.ts";
import { scheduleOf } from "../generations/facts.ts";
import type { Section } from "./document.ts";

/** One value that a document lays over what the files say. */
export interface TwinChange {
  section: Section;
  /** Absent of issuers. */
  device?: string;
  /** The point, the class of polls, or the issuer. */
  of: string;
  /** Absent: the files say nothing. */
  before?: string;
  after: string;
}

const span = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`);

type Differences = (before: DeviceConfig, after: DeviceConfig) => Omit<TwinChange, "section" | "device">[];

const bands: Differences = (before, after) =>
  after.points.flatMap(({ name, deadband, unit }) => {
    const was = before.points.find((point) => point.name === name)?.deadband;
    if (deadband === undefined || deadband === was) return [];
    const shown = (value: number) => `${value} ${unit}`;
    return [{ of: name, after: shown(deadband), ...(was === undefined ? {} : { before: shown(was) }) }];
  });

const polls: Differences = ({ pollMs: before }, { pollMs: after }) =>
  (["fast", "normal", "slow"] as const)
    .filter((pace) => before[pace] !== after[pace])
    .map((pace) => ({ of: pace, before: span(before[pace]), after: span(after[pace]) }));

const plans: Differences = ({ schedules: before = {} }, { schedules = {} }) =>
  Object.entries(schedules).flatMap(([point, entries]) => {
    const after = scheduleOf(entries);
    const was = Object.hasOwn(before, point) ? scheduleOf(before[point] ?? []) : undefined;
    if (after === was) return [];
    return [{ of: point, after, ...(was === undefined ? {} : { before: was }) }];
  });

const ofDevices: Record<Exclude<Section, "issuers">, Differences> = {
  polls,
  deadBands: bands,
  schedules: plans,
};

/** What a document has changed in a site, value by value; what it says as the files do is left out. */
export function changesOf(before: Site, after: Site): TwinChange[] {
  const found: TwinChange[] = [];
  for (const device of after.devices) {
    const was = before.devices.find(({ id }) => id === device.id);
    if (was === undefined) continue;
    for (const [section, differences] of Object.entries(ofDevices) as [Section, Differences][])
      found.push(...differences(was, device).map((one) => ({ section, device: device.id, ...one })));
  }
  const known = new Set(before.commands.issuers.map(({ id }) => id));
  for (const { id, roles } of after.commands.issuers)
    if (!known.has(id)) found.push({ section: "issuers", of: id, after: roles.join(", ") });
  return found;
}
