import type { Bench } from "./bench.ts";
import { checkDevice } from "./checks.ts";
import { newCommandId, type Refusal } from "./command.ts";
import { carryOut, type Job } from "./execution.ts";
import type { Happening } from "./journal-lines.ts";
import { type Lease, leaseLeftMs } from "./memory.ts";
import { Refreshing } from "./refreshing.ts";

/** Points that go back by themselves: when their time is over, also after a restart, and again until they are back. */

export const leasesMax = 256;
const retryMsMax = 60_000;

interface Attempt {
  /** The command whose lease it is; another one has its own attempts. */
  id: string;
  /** Monotonic ms; not tried before. */
  notBeforeMs: number;
  pauseMs: number;
  /** The last failure that was told: the same one is not told again. */
  told: string | undefined;
  /** That it is written is on the record; once more after another failure. */
  isRecorded: boolean;
  /** The point is back, and only the record of that is missing: it is not written again. */
  isBack: boolean;
  isRunning: boolean;
}

export class Leases {
  readonly #bench: Bench;
  readonly #attempts = new Map<string, Attempt>();
  readonly #settle: Job["settle"];
  readonly #refreshing: Refreshing;
  #timer: NodeJS.Timeout | undefined;

  constructor(bench: Bench, settle: Job["settle"]) {
    this.#bench = bench;
    this.#settle = settle;
    this.#refreshing = new Refreshing(bench, this.#end.bind(this));
  }

