import type { ContractTable, Place } from "./contract.ts";
import { makeCertificates } from "./http-certificates.ts";
import { freePort } from "../ports.ts";

/** HTTP in clear, with each device below a path of its own, and HTTPS with certificates on both sides. */

async function openPlace(isMutual: boolean): Promise<Place> {
  const port = await freePort();
  const made = isMutual ? makeCertificates() : undefined;
  const driverTls = {
    ca: made?.ca,
    cert: made?.client.cert,
    key: made?.client.key,
    serverName: "device.test",
  };
  const hookTls = { cert: made?.server.cert, key: made?.server.key, clientCa: made?.ca };
  const serverTls = { cert: made?.server.cert, key: made?.server.key, clientCa: made?.ca };
  return {
    settings: ({ end, device, timeoutMs, at }) => ({
      // A device that only posts is nowhere to be asked.
      ...(/:\d+\//.test(at ?? "") || end === "simulator"
        ? { host: "127.0.0.1", port: Number(/:(\d+)\//.exec(at ?? "")?.[1] ?? 0) }
        : {}),
      basePath: `/device-${device}`,
      timeout: timeoutMs,
      auth: { type: "digest", user: "kerb", password: 'pass "word"' },
      webhook: {
        listen: `127.0.0.1:${port}`,
        token: `token-of-device-${device}`,
        signature: { key: "key of the signature" },
        id: "$.id",
        perMinuteMax: 60_000,
        ...(isMutual ? { tls: hookTls } : {}),
        ...(end === "simulator"
          ? { signature: { header: "X-Hub-Signature-256", key: "key of the signature" } }
          : {}),
        ...(end === "simulator" && isMutual ? { client: made?.client } : {}),
      },
      ...(isMutual ? { tls: driverTls, shared: true } : {}),
      ...(isMutual && end === "simulator" ? { serverTls } : {}),
    }),
    close: () => Promise.resolve(),
  };
}

export const table: ContractTable = {
  read: {
    profile: "generic/json-meter",
    alike: ["voltage.L1", "voltage.L2", "voltage.L3"],
    refused: { path: "/api/v1/nothing", pick: "$.voltage" },
  },
  push: {
    profile: "generic/webhook-bin",
    moves: "fillingLevel",
    record: "emptied",
    // The device is the one that asks: a fault of it leaves the gateway without messages, not without a listener.
    outcomes: {
      silent: ["quiet"],
      refuse: ["quiet"],
      hangUp: ["quiet"],
      garbage: ["quiet"],
      slow: ["good"],
      late: ["good"],
      restart: ["good"],
      clockWrong: ["good"],
    },
  },
  transports: [
    { name: "http", hasListener: true, isShared: false, open: () => openPlace(false) },
    { name: "https, mutual", hasListener: true, isShared: true, open: () => openPlace(true) },
  ],
};
