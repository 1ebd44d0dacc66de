import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Answer, RecordPhase, Sink } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { settings } from "./settings.ts";
import { cleanUp, freePort, failure, patient, points } from "./testing.ts";

const token = "token-of-device-1";

class Heard implements Sink {
  /** Answers to `held`, where the gateway keeps what it hears; each call takes the next. */
  keeps: Promise<boolean>[] | undefined;
  readings_: { index: number; answer: Answer }[] = [];
  records: [
    number,
    readonly (Answer | undefined)[],
    { phase?: RecordPhase; sourceTimeMs?: number } | undefined,
  ][] = [];
  polled: number[] = [];
  signs = 0;
  fails = false;
  alive(): void {
    this.signs++;
  }
  readings(values: readonly { index: number; answer: Answer }[]): void {
    if (this.fails) throw new Error("the gateway does not take it");
    this.readings_.push(...values);
  }
  record(...given: Heard["records"][number]): void {
    this.records.push(given);
  }
  poll(index: number): void {
    this.polled.push(index);
  }
  held(): Promise<boolean> {
    return this.keeps?.shift() ?? Promise.resolve(true);
  }
}

const pushed = points(
  { pick: "$.level", time: "$.t" },
  { pick: "$.door", type: "boolean" },
  { path: "/v", pick: "$.v" },
);
const [alarm, open, id] = points(
  { pick: "$.events[?type=alarm]", time: "$.at" },
  { pick: "$.open", type: "boolean" },
  { pick: "$.who", type: "text" },
);

interface Device {
  heard: Heard;
  done: Promise<string>;
  stop(): void;
  close(): Promise<void>;
  log: string[];
}

async function subscribed(
  port: number,
  more: Record<string, unknown> = {},
  own: Record<string, unknown> = {},
): Promise<Device> {
  const given = settings.parse({ webhook: { listen: `127.0.0.1:${port}`, token, ...more }, ...own });
  const log: string[] = [];
  const context = { deviceId: "d", log: (_: string, text: string) => void log.push(text) };
  const connection = await driver.connect(given, context, patient());
  cleanUp(() => connection.close());
  const stopping = new AbortController();
  const heard = new Heard();
  const done = failure(
    connection.subscribe!({
      points: pushed,
      records: [{ ...alarm!, fields: [open!, id!] }],
      sink: heard,
      signal: stopping.signal,
    }),
  );
  // Listening, or failed.
  await Promise.race([done, sleep(100)]);
  return { heard, done, stop: () => stopping.abort(), close: () => connection.close(), log };
}

const post = (port: number, body: string | Uint8Array, more: RequestInit & { path?: string } = {}) =>
  fetch(`http://127.0.0.1:${port}${more.path ?? `/hook/${token}`}`, {
    method: "POST",
    ...more,
    headers: { "Content-Type": "application/json", ...(more.headers as Record<string, string>) },
    body: more.method === "GET" ? null : (body as string),
  });
const status = async (...given: Parameters<typeof post>) => (await post(...given)).status;

