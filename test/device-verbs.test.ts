import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { IdentityRig } from "./identity-rig.ts";
import { freePort } from "./ports.ts";
import { Published } from "./cli-said.ts";
import { run } from "./cli-said.ts";

/** `kerb device` before a meter that says who it is. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const meter = { vendor: "Kerb Works", model: "K-1", firmware: "2.3", serial: "A0042" };
const head = `# Viết tay: kerb không sửa tệp này.
version: 1
gateway: { id: devices, name: Tủ thử, city: test, state: ./state }
`;

let rig: IdentityRig;
let port: number;
let published: Published;
const workFolder = process.cwd();
const folders: string[] = [];
beforeAll(async () => {
  rig = await IdentityRig.open("modbus", "sunspec/meter-203", meter);
  port = Number(/:(\d+) /.exec(rig.simulator.address)?.[1]);
  published = await Published.open();
});
afterAll(async () => {
  process.chdir(workFolder);
  await rig.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A site with these files beside it. */
function site(files: Record<string, string> = {}, more = "include: [devices.d/*.yaml]\n") {
  const folder = mkdtempSync(join(tmpdir(), "kerb-devices-"));
  folders.push(folder);
  mkdirSync(join(folder, "devices.d"));
  const at = (name: string): string => join(folder, name);
  for (const [name, text] of Object.entries({ "gateway.yaml": head + more, ...files }))
    writeFileSync(at(name), text);
  const text = (name: string): string => readFileSync(at(name), "utf8");
  return { file: at("gateway.yaml"), at, text };
}

function start(args: string[], home: string): ChildProcess {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, LANG: "C.UTF-8" };
  return spawn(launcher, args, { cwd: home, env, stdio: ["pipe", "pipe", "pipe"] });
}

/** In a process of its own, in which nobody can be asked. */
async function real(file: string, args: string[], input = "") {
  const child = start(["device", ...args, "--site", file], join(file, ".."));
  let [out, errors] = ["", ""];
  child.stdout?.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr?.on("data", (data: Buffer) => (errors += data.toString()));
  child.stdin?.end(input);
  const [code] = (await once(child, "close")) as [number];
  return { code, out, errors };
}

/** In this process, in the folder of the site. */
async function kerb(file: string, args: string[]) {
  process.chdir(join(file, ".."));
  vi.stubEnv("XDG_CACHE_HOME", join(file, ".."));
  const { code, out, err } = await run("device", ...args, "--site", file);
  if (args.includes("--json")) published.check(`device ${args[0]}`, out);
  return { code, out, errors: err };
}

interface Envelope {
  ok: boolean;
  kind: string;
  data: Record<string, unknown>;
  error: { code: string; title: string; hint: string; steps: { step: string; verdict: string }[] };
}
const json = ({ out }: { out: string }): Envelope => JSON.parse(out) as Envelope;

const meterLines = (id: string): string => `devices:
  - id: ${id}
    name: "Công tơ: tủ số 1"
    driver: modbus
    profile: sunspec/meter-203
    transport: { type: tcp, host: 127.0.0.1, port: ${port} }
    sunspec: true
`;

test("add climbs, finds the profile, shows the lines and writes these and no others", async () => {
  const { file, at, text } = site();
  const add = [
    "add",
    `127.0.0.1:${port}`,
    "--driver",
    "modbus",
    "--id",
    "meter-01",
    "--name",
    "Công tơ: tủ số 1",
  ];
  const asked = await real(file, add);
  expect(asked.code).toBe(7);
  expect(asked.errors).toContain("--yes");
  expect(asked.out).toMatch(/^ 1 network {2}✓ 127\.0\.0\.1 answers in \d+ ms$/m);
  expect(asked.out).toMatch(
    /^ 5 identity ✓ Kerb Works K-1 firmware 2\.3 serial A0042, profile\n +sunspec\/meter-203$/m,
  );
  expect(asked.out).toContain("Will write devices.d/meter-01.yaml (new, 7 lines):");
  expect(asked.out).toContain("    2 +   - id: meter-01\n");
  expect(readdirSync(at("devices.d"))).toEqual([]);
  const saved = await kerb(file, [...add, "--yes", "--lang", "vi"]);
  expect(saved.errors).toContain("kerb read meter-01");
  expect(saved).toMatchObject({ code: 0, out: expect.stringContaining("Đã lưu devices.d/meter-01.yaml:1.") });
  expect(text("devices.d/meter-01.yaml")).toBe(meterLines("meter-01"));
  expect(statSync(at("devices.d/meter-01.yaml")).mode & 0o777).toBe(0o640);
  expect(text("gateway.yaml")).toBe(`${head}include: [devices.d/*.yaml]\n`);
  const again = await kerb(file, [
    "add",
    `127.0.0.1:${port}`,
    "--driver",
    "modbus",
    "--id",
    "meter-02",
    "--set",
    "sunspec=true",
    "--yes",
  ]);
  expect(again.errors).toContain("devices.d/meter-01.yaml:2");
  expect(again.code).toBe(2);
}, 60_000);

