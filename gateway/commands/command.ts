import { createHash, createPublicKey, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";
import type { CommandCode } from "./error-texts.ts";

/** Commands as they travel: their form, their signature, their ids. Plain code: it runs in the gateway's main thread. */

export type CommandValue = number | string | boolean;
export type CommandMode = "execute" | "arm" | "commit" | "abort";

/** What a command says; all that is signed. Times are ms since 1970 UTC by the issuer's clock. */
export interface CommandContent {
  v: 1;
  /** ULID; the same id is executed once. */
  id: string;
  /** Gateway and device, as in the topic. */
  gw: string;
  dev: string;
  op: "set";
  /** Point → value in the point's unit. */
  args: Record<string, CommandValue>;
  mode: CommandMode;
  /** The token that an `arm` has brought: of commit and abort. */
  arm?: string;
  notAfter: number;
  issued: number;
  /** The issuer, or one of its people: "ioc", "an.nguyen@ioc". */
  by: string;
  role: string;
  prio?: number;
  /** After so many ms the points go back by themselves. */
  lease?: number;
  reason?: string;
  /** One that the gateway has given, where its clock is not proved. */
  nonce?: string;
}

/** A command with the Ed25519 signature (base64) over the canonical JSON of its content. */
export interface Command extends CommandContent {
  sig: string;
}

const commandBytesMax = 8192;
/** From `issued` to `notAfter`. */
export const lifeMsMax = 60_000;
export const leaseMsMax = 86_400_000;
/** The issuer that stands for whoever operates the gateway on site. */
export const localIssuer = "local";
/** Who writes what a schedule says; no issuer and nobody on site has this name. */
export const scheduleIssuer = "schedule@local";
const argsMax = 16;
const textMax = 256;
const idPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const pointPattern = /^(?=.{1,100}$)[a-zA-Z][a-zA-Z0-9]*(\.[a-zA-Z0-9]+)*$/;
const tokenPattern = /^[\w-]{22}$/;
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f\u2028-\u202e\u2066-\u2069]/;

/** Why a command is not taken. */
export interface Refusal {
  code: CommandCode;
  reason: string;
}

type Rule = (value: unknown) => string | undefined;

const matches =
  (pattern: RegExp, expected: string): Rule =>
  (value) =>
    typeof value === "string" && pattern.test(value) ? undefined : expected;
const whole =
  (least: number, most: number): Rule =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `a whole number from ${least} to ${most}`;

function argsRule(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "points and their values";
  const entries = Object.entries(value);
  if (entries.length === 0 || entries.length > argsMax) return `1 to ${argsMax} points`;
  for (const [point, given] of entries) {
    if (!pointPattern.test(point)) return "names of points such as voltage.L1";
    const isText = typeof given === "string" && given.isWellFormed() && !controls.test(given);
    const isPlain =
      typeof given === "boolean" ||
      (typeof given === "number" && Number.isFinite(given)) ||
      (isText && given.length <= textMax);
    if (!isPlain)
      return `for "${point}" a finite number, true, false or a text of at most ${textMax} characters`;
  }
  return undefined;
}

const ends = 4_102_444_800_000;
const rules: Record<keyof Command, { needed: boolean; rule: Rule }> = {
  v: { needed: true, rule: (value) => (value === 1 ? undefined : "1") },
  id: { needed: true, rule: matches(idPattern, "a ULID") },
  gw: { needed: true, rule: matches(/^[a-z0-9-]{3,40}$/, "the id of a gateway") },
  dev: { needed: true, rule: matches(/^[a-z0-9-]{2,40}$/, "the id of a device") },
  op: { needed: true, rule: matches(/^[a-z][a-zA-Z]{0,39}$/, "the name of an operation") },
  args: { needed: true, rule: argsRule },
  mode: { needed: true, rule: matches(/^(execute|arm|commit|abort)$/, "execute, arm, commit or abort") },
  arm: { needed: false, rule: matches(tokenPattern, "a token of 22 characters") },
  notAfter: { needed: true, rule: whole(0, ends) },
  issued: { needed: true, rule: whole(0, ends) },
  by: {
    needed: true,
    rule: matches(
      /^([a-z0-9._-]{1,64}@)?[a-z0-9-]{2,40}$/,
      "an issuer, or somebody@issuer, in small letters",
    ),
  },
  role: { needed: true, rule: matches(/^[a-z0-9-]{2,40}$/, "a role") },
  prio: { needed: false, rule: whole(0, 9) },
  lease: { needed: false, rule: whole(1, leaseMsMax) },
  reason: {
    needed: false,
    rule: (value) =>
      typeof value === "string" && value.length <= textMax && value.isWellFormed() && !controls.test(value)
        ? undefined
        : `a text of at most ${textMax} characters in one line`,
  },
  nonce: { needed: false, rule: matches(tokenPattern, "a nonce of 22 characters") },
  sig: { needed: true, rule: matches(/^[A-Za-z0-9+/]{85}[AQgw]==$/, "64 bytes in base64") },
};

const inside = (value: unknown): unknown[] =>
  typeof value === "object" && value !== null ? Object.values(value) : [];

