/** What the supervisor has subscribed to, and when it is due (RSMP 3.2.2, 4.4.4). */

export interface Subscription {
  readonly component: string;
  readonly code: string;
  readonly name: string;
  rateMs: number;
  onChange: boolean;
  /** When it was last told, and what. */
  toldMs: number;
  told: string | undefined;
}

/** Traffic counts are told at the ends of whole intervals, and not when they are subscribed. */
const isCounted = (code: string): boolean => code >= "S0201" && code <= "S0208";

export class Subscriptions {
  readonly #all = new Map<string, Subscription>();

  /** Adds or changes; true when it is new and wants its value at once. */
  add(key: string, wanted: Omit<Subscription, "toldMs" | "told">, nowMs: number): boolean {
    const known = this.#all.get(key);
    if (known !== undefined) {
      known.rateMs = wanted.rateMs;
      known.onChange = wanted.onChange;
      return false;
    }
    this.#all.set(key, { ...wanted, toldMs: nowMs, told: undefined });
    return !isCounted(wanted.code);
  }

  remove(key: string): void {
    this.#all.delete(key);
  }

  get(key: string): Subscription | undefined {
    return this.#all.get(key);
  }

  clear(): void {
    this.#all.clear();
  }

  /** The subscriptions that are due, with `valueOf` of now; they count as told. */
  due(nowMs: number, valueOf: (subscription: Subscription) => string): Subscription[] {
    return [...this.#all.values()].filter((one) => {
      const value = valueOf(one);
      const isChanged = one.onChange && one.told !== undefined && one.told !== value;
      if (!isChanged && !this.#isPeriodOver(one, nowMs)) return false;
      one.toldMs = nowMs;
      one.told = value;
      return true;
    });
  }

  #isPeriodOver({ code, rateMs, toldMs }: Subscription, nowMs: number): boolean {
    if (rateMs === 0) return false;
    if (isCounted(code)) return Math.floor(nowMs / rateMs) > Math.floor(toldMs / rateMs);
    return nowMs - toldMs >= rateMs;
  }
}
