import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { KerbEvent } from "../event.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { MissedEvents, Tails } from "../control/tails.ts";

/** Where a test event is: on this box's disk, then with the receiver of each uplink. ms since it was made. */
export type TestStep =
  | { step: "stored"; epoch: number; seq: number; ms: number }
  | { step: "confirmed"; uplink: string; ms: number };

const lookMs = 100;

/**
 * Sends a real event of the gateway (`device-status`, `report: "test"`) and tells how it fares, until the asker goes.
 * `self`: dictionary index of the gateway.
 */
export async function* followTest(
  outbox: Pick<Outbox, "tell" | "request">,
  tails: Tails,
  self: number,
  signal: AbortSignal,
): AsyncGenerator<TestStep> {
  const startedMs = performance.now();
  const spent = () => Math.round(performance.now() - startedMs);
  const test = randomUUID();
  const isOurs = (one: KerbEvent | MissedEvents): one is KerbEvent =>
    "data" in one && one.data?.["test"] === test;
  const found = new AbortController();
  const events = tails.follow(AbortSignal.any([signal, found.signal]));
  const first = events.next();
  outbox.tell({ type: "event", kind: "device-status", device: self, data: { report: "test", test } });
  let at: KerbEvent | undefined;
  for (let next = await first; next.done !== true && at === undefined; next = await events.next())
    if (isOurs(next.value)) {
      at = next.value;
      found.abort();
    }
  if (at === undefined) return;
  const { epoch, seq } = at;
  yield { step: "stored", epoch, seq, ms: spent() };
  const confirmed = new Set<string>();
  while (!signal.aborted) {
    for (const mark of await outbox.request("released")) {
      if (mark.epoch !== epoch || mark.watermark < seq || confirmed.has(mark.uplink)) continue;
      confirmed.add(mark.uplink);
      yield { step: "confirmed", uplink: mark.uplink, ms: spent() };
    }
    await sleep(lookMs, undefined, { signal }).catch(() => {});
  }
}
