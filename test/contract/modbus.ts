import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ContractTable, Place, WantedSettings } from "./contract.ts";

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
      transport: { type: "rtu", port: ends[end], baud: 115_200 },
      unit: device,
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
    profile: "eastron/sdm630",
    alike: ["voltage.L1", "voltage.L2", "current.L1"],
    refused: { table: "holding", register: 60_000, type: "uint16" },
  },
  identify: { functions: [3, 4, 43] },
  transports: [
    { name: "tcp", hasListener: true, isShared: false, open: onTheNetwork("tcp") },
    { name: "rtu-over-tcp", hasListener: true, isShared: true, open: onTheNetwork("rtu-over-tcp") },
    {
      name: "rtu",
      hasListener: false,
      isShared: true,
      missing: hasSocat ? undefined : "socat is not installed",
      open: onALine,
    },
  ],
};
