import { generate, type Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../simulator.ts";
import { Inbox, rawClient, testBroker, testClient } from "./test-client.ts";

const random = seededRandom(20_260_101);

function randomBytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

const connect: Packet = {
  cmd: "connect",
  protocolId: "MQTT",
  protocolVersion: 5,
  clean: true,
  clientId: "fuzz",
  keepalive: 60,
  properties: { sessionExpiryInterval: 10, userProperties: { a: "b" } },
  will: { topic: "fuzz/will", payload: Buffer.from("w"), qos: 1, properties: { willDelayInterval: 1 } },
};

const packets: Packet[] = [
  connect,
  {
    cmd: "publish",
    topic: "fuzz/a",
    payload: Buffer.from("payload"),
    qos: 1,
    messageId: 5,
    dup: false,
    retain: false,
    properties: { responseTopic: "r", correlationData: Buffer.from("c"), userProperties: { a: "b" } },
  },
  { cmd: "subscribe", messageId: 6, subscriptions: [{ topic: "fuzz/+", qos: 1 }] },
  { cmd: "unsubscribe", messageId: 7, unsubscriptions: ["fuzz/+"] },
  { cmd: "puback", messageId: 5, reasonCode: 0x87 },
  { cmd: "pubrel", messageId: 5 },
  { cmd: "pingreq" },
  { cmd: "disconnect", reasonCode: 4, properties: { sessionExpiryInterval: 3 } },
];

/** Some bytes changed, cut off or repeated. */
function mutate(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  for (let count = Math.floor(random() * 4); count >= 0; count--) {
    changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
  }
  const cut = random() < 0.3 ? Math.floor(random() * changed.length) : changed.length;
  return random() < 0.2 ? Buffer.concat([changed, changed.subarray(cut)]) : changed.subarray(0, cut);
}

describe("random bytes", () => {
  it("close at most their own connection; others do not notice", async () => {
    const broker = await testBroker({ maximumPacketSize: 10_000 });
    const subscriber = await testClient(broker, { protocolVersion: 5, clientId: "sub" });
    const publisher = await testClient(broker, { protocolVersion: 4, clientId: "pub" });
    const inbox = new Inbox(subscriber);
    await subscriber.subscribeAsync("calm", { qos: 1 });
    let sent = 0;
    for (let round = 0; round < 400; round++) {
      const attacker = await rawClient(broker);
      if (round % 4 > 0) attacker.socket.write(generate(connect, { protocolVersion: 5 }));
      for (let count = 0; count < 4; count++) {
        const packet = packets[Math.floor(random() * packets.length)] ?? connect;
        attacker.socket.write(
          random() < 0.3 ? randomBytes(200) : mutate(generate(packet, { protocolVersion: 5 })),
        );
      }
      attacker.socket.end();
      await attacker.closed();
      if (round % 4 === 0) await publisher.publishAsync("calm", `${sent++}`, { qos: 1 });
    }
    await inbox.atLeast(sent);
    expect(inbox.texts).toEqual(Array.from({ length: sent }, (_, index) => `calm=${index}`));
    expect(broker.clients.sort()).toEqual(["pub", "sub"]);
    expect(broker.counts.violations).toBeGreaterThan(100);
  });

  it("close a client that asks without end and reads no answer", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<string>();
    const broker = await testBroker({ maximumPacketSize: 1000, log: resolve });
    const client = await rawClient(broker, { protocolVersion: 5 });
    await client.take("connack");
    client.socket.pause();
    const pings = Buffer.alloc(65_536, Buffer.from("c000", "hex"));
    for (let sent = 0; sent < 400 && broker.counts.violations === 0; sent++) {
      if (client.socket.write(pings)) continue;
      await Promise.race([closed, new Promise((drained) => client.socket.once("drain", drained))]);
    }
    expect(await closed).toContain("does not read");
    expect(broker.clients).toEqual([]);
  });

  const prefix = generate(connect, { protocolVersion: 5 });
  const connected = (hex: string): Buffer =>
    Buffer.concat([prefix, Buffer.from(hex.replaceAll(" ", ""), "hex")]);
  it.each([
    ["first packet is not CONNECT", Buffer.from("c000", "hex")],
    ["second CONNECT", Buffer.concat([prefix, prefix])],
    ["length of five bytes", connected("30 ff ff ff ff 7f")],
    ["topic longer than the packet", connected("30 05 00 09 61 62 63")],
    [
      "property length beyond the packet",
      connected("30 05 00 01 61 20 01 30 05 00 01 61 00 01 30 05 00 01 61 00 01"),
    ],
    ["property that ends in the next packet", connected("30 07 00 01 61 05 02 00 00 c0 00")],
    ["unknown property", connected("30 06 00 01 61 02 7e 00")],
    ["property cut short", connected("30 08 00 01 61 03 03 00 09 61")],
    ["QoS 3", connected("36 06 00 01 61 00 01 00")],
    ["PUBLISH without an id", connected("32 06 00 01 61 00 00 00")],
    ["wildcard in the topic", connected("30 05 00 01 23 00 61")],
    ["empty topic", connected("30 04 00 00 00 61")],
    ["SUBSCRIBE without a filter", connected("82 03 00 01 00")],
    ["packet that only a broker sends", connected("90 04 00 01 00 00")],
    ["reserved packet type", connected("00 00")],
    ["expiry raised from 0 at the end", connected("e0 07 00 05 11 00 00 00 ff")],
  ])("are answered by hanging up: %s", async (name, bytes) => {
    const broker = await testBroker();
    const client = await rawClient(broker);
    const raised = name.startsWith("expiry");
    if (raised) {
      client.send({
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 5,
        clean: true,
        clientId: "x",
        keepalive: 0,
      });
    }
    client.socket.write(raised ? bytes.subarray(prefix.length) : bytes);
    await client.closed();
    expect(broker.counts.violations).toBe(1);
    expect(broker.clients).toEqual([]);
  });
});
