/** Where something stands in a file; line and column count from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/** The way to a value: keys and list indices. */
export type Path = readonly (string | number)[];

/** True for what YAML and JSON call a map or an object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at the end of a path; undefined where there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}
