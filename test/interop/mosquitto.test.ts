import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { Ajv, type ValidateFunction } from "ajv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Bench, city, programPath, runProgram, twoDevices, type Gateway, type Program } from "./processes.ts";
import { Authority, brokerName, startBroker, type Broker, type Certificate } from "./tls.ts";

/** kerb's gateway before a broker and clients that know nothing of it, over TLS with client certificates. */

const programs = ["mosquitto", "mosquitto_sub", "mosquitto_pub", "openssl"].map(programPath);
const [mosquitto, mosquittoSub, mosquittoPub, openssl] = programs as [string, string, string, string];

const protocols = [
  { protocol: 5, option: "mqttv5" },
  { protocol: "3.1.1", option: "mqttv311" },
] as const;
type Protocol = (typeof protocols)[number];

interface Message {
  topic: string;
  payload: Buffer;
}

/** The JSON of a payload as an IOC without kerb's code would get at it. */
function jsonOf({ payload }: Message): unknown {
  expect(payload.subarray(0, 4).toString("hex")).toBe("28b52ffd");
  return JSON.parse(zstdDecompressSync(payload).toString("utf8"));
}

function validator(name: string): ValidateFunction {
  const text = readFileSync(new URL(`${name}.schema.json`, import.meta.url), "utf8");
  return new Ajv({ allErrors: true, strict: false }).compile(JSON.parse(text) as object);
}

const asCloudEvents = validator("cloudevents-batch");
const asColumnar = validator("columnar-batch");

function expectValid(validate: ValidateFunction, value: unknown): void {
  validate(value);
  expect(validate.errors ?? []).toEqual([]);
}

/** `mosquitto_sub` as the IOC. */
class Subscriber {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(stage: Stage, { option }: Protocol, topics: readonly string[]): Promise<Subscriber> {
    const filters = topics.flatMap((topic) => ["-t", `${city}/${topic}`]);
    // Bytes as hexadecimal digits: they are compressed.
    const output = ["-F", "%t %x", "-V", option, "-q", "1", "-d"];
    const program = stage.bench.start(
      "stdbuf",
      "-oL",
      mosquittoSub,
      ...stage.client(stage.ioc),
      ...output,
      ...filters,
    );
    await program.line((line) => line.startsWith("Subscribed"));
    return new Subscriber(program);
  }

  get messages(): Message[] {
    return this.#program.lines.flatMap((line) => {
      const [, topic, hex] = new RegExp(`^(${city}/\\S+) ([0-9a-f]*)$`).exec(line) ?? [];
      return topic === undefined ? [] : [{ topic, payload: Buffer.from(hex ?? "", "hex") }];
    });
  }

  /** The messages of a topic once there are `count` of them. */
  async on(topic: string, count: number): Promise<Message[]> {
    await this.#program.linesOf((line) => line.startsWith(`${city}/${topic} `), count);
    return this.messages.filter((message) => message.topic === `${city}/${topic}`);
  }
}

/** The broker, the pretend devices and the certificates that all tests of this file share. */
interface Stage {
  bench: Bench;
  broker: Broker;
  devices: Record<string, unknown>[];
  authority: Authority;
  stranger: Authority;
  ioc: Certificate;
  /** Options of mosquitto's clients for somebody with this certificate. */
  client(certificate: Certificate): string[];
}

async function openStage(): Promise<Stage> {
  const bench = new Bench();
  const authority = new Authority(openssl, bench.folder, "authority");
  const stranger = new Authority(openssl, bench.folder, "stranger");
  const broker = await startBroker(bench, mosquitto, authority);
  const devices = await twoDevices();
  await bench.simulate(bench.site("simulated", devices), devices.length);
  return {
    bench,
    broker,
    devices,
    authority,
    stranger,
    ioc: authority.issue("ioc"),
    client: ({ cert, key }) => {
      const place = ["-h", "127.0.0.1", "-p", String(broker.port)];
      return [...place, "--cafile", authority.ca, "--cert", cert, "--key", key];
    },
  };
}

