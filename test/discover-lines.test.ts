import { spawnSync } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { startBroker } from "../simulators/mqtt/broker.ts";
import { serialLine } from "./contract/serial-line.ts";
import { closeAll, discover, kept, pretend } from "./discover-rig.ts";

/** `kerb discover` on a serial line and over a broker. */

const isSerial = spawnSync("socat", ["-V"], { stdio: "ignore" }).status === 0;
if (!isSerial) console.warn("skipped: socat is not installed, so no serial line is searched");

afterAll(closeAll);

describe("over a broker", () => {
  it("hears who speaks, and publishes nothing", async () => {
    const published: string[] = [];
    const broker = kept(await startBroker({ heard: (topic: string) => void published.push(topic) }));
    const up = "application/7d3e/device/24e124713d120004/event/up";
    const publish = (topic: string, value: unknown, retain = false) =>
      broker.publish(topic, JSON.stringify(value), { qos: 1, retain });
    const bridge = [{ friendly_name: "plug 1", definition: { vendor: "Nous", model: "A1Z" } }];
    publish("zigbee2mqtt/bridge/devices", bridge, true);
    publish("station/north", { pm25: 12.5, pm10: 20 }, true);
    const timer = setInterval(
      () => publish(up, { deviceInfo: { deviceName: "m1" }, object: { level: 1 } }),
      100,
    );
    const { found, code } = await discover("--broker", `mqtt://127.0.0.1:${broker.port}`, "--for", "1s");
    clearInterval(timer);
    expect(code).toBe(0);
    expect(found.map(({ place }) => place.replace(/^\S+ /, "")).toSorted()).toEqual([
      "24e124713d120004",
      "station/north",
      "zigbee2mqtt/plug 1",
    ]);
    expect(found.find(({ identity }) => identity.vendor === "Nous")).toMatchObject({
      settings: { format: "zigbee2mqtt", variables: { name: "plug 1" } },
      identity: { model: "A1Z" },
    });
    expect(published).toEqual([]);
  }, 30_000);
});

describe.skipIf(!isSerial)("on a serial line", () => {
  it("hears who talks by himself; else asks unit after unit", async () => {
    const line = kept(await serialLine("rtu", (port) => ({ port })).open());
    const end = (which: "driver" | "simulator"): string =>
      String(line.settings({ end: which, device: 1, timeoutMs: 500, at: undefined })["port"]);
    const port = end("driver");
    const talker = openSync(end("simulator"), "r+");
    const sentence = "$WIMWV,214.8,R,0.1,K,A*28\r\n";
    const timer = setInterval(() => writeSync(talker, sentence), 100);
    const heard = await discover("--serial", port, "--baud", "4800", "--for", "1s");
    clearInterval(timer);
    expect(heard.found).toMatchObject([
      { driver: "serial", settings: { transport: { type: "serial", port, baud: 4800 } } },
    ]);
    expect(heard.found[0]?.identity.more?.["heard"]).toContain("$WIMWV");

    const transport = { type: "rtu", port: end("simulator"), baud: 9600 };
    const device = await pretend("eastron/sdm630", { transport, unit: 3 });
    const asked = await discover(
      "--serial",
      port,
      "--units",
      "1-4",
      "--baud",
      "9600",
      "--parity",
      "none",
      "--for",
      "300ms",
    );
    expect(asked.found).toMatchObject([
      {
        driver: "modbus",
        place: `${port} 9600-8N1 unit 3`,
        profile: "eastron/sdm630",
        settings: { transport: { type: "rtu", port, baud: 9600 }, unit: 3 },
      },
    ]);
    expect(device.writes?.all).toEqual([]);
  }, 60_000);
});
