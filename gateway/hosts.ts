import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { DeviceReport, FromHost, HostDevice, HostRequest, ToHost } from "./host/messages.ts";

/**
 * The supervisor's side of one host: starts the child process of a driver, watches its heartbeat and memory,
 * passes its events on unopened, and starts it again with back-off when it ends.
 */

export interface HostStatus {
  driver: string;
  pid: number | undefined;
  state: "starting" | "running" | "waiting" | "stopped";
  restarts: number;
  reason?: string;
  rssBytes: number;
  cpuMs: number;
  droppedEvents: number;
}

export interface HostOptions {
  driver: string;
  devices: HostDevice[];
  gatewayIndex: number;
  sealEveryMs?: number;
  log: Logger;
  rssBytesMax?: number;
  /** Events of this start of the host; each start has a stream number of its own. */
  frames(stream: number, bytes: Uint8Array): void;
  changed(report: DeviceReport): void;
  /** The host has ended by itself or was killed: its devices are not being read. */
  failed(reason: string): void;
}

const entry = fileURLToPath(new URL("host/main.ts", import.meta.url));
const hourMs = 3_600_000;
const beatTimeoutMs = 6000;
/** Until the driver is loaded, which a slow box may take long for without a beat. */
const loadTimeoutMs = 30_000;
const creditBytes = 1024 * 1024;
const ringBytesMax = 8 * 1024 * 1024;
const backOffFirstMs = 500;
const backOffMaxMs = 10_000;
/** A host that ran this long starts again at once when it ends. */
const stableMs = 60_000;
const requestTimeoutMs = 20_000;
const stopTimeoutMs = 3000;
/** After a kill the pipes end at once, unless something else holds them. */
const closeTimeoutMs = 1000;
const defaultRssBytesMax = 384 * 1024 * 1024;

let streams = 0;

export class Host {
  readonly #options: Omit<HostOptions, "devices">;
  /** As text: twenty thousand points take a fifth of the memory that they take as objects. */
  readonly #devices: string;
  #child: ChildProcess | undefined;
  #stream = 0;
  #lastBeatMs = 0;
  #startedMs = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #stopping = false;
  #killedFor: string | undefined;
  #nextId = 1;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #status: HostStatus;

