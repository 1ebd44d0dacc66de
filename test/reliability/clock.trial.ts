import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { KerbEvent } from "../../gateway/event.ts";
import { BrokerLink } from "../../gateway/receiver/mqtt.ts";
import { Receiver } from "../../gateway/receiver/receiver.ts";
import { startBroker, type Broker } from "../../simulators/mqtt/index.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/**
 * R20: a real gateway whose clock is faked (libfaketime) and stepped, a device that hands out numbers and notes by
 * the true clock when, and a receiver. The true clock is this machine's.
 */

const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
const library = `/usr/lib/${architecture}-linux-gnu/faketime/libfaketimeMT.so.1`;
const hourS = 3600;

/** A device whose registers 0-1 hold a 32-bit number that grows with each read; notes when it was served. */
class CounterDevice {
  readonly servedMs: number[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let rest = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (; rest.length >= 12; rest = rest.subarray(12)) socket.write(this.#answer(rest.subarray(0, 12)));
    });
  }

  #answer(request: Buffer): Buffer {
    if (request[7] !== 3)
      return Buffer.from([...request.subarray(0, 4), 0, 3, 1, (request[7] ?? 0) | 128, 1]);
    const answer = Buffer.alloc(13);
    request.copy(answer, 0, 0, 4);
    answer.set([0, 7, 1, 3, 4], 4);
    answer.writeUInt32BE(this.servedMs.push(Date.now()), 9);
    return answer;
  }
}

