import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { clockState, doubtClock } from "./clock.ts";
import type { Site } from "./config/config.ts";
import { openControl } from "./control/control.ts";
import { placesOf } from "./diagnosis/knowledge.ts";
import type { DevicePlace } from "./driver.ts";
import { answer, type Answering } from "./control/control-verbs.ts";
import type { Commanding } from "./commands/commanding.ts";
import { isWritable, loadCommanding } from "./commands/loading.ts";
import type { ClockState, DictionaryDevice } from "./event.ts";
import type { ConfigDesk, Standing } from "./generations/desk.ts";
import { HostGroup, type Hosted, type HostedChange } from "./host-group.ts";
import type { DeviceReport, HostRequest, LatestReading } from "./host/messages.ts";
import { Latest, within } from "./health/latest.ts";
import { type LoopDelay, LoopProbe } from "./health/loop.ts";
import type { Vitals } from "./health/watchdog.ts";
import { newReport } from "./host/poll-report.ts";
import type { Host, HostStatus, QuarantineNews } from "./hosts.ts";
import { shrinkHeap } from "./memory.ts";
import type { AuditedBooks, BooksLine } from "./outbox/books.ts";
import { isPassing } from "./outbox/faults.ts";
import { Outbox, type OutboxStats, type Pulse } from "./outbox/outbox.ts";
import {
  hostDevice,
  lanesOf,
  personalData,
  readWithoutFolder,
  registrations,
  roster,
  snapshotRule,
  sweepSnapshots,
} from "./config/site-devices.ts";
import { Tails } from "./control/tails.ts";
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
    clock: ClockState;
    rssBytes: number;
    cpuMs: number;
  };
  loop: LoopDelay;
  config: string;
  /** Which generation of it runs; absent where nobody keeps any. */
  configuration?: Standing;
  outbox: OutboxStats;
  /** How long the outbox has not answered: its figures are that old. 0: they are fresh. */
  outboxSilentMs: number;
  /** What the disk of the state folder has left; undefined: it does not say. */
  diskFreeBytes: number | undefined;
  uplinks: UplinkStatus[];
  hosts: HostStatus[];
  devices: (DeviceReport &
    ReturnType<Commanding["schedulesOf"]> & {
      name: string;
      driver: string;
      profile: string | undefined;
      enabled: boolean;
      /** Where it is reached: what is behind one place fails together. */
      place?: DevicePlace | undefined;
    })[];
}

/** What `kerb books` shows. `lost`: events of this run that got no number, by device. */
export interface GatewayBooks extends AuditedBooks {
  gateway: string;
  lost: Record<string, number>;
}

/** Who asks for the status gets what is known by then; a disk or a host may hang. */
const statusWaitMs = 1500;
/** Until hosts, worker and uplinks have taken over what they were given at the start. */
const shrinkAfterMs = 2000;
const controlRetryMs = 10_000;

/**
 * The main thread: starts the outbox, a host for each driver and the uplinks, moves bytes between them, and
 * answers the control socket. It does nothing that takes long.
 */
