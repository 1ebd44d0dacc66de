import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { load } from "./load.ts";
import { withoutSecrets } from "./secret-key.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-key-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each([
  ["    password: Canary, 71 # old", "    password: ********** # old"],
  ["  - { id: a, password: Canary, unit: 1 }", "  - { id: a, password: ******, unit: 1 }"],
  ['  auth: { token: "Can\\"ary", type: bearer }', "  auth: { token: **********, type: bearer }"],
  ["community: 'it''s'", "community: *******"],
  ['password: "not closed, x: 1', "password: *****************"],
  ["securityCodes: { level1: abc, level2: def }", "securityCodes: { level1: ***, level2: *** }"],
  ['url: "mqtt://u:p@ss@10.0.0.1"', 'url: "mqtt://******@10.0.0.1"'],
  ["password: ${secret:camera}", "password: ${secret:camera}"],
  ["privacy: { personalData: token }", "privacy: { personalData: token }"],
  ["name: passenger counter", "name: passenger counter"],
])("the line %j is shown as %j", (line, shown) => {
  expect(withoutSecrets(line)).toBe(shown);
});

it("no message and no line of a wrong site file shows what is secret in it", async () => {
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    `version: 1
gateway: { id: gw-01, name: Tủ, city: test, state: ./state }
uplinks:
  - { id: ioc, type: mqtt, url: "mqtt://svc:Can@ary71@10.0.0.1:1883", password: 71717171 }
  - { id: two, type: mqtt, url: "mqtts://10.0.0.1:8883", password: "Canary72", keepalive: 5parsecs }
privacy: { personalData: token, tokenKey: Canary73 }
`,
  );
  const { diagnostics = [] } = await load({ file });
  expect(diagnostics.length).toBeGreaterThan(3);
  expect(JSON.stringify(diagnostics)).not.toMatch(/Can@|ary71|71717171|Canary/);
  expect(diagnostics.map(({ message }) => message)).toContain(
    'expected text of 16 to 200 characters, found "***"',
  );
});