function uplink(
  stage: Stage,
  more: Record<string, unknown>,
  tls: Record<string, unknown>,
): Record<string, unknown> {
  const url = `mqtts://127.0.0.1:${stage.broker.port}`;
  return {
    id: "ioc",
    type: "mqtt",
    url,
    reconnectMax: "1s",
    ...more,
    tls: { ca: stage.authority.ca, ...tls },
  };
}

async function runGateway(
  stage: Stage,
  id: string,
  more: Record<string, unknown>,
  certificate: Certificate,
): Promise<Gateway> {
  const file = stage.bench.site(id, stage.devices, [uplink(stage, more, { ...certificate })]);
  return stage.bench.run(file, id);
}

interface Columnar {
  gw: string;
  seq: number;
  n: number;
  lane: string;
  dict: string;
  t0: number;
  k: number[];
  p: number[];
  dt: number[];
  x: (number | null)[];
  skip?: number[];
}
interface DictionaryMessage {
  v: number;
  dict: string;
  devices: {
    id: string;
    type: string;
    profile: string;
    points: { index: number; name: string; unit: string }[];
  }[];
}

/** Decodes a batch by the contract's text alone: the values of each point of each device. */
function valuesOf(batch: Columnar, dictionary: DictionaryMessage): Map<string, number> {
  const meaning = new Map(
    dictionary.devices.flatMap(({ id, points }) =>
      points.map(({ index, name }) => [index, `${id} ${name}`] as const),
    ),
  );
  const values = new Map<string, number>();
  let index = 0;
  batch.p.forEach((delta, position) => {
    index += delta;
    const name = meaning.get(index);
    expect(name, `point ${index} is in the dictionary`).toBeDefined();
    const value = batch.x[position];
    if (typeof value === "number") values.set(name!, value);
  });
  return values;
}

/** At least three messages, and so many that both devices were read: who is first depends on the machine. */
async function untilHeight(take: (count: number) => Promise<Message[]>): Promise<Message[]> {
  for (let count = 3; ; count++) {
    const messages = await take(count);
    const said = messages.map((message) => JSON.stringify(jsonOf(message)));
    if (said.some((text) => text.includes("installationHeight"))) return messages;
  }
}

