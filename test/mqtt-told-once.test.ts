import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { generate, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { address as addressSchema } from "../drivers/mqtt/settings.ts";
import { DeviceError } from "../gateway/driver.ts";
import { MqttRig, settle, until, type Listening } from "./mqtt-rig.ts";

/** Each message once: over filters that overlap, repetitions, retained messages and reconnects. */

const value = { path: "$.v" };
/** The part of a client id that a hash has made. */
const made = (id: string) => id.split("-")[1];
const says = (source: string) => ({
  UtcTime: "2026-03-01T08:00:00Z",
  Source: { Source: source },
  Data: { State: true },
});
const phases = (one: Listening) => one.records.map(({ phase }) => phase);
async function cutOff(rig: MqttRig, one: Listening): Promise<void> {
  rig.broker.fault({ kind: "drop-connections" });
  await until("the end", () => one.ended === "hung-up");
}

describe.each(["3.1.1", 5] as const)("filters that overlap, MQTT %s", (protocol) => {
  test("of two devices: what is said four times is heard four times by each", async () => {
    const rig = await MqttRig.open();
    const one = await rig.listen({ protocol, topic: "g/1" }, [value]);
    const all = await rig.listen({ protocol, topic: "g/+" }, [value]);
    for (let i = 0; i < 4; i++) rig.publish("g/1", { v: 7 });
    await until("all", () => one.of().length === 4 && all.of().length === 4);
    await settle();
    expect([one.of(), all.of()]).toEqual([
      [7, 7, 7, 7],
      [7, 7, 7, 7],
    ]);
    expect(rig.broker.clients).toHaveLength(protocol === 5 ? 1 : 2);
    all.stop();
    await until("one client", () => rig.broker.clients.length === 1);
    rig.publish("g/1", { v: 8 });
    await until("the next", () => one.of().length === 5);
    expect(one.ended).toBeUndefined();
  });

  test("of one device: each of its points and records has its own, live and retained", async () => {
    const rig = await MqttRig.open();
    rig.publish("d/x", { id: "0", v: 1, w: 2 }, true);
    const points = [
      { topic: "d/x", path: "$.v" },
      { topic: "d/+", path: "$.w" },
    ];
    const records = [{ topic: "d/#", state: true, fields: [value] }];
    const listening = await rig.listen({ protocol, id: "$.id" }, points, records);
    await until("the retained", () => listening.of(1).length === 1 && listening.records.length === 1);
    rig.publish("d/x", { id: "1", v: 3, w: 4 });
    await until("the live", () => listening.of(1).length === 2 && listening.records.length === 2);
    await settle();
    expect([listening.of(0), listening.of(1)]).toEqual([
      ["uncertain retained", 3],
      ["uncertain retained", 4],
    ]);
    expect(phases(listening)).toEqual(["initial", "changed"]);
  });

  test("the loss of the broker is the end for all of them", async () => {
    const rig = await MqttRig.open();
    const all = [
      await rig.listen({ protocol, topic: "g/1" }, [value]),
      await rig.listen({ protocol, topic: "g/+" }, [value]),
    ];
    rig.broker.fault({ kind: "drop-connections" });
    await until("both ends", () => all.every(({ ended }) => ended === "hung-up"));
  });
});

describe("states of a record", () => {
  const event = "VideoSource/SignalLoss";
  const camera = { format: "onvif-ej", variables: { prefix: "cam" } };
  const loss = {
    event,
    state: true,
    fields: [{ path: "$.Source.Source" }, { path: "$.Data.State", type: "boolean" }],
  };
  const topicOf = (source: string) => `cam/onvif-ej/${event}/&${source}`;

  test("deleted after a reconnect is told, with what it said last before", async () => {
    const rig = await MqttRig.open();
    rig.publish(topicOf("1"), says("1"), true);
    const first = await rig.listen(camera, [], [loss], "camera A");
    await until("it", () => first.records.length === 1);
    await cutOff(rig, first);
    const second = await rig.listen(camera, [], [loss], "camera A");
    await settle();
    rig.publish(topicOf("1"), "", true);
    await until("its end", () => second.records.length === 1);
    expect(second.records[0]).toMatchObject({ phase: "deleted", answers: [{ value: "1" }, { value: true }] });
  });

  test("deleted while nobody listened is told, where the broker still has others", async () => {
    const rig = await MqttRig.open();
    for (const source of ["1", "2"]) rig.publish(topicOf(source), says(source), true);
    const first = await rig.listen(camera, [], [loss], "camera B");
    await until("both", () => first.records.length === 2);
    await cutOff(rig, first);
    rig.publish(topicOf("2"), "", true);
    const second = await rig.listen(camera, [], [loss], "camera B");
    await until("its end", () => second.records.length === 1);
    expect(second.records[0]).toMatchObject({ phase: "deleted", answers: [{ value: "2" }, { value: true }] });
    await cutOff(rig, second);
    // A broker without anything has lost its memory.
    rig.publish(topicOf("1"), "", true);
    const third = await rig.listen(camera, [], [loss], "camera B");
    await sleep(2500);
    expect(third.records).toEqual([]);
  });

  test("of one topic end each with its own fields", async () => {
    const rig = await MqttRig.open();
    const records = [
      { state: true, fields: [{ path: "$.channel" }, { path: "$.active" }] },
      { state: true, fields: [{ path: "$.plate" }, { path: "$.in" }] },
    ];
    const listening = await rig.listen({ topic: "s/x" }, [], records);
    rig.publish("s/x", { channel: "7", active: true, plate: "51F-123.45", in: false }, true);
    rig.publish("s/x", "", true);
    await until("all", () => listening.records.length === 4);
    expect(listening.records.slice(2).map(({ index, phase, answers }) => [index, phase, answers])).toEqual([
      [
        0,
        "deleted",
        [
          { value: "7", status: "good" },
          { value: true, status: "good" },
        ],
      ],
      [
        1,
        "deleted",
        [
          { value: "51F-123.45", status: "good" },
          { value: false, status: "good" },
        ],
      ],
    ]);
  });
});

describe("messages that come twice", () => {
  test("40 retained topics with a time are not told again after a reconnect", async () => {
    const rig = await MqttRig.open();
    for (let i = 0; i < 40; i++) rig.publish(`r/${i}`, { v: i, at: "2026-03-01T08:00:00Z" }, true);
    const device = { topic: "r/+", time: "$.at" };
    const first = await rig.listen(device, [value], [], "forty");
    await until("40", () => first.of().length === 40);
    await cutOff(rig, first);
    const second = await rig.listen(device, [value], [], "forty");
    await settle();
    expect(second.of()).toEqual([]);
  });

  test("a device that counts its frames from 0 again in the same session is heard", async () => {
    const rig = await MqttRig.open();
    const device = {
      format: "lorawan",
      server: "ttn-v3",
      variables: { applicationId: "a@ttn", deviceId: "m" },
    };
    const listening = await rig.listen(device, [{ path: "$.x" }]);
    const up = (x: number, count: number, at: string, more = {}) =>
      rig.publish("v3/a@ttn/devices/m/up", {
        uplink_message: {
          session_key_id: "S",
          f_cnt: count,
          decoded_payload: { x },
          received_at: `2026-03-01T${at}:00Z`,
        },
        ...more,
      });
    up(1, 1, "08:00");
    up(1, 1, "08:00");
    up(2, 2, "08:01");
    up(3, 1, "09:00");
    // Nobody has measured it.
    up(4, 2, "09:01", { simulated: true });
    up(5, 2, "09:02");
    await until("all", () => listening.of().length >= 4);
    await settle();
    expect(listening.of()).toEqual([1, 2, 3, 5]);
  });
});

describe("messages that are none", () => {
  test("retained ones under a wildcard are nobody's garbage", async () => {
    const rig = await MqttRig.open();
    for (let i = 0; i < 6; i++) rig.publish(`w/${i}/state`, "ON", true);
    rig.publish("w/ok", { v: 1 }, true);
    const listening = await rig.listen({ topic: "w/#" }, [value]);
    await until("the value", () => listening.of().length === 1);
    // One of each of five topics is not five in a row of any.
    for (let i = 0; i < 5; i++) rig.publish(`w/${i}/state`, "ON");
    await until("all", () => listening.of().length === 6);
    expect(listening.ended).toBeUndefined();
  });

  test("a plain text is the value of a point that wants the whole as text or boolean", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen({}, [
      { topic: "p/state", type: "boolean", isTrue: "ON", isFalse: "OFF" },
      { topic: "p/name", type: "text" },
      { topic: "p/number" },
    ]);
    for (let i = 0; i < 6; i++) rig.publish("p/state", i % 2 === 0 ? "ON" : "OFF");
    rig.publish("p/state", "broken");
    rig.publish("p/name", "pump {1");
    rig.publish("p/number", "12.5");
    rig.publish("p/number", "many");
    await until("all", () => listening.of(2).length === 2);
    expect([0, 1, 2].map((i) => listening.of(i))).toEqual([
      [true, false, true, false, true, false, "bad not-a-boolean"],
      ["pump {1"],
      [12.5, "bad garbage"],
    ]);
    expect(listening.ended).toBeUndefined();
  });

  test.each([
    ["an availability", "zigbee2mqtt/p/availability", '{"state":{"toString":1,"valueOf":1}}'],
    ["a value", "zigbee2mqtt/p", '{"power":{"toString":1,"valueOf":1},"last_seen":{"valueOf":1}}'],
  ])("an object with a toString of its own throws nowhere: %s", async (_, topic, payload) => {
    const rig = await MqttRig.open();
    const plug = { format: "zigbee2mqtt", variables: { name: "p" } };
    const listening = await rig.listen(plug, [
      { path: "$.power", type: "boolean" },
      { path: "$.power", type: "text" },
    ]);
    rig.publish(topic, payload, true);
    rig.publish("zigbee2mqtt/p", { power: 1 });
    await until("the next", () => listening.of().includes(true));
    expect(listening.ended).toBeUndefined();
  });

  test("nor does one in the radio part of an uplink", async () => {
    const rig = await MqttRig.open();
    const bin = { format: "lorawan", variables: { applicationId: "a", devEui: "1" } };
    const listening = await rig.listen(bin, [{ from: "uplink", path: "$.rssi" }]);
    const rxInfo = [{ rssi: { toString: 1, valueOf: 1 } }, { rssi: -100 }];
    rig.publish("application/a/device/1/event/up", { deduplicationId: "1", rxInfo, object: { x: 1 } });
    await until("the signal", () => listening.of().length === 1);
    expect(listening.of()).toEqual([-100]);
  });

  test("what the host cannot take costs the device, and neither its neighbour nor the process", async () => {
    const rig = await MqttRig.open();
    const a = await rig.listen({ topic: "t/a" }, [value]);
    const b = await rig.listen({ topic: "t/b" }, [value]);
    a.readings = () => {
      throw new TypeError("a bug");
    };
    rig.publish("t/a", { v: 1 });
    rig.publish("t/b", { v: 1 });
    await until("the end of a", () => a.ended !== undefined && b.of().length === 1);
    expect([a.ended, a.message, b.ended]).toEqual(["garbage", expect.stringContaining("a bug"), undefined]);
  });

  test("a topic of 60 KB is cut where it is told", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen({ topic: "l/#", topicsMax: 1 }, [value]);
    const long = `l/${"x".repeat(60_000)}`;
    for (let i = 0; i < 5; i++) rig.publish(long, "{");
    rig.publish(`${long}y`, { v: 1 });
    await until("the end", () => listening.ended === "garbage");
    const other = await rig.listen({ topic: "l/#", topicsMax: 1 }, [value]);
    rig.publish("l/1", { v: 1 });
    rig.publish(long, { v: 1 });
    await until("the warning", () => rig.log.length > 0);
    expect([listening.message.length, ...rig.log.map(({ length }) => length)].every((n) => n < 500)).toBe(
      true,
    );
    expect(other.ended).toBeUndefined();
  });
});

