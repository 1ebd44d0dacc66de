import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { balance, OutboxRig } from "./outbox-rig.ts";
import { SmallDisk } from "./small-disk.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** R6: more events than the budget and the disk hold, with the IOC away; then it comes back. */
async function budget(scale: Scale): Promise<Outcome> {
  const events = scale === "short" ? 20_000 : 100_000;
  const disk = new SmallDisk("tmpfs", 8);
  const folder = join(disk.folder, "state");
  const rig = await OutboxRig.start({ folder, bytesMax: 4 * 1024 * 1024, padding: 200, online: false });
  try {
    await rig.feedAll(events, 120_000);
    const full = await rig.stats();
    const log = statSync(join(folder, "outbox.db-wal")).size;
    await rig.connect();
    const drained = await rig.drained(60_000);
    const { books } = await rig.stats();
    const sent = rig.values().size;
    const { accepted, dropped } = books.live;
    const passed =
      drained &&
      rig.failures.length === 0 &&
      rig.died === undefined &&
      accepted === events &&
      sent + rig.declared() === events &&
      rig.declared() <= dropped &&
      balance(full) === 0;
    const figure =
      `${accepted} accepted = ${sent} at the IOC + ${rig.declared()} declared to it (${dropped} dropped); ` +
      `${rig.failures.length} failures, log ${(log / 1e6).toFixed(2)} MB`;
    return { trials: 1, figure, passed };
  } finally {
    await rig.stop();
    disk.close();
  }
}

/** Another program that takes the rest of the disk. */
function hog(folder: string): string {
  const path = join(folder, "hog");
  const file = openSync(path, "w");
  try {
    for (const bytes of [1_048_576, 65_536, 4096]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(bytes, 1));
      } catch {
        // Full for blocks of this size.
      }
    }
  } finally {
    closeSync(file);
  }
  return path;
}

/** R7: somebody else fills the disk, and goes away. */
async function foreignHog(kind: "tmpfs" | "ext4"): Promise<Outcome> {
  const disk = new SmallDisk(kind, 16);
  const folder = join(disk.folder, "state");
  const rig = await OutboxRig.start({ folder, bytesMax: 12 * 1024 * 1024, padding: 200, online: false });
  try {
    await rig.feedAll(2000);
    const file = hog(disk.folder);
    const endMs = performance.now() + 6000;
    while (performance.now() < endMs) {
      rig.feed(100);
      await sleep(100);
    }
    const alarm = rig.failures.find((text) => text !== undefined);
    const during = await rig.stats();
    rmSync(file);
    const freedMs = performance.now();
    const taken = await rig.until(() => rig.acceptedBytes >= rig.fedBytes, 15_000);
    const recoveryMs = performance.now() - freedMs;
    await rig.connect();
    const drained = await rig.drained(30_000);
    const { books } = await rig.stats();
    const missing = rig.fed - rig.values().size - books.live.dropped;
    const told = rig.told().some(({ state }) => state === "storage-recovered");
    const passed =
      taken &&
      drained &&
      recoveryMs <= 10_000 &&
      missing === 0 &&
      alarm !== undefined &&
      told &&
      rig.died === undefined;
    const figure =
      `${kind}: alarm "${alarm}", recovered ${(recoveryMs / 1000).toFixed(1)} s after freeing; ${rig.fed} fed = ` +
      `${rig.values().size} delivered + ${books.live.dropped} declared, ${missing} missing; told upstream: ${told}, ` +
      `failure shown: ${during.failure !== undefined}`;
    return { trials: 1, figure, passed };
  } finally {
    await rig.stop();
    disk.close();
  }
}

export const trials: Trial[] = [
  {
    id: "R6",
    name: "disk full: own budget",
    passLine: "0 eviction failures, kept + dropped + sent = accepted, drop report upstream",
    needs: ["root", "mount-namespace"],
    run: budget,
  },
  {
    id: "R7a",
    name: "foreign disk hog on tmpfs",
    passLine: "polling goes on, RAM ring, alarm, recovery <= 10 s after freeing",
    needs: ["root", "mount-namespace"],
    run: () => foreignHog("tmpfs"),
  },
  {
    id: "R7b",
    name: "foreign disk hog on ext4",
    passLine: "polling goes on, RAM ring, alarm, recovery <= 10 s after freeing",
    needs: ["root", "loop", "mount-namespace"],
    run: () => foreignHog("ext4"),
  },
];
