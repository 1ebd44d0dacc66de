import { LineCounter, Lexer, isScalar, parseDocument, visit } from "yaml";
import { isSecretPlace, isUnknownPlace } from "../config/secret-places.ts";
import { redacted, type Redaction } from "../config/site-secrets.ts";

/** A file of the site without its secrets: each literal becomes a reference that is to be filled again. */

export interface Portable {
  text: string;
  /** Names of secrets that must be written into the folder `secrets` before it works. */
  needs: string[];
}

interface Splice {
  start: number;
  end: number;
  name: string;
}

const reference = /\$\{(?:env|file|secret):[^{}]*\}/g;
// Marks of the lexer that are no part of the source.
// oxlint-disable-next-line no-control-regex
const lexerMark = /^[\u0002\u0018\u001f]$/;

/** "meter-01-password": of the nearest id above it and the last steps. */
function nameOf(path: readonly unknown[], root: unknown, taken: ReadonlySet<string>): string {
  let here = root;
  let id = "";
  const keys: string[] = [];
  for (const step of path) {
    here = (here as Record<string, unknown> | undefined)?.[step as string];
    const own = (here as { id?: unknown } | undefined)?.id;
    if (typeof own === "string") {
      id = own;
      keys.length = 0;
    } else if (typeof step === "string") keys.push(step);
  }
  const base = [id, ...keys]
    .filter((one) => one !== "")
    .join("-")
    .replaceAll(/[^\w.-]/g, "-")
    .slice(0, 56);
  for (let count = 1; ; count++) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.has(name)) return name;
  }
}

/** A comment with such a word may tell an old secret, which nothing else names. */
const secretWord = /pass(?:word|wd|phrase)|secret|token|api.?key|mật khẩu|mat khau|khóa bí mật/i;

/** The comments of a text without secrets. */
function withoutInComments(text: string, redaction: Redaction): string {
  const bare = (comment: string) => (secretWord.test(comment) ? `# ${redacted}` : redaction.text(comment));
  let left = "";
  for (const token of new Lexer().lex(text))
    if (!lexerMark.test(token)) left += token.startsWith("#") ? bare(token) : token;
  return left;
}

/** `text` must be YAML; references that are there already stay as they are. */
export function portableYaml(text: string, redaction: Redaction): Portable {
  const document = parseDocument(text, { lineCounter: new LineCounter(), strict: false });
  const root: unknown = document.toJS({ maxAliasCount: 100 });
  const names = new Set([...text.matchAll(/\$\{secret:([^{}]*)\}/g)].map(([, name = ""]) => name));
  const needs = new Set([...text.matchAll(reference)].map(([written]) => written.slice(2, -1)));
  const splices: Splice[] = [];
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === "key" || !isScalar(node) || node.range === null || node.range === undefined) return;
      const { value } = node;
      if (typeof value !== "string" && typeof value !== "number") return;
      const path = pathOf(node, ancestors);
      const written = String(value);
      const isBare = written.replaceAll(reference, "") === "" && written !== "";
      const isHidden = isSecretPlace(path) || isUnknownPlace(path);
      if (isBare || written === "" || !(isHidden || redaction.text(written) !== written)) return;
      const name = nameOf(path, root, names);
      names.add(name);
      needs.add(`secret:${name}`);
      splices.push({ start: node.range[0], end: node.range[1], name });
    },
  });
  let left = text;
  for (const { start, end, name } of splices.toSorted((a, b) => b.start - a.start)) {
    // A block text ends with its line.
    const tail = left.slice(start, end).endsWith("\n") ? "\n" : "";
    left = `${left.slice(0, start)}"\${secret:${name}}"${tail}${left.slice(end)}`;
  }
  return { text: withoutInComments(left, redaction), needs: [...needs].toSorted() };
}

function pathOf(node: unknown, ancestors: readonly unknown[]): string[] {
  const path: string[] = [];
  const chain = [...ancestors, node];
  for (const [i, one] of chain.entries()) {
    const next = chain[i + 1];
    const pair = one as { key?: unknown; value?: unknown; items?: unknown[] };
    if (pair.items !== undefined && !("key" in pair)) {
      const at = pair.items.indexOf(next);
      if (at >= 0 && !(next !== null && typeof next === "object" && "key" in next)) path.push(String(at));
    } else if ("key" in pair && "value" in pair && isScalar(pair.key)) path.push(String(pair.key.value));
  }
  return path;
}