  constructor(options: HostOptions) {
    const { devices, ...rest } = options;
    this.#options = rest;
    this.#devices = JSON.stringify(devices);
    this.#status = {
      driver: options.driver,
      pid: undefined,
      state: "starting",
      restarts: 0,
      rssBytes: 0,
      cpuMs: 0,
      droppedEvents: 0,
    };
  }

  get status(): HostStatus {
    return { ...this.#status };
  }

  start(): void {
    const { driver, gatewayIndex, sealEveryMs = hourMs } = this.#options;
    this.#stream = ++streams;
    this.#killedFor = undefined;
    const child = spawn(
      process.execPath,
      ["--max-semi-space-size=1", "--max-old-space-size=256", "--v8-pool-size=1", entry],
      {
        stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
        // What a driver does not need it does not get: the gateway's environment may hold secrets.
        env: inherited(["PATH", "NODE_COMPILE_CACHE", "MALLOC_ARENA_MAX"]),
      },
    );
    this.#child = child;
    this.#startedMs = this.#lastBeatMs = performance.now();
    this.#status.pid = child.pid;
    this.#status.state = "starting";
    const stream = this.#stream;
    const pipe = child.stdio[4] as Readable | undefined;
    pipe?.on("data", (bytes: Buffer) => this.#options.frames(stream, bytes));
    pipe?.on("error", () => {});
    child.on("message", (message: FromHost) => this.#receive(message));
    child.on("error", (error) => this.#exited(child, error.message));
    // Not "exit": what the host has handed over may still be in the pipe.
    child.on("close", (code, signal) =>
      this.#exited(child, signal === null ? `exit status ${code}` : `signal ${signal}`),
    );
    const devices = this.#devices;
    this.#tell({ type: "start", driver, devices, gatewayIndex, sealEveryMs, creditBytes, ringBytesMax });
    this.#watch ??= setInterval(() => this.#check(), 1000);
  }

  /** The outbox has committed events of a stream; one of an earlier start needs no credit any more. */
  credit(stream: number, bytes: number): void {
    if (stream === this.#stream) this.#tell({ type: "credit", bytes });
  }

  request(request: HostRequest): Promise<unknown> {
    if (this.#status.state !== "running") {
      return Promise.reject(
        new Error(
          `the ${this.#options.driver} host is ${this.#status.state}: ${this.#status.reason ?? "not ready yet"}`,
        ),
      );
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(
          new Error(`the ${this.#options.driver} host did not answer within ${requestTimeoutMs / 1000} s`),
        );
      }, requestTimeoutMs);
      const done = () => clearTimeout(timer);
      this.#waiting.set(id, {
        resolve: (value) => (done(), resolve(value)),
        reject: (error) => (done(), reject(error)),
      });
      this.#tell({ type: "request", id, request });
    });
  }

  /** Lets the host hand over what it has and ends it; kills it when it does not end in time. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    const child = this.#child;
    if (child === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once("close", () => resolve());
    let timer = setTimeout(() => {
      child.kill("SIGKILL");
      timer = setTimeout(resolve, closeTimeoutMs);
    }, stopTimeoutMs);
    this.#tell({ type: "stop" });
    await promise;
    clearTimeout(timer);
    this.#status.state = "stopped";
  }

  #tell(message: ToHost): void {
    const child = this.#child;
    if (child?.connected === true) child.send(message, () => {});
  }

  #receive(message: FromHost): void {
    if (message.type === "ready") {
      this.#status.state = "running";
      this.#lastBeatMs = performance.now();
      delete this.#status.reason;
    } else if (message.type === "beat") {
      this.#lastBeatMs = performance.now();
      this.#status.rssBytes = message.rssBytes;
      this.#status.cpuMs = message.cpuMs;
      this.#status.droppedEvents = message.droppedEvents;
    } else if (message.type === "answer") {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.result);
      else waiting?.reject(new Error(message.error));
    } else if (message.type === "state") this.#options.changed(message.report);
    else if (message.type === "log") {
      this.#options.log[message.level]({ device: message.device }, message.text);
    }
  }

  #check(): void {
    const child = this.#child;
    if (child === undefined || this.#status.state === "waiting") return;
    // A host that is stuck cannot report its own memory.
    const rssBytes = residentBytes(child.pid);
    const rssBytesMax = this.#options.rssBytesMax ?? defaultRssBytesMax;
    if (rssBytes > rssBytesMax) {
      this.#kill(
        `it took ${Math.round(rssBytes / 1e6)} MB of memory, ${Math.round(rssBytesMax / 1e6)} are allowed`,
      );
      return;
    }
    const timeoutMs = this.#status.state === "starting" ? loadTimeoutMs : beatTimeoutMs;
    if (performance.now() - this.#lastBeatMs > timeoutMs)
      this.#kill(`no heartbeat for ${timeoutMs / 1000} s`);
  }

  #kill(reason: string): void {
    this.#killedFor = reason;
    this.#child?.kill("SIGKILL");
  }

  #exited(child: ChildProcess, how: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    for (const { reject } of this.#waiting.values())
      reject(new Error(`the ${this.#options.driver} host has ended`));
    this.#waiting.clear();
    this.#status.pid = undefined;
    if (this.#stopping) {
      this.#status.state = "stopped";
      return;
    }
    const reason = this.#killedFor ?? how;
    this.#failures = performance.now() - this.#startedMs > stableMs ? 0 : this.#failures + 1;
    const pauseMs = Math.min(backOffMaxMs, backOffFirstMs * 2 ** Math.max(0, this.#failures - 1));
    this.#status.state = "waiting";
    this.#status.reason = reason;
    this.#status.restarts++;
    this.#options.log.warn(
      { code: "KERB-HOST-ENDED", driver: this.#options.driver },
      `the ${this.#options.driver} host has ended (${reason}); it starts again in ${(pauseMs / 1000).toFixed(1)} s`,
    );
    this.#options.failed(reason);
    this.#timer = setTimeout(() => this.start(), pauseMs);
  }
}

function inherited(names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

function residentBytes(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}
