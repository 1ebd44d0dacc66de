import { readFileSync } from "node:fs";
import { isRecord } from "./path.ts";
import { isPublicPath, isSecret } from "./secret-key.ts";

/** Where secrets stand in a site's files, right or wrong, and how they look in a text that nobody has planned. */

/** What a secret is called by those who do not know what kerb calls it. */
const secretName =
  /pas+w|pwd|passphrase|secret|token|communit|credential|psk|authori[sz]ation|cookie|m[aâ]t.?kh[aâ]u|private.?key|api.?key/iu;

/** Headers of a request that say nothing of who asks. */
const openHeaders = /^(?:accept(?:-language)?|content-type|user-agent|x-requested-with)$/i;

/** Below these a person chooses the names. */
const free = new Set(
  "points records fields values bits states body arguments requests frames layout names namespaces roles source".split(
    " ",
  ),
);

const withoutMarks = (name: string): string =>
  name.normalize("NFD").replaceAll(/[\u0300\u0301\u0303\u0309\u0323]/g, "");

/** The names of the way that a person reads: without places in lists. */
const namesIn = (path: readonly string[]): string[] => path.filter((step) => !/^\d+$/.test(step));

/** Is what stands here a secret, so that its text is one wherever it stands? */
export function isSecretPlace(path: readonly string[]): boolean {
  if (isPublicPath(path)) return false;
  const names = namesIn(path);
  if (isSecret(path) || isSecret(names)) return true;
  if (names.at(-2) === "headers") return !openHeaders.test(names.at(-1) ?? "");
  return !names.some((name) => free.has(name)) && names.some((name) => isMisnamed(name));
}

/** Called like a secret, and nothing that kerb knows. */
function isMisnamed(name: string): boolean {
  return secretName.test(withoutMarks(name)) && !knownNames().has(name);
}

let known: ReadonlySet<string> | undefined;

function namesOf(schema: unknown, names: Set<string>): void {
  if (Array.isArray(schema)) for (const one of schema) namesOf(one, names);
  if (!isRecord(schema)) return;
  const { properties } = schema;
  if (isRecord(properties)) for (const name of Object.keys(properties)) names.add(name);
  for (const one of Object.values(schema)) namesOf(one, names);
}

/** Every key that a site's files may have. */
function knownNames(): ReadonlySet<string> {
  if (known !== undefined) return known;
  const names = new Set<string>();
  for (const file of ["gateway", "devices"]) {
    const place = new URL(`../../config/${file}.schema.json`, import.meta.url);
    namesOf(JSON.parse(readFileSync(place, "utf8")), names);
  }
  return (known = names);
}

/** Is this a key that no site file has? What a person meant by it nobody knows: it may be a misspelt password. */
export function isUnknownPlace(path: readonly string[]): boolean {
  const names = namesIn(path);
  const last = names.at(-1);
  if (last === undefined || names.slice(0, -1).some((name) => free.has(name) || name === "headers"))
    return false;
  return !knownNames().has(last);
}

/** What is a secret by its look, in a log that was written before anybody knew of it. The group stays. */
export const secretLooks: readonly RegExp[] = [
  /()-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[^])*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g,
  /((?:proxy-)?authorization\\?["']?\s*[:=]\s*\\?["']?(?:[a-z]+\s+)?)[\w+/=.~,:-]{4,}/gi,
  /(\b(?:set-)?cookie\\?["']?\s*[:=]\s*\\?["']?)[^\r\n"'\\]+/gi,
  /(\b(?:bearer|basic)\s+)(?=\S{0,200}[\d=_-])[\w+/=.~-]{8,}/gi,
  /()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /(\b[\w-]{0,40}(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|community)(?:=|\\?["']\s*:\s*\\?["']))(?!\$\{)[^\s"'&,;\\]+/gi,
];
