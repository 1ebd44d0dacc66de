import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { Connection } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import type { Address } from "./settings.ts";
import {
  codeOf,
  connectTo,
  contextOf,
  isInstalled,
  patient,
  pointsOf,
  ptyTo,
  registersPdu,
  rtuFrame,
  scriptedServer,
  settingsOf,
  type Script,
} from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** Answers with the register's own number, from whichever unit is asked. */
const honest: Script = (request, socket) => void socket.write(answerOf(request));
const answerOf = (request: Buffer) =>
  rtuFrame(
    request[0]!,
    registersPdu(request.subarray(1), (register) => register),
  );

/** A device that answers in the order in which it was asked, the first request after `firstMs`. */
function slowAtFirst(firstMs: number, send: (answer: Buffer, socket: Socket) => void): Script {
  let last = Promise.resolve();
  return (request, socket, index) => {
    last = last.then(() => sleep(index === 0 ? firstMs : 0)).then(() => send(answerOf(request), socket));
  };
}

const toSocket = (answer: Buffer, socket: Socket) => void socket.write(answer);

const one = pointsOf({ register: 7 });

async function valueOf(connection: Connection<Address>, register: number): Promise<unknown> {
  const { answers } = await connection.read(pointsOf({ register }), { signal: patient() });
  return answers[0];
}

async function lineTo(script: Script) {
  const server = await scriptedServer("rtu", script);
  open.push(server);
  const join = async (more: Record<string, unknown> = {}) => {
    const connection = await connectTo(settingsOf(server.port, more, "rtu-over-tcp"));
    open.push(connection);
    return connection;
  };
  return { server, join };
}

async function serialTo(script: Script, folder?: string) {
  const server = await scriptedServer("rtu", script);
  open.push(server);
  const pty = await ptyTo(server.port, folder);
  open.push(pty);
  const wanted = (more: Record<string, unknown> = {}) =>
    settingsOf(1, { transport: { type: "rtu", port: pty.path, baud: 19_200 }, ...more });
  const join = async (more: Record<string, unknown> = {}) => {
    const connection = await connectTo(wanted(more));
    open.push(connection);
    return connection;
  };
  return { server, pty, wanted, join };
}

const hasSocat = isInstalled("socat", "-V");

