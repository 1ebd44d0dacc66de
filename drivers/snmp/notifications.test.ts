import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import snmp from "net-snmp";
import { afterEach, expect, test } from "vitest";
import { address } from "./settings.ts";
import { bytes, connectTo, freePort, int, pointsOf, settingsOf, text, tlv } from "./testing.ts";

/** Notifications, octet by octet: what is acknowledged, and what is handed on. */

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

async function rig(
  taken: (values: readonly unknown[]) => void,
  more: Record<string, unknown> = {},
  held?: () => Promise<boolean>,
) {
  const port = await freePort();
  const where = more["address"] === "::" ? "::1" : "127.0.0.1";
  const own = settingsOf(9, { notifications: { address: where, port, ...more } });
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
    sink: {
      alive() {},
      readings() {},
      poll() {},
      record: (_, values) => taken(values),
      ...(held && { held }),
    },
    signal: stopping.signal,
  });
  const sender = createSocket(where === "::1" ? "udp6" : "udp4");
  const acknowledged: Buffer[] = [];
  sender.on("message", (answer) => acknowledged.push(answer));
  sender.bind(0, where);
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
    sender.send(message, port, where);
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

test("one is acknowledged when it is on disk; sent again meanwhile it is handed on once", async () => {
  const heard: unknown[] = [];
  const disk: ((isHeld: boolean) => void)[] = [];
  const held = () => new Promise<boolean>((resolve) => void disk.push(resolve));
  const { send, acknowledged } = await rig((values) => heard.push(values[0]), {}, held);
  expect(await send(inform(1, 50, 40))).toBe(0);
  expect(await send(inform(1, 50, 40))).toBe(0);
  expect([heard, disk.length]).toEqual([[40], 1]);
  disk[0]!(true);
  await expect.poll(() => acknowledged.length).toBe(2);
  expect(await send(inform(1, 50, 40))).toBe(1);
  expect(heard).toEqual([40]);
  // What was dropped is not acknowledged, and is handed on again.
  expect(await send(inform(2, 60, 30))).toBe(0);
  disk[1]!(false);
  await sleep(50);
  expect(acknowledged).toHaveLength(3);
  expect(await send(inform(2, 60, 30))).toBe(0);
  expect(heard).toEqual([40, 30, 30]);
});

test.each(["::1", "0:0:0:0:0:0:0:1", "0000::0001"])(
  "IPv6 has many ways to write one sender: %s",
  async (from) => {
    const heard: unknown[] = [];
    const { send } = await rig((values) => heard.push(values[0]), { address: "::", from });
    expect(await send(inform(1, 50, 40))).toBe(1);
    expect(heard).toEqual([40]);
  },
);

const scoped = (engine: Buffer): Buffer =>
  tlv(0x30, tlv(4, engine), text(""), tlv(0xa7, int(1), int(0), int(0), tlv(0x30)));

test("a stranger who names ever new engines of SNMPv3 does not keep kerb counting keys", async () => {
  const security = { user: "kerb", auth: "sha", authPassword: "authauthauth" };
  const port = await freePort();
  const own = { version: "3", security, notifications: { address: "127.0.0.1", port } };
  const connection = await connectTo(settingsOf(9, own));
  const stopping = new AbortController();
  const sink = { alive() {}, readings() {}, poll() {}, record() {} };
  const records = [
    { name: "r", address: address.parse({ notification: "1.3.6.1.2.1.33.2.1" }), fields: pointsOf() },
  ];
  const done = connection.subscribe!({ points: [], records, sink, signal: stopping.signal });
  await sleep(50);
  const { authToKeyCache: keys } = snmp.Authentication;
  const before = Object.keys(keys).length;
  const sender = createSocket("udp4");
  for (let i = 0; i < 40; i++) {
    const engine = Buffer.from(`engine ${i}`);
    const user = [tlv(4, engine), int(1), int(1), text("kerb"), tlv(4, Buffer.alloc(12)), text("")];
    const head = tlv(0x30, int(i + 1), int(1400), tlv(4, bytes(1)), int(3));
    sender.send(tlv(0x30, int(3), head, tlv(4, tlv(0x30, ...user)), scoped(engine)), port, "127.0.0.1");
    await sleep(2);
  }
  await sleep(100);
  sender.close();
  stopping.abort();
  await done;
  await connection.close();
  const counted = Object.keys(keys).length - before;
  expect(counted).toBeGreaterThan(0);
  expect(counted).toBeLessThanOrEqual(8);
});
