import { AsyncLocalStorage } from "node:async_hooks";
import { readdirSync } from "node:fs";
import { once } from "node:events";
import { connect as tcpConnect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { generate, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { settings as settingsSchema, address as addressSchema } from "../drivers/mqtt/settings.ts";
import { DeviceError } from "../gateway/driver.ts";
import { MqttRig, settle, shown, until, Listening } from "./mqtt-rig.ts";

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "resolved",
    (error: unknown) => (error instanceof DeviceError ? error.code : String(error)),
  );
const plain = (name: string) => ({ topic: `d/${name}` });
const value = { path: "$.v" };
const bin = (eui: string) => ({ format: "lorawan", variables: { applicationId: "a", devEui: eui } });
const uplink = (id: string, object: unknown) => ({
  deduplicationId: id,
  time: "2026-03-01T08:00:00.123456+00:00",
  object,
});

describe("one connection for many devices", () => {
  test("40 devices share one client, each hears its own, and the last one closes it", async () => {
    const rig = await MqttRig.open();
    const names = Array.from({ length: 40 }, (_, i) => String(i));
    const all = await Promise.all(names.map((name) => rig.listen(plain(name), [value])));
    expect(rig.broker.clients).toHaveLength(1);
    names.forEach((name, i) => rig.publish(`d/${name}`, { v: i }));
    await until("all values", () => all.every((one) => one.of().length === 1));
    expect(all.map((one) => one.of())).toEqual(names.map((_, i) => [i]));
    const [kept] = all;
    await rig.close();
    expect(kept?.ended).toBe("closed");
    await until("no client", () => rig.broker.clients.length === 0);
  });

  test("other credentials are another client", async () => {
    const rig = await MqttRig.open({ users: { a: "1", b: "2" } });
    await rig.listen({ ...plain("x"), username: "a", password: "1" }, [value]);
    await rig.listen({ ...plain("y"), username: "b", password: "2" }, [value]);
    expect(rig.broker.clients).toHaveLength(2);
  });

  test("garbage of one device ends that one and leaves its neighbour on the same client alone", async () => {
    const rig = await MqttRig.open();
    const [a, b] = [await rig.listen(plain("a"), [value]), await rig.listen(plain("b"), [value])];
    for (let i = 0; i < 5; i++) rig.publish("d/a", Buffer.from([0xff, 0xfe, i]));
    rig.publish("d/b", { v: 7 });
    await until("the end of a", () => a.ended !== undefined);
    expect(a.ended).toBe("garbage");
    expect(a.of()).toEqual(Array.from({ length: 5 }, () => "bad garbage"));
    expect([b.of(), b.ended]).toEqual([[7], undefined]);
  });

  test("a message that is far too large costs nobody but its own device a value", async () => {
    const rig = await MqttRig.open({ maximumPacketSize: 16 * 1_048_576 });
    const [a, b] = [await rig.listen(plain("a"), [value]), await rig.listen(plain("b"), [value])];
    rig.publish("d/b", { v: 1 });
    rig.publish("d/a", Buffer.alloc(9 * 1_048_576, 0x20));
    rig.publish("d/a", { v: 2 });
    rig.publish("d/b", { v: 3 });
    await until("what came after it", () => b.of().length === 2 && a.of().length === 2);
    expect([a.of(), b.of()]).toEqual([
      ["bad too-large", 2],
      [1, 3],
    ]);
  });

  test("what a device's message starts runs on behalf of that device, whoever opened the socket", async () => {
    const rig = await MqttRig.open();
    const device = new AsyncLocalStorage<string>();
    const ran: unknown[] = [];
    for (const name of ["a", "b"]) {
      await device.run(name, async () => {
        const listening = await rig.listen(plain(name), [value]);
        listening.readings = () => void ran.push(device.getStore());
      });
    }
    rig.publish("d/b", { v: 1 });
    await until("b", () => ran.length === 1);
    expect(ran).toEqual(["b"]);
  });

  test("the loss of the broker is told to all, and the next connect finds it again", async () => {
    const rig = await MqttRig.open();
    const all = await Promise.all(["a", "b", "c"].map((name) => rig.listen(plain(name), [value])));
    rig.broker.fault({ kind: "drop-connections" });
    await until("all ends", () => all.every(({ ended }) => ended !== undefined));
    expect(all.map(({ ended }) => ended)).toEqual(["hung-up", "hung-up", "hung-up"]);
    const again = await rig.listen(plain("a"), [value]);
    rig.publish("d/a", { v: 5 });
    await until("a value", () => again.of().length > 0);
  });
});

describe("what the broker says", () => {
  test("a wrong password is denied, and is not tried again for each of many devices", async () => {
    const rig = await MqttRig.open({ users: { a: "right" } });
    const login = { ...plain("x"), username: "a", password: "wrong" };
    expect(await codeOf(rig.connect(login))).toBe("denied");
    const { bytesIn } = rig.broker.counts;
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(rig.connect(login))));
    expect(new Set(codes)).toEqual(new Set(["denied"]));
    expect(rig.broker.counts.bytesIn).toBe(bytesIn);
    expect(await codeOf(rig.connect({ ...login, password: "right" }))).toBe("resolved");
  });

  test("nobody listens: refused; a broker that hangs: silent; no such host: unreachable", async () => {
    const rig = await MqttRig.open();
    const { port } = rig.broker;
    rig.broker.fault({ kind: "stall" });
    expect(await codeOf(rig.connect({ ...plain("x"), timeout: 200 }))).toBe("silent");
    await rig.broker.close();
    await sleep(1100);
    expect(await codeOf(rig.connect({ ...plain("x"), port }))).toBe("refused");
    expect(await codeOf(rig.connect({ ...plain("x"), host: "no-such-host.invalid" }))).toBe("unreachable");
  });

  test("another client with our id: busy", async () => {
    const rig = await MqttRig.open();
    const options = { ...plain("x"), protocol: 5, clientId: "twin" };
    const listening = await rig.listen(options, [value]);
    const other = tcpConnect(rig.broker.port, "127.0.0.1");
    other.write(
      generate({ cmd: "connect", clientId: "twin", protocolVersion: 5, clean: true, keepalive: 60 }),
    );
    await until("the take-over", () => listening.ended !== undefined).finally(() => other.destroy());
    expect(listening.ended).toBe("busy");
  });

  test("a connect that is given up leaves nothing open", async () => {
    const rig = await MqttRig.open();
    const before = readdirSync("/proc/self/fd").length;
    rig.broker.fault({ kind: "stall" });
    const aborting = new AbortController();
    const call = codeOf(rig.connect({ ...plain("x") }, aborting.signal));
    await sleep(50);
    const abortedAt = performance.now();
    aborting.abort();
    expect(await call).toBe("aborted");
    expect(performance.now() - abortedAt).toBeLessThan(200);
    await until("no descriptor more", () => readdirSync("/proc/self/fd").length <= before + 1);
    expect(await codeOf(rig.connect(plain("x"), AbortSignal.abort()))).toBe("aborted");
  });

  test("close is safe twice, and calls after it are refused", async () => {
    const rig = await MqttRig.open();
    const connection = await rig.connect(plain("x"));
    await Promise.all([connection.close(), connection.close()]);
    await connection.close();
    const { signal } = new AbortController();
    expect(await codeOf(connection.read([], { signal }))).toBe("closed");
    expect(await codeOf(connection.identify(signal))).toBe("closed");
    const other = await rig.connect(plain("x"));
    expect(await codeOf(other.read([], { signal }))).toBe("unsupported");
    expect(await codeOf(other.identify(signal))).toBe("unsupported");
  });
});

