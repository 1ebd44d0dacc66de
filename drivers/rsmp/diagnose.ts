import type { DevicePlace, Diagnosis } from "../../gateway/driver.ts";
import { facts } from "./failure-facts.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an RSMP site fails: it is the one that calls. */

function place({ host, port, siteId }: Settings): DevicePlace {
  return { over: "calls", host, port, unit: siteId };
}

export const diagnosis: Diagnosis<Settings> = {
  place,
  facts,
  // Who only asks for places and words does not load the protocol.
  look: async (settings, inquiry) => (await import("./look.ts")).look(settings, inquiry),
};
