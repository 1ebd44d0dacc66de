import type { PointRequest } from "../../gateway/driver.ts";
import type { Format } from "./document.ts";
import { fillPick, parsePick, type Step } from "./pick.ts";
import type { Address, Settings } from "./settings.ts";
import type { Place } from "./values.ts";

/** One request and the points that it answers. */
export interface Task {
  readonly path: string;
  readonly format: Format;
  readonly points: { readonly position: number; readonly place: Place }[];
  /** It was not answered in time: it is asked after the others. */
  wasLost: boolean;
}

export interface Plan {
  readonly tasks: Task[];
  /** Positions of points that are nowhere to be asked for: they have no path, or name an unknown variable. */
  readonly homeless: { readonly position: number; readonly reason: string }[];
}

const variable = /\{(\w+)\}/g;

/** The name of a variable in `text` that the device does not have. */
function unknownVariable(text: string, variables: Settings["variables"]): string | undefined {
  return [...text.matchAll(variable)]
    .map(([, name = ""]) => name)
    .find((name) => !Object.hasOwn(variables, name));
}

function filled(text: string, variables: Settings["variables"]): string {
  return text.replaceAll(variable, (whole, name: string) =>
    Object.hasOwn(variables, name) ? (variables[name] ?? whole) : whole,
  );
}

/** The path with the device's variables, each as one part of it; `undefined` when it has no such variable. */
export function filledPath(path: string, variables: Settings["variables"]): string | undefined {
  if (unknownVariable(path, variables) !== undefined) return undefined;
  return path.replaceAll(variable, (_, name: string) =>
    encodeURIComponent((variables[name] ?? "").toWellFormed()),
  );
}

function stepsOf(text: string, variables: Settings["variables"]): Step[] {
  // The settings' schema has parsed it before.
  return fillPick(parsePick(text) ?? [], (part) => filled(part, variables));
}

/** An address with the device's variables put into its picks. */
export function placeOf({ pick, time, type }: Address, { variables }: Pick<Settings, "variables">): Place {
  return {
    value: stepsOf(pick, variables),
    time: time === undefined ? undefined : stepsOf(time, variables),
    type,
  };
}

/** The fewest requests that answer these points: one for each path. */
export function planOf(
  points: readonly PointRequest<Address>[],
  settings: Pick<Settings, "variables" | "format">,
): Plan {
  const tasks = new Map<string, Task>();
  const homeless: { position: number; reason: string }[] = [];
  points.forEach(({ address }, position) => {
    const { variables } = settings;
    if (address.path === undefined) {
      homeless.push({ position, reason: "the device posts it, it cannot be asked for" });
      return;
    }
    const path = filledPath(address.path, variables);
    const missing = unknownVariable(`${address.path}${address.pick}${address.time ?? ""}`, variables);
    if (path === undefined || missing !== undefined) {
      homeless.push({ position, reason: `the settings have no variable "${missing}"` });
      return;
    }
    const format = address.format ?? settings.format;
    const task = tasks.get(`${format} ${path}`) ?? { path, format, points: [], wasLost: false };
    tasks.set(`${format} ${path}`, task);
    task.points.push({ position, place: placeOf(address, settings) });
  });
  return { tasks: [...tasks.values()], homeless };
}
