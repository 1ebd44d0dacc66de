import { type Derivation, renamed } from "./derived.ts";

/**
 * Devices of one model with more or fewer like parts: signal groups, detectors, lanes. A profile says once what a
 * part has, and the device's settings say how many parts there are, or list them.
 */

/** A point that each part has: which setting tells the parts, and how they are called: "group" for group1, group2 … */
interface Each {
  setting: string;
  as: string;
}

/** The most parts that a setting may tell, and the most points of one device: more than any device has. */
const partsMax = 1000;
const pointsMax = 10_000;

interface Part {
  number: number;
  name: string;
  /** The device's own name of the part; undefined where the settings only count. */
  id: string | undefined;
}

/** What a template has of a point. */
interface Template {
  name: string;
  address?: unknown;
  label?: { en: string; vi: string } | undefined;
  each?: Each | undefined;
  derive?: Derivation | undefined;
  scaleFactor?: string | undefined;
  write?: { interlock: { point: string; equals: unknown }[]; readBack?: string | undefined } | undefined;
}

/** The parts that a setting counts (`8`) or lists (`["AB+1=001SG001", { name: north, id: … }]`); else none. */
function partsOf(given: unknown, as: string): Part[] {
  if (typeof given === "number")
    return Array.from({ length: Math.min(given, partsMax) }, (_, i) => ({
      number: i + 1,
      name: `${as}${i + 1}`,
      id: undefined,
    }));
  if (!Array.isArray(given)) return [];
  return given.slice(0, partsMax).map((item: unknown, i) => {
    const { name, id } = (typeof item === "string" ? { id: item } : (item ?? {})) as Partial<Part>;
    return { number: i + 1, name: name ?? `${as}${i + 1}`, id };
  });
}

/** What is said of too many parts or points, and of which setting; undefined of the points themselves. */
interface TooMany {
  setting: string | undefined;
  message: string;
}

function countOf(given: unknown): number {
  if (Array.isArray(given)) return given.length;
  return typeof given === "number" ? Math.max(0, given) : 0;
}

/**
 * Why these settings make too many parts or points of the templates, by the setting that makes the most; undefined
 * where they do not. It only counts: a template and its bits are a point each.
 */
export function tooMany(
  templates: readonly { each?: Each | undefined; bits?: object | undefined }[],
  settings: Record<string, unknown>,
): TooMany | undefined {
  const perPart = new Map<string | undefined, number>();
  for (const { each, bits = {} } of templates) {
    const own = 1 + Object.keys(bits).length;
    perPart.set(each?.setting, (perPart.get(each?.setting) ?? 0) + own);
  }
  let points = 0;
  let most: { setting: string | undefined; points: number } = { setting: undefined, points: 0 };
  for (const [setting, count] of perPart) {
    const parts = setting === undefined ? 1 : countOf(settings[setting]);
    if (parts > partsMax) return { setting, message: `at most ${partsMax} parts` };
    points += parts * count;
    if (parts * count > most.points) most = { setting, points: parts * count };
  }
  if (points <= pointsMax) return undefined;
  const { setting } = most;
  const cure =
    setting === undefined
      ? "leave some out, or make several devices of it"
      : `say fewer parts in "${setting}", or make several devices of it`;
  return { setting, message: `${points} points, and a device has at most ${pointsMax}: ${cure}` };
}

/** `{number}`, `{name}` and `{id}` in every text of a value; a text that is nothing but `{number}` becomes one. */
function filled(value: unknown, part: Part): unknown {
  if (value === "{number}") return part.number;
  if (typeof value === "string")
    return value.replace(/\{(number|name|id)\}/g, (_, key: keyof Part) => String(part[key] ?? ""));
  if (Array.isArray(value)) return value.map((item) => filled(item, part));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, part)]));
}

/** What names other points names those of the same part where there are such. */
function ofPart({ derive, scaleFactor, write }: Omit<Template, "each">, rename: (name: string) => string) {
  const interlock = write?.interlock.map((one) => ({ ...one, point: rename(one.point) }));
  return {
    ...(derive === undefined ? {} : { derive: renamed(derive, rename) }),
    ...(scaleFactor === undefined ? {} : { scaleFactor: rename(scaleFactor) }),
    ...(write === undefined ? {} : { write: { ...write, interlock, ...readBackOf(write, rename) } }),
  };
}

function readBackOf({ readBack }: { readBack?: string | undefined }, rename: (name: string) => string) {
  return readBack === undefined ? {} : { readBack: rename(readBack) };
}

/**
 * The points of a device: a template becomes one point for each part, in the parts' order, and the rest stays. A
 * template that needs the id of a part is left out where the settings give none.
 */
export function withParts<Point extends Template>(
  templates: readonly Point[],
  settings: Record<string, unknown>,
): Point[] {
  const isEach = new Set(templates.flatMap(({ each, name }) => (each === undefined ? [] : name)));
  return templates.flatMap((template) => {
    const { each, ...point } = template;
    if (each === undefined) return [template];
    const needsId = JSON.stringify(point.address ?? null).includes("{id}");
    return partsOf(settings[each.setting], each.as)
      .filter(({ id }) => id !== undefined || !needsId)
      .map((part) => ({
        ...(point as Point),
        name: `${point.name}.${part.name}`,
        ...(point.derive === undefined ? { address: filled(point.address, part) } : {}),
        ...ofPart(point, (name) => (isEach.has(name) ? `${name}.${part.name}` : name)),
        ...(point.label === undefined ? {} : { label: filled(point.label, part) as Point["label"] }),
      }));
  });
}
