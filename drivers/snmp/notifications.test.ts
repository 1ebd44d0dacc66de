import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { address } from "./settings.ts";
import { bytes, connectTo, freePort, int, pointsOf, settingsOf, text, tlv } from "./testing.ts";

/** Informs of v2c, octet by octet: what is acknowledged, and what is handed on. */

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const [upTime, trapOid, onBattery, minutes] = [
  bytes(0x2b, 6, 1, 2, 1, 1, 3, 0),
  bytes(0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0),
  bytes(0x2b, 6, 1, 2, 1, 33, 2, 1),
  bytes(0x2b, 6, 1, 2, 1, 33, 1, 2, 3, 0),
];
const varbind = (oid: Uint8Array, value: Uint8Array): Buffer => tlv(0x30, tlv(6, oid), value);

function inform(id: number, ticks: number, left: number): Buffer {
  const list = [varbind(upTime, tlv(0x43, bytes(ticks))), varbind(trapOid, tlv(6, onBattery))];
  const pdu = tlv(0xa6, int(id), int(0), int(0), tlv(0x30, ...list, varbind(minutes, int(left))));
  return tlv(0x30, int(1), text("public"), pdu);
}

async function rig(taken: (values: readonly unknown[]) => void) {
  const port = await freePort();
  const own = settingsOf(9, { notifications: { address: "127.0.0.1", port } });
  const connection = await connectTo(own);
  const stopping = new AbortController();
  const done = connection.subscribe!({
    points: [],
    records: [
      {
        name: "onBattery",
        address: address.parse({ notification: "1.3.6.1.2.1.33.2.1" }),
        fields: pointsOf({ oid: "1.3.6.1.2.1.33.1.2.3", type: "number" }),
      },
    ],
    sink: { alive() {}, readings() {}, poll() {}, record: (_, values) => taken(values) },
    signal: stopping.signal,
  });
  const sender = createSocket("udp4");
  const acknowledged: Buffer[] = [];
  sender.on("message", (answer) => acknowledged.push(answer));
  sender.bind(0, "127.0.0.1");
  await once(sender, "listening");
  await sleep(50);
  open.push({
    close: async () => {
      sender.close();
      stopping.abort();
      await done;
      await connection.close();
    },
  });
  const send = async (message: Buffer): Promise<number> => {
    const before = acknowledged.length;
    sender.send(message, port, "127.0.0.1");
    for (let i = 0; i < 30 && acknowledged.length === before; i++) await sleep(10);
    return acknowledged.length - before;
  };
  return { send, acknowledged };
}

test("one that is sent again is acknowledged again and handed on once; a new one with an old id is handed on", async () => {
  const heard: unknown[] = [];
  const { send, acknowledged } = await rig((values) => heard.push(values[0]));
  expect(await send(inform(1, 50, 40))).toBe(1);
  expect(await send(inform(1, 50, 40))).toBe(1);
  expect(heard).toEqual([40]);
  expect(acknowledged[0]![15 - 2]).toBe(0xa2);
  // The device has restarted and counts from 1 again, at the same port.
  expect(await send(inform(1, 7, 30))).toBe(1);
  expect(heard).toEqual([40, 30]);
});

test("what was not taken is not acknowledged, and is handed on when it comes again", async () => {
  let isFull = true;
  const heard: unknown[] = [];
  const { send } = await rig((values) => {
    if (isFull) throw new Error("no room");
    heard.push(values[0]);
  });
  expect(await send(inform(1, 50, 40))).toBe(0);
  isFull = false;
  expect(await send(inform(1, 50, 40))).toBe(1);
  expect(heard).toEqual([40]);
});
