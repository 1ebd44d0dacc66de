import { setTimeout as sleep } from "node:timers/promises";
import type { LatestReading } from "../../gateway/host/messages.ts";
import type { RecordDefinition } from "../../gateway/profiles/profiles.ts";
import { seededRandom } from "../../simulators/simulator.ts";
import { casesOf, difference, type Case } from "./cases.ts";
import type { RoundTripRig } from "./rig.ts";
import { wireOf } from "./wire.ts";

/** Sets values on a pretend device and reads them back. */

/** A loaded machine takes its time; what is right ends the wait at once. */
const pushWithinMs = 15_000;
const signal = new AbortController().signal;

/** What no simulator can be made to show by itself: the driver measures it, or makes it of other points' statuses. */
const measured = new Set(["clock-skew", "reachability", "rtsp"]);
function isMeasured(address: unknown): boolean {
  const { measure, reading, requested } = (address ?? {}) as Partial<Record<string, string>>;
  return measure !== undefined || requested !== undefined || measured.has(reading ?? "");
}

const isSamePlace = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** The power of ten that each scale factor shows in this round: its own first, then any. */
function powersOf({ profile }: RoundTripRig, round: number, random: () => number): Map<string, number> {
  const names = new Set(profile.points.flatMap(({ scaleFactor }) => scaleFactor ?? []));
  return new Map(
    [...names].map((name) => {
      const fixed = Number(profile.points.find((point) => point.name === name)?.fixed ?? 0);
      return [name, round === 0 ? fixed : Math.floor(random() * 7) - 3];
    }),
  );
}

interface Pinned {
  name: string;
  one: Case;
}

/** Pins what the round has for each point; what the wire has no room for must be refused. */
function pinAll(
  rig: RoundTripRig,
  seed: number,
  round: number,
  random: () => number,
  faults: string[],
): Pinned[] {
  const { profile, simulator, settings } = rig;
  const powers = powersOf(rig, round, random);
  for (const [name, power] of powers) simulator.set(name, power);
  const pinned: Pinned[] = [];
  for (const [index, point] of profile.points.entries()) {
    if (isMeasured(point.address) || powers.has(point.name)) continue;
    if (profile.points.some((other) => powers.has(other.name) && isSamePlace(other.address, point.address)))
      continue;
    const wire = wireOf(profile.driver, point, settings);
    const cases = casesOf(
      point,
      wire,
      seededRandom(seed + index * 7919 + (round >> 5)),
      powers.get(point.scaleFactor ?? "") ?? 0,
    );
    const one = cases[round % Math.max(1, cases.length)];
    if (one === undefined) continue;
    const said = tried(() => simulator.set(point.name, one.set));
    const place = `${point.name} set to ${JSON.stringify(one.set) === "null" ? String(one.set) : JSON.stringify(one.set)}`;
    if (one.expected === "refused") {
      if (said === undefined) faults.push(`${place}: taken, though the wire has no such value`);
      else if (!said.includes(point.name)) faults.push(`${place}: refused without its name: ${said}`);
    } else if (said !== undefined) faults.push(`${place}: refused: ${said}`);
    else pinned.push({ name: point.name, one });
    if (said !== undefined || one.expected === "refused") simulator.set(point.name, undefined);
  }
  return pinned;
}

