import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepFindings } from "../../discovery/kept.ts";
import type { Finding } from "../../discovery/kept.ts";
import { CommandError } from "../errors.ts";
import { targetOf } from "./device-target.ts";

let folder = "";
let site = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-target-"));
  vi.stubEnv("XDG_CACHE_HOME", folder);
  mkdirSync(join(folder, "state"));
  site = join(folder, "gateway.yaml");
  writeFileSync(site, "version: 1\ngateway: { id: gw-01, name: Tủ, city: test, state: ./state }\n");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const finding: Finding = {
  number: 1,
  driver: "mqtt",
  place: "10.0.0.9:1883",
  settings: { host: "10.0.0.9", topic: "meter/3/state" },
  identity: {},
  match: "none",
  also: [],
  reasons: [],
  needs: [],
};
const found = (settings: Record<string, unknown>) =>
  keepFindings({ version: 1, atMs: 1, found: [{ ...finding, settings }] }, join(folder, "state"));

describe("a device that was found", () => {
  it("is written as it told itself", async () => {
    found(finding.settings);
    expect(await targetOf("1", {}, site, "en")).toMatchObject({ driver: "mqtt", own: finding.settings });
  });

  it.each([
    { topic: "meter/${secret:ioc-password}/state" },
    { variables: { prefix: "${file:/etc/kerb/secrets/ioc}" } },
    { siteId: ["TLC", "${env:KERB_PASSWORD}"] },
    { variables: { "${secret:x}": "y" } },
  ])("gets no secret by calling itself like one: %j", async (settings) => {
    found({ host: "10.0.0.9", ...settings });
    for (const language of ["en", "vi"] as const)
      await expect(targetOf("1", {}, site, language)).rejects.toThrow(CommandError);
  });
});

describe("an address", () => {
  it.each([
    ["10.0.0.4", { host: "10.0.0.4" }],
    ["10.0.0.4:1502", { host: "10.0.0.4", port: 1502 }],
    ["tcp://10.0.0.4:1502", { host: "10.0.0.4", port: 1502 }],
    ["tcp://[fe80::1]:1502/", { host: "fe80::1", port: 1502 }],
  ])("may be written as %s", async (text, transport) => {
    const { own } = await targetOf(text, { driver: "modbus" }, site, "en");
    expect(own["transport"]).toMatchObject(transport);
  });
});

describe("a secret on the command line", () => {
  it.each([
    ["http", "auth.value=AbCdEf123"],
    ["http", "webhook.signature.key=AbCdEf123"],
    ["onvif", "password=12345678"],
    ["snmp", "community=4711"],
  ])("is not written into a file: %s --set %s", async (driver, set) => {
    await expect(targetOf("10.0.0.9", { driver, set: [set] }, site, "en")).rejects.toThrow(/is a secret/);
  });

  it("may be named", async () => {
    const { own } = await targetOf(
      "10.0.0.9",
      { driver: "snmp", set: ["community=${secret:snmp}", "timeout=2s"] },
      site,
      "en",
    );
    expect(own).toMatchObject({ community: "${secret:snmp}" });
  });
});
