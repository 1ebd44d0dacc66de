import { z } from "zod";

/** What all outputs with `--json` have in common: one envelope a line. */

/** The data that a verb prints with `--json`, by the envelope's `kind`. */
type Outputs = Record<string, z.ZodType>;

/** Outputs of verbs; a verb of a group with its group before it: "profile new". */
export type VerbOutputs = Record<string, Outputs>;

export const timeMs = z.number().describe("ms since 1970 UTC");
export const text = z.string();
export const count = z.int().min(0);
/** Of a point: a number, true or false, a text. */
export const pointValue = z.union([z.number(), z.boolean(), z.string()]);
/** As its own document has it. */
export const anything = z.record(z.string(), z.unknown());

const mistake = z.strictObject({
  file: text,
  line: z.int(),
  column: z.int(),
  severity: z.enum(["error", "warning"]),
  code: text.optional(),
  message: text,
  sourceLine: text,
  path: text.optional(),
});

/** Why a verb failed: the code is one of `kerb explain`, `title` and `hint` are for people. */
const failure = z.strictObject({
  code: text.regex(/^KERB-[A-Z0-9]+(-[A-Z0-9]+)+$/),
  title: text,
  hint: text,
  seen: text.optional(),
  likely: text.optional(),
  count: count.optional().describe("how many mistakes a configuration has"),
  diagnostics: z.array(mistake).optional(),
});

/** A mistake or a warning in a file. */
export const diagnostic = mistake;

/** The line of a success. */
export function success(kind: string, data: z.ZodType): z.ZodType {
  // A check that found something is no success, and has data all the same.
  const ok = kind === "profile-lint" ? z.boolean() : z.literal(true);
  return z.strictObject({ api: z.literal("kerb/v1"), kind: z.literal(kind), ok, data });
}

/** The line of a failure of a verb that has these kinds. */
export function failed(): z.ZodType {
  return z.strictObject({ api: z.literal("kerb/v1"), kind: text, ok: z.literal(false), error: failure });
}
