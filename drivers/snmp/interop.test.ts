import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Answer, Connection, Sink } from "../../gateway/driver.ts";
import { address, type Address } from "./settings.ts";
import {
  codeOf,
  connectTo,
  context,
  freePort,
  isInstalled,
  logged,
  patient,
  pointsOf,
  randomBytes,
  run,
  settingsOf,
  stop,
  until,
} from "./testing.ts";

/** The driver before Debian's snmpsim (pysnmp) and Debian's snmptrap and snmpinform (net-snmp in C). */

const signal = patient();
const secrets = {
  user: "kerb",
  auth: "sha",
  authPassword: "authauthauth",
  priv: "aes",
  privPassword: "privprivpriv",
  context: "public",
};

const records = [
  "1.3.6.1.2.1.1.1.0|4|Foreign agent",
  "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.534.1",
  "1.3.6.1.2.1.1.3.0|67|123456",
  "1.3.6.1.2.1.1.5.0|4|ups-7",
  "1.3.6.1.2.1.2.2.1.10.1|65|4294967290",
  "1.3.6.1.2.1.4.20.1.1.10|64|10.0.0.7",
  "1.3.6.1.2.1.31.1.1.1.6.1|70|18446744073709551615",
  "1.3.6.1.2.1.31.1.1.1.6.2|70|5000000000",
  "1.3.6.1.2.1.31.1.1.1.18.1|4x|4ec3ba742067696f61",
  "1.3.6.1.2.1.31.1.1.1.18.2|4|second",
  "1.3.6.1.2.1.33.1.1.1.0|4|Eaton",
  "1.3.6.1.2.1.33.1.1.2.0|4|5PX",
  "1.3.6.1.2.1.33.1.1.3.0|4|1.02",
  "1.3.6.1.2.1.33.1.2.4.0|2|97",
  "1.3.6.1.2.1.33.1.2.7.0|2|-4",
  "1.3.6.1.4.1.1206.4.2.1.1.4.1.2.1|2|129",
  "1.3.6.1.4.1.1206.4.2.1.1.4.1.3.1|4x|02",
  "1.3.6.1.4.1.1206.4.2.1.1.4.1.4.1|4x|7c",
  "1.3.6.1.4.1.2021.10.1.6.1|68x|9f780441ac0000",
];

const hasSnmpsim = isInstalled("snmpsimd");
if (!hasSnmpsim) console.warn("skipped: snmpsim is not installed");
const hasTools = isInstalled("snmptrap") && isInstalled("snmpinform");
if (!hasTools) console.warn("skipped: snmp is not installed");

