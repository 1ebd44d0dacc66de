import { createHash, randomBytes } from "node:crypto";
import { escape } from "./soap.ts";

/** Two ways to prove the password without sending it: HTTP digest (RFC 7616) and WS-UsernameToken 1.0. */

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** RFC 7616, clause 6.1, the strongest first. */
const hashes = [
  ["SHA-512-256", "sha512-256"],
  ["SHA-256", "sha256"],
  ["MD5", "md5"],
] as const;

interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  /** As `createHash` calls it. */
  readonly hash: string;
  /** 0 is the strongest. */
  readonly rank: number;
  /** The algorithm ends in "-sess". */
  readonly isSession: boolean;
  /** The algorithm as the server wrote it; undefined: it did not. */
  readonly named: string | undefined;
  readonly opaque: string | undefined;
  readonly hasQop: boolean;
  readonly stale: boolean;
}

const headerMax = 2000;

/** Several challenges may stand in one header: a word without "=" begins the next (RFC 7235, 4.1). */
function digestsIn(header: string): Map<string, string>[] {
  const found: Map<string, string>[] = [];
  if (header.length > headerMax) return found;
  const piece = /[\s,]*(?:([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w-]+)(?=[\s,]|$))/y;
  let current: Map<string, string> | undefined;
  for (let match = piece.exec(header); match !== null; match = piece.exec(header)) {
    const [, name, quotedText, plain, scheme] = match;
    if (scheme !== undefined) {
      current = scheme.toLowerCase() === "digest" ? new Map() : undefined;
      if (current !== undefined) found.push(current);
    } else if (name !== undefined)
      current?.set(name.toLowerCase(), quotedText?.replaceAll(/\\(.)/g, "$1") ?? plain ?? "");
  }
  return found;
}

function challengeOf(given: ReadonlyMap<string, string>): Challenge | undefined {
  const named = given.get("algorithm");
  const [, name, session] = /^(.*?)(-sess)?$/i.exec((named ?? "MD5").toUpperCase()) ?? [];
  const rank = hashes.findIndex(([known]) => known === name);
  const nonce = given.get("nonce");
  const qops = given
    .get("qop")
    ?.toLowerCase()
    .split(/[\s,]+/)
    .filter((one) => one !== "");
  if (nonce === undefined || rank < 0) return undefined;
  const hasQop = qops !== undefined && qops.length > 0;
  // auth-int alone would need a hash of the body, which no camera is known to want.
  if (hasQop && !qops.includes("auth")) return undefined;
  return {
    realm: given.get("realm") ?? "",
    nonce,
    hash: hashes[rank]![1],
    rank,
    isSession: session !== undefined,
    named,
    opaque: given.get("opaque"),
    hasQop,
    stale: given.get("stale")?.toLowerCase() === "true",
  };
}

/** The strongest digest challenge among the headers; undefined: none that can be answered. */
export function strongest(headers: readonly string[]): Challenge | undefined {
  return headers
    .flatMap(digestsIn)
    .flatMap((given) => challengeOf(given) ?? [])
    .toSorted((a, b) => a.rank - b.rank)[0];
}

const quoted = (text: string): string =>
  `"${text.replaceAll(/[\r\n]/g, "").replaceAll(/["\\]/g, String.raw`\$&`)}"`;

/** A name that a quoted string cannot hold goes as RFC 5987 has it (RFC 7616, 3.4). */
function userField(user: string): string {
  if (/^[\u0020-\u007e]*$/.test(user)) return `username=${quoted(user)}`;
  const bytes = [...Buffer.from(user)].map((byte) =>
    /[\w.~-]/.test(String.fromCodePoint(byte))
      ? String.fromCodePoint(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
  );
  return `username*=UTF-8''${bytes.join("")}`;
}

/** The answers to one challenge; each use counts, so that the server can refuse a repeated one. */
export class Digest {
  readonly challenge: Challenge;
  readonly #credentials: Credentials;
  /** A session keeps the one of its first request (RFC 7616, 3.4.2). */
  readonly #sessionOwn = randomBytes(8).toString("hex");
  #uses = 0;

  constructor(challenge: Challenge, credentials: Credentials) {
    this.challenge = challenge;
    this.#credentials = credentials;
  }

  /** How many requests have gone out with it. */
  get uses(): number {
    return this.#uses;
  }

  /** The `Authorization` header of one request. */
  header(method: string, uri: string): string {
    const { realm, nonce, isSession, named, opaque, hasQop } = this.challenge;
    const { user, password } = this.#credentials;
    const hash = (text: string): string => createHash(this.challenge.hash).update(text).digest("hex");
    const count = (++this.#uses).toString(16).padStart(8, "0");
    const own = isSession ? this.#sessionOwn : randomBytes(8).toString("hex");
    const secret = hash(`${user}:${realm}:${password}`);
    const key = isSession ? hash(`${secret}:${nonce}:${own}`) : secret;
    const middle = hasQop ? `${nonce}:${count}:${own}:auth` : nonce;
    const response = hash(`${key}:${middle}:${hash(`${method}:${uri}`)}`);
    return `Digest ${[
      userField(user),
      `realm=${quoted(realm)}`,
      `nonce=${quoted(nonce)}`,
      `uri=${quoted(uri)}`,
      ...(named === undefined ? [] : [`algorithm=${named.replaceAll(/[^\w-]/g, "")}`]),
      ...(hasQop ? ["qop=auth", `nc=${count}`] : []),
      ...(hasQop || isSession ? [`cnonce="${own}"`] : []),
      ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
      `response="${response}"`,
    ].join(", ")}`;
  }
}

const wssePrefix = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";

/** The `Security` header of one request, made at the camera's own time: it refuses an old one. */
export function usernameToken({ user, password }: Credentials, cameraTimeMs: number): string {
  const nonce = randomBytes(16);
  const created = new Date(cameraTimeMs).toISOString();
  const digest = createHash("sha1").update(nonce).update(created).update(password).digest("base64");
  return (
    `<wsse:Security s:mustUnderstand="true" xmlns:wsse="${wssePrefix}wssecurity-secext-1.0.xsd" ` +
    `xmlns:wsu="${wssePrefix}wssecurity-utility-1.0.xsd"><wsse:UsernameToken>` +
    `<wsse:Username>${escape(user)}</wsse:Username>` +
    `<wsse:Password Type="${wssePrefix}username-token-profile-1.0#PasswordDigest">${digest}</wsse:Password>` +
    `<wsse:Nonce EncodingType="${wssePrefix}soap-message-security-1.0#Base64Binary">${nonce.toString("base64")}</wsse:Nonce>` +
    `<wsu:Created>${created}</wsu:Created></wsse:UsernameToken></wsse:Security>`
  );
}
