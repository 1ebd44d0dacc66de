import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Place, Transport, WantedSettings } from "./contract.ts";

type Tree = Record<string, unknown>;

/** Two pseudo-terminals, joined: what the driver opens, and what the simulator does. */
async function open(settings: (path: string, wanted: WantedSettings) => Tree): Promise<Place> {
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
    settings: (wanted) => settings(ends[wanted.end], wanted),
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

/** A serial line, for the table of a driver that has one; `settings` are those of a device at this port. */
export function serialLine(
  name: string,
  settings: (path: string, wanted: WantedSettings) => Tree,
): Transport {
  return {
    name,
    hasListener: false,
    isShared: true,
    missing: hasSocat ? undefined : "socat is not installed",
    open: () => open(settings),
  };
}
