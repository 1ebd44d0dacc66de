import { type ChildProcess, spawn } from "node:child_process";
import type { KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startSimulator } from "../gateway/cli/simulate.ts";
import { loadSite } from "../gateway/config.ts";
import { ask } from "../gateway/control.ts";
import { issuerKeyOf, newIssuerKey, publicKeyOf } from "../gateway/receiver/commands/make.ts";
import { type Broker, startBroker } from "../gateway/receiver/testing.ts";
import { makeTwin } from "../gateway/receiver/twin/make.ts";
import { TwinSender } from "../gateway/receiver/twin/sender.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { TwinDocument } from "../gateway/twin/document.ts";
import type { KeptTwin } from "../gateway/twin/kept.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { processTree } from "./bench/measure.ts";
import { freePort } from "./ports.ts";

/** A gateway in a process of its own that an IOC configures over a real broker, with two pretend devices. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
export const gatewayId = "twin-01";
export const city = "test";

type Entry = Record<string, unknown>;

const level = {
  unit: "%",
  kind: "number",
  address: { table: "holding", register: 0 },
  write: { limits: [0, 100] },
  fixed: 40,
  label: { en: "level", vi: "mức" },
  source: "a trial",
  certainty: "to-verify",
};

async function device(id: string): Promise<Entry> {
  return {
    id,
    driver: "modbus",
    poll: "200ms",
    timeout: "200ms",
    transport: { type: "tcp", host: "127.0.0.1", port: await freePort() },
    unit: 1,
    write: { allow: ["level"] },
    points: { level },
  };
}

/** A host may have ended with its supervisor. */
function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has.
  }
}

export class TwinRig {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-twin-"));
  readonly file = join(this.folder, "gateway.yaml");
  readonly state = join(this.folder, "state");
  readonly keyFile = join(this.folder, "ioc.pem");
  readonly key: KeyObject;
  /** Of an issuer that may only command. */
  readonly otherKey: KeyObject;
  broker!: Broker;
  sender!: TwinSender;
  site: Entry & { devices: Entry[] } = { devices: [] };
  readonly simulators = new Map<string, Simulator>();
  gateway: ChildProcess | undefined;
  #output = "";

  private constructor() {
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
    const env = { PATH: process.env["PATH"] ?? "", HOME: this.folder, LANG: "C.UTF-8" };
    const child = spawn(launcher, ["run", this.file], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.gateway = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => (this.#output = (this.#output + text.toString()).slice(-20_000)));
    return this.until(({ devices }) => devices.every(({ state }) => state === "online"));
  }

  /** At once with all its hosts, or as a signal asks its supervisor to. */
  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.gateway;
    this.gateway = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child.once("exit", resolve));
    const group = signal === "SIGKILL" ? processTree(child.pid ?? 0) : [];
    child.kill(signal);
    for (const pid of group.slice(1)) killed(pid);
    await exit;
  }

  async ask<Answer>(verb: string, args: Entry = {}): Promise<Answer> {
    for await (const answer of ask(join(this.state, "kerb.sock"), { verb, args })) return answer as Answer;
    throw new Error("no answer");
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

  document(cfg: Entry, ver?: number, by = "an.nguyen@ioc", key = this.key): TwinDocument {
    return makeTwin({ gateway: gatewayId, cfg, by, ...(ver === undefined ? {} : { ver }) }, key);
  }

  get kept(): KeptTwin {
    return JSON.parse(readFileSync(join(this.state, "twin.json"), "utf8")) as KeptTwin;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.sender?.close();
    for (const simulator of this.simulators.values()) await simulator.close();
    await this.broker?.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
