import { setTimeout as delay } from "node:timers/promises";
import type { IClientOptions, MqttClient } from "mqtt";
import { describe, expect, it } from "vitest";
import { barrier, Inbox, rawClient, testBroker, testClient } from "./test-client.ts";

function closed(client: MqttClient): Promise<unknown> {
  return new Promise((resolve) => client.once("close", () => resolve(undefined)));
}

const willOptions = (willDelayInterval: number): IClientOptions => ({
  protocolVersion: 5,
  clientId: "gw-1",
  clean: false,
  properties: { sessionExpiryInterval: 300 },
  will: {
    topic: "st/gw-1",
    payload: Buffer.from("offline"),
    qos: 1,
    retain: false,
    properties: { willDelayInterval },
  },
});

const expiring = (messageExpiryInterval: number) =>
  ({ qos: 1, properties: { messageExpiryInterval } }) as const;

describe.each([4, 5] as const)("sessions of MQTT version %i", (protocolVersion) => {
  const persistent: IClientOptions = {
    protocolVersion,
    clientId: "gw-1",
    clean: false,
    ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 300 } } : {}),
  };

  it("queues for an offline client, drops the oldest beyond the bound and counts it", async () => {
    const broker = await testBroker({ queuedMax: 5 });
    const publisher = await testClient(broker, { protocolVersion });
    const first = await testClient(broker, persistent);
    await first.subscribeAsync("cmd/gw-1/+", { qos: 1 });
    await first.endAsync();
    for (let count = 0; count < 8; count++) {
      await publisher.publishAsync("cmd/gw-1/a", `${count}`, { qos: 1 });
    }
    await publisher.publishAsync("cmd/gw-1/a", "at most once", { qos: 0 });
    expect(broker.counts.dropped).toBe(3);
    const raw = await rawClient(broker, { protocolVersion, clientId: "gw-1", clean: false });
    expect(await raw.take("connack")).toMatchObject({ sessionPresent: true });
    await raw.take("publish", 5);
    await raw.ping();
    expect(raw.of("publish").map(({ payload }) => payload.toString())).toEqual(["3", "4", "5", "6", "7"]);
  });

  it("sends what was not acknowledged again, marked and under its old id", async () => {
    const broker = await testBroker();
    const publisher = await testClient(broker, { protocolVersion });
    const options = {
      clientId: "gw-1",
      clean: false,
      protocolVersion,
      properties: { sessionExpiryInterval: 60 },
    };
    const first = await rawClient(broker, options);
    first.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "cmd", qos: 1 }] });
    await first.take("suback");
    for (const payload of ["a", "b", "c"]) await publisher.publishAsync("cmd", payload, { qos: 1 });
    const { messageId } = await first.take("publish", 2);
    first.send({ cmd: "puback", messageId: (await first.take("publish", 1)).messageId ?? 0 });
    await first.take("publish", 3);
    await first.ping();
    first.socket.destroy();
    const second = await rawClient(broker, options);
    await second.take("publish", 2);
    await publisher.publishAsync("cmd", "d", { qos: 1 });
    await second.take("publish", 3);
    expect(second.of("publish").map(({ payload, dup }) => [payload.toString(), dup])).toEqual([
      ["b", true],
      ["c", true],
      ["d", false],
    ]);
    expect(second.of("publish")[0]?.messageId).toBe(messageId);
  });

  it("starts clean when asked to", async () => {
    const broker = await testBroker();
    const publisher = await testClient(broker, { protocolVersion });
    const first = await testClient(broker, persistent);
    await first.subscribeAsync("cmd", { qos: 1 });
    await first.endAsync();
    await publisher.publishAsync("cmd", "lost", { qos: 1 });
    const second = await testClient(broker, { ...persistent, clean: true });
    const inbox = new Inbox(second);
    await barrier(publisher, second);
    expect(inbox.texts.filter((text) => text.startsWith("cmd"))).toEqual([]);
    const brief = await rawClient(broker, { protocolVersion, clientId: "brief", clean: true });
    await brief.take("connack");
    const again = await rawClient(broker, { protocolVersion, clientId: "brief", clean: false });
    expect(await again.take("connack")).toMatchObject({ sessionPresent: false });
  });

  it("lets the later of two clients with one id take over", async () => {
    const broker = await testBroker();
    const first = await rawClient(broker, { protocolVersion, clientId: "gw-1" });
    await first.take("connack");
    const second = await testClient(broker, { protocolVersion, clientId: "gw-1" });
    await first.closed();
    expect(first.of("disconnect").map(({ reasonCode }) => reasonCode)).toEqual(
      protocolVersion === 5 ? [0x8e] : [],
    );
    expect(broker.clients).toEqual(["gw-1"]);
    const inbox = new Inbox(second);
    await second.subscribeAsync("a", { qos: 1 });
    await second.publishAsync("a", "alive", { qos: 1 });
    await inbox.atLeast(1);
  });

  it("publishes the will of a client that breaks off, not of one that leaves", async () => {
    const broker = await testBroker();
    const watcher = await testClient(broker, { protocolVersion });
    const inbox = new Inbox(watcher);
    await watcher.subscribeAsync("st/+", { qos: 1 });
    const will = (name: string): IClientOptions => ({
      protocolVersion,
      clientId: name,
      will: { topic: `st/${name}`, payload: Buffer.from("offline"), qos: 1, retain: true },
    });
    const leaves = await testClient(broker, will("leaves"));
    await leaves.endAsync();
    const breaks = await testClient(broker, will("breaks"));
    breaks.stream.destroy();
    await inbox.atLeast(1);
    const late = await testClient(broker, { protocolVersion });
    const lateInbox = new Inbox(late);
    await late.subscribeAsync("st/+", { qos: 1 });
    await lateInbox.atLeast(1);
    await barrier(late, watcher);
    expect(inbox.texts.filter((text) => text.startsWith("st"))).toEqual(["st/breaks=offline"]);
    expect(lateInbox.packets).toMatchObject([{ topic: "st/breaks", retain: true }]);
  });
});

