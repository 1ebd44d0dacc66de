import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "node:tls";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Broker } from "./broker.ts";
import { Inbox, rawClient, testBroker, testClient } from "./test-client.ts";

const run = promisify(execFile);

function installed(program: string): boolean {
  const found = spawnSync(program, ["--help"]).error === undefined;
  if (!found) console.warn(`skipped: ${program} is not installed`);
  return found;
}

const haveMosquitto = installed("mosquitto_pub") && installed("mosquitto_sub");
const haveOpenssl = installed("openssl");

interface Listener {
  readonly process: ChildProcess;
  /** Lines of the payloads, once the process has ended. */
  readonly lines: Promise<string[]>;
}

/** A mosquitto_sub that has its SUBACK. */
async function mosquittoSub(broker: Broker, parameters: string[]): Promise<Listener> {
  // mosquitto_sub says "Subscribed" through a buffer that it never flushes into a pipe.
  const child = spawn(
    "stdbuf",
    ["-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", `${broker.port}`, "-d", "-W", "10", ...parameters],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const lines: string[] = [];
  const output = createInterface(child.stdout);
  const subscribed = new Promise<void>((resolve) => {
    output.on("line", (line) => {
      if (line.startsWith("Subscribed")) resolve();
      else if (line.startsWith("got ")) lines.push(line);
    });
  });
  const ended = once(child, "close").then(() => lines);
  await Promise.race([subscribed, ended]);
  return { process: child, lines: ended };
}

function mosquittoPub(broker: Broker, parameters: string[]): Promise<unknown> {
  return run("mosquitto_pub", ["-h", "127.0.0.1", "-p", `${broker.port}`, ...parameters]);
}

describe.skipIf(!haveMosquitto).each(["mqttv311", "mqttv5"])("mosquitto's clients, %s", (version) => {
  it.each([0, 1, 2])("publish and subscribe at QoS %i", async (qos) => {
    const broker = await testBroker();
    const filter = ["-t", "hue/+/v1/#", "-q", `${qos}`];
    const listener = await mosquittoSub(broker, ["-V", version, ...filter, "-C", "3", "-F", "got %t %q %p"]);
    for (const topic of ["hue/up/v1", "hue/up/v1/gw-1/live"]) {
      await mosquittoPub(broker, ["-V", version, "-t", topic, "-q", `${qos}`, "-m", "xin chào"]);
    }
    const client = await testClient(broker, { protocolVersion: 5 });
    await client.publishAsync("hue/st/v1/gw-1", "from mqtt.js", { qos: 1 });
    const granted = Math.min(qos, 1);
    expect(await listener.lines).toEqual([
      `got hue/up/v1 ${granted} xin chào`,
      `got hue/up/v1/gw-1/live ${granted} xin chào`,
      `got hue/st/v1/gw-1 ${granted} from mqtt.js`,
    ]);
  });

  it("keep sessions, wills and retained messages", async () => {
    const broker = await testBroker();
    const watcher = await testClient(broker, { protocolVersion: 4 });
    const inbox = new Inbox(watcher);
    await watcher.subscribeAsync("will/+", { qos: 1 });
    const session = ["-V", version, "-i", "gw-1", "-c", "-t", "cmd/#", "-q", "1", "-F", "got %t %r %p"];
    if (version === "mqttv5") session.push("-x", "300");
    const will = ["--will-topic", "will/gw-1", "--will-payload", "gone", "--will-qos", "1"];
    const first = await mosquittoSub(broker, [...session, ...will]);
    first.process.kill("SIGKILL");
    await inbox.atLeast(1);
    expect(inbox.texts).toEqual(["will/gw-1=gone"]);
    await mosquittoPub(broker, ["-V", version, "-t", "cmd/a", "-q", "1", "-m", "queued"]);
    await mosquittoPub(broker, ["-V", version, "-t", "cmd/b", "-q", "1", "-r", "-m", "kept"]);
    const second = await mosquittoSub(broker, [...session, "-C", "3"]);
    expect((await second.lines).sort()).toEqual([
      "got cmd/a 0 queued",
      "got cmd/b 0 kept",
      "got cmd/b 1 kept",
    ]);
  });
});

describe.skipIf(!haveMosquitto)("mosquitto's clients on MQTT 5", () => {
  it("pass on and receive the properties of a message", async () => {
    const broker = await testBroker();
    const format = "got %t %C %D %E %R %P %p";
    const listener = await mosquittoSub(broker, ["-V", "5", "-t", "cmd", "-q", "1", "-C", "1", "-F", format]);
    const properties = [
      ["content-type", "application/json"],
      ["correlation-data", "id-1"],
      ["message-expiry-interval", "60"],
      ["response-topic", "rsp/1"],
    ].flatMap(([name, value]) => ["-D", "publish", name ?? "", value ?? ""]);
    const user = ["-D", "publish", "user-property", "city", "hue"];
    await mosquittoPub(broker, ["-V", "5", "-t", "cmd", "-q", "1", "-m", "{}", ...properties, ...user]);
    expect(await listener.lines).toEqual(["got cmd application/json id-1 60 rsp/1 city:hue {}"]);
  });
});

describe.skipIf(!haveOpenssl)("TLS", () => {
  let folder = "";
  const read = (name: string): Promise<string> => readFile(join(folder, name), "utf8");

  /** A key and a certificate for `name`, signed by the CA `issuer`. */
  async function certificate(name: string, issuer: string): Promise<void> {
    const openssl = (parameters: string): Promise<unknown> =>
      run("openssl", parameters.split(" "), { cwd: folder });
    await openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`,
    );
    await writeFile(join(folder, `${name}.ext`), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    await openssl(
      `x509 -req -in ${name}.csr -CA ${issuer}.crt -CAkey ${issuer}.key -CAcreateserial -days 2 -extfile ${name}.ext -out ${name}.crt`,
    );
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kerb-broker-"));
    for (const issuer of ["ca", "other-ca"]) {
      const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ${issuer}.key -out ${issuer}.crt -subj /CN=${issuer}`;
      await run("openssl", request.split(" "), { cwd: folder });
    }
    await certificate("server", "ca");
    await certificate("gw-1", "ca");
    await certificate("stranger", "other-ca");
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function tlsBroker(): Promise<Broker> {
    const tls = { key: await read("server.key"), cert: await read("server.crt"), ca: await read("ca.crt") };
    return testBroker({ tls: { ...tls, requestClientCertificate: true } });
  }

  async function enter(broker: Broker, name: string): Promise<Inbox> {
    const client = await testClient(broker, {
      protocolVersion: 5,
      ca: await read("ca.crt"),
      key: await read(`${name}.key`),
      cert: await read(`${name}.crt`),
    });
    const inbox = new Inbox(client);
    await client.subscribeAsync("a", { qos: 1 });
    await client.publishAsync("a", Buffer.alloc(64_000), { qos: 1 });
    await inbox.atLeast(1);
    return inbox;
  }

  it("lets in clients with a certificate of its CA and nobody else", async () => {
    const broker = await tlsBroker();
    expect(broker.url).toBe(`mqtts://127.0.0.1:${broker.port}`);
    await enter(broker, "gw-1");
    await expect(enter(broker, "stranger")).rejects.toThrow();
    await expect(testClient(broker, { ca: await read("ca.crt") })).rejects.toThrow();
    const plain = await rawClient(broker, { protocolVersion: 5 });
    await plain.closed();
    expect(plain.packets).toEqual([]);
    expect(broker.counts.connections).toBe(1);
  });

  it("stalls before and after the handshake, and closes with handshakes under way", async () => {
    const broker = await tlsBroker();
    const client = await testClient(broker, {
      ca: await read("ca.crt"),
      key: await read("gw-1.key"),
      cert: await read("gw-1.crt"),
    });
    broker.fault({ kind: "stall" });
    const publish = client.publishAsync("a", "1", { qos: 1 });
    const late = enter(broker, "gw-1");
    const handshake = connect({ port: broker.port, host: "127.0.0.1", rejectUnauthorized: false });
    // It has no certificate: with TLS 1.3 the refusal comes after the handshake.
    handshake.on("error", () => {});
    const secured = once(handshake, "secureConnect");
    const { published } = broker.counts;
    expect(await Promise.race([secured, delay(300, "silent")])).toBe("silent");
    expect(broker.counts).toMatchObject({ published, connections: 1 });
    broker.fault(undefined);
    await Promise.all([publish, late, secured]);
    handshake.destroy();
    await rawClient(broker);
    await broker.close();
  });

  it.skipIf(!haveMosquitto)("is spoken by mosquitto's clients", async () => {
    const broker = await tlsBroker();
    const tls = ["--cafile", "ca.crt", "--cert", "gw-1.crt", "--key", "gw-1.key"].map((part) =>
      part.startsWith("--") ? part : join(folder, part),
    );
    const listener = await mosquittoSub(broker, ["-V", "5", "-t", "a", "-C", "1", "-F", "got %p", ...tls]);
    await mosquittoPub(broker, ["-V", "311", "-t", "a", "-m", "safe", ...tls]);
    expect(await listener.lines).toEqual(["got safe"]);
  });
});
