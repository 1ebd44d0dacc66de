import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freeze, LoopDisk } from "./loop-disk.ts";
import { checkControl, checkOutbox, firstAcknowledgement, readAcknowledged, startWriter } from "./outbox-check.ts";
import { Tally } from "./outbox-check.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** How many cuts one file has to live through before the next one is begun. */
const cutsPerFile = 5;

/** Cuts the power of a real ext4 under the writer, `trials` times. */
async function cutPower(mode: "product" | "normal", trials: number): Promise<Tally> {
  const disk = new LoopDisk();
  // Outside of the disk: what was said stays said.
  const outside = mkdtempSync(join(tmpdir(), "kerb-power-"));
  const tally = new Tally();
  try {
    for (let i = 0; i < trials; i++) {
      // The control's file is always new: what it has lost would be counted again.
      const file = mode === "normal" ? i : Math.floor(i / cutsPerFile);
      const folder = join(disk.folder, `state-${file}`);
      const acknowledgedPath = join(outside, `acknowledged-${file}`);
      mkdirSync(folder, { recursive: true });
      const path = join(folder, "outbox.db");
      const before = readAcknowledged(acknowledgedPath).newest;
      const writer = startWriter(path, acknowledgedPath, { mode });
      const ended = once(writer, "close");
      try {
        // One in five may be cut off while it opens the file.
        if (i % cutsPerFile !== 2) await firstAcknowledgement(writer, acknowledgedPath, before);
        await sleep(5 + Math.random() * 200);
        await freeze(writer.pid ?? 0);
        disk.cutPower();
      } finally {
        writer.kill("SIGKILL");
        await ended;
      }
      disk.remount();
      mkdirSync(folder, { recursive: true });
      const said = readAcknowledged(acknowledgedPath);
      const finding = mode === "product" ? checkOutbox(path, said) : checkControl(path, said);
      tally.add({ ...finding, acknowledged: said.newest - before });
      if ((i + 1) % cutsPerFile === 0 || mode === "normal") rmSync(folder, { recursive: true });
    }
  } finally {
    disk.close();
    rmSync(outside, { recursive: true, force: true });
  }
  return tally;
}

async function kernelPowerCut(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const full = await cutPower("product", scale === "short" ? 60 : 400);
  say(String(full));
  const normal = await cutPower("normal", scale === "short" ? 12 : 60);
  return {
    trials: full.trials,
    figure: `${String(full)}; control with NORMAL: ${normal.losing} of ${normal.trials} cuts lost rows, ${normal.lost} of ${normal.acknowledged}`,
    passed: full.clean && normal.losing > 0,
  };
}

export const trials: Trial[] = [
  {
    id: "R2",
    name: "power cut, kernel (ext4 shut down without its journal)",
    passLine: "0 lost, 0 corrupt; the control with synchronous=NORMAL must lose rows",
    needs: ["root", "loop", "mount-namespace", "python"],
    run: kernelPowerCut,
  },
];
