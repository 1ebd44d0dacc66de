import type { DeviceState, KnownDevice, PointState } from "../device-state.ts";
import { entityId, observed, type Attribute, type Values } from "./entity.ts";
import { groupPrefixes, type Derivation, type Gathered } from "./models.ts";

/** The few attributes that are more than one scaled point. Each adds to what the lines of the model gave. */
export interface Derived {
  known: KnownDevice;
  state: DeviceState;
  values: Values;
  part: string;
  attributes: Attribute[];
}

export const derivations: Readonly<Record<Derivation, (given: Derived) => Attribute[]>> = {
  streetlight,
  flood,
  flow,
  noise,
  cabinet,
  group,
  bin,
  weighing,
};

/** Dark, dimmed or full; nothing when neither the level nor the contactor says it. */
function powerState(values: Values, level: string, isOn: string): Attribute[] {
  const dimmed = values.get(level);
  const on = values.get(isOn);
  if (typeof on?.value === "boolean") {
    values.used.add(isOn);
    const isLow = on.value && typeof dimmed?.value === "number" && dimmed.unit === "%" && dimmed.value < 100;
    return [observed("powerState", on.value ? (isLow ? "low" : "on") : "off", on)];
  }
  if (typeof dimmed?.value !== "number" || dimmed.unit !== "%" || dimmed.value < 0) return [];
  return [observed("powerState", dimmed.value === 0 ? "off" : dimmed.value < 100 ? "low" : "on", dimmed)];
}

function streetlight({ values }: Derived): Attribute[] {
  const failure = values.get("lampFailure");
  const power = powerState(values, "dimLevel", "lightOn");
  if (typeof failure?.value !== "boolean") return power;
  values.used.add("lampFailure");
  return [observed("status", failure.value ? "defectiveLamp" : "ok", failure), ...power];
}

/** The levels that the site names, and on which side of them the water stands. */
function flood({ known, attributes }: Derived): Attribute[] {
  const { reference, alert, danger } = known.levels ?? {};
  const fixed = (name: string, value: number | undefined): Attribute[] =>
    value === undefined || attributes.some((one) => one.name === name)
      ? []
      : [{ name, kind: "property", value, unit: "m" }];
  const added = [
    ...fixed("referenceLevel", reference),
    ...fixed("alertLevel", alert),
    ...fixed("dangerLevel", danger),
    { name: "stationID", kind: "property", value: known.id } as const,
  ];
  const level = attributes.find(({ name }) => name === "currentLevel");
  if (level === undefined || (alert === undefined && danger === undefined)) return added;
  const metres = level.value as number;
  const status = metres > (danger ?? Infinity) ? "Danger" : metres > (alert ?? Infinity) ? "Alert" : "Normal";
  const { unit: _unit, ...rest } = level;
  return [...added, { ...rest, name: "floodLevelStatus", value: status }];
}

const isoMs = (timeMs: number): string => new Date(timeMs).toISOString();

/** A count means nothing without the span that it was counted in. */
function flow({ values, part }: Derived): Attribute[] {
  const suffix = part === "" ? "" : `.${part}`;
  const [, lane] = /^lane(\d{1,3})$/i.exec(part) ?? [];
  const laneId: Attribute[] =
    Number(lane) >= 1 ? [{ name: "laneId", kind: "property", value: Number(lane) }] : [];
  for (const name of [`vehicleCount${suffix}`, `intensity${suffix}`]) {
    const point = values.get(name);
    if (typeof point?.value !== "number" || point.value < 0) continue;
    const isRate = point.unit === "{vehicles}/h";
    if (!isRate && !["1", "{vehicles}"].includes(point.unit)) continue;
    const span = spanOf(point, values);
    if (span.length === 0) {
      values.withheld.push({ what: name, reason: "the span that it was counted in is not known" });
      continue;
    }
    values.used.add(name);
    return [observed("intensity", point.value, point, point.unit), ...span, ...laneId];
  }
  return laneId;
}

