import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cassette } from "../gateway/cassette/cassette.ts";
import { packetOf } from "../gateway/cassette/mqtt-messages.ts";
import { playCassette } from "../gateway/cli/profile/cassettes.ts";
import { loadCassette } from "../gateway/cli/profile/load-cassette.ts";
import { record } from "../gateway/cli/profile/record.ts";
import { startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import { start as startSite } from "../simulators/rsmp/index.ts";
import { startBroker } from "../simulators/mqtt/index.ts";
import { complaintOf, root, Tapes } from "./cassette-rig.ts";
import { freePort } from "./ports.ts";
import { makeCertificates } from "./contract/http-certificates.ts";

/** Recordings of devices that call, that publish, that speak TLS, that tell much at once, whose secrets are numbers. */

const tapes = new Tapes();
const closing: (() => unknown)[] = [];
const certificates = makeCertificates();
const password = "Geheim-9-Wort";

beforeAll(() => {
  mkdirSync(tapes.path("secrets"));
  const secrets = { web: password, pin: "1234" };
  for (const [name, text] of Object.entries(secrets)) writeFileSync(tapes.path(`secrets/${name}`), text);
  const { ca, server } = certificates;
  for (const [name, text] of Object.entries({ ca, cert: server.cert, key: server.key }))
    writeFileSync(tapes.path(`${name}.pem`), text);
});

afterAll(async () => {
  for (const close of closing) await close();
  tapes.close();
});

const same = { differences: [], failure: undefined };
const host = "127.0.0.1";

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A readable value of each point of the last read. */
const last = ({ reads }: Cassette) =>
  Object.fromEntries(Object.entries(reads.at(-1) ?? {}).map(([name, { value }]) => [name, value]));

describe("a site that calls (RSMP)", () => {
  const settings = { siteId: "TLC-1", signalGroups: 2, detectors: 2, reconnect: "1s" };

  it("is recorded, calls again from its cassette, and gives the same readings and alarms", async () => {
    const port = await freePort();
    const site = tapes.site("rsmp.yaml", [
      { id: "tlc", driver: "rsmp", profile: "rsmp/tlc", host, port, ...settings },
      // Another site calls the same port: it is served by nobody, and on no tape.
      { id: "other", driver: "rsmp", profile: "rsmp/tlc", host, port, ...settings, siteId: "TLC-2" },
    ]);
    for (const device of (await loadSite(site)).devices) {
      const calling = await startSimulator(device, 1, undefined, 300);
      closing.push(() => calling.close());
    }
    const { cassette, file, bytes } = await tapes.record(site, "tlc", { forMs: 2000 });
    expect(cassette).toMatchObject({ over: "calls", way: "listens", unstable: [] });
    expect(Object.keys(last(cassette)).length).toBeGreaterThan(10);
    expect(cassette.records.length).toBeGreaterThan(0);
    expect(cassette.connections).toHaveLength(1);
    expect(bytes.toString()).not.toContain("TLC-2");
    expect(await playCassette(cassette, file)).toMatchObject(same);
    // What the site tells otherwise is told.
    const [other, ...rest] = cassette.records;
    const changed = { ...cassette, records: [{ ...other!, kind: "state" }, ...rest] };
    const { differences } = await playCassette(changed, file);
    expect(differences).toHaveLength(1);
  }, 60_000);

  it("answers a gateway for as long as it asks, by kerb simulate --cassette", async () => {
    const file = `${root}/firmware-profiles/rsmp/tlc.cassettes/simulator.yaml`;
    const port = await freePort();
    await tapes.simulated("--cassette", file, "--port", String(port));
    const site = tapes.site("again.yaml", [
      { id: "tlc", driver: "rsmp", profile: "rsmp/tlc", host, port, ...settings, signalGroups: 3 },
    ]);
    const { cassette } = await tapes.record(site, "tlc", { forMs: 2000 });
    expect(Object.keys(last(cassette)).length).toBeGreaterThan(10);
  }, 60_000);

  it("whose profile asks for something else now is told point by point", async () => {
    const profiles = tapes.path("profiles");
    cpSync(`${root}/firmware-profiles`, profiles, { recursive: true });
    const profile = `${profiles}/rsmp/tlc.yaml`;
    const text = readFileSync(profile, "utf8");
    const file = `${profiles}/rsmp/tlc.cassettes/simulator.yaml`;
    writeFileSync(profile, text.replace("name: cyclecounter", "name: cyclecountr"));
    const { differences, failure, unknown } = await playCassette(loadCassette(file), file, profiles);
    expect({ failure, unknown }).toEqual({ failure: undefined, unknown: expect.any(Number) });
    expect(unknown).toBeGreaterThan(0);
    expect(differences.map(({ point }) => point)).toEqual([expect.stringMatching(/cycle/i)]);
  }, 30_000);

  it("is refused in one sentence while another program has its port", async () => {
    const port = await listening(createServer());
    const site = tapes.site("taken.yaml", [
      { id: "tlc", driver: "rsmp", profile: "rsmp/tlc", host, port, ...settings },
    ]);
    const complaint = await complaintOf(() =>
      record("tlc", { site, out: tapes.path("none.yaml"), json: true, lang: "en" }),
    );
    expect(complaint.title).toContain(`${host}:${port}, which another program has`);
    expect(complaint.hint).toContain("stop the gateway");
  });

  it("is refused in one sentence where its address is not this machine's", async () => {
    const own = { host: "192.0.2.1", port: 12111, ...settings };
    const site = tapes.site("away.yaml", [{ id: "tlc", driver: "rsmp", profile: "rsmp/tlc", ...own }]);
    const complaint = await complaintOf(() =>
      record("tlc", { site, out: tapes.path("none.yaml"), json: true, lang: "en" }),
    );
    expect(complaint.title).toContain("cannot listen at 192.0.2.1:12111");
    expect(complaint.hint).toContain("address of this machine");
  });

  it("is recorded in clear where it speaks TLS, and no key or certificate is in it", async () => {
    const port = await freePort();
    const tls = { cert: tapes.path("cert.pem"), key: tapes.path("key.pem") };
    const site = tapes.site("tls-rsmp.yaml", [
      { id: "tlc", driver: "rsmp", profile: "rsmp/tlc", host, port, ...settings, tls },
    ]);
    const calling = await startSite({
      profile: "rsmp/tlc",
      points: [],
      settings: { host, port, siteId: "TLC-1", reconnect: 300, tls: { ca: tapes.path("ca.pem") } },
      identity: { vendor: "Acme", model: "TLC" },
    });
    closing.push(() => calling.close());
    const { cassette, text, file, bytes } = await tapes.record(site, "tlc", { forMs: 2500 });
    expect(bytes.toString()).toContain("StatusResponse");
    expect(text).not.toMatch(/\.pem|PRIVATE|CERTIFICATE/);
    expect(cassette.settings).not.toHaveProperty("tls");
    expect(await playCassette(cassette, file)).toMatchObject(same);
  }, 60_000);
});

describe("what is published (MQTT)", () => {
  it.each([
    ["zigbee2mqtt/plug", { variables: { name: "plug" } }],
    ["zigbee2mqtt/plug", { variables: { name: "plug" }, protocol: 5 }],
    ["sparkplug/cabinet", { variables: { group: "district-1", node: "cabinet-1" } }],
    ["milesight/em400-udl", { variables: { applicationId: "city", devEui: "24e124713d123456" } }],
    ["onvif/camera-mqtt", { variables: { prefix: "camera" }, username: "viewer", password: "${secret:web}" }],
  ])(
    "by %s is recorded as messages, and told again by a broker",
    async (profile, own) => {
      const port = await freePort();
      const site = tapes.site(`${profile.split("/")[1]}.yaml`, [
        { id: "one", driver: "mqtt", profile, host, port, ...own },
      ]);
      await tapes.simulated("--site", site);
      const { cassette, text, bytes, file } = await tapes.record(site, "one", { forMs: 6000 });
      expect(cassette).toMatchObject({ over: "mqtt", unstable: [] });
      expect(Object.keys(last(cassette)).length).toBeGreaterThan(0);
      const packets = cassette.connections.flat().map((frame) => packetOf(frame)?.cmd);
      expect(new Set(packets)).toEqual(new Set(["subscribe", "publish"]));
      for (const secret of [password, "viewer"])
        expect(text + bytes.toString("latin1")).not.toContain(secret);
      expect(await playCassette(cassette, file)).toEqual({ ...same, unknown: 0 });
    },
    60_000,
  );

  it("by the number of a device is told without it where it shall be hidden", async () => {
    const broker = await startBroker({});
    closing.push(() => broker.close());
    const devEui = "24e124713d123456";
    const payload = {
      deviceInfo: { devEui },
      fCnt: 7,
      object: { battery: 81, temperature: 27.4, distance: 941 },
    };
    const topic = `application/city/device/${devEui}/event/up`;
    const telling = setInterval(
      () => broker.publish(topic, JSON.stringify(payload), { qos: 1, retain: false }),
      200,
    );
    closing.push(() => clearInterval(telling));
    const variables = { applicationId: "city", devEui };
    const own = { driver: "mqtt", profile: "milesight/em400-udl", host, port: broker.port, variables };
    const site = tapes.site("serial.yaml", [{ id: "level", ...own }]);
    const { cassette, text, bytes, file } = await tapes.record(site, "level", { hideSerial: true });
    expect(Object.keys(last(cassette)).length).toBeGreaterThan(0);
    expect(text + bytes.toString("latin1")).not.toContain(devEui);
    expect(cassette.settings).toMatchObject({ variables: { devEui: "x".repeat(devEui.length) } });
    expect(await playCassette(cassette, file)).toMatchObject(same);
  }, 30_000);

  it("keeps its topics where the broker is called like a word of them", async () => {
    const broker = await startBroker({});
    closing.push(() => broker.close());
    const topic = "zigbee2mqtt/localhost";
    broker.publish(topic, JSON.stringify({ state: "ON", power: 42 }), { qos: 1, retain: true });
    const own = { driver: "mqtt", profile: "zigbee2mqtt/plug", host: "localhost", port: broker.port };
    const site = tapes.site("word.yaml", [{ id: "plug", ...own, variables: { name: "localhost" } }]);
    const { cassette, bytes, file } = await tapes.record(site, "plug", { forMs: 1500 });
    expect(bytes.toString("latin1")).toContain(topic);
    expect(cassette.settings).toMatchObject({ host, variables: { name: "localhost" } });
    expect(await playCassette(cassette, file)).toMatchObject(same);
  }, 30_000);

  it("inside TLS is recorded by who checks the broker as the driver does, and not otherwise", async () => {
    const { server: tls } = certificates;
    const broker = await startBroker({ tls, users: { viewer: password } });
    closing.push(() => broker.close());
    const payload = JSON.stringify({ state: "ON", power: 42, plate: "51F-123.45", user: "An" });
    broker.publish("zigbee2mqtt/plug", payload, { qos: 1, retain: true });
    // The list of a large network would fill the tape before the device has said anything.
    const list = JSON.stringify(
      Array.from({ length: 4000 }, (_, i) => ({ friendly_name: `bulb ${i}`, type: "Router" })),
    );
    broker.publish("zigbee2mqtt/bridge/devices", list, { qos: 1, retain: true });
    const device = (id: string, ca: object) => ({
      id,
      driver: "mqtt",
      profile: "zigbee2mqtt/plug",
      host,
      port: broker.port,
      username: "viewer",
      password: "${secret:web}",
      variables: { name: "plug" },
      tls: ca,
    });
    const site = tapes.site("tls-mqtt.yaml", [
      device("one", { ca: tapes.path("ca.pem") }),
      device("two", {}),
    ]);
    const { cassette, text, bytes, file } = await tapes.record(site, "one", { forMs: 1500 });
    expect(last(cassette)).toMatchObject({ "activePower.total": 42 });
    expect(cassette.settings).not.toHaveProperty("tls");
    expect(cassette.scrubbed).toEqual(expect.arrayContaining(["long messages", "personal members"]));
    expect(bytes.length).toBeLessThan(2000);
    for (const secret of [password, "viewer", "51F", '"An"', ".pem"])
      expect(text + bytes.toString("latin1"), secret).not.toContain(secret);
    expect(await playCassette(cassette, file)).toMatchObject(same);
    const complaint = await complaintOf(() =>
      record("two", { site, out: tapes.path("two.yaml"), json: true }),
    );
    expect(complaint).toMatchObject({ code: "KERB-DEV-DENIED" });
    expect(JSON.stringify(complaint)).toContain("certificate");
  }, 60_000);
});

describe("HTTPS", () => {
  it("is recorded inside of TLS, and played in clear", async () => {
    const { server: tls } = certificates;
    const answer = {
      vendor: "Acme",
      model: "M1",
      firmware: "1.0",
      serial: "S1",
      voltage: 230.5,
      current: 4.2,
    };
    const server = createTlsServer(tls, (_, response) => response.end(JSON.stringify(answer)));
    const port = await listening(server);
    const auth = { type: "basic", user: "viewer", password: "${secret:web}" };
    const own = { host, port, auth, tls: { ca: "${file:ca.pem}" } };
    const site = tapes.site("https.yaml", [
      { id: "meter", driver: "http", profile: "generic/json-meter", ...own },
    ]);
    const { cassette, text, bytes, file } = await tapes.record(site, "meter");
    expect(last(cassette)).toMatchObject({ "voltage.L1": 230.5, "current.L1": 4.2 });
    expect(bytes.toString()).toContain("HTTP/1.1 200 OK");
    const coded = Buffer.from(`viewer:${password}`).toString("base64");
    for (const secret of [password, coded, "viewer", ".pem"])
      expect(text + bytes.toString("latin1"), secret).not.toContain(secret);
    expect(await playCassette(cassette, file)).toMatchObject(same);
  }, 30_000);
});

describe("a secret that is a number", () => {
  it("is scrubbed, and the numbers of the device that look like it are not", async () => {
    const answer = {
      vendor: "Acme 1234",
      model: "M 21234",
      voltage: 1234,
      current: 12.345,
      pin: 1234,
      code: "1234",
    };
    const server = createHttpServer((_, response) => response.end(JSON.stringify(answer)));
    const port = await listening(server);
    const auth = { type: "basic", user: "viewer", password: "${secret:pin}" };
    const own = { host, port, auth, insecure: "acknowledged" };
    const site = tapes.site("pin.yaml", [
      { id: "meter", driver: "http", profile: "generic/json-meter", ...own },
    ]);
    const { cassette, file, bytes } = await tapes.record(site, "meter");
    expect(cassette.identity).toMatchObject({ vendor: "Acme xxxx", model: "M 21234" });
    const found = cassette.reads.at(-1)?.["voltage.L1"];
    expect(found).toMatchObject({ value: 1234 });
    const told = bytes.toString("latin1");
    expect(told).toContain('"voltage":1234,"current":12.345,"pin":1111,"code":"xxxx"');
    expect(told).not.toContain(Buffer.from("viewer:1234").toString("base64"));
    expect(await playCassette(cassette, file)).toMatchObject(same);
  }, 30_000);

  it("may be a community of one character: its place in each datagram is known", async () => {
    const port = await freePort();
    const site = tapes.site("community.yaml", [
      { id: "ups", driver: "snmp", profile: "ups/rfc1628", host, port, community: "1" },
    ]);
    await tapes.simulated("--site", site);
    const { cassette, file } = await tapes.record(site, "ups");
    expect(cassette).toMatchObject({ scrubbed: ["community"], unstable: [], settings: { community: "x" } });
    const frames = cassette.connections.flat();
    // SEQUENCE, version, then the community: hidden in each, and nowhere else.
    for (const { bytes, hidden } of frames) {
      const at = bytes.indexOf(Buffer.from([0x04, 0x01, 0x78]));
      expect([...hidden].flatMap((one, i) => (one === 1 ? [i] : []))).toEqual([at + 2]);
    }
    expect(await playCassette(cassette, file)).toEqual({ ...same, unknown: 0 });
  }, 30_000);
});

const plate = (i: number) => `plate-${String(i).padStart(4, "0")}`;

async function burst(count: number) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    const at = "2026-11-22T08:30:00Z";
    const line = (i: number) =>
      JSON.stringify({
        type: "ticket",
        seq: i,
        lane: 1,
        plate: plate(i),
        time: at,
        gross: 30,
        note: `by ${plate(i)}`,
      });
    const lines = Array.from({ length: count }, (_, i) => line(i + 1));
    setTimeout(() => socket.write(`${lines.join("\n")}\n`), 300);
  });
  const transport = { type: "tcp", host, port: await listening(server) };
  const site = tapes.site(`burst-${count}.yaml`, [
    { id: "wim", driver: "serial", profile: "generic/wim-json", transport },
  ]);
  const recorded = await tapes.record(site, "wim");
  const told = recorded.bytes.toString("latin1");
  for (const one of [plate(1), plate(120), plate(count)]) expect(told).not.toContain(one);
  expect(await playCassette(recorded.cassette, recorded.file)).toMatchObject(same);
  return recorded.cassette;
}

describe("many records at once", () => {
  it("are all in it", async () => {
    const { records, limits, leftOut } = await burst(250);
    expect(records).toHaveLength(250);
    expect({ limits, leftOut }).toEqual({ limits: [], leftOut: undefined });
  }, 30_000);

  it("beyond what it holds are left out, counted, and still scrubbed", async () => {
    const { records, limits, leftOut } = await burst(700);
    expect(records).toHaveLength(500);
    expect({ limits, leftOut }).toEqual({ limits: ["records"], leftOut: 200 });
  }, 30_000);
});
