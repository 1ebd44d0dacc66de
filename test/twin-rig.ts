import type { KeyObject } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import { issuerKeyOf, newIssuerKey, publicKeyOf } from "../gateway/receiver/commands/make.ts";
import { type Broker, startBroker } from "../gateway/receiver/testing.ts";
import { makeTwin } from "../gateway/receiver/twin/make.ts";
import { TwinSender } from "../gateway/receiver/twin/sender.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { TwinDocument } from "../gateway/twin/document.ts";
import type { KeptTwin } from "../gateway/twin/kept.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { type Entry, GatewayRig, levelPoint } from "./gateway-rig.ts";
import { freePort } from "./ports.ts";

/** A gateway in a process of its own that an IOC configures over a real broker, with two pretend devices. */

export const gatewayId = "twin-01";
export const city = "test";

async function device(id: string): Promise<Entry> {
  return {
    id,
    driver: "modbus",
    poll: "200ms",
    timeout: "200ms",
    transport: { type: "tcp", host: "127.0.0.1", port: await freePort() },
    unit: 1,
    write: { allow: ["level"] },
    points: { level: levelPoint("level", "mức") },
  };
}

export class TwinRig extends GatewayRig {
  readonly state = join(this.folder, "state");
  readonly keyFile = join(this.folder, "ioc.pem");
  readonly key: KeyObject;
  /** Of an issuer that may only command. */
  readonly otherKey: KeyObject;
  broker!: Broker;
  sender!: TwinSender;
  site: Entry & { devices: Entry[] } = { devices: [] };
  readonly simulators = new Map<string, Simulator>();

  private constructor() {
    super("twin");
    const { pem } = newIssuerKey();
    writeFileSync(this.keyFile, pem, { mode: 0o600 });
    this.key = issuerKeyOf(pem);
    this.otherKey = issuerKeyOf(newIssuerKey().pem);
  }

  /** Everything runs, and both devices are online. */
  static async start(watch = "1500ms", protocol: 5 | "3.1.1" = 5): Promise<TwinRig> {
    const rig = new TwinRig();
    try {
      rig.broker = await startBroker(rig.folder);
      await rig.#write(watch, protocol);
      for (const model of (await loadSite(rig.file)).devices)
        rig.simulators.set(model.id, await startSimulator(model, 1, undefined));
      rig.sender = new TwinSender({ broker: rig.broker.url, city, protocol });
      rig.sender.open();
      await rig.run();
    } catch (error) {
      await rig.close();
      throw error;
    }
    return rig;
  }

  async #write(watch: string, protocol: 5 | "3.1.1"): Promise<void> {
    this.site = {
      version: 1,
      gateway: { id: gatewayId, name: "Tủ thử nghiệm", city, state: "./state" },
      outbox: { commitAfter: "50ms" },
      uplinks: [{ id: "ioc", type: "mqtt", url: this.broker.url, reconnectMax: "200ms", protocol }],
      commands: {
        issuers: [
          { id: "ioc", key: publicKeyOf(this.key), roles: ["field"] },
          { id: "depot", key: publicKeyOf(this.otherKey), roles: ["field"] },
        ],
        roles: { field: { devices: ["weak", "next"] } },
        clock: "holdover",
      },
      twin: { allow: ["polls", "deadBands", "schedules", "issuers"], issuers: ["ioc"], watch },
      devices: [await device("weak"), await device("next")],
    };
    this.save();
  }

  save(): void {
    writeFileSync(this.file, JSON.stringify(this.site, undefined, 1));
  }

  async run(): Promise<GatewayStatus> {
    this.gateway = this.spawn().child;
    return this.until(({ devices }) => devices.every(({ state }) => state === "online"));
  }

  document(cfg: Entry, ver?: number, by = "an.nguyen@ioc", key = this.key): TwinDocument {
    return makeTwin({ gateway: gatewayId, cfg, by, ...(ver === undefined ? {} : { ver }) }, key);
  }

  get kept(): KeptTwin {
    return JSON.parse(readFileSync(join(this.state, "twin.json"), "utf8")) as KeptTwin;
  }

  override async close(): Promise<void> {
    await this.stop();
    await this.sender?.close();
    for (const simulator of this.simulators.values()) await simulator.close();
    await this.broker?.kill();
    await super.close();
  }
}
