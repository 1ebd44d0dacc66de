import { type GapLedger, gapOf } from "./gap-ledger.ts";
import type { OutboxStore } from "./store.ts";

/**
 * One gap as the box knows it. `lost`: how many events or polls are missing, where that is known. `told`: whether
 * every receiver has its event, it still waits, or it was dropped itself.
 */
export interface KnownGap {
  /** Number of the event that told it last. */
  epoch: number;
  seq: number;
  recordedMs: number;
  fromMs: number;
  toMs: number;
  cause: string;
  /** Whom it is about; empty: the whole gateway. */
  devices: string[];
  code?: string;
  lost?: { events: number } | { polls: number };
  /** "unended": its run ended before it did; what came then is told by that gap and by the next run. */
  state: "open" | "closed" | "unended";
  told: "acknowledged" | "waiting" | "dropped";
  /** What else the event says of it. */
  details: Record<string, unknown>;
}

/** What of a queue the gaps are read from. */
export type GapSource = Pick<
  OutboxStore,
  "dictionary" | "epoch" | "epochs" | "epochOf" | "corrected" | "releasedBy"
> & { gaps: Pick<GapLedger, "list"> };

/** The gaps that end at or after `sinceMs`, the oldest first; a later event of the same gap replaces the earlier. */
export function knownGaps(
  store: GapSource,
  { gateway, uplinks }: { gateway: string; uplinks: readonly { name: string }[] },
  sinceMs = -Infinity,
): KnownGap[] {
  const gaps = new Map<string, KnownGap>();
  const { dictionary } = store;
  for (const { lost, ...row } of store.gaps.list()) {
    // An epoch of which nothing is left to deliver is forgotten.
    const known = store.epochs.some(({ base }) => base < row.id);
    const { epoch, base } = known ? store.epochOf(row.id) : { epoch: 0, base: 0 };
    const { device, data } = gapOf((known ? store.corrected(row) : row).body);
    const id = dictionary.device(device)?.id ?? `#${device}`;
    const isHeard = !known || uplinks.every(({ name }) => store.releasedBy(name, epoch) >= row.id - base);
    const gap: KnownGap = {
      ...factsOf(data, id === gateway ? [] : [id]),
      epoch,
      seq: row.id - base,
      recordedMs: row.recordedMs,
      told: lost === 1 ? "dropped" : isHeard && uplinks.length > 0 ? "acknowledged" : "waiting",
    };
    const key = (from: unknown) => `${id} ${gap.cause} ${String(from)}`;
    const isOutage = gap.cause === "device_offline" || gap.cause === "not_listening";
    if (isOutage) gaps.delete(key(data["replaces"]));
    if (gap.cause === "disabled") {
      // Told at the start that found it switched off, and at the one that found it on again.
      const before = gaps.get(key(""));
      gap.fromMs = Math.min(gap.fromMs, before?.state === "open" ? before.fromMs : gap.fromMs);
      gaps.delete(key(""));
      gaps.set(gap.state === "open" ? key("") : `${row.id}`, gap);
      continue;
    }
    if (gap.state === "open" && epoch !== store.epoch) gap.state = "unended";
    gaps.set(isOutage ? key(data["from"]) : `${row.id}`, gap);
  }
  return [...gaps.values()]
    .filter(({ toMs, state }) => state === "open" || toMs >= sinceMs)
    .toSorted((a, b) => a.fromMs - b.fromMs);
}

type Facts = Omit<KnownGap, "epoch" | "seq" | "recordedMs" | "told">;

/** What the data of a gap event say (`gaps.ts`); `own`: the device that the event is of. */
function factsOf(data: Record<string, unknown>, own: string[]): Facts {
  const { cause, from, to, open, code, devices, device, lostCount, pollsMissed, ...details } = data;
  const named = (Array.isArray(devices) ? devices : device === undefined ? [] : [device]).map((one) =>
    typeof one === "object" && one !== null
      ? String((one as Record<string, unknown>)["device"])
      : String(one),
  );
  return {
    fromMs: Date.parse(String(from)),
    toMs: Date.parse(String(to)),
    cause: String(cause),
    devices: [...new Set([...own, ...named])],
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof lostCount === "number" ? { lost: { events: lostCount } } : {}),
    ...(typeof pollsMissed === "number" ? { lost: { polls: pollsMissed } } : {}),
    state: open === true ? "open" : "closed",
    details,
  };
}
