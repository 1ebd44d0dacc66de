import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { Connection, PointRequest } from "../gateway/driver.ts";
import { loadProfile, mergeSettings, simulatedPoints } from "../gateway/profiles/profiles.ts";
import { discovery } from "../drivers/snmp/discover.ts";
import { driver } from "../drivers/snmp/index.ts";
import {
  address as addressSchema,
  settings as settingsSchema,
  type Address,
} from "../drivers/snmp/settings.ts";
import { start } from "../simulators/snmp/index.ts";
import type { SimulatedPoint, Simulator } from "../simulators/simulator.ts";

/** The SNMP driver before its simulator, in what no other driver does: message signs, engines, identities. */

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const signal = new AbortController().signal;
const security = {
  user: "kerb",
  auth: "sha256",
  authPassword: "authauthauth",
  priv: "aes",
  privPassword: "privpriv",
};
const dms = "1.3.6.1.4.1.1206.4.2.3";

interface Rig {
  simulator: Simulator;
  connection: Connection<Address>;
  log: string[];
  points: readonly PointRequest<Address>[];
  value(oid: string, type?: string): Promise<unknown>;
}

async function rig(
  profile: string,
  own: Record<string, unknown> = {},
  device = own,
  more: readonly SimulatedPoint[] = [],
): Promise<Rig> {
  const { settings, ...rest } = loadProfile(profile);
  const base = { timeout: 1000, ...own };
  const simulator = await start({
    profile,
    points: [...simulatedPoints(rest), ...more],
    settings: mergeSettings(settings, { ...device, host: "127.0.0.1", port: 0 }),
    identity: { vendor: "Kerb Works", model: "K-1", firmware: "2.1", serial: "A7" },
  });
  open.push(simulator);
  const port = Number(simulator.address.split(":")[1]);
  const parsed = settingsSchema.parse(mergeSettings(settings, { ...base, host: "127.0.0.1", port }));
  const log: string[] = [];
  const context = { deviceId: "d", log: (_: string, text: string) => void log.push(text) };
  const connection = await driver.connect(parsed, context, signal);
  open.push(connection);
  const points = rest.points.map(({ name, address }) => ({ name, address: addressSchema.parse(address) }));
  const value = async (oid: string, type = "auto"): Promise<unknown> => {
    const one = [{ name: "one", address: addressSchema.parse({ oid, type }) }];
    return (await connection.read(one, { signal })).answers[0];
  };
  return { simulator, connection, log, points, value };
}

const messageOf = ({ points }: Rig): PointRequest<Address> => points.find(({ name }) => name === "message")!;

async function refusalOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "resolved",
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  );
}

const sign = (own: Record<string, unknown> = {}, more: Record<string, unknown> = {}) =>
  rig("ntcip/1203-message-sign", { sign: own, ...more });

const show = (one: Rig, text: string): Promise<void> => one.connection.write!(messageOf(one), text, signal);

