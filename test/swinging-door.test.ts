import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { point, runDevice, type Running } from "./mqtt-device.ts";
import { MqttRig, until } from "./mqtt-rig.ts";

/** The last value that a host tells of a point with `swingingDoor` is the last one that was measured. */

const running: Running[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.loop.stop();
});

interface Spoken extends Running {
  tell(value: number): Promise<void>;
  rig: MqttRig;
}

async function speak(heartbeat: number, silenceMs = 0): Promise<Spoken> {
  const rig = await MqttRig.open();
  const level = { ...point("level", { path: "$.v" }), swingingDoor: 5, heartbeat };
  const one = runDevice({ port: rig.broker.port, topic: "d/1" }, [level], silenceMs);
  running.push(one);
  await until("listening", () => one.loop.report.state === "listening");
  await sleep(150);
  return {
    ...one,
    rig,
    tell: async (v) => {
      rig.publish("d/1", { v });
      await until(`${v}`, () => one.loop.latest()[0]?.value === v);
      await sleep(60);
    },
  };
}

const values = (one: Running) => one.values.map(({ value }) => value);

describe("what a swinging door keeps back", () => {
  test("leaves after a heartbeat in which nothing more was told", async () => {
    const one = await speak(1000);
    await one.tell(10);
    await one.tell(11);
    const toldMs = Date.now();
    expect(values(one)).toEqual([10]);
    await until("the newest", () => one.values.length === 2);
    expect(values(one)).toEqual([10, 11]);
    expect(Math.abs(one.values[1]!.timeMs - toldMs)).toBeLessThan(500);
    expect(Date.now() - toldMs).toBeGreaterThan(900);
    await sleep(1500);
    // Once.
    expect(one.values.length).toBe(2);
  });

  test("leaves with its own time when the device falls silent, before that is told", async () => {
    const one = await speak(300_000, 1500);
    await one.tell(10);
    await one.tell(12);
    const toldMs = Date.now();
    await until("lost", () => one.loop.report.state === "lost");
    expect(values(one)).toEqual([10, 12]);
    expect(Math.abs(one.values[1]!.timeMs - toldMs)).toBeLessThan(500);
    const kinds = one.events.map(({ kind, data }) => (kind === "telemetry" ? kind : data["state"]));
    expect(kinds.lastIndexOf("telemetry")).toBeLessThan(kinds.indexOf("lost"));
  });

  test("leaves when the link is lost, and when the gateway stops", async () => {
    const one = await speak(300_000);
    await one.tell(10);
    await one.tell(12);
    one.rig.broker.fault({ kind: "drop-connections" });
    await until("the newest", () => one.values.length === 2);
    await until("listening again", () => one.opens() === 2);
    await sleep(300);
    await one.tell(13);
    expect(values(one)).toEqual([10, 12]);
    await one.loop.stop();
    await until("the newest of all", () => one.values.length === 3);
    expect(values(one)).toEqual([10, 12, 13]);
  });
});
