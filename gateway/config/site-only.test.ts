import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadSite } from "./config.ts";
import { listProfiles, loadProfile } from "../profiles/profiles.ts";
import { driverSchemas, listDrivers } from "./drivers.ts";

/** Whom to trust is the site's to say: a profile that comes from elsewhere must not switch security off. */

const folder = mkdtempSync(join(tmpdir(), "kerb-site-only-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const profileOf = (driver: string, settings: string): string => `version: 1
vendor: Acme
model: Thing
class: cabinet
driver: ${driver}
status: community
sources: {}
settings: ${settings}
points: {}
`;

test.each([
  ["opcua", "security", "none"],
  ["opcua", "pin", `"${"00".repeat(32)}"`],
  ["opcua", "trust", "first-use"],
  ["opcua", "password", "x"],
  ["http", "tls", "{ pin: x }"],
  ["http", "insecure", "acknowledged"],
  ["http", "auth", "{ type: basic, user: a, password: b }"],
  ["mqtt", "tls", "{ ca: /tmp/ca.pem }"],
  ["mqtt", "password", "x"],
  ["onvif", "auth", "none"],
  ["rsmp", "tls", "{ cert: a, key: b }"],
])("a profile for %s must not have %s", async (driver, key, value) => {
  const file = join(folder, "profiles/acme/thing.yaml");
  mkdirSync(join(folder, "profiles/acme"), { recursive: true });
  writeFileSync(file, profileOf(driver, `{ ${key}: ${value} }`));
  const site = join(folder, "site.yaml");
  writeFileSync(
    site,
    `version: 1
gateway: { id: gw-1, name: G, city: demo, state: ./state }
devices:
  - { id: a-1, driver: ${driver}, profile: acme/thing, host: 10.0.0.1 }
`,
  );
  const error = await loadSite(site, { profileFolder: join(folder, "profiles") }).then(
    () => "loaded",
    (problem: unknown) => String(problem),
  );
  expect(error).toMatch(new RegExp(`thing.yaml:8:13 .*a profile must not say "${key}"`));
});

test("no profile of kerb's own has one of them, and all of them are settings", async () => {
  for (const id of listProfiles()) {
    const { driver, settings } = loadProfile(id);
    if (!listDrivers().includes(driver)) continue;
    const { siteOnly = [] } = await driverSchemas(driver);
    expect(Object.keys(settings).filter((key) => siteOnly.includes(key))).toEqual([]);
  }
  for (const driver of listDrivers()) {
    const { siteOnly = [], settings } = await driverSchemas(driver);
    const { error } = settings.safeParse(Object.fromEntries(siteOnly.map((key) => [key, undefined])));
    const unknown = error?.issues.filter(({ code }) => code === "unrecognized_keys") ?? [];
    expect(unknown).toEqual([]);
  }
});
