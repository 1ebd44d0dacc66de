import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { generate, parser, type Packet } from "mqtt-packet";
import { afterEach, beforeEach, expect, test } from "vitest";
import { driver } from "../drivers/mqtt/index.ts";
import * as schemas from "../drivers/mqtt/settings.ts";
import type { Connection } from "../gateway/driver.ts";
import { Listening, until } from "./mqtt-rig.ts";

/** What the driver acknowledges, and when: before a broker that does what the test says. */

type Address = ReturnType<typeof schemas.address.parse>;

/** One that keeps a session, or says that it does, and acknowledges nothing but subscriptions. */
class Script {
  readonly got: Packet[] = [];
  hasSession = false;
  /** Sent right behind the CONNACK. */
  early: Buffer = Buffer.alloc(0);
  readonly #server: Server;
  #socket: Socket | undefined;

  constructor() {
    this.#server = createServer((socket) => {
      this.#socket = socket;
      const reading = parser();
      reading.on("packet", (packet) => this.#answer(packet, socket));
      socket.on("data", (bytes) => void reading.parse(bytes));
      socket.on("error", () => {});
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  #answer(packet: Packet, socket: Socket): void {
    this.got.push(packet);
    const say = (answer: Packet) => socket.write(generate(answer));
    if (packet.cmd === "connect") {
      say({ cmd: "connack", returnCode: 0, sessionPresent: this.hasSession });
      socket.write(this.early);
    }
    const messageId = packet.messageId ?? 0;
    if (packet.cmd === "subscribe") say({ cmd: "suback", messageId, granted: [1] });
    if (packet.cmd === "unsubscribe") say({ cmd: "unsuback", messageId, granted: [] });
    if (packet.cmd === "pingreq") say({ cmd: "pingresp" });
  }

  say(...messages: Buffer[]): void {
    this.#socket?.write(Buffer.concat(messages));
  }

  all<Name extends Packet["cmd"]>(cmd: Name): Extract<Packet, { cmd: Name }>[] {
    return this.got.filter((packet): packet is Extract<Packet, { cmd: Name }> => packet.cmd === cmd);
  }

  get acknowledged(): number[] {
    return this.all("puback").map(({ messageId }) => messageId ?? 0);
  }

  cut(): void {
    this.#socket?.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

function message(messageId: number, v: number, { dup = false, topic = "d/1" } = {}): Buffer {
  const payload = JSON.stringify({ v });
  return generate({ cmd: "publish", topic, payload, qos: 1, dup, retain: false, messageId });
}

/** What it hands on is on disk when the test says so. */
class Keeping extends Listening {
  static disk: { settle(isHeld: boolean): void }[] = [];

  held(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    Keeping.disk.push({ settle: resolve });
    return promise;
  }
}

let folder: string;
let broker: Script;
let port: number;
const open: Connection<Address>[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "kerb-mqtt-"));
  broker = new Script();
  port = await broker.listen();
  Keeping.disk = [];
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  broker.close();
  rmSync(folder, { recursive: true, force: true });
});

async function connect(isResident = true, topic = "d/1"): Promise<Connection<Address>> {
  const settings = schemas.settings.parse({ host: "127.0.0.1", port, timeout: 2000, topic });
  const context = { deviceId: `${topic} ${port}`, folder, resident: isResident, log: () => {} };
  const connection = await driver.connect(settings, context, new AbortController().signal);
  open.push(connection);
  return connection;
}

async function listen(isResident = true, topic = "d/1"): Promise<Keeping> {
  const connection = await connect(isResident, topic);
  const before = broker.all("subscribe").length;
  const listening = new Keeping(connection, [{ path: "$.v" }], []);
  await until("the subscription", () => broker.all("subscribe").length > before);
  return listening;
}

const asked = (count: number) => until(`${count} questions`, () => Keeping.disk.length >= count);

