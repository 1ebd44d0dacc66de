import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Answer, Value } from "../../gateway/driver.ts";
import { compileDecoder, decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { address, type Address } from "./settings.ts";
import {
  codeOf,
  connectTo,
  patient,
  pointsOf,
  registersPdu,
  rtuFrame,
  scriptedServer,
  settingsOf,
  tcpAnswer,
  type Script,
} from "./testing.ts";

/** Values that a device is told: byte for byte on the wire, once each, and by nothing but its own answer as done. */

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const functions = [1, 2, 3, 4, 5, 6, 15, 16, 22];

async function device(script: Script, more: Record<string, unknown> = {}, type = "tcp") {
  const server = await scriptedServer(type === "tcp" ? "tcp" : "rtu", script);
  open.push(server);
  const connection = await connectTo(settingsOf(server.port, { functions, ...more }, type));
  open.push(connection);
  const write = (where: Record<string, unknown>, value: Value, signal = patient()) =>
    connection.write!(pointsOf(where)[0]!, value, signal);
  return { server, connection, write };
}

/** What a device answers that does as it is told. */
function echo(pdu: Buffer): Buffer {
  return pdu[0] === 15 || pdu[0] === 16 ? pdu.subarray(0, 5) : pdu;
}
const obedient: Script = (request, socket) =>
  void socket.write(tcpAnswer(request, [...echo(request.subarray(7))]));
const pdus = ({ requests }: { requests: Buffer[] }) =>
  requests.map((request) => request.subarray(7).toString("hex"));

describe("on the wire", () => {
  test.each<[Record<string, unknown>, Value, Record<string, unknown>, string]>([
    [{ register: 11 }, 500, {}, "06000b01f4"],
    [{ register: 11, type: "int16" }, -2, {}, "06000bfffe"],
    [{ register: 11, order: "BADC" }, 500, {}, "06000bf401"],
    [{ register: 11, type: "bcd16" }, 1234, {}, "06000b1234"],
    [{ register: 11 }, 500, { functions: [3, 16] }, "10000b00010201f4"],
    [{ register: 11, type: "uint32" }, 0x01020304, {}, "10000b00020401020304"],
    [{ register: 11, type: "uint32", order: "CDAB" }, 0x01020304, {}, "10000b00020403040102"],
    [{ register: 11, type: "float32" }, 21.5, {}, "10000b00020441ac0000"],
    [{ register: 11, type: "float32" }, 21.5, { order: "DCBA" }, "10000b0002040000ac41"],
    [{ register: 11, type: "text", length: 3 }, "kerb", {}, "10000b0003066b6572620000"],
    [{ register: 11, type: "bool", bit: 5 }, true, {}, "16000bffdf0020"],
    [{ register: 11, type: "bool", bit: 5 }, false, {}, "16000bffdf0000"],
    [{ register: 11, type: "bool", bit: 15 }, 1, {}, "16000b7fff8000"],
    [{ table: "coil", register: 300 }, true, {}, "05012cff00"],
    [{ table: "coil", register: 300 }, 0, {}, "05012c0000"],
    [{ table: "coil", register: 300 }, true, { functions: [1, 15] }, "0f012c00010101"],
  ])("%j ← %s with %j is %s", async (where, value, more, wire) => {
    const { server, write } = await device(obedient, more);
    await write(where, value);
    expect(pdus(server)).toEqual([wire]);
  });

  test.each<[Record<string, unknown>, Value, Record<string, unknown>, string]>([
    [{ register: 1 }, 65_536, {}, "rejected"],
    [{ register: 1 }, -1, {}, "rejected"],
    [{ register: 1 }, 1.5, {}, "rejected"],
    [{ register: 1 }, Number.NaN, {}, "rejected"],
    [{ register: 1 }, "5", {}, "rejected"],
    [{ register: 1, type: "int16" }, 32_768, {}, "rejected"],
    [{ register: 1, type: "bcd16" }, 10_000, {}, "rejected"],
    [{ register: 1, type: "int64" }, 2n ** 63n, {}, "rejected"],
    [{ register: 1, type: "float32" }, 16_777_217, {}, "rejected"],
    [{ register: 1, type: "float32" }, 1e39, {}, "rejected"],
    [{ register: 1, type: "float32" }, 0.123456789, {}, "rejected"],
    [{ register: 1, type: "float32" }, Infinity, {}, "rejected"],
    [{ register: 1, type: "text", length: 2 }, "five5", {}, "rejected"],
    [{ register: 1, type: "text", length: 2 }, "a\0b", {}, "rejected"],
    [{ register: 1, type: "text", length: 4 }, "blank ", {}, "rejected"],
    [{ register: 1, type: "bool", bit: 1 }, 2, {}, "rejected"],
    [{ table: "coil", register: 1 }, "on", {}, "rejected"],
    [{ table: "input", register: 1 }, 1, {}, "unsupported"],
    [{ table: "discrete", register: 1 }, true, {}, "unsupported"],
    [{ table: "coil", register: 1 }, true, { functions: [1, 6, 16] }, "unsupported"],
    [{ register: 1 }, 1, { functions: [3, 5] }, "unsupported"],
    [{ register: 1, type: "uint32" }, 1, { functions: [3, 6] }, "unsupported"],
    [{ register: 1, type: "uint32" }, 1, { evenCount: true }, "unsupported"],
    [{ register: 1, type: "text", length: 124 }, "long", {}, "unsupported"],
    // Never by reading the register, changing the bit and writing it back: somebody else may write in between.
    [
      { register: 1, type: "bool", bit: 1 },
      true,
      { functions: [1, 2, 3, 4, 5, 6, 15, 16, 43] },
      "unsupported",
    ],
  ])("%j ← %s with %j is refused without a word to the device", async (where, value, more, code) => {
    const { server, write } = await device(obedient, more);
    expect(await codeOf(write(where, value))).toBe(code);
    expect(server.requests).toEqual([]);
  });
});

const whole = (low: bigint, high: bigint) =>
  fc.bigInt(low, high).map((value) => (BigInt(Number(value)) === value ? Number(value) : value));

describe("what the registers hold is what was written", () => {
  const values: [Address["type"], fc.Arbitrary<Value>][] = [
    ["uint16", fc.integer({ min: 0, max: 0xffff })],
    ["int16", fc.integer({ min: -0x8000, max: 0x7fff })],
    ["uint32", fc.integer({ min: 0, max: 0xffff_ffff })],
    ["int32", fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
    ["uint64", whole(0n, 2n ** 64n - 1n)],
    ["int64", whole(-(2n ** 63n), 2n ** 63n - 1n)],
    ["float32", fc.float({ noNaN: true, noDefaultInfinity: true })],
    ["float64", fc.double({ noNaN: true, noDefaultInfinity: true })],
    ["bcd16", fc.integer({ min: 0, max: 9999 })],
    ["bcd32", fc.integer({ min: 0, max: 99_999_999 })],
    ["text", fc.string({ unit: "binary", maxLength: 10 })],
  ];
  test.each(values)("%s, in every order", (type, arbitrary) => {
    const orders = fc.constantFrom("ABCD" as const, "CDAB" as const, "BADC" as const, "DCBA" as const);
    let written = 0;
    fc.assert(
      fc.property(arbitrary, orders, (value, order) => {
        const where: Address = {
          table: "holding",
          register: 0,
          type,
          ...(type === "text" ? { length: 5 } : {}),
        };
        const bytes = encode(where, value, order);
        if (bytes === undefined) {
          expect(type).toBe("text");
          return;
        }
        written++;
        const answers: Answer[] = [];
        const layout = { points: Int32Array.of(0), offsets: Int32Array.of(0) };
        decode(compileDecoder([{ name: "", address: where }], order), layout, bytes, 0, answers);
        const read = answers[0] as Value;
        const isWhole = typeof read !== "string" && (typeof read === "bigint" || Number.isInteger(read));
        // A device has one zero, and a whole number is the same as a bigint.
        if (isWhole) expect(BigInt(read)).toBe(BigInt(value));
        else expect(read).toBe(value);
      }),
      { numRuns: 400 },
    );
    expect(written).toBeGreaterThan(50);
  });

  test("a decimal number is held to the seven digits of a single", () => {
    const where = address.parse({ table: "holding", register: 0, type: "float32" });
    for (const value of [0.1, 23.4, 1234.567, -0.05, 99.99]) {
      const bytes = encode(where, value, "ABCD");
      expect(bytes?.readFloatBE(0)).toBe(Math.fround(value));
    }
  });
});

describe("the answer", () => {
  test.each([1, 2, 3, 6, 8, 10])("exception %d is a no, and nothing is tried again", async (exception) => {
    const { server, write } = await device(
      (request, socket) => void socket.write(tcpAnswer(request, [request[7]! | 0x80, exception])),
    );
    const refused = write({ register: 11 }, 1);
    await expect(refused).rejects.toThrow(new RegExp(`modbus-${exception}, `));
    expect(await codeOf(refused)).toBe("rejected");
    expect(server.requests).toHaveLength(1);
  });

  test("exception 5 says that it is being done; 4 and 11 that nobody knows", async () => {
    let exception = 5;
    const { write } = await device(
      (request, socket) => void socket.write(tcpAnswer(request, [request[7]! | 0x80, exception])),
    );
    await write({ register: 11 }, 1);
    exception = 11;
    expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
    exception = 4;
    expect(await codeOf(write({ register: 11 }, 1))).toBe("garbage");
  });

  const one = { register: 11, type: "uint32" };
  test.each([
    ["tcp", { register: 11 }, 0x1234],
    ["tcp", one, 7],
    ["tcp", { register: 3, type: "bool", bit: 2 }, true],
    ["tcp", { table: "coil", register: 3 }, true],
    ["rtu-over-tcp", { register: 11 }, 0x1234],
    ["rtu-over-tcp", one, 7],
    ["rtu-over-tcp", { register: 3, type: "bool", bit: 2 }, true],
  ])("over %s to %j with one wrong byte anywhere is none", async (type, where, value) => {
    let wrongAt = 0;
    let length = Infinity;
    const script: Script = (request, socket) => {
      const isRtu = type !== "tcp";
      const pdu = isRtu ? request.subarray(1, -2) : request.subarray(7);
      if (pdu[0]! < 5) {
        socket.write(
          rtuFrame(
            1,
            registersPdu(pdu, () => 0),
          ),
        );
        return;
      }
      const answer = Buffer.from(echo(pdu));
      length = answer.length;
      answer[wrongAt]! ^= 0x10;
      socket.write(isRtu ? rtuFrame(1, [...answer]) : tcpAnswer(request, [...answer]));
    };
    for (; wrongAt < length; wrongAt++) {
      const { server, write } = await device(script, { timeout: 60 }, type);
      expect(await codeOf(write(where, value as Value))).toBe("garbage");
      const writes = server.requests.filter((request) => request[type === "tcp" ? 7 : 1]! >= 5);
      expect(writes).toHaveLength(1);
    }
  });

  test("that does not come leaves it open, and nothing is sent twice", async () => {
    const { server, write } = await device(() => {});
    expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
    expect(pdus(server)).toEqual(["06000b0001"]);
  });

  test("that comes late is not the next write's", async () => {
    let first: (() => void) | undefined;
    const { server, write } = await device((request, socket) => {
      if (first === undefined) first = () => void socket.write(tcpAnswer(request, [...request.subarray(7)]));
      // The first echo comes now, and none to this one.
      else first();
    });
    expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
    expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
    expect(server.requests).toHaveLength(2);
  });

  test("is not waited for any longer than the caller does", async () => {
    const { server, write, connection } = await device((request, socket) => {
      if (request[7] === 6) return;
      socket.write(
        tcpAnswer(
          request,
          registersPdu(request.subarray(7), () => 9),
        ),
      );
    });
    const stop = new AbortController();
    const writing = codeOf(write({ register: 11 }, 1, stop.signal));
    await expect.poll(() => server.requests.length).toBe(1);
    const abortedAt = performance.now();
    stop.abort();
    expect(await writing).toBe("aborted");
    expect(performance.now() - abortedAt).toBeLessThan(50);
    const { answers } = await connection.read(pointsOf({ register: 11 }), { signal: patient() });
    expect(answers).toEqual([9]);
    expect(await codeOf(write({ register: 11 }, 1, AbortSignal.abort()))).toBe("aborted");
    expect(server.requests.filter((request) => request[7] === 6)).toHaveLength(1);
  });
});

const line = (isDead: () => boolean): Script => {
  return (request, socket) => {
    socket.write(request);
    const pdu = request.subarray(1, -2);
    if (pdu[0]! < 5)
      socket.write(
        rtuFrame(
          1,
          registersPdu(pdu, () => 3),
        ),
      );
    else if (!isDead()) socket.write(rtuFrame(1, [...echo(pdu)]));
  };
};

describe("on a two-wire line whose adapter gives each request back", () => {
  test.each([
    { register: 11 },
    { register: 11, type: "uint32" },
    { register: 11, type: "bool" },
    { table: "coil", register: 1 },
  ])("a write of %j is not its own answer", async (where) => {
    let isDead = false;
    const more = { timeout: 100, functions: "table" in where ? [3, 5] : functions };
    const { server, write, connection } = await device(
      line(() => isDead),
      more,
      "rtu-over-tcp",
    );
    await connection.read(pointsOf({ register: 1 }), { signal: patient() });
    await write(where, 1);
    isDead = true;
    expect(await codeOf(write(where, 1))).toBe("silent");
    expect(server.requests).toHaveLength(3);
  });

  test("nobody writes before an answer has told which kind of line it is", async () => {
    const { server, write } = await device(
      line(() => true),
      { timeout: 100 },
      "rtu-over-tcp",
    );
    expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
    expect(server.requests.map((request) => request[1])).toEqual([3, 6]);
  });

  test("a dead device is not written to at all", async () => {
    const { server, write } = await device(() => {}, { timeout: 100 }, "rtu-over-tcp");
    expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
    expect(server.requests.map((request) => request[1])).toEqual([3]);
  });
});

test("a late echo on a line ends the quarantine and is no answer to what follows", async () => {
  let late: (() => void) | undefined;
  const { server, write, connection } = await device(
    (request, socket) => {
      const pdu = request.subarray(1, -2);
      if (pdu[0] === 6) late = () => void socket.write(request);
      else
        socket.write(
          rtuFrame(
            1,
            registersPdu(pdu, () => 8),
          ),
        );
    },
    { timeout: 100 },
    "rtu-over-tcp",
  );
  expect(await codeOf(write({ register: 11 }, 1))).toBe("silent");
  const begunAt = performance.now();
  const reading = connection.read(pointsOf({ register: 11 }), { signal: patient() });
  setTimeout(() => late?.(), 30);
  expect((await reading).answers).toEqual([8]);
  expect(performance.now() - begunAt).toBeLessThan(450);
  expect(server.requests.map((request) => request[1])).toEqual([3, 6, 3]);
});
