import { join } from "node:path";
import type { Logger } from "pino";
import { bootId, clockState, monotonicMs } from "../clock.ts";
import type { Site } from "../config/config.ts";
import type { DeviceReport } from "../host/messages.ts";
import type { ArrivedCommand, CommandLane, ReplyTo } from "../uplink/commands.ts";
import type { DeviceFacts } from "./checks.ts";
import type { Refusal } from "./command.ts";
import { CommandDesk } from "./desk.ts";
import { type AskHost, hostField } from "./host-field.ts";
import type { Happening } from "./journal-lines.ts";
import { LocalOrders, localRequest, type OrderPreview } from "./local.ts";
import { Policy } from "./policy.ts";
import type { Scheduled } from "../schedules/levels.ts";
import type { ScheduleReport } from "./scheduling.ts";
import type { CommandState } from "./state.ts";
import { ToldEvents } from "./told-events.ts";

/** What the gateway gives to whoever commands it. */
export interface CommandedGateway {
  log: Logger;
  ask: AskHost;
  report: (device: string) => DeviceReport | undefined;
  frames: (stream: number, bytes: Uint8Array) => void;
  /** An event about a device; without an index about the gateway. */
  tell: (index: number | undefined, data: Record<string, unknown>) => void;
}

/** Where the answer of a command goes: back on the uplink by which it came. */
interface UplinkReply extends ReplyTo {
  uplink: string;
}

/** Commands that wait until the journal has been read, or their device has been heard of, and how long for that. */
const waitingMax = 64;
const settleMs = 10_000;
const reopenMs = 10_000;
/** What is asked to be checked in a second: a signature takes its time, and the main thread has other work. */
const checksPerSecond = 200;
/** Answers a second to what was not even checked. */
const busyPerSecond = 5;
/** The desk waits 5 s for what is under way; a disk that hangs must not keep the rest from stopping. */
const closeMs = 8000;
const noJournal: Refusal = { code: "KERB-CMD-JOURNAL", reason: "the journal of commands is not open" };
const tooMany: Refusal = { code: "KERB-CMD-BUSY", reason: `more than ${checksPerSecond} came in a second` };

/**
 * Joins the desk to hosts, outbox, uplinks and control socket. Only where the site file opens something for writing:
 * else no command is asked for, and nothing is written.
 */
export class Commanding {
  readonly #orders: LocalOrders;
  /** False: nothing may be written any more; what is still leased goes back. */
  #isOpen: boolean;
  readonly #gateway: CommandedGateway;
  readonly #site: Pick<Site, "gateway">;
  #policy: Policy;
  #schedules: readonly Scheduled[];
  readonly #events: ToldEvents;
  readonly #lanes = new Map<string, CommandLane>();
  readonly #boot = bootId();
  #indexes: ReadonlyMap<string, number> = new Map();
  #desk: CommandDesk | undefined;
  #waiting: ArrivedCommand[] = [];
  #timer: NodeJS.Timeout | undefined;
  #settleTimer: NodeJS.Timeout | undefined;
  #isSettled = false;
  #opening: Promise<void> | undefined;
  #isStopping = false;
  #second = { sinceMs: Number.NEGATIVE_INFINITY, taken: 0 };

  constructor(site: Site, gateway: CommandedGateway, isOpen = true) {
    const { commands, devices } = site;
    this.#isOpen = isOpen;
    this.#site = { gateway: site.gateway };
    this.#gateway = gateway;
    const enabled = devices.filter((device) => device.enabled);
    // Made now: the points do not stay in this thread.
    this.#policy = new Policy(commands, enabled);
    this.#schedules = scheduled(site, this.#policy);
    this.#events = new ToldEvents(gateway.frames);
    this.#orders = new LocalOrders(enabled, this.#policy, gateway.ask, () => this.#desk);
  }

