import { join } from "node:path";
import type { Language } from "../../config/error-texts.ts";
import { ask, type ControlRequest } from "../../control/control.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import type { LatestReading } from "../../host/messages.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { Child } from "./child.ts";
import {
  checkPorts,
  closingBooks,
  commandsToTry,
  type DemoSite,
  freePort,
  openDemoSite,
} from "./demo-site.ts";
import { JsonReport, LiveScreen, PlainReport, type Report } from "./demo-report.ts";
import type { DemoView } from "./demo-screen.ts";
import { CommandError } from "../errors.ts";
import { dictionary, languageOf, type Words } from "../language.ts";
import { pause, stopSignal } from "../output.ts";
import { simulateWords } from "./simulate-words.ts";
import { shownReason, shownState, totalBooks } from "../status.ts";

export interface DemoOptions {
  site?: string;
  json?: boolean;
  lang?: Language;
}

const refreshMs = 500;
const startPollMs = 200;
const answerTimeoutMs = 2000;
const apiPort = 8788;
const newsMax = 20;

/** Everything that runs during a demo, and what is known of it. */
class Demo {
  readonly #site: DemoSite;
  readonly #words: Words;
  readonly #children: Record<"broker" | "simulators" | "receiver" | "gateway", Child>;
  readonly #news: DemoView["news"] = [];
  #status: GatewayStatus | undefined;
  #readings: Record<string, LatestReading[]> = {};
  #deliveredBefore: number | undefined;
  #firstDeliveredMs: number | undefined;
  readonly #states = new Map<string, string>();

