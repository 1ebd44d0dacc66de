import { X509Certificate } from "node:crypto";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  altered,
  at,
  codeOf,
  connectTo,
  contextOf,
  errorOf,
  kept,
  patient,
  pointsOf,
  settingsOf,
  startServer,
} from "./opcua-rig.ts";
import { programPath, runProgram } from "./processes.ts";

/** Whom the OPC UA driver trusts, and how it shows who it is. */

const openssl = programPath("openssl");
function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), "kerb-opcua-test-"));
  kept({ close: () => rmSync(folder, { recursive: true, force: true }) });
  return join(folder, "drivers", "opcua");
}

const secure = { security: "sign-and-encrypt" };
const otherPin = "00".repeat(32);

describe("a server's certificate", () => {
  test("that is not pinned is refused, with the fingerprint to write", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const error = await errorOf(connectTo(settingsOf(server, secure), contextOf({ folder: folderOf() })));
    expect(error).toMatchObject({ code: "denied" });
    expect(error!.message).toContain(`pin: ${server.fingerprint}`);
    expect(server.sessions).toBe(0);
    const wanted = settingsOf(server, { ...secure, pin: server.fingerprint });
    const connection = kept(await connectTo(wanted, contextOf({ folder: folderOf() })));
    expect((await connection.identify(patient())).more?.["certificate"]).toBe(server.fingerprint);
  });

  test("that is another than the pinned one is refused", async () => {
    const server = kept(await startServer({}));
    const wanted = settingsOf(server, { ...secure, pin: otherPin });
    const error = await errorOf(connectTo(wanted, contextOf({ folder: folderOf() })));
    expect(error).toMatchObject({ code: "denied" });
    expect(error!.message).toContain("another certificate");
    expect(error!.message).toContain(server.fingerprint);
  });

  test("is pinned at its first use only where that is wanted, and for good", async () => {
    const server = kept(await startServer({}));
    const folder = folderOf();
    const wanted = settingsOf(server, { ...secure, trust: "first-use" });
    const connection = await connectTo(wanted, contextOf({ folder }));
    await connection.close();
    const [file] = readdirSync(join(folder, "pins"));
    const pin = join(folder, "pins", file!);
    expect(readFileSync(pin, "utf8").trim()).toBe(server.fingerprint);
    expect(statSync(pin).mode & 0o777).toBe(0o600);
    writeFileSync(pin, otherPin);
    expect(await codeOf(connectTo(wanted, contextOf({ folder })))).toBe("denied");
    // What cannot be read is no first use.
    rmSync(pin);
    execFileSync("mkdir", [pin]);
    expect(await codeOf(connectTo(wanted, contextOf({ folder })))).toBe("denied");
  });
});