const motion = (state: unknown, at: string) => ({
  UtcTime: at,
  Source: { Source: "1" },
  Data: { State: state },
});

/** A broker that answers by a script: CONNACK, then whatever `subscribed` writes. */
async function scripted(subscribed: (socket: Socket, messageId: number) => void): Promise<Server> {
  const server = createServer((socket) => {
    const reading = parser({ protocolVersion: 4 });
    reading.on("packet", (packet) => {
      if (packet.cmd === "connect") socket.write(Buffer.from([0x20, 2, 0, 0]));
      if (packet.cmd === "subscribe") subscribed(socket, packet.messageId ?? 0);
    });
    socket.on("data", (chunk: Buffer) => void reading.parse(chunk)).on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const suback = (messageId: number, code: number) =>
  Buffer.from([0x90, 3, messageId >> 8, messageId & 0xff, code]);

describe("a broker of another kind", () => {
  test("refuses the subscription: denied", async () => {
    const rig = await MqttRig.open();
    const server = await scripted((socket, id) => void socket.write(suback(id, 0x80)));
    const { port } = server.address() as AddressInfo;
    const listening = await rig.listen({ ...plain("x"), port }, [value]);
    await until("the end", () => listening.ended !== undefined).finally(() => server.close());
    expect([listening.ended, listening.message]).toEqual(["denied", expect.stringContaining("d/x")]);
  });

  test("sends 200 MB in one message: none of it is kept, and the next one is heard", async () => {
    const rig = await MqttRig.open();
    const chunk = Buffer.alloc(1_048_576, 0x20);
    const chunks = 200;
    const topic = Buffer.concat([Buffer.from([0, 3]), Buffer.from("d/x")]);
    let arrayBuffersMax = 0;
    const server = await scripted((socket, id) => {
      socket.write(suback(id, 0));
      const length = topic.length + chunks * chunk.length;
      const lengthBytes = [length & 0x7f, (length >> 7) & 0x7f, (length >> 14) & 0x7f].map(
        (byte) => byte | 0x80,
      );
      socket.write(Buffer.concat([Buffer.from([0x30, ...lengthBytes, length >> 21]), topic]));
      const go = async (): Promise<void> => {
        for (let i = 0; i < chunks; i++) {
          if (!socket.write(chunk)) await once(socket, "drain");
          arrayBuffersMax = Math.max(arrayBuffersMax, process.memoryUsage().arrayBuffers);
        }
        const next = Buffer.concat([topic, Buffer.from('{"v":7}')]);
        socket.write(Buffer.concat([Buffer.from([0x30, next.length]), next]));
      };
      go().catch(() => {});
    });
    const { port } = server.address() as AddressInfo;
    const before = process.memoryUsage().arrayBuffers;
    const listening = await rig.listen({ ...plain("x"), port }, [value]);
    await until("the next one", () => listening.of().length === 2, 20_000).finally(() => server.close());
    expect(listening.of()).toEqual(["bad too-large", 7]);
    expect(arrayBuffersMax - before).toBeLessThan(120 * 1_048_576);
  });
});

describe("what the broker has retained", () => {
  test("is uncertain without a time, has its own time with one, and is no sign of life", async () => {
    const rig = await MqttRig.open();
    rig.publish("d/a", { v: 1 }, true);
    rig.publish("d/b", { v: 2, at: "2026-03-01T08:00:00+07:00" }, true);
    const a = await rig.listen(plain("a"), [value]);
    const b = await rig.listen({ ...plain("b"), time: "$.at" }, [value]);
    await until("both", () => a.of().length + b.of().length === 2);
    expect(a.readingsTold).toMatchObject([
      { isOld: true, answer: { value: 1, status: "uncertain", code: "retained" } },
    ]);
    const sourceTimeMs = Date.parse("2026-03-01T01:00:00Z");
    expect(b.readingsTold).toMatchObject([
      { isOld: true, answer: { value: 2, status: "good", sourceTimeMs } },
    ]);
    rig.publish("d/a", { v: 3 });
    await until("a live one", () => a.of().length === 2);
    expect(a.readingsTold.at(-1)).toMatchObject({ isOld: false, answer: { value: 3, status: "good" } });
    expect([a.signs, b.signs]).toEqual([0, 0]);
  });

  test("comes again when a neighbour subscribes, and is not told again", async () => {
    const rig = await MqttRig.open();
    rig.publish("d/a", { v: 1 }, true);
    const first = await rig.listen(plain("a"), [value]);
    rig.publish("d/a", { v: 2 }, true);
    await until("a live one", () => first.of().length === 2);
    const second = await rig.listen(plain("a"), [value]);
    await until("the second's", () => second.of().length === 1);
    await settle();
    expect(first.of()).toEqual(["uncertain retained", 2]);
  });

  test("with the time that it had before a reconnect is not told a second time", async () => {
    const rig = await MqttRig.open();
    const device = { ...plain("b"), time: "$.at" };
    rig.publish("d/b", { v: 2, at: 1_772_000_000 }, true);
    const first = await rig.listen(device, [value], [], "same");
    await until("it", () => first.of().length === 1);
    const second = await rig.listen(device, [value], [], "same");
    await settle();
    expect(second.of()).toEqual([]);
  });

  test("an ONVIF state is initial, then changed, and deleted by an empty message", async () => {
    const rig = await MqttRig.open();
    const event = "VideoSource/MotionAlarm";
    const record = {
      event,
      state: true,
      fields: [{ path: "$.Source.Source" }, { path: "$.Data.State", type: "boolean" }],
    };
    const topic = `cam/onvif-ej/${event}/&1`;
    rig.publish(topic, motion("true", "2026-03-01T08:00:00Z"), true);
    const device = { format: "onvif-ej", variables: { prefix: "cam" } };
    const listening = await rig.listen(device, [], [record]);
    rig.publish(topic, motion(false, "2026-03-01T08:00:05Z"), true);
    rig.publish(topic, "", true);
    await until("three", () => listening.records.length === 3);
    expect(listening.records.map(({ phase, answers, isOld }) => [phase, answers.map(shown), isOld])).toEqual([
      ["initial", ["1", true], true],
      ["changed", ["1", false], false],
      ["deleted", ["1", false], false],
    ]);
  });
});

describe("messages that come twice", () => {
  test("ChirpStack's deduplicationId makes one record of two, also over a reconnect", async () => {
    const rig = await MqttRig.open();
    const topic = "application/a/device/1/event/up";
    const first = await rig.listen(bin("1"), [{ path: "$.x" }], [], "bin-1");
    rig.publish(topic, uplink("u-1", { x: 1 }));
    rig.publish(topic, uplink("u-1", { x: 1 }));
    rig.publish(topic, uplink("u-2", { x: 2 }));
    await until("two", () => first.of().length === 2);
    rig.broker.fault({ kind: "drop-connections" });
    await until("the end", () => first.ended === "hung-up");
    const second = await rig.listen(bin("1"), [{ path: "$.x" }], [], "bin-1");
    rig.publish(topic, uplink("u-2", { x: 2 }));
    rig.publish(topic, uplink("u-3", { x: 3 }));
    await until("the third", () => second.of().length > 0);
    expect([first.of(), second.of()]).toEqual([[1, 2], [3]]);
  });

  test("The Things Stack: session and frame count, which is left out when it is 0", async () => {
    const rig = await MqttRig.open();
    const device = {
      format: "lorawan",
      server: "ttn-v3",
      variables: { applicationId: "a@ttn", deviceId: "m" },
    };
    const listening = await rig.listen(device, [{ path: "$.x" }]);
    const up = (x: number, more: object) =>
      rig.publish("v3/a@ttn/devices/m/up", {
        uplink_message: { session_key_id: "S", decoded_payload: { x }, ...more },
      });
    up(1, {});
    up(1, {});
    up(2, { f_cnt: 1 });
    up(2, { f_cnt: 1 });
    up(3, { f_cnt: 2 });
    await until("three", () => listening.of().length >= 3);
    expect(listening.of()).toEqual([1, 2, 3]);
  });
});

const entry = (name: string) => ({
  friendly_name: name,
  definition: { vendor: "V", model: `M-${name}` },
});

describe("last wills", () => {
  const plug = { format: "zigbee2mqtt", variables: { name: "p" } };
  const state = "zigbee2mqtt/p/availability";

  test("offline ends the subscription and names the topic; online is a sign of life", async () => {
    const rig = await MqttRig.open();
    rig.publish(state, { state: "online" }, true);
    const listening = await rig.listen(plug, [{ path: "$.power" }]);
    await settle();
    // The broker had kept it: that is no sign.
    expect(listening.signs).toBe(0);
    rig.publish(state, { state: "online" }, true);
    await until("a sign", () => listening.signs === 1);
    rig.publish(state, "offline", true);
    await until("the end", () => listening.ended !== undefined);
    expect([listening.ended, listening.message]).toEqual(["hung-up", expect.stringContaining(state)]);
    const again = await rig.listen(plug, [{ path: "$.power" }]);
    await until("the end", () => again.ended === "hung-up");
  });

  test("who was lost by an offline is back when all that speak for it say online", async () => {
    const rig = await MqttRig.open();
    const bridge = "zigbee2mqtt/bridge/state";
    const power = [{ path: "$.power" }];
    rig.publish(state, { state: "online" }, true);
    rig.publish(bridge, { state: "offline" }, true);
    for (let i = 0; i < 2; i++) {
      const lost = await rig.listen(plug, power, [], "plug of a bridge");
      await until("the end", () => lost.ended === "hung-up");
      expect(lost.signs).toBe(0);
    }
    rig.publish(bridge, { state: "online" }, true);
    const back = await rig.listen(plug, power, [], "plug of a bridge");
    await until("a sign", () => back.signs === 1);
    const again = await rig.listen(plug, power, [], "plug of a bridge");
    await settle();
    expect(again.signs).toBe(0);
  });

  test("the gateway's being online is no sign of the device, its being offline is the end", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen(plug, [{ path: "$.power" }]);
    rig.publish("zigbee2mqtt/bridge/state", { state: "online" }, true);
    await settle();
    expect(listening.signs).toBe(0);
    rig.publish("zigbee2mqtt/bridge/state", { state: "offline" }, true);
    await until("the end", () => listening.ended === "hung-up");
  });

  test("the bridge's list is fetched once for devices that are opened together, and asked again where it is missing", async () => {
    const rig = await MqttRig.open();
    const names = ["a", "b", "c"];
    const identities = async () => {
      const all = await Promise.all(names.map((name) => rig.connect({ ...plug, variables: { name } })));
      return Promise.all(all.map((one) => one.identify(new AbortController().signal).catch(String)));
    };
    expect(await identities()).toEqual(names.map(() => expect.stringContaining("is not retained") as string));
    await rig.close();
    const other = await MqttRig.open();
    const before = other.broker.counts.delivered;
    other.publish("zigbee2mqtt/bridge/devices", names.slice(1).map(entry), true);
    const [a, b, c] = await Promise.all(
      names.map(async (name) => {
        const one = await other.connect({ ...plug, variables: { name } });
        return one.identify(new AbortController().signal).catch(String);
      }),
    );
    expect([a, b, c]).toEqual([
      expect.stringContaining('has no "a"'),
      { vendor: "V", model: "M-b" },
      { vendor: "V", model: "M-c" },
    ]);
    expect(other.broker.counts.delivered - before).toBe(1);
    const slow = other.connect({ format: "zigbee2mqtt", variables: { name: "x", base: "none" } });
    const aborting = new AbortController();
    const call = codeOf((await slow).identify(aborting.signal));
    aborting.abort();
    expect(await call).toBe("aborted");
  });

  test("a rule of the profile's own, with a text of its own", async () => {
    const rig = await MqttRig.open();
    const available = [{ topic: "lwt/{name}", online: "1", offline: "0" }];
    const listening = await rig.listen({ ...plain("a"), available, variables: { name: "a" } }, [value]);
    rig.publish("lwt/a", "1");
    await until("a sign", () => listening.signs === 1);
    rig.publish("lwt/a", "0");
    await until("the end", () => listening.ended === "hung-up");
  });
});

describe("payloads", () => {
  test.each([
    ["no JSON", "{", "bad garbage"],
    ["no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), "bad garbage"],
    ["33 levels", `${"[".repeat(33)}${"]".repeat(33)}`, "bad garbage"],
    ["a prototype", '{"__proto__":{"v":1}}', "bad garbage"],
    ["more bytes than allowed", JSON.stringify({ v: "x".repeat(2000) }), "bad too-large"],
    ["a list for a value", '{"v":[1]}', "bad not-a-value"],
    ["null", '{"v":null}', "bad null"],
    ["infinity", '{"v":1e999}', "bad not-a-number"],
  ])("%s", async (_, payload, expected) => {
    const rig = await MqttRig.open();
    const listening = await rig.listen({ ...plain("a"), payloadBytesMax: 1000 }, [value]);
    rig.publish("d/a", payload);
    rig.publish("d/a", { v: 1 });
    await until("both", () => listening.of().length === 2);
    expect([listening.of(), listening.ended]).toEqual([[expected, 1], undefined]);
  });

  test("random bytes and random JSON never throw, and the next good value is heard", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen(bin("1"), [
      { path: "$.x" },
      { path: "$.a[0].b" },
      { from: "uplink", path: "$.rssi" },
    ]);
    const topic = "application/a/device/1/event/up";
    let round = 0;
    for (const payload of fc.sample(
      fc.oneof(
        fc.uint8Array().map((b) => Buffer.from(b)),
        fc.json(),
      ),
      400,
    )) {
      rig.publish(topic, payload);
      rig.publish(topic, uplink(`good ${round++}`, { x: round }));
    }
    await until("the last", () => listening.of().at(-1) === round);
    expect(listening.ended).toBeUndefined();
  });

  test("topics beyond the limit are ignored, and that is said once", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen({ topicsMax: 3 }, [{ topic: "t/+", path: "$" }]);
    for (let i = 0; i < 10; i++) rig.publish(`t/${i}`, String(i));
    rig.publish("t/1", "11");
    await until("the last", () => listening.of().at(-1) === 11);
    expect(listening.of()).toEqual([0, 1, 2, 11]);
    expect(rig.log).toHaveLength(1);
  });

  test("numbers and truths that are written as text, and the device's own words", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen(plain("a"), [
      { path: "$.n", type: "number" },
      { path: "$.b", type: "boolean" },
      { path: "$.w", type: "boolean", isTrue: "ON", isFalse: "OFF" },
      { path: "$.t", type: "text" },
      { path: "$.list[?@.id=='x'].v", when: { path: "$.kind", equals: "y" } },
    ]);
    rig.publish("d/a", {
      n: "12.5",
      b: "1",
      w: "OFF",
      t: 7,
      kind: "y",
      list: [
        { id: "w", v: 1 },
        { id: "x", v: 2 },
      ],
    });
    rig.publish("d/a", { n: "12 bananas", b: "yes", w: "true", kind: "z", list: [{ id: "x", v: 3 }] });
    await until("both", () => listening.readingsTold.length === 8);
    expect([0, 1, 2, 3, 4].map((i) => listening.of(i))).toEqual([
      [12.5, "bad not-a-number"],
      [true, "bad not-a-boolean"],
      [false, "bad not-a-boolean"],
      ["7"],
      [2],
    ]);
  });
});

