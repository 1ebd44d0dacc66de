import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { SimulatedPoint, Simulator } from "../simulator.ts";
import { compareOids, integer, oid, toOid, items } from "./ber.ts";
import { start } from "./index.ts";
import { checkSum } from "./sign.ts";
import { localKey } from "./usm.ts";

/** The simulator before Debian's snmpget, snmpwalk, snmpbulkwalk and snmpset (net-snmp in C). */

const hasTools = spawnSync("sh", ["-c", "command -v snmpget snmpset"], { stdio: "ignore" }).status === 0;
if (!hasTools) console.warn("skipped: snmp is not installed");

const open: Simulator[] = [];
afterEach(async () => {
  for (const simulator of open.splice(0)) await simulator.close();
});

const dms = "1.3.6.1.4.1.1206.4.2.3";
const point = (
  name: string,
  address: Record<string, unknown>,
  more: Partial<SimulatedPoint> = {},
): SimulatedPoint => ({
  name,
  address,
  scale: 1,
  offset: 0,
  ...more,
});
const ups = "1.3.6.1.2.1.33.1";
const points = [
  point("charge", { oid: `${ups}.2.4.0`, type: "number" }, { fixed: 97 }),
  point("temperature", { oid: `${ups}.2.7.0`, type: "number" }, { fixed: -4 }),
  point("name", { oid: `${ups}.1.5.0`, type: "text" }, { fixed: "cabinet 7" }),
  point("octets", { oid: "1.3.6.1.2.1.31.1.1.1.6.1", type: "number", syntax: "counter64" }, { fixed: 5e9 }),
  point("uptime", { oid: "1.3.6.1.2.1.1.3.0", type: "number", syntax: "ticks" }, { fixed: 4200 }),
  point("door", { oid: "1.3.6.1.4.1.9.1.0", type: "bits", bit: 2 }, { fixed: 1 }),
  point("fan", { oid: "1.3.6.1.4.1.9.1.0", type: "bits", bit: 9 }, { fixed: 1 }),
  point("smi", { oid: "1.3.6.1.4.1.9.2.0", type: "bits", bit: 2, order: "bits" }, { fixed: 1 }),
];
const security = {
  user: "kerb",
  auth: "sha",
  authPassword: "authauthauth",
  priv: "aes",
  privPassword: "privprivpriv",
};

async function device(
  settings: Record<string, unknown>,
  more: SimulatedPoint[] = points,
): Promise<Simulator> {
  const simulator = await start({
    profile: "test/test",
    points: more,
    settings: { host: "127.0.0.1", port: 0, ...settings },
    identity: { vendor: "Kerb Works", model: "K-1" },
  });
  open.push(simulator);
  return simulator;
}

async function run(program: string, ...parameters: string[]): Promise<{ status: number; output: string }> {
  const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const [status] = (await once(child, "close")) as [number];
  return { status, output: output.trim() };
}

const v3 = (password = security.authPassword, user = security.user): string[] => [
  "-v3",
  "-u",
  user,
  "-lauthPriv",
  "-aSHA",
  "-A",
  password,
  "-xAES",
  "-X",
  security.privPassword,
];
const ways = [
  ["v1", { version: "1" }, ["-v", "1", "-c", "public"]],
  ["v2c", { version: "2c" }, ["-v", "2c", "-c", "public"]],
  ["v3 authPriv", { version: "3", security }, v3()],
] as const;
const once3 = ["-r", "0", "-t", "2", "-On"];

