import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Authorizer, parseChallenges } from "./auth.ts";
import { connect, failure, http, json, points, read, scripted } from "./testing.ts";

const auth = { type: "digest", user: "Mufasa", password: "Circle of Life" } as const;
const v = points({ path: "/v", pick: "$.v" });
const digest = (more: string) =>
  http(401, "", { "WWW-Authenticate": `Digest realm="r", nonce="n", qop="auth"${more}` });
const hasLogin = (request: string) => /^authorization: /im.test(request);

const sha = (text: string) => createHash("sha512-256").update(text).digest("hex");
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

it("a challenge that is hostile costs no time", () => {
  const lines = Array.from({ length: 8 }, () => `Digest a${" ".repeat(4080)}!`);
  const begunMs = performance.now();
  for (let i = 0; i < 50; i++) parseChallenges(lines);
  // With a square of the blanks it took a second and a half for eight rounds.
  expect(performance.now() - begunMs).toBeLessThan(1000);
});

const answered = (challenge: string, message = { method: "GET", uri: "/" }, user = "Mufasa") => {
  const authorizer = new Authorizer({ ...auth, user });
  expect(authorizer.challenged([`Digest ${challenge}`])).toBe(true);
  return (given = message) => {
    const [, header = ""] = authorizer.header(given) ?? [];
    return new Map(
      [...header.matchAll(/([\w*]+)=(?:"([^"]*)"|([^\s,]+))/g)].map(([, name = "", quoted, bare]) => [
        name,
        quoted ?? bare ?? "",
      ]),
    );
  };
};

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
      expect(authorizer.header({ method: "GET", uri: "/dir/index.html" })).toBeUndefined();
      expect(authorizer.challenged([`Digest realm="${realm}", nonce="7ypf", opaque="FQhe"${more}`])).toBe(
        true,
      );
      const hash = (text: string) => createHash(name).update(text).digest("hex");
      for (const count of ["00000001", "00000002"]) {
        const [, header = ""] = authorizer.header({ method: "GET", uri: "/dir/index.html" }) ?? [];
        const own = /cnonce="([^"]+)"/.exec(header)?.[1] ?? "";
        const secret = hash(`Mufasa:${realm}:Circle of Life`);
        const expected = hash(`${secret}:7ypf:${count}:${own}:auth:${hash("GET:/dir/index.html")}`);
        expect(header).toContain(`response="${expected}"`);
        expect(header).toContain(`nc=${count}`);
        expect(header).toContain('opaque="FQhe"');
      }
    }
  });

  it("of a session has one key, made of the first nonces of both", () => {
    const next = answered('realm="r", nonce="n", qop="auth", algorithm=MD5-sess');
    const first = next();
    const second = next();
    const a1 = md5(`${md5("Mufasa:r:Circle of Life")}:n:${first.get("cnonce")}`);
    const uses = `00000002:${second.get("cnonce")}:auth`;
    expect(second.get("nc")).toBe("00000002");
    expect(second.get("response")).toBe(md5(`${a1}:n:${uses}:${md5("GET:/")}`));
  });

  it("covers the body where the server wants nothing less", () => {
    const fields = answered('realm="r", nonce="n", qop="auth-int"')({
      method: "PUT",
      uri: "/x",
      body: '{"a":1}',
    } as never);
    const a2 = md5(`PUT:/x:${md5('{"a":1}')}`);
    const uses = `00000001:${fields.get("cnonce")}:auth-int`;
    expect(fields.get("qop")).toBe("auth-int");
    expect(fields.get("response")).toBe(md5(`${md5("Mufasa:r:Circle of Life")}:n:${uses}:${a2}`));
  });

  it("hides the user where the server has room for it, as in the example of RFC 7616 (3.9.2)", () => {
    const authorizer = new Authorizer({
      type: "digest",
      user: "J\u00e4s\u00f8n Doe",
      password: "Secret, or not?",
    });
    const nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK";
    const opaque = "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS";
    expect(
      authorizer.challenged([
        `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="${nonce}", opaque="${opaque}", charset=UTF-8, userhash=true`,
      ]),
    ).toBe(true);
    const [, header = ""] = authorizer.header({ method: "GET", uri: "/doe.json" }) ?? [];
    // As the erratum to the RFC has it.
    expect(header).toContain('username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"');
    const own = /cnonce="([^"]+)"/.exec(header)?.[1] ?? "";
    const secret = sha("J\u00e4s\u00f8n Doe:api@example.org:Secret, or not?");
    expect(header).toContain(
      `response="${sha(`${secret}:${nonce}:00000001:${own}:auth:${sha("GET:/doe.json")}`)}"`,
    );
  });

  it("carries letters of any language, in the user and in the realm", () => {
    const utf8 = Buffer.from("tủ đèn").toString("latin1");
    const fields = answered(`realm="${utf8}", nonce="n"`, undefined, "kỹ sư")();
    expect(fields.get("username*")).toBe("UTF-8''k%E1%BB%B9%20s%C6%B0");
    expect(fields.get("realm")).toBe(utf8);
    expect(fields.get("response")).toBe(md5(`${md5("kỹ sư:tủ đèn:Circle of Life")}:n:${md5("GET:/")}`));
  });

  it("that was right is tried once with a new nonce, for a server that has forgotten the old one", async () => {
    const server = await scripted((request, socket, index) =>
      socket.write(
        index === 2
          ? digest("").toString("latin1").replace('nonce="n"', 'nonce="m"')
          : hasLogin(request)
            ? json({ v: index })
            : digest(""),
      ),
    );
    const connection = await connect(server.port, { auth });
    expect(await read(connection, v)).toEqual([1]);
    expect(await read(connection, v)).toEqual([3]);
    expect(server.requests).toHaveLength(4);
    const refusing = await scripted((_, socket, index) =>
      socket.write(
        index === 1 ? json({ v: 1 }) : digest("").toString("latin1").replace('="n"', `="n${index}"`),
      ),
    );
    const wrong = await connect(refusing.port, { auth });
    expect(await read(wrong, v)).toEqual([1]);
    expect(await failure(read(wrong, v))).toMatch(/^denied: .*; the server takes: digest$/);
    expect(refusing.requests).toHaveLength(4);
  });

  it("without qop is the old form", () => {
    const authorizer = new Authorizer(auth);
    expect(authorizer.challenged(['Digest realm="r", nonce="n"'])).toBe(true);
    const [, header = ""] = authorizer.header({ method: "GET", uri: "/" }) ?? [];
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
