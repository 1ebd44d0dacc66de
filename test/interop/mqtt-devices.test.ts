import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { driver } from "../../drivers/mqtt/index.ts";
import * as schemas from "../../drivers/mqtt/settings.ts";
import { DeviceError, type Connection } from "../../gateway/driver.ts";
import { payloadBytes } from "../../simulators/mqtt/sparkplug-speech.ts";
import { Listening, until } from "../mqtt-rig.ts";
import { Bench, programPath, runProgram } from "./processes.ts";
import { freePort } from "../ports.ts";
import { Authority, brokerName } from "./tls.ts";

/** Debian's mosquitto as the broker, its clients as devices, and protoc as the other Sparkplug codec. */

const mosquitto = programPath("mosquitto");
const publisher = programPath("mosquitto_pub");
const subscriber = programPath("mosquitto_sub");
const passwords = programPath("mosquitto_passwd");
const openssl = programPath("openssl");
const protoc = programPath("protoc");

type Tree = Record<string, unknown>;
const folder = fileURLToPath(new URL(".", import.meta.url));
const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));

function protobuf(how: "--encode" | "--decode", input: string | Buffer): Buffer {
  const { stdout, stderr, status } = spawnSync(
    protoc!,
    [`--proto_path=${folder}`, `${how}=kerb.Payload`, "sparkplug.proto"],
    { input },
  );
  if (status !== 0) throw new Error(String(stderr));
  return stdout;
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "resolved",
    (error: unknown) => (error instanceof DeviceError ? error.code : String(error)),
  );

