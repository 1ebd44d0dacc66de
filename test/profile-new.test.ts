import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { registersPdu, scriptedServer, tcpAnswer } from "../drivers/modbus/testing.ts";
import { FieldDevice } from "../gateway/field/field.ts";
import { modelOf, startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import { lintProfiles } from "../gateway/profiles/lint/lint.ts";
import { loadProfile, type Profile } from "../gateway/profiles/profiles.ts";
import { startBroker } from "../simulators/mqtt/index.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { Bench, kerb as launcher, runProgram } from "./interop/processes.ts";
import { freePort } from "./ports.ts";

/**
 * `kerb profile new` as people type it, before pretend devices of models that the library knows: what it drafts is held
 * against the library's own profile, and reads the same values.
 */

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
});
afterAll(() => bench.close());

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

interface Result {
  code: number | null;
  out: string;
  err: string;
}

function start(...args: string[]): { child: ChildProcess; result: Promise<Result> } {
  const environment = { PATH: process.env["PATH"] ?? "", HOME: bench.folder, LANG: "C.UTF-8" };
  const child = spawn(launcher, args, {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    cwd: bench.folder,
  });
  const result: Result = { code: null, out: "", err: "" };
  child.stdout.on("data", (chunk) => (result.out += String(chunk)));
  child.stderr.on("data", (chunk) => (result.err += String(chunk)));
  const done = once(child, "close").then(([code]) => ({
    ...result,
    code: code as number | null,
    out: result.out,
    err: result.err,
  }));
  return { child, result: done };
}
const kerb = (...args: string[]) => start(...args).result;

const drafts = () => join(bench.folder, "drafts");
const draftFile = (id: string) => join(drafts(), `${id}.yaml`);

interface Pretended {
  profile: Profile;
  simulator: Simulator;
  settings: Record<string, unknown>;
  file: string;
}

/** A pretend device of a library profile, each number at a value of its own, and a site that does not know its model. */
async function pretend(id: string, own: Record<string, unknown> = {}): Promise<Pretended> {
  const profile = loadProfile(id);
  const port = await freePort();
  const model = await modelOf(profile, { port });
  const simulator = await startSimulator({ ...model, settings: { ...model.settings, ...own } }, 7, undefined);
  open.push(simulator);
  profile.points.forEach(({ name, typical, derive, kind, values, decimals = 0 }, i) => {
    if (typical === undefined || derive !== undefined || kind !== "number" || values !== undefined) return;
    const value = typical[0] + (typical[1] - typical[0]) * (0.3 + 0.01 * (i % 40));
    simulator.set(name, Number(value.toFixed(decimals)));
  });
  const { transport } = model.settings;
  const place =
    transport === undefined
      ? { host: "127.0.0.1", port }
      : { transport: { type: "tcp", host: "127.0.0.1", port } };
  const settings = { ...place, ...(profile.driver === "opcua" ? { security: "none" } : {}), ...own };
  const device = { id: "thing", driver: profile.driver, ...settings };
  const file = bench.site(id.replace("/", "-"), [{ ...device, points: {} }]);
  return { profile, simulator, settings, file };
}

/** What the device holds by a profile of a folder, by the names of the points. */
async function readBy(profileId: string, { profile, settings }: Pretended, folder?: string) {
  const device = { id: "thing", driver: profile.driver, profile: profileId, ...settings };
  const file = bench.site(profileId.replace("/", "-read-"), [device]);
  const site = await loadSite(file, folder === undefined ? {} : { profileFolder: folder });
  const field = await FieldDevice.open(
    site.devices[0]!,
    site.gateway.stateFolder,
    new AbortController().signal,
  );
  try {
    const readings = await field.read({ points: [], raw: false }, new AbortController().signal);
    return new Map(readings.map(({ point, value }) => [point, value]));
  } finally {
    await field.close();
  }
}

