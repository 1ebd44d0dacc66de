/** What a batch is held against: connections that ended while it was on the way. */
export interface Suspect {
  deaths: number;
  /** Other messages got through since. */
  witnessed: boolean;
}

/**
 * Batches on whose way the broker hung up. They go one at a time and with nothing else on the way, by turns with
 * others: should the broker hang up again it is clear on what, and that others get through shows that it is not the
 * link.
 */
export class Suspects<Batch extends Suspect> {
  #waiting: Batch[] = [];
  #isOthersTurn = true;

  get size(): number {
    return this.#waiting.length;
  }

  /** A new connection shows first that it carries anything at all. */
  connect(): void {
    this.#isOthersTurn = true;
  }

  add(batch: Batch): void {
    this.#waiting.push(batch);
  }

  /** It was chosen and could not be rendered. */
  giveBack(batch: Batch): void {
    this.#waiting.unshift(batch);
  }

  remove(batch: Batch): void {
    this.#waiting = this.#waiting.filter((one) => one !== batch);
  }

  /** What goes next: another message when it is their turn and there is one, else a suspect. */
  next<Chosen>(other: () => Chosen | undefined, suspect: (batch: Batch) => Chosen): Chosen | undefined {
    const chosen = this.#isOthersTurn ? other() : undefined;
    if (chosen !== undefined) return chosen;
    const batch = this.#waiting.shift();
    return batch === undefined ? undefined : suspect(batch);
  }

  /** A batch got through: it is no suspect any more, and a witness against the others. */
  passed(batch: Batch): void {
    this.#isOthersTurn = batch.deaths > 0;
    for (const suspect of this.#waiting) suspect.witnessed = true;
    batch.deaths = 0;
    batch.witnessed = false;
  }
}

/** How large a payload may be: as granted, and as learnt from a broker that has no word for its limit (3.1.1). */
export class SizeLimit {
  granted = Infinity;
  #learnt = Infinity;
  /** The largest that got through. */
  #proven = 0;

  get max(): number {
    return Math.min(this.granted, this.#learnt);
  }

  passed(bytes: number): void {
    this.#proven = Math.max(this.#proven, bytes);
  }

  /** So many bytes did not get through: tries `guess` next. False when as many did before, so it is not the size. */
  learn(bytes: number, guess: number): boolean {
    if (bytes <= this.#proven) return false;
    this.#learnt = Math.min(this.#learnt, Math.max(this.#proven, guess));
    return true;
  }
}