/** The span that a value was counted or averaged over: its own, or what the point `period` says. */
function spanOf(point: PointState, values: Values): Attribute[] {
  const told = values.attribute({
    to: "period",
    from: ["period"],
    unit: "s",
    least: 0.001,
    most: 31 * 86_400,
  });
  const periodMs = point.periodMs ?? (told === undefined ? 0 : Number(told.value) * 1000);
  if (!(periodMs > 0 && periodMs <= point.timeMs)) return [];
  return [
    { name: "dateObservedFrom", kind: "property", value: isoMs(point.timeMs - periodMs) },
    { name: "dateObservedTo", kind: "property", value: isoMs(point.timeMs) },
  ];
}

function noise({ values }: Derived): Attribute[] {
  const names = ["soundLevel", "LAeq", "soundLevel.max", "LAmax", "LAS"];
  const point = names.map((name) => values.get(name)).find((one) => one !== undefined);
  return point === undefined ? [] : spanOf(point, values);
}

/** The groups of lamps that the cabinet tells of. */
function cabinet({ known, values }: Derived): Attribute[] {
  const value = partsOf(Object.keys(values.points), groupPrefixes).map((part) =>
    entityId("StreetlightGroup", known.gateway, known.id, part),
  );
  return value.length === 0 ? [] : [{ name: "refStreetlightGroup", kind: "relationship", value }];
}

function group({ known, values, part }: Derived): Attribute[] {
  const value = entityId("StreetlightControlCabinet", known.gateway, known.id);
  return [
    ...powerState(values, `dimLevel.${part}`, `lightOn.${part}`),
    { name: "refStreetlightControlCabinet", kind: "relationship", value },
  ];
}

function bin({ state }: Derived): Attribute[] {
  const emptied = state.records["emptied"];
  if (emptied === undefined || emptied.timeMs < 0) return [];
  return [{ name: "dateLastEmptying", kind: "property", value: isoMs(emptied.timeMs) }];
}

/** The masses of the axles, kg. */
function weighing({ values }: Derived): Attribute[] {
  const axles: Record<string, unknown>[] = [];
  for (let axle = 1; axle <= 20; axle++) {
    const weight = values.attribute({ to: "weight", from: [`axle${axle}.weight`], unit: "kg", least: 0 });
    if (weight === undefined) continue;
    const after = values.attribute({
      to: "after",
      from: [`axle${axle}.weightAfterTolerance`],
      unit: "kg",
      least: 0,
    });
    const corrected = after === undefined ? {} : { weightAfterTolerance: after.value };
    axles.push({ axle, weight: weight.value, ...corrected });
  }
  return axles.length === 0 ? [] : [{ name: "axles", kind: "property", value: axles }];
}

/** The last parts of the names that begin with one of the prefixes, in order. */
export function partsOf(names: readonly string[], prefixes: readonly string[]): string[] {
  const parts = names.flatMap((name) => {
    const prefix = prefixes.find((one) => name.startsWith(`${one}.`));
    return prefix === undefined ? [] : [name.slice(prefix.length + 1)];
  });
  return [...new Set(parts)].toSorted();
}

/** An attribute that gathers a family of points; undefined when none of them has a value. */
export function gather({ to, prefixes, as }: Gathered, values: Values): Attribute | undefined {
  const found = new Map<string, PointState>();
  for (const prefix of prefixes) {
    for (const part of partsOf(Object.keys(values.points), [prefix])) {
      const point = values.get(`${prefix}.${part}`);
      if (point === undefined || found.has(part) || (as === "names" && typeof point.value !== "boolean"))
        continue;
      values.used.add(`${prefix}.${part}`);
      found.set(part, point);
    }
  }
  // What is gathered is as old as its oldest member.
  const oldest = [...found.values()].reduce<PointState | undefined>(
    (one, other) => (one === undefined || other.timeMs < one.timeMs ? other : one),
    undefined,
  );
  if (oldest === undefined) return undefined;
  const doubtful = [...found].filter(([, { doubt }]) => doubt !== undefined).map(([part]) => part);
  const { doubt: _doubt, ...stamp } = oldest;
  const value =
    as === "values"
      ? Object.fromEntries([...found].map(([part, point]) => [part, String(point.value)]))
      : [...found].filter(([, point]) => point.value === true).map(([part]) => part);
  return observed(
    to,
    value,
    doubtful.length === 0 ? stamp : { ...stamp, doubt: `of ${doubtful.join(", ")}` },
  );
}
