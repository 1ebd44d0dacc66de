import * as fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { DeviceError, type Identity } from "../../gateway/driver.ts";
import { connectTo, patient, registersPdu, scriptedServer, settingsOf, tcpAnswer } from "./testing.ts";

/** The chain of SunSpec models of devices that keep to it, and of those that do not. */

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

type Registers = (register: number) => number | undefined;
/** What a device says to a read of registers from here on instead: an exception, or nothing at all. */
type Instead = (start: number, count: number) => number | "nothing" | undefined;

/** Asks a device of these registers who it is; its requests as [start, count]. */
async function ask(
  registers: Registers,
  more: Record<string, unknown> = {},
  instead: Instead = () => undefined,
) {
  const asked: [number, number][] = [];
  const server = await scriptedServer("tcp", (request, socket) => {
    const isRead = request[7] === 3;
    if (isRead) asked.push([request.readUInt16BE(8), request.readUInt16BE(10)]);
    const other = isRead ? instead(...asked.at(-1)!) : undefined;
    if (other === "nothing") return;
    if (other !== undefined) {
      socket.write(tcpAnswer(request, [0x83, other]));
      return;
    }
    socket.write(
      tcpAnswer(request, isRead ? registersPdu(request.subarray(7), registers) : [request[7]! | 0x80, 1]),
    );
  });
  open.push(server);
  const connection = await connectTo(settingsOf(server.port, { sunspec: true, functions: [3], ...more }));
  open.push(connection);
  const identity = await connection.identify(patient()).catch((error: unknown) => error);
  await connection.close();
  await server.close();
  return { identity: identity as Identity & DeviceError, asked };
}

const words = (text: string, count: number): number[] => {
  const bytes = Buffer.alloc(2 * count);
  bytes.write(text, "latin1");
  return Array.from({ length: count }, (_, i) => bytes.readUInt16BE(2 * i));
};
/** Model 1 without its head. */
const common = (serial = "SN-7") => [
  ...words("Acme\u0007 Solar", 16),
  ...words("SM-3", 16),
  ...words("opt A", 8),
  ...words("2.4.1", 8),
  ...words(serial, 16),
  1,
  0x8000,
];
const model = (id: number, body: readonly number[]): number[] => [id, body.length, ...body];
const end = [0xffff, 0];
const nothing = (length: number): number[] => Array.from<number>({ length }).fill(0);

/** A device whose registers from `base` on are the marker and these. */
function deviceAt(base: number, ...registers: number[]): Registers {
  const all = [0x5375, 0x6e53, ...registers];
  return (register) => all[register - base];
}

test.each([40_000, 0, 50_000])("the marker at %s, the models behind it and the common one", async (base) => {
  const registers = [
    ...model(1, common()),
    ...model(203, nothing(105)),
    ...model(64_001, nothing(7)),
    ...end,
  ];
  const { identity, asked } = await ask(deviceAt(base, ...registers));
  expect(identity).toEqual({
    vendor: "Acme Solar",
    model: "SM-3",
    firmware: "2.4.1",
    serial: "SN-7",
    more: {
      "SunSpec base": `holding ${base}`,
      "SunSpec options": "opt A",
      "SunSpec models": "1 (common), 203 (meter, wye), 64001",
    },
  });
  const at = base + 2;
  expect(asked.slice([40_000, 0, 50_000].indexOf(base) + 1)).toEqual([
    [at, 2],
    [at + 68, 2],
    [at + 68 + 107, 2],
    [at + 68 + 107 + 9, 2],
    [at, 66],
  ]);
});

test("a common model without its pad, and one that is not the first", async () => {
  const { identity } = await ask(
    deviceAt(0, ...model(120, nothing(26)), ...model(1, common().slice(0, 65)), ...end),
  );
  expect(identity).toMatchObject({
    serial: "SN-7",
    more: { "SunSpec models": "120 (nameplate), 1 (common)" },
  });
});

