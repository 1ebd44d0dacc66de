import type { EpochReport } from "./ledger.ts";
import type { EpochState, GatewayState } from "./store.ts";

/** A finished epoch of which nothing is missing. */
interface ClosedEpoch {
  wm: number;
  closed: true;
  seals?: number;
}

/**
 * What the receiver has in durable storage (`ack` topic). `run` is new with every receiver process; `sess` is the
 * session of the last birth seen. A gateway that sees a new `run` or its own new `sess` sends again what the
 * document does not cover.
 */
export interface Acknowledgement {
  v: 1;
  ts: number;
  run: string;
  sess?: number;
  ep: Record<string, (EpochReport & { seals?: number }) | ClosedEpoch>;
}

/**
 * An epoch in memory; `listedMs` = when an acknowledgement last listed it (monotonic), -Infinity = never. `seals` =
 * the number up to which its seals are stored, undefined = not read yet.
 */
export interface LiveEpoch extends EpochState {
  listedMs: number;
  seals?: number | undefined;
}

/** Epochs of one document, and how long a closed epoch is listed. */
const epochsMax = 8;
export const closedListedMs = 24 * 3600 * 1000;

/**
 * Picks the epochs of one document: the newest always, the others by turns (those with holes first), so that a
 * gateway with more than 8 hears of each. `nowMs` is monotonic.
 */
export function pickEpochs(epochs: Iterable<LiveEpoch>, nowMs: number): LiveEpoch[] {
  const sorted = [...epochs].sort((a, b) => b.epoch - a.epoch);
  const [newest, ...others] = sorted;
  if (newest === undefined) return [];
  if (others.length >= epochsMax) {
    others.sort(
      (a, b) => a.listedMs - b.listedMs || b.ledger.holeCount - a.ledger.holeCount || b.epoch - a.epoch,
    );
  }
  const picked = [newest, ...others.slice(0, epochsMax - 1)];
  for (const epoch of picked) epoch.listedMs = nowMs;
  return picked.sort((a, b) => b.epoch - a.epoch);
}

/** Builds the document; `holeAgeMs` 0 lists every hole. Only for committed ledgers. */
export function acknowledgement(
  run: string,
  gateway: GatewayState,
  epochs: readonly LiveEpoch[],
  holeAgeMs: number,
  nowMs: number,
): Acknowledgement {
  const ep: Acknowledgement["ep"] = {};
  for (const { epoch, ledger, seals = 0 } of epochs) {
    const report = ledger.closed
      ? { wm: ledger.watermark, closed: true as const }
      : ledger.report(holeAgeMs, nowMs);
    ep[epoch] = seals === 0 ? report : { ...report, seals };
  }
  return {
    v: 1,
    ts: Date.now(),
    run,
    ...(gateway.session === undefined ? {} : { sess: gateway.session }),
    ep,
  };
}
