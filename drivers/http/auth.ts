import { createHash, randomBytes } from "node:crypto";
import type { Settings } from "./settings.ts";

type Auth = NonNullable<Settings["auth"]>;

interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The challenges of the WWW-Authenticate lines of an answer (RFC 9110 11.6.1); what is no challenge is left out. */
export function parseChallenges(lines: readonly string[]): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  // No two parts of it may take the same blanks: a line full of them would cost their square.
  const part = /[\s,]*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][\w-]*)(?=\s|,|$))/y;
  for (const line of lines.slice(0, 8)) {
    part.lastIndex = 0;
    let found = part.exec(line.slice(0, 4096));
    while (found !== null) {
      const [, name, quoted, bare, scheme] = found;
      if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
      else if (name !== undefined)
        challenges
          .at(-1)
          ?.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? bare ?? "");
      found = part.exec(line.slice(0, 4096));
    }
  }
  return challenges;
}

const hashes: Record<string, string> = { "sha-512-256": "sha512-256", "sha-256": "sha256", md5: "md5" };
const strongestFirst = Object.keys(hashes).flatMap((name) => [name, `${name}-sess`]);

const algorithmOf = ({ parameters }: Challenge): string =>
  (parameters.get("algorithm") ?? "md5").toLowerCase();
const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
/** A header's text is a byte for each character: what the server hashes are those bytes. */
const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");

interface Nonce {
  readonly algorithm: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly qop: "auth" | "auth-int" | undefined;
  /** Ours; a session's key is made of the first one. */
  readonly own: string;
  count: number;
  /** Somebody was let in with it. */
  hasWorked: boolean;
}

interface Message {
  readonly method: string;
  readonly uri: string;
  readonly body?: string | undefined;
}

/** Proves who we are. Digest (RFC 7616) keeps the server's nonce from answer to answer and counts its uses. */
export class Authorizer {
  readonly #auth: Auth | undefined;
  #nonce: Nonce | undefined;

  constructor(auth: Auth | undefined) {
    this.#auth = auth;
  }

  /** The header that goes with a request, where there is one yet. */
  header(message: Message): [name: string, value: string] | undefined {
    const auth = this.#auth;
    if (auth === undefined) return undefined;
    if (auth.type === "header") return [auth.name, auth.value];
    if (auth.type === "bearer") return ["Authorization", `Bearer ${auth.token}`];
    if (auth.type === "basic")
      return ["Authorization", `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString("base64")}`];
    return this.#nonce === undefined
      ? undefined
      : ["Authorization", this.#digest(auth, this.#nonce, message)];
  }

  /** The server has let us in. */
  accepted(): void {
    if (this.#nonce !== undefined) this.#nonce.hasWorked = true;
  }

  /** Takes the challenge of a 401; true when the request is worth sending again. */
  challenged(lines: readonly string[]): boolean {
    if (this.#auth?.type !== "digest") return false;
    const offers = parseChallenges(lines).filter(({ scheme }) => scheme === "digest");
    const best = strongestFirst
      .map((algorithm) => offers.find((offer) => algorithmOf(offer) === algorithm))
      .find((offer) => offer !== undefined);
    const nonce = best?.parameters.get("nonce");
    if (best === undefined || nonce === undefined) return false;
    const offered = best.parameters
      .get("qop")
      ?.toLowerCase()
      .split(/[\s,]+/);
    const qop = (["auth", "auth-int"] as const).find((one) => offered?.includes(one));
    if (offered !== undefined && qop === undefined) return false;
    const before = this.#nonce;
    const isStale = best.parameters.get("stale")?.toLowerCase() === "true";
    // Many a server that starts anew, or whose nonce has run out, forgets to say so: what was right is tried once.
    const isNew = before?.hasWorked === true && before.parameters.get("nonce") !== nonce;
    const own = randomBytes(12).toString("hex");
    this.#nonce = {
      algorithm: algorithmOf(best),
      parameters: best.parameters,
      qop,
      own,
      count: 0,
      hasWorked: false,
    };
    return before === undefined || isStale || isNew;
  }

  #digest(auth: Auth & { type: "digest" }, nonce: Nonce, { method, uri, body = "" }: Message): string {
    const { algorithm, parameters, qop } = nonce;
    const isSession = algorithm.endsWith("-sess");
    const hash = (...parts: (string | Buffer)[]) => {
      const made = createHash(hashes[algorithm.replace("-sess", "")] ?? "md5");
      parts.forEach((part, i) => made.update(i === 0 ? "" : ":").update(part));
      return made.digest("hex");
    };
    const [realm = "", value = "", opaque] = ["realm", "nonce", "opaque"].map((name) => parameters.get(name));
    const count = (++nonce.count).toString(16).padStart(8, "0");
    const own = isSession ? nonce.own : randomBytes(12).toString("hex");
    const secret = hash(auth.user, bytesOf(realm), auth.password);
    const a1 = isSession ? hash(secret, bytesOf(value), own) : secret;
    const a2 = qop === "auth-int" ? hash(method, uri, hash(body)) : hash(method, uri);
    const uses = qop === undefined ? [] : [count, own, qop];
    const response = hash(a1, bytesOf(value), ...uses, a2);
    return [
      `Digest ${userOf(auth.user, parameters, () => hash(auth.user, bytesOf(realm)))}`,
      `realm=${quote(realm)}, nonce=${quote(value)}, uri=${quote(uri)}`,
      ...(parameters.has("algorithm") ? [`algorithm=${parameters.get("algorithm")}`] : []),
      ...(qop === undefined ? [] : [`qop=${qop}, nc=${count}`]),
      ...(qop === undefined && !isSession ? [] : [`cnonce="${own}"`]),
      ...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
      `response="${response}"`,
    ].join(", ");
  }
}

/** The user as the server wants it: hidden, or as it is, or (RFC 8187) with letters that a header cannot carry. */
function userOf(user: string, parameters: Nonce["parameters"], hidden: () => string): string {
  if (parameters.get("userhash")?.toLowerCase() === "true") return `username="${hidden()}", userhash=true`;
  if (/^[ -~]*$/.test(user)) return `username=${quote(user)}`;
  const plain = encodeURIComponent(user.toWellFormed()).replaceAll(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `username*=UTF-8''${plain}`;
}
