import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { listDrivers } from "./config/drivers.ts";
import { parse } from "yaml";
import { check } from "./cli/check.ts";
import { loadSite } from "./config.ts";
import { jsonSchemas } from "./config/json-schema.ts";
import { ConfigError, describeError, deviceErrorCode, type ErrorCode, errorTable } from "./errors.ts";
import { listProfiles, loadProfile } from "./profiles.ts";

/** "modbus" or "serial": as many as there are. */
const driversInWords = new Intl.ListFormat("en-GB", { type: "disjunction" }).format(
  listDrivers().map((name) => `"${name}"`),
);
const configFolder = fileURLToPath(new URL("../config", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kerb-config-"));
const profileFolder = join(folder, "profiles");

function write(name: string, text: string): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const meter = `version: 1
vendor: Acme
model: Meter
class: energy-meter
driver: modbus
status: community
firmware: ">=1.0 <2.0"
sources: {}
settings: { order: CDAB, transport: { port: 1502 } }
poll: { normal: 5s }
identify: { serial: { table: holding, register: 8, type: text, length: 4 } }
points:
  voltage.L1: { address: { table: input, register: 0, type: float32 }, unit: V, limits: [0, 300] }
  power: { address: { table: input, register: 4, type: int16 }, unit: W, scaleFactor: power.scale }
  power.scale: { address: { table: input, register: 5, type: int16 } }
  energy: { address: { table: input, register: 6 }, unit: kW.h }
`;

beforeAll(() => {
  write("profiles/acme/meter.yaml", meter);
  write("profiles/acme/other.yaml", meter.replace("driver: modbus", "driver: snmp"));
  write("profiles/acme/address.yaml", meter.replace("register: 0", "registr: 0"));
  write("profiles/acme/identify.yaml", meter.replace("register: 8", "register: 80000"));
  write("profiles/acme/settings.yaml", meter.replace("order: CDAB", "order: 12"));
  write(
    "profiles/acme/broken.yaml",
    meter.replace("energy-meter", "energy-metre").replace("unit: W", "unit: Watt"),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const head = `version: 1
gateway: { id: box-01, name: Tủ 1, city: demo, state: ./state }
`;

function device(more = "", ...changes: [string, string][]): string {
  const text = `${head}devices:
  - id: air-01
    driver: modbus
    profile: acme/meter
    transport: { type: tcp, host: 10.0.0.5 }
${more}`;
  return changes.reduce((changed, [from, to]) => changed.replace(from, to), text);
}

function ownPoint(point: string): string {
  return device(`    points:\n      ${point}\n`, ["    profile: acme/meter\n", ""]);
}

function uplink(more: string): string {
  return `${head}uplinks:\n  - id: ioc\n    type: mqtt\n${more}`;
}

/** What the mistakes of a file look like, without the folder of this test. */
async function rendered(text: string, name = "bad.yaml"): Promise<string> {
  const file = write(name, text);
  const error = await loadSite(file, { profileFolder }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).render().replaceAll(`${folder}/`, "");
}

/** The heads of the mistakes, each checked to stand over its source line with the caret below the column. */
async function heads(text: string): Promise<string[]> {
  const found: string[] = [];
  const lines = (await rendered(text)).split("\n");
  for (let at = 0; at < lines.length; at += 3) {
    const [, file = "", line = "", column = ""] =
      /^([^:]+):(\d+):(\d+) {2}error {2}/.exec(lines[at] ?? "") ?? [];
    const source = readFileSync(join(folder, file), "utf8").split("\n")[Number(line) - 1];
    expect(lines[at + 1]).toBe(`${line.padStart(5)} | ${source}`);
    expect(lines[at + 2]).toBe(`      | ${" ".repeat(Number(column) - 1)}^`);
    found.push((lines[at] ?? "").replace("  error  ", "  "));
  }
  return found;
}

const camera = (more: string): string =>
  `${head}devices:\n  - id: cam\n    driver: onvif\n    host: 10.0.0.9\n    ${more}\n`;
const personal = (field: string, topic: string): string =>
  camera(`records:
      r:
        address: { topic: ${topic} }
        kind: transaction
        fields: { f: ${field} }`);

const wrong: [name: string, text: string, ...expected: string[]][] = [
  [
    "unknown key of a device",
    device("    pol: 5s\n"),
    'bad.yaml:8:5  unknown key "pol" - did you mean "poll"?',
  ],
  [
    "unknown key of the driver",
    device("    timout: 5s\n"),
    'bad.yaml:8:5  unknown key "timout" - did you mean "timeout"?',
  ],
  [
    "unknown key with no near one",
    device("    colour: red\n"),
    'bad.yaml:8:5  unknown key "colour" - known here: transport, unit, timeout, order, functions, maxRegistersPerRead, maxBitsPerRead, evenCount, gapRegisters, requestsInFlight, id, name, driver, profile, enabled, poll, silence, points, records, location, levels',
  ],
  [
    "unknown key inside a setting",
    device("    unit: 1\n", ["host: 10.0.0.5", "host: 10.0.0.5, prt: 5"]),
    'bad.yaml:7:45  unknown key "prt" - did you mean "port"?',
  ],
  [
    "unknown top-level key",
    head.replace("version: 1", "version: 1\nuplink: []"),
    'bad.yaml:2:1  unknown key "uplink" - did you mean "uplinks"?',
  ],
  [
    "misspelt with another convention",
    head + "outbox: { size_max: 1GiB }\n",
    'bad.yaml:3:11  unknown key "size_max" - did you mean "sizeMax"?',
  ],
  ["missing top-level keys", "version: 1\n", 'bad.yaml:1:1  missing key "gateway"'],
  ["missing key of an uplink", uplink(""), 'bad.yaml:4:5  missing key "url"'],
  [
    "missing key of a nested setting",
    device("", [", host: 10.0.0.5", ""]),
    'bad.yaml:7:5  missing key "host"',
  ],
  [
    "missing discriminator",
    device("", ["type: tcp, ", ""]),
    'bad.yaml:7:5  missing key "type": "tcp", "rtu-over-tcp" or "rtu"',
  ],
  [
    "unknown driver",
    device("", ["modbus", "modbuss"]),
    'bad.yaml:5:13  unknown driver "modbuss" - did you mean "modbus"?',
  ],
  [
    "unknown driver with no near one",
    device("", ["modbus", "profinet"]),
    `bad.yaml:5:13  expected ${driversInWords}, found "profinet"`,
  ],
  ["missing driver", device("", ["    driver: modbus\n", ""]), 'bad.yaml:4:5  missing key "driver"'],
  [
    "unknown profile",
    device("", ["acme/meter", "acme/metre"]),
    'bad.yaml:6:14  unknown profile "acme/metre" - did you mean "acme/meter"?',
  ],
  [
    "profile of another driver",
    device("", ["acme/meter", "acme/other"]),
    'bad.yaml:6:14  this profile is for the driver "snmp", the device has "modbus"',
  ],
  [
    "neither profile nor points",
    device("", ["    profile: acme/meter\n", ""]),
    'bad.yaml:4:5  missing key "profile", or "points" that say everything about the device',
  ],
  [
    "text for a number",
    device("    unit: abc\n"),
    'bad.yaml:8:11  expected a whole number from 0 to 255, found "abc"',
  ],
  [
    "number out of range",
    device("    unit: 256\n"),
    "bad.yaml:8:11  expected a whole number from 0 to 255, found 256",
  ],
  [
    "fraction for a whole number",
    device("    unit: 1.5\n"),
    "bad.yaml:8:11  expected a whole number from 0 to 255, found 1.5",
  ],
  [
    "misspelt choice",
    device("    order: ABDC\n"),
    'bad.yaml:8:12  unknown order "ABDC" - did you mean "ABCD"?',
  ],
  [
    "misspelt variant",
    device("", ["type: tcp", "type: tpc"]),
    'bad.yaml:7:24  unknown type "tpc" - did you mean "tcp"?',
  ],
  [
    "key of another variant",
    device("", ["host: 10.0.0.5", "host: 10.0.0.5, baud: 9600"]),
    'bad.yaml:7:45  unknown key "baud" - known here: type, host, port',
  ],
  [
    "one of a few numbers",
    device("    functions: [3, 99]\n"),
    "bad.yaml:8:20  expected 1, 2, 3, 4, 5, 6, 15, 16, 22 or 43, found 99",
  ],
  [
    "a value for a set of keys",
    device("    unit: 1\n", ["{ type: tcp, host: 10.0.0.5 }", "tcp"]),
    'bad.yaml:7:16  expected keys and values (type, port), found "tcp"',
  ],
  [
    "a key without a value",
    device("    unit:\n"),
    'bad.yaml:8:5  "unit" has no value: expected a whole number from 0 to 255',
  ],
  [
    "a number for a text",
    device("    name: 007\n"),
    "bad.yaml:8:11  expected text of 1 to 120 characters, found 007 - put it in quotes",
  ],
  ["yes is not true", device("    enabled: yes\n"), 'bad.yaml:8:14  expected true or false, found "yes"'],
  [
    "a span of time without unit",
    device("    poll: 10\n"),
    'bad.yaml:8:11  expected text such as "10s" or keys and values (fast, normal, slow), found 10',
  ],
  [
    "a span of time with a wrong unit",
    device("    poll: { normal: 10 seconds }\n"),
    'bad.yaml:8:21  expected a time span with its unit, such as "10s", found "10 seconds"',
  ],
  [
    "a span of time out of range",
    device("    poll: 0s\n"),
    'bad.yaml:8:11  expected a time span from 1ms to 24h, found "0s"',
  ],
  [
    "a size out of range",
    head + "outbox: { sizeMax: 1KiB }\n",
    'bad.yaml:3:20  expected a size from 1MiB to 64GiB, found "1KiB"',
  ],
  [
    "a bad id",
    device("", ["air-01", "Air 01"]),
    'bad.yaml:4:9  expected 2 to 40 small letters, digits or "-", found "Air 01"',
  ],
  ["a bad version", head.replace("version: 1", "version: 2"), "bad.yaml:1:10  expected 1, found 2"],
  [
    "the same id twice",
    device(
      "  - id: air-01\n    driver: modbus\n    profile: acme/meter\n    transport: { type: tcp, host: 10.0.0.6 }\n",
    ),
    'bad.yaml:8:9  the id "air-01" is used twice: first at bad.yaml:4:9',
  ],
  [
    "the same key twice",
    device("    unit: 1\n    unit: 2\n"),
    'bad.yaml:9:5  the key "unit" is written twice: first on line 8',
  ],
  [
    "override of a point that is not there",
    device("    points:\n      voltage.l1: { enabled: false }\n"),
    'bad.yaml:9:7  the profile "acme/meter" has no point "voltage.l1" - did you mean "voltage.L1"?',
  ],
  [
    "unknown key of an override",
    device("    points:\n      voltage.L1: { limit: [0, 300] }\n"),
    'bad.yaml:9:21  unknown key "limit" - did you mean "limits"?',
  ],
  [
    "too few values",
    device("    points:\n      voltage.L1: { limits: [0] }\n"),
    "bad.yaml:9:29  expected a list of 2 values, found a list of 1",
  ],
  [
    "a bad address of an own point",
    ownPoint("door: { address: { table: discret, register: 4 } }"),
    'bad.yaml:8:33  unknown table "discret" - did you mean "discrete"?',
  ],
  ["no address of an own point", ownPoint("door: { unit: V }"), 'bad.yaml:8:7  missing key "address"'],
  [
    "a bad name of an own point",
    ownPoint("Door 1: { address: { table: coil, register: 4 } }"),
    'bad.yaml:8:7  a point is named in camelCase with dots between its parts, such as "voltage.L1"',
  ],
  [
    "a unit that is not UCUM",
    ownPoint("level: { address: { table: input, register: 4 }, unit: °C }"),
    'bad.yaml:8:62  "°C" is not UCUM: write "Cel"',
  ],
  [
    "an unknown scale factor",
    ownPoint("power: { address: { table: input, register: 4 }, scaleFactor: powr }"),
    'bad.yaml:8:69  unknown point "powr" - did you mean "power"?',
  ],
  [
    "a bad address in the profile",
    device("", ["acme/meter", "acme/address"]),
    'profiles/acme/address.yaml:13:42  unknown key "registr" - did you mean "register"?',
  ],
  [
    "a bad setting in the profile",
    device("", ["acme/meter", "acme/settings"]),
    'profiles/acme/settings.yaml:9:20  expected "ABCD", "CDAB", "BADC" or "DCBA", found 12',
  ],
  [
    "a mistake in the profile itself",
    device("", ["acme/meter", "acme/broken"]),
    'profiles/acme/broken.yaml:4:8  unknown class "energy-metre" - did you mean "energy-meter"?',
    'profiles/acme/broken.yaml:14:71  "Watt" is not a unit that kerb knows (UCUM, case-sensitive)',
  ],
  [
    "mqtt:// to another machine",
    uplink("    url: mqtt://ioc.example\n"),
    'bad.yaml:6:10  mqtt:// to another machine sends everything in the clear: use mqtts://, or write "insecure: acknowledged" (found "mqtt://ioc.example")',
  ],
  [
    "an address that is none",
    uplink("    url: ioc.example:1883\n"),
    'bad.yaml:6:10  expected an address such as mqtts://ioc.example:8883, found "ioc.example:1883"',
  ],
  [
    "a password in the address",
    uplink("    url: mqtts://me:hunter22@ioc.example\n"),
    'bad.yaml:6:10  user and password do not belong into the address: write the keys username and password (found "mqtts://me:hunter22@ioc.example")',
  ],
  [
    "a misspelt encoding",
    uplink("    url: mqtts://ioc.example\n    encoding: column\n"),
    'bad.yaml:7:15  unknown encoding "column" - did you mean "columnar"?',
  ],
  [
    "a version of MQTT",
    uplink("    url: mqtts://ioc.example\n    protocol: 4\n"),
    'bad.yaml:7:15  expected 5 or "3.1.1", found 4',
  ],
  [
    "a certificate without its key",
    uplink("    url: mqtts://ioc.example\n    tls: { cert: a.pem }\n"),
    "bad.yaml:7:10  cert and key go together",
  ],
  [
    "an include that is not there",
    head + "include: [more.yaml]\n",
    'bad.yaml:3:11  there is no file "more.yaml"',
  ],
  [
    "an include over whole disks",
    head + "include: [/**/*.yaml]\n",
    'bad.yaml:3:11  ** would search whole disks: name the folder (found "/**/*.yaml")',
  ],
  [
    "a device that is none",
    head + "devices: [air-01]\n",
    'bad.yaml:3:11  expected keys and values (id, name, driver, profile, enabled, poll, silence, points, records, location, levels), found "air-01"',
  ],
  [
    "devices that are no list",
    head + "devices: air-01\n",
    'bad.yaml:3:10  expected a list of at most 1000 entries, found "air-01"',
  ],
  [
    "an empty file",
    "",
    "bad.yaml:1:1  the file is empty: expected keys and values (version, gateway, outbox, uplinks, privacy, log, health, include, devices)",
  ],
  [
    "three mistakes in file order",
    device("    unit: 300\n    pol: 1s\n", ["id: box-01", "id: b"]),
    'bad.yaml:2:16  expected 3 to 40 small letters, digits or "-", found "b"',
    "bad.yaml:8:11  expected a whole number from 0 to 255, found 300",
    'bad.yaml:9:5  unknown key "pol" - did you mean "poll"?',
  ],
  [
    "a misspelt driver key",
    device("    unit: 300\n", ["driver: modbus", "drivr: modbus"]),
    'bad.yaml:5:5  unknown key "drivr" - did you mean "driver"?',
    "bad.yaml:8:11  expected a whole number from 0 to 255, found 300",
  ],
  [
    "a misspelt profile key",
    device("", ["profile: ", "profle: "]),
    'bad.yaml:6:5  unknown key "profle" - did you mean "profile"?',
  ],
  [
    "a key in capitals",
    device("", ["- id: air-01", "- ID: air-01"]),
    'bad.yaml:4:5  unknown key "ID" - did you mean "id"?',
  ],
  [
    "a bad address of the identity",
    device("", ["acme/meter", "acme/identify"]),
    "profiles/acme/identify.yaml:11:49  expected a whole number from 0 to 65535, found 80000",
  ],
  [
    "a number plate without privacy",
    personal("{ address: { item: LicensePlateInfo/PlateNumber } }", "RuleEngine/*/LicensePlate"),
    'bad.yaml:11:24  this is personal data: write "privacy: token" beside it, or leave it out',
  ],
  [
    "a number plate as a point",
    camera("points: { p: { address: { topic: a/b, item: Plate }, kind: text, poll: push } }"),
    'bad.yaml:7:20  this is personal data: make it a field of a record, with "privacy: token", or leave it out',
  ],
  [
    "a face without privacy",
    personal("{ address: { item: Likelihood, part: data } }", "RuleEngine/Recognition/Face"),
    'bad.yaml:11:24  this is personal data: write "privacy: token" beside it, or leave it out',
  ],
  [
    "an empty text",
    device("    name: ''\n"),
    'bad.yaml:8:11  expected text of 1 to 120 characters, found ""',
  ],
];

describe("a wrong site file", () => {
  it.each(wrong)("%s", async (_name, text, ...expected) => {
    expect(await heads(text)).toEqual(expected);
  });

  it("is rendered with place, sentence, source line and caret", async () => {
    expect(await rendered(device("    pol: 5s\n"))).toBe(
      [
        'bad.yaml:8:5  error  unknown key "pol" - did you mean "poll"?',
        "    8 |     pol: 5s",
        "      |     ^",
      ].join("\n"),
    );
  });

  it("names both places of an id that two files share", async () => {
    write(
      "two/a.yaml",
      "devices:\n  - { id: air-01, driver: modbus, profile: acme/meter, transport: { type: tcp, host: a } }\n",
    );
    expect(await rendered(device().replace("devices:", "include: [two/*.yaml]\ndevices:"))).toBe(
      [
        `two/a.yaml:2:11  error  the id "air-01" is used twice: first at bad.yaml:5:9`,
        "    2 |   - { id: air-01, driver: modbus, profile: acme/meter, transport: { type: tcp, host: a } }",
        "      |           ^",
      ].join("\n"),
    );
  });

  it("does not hide the mistakes of the files that it includes", async () => {
    write("more/a.yaml", "devices: [{ id: x }]\n");
    write("more/b.yaml", "devices: {\n");
    const text = await rendered(`${head.replace("box-01", "B")}include: [more/*.yaml]\n`);
    expect(text.split("\n").filter((line) => line.includes("  error  "))).toEqual([
      'bad.yaml:2:16  error  expected 3 to 40 small letters, digits or "-", found "B"',
      'more/a.yaml:1:11  error  missing key "driver"',
      'more/a.yaml:1:17  error  expected 2 to 40 small letters, digits or "-", found "x"',
      "more/b.yaml:2:1  error  this line is not indented like its neighbours, or a bracket is not closed",
    ]);
  });

  it("lists at most 50 mistakes and says how many there are", async () => {
    const keys = Array.from({ length: 73 }, (_, index) => `wrong-${index}: 1\n`).join("");
    const lines = (await rendered(head + keys)).split("\n");
    expect(lines).toHaveLength(151);
    expect(lines.at(-1)).toBe("… and 23 more");
  });

  it("addresses devices by their id", async () => {
    const error = await loadSite(write("bad.yaml", device("", ["host: 10.0.0.5", "host: 5"])), {
      profileFolder,
    }).catch((reason: ConfigError) => reason);
    expect(error).toMatchObject({
      exitCode: 78,
      diagnostics: [{ line: 7, column: 35, code: "KERB-CFG-VALUE", path: 'devices "air-01".transport.host' }],
    });
  });
});

describe("references", () => {
  it("are resolved in every file, numbers included, and paths start from the file that holds them", async () => {
    vi.stubEnv("KERB_TEST_PORT", "1777");
    vi.stubEnv("KERB_TEST_HOST", "ioc.example");
    write("secrets/ioc", "hunter22\n");
    write("refs/host.txt", "10.9.8.7\n");
    write(
      "refs/a.yaml",
      "devices:\n  - id: a-1\n    driver: modbus\n    profile: acme/meter\n    transport: { type: tcp, host: '${file:host.txt}', port: '${env:KERB_TEST_PORT}' }\n",
    );
    const text = uplink("    url: mqtts://${env:KERB_TEST_HOST}:8883\n    password: ${secret:ioc}\n");
    const site = await loadSite(write("site.yaml", `${text}include: [refs/*.yaml]\n`), { profileFolder });
    expect(site.uplinks[0]).toMatchObject({ url: "mqtts://ioc.example:8883", password: "hunter22" });
    expect(site.devices[0]?.settings["transport"]).toEqual({ type: "tcp", host: "10.9.8.7", port: 1777 });
  });

  it("never show what they stand for", async () => {
    vi.stubEnv("KERB_TEST_SECRET", "Hunter-22");
    const secret = "${env:KERB_TEST_SECRET}";
    const places = [
      device(`    unit: ${secret}\n`),
      device(`    order: ${secret}\n    enabled: ${secret}\n    poll: ${secret}\n    points: ${secret}\n`),
      device("", ["id: air-01", `id: ${secret}`]),
      device("", ["profile: acme/meter", `profile: ${secret}`]),
      device("", ["driver: modbus", `driver: ${secret}`]),
      device("", ["type: tcp", `type: ${secret}`]),
      device("", ["{ type: tcp, host: 10.0.0.5 }", secret]),
      device(`    points:\n      power: { limits: ${secret} }\n`),
      ownPoint(`level: { address: { table: input, register: 1 }, unit: "${secret}" }`),
      ownPoint(`level: { address: { table: "${secret}", register: 1 }, scaleFactor: "${secret}" }`),
      uplink(`    url: ${secret}\n`),
      uplink(`    url: mqtt://${secret}:1883\n`),
      uplink(
        `    url: mqtts://me:${secret}@ioc.example\n    protocol: ${secret}\n    keepalive: ${secret}\n`,
      ),
      `${head}include: ["${secret}"]\n`,
      `${head}log: { level: ${secret} }\noutbox: ${secret}\n`,
    ];
    for (const text of places) {
      const shown = await rendered(text);
      expect(shown).toContain(secret);
      expect(shown.toLowerCase()).not.toContain("hunter");
    }
  });

  it("that cannot be resolved are mistakes at their place", async () => {
    const text = uplink(
      "    url: mqtts://ioc.example\n    username: ${env:KERB_TEST_NONE}\n    password: ${secret:none}\n    tls: { ca: '${secret:../x}', serverName: '${secrets:a}' }\n",
    );
    expect(await heads(text)).toEqual([
      'bad.yaml:7:15  the environment variable "KERB_TEST_NONE" is not set',
      'bad.yaml:8:15  the secret "none" (secrets/none) cannot be used: there is no such file',
      'bad.yaml:9:16  a secret is named by letters, digits, "-", "_" and ".", found "../x"',
      'bad.yaml:9:46  unknown reference "secrets" - did you mean "secret"?',
    ]);
    expect(await heads(uplink('    url: mqtts://ioc.example\n    password: "${secret:none"\n'))).toEqual([
      'bad.yaml:7:15  a reference is not closed: "}" is missing',
    ]);
  });
});

describe("a good site file", () => {
  it("takes settings, points and periods from the profile, with the device's own on top", async () => {
    const file = write(
      "site.yaml",
      device(
        "    poll: { fast: 200ms }\n    points:\n      voltage.L1: { limits: [180, 260], deadband: 0.5, poll: fast }\n      power.scale: { enabled: false }\n      energy: { enabled: false }\n",
      ),
    );
    const site = await loadSite(file, { profileFolder });
    expect(site.gateway).toEqual({
      id: "box-01",
      name: "Tủ 1",
      city: "demo",
      stateFolder: join(folder, "state"),
    });
    expect(site.outbox).toEqual({
      bytesMax: 256 * 1024 ** 2,
      commitAfterMs: 1000,
      commitEventsMax: 200,
      sealEveryMs: 3_600_000,
    });
    const [air] = site.devices;
    expect(air).toMatchObject({
      id: "air-01",
      name: "air-01",
      enabled: true,
      profile: "acme/meter",
      class: "energy-meter",
      firmwareRange: ">=1.0 <2.0",
      identity: { vendor: "Acme", model: "Meter" },
      settings: {
        order: "CDAB",
        unit: 1,
        timeout: 1000,
        transport: { type: "tcp", host: "10.0.0.5", port: 1502 },
      },
      identify: { standard: true, serial: { table: "holding", register: 8, type: "text", length: 4 } },
      pollMs: { fast: 200, normal: 5000, slow: 60_000 },
      place: { file, line: 4 },
    });
    expect(air?.points.map(({ name, publish }) => [name, publish])).toEqual([
      ["voltage.L1", true],
      ["power", true],
      // Disabled, but `power` needs it.
      ["power.scale", false],
    ]);
    expect(air?.points[0]).toMatchObject({
      address: { table: "input", register: 0, type: "float32" },
      limits: [180, 260],
      deadband: 0.5,
      poll: "fast",
      heartbeat: 300_000,
    });
  });

  it("is plain data, so that it can be sent to a child process", async () => {
    const site = await loadSite(write("site.yaml", device()), { profileFolder });
    expect(structuredClone(site)).toEqual(site);
    expect(JSON.parse(JSON.stringify(site))).toEqual(JSON.parse(JSON.stringify(structuredClone(site))));
  });

  it("may be without devices, uplinks and certificates, with a warning for each", async () => {
    const site = await loadSite(write("site.yaml", head), { profileFolder });
    expect(site.warnings.map(({ message }) => message)).toEqual([
      "no devices: there is nothing to read",
      "no uplinks: events stay in the outbox",
    ]);
    const secured = device().replace(
      "devices:",
      "uplinks: [{ id: ioc, type: mqtt, url: 'mqtts://a', tls: { ca: ca.pem } }]\ndevices:",
    );
    const { warnings, uplinks } = await loadSite(write("site.yaml", secured), { profileFolder });
    expect(warnings.map(({ line, message }) => [line, message])).toEqual([
      [3, 'there is no file "ca.pem" yet: the uplink waits for it'],
    ]);
    expect(uplinks[0]?.tls?.ca).toBe(join(folder, "ca.pem"));
  });

  it("allows the clear only to this machine or when it is acknowledged", async () => {
    for (const url of [
      "mqtt://localhost",
      "mqtt://127.0.0.1:1883",
      "mqtt://[::1]:1883",
      "mqtts://ioc.example",
    ]) {
      const site = await loadSite(write("site.yaml", uplink(`    url: "${url}"\n`)), { profileFolder });
      expect(site.uplinks[0]).toMatchObject({ url, insecure: false });
    }
    const text = uplink("    url: mqtt://ioc.example\n    insecure: acknowledged\n");
    const site = await loadSite(write("site.yaml", text), { profileFolder });
    expect(site.uplinks[0]?.insecure).toBe(true);
  });
});

function propertyOf(schema: unknown, key: string): unknown {
  return (schema as { properties: Record<string, unknown> }).properties[key];
}

function expectAllKeys(value: unknown, schema: unknown): void {
  const { properties } = schema as { properties: object };
  expect(Object.keys(value as object).toSorted()).toEqual(Object.keys(properties).toSorted());
}

const workedSites = ["sites/air-and-water.yaml", "sites/district.yaml", "sites/junction.yaml"];

function read(name: string): Record<string, unknown> {
  return parse(readFileSync(join(configFolder, name), "utf8")) as Record<string, unknown>;
}

describe("the files of config/", () => {
  it("load", async () => {
    const sample = await loadSite(join(configFolder, "gateway.sample.yaml"));
    expect(sample.devices.map(({ id }) => id)).toEqual(["meter-01", "door-01"]);
    expect(sample.warnings).toEqual([]);
  });

  it.each(workedSites)("%s loads; no two of its devices have the same place", async (name) => {
    const site = await loadSite(join(configFolder, name));
    expect(site.warnings).toEqual([]);
    const places = site.devices.map(({ settings: { transport, unit, port, variables } }) =>
      JSON.stringify([transport, unit, port, variables]),
    );
    expect(new Set(places).size).toBe(site.devices.length);
    expect(site.gateway.stateFolder).toBe(join(configFolder, "../state", basename(name, ".yaml")));
  });

  it("still load when every commented key of the sample is used", async () => {
    const sample = readFileSync(join(configFolder, "gateway.sample.yaml"), "utf8");
    const full = sample
      .replaceAll(
        /^( +)# (insecure|username|password|ca|cert|key|legalBasis|tokenKey|snapshots|silence|records|location|levels): /gm,
        "$1$2: ",
      )
      .replaceAll(/^# ( *(health|listen|insecure):)/gm, "$1");
    expect(full.split("\n").filter((line, index) => line !== sample.split("\n")[index])).toHaveLength(16);
    const secrets = full.replace("${secret:ioc}", "x").replace("${secret:token}", "x".repeat(32));
    const site = await loadSite(write("sample/gateway.yaml", secrets));
    expect(site.uplinks[0]).toMatchObject({ username: "q1-bayhien-01", insecure: true });
    expect(site.warnings).toHaveLength(4);
    const { gateway } = await jsonSchemas();
    const written = parse(full) as { devices: unknown[]; uplinks: { tls: unknown }[] } & Record<
      string,
      unknown
    >;
    expectAllKeys(written, gateway);
    for (const part of ["gateway", "outbox", "privacy", "log", "health"])
      expectAllKeys(written[part], propertyOf(gateway, part));
    const uplinkJson = (propertyOf(gateway, "uplinks") as { items: unknown }).items;
    expectAllKeys(written.uplinks[0], uplinkJson);
    expectAllKeys(written.uplinks[0]?.tls, propertyOf(uplinkJson, "tls"));
    const { oneOf } = (propertyOf(gateway, "devices") as { items: { oneOf: unknown[] } }).items;
    const deviceJson = oneOf[listDrivers().indexOf("modbus")];
    expectAllKeys(written.devices[0], deviceJson);
  });

  it("pass the JSON Schemas, and a slip does not", async () => {
    const schemas = await jsonSchemas();
    const ajv = new Ajv({ strict: false });
    const gateway = ajv.compile(schemas.gateway);
    for (const name of ["gateway.sample.yaml", ...workedSites]) expect(gateway(read(name)), name).toBe(true);
    expect(gateway({ ...read("sites/district.yaml"), uplink: [] })).toBe(false);
    const devices = ajv.compile(schemas.devices);
    const { devices: list } = read("sites/district.yaml") as { devices: object[] };
    expect(devices({ devices: list })).toBe(true);
    const [one] = list;
    expect(devices({ devices: [{ ...one, unit: "${env:UNIT}" }] })).toBe(true);
    expect(devices({ devices: [{ ...one, unit: "one" }] })).toBe(false);
    const profile = ajv.compile(schemas.profile);
    expect(profile(parse(meter))).toBe(true);
    expect(profile(parse(meter.replace("register: 0", "register: -1")))).toBe(false);
  });
});

async function run(file: string, options: { json?: boolean } = {}) {
  const printed = { out: "", err: "" };
  const out = vi
    .spyOn(process.stdout, "write")
    .mockImplementation((text) => ((printed.out += String(text)), true));
  const err = vi
    .spyOn(process.stderr, "write")
    .mockImplementation((text) => ((printed.err += String(text)), true));
  const code = await check(file, options).finally(() => [out, err].forEach((spy) => spy.mockRestore()));
  return {
    code,
    out: printed.out.replaceAll(`${folder}/`, ""),
    err: printed.err.replaceAll(`${folder}/`, ""),
  };
}

describe("a profile", () => {
  it("reads no file, secret or variable of the box", () => {
    vi.stubEnv("KERB_TEST_SECRET", "Hunter-22");
    write("host.txt", "Hunter-23");
    const text = meter
      .replace("vendor: Acme", 'vendor: "${env:KERB_TEST_SECRET}"')
      .replace("model: Meter", 'model: "${file:../../host.txt}"');
    write("profiles/acme/curious.yaml", text);
    expect(loadProfile("acme/curious", profileFolder)).toMatchObject({
      vendor: "${env:KERB_TEST_SECRET}",
      model: "${file:../../host.txt}",
    });
  });

  it("says of each sentinel where it was read, and how sure that is", () => {
    const sentinels =
      "[{ raw: -1, code: a, reason: b }, { raw: -2, code: c, reason: d, certainty: to-verify }]";
    write("profiles/acme/doubtful.yaml", meter.replace("unit: W", `unit: W, sentinels: ${sentinels}`));
    const power = loadProfile("acme/doubtful", profileFolder).points.find(({ name }) => name === "power");
    expect(power?.sentinels.map(({ certainty }) => certainty)).toEqual(["seen", "to-verify"]);
  });

  it.each(listProfiles())("%s is at most community with a sentinel that is not verified", (id) => {
    const { points, sources, status } = loadProfile(id);
    const doubtful = points
      .flatMap(({ sentinels }) => sentinels)
      .filter((one) => one.certainty === "to-verify");
    for (const { source } of doubtful) expect(Object.keys(sources)).toContain(source);
    if (doubtful.length > 0) expect(status).toBe("community");
  });
});

describe("kerb check", () => {
  it("prints a line for each file", async () => {
    const worked = readFileSync(join(configFolder, "sites/district.yaml"), "utf8");
    const at = worked.indexOf("devices:");
    const file = write("split/site.yaml", `${worked.slice(0, at)}include: [devices.d/*.yaml]\n`);
    write("split/devices.d/all.yaml", worked.slice(at));
    cpSync(join(configFolder, "sites/secrets"), join(folder, "split/secrets"), { recursive: true });
    write("split/devices.d/none.yaml", "devices: []\n");
    const { code, out, err } = await run(file);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      [
        "split/site.yaml            ok  26 devices, 8 drivers, 1 uplink",
        "split/devices.d/all.yaml   ok  26 devices",
        "split/devices.d/none.yaml  ok  0 devices\n",
      ].join("\n"),
    );
  });

  it("prints warnings after the files", async () => {
    const { code, out } = await run(write("site.yaml", head));
    expect(code).toBe(0);
    expect(out.split("\n").filter((line) => !line.includes(" | "))).toEqual([
      "site.yaml  ok  0 devices, 0 drivers, 0 uplinks",
      "site.yaml:1:1  warning  no devices: there is nothing to read",
      "site.yaml:1:1  warning  no uplinks: events stay in the outbox",
      "",
    ]);
  });

  it("prints mistakes to stderr without colour, and how many", async () => {
    const { code, out, err } = await run(write("bad.yaml", "version: 2\n"));
    expect({ code, out }).toEqual({ code: 78, out: "" });
    expect(err).toBe(
      'bad.yaml:1:1  error  missing key "gateway"\n    1 | version: 2\n      | ^\nbad.yaml:1:10  error  expected 1, found 2\n    1 | version: 2\n      |          ^\n2 mistakes\n',
    );
  });

  it("says one clear thing about a file that cannot be read", async () => {
    const { code, err } = await run(join(folder, "none.yaml"));
    expect(code).toBe(78);
    expect(err).toBe("none.yaml  error  the file cannot be used: there is no such file\n1 mistake\n");
  });

  it("gives scripts an envelope without secrets", async () => {
    vi.stubEnv("KERB_TEST_SECRET", "Hunter-22");
    const text = uplink("    url: mqtts://ioc.example\n    password: ${env:KERB_TEST_SECRET}\n");
    const good = await run(write("site.yaml", text), { json: true });
    expect(JSON.parse(good.out)).toMatchObject({
      api: "kerb/v1",
      kind: "check",
      ok: true,
      data: { gateway: "box-01", uplinks: ["ioc"] },
    });
    expect(good.out).not.toContain("Hunter");
    const shipped = device("    pol: 1s\n", ["acme/meter", "eastron/sdm630"]);
    const bad = await run(write("bad.yaml", shipped), { json: true });
    expect(bad.code).toBe(78);
    expect(JSON.parse(bad.out)).toMatchObject({
      api: "kerb/v1",
      kind: "check",
      ok: false,
      error: { code: "KERB-CFG-KEY", count: 1, diagnostics: [{ line: 8, column: 5 }] },
    });
  });
});

function typed(text: string): string[] {
  return (text.match(/`[a-z]\w*[^`]*`/gi) ?? []).map((one) => one.split(" ")[0] ?? "");
}

describe("the table of errors", () => {
  it("says everything in both languages", () => {
    for (const [code, { title, likely, do: remedy }] of Object.entries(errorTable)) {
      for (const text of [title, likely, remedy]) {
        expect(text.en.length, code).toBeGreaterThan(5);
        expect(text.vi.length, code).toBeGreaterThan(5);
        expect(text.vi, code).not.toBe(text.en);
        expect(text.vi, code).toBe(text.vi.normalize("NFC"));
        // What the reader must type is the same in both languages.
        expect(typed(text.vi), code).toEqual(typed(text.en));
      }
    }
    const titles = Object.values(errorTable).map(({ title }) => title.en);
    expect(new Set(titles).size).toBe(titles.length);
  });

  it("describes a driver's code", () => {
    const code: ErrorCode = deviceErrorCode("hung-up");
    expect(describeError(code, "vi")).toMatchObject({
      code: "KERB-DEV-HUNG-UP",
      title: "Thiết bị đã ngắt kết nối",
      retry: true,
    });
  });

  it.skipIf(spawnSync("systemd-analyze", ["--version"]).status !== 0)(
    "keeps the exposure of the systemd unit low",
    () => {
      const unit = join(configFolder, "kerb.service");
      const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=true", unit], {
        encoding: "utf8",
      });
      const exposure = Number(/exposure level for kerb\.service: ([\d.]+)/.exec(stdout)?.[1]);
      expect(exposure).toBeLessThanOrEqual(1.5);
    },
  );
});
