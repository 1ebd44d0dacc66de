/**
 * How a connection or an attempt ended. `silent`: nothing came back. `away`: the far end refuses or says that it
 * stops. `closed`: it hung up on an established session. `refused`: it does not want this client. `taken-over`:
 * another client came with our id.
 */
export type Ending = "silent" | "away" | "closed" | "refused" | "taken-over";

export interface ReconnectOptions {
  /** Pause between two attempts: at first, and at most. */
  firstMs: number;
  maxMs: number;
  /** Over how long all clients of a broker that was away shall come back, at this moment. */
  spreadMs: () => number;
  random?: () => number;
}

/** Sessions that a broker takes up in one second without anybody waiting: TLS costs it about 2 ms each. */
const connectsPerSecond = 15;
/** Clients that may be at a broker of which nobody has said how many there are. */
const clientsUnknown = 450;

/** Over how long so many clients come back to a broker that was away, ms. */
export function spreadOf(clients: number = clientsUnknown): number {
  return (clients * 1000) / connectsPerSecond;
}

/** A connection that held this long was a good one. */
const stableMs = 60_000;
/** The pause is this share of the outage so far, so that a short one is noticed soon and a long one costs little. */
const outageShare = 1 / 60;
/** Tries of a message that the broker refuses or hangs up on; what waits behind it shall not wait longer. */
export const triesMax = 3;
const takeOversMax = 2;
/** Where the broker says that another client has come. Without its word the pause begins short: it is a guess. */
const takeOverPauseMs = 3_600_000;

/**
 * When to try again. A link that was silent or cut comes back at once, because only this client was away. When the
 * far end was away, all its clients were: each waits for its own moment in `spreadMs` once the port is open again.
 * Times are monotonic ms.
 */
export class Reconnect {
  readonly #options: ReconnectOptions;
  readonly #random: () => number;
  #openedMs: number | undefined;
  #downMs: number | undefined;
  /** Sessions in a row that did not hold, and refusals. */
  #falls = 0;
  #isHerd = false;
  #takeOversMs: number[] = [];
  /** Times that this one stood back on a guess. */
  #guesses = 0;
  /** Another client with our id has been seen since a session held. */
  #isConfirmed = false;
  /** The pause after sessions that did not hold, while the port is looked at first. */
  #owedMs = 0;
  /** The session that was hung up on had done nothing, and had held for so long. */
  #suspectHeldMs: number | undefined;

  constructor(options: ReconnectOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** The session is established. */
  opened(nowMs: number): void {
    this.#openedMs = nowMs;
    this.#downMs = undefined;
    this.#isHerd = false;
    this.#suspectHeldMs = undefined;
  }

  /**
   * The connection or the attempt is over; gives back how long to wait before the next one, ms. "suspicious": it
   * looks as if another client had come with our id, if the port is open right after. "blamed": a message of ours
   * that was on the way may be why it was hung up on.
   */
  ended(
    ending: Ending,
    nowMs: number,
    why?: "suspicious" | "blamed",
  ): { pauseMs: number; contested: boolean } {
    const { firstMs, maxMs } = this.#options;
    const isFirst = this.#downMs === undefined;
    this.#downMs ??= nowMs;
    const held = this.#openedMs === undefined ? undefined : nowMs - this.#openedMs;
    this.#openedMs = undefined;
    if (held !== undefined && held >= stableMs) {
      this.#falls = this.#guesses = 0;
      this.#isConfirmed = false;
    } else if (held !== undefined || ending === "refused") this.#falls++;
    if (ending === "away") this.#isHerd = true;
    this.#suspectHeldMs = why === "suspicious" ? held : undefined;
    if (ending === "taken-over" && this.#isContested(nowMs))
      return { pauseMs: takeOverPauseMs, contested: true };
    const jitter = 0.5 + this.#random() / 2;
    const doublings = Math.max(0, this.#falls - (why === "blamed" ? triesMax : 1));
    const fallen = this.#falls === 0 ? 0 : Math.min(maxMs, firstMs * 2 ** Math.min(16, doublings));
    const outage = Math.min(maxMs, Math.max(firstMs, (nowMs - this.#downMs) * outageShare));
    // The port is looked at without a pause: that it is closed tells a broker that died from a cut of our own.
    const isLook = isFirst && ending !== "away" && ending !== "refused";
    this.#owedMs = isLook ? fallen * jitter : 0;
    return { pauseMs: isLook ? 0 : Math.max(fallen, outage) * jitter, contested: false };
  }

  /**
   * The port is open. How long to wait before the CONNECT: `pauseMs` 0 when nobody else was away, and at least
   * `owedMs`, for sessions that did not hold. `contested`: another client seems to use our id (`isGuess`: it was not
   * seen); without `pauseMs` it is a suspicion only.
   */
  reached(nowMs: number): { pauseMs: number; owedMs: number; contested: boolean; isGuess: boolean } {
    const heldMs = this.#suspectHeldMs;
    const owedMs = this.#owedMs;
    const { maxMs, spreadMs } = this.#options;
    this.#suspectHeldMs = undefined;
    this.#owedMs = 0;
    if (heldMs !== undefined) {
      const isGuess = !this.#isConfirmed;
      if (!this.#isContested(nowMs)) return { pauseMs: 0, owedMs, contested: heldMs < stableMs, isGuess };
      const guessMs = Math.min(takeOverPauseMs, maxMs * 2 ** Math.min(12, this.#guesses++));
      return { pauseMs: isGuess ? guessMs : takeOverPauseMs, owedMs, contested: true, isGuess };
    }
    const pauseMs = this.#isHerd ? this.#random() * Math.min(maxMs, spreadMs()) : 0;
    return { pauseMs, owedMs, contested: false, isGuess: true };
  }

  /** Another client was seen to use our id; counts until a session has held. */
  confirm(): void {
    this.#isConfirmed = true;
  }

  /** One more take-over; two in a minute are no accident. */
  #isContested(nowMs: number): boolean {
    this.#takeOversMs = [...this.#takeOversMs.filter((atMs) => nowMs - atMs < stableMs), nowMs];
    if (this.#takeOversMs.length < takeOversMax) return false;
    this.#takeOversMs = [];
    return true;
  }
}
