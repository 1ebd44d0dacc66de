import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EventWriter } from "../../gateway/event.ts";
import { OutboxStore } from "../../gateway/outbox/store.ts";
import { LinkProxy } from "../bench/proxy.ts";
import { Rig } from "../bench/rig.ts";
import { arrivals, quantile } from "./arrivals.ts";
import { CounterDevice } from "./counter-device.ts";
import type { Outcome, Trial } from "./trial.ts";

/** R29: what lives and what warns goes first on a thin line, while hours of backlog drain beside it. */

const flushMs = 1000;
const pointsPerEvent = 100;
const bitsPerSecond = 256_000;

/** Events of the hours before, written as the gateway itself would have. */
function writeBacklog(folder: string, events: number): void {
  const store = new OutboxStore({ path: join(folder, "state", "outbox.db"), bytesMax: 1 << 28 });
  const points = Array.from({ length: pointsPerEvent }, (_, i) => ({
    name: `value.p${i}`,
    unit: "V",
    kind: "number" as const,
    decimals: 1,
  }));
  const [device] = store.register([{ id: "before", type: "modbus", profile: "", points }]);
  const writer = new EventWriter();
  const values = points.map((_, i) => 200 + i);
  const startMs = Date.now() - events * 500;
  for (let done = 0; done < events;) {
    const rows = Array.from({ length: Math.min(1000, events - done) }, (_, i) => {
      writer.begin("telemetry", device?.index ?? 0, startMs + (done + i) * 500, 0, "synced");
      writer.count(pointsPerEvent);
      device?.points.forEach(({ index }, at) => {
        values[at] = Math.round(((values[at] ?? 0) + (Math.random() - 0.5)) * 10) / 10;
        writer.reading(index, values[at] ?? 0, 1);
      });
      return { lane: 1 as const, body: Buffer.from(writer.bytes()) };
    });
    store.commit(rows);
    done += rows.length;
  }
  store.close();
}

interface Load {
  devices: number;
  encoding: "columnar" | "cloudevents";
  /** Of the line, each way. */
  delayMs: number;
}

export interface ThinLine {
  liveP50: number;
  liveP95: number;
  liveMax: number;
  alarms: number;
  alarmMax: number;
  /** Share of the line that was in use while there was backlog. */
  use: number;
  backlogLeft: number;
  seconds: number;
  shed: number;
}

/** Runs a gateway with `devices` × 100 points at 1 s and a backlog on the line; measures for `measureMs`. */
export async function thinLine(
  { devices, encoding, delayMs }: Load,
  backlogEvents: number,
  measureMs: number,
  root?: string,
): Promise<ThinLine> {
  const flickering = Array.from({ length: 5 }, () => new CounterDevice());
  for (const device of flickering) await device.start();
  let proxy: LinkProxy | undefined;
  const rig = new Rig({
    farm: { devices, silent: 0, delayMs: 0, change: "second" },
    pollMs: 1000,
    requestsInFlight: 4,
    encoding,
    ownPorts: flickering.map(({ port }) => port),
    ...(root === undefined ? {} : { root }),
    link: async (brokerPort) => {
      proxy = new LinkProxy(brokerPort, { bitsPerSecond, delayMs, bufferBytes: 256 * 1024 });
      await proxy.open();
      return proxy.port;
    },
  });
  try {
    writeBacklog(rig.folder, backlogEvents);
    await rig.start();
    for (const [i, device] of flickering.entries()) device.flicker(2500 + 150 * i);
    const backlog = async (): Promise<number> => (await rig.status()).outbox.uplinks["ioc"]?.backlogRows ?? 0;
    const startMs = Date.now();
    const bytes = proxy?.bytesUp ?? 0;
    let left = await backlog();
    while (Date.now() - startMs < measureMs && left > 0) {
      await sleep(500);
      left = await backlog();
    }
    const endMs = Date.now();
    const sent = (proxy?.bytesUp ?? 0) - bytes;
    await sleep(2500);
    // While it runs its file is its own.
    await rig.receiver.stop();
    const list = arrivals(rig.database).filter(
      ({ timeMs, device }) => timeMs >= startMs && timeMs < endMs - 500 && device !== "before",
    );
    const live = list.filter(({ kind }) => kind === "telemetry");
    const latencies = live.map(({ receivedMs, timeMs }) => receivedMs - timeMs);
    const alarms = list
      .filter(({ kind, lane }) => kind !== "telemetry" && lane === "event")
      .map(({ receivedMs, recordedMs }) => receivedMs - recordedMs);
    return {
      liveP50: quantile(latencies, 0.5),
      liveP95: quantile(latencies, 0.95),
      liveMax: quantile(latencies, 1),
      alarms: alarms.length,
      alarmMax: Math.max(0, ...alarms),
      use: (sent * 8000) / bitsPerSecond / (endMs - startMs),
      backlogLeft: left,
      seconds: (endMs - startMs) / 1000,
      shed: live.filter(({ lane }) => lane === "fill").length,
    };
  } finally {
    for (const device of flickering) device.stop();
    await rig.close();
    await proxy?.close();
  }
}

async function outcome(load: Load, scale: "short" | "full"): Promise<Outcome> {
  // 4 h of 200 readings a second; half of the line is about 50 devices.
  const result = await thinLine(load, 28_800, scale === "short" ? 15_000 : 900_000);
  const { liveP50, liveP95, alarms, alarmMax, use, backlogLeft, seconds } = result;
  const drained = backlogLeft === 0 ? `drained in ${seconds.toFixed(0)} s` : `${backlogLeft} events left`;
  return {
    trials: 1,
    figure: `${load.devices * 100} readings/s as ${load.encoding}, ${2 * load.delayMs} ms there and back: live p50 ${liveP50.toFixed(0)}, p95 ${liveP95.toFixed(0)} ms; ${alarms} urgent events, worst ${alarmMax.toFixed(0)} ms; ${(use * 100).toFixed(0)} % of the line in use for ${seconds.toFixed(0)} s, ${drained}`,
    passed:
      liveP95 <= flushMs + 500 &&
      alarms > 3 &&
      alarmMax <= 1000 &&
      use > 0.7 &&
      (scale === "short" || backlogLeft === 0),
  };
}

const passLine =
  "256 kbit/s, 4 h of backlog: live p95 ≤ 1.5 s (flush 1 s), urgent ≤ 1 s, line at least 70 % in use until the backlog is gone";

export const trials: Trial[] = [
  {
    id: "R29a",
    name: "thin line far away, self-describing encoding",
    passLine,
    needs: ["mosquitto"],
    run: (scale) => outcome({ devices: 2, encoding: "cloudevents", delayMs: 200 }, scale),
  },
  {
    id: "R29b",
    name: "thin line, half of it live data",
    passLine,
    needs: ["mosquitto"],
    run: (scale) => outcome({ devices: 50, encoding: "columnar", delayMs: 30 }, scale),
  },
];
