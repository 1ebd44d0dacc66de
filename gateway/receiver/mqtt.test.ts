import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { Acknowledgement } from "./acknowledge.ts";
import { BrokerLink, type BrokerOptions } from "./mqtt.ts";
import type { Change } from "./change.ts";
import { Receiver, type ReceiverOptions } from "./receiver.ts";
import { brokered } from "./test-broker.ts";
import {
  batch,
  birthMessage,
  city,
  dictionaryMessage,
  mosquittoPath,
  numbers,
  sealMessage,
  TestClient,
} from "./testing.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const ack = (gateway: string) => `${city}/ack/v1/${gateway}`;
const up = (gateway: string, lane: string) => `${city}/up/v1/${gateway}/${lane}`;

const { folder, broker, onEnd } = brokered();

/** A receiver on a broker; `until` resolves at the next change of a kind. */
function receive(
  url: string,
  options: Partial<BrokerOptions> = {},
  receiverOptions: Partial<ReceiverOptions> = {},
): {
  receiver: Receiver;
  link: BrokerLink;
  changes: Change[];
  until: (kind: Change["kind"]) => Promise<Change>;
} {
  const changes: Change[] = [];
  const waiting: { kind: Change["kind"]; resolve: (change: Change) => void }[] = [];
  const log = (change: Change): void => {
    changes.push(change);
    for (const one of waiting.splice(0)) {
      if (one.kind === change.kind) one.resolve(change);
      else waiting.push(one);
    }
  };
  const until = (kind: Change["kind"]) => new Promise<Change>((resolve) => waiting.push({ kind, resolve }));
  const receiver = new Receiver({ database: folder().file, log, ackIntervalMs: 60, ...receiverOptions });
  const link = new BrokerLink(receiver, {
    broker: url,
    city,
    name: "ioc",
    retryFirstMs: 40,
    retryMaxMs: 200,
    log,
    ...options,
  });
  onEnd(async () => {
    await link.close();
    receiver.close();
  });
  return { receiver, link, changes, until };
}

async function client(url: string, topics: string[], options = {}): Promise<TestClient> {
  const connected = await TestClient.connect(url, topics, options);
  onEnd(() => connected.end());
  return connected;
}

/** A way to the broker that can be shut; the broker keeps the session. */
async function gateTo(port: number): Promise<{ url: string; shut: () => void; open: () => void }> {
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((near) => {
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {}).on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const shut = () => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  onEnd(() => {
    shut();
    server.close();
  });
  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    shut,
    open: () => (isOpen = true),
  };
}