describe("a message", () => {
  it("gives values and records, and 204 when the gateway has them", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port);
    const t = "2026-11-22T04:00:00Z";
    const events = [
      { type: "alarm", at: t, open: true, who: 7 },
      { type: "other", open: true },
      { type: "alarm", open: false },
    ];
    expect(await status(port, JSON.stringify({ level: 5, t, door: false, events }))).toBe(204);
    const sourceTimeMs = Date.parse(t);
    expect(heard.readings_).toEqual([
      { index: 0, answer: { value: 5, status: "good", sourceTimeMs } },
      { index: 1, answer: false },
    ]);
    expect(heard.records).toEqual([
      [0, [true, "7"], { sourceTimeMs }],
      [0, [false, undefined], {}],
    ]);
    // What has a path is asked for.
    expect(heard.polled).toEqual([2]);
    expect(await status(port, JSON.stringify({ hello: 1 }))).toBe(204);
    expect(heard.signs).toBe(1);
    // A value that is none says that the device is there all the same.
    expect(await status(port, JSON.stringify({ level: null }))).toBe(204);
    expect(heard.signs).toBe(2);
  });

  it("that the gateway does not take is not answered with 204", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port);
    heard.fails = true;
    expect(await status(port, '{"level":5}')).toBe(500);
    heard.fails = false;
    expect(await status(port, '{"level":5}')).toBe(204);
  });

  it.each([
    ["to nobody", '{"level":5}', { path: "/hook/token-of-device-2" }, 404],
    ["to nobody, by another way", '{"level":5}', { path: "/" }, 404],
    ["to a way that goes on", '{"level":5}', { path: `/hook/${token}/../x` }, 404],
    ["that asks", "", { method: "GET" }, 405],
    ["of another kind", "level=5", { headers: { "Content-Type": "application/x-www-form-urlencoded" } }, 415],
    ["that is packed", "x", { headers: { "Content-Encoding": "gzip" } }, 415],
    ["that is none", "level=5", {}, 400],
    ["too deep", "[".repeat(100), {}, 400],
    ["too large", JSON.stringify("x".repeat(5000)), {}, 413],
  ] as const)("%s is refused without a word", async (_, body, more, expected) => {
    const port = await freePort();
    const { heard, log } = await subscribed(port, {}, { bodyBytesMax: 4096 });
    const answer = await post(port, body, more);
    expect([answer.status, await answer.text()]).toEqual([expected, ""]);
    await post(port, body, more);
    expect(heard.readings_).toEqual([]);
    expect(heard.signs).toBe(0);
    // Told once, however often it comes.
    expect(log).toEqual([
      expect.stringMatching(`1 messages refused, the last with ${expected} from 127.0.0.1`),
    ]);
  });

  it("is proved by its signature", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port, { signature: { key: "k", header: "X-Sign" } });
    const body = '{"level":5}';
    const proof = createHmac("sha256", "k").update(body).digest("hex");
    const signed = (value: string, text = body) => status(port, text, { headers: { "X-Sign": value } });
    expect(await status(port, body)).toBe(401);
    expect(await signed("")).toBe(401);
    expect(await signed("zz")).toBe(401);
    expect(await signed(proof.replace(/^./, (one) => (one === "0" ? "1" : "0")))).toBe(401);
    expect(await signed(proof, '{"level":6}')).toBe(401);
    expect(heard.readings_).toEqual([]);
    expect(await signed(proof)).toBe(204);
    expect(await signed(`sha256=${proof}`)).toBe(204);
    expect(heard.readings_).toHaveLength(2);
  });

  it("that comes again is taken once, also over a reconnect", async () => {
    const port = await freePort();
    const first = await subscribed(port, { id: "$.id" });
    expect(await status(port, '{"id":"m1","level":5}')).toBe(204);
    expect(await status(port, '{"id":"m1","level":5}')).toBe(204);
    expect(await status(port, '{"level":5}')).toBe(400);
    expect(first.heard.readings_).toHaveLength(1);
    first.stop();
    expect(await first.done).toBe("resolved: undefined");
    const second = await subscribed(port, { id: "$.id" });
    expect(await status(port, '{"id":"m1","level":5}')).toBe(204);
    expect(await status(port, '{"id":"m2","level":5}')).toBe(204);
    expect(second.heard.readings_).toHaveLength(1);
  });

  it("beyond so many a minute is refused for a while", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port, { perMinuteMax: 3 });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await post(port, '{"level":5}'));
    expect(answers.map((one) => one.status)).toEqual([204, 204, 204, 429, 429]);
    expect(answers[3]!.headers.get("retry-after")).toBe("5");
    expect(heard.readings_).toHaveLength(3);
  });
});

const sentAt = (ms: number) => JSON.stringify({ level: 5, sent: new Date(Date.now() + ms).toISOString() });

const manyEvents = (count: number) =>
  JSON.stringify({
    level: 5,
    events: Array.from({ length: count }, () => ({ type: "alarm", open: true })),
  });

