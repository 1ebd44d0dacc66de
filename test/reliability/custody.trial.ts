import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EventReader } from "../../gateway/event.ts";
import { OutboxStore, type RowLane } from "../../gateway/outbox/store.ts";
import { Program, until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";
import { quantile } from "./arrivals.ts";
import { mqttPlug, rsmpSite, snmpUps, tellOn, webhookBin, type Device } from "./custody-devices.ts";
import type { Need, Outcome, Scale, Trial } from "./trial.ts";

/**
 * R32: the real gateway, killed while a device tells it something that the device forgets once it is acknowledged.
 * What was acknowledged has to be in the outbox; what a broker took, once the gateway is back.
 */

const launcher = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
/** How often the gateway is let fetch what a broker has kept for it. */
const fetchesMax = 6;

function writeSite(folder: string, brokerPort: number, { settings }: Device): string {
  const site = {
    version: 1,
    gateway: { id: "trial-gateway", name: "Trial", city: "trial", state: "state" },
    // Nobody is there: whatever was taken stays.
    uplinks: [{ id: "ioc", type: "mqtt", url: `mqtt://127.0.0.1:${brokerPort}`, encoding: "columnar" }],
    log: { level: "warn" },
    devices: [{ id: "device-1", ...settings }],
  };
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, JSON.stringify(site));
  return file;
}

/** How often each number lies in an outbox. */
function kept(path: string, device: Device): Map<number, number> {
  const store = new OutboxStore({ path, bytesMax: 256 * 1024 * 1024 });
  const reader = new EventReader();
  const found = new Map<number, number>();
  for (const lane of [0, 1] as RowLane[])
    for (const { body } of store.rows(lane, 0, store.lastId, 10_000_000)) {
      reader.open(body);
      for (const number of device.numbersOf(reader)) found.set(number, (found.get(number) ?? 0) + 1);
    }
  store.close();
  return found;
}

interface Told {
  number: number;
  readonly taken: number[];
  readonly spentMs: number[];
}

/** One run of the gateway, until a kill in the middle of its work. */
async function runAndKill(device: Device, told: Told, start: () => Program): Promise<void> {
  const gateway = start();
  const ended = once(gateway.child, "exit");
  const over = new AbortController();
  const next = () => ++told.number;
  const { tell, end } = await device.begin();
  const took = (number: number, spentMs: number): void => {
    told.taken.push(number);
    told.spentMs.push(spentMs);
  };
  const first = async () => {
    const number = next();
    if (!(await tell(number).catch(() => false))) return undefined;
    told.taken.push(number);
    return true;
  };
  await until("the first acknowledgement", 60_000, first);
  const telling = tellOn(device, tell, next, took, over.signal);
  await sleep(300 + Math.random() * 1500);
  gateway.child.kill("SIGKILL");
  await ended;
  // Its host sees that it has gone, and goes as well.
  await sleep(500);
  over.abort();
  await telling;
  end();
}

async function killedWhileTold(
  open: (folder: string) => Promise<Device>,
  scale: Scale,
  say: (progress: string) => void,
  isBrokered: boolean,
): Promise<Outcome> {
  const trials = scale === "short" ? 3 : 60;
  const folder = mkdtempSync(join(tmpdir(), "kerb-custody-"));
  const told: Told = { number: 0, taken: [], spentMs: [] };
  const outbox = join(folder, "state", "outbox.db");
  let device: Device | undefined;
  let found = new Map<number, number>();
  let lost = 0;
  const count = (own: Device): void => {
    found = kept(outbox, own);
    lost = told.taken.filter((number) => !found.has(number)).length;
  };
  try {
    const own = (device = await open(folder));
    const site = writeSite(folder, await freePort(), own);
    const start = () => new Program("gateway", folder, launcher, ["run", site]);
    for (let i = 0; i < trials; i++) {
      await runAndKill(own, told, start);
      if (!isBrokered) count(own);
      say(`${i + 1} kills, ${told.taken.length} acknowledged${isBrokered ? "" : `, ${lost} lost`}`);
    }
    for (let i = 0; i < (isBrokered ? fetchesMax : 0); i++) {
      const gateway = start();
      await sleep(8000);
      await gateway.stop();
      count(own);
      say(`fetched ${i + 1} times, ${lost} missing`);
      if (lost === 0) break;
    }
  } finally {
    await device?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const slow = [0.5, 0.99].map((share) => `${quantile(told.spentMs, share).toFixed(0)} ms`);
  const twice = [...found.values()].filter((times) => times > 1).length;
  const where = isBrokered ? "taken by the broker" : "acknowledged";
  const figure = `${lost} of ${told.taken.length} messages ${where} lost, ${twice} stored twice; answered within ${slow.join(" (p50), ")} (p99)`;
  return { trials, figure, passed: lost === 0 && told.taken.length > trials };
}

interface Row {
  id: string;
  name: string;
  needs?: Need[];
  isBrokered?: true;
  open: (folder: string) => Promise<Device>;
}

const rows: Row[] = [
  { id: "R32", name: "webhook", open: webhookBin },
  { id: "R32b", name: "RSMP alarms", open: rsmpSite },
  { id: "R32c", name: "SNMP informs", open: snmpUps },
  {
    id: "R32d",
    name: "MQTT 3.1.1 behind mosquitto",
    needs: ["mosquitto"],
    isBrokered: true,
    open: (folder) => mqttPlug(folder, "3.1.1"),
  },
  {
    id: "R32e",
    name: "MQTT 5 behind mosquitto",
    needs: ["mosquitto"],
    isBrokered: true,
    open: (folder) => mqttPlug(folder, 5),
  },
];

export const trials: Trial[] = rows.map(({ id, name, needs = [], isBrokered = false, open }) => ({
  id,
  name: `${name}: kill -9 while it is told something`,
  passLine: isBrokered ? "0 messages taken by the broker lost" : "0 acknowledged messages lost",
  needs,
  run: (scale, say) => killedWhileTold(open, scale, say, isBrokered),
}));
