import { Durations } from "../durations.ts";
import type { DeviceReport } from "./messages.ts";

/** What a device's polls came to between two times (ISO 8601): the data of a `device-status` event. */
export interface PollReport {
  report: "polls";
  from: string;
  to: string;
  polls: number;
  answered: number;
  failed: number;
  missed: number;
}

type Counts = Pick<DeviceReport, "polls" | "answered" | "failed" | "missed">;

/** Longest timer: a clock that was set in the meantime is noticed after this. */
const lookEveryMs = 30_000;

/**
 * Calls `report` at each border of a period of the wall clock and at the end, with the span that the counts are
 * for. A clock that was set makes spans that end where it stood, never ones that run backwards.
 */
export class PollClock {
  readonly #everyMs: number;
  readonly #report: (fromMs: number, toMs: number) => void;
  #fromMs = Date.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number, report: (fromMs: number, toMs: number) => void) {
    this.#everyMs = everyMs;
    this.#report = report;
    this.#schedule();
  }

  /** Since when the polls have not been told, ms since 1970. */
  get fromMs(): number {
    return this.#fromMs;
  }

  /** The last report, for what of the period has passed. */
  end(): void {
    clearTimeout(this.#timer);
    this.#tell(Date.now());
  }

  #schedule(): void {
    const nowMs = Date.now();
    const restMs = this.#border(nowMs) - nowMs;
    this.#timer = setTimeout(() => this.#look(), Math.min(restMs, lookEveryMs));
  }

  #look(): void {
    const nowMs = Date.now();
    const border = this.#border(this.#fromMs);
    const isNext = nowMs >= border && nowMs < border + this.#everyMs;
    if (isNext) this.#tell(border);
    else if (nowMs >= border || nowMs < this.#fromMs) this.#tell(nowMs);
    this.#schedule();
  }

  #tell(toMs: number): void {
    this.#report(Math.min(this.#fromMs, toMs), toMs);
    this.#fromMs = toMs;
  }

  /** The first border after a time. */
  #border(ms: number): number {
    return (Math.floor(ms / this.#everyMs) + 1) * this.#everyMs;
  }
}

/** Turns the counters of a device, which only grow, into what was added since the last report. */
export class PollCounter {
  #before: Counts = { polls: 0, answered: 0, failed: 0, missed: 0 };

  take({ polls, answered, failed, missed }: Counts, fromMs: number, toMs: number): PollReport {
    const before = this.#before;
    this.#before = { polls, answered, failed, missed };
    return {
      report: "polls",
      from: new Date(fromMs).toISOString(),
      to: new Date(toMs).toISOString(),
      polls: polls - before.polls,
      answered: answered - before.answered,
      failed: failed - before.failed,
      missed: missed - before.missed,
    };
  }
}

/** A device that has another standing from now on, and why; and what an event tells of that. */
export function becomes(
  before: DeviceReport,
  state: DeviceReport["state"],
  why: Pick<DeviceReport, "code" | "reason">,
): { report: DeviceReport; news: Record<string, unknown> } {
  const { code: _code, reason: _reason, ...kept } = before;
  const identity = state === "online" && kept.identity !== undefined ? { identity: kept.identity } : {};
  return { report: { ...kept, ...why, state, sinceMs: Date.now() }, news: { state, ...why, ...identity } };
}

/** What is known of a device that has not been tried yet. */
export function newReport(id: string, sinceMs: number): DeviceReport {
  const reads = new Durations().counts;
  return {
    id,
    state: "starting",
    sinceMs,
    polls: 0,
    answered: 0,
    failed: 0,
    missed: 0,
    lastReadMs: 0,
    writable: false,
    reads,
  };
}
