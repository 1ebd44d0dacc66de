import { spawn } from "node:child_process";
import type { Logger } from "pino";

/** What the service manager asked for by the environment. Source: sd_notify(3), sd_watchdog_enabled(3). */
export interface NotifyTarget {
  socket: string;
  /** Pings must come at least this often; undefined: none are expected. */
  watchdogMs: number | undefined;
}

/**
 * Takes the service manager's variables out of the environment, so that no child process speaks in the gateway's
 * name. undefined: nobody listens.
 */
export function takeNotifyTarget(environment: NodeJS.ProcessEnv): NotifyTarget | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = environment;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
  if (socket === undefined || socket === "") return undefined;
  const isOurs = pid === undefined || Number(pid) === process.pid;
  const watchdogMs = Number(usec) / 1000;
  return { socket, watchdogMs: isOurs && watchdogMs > 0 ? watchdogMs : undefined };
}

const timeoutMs = 10_000;
/** systemd-notify waits up to 5 s for the receiver's word, which one that is not systemd may never give. */
const unconfirmedMs = 4500;
const childrenMax = 8;
const textMax = 200;

/**
 * Tells the service manager something by `systemd-notify`: Node has no unix datagram sockets. Nobody waits for the
 * child. Not with --no-block: systemd drops the word of a child that has ended before it could be found in the unit.
 */
export class Notifier {
  readonly #socket: string;
  readonly #log: Logger;
  #waiting: Record<string, string> = {};
  #running = 0;
  #complained = "";

  constructor(socket: string, log: Logger) {
    this.#socket = socket;
    this.#log = log;
  }

  /** Assignments such as `{ READY: "1" }`; a later value of the same name replaces one that waits. */
  tell(assignments: Record<string, string>): void {
    Object.assign(this.#waiting, assignments);
    this.#next();
  }

  #next(): void {
    const words = Object.entries(this.#waiting).map(
      // oxlint-disable-next-line no-control-regex
      ([name, value]) => `${name}=${value.replaceAll(/[\u0000-\u001f]/g, " ").slice(0, textMax)}`,
    );
    if (this.#running >= childrenMax || words.length === 0) return;
    this.#waiting = {};
    this.#running++;
    const startedMs = performance.now();
    try {
      const child = spawn("systemd-notify", words, {
        env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", NOTIFY_SOCKET: this.#socket },
        stdio: "ignore",
        timeout: timeoutMs,
        killSignal: "SIGKILL",
      });
      let reason: string | undefined;
      child.once("error", (error) => (reason = error.message));
      child.once("close", (status, signal) => {
        const isSent = status === 0 || performance.now() - startedMs > unconfirmedMs;
        this.#ended(isSent ? undefined : (reason ?? `it ended with ${signal ?? `status ${status}`}`));
      });
    } catch (error) {
      // No memory for a process: the next ping tries again.
      this.#ended((error as Error).message);
    }
  }

  #ended(reason: string | undefined): void {
    this.#running--;
    if (reason !== undefined && reason !== this.#complained) {
      this.#log.warn(
        { code: "KERB-GW-NOTIFY" },
        `systemd is not told that the gateway is well, and may restart it: ${reason} (systemd-notify, ${this.#socket})`,
      );
    }
    this.#complained = reason ?? "";
    this.#next();
  }
}