describe("what a broker sees of us", () => {
  test("an id that says nothing of the password, and another for each login", async () => {
    const rig = await MqttRig.open({ users: { a: "secret", b: "secret" } });
    const ids = async (login: object) => {
      await rig.listen({ topic: "x", ...login }, [value]);
      return [...rig.broker.clients];
    };
    const [first = ""] = await ids({ username: "a", password: "secret" });
    const both = await ids({ username: "a", password: "secret", protocol: 5 });
    const all = await ids({ username: "b", password: "secret" });
    expect(new Set(all).size).toBe(3);
    // Of host, port and user only.
    expect(both.map(made)).toEqual([made(first), made(first)]);
    expect(all.filter((id) => made(id) !== made(first))).toHaveLength(1);
    expect(all.every((id) => id.length <= 23)).toBe(true);
  });

  test("filters that overlap with an id of ours are a second client beside it", async () => {
    const rig = await MqttRig.open();
    for (const topic of ["o/1", "o/+"]) await rig.listen({ topic, clientId: "box" }, [value]);
    expect([...rig.broker.clients].toSorted()).toEqual(["box", "box-2"]);
  });

  test("a write that goes to nobody is rejected, where the broker says so", async () => {
    const rig = await MqttRig.open();
    const codes = [0x10, 0];
    const server = createServer((socket: Socket) => {
      const reading = parser({ protocolVersion: 5 });
      const say = (packet: Parameters<typeof generate>[0]) =>
        void socket.write(generate(packet, { protocolVersion: 5 }));
      reading.on("packet", (packet) => {
        if (packet.cmd === "connect") say({ cmd: "connack", reasonCode: 0, sessionPresent: false });
        if (packet.cmd === "publish")
          say({ cmd: "puback", messageId: packet.messageId ?? 0, reasonCode: codes.shift() ?? 0 });
      });
      socket.on("data", (chunk: Buffer) => void reading.parse(chunk)).on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const plug = { port, protocol: 5, format: "zigbee2mqtt", variables: { name: "p" } };
    const connection = await rig.connect(plug);
    const address = addressSchema.parse({ path: "$.state", write: {} });
    const write = () => connection.write!({ name: "on", address }, true, new AbortController().signal);
    const refusal = await write().catch((error: unknown) => error as DeviceError);
    expect(refusal).toMatchObject({ code: "rejected", message: expect.stringContaining("nobody listens") });
    await write();
    await connection.close();
    server.close();
  });

  test("a password without TLS is warned of, once for a login, and not on the box itself", async () => {
    const rig = await MqttRig.open({ users: { w: "secret" } });
    const login = { topic: "x", username: "w", password: "secret" };
    await rig.connect(login);
    expect(rig.log).toEqual([]);
    // Another name of this box that does not look like it.
    const other = { ...login, host: "0.0.0.0" };
    await rig.connect(other);
    await rig.connect(other);
    expect(rig.log).toEqual([expect.stringMatching(/password of w .* tls is missing/)]);
    expect(rig.log.join()).not.toContain("secret");
  });
});