describe("custody", () => {
  const told = '{"id":"m1","level":5}';

  it("is taken with the answer: none comes before the message is on disk", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    heard.keeps = [promise];
    const answer = status(port, told);
    expect(await Promise.race([answer, sleep(300, "none")])).toBe("none");
    expect(heard.readings_).toHaveLength(1);
    resolve(true);
    expect(await answer).toBe(204);
  });

  it("is refused for what was dropped, and that is told when it comes again", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port, { id: "$.id", token: "token-of-device-9" });
    const path = "/hook/token-of-device-9";
    heard.keeps = [Promise.resolve(false)];
    expect(await status(port, told, { path })).toBe(503);
    expect(await status(port, told, { path })).toBe(204);
    expect(heard.readings_).toHaveLength(2);
  });

  it("of a message that comes again while it waits for the disk is taken once", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port, { id: "$.id", token: "token-of-device-8" });
    const path = "/hook/token-of-device-8";
    const { promise, resolve } = Promise.withResolvers<boolean>();
    heard.keeps = [promise];
    const both = Promise.all([status(port, told, { path }), status(port, told, { path })]);
    await sleep(200);
    resolve(true);
    expect(await both).toEqual([204, 204]);
    expect(heard.readings_).toHaveLength(1);
  });

  it(
    "that the disk does not take is refused, and nothing more is told until it does",
    { timeout: 30_000 },
    async () => {
      const port = await freePort();
      const { heard } = await subscribed(port);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      heard.keeps = [promise];
      expect(await status(port, told)).toBe(503);
      expect(await status(port, told)).toBe(503);
      expect(heard.readings_).toHaveLength(1);
      resolve(true);
      expect(await status(port, told)).toBe(204);
      expect(heard.readings_).toHaveLength(2);
    },
  );

  it("ends with the subscription: who waits is told to post again", async () => {
    const port = await freePort();
    const device = await subscribed(port);
    const { heard } = device;
    await subscribed(port, { token: "token-of-device-7" });
    heard.keeps = [new Promise(() => {})];
    const answer = status(port, told);
    await sleep(200);
    device.stop();
    expect(await answer).toBe(503);
  });
});

describe("a message with a name", () => {
  it("is another one when a device counts from 1 again, and when numbers are large", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port, { id: "$.id", token: "token-of-device-6" });
    const path = "/hook/token-of-device-6";
    for (const body of ['{"id":1,"level":5}', '{"id":1,"level":6}', '{"id":9007199254740993,"level":7}'])
      expect(await status(port, body, { path })).toBe(204);
    expect(await status(port, '{"id":9007199254740992,"level":8}', { path })).toBe(204);
    expect(heard.readings_.map(({ answer }) => answer)).toEqual([5, 6, 7, 8]);
  });

  it("is refused when it is old, whoever sends it again", async () => {
    const port = await freePort();
    const more = { time: "$.sent", ageMax: "1m", token: "token-of-device-5" };
    const { heard } = await subscribed(port, more);
    const path = "/hook/token-of-device-5";
    expect(await status(port, sentAt(0), { path })).toBe(204);
    for (const body of [sentAt(-120_000), sentAt(120_000), '{"level":5}', '{"level":5,"sent":"soon"}'])
      expect(await status(port, body, { path })).toBe(400);
    expect(heard.readings_).toHaveLength(1);
  });
});

it("a message with more records than are taken is refused as a whole", async () => {
  const port = await freePort();
  const { heard } = await subscribed(port);
  expect(await status(port, manyEvents(150))).toBe(204);
  expect(heard.records).toHaveLength(150);
  expect(await status(port, manyEvents(1001))).toBe(413);
  expect(heard.records).toHaveLength(150);
  expect(heard.readings_).toHaveLength(1);
});

