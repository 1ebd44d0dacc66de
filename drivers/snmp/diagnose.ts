import type { DevicePlace, Diagnosis, Facts, Failure } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an SNMP agent fails. */

function place({ host, port }: Settings): DevicePlace {
  return { over: "udp", host, port };
}

function facts({ message }: Failure, { version }: Settings): Facts {
  const report = /SNMPv3 says "(.*)"/.exec(message)?.[1];
  return {
    "snmp.version": version,
    ...(report === undefined ? {} : { "snmp.report": report, rung: "login" }),
    ...(/clock has jumped/.test(message) ? { "snmp.report": "Not In Time Window", rung: "login" } : {}),
    ...(/another community/.test(message) ? { "snmp.otherCommunity": true, rung: "login" } : {}),
    ...(/no SNMP/.test(message) ? { "snmp.notSnmp": true } : {}),
    ...(/nothing listens there/.test(message) ? { "snmp.closed": true } : {}),
  };
}

export const diagnosis: Diagnosis<Settings> = {
  place,
  facts,
  // Who only asks for places and words does not load the protocol.
  look: async (settings, inquiry) => (await import("./look.ts")).look(settings, inquiry),
};
