import { quality, type KerbEvent } from "../event.ts";
import type { Store } from "./store.ts";

/** Epochs that one jump may speak of: those of one boot. */
const epochsMax = 256;

/** A time that was taken while the gateway's clock was known to be wrong. */
interface Unsynced {
  epoch: number;
  timeMs: number;
  monoMs?: number;
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

/**
 * Times of gateways whose clock was wrong, put right when they are read: the jump to the right time (`clock_step`)
 * says what the monotonic time beside them was. What is stored stays as it came.
 */
export class ClockSteps {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Remembers what an event tells of a clock that was set; true: it is news. */
  take({ gateway, device, kind, clock, data = {} }: KerbEvent): boolean {
    if (kind !== "gap" || device !== gateway || data["cause"] !== "clock_step" || clock === "unsynced")
      return false;
    const { monoMs, epochs } = data;
    const wallMs = Date.parse(String(data["to"]));
    if (!isWhole(monoMs) || !isWhole(wallMs) || !Array.isArray(epochs)) return false;
    for (const epoch of epochs.filter(isWhole).slice(-epochsMax))
      this.#store.run(
        "INSERT OR IGNORE INTO clock_step VALUES (?, ?, ?, ?, ?)",
        gateway,
        epoch,
        monoMs,
        wallMs,
        Number(clock === "synced"),
      );
    return true;
  }

  /** The true time (ms) by the first proof after it, else by the first plausible clock; undefined: not known. */
  rightMs(gateway: string, { epoch, monoMs }: Unsynced): number | undefined {
    if (monoMs === undefined) return undefined;
    const sql =
      "SELECT mono, wall FROM clock_step WHERE gw = ? AND ep = ? AND mono >= ? ORDER BY proved DESC, mono LIMIT 1";
    const step = this.#store.all(sql, gateway, epoch, Math.floor(monoMs))[0];
    if (step === undefined) return undefined;
    return Math.round((step["wall"] as number) - ((step["mono"] as number) - monoMs));
  }

  /** The event with its times as they are known by now; a corrected one is "holdover" and keeps the time that it was told with. */
  corrected(event: KerbEvent): KerbEvent {
    const rightMs = event.clock === "unsynced" ? this.rightMs(event.gateway, event) : undefined;
    if (rightMs === undefined) return event;
    const shift = rightMs - event.timeMs;
    // A time that was read off the clock when that was right already does not move.
    const right = (ms: number): number =>
      Math.abs(ms - event.timeMs) <= Math.abs(ms - rightMs) ? ms + shift : ms;
    const { readings, data } = event;
    return {
      ...event,
      timeMs: rightMs,
      recordedMs: right(event.recordedMs),
      clock: "holdover",
      toldMs: event.timeMs,
      ...(readings === undefined
        ? {}
        : {
            readings: readings.map((one) => ({
              ...one,
              timeMs: one.timeMs + shift,
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
