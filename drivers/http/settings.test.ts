import { describe, expect, it } from "vitest";
import { address, settings } from "./settings.ts";

const pem = "-----BEGIN CERTIFICATE-----";
const hook = { listen: "192.168.1.5:8080", token: "0123456789abcdef" };

describe("settings", () => {
  it.each([
    { host: "10.0.0.9" },
    { host: "lights.example.vn", tls: {}, auth: { type: "bearer", token: "t" } },
    { host: "fe80::1%eth0", tls: { pin: `sha256:${"aB:".repeat(31)}cd`, cert: pem, key: pem } },
    { host: "h", auth: { type: "digest", user: "u", password: "p" } },
    { host: "h", auth: { type: "basic", user: "u", password: "p" }, insecure: "acknowledged" },
    { webhook: hook, insecure: "acknowledged" },
    { webhook: { ...hook, signature: { key: "k" } } },
    { webhook: { ...hook, listen: "[::1]:8080" } },
    { host: "fe80::1%eth0.100" },
    { host: "::ffff:192.168.1.9", charset: "windows-1258" },
  ])("%j", (given) => expect(settings.safeParse(given).error).toBeUndefined());

  it.each([
    [{}, /a host that is asked, or a webhook/],
    [{ host: "http://h" }, /a name or an address/],
    [{ host: "h", basePath: "/a/" }, /path without/],
    [{ host: "h", auth: { type: "basic", user: "u", password: "p" } }, /over the wire in clear/],
    [{ host: "h", auth: { type: "header", name: "X-Key", value: "k" } }, /over the wire in clear/],
    [{ host: "h", tls: { cert: pem } }, /belong together/],
    [{ host: "h", tls: { ca: "ca.pem" } }, /PEM/],
    [{ host: "h", timeout: "15s" }, /up to 14s/],
    [{ host: "h", headers: { "X-A": "b\r\nX-C: d" } }, /Invalid|pattern/],
    [{ webhook: { ...hook, token: "short" } }, /16 to 128/],
    [{ webhook: { ...hook, listen: "8080" } }, /a port/],
    [{ webhook: { ...hook, listen: "127.0.0.1:99999" } }, /no such address or port/],
    [{ webhook: { ...hook, listen: "127.0.0.1:0" } }, /no such address or port/],
    [{ webhook: { ...hook, listen: "300.0.0.1:8080" } }, /no such address or port/],
    [{ webhook: hook }, /its token would go over the wire in clear/],
    [{ host: "h", headers: { Authorization: "Basic eDp5" } }, /belongs under \\?"auth/],
    [{ host: "h", headers: { "transfer-encoding": "chunked" } }, /cannot be set here/],
    [{ host: "h", charset: "klingon" }, /character set/],
    [{ host: "h", utcOffset: "+99:00" }, /offset/],
  ])("%j is refused", (given, why) => expect(settings.safeParse(given).error?.message).toMatch(why));
});

describe("addresses", () => {
  it.each([
    { path: "/a?b=c", pick: "$.x[?id=7].y", time: "$.t" },
    { pick: "$" },
    { path: "/a", write: { body: { level: "{value}" } } },
  ])("%j", (given) => expect(address.safeParse(given).error).toBeUndefined());

  it.each([
    [{ path: "http://other/x" }, /path from/],
    [{ path: "//other/x" }, /path from/],
    [{ path: "/a b" }, /path from/],
    [{ path: "/a", pick: "$..x" }, /place in the document/],
    [{ pick: "$.x", format: "xml" }, /only with a path/],
    [{ path: "/a", write: { body: { level: 1 } } }, /in one place/],
    [{ path: "/a", write: { body: ["{value}", "{value}"] } }, /in one place/],
  ])("%j is refused", (given, why) => expect(address.safeParse(given).error?.message).toMatch(why));
});