describe.skipIf(!mosquitto || !publisher || !subscriber || !passwords || !openssl)("behind mosquitto", () => {
  const bench = new Bench();
  const connections: Connection<never>[] = [];
  let port = 0;
  let tlsPort = 0;
  let authority: Authority;

  beforeAll(async () => {
    [port, tlsPort] = [await freePort(), await freePort()];
    authority = new Authority(openssl!, bench.folder, "authority");
    const { cert, key } = authority.issue("broker", [`DNS:${brokerName}`]);
    const [config, users] = [join(bench.folder, "mosquitto.conf"), join(bench.folder, "users")];
    runProgram(passwords!, "-b", "-c", users, "kerb", "right");
    const lines = [
      "per_listener_settings true",
      `listener ${port} 127.0.0.1`,
      "allow_anonymous false",
      `password_file ${users}`,
      `listener ${tlsPort} 127.0.0.1`,
      "allow_anonymous true",
      `cafile ${authority.ca}`,
      `certfile ${cert}`,
      `keyfile ${key}`,
      "require_certificate true",
      `user ${userInfo().username}`,
      "log_type all",
    ];
    writeFileSync(config, `${lines.join("\n")}\n`);
    await bench.start(mosquitto!, "-c", config).line((line) => line.includes("running"));
  });
  afterAll(async () => {
    for (const connection of connections) await connection.close();
    await bench.close();
  });

  const login = ["-h", "127.0.0.1", "-u", "kerb", "-P", "right"];
  const publish = (topic: string, ...how: string[]): void =>
    void runProgram(publisher!, "-p", String(port), ...login, "-q", "1", "-t", topic, ...how);

  /** Line by line, though its output is no terminal. */
  const subscribe = (...how: string[]) =>
    bench.start("stdbuf", "-oL", subscriber!, "-p", String(port), ...login, ...how);

  async function connect(more: Tree = {}): Promise<Connection<ReturnType<typeof schemas.address.parse>>> {
    const settings = schemas.settings.parse({
      host: "127.0.0.1",
      port,
      username: "kerb",
      password: "right",
      ...more,
    });
    const context = { deviceId: `device-${connections.length}`, log: () => {} };
    const connection = await driver.connect(settings, context, new AbortController().signal);
    connections.push(connection);
    return connection;
  }
  async function listen(more: Tree, ...points: Tree[]): Promise<Listening> {
    const listening = new Listening(await connect(more), points, []);
    await sleep(300);
    return listening;
  }

  test.each(["3.1.1", 5] as const)(
    "MQTT %s: live and retained values of a foreign publisher",
    async (protocol) => {
      const topic = `foreign/${protocol}`;
      publish(topic, "-r", "-m", '{"v":1}');
      const listening = await listen({ protocol, topic }, { path: "$.v" });
      publish(topic, "-m", '{"v":2}');
      await until("both", () => listening.of().length === 2);
      expect(listening.of()).toEqual(["uncertain retained", 2]);
    },
  );

  test("the last will of a device that is killed ends its subscription", async () => {
    const will = ["--will-topic", "lwt/a", "--will-payload", "offline", "--will-retain", "--will-qos", "1"];
    const device = subscribe("-d", ...will, "-t", "cmd/a");
    await device.line((line) => line.includes("Subscribed"));
    const listening = await listen({ topic: "a", available: [{ topic: "lwt/a" }] }, { path: "$.v" });
    expect(listening.ended).toBeUndefined();
    device.child.kill("SIGKILL");
    await until("the end", () => listening.ended !== undefined, 10_000);
    expect([listening.ended, listening.message]).toEqual(["hung-up", expect.stringContaining("lwt/a")]);
  });

  test.each(["3.1.1", 5] as const)("MQTT %s: a wrong password is denied", async (protocol) => {
    expect(await codeOf(connect({ protocol, password: "wrong" }))).toBe("denied");
  });

  test("TLS with a certificate of ours; a wrong name, a foreign authority or no file: denied", async () => {
    const place = { port: tlsPort, username: undefined, password: undefined };
    const own = authority.issue("box");
    const other = new Authority(openssl!, bench.folder, "other");
    const tls = { ca: authority.ca, cert: own.cert, key: own.key, serverName: brokerName };
    expect(await codeOf(connect({ ...place, tls }))).toBe("resolved");
    expect(await codeOf(connect({ ...place, tls: { ...tls, serverName: "other.example" } }))).toBe("denied");
    expect(await codeOf(connect({ ...place, tls: { ...tls, ca: other.ca } }))).toBe("denied");
    // TLS 1.3 tells it after the handshake: the reset of the connection may overtake the alert.
    expect(await codeOf(connect({ ...place, tls: { ca: authority.ca, serverName: brokerName } }))).toMatch(
      /^(denied|hung-up)$/,
    );
    expect(await codeOf(connect({ ...place, tls: { ...tls, ca: "/no/such/file" } }))).toBe("denied");
  });

  test.each(["3.1.1", 5] as const)(
    "MQTT %s: devices with overlapping filters hear each message once",
    async (protocol) => {
      const [all, one] = [
        await listen({ protocol, topic: `dup${protocol}/+` }, { path: "$.v" }),
        await listen({ protocol, topic: `dup${protocol}/1` }, { path: "$.v" }),
      ];
      // Equal ones, one right behind the other, are four all the same; and in one go with others.
      const lines = ["7", "7", "7", "7", "1", "2", "2"].map((v) => `{"v":${v}}`).join("\n");
      const how = ["-q", "1", "-t", `dup${protocol}/1`, "-l"];
      spawnSync(publisher!, ["-p", String(port), ...login, ...how], { input: `${lines}\n` });
      await until("all", () => all.of().length >= 7 && one.of().length >= 7);
      await sleep(200);
      expect([all.of(), one.of()]).toEqual([
        [7, 7, 7, 7, 1, 2, 2],
        [7, 7, 7, 7, 1, 2, 2],
      ]);
    },
  );

  test.each(["3.1.1", 5] as const)(
    "MQTT %s: one device's filters that overlap bring each its own, retained and live",
    async (protocol) => {
      const base = `own${protocol}`;
      publish(`${base}/1`, "-r", "-m", '{"v":1,"w":2}');
      const points = [`${base}/1`, `${base}/+`, `${base}/#`].map((topic, i) => ({
        topic,
        path: i === 1 ? "$.w" : "$.v",
      }));
      const listening = await listen({ protocol }, ...points);
      publish(`${base}/1`, "-m", '{"v":3,"w":4}');
      await until("all", () => [0, 1, 2].every((i) => listening.of(i).length >= 2));
      await sleep(200);
      expect([0, 1, 2].map((i) => listening.of(i))).toEqual([
        ["uncertain retained", 3],
        ["uncertain retained", 4],
        ["uncertain retained", 3],
      ]);
    },
  );

  test("a message of 9 MB to one device keeps nobody from the next", async () => {
    const [a, b] = [
      await listen({ topic: "big/a" }, { path: "$.v" }),
      await listen({ topic: "big/b" }, { path: "$.v" }),
    ];
    const file = join(bench.folder, "big");
    writeFileSync(file, Buffer.alloc(9_000_000, 0x20));
    publish("big/a", "-f", file);
    publish("big/b", "-m", '{"v":3}');
    publish("big/a", "-m", '{"v":4}');
    await until("all", () => a.of().length === 2 && b.of().length === 1);
    expect([a.of(), b.of()]).toEqual([["bad too-large", 4], [3]]);
  });

  test("what is written arrives at a foreign subscriber", async () => {
    const plug = subscribe("-d", "-v", "-t", "zigbee2mqtt/p/set");
    await plug.line((line) => line.includes("Subscribed"));
    const connection = await connect({ format: "zigbee2mqtt", variables: { name: "p" } });
    const address = schemas.address.parse({ path: "$.brightness", write: {} });
    await connection.write!({ name: "brightness", address }, 120, new AbortController().signal);
    expect(await plug.line((line) => line.startsWith("zigbee2mqtt/p/set "))).toContain('{"brightness":120}');
  });

  test("what is written to nobody is rejected, where MQTT can say so", async () => {
    const address = schemas.address.parse({ path: "$.brightness", write: {} });
    const write = async (protocol: "3.1.1" | 5) => {
      const plug = { format: "zigbee2mqtt", variables: { name: "nobody" }, protocol };
      const connection = await connect(plug);
      return codeOf(connection.write!({ name: "b", address }, 1, new AbortController().signal));
    };
    expect([await write(5), await write("3.1.1")]).toEqual(["rejected", "resolved"]);
  });

  describe.skipIf(!protoc)("Sparkplug by protoc", () => {
    const place = { format: "sparkplug-b", variables: { group: "g", node: "n", device: "d" } };

    test("payloads that protoc has encoded; a command that protoc reads", async () => {
      const raw = join(bench.folder, "payload");
      const send = (kind: string, text: string): void => {
        writeFileSync(raw, protobuf("--encode", text));
        publish(`spBv1.0/g/${kind}`, "-f", raw);
      };
      const host = subscribe("-d", "-F", "%t %x", "-t", "spBv1.0/g/NCMD/n");
      await host.line((line) => line.includes("Subscribed"));
      const listening = await listen(place, { metric: "Level" }, { metric: "Count" });
      const command = await host.line((line) => line.startsWith("spBv1.0/g/NCMD/n "));
      const asked = protobuf("--decode", Buffer.from(command.split(" ")[1]!, "hex")).toString();
      expect(asked).toMatch(/name: "Node Control\/Rebirth"[^}]*datatype: 11[^}]*boolean_value: true/);
      send("NBIRTH/n", 'timestamp: 1 seq: 0 metrics { name: "bdSeq" datatype: 8 long_value: 1 }');
      send(
        "DBIRTH/n/d",
        'timestamp: 1 seq: 1 metrics { name: "Level" alias: 5 datatype: 10 double_value: 1.5 } metrics { name: "Count" alias: 6 datatype: 4 long_value: 18446744073709551611 }',
      );
      send(
        "DDATA/n/d",
        "timestamp: 2 seq: 2 metrics { alias: 5 double_value: 2.5 } metrics { alias: 6 long_value: 9 }",
      );
      await until("all", () => listening.of(1).length === 2);
      expect([listening.of(0), listening.of(1)]).toEqual([
        [1.5, 2.5],
        [-5, 9],
      ]);
    });

    test("protoc reads what the pretend node writes", () => {
      const bytes = payloadBytes(1_772_000_000_000, 7, [
        { name: "x", alias: 3, timestampMs: 5, type: 4, value: { field: 11, of: -2n } },
        { alias: 4, isHistorical: true, quality: 500, value: { field: 13, of: 2.5 } },
        { name: "none", value: null },
      ]);
      const text = protobuf("--decode", bytes).toString().replaceAll(/\s+/g, " ").trim();
      expect(text).toBe(
        'timestamp: 1772000000000 metrics { name: "x" alias: 3 timestamp: 5 datatype: 4 long_value: 18446744073709551614 } metrics { alias: 4 is_historical: true properties { keys: "Quality" values { type: 3 int_value: 500 } } double_value: 2.5 } metrics { name: "none" is_null: true } seq: 7',
      );
    });
  });

  test.each(["milesight/em400-udl", "zigbee2mqtt/plug", "onvif/camera-mqtt", "sparkplug/cabinet"])(
    "kerb simulate %s publishes to whoever listens",
    async (profile) => {
      const ownPort = await freePort();
      const simulating = bench.start(kerb, "simulate", profile, "--port", String(ownPort));
      await simulating.line((line) => line.includes("mosquitto_sub"));
      const heard = bench.start("stdbuf", "-oL", subscriber!, "-p", String(ownPort), "-F", "%t", "-t", "#");
      expect(await heard.line((line) => /^(application|zigbee2mqtt|camera|spBv1)/.test(line))).toContain("/");
      await Promise.all([heard.stop(), simulating.stop()]);
    },
  );

  test("a gateway with bins behind it: one connection, values at the technician's, a dead plug told", async () => {
    const common = { driver: "mqtt", host: "127.0.0.1", port, username: "kerb", password: "right" };
    const bins = Array.from({ length: 30 }, (_, i) => ({
      ...common,
      id: `bin-${i}`,
      profile: "milesight/em400-udl",
      variables: { applicationId: "bins", devEui: String(i) },
    }));
    const plug = { ...common, id: "plug", profile: "zigbee2mqtt/plug", variables: { name: "p9" } };
    const file = bench.site("bins", [...bins, plug]);
    const gateway = await bench.run(file, "bins");
    await gateway.until(({ devices }) => devices.filter(({ state }) => state === "listening").length === 31);
    const uplink = {
      deduplicationId: "u1",
      time: new Date().toISOString(),
      object: { distance: 812, position: "normal" },
    };
    publish("application/bins/device/7/event/up", "-m", JSON.stringify(uplink));
    publish("zigbee2mqtt/p9", "-m", '{"state":"ON","power":12.5}');
    const status = await gateway.until(
      ({ devices }) => devices.filter(({ state }) => state === "online").length === 2,
    );
    expect(status.devices.find(({ id }) => id === "bin-7")?.state).toBe("online");
    expect(await gateway.read("bin-7", "distance")).toMatchObject({ value: 0.812, status: "good" });
    publish("zigbee2mqtt/p9/availability", "-m", '{"state":"offline"}', "-r");
    const lost = await gateway.until(({ devices }) =>
      devices.some(({ id, state }) => id === "plug" && state === "lost"),
    );
    expect(lost.devices.find(({ id }) => id === "plug")).toMatchObject({ code: "hung-up" });
    await gateway.program.stop();
  });
});
