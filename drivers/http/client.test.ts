import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Client } from "./client.ts";
import { driver } from "./index.ts";
import { settings } from "./settings.ts";
import { isOwnAddress } from "./socket.ts";
import { cleanUp, connect, failure, http, json, patient, points, read, scripted } from "./testing.ts";

const at = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
const v = points({ path: "/v", pick: "$.v" });

it.each([
  ["/v?api_key=Canary71&sensor=3", "/v?api_key=…&sensor=3"],
  ["/v?key=Can=ary71", "/v?key=…"],
  ["/v?Canary71", "/v?…"],
  ["/v?json&x={token}", "/v?json&x=…"],
  ["/a=long/v", "/a=long/v"],
])("%s is shown to people without what may be a key", (path, shown) => {
  expect(driver.describe({ path, pick: "$.v", type: "number" })).toBe(`${shown} $.v`);
});

describe("one read", () => {
  it("asks once for all points of a path, on one connection that is kept", async () => {
    const server = await scripted((request, socket) =>
      socket.write(json(request.startsWith("GET /a") ? { x: 1, y: 2 } : { x: 3 })),
    );
    const connection = await connect(server.port);
    const list = points(
      { path: "/a", pick: "$.x" },
      { path: "/b", pick: "$.x" },
      { path: "/a", pick: "$.y" },
    );
    expect(await read(connection, list)).toEqual([1, 3, 2]);
    expect(await read(connection, list)).toEqual([1, 3, 2]);
    expect(server.requests.map((request) => request.split(" ")[1])).toEqual(["/a", "/b", "/a", "/b"]);
    expect(server.accepted).toBe(1);
  });

  it("puts the device's variables into paths, encoded, and into filters", async () => {
    const server = await scripted((_, socket) => socket.write(json({ l: [{ id: "a/b", v: 5 }] })));
    const connection = await connect(server.port, { variables: { lamp: "a/b" }, basePath: "/api" });
    const list = points(
      { path: "/lamps/{lamp}", pick: "$.l[?id={lamp}].v" },
      { path: "/{other}", pick: "$" },
      { pick: "$.pushed" },
    );
    expect(await read(connection, list)).toMatchObject([
      5,
      { status: "bad", code: "no-address", reason: 'the settings have no variable "other"' },
      { status: "bad", code: "no-address" },
    ]);
    expect(server.requests[0]).toMatch(/^GET \/api\/lamps\/a%2Fb HTTP/);
  });

  it.each([
    [400, "rejected"],
    [501, "rejected"],
    [500, "silent"],
    [408, "silent"],
    [507, "silent"],
  ])("a write that is answered with %d is %s", async (status, code) => {
    const server = await scripted((_, socket) => socket.write(http(status, "")));
    const connection = await connect(server.port);
    const [level] = points({ path: "/v", pick: "$.v", write: { method: "PUT", body: { v: "{value}" } } });
    expect(await failure(connection.write!(level!, 1, patient()))).toMatch(new RegExp(`^${code}: `));
    expect(server.requests).toHaveLength(1);
  });

  it("gives a refused path its code and the others their values", async () => {
    const statuses: Record<string, Buffer> = {
      "/v": json({ v: 1 }),
      "/gone": http(404, "nothing"),
      "/secret": http(403, ""),
      "/broken": http(500, ""),
      "/away": http(302, "", { Location: "http://127.0.0.1:1/v" }),
      "/page": http(200, "<html>", { "Content-Type": "text/html" }),
      "/half": http(200, '{"v":'),
    };
    const server = await scripted((request, socket) => socket.write(statuses[request.split(" ")[1]!]!));
    const connection = await connect(server.port);
    const list = points(...Object.keys(statuses).map((path) => ({ path, pick: "$.v" })));
    expect(await read(connection, list)).toMatchObject([
      1,
      { code: "http-404" },
      { code: "http-403" },
      { code: "http-500" },
      { code: "http-302", reason: expect.stringContaining("redirects to http://127.0.0.1:1/v") as string },
      { code: "garbage", reason: expect.stringContaining("text/html and not json") as string },
      { code: "garbage", reason: expect.stringContaining("not JSON") as string },
    ]);
  });

  it("asks a path that hangs after the others, and waits for it once", async () => {
    const server = await scripted((request, socket) => {
      if (!request.startsWith("GET /hangs")) socket.write(json({ v: 1 }));
    });
    const connection = await connect(server.port, { timeout: 200 });
    const list = points({ path: "/hangs", pick: "$.v" }, { path: "/v", pick: "$.v" });
    expect(await failure(read(connection, list))).toMatch(
      /^silent: .*GET \/hangs: no whole answer within 200 ms/,
    );
    expect(await read(connection, list)).toMatchObject([{ status: "bad", code: "timeout" }, 1]);
  });
});

