import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import pino from "pino";
import { describe, expect, it } from "vitest";
import { city, mosquittoPath, TestClient } from "../receiver/testing.ts";
import { startBroker } from "../cli/simulate/broker.ts";
import { brokered } from "../receiver/test-broker.ts";
import type { UplinkConfig } from "../config/config.ts";
import { mqttLink } from "../mqtt/link.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { type ArrivedCommand, CommandLane, waitingMax } from "./commands.ts";
import { MqttUplink } from "./mqtt.ts";
import { TwinLane } from "./twin.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const gateway = "gw-1";
const topic = `${city}/cmd/v1/${gateway}/lamp-1`;
const id = (n: number): string => `01JD${String(n).padStart(22, "0")}`;

const { broker, onEnd } = brokered();

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
    onEnd(() => client.endAsync(true));
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
  onEnd(() => client.end());
  return client;
}

/** Each state that the IOC hears from here on. */
async function toldTo(url: string): Promise<string[]> {
  const { client } = await ioc(url, []);
  const told: string[] = [];
  client.on("message", (_name, payload) => told.push(payload.toString()));
  await client.subscribeAsync(`${city}/rsp/#`, { qos: 1 });
  return told;
}

describe.skipIf(mosquittoPath === undefined)("CommandLane with mosquitto", () => {
  for (const protocol of [5, "3.1.1"] as const) {
    it(`hands on what came, byte by byte, and answers it (MQTT ${protocol})`, async () => {
      const { url } = await broker();
      const box = new Gateway(protocol);
      await box.connect(url);
      const centre = await ioc(url);
      const bytes = Buffer.from([0, 255, 123, 10]);
      const responseTopic = `${city}/rsp/v1/${gateway}/desk-7`;
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

  it("writes nowhere but below its own answers, whatever topic a command names", async () => {
    const { url } = await broker();
    const box = new Gateway();
    await box.connect(url);
    const centre = await ioc(url);
    const wanted = [
      `${city}/up/v1/${gateway}/event`,
      `other/rsp/v1/${gateway}`,
      `${city}/rsp`,
      `${city}/rsp/v1/gw-2/${id(1)}`,
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
    const told = await toldTo(server.url);
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
    const told = await toldTo(server.url);
    await box.connect(server.url);
    await expect.poll(() => told).toEqual(Array.from({ length: 10 }, (_, n) => `{"n":${n}}`));
    await expect.poll(() => box.lane.isQuiet).toBe(true);
  });

  it("speaks of a refusal only where the broker has refused", async () => {
    const said: string[] = [];
    const log = pino({}, { write: (line: string) => said.push((JSON.parse(line) as { msg: string }).msg) });
    const listen = async (url: string, own: string): Promise<MqttClient> => {
      const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
      onEnd(() => client.endAsync(true));
      client.on("error", () => {});
      const about = { uplink: "ioc", city: own, gateway, protocol: 5 as const, log };
      const [commands, twin] = [new CommandLane(about), new TwinLane(about)];
      commands.listen(() => {});
      twin.listen(() => {}, true);
      commands.opened(client, 20);
      twin.opened(client);
      return client;
    };
    const server = await broker();
    const cut = await listen(server.url, city);
    const closed = new Promise<void>((resolve) => cut.once("close", () => resolve()));
    cut.stream.destroy();
    await closed;
    expect(said).toEqual([]);
    // This one has no shared subscriptions.
    const other = await startBroker({ port: 0 });
    onEnd(() => other.close());
    await listen(other.url, "$share/ioc");
    await expect.poll(() => said).toHaveLength(2);
    expect(said.every((text) => /refused our subscription to .*: Subscribe error/.test(text))).toBe(true);
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

/** Takes what is published and never says so. */
function session(lane: CommandLane, packetBytesMax?: number): string[] {
  const bodies: string[] = [];
  const client = { subscribe: () => {}, publish: (_topic: string, body: string) => bodies.push(body) };
  lane.opened(client as unknown as MqttClient, 4, packetBytesMax);
  return bodies;
}

describe("CommandLane with a broker that is not pleased", () => {
  it("gives up a state over which the session has ended twice, and not one that only waited", () => {
    const { lane } = new Gateway();
    lane.tell({ id: id(1), body: "first" });
    lane.tell({ id: id(2), body: "second" });
    expect(session(lane)).toEqual(["first"]);
    lane.closed(true);
    expect(session(lane)).toEqual(["first"]);
    lane.closed(true);
    expect(session(lane)).toEqual(["second"]);
    for (let n = 0; n < 5; n++) {
      lane.closed(false);
      expect(session(lane)).toEqual(["second"]);
    }
  });

  it("does not send what is larger than the broker takes", () => {
    const { lane } = new Gateway();
    lane.tell({ id: id(1), body: "x".repeat(3000) });
    lane.tell({ id: id(2), body: "y" });
    expect(session(lane, 4096)).toEqual(["y"]);
  });
});

it("MqttUplink tells an MQTT 5 broker how much it takes at once", async () => {
  const outbox = { request: () => Promise.resolve(1), tell: () => {} } as unknown as Outbox;
  const asked: Promise<Partial<IClientOptions>>[] = [];
  for (const protocol of [5, "3.1.1"] as const) {
    const config = { id: "ioc", url: "mqtt://localhost", protocol, encoding: "columnar" } as UplinkConfig;
    const identity = { device: 0, city, gateway, software: "kerb", epoch: 1, epochs: [] };
    const dictionary = { hash: "9f3c21aa", json: "[]" };
    const uplink = new MqttUplink(
      config,
      outbox,
      { ...identity, dictionary },
      pino({ level: "silent" }),
      (options, events) => {
        asked.push(Promise.resolve(events.prepare()));
        return mqttLink(options, events);
      },
    );
    expect(uplink.status.state).toBe("waiting");
  }
  const [five, older] = await Promise.all(asked);
  expect(five?.properties?.maximumPacketSize).toBe(1024 * 1024);
  expect(older?.properties).toBeUndefined();
});
