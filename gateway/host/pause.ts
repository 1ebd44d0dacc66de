/** A wait that can be ended early, and ends with its signal. */
export class Pause {
  #signal: AbortSignal | undefined;
  #end: (() => void) | undefined;
  readonly wake = (): void => this.#end?.();

  /** Waits, or until `wake` or the signal. */
  async sleep(forMs: number, signal: AbortSignal): Promise<void> {
    if (forMs <= 0 || signal.aborted) {
      // The loop must breathe even when every poll is overdue, or one fast device starves the rest of its host.
      await new Promise((resolve) => setImmediate(resolve));
      return;
    }
    this.#follow(signal);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, forMs);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One listener for all waits with the same signal, which are as many as there are polls. */
  #follow(signal: AbortSignal): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener("abort", this.wake);
    this.#signal = signal;
    signal.addEventListener("abort", this.wake);
  }
}
