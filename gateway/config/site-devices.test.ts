import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { DeviceConfig, Site } from "./config.ts";
import { driverSchemas, listDrivers } from "./drivers.ts";
import { bare, personalData, readWithoutFolder } from "./site-devices.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "kerb-token-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const warnings: string[] = [];
const log = { warn: (text: string) => void warnings.push(text) };
const site = (privacy: string, enabled = true, stateFolder = folder) =>
  ({
    privacy: { personalData: "token" },
    gateway: { stateFolder },
    devices: [{ enabled, records: [{ fields: [{ privacy }] }] }],
  }) as unknown as Site;

it("makes the key of tokens once, whole, and anew when a power cut has left too little of it", () => {
  const first = personalData(site("token"), log);
  expect(first).toMatchObject({ how: "token", key: expect.stringMatching(/^[\w-]{43}$/) });
  expect(personalData(site("token"), log)).toEqual(first);
  expect(warnings).toEqual([]);
  const file = join(folder, "token.key");
  writeFileSync(file, "");
  const second = personalData(site("token"), log);
  expect(second).toMatchObject({ key: readFileSync(file, "utf8").trim() });
  expect(second).toMatchObject({ key: expect.stringMatching(/^[\w-]{43}$/) });
  expect(warnings.join()).toContain("token.key is cut short");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["token.key"]);
});

it("needs no file where no enabled device has personal data", () => {
  expect(personalData(site("clear"), log)).toEqual({ how: "drop" });
  expect(personalData(site("token", false, "/nowhere"), log)).toEqual({ how: "drop" });
  expect(readdirSync(folder)).toEqual([]);
});

const device = (driver: string, poll = "fast") =>
  ({ id: `${driver}-${poll}`, driver, records: [], points: [{ poll }] }) as unknown as DeviceConfig;

it("reads nobody without the state folder whose driver has to know whom to trust", async () => {
  const early = await readWithoutFolder([
    ...listDrivers().map((name) => device(name)),
    device("snmp", "push"),
  ]);
  expect(early.map(({ id }) => id)).toEqual(["modbus-fast", "serial-fast", "snmp-fast"]);
});

it("gives hosts of what may be written what must be seen at the device, and no more", () => {
  const interlock = [{ point: "door", equals: false }];
  const write = { interlock, readBack: "actual", safety: true, limits: [0, 1] };
  const point = { name: "level", write } as unknown as Parameters<typeof bare>[0];
  expect(bare(point)).toEqual({ name: "level", write: { interlock, readBack: "actual" } });
  const { write: _, ...other } = point;
  expect(bare(other)).toEqual({ name: "level" });
});

const drivers = fileURLToPath(new URL("../../drivers", import.meta.url));

it("is told of each driver that uses its folder by the settings that only the site may say", async () => {
  for (const name of listDrivers()) {
    const source = join(drivers, name, "index.ts");
    if (!readFileSync(source, "utf8").includes(".folder")) continue;
    expect((await driverSchemas(name)).siteOnly, name).not.toEqual(undefined);
  }
});
