import type { Driver } from "../../gateway/driver.ts";
import { Client } from "./client.ts";
import { SnmpConnection } from "./connection.ts";
import { Peer } from "./peer.ts";
import type { Address, Settings } from "./settings.ts";

/** SNMP v1, v2c and v3: reads objects, tables and bitmaps, writes, shows messages on signs, hears traps and informs. */
export const driver: Driver<Settings, Address> = {
  name: "snmp",

  async connect(settings, context, signal) {
    const place = placeOf(settings);
    const peer = await Peer.connect(settings.host, settings.port, place, signal);
    return new SnmpConnection(new Client(peer, settings, place), settings, context);
  },

  describe({ oid, states, walk, measure, sign, notification, type, bit, width = 1, take }) {
    if (measure !== undefined) return `measured ${measure}`;
    if (sign !== undefined) return "message of the sign";
    if (notification !== undefined) return `notification ${notification}`;
    if (walk !== undefined) return `${take} of ${walk}`;
    if (states !== undefined)
      return `${Object.entries(states)
        .map(([name, one]) => `${name} ${one}`)
        .join(", ")} bit ${bit ?? 0}`;
    const bits = width === 1 ? ` bit ${bit}` : ` bits ${bit} to ${(bit ?? 0) + width - 1}`;
    return `${oid} ${type}${bit === undefined ? "" : bits}`;
  },
};

/** Where a device is, at the head of each error message: "192.168.1.9:161". */
function placeOf({ host, port }: Settings): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
