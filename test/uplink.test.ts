import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Outbox } from "../gateway/outbox/outbox.ts";
import { BrokerLink } from "../gateway/receiver/mqtt.ts";
import { Receiver } from "../gateway/receiver/receiver.ts";
import { MqttUplink } from "../gateway/uplink/mqtt.ts";
import { startBroker, type Broker, type BrokerOptions } from "../simulators/mqtt/index.ts";

/** A link that lies: the real uplink and outbox against a scripted broker, with the real receiver behind it. */

let folder = "";
let broker: Broker;
let outbox: Outbox;
let uplink: MqttUplink;
let receiver: Receiver;
let link: BrokerLink;
let device = 0;
const logged: string[] = [];
const cleanUp: (() => Promise<void> | void)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-uplink-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  logged.length = 0;
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step();
});

async function start(
  options: BrokerOptions = {},
  protocol: 5 | "3.1.1" = 5,
  bytesMax = 1 << 26,
): Promise<void> {
  broker = await startBroker(options);
  cleanUp.push(() => broker.close());
  receiver = new Receiver({
    database: join(folder, "receiver.db"),
    ackIntervalMs: 200,
    busyIntervalMs: 200,
    holeAgeMs: 500,
  });
  cleanUp.push(() => receiver.close());
  link = new BrokerLink(receiver, {
    broker: broker.url,
    city: "hcmc",
    name: "ioc",
    retryFirstMs: 50,
    retryMaxMs: 200,
  });
  link.open();
  cleanUp.push(() => link.close());
  outbox = new Outbox(
    {
      path: join(folder, "outbox.db"),
      bytesMax,
      commitAfterMs: 50,
      commitEventsMax: 200,
      gateway: "gw-01",
      uplinks: [
        {
          name: "ioc",
          city: "hcmc",
          gateway: "gw-01",
          encoding: "columnar",
          windowMax: 20,
          bytesMax: 32_768,
          resendAfterMs: 3000,
        },
      ],
    },
    {
      accepted() {},
      send: (_name, messages) => uplink.send(messages),
      tail() {},
      failure() {},
      problem() {},
      died() {},
    },
  );
  cleanUp.push(() => outbox.close());
  const { epoch, epochs } = await outbox.request("open");
  const { devices, dictionary } = await outbox.request("register", [
    { id: "gw-01", type: "gateway", profile: "", points: [] },
  ]);
  device = devices[0]?.index ?? 0;
  uplink = new MqttUplink(
    {
      id: "ioc",
      type: "mqtt",
      url: broker.url,
      protocol,
      encoding: "columnar",
      windowMax: 20,
      messageBytesMax: 32_768,
      insecure: false,
      keepaliveMs: 30_000,
      resendAfterMs: 3000,
      reconnectMaxMs: 300,
      tls: undefined,
    },
    outbox,
    { city: "hcmc", gateway: "gw-01", device, software: "test", epoch, epochs, dictionary },
    pino(
      { level: "debug" },
      { write: (line: string) => logged.push((JSON.parse(line) as { msg: string }).msg) },
    ),
  );
  uplink.start();
  cleanUp.push(() => uplink.stop());
}

function emit(count: number, filler = ""): void {
  for (let i = 0; i < count; i++) {
    outbox.tell({ type: "event", kind: "alarm", device, data: { number: i, filler } });
  }
}

const books = async () => (await outbox.request("stats")).books.event;
const inCustody = (count: number, timeout = 20_000) =>
  expect
    .poll(async () => (await books()).delivered, { timeout, interval: 100 })
    .toBeGreaterThanOrEqual(count);

/** `more`: the uplink may have had something to say itself. */
async function verify(count: number, more = false): Promise<void> {
  const settled = async () => (await books()).kept === 0;
  if (more) await expect.poll(settled, { timeout: 10_000 }).toBe(true);
  const { accepted, delivered, dropped, kept } = await books();
  const all = more ? accepted : count;
  expect({ accepted, delivered, dropped, kept }).toEqual({
    accepted: all,
    delivered: all,
    dropped: 0,
    kept: 0,
  });
  expect(all).toBeGreaterThanOrEqual(count);
  expect(receiver.summaries("", 10)[0]).toMatchObject({ eventsStored: all });
}

