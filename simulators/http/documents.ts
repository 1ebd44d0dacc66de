import type { SimulatedPoint } from "../simulator.ts";

/** What a pretend device shows at its paths: trees built from the addresses of its points, and their text. */

/** As a profile has it; a simulator parses nothing that it does not need. */
export interface Address {
  readonly path?: string;
  readonly pick?: string;
  readonly type?: "number" | "boolean" | "text";
  readonly format?: "json" | "xml" | "csv";
  readonly time?: string;
  readonly write?: { readonly method?: string; readonly path?: string; readonly body?: unknown };
}

export interface Style {
  readonly format: "json" | "xml" | "csv";
  readonly separator: string;
  readonly csvHeader: boolean;
  readonly decimal: string;
  readonly variables: Readonly<Record<string, string>>;
}

type Part = { name: string } | { at: number } | { key: string[]; value: string };

/** `$.a["b c"][0][?id=7]` as its parts. */
function partsOf(pick: string): Part[] {
  const parts: Part[] = [];
  for (const [text] of pick.slice(1).matchAll(/\.[^.[]+|\[[^\]]*\]/g)) {
    const inner = text.startsWith("[") ? text.slice(1, -1) : text.slice(1);
    if (text.startsWith(".")) parts.push({ name: inner });
    else if (inner.startsWith("?")) {
      const [key = "", value = ""] = inner.slice(1).split("=");
      parts.push({ key: key.split("."), value: value.replaceAll('"', "") });
    } else if (inner.startsWith('"')) parts.push({ name: inner.slice(1, -1) });
    else parts.push({ at: Number(inner) });
  }
  return parts;
}

type Tree = Record<string, unknown>;

const emptyFor = (part: Part | undefined): unknown => (part !== undefined && !("name" in part) ? [] : {});

function child(
  holder: unknown,
  part: Part,
  fresh: unknown,
): { value: unknown; set: (value: unknown) => void } {
  if ("name" in part) {
    const object = holder as Tree;
    object[part.name] ??= fresh;
    return { value: object[part.name], set: (value) => (object[part.name] = value) };
  }
  const list = holder as unknown[];
  if ("at" in part) {
    const index = part.at < 0 ? Math.max(0, list.length + part.at) : part.at;
    while (list.length <= index) list.push(fresh);
    return { value: list[index], set: (value) => (list[index] = value) };
  }
  const holds = (item: unknown) =>
    part.key.reduce<unknown>((at, name) => (at as Tree)?.[name], item) === part.value;
  let item = list.find(holds);
  if (item === undefined) {
    item = {};
    let at = item as Tree;
    for (const name of part.key.slice(0, -1)) at = at[name] = {} as Tree;
    at[part.key.at(-1) ?? ""] = part.value;
    list.push(item);
  }
  return { value: item, set: () => {} };
}

/** Puts a value where a pick would find it. A root that is a list has to be one from the start. */
export function put(root: unknown, pick: string, value: unknown): void {
  const parts = partsOf(pick);
  let holder = root;
  parts.forEach((part, i) => {
    const isLast = i === parts.length - 1;
    const { value: inner, set } = child(holder, part, isLast ? null : emptyFor(parts[i + 1]));
    if (isLast) set(value);
    else holder = inner;
  });
}

/** An empty document in which these picks can be put. */
export function emptyRoot(picks: readonly string[]): unknown {
  return emptyFor(partsOf(picks[0] ?? "$")[0]);
}

export function fill(text: string, { variables }: Pick<Style, "variables">, encode = false): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = variables[name];
    return value === undefined ? whole : encode ? encodeURIComponent(value) : value;
  });
}

/** A raw value as the type of the address has it. */
export function typed(raw: number | string | boolean, type: Address["type"]): unknown {
  if (type === "boolean") return raw === true || raw === "true" || Number(raw) >= 0.5;
  if (type === "text") return String(raw);
  return typeof raw === "number" ? Number(raw.toPrecision(12)) : raw;
}

export const rawOf = ({ scale, offset }: SimulatedPoint, value: number): number => (value - offset) / scale;

/** The body of a document and its content type. */
export function encoded(root: unknown, style: Style, format: Style["format"]): [body: string, type: string] {
  if (format === "json") return [JSON.stringify(root), "application/json"];
  if (format === "csv") return [csv(root as Tree[], style), "text/csv; charset=utf-8"];
  const [[name, value] = ["root", {}]] = Object.entries(root as Tree);
  return [`<?xml version="1.0" encoding="UTF-8"?>\n${xml(name, value, style)}`, "application/xml"];
}

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function plain(value: unknown, { decimal }: Style): string {
  if (typeof value === "number") return String(value).replace(".", decimal);
  return typeof value === "string" ? value : JSON.stringify(value);
}

const escaped = (value: unknown, style: Style): string =>
  plain(value, style).replaceAll(/[&<>"]/g, (one) => escapes[one] ?? one);

function xml(name: string, value: unknown, style: Style): string {
  if (Array.isArray(value)) return value.map((item) => xml(name, item, style)).join("");
  if (typeof value !== "object" || value === null) return `<${name}>${escaped(value, style)}</${name}>`;
  const entries = Object.entries(value);
  const attributes = entries
    .filter(([key]) => key.startsWith("@"))
    .map(([key, one]) => ` ${key.slice(1)}="${escaped(one, style)}"`);
  const inner = entries
    .filter(([key]) => !key.startsWith("@"))
    .map(([key, one]) => (key === "#text" ? escaped(one, style) : xml(key, one, style)));
  return `<${name}${attributes.join("")}>${inner.join("")}</${name}>`;
}

function csv(rows: readonly Tree[], style: Style): string {
  const { separator, csvHeader } = style;
  const cell = (value: unknown) => {
    const text = plain(value ?? "", style);
    return text.includes(separator) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = rows.map((row) => names.map((name) => cell(row[name])).join(separator));
  return [...(csvHeader ? [names.map(cell).join(separator)] : []), ...lines, ""].join("\r\n");
}
