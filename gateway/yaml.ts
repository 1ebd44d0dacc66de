import { isUtf8 } from "node:buffer";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import leven from "leven";
import { isAlias, isCollection, isMap, isNode, isScalar, isSeq, type Node, parseDocument } from "yaml";
import { z } from "zod";
import { ConfigError, type ConfigErrorCode, type Diagnostic, printable, shownFile } from "./errors.ts";

export { ConfigError, type Diagnostic } from "./errors.ts";

/** Where something stands in a file; line and column count from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/** The way to a value: keys and list indices. */
export type Path = readonly (string | number)[];

export interface YamlOptions {
  /** False: `${env:…}`, `${file:…}` and `${secret:…}` stay as they are written. */
  references?: boolean;
  /** Where `${secret:NAME}` is looked up; `secrets` beside the file if not given. */
  secretsFolder?: string;
}

const fileBytesMax = 1024 ** 2;
const referenceBytesMax = 64 * 1024;
const depthMax = 64;
const aliasedValuesMax = 10_000;
const mistakesMax = 1000;
const sourceLineMax = 16 * 1024;

/** One value of the file with its place. */
interface Spot {
  value: unknown;
  offset: number;
  keyOffset: number | undefined;
  /** The text as written, where it differs from the value: `0x10`, `${env:PORT}`. */
  written: string | undefined;
  reference: boolean;
  /** Already reported: nothing more is said about it. */
  broken: boolean;
  children: Map<string | number, Spot> | undefined;
}

const systemErrors: Record<string, string> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read it",
  EPERM: "this user may not read it",
  ELOOP: "its links go round in a circle",
};

function utf8Problem(content: Buffer): string | undefined {
  if (content[0] === 0xff && content[1] === 0xfe) return "it is saved as UTF-16: save it as UTF-8";
  if (isUtf8(content)) return undefined;
  const text = content.toString("latin1").split("\n");
  const line = text.findIndex((one) => !isUtf8(Buffer.from(one, "latin1")));
  return `it is not UTF-8 (line ${line + 1}): save it as UTF-8`;
}

function tooLarge(bytesMax: number): string {
  return `it is larger than ${bytesMax / 1024} KiB`;
}

function readText(file: string, bytesMax: number): { text: string } | { problem: string } {
  let handle: number | undefined;
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) return { problem: "it is a folder" };
    // A pipe or a device would block the whole process.
    if (!stat.isFile()) return { problem: "it is not a regular file" };
    handle = openSync(file, "r");
    const buffer = Buffer.alloc(bytesMax + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length <= bytesMax; length += got) {
      got = readSync(handle, buffer, length, buffer.length - length, null);
    }
    if (length > bytesMax) return { problem: tooLarge(bytesMax) };
    const content = buffer.subarray(0, length);
    const problem = utf8Problem(content);
    return problem === undefined ? { text: content.toString("utf8").replace(/^\ufeff/, "") } : { problem };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    return { problem: systemErrors[code] ?? `it cannot be read (${code})` };
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

const syntaxSentences: Record<string, string> = {
  BAD_INDENT: "this line is not indented like its neighbours, or a bracket is not closed",
  BAD_SCALAR_START: "a value that begins with this character must stand in quotes",
  BLOCK_AS_IMPLICIT_KEY:
    'two keys on one line, or a line indented too far: a text with ": " in it must stand in quotes',
  BLOCK_IN_FLOW: "inside [ ] and { } a list or a set of keys must be written with brackets too",
  MULTILINE_IMPLICIT_KEY: 'a key without ":"',
  MULTIPLE_DOCS: 'a second document begins here ("---"): one file holds one document',
  TAB_AS_INDENT: "a tab: indent with spaces",
  TAG_RESOLVE_FAILED: "tags such as !secret are not known: references are written as text, ${secret:NAME}",
};

function syntaxSentence(code: string, message: string): string {
  if (message.includes("call stack")) return `nested deeper than ${depthMax} levels`;
  return syntaxSentences[code] ?? message.charAt(0).toLowerCase() + message.slice(1);
}

function quoted(text: string): string {
  return `"${printable(text.length > 60 ? `${text.slice(0, 59)}…` : text).replaceAll("\n", " ")}"`;
}

function listed(values: readonly unknown[], conjunction = "or"): string {
  const texts = values.map((value) => (typeof value === "string" ? quoted(value) : String(value)));
  return texts.length < 2
    ? texts.join("")
    : `${texts.slice(0, -1).join(", ")} ${conjunction} ${texts.at(-1)}`;
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, "");
}

