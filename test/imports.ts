import { posix } from "node:path";
import { parseAst } from "vitest/node";

/** Who imports what, read from the text of a file. */

export const isCode = (path: string): boolean => /\.(ts|mjs)$/.test(path);

/** What one file loads of another. */
export interface Import {
  /**
   * From the root, "*" for what is only known at run time: "drivers/*\/index.ts"; "npm:zod" for what npm and Node
   * bring. undefined: nothing is known.
   */
  target: string | undefined;
  /** process: a worker's or a child's file, named by `new URL("…", import.meta.url)`. */
  kind: "static" | "type" | "dynamic" | "process";
}

type Node = { type: string } & Record<string, unknown>;

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** A string, a template or `new URL(…, import.meta.url).href` as text. */
function specifierOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"];
  if (node.type === "TemplateLiteral") {
    const quasis = node["quasis"] as { value: { cooked: string } }[];
    return quasis.map(({ value }) => value.cooked).join("*");
  }
  if (node.type === "MemberExpression") return specifierOf(node["object"]);
  if (node.type === "NewExpression") return specifierOf((node["arguments"] as unknown[])[0]);
  return undefined;
}

const typeOnly = (list: unknown, kind: string): boolean =>
  Array.isArray(list) && list.length > 0 && list.every((one: Node) => one[kind] === "type");

function importOf(node: Node): (Omit<Import, "target"> & { specifier: string | undefined }) | undefined {
  const specifier = specifierOf(node["source"]);
  switch (node.type) {
    case "ImportDeclaration": {
      const isType = node["importKind"] === "type" || typeOnly(node["specifiers"], "importKind");
      return { specifier, kind: isType ? "type" : "static" };
    }
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration": {
      if (!isNode(node["source"])) return undefined;
      const isType = node["exportKind"] === "type" || typeOnly(node["specifiers"], "exportKind");
      return { specifier, kind: isType ? "type" : "static" };
    }
    case "TSImportType":
      return { specifier, kind: "type" };
    case "ImportExpression":
      return { specifier, kind: "dynamic" };
    case "NewExpression": {
      const [first, base] = node["arguments"] as (Node | undefined)[];
      const isUrl = (node["callee"] as Node)["name"] === "URL" && base?.type === "MemberExpression";
      const path = specifierOf(first);
      return isUrl && path !== undefined && isCode(path) ? { specifier: path, kind: "process" } : undefined;
    }
  }
  return undefined;
}

/** Every import of a file; what npm and Node bring is a target by its own name. */
export function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isNode(value)) return;
    const one = importOf(value);
    if (one !== undefined) {
      const { specifier, ...rest } = one;
      const isForeign =
        specifier !== undefined && /^[a-z@]/i.test(specifier) && !specifier.startsWith("file:");
      const isNear = specifier?.startsWith(".") === true;
      const target = isNear ? posix.join(posix.dirname(path), specifier) : undefined;
      found.push({ target: isForeign ? `npm:${specifier}` : target, ...rest });
    }
    // What a dynamic import loads has been taken; a URL in it is no second one.
    if (value.type === "ImportExpression") return;
    for (const child of Object.values(value)) visit(child);
  };
  visit(parseAst(text, { lang: path.endsWith(".ts") ? "ts" : "js" }));
  return found;
}
