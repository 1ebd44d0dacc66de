import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { isIPv6 } from "node:net";
import {
  WriteLog,
  type Fault,
  type Simulator,
  type SimulatorOptions,
  type StartSimulator,
} from "../simulator.ts";
import { Agent } from "./agent.ts";
import { Engine } from "./engine.ts";
import { addIdentity } from "./identity.ts";
import { addLapses } from "./lapse.ts";
import { addPoints, Mib } from "./mib.ts";
import type { Address } from "./points.ts";
import { Sign, usualSign } from "./sign.ts";
import { TrapSender } from "./traps.ts";
import type { AuthProtocol, User } from "./usm.ts";

/** A device's settings as `drivers/snmp/settings.ts` parses them, as far as a pretend device needs them. */
interface Settings {
  host?: string;
  port?: number;
  version?: string;
  community?: string;
  writeCommunity?: string;
  maxOidsPerPdu?: number;
  row?: string;
  security?: {
    user: string;
    auth?: AuthProtocol;
    authPassword?: string;
    priv?: string;
    privPassword?: string;
  };
  notifications?: { address?: string; port?: number; community?: string };
}

const defaultDelayMs = 2000;
/** An index as UG405 outstations have it: row 1, then the site's number with its length. */
const usualRow = "1.5.49.49.48.49.49";
const versions: Record<string, number> = { "1": 0, "2c": 1, "3": 3 };
const skewSeconds = 7 * 3600;

/** A simulator never listens on an address that is not this machine's own. */
function localHost(host: string): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const isOwn = host.startsWith("127.") || own.some(({ address }) => address === host);
  return isOwn ? host : "127.0.0.1";
}

function userOf({ security }: Settings): User | undefined {
  if (security === undefined) return undefined;
  const { user, auth, authPassword = "", priv, privPassword = "" } = security;
  return {
    name: user,
    ...(auth === undefined ? {} : { auth: { protocol: auth, password: authPassword } }),
    ...(priv === undefined ? {} : { priv: { protocol: priv, password: privPassword } }),
  };
}

/** What the device does with a request at this moment. */
class Manners {
  fault: Fault | undefined;
  #delayMs = 0;
  #isFirst = true;

  raise(fault: Fault | undefined, delayMs: number): void {
    this.fault = fault;
    this.#delayMs = delayMs;
    this.#isFirst = true;
  }

  /** How long the next answer takes, ms. */
  delayMs(): number {
    const isLate = this.fault === "late" && this.#isFirst;
    this.#isFirst = false;
    return this.fault === "slow" || isLate ? this.#delayMs : 0;
  }

  get isAway(): boolean {
    return this.fault === "refuse" || this.fault === "restart";
  }

  /** A datagram cannot be hung up on: whoever would hang up just does not answer. */
  get isMute(): boolean {
    return this.fault === "silent" || this.fault === "hangUp" || this.isAway;
  }
}

