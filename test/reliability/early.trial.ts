import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../bench/processes.ts";
import { LinkRig } from "./link-rig.ts";
import { SmallDisk } from "./small-disk.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** R34: the real gateway, started on a state folder that takes nothing until it is well again. */

interface Start {
  /** Polls before the folder was well. */
  early: number;
  lost: number;
  twice: number;
  faults: string[];
}

/** `isKnown`: an earlier run has left its outbox there. */
async function start(isKnown: boolean, forMs: number): Promise<Start> {
  const rig = new LinkRig();
  const disk = new SmallDisk("tmpfs", 96);
  const remount = (how: string) => execFileSync("mount", ["-o", `remount,${how}`, disk.folder]);
  const faults: string[] = [];
  try {
    mkdirSync(join(disk.folder, "state"));
    symlinkSync(join(disk.folder, "state"), join(rig.folder, "state"));
    await rig.broker();
    rig.receiver();
    const uplink = { url: `mqtt://127.0.0.1:${rig.brokerPort}` };
    if (isKnown) {
      await rig.gateway(uplink);
      await rig.flowing();
      await rig.program("state").stop();
    }
    remount("ro");
    const before = rig.device.servedMs.length;
    await rig.gateway(uplink);
    // A busy machine needs its time to start the gateway.
    await until("the first poll", 30_000, () => rig.device.servedMs.length > before || undefined);
    await sleep(forMs);
    const early = rig.device.servedMs.length - before;
    if (early < forMs / 200 / 4) faults.push(`${early} polls in ${forMs} ms without the state folder`);
    remount("rw");
    await rig.flowing(60_000);
    await sleep(1000);
    const { lost, twice } = await rig.settle(60_000);
    return { early, lost, twice, faults };
  } finally {
    await rig.close();
    disk.close();
  }
}

async function readOnlyStarts(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const starts: Start[] = [];
  for (let i = 0; i < (scale === "short" ? 1 : 5); i++)
    for (const isKnown of [false, true]) {
      const one = await start(isKnown, scale === "short" ? 5000 : 20_000);
      starts.push(one);
      say(JSON.stringify(one));
    }
  const sum = (name: "early" | "lost" | "twice") => starts.reduce((all, one) => all + one[name], 0);
  const faults = starts.flatMap((one) => one.faults);
  const figure = `${sum("early")} polls before the folder was well; ${sum("lost")} lost, ${sum("twice")} twice at the receiver`;
  // The read that is under way when all hosts begin anew may have been served and never taken.
  const passed = faults.length === 0 && sum("lost") <= starts.length && sum("twice") === 0;
  return { trials: starts.length, figure: [figure, ...faults].join("; "), passed };
}

export const trials: Trial[] = [
  {
    id: "R34",
    name: "start on a state folder that is read-only",
    passLine:
      "polled at once; what was read is delivered when the folder is well, at most the read under way lost",
    needs: ["root", "mount-namespace", "mosquitto"],
    run: readOnlyStarts,
  },
];
