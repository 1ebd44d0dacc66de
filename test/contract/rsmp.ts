import { profileIdentity, type ContractTable, type Outcomes, type Place } from "./contract.ts";
import { freePort } from "../ports.ts";

/** RSMP: the simulator is the one that calls, and the driver listens on a port that is free when it is chosen. */

async function onTheNetwork(): Promise<Place> {
  const port = await freePort();
  return {
    settings: ({ device, timeoutMs }) => ({
      host: "127.0.0.1",
      port,
      siteId: `KERB+${device}=001TC`,
      sxl: [profileIdentity.firmware],
      timeout: timeoutMs,
      // A call ten times in the time of a short timeout, so that a test need not wait for one.
      reconnect: 50,
      wait: 2000,
      watchdog: 500,
    }),
    close: () => Promise.resolve(),
  };
}

/** Made of the statuses of other points, which are pinned here each for itself; see test/rsmp-requests.test.ts. */
const isMade = (address: unknown): boolean => "requested" in (address as object);

const both = (...codes: string[]): Outcomes => ({ connected: codes, fresh: codes });

export const table: ContractTable = {
  read: {
    profile: "rsmp/tlc",
    alike: ["cycle.second", "native.baseCycleCounter", "stage"],
    refused: { status: "S0999", name: "nothing" },
    outcomes: {
      // Connected: each request gets a MessageNotAck. Before: the site refuses kerb's Version message.
      refuse: { connected: ["bad"], fresh: ["rejected"] },
      hangUp: both("hung-up"),
      // Acknowledgement and answer are both late: a missing acknowledgement is a broken link.
      late: both("silent"),
      // A site that restarts calls again while `connect` waits for it.
      restart: { connected: ["hung-up"], fresh: ["good", "silent"] },
    },
  },
  push: {
    profile: "rsmp/tlc",
    moves: "plan",
    record: "doorOpen",
    outcomes: {
      silent: ["silent"],
      // Updates go on; only requests are refused.
      refuse: ["good", "quiet"],
      hangUp: ["hung-up"],
      garbage: ["garbage"],
      // Each update is late, and so are the acknowledgements of the watchdogs.
      slow: ["good", "silent"],
      late: ["good"],
      restart: ["hung-up"],
      clockWrong: ["good"],
    },
  },
  identify: {},
  transports: [{ name: "tcp", hasListener: false, isShared: false, hides: isMade, open: onTheNetwork }],
};
