import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ask } from "../../gateway/control/control.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { listens, Program, until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";
import { arrivals, type Arrival } from "./arrivals.ts";
import { mqttPlug, tellOn, type Device } from "./custody-devices.ts";
import type { Need, Outcome, Scale, Trial } from "./trial.ts";

/**
 * R33: the real gateway, stopped and started while a device tells it something that the device forgets once it is
 * acknowledged. Each message has to be at the receiver, and once.
 */

const launcher = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
/** A stop that takes longer would be a kill under systemd. */
const stopMsMax = 5000;

/** An IOC: a broker and a receiver. */
class Ioc {
  readonly database: string;
  readonly #programs: Program[] = [];
  readonly #folder: string;
  port = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.database = join(folder, "ioc.db");
  }

  async start(): Promise<void> {
    this.port = await freePort();
    const file = join(this.#folder, "ioc.conf");
    writeFileSync(file, `listener ${this.port} 127.0.0.1\nallow_anonymous true\n`);
    this.#programs.push(new Program("ioc-broker", this.#folder, "mosquitto", ["-c", file]));
    await until("mosquitto", 10_000, async () => ((await listens(this.port)) ? true : undefined));
    const link = ["--broker", `mqtt://127.0.0.1:${this.port}`, "--city", "trial", "--name", "ioc"];
    const own = ["--database", this.database, "--listen", "127.0.0.1:0", "--ack-interval", "1s"];
    this.#programs.push(new Program("receiver", this.#folder, launcher, ["receive", ...link, ...own]));
  }

  async stop(): Promise<void> {
    for (const program of this.#programs.splice(0).toReversed()) await program.stop();
  }
}

function writeSite(folder: string, port: number, { settings }: Device): string {
  const url = `mqtt://127.0.0.1:${port}`;
  const site = {
    version: 1,
    gateway: { id: "trial-gateway", name: "Trial", city: "trial", state: "state" },
    uplinks: [{ id: "ioc", type: "mqtt", url, encoding: "columnar", insecure: "acknowledged" }],
    log: { level: "warn" },
    devices: [{ id: "device-1", ...settings }],
  };
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, JSON.stringify(site));
  return file;
}

/** How often the receiver has each number. */
function counted(list: readonly Arrival[]): Map<number, number> {
  const told = list.filter(({ kind, device }) => kind === "telemetry" && device === "device-1");
  return new Map([...Map.groupBy(told, ({ value }) => Number(value))].map(([one, all]) => [one, all.length]));
}

/** Waits until the receiver has taken everything. */
async function delivered(state: string): Promise<void> {
  await until("the outbox to run empty", 60_000, async () => {
    for await (const answer of ask(join(state, "kerb.sock"), { verb: "status" }, AbortSignal.timeout(5000))) {
      const { books } = (answer as GatewayStatus).outbox;
      return books.live.kept + books.event.kept === 0 ? true : undefined;
    }
    return undefined;
  });
}

interface Told {
  number: number;
  /** The number at each stop. */
  readonly stops: number[];
  readonly taken: number[];
}

/** One run of the gateway, until an orderly stop in the middle of its work; gives back how long that took, ms. */
async function runAndStop(device: Device, told: Told, start: () => Program): Promise<number> {
  const gateway = start();
  const ended = once(gateway.child, "exit");
  const over = new AbortController();
  const { tell, end } = await device.begin();
  const took = (number: number): void => void told.taken.push(number);
  await until("the first acknowledgement", 60_000, async () => {
    const number = ++told.number;
    if (!(await tell(number).catch(() => false))) return undefined;
    took(number);
    return true;
  });
  const telling = tellOn(device, tell, () => ++told.number, took, over.signal);
  await sleep(500 + Math.random() * 1500);
  const fromMs = performance.now();
  told.stops.push(told.number);
  gateway.child.kill("SIGTERM");
  await ended;
  const spentMs = performance.now() - fromMs;
  await sleep(200);
  over.abort();
  await telling;
  end();
  return spentMs;
}

async function stoppedWhileTold(
  protocol: "3.1.1" | 5,
  scale: Scale,
  say: (progress: string) => void,
): Promise<Outcome> {
  const trials = scale === "short" ? 4 : 20;
  const folder = mkdtempSync(join(tmpdir(), "kerb-stops-"));
  const ioc = new Ioc(folder);
  const told: Told = { number: 0, stops: [], taken: [] };
  let device: Device | undefined;
  let found = new Map<number, number>();
  let slowestMs = 0;
  try {
    await ioc.start();
    const own = (device = await mqttPlug(folder, protocol));
    const site = writeSite(folder, ioc.port, own);
    const start = () => new Program("gateway", folder, launcher, ["run", site]);
    for (let i = 0; i < trials; i++) {
      slowestMs = Math.max(slowestMs, await runAndStop(own, told, start));
      say(`${i + 1} stops, ${told.taken.length} acknowledged`);
    }
    const last = start();
    // What comes twice comes late.
    await sleep(5000);
    await delivered(join(folder, "state"));
    await last.stop();
    await ioc.stop();
    found = counted(arrivals(ioc.database));
  } finally {
    await device?.stop();
    await ioc.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const lost = told.taken.filter((number) => !found.has(number));
  const twice = [...found.values()].filter((times) => times > 1).length;
  if (lost.length > 0) say(`lost: ${lost.join(" ")}; stopped at ${told.stops.join(" ")}`);
  const figure = `${lost.length} of ${told.taken.length} messages lost, ${twice} twice at the receiver; slowest stop ${slowestMs.toFixed(0)} ms`;
  const passed = lost.length === 0 && twice === 0 && told.taken.length > trials && slowestMs < stopMsMax;
  return { trials, figure, passed };
}

const needs: Need[] = ["mosquitto"];
const rows = [
  { id: "R33", protocol: "3.1.1" },
  { id: "R33b", protocol: 5 },
] as const;

export const trials: Trial[] = rows.map(({ id, protocol }) => ({
  id,
  name: `MQTT ${protocol} behind mosquitto: orderly stops while it is told something`,
  passLine: "0 messages taken by the broker lost, 0 twice at the receiver",
  needs,
  run: (scale, say) => stoppedWhileTold(protocol, scale, say),
}));
