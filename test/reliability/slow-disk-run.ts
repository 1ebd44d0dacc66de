import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { OutboxRig } from "./outbox-rig.ts";

/** Feeds 200 events a second and says how the main thread's loop felt: the victim of a slow fsync. */
const [folder = "", seconds = "5"] = process.argv.slice(2);
const rig = await OutboxRig.start({ folder, commitAfterMs: 1000 });
await sleep(1000);
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const endMs = performance.now() + Number(seconds) * 1000;
for (let sent = 0; performance.now() < endMs;) {
  const due = Math.floor(((Number(seconds) * 1000 - (endMs - performance.now())) / 1000) * 200);
  if (due > sent) rig.feed(due - sent);
  sent = Math.max(sent, due);
  await sleep(5);
}
delay.disable();
const drained = await rig.drained(20_000);
const lost = rig.fed - rig.values().size;
await rig.stop();
console.log(
  JSON.stringify({
    fed: rig.fed,
    lost,
    drained,
    loopP99Ms: delay.percentile(99) / 1e6,
    loopP50Ms: delay.percentile(50) / 1e6,
  }),
);
process.exit(0);
