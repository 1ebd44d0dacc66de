import { isDeepStrictEqual } from "node:util";
import {
  type CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Pair,
  stringify,
} from "yaml";
import { isRecord } from "./path.ts";

/** Changes of one device in the text of a file with `devices:`, by ranges: not a byte elsewhere is touched. */

/** A setting of a device as it is written: text, number, true or false, or keys and values of these. */
export type Written = string | number | boolean | readonly Written[] | { readonly [key: string]: Written };

/** Why a text cannot be changed by ranges. */
export type EditReason =
  | "no-yaml"
  | "no-keys"
  | "no-list"
  | "brackets"
  | "unclear"
  | "shared"
  | "further"
  | "missing"
  | "elsewhere"
  | "empty"
  | "no-id";

/** The text cannot be changed in this way: somebody has to do it by hand. `detail`: of YAML, or a key. */
export class EditError extends Error {
  readonly reason: EditReason;
  readonly detail: string;
  constructor(reason: EditReason, detail = "", options?: ErrorOptions) {
    super(`${reason} ${detail}`.trimEnd(), options);
    this.reason = reason;
    this.detail = detail;
  }
}

interface Parsed {
  text: string;
  /** Of the list: undefined when there is none yet. */
  items: readonly Item[] | undefined;
  /** Where `devices: []` has its brackets, or `devices:` its colon. */
  hole: { start: number; end: number } | undefined;
  isFlow: boolean;
  value: unknown;
  end: number;
}

interface Item {
  node: unknown;
  /** Where its "-" is; where its value is, in a list in brackets. */
  offset: number;
  contentEnd: number;
}

const options = {
  version: "1.2",
  schema: "core",
  strict: true,
  merge: false,
  keepSourceTokens: true,
  resolveKnownTags: false,
  logLevel: "error",
} as const;

/** Where the last character of a node stands that means something. */
function contentEnd(node: unknown): number {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    return Math.max(contentEnd(last?.key), contentEnd(last?.value));
  }
  if (isSeq(node) && node.flow !== true) return contentEnd(node.items.at(-1));
  return (node as Node | null | undefined)?.range?.[1] ?? 0;
}

const dashOf = (token: CST.CollectionItem | undefined): number | undefined =>
  token?.start.find(({ type }) => type === "seq-item-ind")?.offset;

function parse(text: string): Parsed {
  const document = parseDocument(text, options);
  const [error] = document.errors;
  if (error !== undefined) throw new EditError("no-yaml", error.message.split("\n")[0]);
  const whole: Omit<Parsed, "items" | "hole" | "isFlow"> = {
    text,
    value: document.toJS({ maxAliasCount: 10_000 }) as unknown,
    // Before "..." where a file ends so.
    end: /^\.\.\.\s*$/m.exec(text)?.index ?? text.length,
  };
  const root = document.contents as unknown;
  if (root === null || (isScalar(root) && root.value === null))
    return { ...whole, items: undefined, hole: undefined, isFlow: false };
  if (!isMap(root)) throw new EditError("no-keys");
  const pair = root.items.find(({ key }) => isScalar(key) && key.value === "devices") as
    | Pair<Node, Node>
    | undefined;
  if (pair === undefined) {
    if (root.flow === true) throw new EditError("brackets");
    return { ...whole, items: undefined, hole: undefined, isFlow: false };
  }
  const { value: list } = pair;
  if (list === null || (isScalar(list) && list.value === null)) {
    const colon = pair.srcToken?.sep?.find(({ type }) => type === "map-value-ind")?.offset;
    if (colon === undefined) throw new EditError("unclear");
    return { ...whole, items: [], hole: { start: colon + 1, end: colon + 1 }, isFlow: false };
  }
  if (!isSeq(list)) throw new EditError("no-list");
  const [start, end] = list.range ?? [0, 0];
  const isFlow = list.flow === true;
  const tokens = (list.srcToken as CST.BlockSequence | undefined)?.items ?? [];
  const items = list.items.map((node, index) => {
    const offset = isFlow ? (node as Node).range?.[0] : dashOf(tokens[index]);
    if (offset === undefined) throw new EditError("unclear");
    return { node, offset, contentEnd: contentEnd(node) };
  });
  return { ...whole, items, hole: isFlow && items.length === 0 ? { start, end } : undefined, isFlow };
}

