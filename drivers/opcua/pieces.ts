import { DeviceError } from "../../gateway/driver.ts";
import { statusIn } from "./failures.ts";

const countCodes = ["BadTooManyOperations"];
const sizeCodes = [
  "BadResponseTooLarge",
  "BadRequestTooLarge",
  "BadEncodingLimitsExceeded",
  "BadTcpMessageTooLarge",
];

/** Asks for many things in pieces that the server takes, whatever it says of its limits. */
export class Pieces {
  #most: number;
  #now: number;

  constructor(most: number) {
    this.#most = most;
    this.#now = most;
  }

  /** How many go into the next piece. */
  get size(): number {
    return this.#now;
  }

  /**
   * One result for each item, in their order. A piece that is too much is asked again in halves; what is too much by
   * itself is `refused`. Rejects with what `ask` rejects with otherwise.
   */
  async ask<Item, Result>(
    items: readonly Item[],
    ask: (group: readonly Item[]) => Promise<readonly Result[]>,
    refused: (code: string) => Result,
  ): Promise<Result[]> {
    const all: Result[] = [];
    while (all.length < items.length) {
      const group = items.slice(all.length, all.length + this.#now);
      try {
        all.push(...(await ask(group)));
        this.#now = Math.min(this.#most, 2 * this.#now);
      } catch (error) {
        const code = error instanceof DeviceError ? statusIn(error) : undefined;
        if (code === undefined || ![...countCodes, ...sizeCodes].includes(code)) throw error;
        if (group.length === 1) all.push(refused(code));
        this.#now = Math.ceil(group.length / 2);
        if (countCodes.includes(code)) this.#most = this.#now;
      }
    }
    return all;
  }
}