describe("a lost device", () => {
  it.each([
    [http(401, ""), "denied: .* a login is wanted"],
    [http(403, ""), "denied: "],
    [http(429, ""), "busy: .*429"],
    [http(200, "<html>", { "Content-Type": "text/html" }), "garbage: .*not json"],
    [http(200, "<html>"), "garbage: .*not JSON"],
    [Buffer.from("SSH-2.0-OpenSSH_9.2\r\n"), "garbage: .*not HTTP"],
    [Buffer.from(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(20_000)}\r\n\r\n`), "garbage: .*not HTTP"],
    [
      Buffer.from("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
      "garbage: .*protocol",
    ],
    [http(200, gzipSync("x".repeat(5_000_000)), { "Content-Encoding": "gzip" }), "garbage: .*unpacked"],
    [http(200, "{}", { "Content-Encoding": "br" }), "garbage: .*unpacked"],
    [http(200, "{}", { "Content-Length": "99999999" }), "garbage: .*larger than 262144"],
  ])("%#: ends with %j", async (bytes, expected) => {
    const server = await scripted((_, socket) => socket.write(bytes));
    expect(await failure(read(await connect(server.port), v))).toMatch(new RegExp(expected));
  });

  it("is one whose answer has no end, or trickles past its time", async () => {
    const endless = await scripted((_, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
      const more = setInterval(() => socket.write("x".repeat(50_000)), 5);
      socket.on("close", () => clearInterval(more));
    });
    expect(await failure(read(await connect(endless.port), v))).toMatch(/garbage: .*larger/);
    const slow = await scripted((_, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n");
      const more = setInterval(() => socket.write(" "), 20);
      socket.on("close", () => clearInterval(more));
    });
    expect(await failure(read(await connect(slow.port, { timeout: 300 }), v))).toMatch(/^silent: /);
    const cut = await scripted((_, socket) => {
      socket.end("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    });
    expect(await failure(read(await connect(cut.port), v))).toMatch(/^hung-up: /);
  });

  it("is not asked before the time that it has named, not even over a new connection", async () => {
    const server = await scripted((_, socket, index) =>
      socket.write(index === 0 ? http(503, "", { "Retry-After": "1" }) : json({ v: 1 })),
    );
    const connection = await connect(server.port);
    expect(await failure(read(connection, v))).toMatch(/^busy: .*\(503\), it asks to wait 1 s/);
    const again = await connect(server.port);
    expect(await failure(read(again, v))).toMatch(/^busy: .*asks to wait 1 s more/);
    expect(server.requests).toHaveLength(1);
    await sleep(1100);
    expect(await read(again, v)).toEqual([1]);
  });
});

describe("what is told of a request", () => {
  it("has no key of its path, and a path may have letters of any language", async () => {
    const server = await scripted((_, socket) => socket.write(http(401, "")));
    const connection = await connect(server.port, { basePath: "/tủ" });
    const said = await failure(read(connection, points({ path: "/đèn?apikey=hunter2", pick: "$.v" })));
    expect(said).toMatch(/^denied: .*GET \/đèn\?…: a login is wanted/);
    expect(said).not.toContain("hunter2");
    expect(server.requests[0]).toMatch(/^GET \/t%E1%BB%A7\/%C4%91%C3%A8n\?apikey=hunter2 HTTP/);
    const away = await scripted((_, socket) =>
      socket.write(http(302, "", { Location: "http://127.0.0.1:1/v?session=hunter2" })),
    );
    expect(await failure(read(await connect(away.port), v))).not.toContain("hunter2");
  });
});

it("a server may name any time to wait", async () => {
  const server = await scripted((_, socket) => socket.write(http(503, "", { "Retry-After": "9999999" })));
  const connection = await connect(server.port);
  expect(await failure(read(connection, v))).toMatch(/it asks to wait 600 s/);
});

it("deflate comes with its head and without", async () => {
  const body = '{"v":1}';
  const server = await scripted((_, socket, index) =>
    socket.write(
      http(200, index === 0 ? deflateSync(body) : deflateRawSync(body), { "Content-Encoding": "deflate" }),
    ),
  );
  const connection = await connect(server.port);
  expect([await read(connection, v), await read(connection, v)]).toEqual([[1], [1]]);
});

it("a read ends before the host gives it up: what was answered is kept", { timeout: 30_000 }, async () => {
  const server = await scripted((request, socket) => {
    setTimeout(() => socket.write(json({ v: 1 })), request.startsWith("GET /slow") ? 4500 : 0);
  });
  const connection = await connect(server.port, { timeout: 6000 });
  const paths = ["/v", "/slow/1", "/slow/2", "/slow/3", "/slow/4"];
  const begunMs = performance.now();
  const answers = await read(connection, points(...paths.map((path) => ({ path, pick: "$.v" }))));
  expect(performance.now() - begunMs).toBeLessThan(14_500);
  expect(answers.slice(0, 3)).toEqual([1, 1, 1]);
  expect(answers.slice(3)).toMatchObject([{ code: "timeout" }, { code: "timeout" }]);
});

describe("connections", () => {
  it("a second answer that nobody asked for is not the answer to the next request", async () => {
    const server = await scripted((_, socket, index) => {
      const two = Buffer.concat([json({ v: 1 }), json({ v: 666 })]);
      socket.write(index === 0 ? two : json({ v: 2 }));
    });
    const connection = await connect(server.port);
    expect(await failure(read(connection, v))).toMatch(/resolved: \[1\]|garbage|hung-up/);
    await sleep(50);
    expect(await failure(read(connection, v))).toMatch(/resolved: \[2\]|garbage|hung-up/);
  });

  it("an answer that comes while nothing is asked is not the answer to the next request", async () => {
    const server = await scripted((_, socket, index) => {
      socket.write(json({ v: index + 1 }));
      if (index === 0) setTimeout(() => socket.write(json({ v: 666 })), 50);
    });
    const connection = await connect(server.port);
    expect(await read(connection, v)).toEqual([1]);
    await sleep(150);
    expect(await failure(read(connection, v))).toMatch(/resolved: \[2\]|garbage|hung-up/);
  });

  it("one that the server closed while it was idle costs nothing, not even in the last moment", async () => {
    const server = await scripted((_, socket, index) => {
      // The second request finds a connection that is closed without an answer.
      if (index === 1) socket.destroy();
      else socket.write(json({ v: index }));
      if (index === 2) socket.end();
    });
    const connection = await connect(server.port);
    expect(await read(connection, v)).toEqual([0]);
    expect(await read(connection, v)).toEqual([2]);
    await sleep(50);
    expect(await read(connection, v)).toEqual([3]);
    expect(server.accepted).toBe(3);
  });

  it("with keepAlive off each request has its own", async () => {
    const server = await scripted((_, socket) => socket.write(json({ v: 1 })));
    const connection = await connect(server.port, { keepAlive: false });
    await read(connection, v);
    await read(connection, v);
    expect(server.accepted).toBe(2);
  });

  it("go past the proxies of the environment, which a process reads when it starts", async () => {
    const server = await scripted((_, socket) => socket.write(json({ v: 1 })));
    const script = `
      const { driver } = await import(${at("index.ts")});
      const { settings, address } = await import(${at("settings.ts")});
      const [port, signal] = [${server.port}, new AbortController().signal];
      const given = settings.parse({ host: "127.0.0.1", port });
      const connection = await driver.connect(given, { deviceId: "d", log: () => {} }, signal);
      const points = [{ name: "v", address: address.parse({ path: "/v", pick: "$.v" }) }];
      const { answers } = await connection.read(points, { signal });
      await connection.close();
      const other = await fetch("http://127.0.0.1:" + port).then(() => "past it", () => "to the proxy");
      console.log(JSON.stringify([answers, other]));`;
    const proxy = "http://127.0.0.1:1";
    const env = { ...process.env, NODE_USE_ENV_PROXY: "1", http_proxy: proxy, HTTP_PROXY: proxy };
    const args = ["--input-type=module", "-e", script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    // The built-in fetch shows that the environment is heard.
    expect(JSON.parse(stdout)).toEqual([[1], "to the proxy"]);
  });

  it("go to the address of a name that answers, where it has several", async () => {
    const server = await scripted((_, socket) => socket.write(json({ v: 1 })));
    const addresses = [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
    ];
    const target = {
      host: "two.test",
      port: server.port,
      addresses,
      tls: undefined,
      place: "http://two.test",
    };
    const client = new Client(settings.parse({ host: "two.test", port: server.port }), target);
    cleanUp(() => client.close());
    const answer = await client.send({ method: "GET", path: "/v", headers: {} }, patient());
    expect(answer.status).toBe(200);
    expect(server.requests[0]).toMatch(/^Host: two.test:\d+$/m);
    const dead = new Client(settings.parse({ host: "two.test", port: 1 }), { ...target, port: 1 });
    cleanUp(() => dead.close());
    const call = dead.send({ method: "GET", path: "/v", headers: {} }, patient());
    expect(await failure(call)).toMatch(/^refused: .*ECONNREFUSED/);
  });

  it("never go to this box by a name that leads to it", () => {
    for (const address of [
      "127.0.0.1",
      "127.9.9.9",
      "0.0.0.0",
      "169.254.169.254",
      "::1",
      "::",
      "fe80::1",
      "::ffff:127.0.0.1",
    ])
      expect(isOwnAddress(address), address).toBe(true);
    for (const address of ["10.0.0.1", "192.168.1.1", "2001:db8::1", "::ffff:10.0.0.1"])
      expect(isOwnAddress(address), address).toBe(false);
  });

  it("are not opened with a certificate that is none", async () => {
    const server = await scripted(() => {});
    const none = "-----BEGIN CERTIFICATE-----";
    const connection = await connect(server.port, { tls: { ca: none, cert: none, key: none } });
    expect(await failure(read(connection, v))).toMatch(/^denied: .*TLS failed/);
  });

  it("are refused where the name has no address", async () => {
    const given = settings.parse({ host: "no-such-device.invalid" });
    const call = driver.connect(given, { deviceId: "d", log: () => {} }, patient());
    expect(await failure(call)).toMatch(
      /^unreachable: http:\/\/no-such-device.invalid:80: there is no address/,
    );
  });
});

const answers = (withTime: boolean) => (request: string) =>
  /if-none-match: "t1"/i.test(request)
    ? http(304, "", { ETag: '"t1"' })
    : json(withTime ? { v: 7, t: "2026-11-22T04:00:00Z" } : { v: 7 }, { ETag: '"t1"' });

describe("what has not changed", () => {
  it("keeps the time at which it came first", async () => {
    const server = await scripted((request, socket) => socket.write(answers(false)(request)));
    const connection = await connect(server.port);
    const beforeMs = Date.now();
    expect(await read(connection, v)).toEqual([7]);
    const afterMs = Date.now();
    await sleep(60);
    for (let i = 0; i < 2; i++) {
      const [answer] = await read(connection, v);
      expect(answer).toMatchObject({ value: 7, status: "good" });
      const { sourceTimeMs } = answer as { sourceTimeMs: number };
      expect(sourceTimeMs).toBeGreaterThanOrEqual(beforeMs);
      expect(sourceTimeMs).toBeLessThanOrEqual(afterMs);
    }
    expect(server.requests).toHaveLength(3);
  });

  it("has the device's own time where there is one, and is always fresh where the settings say so", async () => {
    const server = await scripted((request, socket) => socket.write(answers(true)(request)));
    const timed = points({ path: "/v", pick: "$.v", time: "$.t" });
    const own = { value: 7, status: "good", sourceTimeMs: Date.UTC(2026, 10, 22, 4) };
    const connection = await connect(server.port);
    for (let i = 0; i < 2; i++) expect(await read(connection, timed)).toEqual([own]);
    const fresh = await connect(server.port, { conditional: false });
    for (let i = 0; i < 2; i++) expect(await read(fresh, v)).toEqual([7]);
    expect(server.requests.at(-1)).not.toMatch(/if-none-match/i);
  });

  it("is as old as a cache on the way says", async () => {
    const server = await scripted((_, socket) => socket.write(json({ v: 7 }, { Age: "90" })));
    const [answer] = await read(await connect(server.port), v);
    const { sourceTimeMs = 0 } = answer as { sourceTimeMs?: number };
    expect(Date.now() - sourceTimeMs).toBeGreaterThanOrEqual(90_000);
    expect(Date.now() - sourceTimeMs).toBeLessThan(95_000);
  });
});

describe("a write", () => {
  const list = points({
    path: "/lamps/1",
    pick: "$.level",
    write: { method: "PATCH", path: "/lamps/1/level", body: { target: { level: "{value}" }, by: "kerb" } },
  });

  it.each([
    [204, 60, "resolved"],
    [400, 60, "rejected: .*PATCH /lamps/1/level was answered with 400"],
    [403, 60, "denied"],
    [503, 60, "busy"],
    // Nobody knows whether the device behind it has heard.
    [502, 60, "silent: .*502"],
    [504, 60, "silent: .*504"],
  ])("answered with %i", async (status, value, expected) => {
    const server = await scripted((_, socket) => socket.write(http(status, "")));
    const connection = await connect(server.port);
    expect(await failure(connection.write!(list[0]!, value, patient()))).toMatch(new RegExp(expected));
    expect(server.requests[0]).toMatch(/^PATCH \/lamps\/1\/level HTTP/);
    expect(server.requests[0]).toMatch(/\{"target":\{"level":60\},"by":"kerb"\}$/);
  });

  it("cannot break out of its place, and is never sent twice", async () => {
    const server = await scripted((_, socket, index) => {
      if (index === 1) socket.destroy();
      else socket.write(json({ level: 1 }));
    });
    const connection = await connect(server.port);
    await read(connection, list);
    expect(await failure(connection.write!(list[0]!, '"},"x":{"y":"$&', patient()))).toMatch(/^hung-up/);
    expect(server.requests).toHaveLength(2);
    const body = server.requests[1]!.split("\r\n\r\n")[1]!;
    expect(JSON.parse(body)).toEqual({ target: { level: '"},"x":{"y":"$&' }, by: "kerb" });
  });
});