const draft = (from: Pretended, id: string, ...more: string[]) =>
  kerb(
    "profile",
    "new",
    id,
    "--from",
    "thing",
    "--site",
    from.file,
    "--out",
    draftFile(id),
    "--lang",
    "en",
    ...more,
  );

async function lintOf(id: string): Promise<string[]> {
  const findings = await lintProfiles([draftFile(id)]);
  return findings.flatMap((one) => one.findings).map(({ message }) => message);
}

/** Where a value is, without how it is read. */
function placeOf(address: unknown): string {
  const { table, register, oid } = address as { table?: string; register?: number; oid?: string };
  return oid ?? `${table} ${register}`;
}

const fourRegisters = (register: number) => (register < 4 ? 2300 + register : undefined);

/** A meter of four registers that is silent when it is asked who it is. */
async function muteMeter() {
  const server = await scriptedServer("tcp", (request, socket) => {
    const pdu = request.subarray(7);
    if (pdu[0] === 43) return;
    socket.write(tcpAnswer(request, pdu[0] === 3 ? registersPdu(pdu, fourRegisters) : [pdu[0]! | 0x80, 1]));
  });
  open.push(server);
  const transport = { type: "tcp", host: "127.0.0.1", port: server.port };
  const thing = { id: "thing", driver: "modbus", transport, timeout: "200ms", points: {} };
  return { server, thing };
}

