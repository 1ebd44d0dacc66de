import type { Logger } from "pino";
import type { Pulse } from "../outbox/outbox.ts";
import { Notifier, type NotifyTarget } from "./notify.ts";

/** What must answer for the gateway to count as alive. The main loop does by asking. */
export interface Vitals {
  /** A sign of life of the outbox worker; stays open while it hangs. */
  pulse(): Promise<Pulse>;
  /** Hosts that are silent and that the supervisor could not replace. */
  stuckHosts(): string[];
  /** One line for `systemctl status`. */
  summary(): string;
}

const statusPeriodMs = 60_000;
const extendPeriodMs = 10_000;
/** A start that takes longer than this hangs, and systemd may end it. */
const startMaxMs = 15 * 60_000;

/**
 * The gateway as a service of systemd: READY, STATUS, STOPPING, and WATCHDOG only while main loop, outbox worker
 * and hosts answer. A disk that refuses is no reason to be restarted: polling goes on, and a restart would lose
 * what memory holds.
 */
export class Watchdog {
  readonly #notifier: Notifier;
  readonly #vitals: Vitals;
  readonly #log: Logger;
  readonly #watchdogMs: number | undefined;
  readonly #periodMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** The last question to the outbox, and what came back. */
  #asked: { atMs: number; pulse: Pulse | undefined } | undefined;
  #problem: string | undefined;

  constructor({ socket, watchdogMs }: NotifyTarget, vitals: Vitals, log: Logger) {
    this.#notifier = new Notifier(socket, log);
    this.#vitals = vitals;
    this.#log = log;
    this.#watchdogMs = watchdogMs;
    this.#periodMs = watchdogMs === undefined ? statusPeriodMs : watchdogMs / 3;
  }

  /** A long backlog is opened slowly: more time is asked for as long as the main loop lives. */
  starting(): void {
    const untilMs = performance.now() + startMaxMs;
    this.#timer = setInterval(() => {
      if (performance.now() > untilMs) return;
      this.#notifier.tell({
        EXTEND_TIMEOUT_USEC: String(3 * extendPeriodMs * 1000),
        STATUS: "opening the outbox",
      });
    }, extendPeriodMs);
  }

  /** The gateway accepts events. */
  ready(): void {
    clearInterval(this.#timer);
    this.#notifier.tell({ READY: "1", STATUS: this.#vitals.summary() });
    this.#ask();
    this.#timer = setInterval(() => this.#tick(), this.#periodMs);
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#notifier.tell({ STOPPING: "1", STATUS: "stopping" });
  }

  #tick(): void {
    const problem = this.#findProblem();
    if (problem !== this.#problem) {
      if (problem !== undefined)
        this.#log.error({ code: "KERB-GW-WATCHDOG" }, `the watchdog is not fed: ${problem}`);
      else this.#log.info({ code: "KERB-GW-WATCHDOG" }, "the watchdog is fed again");
    }
    this.#problem = problem;
    if (problem !== undefined) this.#notifier.tell({ STATUS: `not well: ${problem}` });
    else {
      const ping = this.#watchdogMs === undefined ? {} : { WATCHDOG: "1" };
      this.#notifier.tell({ ...ping, STATUS: this.#vitals.summary() });
    }
    if (this.#asked?.pulse !== undefined) this.#ask();
  }

  #ask(): void {
    const asked: { atMs: number; pulse: Pulse | undefined } = { atMs: performance.now(), pulse: undefined };
    this.#asked = asked;
    // A worker that has died ends the gateway by itself.
    this.#vitals.pulse().then(
      (pulse) => (asked.pulse = pulse),
      () => {},
    );
  }

  #findProblem(): string | undefined {
    const { pulse } = this.#asked ?? {};
    if (pulse === undefined) return "the outbox does not answer: its disk hangs";
    if (pulse.failure === undefined && pulse.overdueMs > this.#periodMs)
      return "the outbox has not stored for too long what it was given";
    const [stuck] = this.#vitals.stuckHosts();
    return stuck === undefined ? undefined : `the ${stuck} host is silent and cannot be ended`;
  }
}
