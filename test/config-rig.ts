import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startBroker } from "../gateway/cli/broker.ts";
import { startSimulator } from "../gateway/cli/simulate.ts";
import { loadSite } from "../gateway/config.ts";
import { ask } from "../gateway/control.ts";
import type { KerbEvent } from "../gateway/event.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { freePort } from "./ports.ts";

/** A gateway in a process of its own whose configuration changes, its pretend devices, and its broker. */

/** One holding register that may be written. */
const dim = {
  unit: "%",
  kind: "number",
  address: { table: "holding", register: 0 },
  write: { limits: [0, 100] },
  fixed: 40,
  label: { en: "dim", vi: "độ sáng" },
  source: "a trial",
  certainty: "to-verify",
};

type Entry = Record<string, unknown>;
const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));

export class ConfigRig {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-config-live-"));
  readonly file = join(this.folder, "gateway.yaml");
  readonly events: KerbEvent[] = [];
  /** Connections to the device `apart`, over all its life. */
  connections = 0;
  site: Entry & { devices: Entry[] } = { devices: [] };
  gateway: ChildProcess | undefined;
  #output = "";
  broker!: Awaited<ReturnType<typeof startBroker>>;
  #line = 0;
  #relay!: Server;
  readonly #simulators: Simulator[] = [];
  #tail = new AbortController();

  /** `near` and `next` share a wire, `apart` has a connection of its own. */
  static async open(): Promise<ConfigRig> {
    const rig = new ConfigRig();
    mkdirSync(join(rig.folder, "devices.d"));
    rig.broker = await startBroker({ port: 0 });
    rig.#line = await freePort();
    const far = await freePort();
    rig.#relay = createServer((socket) => {
      rig.connections++;
      const other = connect(far, "127.0.0.1");
      for (const one of [socket, other])
        one.on("error", () => {}).on("close", () => (socket.destroy(), other.destroy()));
      socket.pipe(other).pipe(socket);
    });
    const relay = await new Promise<number>((resolve) => {
      rig.#relay.listen(0, "127.0.0.1", () => resolve((rig.#relay.address() as { port: number }).port));
    });
    const apart = rig.device("apart", 1, { transport: { type: "tcp", host: "127.0.0.1", port: far } });
    const all = [rig.device("near", 1), rig.device("next", 2), rig.device("new", 3), apart];
    rig.site = rig.whole(all);
    rig.write();
    for (const model of (await loadSite(rig.file)).devices)
      rig.#simulators.push(await startSimulator(model, 1, undefined));
    const through = { transport: { type: "tcp", host: "127.0.0.1", port: relay } };
    rig.site = rig.whole([rig.device("near", 1), rig.device("next", 2), rig.device("apart", 1, through)]);
    rig.write();
    return rig;
  }

  whole(devices: Entry[]): Entry & { devices: Entry[] } {
    return {
      version: 1,
      gateway: { id: "config-live", name: "Tủ thử nghiệm", city: "test", state: "./state" },
      outbox: { commitAfter: "50ms" },
      uplinks: [{ id: "ioc", type: "mqtt", url: this.broker.url, reconnectMax: "200ms" }],
      include: ["devices.d/*.yaml"],
      devices,
    };
  }

  device(id: string, unit: number, more: Entry = {}): Entry {
    const transport = { type: "rtu-over-tcp", host: "127.0.0.1", port: this.#line };
    return { id, driver: "modbus", poll: "400ms", transport, unit, points: { dim }, ...more };
  }

  write(): void {
    writeFileSync(this.file, JSON.stringify(this.site, undefined, 1));
  }

  /** A file of its own for a device, as people add them. */
  writeDevice(id: string, device: Entry): void {
    writeFileSync(join(this.folder, "devices.d", `${id}.yaml`), JSON.stringify({ devices: [device] }));
  }

  /** Starts the gateway; resolves with its exit code when it ends. */
  spawn(...args: string[]): { child: ChildProcess; ended: Promise<number | null> } {
    const env = { PATH: process.env["PATH"] ?? "", HOME: this.folder, LANG: "C.UTF-8" };
    const child = spawn(launcher, ["run", this.file, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => (this.#output = (this.#output + text.toString()).slice(-20_000)));
    return { child, ended: new Promise((resolve) => child.once("close", resolve)) };
  }

  /** Starts the gateway that the others speak of. */
  run(): void {
    this.gateway = this.spawn().child;
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    const child = this.gateway;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.kill(signal);
    await ended;
  }

  async online(...ids: string[]): Promise<GatewayStatus> {
    return this.until((status) => ids.every((id) => this.state(status, id) === "online"));
  }

  state({ devices }: GatewayStatus, id: string): string | undefined {
    return devices.find((device) => device.id === id)?.state;
  }

  async until(holds: (status: GatewayStatus) => boolean): Promise<GatewayStatus> {
    const giveUpMs = performance.now() + 25_000;
    for (;;) {
      const status = await this.ask<GatewayStatus>("status").catch(() => undefined);
      if (status !== undefined && holds(status)) return status;
      if (performance.now() > giveUpMs)
        throw new Error(`never so: ${JSON.stringify(status?.configuration)}\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async ask<Answer>(verb: string, args: Record<string, unknown> = {}): Promise<Answer> {
    for await (const answer of ask(join(this.folder, "state", "kerb.sock"), { verb, args }))
      return answer as Answer;
    throw new Error("no answer");
  }

  /** Collects what is accepted, until the gateway ends. */
  follow(): void {
    const lines = ask(join(this.folder, "state", "kerb.sock"), { verb: "tail" }, this.#tail.signal);
    void (async () => {
      for await (const event of lines) this.events.push(event as KerbEvent);
    })().catch(() => {});
  }

  async close(): Promise<void> {
    this.#tail.abort();
    await this.stop("SIGKILL");
    this.#relay.close();
    await Promise.all([...this.#simulators.map((one) => one.close()), this.broker.close()]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
