import { isAlias, isCollection, isMap, isNode, isScalar, isSeq, Lexer, type Node, parseDocument } from "yaml";
import type { ConfigErrorCode } from "../errors.ts";
import type { Place } from "./path.ts";
import type { References } from "./references.ts";
import { withoutSecrets } from "./secret-key.ts";
import { quoted } from "./words.ts";

/** Mistakes that are kept of one file. */
export const mistakesMax = 1000;
const depthMax = 64;
const aliasedValuesMax = 10_000;
const sourceLineMax = 16 * 1024;
/** Keys, entries of lists, anchors and tags of a file. The parser takes up to 2 KB for each before it says anything. */
const entriesMax = 50_000;
const linesMax = 100_000;

/** A file's text by its lines. */
export class Source {
  readonly file: string;
  readonly text: string;
  readonly #lines: string[];
  readonly #starts: number[] = [];

  constructor(text: string, file: string) {
    this.file = file;
    this.text = text;
    this.#lines = text.split("\n");
    let start = 0;
    for (const line of this.#lines) {
      this.#starts.push(start);
      start += line.length + 1;
    }
  }

  get lineCount(): number {
    return this.#lines.length;
  }

  /** The place of an offset. */
  place(offset: number): Place {
    let [line, after] = [1, this.#starts.length + 1];
    while (after - line > 1) {
      const middle = Math.floor((line + after) / 2);
      if ((this.#starts[middle - 1] ?? 0) <= offset) line = middle;
      else after = middle;
    }
    return { file: this.file, line, column: offset - (this.#starts[line - 1] ?? 0) + 1 };
  }

  /** One line, counted from 1, as a message shows it. */
  line(line: number): string {
    return withoutSecrets((this.#lines[line - 1] ?? "").replace(/\r$/, "").slice(0, sourceLineMax));
  }
}

/** One value of the file with its place. */
export interface Spot {
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

/** What is wrong at an offset of the text. */
interface Problem {
  offset: number;
  code: ConfigErrorCode;
  message: string;
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
  // One code for many things; this one has its words.
  if (message.includes("equence item without - indicator"))
    return 'this line is indented neither as the "-" of the list nor as the keys behind it';
  if (message.includes("call stack")) return `nested deeper than ${depthMax} levels`;
  return syntaxSentences[code] ?? message.charAt(0).toLowerCase() + message.slice(1);
}

/** The first characters of lexemes that make an entry, and those that the lexer puts in by itself. */
const entryMarks = "[{,-?:&*!";
const lexerMarks = "\u0002\u0018\u001f";

/** Where a text has more entries than a file may have; undefined where it has not. Takes no memory. */
function crowdedAt(text: string): number | undefined {
  // Each takes a character at least.
  if (text.length <= entriesMax) return undefined;
  let [offset, entries] = [0, 0];
  let isText = false;
  for (const lexeme of new Lexer().lex(text)) {
    const mark = lexeme[0] ?? "";
    if (!isText && lexerMarks.includes(mark)) {
      isText = mark === "\u001f";
      continue;
    }
    if (!isText && entryMarks.includes(mark) && ++entries > entriesMax) return offset;
    isText = false;
    offset += lexeme.length;
  }
  return undefined;
}

class TreeReader {
  readonly problems: Problem[] = [];
  readonly #source: Source;
  readonly #references: References | undefined;
  readonly #anchors = new Map<string, Node>();
  #aliasedValues = 0;
  #aliasDepth = 0;

  constructor(source: Source, references: References | undefined) {
    this.#source = source;
    this.#references = references;
  }

  read(): Spot {
    return this.#walk(this.#parse(), 0, undefined);
  }

  #report(offset: number, code: ConfigErrorCode, message: string): void {
    if (this.problems.length < mistakesMax) this.problems.push({ offset, code, message });
  }

  #parse(): unknown {
    if (this.#source.lineCount > linesMax) {
      const message = `more than ${linesMax} lines: split the file, or leave some out`;
      this.#report(this.#source.text.length, "KERB-CFG-SYNTAX", message);
      return undefined;
    }
    const crowded = crowdedAt(this.#source.text);
    if (crowded !== undefined) {
      const message = `more than ${entriesMax} keys and entries: split the file, or leave some out`;
      this.#report(crowded, "KERB-CFG-SYNTAX", message);
      return undefined;
    }
    const yaml = parseDocument(this.#source.text, {
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
    this.problems.splice(1);
    return this.problems.length > 0 ? undefined : yaml.contents;
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
    if (!this.problems.some((problem) => problem.message === message))
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
        const { line } = this.#source.place(first.keyOffset ?? first.offset);
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

  #resolve(spot: Spot, written: string): void {
    const { text: value, problems } = this.#references?.resolve(written) ?? { text: written, problems: [] };
    spot.value = value;
    for (const problem of problems) this.#report(spot.offset, "KERB-CFG-REFERENCE", problem);
    if (value !== written || problems.length > 0) {
      Object.assign(spot, { written, reference: true, broken: problems.length > 0 });
    }
  }
}

/** Parses YAML 1.2, with every reference resolved; nothing of a file with a syntax error but the first problem. */
export function readTree(
  source: Source,
  references: References | undefined,
): { root: Spot; problems: Problem[] } {
  const reader = new TreeReader(source, references);
  return { root: reader.read(), problems: reader.problems };
}
