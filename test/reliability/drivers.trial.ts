import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { loadSite, type DeviceConfig, type Site } from "../../gateway/config/config.ts";
import { ask } from "../../gateway/control/control.ts";
import { EventReader } from "../../gateway/event.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { start as startSimulator } from "../../simulators/modbus/index.ts";
import type { Simulator } from "../../simulators/simulator.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** R22: drivers that hang, leak, crash, throw and storm beside a healthy one, all in one running gateway. */

const periodMs = 1000;
const healthyDevices = 20;
/** As `gateway/hosts.ts` has it; the supervisor looks every quarter of a second. */
const rssMbMax = 384 * 1.048576;
const leakMbPerSecond = 60;
const backOffMaxMs = 10_000;
const observeMs = 2;

/** What a device of each bad driver does in its third poll. */
const badness: Record<string, string> = {
  loop: "for (;;);",
  fifo: 'execFileSync("mkfifo", [fifo + process.pid]); readFileSync(fifo + process.pid);',
  leak: `setInterval(() => kept.push(Buffer.alloc(${leakMbPerSecond}e5, 1)), 100);`,
  crash: 'process.kill(process.pid, "SIGSEGV");',
  throw: 'setTimeout(() => { throw new Error("out of a timer"); }, 10);',
  rejection: 'void Promise.reject(new Error("nobody cares"));',
  storm: "",
  unloadable: "",
};

function writeDriver(folder: string, kind: string): string {
  const own = join(folder, kind);
  mkdirSync(own);
  const source = `
    import { execFileSync } from "node:child_process";
    import { readFileSync } from "node:fs";
    const fifo = ${JSON.stringify(join(own, "fifo"))};
    const kept = [];
    ${kind === "unloadable" ? 'throw new Error("a driver that cannot be loaded");' : ""}
    let polls = 0;
    export const driver = {
      name: ${JSON.stringify(kind)},
      describe: () => "",
      connect: async ({ isBad }) => ({
        identify: async () => ({}),
        read: async () => {
          if (isBad && ++polls === 3) { ${badness[kind]} }
          return { answers: [polls] };
        },
        close: async () => {},
      }),
    };
    void [execFileSync, readFileSync, fifo, kept];
  `;
  writeFileSync(join(own, "index.ts"), source);
  return relative(fileURLToPath(new URL("../../drivers", import.meta.url)), own);
}

/** One bad device and one good one beside it, under one driver. A storm polls as fast as its host can. */
function badDevices(folder: string, kind: string, pattern: DeviceConfig): DeviceConfig[] {
  const driver = writeDriver(folder, kind);
  const pollMs = kind === "storm" ? 0.01 : 200;
  return [true, false].map((isBad) => ({
    ...pattern,
    id: `${kind}-${isBad ? "bad" : "good"}`,
    name: kind,
    driver,
    settings: { isBad },
    pollMs: { fast: pollMs, normal: pollMs, slow: pollMs },
    points: pattern.points.map((point) => ({ ...point, address: {} as never })),
  }));
}

async function simulators(): Promise<{ running: Simulator[]; ports: number[] }> {
  const running = await Promise.all(
    Array.from({ length: healthyDevices }, () =>
      startSimulator({
        profile: "trial/device",
        identity: {},
        settings: { transport: { type: "tcp", host: "127.0.0.1", port: 0 }, unit: 1 },
        points: [
          { name: "level", address: { table: "holding", register: 0, type: "uint16" }, scale: 1, offset: 0 },
        ],
      }),
    ),
  );
  return { running, ports: running.map(({ address }) => Number(/:(\d+) unit/.exec(address)?.[1])) };
}