test("small and even requests, where the device wants them", async () => {
  const registers = [...model(1, common()), ...model(203, nothing(105)), ...end, 0, 0];
  const { identity, asked } = await ask(deviceAt(40_000, ...registers), {
    evenCount: true,
    maxRegistersPerRead: 5,
  });
  expect(identity).toMatchObject({ vendor: "Acme Solar", serial: "SN-7", firmware: "2.4.1" });
  expect(identity.more?.["SunSpec models"]).toBe("1 (common), 203 (meter, wye)");
  for (const [start, count] of asked) expect([start % 2, count % 2, count <= 4]).toEqual([0, 0, true]);
});

test.each<[string, Registers, string]>([
  [
    "stops where the device has no more registers",
    deviceAt(40_000, ...model(1, common())),
    "holding 40070: illegal data address",
  ],
  [
    "stops at the last register of all",
    deviceAt(40_000, ...model(1, common()), 203, 0xfff0),
    "holding 105592: no such register",
  ],
  [
    "is followed no further than a device can go",
    (register) => deviceAt(0, ...model(1, common()))(register) ?? 0,
    "more than 64 models",
  ],
])("a chain that never ends %s", async (_, registers, why) => {
  const { identity, asked } = await ask(registers);
  expect(identity.serial).toBe("SN-7");
  expect(identity.more?.["SunSpec chain"]).toBe(`breaks off: ${why}`);
  expect(asked.length).toBeLessThan(70);
});

test("without a marker function 43 is asked, or nobody", async () => {
  const { identity, asked } = await ask((register) => register & 0xff);
  expect(asked).toEqual([
    [40_000, 2],
    [0, 2],
    [50_000, 2],
  ]);
  expect([identity.code, identity.message]).toEqual([
    "unsupported",
    expect.stringMatching(/there is no SunSpec marker, and function 43 is not among its functions$/),
  ]);
  const refused = await ask(() => undefined, { functions: [3, 43] });
  expect(refused.identity.message).toMatch(/function 43.*illegal function/);
});

test.each<[string, Instead, string]>([
  ["busy at the marker", (start) => (start === 40_000 ? 6 : undefined), "busy"],
  ["still at work at the marker", (start) => (start === 40_000 ? 5 : undefined), "busy"],
  ["busy in the chain", (start) => (start === 40_070 ? 6 : undefined), "busy"],
  ["busy at the common model", (_, count) => (count === 66 ? 6 : undefined), "busy"],
  ["without its common model", (_, count) => (count === 66 ? 2 : undefined), "rejected"],
  ["broken at the marker", (start) => (start === 40_000 ? 4 : undefined), "rejected"],
  ["silent at every place", () => "nothing", "silent"],
])("a device that is %s is nobody else meanwhile", async (_, instead, code) => {
  const registers = deviceAt(40_000, ...model(1, common()), ...model(203, nothing(105)), ...end);
  const { identity } = await ask(registers, { functions: [3, 43] }, instead);
  expect(identity).toBeInstanceOf(DeviceError);
  expect(identity.code).toBe(code);
});

test("a device that is silent where it has nothing is found at the next place", async () => {
  const registers = deviceAt(50_000, ...model(1, common()), ...end);
  const { identity } = await ask(registers, {}, (start) => (start < 50_000 ? "nothing" : undefined));
  expect(identity.serial).toBe("SN-7");
});

test("a device that is not asked for it is not looked at", async () => {
  const { asked } = await ask(deviceAt(40_000, ...model(1, common()), ...end), {
    sunspec: false,
    functions: [3, 43],
  });
  expect(asked).toEqual([]);
});

test("whatever a device answers, it is told within 100 requests, or in an error of the device", async () => {
  const chain = fc.array(fc.tuple(fc.nat(0xffff), fc.oneof(fc.nat(8), fc.nat(0xffff)), fc.nat(0xffff)), {
    maxLength: 80,
  });
  await fc.assert(
    fc.asyncProperty(chain, fc.constantFrom(0, 40_000, 50_000), async (models, base) => {
      const registers = models.flatMap(([id, length, fill]) => [
        id,
        length,
        ...Array.from<number>({ length: length % 9 }).fill(fill),
      ]);
      const { identity, asked } = await ask(deviceAt(base, ...registers));
      if (identity instanceof Error) expect(identity).toBeInstanceOf(DeviceError);
      expect(asked.length).toBeLessThan(100);
    }),
    { seed: 4, numRuns: 60, interruptAfterTimeLimit: 6000 },
  );
});