describe("writing", () => {
  const plug = { format: "zigbee2mqtt", variables: { name: "p" } };
  const point = {
    name: "on",
    address: addressSchema.parse({
      path: "$.state",
      type: "boolean",
      isTrue: "ON",
      isFalse: "OFF",
      write: {},
    }),
  };
  const { signal } = new AbortController();

  test("publishes and resolves at the PUBACK", async () => {
    const rig = await MqttRig.open();
    await (await rig.connect(plug)).write?.(point, true, signal);
    expect(rig.heard.map(({ topic, payload }) => [topic, payload.toString()])).toEqual([
      ["zigbee2mqtt/p/set", '{"state":"ON"}'],
    ]);
  });

  test("a broker that says no: rejected; one that says nothing: silent; a point that is not written: unsupported", async () => {
    const rig = await MqttRig.open();
    const connection = await rig.connect({ ...plug, protocol: 5, timeout: 300 });
    const write = (one = point) => codeOf(connection.write!(one, false, signal));
    rig.broker.fault({ kind: "deny" });
    expect(await write()).toBe("rejected");
    expect(await write({ name: "x", address: addressSchema.parse({}) })).toBe("unsupported");
    rig.broker.fault({ kind: "swallow-puback" });
    expect(await write()).toBe("silent");
  });
});