async function siteOf(folder: string, ports: readonly number[], kinds: readonly string[]): Promise<Site> {
  const file = join(folder, "gateway.yaml");
  const devices = ports.map((port, i) => ({
    id: `healthy-${i}`,
    driver: "modbus",
    poll: `${periodMs}ms`,
    transport: { type: "tcp", host: "127.0.0.1", port },
    unit: 1,
    points: { level: { address: { table: "holding", register: 0, type: "uint16" }, unit: "m" } },
  }));
  const gateway = { id: "trial-gateway", name: "Trial", city: "trial", state: "state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway, devices }));
  const site = await loadSite(file);
  const [pattern] = site.devices;
  if (pattern === undefined) throw new Error("the trial's site has no device");
  site.devices.push(...kinds.flatMap((kind) => badDevices(folder, kind, pattern)));
  return site;
}

/** A gateway in a process of its own, its log and the memory of its hosts. */
class Gateway {
  readonly socket: string;
  readonly #child: ChildProcess;
  readonly lines: string[] = [];
  rssMbMax = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(folder: string, site: Site) {
    const file = join(folder, "site.json");
    writeFileSync(file, JSON.stringify(site));
    this.socket = join(site.gateway.stateFolder, "kerb.sock");
    const script = fileURLToPath(new URL("supervise.ts", import.meta.url));
    this.#child = spawn(process.execPath, [script, file], { stdio: ["ignore", "pipe", "ignore"] });
    if (this.#child.stdout !== null)
      createInterface(this.#child.stdout).on("line", (line) => this.lines.push(line));
    this.#timer = setInterval(() => this.#look(), 50);
  }

  #look(): void {
    try {
      const { pid } = this.#child;
      for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")) {
        if (child === "") continue;
        const pages = Number(readFileSync(`/proc/${child}/statm`, "utf8").split(" ")[1]);
        this.rssMbMax = Math.max(this.rssMbMax, (pages * 4096) / 1e6);
      }
    } catch {
      // It has just ended.
    }
  }

  async status(): Promise<GatewayStatus> {
    for await (const answer of ask(this.socket, { verb: "status" })) return answer as GatewayStatus;
    throw new Error("the gateway did not answer");
  }

  check(): void {
    if (this.#child.exitCode !== null)
      throw new Error(`the gateway ended: ${this.lines.slice(-3).join("\n")}`);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(timer);
  }
}

/** When each simulator was asked, seen from outside the gateway. */
async function observe(running: readonly Simulator[], forMs: number): Promise<number[][]> {
  const counts = running.map((simulator) => simulator.counts.requests);
  const times = running.map((): number[] => []);
  const timer = setInterval(() => {
    const nowMs = performance.now();
    running.forEach((simulator, i) => {
      if (simulator.counts.requests !== counts[i]) times[i]?.push(nowMs);
      counts[i] = simulator.counts.requests;
    });
  }, observeMs);
  await sleep(forMs);
  clearInterval(timer);
  return times;
}

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

async function beside(
  kinds: readonly string[],
  forMs: number,
  say: (text: string) => void,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-drivers-"));
  const { running, ports } = await simulators();
  const gateway = new Gateway(folder, await siteOf(folder, ports, kinds));
  try {
    const startedMs = performance.now();
    for (;;) {
      gateway.check();
      const status = await gateway.status().catch(() => undefined);
      const online = status?.devices.filter(
        ({ id, state }) => id.startsWith("healthy-") && state === "online",
      );
      if (online?.length === healthyDevices) break;
      if (performance.now() - startedMs > 30_000)
        throw new Error("the healthy devices did not come up in 30 s");
      await sleep(200);
    }
    const times = await observe(running, forMs);
    gateway.check();
    const status = await gateway.status();
    await gateway.stop();
    const told = quarantineEvents(join(folder, "state", "outbox.db"));
    return judge(kinds, times, status, told, gateway, forMs, say);
  } finally {
    await gateway.stop();
    await Promise.all(running.map((simulator) => simulator.close()));
    rmSync(folder, { recursive: true });
  }
}

/** The devices of which the IOC would be told; no uplink has taken the events. */
function quarantineEvents(path: string): number[] {
  const database = new Database(path, { readonly: true });
  const reader = new EventReader();
  const rows = database.prepare("SELECT body FROM event WHERE lane = 0").all() as { body: Buffer }[];
  database.close();
  return rows.flatMap(({ body }) => {
    reader.open(body);
    const isOne = reader.kind === "device-status" && reader.object()["state"] === "quarantined";
    return isOne ? [reader.device] : [];
  });
}

function judge(
  kinds: readonly string[],
  times: readonly number[][],
  { devices, hosts }: GatewayStatus,
  told: readonly number[],
  gateway: Gateway,
  forMs: number,
  say: (text: string) => void,
): Outcome {
  const gaps = times.flatMap((list) => list.slice(1).map((at, i) => at - (list[i] ?? 0)));
  const jitterMs = quantile(
    gaps.map((gap) => Math.abs(gap - periodMs)),
    0.99,
  );
  const expected = healthyDevices * (Math.floor(forMs / periodMs) - 2);
  const pausesMs = gateway.lines.flatMap((line) => {
    const found = /it starts again in ([\d.]+) s/.exec(line);
    return found === null ? [] : [Number(found[1]) * 1000];
  });
  const held = devices.filter(({ state }) => state === "quarantined").map(({ id }) => id);
  const restarts = hosts.map(({ driver, restarts: count }) => `${driver.split("/").at(-1)} ${count}`);
  say(`restarts: ${restarts.join(", ")}; quarantined: ${held.join(", ") || "none"}`);
  const wrong = devices.filter(({ id, state }) => id.endsWith("-good") && state === "quarantined");
  const harmful = kinds.filter((kind) => kind !== "storm" && kind !== "unloadable");
  const missed = harmful.filter((kind) => !held.includes(`${kind}-bad`));
  const backOffMs = Math.max(0, ...pausesMs);
  const passed =
    gaps.length >= expected &&
    jitterMs < periodMs / 10 &&
    backOffMs <= backOffMaxMs &&
    gateway.rssMbMax <= rssMbMax + leakMbPerSecond &&
    wrong.length === 0 &&
    missed.length === 0 &&
    new Set(told).size === held.length;
  const figure = [
    `jitter p99 ${jitterMs.toFixed(0)} ms of ${periodMs} over ${gaps.length} polls (at least ${expected})`,
    `${pausesMs.length} restarts, back-off ≤ ${backOffMs / 1000} s`,
    `host RSS ≤ ${Math.round(gateway.rssMbMax)} MB of ${Math.round(rssMbMax)}`,
    `quarantined ${held.length - wrong.length} of ${harmful.length} bad and ${wrong.length} good devices, ${told.length} events of it`,
  ];
  return { trials: kinds.length, figure: figure.join("; "), passed };
}

export const trials: Trial[] = [
  {
    id: "R22",
    name: "hung, leaking, crashing, throwing, storming drivers",
    passLine:
      "other drivers' period jitter p99 < 10 %; the bad one restarted with back-off ≤ 10 s; RSS cap held; the bad device quarantined, no other",
    needs: [],
    exclusive: true,
    run: (scale: Scale, say) => beside(Object.keys(badness), scale === "short" ? 36_000 : 300_000, say),
  },
];
