import type { DriverSchemas } from "../config/drivers.ts";
import type { WirePlace } from "../driver.ts";

/** What whoever plays a cassette is told, and tells. */

/** A broker in this process, as far as a player needs it. */
export interface Broker {
  readonly port: number;
  readonly url: string;
  publish(topic: string, payload: Buffer, options: { qos: 0 | 1; retain: boolean }): void;
  close(): Promise<void>;
}

export type StartBroker = (options: {
  host?: string;
  port: number;
  heard?: (topic: string) => void;
  subscribed?: (filter: string) => void;
}) => Promise<Broker>;

export interface PlayerOptions {
  host?: string;
  /** 0: any free one. */
  port?: number;
  /** Longest pause between two frames of the device, however long it was. */
  gapMsMax: number;
  /** For what was published: the broker that it is published on. */
  startBroker: StartBroker;
  /** For a device that calls: its driver's own, `DriverSchemas.retold`. */
  retold?: DriverSchemas["retold"];
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
