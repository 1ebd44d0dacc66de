import { createHash, randomBytes } from "node:crypto";
import { escape } from "./soap.ts";

/** Two ways to prove the password without sending it: HTTP digest (RFC 7616) and WS-UsernameToken 1.0. */

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: "MD5" | "SHA-256";
  /** As the server wrote it; undefined: it did not. */
  readonly named: string | undefined;
  readonly opaque: string | undefined;
  readonly hasQop: boolean;
  readonly stale: boolean;
}

function parameters(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name = "", quoted, plain] of text.matchAll(/(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g))
    found.set(name.toLowerCase(), quoted ?? plain ?? "");
  return found;
}

function challengeOf(header: string): Challenge | undefined {
  if (header.length > 2000 || !/^digest\s/i.test(header)) return undefined;
  const given = parameters(header.slice(7));
  const named = given.get("algorithm");
  const algorithm = (named ?? "MD5").toUpperCase();
  const nonce = given.get("nonce");
  const qops = given.get("qop")?.split(/\s*,\s*/);
  if (nonce === undefined || (algorithm !== "MD5" && algorithm !== "SHA-256")) return undefined;
  // auth-int alone would need a hash of the body, which no camera is known to want.
  if (qops !== undefined && !qops.includes("auth")) return undefined;
  return {
    realm: given.get("realm") ?? "",
    nonce,
    algorithm,
    named,
    opaque: given.get("opaque"),
    hasQop: qops !== undefined,
    stale: given.get("stale")?.toLowerCase() === "true",
  };
}

/** The strongest digest challenge among the headers; undefined: none that can be answered. */
export function strongest(headers: readonly string[]): Challenge | undefined {
  const found = headers.flatMap((header) => challengeOf(header) ?? []);
  return found.find(({ algorithm }) => algorithm === "SHA-256") ?? found[0];
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\\r\n]/g, "")}"`;

/** The answers to one challenge; each use counts, so that the server can refuse a repeated one. */
export class Digest {
  readonly challenge: Challenge;
  readonly #credentials: Credentials;
  #uses = 0;

  constructor(challenge: Challenge, credentials: Credentials) {
    this.challenge = challenge;
    this.#credentials = credentials;
  }

  get hasBeenUsed(): boolean {
    return this.#uses > 0;
  }

  /** The `Authorization` header of one request. */
  header(method: string, uri: string): string {
    const { realm, nonce, algorithm, named, opaque, hasQop } = this.challenge;
    const { user, password } = this.#credentials;
    const hash = (text: string): string =>
      createHash(algorithm === "MD5" ? "md5" : "sha256")
        .update(text)
        .digest("hex");
    const count = (++this.#uses).toString(16).padStart(8, "0");
    const own = randomBytes(8).toString("hex");
    const middle = hasQop ? `${nonce}:${count}:${own}:auth` : nonce;
    const response = hash(`${hash(`${user}:${realm}:${password}`)}:${middle}:${hash(`${method}:${uri}`)}`);
    return `Digest ${[
      `username=${quoted(user)}`,
      `realm=${quoted(realm)}`,
      `nonce=${quoted(nonce)}`,
      `uri=${quoted(uri)}`,
      ...(named === undefined ? [] : [`algorithm=${algorithm}`]),
      ...(hasQop ? ["qop=auth", `nc=${count}`, `cnonce="${own}"`] : []),
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
