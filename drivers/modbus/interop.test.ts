import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ServerTCP } from "modbus-serial";
import { afterEach, describe, expect, test } from "vitest";
import type { Value } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";
import { codeOf, connectTo, isInstalled, lineOf, patient, pointsOf, settingsOf, stop } from "./testing.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

test("modbus-serial: all four tables, the identification and its exceptions", async () => {
  const port = await freePort();
  const vector = {
    getHoldingRegister: (register: number) => register + 1000,
    getInputRegister: (register: number) => register + 2000,
    getCoil: (register: number) => register % 3 === 0,
    getDiscreteInput: (register: number) => register % 2 === 0,
    readDeviceIdentification: () => ({ 0: "Foreign", 1: "MS", 2: "8.0", 5: "Server" }),
  };
  const server = new ServerTCP(vector, { host: "127.0.0.1", port, unitID: 5 });
  server.on("socketError", () => {});
  await once(server, "initialized");
  open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  const connection = await connectTo(settingsOf(port, { unit: 5, timeout: 2000, requestsInFlight: 4 }));
  open.push(connection);
  const points = pointsOf(
    { register: 1 },
    { register: 9, type: "uint32" },
    { table: "input", register: 7 },
    { table: "coil", register: 6 },
    { table: "coil", register: 7 },
    { table: "discrete", register: 6 },
    { table: "discrete", register: 29 },
  );
  const { answers } = await connection.read(points, { signal: patient() });
  expect(answers).toEqual([1001, 1009 * 65_536 + 1010, 2007, true, false, true, false]);
  expect(await connection.identify(patient())).toMatchObject({ vendor: "Foreign", firmware: "8.0" });
});

const pymodbus = `
import asyncio, struct, sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusSlaveContext, ModbusServerContext
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.server.async_io import StartAsyncTcpServer, StartAsyncSerialServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

words = [0] * 100
words[10:12] = struct.unpack(">2H", struct.pack(">f", 21.5))
words[12:14] = struct.unpack(">2H", struct.pack(">f", -3.25))[::-1]
words[20:24] = struct.unpack(">4H", struct.pack(">q", -5000000000))
words[30:34] = struct.unpack(">4H", b"KERB box")
words[40] = 0x1234
bits = [index % 3 == 0 for index in range(100)]
block = ModbusSequentialDataBlock
slave = ModbusSlaveContext(di=block(0, bits), co=block(0, bits), hr=block(0, words), ir=block(0, words), zero_mode=True)
context = ModbusServerContext(slaves={3: slave}, single=False)
identity = ModbusDeviceIdentification(info_name={
    "VendorName": "Pymodbus", "ProductCode": "PM", "MajorMinorRevision": "3.0",
    "VendorUrl": "https://example.org", "ProductName": "Pymodbus Server", "ModelName": "Model 1"})

async def serve():
    print("serving", flush=True)
    if sys.argv[1] == "tcp":
        await StartAsyncTcpServer(context, identity=identity, address=("127.0.0.1", int(sys.argv[2])), framer=ModbusSocketFramer)
    else:
        await StartAsyncSerialServer(context, identity=identity, port=sys.argv[2], framer=ModbusRtuFramer, baudrate=19200)

asyncio.run(serve())
`;

// Debian's package belongs to Debian's interpreter, which need not be the first on the path.
const python = ["python3", "/usr/bin/python3"].find(
  (program) => spawnSync(program, ["-c", "import pymodbus.server.async_io, serial"]).status === 0,
);
if (python === undefined) console.warn("skipped: python3-pymodbus is not available");

async function startPymodbus(...argument: string[]): Promise<void> {
  const child = spawn(python!, ["-c", pymodbus, ...argument]);
  open.push({ close: () => stop(child) });
  await lineOf(child, "serving");
}

const points = pointsOf(
  { register: 10, type: "float32" },
  { register: 12, type: "float32", order: "CDAB" },
  { table: "input", register: 20, type: "int64" },
  { register: 30, type: "text", length: 4 },
  { register: 40, type: "bcd16" },
  { register: 40, type: "bool", bit: 5 },
  { table: "coil", register: 9 },
  { table: "coil", register: 10 },
  { table: "discrete", register: 99 },
  { register: 98, type: "uint16" },
  { register: 200 },
);

async function readAll(wanted: Settings): Promise<void> {
  // The server says "serving" a moment before it does.
  const begunAt = performance.now();
  let connection = await connectTo(wanted).catch(() => undefined);
  while (connection === undefined && performance.now() - begunAt < 5000) {
    await sleep(20);
    connection = await connectTo(wanted).catch(() => undefined);
  }
  open.push(connection!);
  let identified = await codeOf(connection!.identify(patient()));
  while (identified === "silent" && performance.now() - begunAt < 5000) {
    identified = await codeOf(connection!.identify(patient()));
  }
  expect(await connection!.identify(patient())).toEqual({
    vendor: "Pymodbus",
    model: "Pymodbus Server",
    firmware: "3.0",
    more: { ProductCode: "PM", VendorUrl: "https://example.org", ModelName: "Model 1" },
  });
  for (let round = 0; round < 3; round++) {
    const { answers } = await connection!.read(points, { signal: patient() });
    expect(answers).toEqual([
      21.5,
      -3.25,
      -5_000_000_000,
      "KERB box",
      1234,
      true,
      true,
      false,
      true,
      0,
      { value: null, status: "bad", code: "modbus-2", reason: "illegal data address" },
    ]);
  }
}

