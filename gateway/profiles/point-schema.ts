import { z } from "zod";
import { type Derivation, inputsOf } from "./derived.ts";
import { duration, durationBetween } from "./quantities.ts";
import { unitProblem } from "./units.ts";

/** Parts of a point of a profile that say more than where it is: words, bits, what it is made of, what it may be told. */

/** A unit of measurement (UCUM) that kerb knows; "1" where none is given. */
export const unitSchema = z
  .string()
  .default("1")
  .superRefine((unit, context) => {
    const problem = unitProblem(unit);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  });

export const pointName = z.string().regex(/^[a-zA-Z][a-zA-Z0-9]*(\.[a-zA-Z0-9]+)*$/, {
  error: 'a point is named in camelCase with dots between its parts, such as "voltage.L1"',
});
export const text = z.strictObject({ en: z.string().min(1), vi: z.string().min(1) });
const scalar = z.union([z.number(), z.string(), z.boolean()]);

const word = z.string().min(1);
export const valuesSchema = z
  .record(
    z.string(),
    z.union([word, z.strictObject({ is: word, en: z.string().min(1), vi: z.string().min(1) })]),
  )
  .describe("enumeration: raw value to its name, or to its name (is) with what people read");

const bit = z.string().regex(/^([0-9]|[1-5][0-9]|6[0-3])$/, { error: "a bit is counted from 0, up to 63" });
export const bitsSchema = z
  .record(
    bit,
    z.union([
      pointName,
      z.strictObject({
        is: pointName,
        en: z.string().min(1),
        vi: z.string().min(1),
      }),
    ]),
  )
  .describe("a boolean point of this name for each bit of this whole number, without a further read");

const pair = z.tuple([pointName, pointName]);
export const derivationSchema = z
  .strictObject({
    difference: pair.optional().describe("the first less the second, of the same unit"),
    ratio: pair.optional().describe("the first by the second, in 1 or %"),
    sum: z.array(pointName).min(2).max(64).optional().describe("of the same unit"),
    bitmask: z
      .strictObject({ of: pointName, mask: z.int().min(1) })
      .optional()
      .describe("bits of a whole number as it was read, shifted down: a boolean, or a number"),
  })
  .refine((given) => Object.values(given).filter((one) => one !== undefined).length === 1, {
    error: "expected one of difference, ratio, sum and bitmask",
  })
  .transform((given) => given as Derivation)
  .describe("instead of an address: made from other points of the same poll");

export const writeSchema = z
  .strictObject({
    limits: z.tuple([z.number(), z.number()]).optional().describe("in the point's unit"),
    step: z.number().positive().optional().describe("only multiples of this, counted from the lower limit"),
    values: z.array(scalar).min(1).optional().describe("only these"),
    interlock: z
      .array(z.strictObject({ point: pointName, equals: scalar }))
      .default([])
      .describe("only while each of these points has this value, good and fresh"),
    readBack: pointName
      .optional()
      .describe("the point that shows what was written, in the same words; absent: the point itself"),
    safety: z.boolean().default(false).describe("true: it must be armed, then committed"),
    leaseMax: duration.optional().describe("it goes back by itself after this long at most"),
    refresh: durationBetween("100ms", "1h")
      .optional()
      .describe("written again so often while it is leased, for a device that else falls back by itself"),
    automatic: scalar
      .optional()
      .describe(
        "the value that gives control back to the device: where a lease goes back to instead of the earlier one; it may always be ordered",
      ),
  })
  .describe("it may be written, where the site file allows it too");

export const localOverrideSchema = z
  .strictObject({ point: pointName, when: scalar })
  .describe(
    "what shows that a person at the device has taken over: nothing is written meanwhile, and leases end",
  );

/** A point as these checks see it. */
interface Checked {
  address?: unknown;
  unit: string;
  kind: "number" | "boolean" | "text";
  scale: number;
  offset: number;
  scaleFactor?: string | undefined;
  sentinels: readonly unknown[];
  values?: Record<string, unknown> | undefined;
  bits?: z.infer<typeof bitsSchema> | undefined;
  derive?: Derivation | undefined;
  limits?: [number, number] | undefined;
  poll: string;
  once?: boolean | undefined;
  deadband?: number | undefined;
  swingingDoor?: number | undefined;
  each?: { setting: string; as: string } | undefined;
  write?: z.infer<typeof writeSchema> | undefined;
  fixed?: unknown;
  typical?: unknown;
}
export type Say = (path: (string | number)[], message: string) => void;
type Points = Readonly<Record<string, Checked>>;

/** A point by its name, also as one part of an `each`: "flow.group2" of the template "flow". */
function pointOf(name: string, points: Points): Checked | undefined {
  if (Object.hasOwn(points, name)) return points[name];
  const of = name.slice(0, Math.max(0, name.lastIndexOf(".")));
  return Object.hasOwn(points, of) && points[of]?.each !== undefined ? points[of] : undefined;
}

/** Names of bits, with the names of the points that hold them. */
export function bitNames(points: Readonly<Record<string, Pick<Checked, "bits">>>): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, { bits = {} }] of Object.entries(points))
    for (const one of Object.values(bits)) names.set(typeof one === "string" ? one : one.is, name);
  return names;
}

