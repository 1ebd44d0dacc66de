import type { Room, SimulatedPoint, SimulatorOptions } from "../simulator.ts";

/** One message of a pretend device. */
export interface Said {
  readonly topic: string;
  readonly payload: string | Buffer;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

export type Raw = number | string | boolean;
/** A point or a field with the value that it has on the wire. */
export interface Valued {
  readonly point: SimulatedPoint;
  readonly value: Raw;
}
export type Told = NonNullable<SimulatorOptions["records"]>[number];

/** How a format says things. Times are ms since 1970 as the device believes them. */
export interface Speech {
  /** What is said when the device comes up. */
  hello(values: readonly Valued[], timeMs: number): Said[];
  values(values: readonly Valued[], timeMs: number): Said[];
  /** `others`: the values of the points at this moment. */
  record(record: Told, fields: readonly Valued[], others: readonly Valued[], timeMs: number): Said[];
  /** The last will. */
  goodbye(): Said[];
  /** The numbers that it can say of a point; absent: any. */
  room?(point: SimulatedPoint): Room;
  /** Whether a message asks for `hello` again. */
  isAsked?(topic: string, payload: Buffer): boolean;
  /** Where it is told what to do, for points that do not say; absent: nowhere. */
  commandTopic?: string;
}

/** A device's address as `drivers/mqtt/settings.ts` parses it, as far as a pretend device needs it. */
export interface Address {
  topic?: string;
  path?: string;
  from?: "payload" | "uplink";
  event?: string;
  metric?: string;
  type?: "number" | "boolean" | "text";
  isTrue?: Raw;
  isFalse?: Raw;
  write?: { topic?: string; path?: string };
  when?: { path: string; equals: Raw };
  state?: boolean;
}

export interface Settings {
  format?: "json" | "lorawan" | "zigbee2mqtt" | "onvif-ej" | "sparkplug-b";
  server?: "chirpstack-v4" | "ttn-v3";
  variables?: Record<string, string>;
  topic?: string;
  time?: string;
  id?: string;
}

export const addressOf = (point: { address: unknown }): Address => point.address ?? {};

/** "a/{name}/b" with the device's own words. */
export function filled(template: string, variables: Record<string, string>): string {
  return template
    .split(/[{}]/)
    .map((part, i) => (i % 2 === 0 ? part : (variables[part] ?? part)))
    .join("");
}

/** A path as the names and numbers on it: "$.a['b c'][0]". */
function stepsOf(path: string): (string | number)[] {
  return (path.match(/[A-Za-z_][\w-]*|'[^']+'|\[-?\d+\]/g) ?? []).map((part) => {
    if (part.startsWith("[")) return Number(part.slice(1, -1));
    return part.startsWith("'") ? part.slice(1, -1) : part;
  });
}

/** The value at a path of a tree; undefined where there is none. */
export function valueAt(tree: unknown, path: string): unknown {
  return stepsOf(path).reduce<unknown>(
    (node, step) =>
      typeof node === "object" && node !== null && Object.hasOwn(node, step)
        ? (node as Record<string | number, unknown>)[step]
        : undefined,
    tree,
  );
}

/** Writes a value into a tree of objects and lists, growing it. */
export function put(tree: Record<string, unknown>, path: string, value: unknown): void {
  const steps = stepsOf(path);
  let node = tree as Record<string | number, unknown>;
  steps.forEach((step, i) => {
    if (i === steps.length - 1) node[step] = value;
    else node = (node[step] ??= typeof steps[i + 1] === "number" ? [] : {}) as typeof node;
  });
}

/** An object that holds each value at its path. */
export function treeOf(values: readonly Valued[], show: (value: Valued) => unknown): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const one of values) put(tree, addressOf(one.point).path ?? "$", show(one));
  return tree;
}

/** A value as JSON has it: numbers, booleans, or the device's own words for true and false. */
export function plain({ point, value }: Valued): Raw {
  const { type, isTrue = true, isFalse = false } = addressOf(point);
  if (type === "boolean") return value === true || value === 1 || value === "true" ? isTrue : isFalse;
  return type === "text" ? String(value) : value;
}
