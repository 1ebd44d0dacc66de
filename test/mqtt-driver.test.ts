import { AsyncLocalStorage } from "node:async_hooks";
import { readdirSync } from "node:fs";
import { once } from "node:events";
import { connect as tcpConnect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { generate, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { settings as settingsSchema, address as addressSchema } from "../drivers/mqtt/settings.ts";
import { MqttRig, until, Listening, codeOf, plain, value } from "./mqtt-rig.ts";

describe("one connection for many devices", () => {
  test("40 devices share one client, each hears its own, and the last one closes it", async () => {
    const rig = await MqttRig.open();
    const names = Array.from({ length: 40 }, (_, i) => String(i));
    const all = await Promise.all(names.map((name) => rig.listen(plain(name), [value])));
    expect(rig.broker.clients).toHaveLength(1);
    names.forEach((name, i) => rig.publish(`d/${name}`, { v: i }));
    await until("all values", () => all.every((one) => one.of().length === 1));
    expect(all.map((one) => one.of())).toEqual(names.map((_, i) => [i]));
    const [kept] = all;
    await rig.close();
    expect(kept?.ended).toBe("closed");
    await until("no client", () => rig.broker.clients.length === 0);
  });

  test("other credentials are another client", async () => {
    const rig = await MqttRig.open({ users: { a: "1", b: "2" } });
    await rig.listen({ ...plain("x"), username: "a", password: "1" }, [value]);
    await rig.listen({ ...plain("y"), username: "b", password: "2" }, [value]);
    expect(rig.broker.clients).toHaveLength(2);
  });

  test("garbage of one device ends that one and leaves its neighbour on the same client alone", async () => {
    const rig = await MqttRig.open();
    const [a, b] = [await rig.listen(plain("a"), [value]), await rig.listen(plain("b"), [value])];
    for (let i = 0; i < 5; i++) rig.publish("d/a", Buffer.from([0xff, 0xfe, i]));
    rig.publish("d/b", { v: 7 });
    await until("the end of a", () => a.ended !== undefined);
    expect(a.ended).toBe("garbage");
    expect(a.of()).toEqual(Array.from({ length: 5 }, () => "bad garbage"));
    expect([b.of(), b.ended]).toEqual([[7], undefined]);
  });

  test("a message that is far too large costs nobody but its own device a value", async () => {
    const rig = await MqttRig.open({ maximumPacketSize: 16 * 1_048_576 });
    const [a, b] = [await rig.listen(plain("a"), [value]), await rig.listen(plain("b"), [value])];
    rig.publish("d/b", { v: 1 });
    rig.publish("d/a", Buffer.alloc(9 * 1_048_576, 0x20));
    rig.publish("d/a", { v: 2 });
    rig.publish("d/b", { v: 3 });
    await until("what came after it", () => b.of().length === 2 && a.of().length === 2);
    expect([a.of(), b.of()]).toEqual([
      ["bad too-large", 2],
      [1, 3],
    ]);
  });

  test("what a device's message starts runs on behalf of that device, whoever opened the socket", async () => {
    const rig = await MqttRig.open();
    const device = new AsyncLocalStorage<string>();
    const ran: unknown[] = [];
    for (const name of ["a", "b"]) {
      await device.run(name, async () => {
        const listening = await rig.listen(plain(name), [value]);
        listening.readings = () => void ran.push(device.getStore());
      });
    }
    rig.publish("d/b", { v: 1 });
    await until("b", () => ran.length === 1);
    expect(ran).toEqual(["b"]);
  });

  test("the loss of the broker is told to all, and the next connect finds it again", async () => {
    const rig = await MqttRig.open();
    const all = await Promise.all(["a", "b", "c"].map((name) => rig.listen(plain(name), [value])));
    rig.broker.fault({ kind: "drop-connections" });
    await until("all ends", () => all.every(({ ended }) => ended !== undefined));
    expect(all.map(({ ended }) => ended)).toEqual(["hung-up", "hung-up", "hung-up"]);
    const again = await rig.listen(plain("a"), [value]);
    rig.publish("d/a", { v: 5 });
    await until("a value", () => again.of().length > 0);
  });
});

describe("what the broker says", () => {
  test("a wrong password is denied, and is not tried again for each of many devices", async () => {
    const rig = await MqttRig.open({ users: { a: "right" } });
    const login = { ...plain("x"), username: "a", password: "wrong" };
    expect(await codeOf(rig.connect(login))).toBe("denied");
    const { bytesIn } = rig.broker.counts;
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(rig.connect(login))));
    expect(new Set(codes)).toEqual(new Set(["denied"]));
    expect(rig.broker.counts.bytesIn).toBe(bytesIn);
    expect(await codeOf(rig.connect({ ...login, password: "right" }))).toBe("resolved");
  });

  test("nobody listens: refused; a broker that hangs: silent; no such host: unreachable", async () => {
    const rig = await MqttRig.open();
    const { port } = rig.broker;
    rig.broker.fault({ kind: "stall" });
    expect(await codeOf(rig.connect({ ...plain("x"), timeout: 200 }))).toBe("silent");
    await rig.broker.close();
    await sleep(1100);
    expect(await codeOf(rig.connect({ ...plain("x"), port }))).toBe("refused");
    expect(await codeOf(rig.connect({ ...plain("x"), host: "no-such-host.invalid" }))).toBe("unreachable");
  });

  test("another client with our id: busy", async () => {
    const rig = await MqttRig.open();
    const options = { ...plain("x"), protocol: 5, clientId: "twin" };
    const listening = await rig.listen(options, [value]);
    const other = tcpConnect(rig.broker.port, "127.0.0.1");
    other.write(
      generate({ cmd: "connect", clientId: "twin", protocolVersion: 5, clean: true, keepalive: 60 }),
    );
    await until("the take-over", () => listening.ended !== undefined).finally(() => other.destroy());
    expect(listening.ended).toBe("busy");
  });

  test("a connect that is given up leaves nothing open", async () => {
    const rig = await MqttRig.open();
    const before = readdirSync("/proc/self/fd").length;
    rig.broker.fault({ kind: "stall" });
    const aborting = new AbortController();
    const call = codeOf(rig.connect({ ...plain("x") }, aborting.signal));
    await sleep(50);
    const abortedAt = performance.now();
    aborting.abort();
    expect(await call).toBe("aborted");
    expect(performance.now() - abortedAt).toBeLessThan(200);
    await until("no descriptor more", () => readdirSync("/proc/self/fd").length <= before + 1);
    expect(await codeOf(rig.connect(plain("x"), AbortSignal.abort()))).toBe("aborted");
  });

  test("close is safe twice, and calls after it are refused", async () => {
    const rig = await MqttRig.open();
    const connection = await rig.connect(plain("x"));
    await Promise.all([connection.close(), connection.close()]);
    await connection.close();
    const { signal } = new AbortController();
    expect(await codeOf(connection.read([], { signal }))).toBe("closed");
    expect(await codeOf(connection.identify(signal))).toBe("closed");
    const other = await rig.connect(plain("x"));
    expect(await codeOf(other.read([], { signal }))).toBe("unsupported");
    expect(await codeOf(other.identify(signal))).toBe("unsupported");
  });
});

