import { setTimeout as delay } from "node:timers/promises";
import type { MqttClient } from "mqtt";
import { generate } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { barrier, Inbox, rawClient, testBroker, testClient } from "./test-client.ts";

/** Whether a promise is still open after `ms`: for what must not happen there is no event to wait for. */
async function pendingAfter(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return Promise.race([
    promise.then(
      () => false,
      () => false,
    ),
    delay(ms, true),
  ]);
}

function closed(client: MqttClient): Promise<unknown> {
  return new Promise((resolve) => client.once("close", () => resolve(undefined)));
}

describe.each([4, 5] as const)("faults seen with MQTT version %i", (protocolVersion) => {
  it("swallow-puback: delivers but never acknowledges", async () => {
    const broker = await testBroker();
    const publisher = await testClient(broker, { protocolVersion });
    const subscriber = await testClient(broker, { protocolVersion });
    const inbox = new Inbox(subscriber);
    await subscriber.subscribeAsync("#", { qos: 1 });
    broker.fault({ kind: "swallow-puback", filter: "up/+" });
    const unanswered = publisher.publishAsync("up/live", "1", { qos: 1 });
    await inbox.atLeast(1);
    await publisher.publishAsync("elsewhere", "2", { qos: 1 });
    expect(await pendingAfter(unanswered, 50)).toBe(true);
    broker.fault(undefined);
    await publisher.publishAsync("up/live", "3", { qos: 1 });
    await barrier(publisher, subscriber);
    expect(inbox.texts.slice(0, 3)).toEqual(["up/live=1", "elsewhere=2", "up/live=3"]);
    unanswered.catch(() => {});
  });

  it("stall: reads nothing from old and new connections until it ends", async () => {
    const broker = await testBroker();
    const client = await testClient(broker, { protocolVersion });
    const raw = await rawClient(broker, { protocolVersion, keepalive: 1, clientId: "raw" });
    await raw.take("connack");
    broker.fault({ kind: "stall" });
    const { published } = broker.counts;
    const publish = client.publishAsync("a", "1", { qos: 1 });
    const late = await rawClient(broker, { protocolVersion, clientId: "late" });
    expect(await pendingAfter(publish, 1800)).toBe(true);
    expect(broker.counts.published).toBe(published);
    expect(late.packets).toEqual([]);
    expect(raw.of("disconnect")).toEqual([]);
    broker.fault(undefined);
    await Promise.all([publish, late.take("connack"), raw.ping()]);
  });

  it("refuse-connack: with the reason code", async () => {
    const broker = await testBroker();
    broker.fault({ kind: "refuse-connack", reasonCode: 0x88 });
    await expect(testClient(broker, { protocolVersion })).rejects.toMatchObject({
      code: protocolVersion === 5 ? 0x88 : 3,
    });
    broker.fault(undefined);
    await testClient(broker, { protocolVersion });
    expect(broker.counts.connections).toBe(1);
  });

  it.each([
    ["quota", 0x97],
    ["deny", 0x87],
  ] as const)("%s: drops the message, and MQTT 5 says so", async (kind, code) => {
    const broker = await testBroker();
    const client = await testClient(broker, { protocolVersion });
    const inbox = new Inbox(client);
    await client.subscribeAsync("a/#", { qos: 1 });
    broker.fault({ kind, filter: "a/denied/#" });
    for (const qos of [1, 2] as const) {
      const publish = client.publishAsync("a/denied/x", "1", { qos, retain: true });
      if (protocolVersion === 5) await expect(publish).rejects.toMatchObject({ code });
      else await publish;
    }
    client.publish("a/denied/x", "0", { qos: 0 });
    await client.publishAsync("a/allowed", "2", { qos: 1 });
    await inbox.atLeast(1);
    expect(inbox.texts).toEqual(["a/allowed=2"]);
    expect(broker.counts).toMatchObject({ refused: 3, published: 1 });
  });

  it("forget: sessions, queues and connections are gone, retained messages only when asked", async () => {
    const broker = await testBroker({ queuedMax: 1 });
    const keep = { protocolVersion, clean: false, properties: { sessionExpiryInterval: 300 } } as const;
    const first = await rawClient(broker, { ...keep, clientId: "gw-1" });
    first.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "cmd", qos: 1 }] });
    await first.take("suback");
    first.socket.destroy();
    const publisher = await testClient(broker, {
      protocolVersion,
      will: { topic: "will", payload: Buffer.from("no"), qos: 1, retain: true },
    });
    await publisher.publishAsync("cmd", "queued", { qos: 1 });
    await publisher.publishAsync("st", "kept", { qos: 1, retain: true });
    const gone = closed(publisher);
    broker.fault({ kind: "forget" });
    await gone;
    const returned = await testClient(broker, { protocolVersion });
    for (const payload of ["1", "2"]) await returned.publishAsync("cmd", payload, { qos: 1 });
    expect(broker.counts.dropped).toBe(0);
    const second = await rawClient(broker, { ...keep, clientId: "gw-1" });
    expect(await second.take("connack")).toMatchObject({ sessionPresent: false });
    second.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 1 }] });
    await second.take("publish");
    await second.ping();
    expect(second.of("publish")).toMatchObject([{ topic: "st" }]);
    broker.fault({ kind: "forget", retained: true });
    await second.closed();
    const third = await rawClient(broker, { ...keep, clientId: "gw-1" });
    third.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 1 }] });
    await third.take("suback");
    await third.ping();
    expect(third.of("publish")).toEqual([]);
  });

  it("drop-connections: hangs up, keeps sessions and the standing fault", async () => {
    const broker = await testBroker();
    const keep = { protocolVersion, clean: false, properties: { sessionExpiryInterval: 300 } } as const;
    const first = await rawClient(broker, { ...keep, clientId: "gw-1" });
    await first.take("connack");
    broker.fault({ kind: "deny" });
    broker.fault({ kind: "drop-connections" });
    await first.closed();
    expect(first.of("disconnect")).toEqual([]);
    expect(broker.clients).toEqual([]);
    const second = await rawClient(broker, { ...keep, clientId: "gw-1" });
    expect(await second.take("connack")).toMatchObject({ sessionPresent: true });
    second.send({ cmd: "publish", topic: "a", payload: "", qos: 1, messageId: 1, dup: false, retain: false });
    await second.take("puback");
    expect(broker.counts.refused).toBe(1);
  });
});

