import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { driverSchemas, listDrivers } from "../../config/drivers.ts";
import { loadModels } from "../models.ts";
import { profileFolder } from "../profiles.ts";
import type { Rule } from "./findings.ts";
import { lintProfiles } from "./lint.ts";

/** What each driver says of its addresses, by profiles that ship with one mistake planted into them. */

const folder = mkdtempSync(join(tmpdir(), "kerb-lint-facts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const models = loadModels();

type Plant = [profile: string, from: string, to: string, rule: Rule, sentence: string];

const beyond = "all that the raw type and the scale can give";
const plants: Plant[] = [
  // SNMP: the base types of SMIv2, bits, names of states.
  [
    "ups/rfc1628",
    "type: number, syntax: counter }\n",
    "type: number, syntax: counter }\n    limits: [0, 5000000000]\n",
    "limits",
    `the limits 0 … 5000000000 go beyond 0 … 4294967295, ${beyond}`,
  ],
  [
    "ups/rfc1628",
    "type: number, syntax: gauge }\n",
    "type: number, syntax: integer }\n    limits: [0, 3000000000]\n",
    "limits",
    `the limits 0 … 3000000000 go beyond -2147483648 … 2147483647, ${beyond}`,
  ],
  [
    "ups/rfc1628",
    "type: number, syntax: gauge }\n",
    "type: number, syntax: gauge }\n    sentinels: [{ raw: -1, code: none, reason: none, source: rfc1628 }]\n",
    "sentinel",
    "the raw value -1 never comes: the type holds 0 … 4294967295",
  ],
  [
    "ups/rfc1628",
    "type: number, syntax: gauge }\n",
    "type: hex }\n",
    "kind",
    "the address gives a text, and this is a number",
  ],
  [
    "ntcip/1202-signal-controller",
    "values: { red: red, yellow: yellow, green: green }",
    "values: { red: red, amber: yellow, green: green }",
    "values",
    "the raw value amber never comes: the address gives red, yellow, green, dark",
  ],
  // OPC UA: data types, members of structures.
  [
    "opcua/signal-controller",
    'label: { en: "Signal plan"',
    'limits: [0, 70000]\n    label: { en: "Signal plan"',
    "limits",
    `the limits 0 … 70000 go beyond 0 … 65535, ${beyond}`,
  ],
  [
    "opcua/signal-controller",
    '"6": all-red',
    '"4294967296": all-red',
    "values",
    "the raw value 4294967296 never comes: the type holds -2147483648 … 2147483647",
  ],
  [
    "opcua/signal-controller",
    '"tsc:Plan", type: UInt16',
    '"tsc:Plan", type: String',
    "kind",
    "the address gives a text, and this is a number",
  ],
  [
    "opc-foundation/vehicle-scale",
    "Gross: Double, Net: Double, Tare: Double }, member: Gross",
    "Gross: DateTime, Net: Double, Tare: Double }, member: Gross",
    "kind",
    "the address gives a text, and this is a number",
  ],
  // Serial: the grammar's own fields.
  [
    "ecotech/serinus-10",
    "value: { at: 1, as: gesytec }",
    "value: { at: [1, 3], as: hex }",
    "limits",
    `the limits -50 … 20000 go beyond 0 … 4095, ${beyond}`,
  ],
  [
    "ecotech/serinus-10",
    "value: { at: 1, as: gesytec }",
    "value: { at: [1, 2], as: bcd }",
    "limits",
    `the limits -50 … 20000 go beyond 0 … 9999, ${beyond}`,
  ],
  [
    "ecotech/serinus-10",
    "value: { at: 1, as: gesytec }",
    "value: { at: [1, 4], as: decimal }",
    "limits",
    `the limits -50 … 20000 go beyond -999 … 9999, ${beyond}`,
  ],
  [
    "ecotech/serinus-10",
    "value: { at: 1, as: gesytec }",
    "value: { at: 1, as: text }",
    "kind",
    "the address gives a text, and this is a number",
  ],
  [
    "ecotech/serinus-10",
    "value: { at: 1, as: gesytec }",
    "amount: { at: 1, as: gesytec }",
    "reach",
    '"ozone" is never read: the grammar of the settings has no field in frame data "value"',
  ],
  [
    "generic/sdi12-level",
    "field: value1",
    "field: valueOne",
    "reach",
    '"waterLevel" is never read: the grammar of the settings has no value "valueOne"',
  ],
  // RSMP: ranges and texts of the SXL, also of parts that only a site lists.
  [
    "rsmp/tlc",
    "name: cyclecounter, as: number",
    "name: cyclecounter, as: boolean",
    "kind",
    "the address gives a boolean, and this is a number",
  ],
  [
    "rsmp/tlc",
    "limits: [0, 999]",
    "limits: [0, 1000]",
    "limits",
    `the limits 0 … 1000 go beyond 0 … 999, ${beyond}`,
  ],
  [
    "rsmp/tlc",
    "limits: [0, 100]",
    "limits: [-2, 100]",
    "limits",
    `the limits -2 … 100 go beyond -1 … 100, ${beyond}`,
  ],
  [
    "rsmp/tlc",
    'source: "sxl: S0204"',
    'sentinels: [{ raw: -1, code: none, reason: none, source: "sxl: S0204" }]\n    source: "sxl: S0204"',
    "sentinel",
    "the raw value -1 never comes: the type holds 0 … 65535",
  ],
  [
    "rsmp/tlc",
    "values: { startup: ",
    "values: { start: ",
    "values",
    "the raw value start never comes: the address gives startup, control, standby, failure, test",
  ],
  // Documents and messages: what the address makes of them.
  [
    "generic/feeder-pillar-http",
    'dark.value", type: boolean }',
    'dark.value", type: boolean }\n    values: { "1": dark, "false": light }',
    "values",
    "the raw value 1 never comes: the address gives true and false",
  ],
  [
    "generic/xml-weather",
    "time: '$.station.@time' }",
    "time: '$.station.@time', type: text }",
    "kind",
    "the address gives a text, and this is a number",
  ],
  [
    "generic/csv-water-level",
    'time: "$[-1].time" }\n',
    'time: "$[-1].time" }\n    values: { "01": low }\n',
    "values",
    "the raw value 01 never comes: the address gives numbers, and they are written so",
  ],
  [
    "bosch/tps110",
    "path: $.occupied, type: boolean",
    "path: $.occupied, type: text",
    "kind",
    "the address gives a text, and this is a boolean",
  ],
  // ONVIF: what is asked for has a kind of its own.
  [
    "onvif/profile-t",
    "item: width }\n",
    "item: width }\n    limits: [-1, 4096]\n",
    "limits",
    `the limits -1 … 4096 go beyond 0 … Infinity, ${beyond}`,
  ],
  [
    "onvif/profile-t",
    "fixed: 1920",
    "fixed: wide",
    "pretend",
    '"wide" cannot be shown: the address gives a number',
  ],
  // Booleans of any driver are 0 and 1.
  [
    "generic/feeder-pillar-http",
    'dark.value", type: boolean }',
    'dark.value", type: boolean }\n    fixed: 2',
    "pretend",
    "the raw value 2 cannot be shown: the type holds 0 … 1",
  ],
  [
    "rsmp/tlc",
    "{ status: S0007, name: status, of: list, item: 1, as: boolean }",
    "{ status: S0007, name: status, of: list, item: 1, as: boolean }\n    fixed: 2",
    "pretend",
    "the raw value 2 cannot be shown: the type holds 0 … 1",
  ],
  // Modbus: a bit is true or false.
  [
    "eastron/sdm630",
    "type: float32 }\n",
    "type: text, length: 2 }\n",
    "kind",
    "the address gives a text, and this is a number",
  ],
];

async function planted(profile: string, from: string, to: string) {
  const text = readFileSync(join(profileFolder, `${profile}.yaml`), "utf8");
  expect(text.split(from).length, "the plant has its place").toBeGreaterThan(1);
  const file = join(folder, `${profile}.yaml`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text.replace(from, to));
  return (await lintProfiles([file], models)).flatMap(({ findings }) => findings);
}

describe("what a driver says of its addresses", () => {
  it("is there for each driver", async () => {
    for (const driver of listDrivers())
      expect((await driverSchemas(driver)).facts, driver).toBeTypeOf("function");
  });

  it.each(plants)("%s: %j for %j", async (profile, from, to, rule, sentence) => {
    const findings = await planted(profile, from, to);
    expect(findings.map((one) => [one.rule, one.message])).toContainEqual([rule, sentence]);
    for (const one of findings) {
      expect(one.line).toBeGreaterThan(0);
      expect(one.sentence.vi).not.toBe(one.sentence.en);
    }
  });
});
