import { spawn } from "node:child_process";
import { afterEach, describe, expect, test } from "vitest";
import {
  connectTo,
  codeOf,
  Ear,
  hasPython,
  hasSocat,
  lineOf,
  patient,
  pointsOf,
  scriptedServer,
  settingsOf,
  stop,
  until,
  wire,
  type ScriptedServer,
  type Wire,
} from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const ozone = pointsOf([{ request: "data", item: "{station}", field: "value" }]);
const read = { request: "data", item: "001", field: "value" };

async function aWire(): Promise<Wire> {
  const made = await wire();
  open.push(made);
  return made;
}

const onPort = (profile: string, port: string, more: Record<string, unknown> = {}) =>
  settingsOf(profile, 1, { transport: { type: "serial", port, baud: 9600 }, timeout: 500, ...more });

/** A foreign instrument: python, pyserial, and a block check of its own. */
const foreignAnalyser = `
import sys, serial, functools, operator
port = serial.Serial(sys.argv[1], 9600, timeout=0.05)
echo = len(sys.argv) > 2 and sys.argv[2] == "echo"
def bcc(b): return b"%02X" % functools.reduce(operator.xor, b)
print("ready", flush=True)
heard = b""
while True:
    heard += port.read(64)
    at = heard.find(b"\\x03")
    if at < 0 or len(heard) < at + 3: continue
    request, heard = heard[:at + 3], heard[at + 3:]
    if echo: port.write(request)
    if request[:at + 1][-6:-1] != b"DA097" or bcc(request[:at + 1]) != request[at + 1:at + 3]: continue
    text = b"\\x02MD01 097 +4213-02 40 00 001 000123 \\x03"
    port.write(b"\\xff\\x00noise")
    port.write((text + bcc(text))[:11]); port.flush()
    port.write((text + bcc(text))[11:])
`;

describe.skipIf(!hasSocat || !hasPython("serial"))("a foreign instrument (python, pyserial)", () => {
  for (const echo of ["no echo", "echo"]) {
    test(`answers a Bayern-Hessen query over a pseudo-terminal, ${echo}`, async () => {
      const made = await aWire();
      const child = spawn("/usr/bin/python3", ["-c", foreignAnalyser, made.instrument, echo]);
      open.push({ close: () => stop(child) });
      await lineOf(child, "ready");
      const connection = await connectTo(onPort("ecotech/serinus-10", made.driver, { station: "97" }));
      open.push(connection);
      const { answers } = await connection.read(ozone, { signal: patient() });
      expect(answers).toEqual([42.13]);
    });
  }
});

const foreignStation = `
import sys, time, serial, pynmea2
port = serial.Serial(sys.argv[1], 9600)
print("ready", flush=True)
while True:
    wind = pynmea2.MWV("WI", "MWV", ("214.8", "R", "12.5", "M", "A"))
    air = pynmea2.XDR("II", "XDR", ("C", "-3.5", "C", "TEMP", "P", "1.0132", "B", "PRESS"))
    port.write((str(wind) + "\\r\\n" + str(air) + "\\r\\n").encode())
    time.sleep(0.1)
`;

test.skipIf(!hasSocat || !hasPython("serial", "pynmea2"))(
  "sentences of a foreign encoder (pynmea2) are read over a pseudo-terminal",
  async () => {
    const made = await aWire();
    const child = spawn("/usr/bin/python3", ["-c", foreignStation, made.instrument]);
    open.push({ close: () => stop(child) });
    await lineOf(child, "ready");
    const connection = await connectTo(onPort("generic/nmea-weather", made.driver));
    open.push(connection);
    const ear = new Ear();
    const over = new AbortController();
    const points = pointsOf([
      { frame: "wind", field: "windDirection" },
      { frame: "wind", field: "windSpeed" },
      { frame: "air", item: "TEMP", field: "value" },
      { frame: "air", item: "PRESS", field: "value" },
    ]);
    const done = connection.subscribe!({ points, records: [], sink: ear, signal: over.signal });
    await until("four values", () => ear.values.size === 4);
    expect([0, 1, 2, 3].map((index) => ear.values.get(index))).toEqual([214.8, 12.5, -3.5, 1.0132]);
    over.abort();
    await done;
  },
);