/** One pretend device on its socket. */
class Device {
  readonly counts: { requests: number; errors: number };
  readonly manners = new Manners();
  readonly #agent: Agent;
  readonly #host: string;
  readonly #timers = new Set<NodeJS.Timeout>();
  #port: number;
  #socket: Socket | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(agent: Agent, host: string, port: number, counts: Device["counts"]) {
    this.counts = counts;
    this.#agent = agent;
    this.#host = host;
    this.#port = port;
  }

  get place(): string {
    return `${this.#host}:${this.#port}`;
  }

  async open(): Promise<void> {
    const socket = createSocket(isIPv6(this.#host) ? "udp6" : "udp4");
    socket.on("message", (bytes, { address, port }) => this.#take(bytes, address, port));
    socket.bind(this.#port, this.#host);
    await once(socket, "listening");
    socket.on("error", () => {});
    this.#port = socket.address().port;
    this.#socket = socket;
  }

  fault(fault: Fault | undefined, delayMs: number): void {
    if (this.manners.fault === "restart") this.#agent.engine.restart();
    this.manners.raise(fault, delayMs);
    this.#agent.engine.skewSeconds = fault === "clockWrong" ? skewSeconds : 0;
    this.#reconcile();
    if (fault === "restart") this.after(delayMs, () => this.fault(undefined, 0));
  }

  /** Does something later, unless the device is closed before. */
  after(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
  }

  /** Sends from the device's own address, from a port of its own, as agents send their traps. */
  send(bytes: Uint8Array, port: number, address: string): void {
    this.#socket?.send(bytes, port, address, () => {});
  }

  #reconcile(): void {
    this.#turn = this.#listenOrNot(this.#turn);
  }

  async #listenOrNot(before: Promise<void>): Promise<void> {
    await before;
    const shouldListen = !this.#isClosed && !this.manners.isAway;
    if (shouldListen === (this.#socket !== undefined)) return;
    if (shouldListen) await this.open().catch(() => {});
    else await this.#hangUp();
  }

  #take(bytes: Buffer, address: string, port: number): void {
    this.counts.requests++;
    if (this.manners.isMute) return;
    const reply = (answer: Uint8Array): void => {
      const delayMs = this.manners.delayMs();
      if (delayMs === 0) this.send(answer, port, address);
      else this.after(delayMs, () => this.send(answer, port, address));
    };
    if (this.manners.fault === "garbage") {
      reply(garbage());
      return;
    }
    const answer = this.#agent.answer(bytes);
    // It may have fallen silent over what it was told.
    if (answer === undefined || this.manners.isMute) return;
    if (answer.isError) this.counts.errors++;
    reply(answer.bytes);
  }

  async #hangUp(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#turn;
    await this.#hangUp();
  }
}

/** Bytes that look like nothing; the first is never that of a message. */
export function garbage(): Buffer {
  const bytes = Buffer.from(Array.from({ length: 40 }, () => Math.floor(Math.random() * 256)));
  bytes[0] = 0xff;
  bytes[1] = 0xff;
  return bytes;
}

function oidsOf(options: SimulatorOptions): string[] {
  return options.points.flatMap(({ address }) => {
    const { oid, states = {}, walk, sign } = address as Address;
    const signs = sign === undefined ? [] : ["1.3.6.1.4.1.1206.4.2.3.5"];
    return [...[oid, walk].filter((one) => one !== undefined), ...Object.values(states), ...signs];
  });
}

let started = 0;

/**
 * Starts a pretend SNMP device (v1, v2c or v3, as the settings say) where `settings.host` and `port` are; port 0
 * takes a free one. It sends its notifications to `settings.notifications`. Rejects with an `Error` when the place
 * is taken.
 */
export const start: StartSimulator = async (options) => {
  const settings = options.settings as Settings;
  const { community = "public", writeCommunity = community, row = usualRow, maxOidsPerPdu = 60 } = settings;
  const { seed = 1, points, identity, recordEveryMs = 0 } = options;
  const version = versions[settings.version ?? "2c"] ?? 1;
  const host = localHost(settings.host ?? "127.0.0.1");
  const mib = new Mib();
  const face = points.find(({ address }) => (address as Address).sign !== undefined);
  const sign = face === undefined ? undefined : new Sign(mib, String(face.fixed ?? ""), usualSign);
  const values = addPoints(mib, points, row, seed);
  addIdentity(mib, identity, oidsOf(options), performance.now());
  if (oidsOf(options).some((oid) => oid.includes("{row}"))) addRowColumn(mib, row);
  const engine = new Engine(engineId(host, ++started), userOf(settings));
  const counts = { requests: 0, errors: 0 };
  const writes = new WriteLog(counts);
  const wrote = (what: string, isTaken: boolean) => writes.add(what, isTaken);
  const agent = new Agent(mib, engine, {
    version,
    community,
    writeCommunity,
    varbindsMax: maxOidsPerPdu,
    wrote,
  });
  const device = new Device(agent, host, settings.port ?? 0, counts);
  addLapses(mib, device.after.bind(device));
  await device.open();
  const traps = new TrapSender({
    device,
    engine,
    version,
    host,
    seed,
    settings,
    records: options.records ?? [],
  });
  const simulator: Simulator = {
    address: device.place,
    counts,
    writes,
    set(name, value) {
      const found = values.get(name);
      if (found === undefined) throw new Error(`the simulated device has no point "${name}"`);
      found.set(value);
      if (found.address.sign !== undefined && value !== undefined) sign?.show(String(value));
    },
    tell: (record, told = {}) => traps.tell(record, told),
    fault: (fault, delayMs = defaultDelayMs) => device.fault(fault, delayMs),
    close: () => device.close(),
  };
  if (recordEveryMs > 0) tellNowAndThen(device, traps, recordEveryMs);
  return simulator;
};

function tellNowAndThen(device: Device, traps: TrapSender, everyMs: number): void {
  device.after(everyMs, () => {
    traps.tellOne();
    tellNowAndThen(device, traps, everyMs);
  });
}

/** The column by which a UG405 row is found. */
function addRowColumn(mib: Mib, row: string): void {
  const at = `1.3.6.1.4.1.13267.3.2.4.2.1.15.${row}`;
  if (!mib.has(at)) mib.constant(at, Buffer.from([2, 1, 0]));
}

/** An engine id of its own for each pretend device: enterprise 8072 (net-snmp), format 5 (octets). */
function engineId(host: string, number: number): Buffer {
  return Buffer.concat([
    Buffer.from([0x80, 0, 0x1f, 0x88, 5]),
    Buffer.from(`${host}#${number}#${process.pid}`),
  ]);
}