describe.skipIf(mosquittoPath === undefined)("BrokerLink with mosquitto", () => {
  for (const protocol of ["5", "3.1.1"] as const) {
    it(`takes all lanes, births and dictionaries and acknowledges (MQTT ${protocol})`, async () => {
      const { url } = await broker();
      const { receiver, link, until } = receive(url, { protocol });
      const connected = until("connected");
      link.open();
      await connected;
      const gateway = await client(url, [ack("gw-1"), `${city}/host/v1/+`]);
      await gateway.next<{ online: boolean }>(`${city}/host/v1/ioc`, (host) => host.online);
      const dictionaryTopic = `${city}/dict/v1/gw-1`;
      await gateway.publish(dictionaryTopic, dictionaryMessage(), { retain: true });
      await gateway.publish(`${city}/st/v1/gw-1`, birthMessage(4711, 37, [[36, 2]]), { retain: true });
      const answer = await gateway.next<Acknowledgement>(ack("gw-1"), (document) => document.sess === 4711);
      expect(answer).toMatchObject({
        v: 1,
        run: receiver.run,
        ep: { 36: { wm: 0, top: 2, miss: [[1, 2]] }, 37: { wm: 0 } },
      });
      await gateway.publish(up("gw-1", "event"), batch([1], { lane: "event" }));
      await gateway.publish(up("gw-1", "live"), batch([2, 3]));
      await gateway.publish(up("gw-1", "fill"), batch([1, 2], { epoch: 36, lane: "fill" }));
      await gateway.publish(up("gw-1", "seal"), sealMessage(37, 1, 4, [[4, 4, "evicted"]]));
      await gateway.next<Acknowledgement>(
        ack("gw-1"),
        ({ ep }) => ep["37"]?.wm === 4 && "closed" in (ep["36"] ?? {}),
      );
      expect(receiver.events("gw-1", { epoch: 0, after: 0 }, 10).events).toHaveLength(5);
      // The acknowledgement is retained: a gateway that comes later reads it at once.
      const late = await client(url, [ack("gw-1")]);
      expect(await late.next<Acknowledgement>(ack("gw-1"), () => true)).toMatchObject({ sess: 4711 });
      expect(late.retained(ack("gw-1"))).toBe(true);
      await link.close();
      await gateway.next<{ online: boolean }>(`${city}/host/v1/ioc`, (host) => !host.online);
    });
  }

  it("asks a broker that kept its session for what is retained only where it may have missed some", async () => {
    const server = await broker();
    const gate = await gateTo(Number(new URL(server.url).port));
    const { receiver, link, until } = receive(gate.url);
    const taken = vi.spyOn(receiver, "dictionary");
    const begun = vi.spyOn(receiver, "start");
    const again = async () => {
      const lost = until("lost");
      gate.shut();
      await lost;
      const connected = until("connected");
      gate.open();
      await connected;
    };
    const connected = until("connected");
    link.open();
    await connected;
    const gateway = await client(server.url, [ack("gw-1")]);
    await gateway.publish(`${city}/dict/v1/gw-1`, dictionaryMessage(), { retain: true });
    await expect.poll(() => taken.mock.calls.length).toBe(1);
    await again();
    await gateway.publish(up("gw-1", "live"), batch([1]));
    await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 1);
    expect(taken).toHaveBeenCalledTimes(1);
    receiver.hasMissed = true;
    await again();
    await expect.poll(() => taken.mock.calls.length).toBe(2);
    expect(receiver.hasMissed).toBe(false);
    // The store is well again while the link stands.
    receiver.hasMissed = true;
    begun.mock.lastCall?.[1]?.();
    await expect.poll(() => taken.mock.calls.length).toBe(3);
    expect(receiver.hasMissed).toBe(false);
    // It fails anew before the broker has answered.
    begun.mock.lastCall?.[1]?.();
    receiver.hasMissed = true;
    await expect.poll(() => taken.mock.calls.length).toBe(4);
    await gateway.publish(up("gw-1", "live"), batch([2]));
    await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 2);
    expect(receiver.hasMissed).toBe(true);
  });

  it("lists a hole only when it has aged, and sees it filled", async () => {
    const { url } = await broker();
    const { link, until } = receive(url, {}, { holeAgeMs: 300 });
    const connected = until("connected");
    link.open();
    await connected;
    const gateway = await client(url, [ack("gw-1")]);
    await gateway.publish(up("gw-1", "live"), batch(numbers(1, 120)));
    await gateway.publish(up("gw-1", "live"), batch(numbers(140, 180)));
    const bornMs = performance.now();
    const young = await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 120);
    expect(young.ep["37"]).toEqual({ wm: 120, top: 120, miss: [] });
    const old = await gateway.next<Acknowledgement>(
      ack("gw-1"),
      ({ ep }) => "top" in (ep["37"] ?? {}) && (ep["37"] as { top: number }).top === 180,
    );
    expect(old.ep["37"]).toEqual({ wm: 120, top: 180, miss: [[121, 139]] });
    expect(performance.now() - bornMs).toBeGreaterThan(250);
    await gateway.publish(up("gw-1", "fill"), batch(numbers(121, 139), { lane: "fill" }));
    await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 180);
  });

  it("comes back when the broker was killed, and subscribes anew", async () => {
    const server = await broker();
    const { link, until } = receive(server.url);
    const connected = until("connected");
    link.open();
    await connected;
    for (let round = 1; round <= 2; round++) {
      const lost = until("lost");
      await server.kill();
      expect((await lost).text).toContain("lost mqtt://127.0.0.1");
      expect(link.connected).toBe(false);
      const again = until("connected");
      await server.restart();
      await again;
      const gateway = await client(server.url, [ack("gw-1")]);
      await gateway.publish(up("gw-1", "live"), batch([round]));
      await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === round);
      await gateway.end();
    }
  });

  it("gets what came while it was away, and has a new run", async () => {
    const { url } = await broker();
    const first = receive(url);
    const connected = first.until("connected");
    first.link.open();
    await connected;
    const gateway = await client(url, [`${city}/host/v1/ioc`, ack("gw-1")]);
    await gateway.publish(up("gw-1", "live"), batch([1]));
    await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 1);
    await first.link.close();
    first.receiver.close();
    await gateway.publish(up("gw-1", "live"), batch([2, 3]));
    const second = receive(url);
    second.link.open();
    const document = await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 3);
    expect(document.run).toBe(second.receiver.run);
    expect(document.run).not.toBe(first.receiver.run);
  });

  it("goes on after garbage on every topic", async () => {
    const { url } = await broker();
    const { receiver, link, until } = receive(url);
    const connected = until("connected");
    link.open();
    await connected;
    const gateway = await client(url, [ack("gw-1")]);
    const topics = [
      up("gw-1", "live"),
      up("gw-1", "seal"),
      up("GW!", "live"),
      `${city}/st/v1/gw-1`,
      `${city}/dict/v1/gw-1`,
    ];
    for (const topic of topics) {
      for (const payload of ["", "\0\x01\x02", '{"v":1}', "[[]]", "null"])
        await gateway.publish(topic, Buffer.from(payload));
    }
    await gateway.publish(up("gw-1", "live"), batch([1], { gateway: "gw-2" }));
    await gateway.publish(up("gw-1", "live"), batch([1]));
    await gateway.next<Acknowledgement>(ack("gw-1"), ({ ep }) => ep["37"]?.wm === 1);
    expect(receiver.summaries("", 10)).toMatchObject([{ id: "gw-1", eventsStored: 1, rejected: 19 }]);
  });

  it("speaks mqtts with a certificate of its own, and not without", async () => {
    certificates(folder().path);
    const file = (name: string): string => join(folder().path, name);
    const tls = [
      `cafile ${file("ca.pem")}`,
      `certfile ${file("server.pem")}`,
      `keyfile ${file("server.key")}`,
    ];
    const { url } = await broker([...tls, "require_certificate true"]);
    const secure = url.replace("mqtt:", "mqtts:");
    const stranger = receive(
      secure,
      { ca: file("ca.pem"), name: "stranger" },
      { database: file("stranger.db") },
    );
    const refused = stranger.until("lost");
    stranger.link.open();
    await refused;
    const { link, until } = receive(secure, {
      ca: file("ca.pem"),
      cert: file("client.pem"),
      key: file("client.key"),
    });
    const connected = until("connected");
    link.open();
    await connected;
    expect(stranger.changes.map((change) => change.kind)).toEqual(["lost"]);
  });
});

