/** What the receiver has of one epoch, in event numbers; see ARCHITECTURE.md, "The contract with the IOC". */
export interface Acknowledged {
  /** Every number up to this is on the receiver's disk, or declared lost. */
  wm: number;
  /** So is every number up to this that is not in `miss`. */
  top?: number;
  miss?: [number, number][];
  closed?: boolean;
  /** Every seal of the epoch up to this one is on the receiver's disk. */
  seals?: number;
}

/** Receiver → gateway, kerb contract v1. `run` names the receiver's process, `sess` the birth it speaks of. */
export interface Acknowledgement {
  v: 1;
  ts: number;
  run?: string;
  sess?: number;
  ep: Record<string, Acknowledged>;
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRange(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [first, last] = value as unknown[];
  return isNumber(first) && isNumber(last) && first <= last;
}

function isAcknowledged(value: unknown): value is Acknowledged {
  if (!isRecord(value) || !isNumber(value["wm"])) return false;
  const { top, miss, seals } = value;
  return (
    (top === undefined || isNumber(top)) &&
    (seals === undefined || isNumber(seals)) &&
    (miss === undefined || (Array.isArray(miss) && miss.every(isRange)))
  );
}

/** Checks a document from the broker, which anyone may have written. Throws `RangeError` with what is wrong. */
export function parseAcknowledgement(document: unknown): Acknowledgement {
  if (!isRecord(document) || document["v"] !== 1 || !isRecord(document["ep"])) {
    throw new RangeError("not an acknowledgement of version 1");
  }
  for (const [epoch, state] of Object.entries(document["ep"])) {
    if (!/^\d{1,15}$/.test(epoch) || !isAcknowledged(state)) {
      throw new RangeError(`an acknowledgement says nothing usable of epoch "${epoch.slice(0, 20)}"`);
    }
  }
  const { run, sess } = document;
  if ((run !== undefined && typeof run !== "string") || (sess !== undefined && !isNumber(sess))) {
    throw new RangeError("an acknowledgement names no usable run or session");
  }
  return document as unknown as Acknowledgement;
}
