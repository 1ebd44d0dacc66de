import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ask } from "../../gateway/control/control.ts";
import type { LatestReading } from "../../gateway/host/messages.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { freePort } from "../ports.ts";

/** What the interop tests share: foreign programs, kerb's own processes, and the site files they run on. */

export const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));

/** Where Debian puts a program, also one for root; undefined with a word on the console if it is not there. */
export function programPath(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) console.warn(`skipped: ${name} is not installed`);
  return found;
}

/** A child process with its lines. */
export class Program {
  readonly child: ChildProcess;
  /** Standard output and standard error, in the order of arrival. */
  readonly lines: string[] = [];
  readonly #name: string;
  #wake: (() => void)[] = [];

  constructor(command: string, argument: readonly string[]) {
    this.#name = [command, ...argument].join(" ");
    this.child = spawn(command, argument, { stdio: ["ignore", "pipe", "pipe"] });
    const wake = (): void => this.#wake.splice(0).forEach((one) => one());
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream! }).on("line", (line) => {
        this.lines.push(line);
        wake();
      });
    }
    this.child.on("error", (error) => {
      this.lines.push(String(error));
      wake();
    });
    this.child.on("exit", wake);
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined;
  }

  /** The first line that fits, printed or to come; `count` of them if asked for. */
  async line(fits: (line: string) => boolean, withinMs = 20_000): Promise<string> {
    const [line] = await this.linesOf(fits, 1, withinMs);
    return line!;
  }

  async linesOf(fits: (line: string) => boolean, count: number, withinMs = 20_000): Promise<string[]> {
    const until = performance.now() + withinMs;
    for (;;) {
      const found = this.lines.filter(fits);
      if (found.length >= count) return found;
      const leftMs = until - performance.now();
      if (!this.isRunning || leftMs <= 0) {
        const why = this.isRunning ? "did not say it in time" : "has ended";
        throw new Error(`${this.#name} ${why}:\n${this.lines.slice(-20).join("\n")}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Asks it to end, and ends it when it does not. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const exit = once(this.child, "exit");
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 8000);
    await exit;
    clearTimeout(timer);
  }
}

/** Runs a program to its end. Throws with what it said when it fails. */
export function runProgram(command: string, ...argument: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, argument, {
    encoding: "utf8",
    timeout: 20_000,
  });
  if (status === 0) return stdout;
  throw new Error(`${command} ${argument.join(" ")}: ${error?.message ?? stderr}`);
}

type Tree = Record<string, unknown>;

/** A folder with site files, pretend devices and gateways; `close` ends and removes all of it. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-interop-"));
  readonly #programs: Program[] = [];

  /** A program that ends with the bench. */
  start(command: string, ...argument: string[]): Program {
    const program = new Program(command, argument);
    this.#programs.push(program);
    return program;
  }

  /** Writes a site file; YAML reads JSON. */
  site(id: string, devices: readonly Tree[], uplinks: readonly Tree[] = []): string {
    const file = join(this.folder, `${id}.yaml`);
    const gateway = { id, name: id, city, state: `state-${id}` };
    const site = { version: 1, gateway, outbox: { commitAfter: "100ms" }, uplinks, devices };
    writeFileSync(file, JSON.stringify(site, undefined, 2));
    return file;
  }

  /** Runs the pretend devices of a site until the bench is closed. */
  async simulate(file: string, devices: number): Promise<void> {
    const program = this.start(kerb, "simulate", "--site", file);
    await program.linesOf((line) => line.includes(" at 127.0.0.1:"), devices);
  }

  /** Runs a gateway until it is stopped or the bench is closed. */
  async run(file: string, id: string): Promise<Gateway> {
    const program = this.start(kerb, "run", file);
    await program.line((line) => line.includes("is running"));
    return new Gateway(program, join(this.folder, `state-${id}`, "kerb.sock"));
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.splice(0).map((program) => program.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const city = "hcmc";

/** A running `kerb run`. */
export class Gateway {
  readonly program: Program;
  readonly #socket: string;

  constructor(program: Program, socket: string) {
    this.program = program;
    this.#socket = socket;
  }

  async #ask(verb: string, args: Tree = {}): Promise<unknown> {
    for await (const answer of ask(this.#socket, { verb, args })) return answer;
    throw new Error(`no answer to "${verb}"`);
  }

  async status(): Promise<GatewayStatus> {
    return (await this.#ask("status")) as GatewayStatus;
  }

  /** Reads one point of a device now. */
  async read(device: string, point: string): Promise<LatestReading> {
    const [reading] = (await this.#ask("read", { device, points: [point] })) as LatestReading[];
    if (reading === undefined) throw new Error(`${device} has no point ${point}`);
    return reading;
  }

  /** Asks again and again until the status fits. */
  async until(fits: (status: GatewayStatus) => boolean, withinMs = 20_000): Promise<GatewayStatus> {
    const end = performance.now() + withinMs;
    for (;;) {
      const status = await this.status();
      if (fits(status)) return status;
      if (performance.now() > end)
        throw new Error(`it did not come to it: ${JSON.stringify(status, undefined, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** What it logged, parsed, of these levels and above (40 = warn). */
  log(levelMin: number): { level: number; msg: string; uplink?: string }[] {
    return this.program.lines
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as { level: number; msg: string; uplink?: string })
      .filter(({ level }) => level >= levelMin);
  }
}

async function ownTransport(): Promise<Tree> {
  return { type: "tcp", host: "127.0.0.1", port: await freePort() };
}

/** A three-phase meter and a radar level, over Modbus TCP on free ports, read twice a second. */
export async function twoDevices(): Promise<Tree[]> {
  const poll = { fast: "500ms", normal: "500ms", slow: "1s" };
  return [
    {
      id: "meter",
      driver: "modbus",
      profile: "eastron/sdm630",
      poll,
      transport: await ownTransport(),
      unit: 1,
    },
    {
      id: "radar",
      driver: "modbus",
      profile: "dfrobot/sen0676",
      poll,
      transport: await ownTransport(),
      unit: 7,
    },
  ];
}
