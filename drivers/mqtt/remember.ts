/** Forgets the oldest entry of a collection that has become larger than `max`. */
export function dropOldest(
  collection: { size: number; keys(): Iterable<string>; delete(key: string): boolean },
  max: number,
): void {
  if (collection.size <= max) return;
  for (const key of collection.keys()) {
    collection.delete(key);
    return;
  }
}

/** What is remembered of each device over its connections; of the device that was asked for last the longest. */
export class Memory<Entry> {
  readonly #devices = new Map<string, Entry>();
  readonly #max: number;
  readonly #make: () => Entry;

  constructor(max: number, make: () => Entry) {
    this.#max = max;
    this.#make = make;
  }

  of(device: string): Entry {
    const known = this.#devices.get(device) ?? this.#make();
    this.#devices.delete(device);
    this.#devices.set(device, known);
    dropOldest(this.#devices, this.#max);
    return known;
  }
}
