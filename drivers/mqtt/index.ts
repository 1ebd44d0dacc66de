import { DeviceError, type Driver } from "../../gateway/driver.ts";
import { Broker } from "./broker.ts";
import { MqttConnection } from "./connection.ts";
import { describe } from "./ingest.ts";
import type { Address, Settings } from "./settings.ts";

/** Devices that speak over an MQTT broker: JSON, LoRaWAN servers, Zigbee2MQTT, ONVIF events, Sparkplug B. */
export const driver: Driver<Settings, Address> = {
  name: "mqtt",

  async connect(settings, context, signal) {
    const broker = await Broker.join(settings, signal).catch((error: unknown) => {
      if (error instanceof DeviceError) throw error;
      throw new DeviceError("refused", `${settings.host}: ${String(error)}`, { cause: error });
    });
    return new MqttConnection(broker, settings, context);
  },

  describe,
};
