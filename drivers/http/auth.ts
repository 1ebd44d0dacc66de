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
  const part = /\s*,?\s*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][\w-]*)(?=\s|,|$))/y;
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

const hashes: Record<string, string> = { "sha-256": "sha256", md5: "md5" };
const strongestFirst = ["sha-256", "sha-256-sess", "md5", "md5-sess"];

const algorithmOf = ({ parameters }: Challenge): string =>
  (parameters.get("algorithm") ?? "md5").toLowerCase();
const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

interface Nonce {
  readonly algorithm: string;
  readonly parameters: ReadonlyMap<string, string>;
  count: number;
}

/** Proves who we are. Digest (RFC 7616) keeps the server's nonce from answer to answer and counts its uses. */
export class Authorizer {
  readonly #auth: Auth | undefined;
  #nonce: Nonce | undefined;

  constructor(auth: Auth | undefined) {
    this.#auth = auth;
  }

  /** The header that goes with a request, where there is one yet. */
  header(method: string, uri: string): [name: string, value: string] | undefined {
    const auth = this.#auth;
    if (auth === undefined) return undefined;
    if (auth.type === "header") return [auth.name, auth.value];
    if (auth.type === "bearer") return ["Authorization", `Bearer ${auth.token}`];
    if (auth.type === "basic")
      return ["Authorization", `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString("base64")}`];
    return this.#nonce === undefined
      ? undefined
      : ["Authorization", this.#digest(auth, this.#nonce, method, uri)];
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
    const qop = best.parameters.get("qop");
    if (qop !== undefined && !qop.split(",").some((one) => one.trim().toLowerCase() === "auth")) return false;
    const isFirst = this.#nonce === undefined;
    const isStale = best.parameters.get("stale")?.toLowerCase() === "true";
    this.#nonce = { algorithm: algorithmOf(best), parameters: best.parameters, count: 0 };
    return isFirst || isStale;
  }

  #digest(auth: Auth & { type: "digest" }, nonce: Nonce, method: string, uri: string): string {
    const { algorithm, parameters } = nonce;
    const isSession = algorithm.endsWith("-sess");
    const hash = (text: string) =>
      createHash(hashes[algorithm.replace("-sess", "")] ?? "md5")
        .update(text)
        .digest("hex");
    const [realm = "", value = "", opaque] = ["realm", "nonce", "opaque"].map((name) => parameters.get(name));
    const count = (++nonce.count).toString(16).padStart(8, "0");
    const own = randomBytes(12).toString("hex");
    const secret = hash(`${auth.user}:${realm}:${auth.password}`);
    const a1 = isSession ? hash(`${secret}:${value}:${own}`) : secret;
    const a2 = hash(`${method}:${uri}`);
    const hasQop = parameters.has("qop");
    const response = hash(hasQop ? `${a1}:${value}:${count}:${own}:auth:${a2}` : `${a1}:${value}:${a2}`);
    return [
      `Digest username=${quote(auth.user)}, realm=${quote(realm)}, nonce=${quote(value)}, uri=${quote(uri)}`,
      ...(parameters.has("algorithm") ? [`algorithm=${parameters.get("algorithm")}`] : []),
      ...(hasQop ? [`qop=auth, nc=${count}, cnonce="${own}"`] : isSession ? [`cnonce="${own}"`] : []),
      ...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
      `response="${response}"`,
    ].join(", ");
  }
}
