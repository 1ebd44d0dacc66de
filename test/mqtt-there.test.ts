import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { payloadBytes } from "../simulators/mqtt/sparkplug-speech.ts";
import { point, runDevice, type Running } from "./mqtt-device.ts";
import { MqttRig, settle, until } from "./mqtt-rig.ts";

/** Whether a device behind a broker is there, as the host tells it. */

const running: Running[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.loop.stop();
});
function run(rig: MqttRig, settings: Record<string, unknown>, address: object, silenceMs = 0): Running {
  const one = runDevice({ port: rig.broker.port, ...settings }, [point("x", { ...address })], silenceMs);
  running.push(one);
  return one;
}
const listening = async (one: Running): Promise<void> => {
  await until("listening", () => one.loop.report.state === "listening");
  await settle();
};
const at = (ms: number): string => new Date(ms).toISOString();
const plug = (name: string) => ({ format: "zigbee2mqtt", variables: { name } });

describe("the host of a device behind a broker", () => {
  test("a Sparkplug death, which comes once, is told, and the node is not there until it is born again", async () => {
    const rig = await MqttRig.open();
    const device = { format: "sparkplug-b", variables: { group: "g", node: "n", device: "a" } };
    const one = run(rig, device, { metric: "x" });
    await listening(one);
    const bdSeq = { name: "bdSeq", type: 8, value: { field: 11, of: 3 } } as const;
    const x = { name: "x", alias: 1, type: 10, value: { field: 13, of: 1 } } as const;
    const born = (): void => {
      rig.publish("spBv1.0/g/NBIRTH/n", payloadBytes(Date.now(), 0, [bdSeq]));
      rig.publish("spBv1.0/g/DBIRTH/n/a", payloadBytes(Date.now(), 1, [x]));
    };
    born();
    await until("online", () => one.loop.report.state === "online");
    rig.publish("spBv1.0/g/NDEATH/n", payloadBytes(Date.now(), undefined, [bdSeq]));
    await until("lost", () => one.loop.report.state === "lost");
    expect(one.loop.report.reason).toContain("NDEATH");
    await until("a second opening", () => one.opens() === 2);
    await sleep(500);
    expect(one.loop.report.state).toBe("lost");
    born();
    await until("online", () => one.loop.report.state === "online");
    expect(one.states).toEqual(["listening", "online", "lost hung-up", "online"]);
  });

  test("a bridge that is offline is not asked all the time because its device was online once", async () => {
    const rig = await MqttRig.open();
    rig.publish("zigbee2mqtt/p/availability", { state: "online" }, true);
    rig.publish("zigbee2mqtt/bridge/state", { state: "offline" }, true);
    const one = run(rig, plug("p"), { path: "$.power" });
    await until("lost", () => one.loop.report.state === "lost");
    await sleep(2500);
    expect(one.opens()).toBeLessThan(5);
    expect(one.states).toEqual(["listening", "lost hung-up"]);
    expect(one.loop.report.reason).toContain("bridge/state");
  });

  test("a plug that is offline makes one event, however often it is asked", async () => {
    const rig = await MqttRig.open();
    rig.publish("zigbee2mqtt/q/availability", { state: "offline" }, true);
    const one = run(rig, plug("q"), { path: "$.power" });
    await until("three openings", () => one.opens() === 3, 10_000);
    expect(one.states).toEqual(["listening", "lost hung-up"]);
    rig.publish("zigbee2mqtt/q/availability", { state: "online" }, true);
    await until("online", () => one.loop.report.state === "online", 10_000);
  }, 25_000);

  test("a retained online does not make good what a device has not said for too long", async () => {
    const rig = await MqttRig.open();
    rig.publish("lwt/x", "online", true);
    const one = run(rig, { topic: "d/y", available: [{ topic: "lwt/x" }] }, { path: "$.v" }, 1500);
    await until("two losses", () => one.opens() === 3, 15_000);
    expect(one.states).toEqual(["listening", "lost silent"]);
  }, 20_000);

  test("a device that only sends garbage is not there, and is opened again ever more seldom", async () => {
    const rig = await MqttRig.open();
    const one = run(rig, { topic: "d/g" }, { path: "$.v" });
    await listening(one);
    const timer = setInterval(() => rig.publish("d/g", "garbage!"), 30);
    await sleep(4000);
    clearInterval(timer);
    expect(one.states).toEqual(["listening", "lost garbage"]);
    expect(one.opens()).toBeLessThan(5);
    await until("another opening", () => one.opens() > 1);
    await sleep(300);
    rig.publish("d/g", { v: null });
    // A value that is none, in a message that makes sense.
    await until(
      "online",
      () => one.loop.report.state === "online" || (rig.publish("d/g", { v: null }), false),
      9000,
    );
  }, 25_000);

  test("what a bridge tells again at its start, with the time that it had, is no sign of life", async () => {
    const rig = await MqttRig.open();
    const one = run(rig, plug("r"), { path: "$.power" });
    await listening(one);
    const old = Date.now() - 5 * 3_600_000;
    rig.publish("zigbee2mqtt/r", { power: 5, last_seen: at(old) });
    await until("the value", () => one.events.some(({ kind }) => kind === "telemetry"));
    rig.publish("zigbee2mqtt/r", { power: 5, last_seen: at(old) });
    await settle();
    expect(one.loop.report).toMatchObject({ state: "listening" });
    expect(one.loop.report.lastGoodMs).toBeUndefined();
    // A bridge whose clock is wrong tells times that go on.
    rig.publish("zigbee2mqtt/r", { power: 6, last_seen: at(old + 1000) });
    await until("online", () => one.loop.report.state === "online");
  });
});
