import type { ContractTable, Place, Transport } from "./contract.ts";
import { freePort } from "../ports.ts";

/** ONVIF cameras over HTTP, with each of the two ways to log in. */

/** Two cameras are two machines: each has a port of its own. */
async function open(auth: string): Promise<Place> {
  const ports = [await freePort(), await freePort()];
  return {
    settings: ({ device, timeoutMs }) => ({
      host: "127.0.0.1",
      port: ports[device - 1],
      rtspPort: ports[device - 1],
      user: "kerb",
      password: "Trial-7-only",
      auth,
      timeout: timeoutMs,
      pull: "1s",
    }),
    close: () => Promise.resolve(),
  };
}

const transport = (auth: string): Transport => ({
  name: auth,
  hasListener: true,
  isShared: false,
  open: () => open(auth),
});

export const table: ContractTable = {
  read: {
    profile: "onvif/profile-t",
    alike: ["frameRate", "frameWidth", "frameHeight"],
    refused: { reading: "video", item: "width", token: "none" },
    clock: "clockSkew",
    isPolledOnly: true,
  },
  push: {
    profile: "onvif/profile-m",
    moves: "processorUsage",
    record: "plate",
    outcomes: {
      silent: ["silent"],
      refuse: ["hung-up", "refused"],
      hangUp: ["hung-up"],
      garbage: ["garbage"],
      // The answer to a pull may take the time that the camera holds it, and that of a request.
      slow: ["good"],
      late: ["good"],
      restart: ["hung-up", "refused"],
      clockWrong: ["good"],
    },
  },
  identify: {},
  browse: true,
  transports: [transport("auto"), transport("ws-token")],
};
