import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { Answer, Sink } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { settings } from "./settings.ts";
import { cleanUp, freePort, connect, failure, patient, points, read } from "./testing.ts";

/** Programs that are not ours: Python's and lighttpd's servers before the driver, curl before the webhook. */

const run = promisify(execFile);
function has(program: string): boolean {
  const isThere = [program, `/usr/sbin/${program}`].some(
    (one) => spawnSync(one, ["-V"], { stdio: "ignore" }).error === undefined,
  );
  if (!isThere) console.warn(`skipped: ${program} is not installed`);
  return isThere;
}
const lighttpd = has("lighttpd");
const curl = has("curl");
const openssl = has("openssl");
const lighttpdTls = existsSync("/usr/lib/lighttpd/mod_openssl.so");
if (!lighttpdTls) console.warn("skipped: lighttpd-mod-openssl is not installed");

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "kerb-http-"));
  cleanUp(async () => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function serving(port: number, command: string, ...args: string[]): Promise<void> {
  const child: ChildProcess = spawn(command, args, { stdio: "ignore" });
  cleanUp(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null) throw new Error(`${command} has ended with ${child.exitCode}`);
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(port, "127.0.0.1", () => resolve(socket.destroy() !== undefined));
      socket.on("error", () => resolve(false));
    });
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error(`${command} does not listen on ${port}`);
}

const text = (file: string): string => readFileSync(file, "utf8");

const files = {
  "meter.json": '{"voltage": 231.5, "serial": "A-1", "time": "2026-11-22T04:00:00Z"}',
  "meter.xml": "<m><v name='voltage'>231.5</v></m>",
  "meter.csv": 'voltage;note\n231,5;"a;b"\n',
};
const wanted = points(
  { path: "/meter.json", pick: "$.voltage", time: "$.time" },
  { path: "/meter.xml", pick: "$.m.v[?@name=voltage].#text", format: "xml" },
  { path: "/meter.csv", pick: "$[0].note", format: "csv", type: "text" },
  { path: "/missing.json", pick: "$.voltage" },
);

/** Files that stand there since yesterday. */
const writtenAt = new Date(Math.floor(Date.now() / 1000) * 1000 - 86_400_000);

function filled(): string {
  const www = folder();
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(www, name), content);
    utimesSync(join(www, name), writtenAt, writtenAt);
  }
  return www;
}

async function expectAll(port: number, more: Record<string, unknown>): Promise<void> {
  const connection = await connect(port, { timeout: 5000, separator: ";", ...more });
  // The second time the server says that they are unchanged: they are no fresher for it.
  for (const round of ["first", "again"]) {
    const answers = await read(connection, wanted);
    expect(answers, round).toMatchObject([
      { value: 231.5, status: "good", sourceTimeMs: Date.UTC(2026, 10, 22, 4) },
      { value: 231.5, status: "good" },
      { value: "a;b" },
      { status: "bad", code: "http-404" },
    ]);
    const { sourceTimeMs = 0 } = answers[1] as { sourceTimeMs?: number };
    expect(Math.abs(sourceTimeMs - writtenAt.getTime()), round).toBeLessThan(3000);
  }
}

describe("python3 -m http.server", () => {
  it("serves JSON, XML and CSV, and says what is not there and what has not changed", async () => {
    const port = await freePort();
    await serving(
      port,
      "python3",
      "-m",
      "http.server",
      "--bind",
      "127.0.0.1",
      "--directory",
      filled(),
      `${port}`,
    );
    await expectAll(port, {});
  });
});

