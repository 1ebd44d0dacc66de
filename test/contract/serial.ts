import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ContractTable, Place, WantedSettings } from "./contract.ts";

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

/** Two pseudo-terminals, joined: what the driver opens, and what the simulator does. */
async function onALine(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-contract-"));
  const ends = { driver: join(folder, "driver"), simulator: join(folder, "simulator") };
  const socat = spawn("socat", [
    "-d",
    "-d",
    `pty,rawer,link=${ends.driver}`,
    `pty,rawer,link=${ends.simulator}`,
  ]);
  await new Promise<void>((resolve, reject) => {
    const lines: string[] = [];
    createInterface({ input: socat.stderr }).on("line", (line) => {
      lines.push(line);
      if (line.includes("starting data transfer loop")) resolve();
    });
    socat.once("error", reject);
    socat.once("exit", () => reject(new Error(`socat ended: ${lines.join("\n")}`)));
  });
  // While somebody has a terminal open, socat outlives a close by its user.
  const held = Object.values(ends).map((path) => openSync(path, constants.O_RDWR | constants.O_NOCTTY));
  return {
    settings: ({ end, device, timeoutMs }) => ({
      transport: { type: "serial", port: ends[end], baud: 115_200 },
      station: String(device),
      timeout: timeoutMs,
    }),
    async close() {
      for (const descriptor of held) closeSync(descriptor);
      if (socat.exitCode === null) {
        const gone = once(socat, "exit");
        socat.kill("SIGKILL");
        await gone;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const hasSocat = spawnSync("socat", ["-V"], { stdio: "ignore" }).status === 0;

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
    {
      name: "serial",
      hasListener: false,
      isShared: true,
      missing: hasSocat ? undefined : "socat is not installed",
      open: onALine,
    },
  ],
};
