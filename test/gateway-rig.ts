import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ask } from "../gateway/control/control.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import { processTree } from "./bench/measure.ts";

export type Entry = Record<string, unknown>;

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const patienceMs = 25_000;
const outputLinesMax = 200;

/** A holding register that may be written, from 0 to 100 %. */
export function levelPoint(en: string, vi: string): Entry {
  return {
    unit: "%",
    kind: "number",
    address: { table: "holding", register: 0 },
    write: { limits: [0, 100] },
    fixed: 40,
    label: { en, vi },
    source: "a trial",
    certainty: "to-verify",
  };
}

/** A host may have ended with its supervisor. */
function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has.
  }
}

/** A gateway in a process of its own, whose site file `gateway.yaml` keeps its state in `state`. */
export class GatewayRig {
  readonly folder: string;
  readonly file: string;
  gateway: ChildProcess | undefined;
  #output: string[] = [];

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `kerb-${name}-`));
    this.file = join(this.folder, "gateway.yaml");
  }

  /** The real command line; the simulators live in this process, so nothing may block it. */
  protected launch(...args: string[]) {
    const env = { PATH: process.env["PATH"] ?? "", HOME: this.folder, LANG: "C.UTF-8", USER: "ky-thuat-1" };
    return spawn(launcher, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  }

  /** Starts a gateway; `ended` is its exit code. */
  spawn(...args: string[]): { child: ChildProcess; ended: Promise<number | null> } {
    const child = this.launch("run", this.file, ...args);
    for (const input of [child.stdout, child.stderr])
      createInterface({ input }).on("line", (line) => this.said(line));
    return { child, ended: new Promise((resolve) => child.once("close", resolve)) };
  }

  protected said(line: string): void {
    this.#output.push(line);
    if (this.#output.length > outputLinesMax) this.#output.shift();
  }

  /** Ends the gateway and waits for it: at once with all its hosts, or as a signal asks its supervisor to. */
  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.gateway;
    this.gateway = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child.once("exit", resolve));
    const group = signal === "SIGKILL" ? processTree(child.pid ?? 0) : [];
    child.kill(signal);
    for (const pid of group.slice(1)) killed(pid);
    await exit;
  }

  async ask<Answer>(verb: string, args: Entry = {}): Promise<Answer> {
    for await (const answer of ask(join(this.folder, "state", "kerb.sock"), { verb, args }))
      return answer as Answer;
    throw new Error("no answer");
  }

  async until(holds: (status: GatewayStatus) => boolean): Promise<GatewayStatus> {
    const giveUpMs = performance.now() + patienceMs;
    for (;;) {
      const status = await this.ask<GatewayStatus>("status").catch(() => undefined);
      if (status !== undefined && holds(status)) return status;
      if (performance.now() > giveUpMs)
        throw new Error(`never so: ${JSON.stringify(status?.configuration)}\n${this.#output.join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
