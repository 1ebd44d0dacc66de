import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import type { Connection } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import type { Address } from "./settings.ts";
import {
  codeOf,
  connectTo,
  contextOf,
  isInstalled,
  lineOf,
  patient,
  pointsOf,
  registersPdu,
  scriptedServer,
  settingsOf,
  stop,
  tcpAnswer,
  type Script,
  type ScriptedServer,
} from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function device(
  script: Script,
  more: Record<string, unknown> = {},
): Promise<{ server: ScriptedServer; connection: Connection<Address> }> {
  const server = await scriptedServer("tcp", script);
  open.push(server);
  const connection = await connectTo(settingsOf(server.port, more));
  open.push(connection);
  return { server, connection };
}

/** Answers with the register's own number. */
const honest: Script = (request, socket) =>
  void socket.write(
    tcpAnswer(
      request,
      registersPdu(request.subarray(7), (register) => register),
    ),
  );

const one = pointsOf({ register: 7 });

async function valueOf(connection: Connection<Address>, register: number): Promise<unknown> {
  const { answers } = await connection.read(pointsOf({ register }), { signal: patient() });
  return answers[0];
}

describe("a device that does not answer", () => {
  test("is silent at our deadline, and the message names the place", async () => {
    const { server, connection } = await device(() => {}, { unit: 3 });
    const begunAt = performance.now();
    await expect(connection.read(one, { signal: patient() })).rejects.toMatchObject({
      code: "silent",
      message: `127.0.0.1:${server.port} unit 3: no answer to read holding 7 within 200 ms`,
    });
    const took = performance.now() - begunAt;
    expect(took).toBeGreaterThan(190);
    expect(took).toBeLessThan(600);
  });

  test("is given up within 50 ms of the caller's abort", async () => {
    const { connection } = await device(() => {}, { timeout: 5000 });
    const caller = new AbortController();
    const read = codeOf(connection.read(one, { signal: caller.signal }));
    setTimeout(() => caller.abort(), 30);
    await once(caller.signal, "abort");
    const abortedAt = performance.now();
    expect(await read).toBe("aborted");
    expect(performance.now() - abortedAt).toBeLessThan(50);
  });

  test("loses its socket, and the next read opens another", async () => {
    const { server, connection } = await device((request, socket, index) => {
      if (index > 0) honest(request, socket, index);
    });
    const first = once([...server.sockets][0]!, "close");
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("silent");
    await first;
    expect(await valueOf(connection, 7)).toBe(7);
    expect(server.accepted).toBe(2);
  });

  test("to one request of several costs only that one, which is then asked last", async () => {
    const { server, connection } = await device(
      (request, socket, index) => {
        if (request.readUInt16BE(8) !== 100) honest(request, socket, index);
      },
      { timeout: 100 },
    );
    const points = pointsOf({ register: 0 }, { register: 100 }, { register: 200 });
    const first = await connection.read(points, { signal: patient() });
    expect(first.answers).toMatchObject([0, { status: "bad", code: "timeout", value: null }, 200]);
    expect(first.atMs).toHaveLength(3);
    const before = server.requests.length;
    await connection.read(points, { signal: patient() });
    expect(server.requests.slice(before).map((request) => request.readUInt16BE(8))).toEqual([0, 200, 100]);
  });
});

describe("a connection that is lost with a request pending", () => {
  test.each([
    ["RST", (socket: Parameters<Script>[1]) => socket.resetAndDestroy()],
    ["FIN", (socket: Parameters<Script>[1]) => socket.end()],
  ])("by %s rejects at once", async (_, lose) => {
    const { connection } = await device((_request, socket) => lose(socket), { timeout: 5000 });
    const begunAt = performance.now();
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("hung-up");
    expect(performance.now() - begunAt).toBeLessThan(500);
  });

  test("by our close rejects with closed, and so does what follows", async () => {
    const { server, connection } = await device(() => {}, { timeout: 5000 });
    const read = codeOf(connection.read(one, { signal: patient() }));
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await connection.close();
    expect(await read).toBe("closed");
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("closed");
    expect(await codeOf(connection.identify(patient()))).toBe("closed");
  });

  test("while idle is told to the next read, once", async () => {
    const { server, connection } = await device(honest);
    const socket = [...server.sockets][0]!;
    socket.end();
    await once(socket, "close");
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("hung-up");
    expect(await valueOf(connection, 7)).toBe(7);
  });
});

