import type { z } from "zod";
import { isRecord, type Path, valueAt } from "./path.ts";

/** The part of zod's schema definitions that sentences are made from. */
export interface Definition {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  out?: z.ZodType;
  getter?: () => z.ZodType;
  options?: z.ZodType[];
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
  items?: z.ZodType[];
  valueType?: z.ZodType;
  values?: unknown[];
  entries?: Record<string, unknown>;
  checks?: {
    _zod: { def: { check: string; value?: number; minimum?: number; maximum?: number; inclusive?: boolean } };
  }[];
  format?: string;
}

/** What a schema says of itself. */
export function definition(schema: z.ZodType): Definition {
  return schema._zod.def;
}

/** One step through wrappers (optional, default, transform) towards the schema that meets the file's value. */
export function inside(schema: z.ZodType): z.ZodType | undefined {
  const { type, innerType, in: input, out, getter } = definition(schema);
  if (type !== "pipe") return innerType ?? getter?.();
  return input !== undefined && definition(input).type === "transform" ? out : input;
}

/** The schema within all wrappers: the one that says what is taken. */
export function bare(schema: z.ZodType): z.ZodType {
  const next = inside(schema);
  return next === undefined ? schema : bare(next);
}

/** True when the value is of the shape that this option of a union is for. */
function suits(option: z.ZodType, value: unknown): boolean {
  const { type, shape, values } = definition(bare(option));
  if (type === "literal") return values?.includes(value) === true;
  if (type === "array" || type === "tuple") return Array.isArray(value);
  if (type === "record") return isRecord(value);
  if (type !== "object") return type === typeof value;
  const parts = Object.entries(shape ?? {}).map(([key, part]) => ({ key, part: definition(bare(part)) }));
  return (
    isRecord(value) &&
    parts.every(({ key, part }) => part.type !== "literal" || part.values?.includes(value[key]))
  );
}

/** The schema at the end of a path; inside unions by the option that suits the value, at the end if `choose`. */
export function schemaAt(root: z.ZodType, path: Path, value: unknown, choose = true): z.ZodType | undefined {
  const [key, ...rest] = path;
  if (key === undefined && !choose) return root;
  const { options, shape, element, items, valueType } = definition(bare(root));
  const option = options?.find((one) => suits(one, value));
  if (option !== undefined) return schemaAt(option, path, value, choose);
  if (key === undefined) return root;
  const next = shape?.[key] ?? element ?? items?.[Number(key)] ?? valueType;
  return next === undefined ? undefined : schemaAt(next, rest, valueAt(value, [key]), choose);
}
