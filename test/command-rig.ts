import type { KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import { Commander } from "../gateway/receiver/commands/commander.ts";
import { issuerKeyOf, newIssuerKey, type Wanted } from "../gateway/receiver/commands/make.ts";
import type { IssuerLinkOptions } from "../gateway/receiver/issuer-link.ts";
import { type Broker, startBroker } from "../gateway/receiver/testing.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { GatewayRig } from "./gateway-rig.ts";
import { freePort } from "./ports.ts";

/** A gateway in a process of its own between a real broker and a pretend cabinet of street lights. */

export const gatewayId = "cmd-01";
export const device = "light-01";
export const city = "test";

/** dim and lamp may be written; lamp only while the door is shut; breaker is armed first; count takes any number; energy is read only. */
const points = {
  dim: {
    unit: "%",
    address: { table: "holding", register: 0 },
    write: { limits: [0, 100], step: 5 },
    fixed: 40,
  },
  door: { kind: "boolean", address: { table: "holding", register: 1, type: "bool", bit: 3 }, fixed: false },
  lamp: {
    kind: "boolean",
    address: { table: "coil", register: 4 },
    fixed: true,
    write: { interlock: [{ point: "door", equals: false }] },
  },
  breaker: {
    kind: "boolean",
    address: { table: "coil", register: 5 },
    fixed: true,
    write: { safety: true },
  },
  count: { address: { table: "holding", register: 2 }, write: {}, fixed: 0 },
  "native.energy": { unit: "kW.h", address: { table: "holding", register: 9 }, fixed: 12 },
};

function definitions(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(points).map(([name, given]) => {
      const label = { en: name, vi: name };
      const evidence = { source: "a trial", certainty: "to-verify" };
      return [name, { label, unit: "1", kind: "number", ...given, ...evidence }];
    }),
  );
}

export interface CommandRigOptions {
  ratePerMinute?: number;
  poll?: string;
  protocol?: 5 | "3.1.1";
  /** Further devices of the same form, each with a simulator of its own. */
  more?: Record<string, unknown>;
}

export class CommandRig extends GatewayRig {
  readonly key: KeyObject;
  readonly keyFile = join(this.folder, "ioc.pem");
  readonly log: string[] = [];
  broker!: Broker;
  simulator!: Simulator;
  readonly #options: CommandRigOptions;
  readonly #publicKey: string;
  readonly #ends: (() => unknown)[] = [];
  #wake: (() => void)[] = [];

  private constructor(options: CommandRigOptions) {
    super("commands");
    this.#options = options;
    const { pem, publicKey } = newIssuerKey();
    this.key = issuerKeyOf(pem);
    this.#publicKey = publicKey;
    writeFileSync(this.keyFile, pem, { mode: 0o600 });
  }

  /** Broker, simulator and gateway run, and the device is online. */
  static async start(options: CommandRigOptions = {}): Promise<CommandRig> {
    const rig = new CommandRig(options);
    try {
      await rig.#start();
    } catch (error) {
      await rig.close();
      throw error;
    }
    return rig;
  }

  async #start(): Promise<void> {
    this.broker = await startBroker(this.folder);
    this.#ends.push(() => this.broker.kill());
    const port = await freePort();
    const { ratePerMinute = 600, poll = "200ms", protocol = 5, more = {} } = this.#options;
    const light = {
      id: device,
      driver: "modbus",
      poll,
      functions: [1, 2, 3, 4, 5, 6, 15, 16, 22],
      transport: { type: "tcp", host: "127.0.0.1", port },
      write: { allow: ["dim", "lamp", "breaker", "count"] },
      points: definitions(),
    };
    const uplink = { id: "ioc", type: "mqtt", url: this.broker.url, reconnectMax: "200ms", protocol };
    const site = {
      version: 1,
      gateway: { id: gatewayId, name: "Tủ chiếu sáng", city, state: "./state" },
      outbox: { commitAfter: "50ms" },
      uplinks: [uplink],
      commands: {
        issuers: [{ id: "ioc", key: this.#publicKey, roles: ["lights"] }],
        roles: { lights: { devices: [device] } },
        ratePerMinute,
        clock: "holdover",
      },
      devices: [light],
      ...more,
    };
    writeFileSync(this.file, JSON.stringify(site));
    const [model] = (await loadSite(this.file)).devices;
    if (model === undefined) throw new Error("no device");
    this.simulator = await startSimulator(model, 1, undefined);
    this.#ends.push(() => this.simulator.close());
    await this.run();
  }

  /** Starts the gateway (again); resolves when the device is online. */
  async run(): Promise<void> {
    this.log.length = 0;
    const { child } = this.spawn();
    this.gateway = child;
    const ended = new Promise<never>((_resolve, reject) =>
      child.once("exit", () => reject(new Error(`the gateway has ended: ${this.log.join("\n")}`))),
    );
    ended.catch(() => {});
    await Promise.race([this.logged(/light-01 is online/), ended]);
    await Promise.race([this.logged(/connected to mqtt/), ended]);
  }

  protected override said(line: string): void {
    this.log.push(line);
    for (const wake of this.#wake.splice(0)) wake();
  }

  async logged(pattern: RegExp): Promise<void> {
    while (!this.log.some((line) => pattern.test(line)))
      await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  commander(options: Partial<IssuerLinkOptions> = {}): Commander {
    const commander = new Commander({ broker: this.broker.url, city, ...options });
    commander.open();
    this.#ends.push(() => commander.close());
    return commander;
  }

  /** Of the issuer that the site file has. */
  wanted(args: Wanted["args"], more: Partial<Wanted> = {}): Wanted {
    return { gateway: gatewayId, device, args, by: "an.nguyen@ioc", role: "lights", ...more };
  }

  /** What the cabinet was told to change. */
  get written(): string[] {
    return (this.simulator.writes?.all ?? []).map(({ what }) => what);
  }

  onEnd(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** The real command line; the simulator lives in this process, so nothing may block it. */
  async kerb(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const child = this.launch(...args);
    const [out, err]: [string[], string[]] = [[], []];
    child.stdout.on("data", (text: Buffer) => out.push(text.toString()));
    child.stderr.on("data", (text: Buffer) => err.push(text.toString()));
    const code = await new Promise<number>((resolve) =>
      child.once("close", (status) => resolve(status ?? -1)),
    );
    return { code, out: out.join(""), err: err.join("") };
  }

  override async close(): Promise<void> {
    await this.stop();
    for (const end of this.#ends.splice(0).toReversed()) await end();
    await super.close();
  }
}
