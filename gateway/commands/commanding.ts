import { join } from "node:path";
import type { Logger } from "pino";
import { bootId, clockState, monotonicMs } from "../clock.ts";
import type { Site } from "../config.ts";
import type { DeviceReport } from "../host/messages.ts";
import type { ArrivedCommand, CommandLane, ReplyTo } from "../uplink/commands.ts";
import type { DeviceFacts } from "./checks.ts";
import { CommandDesk } from "./desk.ts";
import { type AskHost, hostField } from "./host-field.ts";
import { LocalOrders } from "./local.ts";
import { Policy } from "./policy.ts";
import type { CommandState } from "./state.ts";
import { ToldEvents } from "./told-events.ts";

/** What the gateway gives to whoever commands it. */
export interface CommandedGateway {
  log: Logger;
  ask: AskHost;
  report: (device: string) => DeviceReport | undefined;
  frames: (stream: number, bytes: Uint8Array) => void;
}

/** Where the answer of a command goes: back on the uplink by which it came. */
interface UplinkReply extends ReplyTo {
  uplink: string;
}

/** Commands that wait until the journal has been read, or their device has been heard of, and how long for that. */
const waitingMax = 64;
const settleMs = 10_000;
const reopenMs = 10_000;

/**
 * Joins the desk to hosts, outbox, uplinks and control socket. Only where the site file opens something for writing:
 * else no command is asked for, and nothing is written.
 */
export class Commanding {
  readonly orders: LocalOrders;
  readonly #gateway: CommandedGateway;
  readonly #site: Pick<Site, "gateway">;
  readonly #policy: Policy;
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

  /** undefined: nothing of this site may be written. */
  static of(site: Site, gateway: CommandedGateway): Commanding | undefined {
    const isHeard = site.commands.issuers.length > 0;
    const isOpen = isHeard || site.devices.some(({ write }) => (write?.allow.length ?? 0) > 0);
    return isOpen ? new Commanding(site, gateway) : undefined;
  }

  private constructor(site: Site, gateway: CommandedGateway) {
    const { commands, devices } = site;
    this.#site = { gateway: site.gateway };
    this.#gateway = gateway;
    const enabled = devices.filter((device) => device.enabled);
    // Made now: the points do not stay in this thread.
    this.#policy = new Policy(commands, enabled);
    this.#events = new ToldEvents(gateway.frames);
    this.orders = new LocalOrders(enabled, this.#policy, gateway.ask, () => this.#desk);
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

  /** Commands come by this uplink, and states go out on it. */
  attach(uplink: string, lane: CommandLane): void {
    this.#lanes.set(uplink, lane);
    lane.listen((command) => this.#arrived(command));
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

  /** Finishes what is under way, as far as it can in a few seconds. */
  async close(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#settleTimer);
    await this.#opening;
    await this.#desk?.close();
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
      this.#desk = desk;
      this.#goOn();
    } catch (error) {
      const text = `commands are refused, their journal cannot be opened: ${(error as Error).message}`;
      log.error({ code: "KERB-CMD-JOURNAL" }, text);
      for (const command of this.#waiting.splice(0)) this.#turnAway(command);
      if (this.#isStopping) return;
      this.#timer = setTimeout(() => {
        this.#opening = this.#open();
      }, reopenMs);
    }
  }

  #facts(device: string): DeviceFacts | undefined {
    const report = this.#gateway.report(device);
    if (report === undefined) return undefined;
    const { state, writable, unwritable } = report;
    return { state, writable, ...(unwritable === undefined ? {} : { reason: unwritable.reason }) };
  }

  #arrived(command: ArrivedCommand): void {
    if (this.#desk !== undefined && !this.#mustWait(command)) this.#take(this.#desk, command);
    else if (this.#waiting.length < waitingMax && !this.#isStopping) this.#waiting.push(command);
    else if (this.#desk !== undefined) this.#take(this.#desk, command);
    else this.#turnAway(command);
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

  #take(desk: CommandDesk, { uplink, topic, payload, reply, retained }: ArrivedCommand): void {
    const answer: UplinkReply = { ...reply, uplink };
    const taken = retained ? desk.refuseKept(payload, topic, answer) : desk.take(payload, topic, answer);
    // The desk never rejects; should it, that is the end of one command and not of the gateway.
    taken.catch((error: unknown) => {
      const { log } = this.#gateway;
      log.error({ code: "KERB-CMD-JOURNAL" }, `a command on ${topic} was dropped: ${String(error)}`);
    });
  }

  /** Without a journal nobody looks into a command: only a reply that was asked for can be answered. */
  #turnAway({ uplink, reply }: ArrivedCommand): void {
    const { id: gw } = this.#site.gateway;
    const state: CommandState = {
      v: 1,
      id: "",
      gw,
      dev: "",
      state: "rejected",
      at: Date.now(),
      code: "KERB-CMD-JOURNAL",
      reason: "the journal of commands is not open",
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
    this.orders.moved(state);
    return this.#events.tell(state, this.#indexes.get(state.dev) ?? this.#indexes.get(state.gw) ?? 0);
  }
}
