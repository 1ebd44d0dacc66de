import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Published, run } from "./cli-said.ts";
import { freePort } from "./ports.ts";
import { closePretended, portOf, pretend, someone } from "./pretend.ts";

/** A device with a fault is not added without its cause being named, and `kerb why` names the same afterwards. */

const folder = mkdtempSync(join(tmpdir(), "kerb-add-"));
const site = join(folder, "gateway.yaml");
const camera = { user: "kerb", password: "Trial-7-only" };
let published: Published;

beforeAll(async () => {
  published = await Published.open();
  for (const one of ["devices.d", "secrets"]) mkdirSync(join(folder, one));
  writeFileSync(join(folder, "secrets", "right"), camera.password);
  writeFileSync(join(folder, "secrets", "wrong"), "not-this-one");
  const text = `version: 1
gateway: { id: adding, name: Adding, city: test, state: ./state }
include: [devices.d/*.yaml]
`;
  writeFileSync(site, text);
});
const closing: Server[] = [];
afterAll(async () => {
  await closePretended();
  for (const server of closing) server.close();
  rmSync(folder, { recursive: true, force: true });
});

type Settings = Record<string, unknown>;

const flags = (settings: Settings): string[] =>
  Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${JSON.stringify(value)}`]);
const tcp = (port: number) => ({ transport: { type: "tcp", host: "127.0.0.1", port } });

interface Told {
  code: string;
  profile?: string;
  title: string;
  hint: string;
  seen: string;
  likely: string;
  steps: { step: string; verdict: string; evidence: string }[];
  causes: { code: string; severity: string; step: string; seen: string }[];
}

async function add(id: string, profile: string | undefined, settings: Settings, ...more: string[]) {
  const what = profile === undefined ? [] : ["--profile", profile];
  const given = ["device", "add", ...what, "--id", id, ...flags(settings), "--site", site, ...more];
  const { code, out, err } = await run(...given);
  if (!more.includes("--json")) return { code, out, err, told: {} as Told };
  published.check("device add", out);
  const { data, error } = JSON.parse(out) as { data?: Told; error?: Told };
  return { code, out, err, told: (data ?? error) as Told };
}

const saved = () => readdirSync(join(folder, "devices.d"));

/** Refused with this cause; saved all the same, it is what `kerb why` says, too. */
async function refused(id: string, profile: string, settings: Settings, rung: string, cause: string) {
  const { code, told } = await add(id, profile, settings, "--yes", "--json");
  expect(told, JSON.stringify(told)).toMatchObject({ code: cause, causes: [{ code: cause, step: rung }] });
  expect(told.steps.filter(({ verdict }) => verdict === "failed").map(({ step }) => step)).toEqual([rung]);
  expect(code).toBe(5);
  expect(told.likely).not.toBe("");
  expect(told.hint).toContain("--save-anyway");
  expect(saved()).not.toContain(`${id}.yaml`);
  const anyway = await add(id, profile, settings, "--yes", "--json", "--save-anyway");
  expect(anyway.told).toMatchObject({ tested: false, causes: [{ code: cause }] });
  await sameBy(id, cause);
  return told;
}

async function sameBy(id: string, cause: string) {
  const { code, out } = await run("why", id, "--site", site, "--json");
  expect((JSON.parse(out) as { data: Told }).data.causes.map((one) => one.code)).toEqual([cause]);
  expect(code).toBe(6);
}

const timeoutMs = 60_000;
const meter = "eastron/sdm630";
const modbus = { timeout: "500ms", unit: 1 };

async function realMeter(): Promise<Settings> {
  const { port } = { port: portOf(await pretend("modbus", meter, { ...tcp(0), unit: 1 })) };
  return { ...modbus, ...tcp(port) };
}

async function realCamera(fault?: "clockWrong"): Promise<Settings> {
  const port = await freePort();
  const one = await pretend("onvif", "onvif/profile-t", { ...camera, port, rtspPort: port });
  if (fault !== undefined) one.fault(fault);
  return { host: "127.0.0.1", port, rtspPort: port, user: camera.user };
}

test("a wrong port", { timeout: timeoutMs }, async () => {
  const settings = { ...modbus, ...tcp(await freePort()) };
  await refused("wrong-port", meter, settings, "port", "KERB-NET-PORT");
});

test("a wrong unit on a line that answers", { timeout: timeoutMs }, async () => {
  const settings = { ...(await realMeter()), unit: 9 };
  const told = await refused("wrong-unit", meter, settings, "protocol", "KERB-MB-UNIT");
  expect(told.seen).toMatch(/unit 9 at 127\.0\.0\.1:\d+ is silent, unit 1 answers/);
});

test("a device that takes connections and is silent", { timeout: timeoutMs }, async () => {
  const mute = await pretend("modbus", meter, { ...tcp(0), unit: 1 });
  mute.fault("silent");
  const settings = { ...modbus, timeout: "200ms", ...tcp(portOf(mute)) };
  await refused("silent", meter, settings, "protocol", "KERB-MB-SILENT");
});

test("a wrong password", { timeout: timeoutMs }, async () => {
  const settings = { ...(await realCamera()), password: "${secret:wrong}" };
  const told = await refused("password", "onvif/profile-t", settings, "login", "KERB-ONVIF-LOGIN");
  expect(JSON.stringify(told)).not.toContain("not-this-one");
});

test("a camera that refuses the login and has another time", { timeout: timeoutMs }, async () => {
  const settings = {
    ...(await realCamera("clockWrong")),
    auth: "ws-token",
    password: "${secret:wrong}",
  };
  const people = await add("clock-people", "onvif/profile-t", settings, "--yes");
  expect(people.code).toBe(5);
  expect(people.out).toMatch(/^ 4 login +✗ /m);
  expect(people.err).toMatch(
    /^kerb: KERB-ONVIF-CLOCK-LOGIN {2}Not saved: .*\n +seen .*7 h.*\n +likely .*\n +do +set the camera's NTP/,
  );
  const told = await refused("clock-login", "onvif/profile-t", settings, "login", "KERB-ONVIF-CLOCK-LOGIN");
  expect(told.seen).toMatch(/camera says .* box .*: 7 h/);
});

test("a login that nobody has given", { timeout: timeoutMs }, async () => {
  const { user: _, ...settings } = await realCamera();
  const { code, told } = await add("no-login", undefined, settings, "--driver", "onvif", "--yes", "--json");
  expect(code).toBe(5);
  expect(told).toMatchObject({ code: "KERB-ONVIF-LOGIN-WANTED", causes: [{ step: "login" }] });
  expect(told.hint).toContain("--user NAME");
});

test("another model than the profile is for", { timeout: timeoutMs }, async () => {
  await refused("model", "dfrobot/sen0662", await realMeter(), "identity", "KERB-DEV-MODEL");
});

test("another unit than the site file says", { timeout: timeoutMs }, async () => {
  const device = await pretend("modbus", "sunspec/meter-203", { ...tcp(0), unit: 1 });
  const settings = { ...modbus, ...tcp(portOf(device)), sunspec: true, serial: "Z9" };
  const { told: guessed } = await add("unit-2", undefined, settings, "--driver", "modbus", "--yes", "--json");
  expect(guessed, JSON.stringify(guessed)).toMatchObject({ code: "KERB-DEV-UNIT" });
  const told = await refused("unit", "sunspec/meter-203", settings, "identity", "KERB-DEV-UNIT");
  expect(told.seen).toContain("serial number Z9");
  const again = await add("unit-3", "sunspec/meter-203", settings, "--yes", "--json");
  expect(again.told.title).toContain("already, as unit");
});

test("what only warns is said, and asked about", { timeout: timeoutMs }, async () => {
  const port = await freePort();
  const own = { host: "127.0.0.1", port, siteId: "KERB+1=001TC", sxl: ["1.2.0", "1.9.0"] };
  const who = { ...someone, firmware: "1.9.0" };
  await pretend("rsmp", "rsmp/tlc", { ...own, reconnect: 50, wait: 8000 }, who);
  const settings = { ...own, wait: "8s" };
  const asked = await add("firmware", "rsmp/tlc", settings);
  expect(asked.out).toContain("KERB-DEV-FIRMWARE");
  expect(asked.code).toBe(7);
  const { told } = await add("firmware", "rsmp/tlc", settings, "--yes", "--json");
  expect(told).toMatchObject({
    tested: true,
    causes: [{ code: "KERB-DEV-FIRMWARE", severity: "warn", step: "identity" }],
  });
  await sameBy("firmware", "KERB-DEV-FIRMWARE");
  const skewed = { ...(await realCamera("clockWrong")), password: "${secret:right}" };
  const found = await add("clock", "onvif/profile-t", skewed, "--yes", "--json");
  expect(found.told).toMatchObject({
    tested: true,
    causes: [{ code: "KERB-ONVIF-CLOCK", severity: "warn" }],
  });
  await sameBy("clock", "KERB-ONVIF-CLOCK");
});

test("a device without a fault has none", { timeout: timeoutMs }, async () => {
  const { told, code } = await add("well", meter, await realMeter(), "--yes", "--json");
  expect(told).toMatchObject({ tested: true, causes: [] });
  expect(code).toBe(0);
  expect(told.steps.at(-2)?.evidence).toMatch(/^(\d+) of \1 points good, inside their limits$/);
});

test(
  "without a profile the one is taken that discover names, and it is said why",
  { timeout: timeoutMs },
  async () => {
    const settings = await realMeter();
    const people = await add("found-people", undefined, settings, "--driver", "modbus");
    expect(people.out).toContain(
      "profile eastron/sdm630: 6 of 6 values that were read are as eastron/sdm630 has",
    );
    expect(people.code).toBe(7);
    const found = await add("found", undefined, settings, "--driver", "modbus", "--yes", "--json");
    expect(found, JSON.stringify(found)).toMatchObject({
      code: 0,
      told: { tested: true, profile: meter, chosen: { match: "likely" } },
    });
    const { out } = await run("identify", "found", "--site", site, "--json");
    expect((JSON.parse(out) as { data: object }).data).toMatchObject({
      choice: { match: "likely", profile: meter, fits: { fits: 6, of: 6 } },
    });
  },
);

/** Has input 3 to 5 as delta-ohm/pmsense, and holding 256 to 259 as siemens/qsa2700. */
async function twoFaced(): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (frame) => {
      const code = frame[7] ?? 0;
      const first = frame.readUInt16BE(8);
      const isRead = (code === 4 && first === 3) || (code === 3 && first >= 256 && first < 260);
      const values = Buffer.alloc(isRead ? 2 * frame.readUInt16BE(10) : 0).fill(Buffer.from([0, 2]));
      const body = isRead ? Buffer.from([code, values.length, ...values]) : Buffer.from([code | 0x80, 1]);
      const head = Buffer.from(frame.subarray(0, 7));
      head.writeUInt16BE(body.length + 1, 4);
      socket.write(Buffer.concat([head, body]));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(server);
  return (server.address() as AddressInfo).port;
}

test(
  "where two profiles fit equally they are named, and a person is asked",
  { timeout: timeoutMs },
  async () => {
    const settings = { ...modbus, ...tcp(await twoFaced()) };
    const given = [undefined, settings, "--driver", "modbus", "--yes"] as const;
    const { code, told } = await add("both", ...given, "--json");
    expect(told, JSON.stringify(told)).toMatchObject({ code: "KERB-DEV-UNSUPPORTED" });
    expect(code).toBe(5);
    expect(told.hint).toBe("name it: --profile delta-ohm/pmsense|siemens/qsa2700");
    expect(told.seen).toContain("siemens/qsa2700 fit as well");
    expect(saved()).not.toContain("both.yaml");
    const vietnamese = await add("both", ...given, "--lang", "vi");
    expect(vietnamese.err).toMatch(/cách xử lý +chỉ rõ: --profile .*\|/);
  },
);
