/** A wait that can be ended early. */
export class Pause {
  #wake: (() => void) | undefined;

  /** Waits, or until `wake`. */
  async sleep(forMs: number, signal: AbortSignal): Promise<void> {
    if (forMs <= 0 || signal.aborted) {
      // The loop must breathe even when every poll is overdue, or one fast device starves the rest of its host.
      await new Promise((resolve) => setImmediate(resolve));
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, forMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake(): void {
    this.#wake?.();
  }
}
