import { readFileSync } from "node:fs";
import type { DeviceConfig } from "../config/config.ts";
import { isRecord } from "../config/path.ts";
import { References } from "../config/references.ts";
import { isSecret } from "../config/secret-key.ts";
import { readYaml } from "../config/yaml.ts";
import { looksLikeNumber, type Secret, secretCharsMin, withoutSecret } from "./scrub.ts";
import { isKerbsWord, secretParts, withoutParts } from "./written.ts";

/** What of a site file must not get into a cassette, and its device without that. */

/** What stands in a place of these settings, with the way to it. */
export function leaves(
  value: unknown,
  path: readonly string[] = [],
): { path: readonly string[]; value: unknown }[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => leaves(item, [...path, String(i)]));
  if (isRecord(value)) return Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, key]));
  return [{ path, value }];
}

/** The device as the site file has it, references unresolved. */
function entryOf({ id, place }: DeviceConfig): Record<string, unknown> {
  const { value } = readYaml(place.file, { references: false });
  const list = isRecord(value) && Array.isArray(value["devices"]) ? (value["devices"] as unknown[]) : [];
  const entry = list.find((one) => isRecord(one) && one["id"] === id);
  return isRecord(entry) ? entry : {};
}

/** What is secret in addresses: as the site file writes them, and in variables of which any address makes a secret. */
function addressSecrets(device: DeviceConfig, references: References): Secret[] {
  const { points, records } = entryOf(device);
  const own = leaves({ points, records }).flatMap(({ path, value }) => {
    if (typeof value !== "string") return [];
    const { texts } = secretParts(references.resolve(value).text, path);
    // A shorter one is hidden where it stands.
    const long = texts.filter((text) => text.length >= secretCharsMin);
    return long.map((text): Secret => ({ what: path.join("."), text }));
  });
  const { variables } = device.settings;
  const named = leaves({ points: device.points, records: device.records }).flatMap(({ path, value }) =>
    typeof value === "string" ? secretParts(value, path).variables : [],
  );
  const used = Object.entries(isRecord(variables) ? variables : {}).flatMap(([name, text]): Secret[] =>
    named.includes(name) && typeof text === "string" ? [{ what: `variables.${name}`, text }] : [],
  );
  return [...own, ...used];
}

/** Everything secret in the device's settings and addresses, and all that the site's files name by reference. */
export function secretsOf(device: DeviceConfig, files: readonly string[], mainFile: string): Secret[] {
  const secrets: Secret[] = [];
  const own = leaves(device.settings);
  // A number that another device is opened with cannot be told from what this one measures.
  const isOther = (text: string) =>
    looksLikeNumber(text) && !own.some(({ value }) => typeof value === "string" && value.includes(text));
  for (const { path, value } of own) {
    if (typeof value === "string" && value !== "" && isSecret(path))
      secrets.push({ what: path.join("."), text: value });
  }
  secrets.push(...addressSecrets(device, new References(device.place.file, referencesFolder(mainFile))));
  for (const file of files) {
    const references = new References(file, referencesFolder(mainFile));
    for (const [written] of readFileSync(file, "utf8").matchAll(/\$\{(?:env|file|secret):[^{}]*\}/g)) {
      const { text, problems } = references.resolve(written);
      const isShort = text.length < (written.startsWith("${env:") ? 6 : secretCharsMin);
      if (problems.length === 0 && !isShort && !isOther(text))
        secrets.push({ what: written.slice(2, -1), text });
    }
  }
  return secrets.filter(({ text }, i) => secrets.findIndex((one) => one.text === text) === i);
}

const serialKey = /serial|^(?:dev_?(?:eui|addr)|imei|imsi|iccid|mac|ieee)/i;

/** Numbers in its settings by which a single device is known. */
export function serialsOf({ settings }: Pick<DeviceConfig, "settings">): string[] {
  return leaves(settings).flatMap(({ path, value }) =>
    typeof value === "string" && value.length >= secretCharsMin && serialKey.test(path.at(-1) ?? "")
      ? [value]
      : [],
  );
}

function referencesFolder(mainFile: string): string {
  return `${mainFile.replace(/[^/]*$/, "")}secrets`;
}

/** Secrets that are too short to be found for sure. */
export function shortSecrets(secrets: readonly Secret[]): Secret[] {
  return secrets.filter(({ text }) => text.length < secretCharsMin);
}

/** Where a device is and how it is called is the site's alone. */
const siteKeys = [
  "id",
  "name",
  "driver",
  "profile",
  "enabled",
  "location",
  "levels",
  "poll",
  "silence",
  "serial",
  "identifyEvery",
];

interface Blanks {
  references: References;
  secrets: readonly Secret[];
  /** Texts that are another in a cassette: the device's host, its serial port. */
  places: Readonly<Record<string, string>>;
}

function blanked(value: unknown, blanks: Blanks, path: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.map((item, i) => blanked(item, blanks, [...path, String(i)]));
  if (isRecord(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, blanked(item, blanks, [...path, key])]),
    );
  const isOfPoint = path[0] === "points" || path[0] === "records";
  if (isOfPoint && typeof value === "number") return withoutParts(value, path);
  if (typeof value !== "string" || (isOfPoint && isKerbsWord(path))) return value;
  const { text } = blanks.references.resolve(isOfPoint ? withoutFiles(value, blanks.references) : value);
  if (isOfPoint) {
    if (text !== value && looksLikeNumber(text)) return withoutParts(Number(text), path);
    return withoutParts(blankedText(text, blanks.secrets, "x"), path);
  }
  const isReference = text !== value;
  if (isReference && !isSecret(path) && /^[-+]?\d+(\.\d+)?$/.test(text)) return Number(text);
  const place = blanks.places[text];
  if (place !== undefined && path[0] !== "variables") return place;
  // A user who is called like his password would be refused by some.
  const filler = /user/i.test(path.at(-1) ?? "") ? "u" : "x";
  if (isReference || isSecret(path)) return filler.repeat(text.length);
  return blankedText(text, blanks.secrets, filler);
}

/** What stands in a file of the site's is secret, however short it is. */
function withoutFiles(text: string, references: References): string {
  return text.replaceAll(/\$\{(?:file|secret):[^{}]*\}/g, (written) => {
    return "x".repeat(references.resolve(written).text.length);
  });
}

function blankedText(text: string, secrets: readonly Secret[], filler: string): string {
  return secrets.reduce(
    (left, secret) =>
      secret.text.length < secretCharsMin
        ? left
        : secret.isWord === true
          ? withoutSecret(left, secret, filler)
          : left.replaceAll(secret.text, () => filler.repeat(secret.text.length)),
    text,
  );
}

/** The device's own settings as the site file has them, without what is secret or only this site's. */
export function blankSettings(
  device: DeviceConfig,
  mainFile: string,
  secrets: readonly Secret[],
  places: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const own = Object.entries(entryOf(device));
  const kept = own.filter(([key]) => !siteKeys.includes(key));
  const blanks = {
    references: new References(device.place.file, referencesFolder(mainFile)),
    secrets,
    places,
  };
  return Object.fromEntries(kept.map(([key, item]) => [key, blanked(item, blanks, [key])]));
}
