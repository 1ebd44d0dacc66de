import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MqttRig, settle, shown, until, bin, codeOf, plain, uplink, value } from "./mqtt-rig.ts";

/** What the MQTT driver makes of messages: retained ones, repeated ones, last wills, payloads. */

const motion = (state: unknown, at: string) => ({
  UtcTime: at,
  Source: { Source: "1" },
  Data: { State: state },
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