describe("BrokerLink with a broker that misbehaves", () => {
  const answers: [string, "5" | "3.1.1", Buffer | undefined][] = [
    ["refuses the CONNECT (MQTT 5)", "5", Buffer.from([0x20, 3, 0, 0x88, 0])],
    ["refuses the CONNECT (MQTT 3.1.1)", "3.1.1", Buffer.from([0x20, 2, 0, 3])],
    ["does not speak MQTT", "5", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["hangs up", "5", undefined],
  ];
  for (const [name, protocol, answer] of answers) {
    it(`tries again, with a new connection each time, when it ${name}`, async () => {
      const sockets: Socket[] = [];
      const { promise: third, resolve } = Promise.withResolvers<void>();
      const server = createServer((socket) => {
        sockets.push(socket);
        socket.on("error", () => {});
        socket.once("data", () => {
          if (answer === undefined) socket.destroy();
          else socket.write(answer);
        });
        if (sockets.length === 3) resolve();
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      onEnd(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      const { link, changes } = receive(`mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, {
        protocol,
      });
      link.open();
      await third;
      // One line for the state, not one for each attempt.
      expect(changes.map((change) => change.kind)).toEqual(["lost"]);
    });
  }
});

/** A CA, a server and a client certificate in `folder`. */
function certificates(path: string): void {
  const openssl = (...options: string[]): void => {
    execFileSync("openssl", options, { cwd: path, stdio: "ignore" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=test ca",
    "-days",
    "2",
  );
  writeFileSync(join(path, "san.txt"), "subjectAltName=IP:127.0.0.1\n");
  for (const name of ["server", "client"]) {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const signing = [
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      "san.txt",
    ];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...signing);
  }
}

describe("BrokerLink", () => {
  it("says another reason than the one it has said, once", async () => {
    const silent = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const { link, changes } = receive(`mqtt://127.0.0.1:${port}`);
    link.open();
    await expect.poll(() => changes.length).toBe(1);
    silent.close();
    await expect.poll(() => changes.at(-1)?.text).toContain("ECONNREFUSED");
    const said = changes.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(changes).toHaveLength(said);
  });
});