describe.skipIf(programs.includes(undefined))("mosquitto over TLS", { timeout: 90_000 }, () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  }, 60_000);
  afterAll(async () => {
    await stage?.bench.close();
  });

  test.each(protocols)("its subscriber reads columnar batches, MQTT $protocol", async (protocol) => {
    const id = `gw-columnar-${protocol.option}`;
    const subscriber = await Subscriber.start(stage, protocol, [
      `up/v1/${id}/live`,
      `dict/v1/${id}`,
      `st/v1/${id}`,
    ]);
    const gateway = await runGateway(
      stage,
      id,
      { ...protocol, option: undefined },
      stage.authority.issue(id),
    );
    const live = await subscriber.on(`up/v1/${id}/live`, 3);
    const [birth] = await subscriber.on(`st/v1/${id}`, 1);
    expect(JSON.parse(birth!.payload.toString("utf8"))).toMatchObject({ v: 1, online: true, custody: "C3" });
    const [message] = await subscriber.on(`dict/v1/${id}`, 1);
    const dictionary = jsonOf(message!) as DictionaryMessage;
    const { devices } = dictionary;
    expect(createHash("sha256").update(JSON.stringify(devices)).digest("hex").slice(0, 8)).toBe(
      dictionary.dict,
    );

    const seen = new Map<string, number>();
    for (const batch of live.map((one) => jsonOf(one) as Columnar)) {
      expectValid(asColumnar, batch);
      expect(batch).toMatchObject({ gw: id, lane: "live", dict: dictionary.dict });
      const readings = batch.k.reduce((sum, count) => sum + count, 0);
      expect([batch.k.length, batch.dt.length]).toEqual([batch.n, batch.n]);
      expect([batch.p.length, batch.x.length]).toEqual([readings, readings]);
      expect(Math.abs(batch.t0 - Date.now())).toBeLessThan(60_000);
      for (const [name, value] of valuesOf(batch, dictionary)) seen.set(name, value);
    }
    expect(seen.get("radar installationHeight")).toBe(4);
    expect(seen.get("meter voltage.L1")).toBeGreaterThan(200);
    expect(seen.get("meter voltage.L1")).toBeLessThan(250);
    await gateway.program.stop();
    expect(gateway.program.child.exitCode).toBe(0);
  });

  interface CloudEvent {
    id: string;
    source: string;
    type: string;
    sequence: string;
    dataschema: string;
    data: { measurements?: { property: string; value: unknown; unit: string }[] };
  }

  test.each(protocols)("its subscriber reads CloudEvents, MQTT $protocol", async (protocol) => {
    const id = `gw-cloud-${protocol.option}`;
    const subscriber = await Subscriber.start(stage, protocol, [`up/v1/${id}/#`]);
    const more = { ...protocol, option: undefined, encoding: "cloudevents" };
    const gateway = await runGateway(stage, id, more, stage.authority.issue(id));
    const messages = [
      ...(await untilHeight((count) => subscriber.on(`up/v1/${id}/live`, count))),
      ...(await subscriber.on(`up/v1/${id}/event`, 1)),
    ];
    const events = messages.flatMap((message) => {
      const batch = jsonOf(message) as CloudEvent[];
      expectValid(asCloudEvents, batch);
      return batch;
    });
    for (const event of events) {
      const [gw, , seq] = event.id.split(":");
      expect(gw).toBe(id);
      expect(Number(event.sequence)).toBe(Number(seq));
      expect(event.source).toMatch(new RegExp(`^urn:kerb:${city}:${id}:(meter|radar|${id})$`));
      expect(event.type).toBe(`kerb.${event.dataschema.split(":")[3]}.v1`);
    }
    // CloudEvents 1.0: source and id together are unique for each event.
    expect(new Set(events.map(({ source, id: eventId }) => `${source} ${eventId}`)).size).toBe(events.length);
    expect(events.map(({ type }) => type)).toContain("kerb.device-status.v1");
    const measurements = events.flatMap(({ data }) => data.measurements ?? []);
    expect(measurements).toContainEqual(
      expect.objectContaining({ property: "installationHeight", value: 4, unit: "m" }),
    );
    await gateway.program.stop();
  });

  test("its schema says no to what is no event", () => {
    const event = {
      specversion: "1.0",
      id: "gw-1:1:2",
      source: "urn:kerb:hcmc:gw-1:meter",
      type: "kerb.telemetry.v1",
      time: "2026-01-02T03:04:05.678Z",
      recordedtime: "2026-01-02T03:04:05.700Z",
      sequence: "00000000000000000002",
      datacontenttype: "application/json",
      dataschema: "urn:kerb:schema:telemetry:1",
      data: {
        clock: "synced",
        measurements: [{ property: "a", value: 1, unit: "V", quality: { status: "good" } }],
      },
    };
    expect(asCloudEvents([event])).toBe(true);
    for (const key of Object.keys(event)) {
      const { [key as "id"]: _, ...rest } = event;
      expect(asCloudEvents([rest]), `without ${key}`).toBe(false);
    }
    const bad = { property: "a", value: null, unit: "V", quality: { status: "good" } };
    expect(asCloudEvents([{ ...event, data: { clock: "synced", measurements: [bad] } }])).toBe(false);
    expect(asCloudEvents(event)).toBe(false);
    expect(asColumnar({ v: 1, gw: "gw-1" })).toBe(false);
  });

  test("without the right certificates nothing connects, each cause is said once, and events wait", async () => {
    const id = "gw-locked-out";
    const { authority, stranger, bench, devices } = stage;
    const own = authority.issue(id);
    const foreign = stranger.issue(id);
    const causes: Record<string, { tls: Record<string, unknown>; says: RegExp }> = {
      "wrong-ca": {
        tls: { ...own, ca: stranger.ca },
        says: /self-signed|unable to (get|verify)|certificate/i,
      },
      "wrong-name": {
        tls: { ...own, serverName: "other.kerb.test" },
        says: /altnames|hostname|does not match/i,
      },
      "no-certificate": { tls: {}, says: /certificate/i },
      "foreign-certificate": { tls: { ...foreign }, says: /unknown ca|certificate/i },
    };
    const links = Object.entries(causes).map(([name, { tls }]) => uplink(stage, { id: name }, tls));
    const gateway = await bench.run(bench.site(id, devices, links), id);
    const first = await gateway.until(
      (status) => status.outbox.rows > 0 && status.uplinks.every(({ reason }) => reason !== undefined),
    );
    // Four attempts of each: the cause is not said again.
    const later = await gateway.until(
      ({ outbox, uplinks }) =>
        outbox.rows >= first.outbox.rows + 10 && uplinks.every(({ session }) => session >= 4),
    );
    expect(gateway.program.isRunning).toBe(true);
    expect(later.uplinks.map(({ state }) => state)).not.toContain("connected");
    expect(Object.values(later.outbox.books).map(({ delivered, dropped }) => delivered + dropped)).toEqual([
      0, 0,
    ]);
    for (const [name, { says }] of Object.entries(causes)) {
      const lines = gateway.log(40).filter((line) => line.uplink === name);
      expect(lines, name).toHaveLength(1);
      expect(lines[0]?.msg, name).toMatch(says);
    }
    // A technician reads this: the cause, and not where in OpenSSL it was found.
    expect(gateway.log(40).filter(({ msg }) => /SSL routines|deps\/openssl/.test(msg))).toEqual([]);
    await gateway.program.stop();
    expect(gateway.program.child.exitCode).toBe(0);
  });

  test("the name in the broker's certificate may be said instead of its address", async () => {
    const id = "gw-named";
    const tls = { ...stage.authority.issue(id), serverName: brokerName };
    const gateway = await stage.bench.run(stage.bench.site(id, stage.devices, [uplink(stage, {}, tls)]), id);
    await gateway.until(({ uplinks }) => uplinks[0]?.state === "connected");
    await gateway.program.stop();
  });

  test.each(protocols)(
    "a gateway cannot publish under the name of another, MQTT $protocol",
    async (protocol) => {
      const [a, b] = [`gw-a-${protocol.option}`, `gw-b-${protocol.option}`];
      const certificate = stage.authority.issue(a);
      const subscriber = await Subscriber.start(stage, protocol, ["#"]);
      // The whole gateway, with the id of another than its certificate names.
      const gateway = await runGateway(stage, b, { ...protocol, option: undefined }, certificate);
      await gateway.until(({ outbox }) => (outbox.uplinks["ioc"]?.batches ?? 0) > 2);
      // And a foreign client with the same certificate: under B, then under A.
      const publish = (topic: string): void => {
        const what = ["-V", protocol.option, "-q", "1", "-t", `${city}/${topic}`, "-m", "hello"];
        runProgram(mosquittoPub, ...stage.client(certificate), ...what);
      };
      try {
        publish(`up/v1/${b}/live`);
      } catch (error) {
        // On MQTT 5 the client learns that it was refused; on 3.1.1 it does not.
        expect(protocol.protocol).toBe(5);
        expect(String(error)).toMatch(/not authori[sz]ed/i);
      }
      publish(`up/v1/${a}/live`);
      const [hello] = await subscriber.on(`up/v1/${a}/live`, 1);
      expect(hello!.payload.toString("utf8")).toBe("hello");
      // What was sent before "hello" and let through would stand before it.
      expect(subscriber.messages.map(({ topic }) => topic).filter((topic) => topic.includes(b))).toEqual([]);
      // Nothing refused is counted as delivered.
      const { outbox } = await gateway.status();
      expect(outbox.rows).toBeGreaterThan(0);
      expect(Object.values(outbox.books).map(({ delivered }) => delivered)).toEqual([0, 0]);
      await gateway.program.stop();
    },
  );
});