/** Writes to a foreign device, and has what is there then from its other clients' point of view: read anew. */
async function writeAll(port: number): Promise<void> {
  const functions = [1, 2, 3, 4, 5, 6, 15, 16, 22, 43];
  const wanted = settingsOf(port, { unit: 3, timeout: 1000, functions });
  const connection = await connectTo(wanted);
  open.push(connection);
  const values: [Record<string, unknown>, Value][] = [
    [{ register: 50 }, 65_535],
    [{ register: 51, type: "int16" }, -32_768],
    [{ register: 52, type: "uint32", order: "CDAB" }, 4_000_000_001],
    [{ register: 54, type: "int64" }, -5_000_000_001],
    [{ register: 58, type: "float32", order: "BADC" }, 0.1],
    [{ register: 60, type: "float64", order: "DCBA" }, 0.1],
    [{ register: 64, type: "bcd32" }, 12_345_678],
    [{ register: 66, type: "text", length: 5 }, "Đèn 1"],
    [{ register: 71, type: "bool", bit: 5 }, true],
    [{ register: 71, type: "bool", bit: 15 }, true],
    [{ table: "coil", register: 20 }, true],
    [{ table: "coil", register: 21 }, false],
  ];
  const places = pointsOf(...values.map(([where]) => where));
  for (const [i, [, value]] of values.entries()) await connection.write!(places[i]!, value, patient());
  const other = await connectTo(wanted);
  open.push(other);
  const { answers } = await other.read(places, { signal: patient() });
  expect(answers).toEqual(values.map(([, value], i) => (i === 4 ? Math.fround(0.1) : value)));
  const { answers: words } = await other.read(
    pointsOf({ register: 50 }, { register: 71 }, { register: 49 }),
    {
      signal: patient(),
    },
  );
  expect(words).toEqual([65_535, 0x8020, 0]);
  // By functions 15 and 16 it is the same, and a register that is not there is refused.
  const few = await connectTo(settingsOf(port, { unit: 3, timeout: 1000, functions: [1, 3, 15, 16] }));
  open.push(few);
  const [coil, register, far] = pointsOf(
    { table: "coil", register: 21 },
    { register: 51 },
    { register: 300 },
  );
  await few.write!(coil!, true, patient());
  await few.write!(register!, 77, patient());
  expect((await other.read([coil!, register!], { signal: patient() })).answers).toEqual([true, 77]);
  expect(await codeOf(few.write!(far!, 1, patient()))).toBe("rejected");
}

/** What a device that nobody has described holds, by type and value. */
async function listAll(wanted: Settings): Promise<unknown[]> {
  const connection = await connectTo(wanted);
  open.push(connection);
  const request = { entriesMax: 100, depthMax: 1, untilMs: performance.now() + 15_000, signal: patient() };
  const entries: unknown[] = [];
  for await (const one of connection.browse!({ ...request, under: "holding 0-99" }))
    if (!("left" in one)) entries.push([one.address?.["register"], one.type, one.answer]);
  return entries;
}

describe.runIf(python !== undefined)("pymodbus", () => {
  test("over TCP", async () => {
    const port = await freePort();
    await startPymodbus("tcp", String(port));
    await readAll(settingsOf(port, { unit: 3, timeout: 1000 }));
    expect(await listAll(settingsOf(port, { unit: 3, timeout: 1000 }))).toEqual([
      [10, "float32 ABCD", 21.5],
      [12, "float32 CDAB", -3.25],
      [20, "int64 ABCD", -5_000_000_000],
      [30, "text", "KERB box"],
      [40, "uint16", 0x1234],
    ]);
    await writeAll(port);
  });

  test.runIf(isInstalled("socat", "-V"))("over RTU on a pair of pseudo-terminals", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kerb-modbus-"));
    open.push({ close: async () => rmSync(folder, { recursive: true, force: true }) });
    const [ours, theirs] = [join(folder, "ours"), join(folder, "theirs")];
    const socat = spawn("socat", ["-d", "-d", `pty,rawer,link=${ours}`, `pty,rawer,link=${theirs}`]);
    open.push({ close: () => stop(socat) });
    await lineOf(socat, "starting data transfer loop");
    await startPymodbus("rtu", theirs);
    await readAll(
      settingsOf(1, { transport: { type: "rtu", port: ours, baud: 19_200 }, unit: 3, timeout: 500 }),
    );
  });
});
