import { createHash, type KeyObject, sign, verify } from "node:crypto";
import { canonicalJson } from "../commands/canonical-json.ts";
import { hasKeyTwice, issuerKey, issuerOf } from "../commands/command.ts";
import type { TwinCode } from "./error-texts.ts";

/** What an IOC wants of a gateway: its form, its hash, its signature. Plain code: it runs in the gateway's main thread. */

/** What may be wanted at all; the site file says which of them. */
export const sections = ["polls", "deadBands", "schedules", "issuers"] as const;
export type Section = (typeof sections)[number];

/** The wanted configuration as it travels. Times are ms since 1970 UTC by the issuer's clock. */
export interface TwinContent {
  v: 1;
  gw: string;
  /** Rises with each document of a gateway. */
  ver: number;
  /** The issuer, or one of its people: "ioc", "an.nguyen@ioc". */
  by: string;
  at: number;
  /** SHA-256 (hex) of the canonical JSON of `cfg`. */
  hash: string;
  /** All that is wanted, by section; what it does not name is as the files say. */
  cfg: Record<string, unknown>;
}

/** With the Ed25519 signature (base64) over the canonical JSON of its content. */
export interface TwinDocument extends TwinContent {
  sig: string;
}

/** Which version of what: what is told of a document. */
export interface Version {
  ver: number;
  hash: string;
}

export function isSameVersion(one: Version | undefined, other: Version | undefined): boolean {
  return one?.ver === other?.ver && one?.hash === other?.hash;
}

/** What a site file says of the twin. `issuers`: whose documents are taken, with the keys that the file has for them. */
export interface SiteTwin {
  allow: readonly Section[];
  issuers: readonly { id: string; key: string }[];
  watchMs: number;
}

/** Something that is wrong with a document. `path`: where, as in `polls.pump-1`; "" where all of it is meant. */
export interface TwinMistake {
  code: TwinCode;
  path: string;
  text: string;
}

export const documentBytesMax = 32_768;
const depthMax = 12;
const ends = 4_102_444_800_000;

const wrong = (code: TwinCode, text: string, path = ""): TwinMistake => ({ code, path, text });