test("add takes a number of the last discover, and another file, whose bytes it keeps", async () => {
  const field =
    "\ufeff# Hiện trường\r\ndevices:\r\n  - id: old-01   # cũ\r\n    driver: modbus\r\n    enabled: false\r\n    profile: eastron/sdm630\r\n    transport: {type: tcp,   host: 10.0.0.9}\r\n\r\n# hết\r\n";
  const { file, at, text } = site({ "devices.d/field.yaml": field });
  chmodSync(at("devices.d/field.yaml"), 0o604);
  const found = {
    number: 3,
    driver: "modbus",
    settings: { transport: { type: "tcp", host: "127.0.0.1", port }, unit: 1, sunspec: true },
    identity: meter,
    profile: "sunspec/meter-203",
    needs: [],
  };
  mkdirSync(at("state"));
  writeFileSync(at("state/discovered.json"), JSON.stringify({ version: 1, atMs: 1, found: [found] }));
  const add = ["add", "3", "--id", "meter-03", "--file", "devices.d/field.yaml", "--json", "--yes"];
  expect(await kerb(file, add.with(1, "4"))).toMatchObject({ code: 3 });
  const { data } = json(await kerb(file, add));
  expect(data).toMatchObject({
    device: "meter-03",
    tested: true,
    profile: "sunspec/meter-203",
    gateway: "not-running",
  });
  expect((data["steps"] as { verdict: string }[]).map(({ verdict }) => verdict)).toEqual([
    "ok",
    "ok",
    "ok",
    "ok",
    "ok",
    "ok",
    "unknown",
  ]);
  const own = `\r\n  - id: meter-03\r\n    driver: modbus\r\n    profile: sunspec/meter-203\r\n    transport: { type: tcp, host: 127.0.0.1, port: ${port} }\r\n    unit: 1\r\n    sunspec: true\r\n`;
  expect(text("devices.d/field.yaml")).toBe(field + own);
  expect(statSync(at("devices.d/field.yaml")).mode & 0o777).toBe(0o604);
  // And out again.
  expect(json(await kerb(file, ["disable", "meter-03", "--json", "--yes"])).data["changed"]).toBe(true);
  expect(text("devices.d/field.yaml")).toBe(
    field + own.replace("meter-03\r\n", "meter-03\r\n    enabled: false\r\n"),
  );
  expect(await kerb(file, ["remove", "meter-03", "--yes"])).toMatchObject({ code: 0 });
  expect(text("devices.d/field.yaml")).toBe(field);
}, 60_000);

test("add saves nothing that fails its test, that the checker refuses, or that has no place", async () => {
  const { file, at } = site();
  const closed = await freePort();
  const add = [
    "add",
    `127.0.0.1:${closed}`,
    "--profile",
    "eastron/sdm630",
    "--id",
    "meter-01",
    "--yes",
    "--json",
  ];
  const failed = await kerb(file, add);
  const { error } = json(failed);
  expect(failed.code).toBe(5);
  expect(error.code).toBe("KERB-NET-PORT");
  expect(error.title).toContain("Not saved");
  expect(error.steps.find(({ verdict }) => verdict === "failed")?.step).toBe("port");
  const wrong = await kerb(file, [...add, "--save-anyway", "--set", "timeoutt=1s"]);
  expect(wrong.code).toBe(78);
  expect(readdirSync(at("devices.d"))).toEqual([]);
  expect(json(await kerb(file, [...add, "--save-anyway"])).data).toMatchObject({ tested: false });
  expect(readdirSync(at("devices.d"))).toEqual(["meter-01.yaml"]);
  const nowhere = site({}, "");
  const refused = await kerb(nowhere.file, add);
  expect(refused.code).toBe(2);
  expect(json(refused).error.hint).toContain("include: [devices.d/*.yaml]");
}, 60_000);

