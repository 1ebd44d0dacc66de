import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checkOutbox, firstAcknowledgement, readAcknowledged, startWriter, Tally } from "./outbox-check.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** kill -9 under load, the same file throughout; every fifth kill may hit the opening too. */
async function killUnderLoad(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const trials = scale === "short" ? 200 : 1000;
  const folder = mkdtempSync(join(tmpdir(), "kerb-kill-"));
  const path = join(folder, "outbox.db");
  const acknowledgedPath = join(folder, "acknowledged");
  const tally = new Tally();
  let newest = 0;
  let rows = 0;
  try {
    for (let i = 0; i < trials; i++) {
      const writer = startWriter(path, acknowledgedPath);
      const ended = once(writer, "close");
      try {
        if (i % 5 !== 4) await firstAcknowledgement(writer, acknowledgedPath, newest);
        await sleep(5 + Math.random() * 120);
      } finally {
        writer.kill("SIGKILL");
        await ended;
      }
      const said = readAcknowledged(acknowledgedPath);
      tally.add({ ...checkOutbox(path, said), acknowledged: said.newest - newest });
      rows += said.newest - newest;
      newest = said.newest;
      if (i % 50 === 49) say(`${i + 1} kills, ${rows} rows`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const figure = `${String(tally)}; open ≤ ${tally.openMsMax.toFixed(0)} ms`;
  return { trials, figure, passed: tally.clean };
}

export const trials: Trial[] = [
  {
    id: "R1",
    name: "kill -9 under load",
    passLine: "0 acknowledged rows lost, 0 gaps",
    needs: [],
    run: killUnderLoad,
  },
];
