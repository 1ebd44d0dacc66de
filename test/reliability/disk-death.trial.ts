import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OutboxRig } from "./outbox-rig.ts";
import { SmallDisk } from "./small-disk.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

interface Death {
  /** ms after the disk is back. */
  recoveryMs: number;
  missing: number;
  declared: number;
  faults: string[];
}

/** Feeds twenty events every 50 ms until told to stop. */
function feeding(rig: OutboxRig): () => void {
  const timer = setInterval(() => rig.feed(20), 50);
  return () => clearInterval(timer);
}

/** The disk is taken away by `strike` and given back by `mend`; `away` looks at the time between. */
async function outage(
  disk: SmallDisk,
  strike: () => void,
  away: () => Promise<string[]>,
  mend: () => void,
): Promise<Death> {
  const folder = join(disk.folder, "state");
  const rig = await OutboxRig.start({ folder, padding: 100 });
  const stop = feeding(rig);
  const faults: string[] = [];
  try {
    await sleep(500 + Math.random() * 500);
    strike();
    if (!(await rig.until(() => rig.failures.length > 0, 5000))) faults.push("no alarm");
    faults.push(...(await away()));
    mend();
    const backMs = performance.now();
    if (!(await rig.until(() => rig.failures.at(-1) === undefined, 20_000)))
      faults.push(`not recovered: ${rig.failures.at(-1)}`);
    const recoveryMs = performance.now() - backMs;
    await sleep(300);
    stop();
    if (!(await rig.drained(20_000))) faults.push("not drained");
    const missing = rig.fed - rig.values().size;
    const aside = readdirSync(folder).filter((name) => /damaged|replaced|salvaged/.test(name));
    if (aside.length > 0) faults.push(`false quarantine: ${aside.join(" ")}`);
    if (rig.contradictions.length > 0) faults.push(`an id was used twice: ${rig.contradictions[0]}`);
    if (rig.values().size !== [...rig.received.values()].filter(({ value }) => value !== undefined).length)
      faults.push("a value came under two ids");
    if (rig.died !== undefined) faults.push(`died: ${rig.died.message}`);
    if (!rig.told().some(({ state }) => state === "storage-recovered")) faults.push("nothing told upstream");
    return { recoveryMs, missing, declared: rig.declared(), faults };
  } finally {
    stop();
    await rig.stop();
  }
}

function verdict(deaths: Death[], what: string): Outcome {
  const faults = [...new Set(deaths.flatMap(({ faults: found }) => found))];
  const missing = deaths.reduce((sum, one) => sum + one.missing, 0);
  const declared = deaths.reduce((sum, one) => sum + one.declared, 0);
  const slowest = Math.max(...deaths.map(({ recoveryMs }) => recoveryMs));
  return {
    trials: deaths.length,
    figure:
      `${what}: ${missing} events missing, ${declared} of them declared; back within ` +
      `${(slowest / 1000).toFixed(1)} s${faults.length === 0 ? "" : `; ${faults.join("; ")}`}`,
    passed: faults.length === 0 && missing === declared,
  };
}

async function death(scale: Scale): Promise<Outcome> {
  const deaths: Death[] = [];
  for (let trial = 0; trial < (scale === "short" ? 3 : 30); trial++) {
    const disk = new SmallDisk("ext4", 32);
    try {
      const away = async () => {
        await sleep(1200);
        try {
          disk.unmount();
        } catch (error) {
          return [`the file is held: ${(error as Error).message}`];
        }
        // Nobody may start a file of his own in the empty folder below.
        await sleep(1500);
        const found = readdirSync(disk.folder);
        return found.length === 0 ? [] : [`written beside the mount: ${found.join(" ")}`];
      };
      deaths.push(
        await outage(
          disk,
          () => disk.die(),
          away,
          () => disk.mount(),
        ),
      );
    } finally {
      disk.close();
    }
  }
  return verdict(deaths, "file system shut down, unmounted, mounted");
}

async function readOnly(scale: Scale): Promise<Outcome> {
  const deaths: Death[] = [];
  for (let trial = 0; trial < (scale === "short" ? 1 : 10); trial++) {
    const disk = new SmallDisk("ext4", 32);
    const remount = (how: string) => {
      execFileSync("mount", ["-o", `remount,${how}`, disk.folder], { stdio: ["ignore", "ignore", "pipe"] });
    };
    try {
      deaths.push(
        await outage(
          disk,
          () => disk.die(),
          async () => {
            await sleep(1500);
            disk.unmount();
            disk.mount();
            remount("ro");
            await sleep(2500);
            return [];
          },
          () => remount("rw"),
        ),
      );
    } finally {
      disk.close();
    }
  }
  return verdict(deaths, "came back read-only, then writable");
}

export const trials: Trial[] = [
  {
    id: "R8a",
    name: "file-system death",
    passLine: "no crash, alarm, the file let go; after the mount no duplicate id, no false quarantine",
    needs: ["root", "loop", "mount-namespace", "python"],
    run: death,
  },
  {
    id: "R8b",
    name: "read-only re-mount",
    passLine: "no crash, alarm, data in RAM; after the re-mount no duplicate id, no false quarantine",
    needs: ["root", "loop", "mount-namespace", "python"],
    run: readOnly,
  },
];