test("a password goes into a secret file, and only where something is saved", async () => {
  const { file, at, text } = site();
  // It accepts, and never says a word.
  const mute = createServer().listen(0, "127.0.0.1");
  await once(mute, "listening");
  const { port: silent } = mute.address() as { port: number };
  const add = [
    "add",
    `127.0.0.1:${silent}`,
    "--driver",
    "onvif",
    "--id",
    "cam-01",
    "--user",
    "kerb-edge",
    "--set",
    "timeout=200ms",
  ];
  const own = [...add, "--profile", "onvif/profile-t", "--password-stdin", "--yes"];
  const failed = await real(file, own, "Hunter-22\n");
  expect(failed.code).toBe(5);
  expect(existsSync(at("secrets/cam-01"))).toBe(false);
  expect(
    await kerb(
      file,
      own.filter((one) => one !== "--password-stdin"),
    ),
  ).toMatchObject({ code: 2 });
  const saved = await real(file, [...own, "--save-anyway"], "Hunter-22\n");
  mute.close();
  expect(saved.code).toBe(0);
  expect(text("secrets/cam-01")).toBe("Hunter-22\n");
  expect(statSync(at("secrets/cam-01")).mode & 0o777).toBe(0o640);
  expect(text("devices.d/cam-01.yaml")).toContain("    password: ${secret:cam-01}\n");
  expect(saved.out + saved.errors + failed.out + failed.errors).not.toContain("Hunter");
  const clear = await kerb(file, [
    "add",
    "10.0.0.1",
    "--driver",
    "onvif",
    "--id",
    "c2",
    "--set",
    "password=Hunter-22",
  ]);
  expect(clear).toMatchObject({ code: 2, errors: expect.not.stringContaining("Hunter") });
  const removed = await kerb(file, ["remove", "cam-01", "--yes"]);
  expect(removed.errors).toContain("rm secrets/cam-01");
  expect(readdirSync(at("devices.d"))).toEqual([]);
}, 60_000);

test("set changes what is named and the login, and nothing where the checker or a person refuses", async () => {
  const hand = `# wired by hand\n${meterLines("meter-01")}`;
  const camera = `devices:
  - { id: cam-01, driver: onvif, profile: onvif/profile-t, host: 127.0.0.1, user: old, password: "\${secret:all}" }
`;
  const files = { "devices.d/meter.yaml": hand, "devices.d/cam.yaml": camera };
  const { file, at, text } = site(files);
  mkdirSync(at("secrets"));
  writeFileSync(at("secrets/all"), "Hunter-21\n");
  const elsewhere = ["set", "meter-01", "transport.port=1502", "timeout=5s", "--yes", "--save-anyway"];
  const set = await kerb(file, elsewhere);
  expect(set).toMatchObject({ code: 0, errors: expect.stringContaining(`kerb why meter-01 --site ${file}`) });
  expect(text("devices.d/meter.yaml")).toBe(
    hand.replace(`port: ${port}`, "port: 1502").replace("id: meter-01\n", "id: meter-01\n    timeout: 5s\n"),
  );
  expect(await kerb(file, ["set", "meter-01", "timeout=5s"])).toMatchObject({ code: 0 });
  const before = [text("devices.d/meter.yaml"), text("devices.d/cam.yaml")];
  const login = ["set", "cam-01", "--user", "new", "--password-stdin"];
  const refused = [
    await kerb(file, ["set", "meter-01", "unti=7", "--yes"]),
    await kerb(file, ["set", "meter-01", "poll=7s"]),
    await kerb(file, ["set", "meter-01", "id=meter-02", "--yes"]),
    await kerb(file, ["set", "cam-01", "password=Hunter-22", "--yes"]),
    await real(file, login, "Hunter-22\n"),
  ];
  expect(refused.map(({ code }) => code)).toEqual([78, 7, 2, 2, 7]);
  expect([text("devices.d/meter.yaml"), text("devices.d/cam.yaml")]).toEqual(before);
  expect(existsSync(at("secrets/cam-01"))).toBe(false);
  const changed = await real(file, [...login, "--yes"], "Hunter-22\n");
  expect(changed.code).toBe(0);
  expect(text("devices.d/cam.yaml")).toBe(
    camera.replace("old", "new").replace("secret:all", "secret:cam-01"),
  );
  expect([text("secrets/cam-01"), text("secrets/all")]).toEqual(["Hunter-22\n", "Hunter-21\n"]);
  // One that was there is not lost by an answer of no.
  expect((await real(file, login, "Hunter-23\n")).code).toBe(7);
  expect(text("secrets/cam-01")).toBe("Hunter-22\n");
  expect(changed.out + changed.errors + refused[3]!.errors).not.toContain("Hunter");
}, 60_000);