const matches = (pattern: RegExp) => (value: unknown) => typeof value === "string" && pattern.test(value);
const whole = (most: number) => (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most;

const rules: Record<keyof TwinDocument, { is: (value: unknown) => boolean; expected: string }> = {
  v: { is: (value) => value === 1, expected: "1" },
  gw: { is: matches(/^[a-z0-9-]{3,40}$/), expected: "the id of a gateway" },
  ver: { is: whole(Number.MAX_SAFE_INTEGER), expected: "a whole number from 1" },
  by: {
    is: matches(/^([a-z0-9._-]{1,64}@)?[a-z0-9-]{2,40}$/),
    expected: "an issuer, or somebody@issuer, in small letters",
  },
  at: { is: whole(ends), expected: "ms since 1970" },
  hash: { is: matches(/^[0-9a-f]{64}$/), expected: "64 hexadecimal digits" },
  cfg: {
    is: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    expected: "an object",
  },
  sig: { is: matches(/^[A-Za-z0-9+/]{85}[AQgw]==$/), expected: "64 bytes in base64" },
};

/** What no document has anywhere: too much depth, keys that mean something to JavaScript, numbers without a value. */
function unsound(document: object): string | undefined {
  let level: unknown[] = [document];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return `nested deeper than ${depthMax} levels`;
    const below: unknown[] = [];
    for (const one of level) {
      if (typeof one === "number" && !Number.isFinite(one)) return "a number that is too large";
      if (typeof one === "string" && !one.isWellFormed()) return "half a character";
      if (typeof one !== "object" || one === null) continue;
      if (Object.hasOwn(one, "__proto__")) return 'the key "__proto__"';
      below.push(...Object.keys(one), ...Object.values(one));
    }
    level = below;
  }
  return undefined;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a document that anybody may have written. Size, JSON and form around `cfg` are sound then, nothing else. */
export function parseTwin(bytes: Uint8Array): TwinDocument | TwinMistake {
  if (bytes.length > documentBytesMax) return wrong("KERB-TWIN-SIZE", `more than ${documentBytesMax} bytes`);
  let document: Record<string, unknown>;
  try {
    const text = utf8.decode(bytes);
    document = JSON.parse(text) as Record<string, unknown>;
    if (typeof document !== "object" || document === null || Array.isArray(document))
      return wrong("KERB-TWIN-JSON", "it is not a JSON object");
    const problem = unsound(document);
    if (problem !== undefined) return wrong("KERB-TWIN-SHAPE", problem);
    if (hasKeyTwice(text, document)) return wrong("KERB-TWIN-JSON", "it has a key twice");
  } catch {
    return wrong("KERB-TWIN-JSON", "it is not JSON");
  }
  return formMistake(document) ?? (document as unknown as TwinDocument);
}

function formMistake(document: Record<string, unknown>): TwinMistake | undefined {
  for (const key of Object.keys(document))
    if (!Object.hasOwn(rules, key))
      return wrong("KERB-TWIN-SCHEMA", `unknown key ${JSON.stringify(key.slice(0, 40))}`, key.slice(0, 40));
  for (const [key, { is, expected }] of Object.entries(rules)) {
    if (!Object.hasOwn(document, key)) return wrong("KERB-TWIN-SCHEMA", `missing key "${key}"`, key);
    if (!is(document[key])) return wrong("KERB-TWIN-SCHEMA", `${key}: expected ${expected}`, key);
  }
  return undefined;
}

export function isMistake(given: object): given is TwinMistake {
  return "code" in given;
}

/** SHA-256 (hex) of the canonical JSON of what is wanted. Throws `RangeError` on what JSON does not have. */
export function wantedHash(cfg: TwinContent["cfg"]): string {
  return createHash("sha256").update(canonicalJson(cfg)).digest("hex");
}

/** The files alone: what runs where no twin is laid over them. */
export const filesAlone: Version = { ver: 0, hash: wantedHash({}) };

function contentBytes(document: TwinContent): Buffer {
  return Buffer.from(canonicalJson({ ...document, sig: undefined }));
}

/** Signs with an Ed25519 private key. Throws `RangeError` on content that JSON cannot hold. */
export function signTwin(content: TwinContent, key: KeyObject): TwinDocument {
  return { ...content, sig: sign(null, contentBytes(content), key).toString("base64") };
}

/** Why a document is not for this gateway, or of nobody who may speak here; undefined: it is genuine. */
export function originMistake(
  document: TwinDocument,
  gateway: string,
  twin: SiteTwin | undefined,
): TwinMistake | undefined {
  if (document.gw !== gateway) return wrong("KERB-TWIN-GATEWAY", `this gateway is ${gateway}`, "gw");
  if (twin === undefined) return wrong("KERB-TWIN-OFF", "the site file has no key twin");
  const id = issuerOf(document.by);
  const issuer = twin.issuers.find((one) => one.id === id);
  if (issuer === undefined)
    return wrong("KERB-TWIN-ISSUER", `"${id}" is none of twin.issuers in the site file`, "by");
  const signature = Buffer.from(document.sig, "base64");
  if (!verify(null, contentBytes(document), issuerKey(issuer.key), signature))
    return wrong("KERB-TWIN-SIGNATURE", `it is not signed with the key of "${id}"`, "sig");
  if (wantedHash(document.cfg) !== document.hash)
    return wrong("KERB-TWIN-HASH", "the hash is not that of cfg", "hash");
  return undefined;
}

/** Everything in `cfg` that a file would resolve: a document never names a secret, nor a place where one is. */
export function secretMistake({ cfg }: TwinContent): TwinMistake | undefined {
  const isReference = canonicalJson(cfg).includes("${");
  return isReference ? wrong("KERB-TWIN-SECRET", "it has a reference: ${", "cfg") : undefined;
}

/** Sections that there are not, or that the site file does not open. */
export function sectionMistakes({ cfg }: TwinContent, { allow }: SiteTwin): TwinMistake[] {
  return Object.keys(cfg)
    .filter((key) => !allow.some((section) => section === key))
    .slice(0, 20)
    .map((key) => {
      const path = key.slice(0, 40);
      const isKnown = sections.some((section) => section === key);
      return isKnown
        ? wrong("KERB-TWIN-SECTION", `"${path}" is not in twin.allow of the site file`, path)
        : wrong("KERB-TWIN-SCHEMA", `there is no section "${path}"`, path);
    });
}
