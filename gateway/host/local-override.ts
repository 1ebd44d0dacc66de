import type { ReadResult } from "../driver.ts";
import { quality } from "../event.ts";
import type { HostDevice } from "./messages.ts";
import type { Normaliser } from "./normalise.ts";

/** The point of the profile by which a person at the device takes over. What is bad says nothing: it is as it was. */
export class LocalOverride {
  readonly #rule: HostDevice["localOverride"];
  #text: string | undefined;

  constructor({ localOverride }: Pick<HostDevice, "localOverride">) {
    this.#rule = localOverride;
  }

  /** Who operates it, for its report; nothing while nobody does. */
  get told(): { override?: string } {
    return this.#text === undefined ? {} : { override: this.#text };
  }

  /** Looks at the answers of one poll, or at those that were pushed together; true: it has begun or ended with them. */
  look(normaliser: Normaliser, { answers }: ReadResult): boolean {
    if (this.#rule === undefined) return false;
    const { point, when } = this.#rule;
    const position = normaliser.points.findIndex(({ name }) => name === point);
    const sources = position < 0 ? [] : normaliser.sourcesOf(position);
    if (position < 0 || !sources.every((source) => answers[source] !== undefined)) return false;
    const { value, quality: bits } = normaliser.single(position, answers);
    if ((bits & quality.bad) !== 0) return false;
    const before = this.#text;
    this.#text = value === when ? `${point} is ${String(value)}` : undefined;
    return this.#text !== before;
  }
}
