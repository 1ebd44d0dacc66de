import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { driver } from "../../drivers/snmp/index.ts";
import { freePort } from "../ports.ts";
import {
  address as addressSchema,
  settings as settingsSchema,
  type Address,
} from "../../drivers/snmp/settings.ts";
import type { Connection, PointRequest } from "../../gateway/driver.ts";
import { loadProfile, mergeSettings } from "../../gateway/profiles/profiles.ts";
import { Bench, programPath } from "./processes.ts";

/**
 * kerb before a message sign that shares no code with it: the objects of `sign_agent.py` behind Debian's snmpsim, of
 * which each community is a sign of its own.
 */

const snmpsim = programPath("snmpsimd");
const signal = new AbortController().signal;
const dms = "1.3.6.1.4.1.1206.4.2.3";
const profile = loadProfile("ntcip/1203-message-sign");
const security = {
  user: "kerb",
  auth: "sha",
  authPassword: "authauthauth",
  priv: "aes",
  privPassword: "privprivpriv",
};
const signs = ["one", "two", "three", "four", "five", "six", "strict"];

describe.skipIf(snmpsim === undefined)("a foreign sign", { timeout: 60_000 }, () => {
  let bench: Bench;
  let port = 0;
  const open: Connection<Address>[] = [];

  const connect = async (own: Record<string, unknown>) => {
    const base = { host: "127.0.0.1", port, timeout: 3000, ...own };
    const log: string[] = [];
    const context = { deviceId: "sign", log: (_: string, text: string) => void log.push(text) };
    const settings = settingsSchema.parse(mergeSettings(profile.settings, base));
    const connection = await driver.connect(settings, context, signal);
    open.push(connection);
    const read = async (address: Record<string, unknown>) => {
      const points = [{ name: "one", address: addressSchema.parse(address) }];
      return (await connection.read(points, { signal })).answers[0];
    };
    const show = (text: string): Promise<string> =>
      connection.write!(message, text, signal).then(
        () => "shown",
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      );
    return { connection, log, read, show };
  };
  const message: PointRequest<Address> = {
    name: "message",
    address: addressSchema.parse({ sign: "message" }),
  };

  beforeAll(async () => {
    bench = new Bench();
    const [data, cache, modules] = ["data", "cache", "modules"].map((name) => join(bench.folder, name));
    for (const folder of [bench.folder, data!, cache!, modules!]) {
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o777);
    }
    copyFileSync(fileURLToPath(new URL("sign_agent.py", import.meta.url)), join(modules!, "sign.py"));
    for (const sign of signs) {
      const how = sign === "strict" ? "strict" : "";
      writeFileSync(join(data!, `${sign}.snmprec`), `${dms}|:sign|${how}\n`);
    }
    port = await freePort();
    bench.start(
      snmpsim!,
      `--agent-udpv4-endpoint=127.0.0.1:${port}`,
      `--data-dir=${data}`,
      `--cache-dir=${cache}`,
      `--variation-modules-dir=${modules}`,
      `--v3-user=${security.user}`,
      `--v3-auth-key=${security.authPassword}`,
      "--v3-auth-proto=SHA",
      `--v3-priv-key=${security.privPassword}`,
      "--v3-priv-proto=AES",
      ...(process.getuid?.() === 0 ? ["--process-user=nobody", "--process-group=nogroup"] : []),
    );
    for (let i = 0; i < 200; i++) {
      const { read } = await connect({ community: "one", timeout: 300 });
      if ((await read({ oid: `${dms}.6.1.0` }).catch(() => undefined)) === 4) return;
      await sleep(100);
    }
    throw new Error("snmpsimd does not answer");
  }, 40_000);

  afterEach(async () => {
    for (const connection of open.splice(0)) await connection.close();
  });
  afterAll(() => bench.close());

  test.each([
    ["1", { community: "one" }],
    ["2c", { community: "two", maxOidsPerPdu: 4 }],
    ["3", { security: { ...security, context: "three" } }],
  ])("v%s: shows a message, says it, replaces it and blanks it", async (version, how) => {
    const { connection, show, read, log } = await connect({ version, ...how, sign: { duration: 30 } });
    expect(await show("[jp3]NGAP NUOC[nl]DI CHAM")).toBe("shown");
    expect((await connection.read([message], { signal })).answers).toEqual(["[jp3]NGAP NUOC[nl]DI CHAM"]);
    // The sum that kerb counts itself is the sign's own.
    expect(log).toEqual([]);
    expect(await read({ oid: `${dms}.6.5.0`, type: "hex" })).toBe("03000184eb");
    expect(await read({ oid: `${dms}.6.3.0`, type: "hex" })).toBe("001e8003000184eb7f000001");
    expect(await read({ oid: `${dms}.6.4.0` })).toBe(30);
    expect(await show("[pt30o0]A[np]B")).toBe("shown");
    expect((await connection.read([message], { signal })).answers).toEqual(["[pt30o0]A[np]B"]);
    expect(await show("")).toBe("shown");
    expect(await read({ oid: `${dms}.6.5.0`, type: "hex" })).toBe("0700800000");
  });

  test.each([
    ["[fl]A[/fl]", {}, /the sign has no tag \[fl\], at offset 0/],
    ["[jp3]A[np]B[np]C", {}, /3 pages, and the sign shows 2/],
    ["A".repeat(61), {}, /61 octets of MULTI, and the sign takes 60/],
    ["Đường", {}, /cannot show "Đ" "ư" "ờ"/],
    ["DUONG a", {}, /cannot show "a"/],
    ["AB[jl9]C", {}, /not valid: syntaxMULTI: unsupportedTagValue at offset 2 \("\[jl9\]C"\)/],
    ["AB*", { checkFont: false }, /not valid: syntaxMULTI: characterNotDefined at offset 2 \("\*"\)/],
    ["A", { beacon: true }, /the sign has no beacons/],
    ["A", { number: 9 }, /the sign refuses the request to change the message/],
    ["A", { activationPriority: 0 + 1, memory: "volatile" }, /does not activate the message: priority/],
  ])("%j with %j is rejected, with the sign's reason", async (text, sign, reason) => {
    const { show, connection, read } = await connect({ community: "four", sign });
    if ((await read({ sign: "message" })) === "") {
      const first = await connect({ community: "four" });
      expect(await first.show("HOLD")).toBe("shown");
    }
    expect(await show(text)).toMatch(reason);
    expect((await connection.read([message], { signal })).answers).toEqual(["HOLD"]);
  });

  test("a sign that refuses the validation itself is asked what it holds against the text", async () => {
    const { show } = await connect({ community: "strict", sign: { checkFont: false } });
    expect(await show("AB*")).toMatch(/not valid: syntaxMULTI: characterNotDefined at offset 2 \("\*"\)/);
    expect(await show("AB")).toBe("shown");
  });

  test("volatile memory, another row, Vietnamese without its marks", async () => {
    const sign = { memory: "volatile", number: 2, stripDiacritics: true, owner: "Sở GTVT" };
    const { show, connection, read } = await connect({ community: "five", sign });
    expect(await show("ĐƯỜNG NGẬP")).toBe("shown");
    expect((await connection.read([message], { signal })).answers).toEqual(["DUONG NGAP"]);
    expect(await read({ oid: `${dms}.6.5.0`, type: "hex" })).toEqual(expect.stringMatching(/^040002/));
  });

  test("a sign in local mode", async () => {
    const { show, connection } = await connect({ community: "six" });
    const mode = { name: "mode", address: addressSchema.parse({ oid: `${dms}.6.1.0`, type: "number" }) };
    await connection.write!(mode, 2, signal);
    expect(await show("A")).toMatch(/^rejected: .*does not activate the message: localMode/);
    await connection.write!(mode, 4, signal);
    expect(await show("A")).toBe("shown");
  });
});
