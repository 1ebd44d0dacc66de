import mqtt, { type MqttClient } from "mqtt";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Broker,
  city,
  mosquittoPath,
  startBroker,
  temporaryFolder,
  TestClient,
} from "../receiver/testing.ts";
import { type ArrivedCommand, CommandLane, waitingMax } from "./commands.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const gateway = "gw-1";
const topic = `${city}/cmd/v1/${gateway}/lamp-1`;
const id = (n: number): string => `01JD${String(n).padStart(22, "0")}`;

let folder: ReturnType<typeof temporaryFolder>;
const cleanUps: (() => unknown)[] = [];
beforeEach(() => {
  folder = temporaryFolder();
  cleanUps.push(() => folder.remove());
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function broker(more: string[] = []): Promise<Broker> {
  const started = await startBroker(folder.path, more);
  cleanUps.push(() => started.kill());
  return started;
}

/** A lane with a client of its own; `connect` makes a new session, as the link does. */
class Gateway {
  readonly arrived: ArrivedCommand[] = [];
  readonly lane: CommandLane;
  readonly #protocol: 5 | "3.1.1";
  client: MqttClient | undefined;

  constructor(protocol: 5 | "3.1.1" = 5) {
    this.#protocol = protocol;
    this.lane = new CommandLane({ uplink: "ioc", city, gateway, protocol, log: pino({ level: "silent" }) });
    this.lane.listen((command) => this.arrived.push(command));
  }

  async connect(url: string): Promise<void> {
    const client = await mqtt.connectAsync(url, {
      protocolVersion: this.#protocol === 5 ? 5 : 4,
      reconnectPeriod: 0,
    });
    this.client = client;
    cleanUps.push(() => client.endAsync(true));
    client.on("error", () => {});
    client.on("message", (name, payload, packet) => this.lane.received(name, payload, packet));
    client.once("close", () => this.lane.closed());
    const subscribed = new Promise((resolve) => client.once("packetreceive", resolve));
    this.lane.opened(client, 20);
    await subscribed;
  }

  async command(n = 1): Promise<ArrivedCommand> {
    await expect.poll(() => this.arrived.length).toBeGreaterThanOrEqual(n);
    return this.arrived[n - 1] as ArrivedCommand;
  }
}

async function ioc(url: string, topics: string[] = [`${city}/rsp/#`]): Promise<TestClient> {
  const client = await TestClient.connect(url, topics);
  cleanUps.push(() => client.end());
  return client;
}

describe.skipIf(mosquittoPath === undefined)("CommandLane with mosquitto", () => {
  for (const protocol of [5, "3.1.1"] as const) {
    it(`hands on what came, byte by byte, and answers it (MQTT ${protocol})`, async () => {
      const { url } = await broker();
      const box = new Gateway(protocol);
      await box.connect(url);
      const centre = await ioc(url);
      const bytes = Buffer.from([0, 255, 123, 10]);
      const responseTopic = `${city}/rsp/v1/desk-7`;
      await centre.publish(topic, bytes, {
        properties: { responseTopic, correlationData: Buffer.from("c-1") },
      });
      const command = await box.command();
      expect([...command.payload]).toEqual([...bytes]);
      expect(command).toMatchObject({ uplink: "ioc", topic, retained: false });
      box.lane.tell({ id: id(1), body: `{"state":"done"}`, reply: command.reply });
      expect(await centre.next(`${city}/rsp/v1/${gateway}/${id(1)}`, () => true)).toEqual({ state: "done" });
      if (protocol === 5) {
        expect(Buffer.from(command.reply?.correlation ?? []).toString()).toBe("c-1");
        expect(await centre.next(responseTopic, () => true)).toEqual({ state: "done" });
      } else expect(command.reply).toBeUndefined();
    });

    it(`sees that a command was kept by the broker (MQTT ${protocol})`, async () => {
      const { url } = await broker();
      const centre = await ioc(url);
      await centre.publish(topic, Buffer.from("{}"), { retain: true });
      const box = new Gateway(protocol);
      await box.connect(url);
      expect(await box.command()).toMatchObject({ retained: true });
    });
  }

  it("sees at once that a command is to be kept (MQTT 5)", async () => {
    const { url } = await broker();
    const box = new Gateway();
    await box.connect(url);
    const centre = await ioc(url);
    await centre.publish(topic, Buffer.from("{}"), { retain: true });
    expect(await box.command()).toMatchObject({ retained: true });
  });

  it("carries the correlation back on the topic that was asked for", async () => {
    const { url } = await broker();
    const box = new Gateway();
    await box.connect(url);
    const centre = await ioc(url, []);
    const responseTopic = `${city}/rsp/v1/${gateway}/${id(3)}`;
    const told: unknown[] = [];
    centre.client.on("message", (name, _payload, { properties }) =>
      told.push([name, properties?.correlationData?.toString()]),
    );
    await centre.client.subscribeAsync(`${city}/rsp/#`);
    const properties = { responseTopic, correlationData: Buffer.from(id(3)) };
    await centre.publish(topic, Buffer.from("{}"), { properties });
    box.lane.tell({ id: id(3), body: "{}", reply: (await box.command()).reply });
    box.lane.tell({ id: id(4), body: "{}" });
    // The same topic twice is one publication.
    await expect
      .poll(() => told)
      .toEqual([
        [responseTopic, id(3)],
        [`${city}/rsp/v1/${gateway}/${id(4)}`, undefined],
      ]);
  });

  it("writes nowhere but below the answers, whatever topic a command names", async () => {
    const { url } = await broker();
    const box = new Gateway();
    await box.connect(url);
    const centre = await ioc(url);
    const wanted = [
      `${city}/up/v1/${gateway}/event`,
      `other/rsp/v1/${gateway}`,
      `${city}/rsp`,
      `${city}/rsp/${"x".repeat(300)}`,
    ];
    for (const responseTopic of wanted)
      await centre.publish(topic, Buffer.from("{}"), { properties: { responseTopic } });
    await box.command(wanted.length);
    expect(box.arrived.map(({ reply }) => reply)).toEqual(wanted.map(() => undefined));
  });

  it("does not make a topic of an id that is none", async () => {
    const { url } = await broker();
    const box = new Gateway();
    await box.connect(url);
    const centre = await ioc(url);
    for (const bad of ["", "../x", "a/b", "#"]) box.lane.tell({ id: bad, body: `{"bad":true}` });
    box.lane.tell({ id: id(1), body: `{"bad":false}` });
    expect(await centre.next(`${city}/rsp/v1/${gateway}/${id(1)}`, () => true)).toEqual({ bad: false });
  });

  it("tells after the next connection what it could not tell, so much and no more, the newest of each", async () => {
    const server = await broker();
    const box = new Gateway();
    await box.connect(server.url);
    await server.kill();
    await expect.poll(() => box.client?.connected).toBe(false);
    const many = waitingMax + 10;
    for (let n = 0; n < many; n++) box.lane.tell({ id: id(n), body: `{"n":${n}}` });
    box.lane.tell({ id: id(90), body: `{"state":"running"}` });
    box.lane.tell({ id: id(90), body: `{"state":"done"}` });
    await server.restart();
    const centre = await ioc(server.url, []);
    const told: string[] = [];
    centre.client.on("message", (_name, payload) => told.push(payload.toString()));
    await centre.client.subscribeAsync(`${city}/rsp/#`, { qos: 1 });
    await box.connect(server.url);
    const expected = Array.from({ length: waitingMax - 1 }, (_, i) => `{"n":${many - waitingMax + 1 + i}}`);
    await expect.poll(() => told.length).toBe(waitingMax);
    expect(told).toEqual([...expected, `{"state":"done"}`]);
  });

  it("tells again what was on its way when the connection broke", async () => {
    const server = await broker();
    const box = new Gateway();
    await box.connect(server.url);
    // The broker is alive and reads nothing: what is sent gets no answer.
    server.process.kill("SIGSTOP");
    for (let n = 0; n < 10; n++) box.lane.tell({ id: id(n), body: `{"n":${n}}` });
    expect(box.lane.isQuiet).toBe(false);
    await server.kill();
    await expect.poll(() => box.client?.connected).toBe(false);
    await server.restart();
    const centre = await ioc(server.url, []);
    const told: string[] = [];
    centre.client.on("message", (_name, payload) => told.push(payload.toString()));
    await centre.client.subscribeAsync(`${city}/rsp/#`, { qos: 1 });
    await box.connect(server.url);
    await expect.poll(() => told).toEqual(Array.from({ length: 10 }, (_, n) => `{"n":${n}}`));
    await expect.poll(() => box.lane.isQuiet).toBe(true);
  });

  it("leaves room for events in a broker's window, once it listens", () => {
    const box = new Gateway();
    expect([65_535, 20, 4, 1].map((max) => box.lane.windowLeft(max))).toEqual([65_531, 16, 3, 1]);
    const deaf = new CommandLane({
      uplink: "ioc",
      city,
      gateway,
      protocol: 5,
      log: pino({ level: "silent" }),
    });
    expect(deaf.windowLeft(20)).toBe(20);
  });
});
