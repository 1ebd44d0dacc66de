import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientOptions, type IClientPublishOptions, type MqttClient } from "mqtt";
import { EventWriter, type DictionaryDevice, type EventKind, type Lane } from "../event.ts";
import { encodeCloudEvents } from "../uplink/cloudevents.ts";
import { encodeColumnar } from "../uplink/columnar.ts";
import { compress, Dictionary, type EncodingName, type Row } from "../uplink/encoding.ts";
import type { Seal } from "../uplink/seal.ts";

/** What the receiver's tests share: gateways that make real batches, and a real broker. */

export const city = "hcmc";
const devices: DictionaryDevice[] = [1, 2].map((d) => ({
  index: d,
  id: `dev-${d}`,
  type: "energy-meter",
  profile: "eastron/sdm630",
  points: [0, 1].map((p) => ({
    index: d * 10 + p,
    name: `point.p${p}`,
    unit: "V",
    kind: "number" as const,
    decimals: 1,
  })),
}));
export const dictionary = new Dictionary("9f3c21aa", devices);

/** The `dict` message of `dictionary`, with points as tuples. */
export function dictionaryMessage(): Buffer {
  const list = devices.map(({ points, ...device }) => ({
    ...device,
    points: points.map((point) => [point.index, point.name, point.unit, point.kind, point.decimals]),
  }));
  return compress(JSON.stringify({ v: 1, dict: dictionary.hash, devices: list }));
}

/** An event to send; telemetry of `dev-1` unless it says something else. Its first value is its number. */
export interface Sent {
  seq: number;
  kind?: EventKind;
  data?: Record<string, unknown>;
}

export interface BatchOptions {
  gateway?: string;
  epoch?: number;
  lane?: Lane;
  encoding?: EncodingName;
}

const writer = new EventWriter();

function row({ seq, kind = "telemetry", data = {} }: Sent): Row {
  writer.begin(kind, 1, 1_793_000_000_000 + seq * 1000, seq, "synced");
  if (kind === "telemetry") {
    writer.count(2);
    writer.reading(10, seq, 0);
    writer.reading(11, 23.5, 1);
  } else writer.object(data);
  return { seq, recordedMs: 1_793_000_000_500 + seq * 1000, body: Buffer.from(writer.bytes()) };
}

/** One compressed message of these events (or plain telemetry numbers). */
export function batch(events: readonly (Sent | number)[], options: BatchOptions = {}): Buffer {
  const { gateway = "gw-1", epoch = 37, lane = "live", encoding = "columnar" } = options;
  const encode = encoding === "columnar" ? encodeColumnar : encodeCloudEvents;
  const rows = events.map((event) => row(typeof event === "number" ? { seq: event } : event));
  return compress(encode({ city, gateway, epoch, lane, dictionary }, rows));
}

/** A `seal` message; nothing in it but the numbers holds. */
export function sealMessage(ep: number, from: number, to: number, tomb: Seal["tomb"] = []): Buffer {
  const none = "00".repeat(32);
  const span = { every: 3_600_000, fromMs: 1_792_998_000_000, toMs: 1_793_001_600_000, clock: 0 };
  const seal: Seal = {
    v: 1,
    gw: "gw-1",
    ep,
    no: 1,
    from,
    to,
    n: to - from + 1,
    ...span,
    tomb,
    prev: none,
    h: none,
  };
  return Buffer.from(JSON.stringify(seal));
}

/** The whole numbers from `from` to `to`. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

/** A `st` message. */
export function birthMessage(session: number, epoch: number, epochs: [number, number][] = []): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, online: true, sess: session, ep: epoch, epochs }));
}

/** A folder that `remove` takes away. */
export function temporaryFolder(): { path: string; file: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "kerb-receiver-"));
  return {
    path,
    file: join(path, "receiver.db"),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

const candidates = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"];
/** Debian's broker; undefined if it is not installed. */
export const mosquittoPath = candidates.find((path) => existsSync(path));

/** A mosquitto process on a port of its own. */
export interface Broker {
  url: string;
  process: ChildProcess;
  /** Kills it; `restart` brings it back on the same port. */
  kill: () => Promise<void>;
  restart: () => Promise<void>;
}

/** Starts mosquitto on a free port of 127.0.0.1. */
export async function startBroker(folder: string, more: readonly string[] = []): Promise<Broker> {
  const port = await freePort();
  const config = join(folder, "mosquitto.conf");
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "set_tcp_nodelay true",
    // As root it would become another user, who may not read the folder.
    `user ${userInfo().username}`,
    "max_queued_messages 0",
    ...more,
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(mosquittoPath ?? "mosquitto", ["-c", config], { stdio: "ignore" });
    await untilListening(port, child);
    return child;
  };
  const broker: Broker = {
    url: `mqtt://127.0.0.1:${port}`,
    process: await start(),
    kill: () => kill(broker.process),
    restart: async () => {
      broker.process = await start();
    },
  };
  return broker;
}

/** Ends a child process by its handle and waits until it is gone. */
export async function kill(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with code ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const open = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    // A refused connection tells nothing of when to come again.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A plain MQTT client that plays the gateway, or watches. */
export class TestClient {
  readonly client: MqttClient;
  readonly #seen: { topic: string; payload: Buffer; retain: boolean }[] = [];
  #wake: (() => void)[] = [];

  private constructor(client: MqttClient) {
    this.client = client;
    client.on("message", (topic, payload, packet) => {
      this.#seen.push({ topic, payload, retain: packet.retain });
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  static async connect(url: string, topics: string[], options: IClientOptions = {}): Promise<TestClient> {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, protocolVersion: 5, ...options });
    client.on("error", () => {});
    const test = new TestClient(client);
    if (topics.length > 0) await client.subscribeAsync(topics, { qos: 0 });
    return test;
  }

  async publish(topic: string, payload: Buffer, options: IClientPublishOptions = {}): Promise<void> {
    await this.client.publishAsync(topic, payload, { qos: 1, ...options });
  }

  /** The first JSON document of a topic, seen or to come, that fits; it and what came before it are used up. */
  async next<T>(topic: string, fits: (document: T) => boolean): Promise<T> {
    for (;;) {
      for (let i = 0; i < this.#seen.length; i++) {
        const message = this.#seen[i];
        if (message?.topic !== topic) continue;
        const document = JSON.parse(message.payload.toString("utf8")) as T;
        if (!fits(document)) continue;
        this.#last.set(topic, message.retain);
        this.#seen.splice(0, i + 1);
        return document;
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  readonly #last = new Map<string, boolean>();
  /** Whether the last document that `next` gave of this topic was a retained one. */
  retained(topic: string): boolean | undefined {
    return this.#last.get(topic);
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}