test("messages are acknowledged in their order, and no sooner than they are on disk", async () => {
  const one = await listen();
  broker.say(message(1, 10), message(2, 20));
  await asked(1);
  broker.say(message(3, 30));
  await asked(2);
  expect(one.of()).toEqual([10, 20, 30]);
  Keeping.disk[1]!.settle(true);
  await sleep(100);
  expect(broker.acknowledged).toEqual([]);
  Keeping.disk[0]!.settle(true);
  await until("all", () => broker.acknowledged.length === 3);
  expect(broker.acknowledged).toEqual([1, 2, 3]);
});

test("what waits does not hold up pings and what comes after it", async () => {
  const one = await listen();
  for (let i = 1; i <= 100; i++) broker.say(message(i, i));
  await until("all", () => one.of().length === 100);
  expect(broker.acknowledged).toEqual([]);
});

test("one that comes again while it waits is told once, over a new connection too", async () => {
  const one = await listen();
  broker.say(message(1, 10));
  await asked(1);
  broker.cut();
  await until("the end", () => one.ended !== undefined);
  await open.splice(0)[0]!.close();
  broker.hasSession = true;
  const next = await listen();
  broker.say(message(1, 10, { dup: true }), message(2, 20));
  await until("the second", () => next.of().length > 0);
  expect([one.of(), next.of()]).toEqual([[10], [20]]);
  await asked(2);
  for (const asking of Keeping.disk) asking.settle(true);
  await until("both", () => broker.acknowledged.length === 2);
  // The same name and the same session as before.
  const [first, second] = broker.all("connect");
  expect(second).toMatchObject({ clean: false, clientId: first!.clientId });
});

test("what could not be kept is asked for again, and told again", async () => {
  const one = await listen();
  broker.say(message(1, 10));
  await asked(1);
  Keeping.disk[0]!.settle(false);
  await until("the end", () => one.ended === "hung-up");
  expect(broker.acknowledged).toEqual([]);
  await open.splice(0)[0]!.close();
  broker.hasSession = true;
  const next = await listen();
  broker.say(message(1, 10, { dup: true }));
  await until("it again", () => next.of().length === 1);
});

test("what a kept session brings before a device listens waits for it", async () => {
  const first = await listen();
  first.stop();
  await open.splice(0)[0]!.close();
  broker.cut();
  broker.hasSession = true;
  broker.early = Buffer.concat([message(1, 10), message(2, 20)]);
  const connection = await connect();
  await sleep(100);
  expect(broker.acknowledged).toEqual([]);
  const one = new Keeping(connection, [{ path: "$.v" }], []);
  await until("both", () => one.of().length === 2);
  await asked(1);
  for (const asking of Keeping.disk) asking.settle(true);
  await until("the acknowledgement", () => broker.acknowledged.length === 2);
  // An earlier connection of this process ended a moment ago: they are as good as live.
  expect(one.of()).toEqual([10, 20]);
});

test("what came while another process was away is of unknown age, and what comes later is live", async () => {
  broker.hasSession = true;
  broker.early = message(1, 10);
  const one = await listen();
  await until("it", () => one.of().length === 1);
  await asked(1);
  Keeping.disk[0]!.settle(true);
  await until("the acknowledgement", () => broker.acknowledged.length === 1);
  await sleep(5000);
  broker.say(message(2, 20));
  await until("the next", () => one.of().length === 2);
  expect(one.of()).toEqual(["uncertain queued", 20]);
});

test("a tool has a clean session, and acknowledges at once", async () => {
  await listen(false);
  expect(broker.all("connect")[0]).toMatchObject({ clean: true });
  broker.say(message(1, 10));
  await until("the acknowledgement", () => broker.acknowledged.length === 1);
});

test("a backlog that comes while its device is opened anew is of unknown age all the same", async () => {
  broker.hasSession = true;
  const leaving = await listen();
  leaving.stop();
  await listen(true, "d/2");
  await open.shift()!.close();
  broker.say(message(1, 10));
  await sleep(200);
  const back = await listen();
  await until("it", () => back.of().length === 1);
  expect(back.of()).toEqual(["uncertain queued"]);
  await asked(1);
  Keeping.disk[0]!.settle(true);
});

