import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { IdentityRig } from "./identity-rig.ts";

/** `kerb identify` in real processes, before a meter that says who it is. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const meter = { vendor: "Kerb Works", model: "K-1", firmware: "2.3", serial: "A0042" };

async function site(serial?: string, profile = "sunspec/meter-203", more = {}) {
  const folder = mkdtempSync(join(tmpdir(), "kerb-identify-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const rig = await IdentityRig.open("modbus", profile, meter);
  cleanups.push(() => rig.close());
  const port = Number(/:(\d+) /.exec(rig.simulator.address)?.[1]);
  const device = {
    id: "meter-01",
    driver: "modbus",
    profile,
    transport: { type: "tcp", host: "127.0.0.1", port },
    unit: 1,
    identifyEvery: "10s",
    ...(serial === undefined ? {} : { serial }),
    ...more,
  };
  const gateway = { id: "identify", name: "Identify", city: "test", state: "./state" };
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, JSON.stringify({ version: 1, gateway, devices: [device] }));
  return { rig, file, pin: join(folder, "state/drivers/modbus/units/meter-01.json") };
}

function kerb(args: string[]): ChildProcess {
  const env = { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8" };
  return spawn(launcher, args, { env, stdio: ["ignore", "pipe", "pipe"] });
}

async function run(...args: string[]): Promise<{ code: number; out: string; errors: string }> {
  const child = kerb(args);
  let [out, errors] = ["", ""];
  child.stdout?.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr?.on("data", (data: Buffer) => (errors += data.toString()));
  const [code] = (await once(child, "close")) as [number];
  return { code, out, errors };
}

const dataOf = (out: string): Record<string, unknown> =>
  (JSON.parse(out) as { data: Record<string, unknown> }).data;

it("says who a device is and which profiles fit, in both languages, and notes nothing", async () => {
  const { file, pin } = await site();
  const { code, out } = await run("identify", "meter-01", "--site", file, "--json");
  expect(code).toBe(0);
  expect(dataOf(out)).toMatchObject({
    device: "meter-01",
    via: "direct",
    identity: meter,
    writable: true,
    site: { profile: "sunspec/meter-203", firmware: "*" },
    doubts: [],
  });
  const { matches } = dataOf(out) as { matches: { profile: string; rank: string }[] };
  expect(matches[0]).toMatchObject({ profile: "sunspec/meter-203", rank: "generic", firmware: "inside" });
  expect(matches.slice(1).every(({ rank }) => rank === "none")).toBe(true);
  const english = await run("identify", "meter-01", "--site", file, "--lang", "en");
  expect(english.errors).toContain("Kerb Works K-1 firmware 2.3 serial A0042");
  expect(english.out).toContain(
    "SunSpec base: holding 40000\n  SunSpec models: 1 (common), 203 (meter, wye)\n",
  );
  // As kerb discover says it: the values that only this model has were read.
  expect(english.out).toMatch(/sunspec\/meter-203 +likely, 6 of 6 +.*5 of the device's values are what only/);
  const vietnamese = await run("identify", "meter-01", "--site", file, "--lang", "vi");
  expect(vietnamese.out).toMatch(/sunspec\/meter-203 +có lẽ đúng, 6\/6 +.*6 trên 6 giá trị đã đọc/);
  expect(() => readFileSync(pin)).toThrow("ENOENT");
}, 60_000);

it("does not doubt a site file for a profile whose markers nobody has read", async () => {
  const { file } = await site(undefined, "eastron/sdm630");
  const { code, out } = await run("identify", "meter-01", "--site", file, "--json");
  expect(code).toBe(0);
  const { doubts, matches } = dataOf(out) as {
    doubts: string[];
    matches: { profile: string; rank: string }[];
  };
  expect(matches[0]).toMatchObject({ profile: "sunspec/meter-203", rank: "generic" });
  expect(doubts.join("\n")).not.toContain("fits better");
}, 60_000);

it("knows no device of another name, and one that is silent", async () => {
  const { file, rig } = await site();
  expect(await run("identify", "meter-02", "--site", file)).toMatchObject({ code: 3 });
  rig.simulator.fault("refuse");
  const { code, errors } = await run("identify", "meter-01", "--site", file);
  expect(code).toBe(5);
  expect(errors).toContain("KERB-DEV-REFUSED");
}, 60_000);

it("has a person accept another unit, with and without a running gateway", async () => {
  const { file, rig, pin } = await site();
  const gateway = kerb(["run", file]);
  cleanups.push(async () => {
    if (gateway.exitCode !== null) return;
    gateway.kill("SIGTERM");
    await once(gateway, "close");
  });
  const ask = async (...more: string[]) => {
    const { out } = await run("identify", "meter-01", "--site", file, "--json", ...more);
    return dataOf(out) as { via: string; writable: boolean; unwritable?: { code: string } } | undefined;
  };
  await expect.poll(() => ask(), { timeout: 30_000 }).toMatchObject({ via: "gateway", writable: true });
  await expect.poll(() => readFileSync(pin, "utf8")).toContain("A0042");
  rig.become({ serial: "B0007" });
  expect(await ask()).toMatchObject({ writable: false, unwritable: { code: "other-unit" } });
  const shown = await run("identify", "meter-01", "--site", file);
  expect(shown.out).toContain("not writable: serial number A0042 was here first, B0007 answers");
  expect(shown.out).toContain("kerb identify meter-01 --accept");
  expect(await ask("--accept")).toMatchObject({ via: "gateway", writable: true });
  expect(readFileSync(pin, "utf8")).toContain("B0007");
  gateway.kill("SIGTERM");
  await once(gateway, "close");
  rig.become({ serial: "C0001" });
  expect(await ask()).toMatchObject({ via: "direct", writable: false });
  expect(await ask("--accept")).toMatchObject({ via: "direct", writable: true });
  expect(readFileSync(pin, "utf8")).toContain("C0001");
}, 120_000);

it("leaves the site file the last word", async () => {
  const { file, rig } = await site("A0042");
  rig.become({ serial: "B0007" });
  const { code, errors } = await run("identify", "meter-01", "--site", file, "--accept");
  expect(code).toBe(2);
  expect(errors).toContain('the site file says "serial: A0042" for meter-01');
}, 60_000);

it("ends at Ctrl-C with nothing more to say, whoever is being asked", async () => {
  const { rig, file } = await site(undefined, "sunspec/meter-203", { timeout: "9s" });
  const asked = () => rig.simulator.counts.requests;
  const stopped = async () => {
    const before = asked();
    const child = kerb(["identify", "meter-01", "--site", file]);
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (data: Buffer) => (said += data.toString()));
    await expect.poll(asked, { timeout: 20_000 }).toBeGreaterThan(before);
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number];
    return { code, said };
  };
  rig.simulator.fault("silent");
  expect(await stopped()).toEqual({ code: 130, said: "" });
  rig.simulator.fault(undefined);
  const gateway = kerb(["run", file]);
  cleanups.push(async () => {
    const ended = once(gateway, "close");
    gateway.kill("SIGKILL");
    await ended;
  });
  const online = async () => (await run("status", "--site", file, "--json")).out;
  await expect.poll(online, { timeout: 20_000 }).toContain('"state":"online"');
  rig.simulator.fault("silent");
  expect(await stopped()).toEqual({ code: 130, said: "" });
}, 90_000);

/** Answers nobody, and counts who has tried to log in. */
async function refusing(): Promise<{ port: number; logins: () => number }> {
  let logins = 0;
  const server = createServer(({ headers }, response) => {
    if (headers.authorization !== undefined) logins++;
    response.writeHead(401, { "www-authenticate": 'Basic realm="box"' }).end();
  }).listen(0, "127.0.0.1");
  cleanups.push(() => server.close());
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, logins: () => logins };
}

it("does not try a login that was refused with each profile again: many devices lock the account", async () => {
  const { file } = await site();
  const { port, logins } = await refusing();
  const auth = { type: "basic", user: "an", password: "Hunter-21" };
  const place = { host: "127.0.0.1", port, auth, insecure: "acknowledged" };
  const device = { id: "box-01", driver: "http", profile: "generic/xml-weather", ...place };
  const gateway = { id: "identify", name: "Identify", city: "test", state: "./state" };
  writeFileSync(file, JSON.stringify({ version: 1, gateway, devices: [device] }));
  const { code, out, errors } = await run("identify", "box-01", "--site", file);
  expect(code, errors).toBe(0);
  expect(logins(), out).toBe(1);
}, 60_000);
