import { localIssuer, newToken, type Refusal } from "./command.ts";

/** What is good for one time and a short while: arm tokens, nonces, the rate. In memory: a restart ends them all. */

export const armMs = 15_000;
export const nonceMs = 60_000;
/** Of each kind at once; the oldest go first. */
const keptMax = 256;

/** What an arm token is bound to. `by`: who has armed. */
interface Armed {
  issuer: string;
  by: string;
  digest: string;
}

interface Token extends Armed {
  /** Of the command that has armed. */
  id: string;
  untilMs: number;
  isUsed: boolean;
}

function drop<Kept>(kept: Map<string, Kept>): void {
  for (const key of kept.keys()) {
    if (kept.size < keptMax) return;
    kept.delete(key);
  }
}

/** Arm tokens by their text. Times are monotonic ms. */
export class ArmTokens {
  readonly #tokens = new Map<string, Token>();

  arm(id: string, armed: Armed, nowMs: number): string {
    drop(this.#tokens);
    const token = newToken();
    this.#tokens.set(token, { id, ...armed, untilMs: nowMs + armMs, isUsed: false });
    return token;
  }

  /** Why a token may not be used by these people; undefined: it may. Times are monotonic ms. */
  refusal(
    token: string,
    asked: Armed,
    whose: "the same" | "another" | "anybody",
    nowMs: number,
  ): Refusal | undefined {
    const armed = this.#tokens.get(token);
    if (armed === undefined) return { code: "KERB-CMD-ARM-UNKNOWN", reason: "there is no such token" };
    if (armed.isUsed) return { code: "KERB-CMD-ARM-USED", reason: "a token is good for one time" };
    if (nowMs >= armed.untilMs)
      return { code: "KERB-CMD-ARM-EXPIRED", reason: `a token is good for ${armMs / 1000} s` };
    if (armed.digest !== asked.digest)
      return { code: "KERB-CMD-ARM-OTHER", reason: "something else was armed" };
    if (whose === "the same" && (armed.issuer !== asked.issuer || armed.by !== asked.by))
      return { code: "KERB-CMD-ARM-OTHER", reason: `it was armed by ${armed.by}` };
    if (whose === "another" && armed.by === asked.by)
      return { code: "KERB-CMD-TWO-PERSON", reason: `${asked.by} has armed it: somebody else must commit` };
    // Who is on site says himself who he is: two such names may be one man.
    if (whose === "another" && armed.issuer === localIssuer && asked.issuer === localIssuer)
      return { code: "KERB-CMD-TWO-PERSON", reason: "both are on site: one of the two must be signed" };
    return undefined;
  }

  /** The token of the command that has armed, while it is good, and how long, ms. */
  of(id: string, nowMs: number): { arm: string; armMs: number } | undefined {
    for (const [arm, { id: own, untilMs, isUsed }] of this.#tokens)
      if (own === id && !isUsed && untilMs > nowMs) return { arm, armMs: Math.round(untilMs - nowMs) };
    return undefined;
  }

  use(token: string): void {
    const armed = this.#tokens.get(token);
    if (armed !== undefined) armed.isUsed = true;
  }
}

/** Nonces for issuers whose commands cannot be told fresh by the clock. Times are monotonic ms. */
export class Nonces {
  readonly #nonces = new Map<string, { issuer: string; untilMs: number }>();

  issue(issuer: string, nowMs: number): string {
    drop(this.#nonces);
    const nonce = newToken();
    this.#nonces.set(nonce, { issuer, untilMs: nowMs + nonceMs });
    return nonce;
  }

  /** How long a nonce is still good, ms; 0: it is not. */
  leftMs(nonce: string, issuer: string, nowMs: number): number {
    const given = this.#nonces.get(nonce);
    return given === undefined || given.issuer !== issuer ? 0 : Math.max(0, given.untilMs - nowMs);
  }

  use(nonce: string): void {
    this.#nonces.delete(nonce);
  }
}

/** How much comes within a minute, by a key. Times are monotonic ms. */
export class Rate {
  readonly #times = new Map<string, number[]>();

  /** Of the last minute. */
  count(key: string, nowMs: number): number {
    const recent = (this.#times.get(key) ?? []).filter((at) => nowMs - at < 60_000);
    this.#times.set(key, recent);
    return recent.length;
  }

  add(key: string, nowMs: number): void {
    const times = this.#times.get(key) ?? [];
    times.push(nowMs);
    this.#times.set(key, times);
  }
}
