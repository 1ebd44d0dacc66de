import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Redaction, siteFileValues, siteSecrets } from "./site-secrets.ts";

/** Site files as they are when somebody asks for help: wrong, with secrets where nobody looks for them. */

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-secrets-"));
  mkdirSync(join(folder, "devices.d"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function bundled(text: string): string {
  const site = join(folder, "gateway.yaml");
  writeFileSync(site, text);
  const redaction = new Redaction(siteSecrets(site));
  return JSON.stringify(siteFileValues(site).map(({ value }) => redaction.siteFile(value)));
}

describe("a site file that is wrong", () => {
  it.each([
    ["a login with a slash in its address", 'uplinks: [{ url: "mqtt://svc:Canary/71@ioc:1883" }]'],
    ["a login with an at sign in its address", 'uplinks: [{ url: "mqtt://svc:p@Canary-71@ioc:1883" }]'],
    ["a misspelt key", "uplinks: [{ id: ioc, pasword: Canary-71 }]"],
    ["a key that kerb does not have", "devices: [{ id: a, credentials: [Canary-71] }]"],
    ["keys below such a one", "devices: [{ id: a, communities: { read: Canary-71 } }]"],
    ["a key in Vietnamese", 'devices: [{ id: a, "mật khẩu": Canary-71 }]'],
    ["a key in Vietnamese without marks", "devices: [{ id: a, mat_khau: 71717171 }]", "71717171"],
    ["a header that must not be set", 'devices: [{ headers: { Authorization: "Bearer Canary-71" } }]'],
    ["a header of the maker's own", "devices: [{ headers: { X-Gateway-Id: Canary-71 } }]"],
    ["a private key", String.raw`uplinks: [{ tls: { key: "-----BEGIN PRIVATE KEY-----\nCanary71\n" } }]`],
    ["an unknown key of any name", "devices: [{ id: a, dsn: Canary-71 }]"],
  ])("tells nobody of %s", (_, text, secret = "Canary") => {
    expect(bundled(text)).not.toContain(secret);
  });

  it("still says what it says", () => {
    const text =
      "gateway: { id: gw-01, city: test }\ndevices: [{ id: a, driver: http, headers: { Accept: text/plain }, " +
      'points: { native.level: { unit: m, values: { low: "thấp" }, address: { path: /v } } }, ' +
      "tls: { pin: abc }, poll: 5s }]";
    const shown = bundled(text);
    for (const part of ["gw-01", "http", "text/plain", "native.level", "thấp", "/v", "5s"])
      expect(shown).toContain(part);
    expect(shown).not.toContain("[redacted]");
  });
});

describe("a log that was written before", () => {
  it.each([
    "Authorization: Basic c3ZjOkNhbmFyeQ==",
    '{"authorization":"Digest Canary71"}',
    "Cookie: session=Canary71; a=Canary71",
    "GET /cgi?user=x&password=Canary71 401",
    String.raw`body {\"token\":\"Canary71\"}`,
    '{"community":"Canary71"}',
    "sent Bearer Canary71-abcdef",
    "-----BEGIN RSA PRIVATE KEY-----\nCanary71\nCanary71\n-----END RSA PRIVATE KEY-----",
    "mqtt://svc:Canary71/x@ioc:1883 refused",
    "eyJhbGciOiJIUzI1NiJ9.Q2FuYXJ5NzFDYW5hcnk3MQ.Canary71",
  ])("tells no secret: %s", (line) => {
    const shown = new Redaction([]).text(`before ${line} `);
    expect(shown).not.toMatch(/Canary|Q2FuYXJ5|c3ZjOkNhb/);
    expect(shown).toContain("before ");
  });

  it("is as it was without one", () => {
    const line =
      '{"level":30,"driver":"modbus","msg":"basic authentication is wanted, token: see kerb explain; ${secret:ioc}"}';
    expect(new Redaction([]).text(line)).toBe(line);
  });

  it("does not keep a bundle waiting, whatever it holds", () => {
    const startedMs = performance.now();
    for (const part of [
      "//",
      "a@",
      "-----BEGIN PRIVATE KEY-----",
      "eyJaaaaaaaaaa.",
      "password=",
      "cookie: ",
      "basic ",
    ])
      new Redaction([]).text(part.repeat(200_000 / part.length));
    expect(performance.now() - startedMs).toBeLessThan(20_000);
  });
});
