import { spawnSync } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { lastDiscovered } from "../gateway/cli/last-discovered.ts";
import type { CameraSimulator } from "../simulators/onvif/index.ts";
import { startBroker } from "../simulators/mqtt/broker.ts";
import { serialLine } from "./contract/serial-line.ts";
import { envelope, folder, kerb, kerbProgram } from "./cli-rig.ts";
import {
  closeAll,
  counting,
  discover,
  discoverProgram,
  emptySite,
  kept,
  looked,
  pretend,
} from "./discover-rig.ts";
import { freePort } from "./ports.ts";

/** `kerb discover` in a process of its own, against pretend devices of every protocol. */

const isSerial = spawnSync("socat", ["-V"], { stdio: "ignore" }).status === 0;
if (!isSerial) console.warn("skipped: socat is not installed, so no serial line is searched");

afterAll(closeAll);

/** Outside of every range that is looked through here. */
const outside = "127.77.9.9";

describe("on a network", () => {
  it("finds who is there by every protocol, leaves the range to nobody, and writes nothing", async () => {
    const [port, opcuaPort, cameraPort, callPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const moved = `HTTP/1.1 301 Moved\r\nLocation: http://${outside}:${port}/\r\nContent-Length: 0\r\n\r\n`;
    const trap = await counting(outside, port);
    await counting("127.77.0.7", port, moved);
    const devices = await Promise.all([
      pretend("eastron/sdm630", { transport: { type: "tcp", host: "127.77.0.1", port }, unit: 1 }),
      pretend("qdy/qdy30a", { transport: { type: "rtu-over-tcp", host: "127.77.0.2", port }, unit: 2 }),
      pretend("ups/rfc1628", { host: "127.77.0.3", port }),
      pretend("generic/xml-weather", { host: "127.77.0.4", port }),
      pretend("generic/wim-json", { transport: { type: "tcp", host: "127.77.0.5", port }, station: "1" }),
      pretend("opc-foundation/vehicle-scale", { host: "127.0.0.1", port: opcuaPort }),
      pretend("onvif/profile-m", {
        host: "127.0.0.1",
        port: cameraPort,
        user: "kerb",
        password: "Trial-7-only",
      }),
      pretend("rsmp/tlc", { host: "127.0.0.1", port: callPort, siteId: "KERB+T=1", reconnect: 300 }),
    ]);
    const camera = devices[6] as CameraSimulator;
    camera.claimHost(`${outside}:${port}`);
    const ports = ["--port", `${port},${opcuaPort},${cameraPort}`];
    const { code, found, data } = await discover(
      "127.77.0.0/28",
      "127.0.0.1",
      ...ports,
      "--listen",
      String(callPort),
      "--for",
      "2s",
    );
    expect(code).toBe(0);
    expect(data).toMatchObject({ interrupted: false, troubles: [] });
    const shown = found
      .filter(({ place }) =>
        [port, opcuaPort, cameraPort, callPort].some((one) => place.includes(String(one))),
      )
      .map(
        ({ driver, place, profile, match }) => `${driver} ${place.replace(/ ?:\d+/, "")} ${profile} ${match}`,
      );
    expect(shown.toSorted()).toEqual(
      [
        "modbus 127.77.0.1 unit 1 eastron/sdm630 likely",
        "modbus 127.77.0.2 RTU unit 2 qdy/qdy30a likely",
        "snmp 127.77.0.3 ups/rfc1628 likely",
        "http 127.77.0.4 generic/xml-weather likely",
        "serial 127.77.0.5 generic/wim-json likely",
        "http 127.77.0.7 undefined none",
        "opcua 127.0.0.1 opc-foundation/vehicle-scale likely",
        "onvif 127.0.0.1 onvif/profile-m login",
        "rsmp 127.0.0.1 calls rsmp/tlc generic",
      ].toSorted(),
    );
    const meter = found.find(({ driver, place }) => driver === "modbus" && place.startsWith("127.77.0.1:"));
    expect(meter).toMatchObject({
      settings: { transport: { type: "tcp", host: "127.77.0.1", port }, unit: 1 },
      fits: { fits: 6, of: 6 },
      needs: [],
    });
    expect(found.find(({ driver }) => driver === "onvif")).toMatchObject({ needs: ["user", "password"] });
    // Nobody was led out of the range, and nobody was told to change anything.
    expect(trap.contacts).toBe(0);
    const wrote = devices.flatMap(({ writes }) => writes?.all ?? []);
    expect(wrote).toEqual([]);
    const bodies = camera.requests.flatMap(
      (xml) => /<(?:\w+:)?Body[^>]*><(?:\w+:)?(\w+)/.exec(xml)?.[1] ?? [],
    );
    expect(new Set(bodies)).toEqual(new Set(["GetSystemDateAndTime", "GetDeviceInformation"]));
    // It is kept for kerb device add, and shown again without asking anybody.
    process.env["XDG_CACHE_HOME"] = join(folder, ".cache");
    expect(lastDiscovered(emptySite)).toEqual(found);
    const before = devices.map(({ counts }) => counts.requests)[0];
    const again = kerb(["discover", "--last", "--lang", "vi"], { KERB_SITE: emptySite });
    expect(again.out).toMatch(
      /127\.77\.0\.1:\d+ u1 +modbus +có trả lời, không tự khai +eastron\/sdm630 +có thể, 6 trên 6/,
    );
    expect(devices[0]?.counts.requests).toBe(before);
  }, 60_000);

  it("keeps what was found when it is stopped", async () => {
    const port = await freePort();
    const meter = await pretend("eastron/sdm630", {
      transport: { type: "tcp", host: "127.77.1.1", port },
      unit: 1,
    });
    // Enough addresses to be still at it.
    const program = discoverProgram("127.77.1.0/24", "--driver", "modbus", "--port", String(port), "--json");
    while (meter.counts.requests < 3) await sleep(20);
    await sleep(300);
    program.child.kill("SIGINT");
    const { code, found, data } = await looked(program);
    expect(code).toBe(130);
    expect(data.interrupted).toBe(true);
    expect(found).toMatchObject([{ driver: "modbus", place: `127.77.1.1:${port} unit 1` }]);
  }, 30_000);

  it("leaves in peace what the running gateway reads and its line, and shows it", async () => {
    const port = await freePort();
    const own = join(folder, "running");
    mkdirSync(own, { recursive: true });
    const site = join(own, "gateway.yaml");
    const transport = { type: "tcp", host: "127.77.2.1", port };
    const meter = await pretend("eastron/sdm630", { transport, unit: 1 });
    const serial = { type: "rtu", port: "/dev/ttyKERB7" };
    const meters = [
      { id: "meter-01", driver: "modbus", profile: "eastron/sdm630", poll: "1h", transport, unit: 1 },
      { id: "meter-03", driver: "modbus", profile: "eastron/sdm630", transport: serial, unit: 3 },
    ];
    const gateway = { id: "box-1", name: "Box", city: "test", state: "./state" };
    writeFileSync(site, JSON.stringify({ version: 1, gateway, devices: meters }));
    const running = kerbProgram("run", site);
    while (meter.counts.requests === 0) await sleep(50);
    await sleep(500);
    const before = meter.counts.requests;
    const { found } = await discover(
      "127.77.2.0/30",
      "--driver",
      "modbus",
      "--port",
      String(port),
      "--site",
      site,
    );
    expect(found).toMatchObject([{ known: "meter-01", profile: "eastron/sdm630" }]);
    expect(found[0]?.reasons[0]?.en).toContain("it was not asked");
    expect(meter.counts.requests).toBe(before);
    // Two masters on one line disturb each other.
    const refused = kerb(["discover", "--serial", serial.port, "--site", site, "--json"]);
    expect(refused.code).toBe(7);
    expect(envelope(refused.out).error.title).toBe(
      `${serial.port} is in use by the running gateway (meter-03)`,
    );
    await running.stop();
    // With nobody in the way it is asked, and known all the same.
    const after = await discover(
      "127.77.2.0/30",
      "--driver",
      "modbus",
      "--port",
      String(port),
      "--site",
      site,
    );
    expect(after.found).toMatchObject([{ known: "meter-01" }]);
    expect(meter.counts.requests).toBeGreaterThan(before);
    expect(readFileSync(join(own, "state", "discovered.json"), "utf8")).toContain('"known":"meter-01"');
  }, 60_000);

  it.each([
    [["10.0.0.0/8"], 2, /more than 1024 addresses.*\n +do +name the part/],
    [["203.0.113.0/24"], 2, /no private network.*\n +do +name single addresses/],
    [["cabinet"], 2, /"cabinet" is no network and no IPv4 address/],
    [["10.0.0.1", "--driver", "modbuss"], 2, /no driver "modbuss"/],
    [["--broker", "http://x"], 2, /mqtt:\/\//],
    [["--serial", "/dev/kerb-nope", "--for", "1s"], 5, /KERB-DEV-REFUSED +\/dev\/kerb-nope: [^]*cannot open/],
    [["10.0.0.1", "--units", "9-3"], 2, /Expected numbers from 0 to 255/],
  ])("refuses %j with a sentence", (args, code, text) => {
    const result = kerb(["discover", ...args], { KERB_SITE: emptySite });
    expect(result.code).toBe(code);
    expect(result.err).toMatch(text);
  });

  it("looks through the box's own networks only when somebody says so", () => {
    const { code, err } = kerb(["discover"], { KERB_SITE: emptySite });
    // A machine without a private network of its own has nothing to ask about.
    expect([2, 7]).toContain(code);
    expect(err).toMatch(code === 7 ? /nobody is there to say yes[^]*kerb discover \d/ : /no private network/);
  });
});

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
