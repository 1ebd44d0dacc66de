/** What a seed does: which kinds of faults it knows, and the sizes of everything. */

const faultKinds = [
  "gateway-kill",
  "kill-mid-turn",
  "power-cut",
  "host-kill",
  "disk-read-only",
  "disk-full",
  "disk-sectors",
  "disk-unsure",
  "bit-flip",
  "file-lost",
  "file-damaged",
  "file-page",
  "file-restored",
  "file-unlinked",
  "receiver-kill",
  "receiver-set-back",
  "receiver-disk",
  "link-cut",
  "link-stall",
  "link-slow",
  "receiver-link",
  "broker-restart",
  "broker-forgets",
  "broker-queue",
  "puback-swallowed",
  "batch-duplicated",
  "batch-forgotten",
  "batch-refused",
  "connack-refused",
  "ack-lost",
  "ack-late",
  "ack-repeated",
  "clock-step",
  "clock-proved",
  "device",
  "alarm-burst",
  "configuration",
  "tiny-budget",
  "tiny-ring",
  "tiny-window",
  "tiny-messages",
  "two-uplinks",
  "cloudevents",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Plan {
  faults: ReadonlySet<FaultKind>;
  devices: number;
  pollMs: number[];
  bytesMax: number;
  commitEventsMax: number;
  creditBytes: number;
  ringBytesMax: number;
  windowMax: number;
  messageBytesMax: number;
  resendAfterMs: number;
  sealEveryMs: number;
  reconnectMaxMs: number;
  /** Mean time between two faults of one kind. */
  betweenMs: number;
}

/** Swarm testing: each seed knows a random part of the faults, so that no fault hides behind another. */
export function makePlan(random: () => number): Plan {
  const density = pick(random, [0.1, 0.2, 0.35, 0.55]);
  const faults = new Set(faultKinds.filter(() => random() < density));
  const has = (kind: FaultKind): boolean => faults.has(kind);
  const devices = 2 + Math.floor(random() * 4);
  return {
    faults,
    devices,
    pollMs: Array.from({ length: devices }, () => pick(random, [2000, 5000, 10_000, 20_000, 60_000])),
    bytesMax: has("tiny-budget") ? pick(random, [262_144, 300_000, 393_216]) : 64 * 1024 * 1024,
    commitEventsMax: pick(random, [1, 20, 200]),
    creditBytes: has("tiny-ring") ? 2048 : 1024 * 1024,
    ringBytesMax: has("tiny-ring") ? pick(random, [2048, 8192]) : 8 * 1024 * 1024,
    windowMax: has("tiny-window") ? pick(random, [1, 2, 5]) : 20,
    messageBytesMax: has("tiny-messages") ? pick(random, [1024, 2048]) : 32_768,
    resendAfterMs: pick(random, [30_000, 180_000]),
    sealEveryMs: pick(random, [30_000, 120_000]),
    reconnectMaxMs: pick(random, [5000, 60_000]),
    betweenMs: pick(random, [120_000, 300_000, 600_000]),
  };
}

export function pick<Item>(random: () => number, list: readonly Item[]): Item {
  return list[Math.floor(random() * list.length)] as Item;
}
