import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { expect, test } from "vitest";
import { address, settings } from "./settings.ts";

const accepts = (schema: typeof address | typeof settings, value: unknown): boolean =>
  schema.safeParse(value).success;

test.each([
  [{ oid: "1.3.6.1.2.1.1.1.0" }, true],
  [{ oid: ".1.3.6.1" }, false],
  [{ oid: "sysDescr.0" }, false],
  [{ oid: "1.3.6.1.{row}" }, true],
  // The same object under another name would pass what is never written.
  [{ oid: "1.3.6.1.4.1.1206.4.2.1.1.05.1" }, false],
  [{ oid: "0.43.6.1.4.1" }, false],
  [{ oid: "1.3.6.1.4.1.4294968502.4.2" }, false],
  [{ oid: "1.3.6.1.4294967295" }, true],
  [{ oid: "1.3", walk: "1.3", take: "list" }, false],
  [{}, false],
  [{ oid: "1.3", type: "bits" }, false],
  [{ oid: "1.3", bit: 3 }, false],
  [{ oid: "1.3", type: "bits", bit: 3 }, true],
  [{ oid: "1.3", type: "bits", bit: 4, width: 4 }, true],
  [{ oid: "1.3", type: "number", width: 4 }, false],
  [{ states: { red: "1.3.1", green: "1.3.2" }, bit: 0 }, true],
  [{ states: { red: "1.3.1" }, bit: 0 }, false],
  [{ states: { red: "1.3.1", green: "1.3.2" } }, false],
  [{ walk: "1.3" }, false],
  [{ measure: "cycle" }, true],
  [{ sign: "message" }, true],
])("address %j: %s", (value, isGood) => {
  expect(accepts(address, value)).toBe(isGood);
});

test.each([
  [{}, true],
  [{ version: "3" }, false],
  [{ security: { user: "u" } }, false],
  [{ version: "3", security: { user: "u" } }, true],
  [{ version: "3", security: { user: "u", auth: "sha" } }, false],
  [{ version: "3", security: { user: "u", auth: "sha", authPassword: "short" } }, false],
  [{ version: "3", security: { user: "u", auth: "sha", authPassword: "long enough" } }, true],
  [{ version: "3", security: { user: "u", priv: "aes", privPassword: "long enough" } }, false],
  [{ timeout: "500ms" }, true],
  [{ timeout: "1h" }, false],
  [{ row: "scn:11011" }, true],
  [{ row: "eleven" }, false],
  [{ row: "05.1" }, false],
  [{ row: "4294968502" }, false],
  [{ maxOidsPerPdu: 0 }, false],
  [{ notifications: { address: "::", from: "2001:db8::7" } }, true],
  [{ notifications: { from: "ups.example" } }, false],
  [{ notifications: { address: "eth0" } }, false],
])("settings %j: %s", (value, isGood) => {
  expect(accepts(settings, { host: "192.0.2.1", ...value })).toBe(isGood);
});

test("one object in a request unless somebody says more", () => {
  expect(settings.parse({ host: "192.0.2.1" }).maxOidsPerPdu).toBe(1);
});

test("the sample's devices are taken", () => {
  const sample = parse(readFileSync(new URL("sample.yaml", import.meta.url), "utf8")) as {
    devices: Record<string, unknown>[];
  };
  for (const { id, name: _name, driver: _driver, profile: _profile, poll: _poll, ...own } of sample.devices) {
    const result = settings.safeParse(own);
    expect(result.success, `${String(id)}: ${result.error?.message}`).toBe(true);
  }
});
