import type { ContractTable, Place, WantedSettings } from "./contract.ts";

/** Devices behind a broker; the two devices of one place share it. */

function behindABroker(more: Record<string, unknown>): () => Promise<Place> {
  return () =>
    Promise.resolve({
      settings: ({ device, timeoutMs, at }: WantedSettings) => ({
        host: "127.0.0.1",
        // The simulator takes a free port; the driver is not asked before it has one.
        port: Number(/:(\d+)$/.exec(at ?? "")?.[1] ?? 0),
        timeout: timeoutMs,
        variables: {
          applicationId: "city",
          devEui: `24e124000000000${device}`,
          deviceId: `bin-${device}`,
          name: `plug-${device}`,
          prefix: `camera-${device}`,
          group: "district-1",
          node: `cabinet-${device}`,
          device: "controller",
        },
        ...more,
      }),
      close: () => Promise.resolve(),
    });
}

export const table: ContractTable = {
  push: {
    profile: "zigbee2mqtt/plug",
    moves: "activePower.total",
    outcomes: {
      // The broker is well and so is everybody else: only `silence` or a last will tells of one device.
      silent: ["quiet"],
      refuse: ["hung-up"],
      hangUp: ["hung-up"],
      garbage: ["garbage"],
      slow: ["good"],
      late: ["good"],
      restart: ["hung-up"],
      clockWrong: ["good"],
    },
  },
  identify: {},
  transports: [
    { name: "ChirpStack, MQTT 3.1.1", hasListener: true, isShared: false, open: behindABroker({}) },
    {
      name: "The Things Stack, MQTT 5",
      hasListener: true,
      isShared: false,
      open: behindABroker({ server: "ttn-v3", protocol: 5 }),
    },
  ],
};
