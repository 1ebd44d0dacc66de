import type { EventKind } from "../event.ts";
import type { FromWorker } from "./outbox.ts";

/** Whether commits fail, and what is said of it at both ends. */
export class Failing {
  readonly #post: (message: FromWorker) => void;
  readonly #tell: (kind: EventKind, data: Record<string, unknown>) => void;
  #sinceMs = 0;
  /** Set while they fail: what the disk said. */
  reason: string | undefined;

  constructor(
    post: (message: FromWorker) => void,
    tell: (kind: EventKind, data: Record<string, unknown>) => void,
  ) {
    this.#post = post;
    this.#tell = tell;
  }

  begin(reason: string): void {
    if (reason === this.reason) return;
    if (this.reason === undefined) this.#sinceMs = Date.now();
    this.#post({ type: "failure", text: reason });
    this.reason = reason;
  }

  end(): void {
    const { reason } = this;
    if (reason === undefined) return;
    this.reason = undefined;
    this.#post({ type: "failure", text: undefined });
    const [from, to] = [this.#sinceMs, Date.now()].map((ms) => new Date(ms).toISOString());
    this.#tell("device-status", { state: "storage-recovered", from, to, reason });
  }
}
