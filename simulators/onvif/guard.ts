import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { child, words, type Request } from "./xml.ts";

/** The camera's door: HTTP digest and WS-UsernameToken, each refusing what was used before. */

const windowMs = 10_000;
const usedMax = 1000;

export class Guard {
  readonly #user: string;
  readonly #password: string;
  readonly #realm = "IP Camera";
  /** Highest use of each nonce that was given out. */
  readonly #nonces = new Map<string, number>();
  readonly #tokens = new Set<string>();

  constructor(user: string, password: string) {
    this.#user = user;
    this.#password = password;
  }

  /** Both kinds of challenge, each with a nonce of its own. */
  challenges(isStale: boolean): string[] {
    const stale = isStale ? ', stale="TRUE"' : "";
    return ["", ', algorithm="SHA-256"'].map((algorithm) => {
      const nonce = randomBytes(16).toString("hex");
      this.#nonces.set(nonce, 0);
      const [oldest] = this.#nonces.keys();
      if (this.#nonces.size > usedMax && oldest !== undefined) this.#nonces.delete(oldest);
      return `Digest qop="auth", realm="${this.#realm}", nonce="${nonce}"${algorithm}${stale}`;
    });
  }

  /** Every nonce has run out. */
  forget(): void {
    this.#nonces.clear();
  }

  digest(header: string, method: string, uri: string): "good" | "stale" | "wrong" {
    const given = new Map(
      [...header.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,]+))/g)].map(([, name = "", quoted, plain]) => [
        name.toLowerCase(),
        quoted ?? plain ?? "",
      ]),
    );
    const of = (name: string): string => given.get(name) ?? "";
    const hash = (content: string): string =>
      createHash(of("algorithm").toUpperCase() === "SHA-256" ? "sha256" : "md5")
        .update(content)
        .digest("hex");
    const secret = hash(`${this.#user}:${this.#realm}:${this.#password}`);
    const signed = [secret, of("nonce"), of("nc"), of("cnonce"), "auth", hash(`${method}:${of("uri")}`)];
    const used = this.#nonces.get(of("nonce"));
    const count = Number.parseInt(of("nc"), 16);
    if (of("username") !== this.#user || of("uri") !== uri || hash(signed.join(":")) !== of("response"))
      return "wrong";
    if (used === undefined) return "stale";
    if (!(count > used)) return "wrong";
    this.#nonces.set(of("nonce"), count);
    return "good";
  }

  token(header: Request["header"], nowMs: number): "good" | "absent" | "wrong" {
    const token = child(header, "Security", "UsernameToken");
    if (token === undefined) return "absent";
    const [user, password, nonce, created] = ["Username", "Password", "Nonce", "Created"].map((name) =>
      words(token, name),
    ) as [string, string, string, string];
    const expected = createHash("sha1")
      .update(Buffer.from(nonce, "base64"))
      .update(created + this.#password)
      .digest();
    const given = Buffer.from(password, "base64");
    const isRight = given.length === expected.length && timingSafeEqual(given, expected);
    const isFresh = Math.abs(Date.parse(created) - nowMs) <= windowMs;
    // Some clients never change their nonce: what is not taken twice is the token.
    const used = `${nonce} ${created}`;
    if (user !== this.#user || !isRight || !isFresh || this.#tokens.has(used)) return "wrong";
    this.#tokens.add(used);
    if (this.#tokens.size > usedMax) this.#tokens.delete([...this.#tokens][0]!);
    return "good";
  }
}
