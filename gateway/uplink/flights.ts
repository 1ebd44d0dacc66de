import { Pace } from "./pace.ts";
import { Pauses } from "./pauses.ts";

export type LaneName = "event" | "live" | "fill";

/** A message for the uplink to send; `key` comes back with `sent`, `refused` or a disconnect. */
export interface Message {
  key: number;
  lane: LaneName | "seal";
  payload: Buffer;
}

interface Flying<Batch> {
  batch: Batch;
  lane: LaneName;
  flight: ReturnType<Pace["leave"]>;
}

/** The messages on the way to one broker, and whether one more may go: window, pace of the line, refusals. */
export class Flights<Batch> {
  readonly pace = new Pace();
  readonly pauses = new Pauses();
  #windowMax = 1;
  readonly #count = { event: 0, live: 0, fill: 0 };
  readonly #flying = new Map<number, Flying<Batch>>();
  /** Sent over this connection before the queue was opened anew: they take room until the broker answers. */
  readonly #earlier = new Set<number>();

  get size(): number {
    return this.#flying.size + this.#earlier.size;
  }

  get hasRoom(): boolean {
    return this.size < this.#windowMax;
  }

  /** The connection goes on from others, whose batches are none of ours any more. */
  inherit(others: Flights<Batch>): void {
    for (const key of [...others.#flying.keys(), ...others.#earlier]) this.#earlier.add(key);
  }

  *batches(): Iterable<Batch> {
    for (const { batch } of this.#flying.values()) yield batch;
  }

  open(windowMax: number): void {
    this.#windowMax = windowMax;
    this.pauses.clear();
  }

  /** Backlog never takes more than half of the window. */
  admits(lane: LaneName, nowMs: number): boolean {
    const flying = this.#count[lane];
    if (!this.pauses.allows(lane, flying, nowMs)) return false;
    if (lane === "event") return true;
    if (lane === "fill" && flying >= Math.max(1, this.#windowMax >> 1)) return false;
    return this.pace.admits(lane, flying);
  }

  start(
    key: number,
    batch: Batch,
    lane: LaneName,
    bytes: { payload: number; form: number },
    nowMs: number,
  ): void {
    this.#count[lane]++;
    this.#flying.set(key, { batch, lane, flight: this.pace.leave(bytes.payload, bytes.form, nowMs) });
  }

  /** The broker has answered; undefined for a message of an earlier connection. */
  land(key: number, nowMs: number, good: boolean): Flying<Batch> | undefined {
    this.#earlier.delete(key);
    const flying = this.#flying.get(key);
    if (flying === undefined) return undefined;
    this.#flying.delete(key);
    this.#count[flying.lane]--;
    this.pace.land(flying.flight, nowMs, good);
    if (good) this.pauses.passed(flying.lane);
    return flying;
  }

  /** The connection is gone; gives back what was on the way. */
  close(): Batch[] {
    const batches = [...this.batches()];
    this.#flying.clear();
    this.#earlier.clear();
    this.#count.event = this.#count.live = this.#count.fill = 0;
    this.pace.reset();
    return batches;
  }
}
