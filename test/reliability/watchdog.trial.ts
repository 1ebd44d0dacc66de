import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startBroker } from "../../simulators/mqtt/index.ts";
import type { FarmOptions, FromFarm, ToFarm } from "../bench/farm.ts";
import { Peer, Program, until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";
import { writeSite } from "../bench/site-file.ts";
import type { Trial } from "./trial.ts";

/**
 * R24: the real gateway and the real `systemd-notify`; socat stands for systemd. Whatever hangs, the pings stop
 * within WatchdogSec. A disk that refuses and a gateway under full load are no reason for a restart: they go on.
 */

const launcher = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
const hangingDisk = fileURLToPath(new URL("disk-that-hangs.c", import.meta.url));

interface Options {
  folder: string;
  watchdogMs: number;
  library: string;
  ports: readonly number[];
  pollMs: number;
  brokerPort: number;
}

/** A gateway, and what it tells systemd. */
class Watched {
  /** While it is there the gateway's disk hangs; with "refuse" in it, the disk reports errors. */
  readonly diskFlag: string;
  readonly #folder: string;
  readonly #site: string;
  readonly #gateway: Program;
  readonly #systemd: Program;
  readonly #timer: NodeJS.Timeout;
  #pingsMs: number[] = [];

  constructor({ folder, watchdogMs, library, ...site }: Options) {
    mkdirSync(folder, { recursive: true });
    const socket = join(folder, "notify");
    this.#folder = folder;
    this.diskFlag = join(folder, "disk-flag");
    this.#systemd = new Program("systemd", folder, "socat", ["-u", `UNIX-RECV:${socket}`, "-"]);
    this.#site = writeSite({
      ...site,
      folder,
      requestsInFlight: 4,
      outboxBytesMax: "8GiB",
      encoding: "columnar",
    });
    this.#gateway = new Program("gateway", folder, launcher, ["run", this.#site], {
      NOTIFY_SOCKET: socket,
      WATCHDOG_USEC: String(watchdogMs * 1000),
      LD_PRELOAD: library,
      DISK_FLAG: this.diskFlag,
      NODE_OPTIONS: "--inspect=127.0.0.1:0",
    });
    this.#timer = setInterval(() => this.#look(), 20);
  }

  get #told(): string {
    return readFileSync(this.#systemd.log, "utf8");
  }

  #look(): void {
    const count = this.#told.split("WATCHDOG=1").length - 1;
    while (this.#pingsMs.length < count) this.#pingsMs.push(performance.now());
  }

  /** Until the gateway has said that it is ready and has pinged once. */
  async running(): Promise<void> {
    await until("READY=1 and a ping", 60_000, () => {
      this.#gateway.check();
      return (this.#told.includes("READY=1") && this.#pingsMs.length > 0) || undefined;
    });
  }

  /** The main thread enters an endless loop. */
  async blockLoop(): Promise<void> {
    // The first to print its address is the gateway; its children come later.
    const [, url = ""] = /Debugger listening on (ws:\S+)/.exec(readFileSync(this.#gateway.log, "utf8")) ?? [];
    const socket = new WebSocket(url);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const params = { expression: "for (;;);" };
    socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params }));
  }

  /** The codes that `kerb health` finds. */
  async findings(): Promise<string[]> {
    const args = ["health", "--json", "--site", this.#site];
    const { stdout } = await promisify(execFile)(launcher, args).catch((error: { stdout: string }) => error);
    const { data } = JSON.parse(stdout) as { data: { checks: { code?: string }[] } };
    return data.checks.flatMap(({ code }) => code ?? []);
  }

  /** Throws when it has ended. */
  check(): void {
    this.#gateway.check();
  }

  signal(name: NodeJS.Signals): void {
    this.#gateway.child.kill(name);
  }

  /** How long after `fromMs` the last ping came; 0 when none came. */
  async lastPingAfter(fromMs: number, forMs: number): Promise<number> {
    await sleep(fromMs + forMs - performance.now());
    return Math.max(0, (this.#pingsMs.at(-1) ?? 0) - fromMs);
  }

  /** The longest time without a ping from now on. */
  async longestGap(forMs: number): Promise<number> {
    const fromMs = performance.now();
    await sleep(forMs);
    const times = [fromMs, ...this.#pingsMs.filter((atMs) => atMs > fromMs), performance.now()];
    return Math.max(...times.slice(1).map((atMs, i) => atMs - (times[i] ?? atMs)));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    rmSync(this.diskFlag, { force: true });
    this.signal("SIGKILL");
    await this.#gateway.stop(0);
    await this.#systemd.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

type Block = (gateway: Watched) => Promise<void> | void;

/** What must silence the gateway. */
const blocks: Record<string, Block> = {
  loop: (gateway) => gateway.blockLoop(),
  disk: (gateway) => writeFileSync(gateway.diskFlag, "hang"),
  "kill -9": (gateway) => gateway.signal("SIGKILL"),
  frozen: (gateway) => gateway.signal("SIGSTOP"),
};

interface Found {
  text: string;
  passed: boolean;
}

function secondsOf(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** The code that `kerb health` must find meanwhile; a frozen gateway hides behind its silence. */
const codes: Record<string, string> = {
  loop: "KERB-GW-SILENT",
  disk: "KERB-OUT-STUCK",
  frozen: "KERB-GW-SILENT",
};

async function silences(name: string, gateway: Watched, watchdogMs: number): Promise<Found> {
  await gateway.running();
  const fromMs = performance.now();
  await blocks[name]?.(gateway);
  const lastMs = await gateway.lastPingAfter(fromMs, 2 * watchdogMs);
  const code = codes[name];
  // One that has ended would be silent too.
  if (code !== undefined) gateway.check();
  const isTold = code === undefined || (await gateway.findings()).includes(code);
  const text = `${name} ${secondsOf(lastMs)}${isTold ? "" : ` and kerb health does NOT say ${code}`}`;
  return { text, passed: lastMs <= watchdogMs && isTold };
}

/** A disk that was only slow: nobody restarts the gateway when the pings come back. */
async function comesBack(gateway: Watched, watchdogMs: number): Promise<Found> {
  rmSync(gateway.diskFlag);
  const fromMs = performance.now();
  const backMs = await gateway.lastPingAfter(fromMs, watchdogMs);
  return { text: `disk back: pings ${backMs > 0 ? "too" : "NOT"}`, passed: backMs > 0 };
}

async function goesOn(name: string, gateway: Watched, forMs: number, watchdogMs: number): Promise<Found> {
  const gapMs = await gateway.longestGap(forMs);
  return { text: `${name}: longest gap ${secondsOf(gapMs)}`, passed: gapMs < watchdogMs };
}

interface Lab {
  folder: string;
  library: string;
  watchdogMs: number;
  farm: Peer<ToFarm, FromFarm>;
  brokerPort: number;
}

async function hangs({ folder, library, watchdogMs, farm }: Lab): Promise<Found[]> {
  const { ports } = await farm.ask({ type: "start", options: farmOf(2) }, "listening");
  const common = { watchdogMs, library, ports, pollMs: 500, brokerPort: await freePort() };
  const gateways = [...Object.keys(blocks), "refuses"].map(
    (name) => [name, new Watched({ ...common, folder: join(folder, name.replace(" ", "")) })] as const,
  );
  try {
    const found = await Promise.all(
      gateways.map(async ([name, gateway]) => {
        if (name !== "refuses") return silences(name, gateway, watchdogMs);
        await gateway.running();
        writeFileSync(gateway.diskFlag, "refuse");
        return goesOn("disk refuses", gateway, 2 * watchdogMs, watchdogMs);
      }),
    );
    const slow = gateways.find(([name]) => name === "disk")?.[1];
    return slow === undefined ? found : [...found, await comesBack(slow, watchdogMs)];
  } finally {
    await Promise.all(gateways.map(([, gateway]) => gateway.stop()));
  }
}

async function underLoad(lab: Lab, forMs: number): Promise<Found> {
  const { folder, library, watchdogMs, farm, brokerPort } = lab;
  const { ports } = await farm.ask({ type: "start", options: farmOf(50) }, "listening");
  const load = { watchdogMs, library, ports, pollMs: 1, brokerPort };
  const gateway = new Watched({ ...load, folder: join(folder, "load") });
  try {
    await gateway.running();
    return await goesOn("flat out", gateway, forMs, watchdogMs);
  } finally {
    await gateway.stop();
  }
}

function farmOf(devices: number): FarmOptions {
  return { devices, silent: 0, delayMs: 0, change: "poll" };
}

export const trials: Trial[] = [
  {
    id: "R24",
    name: "watchdog",
    passLine: "pings stop in ≤ WatchdogSec in each case; they go on under full load",
    needs: ["gcc", "socat", "systemd-notify"],
    async run(scale, say) {
      const watchdogMs = scale === "short" ? 4000 : 15_000;
      const folder = mkdtempSync(join(tmpdir(), "kerb-watchdog-"));
      const library = join(folder, "disk.so");
      execFileSync("gcc", ["-shared", "-fPIC", "-O2", "-o", library, hangingDisk, "-ldl"]);
      const broker = await startBroker();
      const farms = [new Peer<ToFarm, FromFarm>("farm.ts"), new Peer<ToFarm, FromFarm>("farm.ts")] as const;
      const lab = { folder, library, watchdogMs, brokerPort: broker.port };
      try {
        const found = await hangs({ ...lab, farm: farms[0] });
        say(found.map(({ text }) => text).join(", "));
        found.push(await underLoad({ ...lab, farm: farms[1] }, 2 * watchdogMs));
        const figure = `last ping after: ${found.map(({ text }) => text).join(", ")} (WatchdogSec ${secondsOf(watchdogMs)})`;
        return { trials: found.length, figure, passed: found.every(({ passed }) => passed) };
      } finally {
        await Promise.all(farms.map((farm) => farm.stop()));
        await broker.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  },
];