const newlineOf = (text: string): string => (/\r?\n/.exec(text)?.[0] === "\r\n" ? "\r\n" : "\n");
const lineStart = (text: string, offset: number): number => text.lastIndexOf("\n", offset - 1) + 1;

/** Behind the newline of the line of an offset; the end of the text where it has none. */
function lineEnd(text: string, offset: number): number {
  const at = text.indexOf("\n", offset);
  return at < 0 ? text.length : at + 1;
}

/** Behind the line on which the content ends. A block of text ends with its own newline. */
const behind = (text: string, end: number): number => (text[end - 1] === "\n" ? end : lineEnd(text, end));

/** A value as it stands behind its key, on one line. */
function valueText(value: Written): string {
  if (typeof value === "string" && /[\r\n]/.test(value)) return JSON.stringify(value);
  const style = { lineWidth: 0, version: "1.2", schema: "core" } as const;
  const text = stringify(value, typeof value === "object" ? { ...style, collectionStyle: "flow" } : style);
  return text.trimEnd();
}

/** The device as lines, the first for behind the "- ". */
function deviceLines(device: Readonly<Record<string, Written>>): string[] {
  return Object.entries(device).map(([key, value]) => `${key}: ${valueText(value)}`);
}

/** The text of a new file with this device. */
export function newFile(device: Readonly<Record<string, Written>>): string {
  const lines = deviceLines(device).map((line, index) => `${index === 0 ? "  - " : "    "}${line}`);
  return `${["devices:", ...lines].join("\n")}\n`;
}