test("close settles when the peer never sends FIN, and twice", async () => {
  const { server, connection } = await device(honest);
  for (const socket of server.sockets) socket.pause();
  const begunAt = performance.now();
  await Promise.all([connection.close(), connection.close()]);
  await connection.close();
  expect(performance.now() - begunAt).toBeLessThan(200);
});

describe("bytes that break the protocol", () => {
  test.each<[string, Script]>([
    [
      "a length of 0",
      (request, socket) => void socket.write(tcpAnswer(request, [3, 2, 0, 1], { length: 0 })),
    ],
    [
      "a length of 40000",
      (request, socket) => void socket.write(tcpAnswer(request, [3, 2, 0, 1], { length: 40_000 })),
    ],
    [
      "protocol id 7777",
      (request, socket) => void socket.write(tcpAnswer(request, [3, 2, 0, 1], { protocol: 7777 })),
    ],
    ["a foreign unit", (request, socket) => void socket.write(tcpAnswer(request, [3, 2, 0, 1], { unit: 9 }))],
    ["a foreign function", (request, socket) => void socket.write(tcpAnswer(request, [4, 2, 0, 1]))],
    ["a wrong byte count", (request, socket) => void socket.write(tcpAnswer(request, [3, 4, 0, 1, 0, 2]))],
    ["a lying byte count", (request, socket) => void socket.write(tcpAnswer(request, [3, 2, 0, 1, 0, 2]))],
    ["text", (_, socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("%s is garbage, then the next good answer is used", async (_, bogus) => {
    const { server, connection } = await device(
      (request, socket, index) => (index === 0 ? bogus : honest)(request, socket, index),
      { timeout: 3000 },
    );
    const begunAt = performance.now();
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("garbage");
    expect(performance.now() - begunAt).toBeLessThan(1000);
    expect(await valueOf(connection, 11)).toBe(11);
    expect(server.accepted).toBe(2);
  });

  test("an answer in single bytes is put together", async () => {
    const { connection } = await device((request, socket) => {
      const bytes = tcpAnswer(request, [3, 2, 0, 99]);
      for (const byte of bytes) socket.write(Buffer.of(byte));
    });
    expect(await valueOf(connection, 1)).toBe(99);
  });
});

describe("an answer never meets another request", () => {
  test("when it is late", async () => {
    const late: (() => void)[] = [];
    const { connection } = await device((request, socket, index) => {
      const answer = () => void socket.write(tcpAnswer(request, [3, 2, 0, request[9]!]));
      if (index === 0) late.push(answer);
      else {
        late.splice(0).forEach((send) => send());
        answer();
      }
    });
    expect(await codeOf(connection.read(pointsOf({ register: 100 }), { signal: patient() }))).toBe("silent");
    expect(await valueOf(connection, 200)).toBe(200);
    expect(await valueOf(connection, 201)).toBe(201);
  });

  test("when it is late by an abort", async () => {
    const { connection } = await device((request, socket, index) => {
      if (index > 0) socket.write(tcpAnswer(request, [3, 2, 0, request[9]!]));
    });
    const signal = AbortSignal.timeout(30);
    expect(await codeOf(connection.read(pointsOf({ register: 100 }), { signal }))).toBe("aborted");
    expect(await valueOf(connection, 200)).toBe(200);
  });

  test.each<[string, (request: Buffer) => number]>([
    ["one more", (request) => request.readUInt16BE(0) + 1],
    ["256 more", (request) => request.readUInt16BE(0) + 256],
    ["always 0", () => 0],
  ])("when its transaction id is %s", async (_, transaction) => {
    const { connection } = await device((request, socket) => {
      socket.write(tcpAnswer(request, [3, 2, 0, 66], { transaction: transaction(request) }));
    });
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("garbage");
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("garbage");
  });

  test("when it comes twice", async () => {
    const { connection } = await device((request, socket) => {
      const answer = tcpAnswer(request, [3, 2, 0, request[9]!]);
      socket.write(Buffer.concat([answer, answer]));
    });
    const begunAt = performance.now();
    for (let register = 1; register < 20; register++)
      expect(await valueOf(connection, register)).toBe(register);
    expect(performance.now() - begunAt).toBeLessThan(150);
  });
});

/** Open sockets of this process. */
function sockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

describe("a black hole", () => {
  test.runIf(isInstalled("python3", "--version"))("leaks no socket in five attempts", async () => {
    // A full accept queue: the kernel drops every further SYN.
    const hole = spawn("python3", [
      "-uc",
      `import socket, sys
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(0)
held = [socket.socket() for _ in range(3)]
for one in held: one.setblocking(False); one.connect_ex(listener.getsockname())
print("port", listener.getsockname()[1]); sys.stdin.read()`,
    ]);
    open.push({ close: () => stop(hole) });
    const port = Number((await lineOf(hole, "port")).split(" ")[1]);
    const before = sockets();
    const byDeadline = Array.from({ length: 3 }, () => codeOf(connectTo(settingsOf(port))));
    const byAbort = Array.from({ length: 2 }, () =>
      codeOf(driver.connect(settingsOf(port), contextOf(), AbortSignal.timeout(50))),
    );
    expect(await Promise.all(byAbort)).toEqual(["aborted", "aborted"]);
    expect(await Promise.all(byDeadline)).toEqual(["silent", "silent", "silent"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sockets()).toBe(before);
  });
});

test("nothing listens: refused; no such host: unreachable", async () => {
  const server = await scriptedServer("tcp", () => {});
  await server.close();
  expect(await codeOf(connectTo(settingsOf(server.port)))).toBe("refused");
  const nowhere = settingsOf(502, { transport: { type: "tcp", host: "no-such-host.invalid" } });
  expect(await codeOf(connectTo(nowhere))).toBe("unreachable");
});

describe("exceptions are quality, not transport errors", () => {
  test.each([
    [1, "modbus-1", "illegal function"],
    [4, "modbus-4", "server device failure"],
    [6, "modbus-6", "server device busy"],
    [10, "modbus-10", "gateway path unavailable"],
    [99, "modbus-99", "exception 99"],
  ])("%i is %s", async (exception, code, reason) => {
    const { connection } = await device(
      (request, socket) => void socket.write(tcpAnswer(request, [0x83, exception])),
    );
    const { answers } = await connection.read(pointsOf({ register: 1 }, { register: 2 }), {
      signal: patient(),
    });
    const bad = { value: null, status: "bad", code, reason };
    expect(answers).toEqual([bad, bad]);
  });

  test("11 on one of two requests is bad, on every request the device is lost", async () => {
    let isOneAlive = true;
    const { server, connection } = await device((request, socket, index) => {
      if (isOneAlive && request.readUInt16BE(8) === 500) honest(request, socket, index);
      else socket.write(tcpAnswer(request, [0x83, 11]));
    });
    const points = pointsOf({ register: 1 }, { register: 500 }, { register: 900 }, { register: 1300 });
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toMatchObject([{ code: "modbus-11" }, 500, { code: "modbus-11" }, { code: "modbus-11" }]);
    isOneAlive = false;
    const before = server.requests.length;
    await expect(connection.read(points, { signal: patient() })).rejects.toMatchObject({ code: "silent" });
    expect(server.requests.length - before).toBe(2);
  });
});

describe("several requests", () => {
  const points = pointsOf(...Array.from({ length: 8 }, (_, index) => ({ register: 1000 * index })));
  const expected = Array.from({ length: 8 }, (_, index) => 1000 * index);

  test("are sent with one write when the device stands it, and are told apart in any order", async () => {
    const held: (() => void)[] = [];
    const { server, connection } = await device(
      (request, socket, index) => {
        held.push(() => honest(request, socket, index));
        if (held.length === 8)
          held
            .splice(0)
            .reverse()
            .forEach((answer) => answer());
      },
      { requestsInFlight: 8 },
    );
    const result = await connection.read(points, { signal: patient() });
    expect(result).toEqual({ answers: expected });
    expect(server.chunks).toBe(1);
  });

  test("never exceed the window", async () => {
    let out = 0;
    let outMax = 0;
    const { connection } = await device(
      (request, socket, index) => {
        outMax = Math.max(outMax, ++out);
        setImmediate(() => {
          out--;
          honest(request, socket, index);
        });
      },
      { requestsInFlight: 3 },
    );
    const result = await connection.read(points, { signal: patient() });
    expect(result.answers).toEqual(expected);
    expect(result.atMs).toHaveLength(8);
    expect(outMax).toBe(3);
  });

  test("that overlap wait for each other", async () => {
    const { connection } = await device(honest);
    const reads = [1, 2, 3].map((register) => valueOf(connection, register));
    expect(await Promise.all(reads)).toEqual([1, 2, 3]);
  });
});
