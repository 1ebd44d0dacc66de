import { z } from "zod";
import type { ConfigErrorCode } from "../errors.ts";
import { expectation } from "./expectations.ts";
import { type Path, valueAt } from "./path.ts";
import { bare, definition, schemaAt } from "./schema-walk.ts";
import { listed, nearest, quoted } from "./words.ts";

/** A mistake before it has a place: `found` says that the sentence still lacks what was found. */
export interface Finding {
  path: Path;
  at: "key" | "value";
  code: ConfigErrorCode;
  message: string;
  found: boolean;
  /** The key that an unknown one most likely means: that one is then not missing. */
  meant?: string;
}

/** One thing that zod found wrong. */
export type Issue = z.core.$ZodIssue;

function valueFinding(path: Path, message: string, found = true): Finding {
  return { path, at: "value", code: "KERB-CFG-VALUE", message, found };
}

/** The option of a union that the author most likely meant, by the mistakes that each one would report. */
function meantOption(branches: readonly (readonly Issue[])[]): number | undefined {
  const foreign = (issue: Issue) =>
    issue.path.length === 0 && (issue.code === "invalid_type" || issue.code === "invalid_value");
  const wrongLiterals = (issues: readonly Issue[]) =>
    issues.filter((issue) => issue.code === "invalid_value").length;
  return branches
    .map((issues, index) => ({ issues, index }))
    .filter(({ issues }) => !issues.some(foreign))
    .sort((a, b) => wrongLiterals(a.issues) - wrongLiterals(b.issues) || a.issues.length - b.issues.length)[0]
    ?.index;
}

function keyFinding(path: Path, message: string): Finding {
  return { path, at: "key", code: "KERB-CFG-KEY", message, found: false };
}

function keyFindings(
  path: Path,
  keys: readonly string[],
  schema: z.ZodType | undefined,
  alsoKnown: readonly string[],
): Finding[] {
  const known = [...Object.keys(definition(bare(schema ?? z.never())).shape ?? {}), ...alsoKnown];
  return keys.map((key) => {
    const meant = nearest(key, known);
    const choice = known.length > 0 && known.length <= 30 ? ` - known here: ${known.join(", ")}` : "";
    const hint = meant === undefined ? choice : ` - did you mean ${quoted(meant)}?`;
    const finding = keyFinding([...path, key], `unknown key ${quoted(key)}${hint}`);
    return meant === undefined ? finding : { ...finding, meant };
  });
}

/** What sentences need of the file that an entry is written in. */
interface Writing {
  depthOf(path: Path): number;
  shown(path: Path): string;
}

/** What was checked, and where each entry of it is written. */
interface Explaining {
  value: unknown;
  /** The way from the checked value to `value`. */
  base: Path;
  alsoKnown: readonly string[];
  origin: (path: Path) => { document: Writing; path: Path };
}

/** Turns one of zod's issues into sentences. */
function explain(issue: Issue, root: z.ZodType, from: Explaining): Finding[] {
  const inner = issue.path as Path;
  const path = [...from.base, ...inner];
  const input = valueAt(from.value, inner);
  const typed =
    issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
  if (input === undefined && typed) return [missingFinding(issue, path, from)];
  if (issue.message !== "") return [valueFinding(path, issue.message)];
  const schema = schemaAt(root, inner, from.value);
  switch (issue.code) {
    case "unrecognized_keys":
      return keyFindings(path, issue.keys, schema, path.length === 0 ? from.alsoKnown : []);
    case "invalid_key":
      return issue.issues.map((one) =>
        keyFinding(path, one.message === "" ? "this key is not allowed" : one.message),
      );
    case "invalid_value":
      return [choiceFinding(path, input, issue.values, from)];
    case "invalid_union":
      return explainUnion(issue, root, from);
    default:
      return [typeFinding(path, input, schema === undefined ? "another value" : expectation(schema), from)];
  }
}

function explainUnion(
  issue: Extract<Issue, { code: "invalid_union" }>,
  root: z.ZodType,
  from: Explaining,
): Finding[] {
  const inner = issue.path as Path;
  const base = [...from.base, ...inner];
  const value = valueAt(from.value, inner);
  if ("options" in issue && Array.isArray(issue.options))
    return [choiceFinding(base, value, issue.options, from)];
  const union = schemaAt(root, inner, from.value, false) ?? root;
  const meant = meantOption(issue.errors);
  const option = meant === undefined ? undefined : definition(bare(union)).options?.[meant];
  if (meant === undefined || option === undefined)
    return [typeFinding(base, value, expectation(union), from)];
  return (issue.errors[meant] ?? []).flatMap((one) => explain(one, option, { ...from, value, base }));
}

function missingFinding(issue: Issue, path: Path, from: Explaining): Finding {
  const origin = from.origin(path);
  const name = origin.path
    .slice(Math.min(origin.document.depthOf(origin.path), origin.path.length - 1))
    .join(".");
  const options = "options" in issue && Array.isArray(issue.options) ? `: ${listed(issue.options)}` : "";
  return {
    path,
    at: "key",
    code: "KERB-CFG-MISSING",
    message: `missing key ${quoted(name)}${options}`,
    found: false,
  };
}

function typeFinding(path: Path, input: unknown, wanted: string, from: Explaining): Finding {
  const { document, path: full } = from.origin(path);
  if (input === null) {
    const empty = full.length === 0 ? "the file is empty" : `${quoted(String(full.at(-1)))} has no value`;
    return valueFinding(path, `${empty}: expected ${wanted}`, false);
  }
  const unquoted = /^text(?! such)/.test(wanted) && (typeof input === "number" || typeof input === "boolean");
  return unquoted
    ? valueFinding(path, `expected ${wanted}, found ${document.shown(full)} - put it in quotes`, false)
    : valueFinding(path, `expected ${wanted}`);
}

function choiceFinding(path: Path, input: unknown, values: readonly unknown[], from: Explaining): Finding {
  const { document, path: full } = from.origin(path);
  const meant =
    typeof input === "string"
      ? nearest(
          input,
          values.filter((value) => typeof value === "string"),
        )
      : undefined;
  if (meant === undefined) return typeFinding(path, input, listed(values), from);
  const key = full.findLast((part) => typeof part === "string") ?? "value";
  return valueFinding(path, `unknown ${key} ${document.shown(full)} - did you mean ${quoted(meant)}?`, false);
}

/**
 * What is wrong with a value, in plain sentences. A key is not called missing where a mistyped one stands for it.
 */
export function explainIssues(
  issues: readonly Issue[],
  schema: z.ZodType,
  from: Omit<Explaining, "base">,
): Finding[] {
  const findings = issues.flatMap((issue) => explain(issue, schema, { ...from, base: [] }));
  const meant = new Set(
    findings.flatMap(({ path, meant: key }) =>
      key === undefined ? [] : [[...path.slice(0, -1), key].join("\n")],
    ),
  );
  return findings.filter(({ code, path }) => code !== "KERB-CFG-MISSING" || !meant.has(path.join("\n")));
}
