import { fork, spawn, type ChildProcess, type Serializable } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const running = new Set<ChildProcess>();
// Whatever ends the bench must not leave a gateway that polls for ever.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

function track(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
}

/** A program of the bench with its output in `<folder>/<name>.log`. */
export class Program {
  readonly name: string;
  readonly log: string;
  readonly child: ChildProcess;

  constructor(
    name: string,
    folder: string,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ) {
    this.name = name;
    this.log = join(folder, `${name}.log`);
    const output = openSync(this.log, "a");
    this.child = spawn(command, args, {
      stdio: ["ignore", output, output],
      env: { ...process.env, ...environment },
    });
    closeSync(output);
    track(this.child);
  }

  get pid(): number {
    const { pid } = this.child;
    if (pid === undefined) throw new Error(`${this.name} did not start`);
    return pid;
  }

  /** Throws with the end of the log when the program is not running any more. */
  check(): void {
    const { exitCode, signalCode } = this.child;
    if (exitCode === null && signalCode === null) return;
    const tail = existsSync(this.log) ? readFileSync(this.log, "utf8").slice(-2000) : "";
    throw new Error(`${this.name} ended (${signalCode ?? exitCode}): ${tail}`);
  }

  /** Ends it, by force when it does not end in time. */
  async stop(timeoutMs = 10_000): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    await ended;
    clearTimeout(timer);
  }
}

/** A module of the bench in a process of its own, asked over IPC. */
export class Peer<To extends Serializable, From extends { type: string }> {
  readonly #child: ChildProcess;

  constructor(file: string) {
    this.#child = fork(new URL(file, import.meta.url), { serialization: "advanced" });
    track(this.#child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a message and waits for the answer of type `type`. */
  ask<Type extends From["type"]>(message: To, type: Type): Promise<From & { type: Type }> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error("a process of the bench ended"));
      const receive = (answer: From) => {
        if (answer.type !== type) return;
        this.#child.off("exit", ended);
        this.#child.off("message", receive);
        resolve(answer as From & { type: Type });
      };
      this.#child.on("message", receive);
      this.#child.once("exit", ended);
      this.#child.send(message);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** Waits until `ready` gives something; throws after `timeoutMs` with what was waited for. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  ready: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const result = await ready();
    if (result !== undefined) return result;
    if (performance.now() > endMs) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
    await sleep(100);
  }
}

export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}
