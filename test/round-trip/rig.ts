import { modelOf, startSimulator } from "../../gateway/cli/simulate/simulate.ts";
import { FieldDevice } from "../../gateway/field/field.ts";
import type { DeviceConfig } from "../../gateway/config/config.ts";
import { loadProfile, mergeSettings, type Profile } from "../../gateway/profiles/profiles.ts";
import type { Simulator } from "../../simulators/simulator.ts";
import { freePort } from "../ports.ts";

/** One profile's pretend device, started as `kerb simulate ID` does, and its driver as `kerb read` uses it. */
export interface RoundTripRig {
  profile: Profile;
  settings: Record<string, unknown>;
  simulator: Simulator;
  field: FieldDevice;
  close(): Promise<void>;
}

/** Where the gateway listens for what such a device tells, on a port of its own. */
async function ownPlaces(driver: string): Promise<Record<string, unknown>> {
  if (driver === "http")
    return { webhook: { listen: `127.0.0.1:${await freePort()}`, perMinuteMax: 60_000 } };
  if (driver === "snmp") return { notifications: { address: "127.0.0.1", port: await freePort() } };
  // It calls a gateway that does not listen yet, and would wait ten seconds before it calls again.
  if (driver === "rsmp") return { reconnect: 50 };
  if (driver === "opcua") return { security: "none", publishing: 100, keepAlive: 1000 };
  if (driver === "onvif") return { pull: 1000 };
  return {};
}

/** Everything is shown: also what is only read for other points, and what a site would make tokens of. */
function bare(id: string): Profile {
  const profile = loadProfile(id);
  return {
    ...profile,
    points: profile.points.map((point) => ({ ...point, publish: true })),
    records: profile.records.map((record) => ({
      ...record,
      fields: record.fields.map((field) => ({ ...field, privacy: "none" as const })),
    })),
  };
}

/** Where some points are only of newer firmware, the device has that; else one that suits the profile. */
function newest({ points, settings }: Profile): string | undefined {
  const versions = settings["sxl"];
  const isMixed = points.some(({ when }) => when !== undefined);
  return isMixed && Array.isArray(versions) ? String(versions.at(-1)) : undefined;
}

/** Starts the device by its name at free ports and opens it. */
export async function openRig(id: string, seed: number): Promise<RoundTripRig> {
  const profile = bare(id);
  const own = await modelOf(profile, { port: await freePort() });
  const patient = "timeout" in own.settings ? { timeout: 12_000 } : {};
  const more = { ...patient, ...(await ownPlaces(profile.driver)) };
  const model = { ...own, settings: mergeSettings(own.settings, more) };
  const simulator = await startSimulator(model, seed, newest(profile), 0);
  const device: DeviceConfig = {
    ...model,
    id: "pretend",
    name: "pretend",
    enabled: true,
    class: profile.class,
    pollMs: { fast: 1000, normal: 1000, slow: 1000 },
    alarms: [],
    silenceMs: 0,
    profile: profile.id,
    place: { file: profile.file, line: 1 },
  };
  try {
    const field = await FieldDevice.open(device, "/nonexistent", new AbortController().signal);
    const close = async (): Promise<void> => {
      await field.close();
      await simulator.close();
    };
    return { profile, settings: model.settings, simulator, field, close };
  } catch (error) {
    await simulator.close();
    throw error;
  }
}