describe("kerb's own certificate", () => {
  test("is made once, in its own folder, readable by nobody else", async () => {
    const server = kept(await startServer({}));
    const folder = folderOf();
    const wanted = settingsOf(server, { ...secure, pin: server.fingerprint });
    const context = (deviceId: string) => contextOf({ folder, deviceId });
    const both = await Promise.all([connectTo(wanted, context("a")), connectTo(wanted, context("b"))]);
    for (const connection of both) await connection.close();
    expect(readdirSync(folder).toSorted()).toEqual(["kerb.der", "own.pem"]);
    const file = join(folder, "own.pem");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const pem = readFileSync(file, "utf8");
    const certificate = new X509Certificate(pem.slice(pem.indexOf("-----BEGIN CERT")));
    expect(certificate.raw.equals(readFileSync(join(folder, "kerb.der")))).toBe(true);
    expect(certificate.subjectAltName).toMatch(/URI:urn:/);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(3e11);
    // A box may come up with its clock years behind.
    expect(Date.parse(certificate.validFrom)).toBe(Date.UTC(2024, 0, 1));
  });

  test("is shown again where its file for people has gone", async () => {
    const server = kept(await startServer({}));
    const folder = folderOf();
    const wanted = settingsOf(server, { ...secure, pin: server.fingerprint });
    await (await connectTo(wanted, contextOf({ folder }))).close();
    rmSync(join(folder, "kerb.der"));
    // Another process: this one keeps what it has read.
    const { identityIn } = await import("../../drivers/opcua/pki.ts");
    await identityIn(`${folder}/.`);
    expect(existsSync(join(folder, "kerb.der"))).toBe(true);
  });

  test.skipIf(openssl === undefined)("is one that openssl takes", async () => {
    const server = kept(await startServer({}));
    const folder = folderOf();
    const wanted = settingsOf(server, { ...secure, pin: server.fingerprint });
    await (await connectTo(wanted, contextOf({ folder }))).close();
    const file = join(folder, "own.pem");
    expect(runProgram(openssl!, "verify", "-CAfile", file, "-x509_strict", file)).toContain("OK");
    const shown = runProgram(openssl!, "x509", "-in", file, "-noout", "-text");
    for (const part of ["Digital Signature", "Non Repudiation", "Key Encipherment", "Data Encipherment"])
      expect(shown).toContain(part);
    expect(shown).toMatch(/Public-Key: \(2048 bit\)/);
    expect(shown).toContain("TLS Web Client Authentication");
    expect(runProgram(openssl!, "rsa", "-in", file, "-noout", "-check")).toContain("ok");
  });

  test("in a folder that cannot be written is one sentence, at once", async () => {
    const server = kept(await startServer({}));
    const file = join(mkdtempSync(join(tmpdir(), "kerb-opcua-file-")), "file");
    kept({ close: () => rmSync(dirname(file), { recursive: true, force: true }) });
    writeFileSync(file, "");
    const folder = join(file, "opcua");
    const wanted = settingsOf(server, { ...secure, pin: server.fingerprint });
    const begunAt = performance.now();
    const error = await errorOf(connectTo(wanted, contextOf({ folder })));
    expect(error).toMatchObject({ code: "unsupported" });
    expect(error!.message).toContain(folder);
    expect(performance.now() - begunAt).toBeLessThan(5000);
    // Without security there is no certificate to keep.
    kept(await connectTo(settingsOf(server), contextOf({ folder })));
  });
});

describe("a user", () => {
  const user = { user: "kerb", password: "tuyệt mật 🔑" };

  test.each(["none", "sign", "sign-and-encrypt"])("with a password, security %s", async (security) => {
    const server = kept(await startServer({ speed: "Double" }, user));
    const own = { pin: server.fingerprint };
    const connection = kept(await connectTo(settingsOf(server, { security, ...own, ...user })));
    const { answers } = await connection.read(pointsOf({ node: at("speed") }), { signal: patient() });
    expect(answers).toMatchObject([{ status: "good" }]);
    const wrong = settingsOf(server, { security, ...own, ...user, password: "x" });
    expect(await codeOf(connectTo(wrong, contextOf({ deviceId: "other" })))).toBe("denied");
    expect(server.sessions).toBe(1);
  });

  test("whose password would go to whoever answers, is denied before it is sent", async () => {
    const server = kept(await startServer({}, user));
    const error = await errorOf(connectTo(settingsOf(server, user)));
    expect(error).toMatchObject({ code: "denied" });
    expect(error!.message).toContain(`pin: ${server.fingerprint}`);
    expect(await codeOf(connectTo(settingsOf(server, { ...user, pin: otherPin })))).toBe("denied");
    const folder = folderOf();
    const first = settingsOf(server, { ...user, trust: "first-use" });
    await (await connectTo(first, contextOf({ folder }))).close();
    writeFileSync(join(folder, "pins", readdirSync(join(folder, "pins"))[0]!), otherPin);
    expect(await codeOf(connectTo(first, contextOf({ folder })))).toBe("denied");
  });

  test("is not logged in where the endpoint that was told first is not the server's", async () => {
    const server = kept(await startServer({}, user));
    altered(
      server,
      "CreateSessionResponse",
      ({ serverEndpoints }: { serverEndpoints: { userIdentityTokens: { policyId: string }[] }[] }) => {
        for (const one of serverEndpoints) one.userIdentityTokens.length = 1;
      },
    );
    const wanted = settingsOf(server, { ...secure, ...user, pin: server.fingerprint });
    const error = await errorOf(connectTo(wanted));
    expect(error).toMatchObject({ code: "denied" });
    expect(error!.message).toContain("not the one that it told before");
    expect(server.sessions).toBe(0);
  });

  test.skipIf(openssl === undefined)("with a certificate", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kerb-opcua-user-"));
    kept({ close: () => rmSync(folder, { recursive: true, force: true }) });
    const [key, certificate] = [join(folder, "user.key"), join(folder, "user.pem")];
    const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate];
    // The server's own certificate tools leave it as the word "undefined".
    delete process.env["OPENSSL_CONF"];
    runProgram(openssl!, ...words, "-subj", "/CN=operator", "-days", "2");
    const server = kept(await startServer({ speed: "Double" }));
    const own = { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
    const wanted = settingsOf(server, { ...secure, pin: server.fingerprint, ...own });
    const connection = kept(await connectTo(wanted));
    const { answers } = await connection.read(pointsOf({ node: at("speed") }), { signal: patient() });
    expect(answers).toMatchObject([{ status: "good" }]);
    const broken = settingsOf(server, { ...secure, pin: server.fingerprint, ...own, key: "no key" });
    expect(await errorOf(connectTo(broken, contextOf({ deviceId: "other" })))).toMatchObject({
      code: "denied",
    });
  });

  test("who is not known is denied, and no session stays", async () => {
    const server = kept(await startServer({}, user));
    const wanted = settingsOf(server, { user: "nobody", password: "x", pin: server.fingerprint });
    for (let i = 0; i < 5; i++) expect(await codeOf(connectTo(wanted))).toBe("denied");
    expect(server.sessions).toBe(0);
  });
});

