import { existsSync, globSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  formsOf,
  looksLikeNumber,
  plateLook,
  type Secret,
  secretCharsMin,
  withoutSecret,
} from "../cassette/scrub.ts";
import { leaves } from "../cassette/secrets.ts";
import { secretParts } from "../cassette/written.ts";
import { isRecord, valueAt } from "./path.ts";
import { References } from "./references.ts";
import { login } from "./secret-key.ts";
import { isSecretPlace, isUnknownPlace, secretLooks } from "./secret-places.ts";
import { readYaml } from "./yaml.ts";

/** Everything secret that a site's files hold or name, and texts without it: for what leaves the box to be read. */

export const redacted = "[redacted]";

const secretBytesMax = 64 * 1024;

/** A file of the site as data, references unresolved; undefined where it cannot be read or is no YAML. */
export interface SiteFileValue {
  file: string;
  value: unknown;
}

export function secretsFolderOf(site: string): string {
  return join(dirname(resolve(site)), "secrets");
}

function readFile(file: string): SiteFileValue {
  try {
    return { file, value: readYaml(file, { references: false }).value };
  } catch {
    return { file, value: undefined };
  }
}

/** The site file and those that it includes, however wrong they are. */
export function siteFileValues(site: string): SiteFileValue[] {
  const main = resolve(site);
  const first = readFile(main);
  const include = valueAt(first.value, ["include"]);
  const patterns = (Array.isArray(include) ? include : []).filter((one) => typeof one === "string");
  const cwd = dirname(main);
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd }).map((file) => resolve(cwd, file)));
  return [
    first,
    ...[...new Set(files)]
      .filter((file) => file !== main)
      .toSorted()
      .map(readFile),
  ];
}

/** Public names: a topic has them, and a bundle without them says nothing. */
function publicNames(value: unknown): Set<string> {
  return new Set([String(valueAt(value, ["gateway", "id"])), String(valueAt(value, ["gateway", "city"]))]);
}

const isUser = (path: readonly string[]) => /user/i.test(path.at(-1) ?? "");
const inVariables = (path: readonly string[]) => path.includes("variables");

const isSecretText = (path: readonly string[]) => isSecretPlace(path) || inVariables(path);

function* userInfo(text: string): Generator<string> {
  for (const [, user = "", pass = ""] of text.matchAll(/\/\/([^/@:\s]*)(?::([^\s"'<>]{0,300}))?@/g))
    for (const one of [user, pass]) if (one !== "") yield decoded(one);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The secrets of a site: what its files hold, what they name by reference, and what lies in its secrets folder. */
export function siteSecrets(site: string): Secret[] {
  const files = siteFileValues(site);
  const names = publicNames(files[0]?.value);
  const secrets: Secret[] = [];
  const add = (what: string, text: string, isWord = false) => {
    if (text !== "" && !names.has(text)) secrets.push({ what, text, ...(isWord ? { isWord } : {}) });
  };
  for (const { file, value } of files) {
    const references = new References(file, secretsFolderOf(site));
    for (const { path, value: leaf } of leaves(value)) {
      if (typeof leaf !== "string" && typeof leaf !== "number") continue;
      const { text } = references.resolve(String(leaf));
      if (isSecretText(path)) add(path.join("."), text, isUser(path));
      for (const part of userInfo(text)) add(path.join("."), part, true);
      for (const part of secretParts(text, path).texts) add(path.join("."), part);
    }
    // A file that is no YAML names its references all the same.
    for (const [written] of textOf(file).matchAll(/\$\{(?:env|file|secret):[^{}]*\}/g)) {
      const { text, problems } = references.resolve(written);
      if (problems.length === 0) add(written.slice(2, -1), text, isLikeUser(written));
    }
  }
  for (const { name, text } of keptSecrets(secretsFolderOf(site)))
    add(`secret:${name}`, text, isLikeUser(name));
  return secrets.filter(({ text }, i) => secrets.findIndex((one) => one.text === text) === i);
}

const isLikeUser = (name: string) => /user/i.test(name);

function textOf(file: string): string {
  try {
    return statSync(file).size > 1024 * 1024 ? "" : readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The files of the secrets folder. */
function keptSecrets(folder: string): { name: string; text: string }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && statSync(join(folder, entry.name)).size <= secretBytesMax)
    .map(({ name }) => ({ name, text: readFileSync(join(folder, name), "utf8").replace(/\r?\n$/, "") }));
}

/** Takes the secrets of a site out of texts and data; `counts` says how often, by what was hidden. */
export class Redaction {
  readonly #secrets: Secret[];
  readonly counts = new Map<string, number>();

  /** A shorter secret cannot be told from other words: it is hidden only where it stands in the site's files. */
  constructor(secrets: readonly Secret[]) {
    this.#secrets = secrets
      .filter(({ text }) => text.length >= secretCharsMin)
      .toSorted((a, b) => b.text.length - a.text.length);
  }

  text(text: string): string {
    let left = secretLooks.reduce(
      (rest, look) => rest.replaceAll(look, (_, before: string) => `${before}${redacted}`),
      text.replaceAll(login, (_, slashes: string) => `${slashes}${redacted}@`),
    );
    if (left !== text) this.#count("logins");
    // Byte by byte, because a secret may stand there as the bytes of another alphabet.
    left = Buffer.from(left).toString("latin1");
    for (const secret of this.#secrets) left = this.#without(left, secret);
    const found = left.replaceAll(plateLook.pattern, redacted);
    if (found !== left) this.#count(plateLook.what);
    return Buffer.from(found, "latin1").toString();
  }

  #without(text: string, secret: Secret): string {
    const own = Buffer.from(secret.text).toString("latin1");
    // By itself it may be a part of other words; written in another way it is nothing else.
    const isWhole = secret.isWord === true || looksLikeNumber(secret.text);
    const isPlain = (form: string) => form.toLowerCase() === own.toLowerCase();
    const forms = formsOf(secret.text).map((form) => form.toString("latin1"));
    const left = forms.reduce(
      (rest, form) =>
        isWhole && isPlain(form)
          ? withoutSecret(rest, { ...secret, text: form }, "\u0000").replaceAll(/\0+/g, redacted)
          : rest.replaceAll(form, () => redacted),
      text,
    );
    if (left !== text) this.#count(secret.what);
    return left;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** A file of the site as data: what stands behind a key that kerb does not know may be a secret, too. */
  siteFile(value: unknown): unknown {
    return this.value(value, [], (path) => isSecretText(path) || isUnknownPlace(path));
  }

  /** Data without what stands in the place of a secret, and without secrets in its texts. */
  value(value: unknown, path: readonly string[] = [], isHidden = isSecretText): unknown {
    if (Array.isArray(value)) return value.map((item, i) => this.value(item, [...path, String(i)], isHidden));
    if (isRecord(value))
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          this.text(key),
          this.value(item, [...path, key], isHidden),
        ]),
      );
    const isText = typeof value === "string";
    if ((isText || typeof value === "number") && isHidden(path)) {
      // How it is written says nothing, and whoever helps sees that it is no literal.
      if (isText && /^\$\{(?:env|file|secret):[^{}]*\}$/.test(value)) return value;
      this.#count(path.at(-1) ?? "");
      return redacted;
    }
    return isText ? this.text(value) : value;
  }
}
