const windowMs = 60_000;

/** Lets so many refused commands a minute onto the record; of the others it tells how many there were of each code. */
export class Refusals {
  readonly #perMinute: number;
  readonly #summary: (codes: Record<string, number>) => void;
  #count = 0;
  #codes = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(perMinute: number, summary: (codes: Record<string, number>) => void) {
    this.#perMinute = perMinute;
    this.#summary = summary;
  }

  /** False: it is only counted. */
  take(code: string): boolean {
    this.#timer ??= setTimeout(() => this.flush(), windowMs).unref();
    if (++this.#count <= this.#perMinute) return true;
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
    return false;
  }

  /** Ends the minute. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#count = 0;
    if (this.#codes.size > 0) this.#summary(Object.fromEntries(this.#codes));
    this.#codes.clear();
  }
}
