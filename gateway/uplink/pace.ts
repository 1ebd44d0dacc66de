/** One message on the way: what the pace needs again when its acknowledgement comes. */
export interface Flight {
  bytes: number;
  atMs: number;
  /** Bytes that had been acknowledged when it left, and when the last of them were. */
  deliveredBefore: number;
  sinceMs: number;
}

/**
 * How much of the line may be filled ahead, in ms of its own throughput. Backlog keeps it busy and no more; live
 * may queue longer, but never so long that an alarm behind it takes half a second.
 */
const aheadMs = { live: 250, fill: 40 };
/** TCP, TLS and MQTT around a payload. */
const overheadBytes = 150;
/** Messages that may always be on the way, or a thin line would never show what it can do. */
const flightsMin = { live: 3, fill: 1 };
/** Fill messages when none is on the way; each acknowledgement allows one more, so that no burst leaves at once. */
const fillFirst = 2;
const rateWindowMs = 2000;
const floorWindowMs = 30_000;
const floorMaxMs = 2000;
/** A fill message takes this long on the line at most. */
const messageMs = 120;
const formBytesMin = 1024;

/**
 * What the line carries, learnt from acknowledgements: bytes per ms (the best of the last seconds) and the delay of
 * an empty line (the shortest of the last minute). What is on the way beyond the product of both only makes a
 * queue, in the modem or in front of it, that an alarm must wait behind.
 * Source: N. Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5), 2016.
 */
export class Pace {
  #onTheWay = 0;
  #delivered = 0;
  #deliveredAtMs = 0;
  #rates = { now: 0, before: 0, sinceMs: 0 };
  #floors = { now: Infinity, before: Infinity, sinceMs: 0 };
  /** Fill holds back until nothing of it is on the way, so that the empty line is seen again. */
  #listening = false;
  #fillWindow = fillFirst;
  #wirePerForm = 1;

  /** The connection is gone; the next one may take another way. */
  reset(): void {
    this.#onTheWay = 0;
    this.#deliveredAtMs = 0;
    this.#rates = { now: 0, before: 0, sinceMs: 0 };
    this.#floors = { now: Infinity, before: Infinity, sinceMs: 0 };
    this.#listening = false;
  }

  /** Bytes per ms; 0 = not known yet. */
  get rate(): number {
    return Math.max(this.#rates.now, this.#rates.before);
  }

  /** Delay of the empty line, ms. */
  get floorMs(): number {
    return Math.min(this.#floors.now, this.#floors.before, floorMaxMs);
  }

  /** A message of `payloadBytes` leaves; `formBytes`: the same events before encoding. */
  leave(payloadBytes: number, formBytes: number, nowMs: number): Flight {
    const bytes = payloadBytes + overheadBytes;
    this.#wirePerForm = this.#wirePerForm * 0.9 + 0.1 * (bytes / Math.max(1, formBytes));
    const sinceMs = this.#onTheWay === 0 ? nowMs : Math.min(nowMs, this.#deliveredAtMs);
    this.#onTheWay += bytes;
    return { bytes, atMs: nowMs, deliveredBefore: this.#delivered, sinceMs };
  }

  /** Its acknowledgement is there; `good` = not a refusal, which may come from anywhere. */
  land(flight: Flight, nowMs: number, good: boolean): void {
    this.#onTheWay -= flight.bytes;
    if (!good) return;
    this.#fillWindow++;
    this.#delivered += flight.bytes;
    this.#deliveredAtMs = nowMs;
    const latencyMs = Math.max(0.5, nowMs - flight.atMs);
    if (nowMs - this.#rates.sinceMs > rateWindowMs)
      this.#rates = { now: 0, before: this.#rates.now, sinceMs: nowMs };
    const rate = (this.#delivered - flight.deliveredBefore) / Math.max(latencyMs, nowMs - flight.sinceMs);
    this.#rates.now = Math.max(this.#rates.now, rate);
    if (nowMs - this.#floors.sinceMs > floorWindowMs) {
      this.#listening = this.#floors.now !== Infinity;
      this.#floors = { now: Infinity, before: this.#floors.now, sinceMs: nowMs };
    }
    this.#floors.now = Math.min(this.#floors.now, latencyMs);
  }

  /** Whether one more message of a lane may leave; `flying` = how many of it are on the way. */
  admits(lane: "live" | "fill", flying: number): boolean {
    if (lane === "fill") {
      if (this.#listening && flying > 0) return false;
      this.#listening = false;
      if (flying === 0) this.#fillWindow = fillFirst;
      else if (flying >= this.#fillWindow) return false;
    }
    const { rate } = this;
    if (rate === 0 || flying < flightsMin[lane]) return true;
    return this.#onTheWay < rate * (this.floorMs + aheadMs[lane]);
  }

  /** Bytes (before encoding) of a fill message that does not hold up the line. */
  fillFormBytes(most: number): number {
    if (this.rate === 0) return most;
    const bytes = (this.rate * messageMs - overheadBytes) / this.#wirePerForm;
    return Math.min(most, Math.max(formBytesMin, Math.floor(bytes)));
  }
}