const isKnown = (name: string, points: Points, bits: ReadonlyMap<string, string>): boolean =>
  pointOf(name, points) !== undefined ||
  bits.has(name) ||
  points[bits.get(name.slice(0, Math.max(0, name.lastIndexOf(".")))) ?? ""]?.each !== undefined;

const told = (poll: string): string => (poll === "push" ? "pushed" : "polled");

function checkDerivation(
  name: string,
  point: Checked & { derive: Derivation },
  points: Points,
  say: Say,
): void {
  const { derive, unit, kind } = point;
  const [how = "", given] = Object.entries(derive)[0] ?? [];
  const wrong = (message: string, ...more: (string | number)[]) => say(["derive", how, ...more], message);
  const inputs = inputsOf({ derive });
  for (const key of ["scaleFactor", "fixed", "typical", "once", "bits", "write"] as const)
    if (point[key] !== undefined)
      say([key], "a derived point is not read from the device and has no such thing");
  const isBits = how === "bitmask";
  if (!isBits && (point.scale !== 1 || point.offset !== 0 || point.sentinels.length > 0))
    wrong("a derived value has no scale, offset or sentinels: its inputs have theirs");
  if (isBits ? kind === "text" : kind !== "number")
    say(["kind"], isBits ? "bits are a number or a boolean" : "what is derived by it is a number");
  if (!isBits && point.values !== undefined) say(["values"], "only the bits of a number have names");
  const isPushed = point.poll === "push";
  inputs.forEach((input, i) => {
    const at = isBits ? ["of"] : [i];
    const of = pointOf(input, points);
    if (of === undefined) return wrong(`there is no point "${input}"`, ...at);
    if (of.kind !== "number" || (!isBits && of.values !== undefined)) wrong(`"${input}" is no number`, ...at);
    if (of.each !== undefined && point.each === undefined && Object.hasOwn(points, input))
      wrong(`"${input}" is one for each part: name one of them, such as "${input}.${of.each.as}1"`, ...at);
    if (of.each !== undefined && point.each !== undefined && of.each.setting !== point.each.setting)
      wrong(`"${input}" has other parts than ${name}`, ...at);
    if (isBits && of.derive !== undefined) wrong(`"${input}" is derived itself and has no bits`, ...at);
    if ((of.poll === "push") !== isPushed)
      wrong(`"${input}" is ${told(of.poll)} and ${name} is ${told(point.poll)}: both the same way`, ...at);
    if ((how === "sum" || how === "difference") && of.unit !== unit)
      wrong(`"${input}" is in ${of.unit} and ${name} in ${unit}: both the same`, ...at);
  });
  if (how === "ratio" && unit !== "1" && unit !== "%") say(["unit"], 'a ratio is in "1" or "%"');
  if (how === "ratio" && Array.isArray(given)) checkRatio(given as string[], points, wrong);
}

/** Powers of one kind: active by apparent is the power factor. */
const power = /^([kM]?)(W|V\.A)(\.h)?(\{reactive\})?$/;

function checkRatio([a = "", b = ""]: string[], points: Points, wrong: (message: string) => void): void {
  const [over, under] = [pointOf(a, points)?.unit, pointOf(b, points)?.unit];
  if (over === undefined || under === undefined || over === under) return;
  const [left, right] = [power.exec(over), power.exec(under)];
  const isPower = left !== null && right !== null && left[3] === right[3] && left[1] === right[1];
  if (!isPower) wrong(`"${a}" is in ${over} and "${b}" in ${under}: both the same`);
}

/** Derived points of derived points and so on; more is nothing that anybody wants to read. */
const levelsMax = 8;

/** Values that one derived point is made of at most, those of its inputs counted as often as they are used. */
const weightMax = 256;

function weightOf(name: string, points: Points, known: Map<string, number>, level = 0): number {
  const before = known.get(name);
  if (before !== undefined) return before;
  if (level > levelsMax) return weightMax + 1;
  // A circle is told of elsewhere.
  known.set(name, 1);
  const inputs = inputsOf(pointOf(name, points) ?? {});
  const weight = inputs.reduce(
    (sum, input) => sum + weightOf(input, points, known, level + 1),
    inputs.length === 0 ? 1 : 0,
  );
  known.set(name, weight);
  return weight;
}

