import { setTimeout as sleep } from "node:timers/promises";
import { afterEach } from "vitest";
import { driver } from "../drivers/mqtt/index.ts";
import * as schemas from "../drivers/mqtt/settings.ts";
import { DeviceError, type Answer, type Connection, type RecordPhase, type Sink } from "../gateway/driver.ts";
import { startBroker, type Broker, type BrokerOptions } from "../simulators/mqtt/index.ts";

/** The MQTT driver before our own broker, with all that it hands on written down. */

type Tree = Record<string, unknown>;
type Address = ReturnType<typeof schemas.address.parse>;

export interface Handed {
  index: number;
  answer: Answer;
  isOld: boolean;
}
export interface HandedRecord {
  index: number;
  answers: readonly (Answer | undefined)[];
  phase: RecordPhase | undefined;
  sourceTimeMs: number | undefined;
  isOld: boolean;
}

const parse = (address: unknown) => schemas.address.parse(address);

/** One subscription of one device. */
export class Listening implements Sink {
  readonly readingsTold: Handed[] = [];
  readonly records: HandedRecord[] = [];
  signs = 0;
  ended: string | undefined;
  message = "";
  readonly #stop = new AbortController();

  constructor(connection: Connection<Address>, points: Tree[], records: Tree[]) {
    connection
      .subscribe?.({
        points: points.map((address, i) => ({ name: `p${i}`, address: parse(address) })),
        records: records.map(({ fields = [], ...address }, i) => ({
          name: `r${i}`,
          address: parse(address),
          fields: (fields as Tree[]).map((field, j) => ({ name: `f${j}`, address: parse(field) })),
        })),
        sink: this,
        signal: this.#stop.signal,
      })
      .then(
        () => (this.ended = "over"),
        (error: unknown) => {
          this.ended = error instanceof DeviceError ? error.code : `not a DeviceError: ${String(error)}`;
          this.message = String(error);
        },
      );
  }

  alive(): void {
    this.signs++;
  }
  poll(): void {}
  readings(values: readonly { index: number; answer: Answer }[], { isOld = false } = {}): void {
    for (const { index, answer } of values) this.readingsTold.push({ index, answer, isOld });
  }
  record(
    index: number,
    answers: readonly (Answer | undefined)[],
    about: { phase?: RecordPhase; sourceTimeMs?: number; isOld?: boolean } = {},
  ): void {
    const { phase, sourceTimeMs, isOld = false } = about;
    this.records.push({ index, answers: [...answers], phase, sourceTimeMs, isOld });
  }

  /** The values of one point, in order; a reading that is not good as "status code". */
  of(index = 0): unknown[] {
    return this.readingsTold.filter((one) => one.index === index).map(({ answer }) => shown(answer));
  }

  stop(): void {
    this.#stop.abort();
  }
}

export function shown(answer: Answer | undefined): unknown {
  if (typeof answer !== "object") return answer;
  return answer.status === "good" ? answer.value : `${answer.status} ${answer.code}`;
}

const rigs: MqttRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

export class MqttRig {
  readonly broker: Broker;
  readonly heard: { topic: string; payload: Buffer }[];
  readonly log: string[] = [];
  readonly #connections: Connection<Address>[] = [];

  private constructor(broker: Broker, heard: MqttRig["heard"]) {
    this.broker = broker;
    this.heard = heard;
  }

  /** Closed by itself after the test. */
  static async open(options: BrokerOptions = {}): Promise<MqttRig> {
    const heard: MqttRig["heard"] = [];
    const broker = await startBroker({
      ...options,
      heard: (topic, payload) => heard.push({ topic, payload: Buffer.from(payload) }),
    });
    const rig = new MqttRig(broker, heard);
    rigs.push(rig);
    return rig;
  }

  settings(more: Tree = {}): ReturnType<typeof schemas.settings.parse> {
    return schemas.settings.parse({ host: "127.0.0.1", port: this.broker.port, timeout: 2000, ...more });
  }

  async connect(
    more: Tree = {},
    signal = new AbortController().signal,
    deviceId = `${this.broker.port} ${this.#connections.length}`,
  ): Promise<Connection<Address>> {
    const context = { deviceId, log: (_: string, text: string) => void this.log.push(text) };
    const connection = await driver.connect(this.settings(more), context, signal);
    this.#connections.push(connection);
    return connection;
  }

  /** Connects and listens; waits until the broker knows of it. */
  async listen(more: Tree, points: Tree[], records: Tree[] = [], deviceId?: string): Promise<Listening> {
    const connection = await this.connect(more, undefined, deviceId);
    const listening = new Listening(connection, points, records);
    await turns(20);
    return listening;
  }

  publish(topic: string, payload: unknown, retain = false): void {
    const bytes = typeof payload === "string" || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
    this.broker.publish(topic, bytes, { qos: 1, retain });
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) await connection.close();
    await this.broker.close();
  }
}

export async function until(what: string, isSo: () => boolean, withinMs = 15_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}

/** Driver and broker are in this process: what is under way needs turns of its loop, and a loaded machine time. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await sleep(5);
}

/** Long enough for a message to have come. */
export const settle = (): Promise<void> => turns(30);

export const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "resolved",
    (error: unknown) => (error instanceof DeviceError ? error.code : String(error)),
  );
export const plain = (name: string) => ({ topic: `d/${name}` });
export const value = { path: "$.v" };
export const bin = (eui: string) => ({ format: "lorawan", variables: { applicationId: "a", devEui: eui } });
export const uplink = (id: string, object: unknown) => ({
  deduplicationId: id,
  time: "2026-03-01T08:00:00.123456+00:00",
  object,
});
