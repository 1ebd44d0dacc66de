import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import { clockState } from "../../gateway/clock.ts";
import type { UplinkConfig } from "../../gateway/config/config.ts";
import { EventWriter, type DictionaryDevice } from "../../gateway/event.ts";
import { DeviceLoop } from "../../gateway/host/device.ts";
import { Handover, type Loss } from "../../gateway/host/handover.ts";
import { Line } from "../../gateway/host/line.ts";
import { FrameSplitter } from "../../gateway/outbox/frames.ts";
import type { FromWorker, Outbox, Requests, ToWorker } from "../../gateway/outbox/outbox.ts";
import { PatientOutbox } from "../../gateway/outbox/patient.ts";
import type { LanesOptions } from "../../gateway/uplink/cuts.ts";
import { MqttUplink } from "../../gateway/uplink/mqtt.ts";
import type { SimulatedBroker } from "./broker.ts";
import { simulatedLink, type SimulatedClient } from "./client.ts";
import { alarm, hostDevice, registration, simulatedDriver, type SimulatedDevice } from "./devices.ts";
import { copyFolder, disks, removeFolder } from "./files.ts";
import type { Link } from "./wire.ts";
import { Actor, Channel, newBox, type Box, type World } from "./world.ts";

export const gatewayId = "gw-sim";
export const city = "hcmc";

/** What a site file would say. */
export interface GatewaySettings {
  bytesMax: number;
  commitEventsMax: number;
  creditBytes: number;
  ringBytesMax: number;
  sealEveryMs: number;
  uplinks: UplinkConfig[];
}

/** One uplink's way to its receiver. */
export interface Route {
  broker: SimulatedBroker;
  link: Link;
}

/** Where the model looks on. */
export interface GatewayWatch {
  /** A process begins; it opens the file when the disk lets it. */
  starts(path: string, epochBefore: number): void;
  produced(body: Uint8Array, meaning: ReadonlyMap<number, DictionaryDevice>): void;
  overflowed(loss: Loss): void;
  accepted(stream: number, bytes: number): void;
  framed(stream: number, body: Uint8Array, size: number): void;
  turned(): void;
  said(kind: "failure" | "problem", text: string | undefined): void;
}

const log = pino({ level: "silent" });
const writer = new EventWriter();

/** Hands over as a host does, and lets the model see what. */
class WatchedHandover extends Handover {
  produced: (lane: 0 | 1, body: Uint8Array) => void = () => {};
  override push(lane: 0 | 1, body: Uint8Array): void {
    this.produced(lane, body);
    super.push(lane, body);
  }
}

interface Host {
  actor: Actor;
  stream: number;
  handover: WatchedHandover;
  indexes: Map<string, number>;
}

/**
 * The gateway without processes, threads and sockets: supervisor, outbox worker and host are actors with channels
 * between them, and what runs inside them is the product's own.
 */
export class SimulatedGateway {
  readonly #world: World;
  readonly #settings: GatewaySettings;
  readonly #routes: readonly Route[];
  readonly #devices: SimulatedDevice[];
  readonly #watch: GatewayWatch;
  readonly #random: () => number;
  readonly box: Box = newBox();
  folder: string;
  #starts = 0;
  #streams = 0;
  #alarms = 0;
  #main: Actor | undefined;
  #outbox: Actor | undefined;
  #core: PatientOutbox | undefined;
  #toWorker: Channel | undefined;
  #host: Host | undefined;
  #registered: DictionaryDevice[] = [];
  #uplinks = new Map<string, MqttUplink>();
  #clients: SimulatedClient[] = [];
  #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #nextRequest = 1;
  /** Set: the gateway dies in the middle of its next turn that says something, right after a commit. */
  dieAtNextWord: (() => void) | undefined;

  constructor(
    world: World,
    folder: string,
    settings: GatewaySettings,
    routes: readonly Route[],
    devices: SimulatedDevice[],
    watch: GatewayWatch,
  ) {
    this.#world = world;
    this.folder = folder;
    this.#settings = settings;
    this.#routes = routes;
    this.#devices = devices;
    this.#watch = watch;
    this.#random = world.random("gateway");
  }

  get path(): string {
    return join(this.folder, "outbox.db");
  }

  get isRunning(): boolean {
    return this.#outbox?.alive === true;
  }

  get hostRuns(): boolean {
    return this.#host?.actor.alive === true;
  }