describe("sessions of MQTT 5", () => {
  it("holds a will back for its delay and forgets it when the client returns", async () => {
    const broker = await testBroker();
    const watcher = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(watcher);
    await watcher.subscribeAsync("st/+", { qos: 1 });
    const first = await testClient(broker, willOptions(1));
    first.stream.destroy();
    await closed(first);
    const second = await testClient(broker, willOptions(1));
    await delay(1500);
    expect(inbox.packets).toEqual([]);
    const brokenAtMs = performance.now();
    second.stream.destroy();
    await inbox.atLeast(1);
    expect(performance.now() - brokenAtMs).toBeGreaterThan(950);
    expect(inbox.texts).toEqual(["st/gw-1=offline"]);
  });

  it("publishes the will of a client that is taken over, unless it has a delay and the session goes on", async () => {
    const broker = await testBroker();
    const watcher = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(watcher);
    await watcher.subscribeAsync("st/+", { qos: 1 });
    await testClient(broker, willOptions(300));
    const successor = await testClient(broker, willOptions(0));
    await barrier(successor, watcher);
    expect(inbox.packets).toHaveLength(1);
    await testClient(broker, willOptions(300));
    await inbox.atLeast(2);
    await testClient(broker, { ...willOptions(300), clean: true });
    await inbox.atLeast(3);
    expect(inbox.texts.slice(1)).toEqual(["st/gw-1=offline", "st/gw-1=offline"]);
  });

  it("publishes the will on DISCONNECT 0x04, and on a clean start that ends the session before its delay", async () => {
    const broker = await testBroker();
    const watcher = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(watcher);
    await watcher.subscribeAsync("st/+", { qos: 1 });
    const first = await testClient(broker, willOptions(0));
    await first.endAsync(false, { reasonCode: 0x04 });
    await inbox.atLeast(1);
    const second = await testClient(broker, willOptions(300));
    second.stream.destroy();
    await closed(second);
    await testClient(broker, { ...willOptions(300), clean: true });
    await inbox.atLeast(2);
  });

  it("ends a session when its expiry interval is over", async () => {
    const broker = await testBroker();
    const connect = { protocolVersion: 5, clientId: "gw-1", clean: false } as const;
    const first = await rawClient(broker, { ...connect, properties: { sessionExpiryInterval: 1 } });
    await first.take("connack");
    first.socket.destroy();
    const second = await rawClient(broker, { ...connect, properties: { sessionExpiryInterval: 1 } });
    expect(await second.take("connack")).toMatchObject({ sessionPresent: true });
    second.socket.destroy();
    await delay(1500);
    const third = await rawClient(broker, connect);
    expect(await third.take("connack")).toMatchObject({ sessionPresent: false });
  });

  it("lets queued and retained messages expire, and says how long the others have still to live", async () => {
    const broker = await testBroker();
    const publisher = await testClient(broker, { protocolVersion: 5 });
    const { will: _will, ...options } = willOptions(0);
    const first = await testClient(broker, options);
    await first.subscribeAsync("cmd", { qos: 1 });
    await first.endAsync();
    await publisher.publishAsync("cmd", "short", expiring(1));
    await publisher.publishAsync("cmd", "long", expiring(60));
    await publisher.publishAsync("kept", "short", { ...expiring(1), retain: true });
    await delay(1100);
    const second = await rawClient(broker, { protocolVersion: 5, clientId: "gw-1", clean: false });
    const packet = await second.take("publish");
    expect(packet.payload.toString()).toBe("long");
    expect(packet.properties?.messageExpiryInterval).toBe(59);
    second.send({ cmd: "subscribe", messageId: 9, subscriptions: [{ topic: "kept", qos: 1 }] });
    await second.take("suback");
    await second.ping();
    expect(second.of("publish")).toHaveLength(1);
    expect(broker.counts.expired).toBe(1);
  });

  it("keeps to the Receive Maximum of a slow client", async () => {
    const broker = await testBroker();
    const publisher = await testClient(broker, { protocolVersion: 5 });
    const slow = await rawClient(broker, { protocolVersion: 5, properties: { receiveMaximum: 4 } });
    slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] });
    await slow.take("suback");
    for (let count = 0; count < 20; count++) await publisher.publishAsync("a", `${count}`, { qos: 1 });
    await slow.take("publish", 4);
    await slow.ping();
    expect(slow.of("publish")).toHaveLength(4);
    for (const { messageId = 0 } of slow.of("publish").slice(0, 3)) slow.send({ cmd: "puback", messageId });
    await slow.take("publish", 7);
    await slow.ping();
    expect(slow.of("publish")).toHaveLength(7);
    for (let index = 3; index < 20; index++) {
      slow.send({ cmd: "puback", messageId: (await slow.take("publish", index + 1)).messageId ?? 0 });
    }
    expect(slow.of("publish").map(({ payload }) => Number(payload.toString()))).toEqual([
      ...Array(20).keys(),
    ]);
  });

  it("waits for a client that does not read, and then delivers all that fits the queue", async () => {
    const broker = await testBroker({ queuedMax: 2000 });
    const publisher = await testClient(broker, { protocolVersion: 5 });
    const slow = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(slow);
    await slow.subscribeAsync("a", { qos: 1 });
    (slow.stream as unknown as NodeJS.ReadStream).pause();
    const payload = Buffer.alloc(16_384);
    for (let count = 0; count < 800; count++) await publisher.publishAsync("a", payload, { qos: 1 });
    expect(inbox.packets.length).toBeLessThan(800);
    (slow.stream as unknown as NodeJS.ReadStream).resume();
    await inbox.atLeast(800);
    expect(broker.counts.dropped).toBe(0);
  });

  it("drops QoS 0 for a client that does not read, and delivers QoS 1 once it does", async () => {
    const broker = await testBroker();
    const slow = await rawClient(broker, { protocolVersion: 5 });
    slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] });
    await slow.take("suback");
    slow.socket.pause();
    const publisher = await testClient(broker, { protocolVersion: 5 });
    const payload = Buffer.alloc(262_144);
    for (let sent = 0; sent < 200 && broker.counts.dropped === 0; sent++) {
      await publisher.publishAsync("a", payload, { qos: 0 });
    }
    await publisher.publishAsync("a", "at last", { qos: 1 });
    expect(broker.counts.dropped).toBeGreaterThan(0);
    const { delivered } = broker.counts;
    slow.socket.resume();
    const last = await slow.take("publish", delivered + 1);
    expect(last).toMatchObject({ qos: 1, payload: Buffer.from("at last") });
  });

  it("takes a QoS 2 message once, however often it comes", async () => {
    const broker = await testBroker();
    const watcher = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(watcher);
    await watcher.subscribeAsync("a", { qos: 1 });
    const raw = await rawClient(broker, { protocolVersion: 5 });
    const publish = {
      cmd: "publish",
      topic: "a",
      payload: "x",
      qos: 2,
      retain: false,
      messageId: 7,
    } as const;
    raw.send({ ...publish, dup: false });
    raw.send({ ...publish, dup: true });
    await raw.take("pubrec", 2);
    raw.send({ cmd: "pubrel", messageId: 7 });
    raw.send({ cmd: "pubrel", messageId: 7 });
    await raw.take("pubcomp", 2);
    expect(raw.of("pubcomp").map(({ reasonCode }) => reasonCode)).toEqual([0, 0x92]);
    raw.send({ ...publish, payload: "y", dup: false });
    await inbox.atLeast(2);
    expect(inbox.texts).toEqual(["a=x", "a=y"]);
  });
});
