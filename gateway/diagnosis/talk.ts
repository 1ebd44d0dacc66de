import type { DeviceConfig } from "../config.ts";
import { FieldDevice } from "../cli/field.ts";
import { DeviceError, type Failure, type Identity } from "../driver.ts";
import type { LatestReading } from "../host/messages.ts";

/** What a device has said. `doubt`: why it may be another model or firmware than the profile's. */
export interface Heard {
  identity: Identity;
  mismatch: string | undefined;
  doubt: string | undefined;
  readings: LatestReading[];
  /** How long one read took. */
  ms?: number;
}

/** How often it is looked whether a device that tells by itself has told something. */
const lookEveryMs = 100;

/** Opens a device, asks who it is and reads it once. A failure of the device is an answer, not an error. */
export async function talk(
  device: DeviceConfig,
  { stateFolder, signal }: { stateFolder: string; signal: AbortSignal },
  listenMs: number,
): Promise<Heard | { failure: Failure }> {
  let field: FieldDevice | undefined;
  try {
    field = await FieldDevice.open(device, stateFolder, signal);
    const startedMs = performance.now();
    let readings = await field.read({ points: [], raw: false }, signal);
    const ms = performance.now() - startedMs;
    const untilMs = startedMs + listenMs;
    const isMute = () => readings.length > 0 && readings.every(({ unheard }) => unheard === true);
    while (isMute() && performance.now() < untilMs && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      readings = await field.read({ points: [], raw: false }, signal);
    }
    const { identity, mismatch, doubt } = field;
    return { identity, mismatch, doubt: mismatch === undefined ? doubt : undefined, readings, ms };
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { failure: { code: error.code, message: error.message } };
  } finally {
    await field?.close();
  }
}
