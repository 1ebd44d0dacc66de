import type { Acknowledgement } from "./acknowledgement.ts";
import type { Message } from "./flights.ts";
import type { PendingSeal, SealSource } from "./seal.ts";

const pausedMs = 30_000;
const patienceMaxMs = 3_600_000;

/**
 * Sends the seals of one uplink, one at a time, and again until the receiver says that it has them: a PUBACK is not
 * custody here either. Their messages have negative keys, apart from those of the other lanes.
 */
export class SealLane {
  #source: SealSource;
  readonly #uplink: string;
  readonly #resendAfterMs: number;
  #version = -1;
  #pending: PendingSeal[] = [];
  readonly #sent = new Map<string, { atMs: number; tries: number }>();
  #flying: { key: number; name: string } | undefined;
  #nextKey = -1;
  #answered = "";
  #pausedUntilMs = 0;
  #bytesMax = 0;

  constructor(source: SealSource, uplink: string, resendAfterMs: number) {
    this.#source = source;
    this.#uplink = uplink;
    this.#resendAfterMs = resendAfterMs;
  }

  /** The queue was opened anew. */
  renew(source: SealSource): void {
    this.#source = source;
    this.#version = -1;
  }

  /** 1 while a seal is on its way. */
  get inFlight(): number {
    return this.#flying === undefined ? 0 : 1;
  }

  /** The next seal; undefined when none is due. */
  next(nowMs: number): Message | undefined {
    const mayGo = this.#flying === undefined && nowMs >= this.#pausedUntilMs;
    const seal = mayGo ? this.#due(nowMs) : undefined;
    if (seal === undefined) return undefined;
    const name = nameOf(seal);
    const tries = (this.#sent.get(name)?.tries ?? 0) + 1;
    this.#sent.set(name, { atMs: nowMs, tries });
    this.#flying = { key: this.#nextKey--, name };
    return { key: this.#flying.key, lane: "seal", payload: Buffer.from(seal.body) };
  }

  /** PUBACK; `isRefused`: with a reason >= 0x80. */
  landed(key: number, isRefused: boolean, nowMs: number): void {
    if (this.#flying?.key !== key) return;
    if (isRefused) this.#pausedUntilMs = nowMs + pausedMs;
    this.#flying = undefined;
  }

  /** The uplink has a session that takes messages of `bytesMax`; a larger seal waits for a better one. */
  connect(bytesMax: number): void {
    this.#bytesMax = bytesMax;
  }

  disconnect(): void {
    if (this.#flying !== undefined) this.#sent.delete(this.#flying.name);
    this.#flying = undefined;
    this.#pausedUntilMs = 0;
  }

  /** Forgets what the receiver has stored; the first word of a new receiver or session sends the rest again. */
  acknowledge(document: Acknowledgement): void {
    const answer = `${document.run}:${document.sess}`;
    if (answer !== this.#answered) this.#sent.clear();
    this.#answered = answer;
    for (const [epoch, { seals = 0 }] of Object.entries(document.ep)) {
      if (this.#list().some((seal) => seal.epoch === Number(epoch) && seal.no <= seals))
        this.#source.acknowledged(this.#uplink, Number(epoch), seals);
    }
  }

  #due(nowMs: number): PendingSeal | undefined {
    return this.#list().find((seal) => {
      if (seal.body.length > this.#bytesMax) return false;
      const sent = this.#sent.get(nameOf(seal));
      if (sent === undefined) return true;
      const patience = Math.min(patienceMaxMs, this.#resendAfterMs * 2 ** Math.min(16, sent.tries - 1));
      return nowMs - sent.atMs > patience;
    });
  }

  #list(): PendingSeal[] {
    if (this.#version !== this.#source.version) {
      this.#version = this.#source.version;
      this.#pending = this.#source.pending(this.#uplink);
      const names = new Set(this.#pending.map(nameOf));
      for (const name of this.#sent.keys()) if (!names.has(name)) this.#sent.delete(name);
    }
    return this.#pending;
  }
}

function nameOf({ epoch, no }: PendingSeal): string {
  return `${epoch}:${no}`;
}