test("a device is closed when the client of its overlapping filter is", async () => {
  await listen();
  await listen(true, "d/+");
  expect(broker.all("connect").length).toBe(2);
  await open.pop()!.close();
  expect(broker.all("disconnect").length).toBe(1);
});

/** Two devices of one connection, the second of which is closed for a moment. */
async function oneAway(): Promise<{ there: Keeping }> {
  const there = await listen();
  const leaving = await listen(true, "d/2");
  leaving.stop();
  await open.pop()!.close();
  return { there };
}
const settleAll = () => Keeping.disk.splice(0).forEach((asking) => asking.settle(true));

test("what comes while its device is opened anew waits for it, and is told in its order", async () => {
  await oneAway();
  broker.say(message(1, 10, { topic: "d/2" }), message(2, 20, { topic: "d/2" }));
  await sleep(300);
  expect(broker.acknowledged).toEqual([]);
  const back = await listen(true, "d/2");
  broker.say(message(3, 30, { topic: "d/2" }));
  await until("all", () => back.of().length === 3);
  expect(back.of()).toEqual([10, 20, 30]);
  await asked(1);
  expect(broker.acknowledged).toEqual([]);
  await sleep(100);
  settleAll();
  await until("the acknowledgements", () => broker.acknowledged.length === 3);
  expect(broker.acknowledged).toEqual([1, 2, 3]);
});

test("what waits for one device does not hold up the others, and is bounded", async () => {
  const { there } = await oneAway();
  broker.say(message(1, 10, { topic: "d/2" }));
  for (let i = 2; i <= 15; i++) broker.say(message(i, i));
  await until("all", () => there.of().length === 14);
  await asked(1);
  settleAll();
  await until("the others", () => broker.acknowledged.length >= 8);
  expect(broker.acknowledged).not.toContain(1);
  // A ninth is more than may wait of a window of 20: the oldest is given up.
  for (let i = 21; i <= 28; i++) broker.say(message(i, i, { topic: "d/2" }));
  await until("the first", () => broker.acknowledged.includes(1));
  const back = await listen(true, "d/2");
  await until("the rest", () => back.of().length === 8);
  expect(back.of()[0]).toBe(21);
});

test("what waits when the connection ends is asked for again", async () => {
  const { there } = await oneAway();
  broker.say(message(1, 10, { topic: "d/2" }));
  await sleep(100);
  expect(broker.acknowledged).toEqual([]);
  broker.cut();
  await until("the end", () => there.ended !== undefined);
  await open.splice(0)[0]!.close();
  broker.hasSession = true;
  await listen();
  const back = await listen(true, "d/2");
  broker.say(message(1, 10, { dup: true, topic: "d/2" }));
  await until("it", () => back.of().length === 1);
  await asked(1);
  settleAll();
  await until("the acknowledgement", () => broker.acknowledged.length === 1);
});

test("what was told is acknowledged before the connection is closed, if that takes no longer than a moment", async () => {
  const one = await listen();
  broker.say(message(1, 10), message(2, 20));
  await until("both", () => one.of().length === 2);
  one.stop();
  const closing = open.pop()!.close();
  // Nobody listens any more: more than may wait for one that is opened anew.
  for (let i = 3; i <= 15; i++) broker.say(message(i, 30));
  await asked(1);
  await sleep(100);
  expect(broker.all("disconnect")).toEqual([]);
  settleAll();
  await closing;
  await until("the end", () => broker.all("disconnect").length === 1);
  expect(broker.acknowledged).toEqual([1, 2]);
  const stuck = await listen();
  broker.say(message(16, 40));
  await until("the last", () => stuck.of().length === 1);
  const fromMs = performance.now();
  await open.pop()!.close();
  expect(performance.now() - fromMs).toBeLessThan(1000);
});