describe("a message sign", () => {
  test.each([
    ["1", {}],
    ["2c", { maxOidsPerPdu: 8 }],
    ["3", { security }],
  ])("v%s: shows a message by the whole sequence, and is read back", async (version, more) => {
    const one = await sign({ duration: 30 }, { version, ...more });
    await show(one, "[jp3]NGAP NUOC[nl]DI CHAM");
    expect((await one.connection.read([messageOf(one)], { signal })).answers).toEqual([
      "[jp3]NGAP NUOC[nl]DI CHAM",
    ]);
    // The check sum low octet first, as in the standard's example.
    expect(await one.value(`${dms}.6.5.0`, "hex")).toBe("03000184eb");
    expect(await one.value(`${dms}.6.3.0`, "hex")).toBe("001e8003000184eb7f000001");
    expect(await one.value(`${dms}.6.4.0`)).toBe(30);
    expect(await one.value(`${dms}.5.8.1.4.3.1`)).toBe("kerb");
    expect(one.log).toEqual([]);
  });

  test("an empty text blanks it", async () => {
    const one = await sign({ runTimePriority: 9 });
    await show(one, "A");
    await show(one, "");
    expect((await one.connection.read([messageOf(one)], { signal })).answers).toEqual([""]);
    expect(await one.value(`${dms}.6.5.0`, "hex")).toBe("0700090000");
  });

  test("volatile memory, another row, beacons", async () => {
    const one = await sign({ memory: "volatile", number: 3, beacon: true });
    await show(one, "A");
    expect(await one.value(`${dms}.5.8.1.6.4.3`)).toBe(1);
    expect(String(await one.value(`${dms}.6.5.0`, "hex"))).toMatch(/^040003/);
  });

  test.each([
    ["A[zz]", {}, /no tag of MULTI at offset 1/],
    ["A[hczz]", {}, /no tag of MULTI at offset 1/],
    ["A[hcffff]", {}, /cannot show "\uffff"/],
    ["Đường", {}, /cannot show "Đ" "ư" "ờ".*stripDiacritics/],
    ["café", {}, /cannot show "é"/],
    ["A[np]B[np]C[np]D", {}, /4 pages, and the sign shows 3/],
    ["X".repeat(300), {}, /300 octets of MULTI, and the sign takes 256/],
    ["café", { checkFont: false }, /not valid: syntaxMULTI: characterNotDefined at offset 3 \("é"\)/],
    ["A", { number: 99 }, /the sign refuses the request to change the message/],
  ])("%j with %j is rejected, with the reason", async (text, own, reason) => {
    const one = await sign(own);
    const refusal = await refusalOf(show(one, text));
    expect(refusal).toMatch(/^rejected: 127\.0\.0\.1:\d+: /);
    expect(refusal).toMatch(reason);
    expect((await one.connection.read([messageOf(one)], { signal })).answers).toEqual(["[jp3]DI CHAM"]);
  });

  test("stripDiacritics writes Vietnamese with the letters that the sign has", async () => {
    const one = await sign({ stripDiacritics: true });
    await show(one, "Đường ngập");
    expect((await one.connection.read([messageOf(one)], { signal })).answers).toEqual(["Duong ngap"]);
  });

  test("what the sign holds against an activation is told", async () => {
    const one = await sign();
    await show(one, "A");
    const control = { name: "mode", address: addressSchema.parse({ oid: `${dms}.6.1.0`, type: "number" }) };
    await one.connection.write!(control, 2, signal);
    expect(await refusalOf(show(one, "B"))).toMatch(/does not activate the message: localMode/);
    await one.connection.write!(control, 4, signal);
    const meek = await sign({ activationPriority: 1 });
    await show(meek, "A");
    expect(await refusalOf(show(meek, "B"))).toMatch(/does not activate the message: priority/);
  });

  test("a check sum of the sign's own is used when the message is the one that was sent", async () => {
    const sum = { oid: `${dms}.5.8.1.5.3.1`, type: "number" };
    const one = await rig("ntcip/1203-message-sign", {}, {}, [
      { name: "sum", address: sum, scale: 1, offset: 0 },
    ]);
    one.simulator.set("sum", 0x7934);
    // The simulated sign only pretends to have another sum, and so refuses it.
    expect(await refusalOf(show(one, "[jp3]NGAP NUOC[nl]DI CHAM"))).toMatch(/does not activate.*messageCRC/);
    expect(one.log).toEqual([expect.stringMatching(/check sums in its own way: 7934 where 84eb belongs/)]);
    expect(await one.value(`${dms}.6.24.0`, "hex")).toMatch(/^003c8003000179347f000001$/);
    const text = { oid: `${dms}.5.8.1.3.3.1`, type: "text" };
    const other = await rig("ntcip/1203-message-sign", {}, {}, [
      { name: "sum", address: sum, scale: 1, offset: 0 },
      { name: "text", address: text, scale: 1, offset: 0 },
    ]);
    other.simulator.set("sum", 0x7934);
    other.simulator.set("text", "SOMETHING ELSE");
    expect(await refusalOf(show(other, "A"))).toMatch(/stored another message/);
  });

  test.each([-1, 65_536, 0x7fffffff])("a check sum of %d is none", async (sum) => {
    const one = await rig("ntcip/1203-message-sign", {}, {}, [
      { name: "sum", address: { oid: `${dms}.5.8.1.5.3.1`, type: "number" }, scale: 1, offset: 0 },
    ]);
    one.simulator.set("sum", sum);
    expect(await refusalOf(show(one, "A"))).toMatch(/^rejected: .*check sum/);
  });

  test("gives up when it is aborted in the middle", async () => {
    const one = await sign();
    const aborting = new AbortController();
    const call = refusalOf(one.connection.write!(messageOf(one), "A", aborting.signal));
    await sleep(30);
    aborting.abort();
    expect(await call).toMatch(/^aborted/);
    await show(one, "B");
    expect((await one.connection.read([messageOf(one)], { signal })).answers).toEqual(["B"]);
  });
});

const read = (one: Rig) => one.connection.read(one.points.slice(0, 3), { signal });

const device = (own: Record<string, unknown> = security) =>
  rig("ups/rfc1628", { version: "3", security: own }, { version: "3", security });