describe("words from the broker that are not the contract", () => {
  it("stop nothing: a mangled acknowledgement is ignored and said once, events go on", async () => {
    await start();
    await expect.poll(() => uplink.status.state).toBe("connected");
    const { epoch } = await outbox.request("open");
    const stranger = await mqtt.connectAsync(broker.url);
    for (const text of [
      '{"v":1,"ep":null}',
      `{"v":1,"ep":{"${epoch}":null}}`,
      `{"v":1,"ep":{"${epoch}":{"wm":1,"miss":5}}}`,
      "][",
    ]) {
      await stranger.publishAsync("hcmc/ack/v1/gw-01", text, { qos: 1 });
    }
    await stranger.endAsync();
    await expect.poll(() => logged.filter((text) => text.includes("not kerb's contract")).length).toBe(4);
    emit(10);
    await inCustody(10);
    await verify(10);
  });
});

describe("an outbox without room", () => {
  it("goes on with a tiny budget and large events, and its books close", async () => {
    await start({}, 5, 1024 * 1024);
    broker.fault({ kind: "refuse-connack", reasonCode: 0x88 });
    broker.fault({ kind: "drop-connections" });
    emit(3000, "x".repeat(1500));
    await expect.poll(async () => (await books()).accepted, { timeout: 20_000 }).toBeGreaterThanOrEqual(3000);
    const { accepted, delivered, dropped, kept } = await books();
    expect(dropped).toBeGreaterThan(1000);
    expect(accepted).toBe(delivered + dropped + kept);
    expect((await outbox.request("stats")).rows).toBe(kept);
  });
});

describe("a broker that misbehaves", () => {
  it("that grants a window of 5 and 1,000 bytes is never asked for more", async () => {
    await start({ receiveMaximum: 5, maximumPacketSize: 2000 });
    emit(1500);
    await inCustody(1500);
    expect(broker.counts.violations).toBe(0);
    await verify(1500);
  });

  it("that refuses the login at first is tried again, and its word is shown", async () => {
    await start();
    broker.fault({ kind: "refuse-connack", reasonCode: 0x86 });
    broker.fault({ kind: "drop-connections" });
    emit(20);
    await expect
      .poll(() => uplink.status.reason ?? "", { timeout: 10_000 })
      .toMatch(/user name or password|Bad User/i);
    await expect.poll(async () => (await books()).kept).toBe(20);
    broker.fault(undefined);
    await inCustody(20);
    await verify(20);
  });

  it("that forgets sessions and queued messages loses nothing", async () => {
    await start();
    for (let round = 0; round < 5; round++) {
      emit(40);
      await new Promise((resolve) => setTimeout(resolve, 120));
      broker.fault({ kind: "forget", retained: true });
    }
    await inCustody(200);
    await verify(200, true);
  });

  it("that takes messages and never acknowledges them is left after 10 s, and gets them again", async () => {
    await start();
    await expect.poll(() => uplink.status.state).toBe("connected");
    broker.fault({ kind: "stall" });
    emit(30);
    await expect
      .poll(() => uplink.status.reason ?? "", { timeout: 20_000 })
      .toMatch(/no acknowledgement for 10 s/);
    broker.fault(undefined);
    await inCustody(30);
    await verify(30);
  });

  it("that is over its quota is given a pause, not the same message again and again", async () => {
    await start();
    await expect.poll(() => uplink.status.state).toBe("connected");
    broker.fault({ kind: "quota" });
    emit(10);
    await expect.poll(() => uplink.status.reason ?? "", { timeout: 10_000 }).toMatch(/message refused: 0x97/);
    const { refused } = broker.counts;
    await new Promise((resolve) => setTimeout(resolve, 500));
    // At most one message of each other lane; without a pause there would be hundreds.
    expect(broker.counts.refused - refused).toBeLessThan(5);
    broker.fault(undefined);
    await inCustody(10);
    await verify(10);
  });

  it("that drops in silence what it may not take (MQTT 3.1.1) is found out by the missing watermark", async () => {
    await start({}, "3.1.1");
    await expect.poll(() => uplink.status.state).toBe("connected");
    broker.fault({ kind: "deny", filter: "hcmc/up/#" });
    emit(10);
    await expect.poll(() => broker.counts.refused).toBeGreaterThan(0);
    expect((await books()).delivered).toBe(0);
    broker.fault(undefined);
    await inCustody(10);
    await verify(10);
  });
});
