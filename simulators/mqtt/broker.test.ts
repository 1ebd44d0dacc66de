import { describe, expect, it } from "vitest";
import { barrier, Inbox, rawClient, testBroker, testClient } from "./test-client.ts";

describe.each([4, 5] as const)("MQTT version %i", (protocolVersion) => {
  it("carries QoS 1 messages in order, and QoS 0 and 2", async () => {
    const broker = await testBroker();
    const subscriber = await testClient(broker, { protocolVersion, clientId: "sub" });
    const publisher = await testClient(broker, { protocolVersion, clientId: "pub" });
    const inbox = new Inbox(subscriber);
    expect(await subscriber.subscribeAsync("hue/up/#", { qos: 2 })).toMatchObject([{ qos: 1 }]);
    const sent = Array.from({ length: 300 }, (_, index) => `hue/up/live=${index}`);
    await Promise.all(sent.map((_, index) => publisher.publishAsync("hue/up/live", `${index}`, { qos: 1 })));
    await publisher.publishAsync("hue/up/zero", "0", { qos: 0 });
    await publisher.publishAsync("hue/up/two", "2", { qos: 2 });
    await publisher.publishAsync("hue/down", "other", { qos: 1 });
    const packets = await inbox.atLeast(302);
    // QoS 0 does not wait for the window of QoS 1 and may overtake it.
    const texts = inbox.texts.filter((text) => text !== "hue/up/zero=0");
    expect(texts).toEqual([...sent, "hue/up/two=2"]);
    expect(packets.filter((packet) => packet.qos === 0)).toMatchObject([{ topic: "hue/up/zero" }]);
    expect(broker.counts).toMatchObject({ connections: 2, published: 303, delivered: 302, dropped: 0 });
    expect(broker.counts.bytesIn).toBeGreaterThan(303 * 12);
    expect(broker.counts.bytesOut).toBeGreaterThan(302 * 12);
    expect(broker.clients.sort()).toEqual(["pub", "sub"]);
  });

  it("carries payloads of 64 KB and none at all, to several subscribers", async () => {
    const broker = await testBroker();
    const subscribers = await Promise.all([1, 2, 3].map(() => testClient(broker, { protocolVersion })));
    const inboxes = subscribers.map((client) => new Inbox(client));
    for (const [index, client] of subscribers.entries()) {
      await client.subscribeAsync("big", { qos: index === 0 ? 0 : 1 });
    }
    const publisher = await testClient(broker, { protocolVersion });
    const payload = Buffer.alloc(65_536, "kerb ");
    for (let count = 0; count < 5; count++) await publisher.publishAsync("big", payload, { qos: 1 });
    await publisher.publishAsync("big", Buffer.alloc(0), { qos: 1 });
    for (const inbox of inboxes) {
      const packets = await inbox.atLeast(6);
      for (const packet of packets.slice(0, 5)) expect(payload.equals(packet.payload as Buffer)).toBe(true);
      expect(packets[5]?.payload).toHaveLength(0);
    }
  });

  it("keeps the last retained message of a topic until an empty one deletes it", async () => {
    const broker = await testBroker();
    const publisher = await testClient(broker, { protocolVersion });
    await publisher.publishAsync("st/gw-1", "old", { qos: 1, retain: true });
    await publisher.publishAsync("st/gw-1", "new", { qos: 1, retain: true });
    await publisher.publishAsync("st/gw-2", "gone", { qos: 1, retain: true });
    await publisher.publishAsync("st/gw-2", "", { qos: 1, retain: true });
    await publisher.publishAsync("st/gw-3", "never kept", { qos: 1 });
    const subscriber = await testClient(broker, { protocolVersion });
    const inbox = new Inbox(subscriber);
    await subscriber.subscribeAsync("st/+", { qos: 1 });
    await publisher.publishAsync("st/gw-1", "live", { qos: 1, retain: true });
    const packets = await inbox.atLeast(2);
    expect(inbox.texts).toEqual(["st/gw-1=new", "st/gw-1=live"]);
    expect(packets.map((packet) => packet.retain)).toEqual([true, false]);
  });

  it("delivers once to a client with overlapping filters, and no more after UNSUBSCRIBE", async () => {
    const broker = await testBroker();
    const client = await testClient(broker, { protocolVersion });
    const inbox = new Inbox(client);
    await client.subscribeAsync({ "a/#": { qos: 0 }, "a/b": { qos: 1 }, "+/b": { qos: 0 } });
    await client.publishAsync("a/b", "1", { qos: 1 });
    await client.unsubscribeAsync(["a/#", "a/b", "+/b", "never/there"]);
    await client.publishAsync("a/b", "2", { qos: 1 });
    await barrier(client, client);
    expect(inbox.texts.filter((text) => text.startsWith("a/"))).toEqual(["a/b=1"]);
    expect(inbox.packets[0]?.qos).toBe(1);
  });

  it("lets in only users with their password", async () => {
    const broker = await testBroker({ users: { "gw-1": "secret" } });
    const enter = (username?: string, password?: string): Promise<unknown> =>
      testClient(broker, {
        protocolVersion,
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
      });
    const wrong = { code: protocolVersion === 5 ? 0x86 : 4 };
    await expect(enter("gw-1", "wrong")).rejects.toMatchObject(wrong);
    await expect(enter("toString", "secret")).rejects.toMatchObject(wrong);
    await expect(enter()).rejects.toMatchObject({ code: protocolVersion === 5 ? 0x87 : 5 });
    await expect(enter("gw-1", "secret")).resolves.toBeDefined();
    expect(broker.counts.connections).toBe(1);
  });

  it("closes a client that stays silent for 1.5 times its keep-alive", async () => {
    const broker = await testBroker();
    const client = await rawClient(broker, { protocolVersion, keepalive: 1 });
    await client.take("connack");
    const startMs = performance.now();
    await client.closed();
    expect(performance.now() - startMs).toBeGreaterThan(1400);
    expect(performance.now() - startMs).toBeLessThan(3000);
    expect(client.of("disconnect").map((packet) => packet.reasonCode)).toEqual(
      protocolVersion === 5 ? [0x8d] : [],
    );
    expect(broker.counts.violations).toBe(0);
  });

  it("acknowledges without Nagle's delay", async () => {
    const broker = await testBroker();
    const client = await rawClient(broker, { protocolVersion });
    await client.take("connack");
    const times: number[] = [];
    for (let messageId = 1; messageId < 40; messageId += 2) {
      const startMs = performance.now();
      // More than one read of the broker, so that its answers are two small writes on end.
      for (const [offset, bytes] of [64_000, 100_000].entries()) {
        const payload = Buffer.alloc(bytes);
        const publish = { cmd: "publish", topic: "a", payload, qos: 1, dup: false, retain: false } as const;
        client.send({ ...publish, messageId: messageId + offset });
      }
      await client.take("puback", messageId + 1);
      times.push(performance.now() - startMs);
    }
    expect(times.sort((a, b) => a - b)[10]).toBeLessThan(20);
  });
});