  constructor(site: DemoSite, words: Words, apiListen: string) {
    this.#site = site;
    this.#words = words;
    const { file, gateway } = site.site;
    const child = (name: string, args: string[], mark: string) =>
      new Child({
        name,
        args,
        isReady: (line) => line.includes(mark),
        news: (what, how) => this.#childNews(name, what, how),
      });
    const database = join(gateway.stateFolder, "receiver.db");
    const receive = [
      "receive",
      "--broker",
      site.brokerUrl,
      "--city",
      gateway.city,
      "--name",
      "ioc",
      "--database",
      database,
    ];
    this.#children = {
      broker: child(
        words.broker,
        ["simulate", "broker", "--port", String(site.brokerPort), "--json"],
        '"kind":"simulate"',
      ),
      simulators: child(words.simulators, ["simulate", "--site", file, "--json"], '"kind":"simulate"'),
      receiver: child(
        words.receiver,
        [...receive, "--listen", apiListen, "--ack-interval", "1s", "--json"],
        '"started"',
      ),
      gateway: child(words.gateway, ["run", file, "--json"], "is running"),
    };
  }

  #tell(about: "program" | "device", text: string): void {
    this.#news.push({ timeMs: Date.now(), about, text });
    if (this.#news.length > newsMax) this.#news.shift();
  }

  #childNews(name: string, what: "ended" | "running", how: string): void {
    this.#tell(
      "program",
      what === "ended" ? `${name} ${this.#words.startsAgain} (${how})` : `${name} ${this.#words.restarted}`,
    );
  }

  /** Broker and devices first, then those who connect to them. Rejects when one of them cannot start. */
  async start(): Promise<void> {
    const { broker, simulators, receiver, gateway } = this.#children;
    const received = broker.start().then(() => receiver.start());
    await Promise.all([received, simulators.start()]);
    await gateway.start();
  }

  /** The gateway first, so that what it has accepted is on its way; the broker after those who use it. */
  async stop(): Promise<void> {
    const { broker, simulators, receiver, gateway } = this.#children;
    await gateway.stop();
    await receiver.stop();
    await Promise.all([simulators.stop(), broker.stop()]);
  }

  kill(): void {
    for (const child of Object.values(this.#children)) child.kill();
  }

  async #ask<Answer>(request: ControlRequest): Promise<Answer | undefined> {
    const socket = join(this.#site.site.gateway.stateFolder, "kerb.sock");
    try {
      for await (const answer of ask(socket, request, AbortSignal.timeout(answerTimeoutMs)))
        return answer as Answer;
    } catch {
      // It has not started yet, or was killed: the screen says so.
    }
    return undefined;
  }

  /** Asks the gateway how it is; undefined where it does not answer. */
  async refresh(): Promise<void> {
    const [status, readings] = await Promise.all([
      this.#ask<GatewayStatus>({ verb: "status" }),
      this.#ask<Record<string, LatestReading[]>>({ verb: "latest" }),
    ]);
    this.#status = status;
    this.#readings = readings ?? {};
    if (status === undefined) return;
    const { delivered } = totalBooks(status.outbox);
    this.#deliveredBefore ??= delivered;
    if (this.#firstDeliveredMs === undefined && delivered > this.#deliveredBefore) {
      this.#firstDeliveredMs = performance.now();
    }
    this.#deviceNews(status);
  }

  /** Devices that are lost, or are back, are news; that one came up at the start is not. */
  #deviceNews({ devices }: GatewayStatus): void {
    const changed = devices.filter(({ id, state }) => {
      const before = this.#states.get(id);
      this.#states.set(id, state);
      return before !== undefined && before !== state && !(before === "starting" && state === "online");
    });
    for (const [text, group] of Map.groupBy(changed, (device) => shownState(device, this.#words).text)) {
      const reason = group.length === 1 && group[0] !== undefined ? shownReason(group[0], this.#words) : "";
      this.#tell("device", `${text}: ${group.map(({ id }) => id).join(", ")} ${reason}`.trim());
    }
  }

  get view(): DemoView {
    const { gateway } = this.#site.site;
    return {
      name: `${gateway.name} (${gateway.id})`,
      firstDeliveredMs: this.#firstDeliveredMs,
      status: this.#status,
      readings: this.#readings,
      programs: Object.values(this.#children).map(({ name, pid, isRunning }) => ({ name, pid, isRunning })),
      news: this.#news,
      commands: commandsToTry(this.#site, this.#children.broker.pid),
    };
  }
}

async function checkNotRunning({ site }: DemoSite): Promise<void> {
  const socket = join(site.gateway.stateFolder, "kerb.sock");
  try {
    for await (const _ of ask(socket, { verb: "status" }, AbortSignal.timeout(answerTimeoutMs))) break;
  } catch {
    return;
  }
  const text = simulateWords[languageOf()];
  throw new CommandError({
    code: "KERB-CLI-TAKEN",
    exitCode: exitCodes.unexpected,
    title: text.runsAlready(shownFile(site.file)),
    hint: text.runsAlreadyCure,
  });
}

/** npm that was killed cannot pass that on: a demo which it started ends when somebody else is its parent. */
function isForsaken(parent: number): boolean {
  return process.env["npm_lifecycle_event"] !== undefined && process.ppid !== parent;
}

async function follow(running: Demo, report: Report, signal: AbortSignal): Promise<void> {
  const parent = process.ppid;
  while (!signal.aborted && !isForsaken(parent)) {
    await running.refresh();
    if (signal.aborted) break;
    report.show(running.view);
    const isWaiting = running.view.firstDeliveredMs === undefined;
    await pause(isWaiting ? startPollMs : refreshMs, signal);
  }
}

/** Ends the demo's programs in order; a second Ctrl-C ends them at once. */
async function end(running: Demo, site: DemoSite, report: Report): Promise<number> {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => running.kill());
  report.stopping();
  await running.stop();
  const books = closingBooks(site.site.gateway.stateFolder);
  site.remove();
  if (books === undefined) return exitCodes.ok;
  const isBalanced = books.accepted === books.delivered + books.kept + books.dropped;
  report.closed(books, isBalanced);
  return isBalanced ? exitCodes.ok : exitCodes.findings;
}

/**
 * `kerb demo`: broker, simulated devices, receiver and gateway of the worked site, each in a process of its own,
 * until Ctrl-C. Exit code 1 when a port is taken, 6 when the books do not balance in the end.
 */
export async function demo(options: DemoOptions): Promise<number> {
  const words = dictionary[languageOf(options.lang)];
  const site = await openDemoSite(options.site);
  await checkNotRunning(site);
  await checkPorts(site);
  const signal = stopSignal();
  const running = new Demo(site, words, `127.0.0.1:${await freePort(apiPort)}`);
  const isScreen = process.stdout.isTTY && options.json !== true;
  const report =
    options.json === true ? new JsonReport() : isScreen ? new LiveScreen(words) : new PlainReport(words);
  // Whatever ends this process, no program of the demo outlives it.
  process.once("exit", () => running.kill());
  const broken = new AbortController();
  let failure: unknown;
  report.starting(running.view);
  running.start().catch((error: unknown) => {
    failure = error;
    broken.abort();
  });
  await follow(running, report, AbortSignal.any([signal, broken.signal]));
  report.close();
  if (signal.aborted || failure === undefined) return end(running, site, report);
  await running.stop();
  site.remove();
  throw failure;
}
