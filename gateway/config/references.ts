import { dirname, join, resolve } from "node:path";
import { printable, shownFile } from "../errors.ts";
import { fileBytesMax, readText } from "./file-text.ts";
import { type Path, valueAt } from "./path.ts";
import type { Issue } from "./sentences.ts";
import { didYouMean, quoted } from "./words.ts";

const referenceBytesMax = 64 * 1024;

type Found = { text: string } | { problem: string };

/** Whether a site file with this in it would put something else in its place. */
export function holdsReference(value: unknown): boolean {
  if (typeof value === "string") return value.includes("${");
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, one]) => key.includes("${") || holdsReference(one));
}

/** `${env:NAME}`, `${file:PATH}` and `${secret:NAME}` of one file, and what they stand for: never to be shown. */
export class References {
  readonly #folder: string;
  readonly #secretsFolder: string;
  /** What each stands for, by the way it is written. */
  readonly #texts = new Map<string, string>();
  #bytes = 0;

  constructor(file: string, secretsFolder: string | undefined) {
    this.#folder = dirname(resolve(file));
    this.#secretsFolder = secretsFolder ?? join(this.#folder, "secrets");
  }

  /** A text with its references replaced; those that cannot be stay as they are written, each with a problem. */
  resolve(text: string): { text: string; problems: string[] } {
    if (!text.includes("${")) return { text, problems: [] };
    const bareName = /^\$\{([A-Za-z_]\w*)\}$/.exec(text)?.[1];
    const problems =
      bareName === undefined ? [] : [`write "\${env:${bareName}}" for a variable of the environment`];
    if (/\$\{(env|file|secret):[^}]*$/.test(text)) problems.push('a reference is not closed: "}" is missing');
    const resolved = text.replaceAll(
      /\$\{([a-z]+):([^{}]*)\}/g,
      (written: string, kind: string, name: string) => {
        const found = this.#lookUp(written, kind, name);
        if ("problem" in found) problems.push(found.problem);
        return "text" in found ? found.text : written;
      },
    );
    return { text: resolved, problems };
  }

  /** Puts references back into a message that may hold what they stand for. */
  conceal(message: string): string {
    let concealed = message;
    for (const [written, text] of this.#texts) {
      // One or two characters would be found in the words of the message itself.
      if (text.length > 2) concealed = concealed.replaceAll(text, () => written);
    }
    return concealed;
  }

  #lookUp(written: string, kind: string, name: string): Found {
    const known = this.#texts.get(written);
    const found = known === undefined ? this.#read(kind, name) : { text: known };
    if ("problem" in found) return found;
    this.#texts.set(written, found.text);
    this.#bytes += found.text.length;
    if (this.#bytes <= fileBytesMax) return found;
    return { problem: `the references of this file stand for more than ${fileBytesMax / 1024} KiB` };
  }

  #read(kind: string, name: string): Found {
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
    const file = kind === "file" ? resolve(this.#folder, name) : join(this.#secretsFolder, name);
    const content = readText(file, referenceBytesMax);
    if ("text" in content) return { text: content.text.replace(/\r?\n$/, "") };
    return {
      problem: `the ${kind} ${quoted(name)} (${printable(shownFile(file))}) cannot be used: ${content.problem}`,
    };
  }
}

/** A reference is text; where a number or true/false is wanted it is read as one. True when the value changed. */
export function convertReference(
  issue: Issue,
  value: unknown,
  origin: (path: Path) => { document: { fromReference(path: Path): boolean }; path: Path },
): boolean {
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