it("refuses MQTT 3.1 with return code 1", async () => {
  const broker = await testBroker();
  const options = { protocolVersion: 3, protocolId: "MQIsdp", clientId: "old" } as const;
  await expect(testClient(broker, options)).rejects.toMatchObject({ code: 1 });
});

it("delivers one message to subscribers of both versions and different QoS", async () => {
  const broker = await testBroker();
  const inboxes: Inbox[] = [];
  for (const protocolVersion of [4, 5, 4, 5] as const) {
    const client = await testClient(broker, { protocolVersion });
    inboxes.push(new Inbox(client));
    await client.subscribeAsync("a/#", { qos: inboxes.length > 2 ? 1 : 0 });
  }
  const publisher = await testClient(broker, { protocolVersion: 5 });
  const properties = { contentType: "text/plain", messageExpiryInterval: 60 };
  for (const payload of ["1", "2"]) await publisher.publishAsync("a/b", payload, { qos: 1, properties });
  for (const inbox of inboxes) {
    await inbox.atLeast(2);
    expect(inbox.texts).toEqual(["a/b=1", "a/b=2"]);
  }
  expect(inboxes.map(({ packets }) => packets[1]?.qos)).toEqual([0, 0, 1, 1]);
  expect(inboxes.map(({ packets }) => packets[1]?.properties?.contentType)).toEqual([
    undefined,
    "text/plain",
    undefined,
    "text/plain",
  ]);
});

