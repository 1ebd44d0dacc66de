import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { clockDoubt, clockState } from "./clock.ts";
import type { DeviceReport, FromHost, HostChange, HostDevice, HostRequest, ToHost } from "./host/messages.ts";
import { NoteFile } from "./host/notes.ts";
import { packDevices, unpackDevices } from "./host/pack.ts";
import { culprit, type Death, type Kill, Quarantine } from "./quarantine.ts";
import { FrameGuard } from "./outbox/frames.ts";
import { heardError } from "./told-error.ts";

/**
 * The supervisor's side of one host: starts the child process of a driver, watches its heartbeat and memory,
 * passes its events on unopened, and starts it again with back-off when it ends. A device that ends its host again
 * and again is held back alone.
 */

export interface HostStatus {
  driver: string;
  pid: number | undefined;
  state: "starting" | "running" | "waiting" | "stopped";
  restarts: number;
  reason?: string;
  rssBytes: number;
  cpuMs: number;
  /** Events that got no number, by device: what the ring had to drop, over all starts of the host. */
  dropped: Record<string, number>;
  /** Calls of those whom no device of the site file may be, over all starts, and what the last called itself. */
  strangers: number;
  lastStranger?: string;
  /** Since the last heartbeat. */
  silentMs: number;
  /** Above it the host is killed. */
  rssBytesMax: number;
}

export interface HostOptions {
  driver: string;
  /** Where the driver may keep keys. */
  folder?: string;
  devices: HostDevice[];
  gatewayIndex: number;
  sealEveryMs?: number;
  log: Logger;
  rssBytesMax?: number;
  beatTimeoutMs?: number;
  /** After how long a quarantined device is tried again for the first time. */
  trialFirstMs?: number;
  /** Events of this start of the host; each start has a stream number of its own. */
  frames(stream: number, bytes: Uint8Array): void;
  changed(report: DeviceReport): void;
  /** The host has ended by itself or was killed: its devices are not being read. */
  failed(reason: string): void;
  /** A host that had ended runs again. `fromMs`: when the one before was last known to be alive, ms since 1970. */
  returned(fromMs: number, reason: string): void;
  /** A device is not run until `untilMs` (ms since 1970 UTC); undefined: it is tried again. */
  quarantined(device: Pick<HostDevice, "id" | "index">, news: QuarantineNews | undefined): void;
}

/** What a host does about single devices. */
export interface DeviceSteps {
  stop: readonly string[];
  start: readonly HostDevice[];
  pace: HostChange["pace"];
}

export interface QuarantineNews {
  reason: string;
  untilMs: number;
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
const changeTimeoutMs = 10_000;
const stopTimeoutMs = 3000;
/** Until a process that was killed has gone, even on a box that swaps. */
const killTimeoutMs = 15_000;
/** After its end the pipes end at once, unless something else holds them. */
const closeTimeoutMs = 1000;
/** A pipe that ends before its process is most often that of one that ends, too, and tells so in a moment. */
const endingMs = 1000;
const checkMs = 250;
/** A supervisor that comes this late to look has been asleep itself: the beats are still on their way. */
const checkLateMs = 1000;
const defaultRssBytesMax = 384 * 1024 * 1024;

let streams = 0;

export class Host {
  readonly #options: Omit<HostOptions, "devices">;
  /** As text: twenty thousand points take a fifth of the memory that they take as objects. */
  #devices: string;
  #child: ChildProcess | undefined;
  #stream = 0;
  #lastBeatMs = 0;
  #startedMs = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #stopping = false;
  #killedFor: { how: Kill; reason: string } | undefined;
  readonly #notes = new NoteFile();
  readonly #quarantine: Quarantine;
  #isWary = false;
  #checkedMs = 0;
  #stepsBefore = 0;
  #rssBytes = 0;
  #nextId = 1;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #status: HostStatus;
  /** Since the host before this one has ended, by the wall clock. */
  #downFromMs: number | undefined;
  /** What earlier starts of the host dropped. */
  #droppedBefore: Record<string, number> = {};
  #strangersBefore = 0;

