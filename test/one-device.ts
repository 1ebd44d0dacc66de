import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadSubject, Rig } from "./contract/contract.ts";

/** A site of one device of one driver, and the simulator that is this device. */
export interface OneDevice {
  /** The site file. */
  file: string;
  rig: Rig;
  /** Makes a device that pushes say something. */
  tell(): void;
  close(): Promise<void>;
}

export const deviceId = "only-01";

/** Starts the device of a driver's contract table on its first transport; the site file goes into `folder`. */
export async function openOneDevice(driver: string, folder: string): Promise<OneDevice> {
  const subject = await loadSubject(driver);
  const transport = subject.table.transports.find(({ missing }) => missing === undefined);
  if (transport === undefined) throw new Error(`no transport of ${driver} can be tried on this machine`);
  const rig = await Rig.open(subject, transport);
  const file = join(folder, "gateway.yaml");
  const device = { id: deviceId, driver, profile: rig.profile.id, poll: "500ms", ...rig.siteSettings() };
  const gateway = { id: "one-device", name: "One device", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway, devices: [device] }));
  return {
    file,
    rig,
    tell: () => {
      rig.pinAll();
      for (const { name } of rig.profile.records) rig.simulator().tell?.(name);
    },
    close: () => rig.close(),
  };
}