test("set tests what it changes as add does, and saves nothing that fails", async () => {
  const { file, text } = site({ "devices.d/meter.yaml": meterLines("meter-01") });
  const set = async (...given: string[]) => {
    const { code, out } = await kerb(file, ["set", "meter-01", ...given, "--yes", "--json"]);
    published.check("device set", out);
    return {
      code,
      ...(JSON.parse(out) as { data: Record<string, unknown>; error: Record<string, unknown> }),
    };
  };
  const before = text("devices.d/meter.yaml");
  const unit = await set("unit=9", "timeout=300ms");
  expect(unit).toMatchObject({ code: 5, error: { code: "KERB-MB-UNIT" } });
  expect(unit.error["title"]).toContain("Not saved");
  expect(unit.error["hint"]).toContain("--save-anyway");
  expect(await set("transport.port=1")).toMatchObject({ code: 5, error: { code: "KERB-NET-PORT" } });
  const model = await set("profile=dfrobot/sen0662", "sunspec=false");
  expect(model).toMatchObject({ code: 5, error: { code: "KERB-DEV-MODEL" } });
  const people = await kerb(file, ["set", "meter-01", "unit=9", "timeout=300ms", "--yes", "--lang", "vi"]);
  expect(people.out).toMatch(/^ 3 giao thức +✗ /m);
  expect(people.errors).toContain("Chưa lưu: ");
  expect(text("devices.d/meter.yaml")).toBe(before);
  const timeout = await set("timeout=5s");
  expect(timeout).toMatchObject({ code: 0, data: { changed: true, tested: true, causes: [] } });
  expect(JSON.stringify(timeout.data["steps"])).toContain('"step":"values","verdict":"ok"');
  // Nothing of the device has changed: it is not asked.
  expect(await set("poll=9s")).toMatchObject({ code: 0, data: { changed: true, tested: null } });
  const anyway = await set("transport.port=1", "--save-anyway");
  expect(anyway).toMatchObject({ code: 0, data: { tested: false, causes: [{ code: "KERB-NET-PORT" }] } });
  // That it cannot be reached is no fault of the serial number.
  expect(await set("serial=A0042")).toMatchObject({ code: 0, data: { changed: true, tested: false } });
  expect(text("devices.d/meter.yaml")).toContain("serial: A0042");
}, 60_000);

test("set does not try a place that the running gateway has to itself, and says so", async () => {
  const own = `    host: 127.0.0.1\n    port: ${await freePort()}\n    siteId: KERB+1=001TC\n`;
  const lines = `devices:\n  - id: tlc-01\n    driver: rsmp\n    profile: rsmp/tlc\n${own}`;
  const { file, at, text } = site({ "devices.d/tlc.yaml": lines });
  const gateway = start(["run", file], at("."));
  const listed = async () => json(await kerb(file, ["list", "--json"])).data;
  try {
    await expect.poll(listed, { timeout: 30_000 }).toMatchObject({ running: true });
    const { code, out } = await kerb(file, ["set", "tlc-01", "wait=9s", "--yes", "--json"]);
    published.check("device set", out);
    const { data } = JSON.parse(out) as { data: Record<string, unknown> };
    expect({ code, data }).toMatchObject({ code: 0, data: { tested: false, causes: [] } });
    expect(JSON.stringify(data["steps"])).toContain('"step":"protocol","verdict":"unknown"');
    expect(text("devices.d/tlc.yaml")).toContain("wait: 9s");
  } finally {
    gateway.kill("SIGTERM");
    await once(gateway, "close");
  }
}, 60_000);

