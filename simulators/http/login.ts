import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** The login of a pretend device: basic, bearer, an API key, or digest with nonces that grow stale. */

export type Auth =
  | { type: "basic" | "digest"; user: string; password: string }
  | { type: "bearer"; token: string }
  | { type: "header"; name: string; value: string };

const usesMax = 20;

export class Login {
  readonly #auth: Auth | undefined;
  #nonce = randomBytes(16).toString("hex");
  #count = 0;

  constructor(auth: Auth | undefined) {
    this.#auth = auth;
  }

  /** undefined: come in; otherwise the challenges of the 401. */
  check({ headers, method, url }: IncomingMessage): string[] | undefined {
    const auth = this.#auth;
    if (auth === undefined) return undefined;
    const given = headers["authorization"] ?? "";
    if (auth.type === "header")
      return headers[auth.name.toLowerCase()] === auth.value ? undefined : ["ApiKey"];
    if (auth.type === "bearer") return given === `Bearer ${auth.token}` ? undefined : ["Bearer"];
    if (auth.type === "basic") {
      const [user, ...password] = Buffer.from(given.replace(/^Basic /, ""), "base64")
        .toString()
        .split(":");
      return user === auth.user && password.join(":") === auth.password ? undefined : ['Basic realm="kerb"'];
    }
    return this.#digest(auth, given, method ?? "", url ?? "");
  }

  #digest(auth: Auth & { type: "basic" | "digest" }, given: string, method: string, url: string) {
    const fields = new Map<string, string>();
    for (const [, name = "", quoted, bare] of given.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,]+))/g))
      fields.set(name, quoted ?? bare ?? "");
    const isCurrent = fields.get("nonce") === this.#nonce;
    const hash = (text: string) =>
      createHash(fields.get("algorithm") === "SHA-256" ? "sha256" : "md5")
        .update(text)
        .digest("hex");
    const secret = hash(`${auth.user}:kerb simulator:${auth.password}`);
    const uses = [fields.get("nonce"), fields.get("nc"), fields.get("cnonce"), "auth"].join(":");
    const expected = hash(`${secret}:${uses}:${hash(`${method}:${url}`)}`);
    const isRight =
      fields.get("response") === expected &&
      fields.get("username") === auth.user &&
      fields.get("uri") === url;
    const isNewUse = Number.parseInt(fields.get("nc") ?? "0", 16) > this.#count;
    if (isRight && isCurrent && isNewUse && this.#count < usesMax) {
      this.#count = Number.parseInt(fields.get("nc") ?? "0", 16);
      return undefined;
    }
    this.#nonce = randomBytes(16).toString("hex");
    this.#count = 0;
    const common = `realm="kerb simulator", qop="auth", nonce="${this.#nonce}"${isRight ? ", stale=true" : ""}`;
    return [`Digest ${common}, algorithm=SHA-256`, `Digest ${common}, algorithm=MD5`];
  }
}
