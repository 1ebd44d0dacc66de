import { setTimeout as sleep } from "node:timers/promises";
import type { KerbEvent } from "../../gateway/event.ts";
import { seededRandom } from "../../simulators/simulator.ts";
import { until } from "../bench/processes.ts";
import type { CounterDevice } from "./counter-device.ts";
import { ExactnessRig, pollMs } from "./exactness-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/**
 * Everything may break at any moment. Gateway, host, broker and receiver are killed with SIGKILL, the gateway's box
 * loses its power, the link is cut or swallows everything, in random order (KERB_CHAOS_SEED); each read of a device
 * gives the next number. Afterwards: nothing that the outbox accepted is missing without having been declared,
 * nothing is there twice, and a number that is missing was served in the moment before its gateway or host was
 * killed, that is, before it could be accepted.
 */

/** How long before a kill a number may have been served and be lost: the group commit is 1 s, the rest is margin. */
const unacceptedMs = { gateway: 2000, power: 2000, host: 1000, end: 2000 };
/** A number's time is that of its read. */
const timeErrorMsMax = 500;

const faults = ["gateway", "host", "broker", "receiver", "power", "refuse", "black-hole"] as const;
type Fault = (typeof faults)[number];

interface Kill {
  kind: keyof typeof unacceptedMs;
  atMs: number;
}

async function inflict(rig: ExactnessRig, fault: Fault, random: () => number, kills: Kill[]): Promise<void> {
  const pause = () => sleep(random() * 800);
  if (fault === "refuse" || fault === "black-hole") {
    await rig.setLink(fault);
    await sleep(500 + random() * 3000);
    await rig.setLink("pass");
    return;
  }
  if (fault === "host") {
    if (await rig.killHost()) kills.push({ kind: "host", atMs: Date.now() });
    return;
  }
  if (fault === "gateway" || fault === "power") kills.push({ kind: fault, atMs: Date.now() });
  if (fault === "power") await rig.cutPower();
  else await rig.kill(fault);
  await pause();
  rig.launch(fault === "power" ? "gateway" : fault);
}

async function endToEnd(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const seconds = Number(process.env["KERB_CHAOS_SECONDS"] ?? (scale === "short" ? 60 : 1800));
  const seed = Number(process.env["KERB_CHAOS_SEED"] ?? Date.now() % 1_000_000);
  say(`seed ${seed}`);
  const random = seededRandom(seed);
  const rig = new ExactnessRig();
  const kills: Kill[] = [];
  const tally: Record<string, number> = {};
  try {
    await rig.start();
    for (const endMs = Date.now() + seconds * 1000; Date.now() < endMs;) {
      await sleep(1000 + random() * 1500);
      const fault = faults[Math.floor(random() * faults.length)] ?? "gateway";
      tally[fault] = (tally[fault] ?? 0) + 1;
      await inflict(rig, fault, random, kills);
    }
    await until("the uplink", 30_000, async () =>
      (await rig.status())?.uplinks[0]?.state === "connected" ? true : undefined,
    );
    // Whatever is accepted now is delivered in the end: the devices fall silent, the queue runs empty.
    for (const device of rig.devices) device.stop();
    kills.push({ kind: "end", atMs: Date.now() });
    await until("an empty outbox", 60_000, async () =>
      (await rig.status())?.outbox.books.live.kept === 0 ? true : undefined,
    );
    const events = await until("the receiver", 20_000, () => rig.received());
    await rig.kill("gateway");
    const { defects, declared, latestMs } = verify(rig, events, kills, seconds);
    for (const defect of defects.slice(0, 5)) say(defect);
    if (defects.length > 0) say(rig.log.slice(-40).join("\n"));
    const sum = rig.devices.reduce((count, { servedMs }) => count + servedMs.length, 0);
    return {
      trials: kills.length,
      figure: `${JSON.stringify(tally)}; ${sum} numbers served, ${events.length} events stored once, ${declared} declared, ${defects.length} lost, doubled or out of order${defects[0] === undefined ? "" : ` (${defects[0]})`}; the last lost before it was accepted: ${latestMs} ms before a kill; seed ${seed}`,
      passed: defects.length === 0,
    };
  } catch (error) {
    say(rig.log.slice(-40).join("\n"));
    throw error;
  } finally {
    await rig.close();
  }
}

