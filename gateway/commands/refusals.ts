const windowMs = 60_000;

/**
 * What comes in a minute, each with a budget of its own, so that none uses up another's. On the record: `signed` and
 * `unsigned` refusals, and a `replay`; told, from memory: an `answer`.
 */
export type Budgets = Record<"signed" | "unsigned" | "replay" | "answer", number>;

/** Whoever has no key gets a few: the journal keeps what matters for months, and not what anybody likes to send. */
const usual: Budgets = { signed: 120, unsigned: 6, replay: 6, answer: 120 };

/** Lets so many refused and repeated commands a minute through; of the others it tells how many there were of each code. */
export class Refusals {
  readonly #budgets: Budgets;
  readonly #summary: (codes: Record<string, number>) => void;
  #counts: Partial<Budgets> = {};
  #codes = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(budgets: Partial<Budgets>, summary: (codes: Record<string, number>) => void) {
    this.#budgets = { ...usual, ...budgets };
    this.#summary = summary;
  }

  /** False: it is only counted. */
  take(kind: keyof Budgets, code: string): boolean {
    this.#timer ??= setTimeout(() => this.flush(), windowMs).unref();
    const count = (this.#counts[kind] ?? 0) + 1;
    this.#counts[kind] = count;
    if (count <= this.#budgets[kind]) return true;
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
    return false;
  }

  /** Ends the minute. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#counts = {};
    if (this.#codes.size > 0) this.#summary(Object.fromEntries(this.#codes));
    this.#codes.clear();
  }
}
