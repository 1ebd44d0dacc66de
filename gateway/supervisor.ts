import { readFileSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { clockState } from "./clock.ts";
import type { DeviceConfig, Site } from "./config.ts";
import { openControl, type ControlRequest } from "./control.ts";
import type { KerbEvent } from "./event.ts";
import type { DeviceReport, HostDevice, LatestReading } from "./host/messages.ts";
import { decimalsOf } from "./host/normalise.ts";
import { Host, type HostStatus } from "./hosts.ts";
import { Outbox, type OutboxStats } from "./outbox/outbox.ts";
import type { RegisterDevice } from "./outbox/store.ts";
import { MqttUplink, type UplinkStatus } from "./uplink/mqtt.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** What `kerb status` shows: the whole gateway at one moment. */
export interface GatewayStatus {
  gateway: {
    id: string;
    name: string;
    city: string;
    version: string;
    pid: number;
    startedMs: number;
    clock: string;
  };
  config: string;
  outbox: OutboxStats;
  uplinks: UplinkStatus[];
  hosts: HostStatus[];
  devices: (DeviceReport & { name: string; driver: string; profile: string | undefined; enabled: boolean })[];
}

/** A reading for people: with the digits after the point that its point resolves. */

const tailQueueMax = 5000;

/**
 * The main thread: starts the outbox, a host for each driver and the uplinks, moves bytes between them, and
 * answers the control socket. It does nothing that takes long.
 */
export class Supervisor {
  readonly #site: Site;
  readonly #log: Logger;
  readonly #startedMs = Date.now();
  #outbox: Outbox | undefined;
  readonly #hosts = new Map<string, Host>();
  readonly #uplinks = new Map<string, MqttUplink>();
  readonly #reports = new Map<string, DeviceReport>();
  #control: Server | undefined;
  #started = false;
  readonly #tails = new Set<(events: KerbEvent[]) => void>();
  /** Called when the gateway cannot go on and must be started anew by its own supervisor (systemd). */
  readonly #fatal: (error: Error) => void;

  constructor(site: Site, log: Logger, fatal: (error: Error) => void) {
    this.#site = site;
    this.#log = log;
    this.#fatal = fatal;
  }

  get socketPath(): string {
    return join(this.#site.gateway.stateFolder, "kerb.sock");
  }

  /** Everything is started; devices and links come up by themselves. Throws when the outbox cannot be opened. */
  async start(): Promise<void> {
    const { gateway, devices } = this.#site;
    // First of all: it also finds out whether another gateway runs on this state folder.
    this.#control = await openControl(this.socketPath, (request, signal) => this.#answer(request, signal));
    const outbox = this.#openOutbox();
    this.#outbox = outbox;
    const opened = await outbox.request("open");
    const enabled = devices.filter((device) => device.enabled);
    const registered = await outbox.request("register", [
      { id: gateway.id, type: "gateway", profile: "", points: [] },
      ...enabled.map(registration),
    ]);
    const [self, ...indexes] = registered.devices;
    const gatewayIndex = self?.index ?? 0;
    this.#startUplinks(outbox, opened, registered.dictionary);
    outbox.tell({
      type: "event",
      kind: "device-status",
      device: gatewayIndex,
      data: { state: "started", version },
    });
    this.#startHosts(
      enabled.map((device, i) => ({ driver: device.driver, device: hostDevice(device, indexes[i]) })),
      gatewayIndex,
    );
    this.#started = true;
    // The points live in the hosts from here on; the main thread has no use for tens of thousands of objects.
    for (const device of devices) device.points = [];
    this.#log.info(
      { epoch: opened.epoch },
      `${gateway.id} is running: ${enabled.length} devices, ${this.#hosts.size} drivers`,
    );
  }

  #openOutbox(): Outbox {
    const { gateway, outbox: limits, uplinks } = this.#site;
    const lanes = uplinks.map((uplink) => ({
      name: uplink.id,
      city: gateway.city,
      gateway: gateway.id,
      encoding: uplink.encoding,
      windowMax: uplink.windowMax,
      bytesMax: uplink.messageBytesMax,
      resendAfterMs: uplink.resendAfterMs,
    }));
    return new Outbox(
      { path: join(gateway.stateFolder, "outbox.db"), ...limits, gateway: gateway.id, uplinks: lanes },
      {
        accepted: (stream, bytes) => {
          for (const host of this.#hosts.values()) host.credit(stream, bytes);
        },
        send: (uplink, messages) => this.#uplinks.get(uplink)?.send(messages),
        tail: (events) => {
          for (const tail of this.#tails) tail(events);
        },
        failure: (text) => this.#storage(text),
        problem: (text) => this.#log.warn({ code: "KERB-OUT-PROBLEM" }, text),
        died: (error) => this.#died(error),
      },
    );
  }

  /** While starting, the question that the worker left unanswered tells the same to whoever waits for it. */
  #died(error: Error): void {
    if (this.#started) this.#fatal(error);
  }

  #startUplinks(
    outbox: Outbox,
    { epoch, epochs }: { epoch: number; epochs: [number, number][] },
    dictionary: { hash: string; json: string },
  ): void {
    const { gateway, uplinks } = this.#site;
    const software = `kerb ${version}`;
    for (const uplink of uplinks) {
      const identity = { city: gateway.city, gateway: gateway.id, software, epoch, epochs, dictionary };
      const link = new MqttUplink(uplink, outbox, identity, this.#log);
      this.#uplinks.set(uplink.id, link);
      link.start();
    }
  }

  #startHosts(devices: { driver: string; device: HostDevice }[], gatewayIndex: number): void {
    for (const [driver, group] of Map.groupBy(devices, (entry) => entry.driver)) {
      const host = new Host({
        driver,
        devices: group.map((entry) => entry.device),
        gatewayIndex,
        sealEveryMs: this.#site.outbox.sealEveryMs,
        log: this.#log,
        frames: (stream, bytes) => this.#frames(stream, bytes),
        changed: (report) => this.#changed(report),
        failed: (reason) => {
          this.#outbox?.tell({
            type: "event",
            kind: "device-status",
            device: gatewayIndex,
            data: { state: "host-ended", driver, reason },
          });
        },
      });
      this.#hosts.set(driver, host);
      host.start();
    }
  }

  /** A host's bytes go to the outbox unopened; the buffer itself moves when it is not part of a shared pool. */
  #frames(stream: number, bytes: Uint8Array): void {
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
    this.#outbox?.tell({ type: "frames", stream, bytes: own }, [own.buffer as ArrayBuffer]);
  }

  #changed(report: DeviceReport): void {
    this.#reports.set(report.id, report);
    const { id, state, code, reason } = report;
    const details = { device: id, ...(code === undefined ? {} : { code }) };
    if (state === "online") this.#log.info(details, `${id} is online`);
    else this.#log.warn(details, `${id} is ${state}${reason === undefined ? "" : `: ${reason}`}`);
  }

  #storage(text: string | undefined): void {
    if (text === undefined) this.#log.info({ code: "KERB-OUT-OK" }, "the outbox takes events again");
    else
      this.#log.error(
        { code: "KERB-OUT-FAILED" },
        `the outbox cannot store events, polling goes on: ${text}`,
      );
  }

  async status(): Promise<GatewayStatus> {
    const { gateway, file, devices } = this.#site;
    if (this.#outbox === undefined) throw new Error("the gateway is not started");
    const outbox = await this.#outbox.request("stats");
    for (const host of this.#hosts.values()) {
      const reports = (await host.request({ name: "devices" }).catch(() => [])) as DeviceReport[];
      for (const report of reports) this.#reports.set(report.id, report);
    }
    return {
      gateway: {
        id: gateway.id,
        name: gateway.name,
        city: gateway.city,
        version,
        pid: process.pid,
        startedMs: this.#startedMs,
        clock: clockState(),
      },
      config: file,
      outbox,
      uplinks: [...this.#uplinks.values()].map((uplink) => uplink.status),
      hosts: [...this.#hosts.values()].map((host) => host.status),
      devices: devices.map((device) => ({
        ...(this.#reports.get(device.id) ?? unread(device, this.#startedMs)),
        name: device.name,
        driver: device.driver,
        profile: device.profile,
        enabled: device.enabled,
      })),
    };
  }

  async #readings(id: string, read?: { points: string[]; raw: boolean }): Promise<LatestReading[]> {
    const device = this.#site.devices.find((candidate) => candidate.id === id);
    if (device === undefined) throw new Error(`no device "${id}" in ${this.#site.file}`);
    const host = this.#hosts.get(device.driver);
    if (host === undefined || !device.enabled) throw new Error(`device "${id}" is disabled`);
    return (await host.request(
      read === undefined ? { name: "latest", device: id } : { name: "read", device: id, ...read },
    )) as LatestReading[];
  }

  /** The newest values of every device; none for one that has not been read or whose host is down. */
  async #everyReading(): Promise<Record<string, LatestReading[]>> {
    const enabled = this.#site.devices.filter((device) => device.enabled);
    const readings = await Promise.all(enabled.map(({ id }) => this.#readings(id).catch(() => [])));
    return Object.fromEntries(enabled.map(({ id }, i) => [id, readings[i] ?? []]));
  }

  async *#answer(request: ControlRequest, signal: AbortSignal): AsyncGenerator {
    const { verb, args = {} } = request;
    const device = typeof args["device"] === "string" ? args["device"] : "";
    if (verb === "status") yield await this.status();
    else if (verb === "latest")
      yield await (args["device"] === undefined ? this.#everyReading() : this.#readings(device));
    else if (verb === "read") {
      const points = Array.isArray(args["points"]) ? args["points"].map(String) : [];
      yield await this.#readings(device, { points, raw: args["raw"] === true });
    } else if (verb === "tail") yield* this.#tail(signal);
    else throw new Error(`unknown verb "${verb}"`);
  }

  async *#tail(signal: AbortSignal): AsyncGenerator<KerbEvent> {
    let queue: KerbEvent[] = [];
    let wake: (() => void) | undefined;
    const take = (events: KerbEvent[]) => {
      // A slow reader misses events on its screen, never in the outbox.
      queue = [...queue, ...events].slice(-tailQueueMax);
      wake?.();
    };
    this.#tails.add(take);
    this.#outbox?.tell({ type: "tail", on: true });
    signal.addEventListener("abort", () => wake?.());
    try {
      while (!signal.aborted) {
        yield* queue.splice(0);
        if (queue.length > 0) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted) resolve();
        });
      }
    } finally {
      this.#tails.delete(take);
      if (this.#tails.size === 0) this.#outbox?.tell({ type: "tail", on: false });
    }
  }

  /** Stops the hosts, commits what they handed over, says goodbye to the IOC and closes the file. */
  async stop(): Promise<void> {
    this.#control?.close();
    await Promise.all([...this.#hosts.values()].map((host) => host.stop()));
    // What the hosts flushed at the end is still on its way through the worker's port; give it one commit.
    await this.#outbox?.request("stats").catch(() => {});
    await sleep(100);
    await Promise.all([...this.#uplinks.values()].map((uplink) => uplink.stop()));
    await this.#outbox?.close().catch((error: Error) => this.#log.error(error.message));
  }
}

function registration(device: DeviceConfig): RegisterDevice {
  return {
    id: device.id,
    type: device.class ?? device.driver,
    profile: device.profile ?? "",
    points: device.points
      .filter((point) => point.publish)
      .map((point) => ({
        name: point.name,
        unit: point.unit,
        kind: point.kind,
        decimals: decimalsOf(point),
      })),
  };
}

function hostDevice(
  device: DeviceConfig,
  registered: { index: number; points: { name: string; index: number }[] } | undefined,
): HostDevice {
  const indexes = new Map(registered?.points.map((point) => [point.name, point.index]));
  return {
    id: device.id,
    index: registered?.index ?? 0,
    settings: device.settings,
    identify: device.identify,
    firmwareRange: device.firmwareRange,
    pollMs: device.pollMs,
    points: device.points.map(({ label: _label, source: _source, certainty: _certainty, ...point }) => ({
      ...point,
      index: indexes.get(point.name) ?? -1,
    })),
  };
}

function unread(device: DeviceConfig, sinceMs: number): DeviceReport {
  return {
    id: device.id,
    state: "starting",
    sinceMs,
    polls: 0,
    answered: 0,
    failed: 0,
    missed: 0,
    lastReadMs: 0,
  };
}
