import { afterEach, expect, test } from "vitest";
import type { Connection } from "../../gateway/driver.ts";
import type { Address } from "./settings.ts";
import { connectTo, patient, scriptedServer, settingsOf, tcpAnswer } from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

type Objects = Record<number, string>;

/** Answers function 43 with `pduOf(category, first object)`; no answer at all for undefined. */
async function device(
  pduOf: (category: number, object: number) => number[] | undefined,
  more: Record<string, unknown> = {},
): Promise<{ connection: Connection<Address>; asked: [number, number][] }> {
  const asked: [number, number][] = [];
  const server = await scriptedServer("tcp", (request, socket) => {
    asked.push([request[9]!, request[10]!]);
    const pdu = pduOf(request[9]!, request[10]!);
    if (pdu !== undefined) socket.write(tcpAnswer(request, pdu));
  });
  open.push(server);
  const connection = await connectTo(settingsOf(server.port, more));
  open.push(connection);
  return { connection, asked };
}

function packet(category: number, conformity: number, objects: Objects, next?: number): number[] {
  const list = Object.entries(objects).flatMap(([id, text]) => [
    Number(id),
    text.length,
    ...Buffer.from(text, "latin1"),
  ]);
  const more = next === undefined ? [0, 0] : [0xff, next];
  return [43, 14, category, conformity, ...more, Object.keys(objects).length, ...list];
}

const basic = { 0: "Eastron", 1: "SDM630", 2: "1.8" };

test("basic objects alone", async () => {
  const { connection, asked } = await device((category) => packet(category, 0x81, basic));
  expect(await connection.identify(patient())).toEqual({
    vendor: "Eastron",
    model: "SDM630",
    firmware: "1.8",
  });
  expect(asked).toEqual([[1, 0]]);
});

test("regular objects, over several packets", async () => {
  const { connection, asked } = await device((category, object) => {
    if (category === 1) return packet(1, 2, basic);
    if (object === 0) return packet(2, 2, basic, 3);
    return packet(2, 2, { 3: "https://example.org", 4: "Smart Meter\u0007 ", 5: "", 6: "cabinet 4" });
  });
  expect(await connection.identify(patient())).toEqual({
    vendor: "Eastron",
    model: "Smart Meter",
    firmware: "1.8",
    more: { ProductCode: "SDM630", VendorUrl: "https://example.org", UserApplicationName: "cabinet 4" },
  });
  expect(asked).toEqual([
    [1, 0],
    [2, 0],
    [2, 3],
  ]);
});

test("a refused regular category leaves the basic objects", async () => {
  const { connection } = await device((category) => (category === 1 ? packet(1, 3, basic) : [0xab, 3]));
  expect(await connection.identify(patient())).toMatchObject({ vendor: "Eastron" });
});

test("a device that always says that more follows is left after a bounded number of packets", async () => {
  const { connection, asked } = await device((category, object) =>
    packet(category, 1, { [object]: "x" }, object + 1),
  );
  await connection.identify(patient());
  expect(asked).toHaveLength(16);
  const stuck = await device((category) => packet(category, 1, basic, 0));
  await stuck.connection.identify(patient());
  expect(stuck.asked).toHaveLength(1);
});

test.each<[string, number[] | undefined]>([
  ["unsupported", [0xab, 1]],
  ["unsupported", [0xab, 3]],
  ["busy", [0xab, 6]],
  ["silent", [0xab, 11]],
  ["silent", undefined],
  ["garbage", [43, 14, 1, 1, 0, 0, 2, 0, 200, 65]],
  ["garbage", [43, 13, 1, 1, 0, 0, 0]],
  ["garbage", [43, 14, 1]],
])("%s: %j", async (code, pdu) => {
  const { connection } = await device(() => pdu);
  await expect(connection.identify(patient())).rejects.toMatchObject({ name: "DeviceError", code });
});

test("function 43 is not sent to a device that does not have it", async () => {
  const { connection, asked } = await device((category) => packet(category, 1, basic), { functions: [3, 4] });
  await expect(connection.identify(patient())).rejects.toMatchObject({ code: "unsupported" });
  expect(asked).toEqual([]);
});
