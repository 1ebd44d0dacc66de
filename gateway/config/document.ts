import type { z } from "zod";
import { type ConfigErrorCode, type Diagnostic, printable } from "../errors.ts";
import type { FileText } from "./file-text.ts";
import type { Path, Place } from "./path.ts";
import { convertReference, References } from "./references.ts";
import { isPublicPath, isSecret, login } from "./secret-key.ts";
import { explainIssues, type Finding } from "./sentences.ts";
import { mistakesMax, readTree, Source, type Spot } from "./tree.ts";
import { quoted } from "./words.ts";

export interface YamlOptions {
  /** False: `${env:…}`, `${file:…}` and `${secret:…}` stay as they are written. */
  references?: boolean;
  /** Reads the file in the place of the disk. */
  read?: (file: string) => FileText;
  /** Where `${secret:NAME}` is looked up; `secrets` beside the file if not given. */
  secretsFolder?: string;
}

const hidden = "***";

/** Must the value of this entry not be shown? Who is meant by a login says nothing. */
function isHiddenIn(path: Path): boolean {
  const steps = path.map(String);
  return isSecret(steps) && !isPublicPath(steps) && !/^user/i.test(steps.at(-1) ?? "");
}

/** Where an entry of a checked value was written. */
interface Origin {
  document: YamlDocument;
  path: Path;
}

/** A parsed file: its value, the place of everything in it, and the mistakes found so far. */
export class YamlDocument {
  readonly file: string;
  readonly mistakes: Diagnostic[] = [];
  readonly #source: Source;
  readonly #references: References | undefined;
  readonly #root: Spot;

  constructor(text: string, file: string, options: YamlOptions = {}) {
    this.file = file;
    this.#source = new Source(text, file);
    this.#references = options.references === false ? undefined : new References(file, options.secretsFolder);
    const { root, problems } = readTree(this.#source, this.#references);
    this.#root = root;
    for (const { offset, code, message } of problems) {
      this.#push(this.#source.place(offset), { code, message, severity: "error" });
    }
  }

  get value(): unknown {
    return this.#root.value;
  }

  #push(place: Place, rest: Pick<Diagnostic, "code" | "message" | "severity" | "path">): void {
    if (this.mistakes.length >= mistakesMax) return;
    this.mistakes.push({ ...place, ...rest, sourceLine: this.#source.line(place.line) });
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

  /** Puts a value in the place of what is written, or beside it: it stands where the entry around it does. */
  lay(path: Path, value: unknown): void {
    let at = this.#root;
    for (const [depth, key] of path.entries()) {
      const isLast = depth === path.length - 1;
      const before = at.children?.get(key);
      const spot =
        !isLast && before?.children !== undefined ? before : spotOf(isLast ? value : {}, before ?? at);
      at.children?.set(key, spot);
      (at.value as Record<string | number, unknown>)[key] = spot.value;
      at = spot;
    }
  }

  /** The value of an entry as a message may show it: a reference as it is written, never what it stands for. */
  shown(path: Path): string {
    const { spot, depth } = this.#spot(path);
    if (depth < path.length || (spot.value === null && !spot.reference)) return "nothing";
    if (spot.reference) return quoted(spot.written ?? "");
    const isHidden = isHiddenIn(path);
    if (spot.written !== undefined) return isHidden ? hidden : printable(spot.written.slice(0, 60));
    if (typeof spot.value === "string")
      return isHidden ? `"${hidden}"` : quoted(spot.value.replaceAll(login, `$1${hidden}@`));
    return Array.isArray(spot.value) ? `a list of ${spot.value.length}` : "keys and values";
  }

  /** The place of an entry's value, or of its key; of the nearest entry around it where there is none. */
  locate(path: Path, at: "key" | "value" = "value"): Place {
    const { spot, depth } = this.#spot(path);
    const value = this.#source.place(spot.offset);
    if (spot.keyOffset === undefined) return value;
    const key = this.#source.place(spot.keyOffset);
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
    const from = { value, alsoKnown: options.alsoKnown ?? [], origin };
    for (const finding of explainIssues(result.error.issues, schema, from)) {
      const { document, path } = origin(finding.path);
      document.#record(finding, path);
    }
    return undefined;
  }

  #record(finding: Finding, path: Path): void {
    const { spot, depth } = this.#spot(path);
    let { message } = finding;
    if (finding.found) {
      // A schema's own message may hold the value.
      message = this.#references?.conceal(message) ?? message;
      const own = spot.reference ? String(spot.value) : "";
      if (own !== "") message = message.replaceAll(own, () => spot.written ?? "");
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

/** A value that nobody has written, at the place of what was there or is around it. */
function spotOf(value: unknown, { offset, keyOffset }: Spot): Spot {
  const isInner = typeof value === "object" && value !== null;
  const children = isInner
    ? new Map(
        Object.entries(value).map(([key, inner]): [string | number, Spot] => [
          Array.isArray(value) ? Number(key) : key,
          spotOf(inner, { offset, keyOffset } as Spot),
        ]),
      )
    : undefined;
  const written = isInner || typeof value === "string" ? undefined : String(value);
  return { value, offset, keyOffset, written, reference: false, broken: false, children };
}
