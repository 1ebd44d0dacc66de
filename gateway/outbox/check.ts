import { fstatSync, readSync } from "node:fs";

const chunkBytes = 1024 * 1024;
/** A larger file is not checked as a whole: each row carries its own checksum anyway. */
export const checkBytesMax = 1024 * 1024 * 1024;

/**
 * Reads a file once, a megabyte a step, so that a check of all its pages finds them in the cache: 0.3 s instead of
 * many on a slow card. `descriptor` is SQLite's own: closing one of ours would take SQLite's lock on the file away.
 */
export class Warming {
  readonly #descriptor: number;
  readonly #bytes: number;
  readonly #buffer = Buffer.allocUnsafe(chunkBytes);
  #at = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#bytes = fstatSync(descriptor).size;
  }

  /** True when all is read, or too much to be read at all. */
  step(): boolean {
    if (this.#at >= this.#bytes || !this.isWhole) return true;
    readSync(this.#descriptor, this.#buffer, 0, chunkBytes, this.#at);
    this.#at += chunkBytes;
    return false;
  }

  get isWhole(): boolean {
    return this.#bytes <= checkBytesMax;
  }
}
