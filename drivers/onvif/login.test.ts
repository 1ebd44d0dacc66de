import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { Digest, strongest, usernameToken } from "./login.ts";

const credentials = { user: "Mufasa", password: "Circle of Life" };
const md5 = (text: string) => createHash("md5").update(text).digest("hex");
const valueOf = (header: string, name: string) => new RegExp(`\\b${name}="?([^",]+)`).exec(header)?.[1] ?? "";

it.each([
  ["MD5", "md5"],
  ["SHA-256", "sha256"],
])("answers a challenge as RFC 7616 has it, with %s", (algorithm, hashName) => {
  // The realm, nonce and opaque of the examples in clause 3.9.1.
  const challenge = strongest([
    `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
  ]);
  const header = new Digest(challenge!, credentials).header("GET", "/dir/index.html");
  const hash = (text: string) => createHash(hashName).update(text).digest("hex");
  const [nonce, count, own] = ["nonce", "nc", "cnonce"].map((name) => valueOf(header, name));
  const secret = hash("Mufasa:http-auth@example.org:Circle of Life");
  const expected = hash(`${secret}:${nonce}:${count}:${own}:auth:${hash("GET:/dir/index.html")}`);
  expect(valueOf(header, "response")).toBe(expected);
  expect([count, valueOf(header, "opaque"), valueOf(header, "algorithm")]).toEqual([
    "00000001",
    "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    algorithm,
  ]);
});

it("gives the response of RFC 2617, clause 3.5, without qop as RFC 2069 wrote it", () => {
  const challenge = strongest([
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
  ]);
  const header = new Digest(challenge!, credentials).header("GET", "/dir/index.html");
  expect(valueOf(header, "response")).toBe(
    md5(
      `${md5("Mufasa:testrealm@host.com:Circle of Life")}:dcd98b7102dd2f0e8b11d0f600bfb0c093:${md5("GET:/dir/index.html")}`,
    ),
  );
  expect(header).not.toMatch(/qop|cnonce|nc=/);
});

it("counts the uses of a nonce, prefers SHA-256, and never answers Basic", () => {
  const headers = [
    'Digest realm="r", nonce="a", qop="auth"',
    'Digest realm="r", nonce="b", qop="auth", algorithm="SHA-256"',
  ];
  const challenge = strongest(headers);
  expect(challenge).toMatchObject({ hash: "sha256", nonce: "b" });
  const digest = new Digest(challenge!, credentials);
  const counts = [1, 2, 3].map(() => valueOf(digest.header("POST", "/x"), "nc"));
  expect(counts).toEqual(["00000001", "00000002", "00000003"]);
  expect(strongest(['Basic realm="r"', 'Digest realm="r", nonce="a", algorithm="SHA-1"'])).toBeUndefined();
  expect(strongest([`Digest nonce="${"x".repeat(5000)}"`])).toBeUndefined();
});

it("makes the token of WS-UsernameToken 1.0 at the camera's time, and never the same twice", () => {
  const atMs = Date.UTC(2026, 10, 22, 3, 0, 10);
  const tokens = [usernameToken(credentials, atMs), usernameToken(credentials, atMs)];
  const [token = ""] = tokens;
  const of = (name: string) => new RegExp(`<(?:wsse|wsu):${name}[^>]*>([^<]*)<`).exec(token)?.[1] ?? "";
  const nonce = Buffer.from(of("Nonce"), "base64");
  const digest = createHash("sha1")
    .update(nonce)
    .update(of("Created"))
    .update("Circle of Life")
    .digest("base64");
  expect(of("Password")).toBe(digest);
  expect(of("Created")).toBe("2026-11-22T03:00:10.000Z");
  expect(new Set(tokens).size).toBe(2);
  expect(tokens.join("")).not.toContain("Circle of Life");
});

it.each([
  ["MD5-sess", "md5"],
  ["SHA-256-sess", "sha256"],
  ["SHA-512-256", "sha512-256"],
])("answers %s, whose session keeps its first nonce", (algorithm, hashName) => {
  const challenge = strongest([`Digest realm="r", nonce="n", qop="auth", algorithm=${algorithm}`]);
  const digest = new Digest(challenge!, credentials);
  const hash = (text: string) => createHash(hashName).update(text).digest("hex");
  const owns = [1, 2].map(() => {
    const header = digest.header("POST", "/x");
    const [count, own, response] = ["nc", "cnonce", "response"].map((name) => valueOf(header, name));
    const secret = hash("Mufasa:r:Circle of Life");
    const key = algorithm.endsWith("-sess") ? hash(`${secret}:n:${own}`) : secret;
    expect(response).toBe(hash(`${key}:n:${count}:${own}:auth:${hash("POST:/x")}`));
    return own;
  });
  expect(new Set(owns).size).toBe(algorithm.endsWith("-sess") ? 1 : 2);
});

it("finds the challenges of one header, and takes an empty qop for none", () => {
  const both =
    'Basic realm="a, Digest nonce=x", Digest realm="b", nonce="n1", qop="", Digest realm="b", nonce="n2", algorithm=sha-256';
  expect(strongest([both])).toMatchObject({ nonce: "n2", realm: "b", named: "sha-256" });
  const [only] = [strongest(['Basic realm="a", Digest realm="b", nonce="n1", qop=""'])];
  expect(only).toMatchObject({ nonce: "n1", hasQop: false });
});

it("keeps quotes in names, and writes a name beyond ASCII as RFC 7616 has it", () => {
  const challenge = strongest([String.raw`Digest realm="the \"north\" gate", nonce="n"`]);
  const header = new Digest(challenge!, { user: 'a"b', password: "p" }).header("GET", "/");
  expect(header).toContain(String.raw`realm="the \"north\" gate"`);
  expect(header).toContain(String.raw`username="a\"b"`);
  expect(valueOf(header, "response")).toBe(md5(`${md5('a"b:the "north" gate:p')}:n:${md5("GET:/")}`));
  const foreign = new Digest(challenge!, { user: "kỹ thuật", password: "p" }).header("GET", "/");
  expect(foreign).toContain("username*=UTF-8''k%E1%BB%B9%20thu%E1%BA%ADt,");
});
