import { describe, expect, it } from "vitest";
import { loadSite } from "./config.ts";
import type { ConfigError } from "../errors.ts";
import { listDrivers } from "./drivers.ts";
import { device, head, heads, ownPoint, profileFolder, rendered, uplink, write } from "./testing.ts";

/** What a wrong site file is told: place, sentence and cure. */

/** "modbus" or "serial": as many as there are. */
const driversInWords = new Intl.ListFormat("en-GB", { type: "disjunction" }).format(
  listDrivers().map((name) => `"${name}"`),
);

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
    'bad.yaml:8:5  unknown key "colour" - known here: transport, unit, timeout, order, functions, maxRegistersPerRead, maxBitsPerRead, sunspec, evenCount, gapRegisters, requestsInFlight, id, name, driver, profile, enabled, poll, silence, points, records, location, levels, serial, write, schedules, identifyEvery',
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
    'bad.yaml:6:10  user and password do not belong into the address: write the keys username and password (found "mqtts://***@ioc.example")',
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
    'bad.yaml:3:11  expected keys and values (id, name, driver, profile, enabled, poll, silence, points, records, location, levels, serial, …), found "air-01"',
  ],
  [
    "devices that are no list",
    head + "devices: air-01\n",
    'bad.yaml:3:10  expected a list of at most 1000 entries, found "air-01"',
  ],
  [
    "an empty file",
    "",
    "bad.yaml:1:1  the file is empty: expected keys and values (version, gateway, outbox, uplinks, privacy, commands, twin, log, health, include, devices)",
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
