import {
  loadProfile,
  mergeSettings,
  simulatedPoints,
  simulatedRecords,
} from "../gateway/profiles/profiles.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { loadSubject } from "./contract/contract.ts";

/** Pretend devices on ports of their own, for tests that start the command line. */

export const someone = { vendor: "Kerb Works", model: "K-1", firmware: "1.2.0", serial: "A0042" };

const open: Simulator[] = [];

/** Starts one device of a profile; `who` is read anew each time that it is asked. */
export async function pretend(
  driver: string,
  profile: string,
  settings: Record<string, unknown>,
  who = someone,
): Promise<Simulator> {
  const { start } = await loadSubject(driver);
  const own = loadProfile(profile);
  const simulator = await start({
    profile,
    points: simulatedPoints(own, who),
    records: simulatedRecords(own),
    recordEveryMs: 0,
    settings: mergeSettings(own.settings, settings),
    identity: who,
    seed: 1,
  });
  open.push(simulator);
  return simulator;
}

export async function closePretended(): Promise<void> {
  for (const simulator of open.splice(0)) await simulator.close();
}

/** The TCP port that it listens on. */
export const portOf = ({ address }: Simulator): number => Number(/:(\d+)/.exec(address)?.[1]);
