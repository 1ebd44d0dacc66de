import type { Bench } from "./bench.ts";
import { checkDevice } from "./checks.ts";
import type { Refusal } from "./command.ts";
import { carryOut } from "./execution.ts";
import { type Lease, leaseLeftMs } from "./memory.ts";

/**
 * Devices that fall back by themselves when nobody says again what they are to do: what is leased is written again
 * while the lease lives, and only where it still stands. With the gateway this ends, and the device is on its own.
 */

interface Round {
  /** The command whose lease it is. */
  id: string;
  /** Monotonic ms of the next one. */
  dueMs: number;
  isRunning: boolean;
  /** The last failure that is on the record. */
  noted: string | undefined;
}

export class Refreshing {
  readonly #bench: Bench;
  readonly #over: (lease: Lease, why: Refusal) => Promise<void>;
  readonly #rounds = new Map<string, Round>();
  #timer: NodeJS.Timeout | undefined;

  /** `over`: the device has let go of the value by itself, or somebody has taken over; called in its turn. */
  constructor(bench: Bench, over: (lease: Lease, why: Refusal) => Promise<void>) {
    this.#bench = bench;
    this.#over = over;
  }

  /** Writes again what is due, and comes back when the next one is. */
  look(): void {
    clearTimeout(this.#timer);
    const { memory, options, isStopping } = this.#bench;
    if (isStopping) return;
    const { monoMs } = options.now();
    let waitMs = Infinity;
    const leases = new Map(memory.leases.map((lease) => [`${lease.dev}/${lease.point}`, lease]));
    for (const key of this.#rounds.keys()) if (!leases.has(key)) this.#rounds.delete(key);
    for (const [key, lease] of leases) {
      if (lease.refreshMs === undefined || leaseLeftMs(lease, options.now()) <= 0) continue;
      const round = this.#roundOf(key, lease);
      if (round.isRunning) continue;
      if (round.dueMs <= monoMs) void this.#run(lease, round, lease.refreshMs);
      else waitMs = Math.min(waitMs, round.dueMs - monoMs);
    }
    if (waitMs < Infinity) this.#timer = setTimeout(() => this.look(), Math.ceil(waitMs)).unref();
  }

  #roundOf(key: string, { id, fromMono, refreshMs = 0 }: Lease): Round {
    const known = this.#rounds.get(key);
    if (known?.id === id) return known;
    const made: Round = { id, dueMs: fromMono + refreshMs, isRunning: false, noted: undefined };
    this.#rounds.set(key, made);
    return made;
  }

  async #run(lease: Lease, round: Round, refreshMs: number): Promise<void> {
    const { queue, options } = this.#bench;
    round.isRunning = true;
    await queue
      .run(lease.dev, () => this.#write(lease, round))
      .catch((error: unknown) => {
        this.#bench.log(`the lease of ${lease.dev} ${lease.point} was not refreshed: ${String(error)}`);
      });
    round.isRunning = false;
    // What came too late is not made up for.
    round.dueMs = Math.max(round.dueMs + refreshMs, options.now().monoMs + refreshMs / 2);
    this.look();
  }

  async #write(of: Lease, round: Round): Promise<void> {
    const { memory, options, journal, writeTimeoutMs, isStopping } = this.#bench;
    const { id, dev, point, value } = of;
    const lease = memory.lease(dev, point);
    const leftMs = lease?.id === id ? leaseLeftMs(lease, options.now()) : 0;
    if (lease === undefined || leftMs <= 0 || isStopping) return;
    // Its lease is on the record, with how often it is refreshed: so is each of these writes.
    const failure =
      checkDevice(dev, of.isLocal === true, options.facts(dev)) ??
      (await carryOut(this.#bench, {
        device: dev,
        point,
        value,
        timeoutMs: writeTimeoutMs,
        beginMs: Math.min(writeTimeoutMs, leftMs),
        isRefresh: true,
        isLocal: of.isLocal,
      }));
    const { code, reason = "" } = failure;
    if (code === "KERB-CMD-LAPSED" || code === "KERB-CMD-OVERRIDE")
      return this.#over(lease, { code, reason });
    if (code !== undefined && code !== round.noted)
      journal.note({ ev: "not-refreshed", of: id, dev, point, code, reason });
    round.noted = code;
  }
}
