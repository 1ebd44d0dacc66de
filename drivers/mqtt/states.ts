import type { Answer } from "../../gateway/driver.ts";
import { dropOldest, Memory } from "./remember.ts";

const devicesMax = 5000;
const statesMax = 1000;

/** What a state record told last: a deleted one comes without its fields. */
export interface State {
  readonly topic: string;
  readonly record: string;
  readonly answers: readonly (Answer | undefined)[];
  /** The broker had it retained at some time: where it has it no more, it has been deleted. */
  readonly isRetained: boolean;
}

const memory = new Memory<Map<string, State>>(devicesMax, () => new Map());

/** The states of one device, over its connections: 1,000 of 5,000 devices. */
export class States {
  readonly #states: Map<string, State>;

  constructor(device: string) {
    this.#states = memory.of(device);
  }

  set(state: State): void {
    const key = `${state.record}\0${state.topic}`;
    const isRetained = state.isRetained || this.#states.get(key)?.isRetained === true;
    this.#states.delete(key);
    this.#states.set(key, { ...state, isRetained });
    dropOldest(this.#states, statesMax);
  }

  /** Forgets a state and gives it. */
  take(record: string, topic: string): State | undefined {
    const key = `${record}\0${topic}`;
    const state = this.#states.get(key);
    this.#states.delete(key);
    return state;
  }

  /** Topics of a record that the broker had retained. */
  retained(record: string): string[] {
    return [...this.#states.values()]
      .filter((state) => state.record === record && state.isRetained)
      .map(({ topic }) => topic);
  }
}