/** One box with its device, and an IOC that can be away. */
class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-clock-trial-"));
  readonly device = new CounterDevice();
  readonly receiver: Receiver;
  readonly #offset = join(this.folder, "offset");
  readonly #mark = join(this.folder, "mark");
  #broker: Broker | undefined;
  #brokerPort = 0;
  #link: BrokerLink | undefined;
  #gateway: ChildProcess | undefined;
  output = "";

  constructor() {
    this.receiver = new Receiver({
      database: join(this.folder, "receiver.db"),
      ackIntervalMs: 300,
      busyIntervalMs: 300,
      holeAgeMs: 500,
    });
  }

  async prepare(): Promise<void> {
    const probe = await startBroker({});
    this.#brokerPort = Number(new URL(probe.url).port);
    await probe.close();
    mkdirSync(join(this.folder, "state"));
    writeFileSync(
      join(this.folder, "gateway.yaml"),
      `version: 1
gateway: { id: clock-gw, name: Clock, city: trial, state: ./state }
outbox: { commitAfter: 100ms }
uplinks: [{ id: ioc, type: mqtt, url: "mqtt://127.0.0.1:${this.#brokerPort}", reconnectMax: 300ms, resendAfter: 2s }]
devices:
  - id: counter
    driver: modbus
    transport: { type: tcp, host: 127.0.0.1, port: ${await this.device.open()} }
    functions: [3]
    poll: 50ms
    points: { count: { address: { table: holding, register: 0, type: uint32 } } }
`,
    );
  }

  /** Sets the box's clock so many seconds off the truth, in one step. */
  setClock(offsetS: number): void {
    writeFileSync(`${this.#offset}.new`, `${offsetS >= 0 ? "+" : ""}${offsetS}\n`);
    renameSync(`${this.#offset}.new`, this.#offset);
  }

  /** The time service says that the clock was right so many seconds ago. */
  prove(agoS = 0): void {
    writeFileSync(this.#mark, "");
    const atS = Date.now() / 1000 - agoS;
    utimesSync(this.#mark, atS, atS);
  }

  run(): void {
    const env = {
      ...process.env,
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#offset,
      FAKETIME_NO_CACHE: "1",
      DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
      KERB_CLOCK_MARK: this.#mark,
    };
    const child = spawn(kerb, ["run", join(this.folder, "gateway.yaml")], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const keep = (bytes: Buffer) => (this.output += bytes.toString());
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    this.#gateway = child;
  }

  async reads(count: number): Promise<void> {
    const aim = this.device.servedMs.length + count;
    for (const endMs = performance.now() + 30_000; this.device.servedMs.length < aim; await sleep(20)) {
      if (performance.now() > endMs) throw new Error(`the device is not read: ${this.output.slice(-800)}`);
    }
  }

  async connect(): Promise<void> {
    this.#broker = await startBroker({ port: this.#brokerPort });
    const broker = this.#broker.url;
    this.#link = new BrokerLink(this.receiver, {
      broker,
      city: "trial",
      name: "ioc",
      retryFirstMs: 50,
      retryMaxMs: 200,
    });
    this.#link.open();
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#gateway;
    this.#gateway = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.kill(signal);
    await ended;
  }

  events(): KerbEvent[] {
    const events: KerbEvent[] = [];
    for (let cursor: { epoch: number; after: number } | null = { epoch: 0, after: 0 }; cursor !== null;) {
      const page = this.receiver.events("clock-gw", cursor, 1000);
      events.push(...page.events);
      cursor = page.next;
    }
    return events;
  }

  /** Waits until the receiver has the device's newest number. */
  async delivered(): Promise<KerbEvent[]> {
    const aim = this.device.servedMs.length;
    for (const endMs = performance.now() + 30_000; ; await sleep(200)) {
      const events = this.events();
      if (events.some((event) => numberOf(event) >= aim)) return events;
      if (performance.now() > endMs)
        throw new Error(`number ${aim} does not arrive: ${this.output.slice(-800)}`);
    }
  }

  /** No certificate may say that honest events were tampered with, whatever hour their clock showed. */
  async certify(found: Findings): Promise<void> {
    const nowMs = Date.now();
    const spans = [
      { fromMs: 0, toMs: 3 * hourS * 1000 },
      { fromMs: nowMs - 3 * hourS * 1000, toMs: nowMs + 3 * hourS * 1000 },
    ];
    for (const span of spans) {
      const { certificates } = await this.receiver.certificates("clock-gw", span, 168, true);
      for (const { from, seals, tampered, findings } of certificates) {
        found.seals += seals.length;
        if (tampered)
          found.wrong.push(`the certificate of ${from} says tampered: ${JSON.stringify(findings)}`);
      }
    }
  }

  async close(): Promise<void> {
    await this.end("SIGKILL");
    await this.#link?.close();
    await this.#broker?.close();
    this.receiver.close();
    this.device.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function numberOf(event: KerbEvent): number {
  return event.kind === "telemetry" ? Number(event.readings?.[0]?.value ?? 0) : 0;
}

interface Findings {
  events: number;
  /** Largest error of a time that is not said to be unsynced, those that the receiver has corrected among them, ms. */
  errorMs: number;
  corrected: number;
  /** Seals that the stored events were held against. */
  seals: number;
  unsynced: number;
  wrong: string[];
}

/** Holds every event against the truth: its order by number, its time, and what it says of its clock. */
function examine(events: readonly KerbEvent[], servedMs: readonly number[]): Findings {
  const wrong: string[] = [];
  let before = { epoch: 0, seq: 0, number: 0 };
  let errorMs = 0;
  let corrected = 0;
  let unsynced = 0;
  for (const event of events) {
    const { epoch, seq } = event;
    if (epoch === before.epoch && seq !== before.seq + 1) wrong.push(`a hole before ${epoch}:${seq}`);
    const number = numberOf(event);
    if (number > 0 && number <= before.number) wrong.push(`${epoch}:${seq} is out of order`);
    before = { epoch, seq, number: Math.max(number, before.number) };
    if (number === 0) continue;
    const offMs = Math.abs(event.timeMs - (servedMs[number - 1] ?? 0));
    if (event.clock === "unsynced") {
      unsynced++;
      if (event.readings?.some((reading) => (reading.quality & 0x1000) === 0) === true)
        wrong.push(`${epoch}:${seq} does not say that its clock is unsynced`);
      continue;
    }
    errorMs = Math.max(errorMs, offMs);
    if (event.toldMs !== undefined) corrected++;
  }
  return { events: events.length, errorMs, corrected, seals: 0, unsynced, wrong: wrong.slice(0, 5) };
}

async function onStage(work: (stage: Stage) => Promise<Findings>): Promise<Findings> {
  const stage = new Stage();
  try {
    await stage.prepare();
    return await work(stage);
  } finally {
    await stage.close();
  }
}

/** Boot at 1970 without a network; 56 years forward by hand, an hour too far; NTP takes the hour back; kills between. */
async function steps(reads: number): Promise<Findings> {
  return onStage(async (stage) => {
    stage.setClock(-Math.floor(Date.now() / 1000) + 60);
    stage.run();
    await stage.reads(reads);
    // A restart while the clock is wrong: a later run corrects what this one took.
    await stage.end("SIGKILL");
    stage.run();
    await stage.reads(reads);
    stage.setClock(hourS);
    await stage.reads(reads);
    stage.setClock(0);
    stage.prove();
    await stage.reads(reads + 30);
    await stage.connect();
    await stage.reads(reads);
    // While everything is sent at once: an hour back, and right again.
    stage.setClock(-hourS);
    await stage.reads(reads);
    stage.setClock(0);
    stage.prove();
    await stage.reads(reads + 30);
    // Two hours without a word of the server: the mark is older than that.
    stage.prove(2 * hourS + 60);
    await stage.reads(30);
    const events = await stage.delivered();
    const found = examine(events, stage.device.servedMs);
    const jumps = events.flatMap(({ data }) => (data?.["cause"] === "clock_step" ? [data["stepMs"]] : []));
    const hours = jumps.map((jump) => Math.round(Number(jump) / 3_600_000));
    if (!(hours.length === 4 && (hours[0] ?? 0) > 400_000 && hours.slice(1).join() === "-1,-1,1"))
      found.wrong.push(`clock_step tells of jumps by ${hours.join(", ")} h`);
    if (events.at(-1)?.clock !== "holdover") found.wrong.push("without NTP the clock is not holdover");
    // What was sent while the clock was known to be wrong has said so, and is corrected; everything else was right.
    if (found.corrected === 0 || found.corrected > reads + 30 || found.unsynced > 0)
      found.wrong.push(`${found.corrected} events are corrected, ${found.unsynced} unsynced`);
    await stage.certify(found);
    if (found.seals === 0) found.wrong.push("no seal arrived");
    return found;
  });
}

/** Never synchronised, always connected: nothing may pass for true, and the order holds. */
async function never(reads: number): Promise<Findings> {
  return onStage(async (stage) => {
    stage.setClock(-Math.floor(Date.now() / 1000) + 60);
    await stage.connect();
    stage.run();
    await stage.reads(reads);
    const events = await stage.delivered();
    const found = examine(events, stage.device.servedMs);
    const shown = events.filter(({ clock }) => clock !== "unsynced").length;
    if (shown > 0) found.wrong.push(`${shown} events pass for true`);
    if (events.some(({ monoMs }) => monoMs === undefined))
      found.wrong.push("an unsynced event lacks its monotonic time");
    await stage.certify(found);
    return found;
  });
}

async function r20(scale: Scale, say: (progress: string) => void): Promise<Outcome> {
  if (!existsSync(library)) throw new Error(`${library} is not there`);
  const rounds = scale === "short" ? 1 : 5;
  const reads = scale === "short" ? 20 : 200;
  const found: Findings[] = [];
  for (let i = 0; i < rounds; i++) {
    for (const trial of [steps, never]) {
      const one = await trial(reads);
      found.push(one);
      say(`${trial.name}: ${JSON.stringify(one)}`);
    }
  }
  const errorMs = Math.max(...found.map((one) => one.errorMs));
  const wrong = found.flatMap((one) => one.wrong);
  const events = found.reduce((sum, one) => sum + one.events, 0);
  const corrected = found.reduce((sum, one) => sum + one.corrected, 0);
  const unsynced = found.reduce((sum, one) => sum + one.unsynced, 0);
  const seals = found.reduce((sum, one) => sum + one.seals, 0);
  return {
    trials: found.length,
    figure: `${events} events in order, largest error of a time that passes for true ${errorMs.toFixed(0)} ms, ${corrected} of them corrected by the receiver, ${unsynced} flagged unsynced, ${seals} seals looked at${wrong.length > 0 ? `; ${wrong.join("; ")}` : ""}`,
    passed: errorMs < 1000 && wrong.length === 0,
  };
}

export const trials: Trial[] = [
  {
    id: "R20",
    name: "clock: 1970 boot, +56 y, −1 h, no NTP (its 2 h by the age of the mark)",
    passLine:
      "order by seq unbroken; corrected time error < 1 s; unsynced never passes for true; no certificate tampered",
    needs: ["faketime"],
    run: r20,
  },
];