describe.each([
  ["RTU over TCP", lineTo],
  ...(hasSocat ? ([["RTU on a serial port", serialTo]] as const) : []),
] as [string, typeof lineTo][])("%s", (_name, lineOf) => {
  test("reads", async () => {
    const { join } = await lineOf(honest);
    expect(await valueOf(await join({ unit: 17 }), 4660)).toBe(4660);
  });

  test.each([100, 400])("a first answer %i ms too late is never taken for another's", async (lateMs) => {
    const { join } = await lineOf(slowAtFirst(200 + lateMs, toSocket));
    const connection = await join();
    expect(await codeOf(connection.read(pointsOf({ register: 100 }), { signal: patient() }))).toBe("silent");
    for (const register of [200, 300, 400]) expect(await valueOf(connection, register)).toBe(register);
  });

  test("an answer that comes after an abort is never taken for another's", async () => {
    const { join } = await lineOf(slowAtFirst(150, toSocket));
    const connection = await join();
    const first = connection.read(pointsOf({ register: 100 }), { signal: AbortSignal.timeout(50) });
    expect(await codeOf(first)).toBe("aborted");
    expect(await valueOf(connection, 200)).toBe(200);
  });

  test("a late answer that has come ends the wait for it", async () => {
    const { join } = await lineOf(slowAtFirst(1100, toSocket));
    const connection = await join({ timeout: 1000 });
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("silent");
    const begunAt = performance.now();
    expect(await valueOf(connection, 200)).toBe(200);
    expect(performance.now() - begunAt).toBeLessThan(600);
  });

  test("a truncated first answer spoils nothing after it", async () => {
    const { join } = await lineOf((request, socket, index) => {
      socket.write(index === 0 ? answerOf(request).subarray(0, 4) : answerOf(request));
    });
    const connection = await join();
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("garbage");
    expect(await valueOf(connection, 8)).toBe(8);
  });

  test("turnaround noise and the echo of the request are skipped", async () => {
    const { join } = await lineOf((request, socket) => {
      socket.write(Buffer.concat([request, Buffer.from([0x00, 0xff, 0x01, 0x03]), answerOf(request)]));
    });
    const connection = await join();
    for (const register of [1, 2, 515]) expect(await valueOf(connection, register)).toBe(register);
  });

  test("an echo in two parts is skipped, though the first of them is a valid answer", async () => {
    const { join } = await lineOf((request, socket) => {
      socket.write(request.subarray(0, 7));
      setTimeout(() => socket.write(Buffer.concat([request.subarray(7), answerOf(request)])), 20);
    });
    const connection = await join({ unit: 4 });
    const points = pointsOf({ table: "input", register: 689 });
    expect((await connection.read(points, { signal: patient() })).answers).toEqual([689]);
  });

  test("an answer that looks like the head of an echo is taken when no echo follows", async () => {
    const { join } = await lineOf((_request, socket) => void socket.write(rtuFrame(4, [4, 2, 0xb1, 0])));
    const connection = await join({ unit: 4 });
    const points = pointsOf({ table: "input", register: 689 });
    expect((await connection.read(points, { signal: patient() })).answers).toEqual([0xb100]);
  });

  test("an echo alone is silence, noise alone is garbage", async () => {
    const { join } = await lineOf((request, socket, index) => {
      socket.write(index === 0 ? request : Buffer.from([1, 3, 2, 0, 7, 0, 0]));
    });
    const connection = await join();
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("silent");
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("garbage");
  });

  test("frames of other units, functions and lengths are not taken", async () => {
    const { join } = await lineOf((request, socket) => {
      const wrong = [
        rtuFrame(2, [3, 2, 0, 66]),
        rtuFrame(1, [4, 2, 0, 66]),
        rtuFrame(1, [3, 4, 0, 66, 0, 66]),
      ];
      socket.write(Buffer.concat([...wrong, answerOf(request)]));
    });
    expect(await valueOf(await join(), 5)).toBe(5);
  });

  test("exceptions are quality", async () => {
    const { join } = await lineOf((_request, socket) => void socket.write(rtuFrame(1, [0x83, 4])));
    const { answers } = await (await join()).read(one, { signal: patient() });
    expect(answers[0]).toMatchObject({ status: "bad", code: "modbus-4", reason: "server device failure" });
  });

  test("units on one line share it, and concurrent reads do not cross over", async () => {
    let out = 0;
    let outMax = 0;
    const { server, join } = await lineOf((request, socket) => {
      outMax = Math.max(outMax, ++out);
      setTimeout(() => {
        out--;
        socket.write(answerOf(request));
      }, 10);
    });
    const [first, second] = [await join({ unit: 1 }), await join({ unit: 2 })];
    const reads = [800, 700, 600, 500].map((register, index) =>
      valueOf(index % 2 === 0 ? first : second, register),
    );
    expect(await Promise.all(reads)).toEqual([800, 700, 600, 500]);
    expect(outMax).toBe(1);
    expect(server.accepted).toBe(1);
    await first.close();
    expect(await valueOf(second, 42)).toBe(42);
    expect(server.accepted).toBe(1);
    expect(await codeOf(first.read(one, { signal: patient() }))).toBe("closed");
  });

  test("close during a read rejects it and leaves the line to the others", async () => {
    const { server, join } = await lineOf((request, socket, index) => {
      if (request[0] === 2) honest(request, socket, index);
    });
    const [first, second] = [await join({ unit: 1, timeout: 5000 }), await join({ unit: 2 })];
    const read = codeOf(first.read(one, { signal: patient() }));
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const begunAt = performance.now();
    await first.close();
    expect(await read).toBe("closed");
    expect(performance.now() - begunAt).toBeLessThan(500);
    expect(await codeOf(second.read(one, { signal: AbortSignal.timeout(20) }))).toBe("aborted");
  });

  test("a line that is never silent is garbage, in bounded time and memory", async () => {
    const { join } = await lineOf((_, socket) => {
      const babble = setInterval(() => socket.write(Buffer.alloc(100, 0x55)), 5);
      socket.on("close", () => clearInterval(babble));
    });
    const connection = await join();
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("garbage");
    await expect(connection.read(one, { signal: patient() })).rejects.toMatchObject({
      code: "garbage",
      message: expect.stringContaining("never silent"),
    });
  });

  test("an identification is found by its own length", async () => {
    const { join } = await lineOf((request, socket) => {
      const objects = [0, 4, ...Buffer.from("Kerb"), 1, 2, ...Buffer.from("P1"), 2, 3, ...Buffer.from("2.1")];
      const frame = rtuFrame(1, [43, 14, 1, 1, 0, 0, 3, ...objects]);
      socket.write(Buffer.concat([request, Buffer.of(0xfe), frame.subarray(0, 11)]));
      setTimeout(() => socket.write(frame.subarray(11)), 20);
    });
    expect(await (await join()).identify(patient())).toEqual({
      vendor: "Kerb",
      model: "P1",
      firmware: "2.1",
    });
  });
});

