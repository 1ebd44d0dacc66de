/** What is done on one device happens one after the other; devices do not wait for each other. */
export class DeviceQueue {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #counts = new Map<string, number>();

  /** How many are waiting or under way. */
  count(device: string): number {
    return this.#counts.get(device) ?? 0;
  }

  /** How many are on all devices. */
  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Begins in the same turn where nothing else is under way. */
  run<Result>(device: string, task: () => Promise<Result>): Promise<Result> {
    const tail = this.#tails.get(device);
    const running = tail === undefined ? task() : tail.then(task);
    this.#counts.set(device, this.count(device) + 1);
    const end = () => {
      this.#counts.set(device, this.count(device) - 1);
      if (this.#tails.get(device) !== ended) return;
      this.#tails.delete(device);
      this.#counts.delete(device);
    };
    const ended = running.then(end, end);
    this.#tails.set(device, ended);
    return running;
  }

  /** Resolves when nothing is under way that was begun before. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values());
  }
}