describe.skipIf(!hasSnmpsim)("snmpsim", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "kerb-snmpsim-"));
  let agent: ChildProcess;
  let port = 0;
  const open: Connection<Address>[] = [];

  beforeAll(async () => {
    const [data, cache] = [join(folder, "data"), join(folder, "cache")];
    for (const one of [folder, data, cache]) {
      mkdirSync(one, { recursive: true });
      chmodSync(one, 0o777);
    }
    writeFileSync(join(data, "public.snmprec"), `${records.join("\n")}\n`);
    port = await freePort();
    agent = spawn("snmpsimd", [
      `--agent-udpv4-endpoint=127.0.0.1:${port}`,
      `--data-dir=${data}`,
      `--cache-dir=${cache}`,
      `--v3-user=${secrets.user}`,
      `--v3-auth-key=${secrets.authPassword}`,
      "--v3-auth-proto=SHA",
      `--v3-priv-key=${secrets.privPassword}`,
      "--v3-priv-proto=AES",
      ...(process.getuid?.() === 0 ? ["--process-user=nobody", "--process-group=nogroup"] : []),
    ]);
    for (let i = 0; i < 200; i++) {
      const connection = await connectTo(settingsOf(port));
      const code = await codeOf(connection.read(pointsOf({ oid: "1.3.6.1.2.1.1.3.0" }), { signal }));
      await connection.close();
      if (code === "resolved") return;
      await sleep(100);
    }
    throw new Error("snmpsimd does not answer");
  }, 40_000);

  afterEach(async () => {
    for (const connection of open.splice(0)) await connection.close();
  });
  afterAll(async () => {
    await stop(agent);
    rmSync(folder, { recursive: true, force: true });
  });

  const connect = async (more: Record<string, unknown>): Promise<Connection<Address>> => {
    const connection = await connectTo(settingsOf(port, { timeout: 3000, ...more }));
    open.push(connection);
    return connection;
  };

  const versions = [
    ["v1", { version: "1" }],
    ["v2c, 8 objects in a request", { version: "2c", maxOidsPerPdu: 8 }],
    ["v3 authPriv", { version: "3", security: secrets, maxOidsPerPdu: 4 }],
  ] as const;

  test.each(versions)("%s: lists the device's own objects, and all under an OID", async (_, more) => {
    const connection = await connect(more);
    const list = async (under?: string) => {
      const request = { entriesMax: 100, depthMax: 1, untilMs: performance.now() + 15_000, signal };
      const found: [unknown, unknown, unknown][] = [];
      const left: string[] = [];
      for await (const one of connection.browse!({ ...request, ...(under === undefined ? {} : { under }) }))
        if ("left" in one) left.push(one.left);
        else found.push([one.address?.["oid"], one.type, one.answer]);
      return { found, left };
    };
    const own = await list();
    expect(own.left).toEqual(["standard"]);
    expect(own.found).toEqual([
      ["1.3.6.1.2.1.33.1.1.1.0", "OCTET STRING", "Eaton"],
      ["1.3.6.1.2.1.33.1.1.2.0", "OCTET STRING", "5PX"],
      ["1.3.6.1.2.1.33.1.1.3.0", "number (OCTET STRING)", 1.02],
      ["1.3.6.1.2.1.33.1.2.4.0", "INTEGER", 97],
      ["1.3.6.1.2.1.33.1.2.7.0", "INTEGER", -4],
      ["1.3.6.1.4.1.1206.4.2.1.1.4.1.2.1", "INTEGER", 129],
      ["1.3.6.1.4.1.1206.4.2.1.1.4.1.3.1", "OCTET STRING", "02"],
      ["1.3.6.1.4.1.1206.4.2.1.1.4.1.4.1", "OCTET STRING", "|"],
      ["1.3.6.1.4.1.2021.10.1.6.1", "Opaque float", 21.5],
    ]);
    const interfaces = await list("1.3.6.1.2.1.31");
    // v1 has no Counter64 (RFC 3584, 4.2.2.1).
    const wide = [
      ["1.3.6.1.2.1.31.1.1.1.6.1", "Counter64", 18_446_744_073_709_551_615n],
      ["1.3.6.1.2.1.31.1.1.1.6.2", "Counter64", 5e9],
    ];
    expect(interfaces.found.filter(([, type]) => type === "Counter64")).toEqual(
      more.version === "1" ? [] : wide,
    );
    const none = list("no OID");
    await expect(none).rejects.toMatchObject({ code: "rejected" });
  });

  test.each(versions)("%s: every type", async (_, more) => {
    const connection = await connect(more);
    const group = "1.3.6.1.4.1.1206.4.2.1.1.4.1";
    const states = { red: `${group}.2.1`, yellow: `${group}.3.1`, green: `${group}.4.1` };
    const points = pointsOf(
      { oid: "1.3.6.1.2.1.1.1.0", type: "text" },
      { oid: "1.3.6.1.2.1.1.2.0", type: "oid" },
      { oid: "1.3.6.1.2.1.1.3.0", type: "number" },
      { oid: "1.3.6.1.2.1.2.2.1.10.1", type: "number" },
      { oid: "1.3.6.1.2.1.33.1.2.7.0", type: "number" },
      { oid: "1.3.6.1.2.1.4.20.1.1.10" },
      { oid: "1.3.6.1.4.1.2021.10.1.6.1", type: "number" },
      { oid: "1.3.6.1.2.1.31.1.1.1.18.1", type: "text" },
      { oid: "1.3.6.1.2.1.99.0" },
      ...[0, 1, 2, 7].map((bit) => ({ states, bit })),
      { walk: "1.3.6.1.2.1.31.1.1.1.18", take: "list", type: "text" },
    );
    const { answers } = await connection.read(points, { signal });
    const values = answers.map((answer) => (typeof answer === "object" ? answer.code : answer));
    expect(values.slice(0, 8)).toEqual([
      "Foreign agent",
      "1.3.6.1.4.1.534.1",
      123_456,
      4_294_967_290,
      -4,
      "10.0.0.7",
      21.5,
      "Nút gioa",
    ]);
    expect(values[8]).toMatch(/^noSuch/);
    expect(values.slice(9)).toEqual(["red", "yellow", "green", "red", "Nút gioa, second"]);
  });

  test("Counter64, below and beyond 2^53", async () => {
    const points = pointsOf(
      ...[1, 2].map((row) => ({ oid: `1.3.6.1.2.1.31.1.1.1.6.${row}`, type: "number" as const })),
    );
    const { answers } = await (await connect({ maxOidsPerPdu: 2 })).read(points, { signal });
    expect(answers).toEqual([2n ** 64n - 1n, 5_000_000_000]);
  });

  test.each(versions)("%s: who it is", async (_, more) => {
    const identity = await (await connect(more)).identify(signal);
    expect(identity).toMatchObject({
      vendor: "Eaton",
      model: "5PX",
      firmware: "1.02",
      more: { sysDescr: "Foreign agent", sysName: "ups-7" },
    });
  });

  test.each([
    ["a wrong password", { authPassword: "anotherpassword" }, /denied/],
    // snmpsim says nothing to a user that it does not know; snmpget hears nothing either.
    ["an unknown user", { user: "nobody" }, /denied|silent/],
    ["a wrong key for privacy", { privPassword: "anotherpassword" }, /denied|silent|garbage/],
  ])("v3 with %s", async (_, wrong, code) => {
    const connection = await connect({ version: "3", timeout: 800, security: { ...secrets, ...wrong } });
    expect(await codeOf(connection.read(pointsOf({ oid: "1.3.6.1.2.1.1.3.0" }), { signal }))).toMatch(code);
  });

  test("another community is silence", async () => {
    const connection = await connect({ community: "other", timeout: 300 });
    expect(await codeOf(connection.read(pointsOf({ oid: "1.3.6.1.2.1.1.3.0" }), { signal }))).toBe("silent");
  });
});

