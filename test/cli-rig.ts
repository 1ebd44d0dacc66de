import { mkdirSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach } from "vitest";

/** The real commands in real processes. */

export const root = fileURLToPath(new URL("..", import.meta.url));
export const launcher = join(root, "gateway", "kerb");
export const folder = mkdtempSync(join(tmpdir(), "kerb-cli-"));
const environment = { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8" };

const open: Program[] = [];

/** A process with its lines, as they come. */
export class Program {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly errorLines: string[] = [];
  readonly ended: Promise<number | string>;
  #wake: (() => void)[] = [];
  #hasEnded = false;

  constructor(command: string, args: string[], env: Record<string, string> = environment) {
    this.child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    open.push(this);
    const read = (stream: NodeJS.ReadableStream | null, lines: string[]) => {
      if (stream === null) return;
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        this.#stir();
      });
    };
    read(this.child.stdout, this.lines);
    read(this.child.stderr, this.errorLines);
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code, signal) => {
        this.#hasEnded = true;
        this.#stir();
        resolve(signal ?? code ?? -1);
      });
    });
  }

  #stir(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** The first line on stdout that fits, printed or to come. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.#hasEnded)
        throw new Error(`ended without ${pattern}: ${[...this.lines, ...this.errorLines].join("\n")}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Sends a signal and gives the exit code, or the signal that ended it. */
  stop(signal: NodeJS.Signals = "SIGINT"): Promise<number | string> {
    this.child.kill(signal);
    return this.ended;
  }
}

export function kerbProgram(...args: string[]): Program {
  return new Program(launcher, args);
}

interface Result {
  code: number;
  out: string;
  err: string;
}

export function kerb(args: string[], env: Record<string, string> = {}): Result {
  const { status, stdout, stderr } = spawnSync(launcher, args, {
    cwd: root,
    env: { ...environment, ...env },
    encoding: "utf8",
    // Only so that a hanging one ends: each test has its own time.
    timeout: 100_000,
  });
  return { code: status ?? -1, out: stdout, err: stderr };
}

interface Envelope {
  api: string;
  kind: string;
  ok: boolean;
  data: Record<string, unknown>;
  error: { code: string; title: string; hint: string };
}

export function envelope(text: string): Envelope {
  return JSON.parse(text) as Envelope;
}

/** Writes a site with one meter and gives its file. */
export function siteFile(
  name: string,
  { broker, meter, device = "" }: { broker: number; meter: number; device?: string },
): string {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const file = join(own, "gateway.yaml");
  const text = `version: 1
gateway: { id: cli-test, name: Tủ thử nghiệm, city: test, state: ./state }
outbox: { commitAfter: 100ms }
uplinks: [{ id: ioc, type: mqtt, url: "mqtt://127.0.0.1:${broker}", reconnectMax: 200ms }]
devices:
  - id: meter-01
    name: Công tơ tủ chiếu sáng
    driver: modbus
    profile: eastron/sdm630
    poll: 200ms
    transport: { type: tcp, host: 127.0.0.1, port: ${meter} }
    unit: 1
${device}`;
  writeFileSync(file, text);
  return file;
}

afterEach(async () => {
  for (const program of open.splice(0)) {
    program.child.kill("SIGKILL");
    await program.ended;
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));