test("security that the server does not offer is denied, and nothing weaker is taken", async () => {
  const server = kept(await startServer({}));
  const wanted = settingsOf(server, { ...secure, policy: "Aes256_Sha256_RsaPss", pin: server.fingerprint });
  const error = await errorOf(connectTo(wanted));
  expect(error).toMatchObject({ code: "denied" });
  expect(error!.message).toContain("Basic256Sha256");
});

test("nothing is written to the home folder, and nothing to the console", async () => {
  const home = mkdtempSync(join(tmpdir(), "kerb-opcua-home-"));
  kept({ close: () => rmSync(home, { recursive: true, force: true }) });
  const server = kept(await startServer({ speed: "Double" }));
  const folder = folderOf();
  const { settings } = await import("../../drivers/opcua/settings.ts");
  const wanted = settings.parse({
    host: "127.0.0.1",
    port: Number(server.address.split(":")[1]),
    pin: server.fingerprint,
  });
  const script = join(home, "..", `kerb-opcua-${process.pid}.mjs`);
  kept({ close: () => rmSync(script, { force: true }) });
  const driver = new URL("../../drivers/opcua/index.ts", import.meta.url).href;
  writeFileSync(
    script,
    `const { driver } = await import(${JSON.stringify(driver)});
     const context = { deviceId: "a", folder: ${JSON.stringify(folder)}, log() {} };
     const connection = await driver.connect(${JSON.stringify(wanted)}, context, new AbortController().signal);
     const points = [{ name: "x", address: { node: ${JSON.stringify(at("speed"))}, queue: 1 } }];
     const { signal } = new AbortController();
     await connection.read(points, { signal });
     process.send("ready");
     await new Promise((resolve) => process.once("message", resolve));
     const codes = [await connection.read(points, { signal }).catch(({ code }) => code)];
     await connection.close();
     codes.push(await driver.connect({ ...${JSON.stringify(wanted)}, pin: "00" }, context, signal).catch(({ code }) => code));
     process.send(codes, () => process.disconnect());
`,
  );
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let printed = "";
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  await once(child, "message");
  server.fault("garbage");
  child.send("go on");
  const exit = once(child, "exit");
  const [codes] = (await once(child, "message")) as [string[]];
  expect(codes).toEqual(["garbage", "garbage"]);
  expect(await exit).toEqual([0, null]);
  expect(printed).toBe("");
  expect(readdirSync(home)).toEqual([]);
  expect(existsSync(join(folder, "own.pem"))).toBe(true);
});