describe("a strict broker", () => {
  const publish = { cmd: "publish", topic: "a", qos: 1, dup: false, retain: false } as const;

  it("hangs up with 0x93 on more unanswered PUBLISHes than it allowed", async () => {
    const broker = await testBroker({ receiveMaximum: 20 });
    broker.fault({ kind: "swallow-puback" });
    const raw = await rawClient(broker, { protocolVersion: 5 });
    await raw.take("connack");
    for (let messageId = 1; messageId <= 20; messageId++) raw.send({ ...publish, payload: "", messageId });
    await raw.ping();
    expect(broker.counts).toMatchObject({ published: 20, violations: 0 });
    raw.send({ ...publish, payload: "", messageId: 21 });
    expect(await raw.take("disconnect")).toMatchObject({ reasonCode: 0x93 });
    expect(broker.counts).toMatchObject({ published: 20, violations: 1 });
  });

  it.each([1001, 300_000])(
    "hangs up with 0x95 on a packet of %i bytes where 1000 are allowed",
    async (bytes) => {
      const broker = await testBroker({ maximumPacketSize: 1000 });
      const raw = await rawClient(broker, { protocolVersion: 5 });
      await raw.take("connack");
      raw.send({ ...publish, payload: Buffer.alloc(900), messageId: 1 });
      await raw.take("puback");
      raw.send({ ...publish, payload: Buffer.alloc(bytes), messageId: 2 });
      expect(await raw.take("disconnect")).toMatchObject({ reasonCode: 0x95 });
      await raw.closed();
      expect(broker.counts).toMatchObject({ published: 1, violations: 1 });
    },
  );

  it("hangs up as soon as a packet says that it will be too large", async () => {
    const broker = await testBroker({ maximumPacketSize: 1000 });
    const raw = await rawClient(broker, { protocolVersion: 5 });
    await raw.take("connack");
    raw.socket.write(generate({ ...publish, payload: Buffer.alloc(300_000), messageId: 1 }).subarray(0, 100));
    expect(await raw.take("disconnect")).toMatchObject({ reasonCode: 0x95 });
  });

  it("closes: tells MQTT 5 clients 0x8b, publishes no will, frees its port, and may be closed twice", async () => {
    const broker = await testBroker();
    const raw = await rawClient(broker, { protocolVersion: 5, will: { topic: "w", payload: "no", qos: 1 } });
    const watcher = await rawClient(broker, { protocolVersion: 5, clientId: "watcher" });
    watcher.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 1 }] });
    await Promise.all([raw.take("connack"), watcher.take("suback")]);
    await Promise.all([broker.close(), broker.close()]);
    expect(await raw.take("disconnect")).toMatchObject({ reasonCode: 0x8b });
    await watcher.closed();
    expect(watcher.of("publish")).toEqual([]);
    await testBroker({ port: broker.port });
    await broker.close();
  });

  it("closes while it is stalled", async () => {
    const broker = await testBroker();
    const old = await rawClient(broker, { protocolVersion: 5 });
    await old.take("connack");
    broker.fault({ kind: "stall" });
    const held = await rawClient(broker, { protocolVersion: 5, clientId: "held" });
    await broker.close();
    await Promise.all([old.closed(), held.closed()]);
  });
});