/** The candidate that a mistyped word most likely means; undefined when none is near (fewer than 3 changes). */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > 4) continue;
    const distance = leven(plain(word), plain(candidate));
    // Two changes turn any word of two letters into any other.
    if (distance < Math.min(3, candidate.length, best?.distance ?? 3)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** ` - did you mean "poll"?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = nearest(word, candidates);
  return meant === undefined ? "" : ` - did you mean ${quoted(meant)}?`;
}

/** The part of zod's schema definitions that sentences are made from. */
interface Definition {
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

function definition(schema: z.ZodType): Definition {
  return schema._zod.def;
}

/** One step through wrappers (optional, default, transform) towards the schema that meets the file's value. */
function inside(schema: z.ZodType): z.ZodType | undefined {
  const { type, innerType, in: input, out, getter } = definition(schema);
  if (type !== "pipe") return innerType ?? getter?.();
  return input !== undefined && definition(input).type === "transform" ? out : input;
}

function bare(schema: z.ZodType): z.ZodType {
  const next = inside(schema);
  return next === undefined ? schema : bare(next);
}

function bounds(schema: Definition): string {
  let least: string | undefined;
  let most: string | undefined;
  for (const { _zod } of schema.checks ?? []) {
    const { check, value, inclusive } = _zod.def;
    if (check === "greater_than") least = inclusive === false ? `greater than ${value}` : String(value);
    if (check === "less_than") most = inclusive === false ? `less than ${value}` : String(value);
    if (check === "min_length") least = String(_zod.def.minimum);
    if (check === "max_length") most = String(_zod.def.maximum);
  }
  if (least?.startsWith("greater") === true || most?.startsWith("less") === true) {
    return ` ${[least, most].filter((one) => one !== undefined).join(" and ")}`;
  }
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  if (least !== undefined) return ` of at least ${least}`;
  return most === undefined ? "" : ` of at most ${most}`;
}

/** "a whole number from 0 to 255": what a schema takes, in words. */
function expectation(schema: z.ZodType): string {
  const examples = z.globalRegistry.get(schema)?.["examples"];
  if (Array.isArray(examples)) return `text such as ${quoted(String(examples[0]))}`;
  const next = inside(schema);
  if (next !== undefined) return expectation(next);
  const of = definition(schema);
  const whole =
    of.format?.includes("int") === true || of.checks?.some(({ _zod }) => _zod.def.check === "number_format");
  switch (of.type) {
    case "string":
      return bounds(of) === "" ? "text" : `text${bounds(of).replace(" from ", " of ")} characters`;
    case "number":
      return `a ${whole === true ? "whole " : ""}number${bounds(of)}`;
    case "boolean":
      return "true or false";
    case "literal":
      return listed(of.values ?? []);
    case "enum":
      return listed(Object.values(of.entries ?? {}));
    case "array":
      return bounds(of) === "" ? "a list" : `a list${bounds(of)} entries`;
    case "tuple":
      return `a list of ${of.items?.length} values`;
    case "object":
      return keysAndValues(Object.keys(of.shape ?? {}));
    case "record":
      return "keys and values";
    case "union":
      return expectations(of.options ?? []);
    default:
      return "another value";
  }
}

function keysAndValues(keys: readonly string[]): string {
  return `keys and values (${keys.slice(0, 12).join(", ")}${keys.length > 12 ? ", …" : ""})`;
}

function expectations(options: readonly z.ZodType[]): string {
  const parts = options.map((option) => ({ option, ...definition(bare(option)) }));
  const literals = parts.flatMap(({ type, values }) => (type === "literal" ? (values ?? []) : []));
  const shapes = parts.flatMap(({ type, shape }) =>
    type === "object" && shape !== undefined ? [shape] : [],
  );
  const shared = Object.keys(shapes[0] ?? {}).filter((key) => shapes.every((shape) => key in shape));
  const others = parts
    .filter(({ type }) => type !== "literal" && type !== "object")
    .map(({ option }) => expectation(option));
  return [
    ...(literals.length > 0 ? [listed(literals)] : []),
    ...new Set(others),
    ...(shapes.length > 0 ? [keysAndValues(shared)] : []),
  ].join(" or ");
}

function isRecord(value: unknown): value is Record<string, unknown> {
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
function schemaAt(root: z.ZodType, path: Path, value: unknown, choose = true): z.ZodType | undefined {
  const [key, ...rest] = path;
  if (key === undefined && !choose) return root;
  const { options, shape, element, items, valueType } = definition(bare(root));
  const option = options?.find((one) => suits(one, value));
  if (option !== undefined) return schemaAt(option, path, value, choose);
  if (key === undefined) return root;
  const next = shape?.[key] ?? element ?? items?.[Number(key)] ?? valueType;
  return next === undefined ? undefined : schemaAt(next, rest, valueAt(value, [key]), choose);
}

/** A mistake before it has a place: `found` says that the sentence still lacks what was found. */
interface Finding {
  path: Path;
  at: "key" | "value";
  code: ConfigErrorCode;
  message: string;
  found: boolean;
  /** The key that an unknown one most likely means: that one is then not missing. */
  meant?: string;
}

type Issue = z.core.$ZodIssue;

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
    const choice = known.length > 0 && known.length <= 24 ? ` - known here: ${known.join(", ")}` : "";
    const hint = meant === undefined ? choice : ` - did you mean ${quoted(meant)}?`;
    const finding = keyFinding([...path, key], `unknown key ${quoted(key)}${hint}`);
    return meant === undefined ? finding : { ...finding, meant };
  });
}

/** Where an entry of a checked value was written. */
export interface Origin {
  document: YamlDocument;
  path: Path;
}

interface Explaining {
  value: unknown;
  /** The way from the checked value to `value`. */
  base: Path;
  alsoKnown: readonly string[];
  origin: (path: Path) => Origin;
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

/** A parsed file: its value, the place of everything in it, and the mistakes found so far. */
export class YamlDocument {
  readonly file: string;
  readonly mistakes: Diagnostic[] = [];
  readonly #options: YamlOptions;
  readonly #lines: string[];
  readonly #starts: number[] = [];
  readonly #anchors = new Map<string, Node>();
  /** What references stand for, by the way they are written; never to be shown. */
  readonly #references = new Map<string, string>();
  #referenceBytes = 0;
  #aliasedValues = 0;
  #aliasDepth = 0;
  #root: Spot;

  constructor(text: string, file: string, options: YamlOptions = {}) {
    this.file = file;
    this.#options = options;
    this.#lines = text.split("\n");
    let start = 0;
    for (const line of this.#lines) {
      this.#starts.push(start);
      start += line.length + 1;
    }
    this.#root = this.#walk(this.#parse(text), 0, undefined);
  }

  get value(): unknown {
    return this.#root.value;
  }

  #parse(text: string): unknown {
    const yaml = parseDocument(text, {
      version: "1.2",
      schema: "core",
      strict: true,
      // Duplicates are found below, where the first place can be named too.
      uniqueKeys: false,
      merge: false,
      resolveKnownTags: false,
      prettyErrors: false,
      logLevel: "error",
    });
    for (const { code, message, pos } of [...yaml.errors, ...yaml.warnings]) {
      this.#report(pos[0], "KERB-CFG-SYNTAX", syntaxSentence(code, message));
    }
    if (yaml.directives?.yaml.explicit === true && yaml.directives.yaml.version !== "1.2") {
      this.#report(0, "KERB-CFG-SYNTAX", "only YAML 1.2 is read: delete the %YAML line");
    }
    // One slip makes the parser stumble on; what follows from the first is noise.
    this.mistakes.splice(1);
    return this.mistakes.length > 0 ? undefined : yaml.contents;
  }

  #place(offset: number): Place {
    let [line, after] = [1, this.#starts.length + 1];
    while (after - line > 1) {
      const middle = Math.floor((line + after) / 2);
      if ((this.#starts[middle - 1] ?? 0) <= offset) line = middle;
      else after = middle;
    }
    return { file: this.file, line, column: offset - (this.#starts[line - 1] ?? 0) + 1 };
  }

  #report(offset: number, code: ConfigErrorCode, message: string): void {
    this.#push(this.#place(offset), { code, message, severity: "error" });
  }

  #push(place: Place, rest: Pick<Diagnostic, "code" | "message" | "severity" | "path">): void {
    if (this.mistakes.length >= mistakesMax) return;
    const sourceLine = (this.#lines[place.line - 1] ?? "").replace(/\r$/, "").slice(0, sourceLineMax);
    this.mistakes.push({ ...place, ...rest, sourceLine });
  }

  #walk(node: unknown, depth: number, keyOffset: number | undefined): Spot {
    const offset = (isNode(node) ? node.range?.[0] : undefined) ?? keyOffset ?? 0;
    const spot: Spot = {
      value: null,
      offset,
      keyOffset,
      written: undefined,
      reference: false,
      broken: false,
      children: undefined,
    };
    if (this.#aliasDepth > 0) this.#aliasedValues += 1;
    if (this.#aliasedValues > aliasedValuesMax) {
      return this.#refuse(spot, `aliases stand for more than ${aliasedValuesMax} values`);
    }
    if (depth > depthMax) return this.#refuse(spot, `nested deeper than ${depthMax} levels`);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined)
        return this.#refuse(spot, `there is no anchor "&${node.source}" before this alias`);
      this.#aliasDepth += 1;
      const stood = this.#walk(target, depth + 1, keyOffset);
      this.#aliasDepth -= 1;
      return { ...stood, offset };
    }
    if (isCollection(node) || isScalar(node)) {
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    }
    if (isMap(node)) this.#walkMap(node.items, spot, depth);
    else if (isSeq(node)) {
      const children = node.items.map(
        (item, index) => [index, this.#walk(item, depth + 1, undefined)] as const,
      );
      spot.children = new Map(children);
      spot.value = children.map(([, child]) => child.value);
    } else if (isScalar(node)) {
      if (typeof node.value === "string") this.#resolve(spot, node.value);
      else Object.assign(spot, { value: node.value, written: node.source });
    }
    return spot;
  }

  #refuse(spot: Spot, message: string): Spot {
    // Once is enough: the same cause would report thousands of places.
    if (!this.mistakes.some((mistake) => mistake.message === message))
      this.#report(spot.offset, "KERB-CFG-SYNTAX", message);
    return { ...spot, broken: true };
  }

  #walkMap(pairs: readonly { key: unknown; value: unknown }[], spot: Spot, depth: number): void {
    const children = new Map<string | number, Spot>();
    const value: Record<string, unknown> = {};
    for (const pair of pairs) {
      const keyOffset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? spot.offset;
      const key = isScalar(pair.key)
        ? typeof pair.key.value === "string"
          ? pair.key.value
          : (pair.key.source ?? "")
        : "";
      const first = children.get(key);
      if (key === "") this.#report(keyOffset, "KERB-CFG-SYNTAX", "a key must be a plain word");
      else if (key === "__proto__")
        this.#report(keyOffset, "KERB-CFG-KEY", `the key ${quoted(key)} is not allowed`);
      else if (first !== undefined) {
        const { line } = this.#place(first.keyOffset ?? first.offset);
        this.#report(
          keyOffset,
          "KERB-CFG-DUPLICATE",
          `the key ${quoted(key)} is written twice: first on line ${line}`,
        );
      } else {
        const child = this.#walk(pair.value, depth + 1, keyOffset);
        children.set(key, child);
        value[key] = child.value;
      }
    }
    spot.children = children;
    spot.value = value;
  }

  #resolve(spot: Spot, text: string): void {
    spot.value = text;
    if (this.#options.references === false || !text.includes("${")) return;
    const bareName = /^\$\{([A-Za-z_]\w*)\}$/.exec(text)?.[1];
    const problems =
      bareName === undefined ? [] : [`write "\${env:${bareName}}" for a variable of the environment`];
    const resolved = text.replaceAll(
      /\$\{([a-z]+):([^{}]*)\}/g,
      (written: string, kind: string, name: string) => {
        const found = this.#lookUp(written, kind, name);
        if ("problem" in found) problems.push(found.problem);
        return "text" in found ? found.text : written;
      },
    );
    for (const problem of problems) this.#report(spot.offset, "KERB-CFG-REFERENCE", problem);
    const changed = resolved !== text || problems.length > 0;
    if (changed)
      Object.assign(spot, { value: resolved, written: text, reference: true, broken: problems.length > 0 });
  }

  #lookUp(written: string, kind: string, name: string): { text: string } | { problem: string } {
    const known = this.#references.get(written);
    const found = known === undefined ? this.#read(kind, name) : { text: known };
    if ("problem" in found) return found;
    this.#references.set(written, found.text);
    this.#referenceBytes += found.text.length;
    if (this.#referenceBytes <= fileBytesMax) return found;
    return { problem: `the references of this file stand for more than ${fileBytesMax / 1024} KiB` };
  }

  #read(kind: string, name: string): { text: string } | { problem: string } {
    if (kind === "env") {
      const value = process.env[name];
      return value === undefined
        ? { problem: `the environment variable ${quoted(name)} is not set` }
        : { text: value };
    }
    if (kind !== "file" && kind !== "secret") {
      const near = didYouMean(kind, ["env", "file", "secret"]);
      return {
        problem: `unknown reference ${quoted(kind)}${near === "" ? " - known are env, file and secret" : near}`,
      };
    }
    if (kind === "secret" && !/^\w[\w.-]{0,63}$/.test(name)) {
      return { problem: `a secret is named by letters, digits, "-", "_" and ".", found ${quoted(name)}` };
    }
    const folder = dirname(resolve(this.file));
    const file =
      kind === "file"
        ? resolve(folder, name)
        : join(this.#options.secretsFolder ?? join(folder, "secrets"), name);
    const content = readText(file, referenceBytesMax);
    if ("text" in content) return { text: content.text.replace(/\r?\n$/, "") };
    return {
      problem: `the ${kind} ${quoted(name)} (${printable(shownFile(file))}) cannot be used: ${content.problem}`,
    };
  }

  #spot(path: Path): { spot: Spot; depth: number } {
    let spot = this.#root;
    for (const [depth, key] of path.entries()) {
      const child = spot.children?.get(key);
      if (child === undefined) return { spot, depth };
      spot = child;
    }
    return { spot, depth: path.length };
  }

  /** How many steps of a path exist in this file. */
  depthOf(path: Path): number {
    return this.#spot(path).depth;
  }

  /** The value of an entry as a message may show it: a reference as it is written, never what it stands for. */
  shown(path: Path): string {
    const { spot, depth } = this.#spot(path);
    if (depth < path.length || (spot.value === null && !spot.reference)) return "nothing";
    if (spot.reference) return quoted(spot.written ?? "");
    if (spot.written !== undefined) return printable(spot.written.slice(0, 60));
    if (typeof spot.value === "string") return quoted(spot.value);
    return Array.isArray(spot.value) ? `a list of ${spot.value.length}` : "keys and values";
  }

  /** The place of an entry's value, or of its key; of the nearest entry around it where there is none. */
  locate(path: Path, at: "key" | "value" = "value"): Place {
    const { spot, depth } = this.#spot(path);
    const value = this.#place(spot.offset);
    if (spot.keyOffset === undefined) return value;
    const key = this.#place(spot.keyOffset);
    const empty = spot.value === null && spot.written !== "null";
    return at === "key" || depth < path.length || empty || key.line !== value.line ? key : value;
  }

  /** `devices "air-01".transport.port`, or with the index for entries that have no id: `include[0]`. */
  #address(path: Path): string {
    const steps = path.map((key, index) => {
      if (typeof key === "string") return index === 0 ? key : `.${key}`;
      const id = this.#spot([...path.slice(0, index), key, "id"]);
      const named = id.depth === index + 2 && typeof id.spot.value === "string" && !id.spot.reference;
      return named ? ` ${quoted(String(id.spot.value))}` : `[${key}]`;
    });
    return steps.join("");
  }

  /** Records a mistake (or a warning) at an entry. The message must show values only by `shown`. */
  mistake(
    path: Path,
    code: ConfigErrorCode,
    message: string,
    options: { at?: "key" | "value"; severity?: "warning" } = {},
  ): void {
    const { spot: at, depth } = this.#spot(path);
    if (at.broken && depth === path.length) return;
    this.#push(this.locate(path, options.at), {
      code,
      message,
      severity: options.severity ?? "error",
      ...(path.length > 0 ? { path: this.#address(path) } : {}),
    });
  }

  /**
   * Checks a value against a schema; undefined when it is wrong, with the mistakes recorded where `origin` says
   * (by default in this document below `path`). `alsoKnown` are keys that did-you-mean may offer besides.
   */
  check<T>(
    schema: z.ZodType<T>,
    value: unknown,
    options: { path?: Path; alsoKnown?: readonly string[]; origin?: (path: Path) => Origin } = {},
  ): T | undefined {
    const base = options.path ?? [];
    const origin = options.origin ?? ((path: Path) => ({ document: this, path: [...base, ...path] }));
    const silent = { error: () => "" };
    let result = schema.safeParse(value, silent);
    if (
      !result.success &&
      result.error.issues.filter((issue) => convertReference(issue, value, origin)).length > 0
    ) {
      result = schema.safeParse(value, silent);
    }
    if (result.success) return result.data;
    const from = { value, base: [], alsoKnown: options.alsoKnown ?? [], origin };
    const findings = result.error.issues.flatMap((issue) => explain(issue, schema, from));
    const meant = new Set(
      findings.flatMap((one) =>
        one.meant === undefined ? [] : [[...one.path.slice(0, -1), one.meant].join("\n")],
      ),
    );
    for (const finding of findings) {
      if (finding.code === "KERB-CFG-MISSING" && meant.has(finding.path.join("\n"))) continue;
      const { document, path } = origin(finding.path);
      document.#record(finding, path);
    }
    return undefined;
  }

  #record(finding: Finding, path: Path): void {
    const { spot, depth } = this.#spot(path);
    let message = finding.message;
    // A schema's own message may hold the value.
    const hidden = [...this.#references].filter(([, text]) => text.length > 2);
    if (spot.reference) hidden.push([spot.written ?? "", String(spot.value)]);
    if (finding.found) {
      for (const [written, text] of hidden)
        message = text === "" ? message : message.replaceAll(text, () => written);
      const found = depth < path.length ? "nothing" : this.shown(path);
      const said = found.startsWith('"') && message.includes(found);
      if (message.startsWith("expected ") && !said) message += `, found ${found}`;
      else if (!said && !found.startsWith("a list") && !found.startsWith("keys"))
        message += ` (found ${found})`;
    }
    this.mistake(path, finding.code, message, { at: finding.at });
  }

  /** True when the entry came from a reference, so that its value must not be shown. */
  fromReference(path: Path): boolean {
    const { spot, depth } = this.#spot(path);
    return depth === path.length && spot.reference;
  }
}

/** A reference is text; where a number or true/false is wanted it is read as one. True when the value changed. */
function convertReference(issue: Issue, value: unknown, origin: (path: Path) => Origin): boolean {
  const path = issue.path as Path;
  const last = path.at(-1);
  const { document, path: full } = origin(path);
  const text = valueAt(value, path);
  if (last === undefined || typeof text !== "string" || !document.fromReference(full)) return false;
  if (issue.code !== "invalid_type" && issue.code !== "invalid_value" && issue.code !== "invalid_union")
    return false;
  const number = /^[-+]?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
  const converted = text === "true" || text === "false" ? text === "true" : number;
  const holder = valueAt(value, path.slice(0, -1)) as Record<string | number, unknown>;
  if (converted !== undefined) holder[last] = converted;
  return converted !== undefined;
}

function unusable(file: string, problem: string): ConfigError {
  const message = `the file cannot be used: ${problem}`;
  return new ConfigError([
    { file, line: 0, column: 0, severity: "error", code: "KERB-CFG-FILE", message, sourceLine: "" },
  ]);
}

function parsed(text: string, file: string, options: YamlOptions): YamlDocument {
  const document = new YamlDocument(text, file, options);
  if (document.mistakes.some(({ code }) => code === "KERB-CFG-SYNTAX"))
    throw new ConfigError(document.mistakes);
  return document;
}

/** Reads a file without checking what it says. Throws `ConfigError` when it cannot be read or is not YAML. */
export function readYaml(file: string, options: YamlOptions = {}): YamlDocument {
  const content = readText(file, fileBytesMax);
  if ("problem" in content) throw unusable(file, content.problem);
  return parsed(content.text, file, options);
}

export interface Loaded<T> {
  value: T;
  locate: (path: Path) => Place;
}

function checked<T>(document: YamlDocument, schema: z.ZodType<T>): Loaded<T> {
  const value = document.check(schema, document.value);
  if (document.mistakes.length > 0) throw new ConfigError(document.mistakes);
  return { value: value as T, locate: (path) => document.locate(path) };
}

/** Reads and checks a YAML 1.2 file of at most 1 MiB. Throws `ConfigError` with every mistake and its place. */
export function loadYaml<T>(file: string, schema: z.ZodType<T>, options: YamlOptions = {}): Loaded<T> {
  return checked(readYaml(file, options), schema);
}

/** `loadYaml` for text that is at hand; `file` is what messages call it and where references start from. */
export function parseYaml<T>(
  text: string,
  file: string,
  schema: z.ZodType<T>,
  options: YamlOptions = {},
): Loaded<T> {
  if (text.length > fileBytesMax) throw unusable(file, tooLarge(fileBytesMax));
  return checked(parsed(text, file, options), schema);
}