/** The names in a circle of derived points that begins at this one; undefined where there is none. */
function circleFrom(start: string, points: Points): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, above: readonly string[]): string[] | undefined => {
    if ((name === start && above.length > 0) || above.length > levelsMax) return [...above, name];
    if (done.has(name)) return undefined;
    done.add(name);
    for (const input of inputsOf(pointOf(name, points) ?? {})) {
      const found = visit(input, [...above, name]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(start, []);
}

/** What a point's values are in JavaScript; undefined where there is none of this name. */
function kindOf(name: string, points: Points): "number" | "string" | "boolean" | undefined {
  const point = pointOf(name, points);
  if (point === undefined) return undefined;
  return point.values !== undefined || point.kind === "text" ? "string" : point.kind;
}

/** What a value is called; undefined: it has no names. */
function valueWords(values: Checked["values"]): string[] | undefined {
  if (values === undefined) return undefined;
  return Object.values(values).map((one) => (typeof one === "string" ? one : (one as { is: string }).is));
}

function checkWrite(
  name: string,
  { write, ...point }: Checked,
  points: Points,
  bits: Map<string, string>,
  say: Say,
) {
  if (write === undefined) return;
  const { limits, step, values, automatic, interlock, readBack, refresh, leaseMax } = write;
  if (refresh !== undefined && leaseMax === undefined)
    say(["write", "refresh"], "only what is leased is refreshed: it needs leaseMax");
  const isNumber = point.kind === "number" && point.values === undefined;
  if (limits !== undefined && limits[0] >= limits[1]) say(["write", "limits"], "the lower limit comes first");
  for (const [key, given] of Object.entries({ limits, step }))
    if (given !== undefined && !isNumber) say(["write", key], "only a number has this");
  const words = valueWords(point.values);
  const checkValue = (value: unknown, ...at: (string | number)[]): void => {
    const known =
      typeof value === kindOf(name, points) && (words === undefined || words.includes(value as string));
    if (!known)
      say(["write", ...at], words === undefined ? `expected a ${point.kind}` : "not one of its values");
  };
  values?.forEach((value, i) => checkValue(value, "values", i));
  if (automatic !== undefined) checkValue(automatic, "automatic");
  const [low, high] = point.limits ?? [-Infinity, Infinity];
  if (typeof automatic === "number" && (automatic < low || automatic > high))
    say(
      ["write", "automatic"],
      `outside of the point's own limits, ${low} to ${high}: it would not be written`,
    );
  if (readBack !== undefined && !isKnown(readBack, points, bits))
    say(["write", "readBack"], `there is no point "${readBack}"`);
  interlock.forEach(({ point: other, equals }, i) => {
    const at = ["write", "interlock", i, "point"];
    const kind = kindOf(other, points);
    if (kind !== undefined && typeof equals !== kind)
      say(["write", "interlock", i, "equals"], `expected a ${kind === "string" ? "text" : kind}`);
    if (other === name) say(at, "a point cannot be its own interlock");
    else if (!isKnown(other, points, bits)) say(at, `there is no point "${other}"`);
  });
}

/** What is wrong with the point that shows that somebody operates the device; undefined: nothing. */
export function localOverrideMistake(
  { point, when }: z.infer<typeof localOverrideSchema>,
  points: Points,
): { at: "point" | "when"; message: string } | undefined {
  const bits = bitNames(points);
  if (!isKnown(point, points, bits)) return { at: "point", message: `there is no point "${point}"` };
  const kind = bits.has(point) ? "boolean" : kindOf(point, points);
  if (kind !== undefined && typeof when !== kind)
    return { at: "when", message: `expected a ${kind === "string" ? "text" : kind}` };
  const words = valueWords(pointOf(point, points)?.values);
  return words === undefined || words.includes(when as string)
    ? undefined
    : { at: "when", message: "not one of its values" };
}

function checkReport({ swingingDoor, deadband, kind, values, once, poll }: Checked, say: Say): void {
  if (swingingDoor === undefined) return;
  if (deadband !== undefined) say(["swingingDoor"], "either deadband or swingingDoor");
  if (kind !== "number" || values !== undefined || once === true)
    say(["swingingDoor"], "only a number that is not told once can be told by its slope");
  if (poll === "push")
    say(["swingingDoor"], "only of what is polled: the newest value would wait for the next");
}

function checkBits({ bits, kind, values }: Checked, points: Points, all: Set<string>, say: Say): void {
  if (bits === undefined) return;
  if (kind !== "number" || values !== undefined) say(["bits"], "only a number without values has bits");
  for (const [position, one] of Object.entries(bits)) {
    const own = typeof one === "string" ? one : one.is;
    if (Object.hasOwn(points, own) || all.has(own)) say(["bits", position], `there are two points "${own}"`);
    all.add(own);
  }
}

/** What is wrong with these points together, each with its way from the point: circles, units, unknown names. */
export function checkPoints(points: Points, say: Say): void {
  const bits = bitNames(points);
  const seen = new Set<string>();
  const weights = new Map<string, number>();
  for (const [name, point] of Object.entries(points)) {
    const here: Say = (path, message) => say([name, ...path], message);
    const { derive, address } = point;
    if (derive !== undefined && address !== undefined)
      here(["derive"], "either an address or derive: what is derived is not read");
    if (derive !== undefined) checkDerivation(name, { ...point, derive }, points, here);
    const circle = derive === undefined ? undefined : circleFrom(name, points);
    if (derive !== undefined && circle === undefined && weightOf(name, points, weights) > weightMax)
      here(["derive"], `made of more than ${weightMax} values`);
    if (circle !== undefined)
      here(
        ["derive"],
        circle.at(-1) === name
          ? `a circle: ${circle.join(" → ")}`
          : `made over more than ${levelsMax} points`,
      );
    checkBits(point, points, seen, here);
    checkWrite(name, point, points, bits, here);
    checkReport(point, here);
  }
}
