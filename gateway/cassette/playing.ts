import type { WirePlace } from "../driver.ts";

/** What whoever plays a cassette is told, and tells. */

export interface PlayerOptions {
  host?: string;
  /** 0: any free one. */
  port?: number;
  /** Longest pause between two frames of the device, however long it was. */
  gapMsMax: number;
  /** Told of what is not on the tape. */
  log: (text: string) => void;
}

export interface Player {
  /** Where it listens; of a device that calls: where it calls. */
  readonly place: WirePlace;
  /** Requests that were answered from the tape, and those that were not on it. */
  readonly counts: { answered: number; unknown: number };
  /** How long nothing has been said and nothing is left to say, ms; 0 while something is. */
  quietMs(): number;
  close(): Promise<void>;
}
