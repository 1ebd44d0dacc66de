import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Authorizer, parseChallenges } from "./auth.ts";
import { connect, failure, http, json, points, read, scripted } from "./testing.ts";

const auth = { type: "digest", user: "Mufasa", password: "Circle of Life" } as const;
const v = points({ path: "/v", pick: "$.v" });
const digest = (more: string) =>
  http(401, "", { "WWW-Authenticate": `Digest realm="r", nonce="n", qop="auth"${more}` });
const hasLogin = (request: string) => /^authorization: /im.test(request);

const md5 = (text: string): string => createHash("md5").update(text).digest("hex");

describe("challenges", () => {
  it("are read from one line or from several, quotes and blanks as they come", () => {
    const line = 'Basic realm="a, b", Digest realm="x \\"y\\"" ,nonce=abc, qop="auth,auth-int", stale=TRUE';
    expect(parseChallenges([line, "Negotiate"])).toEqual([
      { scheme: "basic", parameters: new Map([["realm", "a, b"]]) },
      {
        scheme: "digest",
        parameters: new Map([
          ["realm", 'x "y"'],
          ["nonce", "abc"],
          ["qop", "auth,auth-int"],
          ["stale", "TRUE"],
        ]),
      },
      { scheme: "negotiate", parameters: new Map() },
    ]);
    for (const rubbish of ["", "=", ",,,", '"'.repeat(5000), "a=b=c", "Digest ".repeat(900)])
      expect(Array.isArray(parseChallenges([rubbish]))).toBe(true);
  });
});

describe("digest", () => {
  it("is computed as RFC 2617 and RFC 7616 say, and the uses of a nonce are counted", () => {
    // Their worked examples name the client's nonce; ours is random, so the answer is computed again here.
    const cases = [
      ["md5", "http-auth@example.org", ', algorithm=MD5, qop="auth"'],
      ["sha256", "http-auth@example.org", ', algorithm=SHA-256, qop="auth"'],
      ["md5", "testrealm@host.com", ', qop="auth,auth-int"'],
    ] as const;
    for (const [name, realm, more] of cases) {
      const authorizer = new Authorizer(auth);
      expect(authorizer.header("GET", "/dir/index.html")).toBeUndefined();
      expect(authorizer.challenged([`Digest realm="${realm}", nonce="7ypf", opaque="FQhe"${more}`])).toBe(
        true,
      );
      const hash = (text: string) => createHash(name).update(text).digest("hex");
      for (const count of ["00000001", "00000002"]) {
        const [, header = ""] = authorizer.header("GET", "/dir/index.html") ?? [];
        const own = /cnonce="([^"]+)"/.exec(header)?.[1] ?? "";
        const secret = hash(`Mufasa:${realm}:Circle of Life`);
        const expected = hash(`${secret}:7ypf:${count}:${own}:auth:${hash("GET:/dir/index.html")}`);
        expect(header).toContain(`response="${expected}"`);
        expect(header).toContain(`nc=${count}`);
        expect(header).toContain('opaque="FQhe"');
      }
    }
  });

  it("without qop is the old form", () => {
    const authorizer = new Authorizer(auth);
    expect(authorizer.challenged(['Digest realm="r", nonce="n"'])).toBe(true);
    const [, header = ""] = authorizer.header("GET", "/") ?? [];
    const secret = md5("Mufasa:r:Circle of Life");
    expect(header).toContain(`response="${md5(`${secret}:n:${md5("GET:/")}`)}"`);
    expect(header).not.toContain("qop");
  });

  it("is tried once with a password, so that no login is locked, and again only for a nonce that grew stale", async () => {
    const refusing = await scripted((_, socket) => socket.write(digest("")));
    expect(await failure(read(await connect(refusing.port, { auth }), v))).toMatch(
      /^denied: .*the login was refused/,
    );
    expect(refusing.requests.map(hasLogin)).toEqual([false, true]);
    const stale = await scripted((_, socket, index) =>
      socket.write(index === 2 ? json({ v: 1 }) : digest(", stale=true")),
    );
    const connection = await connect(stale.port, { auth });
    expect(await read(connection, v)).toEqual([1]);
    expect(stale.requests.map(hasLogin)).toEqual([false, true, true]);
    const endless = await scripted((_, socket) => socket.write(digest(", stale=true")));
    expect(await failure(read(await connect(endless.port, { auth }), v))).toMatch(/^denied/);
    expect(endless.requests).toHaveLength(3);
  });

  it("is never sent as a basic login, nor a basic login to who asks for a digest", async () => {
    const basic = await scripted((_, socket) =>
      socket.write(http(401, "", { "WWW-Authenticate": 'Basic realm="r"' })),
    );
    expect(await failure(read(await connect(basic.port, { auth }), v))).toMatch(/^denied/);
    expect(basic.requests.map(hasLogin)).toEqual([false]);
  });

  it("of a server that wants to break the header ends the device, not the host", async () => {
    const hostile = await scripted((_, socket) =>
      socket.write(
        http(401, "", { "WWW-Authenticate": 'Digest realm="\u00ff\u0101", nonce="n", qop="auth"' }),
      ),
    );
    expect(await failure(read(await connect(hostile.port, { auth }), v))).toMatch(/^(denied|garbage)/);
  });
});
