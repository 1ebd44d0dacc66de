import { afterEach, describe, expect, test } from "vitest";
import type { Browsed, BrowseRequest, Connection, LeftOut } from "../../gateway/driver.ts";
import { address, type Address } from "./settings.ts";
import {
  codeOf,
  connectTo,
  patient,
  registersPdu,
  scriptedServer,
  settingsOf,
  tcpAnswer,
  type Script,
  type ScriptedServer,
} from "./testing.ts";

/** Devices that nobody knows, well-behaved and odd ones: what is found, how often they are asked, and how it ends. */

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function device(script: Script, more: Record<string, unknown> = {}) {
  const server = await scriptedServer("tcp", script);
  open.push(server);
  const connection = await connectTo(settingsOf(server.port, more));
  open.push(connection);
  return { server, connection };
}

interface Listed {
  entries: Browsed[];
  left: LeftOut[];
  code: string;
}

/** Of most devices here the rest would be refused, one register after the other: they are asked near 0 only. */
async function listed(
  connection: Connection<Address>,
  more: Partial<BrowseRequest> & { isWhole?: boolean } = {},
): Promise<Listed> {
  const { isWhole = false, ...own } = more;
  const found: Listed = { entries: [], left: [], code: "" };
  const request = {
    ...(isWhole ? {} : { under: "holding 0-150" }),
    entriesMax: 500,
    depthMax: 16,
    untilMs: performance.now() + 20_000,
    signal: patient(),
    ...own,
  };
  found.code = await codeOf(
    (async () => {
      for await (const one of connection.browse!(request))
        if ("left" in one) found.left.push(one);
        else found.entries.push(one);
    })(),
  );
  return found;
}

const tableOf: Record<number, string> = { 1: "coil", 2: "discrete", 3: "holding", 4: "input" };
type Registers = Partial<Record<"holding" | "input", (register: number) => number | undefined>>;

/** The PDU of a device that has these registers and no others. */
function pduOf(request: Buffer, registers: Registers): number[] {
  const table = tableOf[request[7] ?? 0] as "holding" | "input";
  const valueOf = registers[table];
  return valueOf === undefined ? [request[7]! | 0x80, 1] : registersPdu(request.subarray(7), valueOf);
}

const having =
  (registers: Registers): Script =>
  (request, socket) =>
    void socket.write(tcpAnswer(request, pduOf(request, registers)));

/** The registers of float32 values, one behind the other from `start` on, in an order of bytes. */
function floats(start: number, values: readonly number[], order: "ABCD" | "CDAB" | "BADC" | "DCBA") {
  const bytes = Buffer.alloc(4);
  const words = values.flatMap((value) => {
    bytes.writeFloatBE(value);
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    const turned = { ABCD: [a, b, c, d], CDAB: [c, d, a, b], BADC: [b, a, d, c], DCBA: [d, c, b, a] }[order];
    return [(turned[0]! << 8) | turned[1]!, (turned[2]! << 8) | turned[3]!];
  });
  return (register: number) => words[register - start];
}

const addresses = ({ entries }: Listed) => entries.map((entry) => entry.address);
const writes = ({ requests }: ScriptedServer) =>
  requests.filter((request) => request[7]! > 4 && request[7] !== 43);

/** A device with so many coils, of which these are set. */
function coils(count: number, set: readonly number[]): Script {
  return (request, socket) => {
    const [code, start, asked] = [request[7]!, request.readUInt16BE(8), request.readUInt16BE(10)];
    const bytes = Array.from({ length: (asked + 7) >> 3 }, () => 0);
    for (const one of set)
      if (one >= start && one < start + asked) bytes[(one - start) >> 3]! |= 1 << ((one - start) & 7);
    const isThere = code === 1 && start + asked <= count;
    const pdu = isThere ? [code, bytes.length, ...bytes] : [code | 0x80, code > 2 ? 1 : 2];
    socket.write(tcpAnswer(request, pdu));
  };
}

const hundred = (register: number) => (register < 100 ? 500 + register : undefined);

const measured = [230.12, 229.87, 231.4, 49.98, 12.345, -3.75];