  /** Returns what is due, and comes back when the next one is. */
  look(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { memory, options } = this.#bench;
    if (this.#bench.isStopping) return;
    const nowMs = options.now().monoMs;
    let waitMs = Infinity;
    const keys = new Set<string>();
    for (const lease of memory.leases) {
      const key = `${lease.dev}/${lease.point}`;
      keys.add(key);
      const attempt = this.#attemptOf(key, lease.id);
      const leftMs = this.#override(lease) === undefined ? this.leftMs(lease) : 0;
      const dueMs = Math.max(leftMs, attempt.notBeforeMs - nowMs);
      if (attempt.isRunning) continue;
      if (dueMs <= 0) void this.#giveBack(lease, attempt);
      else waitMs = Math.min(waitMs, dueMs);
    }
    for (const key of this.#attempts.keys()) if (!keys.has(key)) this.#attempts.delete(key);
    if (waitMs < Infinity) this.#timer = setTimeout(() => this.look(), Math.ceil(waitMs)).unref();
    this.#refreshing.look();
  }

  /** A device may be there again. */
  wake(device: string): void {
    for (const [key, attempt] of this.#attempts)
      if (key.startsWith(`${device}/`)) attempt.notBeforeMs = -Infinity;
    this.look();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Until a lease is over, ms. */
  leftMs(lease: Lease): number {
    return leaseLeftMs(lease, this.#bench.options.now());
  }

  /** A person at the device has taken over, and it is not he whose lease it is. */
  #override({ dev, isLocal }: Lease): Refusal | undefined {
    const reason = isLocal === true ? undefined : this.#bench.options.facts(dev)?.override;
    return reason === undefined ? undefined : { code: "KERB-CMD-OVERRIDE", reason };
  }

  #attemptOf(key: string, id: string): Attempt {
    const known = this.#attempts.get(key);
    if (known?.id === id) return known;
    const { retryFirstMs } = this.#bench;
    const made: Attempt = {
      id,
      notBeforeMs: -Infinity,
      pauseMs: retryFirstMs,
      told: undefined,
      isRecorded: false,
      isBack: false,
      isRunning: false,
    };
    this.#attempts.set(key, made);
    return made;
  }

  async #giveBack(lease: Lease, attempt: Attempt): Promise<void> {
    const { queue, options } = this.#bench;
    attempt.isRunning = true;
    await queue
      .run(lease.dev, () => this.#write(lease, attempt))
      .catch((error: unknown) => {
        this.#bench.log(`the lease of ${lease.dev} ${lease.point} was not returned: ${String(error)}`);
      });
    attempt.isRunning = false;
    attempt.notBeforeMs = options.now().monoMs + attempt.pauseMs;
    attempt.pauseMs = Math.min(retryMsMax, attempt.pauseMs * 2);
    this.look();
  }

  async #write({ id: of, dev, point, returnTo: earlier }: Lease, attempt: Attempt): Promise<void> {
    const { memory, options, journal, writeTimeoutMs, isStopping } = this.#bench;
    // While it waited for its turn the point may have been ordered anew.
    const lease = memory.lease(dev, point);
    if (lease?.id !== of || isStopping) return;
    const override = this.#override(lease);
    if (override !== undefined) return this.#end(lease, override);
    if (this.leftMs(lease) > 0) return;
    // Whatever stood there before: a schedule says what is to stand there now.
    const returnTo = this.#bench.scheduled(dev, point) ?? earlier;
    if (attempt.isBack) {
      await this.#record({ ev: "returned", of, dev, point, value: returnTo, late: true });
      return;
    }
    const about = { id: newCommandId(), dev, args: { [point]: returnTo }, returns: of };
    const refused = checkDevice(dev, lease.isLocal === true, options.facts(dev));
    if (refused !== undefined) {
      if (refused.code !== attempt.told)
        this.#bench.tell(this.#bench.state({ ...about, state: "running", ...refused }));
      attempt.told = refused.code;
      return;
    }
    await this.#settle(dev, [point]);
    if (memory.lease(dev, point)?.id !== of) return;
    // A disk that fails must not leave a barrier open: the point goes back, on the record or not.
    attempt.isRecorded ||= await this.#record({ ev: "returning", of, dev, point, value: returnTo });
    const outcome = await carryOut(this.#bench, {
      device: dev,
      point,
      value: returnTo,
      timeoutMs: writeTimeoutMs,
      beginMs: writeTimeoutMs,
      isLocal: lease.isLocal,
    });
    // He has come in this very moment.
    if (outcome.code === "KERB-CMD-OVERRIDE")
      return this.#end(lease, { code: outcome.code, reason: outcome.reason ?? "" });
    const { state, code, reason, readBack } = outcome;
    const more = {
      ...(code === undefined ? {} : { code }),
      ...(reason === undefined ? {} : { reason }),
      ...(readBack === undefined ? {} : { readBack: { [point]: readBack } }),
    };
    if (state === "done") {
      attempt.isBack = true;
      const isKept = await this.#record({ ev: "returned", of, dev, point, value: returnTo });
      const unrecorded = isKept ? {} : { unrecorded: true as const };
      this.#bench.tell(this.#bench.state({ ...about, state, ...more, ...unrecorded }));
      return;
    }
    const failure = code ?? state;
    if (failure === attempt.told) return;
    attempt.told = failure;
    attempt.isRecorded = false;
    journal.note({ ev: "not-returned", of, dev, point, ...outcome });
    // It is tried again: this is not the end of it.
    this.#bench.tell(this.#bench.state({ ...about, state: "running", ...more }));
  }

  /** It is over before its time, and nothing is written. */
  async #end({ id: of, dev, point, returnTo }: Lease, { code, reason }: Refusal): Promise<void> {
    if (!(await this.#record({ ev: "lease-end", of, dev, point, code, reason }))) return;
    const about = { id: newCommandId(), dev, args: { [point]: returnTo }, returns: of };
    this.#bench.tell(this.#bench.state({ ...about, state: "failed", code, reason }));
  }

  /** False: it is not on the record, and the log says why. */
  async #record(happening: Happening): Promise<boolean> {
    try {
      await this.#bench.journal.append(happening);
      return true;
    } catch (error) {
      const { ev, dev, point } = happening;
      this.#bench.log(`"${ev}" of ${String(dev)} ${String(point)} is not on the record: ${String(error)}`);
      return false;
    }
  }
}
