import type { ContractTable, Place, WantedSettings } from "./contract.ts";
import { serialLine } from "./serial-line.ts";

/** ASCII instruments over TCP and on a serial line. */

function onTheNetwork(): Promise<Place> {
  return Promise.resolve({
    settings: ({ device, timeoutMs, at }: WantedSettings) => ({
      transport: { type: "tcp", host: "127.0.0.1", port: Number(/:(\d+)/.exec(at ?? "")?.[1] ?? 0) },
      station: String(device),
      timeout: timeoutMs,
    }),
    close: () => Promise.resolve(),
  });
}

export const table: ContractTable = {
  read: {
    // Three measurements, each answered by the same form of line: an answer that is late fits the next request.
    profile: "generic/sdi12-level",
    alike: ["waterLevel", "waterTemperature", "supplyVoltage"],
    refused: { request: "m", field: "value9" },
  },
  push: {
    profile: "generic/wim-json",
    record: "ticket",
    outcomes: {
      silent: ["quiet"],
      // A line has no listener to close: an instrument that tells nothing is quiet.
      refuse: { listener: ["hung-up"], wire: ["quiet"] },
      hangUp: { listener: ["hung-up"], wire: ["quiet"] },
      garbage: ["garbage"],
      slow: ["good"],
      late: ["good"],
      restart: { listener: ["hung-up"], wire: ["good"] },
      clockWrong: ["good"],
    },
  },
  identify: {},
  // SDI-12 has eight characters for the vendor, six for the model and three for the firmware.
  identity: { vendor: "Kerb Wor", model: "K-1", firmware: "2.1" },
  transports: [
    { name: "tcp", hasListener: true, isShared: true, open: onTheNetwork },
    serialLine("serial", (port, { device, timeoutMs }) => ({
      transport: { type: "serial", port, baud: 115_200 },
      station: String(device),
      timeout: timeoutMs,
    })),
  ],
};
