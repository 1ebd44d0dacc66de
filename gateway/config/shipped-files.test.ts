import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadSite } from "./config.ts";
import { listDrivers } from "./drivers.ts";
import { jsonSchemas } from "./json-schema.ts";
import { configFolder, meter, write } from "./testing.ts";

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
        /^( +)# (insecure|username|password|ca|cert|key|legalBasis|tokenKey|snapshots|silence|records|location|levels|serial|write|schedules): /gm,
        "$1$2: ",
      )
      .replaceAll(
        /^# ( *(health|listen|insecure|commands|issuers|roles|ratePerMinute|clock|twin|allow|watch):)/gm,
        "$1",
      );
    expect(full.split("\n").filter((line, index) => line !== sample.split("\n")[index])).toHaveLength(28);
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
    for (const part of ["gateway", "outbox", "privacy", "log", "health", "commands"])
      expectAllKeys(written[part], propertyOf(gateway, part));
    const uplinkJson = (propertyOf(gateway, "uplinks") as { items: unknown }).items;
    expectAllKeys(written.uplinks[0], uplinkJson);
    expectAllKeys(written.uplinks[0]?.tls, propertyOf(uplinkJson, "tls"));
    const { oneOf } = (propertyOf(gateway, "devices") as { items: { oneOf: unknown[] } }).items;
    const deviceJson = oneOf[listDrivers().indexOf("modbus")];
    expectAllKeys(written.devices[0], deviceJson);
  });

  // To compile the schemas is work for seconds, and for a busy machine for a minute.
  it("pass the JSON Schemas, and a slip does not", { timeout: 120_000 }, async () => {
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

  const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
  if (!hasSystemd) console.warn("skipped: systemd-analyze is not installed");
  it.skipIf(!hasSystemd)("keeps the exposure of the systemd unit low", () => {
    const unit = join(configFolder, "kerb.service");
    const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=true", unit], {
      encoding: "utf8",
    });
    const exposure = Number(/exposure level for kerb\.service: ([\d.]+)/.exec(stdout)?.[1]);
    expect(exposure).toBeLessThanOrEqual(1.5);
  });
});
