const pauseFirstMs = 1000;
const pauseMaxMs = 30_000;

type LaneName = "event" | "live" | "fill";

/** Lanes that the broker has refused messages of: each pauses, longer each time, and then tries with one message. */
export class Pauses {
  readonly #untilMs = { event: 0, live: 0, fill: 0 };
  readonly #refusals = { event: 0, live: 0, fill: 0 };

  clear(): void {
    for (const lane of ["event", "live", "fill"] as const) this.#untilMs[lane] = this.#refusals[lane] = 0;
  }

  /** Whether a message of the lane may go, when so many of it are on the way. */
  allows(lane: LaneName, flying: number, nowMs: number): boolean {
    return nowMs >= this.#untilMs[lane] && (this.#refusals[lane] === 0 || flying === 0);
  }

  has(lane: LaneName): boolean {
    return this.#refusals[lane] > 0;
  }

  refused(lane: LaneName, nowMs: number): void {
    // What left before the first answer came back is refused for the same reason.
    if (nowMs < this.#untilMs[lane]) return;
    this.#untilMs[lane] =
      nowMs + Math.min(pauseMaxMs, pauseFirstMs * 1.5 ** Math.min(20, this.#refusals[lane]++));
    // A refused live batch becomes fill, and shall not go round by that way.
    if (lane === "live") this.#untilMs.fill = this.#untilMs.live;
  }

  passed(lane: LaneName): void {
    this.#refusals[lane] = 0;
  }
}