const wrong = (more: object) => settingsSchema.safeParse({ host: "h", ...more }).error?.message ?? "fine";

describe("settings", () => {
  test.each([
    ["a variable is missing", { format: "lorawan", variables: { devEui: "1" } }, "applicationId"],
    ["a variable with a wildcard", { topic: "{a}", variables: { a: "#" } }, "would change the topic"],
    ["a wildcard inside a level", { topic: "a+/b" }, "whole level"],
    ["an expression", { time: "$..x" }, "a path is"],
    ["code in a filter", { time: "$[?@.a==process.exit()]" }, "a path is"],
    ["a prototype", { time: "$.constructor" }, "a path is"],
    ["a password alone", { password: "x" }, "username"],
    ["a key without its certificate", { tls: { key: "k" } }, "belong together"],
  ])("%s", (_, more, expected) => {
    expect(wrong(more)).toContain(expected);
  });

  test("a point without a topic says what is missing", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen({}, [value]);
    expect([listening.ended, listening.message]).toEqual(["unsupported", expect.stringContaining("topic")]);
    const other = await rig.listen({}, [{ topic: "a/{b}" }]);
    expect([other.ended, other.message]).toEqual(["unsupported", expect.stringContaining('"b"')]);
  });

  test("a signal that has aborted before is the end, not an error", async () => {
    const rig = await MqttRig.open();
    const listening = new Listening(await rig.connect(plain("a")), [value], []);
    listening.stop();
    await until("the end", () => listening.ended !== undefined);
    expect(listening.ended).toBe("over");
  });
});
