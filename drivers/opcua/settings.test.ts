import { describe, expect, test } from "vitest";
import { address, settings, wire } from "./settings.ts";
import { urlOf } from "./url.ts";

const problem = (schema: typeof settings | typeof address, value: unknown): string =>
  schema
    .safeParse(value)
    .error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)
    .join("; ") ?? "";

describe("settings", () => {
  test("sign and encrypt, and trust nobody, unless they say otherwise", () => {
    expect(settings.parse({ host: "10.0.0.9" })).toMatchObject({
      port: 4840,
      security: "sign-and-encrypt",
      policy: "Basic256Sha256",
      trust: "pinned",
    });
  });

  test.each([
    [{ host: "a", path: "UA/Server" }, "opc.tcp://a:4840/UA/Server", "a:4840"],
    [{ host: "fe80::1", port: 48010 }, "opc.tcp://[fe80::1]:48010", "[fe80::1]:48010"],
    [{ endpoint: "opc.tcp://opc/UA" }, "opc.tcp://opc:4840/UA", "opc:4840"],
    [{ endpoint: "opc.tcp://plc/UA" }, "opc.tcp://plc:4840/UA", "plc:4840"],
    [{ endpoint: "opc.tcp://[::1]:4841" }, "opc.tcp://[::1]:4841", "[::1]:4841"],
  ])("%o is %s", (given, url, place) => {
    expect(urlOf(settings.parse(given))).toEqual({ url, place });
  });

  test.each([
    [{}, "endpoint"],
    [{ host: "a", endpoint: "opc.tcp://b" }, "endpoint"],
    [{ host: "a", user: "x" }, "password"],
    [{ host: "a", certificate: "x" }, "key"],
    [{ host: "a", user: "x", password: "y", certificate: "c", key: "k" }, "user"],
    [{ host: "a", security: "none", pin: "00".repeat(32) }, "pin"],
    [{ host: "a", pin: "12:34" }, "64 hex digits"],
    [{ host: "a", policy: "Basic128Rsa15" }, "policy"],
    [{ host: "a", security: "off" }, "security"],
  ])("refuse %o", (given, named) => {
    expect(problem(settings, given)).toContain(named);
  });

  test("take a fingerprint as openssl prints it", () => {
    const pin = Array.from({ length: 32 }, () => "AB").join(":");
    expect(settings.parse({ host: "a", pin }).pin).toBe("ab".repeat(32));
  });
});

describe("an address", () => {
  test.each([
    [{ node: "ns=2;s=Line1" }, "namespace index"],
    [{ node: "Line1" }, "i=2258"],
    [{ node: "i=1", path: "a" }, "one of node, path and field"],
    [{}, "one of node, path and field"],
    [{ path: "a//b" }, "browse names"],
    [{ node: "i=1", member: "Gross" }, "belong together"],
    [{ node: "i=1", layout: { Net: "Double" }, member: "Gross" }, "no such member"],
    [{ node: "i=1", deadband: 1, deadbandPercent: 1 }, "either absolute or in percent"],
  ])("refuses %o", (given, named) => {
    expect(problem(address, given)).toContain(named);
  });

  test.each([
    "i=2258",
    "nsu=http://acme.vn/plc;s=DB1.Speed [km/h]; x",
    "nsu=urn:a;g=09087e75-8e5e-499b-954f-f2a9603db28a",
    "nsu=urn:a;b=AQI=",
  ])("takes %s", (node) => {
    expect(problem(address, { node })).toBe("");
  });
});

test.each([
  [{ host: "10.1.2.3" }, "10.1.2.3", 4840],
  [{ host: "fe80::1", port: 4841 }, "fe80::1", 4841],
  [{ endpoint: "opc.tcp://box.local/UA" }, "box.local", 4840],
  [{ endpoint: "opc.tcp://[::1]:4842" }, "::1", 4842],
])("a recording of %o is of its place, and is played in clear without a login", (given, host, port) => {
  const login = { user: "viewer", password: "secret", pin: "ab".repeat(32) };
  const way = wire(settings.parse({ ...given, ...login }));
  expect(way).toMatchObject({ over: "opcua", host, port });
  if (way.over !== "opcua") throw new Error(way.over);
  const moved = way.moved({ host: "127.0.0.1", port: 9 });
  expect(urlOf(moved).place).toBe("127.0.0.1:9");
  expect(moved).toMatchObject({ security: "none" });
  expect(Object.keys(moved)).not.toEqual(expect.arrayContaining(["user"]));
  expect(JSON.stringify({ ...moved, ...way.instead })).not.toMatch(/viewer|secret|abab|box/);
});