describe("a listener", () => {
  it("is shared by devices, and asks those that are away to be told again", async () => {
    const port = await freePort();
    const one = await subscribed(port);
    const other = await subscribed(port, { token: "token-of-device-2" });
    expect(await status(port, '{"level":1}')).toBe(204);
    expect(await status(port, '{"level":2}', { path: "/hook/token-of-device-2" })).toBe(204);
    expect([one.heard.readings_[0]?.answer, other.heard.readings_[0]?.answer]).toEqual([1, 2]);
    one.stop();
    await one.done;
    expect(await status(port, '{"level":1}')).toBe(503);
    expect(await status(port, '{"level":2}', { path: "/hook/token-of-device-2" })).toBe(204);
    await other.close();
    expect(await other.done).toMatch(/^closed/);
    await expect(post(port, "{}")).rejects.toThrow(/fetch failed/);
  });

  it("refuses a token that another device has, other certificates, and a port that is taken", async () => {
    const port = await freePort();
    await subscribed(port);
    expect(await (await subscribed(port)).done).toMatch(/^busy: .*another device has the same webhook token/);
    const pem = "-----BEGIN CERTIFICATE-----";
    const tls = { cert: pem, key: pem };
    expect(await (await subscribed(port, { tls, token: "token-of-device-3" })).done).toMatch(/^unsupported/);
    expect(await status(port, '{"level":1}')).toBe(204);
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    cleanUp(async () => void taken.close());
    const { port: takenPort } = taken.address() as AddressInfo;
    expect(await (await subscribed(takenPort)).done).toMatch(/^busy: cannot listen on 127.0.0.1/);
    const unfit = await subscribed(await freePort(), { tls });
    expect(await unfit.done).toMatch(/^unsupported: .*certificate/);
  });

  it("ends those who never finish, and lets the others in", { timeout: 30_000 }, async () => {
    const port = await freePort();
    const { heard } = await subscribed(port);
    const endedMs: number[] = [];
    const begunMs = performance.now();
    const starts = [
      "",
      "POST /hook",
      `POST /hook/${token} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{`,
    ];
    const slow = starts.map((start) => {
      const socket = connectTcp(port, "127.0.0.1", () => socket.write(start));
      socket.on("error", () => {});
      socket.on("close", () => endedMs.push(performance.now() - begunMs));
      socket.resume();
      return socket;
    });
    cleanUp(async () => slow.forEach((socket) => socket.destroy()));
    await sleep(200);
    expect(await status(port, '{"level":1}')).toBe(204);
    const untilMs = performance.now() + 20_000;
    while (endedMs.length < slow.length && performance.now() < untilMs) await sleep(100);
    expect(endedMs).toHaveLength(slow.length);
    expect(heard.readings_).toHaveLength(1);
  });

  it("says that a message is too large also where its length was not told", async () => {
    const port = await freePort();
    await subscribed(port, {}, { bodyBytesMax: 4096 });
    const head = `POST /hook/${token} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
    const socket = connectTcp(port, "127.0.0.1");
    cleanUp(async () => socket.destroy());
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n2000\r\n${"1".repeat(0x2000)}\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 413 /);
  });

  it("leaves room for others beside one that opens many connections", async () => {
    const port = await freePort();
    const { heard } = await subscribed(port);
    const sockets = Array.from({ length: 64 }, () => connectTcp(port, "127.0.0.1").on("error", () => {}));
    cleanUp(async () => sockets.forEach((socket) => socket.destroy()));
    await sleep(300);
    const other = connectTcp({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
    cleanUp(async () => other.destroy());
    const head = `POST /hook/${token} HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n`;
    other.write(`${head}Content-Type: application/json\r\n\r\n{"level":5}`);
    const answer = await Promise.race([once(other, "data"), sleep(3000, ["nothing"])]);
    expect(String(answer[0])).toMatch(/^HTTP\/1.1 204 /);
    expect(heard.readings_).toHaveLength(1);
  });

  it("has an end to the connections that it takes", async () => {
    const port = await freePort();
    await subscribed(port);
    const closed = new Set<object>();
    const sockets = Array.from({ length: 100 }, () => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => closed.add(socket));
      socket.resume();
      return socket;
    });
    cleanUp(async () => sockets.forEach((socket) => socket.destroy()));
    const untilMs = performance.now() + 4000;
    while (closed.size < 36 && performance.now() < untilMs) await sleep(50);
    expect(closed.size).toBeGreaterThanOrEqual(36);
  });
});
