import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask } from "../../gateway/control/control.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { listens, Program, until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";
import { LinkProxy, type Line } from "../bench/proxy.ts";
import { arrivals, type Arrival } from "./arrivals.ts";
import { CounterDevice } from "./counter-device.ts";

const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
const city = "trial";
const pollMs = 200;

type Tree = Record<string, unknown>;

/** 3,600 characters of noise: more than 2,000 bytes however they are packed, and a small dictionary. */
const largePoints: Tree = Object.fromEntries(
  Array.from({ length: 15 }, (_, i) => [
    `noise.n${i}`,
    { address: { table: "holding", register: 120 * i, type: "text", length: 120 }, kind: "text" },
  ]),
);

/** A device, a gateway (`kerb run`), a link that lies, a broker and a receiver, each a process of its own. */
export class LinkRig {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-links-"));
  readonly device = new CounterDevice();
  /** Started by a trial that wants events of some kilobytes. */
  readonly large = new CounterDevice();
  /** Command and arguments in front of `kerb run`. */
  wrapper: readonly string[] = [];
  readonly #programs = new Map<string, Program>();
  readonly #proxies: LinkProxy[] = [];
  #brokerLines: readonly string[] = [];
  brokerPort = 0;

  /** Starts mosquitto, again on the same port. */
  async broker(lines: readonly string[] = this.#brokerLines): Promise<void> {
    this.#brokerLines = lines;
    if (this.brokerPort === 0) this.brokerPort = await freePort();
    const file = join(this.folder, "mosquitto.conf");
    const head = [`listener ${this.brokerPort} 127.0.0.1`, "allow_anonymous true", "set_tcp_nodelay true"];
    writeFileSync(
      file,
      [...head, `user ${userInfo().username}`, "persistence false", ...lines, ""].join("\n"),
    );
    this.#run("mosquitto", "mosquitto", ["-c", file], {
      PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`,
    });
    await until("mosquitto", 10_000, async () => (await listens(this.brokerPort)) || undefined);
  }

  async proxy(port = this.brokerPort, line?: Line): Promise<LinkProxy> {
    const proxy = new LinkProxy(port, line);
    await proxy.open();
    this.#proxies.push(proxy);
    return proxy;
  }

  receiver(name = "ioc", port = this.brokerPort): void {
    const link = ["--broker", `mqtt://127.0.0.1:${port}`, "--city", city, "--name", name];
    const own = ["--database", this.database(name), "--listen", "127.0.0.1:0", "--ack-interval", "1s"];
    this.#run(`receiver-${name}`, kerb, ["receive", ...link, ...own]);
  }

  database(name = "ioc"): string {
    return join(this.folder, `${name}.db`);
  }

  /** Starts the gateway; `state` is its state folder, which two of them may have copied. */
  async gateway(uplinks: Tree | Tree[], state = "state", environment: NodeJS.ProcessEnv = {}): Promise<void> {
    if (this.device.port === 0) await this.device.start();
    const site = {
      version: 1,
      gateway: { id: "trial-gw", name: "Trial", city, state },
      outbox: { commitAfter: "100ms" },
      uplinks: (Array.isArray(uplinks) ? uplinks : [uplinks]).map((uplink, i) => ({
        id: i === 0 ? "ioc" : `ioc${i + 1}`,
        type: "mqtt",
        resendAfter: "10s",
        insecure: "acknowledged",
        ...uplink,
      })),
      devices: [
        this.#device("counter", this.device.port, `${pollMs}ms`, {
          count: { address: { table: "holding", register: 0, type: "uint32" } },
        }),
        ...(this.large.port === 0 ? [] : [this.#device("large", this.large.port, "8s", largePoints)]),
      ],
    };
    const file = join(this.folder, `${state}.yaml`);
    mkdirSync(join(this.folder, state), { recursive: true });
    writeFileSync(file, JSON.stringify(site));
    const [command = kerb, ...before] = this.wrapper;
    this.#run(state, command, [...before, ...(before.length === 0 ? [] : [kerb]), "run", file], environment);
  }

  #device(id: string, port: number, poll: string, points: Tree): Tree {
    const transport = { type: "tcp", host: "127.0.0.1", port };
    return { id, driver: "modbus", poll, transport, functions: [3], points };
  }

  #run(name: string, command: string, args: string[], environment: NodeJS.ProcessEnv = {}): void {
    this.#programs.set(name, new Program(name, this.folder, command, args, environment));
  }

  program(name: string): Program {
    const program = this.#programs.get(name);
    if (program === undefined) throw new Error(`${name} does not run`);
    return program;
  }

  /** Ends a program without a word to anybody. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { child } = this.program(name);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  log(name: string): string {
    return readFileSync(this.program(name).log, "utf8");
  }

  async status(state = "state"): Promise<GatewayStatus | undefined> {
    try {
      const socket = join(this.folder, state, "kerb.sock");
      for await (const answer of ask(socket, { verb: "status" }, AbortSignal.timeout(5000)))
        return answer as GatewayStatus;
    } catch {
      // It is starting; the caller asks again.
    }
    return undefined;
  }

  /** Waits until the status fits; throws with what was waited for. */
  async wait(
    what: string,
    timeoutMs: number,
    fits: (status: GatewayStatus) => boolean,
    state = "state",
  ): Promise<GatewayStatus> {
    return until(what, timeoutMs, async () => {
      const status = await this.status(state);
      return status !== undefined && fits(status) ? status : undefined;
    });
  }

  /** Events flow from the device to the receiver. */
  async flowing(timeoutMs = 30_000): Promise<void> {
    await this.wait("the first events to arrive", timeoutMs, ({ outbox }) => outbox.books.live.delivered > 5);
  }

  /** Waits until everything that was accepted before now is in custody; gives back how long that took, ms. */
  async resumed(timeoutMs: number): Promise<number> {
    const fromMs = Date.now();
    await this.wait("custody of what came before", timeoutMs, ({ outbox, uplinks }) => {
      return uplinks[0]?.state === "connected" && (outbox.oldestMs ?? Infinity) > fromMs;
    });
    return Date.now() - fromMs;
  }

  /** Ends the device, lets the outbox run empty, and holds what arrived against what the device has served. */
  async settle(timeoutMs = 30_000, name = "ioc"): Promise<{ lost: number; twice: number; list: Arrival[] }> {
    this.device.stop();
    this.large.stop();
    await this.wait(
      "the outbox to run empty",
      timeoutMs,
      ({ outbox, devices }) =>
        devices.every(({ state }) => state !== "online") &&
        outbox.books.live.kept === 0 &&
        outbox.books.event.kept === 0,
    );
    // While it runs its file is its own.
    await this.program(`receiver-${name}`).stop();
    const list = arrivals(this.database(name));
    const ids = new Set(list.map(({ epoch, seq }) => `${epoch}:${seq}`));
    const numbers = new Set(list.filter(({ kind }) => kind === "telemetry").map(({ value }) => value));
    const lost = this.device.servedMs.filter((_, i) => !numbers.has(i + 1)).length;
    return { lost, twice: list.length - ids.size, list };
  }

  async close(): Promise<void> {
    this.device.stop();
    this.large.stop();
    for (const program of this.#programs.values()) await program.stop(3000);
    for (const proxy of this.#proxies) await proxy.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a trial on a rig and takes it down whatever happens. */
export async function onRig<T>(run: (rig: LinkRig) => Promise<T>): Promise<T> {
  const rig = new LinkRig();
  try {
    return await run(rig);
  } finally {
    await rig.close();
  }
}