describe("kerb profile new", { timeout: 120_000 }, () => {
  test("drafts a meter's floats and their order as the library has them, and reads the same values", async () => {
    const device = await pretend("eastron/sdm630");
    const { code, out, err } = await draft(device, "acme/meter");
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toMatch(/drafts\/acme\/meter\.yaml {3}\d+ points, 0 records, \d+ of them guesses/);
    expect(err).toMatch(/reads only/);
    expect(err).toMatch(/no findings/);
    expect(err).toMatch(/Next:\n {2}1\. edit .*\n {2}2\. kerb profile lint .*\n {2}3\. kerb simulate/);
    expect(await lintOf("acme/meter")).toEqual([]);
    const drafted = loadProfile("acme/meter", drafts());
    const known = await readBy("eastron/sdm630", device);
    const found = await readBy("acme/meter", device, drafts());
    const certain = device.profile.points.filter(({ address, name }) => {
      const { type } = address as { type: string };
      return type === "float32" && Math.abs(Number(known.get(name))) > 0.01;
    });
    expect(certain.length).toBeGreaterThan(20);
    for (const { name, address, scale, offset, decimals = 3 } of certain) {
      const same = drafted.points.find((one) => placeOf(one.address) === placeOf(address));
      expect(same?.address, name).toMatchObject({ type: "float32", order: "ABCD" });
      const value = Number(found.get(same!.name)) * scale + offset;
      expect(Math.abs(value - Number(known.get(name))), name).toBeLessThanOrEqual(10 ** -decimals);
    }
  });

  test("marks each guess with its reason and the other ways, and holds neither place nor secrets", async () => {
    const device = await pretend("eastron/sdm630");
    await draft(device, "acme/marked", "--class", "energy-meter", "--under", "input 0-100");
    const text = readFileSync(draftFile("acme/marked"), "utf8");
    const { points } = loadProfile("acme/marked", drafts());
    for (const { certainty, source } of points) {
      expect(certainty).toBe("to-verify");
      expect(source).toMatch(/^device: (input|holding) \d+$/);
    }
    expect(text.match(/# guess: \w+.* likely; it held/g)).toHaveLength(points.length);
    expect(text).toMatch(/# all ways: float32 ABCD .*uint16 .*uint32 ABCD/);
    expect(text).toMatch(
      new RegExp(`title: "read from a device on ${new Date().toISOString().slice(0, 10)}"`),
    );
    expect(text).not.toMatch(/127\.0\.0\.1|SIM7/);
    const { port } = device.settings["transport"] as { port: number };
    // A register may hold the same number.
    expect(text).not.toMatch(new RegExp(String.raw`(?:port\W*|:)${port}\b`));
    // It says what a meter lacks only to who says that it is one.
    expect((await lintOf("acme/marked")).join("\n")).toMatch(/activePower.total is missing/);
  });

  test("is a pretend device by its file", async () => {
    const device = await pretend("dfrobot/sen0676");
    expect(await draft(device, "acme/radar")).toMatchObject({ code: 0 });
    const before = await readBy("acme/radar", device, drafts());
    const port = await freePort();
    const simulator = bench.start(launcher, "simulate", draftFile("acme/radar"), "--port", String(port));
    await simulator.line((line) => line.includes(` at 127.0.0.1:${port}`));
    const transport = { type: "tcp", host: "127.0.0.1", port };
    const after = await readBy("acme/radar", { ...device, settings: { transport } }, drafts());
    expect(after.size).toBeGreaterThan(2);
    expect(after).toEqual(before);
  });

  test("drafts an SNMP agent: every object that the library knows, by its tag", async () => {
    const device = await pretend("ups/rfc1628");
    expect(await draft(device, "acme/ups")).toMatchObject({ code: 0 });
    expect(await lintOf("acme/ups")).toEqual([]);
    const drafted = loadProfile("acme/ups", drafts());
    expect(drafted.identify.is).toMatchObject({ vendor: ["Any"], model: ["UPS with RFC 1628"] });
    const known = await readBy("ups/rfc1628", device);
    const found = await readBy("acme/ups", device, drafts());
    const numbers = device.profile.points.filter(
      ({ address, values, derive, kind, sentinels }) =>
        derive === undefined &&
        values === undefined &&
        kind === "number" &&
        sentinels.length === 0 &&
        placeOf(address).startsWith("1.3.6.1.2.1.33."),
    );
    expect(numbers.length).toBeGreaterThan(8);
    for (const { name, address, scale, offset } of numbers) {
      const same = drafted.points.find((one) => placeOf(one.address) === placeOf(address));
      expect(Number(found.get(same?.name ?? "")) * scale + offset, name).toBeCloseTo(
        Number(known.get(name)),
        6,
      );
    }
    // Texts are not kept: a serial number may be among them.
    expect(readFileSync(draftFile("acme/ups"), "utf8")).not.toContain("SIM7");
  });

  test("drafts an OPC UA server by its own names and units", async () => {
    const device = await pretend("opcua/signal-controller");
    expect(await draft(device, "acme/crossing")).toMatchObject({ code: 0 });
    expect(await lintOf("acme/crossing")).toEqual([]);
    const found = await readBy("acme/crossing", device, drafts());
    expect(found.get("native.fault")).toBe(false);
    expect(found.get("native.cycleLength")).toBeTypeOf("number");
    const { points } = loadProfile("acme/crossing", drafts());
    expect(points.find(({ name }) => name === "native.fault")).toMatchObject({
      kind: "boolean",
      certainty: "seen",
    });
  });

  test("drafts a camera: readings, event topics as records, and what names a vehicle as a token", async () => {
    const device = await pretend("onvif/profile-m");
    const { code, out } = await draft(device, "acme/camera", "--json");
    expect(code).toBe(0);
    const { data } = JSON.parse(out) as { data: { records: number; isComplete: boolean; lint: object } };
    expect(data).toMatchObject({ isComplete: true, lint: { errors: 0, warnings: 0 } });
    const drafted = loadProfile("acme/camera", drafts());
    const topics = device.profile.records.map(({ address }) =>
      (address as { topic: string }).topic.replaceAll("*", "ImagingService"),
    );
    expect(drafted.records.map(({ address }) => (address as { topic: string }).topic)).toEqual(
      expect.arrayContaining(topics),
    );
    const fields = drafted.records.flatMap((record) => record.fields);
    const plates = fields.filter(({ address }) => /plate/i.test(String((address as { item?: string }).item)));
    expect(plates.length).toBeGreaterThan(0);
    for (const { privacy, address } of plates)
      if (/number|plate$/i.test(String((address as { item?: string }).item))) expect(privacy).toBe("token");
    expect((await readBy("acme/camera", device, drafts())).get("native.frameWidth")).toBeTypeOf("number");
  });

  test("drafts the values of a JSON document, and keeps no serial number", async () => {
    const device = await pretend("generic/json-meter");
    const paths = new Map<string, string>();
    for (const { address } of device.profile.points) {
      const { path, pick } = address as { path: string; pick: string };
      paths.set(path, pick);
    }
    const [path = ""] = [...paths.keys()];
    expect(await draft(device, "acme/web", "--under", path)).toMatchObject({ code: 0 });
    expect(await lintOf("acme/web")).toEqual([]);
    const known = await readBy("generic/json-meter", device);
    const found = await readBy("acme/web", device, drafts());
    const drafted = loadProfile("acme/web", drafts());
    const same = device.profile.points.filter(({ address, kind }) => {
      const { path: own, pick } = address as { path: string; pick: string };
      return own === path && kind === "number" && !pick.includes("[");
    });
    expect(same.length).toBeGreaterThan(1);
    for (const { name, address, scale, offset } of same) {
      const { pick } = address as { pick: string };
      const one = drafted.points.find((point) => (point.address as { pick: string }).pick === pick);
      expect(Number(found.get(one?.name ?? "")) * scale + offset, name).toBeCloseTo(
        Number(known.get(name)),
        2,
      );
    }
    await draft(device, "acme/who", "--under", "/api/v1/device");
    const text = readFileSync(draftFile("acme/who"), "utf8");
    expect(text).toMatch(/native\.serial:/);
    expect(text).not.toContain("SIM7");
    const nowhere = await draft(device, "acme/nowhere");
    expect(nowhere).toMatchObject({ code: 3 });
    expect(nowhere.err).toMatch(/GET \/: the server answers 404[^]*--under/);
  });

  test("drafts a meter that is silent when it is asked who it is", async () => {
    const { server, thing } = await muteMeter();
    const file = bench.site("mute", [thing]);
    const out = draftFile("acme/mute");
    const args = ["--from", "thing", "--site", file, "--under", "holding 0-20", "--out", out, "--lang", "en"];
    expect(await kerb("profile", "new", ...args)).toMatchObject({ code: 0 });
    const { identify, points } = loadProfile("acme/mute", drafts());
    expect(identify.standard).toBe(false);
    expect(points).toHaveLength(4);
    expect(await lintOf("acme/mute")).toEqual([]);
    await server.close();
    expect(await kerb("profile", "new", ...args, "--force")).toMatchObject({ code: 5 });
  });

  test("lists a meter that is silent when it is asked who it is, and says what to do about that", async () => {
    const { thing } = await muteMeter();
    const file = bench.site("mute-browse", [thing, { ...thing, id: "told", functions: [3] }]);
    const listed = await kerb("browse", "thing", "--site", file, "--under", "holding 0-20", "--json");
    expect(listed).toMatchObject({ code: 0 });
    expect(JSON.parse(listed.out)).toMatchObject({ data: { identity: {}, count: 4 } });
    const asked = await kerb("identify", "thing", "--site", file, "--lang", "en");
    expect(asked).toMatchObject({ code: 5 });
    expect(asked.err).toMatch(/function 43\b.*may still answer reads.*kerb browse thing.*functions:/s);
    expect((await kerb("identify", "thing", "--site", file, "--lang", "vi")).err).toMatch(
      /kerb browse thing.*functions:/s,
    );
    // The cure holds.
    expect(await kerb("identify", "told", "--site", file)).toMatchObject({ code: 0 });
  });

  test("asks a device that tells nothing of itself for its SunSpec models, and says which setting that takes", async () => {
    const device = await pretend("sunspec/meter-203");
    const asked = await kerb("identify", "thing", "--site", device.file, "--json");
    expect(asked).toMatchObject({ code: 0 });
    const { data } = JSON.parse(asked.out) as { data: { identity: object; doubts: string[] } };
    expect(data.identity).toMatchObject({
      more: { "SunSpec models": expect.stringContaining("203") as string },
    });
    expect(data.identity).toHaveProperty("model");
    expect(data.doubts).toEqual([expect.stringContaining("sunspec: true") as string]);
    expect(await draft(device, "acme/sun", "--under", "holding 40000-40180")).toMatchObject({ code: 0 });
    const drafted = loadProfile("acme/sun", drafts());
    expect(drafted.identify.is).toHaveProperty("model");
    // So it fits another unit of the model, too.
    expect(drafted.settings).toMatchObject({ sunspec: true });
    // Another one is what it was without the question.
    const other = await pretend("eastron/sdm630");
    const plain = await kerb("identify", "thing", "--site", other.file, "--json");
    expect(JSON.parse(plain.out)).toMatchObject({ data: { identity: {} } });
    expect(plain.out).not.toContain("sunspec: true");
  });

  test("says of a draft that was cut off that it is not complete, and takes no secret into addresses", async () => {
    const device = await pretend("generic/json-meter");
    const { path } = device.profile.points[0]!.address as { path: string };
    const cut = await draft(device, "acme/cut", "--under", path, "--limit", "1");
    expect(cut).toMatchObject({ code: 0 });
    expect(cut.err).toMatch(/NOT COMPLETE, left out by the limit of 1/);
    expect(readFileSync(draftFile("acme/cut"), "utf8")).toMatch(
      /^# NOT COMPLETE: left out by the limit of 1/m,
    );
    const { out } = await draft(device, "acme/cut", "--under", path, "--limit", "1", "--force", "--json");
    expect(JSON.parse(out)).toMatchObject({ data: { isComplete: false } });
    const secret = await draft(device, "acme/secret", "--under", `${path}?a=1&api_token=t0psecret`);
    expect(secret).toMatchObject({ code: 2 });
    expect(secret.err).toMatch(/"api_token" in --under/);
    expect(existsSync(draftFile("acme/secret"))).toBe(false);
  });

  test("writes over no file but a draft with --force, and where it may not write says so", async () => {
    const device = await pretend("dfrobot/sen0676");
    mkdirSync(join(drafts(), "mine"), { recursive: true });
    writeFileSync(draftFile("mine/own"), "mine\n");
    const refused = await draft(device, "mine/own", "--under", "holding 0-9");
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toMatch(/drafts\/mine\/own\.yaml is there already\n.*--out FILE.*--force/);
    expect(readFileSync(draftFile("mine/own"), "utf8")).toBe("mine\n");
    const forced = await draft(device, "mine/own", "--force");
    expect(forced).toMatchObject({
      code: 2,
      err: expect.stringMatching(/is no draft.*--out FILE/s) as string,
    });
    expect(readFileSync(draftFile("mine/own"), "utf8")).toBe("mine\n");
    writeFileSync(draftFile("mine/own"), "# DRAFT by kerb profile new (kerb 0.0.1)\n");
    expect(await draft(device, "mine/own", "--force")).toMatchObject({ code: 0 });
    expect(readFileSync(draftFile("mine/own"), "utf8")).toMatch(/^# DRAFT[^]*points:/);
    const nowhere = await draft(device, "mine/other", "--out", "/dev/null/none/x.yaml");
    expect(nowhere.code).toBe(2);
    expect(nowhere.err).toMatch(/lies under a file/);
  });

  test("writes what it has found when it is interrupted, and when the device goes away", async () => {
    const device = await pretend("eastron/sdm630");
    const [stopped, lost] = ["stopped", "lost"].map((name) =>
      start(
        "profile",
        "new",
        `acme/${name}`,
        "--from",
        "thing",
        "--site",
        device.file,
        "--under",
        "input 0-9000",
        "--out",
        draftFile(`acme/${name}`),
        "--lang",
        name === "lost" ? "vi" : "en",
      ),
    ) as [ReturnType<typeof start>, ReturnType<typeof start>];
    // Both have found the blocks near 0 by then, and ask on for many seconds.
    await new Promise((resolve) => setTimeout(resolve, 3500));
    stopped.child.kill("SIGINT");
    const first = await stopped.result;
    expect(first).toMatchObject({ code: 130 });
    expect(first.err).toMatch(/NOT COMPLETE, interrupted/);
    expect(loadProfile("acme/stopped", drafts()).points.length).toBeGreaterThan(10);
    device.simulator.fault("hangUp");
    const second = await lost.result;
    expect(second).toMatchObject({ code: 5 });
    expect(second.err).toMatch(/CHƯA ĐẦY ĐỦ, mất thiết bị/);
    const text = readFileSync(draftFile("acme/lost"), "utf8");
    expect(text).toMatch(/# NOT COMPLETE: the device was lost/);
    expect(text).not.toMatch(/127\.0\.0\.1/);
    expect(await lintOf("acme/lost")).toEqual([]);
  });

  test("says in one sentence what is wrong, and what to do instead", async () => {
    const host = "127.0.0.1";
    const broker = await startBroker();
    open.push(broker);
    const file = bench.site("others", [
      { id: "gone", driver: "modbus", transport: { type: "tcp", host, port: await freePort() }, points: {} },
      { id: "posts", driver: "mqtt", host, port: broker.port, points: {} },
    ]);
    const run = (...args: string[]) => kerb("profile", "new", "--site", file, ...args);
    const unknown = await run("--from", "gnoe");
    expect(unknown).toMatchObject({ code: 3 });
    expect(unknown.err).toMatch(/gnoe.*gone/s);
    expect(await run("--from", "gone")).toMatchObject({ code: 5 });
    const pushed = await run("--from", "posts");
    expect(pushed).toMatchObject({ code: 2 });
    expect(pushed.err).toMatch(/posts: the driver mqtt has no way to ask .*mosquitto_sub/s);
    // A line says nothing of itself, and without a grammar nothing can be recorded: a profile comes first.
    const line = await pretend("generic/nmea-weather");
    const { transport } = line.settings;
    const weather = { id: "weather", driver: "serial", profile: "generic/nmea-weather", transport };
    const serial = bench.site("line", [weather]);
    const silent = await kerb("profile", "new", "--from", "weather", "--site", serial, "--lang", "en");
    expect(silent).toMatchObject({ code: 2 });
    expect(silent.err).toMatch(/copy the profile .* first.*then kerb record DEVICE/s);
    const empty = await kerb("record", "gone", "--site", file, "--for", "1s", "--lang", "en");
    expect(empty).toMatchObject({ code: 2, out: "" });
    expect(empty.err).toMatch(
      /gone cannot be recorded: it has no points to read\n.*profile.*kerb profile new/s,
    );
    expect(await run("--from", "gone", "--class", "energy-metre")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/there is no class "energy-metre".*energy-meter/s) as string,
    });
    expect((await run("Acme/Über", "--from", "gone", "--lang", "vi")).err).toMatch(/không phải tên hồ sơ/);
    expect((await run()).err).toMatch(/--from/);
    expect(existsSync(join(bench.folder, "drafts", "unknown"))).toBe(false);
  });

  test("is in the help", () => {
    expect(runProgram(launcher, "profile", "new", "--help")).toMatch(/--from <device>/);
    expect(runProgram(launcher, "--help")).toMatch(/profile new\|lint\|test/);
  });
});