  /** Boots; a file that cannot be opened is tried again after five seconds, as systemd does. */
  start(): void {
    const world = this.#world;
    const number = ++this.#starts;
    world.trace(`gateway starts (${number})`);
    const main = new Actor("gateway", this.box);
    const outbox = new Actor("outbox", this.box);
    this.#main = main;
    this.#outbox = outbox;
    const latency = (): number => (this.#random() < 0.02 ? this.#random() * 200 : this.#random());
    this.#toWorker = new Channel(world, outbox, latency);
    const toMain = new Channel(world, main, latency);
    const options = {
      path: this.path,
      bytesMax: this.#settings.bytesMax,
      commitAfterMs: 1000,
      commitEventsMax: this.#settings.commitEventsMax,
      sealEveryMs: this.#settings.sealEveryMs,
      gateway: gatewayId,
      uplinks: this.#settings.uplinks.map(lanesOptions),
    };
    const sidecar = join(this.folder, "epoch");
    const epochBefore = existsSync(sidecar) ? Number(readFileSync(sidecar, "utf8")) : 0;
    this.#watch.starts(this.path, epochBefore);
    world.enter(outbox, () => {
      world.freshClock();
      try {
        this.#core = new PatientOutbox(options, (message) => this.#word(outbox, toMain, main, message));
      } catch (error) {
        world.trace(`the outbox does not open: ${(error as Error).message}`);
        this.#watch.said("failure", (error as Error).message);
        this.kill(false);
        world.after(world.chaos, 5000, () => this.start());
      }
    });
    if (!outbox.alive) return;
    outbox.turned = () => this.#watch.turned();
    this.#watch.turned();
    world.after(main, 1, () => {
      this.#boot().catch((error: Error) => {
        // The product's process ends when it cannot start; systemd begins again.
        if (main !== this.#main || !main.alive) return;
        world.trace(`the gateway does not start: ${error.message}`);
        world.current = world.chaos;
        this.kill(false);
        world.after(world.chaos, 5000, () => {
          if (!this.isRunning) this.start();
        });
      });
    });
  }

  /** What the worker says crosses to the main thread; a kill may come between two words of one turn. */
  #word(outbox: Actor, toMain: Channel, main: Actor, message: FromWorker): void {
    if (!outbox.alive) return;
    const die = this.dieAtNextWord;
    if (die !== undefined && outbox === this.#outbox && this.#world.current === outbox) {
      this.dieAtNextWord = undefined;
      this.#watch.turned();
      die();
      return;
    }
    if (message.type === "accepted") this.#watch.accepted(message.stream, message.bytes);
    if (message.type === "failure" || message.type === "problem")
      this.#watch.said(message.type, message.text);
    toMain.post(() => this.#heard(main, message));
  }

