import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Acknowledgement } from "../../receiver/acknowledge.ts";
import type { EventPage } from "../../receiver/archive.ts";
import {
  batch,
  birthMessage,
  city,
  dictionaryMessage,
  kill,
  mosquittoPath,
  numbers,
  startBroker,
  temporaryFolder,
  TestClient,
  type Broker,
} from "../../receiver/testing.ts";
import type { ReceiveOptions } from "./receive.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const ackTopic = `${city}/ack/v1/gw-1`;
const hostTopic = `${city}/host/v1/ioc`;

let folder: ReturnType<typeof temporaryFolder>;
let broker: Broker | undefined;
let client: TestClient | undefined;
const children: Child[] = [];

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await client?.end();
  for (const child of children.splice(0)) await kill(child.process);
  await broker?.kill();
  client = broker = undefined;
  folder.remove();
});

/** `kerb receive` in a process of its own. */
class Child {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  errors = "";
  #wake: (() => void)[] = [];

  constructor(options: Partial<ReceiveOptions>, language = "en_GB.UTF-8") {
    const all = {
      city,
      name: "ioc",
      database: folder.file,
      listen: "127.0.0.1:0",
      ackIntervalMs: 40,
      json: true,
      ...options,
    };
    const module = JSON.stringify(new URL("receive.ts", import.meta.url).href);
    const script = `const { receive } = await import(${module}); process.exit(await receive(${JSON.stringify(all)}));`;
    this.process = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, LC_ALL: language },
    });
    children.push(this);
    const wake = (): void => {
      for (const one of this.#wake.splice(0)) one();
    };
    if (this.process.stdout !== null) {
      createInterface({ input: this.process.stdout }).on("line", (line) => {
        this.lines.push(line);
        wake();
      });
    }
    this.process.stderr?.on("data", (data: Buffer) => (this.errors += data.toString("utf8")));
    this.process.on("exit", wake);
  }

  /** The first line that fits, printed or to come. */
  async line(fits: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.lines.find(fits);
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`ended: ${this.errors}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Connected to the broker; gives the URL of the HTTP API. */
  async ready(): Promise<string> {
    const started = JSON.parse(await this.line((line) => line.includes('"started"'))) as { url: string };
    await this.line((line) => line.includes('"connected"'));
    return started.url;
  }
}

const outboxMax = 2000;

/** A gateway that trims its outbox at the watermark, and only there. */
class TrimmingGateway {
  /** Ascending numbers of events that the receiver has not covered. */
  #outbox: number[] = [];
  /** What the first acknowledgement of a receiver's run did not cover. */
  #again: number[] = [];
  #run = "";
  last = 0;
  watermark = 0;
  stepsBack = 0;
  sent = 0;
  /** Called in the moment in which an acknowledgement has moved the watermark. */
  moved: (() => void) | undefined;
  readonly #client: TestClient;

  constructor(mqttClient: TestClient) {
    this.#client = mqttClient;
    mqttClient.client.on("message", (topic, payload) => {
      if (topic !== ackTopic) return;
      const document = JSON.parse(payload.toString("utf8")) as Acknowledgement;
      const state = document.ep["37"];
      if (state === undefined || !("top" in state)) return;
      if (state.wm < this.watermark) this.stepsBack++;
      const news = state.wm !== this.watermark;
      this.watermark = Math.max(this.watermark, state.wm);
      this.#outbox = this.#outbox.filter((seq) => seq > this.watermark);
      if (document.run !== this.#run) {
        this.#run = document.run;
        const { top, miss } = state;
        this.#again = this.#outbox.filter(
          (seq) => seq > top || miss.some(([from, to]) => seq >= from && seq <= to),
        );
      }
      if (news) this.moved?.();
    });
  }

  /** New events, and some of the old ones in other cuts, until `enough`. */
  async produce(enough: AbortSignal): Promise<void> {
    while (!enough.aborted) {
      // A slow machine must not have more to list in the end than a fast one.
      if (this.#outbox.length > outboxMax) await new Promise((resolve) => setTimeout(resolve, 5));
      const size = 1 + Math.floor(Math.random() * 20);
      if (this.#again.length > 0) await this.#send(this.#again.splice(0, 100));
      else if (this.#outbox.length > outboxMax || (this.#outbox.length > 0 && Math.random() < 0.3)) {
        const start = Math.floor(Math.random() * this.#outbox.length);
        await this.#send(this.#outbox.slice(start, start + size));
      } else {
        const events = numbers(this.last + 1, this.last + size);
        this.last += size;
        this.#outbox.push(...events);
        await this.#send(events);
      }
    }
  }

  /** What is left, again and again, until the outbox is empty or `patience` is at its end. */
  async drain(patience: AbortSignal): Promise<void> {
    while (this.#outbox.length > 0 && !patience.aborted) {
      const rows = [...this.#outbox];
      while (rows.length > 0 && this.#outbox.length > 0) await this.#send(rows.splice(0, 100));
    }
  }

  async #send(events: number[]): Promise<void> {
    this.sent += events.length;
    const lane = Math.random() < 0.3 ? "fill" : "live";
    await this.#client.publish(`${city}/up/v1/gw-1/${lane}`, batch(events, { lane }));
  }
}

async function eventsOf(url: string): Promise<number[]> {
  const seqs: number[] = [];
  let query = "";
  for (;;) {
    const page = (await (await fetch(`${url}/gateways/gw-1/events?limit=1000${query}`)).json()) as EventPage;
    expect(page.undecoded).toEqual([]);
    for (const event of page.events) seqs.push(event.seq);
    if (page.next === null) return seqs;
    query = `&epoch=${page.next.epoch}&after=${page.next.after}`;
  }
}

describe("kerb receive", () => {
  it.skipIf(mosquittoPath === undefined)(
    "loses nothing that a watermark covered when it is killed under load, and stores it once",
    async () => {
      broker = await startBroker(folder.path);
      client = await TestClient.connect(broker.url, [ackTopic, hostTopic]);
      const gateway = new TrimmingGateway(client);
      await client.publish(`${city}/dict/v1/gw-1`, dictionaryMessage(), { retain: true });
      await client.publish(`${city}/st/v1/gw-1`, birthMessage(1, 37), { retain: true });
      let child = new Child({ broker: broker.url });
      await child.ready();
      const enough = new AbortController();
      const producing = gateway.produce(enough.signal);
      for (let kills = 0; kills < 5 && gateway.stepsBack === 0; kills++) {
        // In the very moment in which the gateway has deleted rows: what was not on disk by then is lost.
        let left = 1 + Math.floor(Math.random() * 3);
        const { promise: killed, resolve } = Promise.withResolvers<void>();
        gateway.moved = () => {
          if (--left > 0) return;
          gateway.moved = undefined;
          void kill(child.process).then(resolve);
        };
        await killed;
        await client.next<{ online: boolean }>(hostTopic, (host) => !host.online);
        child = new Child({ broker: broker.url });
        await child.ready();
      }
      enough.abort();
      await producing;
      await gateway.drain(AbortSignal.timeout(gateway.stepsBack === 0 ? 60_000 : 1));
      expect(gateway.stepsBack).toBe(0);
      expect(gateway.watermark).toBe(gateway.last);
      const url = await child.ready();
      expect(await eventsOf(url)).toEqual(numbers(1, gateway.last));
      const { gateways } = (await (await fetch(`${url}/gateways`)).json()) as {
        gateways: Record<string, unknown>[];
      };
      expect(gateways).toMatchObject([
        { id: "gw-1", online: true, session: 1, eventsStored: gateway.last, rejected: 0 },
      ]);
      expect(gateway.sent).toBeGreaterThan(gateway.last);
    },
    // What it lists in the end is as much as the machine can send between the kills.
    240_000,
  );

  it.skipIf(mosquittoPath === undefined)(
    "prints one line for each change of state, and a summary when it is stopped",
    async () => {
      broker = await startBroker(folder.path);
      const child = new Child({ broker: broker.url, json: false });
      await child.line((line) => line.includes("connected to mqtt://"));
      client = await TestClient.connect(broker.url, [hostTopic]);
      await client.publish(`${city}/st/v1/gw-1`, birthMessage(3, 37));
      await client.publish(`${city}/up/v1/gw-1/live`, batch([1, 2, 4]));
      await client.publish(`${city}/up/v1/gw-1/live`, Buffer.from("?"));
      await client.publish(`${city}/st/v1/gw-1`, Buffer.from('{"v":1,"online":false,"sess":3}'));
      await child.line((line) => line.endsWith("gw-1 is offline"));
      const exit = once(child.process, "exit");
      child.process.kill("SIGTERM");
      expect(await exit).toEqual([0, null]);
      await client.next<{ online: boolean }>(hostTopic, (host) => !host.online);
      const texts = child.lines.map((line) => line.replace(/^\S+Z /, ""));
      expect(texts).toEqual([
        expect.stringMatching(
          /^receiving for hcmc into .*receiver\.db, HTTP API at http:\/\/127\.0\.0\.1:\d+$/,
        ) as string,
        `connected to ${broker.url}`,
        "gw-1 is heard for the first time",
        "gw-1 is online (session 3, epoch 37)",
        expect.stringMatching(/^gw-1: a message of lane live was rejected: .* \(1 in all\)$/) as string,
        "gw-1 is offline",
        "stopped by SIGTERM: 1 gateway, 3 events stored, 1 missing, 0 duplicates dropped, 1 message rejected",
      ]);
    },
  );

  it.skipIf(mosquittoPath === undefined).for([
    [
      "en_GB.UTF-8",
      ["gw-1 is heard for the first time", "received within 1 s: gw-1 3 events", "nothing came within 1 s"],
    ],
    [
      "vi_VN.UTF-8",
      ["lần đầu nghe thấy gw-1", "đã nhận trong 1 giây: gw-1 3 sự kiện", "không nhận được gì trong 1 giây"],
    ],
  ] as const)("says what came in a period, and once that nothing came: %s", async ([language, said]) => {
    broker = await startBroker(folder.path);
    const child = new Child({ broker: broker.url, json: false, summaryMs: 1000 }, language);
    await child.line((line) => line.includes(` ${broker?.url}`));
    client = await TestClient.connect(broker.url, [hostTopic]);
    await client.publish(`${city}/up/v1/gw-1/live`, batch([1, 2, 4]));
    for (const text of said) await child.line((line) => line.endsWith(`Z ${text}`));
    await kill(child.process);
    const machine = new Child({ broker: broker.url, summaryMs: 1000 }, language);
    await machine.ready();
    await client.publish(`${city}/up/v1/gw-1/live`, batch([5, 6]));
    const line = await machine.line((one) => one.includes('"received"') && !one.includes('"events":0'));
    expect(JSON.parse(line)).toMatchObject({ kind: "received", events: 2, gateways: { "gw-1": 2 } });
    expect(line).toContain('"text":"received within 1 s: gw-1 2 events"');
    expect(line).not.toContain("said");
  });

  it("names the port that is taken, and how to see who has it", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const given = { broker: "mqtt://127.0.0.1:1", listen: `127.0.0.1:${port}` };
    for (const [language, cure] of [
      ["en_GB.UTF-8", "  do "],
      ["vi_VN.UTF-8", "  cách xử lý "],
    ] as const) {
      const child = new Child(given, language);
      const [code] = (await once(child.process, "close")) as [number];
      expect(code, child.errors).toBe(78);
      expect(child.errors).toContain(`127.0.0.1:${port}`);
      expect(child.errors).toContain(cure);
      expect(child.errors).toMatch(new RegExp(`ss -ltnp 'sport = :${port}'.*--listen`));
    }
    server.close();
  });

  it("ends with 78 and a sentence when something cannot be used", async () => {
    writeFileSync(folder.file, "not a database ".repeat(100));
    const nobody = "mqtt://127.0.0.1:1";
    const cases: [Partial<ReceiveOptions>, RegExp][] = [
      [{ broker: nobody }, /damaged or not a kerb database/],
      [{ broker: "127.0.0.1:1883" }, /not a broker; write it as mqtts:\/\//],
      [{ broker: nobody, city: "HCMC" }, /"HCMC" is not a city/],
      [{ broker: nobody, database: `${folder.path}/ok.db`, listen: "8480" }, /not an address to listen on/],
      [{ broker: nobody, database: `${folder.path}/ok.db`, ca: `${folder.path}/absent.pem` }, /absent\.pem/],
    ];
    for (const [options, sentence] of cases) {
      const child = new Child(options);
      const [code] = (await once(child.process, "close")) as [number];
      expect(code, child.errors).toBe(78);
      expect(child.errors).toMatch(sentence);
      expect(child.errors).not.toContain("    at ");
    }
  });
});