/** A command is an object with objects in it; to look into what is deeper, level by level, would cost the stack. */
const isTooDeep = (document: object): boolean =>
  inside(document)
    .flatMap(inside)
    .some((value) => typeof value === "object" && value !== null);

/** Keys in the whole text against keys that were kept: JSON with a key twice means two things to two readers. */
export function hasKeyTwice(text: string, document: object): boolean {
  const count = (value: unknown): number =>
    typeof value === "object" && value !== null
      ? (Array.isArray(value) ? 0 : Object.keys(value).length) +
        Object.values(value).reduce((sum: number, inner) => sum + count(inner), 0)
      : 0;
  const written = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "").split(":").length - 1;
  return written !== count(document);
}

const wrong = (reason: string): Refusal => ({ code: "KERB-CMD-SCHEMA", reason });

/** Checks a parsed document; the text of a mistake names the key. */
function mistakeIn(document: Record<string, unknown>, isSigned: boolean): Refusal | undefined {
  for (const key of Object.keys(document)) {
    if (!Object.hasOwn(rules, key)) return wrong(`unknown key ${JSON.stringify(key.slice(0, 40))}`);
  }
  for (const [key, { needed, rule }] of Object.entries(rules)) {
    if (!Object.hasOwn(document, key)) {
      if (needed && (isSigned || key !== "sig")) return wrong(`missing key "${key}"`);
      continue;
    }
    const expected = rule(document[key]);
    if (expected !== undefined) return wrong(`${key}: expected ${expected}`);
  }
  if (document["op"] !== "set")
    return { code: "KERB-CMD-OPERATION", reason: `there is no operation "${String(document["op"])}"` };
  const isSecond = document["mode"] === "commit" || document["mode"] === "abort";
  if (isSecond !== Object.hasOwn(document, "arm"))
    return wrong(isSecond ? 'missing key "arm"' : "arm: only commit and abort have it");
  return undefined;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a command that anybody may have written. Size, JSON and form are sound then; nothing else is known. */
export function parseCommand(bytes: Uint8Array): Command | Refusal {
  if (bytes.length > commandBytesMax)
    return { code: "KERB-CMD-SIZE", reason: `${bytes.length} bytes, at most ${commandBytesMax} are read` };
  let text: string;
  let document: unknown;
  try {
    text = utf8.decode(bytes);
    document = JSON.parse(text);
  } catch {
    return { code: "KERB-CMD-JSON", reason: "it is not JSON" };
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    return { code: "KERB-CMD-JSON", reason: "it is not a JSON object" };
  if (isTooDeep(document)) return wrong("objects or lists within those of its members");
  if (hasKeyTwice(text, document)) return { code: "KERB-CMD-JSON", reason: "it has a key twice" };
  return mistakeIn(document as Record<string, unknown>, true) ?? (document as Command);
}

/** Why a command that was made on this box does not have its form; undefined: it has. */
export function contentMistake(content: CommandContent): Refusal | undefined {
  return mistakeIn({ ...content }, false);
}

export function isRefusal(given: object): given is Refusal {
  return "code" in given;
}

/** The bytes that are signed: the canonical JSON of everything but `sig`. */
function contentBytes(command: CommandContent | Command): Buffer {
  return Buffer.from(canonicalJson({ ...command, sig: undefined }));
}

/** SHA-256 of what is signed, base64url: two commands of the same digest say the same. */
export function contentDigest(command: CommandContent): string {
  return createHash("sha256").update(contentBytes(command)).digest("base64url");
}

/** SHA-256 over device, operation, arguments and lease: what an arm token is bound to. */
export function argsDigest({ dev, op, args, lease = 0 }: CommandContent): string {
  return createHash("sha256")
    .update(canonicalJson([dev, op, args, lease]))
    .digest("base64url");
}

/** Signs a command with an Ed25519 private key. Throws `RangeError` on content that JSON cannot hold. */
export function signCommand(content: CommandContent, key: KeyObject): Command {
  return { ...content, sig: sign(null, contentBytes(content), key).toString("base64") };
}

export function verifyCommand(command: Command, key: KeyObject): boolean {
  return verify(null, contentBytes(command), key, Buffer.from(command.sig, "base64"));
}

/** The key object of a raw Ed25519 public key (32 bytes, base64). Throws `RangeError` where it is none. */
export function issuerKey(base64: string): KeyObject {
  const raw = Buffer.from(base64, "base64");
  if (raw.length !== 32 || raw.toString("base64") !== base64)
    throw new RangeError("expected 32 bytes in base64: a raw Ed25519 public key");
  return createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
    format: "jwk",
  });
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A new id of a command: a ULID, 48 bits of time and 80 random ones. */
export function newCommandId(nowMs = Date.now()): string {
  let time = "";
  for (let rest = Math.floor(nowMs), i = 0; i < 10; i++, rest = Math.floor(rest / 32))
    time = `${crockford[rest % 32]}${time}`;
  return `${time}${[...randomBytes(16)].map((byte) => crockford[byte % 32]).join("")}`;
}

/** The issuer that a command names: "ioc" of "an.nguyen@ioc". */
export function issuerOf(by: string): string {
  return by.slice(by.lastIndexOf("@") + 1);
}

/** A random text of 22 characters: tokens and nonces. */
export function newToken(): string {
  return randomBytes(16).toString("base64url");
}
