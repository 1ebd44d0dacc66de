import type { CutRecord } from "../outbox/store.ts";
import type { EncodingName } from "./encoding.ts";
import type { LaneName } from "./flights.ts";
import type { Suspect } from "./suspects.ts";

/** What lanes are made for. */
export interface LanesOptions {
  name: string;
  city: string;
  gateway: string;
  encoding: EncodingName;
  /** Batches in flight over all lanes. */
  windowMax: number;
  /** Compressed bytes of one message. */
  bytesMax: number;
  /** How long a batch that was sent may stay outside the watermark before it is sent again, ms. */
  resendAfterMs: number;
}

/** A batch and the lane in which it goes. */
export interface Chosen {
  cut: Cut;
  lane: LaneName;
}

/** A frozen batch on its way. */
export interface Cut extends CutRecord, Suspect {
  state: "waiting" | "flying" | "sent";
  key: number;
  sentMs: number;
  tries: number;
  /** The receiver has it, though its watermark is still held back by an older hole. */
  stored: boolean;
  /** Of its payload when it was last sent. */
  bytes: number;
}