describe.skipIf(!hasTools)("Debian's snmp tools", { timeout: 30_000 }, () => {
  test.each(ways)("%s: get", async (_, settings, how) => {
    const { address } = await device(settings);
    const get = (...oids: string[]) => run("snmpget", ...how, ...once3, address, ...oids);
    const { output } = await get(`${ups}.2.4.0`, `${ups}.2.7.0`, `${ups}.1.5.0`, "1.3.6.1.2.1.1.3.0");
    expect(output.split("\n")).toEqual([
      `.${ups}.2.4.0 = INTEGER: 97`,
      `.${ups}.2.7.0 = INTEGER: -4`,
      `.${ups}.1.5.0 = STRING: "cabinet 7"`,
      ".1.3.6.1.2.1.1.3.0 = Timeticks: (4200) 0:00:42.00",
    ]);
    expect((await get("1.3.6.1.4.1.9.1.0")).output).toContain("INTEGER: 516");
    expect((await get("1.3.6.1.4.1.9.2.0")).output).toMatch(/Hex-STRING: 20|STRING: " "/);
    expect((await get(`${ups}.2.99.0`)).output).toMatch(/No Such|noSuchName/);
  });

  test.each(ways)("%s: walk to the end", async (name, settings, how) => {
    const { address } = await device(settings);
    const walk = await run("snmpwalk", ...how, ...once3, address, "1.3");
    expect(walk.output).toContain(`.${ups}.1.5.0 = STRING: "cabinet 7"`);
    expect(walk.output.includes("Counter64: 5000000000")).toBe(name !== "v1");
    const lines = walk.output.split("\n").filter((line) => line.startsWith(".1"));
    const names = lines.map((line) => line.slice(1).split(" ")[0]!);
    expect(names).toEqual(names.toSorted(compareOids));
    expect(names.length).toBeGreaterThan(8);
    if (name === "v1") return;
    const bulk = await run("snmpbulkwalk", ...how, ...once3, address, "1.3");
    expect(bulk.output.split("\n").filter((line) => line.startsWith(".1"))).toEqual(lines);
  });

  test("v3: a wrong password and an unknown user are told", async () => {
    const { address } = await device({ version: "3", security });
    const get = (how: string[]) => run("snmpget", ...how, ...once3, address, `${ups}.2.4.0`);
    expect((await get(v3("wrongpassword"))).output).toMatch(/Authentication failure/);
    expect((await get(v3(undefined, "nobody"))).output).toMatch(/Unknown user name/);
    const plain = ["-v", "3", "-u", "kerb", "-l", "authNoPriv", "-a", "SHA", "-A", security.authPassword];
    expect((await get(plain)).output).toMatch(/Unsupported security level/);
  });

  test("an object that is not for writing, and a community that may not write", async () => {
    const { address } = await device({ version: "2c", writeCommunity: "private" });
    const set = (community: string) =>
      run("snmpset", "-v", "2c", "-c", community, ...once3, address, `${ups}.2.4.0`, "i", "5");
    expect((await set("private")).output).toContain("notWritable");
    expect((await set("public")).output).toContain("noAccess");
  });

  test("more objects than the device takes are too big", async () => {
    const { address } = await device({ version: "1", maxOidsPerPdu: 1 });
    const { output } = await run("snmpget", ...ways[0][2], ...once3, address, `${ups}.2.4.0`, `${ups}.2.7.0`);
    expect(output).toContain("tooBig");
  });

  test.each(ways)("%s: a central shows a message on the sign, step by step", async (_, settings, how) => {
    const { address } = await device(settings, [point("message", { sign: "message" })]);
    const row = (column: number): string => `${dms}.5.8.1.${column}.3.1`;
    const set = (...what: string[]) => run("snmpset", ...how, ...once3, address, ...what);
    const get = async (one: string) =>
      (await run("snmpget", ...how, ...once3, "-Oqvx", address, one)).output.replaceAll(/["\s]/g, "");
    expect((await set(row(3), "s", "TOO EARLY")).status).not.toBe(0);
    await set(row(9), "i", "6");
    expect(await get(row(9))).toBe("2");
    await set(row(3), "s", "[jp3]TEST [fl]Flashing[/fl]");
    await set(row(4), "s", "central");
    await set(row(6), "i", "0");
    await set(row(7), "i", "0");
    await set(row(8), "i", "128");
    await set(row(9), "i", "7");
    // Validating, or already valid when the tool takes its time.
    expect(await get(row(9))).toMatch(/^[34]$/);
    await sleep(100);
    expect(await get(row(9))).toBe("4");
    expect(await get(row(5))).toBe(String(0x95f9));
    const wrong = await set(`${dms}.6.3.0`, "x", "010B3703000112347F000001");
    expect(wrong.output).toMatch(/genErr|General failure/);
    expect(await get(`${dms}.6.17.0`)).toBe("7");
    await set(`${dms}.6.3.0`, "x", "010B3703000195F97F000001");
    expect(await get(`${dms}.6.17.0`)).toBe("2");
    expect(await get(`${dms}.6.5.0`)).toBe("03000195F9");
    expect(await get(`${dms}.6.4.0`)).toBe("267");
    // Less urgent than what is shown.
    await set(`${dms}.6.3.0`, "x", "010B0107000100007F000001");
    expect(await get(`${dms}.6.17.0`)).toBe("3");
    await set(`${dms}.6.3.0`, "x", "FFFFFF07000100007F000001");
    expect(await get(`${dms}.6.5.0`)).toBe("0700010000");
  });
});

describe.skipIf(!hasTools)("SET", () => {
  test("of several objects is carried out whole or not at all (RFC 3416, 4.2.5)", async () => {
    const { address } = await device({ version: "2c" }, [point("message", { sign: "message" })]);
    const at = (column: number): string => `${dms}.5.8.1.${column}.3.1`;
    const how = ["-v2c", "-cpublic", ...once3];
    await run("snmpset", ...how, address, at(9), "i", "6");
    const wrong = await run("snmpset", ...how, address, at(3), "s", "A", at(4), "s", "me", at(8), "i", "999");
    expect(wrong.status).not.toBe(0);
    const now = await run("snmpget", ...how, "-Oqv", address, at(3), at(4), at(9));
    expect(now.output.split("\n")).toEqual(['""', '""', "2"]);
    const unknown = await run("snmpset", ...how, address, at(9), "i", "8", `${dms}.99.0`, "i", "1");
    expect(unknown.status).not.toBe(0);
    expect((await run("snmpget", ...how, "-Oqv", address, at(9))).output).toBe("2");
  });
});

describe.skipIf(!hasTools)("a station after NTCIP 1203", { timeout: 30_000 }, () => {
  const how = ["-v", "2c", "-c", "public"];
  const rig = async () => {
    const { address } = await device({ version: "2c" }, [point("message", { sign: "message" })]);
    const get = async (one: string) =>
      (await run("snmpget", ...how, ...once3, "-Oqvx", address, `${dms}.${one}`)).output.replaceAll(
        /["\s]/g,
        "",
      );
    const set = (one: string, ...what: string[]) =>
      run("snmpset", ...how, ...once3, address, `${dms}.${one}`, ...what);
    return { get, set };
  };

  test("finds the blank messages, one for each run-time priority", async () => {
    const { get } = await rig();
    for (const [column, value] of [
      [3, ""],
      [5, "0"],
      [8, "255"],
      [9, "4"],
    ])
      expect(await get(`5.8.1.${column}.7.255`)).toBe(value);
    expect(await get("6.15.0")).toBe("0700010000");
  });

  test("counts the messages that are defined", async () => {
    const { get, set } = await rig();
    expect(await Promise.all([1, 2, 3, 5, 6].map((one) => get(`5.${one}.0`)))).toEqual([
      "0",
      "0",
      "5",
      "0",
      "5",
    ]);
    const free = Number(await get("5.4.0"));
    await set("5.8.1.9.3.2", "i", "6");
    await set("5.8.1.3.3.2", "s", "HELLO");
    await set("5.8.1.9.3.2", "i", "7");
    await sleep(100);
    expect(await get("5.8.1.9.3.2")).toBe("4");
    expect([await get("5.2.0"), await get("5.5.0")]).toEqual(["1", "0"]);
    expect(Number(await get("5.4.0"))).toBe(free - "HELLO".length);
  });

  test("sees who activated what is shown, and shortens its time", async () => {
    const { get, set } = await rig();
    await set("6.3.0", "x", "000AFF07000900000A000007");
    expect(await get("6.5.0")).toBe("0700090000");
    expect(await get("6.6.0")).toBe("10.0.0.7");
    expect(await get("6.7.0")).toBe("8");
    await set("6.4.0", "i", "3");
    expect(await get("6.4.0")).toBe("3");
    await set("6.4.0", "i", "0");
    expect(await get("6.5.0")).toBe("0700010000");
    expect(await get("6.7.0")).toBe("14");
    expect(await get("6.4.0")).toBe("65535");
  });
});

describe("its own parts", () => {
  test("OIDs there and back, and in order", () => {
    for (const text of ["1.3.6.1.4.1.13267.3.2", "2.999.3", "0.0", "1.3.4294967295"])
      expect(toOid(items(oid(text))[0]!)).toBe(text);
    expect(["1.3.10", "1.3.9", "1.3.9.1", "1.3"].toSorted(compareOids)).toEqual([
      "1.3",
      "1.3.9",
      "1.3.9.1",
      "1.3.10",
    ]);
  });

  test("the shortest integers", () => {
    expect([0, 127, 128, -1, -128, -129, 65_535].map((value) => integer(value).toString("hex"))).toEqual([
      "020100",
      "02017f",
      "02020080",
      "0201ff",
      "020180",
      "0202ff7f",
      "020300ffff",
    ]);
  });

  test("the key of RFC 3414, A.3.2", () => {
    const engine = Buffer.from("000000000000000000000002", "hex");
    expect(localKey("sha", "maplesyrup", engine).toString("hex")).toBe(
      "6695febc9288e36282235fc7151f128497b38f3f",
    );
    expect(localKey("md5", "maplesyrup", engine).toString("hex")).toBe("526f5eed9fcce26f8964c2930787d82b");
  });

  test("the check sum of the standard's example", () => {
    const multi = Buffer.from("[jp3]TEST [fl]Flashing[/fl]");
    expect(checkSum({ multi, beacon: 0, pixelService: 0 })).toBe(0x95f9);
  });

  test("no datagram stops it", async () => {
    const simulator = await device({ version: "3", security });
    const socket = createSocket("udp4");
    const port = Number(simulator.address.split(":")[1]);
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(Array.from({ length: i % 90 }, () => Math.floor(Math.random() * 256)));
      if (i % 2 === 0 && bytes.length > 3) bytes.set([0x30, bytes.length - 2]);
      socket.send(bytes, port, "127.0.0.1");
      if (i % 50 === 0) await sleep(5);
    }
    await sleep(50);
    socket.close();
    expect(simulator.counts.requests).toBeGreaterThan(100);
  });
});