describe("SNMPv3", () => {
  test("a device that has restarted, and one whose clock has jumped, are read without a loss", async () => {
    const one = await device();
    await read(one);
    const { counts } = one.simulator;
    for (const [fault, delayMs] of [
      ["restart", 20],
      ["clockWrong", 0],
    ] as const) {
      const before = counts.errors;
      one.simulator.fault(fault, delayMs);
      await sleep(100);
      await expect(read(one)).resolves.toBeDefined();
      expect(counts.errors, "notInTimeWindow was reported").toBe(before + 1);
    }
  });

  test("a clock that jumps back is found anew, within the same call", async () => {
    const one = await device();
    one.simulator.fault("clockWrong");
    await read(one);
    one.simulator.fault(undefined);
    const { answers } = await read(one);
    expect(answers.every((answer) => typeof answer !== "object")).toBe(true);
  });

  test("another device in its place is found anew, for reading and for writing", async () => {
    const profile = "ntcip/1203-message-sign";
    const v3 = { version: "3", security };
    const one = await rig(profile, v3);
    await show(one, "A");
    const place = { ...v3, host: "127.0.0.1", port: Number(one.simulator.address.split(":")[1]) };
    const replace = async (): Promise<void> => {
      await open.shift()!.close();
      const { settings, ...rest } = loadProfile(profile);
      const points = simulatedPoints(rest);
      open.unshift(await start({ profile, points, settings: mergeSettings(settings, place), identity: {} }));
    };
    await replace();
    const { answers } = await one.connection.read([messageOf(one)], { signal });
    expect(answers).toEqual(["[jp3]DI CHAM"]);
    // The one before was hours ahead.
    (open[0] as Simulator).fault("clockWrong");
    await one.connection.read([messageOf(one)], { signal });
    await replace();
    const mode = { name: "mode", address: addressSchema.parse({ oid: `${dms}.6.1.0`, type: "number" }) };
    await one.connection.write!(mode, 5, signal);
    expect(await one.value(`${dms}.6.1.0`)).toBe(5);
  });

  test.each([
    ["an unknown user", { user: "nobody" }, "Unknown User Name"],
    ["a wrong password", { authPassword: "wrongwrong" }, "Wrong Digest"],
    ["a wrong key for privacy", { privPassword: "wrongwrong" }, "Decryption Error"],
    ["another protocol", { auth: "sha512" }, "Wrong Digest"],
  ])("%s is denied", async (_, wrong, reason) => {
    const one = await device({ ...security, ...wrong });
    expect(await refusalOf(read(one))).toContain(`says "${reason}"`);
    expect(await refusalOf(read(one))).toMatch(/^denied/);
  });
});

describe("identities and rows", () => {
  test.each(["ntcip/1202-signal-controller", "ntcip/1203-message-sign", "ups/rfc1628", "utmc/ug405"])(
    "%s says who it is",
    async (profile) => {
      const one = await rig(profile);
      expect(await one.connection.identify(signal)).toMatchObject({
        vendor: "Kerb Works",
        model: "K-1",
        firmware: "2.1",
      });
    },
  );

  test("a router says it in its own place, a cabinet device by ENTITY-MIB", async () => {
    const router = await rig("teltonika/rut");
    expect(await router.connection.identify(signal)).toMatchObject({
      model: "K-1",
      firmware: "2.1",
      serial: "A7",
    });
    const cabinet = await rig("generic/cabinet-snmp");
    expect(await cabinet.connection.identify(signal)).toMatchObject({ vendor: "Kerb Works", serial: "A7" });
  });

  test.each([undefined, "0", "scn:J0042"])("the row of an outstation: %s", async (row) => {
    const one = await rig("utmc/ug405", row === undefined ? {} : { row }, {
      row: row === "scn:J0042" ? "1.5.74.48.48.52.50" : row,
    });
    one.simulator.set("stage", 3);
    const stage = one.points.filter(({ name }) => name === "stage");
    expect((await one.connection.read(stage, { signal })).answers).toEqual([3]);
  });

  test("an outstation's detectors are four samples each", async () => {
    const one = await rig("utmc/ug405", { maxOidsPerPdu: 8 }, {}, []);
    const detectors = one.points.filter(({ name }) => name.startsWith("presence."));
    const octets = "1.3.6.1.4.1.13267.3.2.5.1.1.32.1.5.49.49.48.49.49";
    for (const { name } of detectors) one.simulator.set(name, name === "presence.detector2" ? 1 : 0);
    expect(await one.value(octets, "hex")).toBe("10000000");
    const { answers } = await one.connection.read(detectors, { signal });
    expect(answers).toEqual(detectors.map(({ name }) => name === "presence.detector2"));
  });

  test("discovery finds a device at its port, and nobody elsewhere", async () => {
    const simulator = await start({
      profile: "ups/rfc1628",
      points: simulatedPoints(loadProfile("ups/rfc1628")),
      settings: { host: "127.0.0.1", port: 0, version: "1" },
      identity: { vendor: "Kerb Works", model: "K-1" },
    });
    open.push(simulator);
    const port = simulator.address.split(":")[1]!;
    const found = [];
    const look = { signal, forMs: 0, tell: () => {} };
    const place = { host: "127.0.0.1", port: Number(port) };
    for await (const one of discovery.atPort!(place, look)) found.push(one);
    expect(found).toMatchObject([
      { at: place, settings: { version: "1" }, identity: { vendor: "Kerb Works" } },
    ]);
    settingsSchema.parse({ ...found[0]!.at, ...found[0]!.settings });
    for await (const one of discovery.atPort!({ ...place, host: "127.0.0.2" }, look)) found.push(one);
    expect(found).toHaveLength(1);
  });
});

test("a signal controller cycles through plausible states", async () => {
  const one = await rig("ntcip/1202-signal-controller");
  const { answers } = await one.connection.read(one.points, { signal });
  const phases = one.points.flatMap(({ name }, index) =>
    name.startsWith("signalState.group") ? [answers[index]] : [],
  );
  expect(phases).toHaveLength(16);
  for (const phase of phases) expect(["red", "yellow", "green"]).toContain(phase);
});