describe.skipIf(!lighttpd)("lighttpd", () => {
  let place = { port: 0, www: "" };
  const start = async (modules: readonly string[], lines: readonly string[]) => {
    const port = await freePort();
    const www = filled();
    const config = join(folder(), "lighttpd.conf");
    writeFileSync(
      config,
      [
        `server.modules = (${modules.map((name) => `"${name}"`).join(", ")})`,
        `server.document-root = "${www}"`,
        `server.port = ${port}`,
        'server.bind = "127.0.0.1"',
        `server.username = "${userInfo().username === "root" ? "" : userInfo().username}"`,
        'mimetype.assign = (".json" => "application/json", ".xml" => "text/xml", ".csv" => "text/csv")',
        ...lines,
      ]
        .filter((line) => line !== 'server.username = ""')
        .join("\n"),
    );
    await serving(port, "/usr/sbin/lighttpd", "-D", "-f", config);
    place = { port, www };
  };
  const login = async (method: string, algorithm: string) => {
    const users = join(folder(), "users");
    writeFileSync(users, "kerb:secret 1\n");
    await start(
      ["mod_auth", "mod_authn_file"],
      [
        'auth.backend = "plain"',
        `auth.backend.plain.userfile = "${users}"`,
        `auth.require = ("/" => ("method" => "${method}", "realm" => "street", "require" => "valid-user"${algorithm}))`,
      ],
    );
  };

  it.each([
    ["MD5", ', "algorithm" => "MD5"'],
    ["SHA-256", ', "algorithm" => "SHA-256"'],
    ["the stronger of both", ', "algorithm" => "MD5|SHA-256"'],
  ])("takes our digest: %s", async (_, algorithm) => {
    await login("digest", algorithm);
    await expectAll(place.port, { auth: { type: "digest", user: "kerb", password: "secret 1" } });
    // It lets who is wrong wait for a second.
    const wrong = await connect(place.port, {
      timeout: 5000,
      auth: { type: "digest", user: "kerb", password: "secret 2" },
    });
    expect(await failure(read(wrong, wanted))).toMatch(/^denied: .*the login was refused \(401\)/);
    const nobody = await connect(place.port, { timeout: 5000 });
    expect(await failure(read(nobody, wanted))).toMatch(/^denied: .*a login is wanted \(401\)/);
  });

  it("takes our basic login, which wants to be acknowledged in clear", async () => {
    await login("basic", "");
    const auth = { type: "basic", user: "kerb", password: "secret 1" };
    await expectAll(place.port, { auth, insecure: "acknowledged" });
  });

  it.skipIf(!openssl || !lighttpdTls)(
    "speaks TLS with certificates on both sides, by authority and by fingerprint",
    async () => {
      const made = certificates();
      await start(
        ["mod_openssl"],
        [
          'ssl.engine = "enable"',
          `ssl.pemfile = "${made.server.cert}"`,
          `ssl.privkey = "${made.server.key}"`,
          `ssl.ca-file = "${made.ca}"`,
          'ssl.verifyclient.activate = "enable"',
          'ssl.verifyclient.enforce = "enable"',
        ],
      );
      const own = { cert: text(made.client.cert), key: text(made.client.key) };
      await expectAll(place.port, { tls: { ca: text(made.ca), ...own } });
      const fingerprint = (
        await run("openssl", ["x509", "-in", made.server.cert, "-noout", "-fingerprint", "-sha256"])
      ).stdout;
      const pin = `sha256:${fingerprint.trim().split("=")[1]}`;
      await expectAll(place.port, { tls: { pin, ...own } });

      const fails = async (tls: Record<string, unknown>) =>
        failure(read(await connect(place.port, { tls }), wanted));
      expect(await fails(own)).toMatch(/^denied: .*not trusted \(.*its fingerprint is sha256:[0-9a-f]{64}/);
      expect(await fails({ pin: `sha256:${"00".repeat(32)}`, ...own })).toMatch(
        /^denied: .*not the one that is pinned/,
      );
      expect(await fails({ ca: text(made.ca), ...own, serverName: "other.test" })).toMatch(
        /^denied: .*ERR_TLS_CERT_ALTNAME/,
      );
      expect(await fails({ ca: text(made.ca) })).toMatch(/^(denied|hung-up): /);
    },
  );
});

describe.skipIf(!openssl)("openssl s_server", () => {
  it.each([
    ["HTTP/2 and nothing else", ["-alpn", "h2"], /^unsupported: .*it speaks HTTP\/2 only/],
    [
      "TLS 1.1 and nothing newer",
      ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
      /^unsupported: .*nothing newer than TLS 1.1/,
    ],
    ["TLS 1.2", ["-tls1_2"], /^garbage: .*is text\/html and not json/],
  ])("that speaks %s", async (_, args, expected) => {
    const made = certificates();
    const port = await freePort();
    const own = ["-cert", made.server.cert, "-key", made.server.key, "-www", "-quiet"];
    await serving(port, "openssl", "s_server", "-accept", `127.0.0.1:${port}`, ...own, ...args);
    const connection = await connect(port, { timeout: 5000, tls: { ca: text(made.ca) } });
    expect(await failure(read(connection, points({ path: "/", pick: "$.v" })))).toMatch(expected);
  });
});

interface Made {
  ca: string;
  server: { cert: string; key: string };
  client: { cert: string; key: string };
}

const fresh = (name: string): string[] => [
  "-newkey",
  "ec",
  "-pkeyopt",
  "ec_paramgen_curve:prime256v1",
  "-nodes",
  "-keyout",
  `${name}.key`,
];

/** An authority and a certificate for each side, made by openssl. */
function certificates(): Made {
  const at = join(folder(), "pki");
  mkdirSync(at);
  const ssl = (...args: string[]) => {
    const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8", cwd: at });
    if (status !== 0) throw new Error(stderr);
  };
  ssl("req", "-x509", ...fresh("ca"), "-subj", "/CN=ca", "-days", "2", "-out", "ca.pem");
  const issue = (name: string) => {
    writeFileSync(join(at, `${name}.ext`), "subjectAltName=IP:127.0.0.1\n");
    ssl("req", ...fresh(name), "-subj", `/CN=${name}`, "-out", `${name}.csr`);
    const by = [
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
    ];
    ssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.pem`);
    return { cert: join(at, `${name}.pem`), key: join(at, `${name}.key`) };
  };
  return { ca: join(at, "ca.pem"), server: issue("server"), client: issue("client") };
}

/** The status, or "" where there was no answer. */
async function curled(...args: string[]): Promise<string> {
  const common = [
    "-sS",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    "--max-time",
    "10",
    "-H",
    "Content-Type: application/json",
  ];
  const { stdout } = await run("curl", [...common, ...args]).catch((error: { stdout: string }) => error);
  return stdout;
}

describe.skipIf(!curl || !openssl)("curl", () => {
  let heard: Answer[] = [];
  let port = 0;
  const token = "token-of-device-1";

  async function listen(webhook: Record<string, unknown>): Promise<void> {
    port = await freePort();
    heard = [];
    const given = settings.parse({ webhook: { listen: `127.0.0.1:${port}`, token, ...webhook } });
    const connection = await driver.connect(given, { deviceId: "d", log: () => {} }, patient());
    cleanUp(() => connection.close());
    const sink: Sink = {
      alive: () => {},
      readings: (values) => void heard.push(...values.map(({ answer }) => answer)),
      record: () => {},
      poll: () => {},
    };
    const call = connection.subscribe!({
      points: points({ pick: "$.level" }),
      records: [],
      sink,
      signal: patient(),
    });
    call.catch(() => {});
    await sleep(100);
  }

  it("posts over TLS with a certificate, and not without", async () => {
    const made = certificates();
    const { cert, key } = made.server;
    await listen({ tls: { cert: text(cert), key: text(key), clientCa: text(made.ca) } });
    const url = `https://127.0.0.1:${port}/hook/${token}`;
    const own = ["--cacert", made.ca, "--cert", made.client.cert, "--key", made.client.key];
    expect(await curled(...own, "-d", '{"level": 5}', url)).toBe("204");
    expect(await curled("--cacert", made.ca, "-d", '{"level": 6}', url)).toBe("000");
    expect(await curled(...own, "-d", '{"level": 7}', `${url}x`)).toBe("404");
    expect(await curled("-d", '{"level": 8}', url.replace("https", "http"))).toBe("000");
    expect(heard).toEqual([5]);
  });

  it(
    "is not kept out by those who open a connection and never begin with TLS",
    { timeout: 30_000 },
    async () => {
      const made = certificates();
      await listen({ tls: { cert: text(made.server.cert), key: text(made.server.key) } });
      let closed = 0;
      const silent = Array.from({ length: 4 }, () =>
        connectTcp(port, "127.0.0.1")
          .on("error", () => {})
          .on("close", () => closed++),
      );
      cleanUp(async () => silent.forEach((socket) => socket.destroy()));
      for (let i = 0; i < 150 && closed < silent.length; i++) await sleep(100);
      expect(closed).toBe(silent.length);
    },
  );

  it("posts in clear with a signature that openssl has made, in pieces and after asking for leave", async () => {
    await listen({ signature: { key: "the key" } });
    const url = `http://127.0.0.1:${port}/hook/${token}`;
    const file = join(folder(), "body");
    writeFileSync(file, JSON.stringify({ level: 9, filler: "x".repeat(5000) }));
    const { stdout } = await run("openssl", ["dgst", "-sha256", "-hmac", "the key", "-r", file]);
    const sign = `X-Hub-Signature-256: sha256=${stdout.split(" ")[0]}`;
    expect(await curled("--data-binary", `@${file}`, url)).toBe("401");
    expect(await curled("-H", sign, "--data-binary", `@${file}`, url)).toBe("204");
    expect(
      await curled("-H", sign, "-H", "Transfer-Encoding: chunked", "--data-binary", `@${file}`, url),
    ).toBe("204");
    expect(await curled("-H", sign, "-H", "Expect: 100-continue", "--data-binary", `@${file}`, url)).toBe(
      "204",
    );
    expect(heard).toEqual([9, 9, 9]);
  });
});
