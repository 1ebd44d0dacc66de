import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { startBroker } from "../gateway/cli/simulate/broker.ts";
import { startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import { ask } from "../gateway/control/control.ts";
import type { KerbEvent } from "../gateway/event.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { type Entry, GatewayRig, levelPoint } from "./gateway-rig.ts";
import { freePort } from "./ports.ts";

/** A gateway in a process of its own whose configuration changes, its pretend devices, and its broker. */

export class ConfigRig extends GatewayRig {
  readonly events: KerbEvent[] = [];
  /** Connections to the device `apart`, over all its life. */
  connections = 0;
  site: Entry & { devices: Entry[] } = { devices: [] };
  broker!: Awaited<ReturnType<typeof startBroker>>;
  #line = 0;
  #relay!: Server;
  readonly #simulators: Simulator[] = [];
  #tail = new AbortController();

  /** `near` and `next` share a wire, `apart` has a connection of its own. */
  static async open(): Promise<ConfigRig> {
    const rig = new ConfigRig("config-live");
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
    return {
      id,
      driver: "modbus",
      poll: "400ms",
      transport,
      unit,
      points: { dim: levelPoint("dim", "độ sáng") },
      ...more,
    };
  }

  write(): void {
    writeFileSync(this.file, JSON.stringify(this.site, undefined, 1));
  }

  /** A file of its own for a device, as people add them. */
  writeDevice(id: string, device: Entry): void {
    writeFileSync(join(this.folder, "devices.d", `${id}.yaml`), JSON.stringify({ devices: [device] }));
  }

  /** Starts the gateway that the others speak of. */
  run(): void {
    this.gateway = this.spawn().child;
  }

  async online(...ids: string[]): Promise<GatewayStatus> {
    return this.until((status) => ids.every((id) => this.state(status, id) === "online"));
  }

  state({ devices }: GatewayStatus, id: string): string | undefined {
    return devices.find((device) => device.id === id)?.state;
  }

  /** Collects what is accepted, until the gateway ends. */
  follow(): void {
    const lines = ask(join(this.folder, "state", "kerb.sock"), { verb: "tail" }, this.#tail.signal);
    void (async () => {
      for await (const event of lines) this.events.push(event as KerbEvent);
    })().catch(() => {});
  }

  override async close(): Promise<void> {
    this.#tail.abort();
    await super.close();
    this.#relay.close();
    await Promise.all([...this.#simulators.map((one) => one.close()), this.broker.close()]);
  }
}
