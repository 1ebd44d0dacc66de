import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ask } from "../../gateway/control/control.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { startBroker, type Broker } from "../../simulators/mqtt/index.ts";
import type { DeviceLog, FarmOptions, FromFarm, ToFarm } from "./farm.ts";
import { listens, Peer, Program, until } from "./processes.ts";
import { freePort } from "../ports.ts";
import { city, type SiteOptions, writeSite } from "./site-file.ts";

const ownRoot = fileURLToPath(new URL("../..", import.meta.url));
const tmpfsMagic = 0x0102_1994;

/** A folder on a disk: the outbox's cost is that of its file. */
function diskFolder(): string {
  const temporary = statfsSync(tmpdir()).type === tmpfsMagic ? join(ownRoot, "state") : tmpdir();
  mkdirSync(temporary, { recursive: true });
  return mkdtempSync(join(temporary, "kerb-bench-"));
}

export function mosquittoPath(): string | undefined {
  return ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"].find((path) =>
    existsSync(path),
  );
}

export interface RigOptions {
  /** The checkout whose kerb is measured; the bench's own by default. */
  root?: string;
  farm: FarmOptions;
  pollMs: number;
  requestsInFlight: number;
  /** The outbox's size, as the site file writes it. */
  outboxBytesMax?: string;
  /** Devices behind closed ports, beside the farm's. */
  closedPorts?: number;
  encoding?: "columnar" | "cloudevents";
  /** Ports of devices that the caller plays. */
  ownPorts?: readonly number[];
  /** What is beside the meters in the site file. */
  more?: SiteOptions["more"];
  /** Where the gateway connects to instead of the broker. */
  link?: (brokerPort: number) => Promise<number>;
  /** Folder for CPU profiles of supervisor and outbox worker. */
  profileFolder?: string;
}

/** Everything of one workload: farm, broker, receiver and the gateway under test. */
export class Rig {
  readonly folder = diskFolder();
  readonly farm = new Peer<ToFarm, FromFarm>("farm.ts");
  readonly #root: string;
  readonly #options: RigOptions;
  #broker: Program | Broker | undefined;
  #receiver: Program | undefined;
  #gateway: Program | undefined;
  brokerPort = 0;
  /** The port that the gateway's uplink connects to. */
  uplinkPort = 0;
  ports: number[] = [];

  constructor(options: RigOptions) {
    this.#options = options;
    this.#root = options.root ?? ownRoot;
  }

  get gateway(): Program {
    if (this.#gateway === undefined) throw new Error("the gateway is not started");
    return this.#gateway;
  }

  get receiver(): Program {
    if (this.#receiver === undefined) throw new Error("the receiver is not started");
    return this.#receiver;
  }

  get database(): string {
    return join(this.folder, "receiver.db");
  }

  /** Farm and broker: what the floor needs too. */
  async startFarm(): Promise<void> {
    const { farm } = this.#options;
    this.ports = (await this.farm.ask({ type: "start", options: farm }, "listening")).ports;
    const path = mosquittoPath();
    if (path === undefined) {
      this.#broker = await startBroker();
      this.brokerPort = this.#broker.port;
      return;
    }
    this.brokerPort = await freePort();
    const configuration = join(this.folder, "mosquitto.conf");
    writeFileSync(
      configuration,
      `listener ${this.brokerPort} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n`,
    );
    const broker = new Program("mosquitto", this.folder, path, ["-c", configuration]);
    this.#broker = broker;
    await until("mosquitto", 10_000, async () => {
      broker.check();
      return (await listens(this.brokerPort)) || undefined;
    });
  }

  async start(): Promise<void> {
    await this.startFarm();
    const {
      pollMs,
      requestsInFlight,
      outboxBytesMax = "256MiB",
      closedPorts = 0,
      ownPorts = [],
      link,
    } = this.#options;
    this.uplinkPort = (await link?.(this.brokerPort)) ?? this.brokerPort;
    const closed = await Promise.all(Array.from({ length: closedPorts }, freePort));
    const ports = [...this.ports, ...closed, ...ownPorts];
    const site = writeSite({
      folder: this.folder,
      brokerPort: this.uplinkPort,
      ports,
      pollMs,
      requestsInFlight,
      outboxBytesMax,
      encoding: this.#options.encoding ?? "columnar",
      more: this.#options.more,
    });
    this.#receiver = this.#startReceiver();
    const { profileFolder } = this.#options;
    const profiling =
      profileFolder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}` };
    this.#gateway = new Program(
      "gateway",
      this.folder,
      join(this.#root, "gateway/kerb"),
      ["run", site],
      profiling,
    );
    await until("the gateway's first polls", 90_000, async () => {
      this.gateway.check();
      this.receiver.check();
      const status = await this.status().catch(() => undefined);
      const healthy = ports.length - ownPorts.length - closedPorts - this.#options.farm.silent;
      const online =
        status?.devices.filter(({ state, polls }) => state === "online" && polls > 2).length ?? 0;
      return online >= healthy && status?.uplinks[0]?.state === "connected" ? true : undefined;
    });
  }

  #startReceiver(): Program {
    const link = ["--broker", `mqtt://127.0.0.1:${this.brokerPort}`, "--city", city, "--name", "bench"];
    const own = ["--database", this.database, "--listen", "127.0.0.1:0", "--ack-interval", "1s"];
    return new Program("receiver", this.folder, join(this.#root, "gateway/kerb"), [
      "receive",
      ...link,
      ...own,
    ]);
  }

  async status(): Promise<GatewayStatus> {
    for await (const answer of ask(join(this.folder, "state", "kerb.sock"), { verb: "status" }))
      return answer as GatewayStatus;
    throw new Error("the gateway did not answer");
  }

  /**
   * Stops the polls, waits until the outbox has given everything into custody, then ends gateway and receiver.
   * Returns the gateway's last word and what the farm has told.
   */
  async finish(drainMs: number): Promise<{ status: GatewayStatus; log: DeviceLog[] }> {
    await this.farm.ask({ type: "hold" }, "held");
    // What was read last may wait a second for its commit, and does not show in the books before.
    await sleep(1500);
    const status = await until("the outbox to drain", drainMs, async () => {
      this.gateway.check();
      this.receiver.check();
      const now = await this.status();
      return now.outbox.books.live.kept === 0 && now.outbox.uplinks["ioc"]?.inFlight === 0 ? now : undefined;
    });
    await this.gateway.stop();
    await this.receiver.stop();
    const { devices } = await this.farm.ask({ type: "log" }, "log");
    return { status, log: devices };
  }

  /** Ends everything. Safe at any time, and twice. The folder stays when `keep` is set. */
  async close(keep = false): Promise<void> {
    await this.#gateway?.stop();
    await this.#receiver?.stop();
    if (this.#broker instanceof Program) await this.#broker.stop();
    else await this.#broker?.close();
    await this.farm.stop();
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