describe("browse", { timeout: 30_000 }, () => {
  test.each(["ABCD", "CDAB", "BADC", "DCBA"] as const)(
    "finds floats in the order %s, and reads them so",
    async (order) => {
      const { server, connection } = await device(having({ input: floats(40, measured, order) }));
      const found = await listed(connection, { under: "input 0-99" });
      expect(addresses(found)).toEqual(
        measured.map((_, i) => ({ table: "input", register: 40 + 2 * i, type: "float32", order })),
      );
      expect(found.entries.map(({ answer }) => Math.fround(Number(answer)))).toEqual(
        measured.map(Math.fround),
      );
      const points = addresses(found).map((one, i) => ({ name: `p${i}`, address: address.parse(one) }));
      const { answers } = await connection.read(points, { signal: patient() });
      expect(answers).toEqual(found.entries.map(({ answer }) => answer));
      expect(writes(server)).toEqual([]);
    },
  );

  test("tells small numbers, numbers below 0, counters and texts apart, with the other ways beside them", async () => {
    const text = Buffer.from("PowerBox 3000 Plus");
    const words: Record<number, number> = { 0: 2301, 1: 499, 2: 0x10000 - 57, 10: 18, 11: 0xd687 };
    for (let i = 0; i < text.length; i += 2) words[20 + i / 2] = (text[i]! << 8) | (text[i + 1] ?? 0);
    const { connection } = await device(
      having({ holding: (at) => (at < 40 ? (words[at] ?? 0) : undefined) }),
    );
    const found = await listed(connection);
    expect(addresses(found)).toEqual([
      { table: "holding", register: 0, type: "uint16" },
      { table: "holding", register: 1, type: "uint16" },
      { table: "holding", register: 2, type: "int16" },
      { table: "holding", register: 10, type: "uint32", order: "ABCD" },
      { table: "holding", register: 20, type: "text", length: 9 },
    ]);
    expect(found.entries.map(({ answer }) => answer)).toEqual([
      2301,
      499,
      -57,
      1234567,
      "PowerBox 3000 Plus",
    ]);
    expect(found.entries[3]!.guesses!.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["uint32 ABCD", "uint16", "uint32 CDAB"]),
    );
    expect(found.entries[3]!.guesses![0]!.why).toMatch(/likely/);
  });

  test("finds blocks far apart, and asks for each register that is refused by itself once at most", async () => {
    const starts = [0, 100, 999, 2000, 3110, 30_000, 40_000];
    const { server, connection } = await device(
      having({
        holding: (at) => (starts.some((start) => at >= start && at < start + 30) ? 7 + (at % 50) : undefined),
      }),
    );
    const found = await listed(connection, { isWhole: true });
    const registers = addresses(found).map((one) => Number(one?.["register"]));
    // 3110 is no usual place: one looks there with --under.
    for (const start of starts.filter((one) => one !== 3110)) {
      expect(registers).toContain(start);
      expect(registers).toContain(start + 29);
    }
    const single = server.requests
      .filter((request) => request.readUInt16BE(10) === 1)
      .map((request) => request.subarray(7).toString("hex"));
    const refused = single.filter((pdu) => !registers.includes(Number.parseInt(pdu.slice(2, 6), 16)));
    expect(new Set(refused).size).toBe(refused.length);
    expect(server.requests.length).toBeLessThan(2500);
    const there = await listed(connection, { under: "holding 3100-3120" });
    expect(addresses(there).map((one) => one?.["register"])).toEqual([
      3110, 3111, 3112, 3113, 3114, 3115, 3116, 3117, 3118, 3119, 3120,
    ]);
  });

  test("learns how many registers the device gives at once, and says so", async () => {
    const { connection } = await device((request, socket) => {
      const pdu =
        request.readUInt16BE(10) > 20 ? [request[7]! | 0x80, 3] : pduOf(request, { holding: hundred });
      socket.write(tcpAnswer(request, pdu));
    });
    const found = await listed(connection);
    expect(found.entries.length).toBe(100);
    const most = found.entries[0]!.settings!["maxRegistersPerRead"] as number;
    expect(most).toBeGreaterThan(9);
    expect(most).toBeLessThanOrEqual(20);
  });

  test("does not count as empty what is part of a value that is listed", async () => {
    const own = floats(0, [230, 50, 100, 0.5], "ABCD");
    const { connection } = await device(having({ holding: (at) => (at < 12 ? (own(at) ?? 0) : undefined) }));
    const found = await listed(connection);
    expect(found.entries.map(({ answer }) => answer)).toEqual([230, 50, 100, 0.5]);
    expect(found.left).toContainEqual({ left: "empty", entries: 4, place: "holding 8-11" });
  });

  test("learns nothing from a device that is busy", async () => {
    const { connection } = await device((request, socket) => {
      const pdu =
        request.readUInt16BE(10) > 20 ? [request[7]! | 0x80, 6] : pduOf(request, { holding: hundred });
      socket.write(tcpAnswer(request, pdu));
    });
    const found = await listed(connection, { under: "holding 0-40" });
    expect(found.entries.length).toBeGreaterThan(0);
    expect(found.entries[0]!.settings).toBeUndefined();
  });

  test("lists a device that has pairs of registers only", async () => {
    const own = floats(0, measured, "ABCD");
    const { connection } = await device((request, socket) => {
      const [start, count] = [request.readUInt16BE(8), request.readUInt16BE(10)];
      const pdu =
        start % 2 === 1 || count % 2 === 1 ? [request[7]! | 0x80, 2] : pduOf(request, { input: own });
      socket.write(tcpAnswer(request, pdu));
    });
    const found = await listed(connection, { under: "input 0-60" });
    expect(found.entries.map(({ type }) => type)).toEqual(measured.map(() => "float32 ABCD"));
    expect(found.entries[0]!.settings).toEqual({ evenCount: true });
  });

  test("takes no register for a pair because another table has pairs only", async () => {
    const own = floats(0, measured, "ABCD");
    const { connection } = await device((request, socket) => {
      const [start, count] = [request.readUInt16BE(8), request.readUInt16BE(10)];
      const isOdd = request[7] === 4 && (start % 2 === 1 || count % 2 === 1);
      const pdu = isOdd
        ? [0x84, 2]
        : pduOf(request, {
            input: (at) => (at === 13 ? 0 : at === 12 ? 2301 : own(at)),
            holding: (at) => [500, 611, 722][at - 1099],
          });
      socket.write(tcpAnswer(request, pdu));
    });
    const found = await listed(connection, { isWhole: true });
    const named = found.entries.filter((one) => one.address !== undefined);
    expect(named.map(({ path }) => path[0])).toEqual([
      ...[1099, 1100, 1101].map((at) => `holding ${at}`),
      ...[0, 2, 4, 6, 8, 10].map((at) => `input ${at}`),
    ]);
    // No profile can have both: who reads by pairs loses 1099, and who does not cannot read one alone.
    expect(found.entries.map(({ settings }) => settings)).toEqual(found.entries.map(() => undefined));
    expect(found.entries.find(({ path }) => path[0] === "input 12")?.more?.["why"]).toMatch(/evenCount/);
    expect(found.left).toContainEqual({
      left: "refused",
      place: "input by single registers and odd counts",
      reason: expect.stringMatching(/evenCount.*holding/) as string,
    });
    const points = named.map(({ address: one }, i) => ({ name: `p${i}`, address: address.parse(one) }));
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toEqual(named.map(({ answer }) => answer));
  });

  test("reads long blocks of pairs a second time as well", async () => {
    const { connection } = await device((request, socket) => {
      const [start, count] = [request.readUInt16BE(8), request.readUInt16BE(10)];
      const isOdd = start % 2 === 1 || count % 2 === 1;
      const pdu = isOdd ? [0x83, 2] : pduOf(request, { holding: (at) => (at < 130 ? 7 + at : undefined) });
      socket.write(tcpAnswer(request, pdu));
    });
    const found = await listed(connection, { under: "holding 0-140" });
    expect(found.entries.length).toBeGreaterThan(60);
    expect(found.entries.every(({ changes }) => changes === false)).toBe(true);
  });

  test("lists the coils of a small device, and only those that are set of a large one", async () => {
    const small = await device(coils(4, [2]));
    const found = await listed(small.connection, { under: "coil 0-9" });
    expect(found.entries.map(({ answer }) => answer)).toEqual([false, false, true, false]);
    const large = await device(coils(300, [7, 250]));
    expect(
      addresses(await listed(large.connection, { under: "coil 0-400" })).map((one) => one?.["register"]),
    ).toEqual([7, 250]);
  });

  test.each<[string, Script]>([
    ["refuses all", (request, socket) => void socket.write(tcpAnswer(request, [request[7]! | 0x80, 2]))],
    [
      "has no such function",
      (request, socket) => void socket.write(tcpAnswer(request, [request[7]! | 0x80, 1])),
    ],
    ["holds only zeros", having({ holding: () => 0, input: () => 0 })],
    ["holds only ones", having({ holding: () => 0xffff, input: () => 0xffff })],
  ])("finds nothing in a device that %s, with a bounded number of requests", async (_, script) => {
    const { server, connection } = await device(script);
    const found = await listed(connection, { isWhole: true });
    expect(found).toMatchObject({ entries: [], code: "resolved" });
    expect(server.requests.length).toBeLessThan(2500);
  });

  test("only takes samples of a device that answers whatever it is asked", async () => {
    const { server, connection } = await device(having({ holding: () => 0 }));
    const found = await listed(connection, { isWhole: true });
    expect(found.left.map(({ left }) => left)).toContain("empty");
    expect(server.requests.length).toBeLessThan(300);
  });

  test("stops at the limit in a device that has something everywhere", async () => {
    const { server, connection } = await device(
      having({ holding: (at) => (at * 7919) % 60_000, input: (at) => at }),
    );
    const found = await listed(connection, { entriesMax: 50, isWhole: true });
    expect(found.entries).toHaveLength(50);
    expect(found.left.map(({ left }) => left)).toContain("limit");
    expect(server.requests.length).toBeLessThan(10);
  });

  test("stops at its time with a slow device, and tells what it has", async () => {
    const own = having({ holding: (at) => (at < 3 ? 100 + at : undefined) });
    const { connection } = await device((request, socket, index) => {
      setTimeout(() => own(request, socket, index), 40);
    });
    const found = await listed(connection, { untilMs: performance.now() + 1500 });
    expect(found.entries).toHaveLength(3);
    expect(found.left.map(({ left }) => left)).toContain("time");
    // It was not read a second time.
    expect(found.entries.every(({ changes }) => changes === undefined)).toBe(true);
  });

  test("does not take silence at single registers for the loss of the device", async () => {
    const own = having({ holding: (at) => (at < 4 ? 100 + at : undefined) });
    const { connection } = await device(
      (request, socket, index) => {
        const [start, count] = [request.readUInt16BE(8), request.readUInt16BE(10)];
        if (request[7] !== 3 || start + count <= 4) own(request, socket, index);
      },
      { timeout: 200 },
    );
    const found = await listed(connection);
    expect(found).toMatchObject({ code: "resolved" });
    expect(found.entries).toHaveLength(4);
    expect(found.left.map(({ left }) => left)).toContain("bound");
  });

  test("tells what it has found of a device that goes away, then rejects", async () => {
    const own = having({ holding: (at) => (at < 4 ? 100 + at : undefined) });
    const { connection } = await device(
      (request, socket, index) => {
        if (index < 30) own(request, socket, index);
      },
      { timeout: 60 },
    );
    const found = await listed(connection);
    expect(found).toMatchObject({ code: "silent" });
    expect(found.entries).toHaveLength(4);
    const hanging = await device((request, socket, index) => {
      if (index < 30) own(request, socket, index);
      else socket.destroy();
    });
    expect(await listed(hanging.connection)).toMatchObject({ code: "hung-up", entries: { length: 4 } });
  });

  test("tells what it has found when the caller gives up", async () => {
    const { connection } = await device(having({ holding: (at) => (at < 4 ? 100 + at : undefined) }));
    const caller = new AbortController();
    setTimeout(() => caller.abort(), 250);
    const found = await listed(connection, { signal: caller.signal });
    expect(found).toMatchObject({ code: "aborted", entries: { length: 4 } });
    // And the connection is there for others.
    expect(await codeOf(connection.read([], { signal: patient() }))).toBe("resolved");
  });

  test.each<[string, Script]>([
    ["silence", () => {}],
    [
      "bytes that are no Modbus",
      (_, socket) => void socket.write(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")),
    ],
    [
      "answers that are too short",
      (request, socket) => void socket.write(tcpAnswer(request, [request[7]!, 2, 0, 1].slice(0, 3))),
    ],
    [
      "random bytes",
      (request, socket) =>
        void socket.write(
          tcpAnswer(
            request,
            Array.from({ length: 9 }, () => Math.floor(Math.random() * 256)),
          ),
        ),
    ],
  ])("rejects with a code where there is nothing but %s", async (_, script) => {
    const { connection } = await device(script, { timeout: 60 });
    const found = await listed(connection);
    expect(["silent", "garbage", "hung-up", "resolved"]).toContain(found.code);
    expect(found.entries).toEqual([]);
  });

  test("notices what changes while it looks", async () => {
    let reads = 0;
    const { connection } = await device(
      having({ holding: (at) => (at === 0 ? 1000 + reads++ : at === 1 ? 77 : undefined) }),
    );
    const found = await listed(connection);
    expect(found.entries.map(({ changes }) => changes)).toEqual([true, false]);
  });

  test("does not say that a register stayed the same which it could not read again", async () => {
    const { connection } = await device((request, socket) => {
      // One by one they are told: the second reading asks for both at once.
      const pdu =
        request.readUInt16BE(10) === 2 ? [0x83, 4] : pduOf(request, { holding: (at) => [50, 77][at] });
      socket.write(tcpAnswer(request, pdu));
    });
    const found = await listed(connection);
    expect(found.entries.map(({ changes }) => changes)).toEqual([undefined, undefined]);
  });

  test("refuses a place that is none", async () => {
    const { connection } = await device(having({ holding: () => 1 }));
    for (const under of ["holding 5-2", "registers", "holding 0-70000", "i=85"])
      expect(await listed(connection, { under })).toMatchObject({ code: "rejected", entries: [] });
  });
});