/** Behind the last device: with a blank line where the others have one between them. */
function appended(parsed: Parsed, device: Readonly<Record<string, Written>>): string {
  const { text, items = [], end } = parsed;
  const newline = newlineOf(text);
  const last = items.at(-1);
  const indent = last === undefined ? "  " : text.slice(lineStart(text, last.offset), last.offset);
  const within = (isMap(last?.node) ? last.node.range?.[0] : undefined) ?? 0;
  const gap = last === undefined ? 1 : Math.max(1, within - last.offset - 1);
  const dash = `${indent}-${" ".repeat(gap > 8 ? 1 : gap)}`;
  const [first = "", ...rest] = deviceLines(device);
  const lines = [dash + first, ...rest.map((line) => " ".repeat(dash.length) + line)];
  const before = last === undefined ? "" : text.slice(0, lineStart(text, last.offset));
  const isSpaced = items.length > 1 ? /\n[ \t]*\r?\n([ \t]*#[^\n]*\n)*$/.test(before) : items.length === 1;
  const head = text.slice(0, end);
  const isOpenLine = head !== "" && !head.endsWith("\n");
  const isBlank = /(^|\n)[ \t]*\r?\n$/.test(head);
  const lead = `${isOpenLine ? newline : ""}${isSpaced && !isBlank ? newline : ""}`;
  return head + lead + lines.map((line) => line + newline).join("") + text.slice(end);
}

/** Both texts say the same, but for the change. Else the change would have reached further than it should. */
function checked(text: string, expected: unknown): string {
  let value: unknown;
  try {
    ({ value } = parse(text));
  } catch (error) {
    throw new EditError("shared", "", { cause: error });
  }
  if (!isDeepStrictEqual(value, expected)) throw new EditError("further");
  return text;
}

function devicesOf(value: unknown): unknown[] {
  const list = isRecord(value) ? value["devices"] : undefined;
  return Array.isArray(list) ? list : [];
}

const withDevices = (value: unknown, devices: unknown[]) => ({ ...(isRecord(value) ? value : {}), devices });

/** The text with one more device, behind the others. Throws `EditError`. */
export function addDevice(text: string, device: Readonly<Record<string, Written>>): string {
  const parsed = parse(text);
  const { items, hole, isFlow, value } = parsed;
  const expected = withDevices(value, [...devicesOf(value), device]);
  const last = items?.at(-1);
  if (isFlow && last !== undefined) {
    const own = `, ${valueText(device)}`;
    return checked(text.slice(0, last.contentEnd) + own + text.slice(last.contentEnd), expected);
  }
  if (items === undefined) {
    const newline = newlineOf(text);
    const lead = text === "" || text.endsWith("\n") ? "" : newline;
    const body = newFile(device).replaceAll("\n", newline);
    return checked(text.slice(0, parsed.end) + lead + body + text.slice(parsed.end), expected);
  }
  if (hole === undefined) return checked(appended(parsed, device), expected);
  // A space before the brackets goes with them.
  const from = text.slice(0, hole.start).trimEnd().length;
  const opened = text.slice(0, hole.start === hole.end ? hole.start : from) + text.slice(hole.end);
  // Right below its key, so that what stands behind the list stays behind it.
  const end = lineEnd(opened, from);
  return checked(appended({ ...parsed, text: opened, items: [], end }, device), expected);
}

/** From its "-" to the last line that is its own: comments that are indented as its keys are belong to it. */
function linesOf({ text, items = [] }: Parsed, index: number): { start: number; end: number } {
  const item = items[index];
  if (item === undefined) throw new EditError("missing");
  const start = lineStart(text, item.offset);
  const column = item.offset - start;
  let end = behind(text, item.contentEnd);
  for (let at = end; at < text.length;) {
    const next = lineEnd(text, at);
    const line = text.slice(at, next);
    const indent = /^ */.exec(line)?.[0].length ?? 0;
    if (!line.trimStart().startsWith("#") || indent <= column) break;
    end = at = next;
  }
  return { start, end };
}

const isBlank = (line: string): boolean => line.trim() === "";

/** The text without a device, and without the blank lines that set it off. Throws `EditError`. */
export function removeDevice(text: string, index: number): string {
  const parsed = parse(text);
  const { items = [], value } = parsed;
  if (parsed.isFlow) throw new EditError("brackets");
  const expected = withDevices(value, devicesOf(value).toSpliced(index, 1));
  const found = linesOf(parsed, index);
  let { start, end } = found;
  const before = text.slice(lineStart(text, start - 1), start);
  if (start === 0 || isBlank(before) || index === 0) {
    while (end < text.length && isBlank(text.slice(end, lineEnd(text, end)))) end = lineEnd(text, end);
  }
  if (end >= text.length) {
    while (start > 0 && isBlank(text.slice(lineStart(text, start - 1), start)))
      start = lineStart(text, start - 1);
  }
  const rest = text.slice(0, start) + text.slice(end);
  if (items.length > 1) return checked(rest, expected);
  const { hole } = parse(rest);
  if (hole === undefined) throw new EditError("unclear");
  return checked(`${rest.slice(0, hole.start)} []${rest.slice(hole.end)}`, expected);
}

/** Whether a text has nothing in it but an empty list of devices and comments that kerb writes itself. */
export function isBare(text: string): boolean {
  return text
    .split(/\r?\n/)
    .every((line) => line.trim() === "" || /^(devices: \[\]|# yaml-language-server:.*)$/.test(line));
}

type Map = { flow?: boolean | undefined; items: Pair<Node, Node | null>[] };

const pairOf = ({ items }: Map, name: string) =>
  items.find((pair) => isScalar(pair.key) && pair.key.value === name);

/** What an entry says with one value in it changed. */
function withValue(entry: unknown, [key = "", ...rest]: readonly string[], to: Written): Written {
  const before = isRecord(entry) ? (entry as Record<string, Written>) : {};
  return { ...before, [key]: rest.length === 0 ? to : withValue(before[key], rest, to) };
}

/**
 * The text with a key of a device set, or one inside it ("transport.port"); one that is not there goes behind the id, or
 * into the brackets around it. Throws `EditError`.
 */
export function setKey(text: string, index: number, key: string, to: Written): string {
  const { items = [], value } = parse(text);
  const node = items[index]?.node;
  if (isAlias(node) || !isMap(node)) throw new EditError("elsewhere");
  const path = key.split(".");
  const devices = devicesOf(value);
  const entry = withValue(devices[index], path, to) as Record<string, Written>;
  const expected = withDevices(value, devices.with(index, entry));
  const replaced = replaceIn(text, node as Map, { path, to, whole: entry });
  if (replaced !== undefined) return checked(replaced, expected);
  const [first = ""] = path;
  return checked(addBehindId(text, node as Map, first, entry[first] ?? ""), expected);
}

/** The value of a key that is there, replaced where it stands; undefined: the outermost key is not there. */
function replaceIn(
  text: string,
  map: Map,
  { path, to, whole }: { path: readonly string[]; to: Written; whole: Record<string, Written> },
): string | undefined {
  const [key = "", ...rest] = path;
  const pair = pairOf(map, key);
  if (pair === undefined) return undefined;
  const [start, end] = pair.value?.range ?? [0, 0];
  if (start >= end) throw new EditError("empty", key);
  const inner = pair.value as Node & Partial<Map>;
  const own = whole[key] ?? to;
  if (rest.length > 0 && isMap(inner)) {
    const deeper = replaceIn(text, inner, { path: rest, to, whole: own as Record<string, Written> });
    if (deeper !== undefined) return deeper;
    // Into lines of their own nothing is put that kerb has not written itself.
    if (inner.flow !== true) throw new EditError("unclear");
  }
  const tail = text[end - 1] === "\n" ? newlineOf(text) : "";
  return text.slice(0, start) + inFlow(map, valueText(own)) + tail + text.slice(end);
}

function addBehindId(text: string, map: Map, key: string, to: Written): string {
  const id = pairOf(map, "id");
  const end = id?.value?.range?.[1];
  const keyStart = id?.key.range?.[0];
  if (keyStart === undefined || end === undefined) throw new EditError("no-id");
  const shown = valueText(to);
  if (map.flow === true) return `${text.slice(0, end)}, ${key}: ${inFlow(map, shown)}${text.slice(end)}`;
  const newline = newlineOf(text);
  const indent = " ".repeat(keyStart - lineStart(text, keyStart));
  const at = behind(text, end);
  const lead = text[at - 1] === "\n" ? "" : newline;
  return `${text.slice(0, at)}${lead}${indent}${key}: ${shown}${newline}${text.slice(at)}`;
}

/** Between brackets a text with commas or brackets needs quotes. */
function inFlow(node: { flow?: boolean | undefined }, shown: string): string {
  return node.flow === true && /^[^"'].*[,[\]{}]/.test(shown) ? JSON.stringify(shown) : shown;
}

/** Where a device stands: its first and last line, counted from 1. */
export function placeOfDevice(text: string, index: number): { first: number; last: number } {
  const { start, end } = linesOf(parse(text), index);
  const line = (offset: number): number => text.slice(0, offset).split("\n").length;
  return { first: line(start), last: line(Math.max(start, end - 1)) };
}

/** Which of a file's devices has this id; -1: none. */
export function indexOfDevice(text: string, id: string): number {
  return devicesOf(parse(text).value).findIndex((one) => isRecord(one) && one["id"] === id);
}

/** A line that goes or comes, with its number before or after. */
export interface ChangedLine {
  sign: "-" | "+";
  number: number;
  text: string;
}

/** The lines in which two texts differ: of edits in one place. */
export function changedLines(before: string, after: string): ChangedLine[] {
  const [old, fresh] = [before, after].map((text) => {
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines;
  }) as [string[], string[]];
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head++;
  let tail = 0;
  const most = Math.min(old.length, fresh.length) - head;
  while (tail < most && old.at(-1 - tail) === fresh.at(-1 - tail)) tail++;
  const lines = (sign: "-" | "+", all: string[]) =>
    all
      .slice(head, all.length - tail)
      .map((text, index) => ({ sign, number: head + index + 1, text: text.replace(/\r$/, "") }));
  return [...lines("-", old), ...lines("+", fresh)];
}