describe("MQTT 5", () => {
  it("says its limits in the CONNACK and passes on what belongs to a message", async () => {
    const broker = await testBroker({ receiveMaximum: 20, maximumPacketSize: 100_000 });
    const client = await testClient(broker, { protocolVersion: 5, clientId: "" });
    const inbox = new Inbox(client);
    await client.subscribeAsync("cmd/+", { qos: 1, properties: { subscriptionIdentifier: 7 } });
    const properties = {
      responseTopic: "rsp/gw-1/1",
      correlationData: Buffer.from([0, 1, 255]),
      contentType: "application/json",
      messageExpiryInterval: 60,
      payloadFormatIndicator: true,
      userProperties: { trace: ["a", "b"], city: "Huế" },
    };
    await client.publishAsync("cmd/gw-1", "{}", { qos: 1, properties });
    const [packet] = await inbox.atLeast(1);
    expect(JSON.parse(JSON.stringify(packet?.properties))).toEqual(
      JSON.parse(JSON.stringify({ ...properties, subscriptionIdentifier: 7 })),
    );
    const raw = await rawClient(broker, { protocolVersion: 5, clientId: "" });
    expect((await raw.take("connack")).properties).toMatchObject({
      receiveMaximum: 20,
      maximumPacketSize: 100_000,
      assignedClientIdentifier: expect.stringMatching(/^auto-/),
    });
  });

  it("resolves topic aliases and refuses one out of range", async () => {
    const broker = await testBroker();
    const client = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(client);
    await client.subscribeAsync("long/topic/#", { qos: 1 });
    await client.publishAsync("long/topic/1", "a", { qos: 1, properties: { topicAlias: 3 } });
    await client.publishAsync("", "b", { qos: 1, properties: { topicAlias: 3 } });
    await client.publishAsync("long/topic/2", "c", { qos: 1, properties: { topicAlias: 3 } });
    await client.publishAsync("", "d", { qos: 1, properties: { topicAlias: 3 } });
    await inbox.atLeast(4);
    expect(inbox.texts).toEqual(["long/topic/1=a", "long/topic/1=b", "long/topic/2=c", "long/topic/2=d"]);
    expect(inbox.packets.every((packet) => packet.properties?.topicAlias === undefined)).toBe(true);
    const raw = await rawClient(broker, { protocolVersion: 5 });
    await raw.take("connack");
    const bad = { cmd: "publish", topic: "a", payload: "", qos: 0, dup: false, retain: false } as const;
    raw.send({ ...bad, properties: { topicAlias: 33 } });
    expect(await raw.take("disconnect")).toMatchObject({ reasonCode: 0x94 });
  });

  it("honours no-local, retain-as-published and retain handling", async () => {
    const broker = await testBroker();
    const client = await testClient(broker, { protocolVersion: 5 });
    const other = await testClient(broker, { protocolVersion: 5 });
    const inbox = new Inbox(client);
    await other.publishAsync("kept/1", "r", { qos: 1, retain: true });
    await client.subscribeAsync("own", { qos: 1, nl: true });
    await client.subscribeAsync("kept/1", { qos: 1, rh: 2 });
    await client.subscribeAsync("kept/+", { qos: 1, rh: 1, rap: true });
    await client.subscribeAsync("kept/+", { qos: 1, rh: 1, rap: true });
    await client.publishAsync("own", "mine", { qos: 1 });
    await other.publishAsync("own", "theirs", { qos: 1 });
    await other.publishAsync("kept/2", "live", { qos: 1, retain: true });
    await inbox.atLeast(3);
    expect(inbox.packets.map(({ topic, retain }) => [topic, retain])).toEqual([
      ["kept/1", true],
      ["own", false],
      ["kept/2", true],
    ]);
    expect(inbox.texts[1]).toBe("own=theirs");
  });

  it("refuses filters one by one", async () => {
    const broker = await testBroker();
    const raw = await rawClient(broker, { protocolVersion: 5 });
    const subscriptions = ["a/#/b", "$share/g/a", "ok"].map((topic) => ({ topic, qos: 1 as const }));
    raw.send({ cmd: "subscribe", messageId: 1, subscriptions });
    expect((await raw.take("suback")).granted).toEqual([0x8f, 0x9e, 1]);
    raw.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a", "ok"] });
    expect((await raw.take("unsuback")).granted).toEqual([0x11, 0]);
  });

  it("keeps to a subscriber's largest packet and to its own bounds of retained messages", async () => {
    const broker = await testBroker({ retainedMax: 2 });
    const client = await testClient(broker, { protocolVersion: 5, properties: { maximumPacketSize: 200 } });
    const inbox = new Inbox(client);
    await client.subscribeAsync("size", { qos: 1 });
    await client.publishAsync("size", Buffer.alloc(300), { qos: 1 });
    await client.publishAsync("size", "small", { qos: 1 });
    await inbox.atLeast(1);
    expect(inbox.texts).toEqual(["size=small"]);
    expect(broker.counts.dropped).toBe(1);
    await client.publishAsync("r/1", "1", { qos: 1, retain: true });
    await client.publishAsync("r/2", "2", { qos: 1, retain: true });
    await expect(client.publishAsync("r/3", "3", { qos: 1, retain: true })).rejects.toMatchObject({
      code: 0x97,
    });
    await expect(client.publishAsync("r/1", "again", { qos: 1, retain: true })).resolves.toBeDefined();
    expect(broker.counts.refused).toBe(1);
  });
});
