import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import type { ContractTable, Place, WantedSettings } from "./contract.ts";

/** OPC UA with and without security. */

const short = { publishing: 100, keepAlive: 1000 };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

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
