import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/**
 * One of the demo's programs: another `kerb` in a process of its own. It is started again when it ends by itself,
 * and it ends with this process, however this one ends (its channel closes).
 */

const entry = fileURLToPath(new URL("../../entry.mjs", import.meta.url));
const restartAfterMs = 3000;
const stopTimeoutMs = 6000;
const lastLinesMax = 20;
const lineCharactersMax = 500;

export interface ChildOptions {
  name: string;
  args: string[];
  /** Whether a line of its output says that it is ready. */
  isReady(line: string): boolean;
  /** It has ended by itself, or runs again. */
  news(what: "ended" | "running", how: string): void;
}

export class Child {
  readonly name: string;
  readonly #options: ChildOptions;
  #process: ChildProcess | undefined;
  #lastLines: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isStopping = false;
  isRunning = false;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Resolves when it is ready; rejects with its last words when it ends before. */
  start(): Promise<void> {
    const child = spawn(process.execPath, [...process.execArgv, entry, ...this.#options.args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // A group of its own: Ctrl-C must reach the demo alone, which then stops its programs in order.
      detached: true,
    });
    this.#process = child;
    this.#lastLines = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const take = (text: string) => {
      this.#lastLines = [...this.#lastLines, text.slice(0, lineCharactersMax)].slice(-lastLinesMax);
      if (this.isRunning || !this.#options.isReady(text)) return;
      this.isRunning = true;
      resolve();
    };
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", take);
    }
    const ended = (how: string) => {
      if (this.#process !== child) return;
      this.#process = undefined;
      this.isRunning = false;
      reject(new Error(`the ${this.name} has ended (${how}): ${this.#lastLines.at(-1) ?? "without a word"}`));
      if (!this.#isStopping) this.#startAgain(how);
    };
    child.on("error", (error) => ended(error.message));
    // "close" comes after the last line of its output.
    child.on("close", (code, signal) => ended(signal ?? `exit status ${code}`));
    return promise;
  }

  #startAgain(how: string): void {
    this.#options.news("ended", how);
    this.#timer = setTimeout(() => {
      this.start().then(
        () => this.#options.news("running", ""),
        // Its end has been told, and the next attempt is on its way.
        () => {},
      );
    }, restartAfterMs);
  }

  /** Ends it by SIGTERM, or by SIGKILL when that takes too long. Safe twice. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    const child = this.#process;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => {
      child.once("close", () => resolve());
    });
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    await ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    this.#process?.kill("SIGKILL");
  }
}
