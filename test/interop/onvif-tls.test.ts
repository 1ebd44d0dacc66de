import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { driver } from "../../drivers/onvif/index.ts";
import { settings } from "../../drivers/onvif/settings.ts";
import { DeviceError } from "../../gateway/driver.ts";
import { start, type CameraSimulator } from "../../simulators/onvif/index.ts";
import { programPath } from "./processes.ts";
import { Authority, type Certificate } from "./tls.ts";

/** Cameras behind HTTPS, with certificates that `openssl` has made. */

const openssl = programPath("openssl");
const login = { user: "kerb", password: "Trial-7-only" };
let folder = "";
let authority: Authority;
let own: Certificate;
let foreign: Certificate;

beforeAll(() => {
  if (openssl === undefined) return;
  folder = mkdtempSync(join(tmpdir(), "kerb-onvif-tls-"));
  authority = new Authority(openssl, folder, "Cameras");
  own = authority.issue("camera", ["IP:127.0.0.1"]);
  foreign = authority.issue("elsewhere", ["IP:127.0.0.9", "DNS:camera.kerb.test"]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => void server.close());
  const where = server.address();
  return typeof where === "object" ? (where?.port ?? 0) : 0;
}

/** A pretend camera, and TLS before it. */
async function camera({ cert, key }: Certificate): Promise<{ running: CameraSimulator; port: number }> {
  const running = await start({
    profile: "test/camera",
    identity: { model: "K-1" },
    settings: { port: 0, ...login },
    points: [],
  });
  cleanups.push(() => running.close());
  const front = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    const behind = connect(running.port, "127.0.0.1");
    socket.pipe(behind).pipe(socket);
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  front.on("tlsClientError", () => {});
  return { running, port: await listening(front) };
}

const patient = () => new AbortController().signal;

function open(port: number, tls: object | undefined, signal = patient()) {
  const parsed = settings.parse({ host: "127.0.0.1", port, timeout: "1s", pull: "500ms", ...login, tls });
  return driver.connect(parsed, { deviceId: "camera-1", log: () => {} }, signal);
}

async function refusal(connecting: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await connecting.then(
    () => undefined,
    (one: unknown) => one,
  );
  if (!(error instanceof DeviceError)) throw new Error(`no DeviceError: ${String(error)}`);
  return error;
}

const fingerprintOf = ({ cert }: Certificate) => new X509Certificate(readFileSync(cert)).fingerprint256;
const plain = (fingerprint: string) => fingerprint.replaceAll(":", "").toLowerCase();

describe.skipIf(openssl === undefined)("a camera behind HTTPS", () => {
  it("is asked nothing before its certificate is known to be right, and its fingerprint is told", async () => {
    const { running, port } = await camera(own);
    const { code, message } = await refusal(open(port, {}));
    expect(code).toBe("denied");
    expect(message).toContain(`"pin: ${plain(fingerprintOf(own))}"`);
    expect(running.counts.requests).toBe(0);
  });

  it.each(["pin", "ca"])("is asked, heard and seen with the right %s", async (how) => {
    const { running, port } = await camera(own);
    const connection = await open(port, how === "ca" ? { ca: authority.ca } : { pin: fingerprintOf(own) });
    cleanups.push(() => connection.close());
    expect(await connection.identify(patient())).toMatchObject({ model: "K-1" });
    expect((await connection.snapshot!(patient())).type).toBe("image/jpeg");
    const stop = new AbortController();
    let signs = 0;
    const sink = { alive: () => void signs++, readings: () => {}, record: () => {}, poll: () => {} };
    const done = connection.subscribe!({ points: [], records: [], sink, signal: stop.signal });
    await expect.poll(() => signs, { timeout: 5000 }).toBeGreaterThan(0);
    stop.abort();
    await done;
    expect(running.requests.join("")).toContain(`https://127.0.0.1:${port}/onvif/event_service`);
    await connection.close();
    expect(running.pullPoints.size).toBe(0);
  });

  it("with another certificate than the pinned one is refused, also where an authority vouches for it", async () => {
    const { running, port } = await camera(own);
    const { code, message } = await refusal(open(port, { pin: "0".repeat(64) }));
    expect(code).toBe("denied");
    expect(message).toContain(plain(fingerprintOf(own)));
    expect(running.counts.requests).toBe(0);
  });

  it("with a certificate for another machine is refused, unless that is the name to expect", async () => {
    const { running, port } = await camera(foreign);
    expect(await refusal(open(port, { ca: authority.ca }))).toMatchObject({ code: "denied" });
    expect(running.counts.requests).toBe(0);
    const connection = await open(port, { ca: authority.ca, serverName: "camera.kerb.test" });
    await connection.close();
  });

  it("of another authority, or with a file of authorities that is not there, is refused", async () => {
    const { port } = await camera(own);
    const other = new Authority(openssl ?? "", folder, "Others");
    expect(await refusal(open(port, { ca: other.ca }))).toMatchObject({ code: "denied" });
    expect(await refusal(open(port, { ca: join(folder, "none.pem") }))).toMatchObject({ code: "denied" });
  });

  it("that speaks no TLS, or nothing at all, is told as such and left alone", async () => {
    const { running } = await camera(own);
    const pin = fingerprintOf(own);
    expect(await refusal(open(running.port, { pin }))).toMatchObject({ code: "garbage" });
    const sockets = new Set<unknown>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("data", () => {});
      socket.on("close", () => sockets.delete(socket));
    });
    const port = await listening(mute);
    expect(await refusal(open(port, { pin }))).toMatchObject({ code: "silent" });
    const aborting = new AbortController();
    const connecting = refusal(open(port, { pin }, aborting.signal));
    await sleep(100);
    const abortedMs = performance.now();
    aborting.abort();
    expect(await connecting).toMatchObject({ code: "aborted" });
    expect(performance.now() - abortedMs).toBeLessThan(200);
    await expect.poll(() => sockets.size).toBe(0);
  });
});

it("is at port 443 with tls and at 80 without, and one proof of its identity is enough", () => {
  expect(settings.parse({ host: "camera", tls: {} }).port).toBe(443);
  expect(settings.parse({ host: "camera" }).port).toBe(80);
  expect(settings.safeParse({ host: "camera", tls: { pin: "0".repeat(64), ca: "ca.pem" } }).success).toBe(
    false,
  );
  expect(settings.safeParse({ host: "camera", tls: { pin: "not a fingerprint" } }).success).toBe(false);
});