  #heard(main: Actor, message: FromWorker): void {
    if (message.type === "send") this.#uplinks.get(message.uplink)?.send(message.messages);
    else if (message.type === "accepted") {
      const host = this.#host;
      if (host === undefined || host.stream !== message.stream) return;
      this.#world.after(host.actor, this.#random() * 2, () =>
        host.handover.credit(message.bytes, message.dropped),
      );
    } else if (message.type === "answer") {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.result as never);
      else waiting?.reject(new Error(message.error));
    }
    void main;
  }

  #tell(message: ToWorker): void {
    const core = this.#core;
    this.#toWorker?.post(() => core?.receive(message));
  }

  #request<Name extends keyof Requests>(name: Name, ...args: Requests[Name][0]): Promise<Requests[Name][1]> {
    const id = this.#nextRequest++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#tell({ type: "request", id, name, args });
    });
  }

  /** The supervisor's start, in its order. */
  async #boot(): Promise<void> {
    const main = this.#main;
    const opened = await this.#request("open");
    const registered = await this.#request("register", [
      { id: gatewayId, type: "gateway", profile: "", points: [] },
      ...this.#devices.map(registration),
    ]);
    if (main !== this.#main) return;
    const entries = this.#devices.map((device, i) => ({
      id: device.id,
      device: registered.devices[i + 1]?.index,
      fingerprint: JSON.stringify(registration(device)),
      enabled: true,
    }));
    await this.#request("roster", entries);
    if (main !== this.#main) return;
    this.#registered = registered.devices;
    this.#uplinks = new Map();
    this.#clients = [];
    const port = {
      request: (name: keyof Requests, ...args: never[]) => this.#request(name, ...(args as [])),
      tell: (message: ToWorker) => this.#tell(message),
    } as unknown as Pick<Outbox, "request" | "tell">;
    this.#settings.uplinks.forEach((config, i) => {
      const identity = {
        city,
        gateway: gatewayId,
        software: "kerb",
        device: registered.devices[0]?.index ?? 0,
        ...opened,
        dictionary: registered.dictionary,
      };
      const { broker, link } = this.#routes[i] as Route;
      const makeLink = simulatedLink(this.#world, broker, link, (client) => {
        this.#clients = [...this.#clients.filter((one) => one.connected), client];
      });
      const uplink = new MqttUplink(config, port, identity, log, makeLink);
      this.#uplinks.set(config.id, uplink);
      uplink.start();
    });
    const index = registered.devices[0]?.index ?? 0;
    this.#tell({
      type: "event",
      kind: "device-status",
      device: index,
      data: { state: "started", start: this.#starts },
    });
    this.#startHost();
  }

  #startHost(): void {
    const world = this.#world;
    const actor = new Actor("host", this.box);
    const stream = ++this.#streams;
    const [self, ...registered] = this.#registered;
    const written = new FrameSplitter();
    const pipe = new Writable({
      write: (bytes: Buffer, _encoding, done) => {
        for (const { body, size } of written.push(Uint8Array.from(bytes)))
          this.#watch.framed(stream, body, size);
        this.#pipe(stream, Buffer.from(bytes));
        done();
      },
    });
    // Within a turn of its own, so that what it promises is its own too.
    world.after(actor, 0, () => {
      const handover = new WatchedHandover(pipe, {
        creditBytes: this.#settings.creditBytes,
        ringBytesMax: this.#settings.ringBytesMax,
        gapEvent: (loss) => {
          this.#watch.overflowed(loss);
          return gapEvent(self?.index ?? 0, loss);
        },
      });
      const meaning = new Map(this.#registered.map((device) => [device.index, device]));
      handover.produced = (_lane, body) => this.#watch.produced(body, meaning);
      this.#host = {
        actor,
        stream,
        handover,
        indexes: new Map(registered.map(({ id, index }) => [id, index])),
      };
      const lines = new Map<number, Line>();
      const driver = simulatedDriver(this.#devices, world.random(`host ${stream}`));
      this.#devices.forEach((device, i) => {
        const { line } = device;
        if (line !== undefined && !lines.has(line)) lines.set(line, new Line());
        const loop = new DeviceLoop({
          driver,
          device: hostDevice(device, registered[i] ?? { index: 0, points: [] }),
          line: line === undefined ? undefined : lines.get(line),
          handover,
          context: { deviceId: device.id, log: () => {} },
          phase: i / this.#devices.length,
          changed: () => {},
        });
        void loop.run();
      });
    });
  }

  /** A pipe cuts the stream where it likes. */
  #pipe(stream: number, bytes: Buffer): void {
    const main = this.#main;
    if (main === undefined) return;
    const at = this.#random() < 0.1 ? Math.floor(this.#random() * bytes.length) : bytes.length;
    for (const part of [bytes.subarray(0, at), bytes.subarray(at)]) {
      if (part.length === 0) continue;
      this.#toMain ??= new Channel(this.#world, main, () => this.#random());
      this.#toMain.post(() =>
        this.#tell({ type: "frames", source: "host", stream, bytes: Uint8Array.from(part) }),
      );
    }
  }
  #toMain: Channel | undefined;

  /** A burst of alarms, as a storm gives. */
  alarms(device: string, count: number, filler: string): void {
    const host = this.#host;
    const index = host?.indexes.get(device);
    if (host === undefined || index === undefined || !host.actor.alive) return;
    this.#world.after(host.actor, 0, () => {
      for (let i = 0; i < count; i++) host.handover.push(0, alarm(writer, index, ++this.#alarms, filler));
    });
  }

  killHost(): void {
    const host = this.#host;
    if (host === undefined || !host.actor.alive || !this.isRunning) return;
    this.#world.trace("host is killed");
    this.#world.kill(host.actor);
    const main = this.#main;
    if (main !== undefined) this.#world.after(main, 500, () => this.#startHost());
  }

  /** No more events: the host is ended for good. */
  stopHost(): void {
    const host = this.#host;
    if (host !== undefined) this.#world.kill(host.actor);
  }

  /** kill -9, or with `power` the plug: the files stay as they are at this moment, in a new folder. */
  kill(power: boolean): void {
    if (!this.isRunning) return;
    const world = this.#world;
    world.trace(power ? "gateway loses its power" : "gateway is killed");
    for (const actor of [this.#main, this.#outbox, this.#host?.actor])
      if (actor !== undefined) world.kill(actor);
    for (const client of this.#clients) client.abandon(power);
    this.#clients = [];
    this.#toMain = undefined;
    this.#waiting.clear();
    const left = this.folder;
    this.folder = `${left.replace(/-\d+$/, "")}-${this.#starts}`;
    copyFolder(left, this.folder);
    if (power) {
      tearTail(this.path, this.#random);
      this.box.boot++;
      this.box.bootedMs = world.nowMs;
    }
    const connection = disks.connection(join(left, "outbox.db"));
    // It may be the worker's own turn that ends here.
    world.after(world.chaos, 0, () => {
      connection?.close();
      removeFolder(left);
    });
  }

  stats(): string {
    return [...this.#uplinks.values()]
      .map(({ status }) => `${status.state} ${status.reason ?? ""}`)
      .join("; ");
  }
}

/** What was being written when the power went, behind the last commit. */
function tearTail(path: string, random: () => number): void {
  if (!existsSync(`${path}-wal`)) return;
  const garbage = Buffer.from(
    Array.from({ length: Math.floor(random() * 5000) }, () => Math.floor(random() * 256)),
  );
  writeFileSync(`${path}-wal`, garbage, { flag: "a" });
}

function lanesOptions(config: UplinkConfig): LanesOptions {
  return {
    name: config.id,
    city,
    gateway: gatewayId,
    encoding: config.encoding,
    windowMax: config.windowMax,
    bytesMax: config.messageBytesMax,
    resendAfterMs: config.resendAfterMs,
  };
}

function gapEvent(gatewayIndex: number, { events, fromMs, toMs }: Loss): Uint8Array {
  const gap = new EventWriter();
  gap.begin("gap", gatewayIndex, Date.now(), performance.now(), clockState());
  gap.object({
    cause: "handover_overflow",
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    lostCount: events,
  });
  return gap.bytes();
}