function tried(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function faultsOf(
  pinned: readonly Pinned[],
  readings: readonly LatestReading[],
  rig: RoundTripRig,
): string[] {
  return pinned.flatMap(({ name, one }) => {
    const reading = readings.find(({ point }) => point === name);
    const point = rig.profile.points.find((candidate) => candidate.name === name);
    if (one.expected === "refused") return [];
    const place = `${name} set to ${String(one.set)}`;
    if (reading === undefined || reading.unheard === true) return [`${place}: never told`];
    const wrong = difference(one.expected, reading);
    const unit = reading.unit === point?.unit ? undefined : `unit ${reading.unit}, expected ${point?.unit}`;
    const raw = reading.rawHex === undefined ? "" : ` (raw ${reading.rawHex})`;
    return [wrong, unit].filter((part) => part !== undefined).map((part) => `${place}: ${part}${raw}`);
  });
}

/** One round over all points. Gives back what came back wrong, each as a line. */
export async function pointsTrip(rig: RoundTripRig, seed: number, round: number): Promise<string[]> {
  const faults: string[] = [];
  const pinned = pinAll(rig, seed, round, seededRandom(seed * 7919 + round), faults);
  const end = performance.now() + pushWithinMs;
  for (let turn = 1; ; turn++) {
    const readings = await rig.field.read({ points: [], raw: true }, signal);
    const wrong = faultsOf(pinned, readings, rig);
    const isPushed =
      rig.profile.points.some(({ poll }) => poll === "push") || rig.profile.driver === "serial";
    if (wrong.length === 0 || !isPushed || performance.now() > end)
      return [...faults, ...wrong].map((line) => `seed ${seed} round ${round}  ${rig.profile.id}  ${line}`);
    // A device takes a moment to have a subscription, and does not know who has not heard it.
    if (turn % 8 === 0) for (const { name, one } of pinned) rig.simulator.set(name, one.set);
    await sleep(40);
  }
}

/** A value for each field of a record, and how it must come back. */
function told(rig: RoundTripRig, definition: RecordDefinition, round: number): Map<string, Case> {
  const { profile, settings } = rig;
  const cases = definition.fields.flatMap((field): [string, Case][] => {
    if (field.fixed !== undefined) return [];
    if (field.name === definition.active) {
      const isActive = round % 2 === 0;
      return [[field.name, { set: Number(isActive), expected: { status: "good", value: isActive } }]];
    }
    if (field.instance && field.kind === "text" && field.values === undefined)
      return [[field.name, { set: "K1", expected: { status: "good", value: "K1" } }]];
    const all = casesOf(field, wireOf(profile.driver, field, settings), seededRandom(1), 0).filter(
      ({ expected }) => expected !== "refused" && expected.status !== "bad",
    );
    const one = all[round % Math.max(1, all.length)];
    return one === undefined ? [] : [[field.name, one]];
  });
  return new Map(cases);
}

/** Makes the device tell one record and hears it. */
export async function recordTrip(
  rig: RoundTripRig,
  definition: RecordDefinition,
  seed: number,
  round: number,
): Promise<string[]> {
  const cases = told(rig, definition, round);
  const values = Object.fromEntries(
    [...cases].map(([name, { set }]) => {
      const field = definition.fields.find((candidate) => candidate.name === name);
      return [name, field?.kind === "boolean" ? set === 1 : set];
    }),
  );
  const isNews = (turn: number): string =>
    JSON.stringify([...told(rig, definition, turn)].map(([name, { set }]) => [name, set]));
  // What is as it was is no news.
  if (definition.kind !== "transaction" && round > 0 && isNews(round) === isNews(round - 1)) return [];
  const end = performance.now() + pushWithinMs;
  let wrong = ["never told"];
  await rig.field.read({ points: [], raw: false }, signal);
  const before = new Set(rig.field.records);
  for (let turn = 0; performance.now() < end; turn++) {
    if (turn % 25 === 0) rig.simulator.tell?.(definition.name, values);
    await sleep(30);
    const heard = rig.field.records.filter(
      (one) => !before.has(one) && one.data["record"] === definition.name,
    );
    const all = heard.map(({ data }) => fieldFaults(cases, data["values"] as Shown));
    wrong = all.at(-1) ?? wrong;
    if (all.some(({ length }) => length === 0)) return [];
  }
  return wrong.map((line) => `seed ${seed} round ${round}  ${rig.profile.id}  ${definition.name}: ${line}`);
}

type Shown = Record<
  string,
  { value: LatestReading["value"]; quality?: { status: "uncertain" | "bad"; code?: string } }
>;

function fieldFaults(cases: ReadonlyMap<string, Case>, shown: Shown): string[] {
  return [...cases].flatMap(([name, { set, expected }]) => {
    if (expected === "refused") return [];
    const field = shown[name];
    if (field === undefined) return [`${name} told as ${String(set)}: left out`];
    const { status = "good", code } = field.quality ?? {};
    const wrong = difference(expected, { value: field.value, status, code });
    return wrong === undefined ? [] : [`${name} told as ${String(set)}: ${wrong}`];
  });
}
