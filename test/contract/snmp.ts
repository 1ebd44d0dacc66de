import type { ContractTable, Place, WantedSettings } from "./contract.ts";
import { freePort } from "../ports.ts";

/** SNMP in its three versions. Two devices at one place are two addresses of the loopback with one port. */

const security = {
  user: "kerb",
  auth: "sha",
  authPassword: "a password to sign",
  priv: "aes",
  privPassword: "a password to hide",
};

function onUdp(version: "1" | "2c" | "3"): () => Promise<Place> {
  return async () => {
    const notificationPort = await freePort();
    return {
      settings: ({ device, timeoutMs, at }: WantedSettings) => ({
        host: `127.0.0.${device}`,
        port: Number(/:(\d+)$/.exec(at ?? "")?.[1] ?? 0),
        version,
        timeout: timeoutMs,
        community: "public",
        notifications: { address: "127.0.0.1", port: notificationPort },
        ...(version === "3" ? { security } : {}),
      }),
      close: () => Promise.resolve(),
    };
  };
}

const gone = { connected: ["refused"], fresh: ["refused"] };
const mute = { connected: ["silent"], fresh: ["silent"] };

export const table: ContractTable = {
  read: {
    profile: "ups/rfc1628",
    alike: ["input.voltage.L1", "input.voltage.L2", "input.voltage.L3"],
    refused: { oid: "1.3.6.1.2.1.33.99.0", type: "number" },
    outcomes: {
      // Nobody hangs up on a datagram; a closed port is told by ICMP.
      hangUp: mute,
      refuse: gone,
      restart: gone,
    },
  },
  push: {
    profile: "ups/rfc1628",
    record: "onBattery",
    outcomes: {
      // A trap that is not sent is missed by nobody: the host polls, and its `silence` decides.
      silent: ["quiet"],
      refuse: ["quiet"],
      hangUp: ["quiet"],
      garbage: ["quiet"],
      restart: ["quiet", "good"],
      slow: ["good"],
      late: ["good"],
      clockWrong: ["good"],
    },
  },
  identify: {},
  browse: true,
  transports: (["1", "2c", "3"] as const).map((version) => ({
    name: `v${version}`,
    hasListener: true,
    isShared: false,
    hides: (address: unknown) => {
      const { measure, syntax } = address as { measure?: string; syntax?: string };
      // v1 has no Counter64 (RFC 3584, 4.2.2.1).
      return measure !== undefined || (version === "1" && syntax === "counter64");
    },
    open: onUdp(version),
  })),
};