export class Supervisor implements Answering, Vitals {
  #site: Site;
  readonly #log: Logger;
  readonly #startedMs = Date.now();
  #outbox: Outbox | undefined;
  readonly #hosts: HostGroup;
  readonly uplinks = new Map<string, MqttUplink>();
  readonly #reports = new Map<string, DeviceReport>();
  readonly #loop = new LoopProbe();
  readonly #stats = new Latest(() => this.opened.request("stats"));
  readonly #accounts = new Latest(() => this.opened.request("accounts"));
  #control: Server | undefined;
  #endSweeping = (): void => {};
  #controlTimer: NodeJS.Timeout | undefined;
  /** Dictionary index of the gateway itself. */
  self = 0;
  #started = false;
  /** A start that is still under way starts nothing any more. */
  #isStopping = false;
  /** The outbox says that its file cannot be opened now. Most often it never does: nothing large may wait for it. */
  readonly #mustWait = Promise.withResolvers<true>();
  readonly tails = new Tails((on) => this.#outbox?.tell({ type: "tail", on }));
  /** undefined: nothing of this site may be written. */
  #commanding: Commanding | undefined;
  readonly #config: ConfigDesk | undefined;
  /** Where pictures are kept. */
  #pictures = "";
  /** Called when the gateway cannot go on and must be started anew by its own supervisor (systemd). */
  readonly #fatal: (error: Error) => void;

  /** `config`: whoever keeps the configuration while the gateway runs; undefined: it stays as it is. */
  constructor(site: Site, log: Logger, fatal: (error: Error) => void, config?: ConfigDesk) {
    this.#site = site;
    this.#log = log;
    this.#fatal = fatal;
    this.#config = config;
    this.#hosts = new HostGroup({
      log,
      sealEveryMs: site.outbox.sealEveryMs,
      frames: (driver, stream, bytes) => this.#frames(driver, stream, bytes),
      changed: (report) => this.#changed(report),
      quarantined: (device, news) => this.#quarantined(device, news),
      lost: (driver, devices, reason) => this.#lostWith(driver, devices, reason),
      tell: (kind, device, data) => this.#outbox?.tell({ type: "event", kind, device, data }),
    });
  }

  get socketPath(): string {
    return join(this.#site.gateway.stateFolder, "kerb.sock");
  }

  /** Everything is started; devices and links come up by themselves. Throws when the outbox cannot be opened. */
  async start(): Promise<void> {
    const { gateway, devices } = this.#site;
    // First of all: it also finds out whether another gateway runs on this state folder.
    await this.#openControl();
    const outbox = this.#openOutbox();
    this.#outbox = outbox;
    const opening = outbox.request("open");
    const enabled = devices.filter((device) => device.enabled);
    const mustWait = await Promise.race([opening.then(() => false), this.#mustWait.promise]);
    if (mustWait) await this.#startEarly(outbox, enabled);
    const opened = await opening;
    await this.#hosts.stop();
    if (this.#isStopping) return;
    const registered = await outbox.request("register", registrations(gateway.id, enabled));
    const [self, ...indexes] = registered.devices;
    const gatewayIndex = (this.self = self?.index ?? 0);
    doubtClock(opened.clock);
    await outbox.request("roster", roster(devices, registered.devices));
    this.#commanding = await this.#loadCommanding(this.#site);
    if (this.#isStopping) return;
    this.#startUplinks(outbox, opened, registered.dictionary, gatewayIndex);
    this.#commanding?.start(registered.devices);
    const data = { state: "started", version };
    outbox.tell({ type: "event", kind: "device-status", device: gatewayIndex, data });
    const sweeping = sweepSnapshots(this.#site, this.#log);
    this.#pictures = sweeping.folder;
    this.#endSweeping = sweeping.end;
    this.#hosts.start(this.#hosted(enabled, indexes), gatewayIndex, join(gateway.stateFolder, "drivers"));
    this.#started = true;
    // The first figures: should the disk hang from now on, there is something to show.
    void this.#stats.get(statusWaitMs);
    this.#forgetPoints(devices);
    this.#log.info(
      { epoch: opened.epoch },
      `${gateway.id} is running: ${enabled.length} devices, ${this.#hosts.all.length} drivers`,
    );
  }

  /** The points live in the hosts from here on; the main thread has no use for tens of thousands of objects. */
  #forgetPoints(devices: Site["devices"]): void {
    for (const device of devices) device.points = device.records = [];
    setTimeout(shrinkHeap, shrinkAfterMs).unref();
  }

  #hosted(enabled: Site["devices"], indexes: DictionaryDevice[]): Hosted[] {
    const personal = personalData(this.#site, this.#log);
    return enabled.map((device, i) => ({
      driver: device.driver,
      device: hostDevice(device, indexes[i], personal, snapshotRule(this.#site, this.#pictures, device)),
    }));
  }

  #loadCommanding(site: Site): Promise<Commanding | undefined> {
    return loadCommanding(site, {
      log: this.#log,
      ask: (device, request, timeoutMs) => this.ask(device, request, timeoutMs),
      report: (device) => this.#reports.get(device),
      frames: (stream, bytes) => this.#frames("commands", stream, bytes),
      tell: (index, data) => this.tell(data, index),
    });
  }

  /**
   * Takes over another configuration of the same gateway while it runs: only the devices of `steps` stop, start or
   * change their pace. Rejects before anything has changed, where the outbox cannot give indexes.
   */
  async change(site: Site, steps: HostedChange): Promise<void> {
    if (!this.#started || this.#isStopping) throw new Error("the gateway is still starting, or stops");
    const outbox = this.opened;
    const { gateway, devices } = site;
    const enabled = devices.filter((device) => device.enabled);
    const registered = await outbox.request("register", registrations(gateway.id, enabled));
    const fromMs = Date.now();
    this.#site = site;
    for (const id of [...steps.stop, ...steps.start]) this.#reports.delete(id);
    for (const uplink of this.uplinks.values()) uplink.renewDictionary(registered.dictionary);
    await this.#hosts.change(this.#hosted(enabled, registered.devices.slice(1)), steps);
    await this.#renewCommanding(site, registered.devices);
    await outbox.request("roster", roster(devices, registered.devices), { fromMs, toMs: Date.now() });
    this.#forgetPoints(devices);
  }

  async #renewCommanding(site: Site, registered: DictionaryDevice[]): Promise<void> {
    if (this.#commanding !== undefined) return this.#commanding.renew(site, registered, isWritable(site));
    this.#commanding = await this.#loadCommanding(site);
    for (const [id, link] of this.uplinks) this.#commanding?.attach(id, link.commands);
    this.#commanding?.start(registered);
  }

  /** An event of the gateway itself, or of the device with this dictionary index. */
  tell(data: Record<string, unknown>, device: number = this.self): void {
    this.#outbox?.tell({ type: "event", kind: "device-status", device, data });
  }

  /**
   * What can be read without the state folder is read at once. Its events wait in the outbox's memory; with the
   * folder all hosts begin anew.
   */
  async #startEarly(outbox: Outbox, enabled: Site["devices"]): Promise<void> {
    const { gateway } = this.#site;
    const asked = await readWithoutFolder(enabled);
    const early = await outbox.request("early", registrations(gateway.id, asked));
    if (early === null || this.#isStopping) return;
    const hosted = asked.map((device, i) => ({
      driver: device.driver,
      device: hostDevice(device, early[i + 1], { how: "drop" }),
    }));
    this.#hosts.start(hosted, early[0]?.index ?? 0, undefined);
  }

  /** A disk that takes no socket now may take one later; the outbox waits for it, too. */
  async #openControl(): Promise<void> {
    try {
      this.#control = await openControl(this.socketPath, (request, signal) => answer(this, request, signal));
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.#log.error({ code: "KERB-OUT-READ-ONLY" }, `${(error as Error).message}; trying again`);
      this.#controlTimer = setTimeout(() => {
        this.#openControl().catch((failure: Error) => this.#log.error(failure.message));
      }, controlRetryMs);
    }
  }

  #openOutbox(): Outbox {
    const { gateway, outbox: limits } = this.#site;
    const uplinks = lanesOf(this.#site);
    return new Outbox(
      { path: join(gateway.stateFolder, "outbox.db"), ...limits, gateway: gateway.id, uplinks },
      {
        accepted: (stream, bytes, dropped) => {
          for (const host of this.#hosts.all) host.credit(stream, bytes, dropped);
          this.#commanding?.accepted(stream, bytes, dropped);
        },
        send: (uplink, messages) => this.uplinks.get(uplink)?.send(messages),
        tail: (events) => this.tails.take(events),
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
    device: number,
  ): void {
    const { gateway, uplinks } = this.#site;
    const software = `kerb ${version}`;
    for (const uplink of uplinks) {
      const own = { city: gateway.city, gateway: gateway.id, device, folder: gateway.stateFolder };
      const identity = { ...own, software, epoch, epochs, dictionary };
      const link = new MqttUplink(uplink, outbox, identity, this.#log);
      this.uplinks.set(uplink.id, link);
      this.#commanding?.attach(uplink.id, link.commands);
      link.start();
    }
  }

  /** A host's bytes go to the outbox unopened; the buffer itself moves when it is not part of a shared pool. */
  #frames(source: string, stream: number, bytes: Uint8Array): void {
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
    this.#outbox?.tell({ type: "frames", source, stream, bytes: own }, [own.buffer as ArrayBuffer]);
  }

  #changed(report: DeviceReport): void {
    this.#reports.set(report.id, report);
    this.#commanding?.changed(report);
    const { id, state, code, reason } = report;
    const details = { device: id, ...(code === undefined ? {} : { code }) };
    if (state === "online" || state === "listening") this.#log.info(details, `${id} is ${state}`);
    else this.#log.warn(details, `${id} is ${state}${reason === undefined ? "" : `: ${reason}`}`);
  }

  /** A device that is not run tells nothing itself. */
  #quarantined({ id, index }: { id: string; index: number }, news: QuarantineNews | undefined): void {
    const { code: _code, reason: _reason, ...before } = this.#reports.get(id) ?? newReport(id, Date.now());
    const state = news === undefined ? "starting" : "quarantined";
    const why = news === undefined ? {} : { code: "quarantined", reason: news.reason };
    this.#changed({ ...before, ...why, state, sinceMs: Date.now() });
    const until = news === undefined ? {} : { until: new Date(news.untilMs).toISOString() };
    const data = { state: news === undefined ? "on-trial" : state, ...why, ...until };
    this.#outbox?.tell({ type: "event", kind: "device-status", device: index, data });
  }

  #storage(text: string | undefined): void {
    if (text !== undefined) this.#mustWait.resolve(true);
    if (text === undefined) this.#log.info({ code: "KERB-OUT-OK" }, "the outbox takes events again");
    else
      this.#log.error(
        { code: "KERB-OUT-FAILED" },
        `the outbox cannot store events, polling goes on: ${text}`,
      );
  }

  /** Throws while the gateway is still starting. */
  get opened(): Outbox {
    if (this.#outbox === undefined) throw new Error("the gateway is still starting");
    return this.#outbox;
  }

  pulse(): Promise<Pulse> {
    return this.opened.request("pulse");
  }

  stuckHosts(): string[] {
    return this.#hosts.stuck;
  }

  summary(): string {
    const enabled = this.#site.devices.filter((device) => device.enabled);
    const online = enabled.filter(({ id }) => this.#reports.get(id)?.state === "online").length;
    const links = [...this.uplinks.values()].map(({ status: { id, state } }) => `${id} ${state}`);
    return [`${online} of ${enabled.length} devices online`, ...links].join(", ");
  }

  async #refreshReports(host: Host): Promise<void> {
    const reports = (await within(host.request({ name: "devices" }), statusWaitMs)) as
      | DeviceReport[]
      | undefined;
    for (const report of reports ?? []) this.#reports.set(report.id, report);
  }

  /** The whole gateway as far as it is known within two seconds; rejects when the outbox has never answered. */
  async status(): Promise<GatewayStatus> {
    const { gateway, file, devices } = this.#site;
    const [{ answer: outbox, silentMs }, disk, places] = await Promise.all([
      this.#stats.get(statusWaitMs),
      within(statfs(gateway.stateFolder), statusWaitMs),
      placesOf(devices),
      ...this.#hosts.all.map((host) => this.#refreshReports(host)),
    ]);
    if (outbox === undefined) throw new Error("the gateway is still opening its outbox");
    const cpu = process.cpuUsage();
    return {
      gateway: {
        id: gateway.id,
        name: gateway.name,
        city: gateway.city,
        version,
        pid: process.pid,
        startedMs: this.#startedMs,
        clock: clockState(),
        rssBytes: process.memoryUsage.rss(),
        cpuMs: (cpu.user + cpu.system) / 1000,
      },
      loop: this.#loop.delay,
      config: file,
      ...(this.#config === undefined ? {} : { configuration: await this.#config.standing() }),
      outbox,
      outboxSilentMs: silentMs,
      diskFreeBytes: disk === undefined ? undefined : disk.bavail * disk.bsize,
      uplinks: [...this.uplinks.values()].map((uplink) => uplink.status),
      hosts: this.#hosts.all.map((host) => host.status),
      devices: devices.map((device) => ({
        ...(this.#reports.get(device.id) ?? newReport(device.id, this.#startedMs)),
        name: device.name,
        driver: device.driver,
        profile: device.profile,
        enabled: device.enabled,
        ...this.#commanding?.schedulesOf(device.id),
        place: places.get(device.id),
      })),
    };
  }

  /** What a host said before it ended is not so any more, until the next start of it says something. */
  #lostWith(driver: string, devices: readonly string[], reason: string): void {
    for (const id of devices) {
      const report = this.#reports.get(id);
      if (report?.state !== "online" && report?.state !== "listening") continue;
      const why = `the ${driver} host has ended: ${reason}`;
      this.#reports.set(id, { ...report, state: "lost", sinceMs: Date.now(), reason: why });
    }
  }

  /** The outbox's books, and what the hosts had to drop before it got a number. */
  async books(): Promise<GatewayBooks> {
    if (this.#outbox === undefined) throw new Error("the gateway is not started");
    const lost: Record<string, number> = {};
    for (const { status } of this.#hosts.all) Object.assign(lost, status.dropped);
    return { gateway: this.#site.gateway.id, ...(await this.#outbox.request("books")), lost };
  }

  /** The books by device and class as far as they are known within two seconds, not held against the rows. */
  async accounts(): Promise<BooksLine[]> {
    return (await this.#accounts.get(statusWaitMs)).answer ?? [];
  }

  /** A device's newest values; with `read`, what it says now. */
  readings(id: string, read?: { points: string[]; raw: boolean }): Promise<LatestReading[]> {
    const request = read === undefined ? { name: "latest" as const } : { name: "read" as const, ...read };
    return this.ask(id, { ...request, device: id }) as Promise<LatestReading[]>;
  }

  /** Asks the host of a device; rejects when there is none. */
  async ask(id: string, request: HostRequest, timeoutMs?: number): Promise<unknown> {
    const device = this.#site.devices.find((candidate) => candidate.id === id);
    if (device === undefined) throw new Error(`no device "${id}" in ${this.#site.file}`);
    const host = this.#hosts.of(device.driver);
    if (host === undefined || !device.enabled) throw new Error(`device "${id}" is disabled`);
    return host.request(request, timeoutMs);
  }

  /** The newest values of every device; none for one that has not been read or whose host is down. */
  async everyReading(): Promise<Record<string, LatestReading[]>> {
    const enabled = this.#site.devices.filter((device) => device.enabled);
    const readings = await Promise.all(enabled.map(({ id }) => this.readings(id).catch(() => [])));
    return Object.fromEntries(enabled.map(({ id }, i) => [id, readings[i] ?? []]));
  }

  /** Whoever changes the configuration; throws where nobody does. */
  get configuring(): ConfigDesk {
    if (this.#config !== undefined) return this.#config;
    throw new Error("this gateway keeps the configuration that it was started with");
  }

  /** Writes and commands; throws while nothing may be written. */
  get orders(): Commanding {
    if (this.#commanding !== undefined) return this.#commanding;
    if (!this.#started) throw new Error("the gateway is still starting");
    throw new Error(`nothing may be written: no device in ${this.#site.file} has "write"`);
  }

  /** Sends again what brokers have refused for good; how many messages. */
  async retryRefused(): Promise<number> {
    return (await this.#outbox?.request("retry")) ?? 0;
  }

  /** Stops the hosts, commits what they handed over, says goodbye to the IOC and closes the file. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#controlTimer);
    this.#endSweeping();
    this.#control?.close();
    this.#loop.stop();
    await this.#commanding?.close();
    // Whoever forgets what is acknowledged waits for the commit, and is let go only after it.
    this.#outbox?.tell({ type: "hurry" });
    await this.#hosts.stop();
    // What the hosts flushed at the end is still on its way through the worker's port; give it one commit.
    await this.#outbox?.request("stats").catch(() => {});
    await sleep(100);
    await Promise.all([...this.uplinks.values()].map((uplink) => uplink.stop()));
    await this.#outbox?.close().catch((error: Error) => this.#log.error(error.message));
  }
}
