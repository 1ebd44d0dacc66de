import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ask } from "../../gateway/control/control.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { meterPoints, numberPoint } from "../bench/device-shape.ts";
import type { FromFarm, ToFarm } from "../bench/farm.ts";
import { Peer, Program, until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";
import { LoopDisk } from "./loop-disk.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

const devices = 50;
/** In the short run rows live shorter, and what is deleted before a checkpoint is written once instead of twice. */
const bytesPerEventMax = { short: 1024, full: 1229 };
const flushesPerSecondMax = 2.5;
const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));

/** The first register range of the bench's meter: 25 points, which is what a three-phase meter has. */
const points = Object.fromEntries([
  [numberPoint, { address: { table: "holding", register: 0, type: "uint32" } }],
  ...meterPoints
    .filter(({ register }) => register < 200)
    .map(({ point, unit, type, decimals, register }) => [
      point,
      { address: { table: "holding", register, type }, unit, scale: Number(`1e-${decimals}`) },
    ]),
]);

function writeSite(folder: string, state: string, brokerPort: number, ports: readonly number[]): string {
  const file = join(folder, "site.yaml");
  const site = {
    version: 1,
    gateway: { id: "wear", name: "Wear", city: "trial", state },
    uplinks: [{ id: "ioc", type: "mqtt", url: `mqtt://127.0.0.1:${brokerPort}` }],
    log: { level: "warn" },
    devices: ports.map((port, i) => ({
      id: `meter-${i + 1}`,
      driver: "modbus",
      poll: "1s",
      transport: { type: "tcp", host: "127.0.0.1", port },
      unit: 1,
      points,
    })),
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(site));
  return file;
}

async function status(state: string): Promise<GatewayStatus> {
  for await (const answer of ask(join(state, "kerb.sock"), { verb: "status" }))
    return answer as GatewayStatus;
  throw new Error("the gateway did not answer");
}

/** What reaches the block device under a steady gateway: 50 events a second, delivered, acknowledged, deleted. */
async function wear(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  const [warmMs, seconds, acknowledgeEvery] = scale === "short" ? [0, 50, 50] : [30_000, 300, 60];
  const folder = mkdtempSync(join(tmpdir(), "kerb-wear-"));
  const disk = new LoopDisk(256);
  const farm = new Peer<ToFarm, FromFarm>("farm.ts");
  const programs: Program[] = [];
  const start = (name: string, command: string, ...args: string[]) => {
    const program = new Program(name, folder, command, args);
    programs.push(program);
    return program;
  };
  try {
    const options = { devices, silent: 0, delayMs: 0, change: "second" as const };
    const { ports } = await farm.ask({ type: "start", options }, "listening");
    const brokerPort = await freePort();
    const configuration = join(folder, "mosquitto.conf");
    writeFileSync(
      configuration,
      `listener ${brokerPort} 127.0.0.1\nallow_anonymous true\npersistence false\n`,
    );
    start("broker", "mosquitto", "-c", configuration);
    const broker = `mqtt://127.0.0.1:${brokerPort}`;
    const own = ["--database", join(folder, "receiver.db"), "--listen", "127.0.0.1:0"];
    start(
      "receiver",
      kerb,
      "receive",
      "--broker",
      broker,
      "--city",
      "trial",
      "--name",
      "ioc",
      ...own,
      "--ack-interval",
      `${acknowledgeEvery}s`,
    );
    const state = join(disk.folder, "state");
    mkdirSync(state);
    const gateway = start("gateway", kerb, "run", writeSite(folder, state, brokerPort, ports));
    await until("every device and the uplink", 60_000, async () => {
      gateway.check();
      const now = await status(state).catch(() => undefined);
      return now?.devices.every((device) => device.state === "online") &&
        now.uplinks[0]?.state === "connected"
        ? true
        : undefined;
    });
    await sleep(warmMs);
    // A whole number of acknowledgements is in the span, and their edges are not at its edges.
    const delivered = async (): Promise<number> => (await status(state)).outbox.books.live.delivered;
    const first = await delivered();
    await until("an acknowledgement", 120_000, async () => (await delivered()) > first || undefined);
    await sleep((acknowledgeEvery * 1000) / 5);
    const measure = async () => {
      disk.sync();
      const { books } = (await status(state)).outbox;
      return {
        counts: disk.counts,
        accepted: books.live.accepted + books.event.accepted,
        delivered: books.live.delivered,
        atMs: performance.now(),
      };
    };
    const before = await measure();
    await sleep(seconds * 1000);
    const after = await measure();
    const events = after.accepted - before.accepted;
    const span = (after.atMs - before.atMs) / 1000;
    const bytes = (after.counts.bytes - before.counts.bytes) / events;
    const flushes = (after.counts.flushes - before.counts.flushes) / span;
    const deleted = after.delivered - before.delivered;
    say(`${events} accepted, ${deleted} delivered and deleted in ${span.toFixed(1)} s`);
    await gateway.stop();
    return {
      trials: events,
      figure: `${bytes.toFixed(0)} B/event, ${flushes.toFixed(2)} flushes/s, ${((after.counts.writes - before.counts.writes) / span).toFixed(1)} writes/s at ${(events / span).toFixed(0)} events/s`,
      passed: bytes <= bytesPerEventMax[scale] && flushes <= flushesPerSecondMax && deleted > events / 2,
    };
  } finally {
    for (const program of programs) await program.stop();
    await farm.stop();
    disk.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const trials: Trial[] = [
  {
    id: "R26",
    name: "flash wear: 50 devices read once a second, acknowledged and deleted",
    passLine: "≤ 1.2 KB/event (1.0 KB in the short run) and ≤ 2.5 flushes/s",
    needs: ["root", "loop", "mount-namespace", "mosquitto"],
    run: wear,
  },
];
