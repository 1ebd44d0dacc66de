import { DeviceError, type Driver } from "../../gateway/driver.ts";
import { Broker } from "./broker.ts";
import { MqttConnection } from "./connection.ts";
import { describe } from "./ingest.ts";
import { dropOldest } from "./remember.ts";
import type { Address, Settings } from "./settings.ts";

/** Logins of which it has been said that anybody on the way can read them. */
const warned = new Set<string>();
const warnedMax = 100;

const isOwn = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.");

/** Devices that speak over an MQTT broker: JSON, LoRaWAN servers, Zigbee2MQTT, ONVIF events, Sparkplug B. */
export const driver: Driver<Settings, Address> = {
  name: "mqtt",

  async connect(settings, context, signal) {
    // Another program with our name would cut us off.
    const folder = context.resident === true ? context.folder : undefined;
    const broker = await Broker.join(settings, signal, folder).catch((error: unknown) => {
      if (error instanceof DeviceError) throw error;
      throw new DeviceError("refused", `${settings.host}: ${String(error)}`, { cause: error });
    });
    const { host, tls, username, password } = settings;
    const login = `${username} at ${broker.place}`;
    if (password !== undefined && tls === undefined && !isOwn(host) && !warned.has(login)) {
      warned.add(login);
      dropOldest(warned, warnedMax);
      context.log(
        "warn",
        `the password of ${login} goes over the network in clear: the setting tls is missing`,
      );
    }
    return new MqttConnection(broker, settings, context);
  },

  describe,
};
