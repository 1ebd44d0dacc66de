import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../simulators/simulator.ts";
import { checkControl, checkOutbox, Tally } from "./outbox-check.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";
import { crashImages, layOut, logWriter, type Model } from "./write-log.ts";

const models: Model[] = ["strict", "reorder4k", "torn512", "garbage"];
const commits = 400;

/** Power cuts as a disk may answer them, on the real sequence of writes; the images are opened by the product. */
async function tornAndReordered(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const count = scale === "short" ? 250 : 1000;
  // Images need no disk, and there are thousands of them.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "kerb-write-log-"));
  const seed = Number(process.env["KERB_SEED"] ?? Date.now() % 1_000_000);
  try {
    const product = await logWriter(folder, "product", commits);
    const full = new Tally();
    for (const [i, model] of models.entries()) {
      for (const image of crashImages(product, model, count, seededRandom(seed + i))) {
        const state = join(folder, "image");
        full.add(checkOutbox(layOut(image, state), image.acknowledged));
        rmSync(state, { recursive: true });
      }
      say(`${model}: ${String(full)}`);
    }
    const control = await logWriter(folder, "normal", commits);
    const normal = new Tally();
    for (const image of crashImages(control, "reorder4k", count / 5, seededRandom(seed))) {
      const state = join(folder, "image");
      normal.add(checkControl(layOut(image, state), image.acknowledged));
      rmSync(state, { recursive: true });
    }
    return {
      trials: full.trials,
      figure: `${String(full)}; control with NORMAL: ${normal.losing} of ${normal.trials} images lost rows; seed ${seed}`,
      passed: full.clean && normal.losing > 0,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const trials: Trial[] = [
  {
    id: "R3",
    name: "power cut, torn and re-ordered writes (strict, reorder4k, torn512, garbage)",
    passLine: "0 lost, 0 corrupt; the control with synchronous=NORMAL must lose rows",
    needs: ["gcc"],
    run: tornAndReordered,
  },
];