describe.skipIf(!hasSocat)("a serial port", () => {
  test("that another process has locked is busy, and free again after it", async () => {
    const made = await aWire();
    const lock = `import sys, fcntl, termios, time
f = open(sys.argv[1], "rb+", buffering=0)
fcntl.ioctl(f, termios.TIOCEXCL); fcntl.flock(f, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)`;
    const child = spawn("/usr/bin/python3", ["-c", lock, made.driver]);
    open.push({ close: () => stop(child) });
    await lineOf(child, "locked");
    const settings = onPort("met-one/bam-1020", made.driver);
    expect(await codeOf(connectTo(settings))).toBe("busy");
    await stop(child);
  });

  test("that a device with another baud rate has open is busy", async () => {
    const made = await aWire();
    const first = await connectTo(onPort("met-one/bam-1020", made.driver));
    open.push(first);
    const other = onPort("met-one/bam-1020", made.driver, {
      transport: { type: "serial", port: made.driver, baud: 4800 },
    });
    expect(await codeOf(connectTo(other))).toBe("busy");
    await first.close();
    const second = await connectTo(other);
    open.push(second);
  });

  test("that is unplugged ends a read at once, and a subscription", async () => {
    const made = await aWire();
    const connection = await connectTo(onPort("met-one/bam-1020", made.driver, { timeout: 5000 }));
    open.push(connection);
    const ear = new Ear();
    const told = codeOf(connection.subscribe!({ points: [], records: [], sink: ear, signal: patient() }));
    const asked = codeOf(connection.read(pointsOf([read]), { signal: patient() }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const unpluggedAt = performance.now();
    await made.unplug();
    expect(await asked).toBe("hung-up");
    expect(await told).toBe("hung-up");
    expect(performance.now() - unpluggedAt).toBeLessThan(1500);
    expect(await codeOf(connection.read(pointsOf([read]), { signal: patient() }))).toBe("hung-up");
  });
});

test("a port that is not there is refused, with those that are", async () => {
  const problem: unknown = await connectTo(onPort("met-one/bam-1020", "/dev/serial/by-id/nothing")).catch(
    (error: unknown) => error,
  );
  expect(problem).toMatchObject({
    code: "refused",
    message: expect.stringMatching(/nothing.*present: (no serial port|\/dev\/)/) as string,
  });
});

test("a port whose name sounds like an error is refused for what it is", async () => {
  for (const name of ["usb-Airblock_1", "usb-Permission_2"])
    expect(await codeOf(connectTo(onPort("met-one/bam-1020", `/dev/serial/by-id/${name}`)))).toBe("refused");
});

const bam = (value: string) => `MD01 001 ${value} 82 00 001 000000\r`;

const frame = (id: string, value: string) => {
  const text = `\x02MD01 ${id} ${value} 40 00 001 000123 \x03`;
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum ^= text.charCodeAt(i);
  return text + sum.toString(16).padStart(2, "0");
};

/** The first answer comes after 700 ms to whoever listens then, each later one 300 ms after its request. */
async function lateServer(): Promise<ScriptedServer> {
  let count = 0;
  const server = await scriptedServer(() => {
    const answer = `+000${++count === 1 ? 1 : 2}+00`;
    setTimeout(() => server.say(bam(answer)), count === 1 ? 700 : 300);
    return undefined;
  });
  open.push(server);
  return server;
}

describe("on one line", () => {
  test("what came before a request is not its answer", async () => {
    let count = 0;
    const server = await scriptedServer(() => (count++ === 0 ? undefined : bam("+0002+00")));
    open.push(server);
    const connection = await connectTo(settingsOf("met-one/bam-1020", server.port, { timeout: 200 }));
    open.push(connection);
    await until("a connection", () => server.sockets.size > 0);
    const points = pointsOf([read]);
    expect(await codeOf(connection.read(points, { signal: patient() }))).toBe("silent");
    // The late answer to the first request comes while nothing is asked.
    server.say(bam("+0001+00"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toEqual([2]);
  });

  for (const how of ["has timed out", "was given up", "has timed out, on a new connection"]) {
    test(`the late answer to a request that ${how} is not that of the next one`, async () => {
      const server = await lateServer();
      const settings = settingsOf("met-one/bam-1020", server.port, { timeout: 500 });
      let connection = await connectTo(settings);
      open.push(connection);
      const points = pointsOf([read]);
      const signal = how === "was given up" ? AbortSignal.timeout(450) : patient();
      const code = how === "was given up" ? "aborted" : "silent";
      expect(await codeOf(connection.read(points, { signal }))).toBe(code);
      if (how.endsWith("connection")) {
        await connection.close();
        connection = await connectTo(settings);
        open.push(connection);
      }
      // A slow machine may lose an answer; it must not take a wrong one.
      for (;;) {
        const result = await connection.read(points, { signal: patient() }).catch(() => undefined);
        if (result === undefined) continue;
        expect(result.answers).toEqual([2]);
        break;
      }
    });
  }

  test("the answer of another station is not taken", async () => {
    const server = await scriptedServer(() => frame("008", "+0001+00"));
    open.push(server);
    const connection = await connectTo(
      settingsOf("ecotech/serinus-10", server.port, { station: "7", timeout: 200 }),
    );
    open.push(connection);
    const { answers } = await connection.read(ozone, { signal: patient() });
    expect(answers[0]).toMatchObject({ value: null, status: "bad", code: "no-such-item" });
  });

  test("a flood of noise is garbage, in time and without growing", async () => {
    const server = await scriptedServer((_, socket) => {
      for (let i = 0; i < 200; i++) socket.write(Buffer.alloc(10_000, 0xaa));
      return undefined;
    });
    open.push(server);
    const connection = await connectTo(settingsOf("met-one/bam-1020", server.port, { timeout: 300 }));
    open.push(connection);
    const begunAt = performance.now();
    expect(await codeOf(connection.read(pointsOf([read]), { signal: patient() }))).toBe("garbage");
    // The signal would end it after longer; a busy machine takes seconds for what is 2 MB.
    expect(performance.now() - begunAt).toBeLessThan(10_000);
  });

  test("a request with a wrong name, or for a field that is not there, is a bad reading beside good ones", async () => {
    const server = await scriptedServer(() => bam("+1250-01"));
    open.push(server);
    const connection = await connectTo(settingsOf("met-one/bam-1020", server.port));
    open.push(connection);
    const points = pointsOf([
      read,
      { request: "nothing", field: "value" },
      { request: "data", item: "001", field: "nothing" },
    ]);
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toMatchObject([125, { code: "no-such-request" }, { code: "no-such-field" }]);
    expect(server.heard).toBe("\x02DA\r");
  });
});

const asked = (requests: Record<string, string>, framing: object = { end: "\r\n" }) => ({
  dialect: "test",
  framing,
  requests: Object.fromEntries(Object.entries(requests).map(([name, send]) => [name, { send, answer: "v" }])),
  frames: {
    v: { match: [{ at: 0, is: "V" }], split: ",", fields: { a: { at: 1 } } },
  },
});

async function connected(grammar: Record<string, unknown>, script: (text: string) => string | undefined) {
  const server = await scriptedServer(script);
  open.push(server);
  const connection = await connectTo(settingsOf(grammar, server.port, { timeout: 300 }));
  open.push(connection);
  return { server, connection };
}

describe("what is not answered", () => {
  test("costs its own points only, whichever is asked first", async () => {
    const grammar = asked({ a: "A\r", b: "B\r" });
    const { connection } = await connected(grammar, (text) =>
      text.startsWith("B") ? "V,12\r\n" : undefined,
    );
    for (const order of [
      ["a", "b"],
      ["b", "a"],
    ]) {
      const points = pointsOf(order.map((request) => ({ request, field: "a" })));
      const { answers } = await connection.read(points, { signal: patient() });
      expect(answers[order.indexOf("b")]).toBe(12);
      expect(answers[order.indexOf("a")]).toMatchObject({ value: null, code: "timeout" });
    }
  });

  test("holds up a line on which something streams for a while, and not for ever", async () => {
    let isDeaf = true;
    const { server, connection } = await connected(asked({ a: "A\r" }), () =>
      isDeaf ? undefined : "V,12\r\n",
    );
    const streaming = setInterval(() => server.say("S,1\r\n"), 200);
    try {
      const points = pointsOf([{ request: "a", field: "a" }]);
      expect(await codeOf(connection.read(points, { signal: patient() }))).toBe("garbage");
      isDeaf = false;
      expect((await connection.read(points, { signal: patient() })).answers).toEqual([12]);
    } finally {
      clearInterval(streaming);
    }
  });

  test("has no name that every object has", async () => {
    const { connection } = await connected(asked({ a: "A\r" }), () => "V,12\r\n");
    const points = pointsOf([
      { request: "constructor", field: "a" },
      { request: "a", field: "constructor" },
    ]);
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toMatchObject([{ code: "no-such-request" }, { code: "no-such-field" }]);
  });

  test("ends early where a flood comes instead", async () => {
    const grammar = asked({ a: "A\r" }, { start: "\u0002", end: "\u0003", lengthMax: 512 });
    const { server, connection } = await connected(grammar, () => undefined);
    const reading = codeOf(connection.read(pointsOf([{ request: "a", field: "a" }]), { signal: patient() }));
    await until("a request", () => server.heard !== "");
    const begunAt = performance.now();
    server.say(Buffer.alloc(200_000, 2));
    expect(await reading).toBe("garbage");
    expect(performance.now() - begunAt).toBeLessThan(250);
  });
});

const sensor = async (script: (request: string) => string | undefined) => {
  const server = await scriptedServer(script);
  open.push(server);
  const connection = await connectTo(settingsOf("generic/sdi12-level", server.port, { timeout: 300 }));
  open.push(connection);
  return { server, connection };
};

describe("SDI-12", () => {
  const points = pointsOf([{ request: "m", field: "value1" }]);

  test("waits for the service request, and no longer than the sensor has asked for", async () => {
    const { server, connection } = await sensor((request) => (request === "0M!" ? "00011\r\n" : "0+1.5\r\n"));
    const begunAt = performance.now();
    const reading = connection.read(points, { signal: patient() });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(server.heard).toBe("0M!");
    server.say("0\r\n");
    expect((await reading).answers).toEqual([1.5]);
    expect(performance.now() - begunAt).toBeLessThan(1000);
    // Without a service request the second that was announced is over.
    expect((await connection.read(points, { signal: patient() })).answers).toEqual([1.5]);
    expect(performance.now() - begunAt).toBeGreaterThan(1200);
  });

  test("a service request that comes late is not taken for an answer without values", async () => {
    const { connection } = await sensor((request) => (request === "0M!" ? "00001\r\n" : "0\r\n0+1.5\r\n"));
    expect((await connection.read(points, { signal: patient() })).answers).toEqual([1.5]);
  });

  test("a sensor that has no values, or is too slow, gives bad readings with a code", async () => {
    for (const [promise, data, code] of [
      ["00000\r\n", "", "sdi12-no-values"],
      ["09991\r\n", "", "sdi12-too-slow"],
      ["00001\r\n", "0\r\n", "sdi12-no-value"],
    ] as const) {
      const { connection } = await sensor((request) => (request === "0M!" ? promise : data));
      expect((await connection.read(points, { signal: patient() })).answers).toMatchObject([
        { value: null, code },
      ]);
    }
  });

  test("a measurement that does not fit into the read is a bad reading beside the others", async () => {
    const { connection } = await sensor((request) => {
      if (request === "0M!") return "00131\r\n0\r\n";
      // The first took its time: 13 s of the 14 are over only if they were waited for.
      if (request === "0M1!") return "00141\r\n";
      return "0+1.5\r\n";
    });
    const both = pointsOf([
      { request: "m", field: "value1" },
      { request: "m1", field: "value1" },
    ]);
    const { answers } = await connection.read(both, { signal: patient() });
    expect(answers).toMatchObject([1.5, { value: null, code: "sdi12-too-slow" }]);
  });

  test("a wrong checksum is garbage", async () => {
    const grammar = { dialect: "sdi12", framing: { end: "\r\n" }, requests: { m: { sdi12: "MC" } } };
    const server = await scriptedServer((request) => (request === "0MC!" ? "00001\r\n" : "0+3.14OqY\r\n"));
    open.push(server);
    const connection = await connectTo(settingsOf(grammar, server.port, { station: "0" }));
    open.push(connection);
    expect(await codeOf(connection.read(points, { signal: patient() }))).toBe("garbage");
  });
});