/** Numbers that `gap` events declare as never to come. */
function declaredIn(events: readonly KerbEvent[]): Set<string> {
  type Dropped = { epoch: number; from: number; to: number };
  const ranges = events
    .filter(({ kind }) => kind === "gap")
    .flatMap(({ data }) => (data as { dropped?: Dropped[] } | undefined)?.dropped ?? []);
  return new Set(
    ranges.flatMap(({ epoch, from, to }) =>
      Array.from({ length: to - from + 1 }, (_, i) => `${epoch}:${from + i}`),
    ),
  );
}

function verify(rig: ExactnessRig, events: readonly KerbEvent[], kills: readonly Kill[], seconds: number) {
  const defects: string[] = [];
  const ids = new Set(events.map((event) => `${event.epoch}:${event.seq}`));
  if (ids.size !== events.length) defects.push(`${events.length - ids.size} events are stored twice`);
  const declared = declaredIn(events);
  const { numbers, kept } = rig.accepted();
  for (const { epoch, seq, id } of numbers) {
    if (!ids.has(`${epoch}:${seq}`) && !kept.has(id) && !declared.has(`${epoch}:${seq}`))
      defects.push(`event ${epoch}:${seq} was accepted and is lost`);
  }
  const latestMs = Math.max(
    0,
    ...rig.devices.map((device) => verifyNumbers(device, events, kills, seconds, defects)),
  );
  return { defects, declared: declared.size, latestMs };
}

/** Returns how long before a kill the earliest of the numbers was served that the kill took with it. */
function verifyNumbers(
  { id, servedMs }: CounterDevice,
  events: readonly KerbEvent[],
  kills: readonly Kill[],
  seconds: number,
  defects: string[],
): number {
  const numbers = events
    .filter((event) => event.device === id && event.kind === "telemetry")
    .toSorted((a, b) => a.epoch - b.epoch || a.seq - b.seq)
    .map((event) => ({ number: event.readings?.[0]?.value as number, timeMs: event.timeMs }));
  if (numbers.length < (seconds * 1000) / pollMs / 4)
    defects.push(`${id}: only ${numbers.length} numbers arrived`);
  let before = 0;
  for (const { number, timeMs } of numbers) {
    if (number <= before) defects.push(`${id}: ${number} came under two ids, or out of order`);
    before = number;
    if (Math.abs(timeMs - (servedMs[number - 1] ?? 0)) > timeErrorMsMax)
      defects.push(`${id}: ${number} carries a time that is not that of its read`);
  }
  const there = new Set(numbers.map(({ number }) => number));
  let latestMs = 0;
  for (const [i, atMs] of servedMs.entries()) {
    if (there.has(i + 1)) continue;
    // A kill explains what was served in the moment before it, or while it took its effect.
    const leads = kills
      .filter(({ kind, atMs: killMs }) => atMs > killMs - unacceptedMs[kind] && atMs < killMs + 500)
      .map(({ atMs: killMs }) => killMs - atMs);
    if (leads.length === 0)
      defects.push(`${id}: number ${i + 1} is missing though nothing was killed after it was served`);
    else latestMs = Math.max(latestMs, Math.min(...leads));
  }
  return latestMs;
}

export const trials: Trial[] = [
  {
    id: "R14",
    name: "end-to-end exactness under random kills, power cuts and link faults",
    passLine:
      "every accepted number received once under its id or declared, order kept, values served 2 s before a kill are there",
    needs: ["root", "loop", "mount-namespace", "python", "mosquitto"],
    exclusive: true,
    run: endToEnd,
  },
];