describe("RTU over TCP", () => {
  test("the wait for a late answer outlives the close of the last device", async () => {
    // A device server hands a late answer to whoever is connected then.
    const { server, join } = await lineTo(
      slowAtFirst(500, (answer) => server.sockets.forEach((socket) => socket.write(answer))),
    );
    const first = await join();
    expect(await codeOf(first.read(pointsOf({ register: 100 }), { signal: patient() }))).toBe("silent");
    await first.close();
    expect(await valueOf(await join(), 200)).toBe(200);
  });

  test("a lost connection is told to each device once, and opens again", async () => {
    const { server, join } = await lineTo(honest);
    const [first, second] = [await join({ unit: 1 }), await join({ unit: 2 })];
    const socket = [...server.sockets][0]!;
    socket.end();
    await once(socket, "close");
    expect(await codeOf(first.read(one, { signal: patient() }))).toBe("hung-up");
    expect(await valueOf(first, 7)).toBe(7);
    expect(await codeOf(second.read(one, { signal: patient() }))).toBe("hung-up");
    expect(await valueOf(second, 7)).toBe(7);
    expect(server.accepted).toBe(2);
  });

  test("the last device closes the connection", async () => {
    const { server, join } = await lineTo(honest);
    const [first, second] = [await join({ unit: 1 }), await join({ unit: 2 })];
    await first.close();
    expect(await valueOf(second, 3)).toBe(3);
    const gone = once([...server.sockets][0]!, "close");
    await second.close();
    await second.close();
    await gone;
  });

  test("a broadcast is refused", async () => {
    expect(await codeOf(connectTo(settingsOf(1, { unit: 0 }, "rtu-over-tcp")))).toBe("unsupported");
  });
});

describe.runIf(hasSocat)("a serial port", () => {
  test("canary: an answer arrives on an otherwise idle loop, many times", async () => {
    const { join } = await serialTo(honest);
    const connection = await join();
    const begunAt = performance.now();
    for (let register = 0; register < 50; register++)
      expect(await valueOf(connection, register)).toBe(register);
    expect(performance.now() - begunAt).toBeLessThan(3000);
  });

  test("pulled out during a read is hung up, and opens again by the same path", async () => {
    const { pty, join, server } = await serialTo((request, socket, index) => {
      if (index > 0) honest(request, socket, index);
    });
    const connection = await join({ timeout: 5000 });
    const read = codeOf(connection.read(one, { signal: patient() }));
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const begunAt = performance.now();
    await pty.unplug();
    expect(await read).toBe("hung-up");
    expect(performance.now() - begunAt).toBeLessThan(1000);
    expect(await codeOf(connection.read(one, { signal: patient() }))).toBe("refused");
    await connection.close();

    open.push(await ptyTo(server.port, pty.path.replace(/\/tty$/, "")));
    expect(await valueOf(await join({ timeout: 500 }), 9)).toBe(9);
  });

  test("opens again after its own close, and is ours alone while open", async () => {
    const { wanted, join } = await serialTo(honest);
    for (let round = 0; round < 5; round++) {
      const connection = await join();
      expect(await valueOf(connection, round)).toBe(round);
      await connection.close();
    }
    const { SerialPort } = await import("serialport");
    const path = (wanted().transport as { port: string }).port;
    const other = new SerialPort({ path, baudRate: 9600, autoOpen: false });
    await new Promise<void>((resolve, reject) => other.open((error) => (error ? reject(error) : resolve())));
    expect(await codeOf(connectTo(wanted()))).toBe("busy");
    await new Promise((resolve) => other.close(resolve));
    expect(await valueOf(await join(), 1)).toBe(1);
  });

  test("with another baud rate for another device is busy", async () => {
    const { pty, join } = await serialTo(honest);
    await join({ unit: 1 });
    const other = settingsOf(1, { transport: { type: "rtu", port: pty.path, baud: 9600 }, unit: 2 });
    expect(await codeOf(connectTo(other))).toBe("busy");
  });

  test("that does not exist is refused", async () => {
    const wanted = settingsOf(1, { transport: { type: "rtu", port: "/dev/no-such-port" } });
    expect(await codeOf(connectTo(wanted))).toBe("refused");
  });
});

test("line: the wire that devices share", () => {
  const tty = { type: "rtu", port: "/dev/ttyS0" };
  expect(driver.line?.(settingsOf(1, { transport: tty, unit: 1 }))).toBe("rtu /dev/ttyS0");
  expect(driver.line?.(settingsOf(1, { transport: tty, unit: 2 }))).toBe("rtu /dev/ttyS0");
  expect(driver.line?.(settingsOf(5020, {}, "rtu-over-tcp"))).toBe("rtu-over-tcp 127.0.0.1:5020");
  expect(driver.line?.(settingsOf(5020))).toBeUndefined();
  expect(contextOf().deviceId).toBe("device");
});