/** A broker that answers by a script: CONNACK, then whatever `subscribed` writes. */
async function scripted(subscribed: (socket: Socket, messageId: number) => void): Promise<Server> {
  const server = createServer((socket) => {
    const reading = parser({ protocolVersion: 4 });
    reading.on("packet", (packet) => {
      if (packet.cmd === "connect") socket.write(Buffer.from([0x20, 2, 0, 0]));
      if (packet.cmd === "subscribe") subscribed(socket, packet.messageId ?? 0);
    });
    socket.on("data", (chunk: Buffer) => void reading.parse(chunk)).on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const suback = (messageId: number, code: number) =>
  Buffer.from([0x90, 3, messageId >> 8, messageId & 0xff, code]);

describe("a broker of another kind", () => {
  test("refuses the subscription: denied", async () => {
    const rig = await MqttRig.open();
    const server = await scripted((socket, id) => void socket.write(suback(id, 0x80)));
    const { port } = server.address() as AddressInfo;
    const listening = await rig.listen({ ...plain("x"), port }, [value]);
    await until("the end", () => listening.ended !== undefined).finally(() => server.close());
    expect([listening.ended, listening.message]).toEqual(["denied", expect.stringContaining("d/x (0x80)")]);
  });

  test("sends 200 MB in one message: none of it is kept, and the next one is heard", async () => {
    const rig = await MqttRig.open();
    const chunk = Buffer.alloc(1_048_576, 0x20);
    const chunks = 200;
    const topic = Buffer.concat([Buffer.from([0, 3]), Buffer.from("d/x")]);
    let arrayBuffersMax = 0;
    const server = await scripted((socket, id) => {
      socket.write(suback(id, 0));
      const length = topic.length + chunks * chunk.length;
      const lengthBytes = [length & 0x7f, (length >> 7) & 0x7f, (length >> 14) & 0x7f].map(
        (byte) => byte | 0x80,
      );
      socket.write(Buffer.concat([Buffer.from([0x30, ...lengthBytes, length >> 21]), topic]));
      const go = async (): Promise<void> => {
        for (let i = 0; i < chunks; i++) {
          if (!socket.write(chunk)) await once(socket, "drain");
          arrayBuffersMax = Math.max(arrayBuffersMax, process.memoryUsage().arrayBuffers);
        }
        const next = Buffer.concat([topic, Buffer.from('{"v":7}')]);
        socket.write(Buffer.concat([Buffer.from([0x30, next.length]), next]));
      };
      go().catch(() => {});
    });
    const { port } = server.address() as AddressInfo;
    const before = process.memoryUsage().arrayBuffers;
    const listening = await rig.listen({ ...plain("x"), port }, [value]);
    await until("the next one", () => listening.of().length === 2, 20_000).finally(() => server.close());
    expect(listening.of()).toEqual(["bad too-large", 7]);
    expect(arrayBuffersMax - before).toBeLessThan(120 * 1_048_576);
  });
});

describe("writing", () => {
  const plug = { format: "zigbee2mqtt", variables: { name: "p" } };
  const point = {
    name: "on",
    address: addressSchema.parse({
      path: "$.state",
      type: "boolean",
      isTrue: "ON",
      isFalse: "OFF",
      write: {},
    }),
  };
  const { signal } = new AbortController();

  test("publishes and resolves at the PUBACK", async () => {
    const rig = await MqttRig.open();
    await (await rig.connect(plug)).write?.(point, true, signal);
    expect(rig.heard.map(({ topic, payload }) => [topic, payload.toString()])).toEqual([
      ["zigbee2mqtt/p/set", '{"state":"ON"}'],
    ]);
  });

  test("a broker that says no: rejected; one that says nothing: silent; a point that is not written: unsupported", async () => {
    const rig = await MqttRig.open();
    const connection = await rig.connect({ ...plug, protocol: 5, timeout: 300 });
    const write = (one = point) => codeOf(connection.write!(one, false, signal));
    rig.broker.fault({ kind: "deny" });
    expect(await write()).toBe("rejected");
    expect(await write({ name: "x", address: addressSchema.parse({}) })).toBe("unsupported");
    rig.broker.fault({ kind: "swallow-puback" });
    expect(await write()).toBe("silent");
  });
});

const wrong = (more: object) => settingsSchema.safeParse({ host: "h", ...more }).error?.message ?? "fine";

describe("settings", () => {
  test.each([
    ["a variable is missing", { format: "lorawan", variables: { devEui: "1" } }, "applicationId"],
    ["a variable with a wildcard", { topic: "{a}", variables: { a: "#" } }, "would change the topic"],
    ["a wildcard inside a level", { topic: "a+/b" }, "whole level"],
    ["an expression", { time: "$..x" }, "a path is"],
    ["code in a filter", { time: "$[?@.a==process.exit()]" }, "a path is"],
    ["a prototype", { time: "$.constructor" }, "a path is"],
    ["a password alone", { password: "x" }, "username"],
    ["a key without its certificate", { tls: { key: "k" } }, "belong together"],
  ])("%s", (_, more, expected) => {
    expect(wrong(more)).toContain(expected);
  });

  test("a point without a topic says what is missing", async () => {
    const rig = await MqttRig.open();
    const listening = await rig.listen({}, [value]);
    expect([listening.ended, listening.message]).toEqual(["unsupported", expect.stringContaining("topic")]);
    const other = await rig.listen({}, [{ topic: "a/{b}" }]);
    expect([other.ended, other.message]).toEqual(["unsupported", expect.stringContaining('"b"')]);
  });

  test("a signal that has aborted before is the end, not an error", async () => {
    const rig = await MqttRig.open();
    const listening = new Listening(await rig.connect(plain("a")), [value], []);
    listening.stop();
    await until("the end", () => listening.ended !== undefined);
    expect(listening.ended).toBe("over");
  });
});
