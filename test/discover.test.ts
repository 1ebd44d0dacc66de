import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { lastDiscovered } from "../gateway/cli/discover/last-discovered.ts";
import type { CameraSimulator } from "../simulators/onvif/index.ts";
import { envelope, folder, kerbProgram } from "./cli-rig.ts";
import { closeAll, counting, discover, discoverProgram, emptySite, looked, pretend } from "./discover-rig.ts";
import { freePort } from "./ports.ts";
import { run } from "./cli-said.ts";

/** `kerb discover` in a process of its own, against pretend devices of every protocol. */

process.env["KERB_SITE"] = emptySite;
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
      pretend("qdy/qdy30a", { transport: { type: "rtu-over-tcp", host: "127.77.6.2", port }, unit: 2 }),
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
    // A line behind a converter is silent to all others, so it has a look of its own.
    const home = join(folder, "behind");
    const behind = looked(
      discoverProgram(["127.77.6.2", "--driver", "modbus", "--port", String(port)], home),
    );
    const calls = ["--listen", String(callPort), "--for", "2s"];
    const { code, found, data } = await discover("127.77.0.0/28", "127.0.0.1", ...ports, ...calls);
    expect(code).toBe(0);
    expect(data).toMatchObject({ interrupted: false, troubles: [] });
    const shown = [...found, ...(await behind).found]
      .filter(({ place }) =>
        [port, opcuaPort, cameraPort, callPort].some((one) => place.includes(String(one))),
      )
      .map(
        ({ driver, place, profile, match }) => `${driver} ${place.replace(/ ?:\d+/, "")} ${profile} ${match}`,
      );
    expect(shown.toSorted()).toEqual(
      [
        "modbus 127.77.0.1 unit 1 eastron/sdm630 likely",
        "modbus 127.77.6.2 RTU unit 2 qdy/qdy30a likely",
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
    const again = await run("discover", "--last", "--lang", "vi");
    expect(again.out).toMatch(
      /127\.77\.0\.1:\d+ u1 +modbus +có trả lời, không tự khai +eastron\/sdm630 +có lẽ đúng, 6\/6/,
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
    const program = discoverProgram(["127.77.1.0/24", "--driver", "modbus", "--port", String(port)]);
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
    const place = ["127.77.2.0/30", "--driver", "modbus", "--port", String(port), "--site", site];
    const { found } = await discover(...place);
    expect(found).toMatchObject([{ known: "meter-01", profile: "eastron/sdm630" }]);
    expect(found[0]?.reasons[0]?.en).toContain("it was not asked");
    expect(meter.counts.requests).toBe(before);
    // Two masters on one line disturb each other.
    const refused = await run("discover", "--serial", serial.port, "--site", site, "--json");
    expect(refused.code).toBe(7);
    expect(envelope(refused.out).error.title).toBe(
      `${serial.port} is in use by the running gateway (meter-03)`,
    );
    await running.stop();
    // With nobody in the way it is asked, and known all the same.
    const after = await discover(...place);
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
  ])("refuses %j with a sentence", async (args, code, text) => {
    const result = await run("discover", ...args);
    expect(result.code).toBe(code);
    expect(result.err).toMatch(text);
  });

  it("looks through the box's own networks only when somebody says so", async () => {
    const { code, err } = await run("discover");
    // A machine without a private network of its own has nothing to ask about.
    expect([2, 7]).toContain(code);
    expect(err).toMatch(code === 7 ? /nobody is there to say yes[^]*kerb discover \d/ : /no private network/);
  });
});