/** A sink that keeps what it hears. */
class Ear implements Sink {
  readonly heard: { index: number; answers: readonly (Answer | undefined)[] }[] = [];
  signs = 0;
  alive(): void {
    this.signs++;
  }
  readings(): void {}
  poll(): void {}
  record(index: number, answers: readonly (Answer | undefined)[]): void {
    this.heard.push({ index, answers });
  }
}

const record = (notification: string, ...fields: string[]) => ({
  name: notification,
  address: address.parse({ notification }),
  fields: fields.map((oid) => ({ name: oid, address: address.parse({ oid, type: "number" }) })),
});

describe.skipIf(!hasTools)("snmptrap and snmpinform", { timeout: 30_000 }, () => {
  const onBattery = "1.3.6.1.2.1.33.2.1";
  const minutes = "1.3.6.1.2.1.33.1.2.3.0";
  const stops: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const one of stops.splice(0)) await one();
  });

  async function listen(port: number, more: Record<string, unknown>) {
    const connection = await connectTo(
      settingsOf(9, { notifications: { address: "127.0.0.1", port }, ...more }),
    );
    const ear = new Ear();
    const stopping = new AbortController();
    const done = connection.subscribe!({
      points: [],
      records: [
        record(onBattery, "1.3.6.1.2.1.33.1.2.3"),
        record("1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1", "1.3.6.1.2.1.1.3.0"),
      ],
      sink: ear,
      signal: stopping.signal,
    });
    const code = codeOf(done);
    stops.push(async () => {
      stopping.abort();
      await code;
      await connection.close();
    });
    await sleep(50);
    return { ear, code };
  }

  test("traps of v1, generic and of an enterprise", async () => {
    const port = await freePort();
    const { ear } = await listen(port, { version: "1" });
    const to = ["-v", "1", "-c", "public", `127.0.0.1:${port}`];
    await run(
      "snmptrap",
      ...to,
      "1.3.6.1.4.1.9",
      "127.0.0.1",
      "2",
      "0",
      "4200",
      "1.3.6.1.2.1.2.2.1.1.7",
      "i",
      "7",
    );
    await run("snmptrap", ...to, "1.3.6.1.2.1.33.2", "127.0.0.1", "6", "1", "4200", minutes, "i", "42");
    await until(() => ear.heard.length === 2);
    expect(ear.heard).toEqual([
      { index: 1, answers: [7, 4200] },
      { index: 0, answers: [42] },
    ]);
  });

  test("traps of v2c; another community, and another sender, are not heard", async () => {
    const port = await freePort();
    const { ear } = await listen(port, { version: "2c" });
    const trap = (community: string, value: string) =>
      run(
        "snmptrap",
        "-v",
        "2c",
        "-c",
        community,
        `127.0.0.1:${port}`,
        "4200",
        onBattery,
        minutes,
        "i",
        value,
      );
    await trap("wrong", "1");
    await trap("public", "42");
    await until(() => ear.heard.length === 1);
    expect(ear.heard).toEqual([{ index: 0, answers: [42] }]);
    expect(ear.signs).toBe(1);
    expect(logged.at(-1)).toContain(
      "1 datagrams that no device of the site may send, the last from 127.0.0.1",
    );

    const elsewhere = await freePort();
    const other = await listen(elsewhere, {
      notifications: { address: "127.0.0.1", port: elsewhere, from: "127.0.0.9" },
    });
    await run(
      "snmptrap",
      "-v",
      "2c",
      "-c",
      "public",
      `127.0.0.1:${elsewhere}`,
      "1",
      onBattery,
      minutes,
      "i",
      "1",
    );
    await sleep(100);
    expect(other.ear.heard).toEqual([]);
  });

  test("an inform of v2c is acknowledged, and handed on once", async () => {
    const port = await freePort();
    const { ear } = await listen(port, { version: "2c" });
    const { status } = await run(
      "snmpinform",
      "-v",
      "2c",
      "-c",
      "public",
      "-r",
      "0",
      "-t",
      "2",
      `127.0.0.1:${port}`,
      "4200",
      onBattery,
      minutes,
      "i",
      "41",
    );
    expect(status).toBe(0);
    expect(ear.heard).toEqual([{ index: 0, answers: [41] }]);
  });

  const v3 = (password: string) => [
    "-v",
    "3",
    "-u",
    "kerb",
    "-l",
    "authPriv",
    "-a",
    "SHA",
    "-A",
    password,
    "-x",
    "AES",
    "-X",
    secrets.privPassword,
  ];
  const security = { ...secrets, context: "" };

  test("an inform of v3 authPriv: discovery, acknowledgement, once; a wrong password is not heard", async () => {
    const port = await freePort();
    const { ear } = await listen(port, { version: "3", security });
    const inform = (password: string) =>
      run(
        "snmpinform",
        ...v3(password),
        "-r",
        "0",
        "-t",
        "1",
        `127.0.0.1:${port}`,
        "4200",
        onBattery,
        minutes,
        "i",
        "40",
      );
    expect(await inform(secrets.authPassword)).toMatchObject({ status: 0 });
    expect(ear.heard).toEqual([{ index: 0, answers: [40] }]);
    expect((await inform("wrongpassword")).status).not.toBe(0);
    expect(ear.heard).toHaveLength(1);
  });

  test("a trap of v3 authPriv; one with less protection, or with an old time, is not heard", async () => {
    const port = await freePort();
    const { ear } = await listen(port, { version: "3", security });
    const engine = ["-e", "0x8000000001020304"];
    const trap = (time: string, ...how: string[]) =>
      run(
        "snmptrap",
        ...how,
        ...engine,
        "-Z",
        `3,${time}`,
        `127.0.0.1:${port}`,
        "4200",
        onBattery,
        minutes,
        "i",
        time,
      );
    await trap("5000", ...v3(secrets.authPassword));
    await until(() => ear.heard.length === 1);
    await trap("4000", ...v3(secrets.authPassword));
    await trap("5001", "-v", "3", "-u", "kerb", "-l", "authNoPriv", "-a", "SHA", "-A", secrets.authPassword);
    await trap("5002", "-v", "3", "-u", "kerb", "-l", "noAuthNoPriv");
    await trap("5003", "-v", "3", "-u", "", "-l", "noAuthNoPriv");
    await trap("5004", ...v3(secrets.authPassword));
    await until(() => ear.heard.length === 2);
    expect(ear.heard.map(({ answers }) => answers)).toEqual([[5000], [5004]]);
    // Weaker ones do not even reach net-snmp.
    expect(logged.slice(-2)).toEqual([
      expect.stringContaining("old SNMPv3 time"),
      expect.stringContaining("no device of the site may send"),
    ]);
  });

  test("two devices behind one address share the listener and are told apart by their communities", async () => {
    const port = await freePort();
    const [one, two] = ["red", "blue"].map((community) =>
      listen(port, { notifications: { address: "127.0.0.1", port, community } }),
    );
    const ears = [(await one!).ear, (await two!).ear];
    const trap = (community: string, value: string) =>
      run("snmptrap", "-v2c", "-c", community, `127.0.0.1:${port}`, "1", onBattery, minutes, "i", value);
    await trap("blue", "2");
    await trap("red", "1");
    await until(() => ears.every(({ heard }) => heard.length > 0));
    expect(ears.map(({ heard }) => heard.map(({ answers }) => answers))).toEqual([[[1]], [[2]]]);
  });

  test("no datagram stops the listener, and strangers are not a line each", async () => {
    const port = await freePort();
    const { ear } = await listen(port, { version: "3", security });
    const other = await listen(port, { version: "2c" });
    const before = logged.length;
    const socket = createSocket("udp4");
    const head = Buffer.from("3082000002010104067075626c6963a7", "hex");
    for (let i = 0; i < 400; i++) {
      const tail = randomBytes(i % 60);
      const whole = Buffer.concat([head, tail]);
      whole.writeUInt16BE(whole.length - 4, 2);
      socket.send(i % 2 === 0 ? randomBytes(i % 80) : whole, port, "127.0.0.1");
      if (i % 20 === 0) await sleep(2);
    }
    await run("snmptrap", "-v2c", "-c", "public", `127.0.0.1:${port}`, "1", onBattery, minutes, "i", "7");
    await until(() => other.ear.heard.length > 0);
    socket.close();
    expect(other.ear.heard.at(-1)).toEqual({ index: 0, answers: [7] });
    expect(ear.heard).toEqual([]);
    expect(logged.length - before).toBeLessThanOrEqual(1);
  });

  test("a port that is taken ends the subscription as busy", async () => {
    const taken = await (await import("./testing.ts")).scriptedAgent(() => {});
    stops.push(() => taken.close());
    const { code } = await listen(taken.port, { version: "2c" });
    expect(await code).toBe("busy");
  });

  test("without notifications in the settings nothing listens, and nothing ends", async () => {
    const connection = await connectTo(settingsOf(9));
    const call = connection.subscribe!({ points: [], records: [], sink: new Ear(), signal });
    expect(await Promise.race([call.then(() => "over"), sleep(100, "waits")])).toBe("waits");
    const ended = codeOf(call);
    await connection.close();
    expect(await ended).toBe("closed");
    expect(context.deviceId).toBe("d");
  });
});
