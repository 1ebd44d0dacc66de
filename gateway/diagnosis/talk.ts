import { join } from "node:path";
import { FieldDevice, openAny } from "../field/field.ts";
import { hear, type Talker } from "../field/listen.ts";
import type { DeviceConfig } from "../config/config.ts";
import { DeviceError, type Failure, type Identity } from "../driver.ts";
import { closed } from "../host/identify.ts";
import type { LatestReading, Unwritable } from "../host/messages.ts";
import { Recognition } from "../host/recognition.ts";
import { hostDevice } from "../config/site-devices.ts";

/** What a device has said. */
export interface Heard {
  identity: Identity;
  /** Why it is another model than the profile's. */
  mismatch: string | undefined;
  /** Why it may be another unit or firmware than it is taken for. */
  unwritable: Unwritable | undefined;
  readings: LatestReading[];
  /** How long one read took. */
  ms?: number;
}

/** One that nobody knows yet, and the settings that it had to be asked with beside its own. */
export interface Met {
  identity: Identity;
  /** It is silent when it is asked who it is, and may answer all else. */
  isMute: boolean;
  needed: Record<string, unknown>;
}

/** How a device is talked to. */
export interface Talk {
  stateFolder: string;
  signal: AbortSignal;
  /** How long one that tells by itself is listened to. */
  waitMs: number;
  /** Until anything has come from it, or each of its points. */
  until: "first" | "all";
}

/** A failure of the device is an answer, not an error. */
async function answerOf<Answer>(work: () => Promise<Answer>): Promise<Answer | { failure: Failure }> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { failure: { code: error.code, message: error.message } };
  }
}

/** Whether it is the unit that the site file names, or that was seen first. Notes nobody. */
function unitDoubt(device: DeviceConfig, identity: Identity, stateFolder: string): Unwritable | undefined {
  const folder = join(stateFolder, "drivers", device.driver);
  const host = hostDevice(device, undefined, { how: "drop" });
  const looking = new Recognition(host, { folder, log: () => {} }, { keeps: false });
  looking.take(identity);
  return looking.verdict.unwritable;
}

/** Opens a device, asks who it is and reads it once. */
export function talk(
  device: DeviceConfig,
  { stateFolder, signal, waitMs, until }: Talk,
): Promise<Heard | { failure: Failure }> {
  return answerOf(async () => {
    const field = await FieldDevice.open(device, stateFolder, signal);
    try {
      const { identity, mismatch } = field;
      const unwritable = unitDoubt(device, identity, stateFolder);
      // What another model says at these addresses means nothing.
      if (mismatch !== undefined) return { identity, mismatch, unwritable, readings: [] };
      const startedMs = performance.now();
      const first = await field.read({ points: [], raw: false }, signal);
      const ms = performance.now() - startedMs;
      const talker: Talker = {
        get records() {
          return field.records;
        },
        tellsRecords: device.records.length > 0,
        silenceMs: device.silenceMs,
        read: (inner, names = []) => field.read({ points: names, raw: false }, inner),
      };
      const readings = await hear(talker, first, { waitMs, until, signal });
      return { identity, mismatch, unwritable, readings, ms };
    } finally {
      await field.close();
    }
  });
}

/** Opens one that nobody knows yet and asks, in every way there is, who it is. */
export function meet(
  device: DeviceConfig,
  { stateFolder, signal }: Pick<Talk, "stateFolder" | "signal">,
): Promise<Met | { failure: Failure }> {
  return answerOf(async () => {
    const { open, isMute, needed } = await openAny(device, stateFolder, signal);
    await closed(open.connection);
    return { identity: open.found.identity, isMute, needed };
  });
}