  /** Begins: `devices` are dictionary indexes by id, the gateway's own among them. */
  start(devices: readonly { id: string; index: number }[]): void {
    this.#indexes = new Map(devices.map(({ id, index }) => [id, index]));
    this.#settleTimer = setTimeout(() => {
      this.#isSettled = true;
      this.#goOn();
    }, settleMs);
    this.#opening = this.#open();
  }

  /** The site has changed: who may command what, and its devices. `isOpen`: anything may still be written. */
  renew(site: Site, registered: readonly { id: string; index: number }[], isOpen: boolean): void {
    const enabled = site.devices.filter((device) => device.enabled);
    this.#policy = new Policy(site.commands, enabled);
    this.#schedules = scheduled(site, this.#policy);
    this.#orders.renew(enabled, this.#policy);
    this.#indexes = new Map(registered.map(({ id, index }) => [id, index]));
    if (this.#desk !== undefined) {
      this.#desk.policy = this.#policy;
      this.#desk.schedules.renew(this.#schedules);
      this.#warnOfLeft(this.#desk);
    }
    // Who is not open any more still hears, and refuses: leases have to go back by the same desk.
    if (isOpen && !this.#isOpen)
      for (const lane of this.#lanes.values()) lane.listen((command) => this.#arrived(command));
    this.#isOpen ||= isOpen;
    this.#goOn();
  }

  /** Puts what somebody else has decided onto the record of commands; rejects where it cannot be written. */
  async record(happening: Happening): Promise<void> {
    await this.#opening;
    if (this.#desk === undefined) throw new Error(noJournal.reason);
    await this.#desk.record(happening);
  }

  /** Commands come by this uplink, and states go out on it. */
  attach(uplink: string, lane: CommandLane): void {
    this.#lanes.set(uplink, lane);
    if (this.#isOpen) lane.listen((command) => this.#arrived(command));
  }

  /** Something has changed about a device. */
  changed({ id, state }: DeviceReport): void {
    if (state === "online") this.#desk?.deviceChanged(id);
    this.#goOn();
  }

  /** The outbox has taken events, ours among them. */
  accepted(stream: number, bytes: number, dropped: boolean): void {
    this.#events.accepted(stream, bytes, dropped);
  }

  /** Writes, as somebody on site asks through the control socket; yields each state. */
  write(args: Record<string, unknown>, signal: AbortSignal): AsyncGenerator<CommandState> {
    return this.#orders.write(localRequest(args), signal);
  }

  /** What is known of points before they are written. */
  preview(args: Record<string, unknown>): Promise<OrderPreview> {
    return this.#orders.preview(localRequest(args));
  }

  /** How the schedules of a device stand; nothing where it has none. */
  schedulesOf(device: string): { schedules?: ScheduleReport[] } {
    const schedules = this.#desk?.schedules.reportsOf(device) ?? [];
    return schedules.length === 0 ? {} : { schedules };
  }

  #note(device: string | undefined, data: Record<string, unknown>): void {
    const { code, reason, point, schedule } = data;
    const about = [device, point].filter((part) => typeof part === "string").join(" ");
    const { log, tell } = this.#gateway;
    if (code === undefined)
      log.info({ device }, `the schedule of ${about || "all devices"} is ${String(schedule)}`);
    else
      log.warn({ device, code }, `the schedule of ${about || "all devices"} is not kept: ${String(reason)}`);
    tell(device === undefined ? undefined : this.#indexes.get(device), data);
  }

  /** Finishes what is under way, as far as it can in a few seconds. */
  async close(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#settleTimer);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#gateway.log.warn(
          { code: "KERB-CMD-JOURNAL" },
          "the journal of commands does not close in time",
        );
        resolve();
      }, closeMs);
    });
    await Promise.race([this.#end(), patience]);
    clearTimeout(timer);
  }

  /** The broker has let go of what waits here: it is answered, and not forgotten. */
  async #end(): Promise<void> {
    await this.#opening;
    const desk = this.#desk;
    for (const command of this.#waiting.splice(0)) {
      if (desk === undefined) this.#turnAway(command, noJournal);
      else this.#take(desk, command);
    }
    await desk?.close();
  }

  async #open(): Promise<void> {
    const { stateFolder, id, city } = this.#site.gateway;
    const { log, ask } = this.#gateway;
    try {
      const desk = await CommandDesk.open(
        {
          folder: join(stateFolder, "commands"),
          gateway: id,
          city,
          field: hostField(ask),
          facts: (device) => this.#facts(device),
          schedules: this.#schedules,
          note: (device, data) => this.#note(device, data),
          tell: (state, reply) => this.#tell(state, reply as UplinkReply | undefined),
          now: () => ({
            wallMs: Date.now(),
            monoMs: monotonicMs(),
            clock: clockState(),
            boot: this.#boot,
          }),
          log: (text) => log.warn({ code: "KERB-CMD-JOURNAL" }, text),
        },
        this.#policy,
      );
      // The site may have changed meanwhile.
      desk.policy = this.#policy;
      desk.schedules.renew(this.#schedules);
      this.#desk = desk;
      this.#warnOfLeft(desk);
      this.#goOn();
    } catch (error) {
      const text = `commands are refused, their journal cannot be opened: ${(error as Error).message}`;
      log.error({ code: "KERB-CMD-JOURNAL" }, text);
      for (const command of this.#waiting.splice(0)) this.#turnAway(command, noJournal);
      if (this.#isStopping) return;
      this.#timer = setTimeout(() => {
        this.#opening = this.#open();
      }, reopenMs);
    }
  }

  /** Whoever takes "write" out of the site file is to know what stands in the field because of it. */
  #warnOfLeft(desk: CommandDesk): void {
    const { log } = this.#gateway;
    const points = desk.pending.leases.map(({ dev, point }) => [dev, point] as const);
    const closed = points.filter(([dev, point]) => this.#policy.point(dev, point) === undefined);
    if (closed.length === 0) return;
    const names = closed
      .slice(0, 20)
      .map(([dev, point]) => `${dev} ${point}`)
      .join(", ");
    const text = `${closed.length} leased points are not open for writing any more and cannot go back: ${names}; put them back into "write" until they have`;
    log.error({ code: "KERB-CMD-LEASE" }, text);
  }

  #facts(device: string): DeviceFacts | undefined {
    const report = this.#gateway.report(device);
    if (report === undefined) return undefined;
    const { state, writable, unwritable, override } = report;
    return { state, writable, override, ...(unwritable === undefined ? {} : { reason: unwritable.reason }) };
  }

  #arrived(command: ArrivedCommand): void {
    if (this.#desk !== undefined && !this.#mustWait(command)) this.#take(this.#desk, command);
    else if (this.#waiting.length < waitingMax && !this.#isStopping) this.#waiting.push(command);
    else if (this.#desk !== undefined) this.#take(this.#desk, command);
    else this.#turnAway(command, noJournal);
  }

  /** After a start the IOC is there before the devices: what it sends again must not be refused for that. */
  #mustWait({ topic }: ArrivedCommand): boolean {
    const device = topic.slice(topic.lastIndexOf("/") + 1);
    if (this.#isSettled || !this.#policy.hasDevice(device)) return false;
    const { state = "starting" } = this.#gateway.report(device) ?? {};
    return state === "starting";
  }

  #goOn(): void {
    const desk = this.#desk;
    if (desk === undefined) return;
    for (const command of this.#waiting.splice(0)) {
      if (this.#mustWait(command)) this.#waiting.push(command);
      else this.#take(desk, command);
    }
  }

  #take(desk: CommandDesk, command: ArrivedCommand): void {
    const { uplink, topic, payload, reply, retained } = command;
    const turn = this.#turn();
    if (turn > checksPerSecond) {
      if (turn <= checksPerSecond + busyPerSecond) this.#turnAway(command, tooMany);
      return;
    }
    const answer: UplinkReply = { ...reply, uplink };
    const taken = retained ? desk.refuseKept(payload, topic, answer) : desk.take(payload, topic, answer);
    // The desk never rejects; should it, that is the end of one command and not of the gateway.
    taken.catch((error: unknown) => {
      const { log } = this.#gateway;
      log.error({ code: "KERB-CMD-JOURNAL" }, `a command on ${topic} was dropped: ${String(error)}`);
    });
  }

  /** The how manieth of this second a command is. */
  #turn(): number {
    const nowMs = monotonicMs();
    if (nowMs - this.#second.sinceMs >= 1000) this.#second = { sinceMs: nowMs, taken: 0 };
    const { log } = this.#gateway;
    if (++this.#second.taken === checksPerSecond + 1)
      log.warn({ code: "KERB-CMD-BUSY" }, `commands are dropped: ${tooMany.reason}`);
    return this.#second.taken;
  }

  /** Nobody looks into this command: only a reply that was asked for can be answered. */
  #turnAway({ uplink, reply }: ArrivedCommand, { code, reason }: Refusal): void {
    const { id: gw } = this.#site.gateway;
    const state: CommandState = {
      v: 1,
      id: "",
      gw,
      dev: "",
      state: "rejected",
      at: Date.now(),
      code,
      reason,
      unsigned: true,
    };
    this.#lanes.get(uplink)?.tell({ id: "", body: JSON.stringify(state), reply });
  }

  #tell(state: CommandState, reply: UplinkReply | undefined): Promise<void> {
    const { arm: _, nonce: __, ...shown } = state;
    const body = JSON.stringify(shown);
    for (const [uplink, lane] of this.#lanes) {
      // A token is for whoever has asked for it.
      const isAsked = reply?.uplink === uplink;
      lane.tell({
        id: state.id,
        body: isAsked ? JSON.stringify(state) : body,
        reply: isAsked ? reply : undefined,
      });
    }
    this.#orders.moved(state);
    return this.#events.tell(state, this.#indexes.get(state.dev) ?? this.#indexes.get(state.gw) ?? 0);
  }
}

/** The schedules of a site's points, those that may be written. */
function scheduled({ gateway: { timeZone }, devices }: Site, policy: Policy): Scheduled[] {
  return devices.flatMap(({ id: device, enabled, schedules = {}, location }) =>
    Object.entries(enabled ? schedules : {}).flatMap(([point, entries]) => {
      const shownAt = policy.point(device, point)?.shownAt;
      const place = location === undefined ? undefined : { lat: location.lat, lon: location.lon };
      return shownAt === undefined
        ? []
        : [{ device, point, shownAt, entries, site: { timeZone, location: place } }];
    }),
  );
}