test("what stands in the site file is changed by hand, and it is said where", async () => {
  const own = meterLines("meter-01").slice("devices:\n".length);
  const { file, text } = site({}, `devices:\n${own}`);
  const before = text("gateway.yaml");
  for (const verb of ["disable", "remove"]) {
    const { code, errors } = await kerb(file, [verb, "meter-01", "--yes"]);
    expect(code).toBe(7);
    expect(errors).toContain("gateway.yaml:5");
  }
  expect(text("gateway.yaml")).toBe(before);
}, 60_000);

test("a unit whose serial number is like a reference to a secret is not written", async () => {
  const { file, text } = site({
    "devices.d/meter.yaml": `${meterLines("meter-01").trimEnd()}\n    serial: A0042\n`,
  });
  const before = text("devices.d/meter.yaml");
  rig.become({ serial: "${secret:ioc}" });
  const refused = await kerb(file, ["replace", "meter-01", "--yes"]);
  rig.become(meter);
  expect(refused).toMatchObject({ code: 2, errors: expect.stringContaining("has the form of a reference") });
  expect(text("devices.d/meter.yaml")).toBe(before);
}, 60_000);

test("list, show, rename and replace beside a running gateway", async () => {
  const { file, at, text } = site({
    "devices.d/meter.yaml": meterLines("meter-01").replace(
      "sunspec: true",
      "sunspec: true\n    identifyEvery: 10s",
    ),
  });
  const gateway = start(["run", file], at("."));
  const list = async () =>
    json(await kerb(file, ["list", "--json"])).data["devices"] as Record<string, unknown>[];
  try {
    await expect
      .poll(() => list(), { timeout: 30_000 })
      .toMatchObject([{ id: "meter-01", state: "online", line: 2 }]);
    const pin = at("state/drivers/modbus/units/meter-01.json");
    await expect.poll(() => existsSync(pin)).toBe(true);
    expect(json(await kerb(file, ["replace", "meter-01", "--yes", "--json"])).data).toMatchObject({
      changed: false,
    });
    rig.become({ serial: "B0007" });
    const refused = await kerb(file, ["replace", "meter-01"]);
    expect(refused).toMatchObject({ code: 7, out: expect.stringContaining("serial B0007") });
    expect(readFileSync(pin, "utf8")).toContain("A0042");
    expect(json(await kerb(file, ["replace", "meter-01", "--yes", "--json"])).data).toMatchObject({
      before: { serial: "A0042" },
      now: { serial: "B0007" },
    });
    expect(readFileSync(pin, "utf8")).toContain("B0007");
    const shown = json(await kerb(file, ["show", "meter-01", "--json"])).data;
    expect(shown).toMatchObject({
      state: "online",
      unit: { serial: "B0007" },
      line: 2,
      lastLine: 8,
      editable: true,
    });
    expect(shown["replacements"]).toMatchObject([{ before: { serial: "A0042" }, now: { serial: "B0007" } }]);
    const renamed = await kerb(file, ["rename", "meter-01", "Công tơ mới", "--id", "meter-09", "--yes"]);
    expect(renamed).toMatchObject({
      code: 0,
      out: expect.stringContaining("For the IOC meter-09 is a new device"),
    });
    expect(text("devices.d/meter.yaml")).toContain("  - id: meter-09\n    name: Công tơ mới\n");
    expect(renamed.errors).toContain("The gateway runs config #2 from now on.");
    await expect.poll(() => list()).toMatchObject([{ id: "meter-09", state: "online" }]);
    // The gateway says how those at the same place stand; the new one is asked all the same.
    const beside = ["--profile", "eastron/sdm630", "--unit", "9", "--set", "timeout=300ms"];
    const add = ["add", `127.0.0.1:${port}`, ...beside, "--id", "meter-10", "--json", "--yes"];
    const { error } = json(await kerb(file, add));
    expect(error).toMatchObject({ code: "KERB-MB-UNIT", facts: { "samePlace.example": "meter-09" } });
    expect(text("devices.d/meter.yaml")).not.toContain("meter-10");
    // That the gateway reads it as it was says nothing of how it would be.
    const moved = await kerb(file, ["set", "meter-09", "unit=9", "timeout=300ms", "--json", "--yes"]);
    expect(json(moved).error).toMatchObject({ code: "KERB-MB-UNIT" });
    expect(text("devices.d/meter.yaml")).not.toContain("unit: 9");
  } finally {
    rig.become({ serial: "A0042" });
    gateway.kill("SIGTERM");
    await once(gateway, "close");
  }
}, 60_000);