  constructor(options: HostOptions) {
    const { devices, ...rest } = options;
    this.#options = rest;
    this.#devices = packDevices(devices);
    this.#quarantine = new Quarantine(options.trialFirstMs);
    this.#status = {
      driver: options.driver,
      pid: undefined,
      state: "starting",
      restarts: 0,
      rssBytes: 0,
      cpuMs: 0,
      dropped: {},
      strangers: 0,
      silentMs: 0,
      rssBytesMax: options.rssBytesMax ?? defaultRssBytesMax,
    };
  }

  get status(): HostStatus {
    const silentMs = this.#child === undefined ? 0 : performance.now() - this.#lastBeatMs;
    return { ...this.#status, silentMs };
  }

  /** It has been silent for longer than the kill that was due can take. */
  get isStuck(): boolean {
    const limitMs = this.#status.state === "starting" ? loadTimeoutMs : beatTimeoutMs;
    return this.#child !== undefined && performance.now() - this.#lastBeatMs > limitMs + killTimeoutMs;
  }

  start(): void {
    const { driver, folder, gatewayIndex, sealEveryMs = hourMs } = this.#options;
    this.#stream = ++streams;
    this.#killedFor = undefined;
    this.#droppedBefore = this.#status.dropped;
    this.#strangersBefore = this.#status.strangers;
    this.#startedMs = this.#lastBeatMs = performance.now();
    this.#watch ??= setInterval(() => this.#check(), checkMs);
    let child: ChildProcess;
    try {
      this.#notes.clear();
      child = spawnHost(this.#notes.descriptor);
    } catch (error) {
      // No memory for another process, or no room: as if it had ended at once.
      this.#exited(undefined, null, null, (error as Error).message);
      return;
    }
    this.#child = child;
    this.#status.pid = child.pid;
    this.#status.state = "starting";
    const stream = this.#stream;
    // A child that could not be started for want of descriptors has no pipes; its "error" comes next.
    const stdio = child.stdio as ChildProcess["stdio"] | undefined;
    const pipe = stdio?.[4] as Readable | undefined;
    if (pipe !== undefined) this.#listen(pipe, child, stream);
    child.on("message", (message: FromHost) => this.#receive(message));
    child.on("error", (error) => this.#exited(child, null, null, error.message));
    // Not at "exit": what the host has handed over may still be in the pipe.
    child.on("close", (code, signal) => this.#exited(child, code, signal));
    // Something that the driver has started may hold the pipes for ever.
    child.on("exit", (code, signal) => {
      setTimeout(() => this.#exited(child, code, signal), closeTimeoutMs).unref();
    });
    clockState();
    this.#isWary = this.#quarantine.isWary(performance.now());
    this.#tell({
      type: "start",
      driver,
      ...(folder === undefined ? {} : { folder }),
      devices: this.#devices,
      gatewayIndex,
      sealEveryMs,
      clock: clockDoubt(),
      held: this.#quarantine.held,
      watchClosely: this.#isWary,
      creditBytes,
      ringBytesMax,
    });
  }

  /**
   * Hands on what are events. Code of a driver that writes to the pipe of its host, or closes it, ends that host: from
   * there on nothing of what it hands over could be understood.
   */
  #listen(pipe: Readable, child: ChildProcess, stream: number): void {
    const guard = new FrameGuard();
    const end = (reason: string) => {
      const isAlive = child.exitCode === null && child.signalCode === null;
      if (isAlive && this.#child === child && !this.#stopping) this.#kill("garbled", reason);
    };
    pipe.on("data", (bytes: Buffer) => {
      const good = guard.good(bytes);
      if (good > 0) this.#options.frames(stream, good === bytes.length ? bytes : bytes.subarray(0, good));
      if (good < bytes.length) end("something in it writes into the pipe of its events (file descriptor 4)");
    });
    pipe.on("end", () => {
      setTimeout(
        () => end("something in it has closed the pipe of its events (file descriptor 4)"),
        endingMs,
      ).unref();
    });
    pipe.on("error", () => {});
  }

  /** The outbox has committed, or `dropped`, events of a stream; one of an earlier start needs no credit any more. */
  credit(stream: number, bytes: number, dropped = false): void {
    if (stream === this.#stream) this.#tell({ type: "credit", bytes, dropped });
  }

  /** Asks the host; rejects with one sentence when it does not run or answer, with `DeviceError` for the device. */
  request(request: HostRequest, timeoutMs = requestTimeoutMs): Promise<unknown> {
    if (this.#status.state !== "running") {
      return Promise.reject(
        new Error(
          `the ${this.#options.driver} host is ${this.#status.state}: ${this.#status.reason ?? "not ready yet"}`,
        ),
      );
    }
    return this.#post(request, timeoutMs);
  }

  /**
   * From here on it runs these devices; those that neither stop nor start go on untouched. Resolves when that is so:
   * a host that does not do it in time is killed and starts with them.
   */
  async change(devices: readonly HostDevice[], { stop, start, pace }: DeviceSteps): Promise<void> {
    const before = new Map(unpackDevices(this.#devices).map((device) => [device.id, device.index]));
    this.#devices = packDevices(devices);
    for (const index of [...stop.map((id) => before.get(id)), ...start.map((device) => device.index)])
      if (index !== undefined) this.#quarantine.forget(index);
    // One that is down starts with the new ones.
    if (this.#child === undefined) return;
    const request: HostChange = {
      name: "change",
      stop: [...stop],
      start: packDevices(start),
      pace: [...pace],
    };
    await this.#post(request, this.#status.state === "running" ? changeTimeoutMs : loadTimeoutMs).catch(
      (error: Error) => {
        this.#options.log.warn({ driver: this.#options.driver }, error.message);
        this.#kill("hung", `it did not take over a changed configuration: ${error.message}`);
      },
    );
  }

  #post(request: HostRequest, timeoutMs: number): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`the ${this.#options.driver} host did not answer within ${timeoutMs / 1000} s`));
      }, timeoutMs);
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
    if (child === undefined) {
      this.#notes.close();
      return;
    }
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
    this.#notes.close();
  }

  #tell(message: ToHost): void {
    const child = this.#child;
    if (child?.connected === true) child.send(message, () => {});
  }

  #receive(message: FromHost): void {
    if (message.type === "ready") {
      this.#status.state = "running";
      this.#lastBeatMs = performance.now();
      if (this.#downFromMs !== undefined)
        this.#options.returned(this.#downFromMs, this.#status.reason ?? "ended");
      this.#downFromMs = undefined;
      delete this.#status.reason;
    } else if (message.type === "beat") {
      this.#lastBeatMs = performance.now();
      this.#status.rssBytes = message.rssBytes;
      this.#status.cpuMs = message.cpuMs;
      this.#status.strangers = this.#strangersBefore + message.strangers;
      if (message.lastStranger !== undefined) this.#status.lastStranger = message.lastStranger;
      this.#status.dropped = { ...this.#droppedBefore };
      for (const [device, events] of Object.entries(message.dropped))
        this.#status.dropped[device] = (this.#droppedBefore[device] ?? 0) + events;
    } else if (message.type === "answer") {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if ("error" in message) waiting?.reject(heardError(message));
      else waiting?.resolve(message.result);
    } else if (message.type === "state") this.#options.changed(message.report);
    else if (message.type === "log") {
      this.#options.log[message.level]({ device: message.device }, message.text);
    }
  }

  #check(): void {
    const nowMs = performance.now();
    const lateMs = this.#checkedMs === 0 ? 0 : nowMs - this.#checkedMs - checkMs;
    if (lateMs > checkLateMs) this.#lastBeatMs += lateMs;
    this.#checkedMs = nowMs;
    this.#tryAgain(nowMs);
    const child = this.#child;
    if (child === undefined || this.#status.state === "waiting") return;
    // A host that is stuck cannot report its own memory.
    this.#rssBytes = residentBytes(child.pid) || this.#rssBytes;
    const rssBytesMax = this.#options.rssBytesMax ?? defaultRssBytesMax;
    if (this.#rssBytes > rssBytesMax) {
      const taken = Math.round(this.#rssBytes / 1e6);
      this.#kill("memory", `it took ${taken} MB of memory, ${Math.round(rssBytesMax / 1e6)} are allowed`);
      return;
    }
    const beatMs = this.#options.beatTimeoutMs ?? beatTimeoutMs;
    const timeoutMs = this.#status.state === "starting" ? loadTimeoutMs : beatMs;
    const silentMs = nowMs - this.#lastBeatMs;
    if (silentMs > timeoutMs) this.#kill("hung", `no heartbeat for ${timeoutMs / 1000} s`);
    else if (silentMs > timeoutMs / 2) this.#stepsBefore = this.#notes.read().steps;
  }

  /** Lets devices out of quarantine when their time has come, and stops watching closely when all was well. */
  #tryAgain(nowMs: number): void {
    const due = this.#quarantine.due(nowMs);
    const isWary = this.#quarantine.isWary(nowMs);
    if (isWary !== this.#isWary) this.#tell({ type: "watch", closely: isWary });
    this.#isWary = isWary;
    for (const device of due) {
      this.#tell({ type: "release", device });
      this.#options.quarantined(this.#deviceAt(device), undefined);
    }
  }

  #deviceAt(index: number): Pick<HostDevice, "id" | "index"> {
    return (
      unpackDevices(this.#devices).find((device) => device.index === index) ?? {
        id: `device ${index}`,
        index,
      }
    );
  }

  #kill(how: Kill, reason: string): void {
    this.#killedFor ??= { how, reason };
    this.#child?.kill("SIGKILL");
  }

  #exited(
    child: ChildProcess | undefined,
    status: number | null,
    signal: NodeJS.Signals | null,
    error = signal === null ? `exit status ${status}` : `signal ${signal}`,
  ): void {
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
    const note = this.#notes.read();
    const reason = this.#killedFor?.reason ?? (note.fault === undefined ? error : `${error}: ${note.fault}`);
    this.#downFromMs ??= Date.now() - (performance.now() - this.#lastBeatMs);
    this.#failures = performance.now() - this.#startedMs > stableMs ? 0 : this.#failures + 1;
    this.#judge(
      {
        how: this.#killedFor?.how ?? (signal === null ? "exit" : "signal"),
        signal: signal ?? undefined,
        note,
        stepsBefore: this.#stepsBefore,
        rssBytes: this.#rssBytes,
      },
      reason,
    );
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

  /** Holds back the device that has ended the host once too often; without it the host starts afresh. */
  #judge(death: Death, reason: string): void {
    const sentence = this.#quarantine.died(culprit(death), performance.now());
    if (sentence === undefined) return;
    this.#failures = 0;
    const { device, deaths, pauseMs } = sentence;
    this.#options.quarantined(this.#deviceAt(device), {
      reason: `its host ended ${deaths} times while its code ran: ${reason}`,
      untilMs: Date.now() + pauseMs,
    });
  }
}

function spawnHost(noteDescriptor: number | undefined): ChildProcess {
  return spawn(
    process.execPath,
    ["--max-semi-space-size=1", "--max-old-space-size=256", "--v8-pool-size=1", entry],
    {
      stdio: ["ignore", "inherit", "inherit", "ipc", "pipe", noteDescriptor ?? "ignore"],
      // What a driver does not need it does not get: the gateway's environment may hold secrets.
      env: inherited(),
    },
  );
}

/** A library that fakes the gateway's clock (libfaketime) comes along: one box has one time. */
const inheritedNames = /^(PATH|NODE_COMPILE_CACHE|MALLOC_.*|KERB_CLOCK_MARK|LD_PRELOAD|((DONT|NO)_)?FAKE.*)$/;

function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && inheritedNames.test(name) ? [[name, value]] : [],
    ),
  );
}

function residentBytes(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}
