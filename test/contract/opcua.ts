import type { ContractTable, Place, WantedSettings } from "./contract.ts";
import { freePort } from "../ports.ts";

/** OPC UA with and without security. */

const short = { publishing: 100, keepAlive: 1000 };

function at(security: Record<string, unknown>): () => Promise<Place> {
  return async () => {
    // Two servers at one host: each has a port of its own.
    const ports = [await freePort(), await freePort()];
    return {
      settings: ({ device, timeoutMs }: WantedSettings) => ({
        host: "127.0.0.1",
        port: ports[device - 1],
        timeout: timeoutMs,
        ...short,
        ...security,
      }),
      close: () => Promise.resolve(),
    };
  };
}

const secured = { trust: "first-use", user: "kerb", password: "tuyệt mật" };

export const table: ContractTable = {
  read: {
    profile: "opcua/signal-controller",
    alike: ["signalState.group1", "signalState.group2", "signalState.group3"],
    refused: { node: "i=999999" },
  },
  write: { profile: "opcua/signal-controller", point: "plan", values: [3, 5] },
  push: {
    profile: "opc-foundation/vehicle-scale",
    record: "weighing",
    outcomes: {
      silent: ["silent"],
      refuse: ["hung-up"],
      hangUp: ["hung-up"],
      garbage: ["garbage"],
      // The fields of a weighing are read, and the answer to that comes too late.
      slow: ["silent"],
      late: ["silent", "good"],
      restart: ["hung-up"],
      clockWrong: ["good"],
    },
  },
  identify: {},
  browse: true,
  transports: [
    { name: "none", hasListener: true, isShared: false, open: at({ security: "none" }) },
    { name: "sign-and-encrypt", hasListener: true, isShared: false, open: at(secured) },
  ],
};
