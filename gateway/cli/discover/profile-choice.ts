import { homedir } from "node:os";
import { join } from "node:path";
import { type DeviceConfig, settingsInFile } from "../../config/config.ts";
import type { Written } from "../../config/device-edits.ts";
import { diagnosisOf } from "../../diagnosis/knowledge.ts";
import { choose, type Chosen, profilesOf, type Tried, type TryOut } from "../../discovery/candidates.ts";
import { DeviceError, type Identity } from "../../driver.ts";
import { within } from "../../host/identify.ts";
import { lacksLogin } from "../device/device-target.ts";
import { FieldDevice } from "../../field/field.ts";
import { pause } from "../output.ts";

/** Which profile fits a device, by the one judgement of `kerb discover`: also of one that stands in a site file. */

/** One profile is tried so long on somebody who does not say who he is. */
const tryMs = 6000;
/** Who tells his values by himself begins within this. */
const tellMs = 1600;
/** Whoever was silent so often is not there at all. */
const silentMax = 3;

/** Opens it as its profile says, reads, and lets go of it. Throws when it cannot be reached. */
export function readAs(
  device: DeviceConfig,
  names: readonly string[],
  signal: AbortSignal,
): ReturnType<TryOut> {
  return within(tryMs, signal, (inner) => read(device, names, inner));
}

async function read(device: DeviceConfig, names: readonly string[], signal: AbortSignal): Promise<Tried> {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const field = await FieldDevice.open(device, join(cache, "kerb"), signal);
  try {
    const { identity, mismatch } = field;
    if (mismatch !== undefined) return { identity, mismatch, readings: [] };
    const untilMs = performance.now() + tellMs;
    for (;;) {
      const readings = await field.read({ points: names, raw: false }, signal);
      const isWaiting = readings.some(({ unheard }) => unheard === true) && performance.now() < untilMs;
      if (!isWaiting) return { identity, mismatch, readings };
      await pause(tellMs / 8, signal);
    }
  } finally {
    await field.close();
  }
}

/** One that calls, or is heard through a broker, is not asked: it would think that it was taken. */
async function isAsked({ driver, settings }: DeviceConfig): Promise<boolean> {
  const place = (await diagnosisOf(driver))?.place(settings);
  return place !== undefined && place.over !== "calls" && !("shared" in place && place.shared === "broker");
}

/**
 * Reads it as each profile has it, until it was silent too often or has refused our login: three times lock many an
 * account.
 */
function patiently(signal: AbortSignal, hasLogin: boolean): TryOut {
  let silent = 0;
  let isRefused = false;
  return async (device, names) => {
    if (isRefused) throw new DeviceError("denied", "the login was refused");
    if (silent >= silentMax || signal.aborted) throw new DeviceError("silent", "silent too often");
    try {
      const tried = await readAs(device, names, signal);
      silent = 0;
      return tried;
    } catch (error) {
      if (error instanceof DeviceError && error.code === "silent") silent++;
      if (error instanceof DeviceError && error.code === "denied") isRefused = hasLogin;
      throw error;
    }
  };
}

/**
 * The profile that fits a device where its site file says that it is, by what it says of itself, else by how its
 * values read. `tryOut`: instead of asking the device itself, which the running gateway may be reading.
 */
export async function profileFor(
  device: DeviceConfig,
  identity: Identity,
  signal: AbortSignal,
  tryOut?: TryOut,
): Promise<Chosen> {
  const { driver } = device;
  const own = settingsInFile(device);
  const found = { place: "", at: {}, settings: own, identity };
  const hasLogin = !(await lacksLogin(driver, own as Record<string, Written>));
  const ask = tryOut ?? ((await isAsked(device)) ? patiently(signal, hasLogin) : undefined);
  return choose(driver, found, profilesOf(driver), undefined, ask);
}
