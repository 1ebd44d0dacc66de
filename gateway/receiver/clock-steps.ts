import { putRight } from "../clock.ts";
import { quality, type KerbEvent } from "../event.ts";
import type { Store } from "./store.ts";

/** Epochs that one jump may speak of: those of one boot. */
const epochsMax = 256;
/** Jumps that are kept of one epoch: proofs before others, the newest first. */
const stepsMax = 64;
/** Epochs whose jumps are kept in memory. */
const knownMax = 1000;

/** The true time of a moment, and the latest that it can be by the arrival of what tells it, ms. */
export interface RightTime {
  ms: number;
  latestMs: number;
}

interface Step {
  mono: number;
  wall: number;
  received_ms: number;
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

/**
 * Times of gateways whose clock was wrong, put right when they are read: the jump to the right time (`clock_step`)
 * says what the monotonic time beside them was. What is stored stays as it came.
 */
export class ClockSteps {
  readonly #store: Store;
  /** By epoch and gateway, as far as it was asked for: what a wrong clock tells must not cost a query each. */
  readonly #known = new Map<string, readonly Step[]>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Remembers what an event tells of a clock that was set; true: it is news. */
  take({ gateway, device, kind, clock, data = {} }: KerbEvent, receivedMs: number): boolean {
    if (kind !== "gap" || device !== gateway || data["cause"] !== "clock_step" || clock === "unsynced")
      return false;
    const { monoMs, epochs } = data;
    const wallMs = Date.parse(String(data["to"]));
    if (!isWhole(monoMs) || !isWhole(wallMs) || !Array.isArray(epochs)) return false;
    let isNews = false;
    for (const epoch of epochs.filter(isWhole).slice(-epochsMax)) {
      const values = [gateway, epoch, monoMs, wallMs, Number(clock === "synced"), receivedMs];
      if (this.#store.run("INSERT OR IGNORE INTO clock_set VALUES (?, ?, ?, ?, ?, ?)", ...values) === 0)
        continue;
      isNews = true;
      this.#known.clear();
      const surplus =
        "SELECT mono FROM clock_set WHERE gw = ? AND ep = ? ORDER BY proved DESC, mono DESC LIMIT -1 OFFSET ?";
      const sql = `DELETE FROM clock_set WHERE gw = ? AND ep = ? AND mono IN (${surplus})`;
      this.#store.run(sql, gateway, epoch, gateway, epoch, stepsMax);
    }
    return isNews;
  }

  /** The true time by the first proof after it, else by the first plausible clock; undefined: not known. */
  right(gateway: string, epoch: number, monoMs: number | undefined): RightTime | undefined {
    if (monoMs === undefined) return undefined;
    const step = this.#of(gateway, epoch).find(({ mono }) => mono >= Math.floor(monoMs));
    if (step === undefined) return undefined;
    return { ms: Math.round(step.wall - (step.mono - monoMs)), latestMs: step.received_ms };
  }

  /** The jumps of an epoch, proofs before others, the earliest first. */
  #of(gateway: string, epoch: number): readonly Step[] {
    const key = `${epoch}\n${gateway}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const sql =
      "SELECT mono, wall, received_ms FROM clock_set WHERE gw = ? AND ep = ? ORDER BY proved DESC, mono";
    const steps = this.#store.all(sql, gateway, epoch) as unknown as Step[];
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(key, steps);
    return steps;
  }

  /** The event with its times as they are known by now; a corrected one is "holdover" and keeps the time that it was told with. */
  corrected(event: KerbEvent): KerbEvent {
    const { gateway, epoch, timeMs, monoMs, clock, readings, data } = event;
    const rightMs = clock === "unsynced" ? this.right(gateway, epoch, monoMs)?.ms : undefined;
    if (rightMs === undefined) return event;
    const right = (ms: number): number => putRight(ms, timeMs, rightMs);
    return {
      ...event,
      timeMs: rightMs,
      // Told by the same clock.
      recordedMs: event.recordedMs + rightMs - timeMs,
      clock: "holdover",
      toldMs: timeMs,
      ...(readings === undefined
        ? {}
        : {
            readings: readings.map((one) => ({
              ...one,
              timeMs: right(one.timeMs),
              quality: one.quality & ~quality.clockUnsynced,
            })),
          }),
      ...(data === undefined ? {} : { data: event.kind === "gap" ? withSpan(data, right) : data }),
    };
  }
}

/** The times of a gap; those of a set clock are what the clock showed. */
function withSpan(data: Record<string, unknown>, right: (ms: number) => number): Record<string, unknown> {
  if (data["cause"] === "clock_step") return data;
  const span: Record<string, unknown> = {};
  for (const name of ["from", "to"]) {
    const ms = Date.parse(String(data[name]));
    if (Number.isFinite(ms)) span[name] = new Date(right(ms)).toISOString();
  }
  return { ...data, ...span };
}
