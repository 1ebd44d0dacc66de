import type { ContractTable, Place, WantedSettings } from "./contract.ts";
import { serialLine } from "./serial-line.ts";

/** Modbus on each of its three transports. */

function onTheNetwork(type: "tcp" | "rtu-over-tcp"): () => Promise<Place> {
  return () =>
    Promise.resolve({
      settings: ({ device, timeoutMs, at }: WantedSettings) => ({
        transport: { type, host: "127.0.0.1", port: Number(/:(\d+) /.exec(at ?? "")?.[1] ?? 0) },
        unit: device,
        timeout: timeoutMs,
      }),
      close: () => Promise.resolve(),
    });
}

export const table: ContractTable = {
  read: {
    profile: "eastron/sdm630",
    alike: ["voltage.L1", "voltage.L2", "current.L1"],
    refused: { table: "holding", register: 60_000, type: "uint16" },
  },
  write: {
    profile: "dfrobot/sen0676",
    point: "installationHeight",
    values: [350, 0xfffe],
    readOnly: { table: "input", register: 5, type: "uint16" },
  },
  identify: { functions: [3, 4, 43] },
  browse: true,
  transports: [
    { name: "tcp", hasListener: true, isShared: false, open: onTheNetwork("tcp") },
    { name: "rtu-over-tcp", hasListener: true, isShared: true, open: onTheNetwork("rtu-over-tcp") },
    serialLine("rtu", (port, { device, timeoutMs }) => ({
      transport: { type: "rtu", port, baud: 115_200 },
      unit: device,
      timeout: timeoutMs,
    })),
  ],
};
