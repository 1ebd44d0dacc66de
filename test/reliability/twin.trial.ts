import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import type { Have } from "../../gateway/twin/have.ts";
import { TwinRig } from "../twin-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/**
 * R36: supervisor and hosts are killed at any moment while documents of the twin are tried, each with a poll period of
 * its own. After each kill either the newest document or the one before it runs, and the report says which.
 */

/** Longer than it takes from the document's arrival to its end. */
const delayMsMax = 4000;
const settleMs = 60_000;

/** What runs, by the plan's own figures and not by the report: the poll period that the device has. */
const pollOf = ({ configuration }: GatewayStatus): string =>
  configuration?.twin?.runs?.changes.find(({ device, of }) => device === "weak" && of === "normal")?.after ??
  "200 ms";

async function settled(rig: TwinRig, ver: number): Promise<Have | undefined> {
  const giveUpMs = performance.now() + settleMs;
  for (;;) {
    const { have } = await rig.sender.look("twin-01", 1000);
    if (have !== undefined && have.ver === ver && have.state !== "staged") return have;
    if (performance.now() > giveUpMs) return have;
    await sleep(200);
  }
}

async function kills(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const trials = scale === "short" ? 2 : 100;
  const rig = await TwinRig.start("1s");
  const wrong: string[] = [];
  const ends: Record<string, number> = {};
  let before = { ver: 0, poll: "200 ms" };
  try {
    for (let i = 1; i <= trials; i++) {
      const poll = 200 + i;
      const document = rig.document({ polls: { weak: `${poll}ms` } });
      const sent = rig.sender.send(document, { waitMs: 1 });
      const delayMs = Math.random() * delayMsMax;
      await Promise.all([sent, sleep(delayMs)]);
      await rig.stop();
      await rig.run();
      const have = await settled(rig, document.ver);
      const status = await rig.until(({ configuration }) => configuration?.pending === undefined);
      const after = { ver: have?.running.ver ?? -1, poll: pollOf(status) };
      const isNew = after.ver === document.ver && after.poll === `${poll} ms` && have?.state === "applied";
      const isOld = after.ver === before.ver && after.poll === before.poll && have?.state === "rolledback";
      ends[have?.state ?? "nothing"] = (ends[have?.state ?? "nothing"] ?? 0) + 1;
      if (!isNew && !isOld)
        wrong.push(`kill ${i} after ${Math.round(delayMs)} ms: ${have?.state} ${after.ver} ${after.poll}`);
      before = after;
      say(`${i} of ${trials}, ${wrong.length} wrong`);
    }
  } finally {
    await rig.close();
  }
  const figure = [
    ...Object.entries(ends).map(([state, count]) => `${count} ${state}`),
    ...wrong.slice(0, 3),
  ].join(", ");
  return { trials, figure, passed: wrong.length === 0 };
}

export const trials: Trial[] = [
  {
    id: "R36",
    name: "a kill at any moment of a twin document",
    passLine: "the newest document or the one before runs, and the report says which",
    needs: ["mosquitto"],
    run: kills,
  },
];
