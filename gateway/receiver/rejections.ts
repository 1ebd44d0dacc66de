import { performance } from "node:perf_hooks";
import type { Change } from "./change.ts";
import { gatewaysMax, type LiveGateway } from "./gateways.ts";
import { gatewayPattern } from "./messages.ts";
import type { Pending } from "./pending.ts";

const kept = 20;
const bodyBytesMax = 4096;
const reasonLengthMax = 500;
const logEveryMs = 60_000;

/** True when a line that was last logged at `loggedMs` (monotonic) may be logged again. */
export function mayLog(loggedMs: number): boolean {
  return performance.now() - loggedMs >= logEveryMs;
}

/** Messages that were not understood: all counted, the last 20 of a gateway kept, one line a minute. */
export class Rejections {
  readonly #pending: Pending;
  readonly #log: (change: Change) => void;
  #strangers = 0;
  #strangerLoggedMs = Number.NEGATIVE_INFINITY;

  constructor(pending: Pending, log: (change: Change) => void) {
    this.#pending = pending;
    this.#log = log;
  }

  add(gateway: LiveGateway, lane: string, payload: Uint8Array, reason: string): void {
    const { state } = gateway;
    this.#keep(state.id, state.rejected++, lane, payload, reason);
    if (!mayLog(gateway.rejectLoggedMs)) return;
    gateway.rejectLoggedMs = performance.now();
    const { id, rejected: count } = state;
    const short = reason.slice(0, 200);
    const text = `${id}: a message of lane ${lane} was rejected: ${short} (${count} in all)`;
    this.#log({ kind: "rejected", text, gateway: id, lane, reason: short, count });
  }

  /** From a gateway that has no valid id, or is one too many: kept under the empty id. */
  addStranger(id: string, lane: string, payload: Uint8Array): void {
    const name = JSON.stringify(id.slice(0, 80));
    const tooMany = gatewayPattern.test(id);
    const reason = tooMany
      ? `${name} is one gateway more than ${gatewaysMax}`
      : `${name} is not a gateway id`;
    this.#keep("", this.#strangers++, lane, payload, reason);
    if (!mayLog(this.#strangerLoggedMs)) return;
    this.#strangerLoggedMs = performance.now();
    this.#log({ kind: "rejected", text: `a message was rejected: ${reason}`, reason });
  }

  #keep(gateway: string, count: number, lane: string, payload: Uint8Array, reason: string): void {
    const body = Buffer.from(payload.subarray(0, bodyBytesMax));
    const row = { gateway, slot: count % kept, receivedMs: Date.now(), lane, body };
    this.#pending.reject({ ...row, reason: reason.slice(0, reasonLengthMax) });
  }
}

export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
