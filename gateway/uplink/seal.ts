/** Numbers that will never come, and why. */
export type Tomb = [from: number, to: number, reason: string];

/**
 * The seal of a period of one epoch: its events are the numbers from `from` to `to` without those in `tomb`, `n` in
 * all. Seals of an epoch count from 1 (`no`); on the wire they are JSON, lane `seal`.
 */
export interface Seal {
  v: 1;
  gw: string;
  ep: number;
  no: number;
  from: number;
  to: number;
  n: number;
  /** Length of a period, and the period or periods of `recorded` time that this seal is for, ms. */
  every: number;
  fromMs: number;
  toMs: number;
  /** The worst clock state of its events: 0 synced, 1 holdover, 2 unsynced. */
  clock: number;
  tomb: Tomb[];
  /** In the first seal of an epoch: the epoch before it that had events, and its last number. */
  after?: [epoch: number, last: number];
  /** The last seal of its epoch. */
  end?: true;
  /** Hex. `h` of the seal before (or the start of the chain), and the chain over the events and `sealHead`. */
  prev: string;
  h: string;
}

/** The text that closes a seal's chain: what the seal says besides its events. */
export function sealHead(seal: Omit<Seal, "h">): string {
  const { no, from, to, n, every, fromMs, toMs, clock, tomb, after = null, end = false } = seal;
  return JSON.stringify([1, no, from, to, n, every, fromMs, toMs, clock, tomb, after, end]);
}

/** A seal that waits for the receiver: `body` is its JSON. */
export interface PendingSeal {
  epoch: number;
  no: number;
  body: string;
}

/** Where the seals of one uplink are kept until the receiver has stored them. */
export interface SealSource {
  /** Changes whenever `pending` may answer something else. */
  readonly version: number;
  /** The oldest ones, in order. */
  pending(uplink: string): PendingSeal[];
  acknowledged(uplink: string, epoch: number, no: number): void;
}
