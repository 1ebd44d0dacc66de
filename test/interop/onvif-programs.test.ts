import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { camera, cleanups, connect, identity, listen, login, patient, read, until } from "../onvif-rig.ts";

/** Foreign programs at either end of the ONVIF driver and its pretend camera. */

function has(program: string): boolean {
  const isThere = spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
  if (!isThere) console.warn(`skipped: ${program} is not installed`);
  return isThere;
}

describe("foreign programs", () => {
  it.skipIf(!has("xmllint"))("xmllint takes every request that the driver sends", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kerb-onvif-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const running = await camera({ auth: "ws-token" }, 2);
    const connection = await connect(running, { auth: "ws-token", lifetime: "3s", pull: "300ms" });
    await connection.identify(patient());
    await read(
      connection,
      { reading: "rtsp" },
      { reading: "recording" },
      { reading: "video", item: "width" },
    );
    const { told, stop } = listen(connection);
    await until("the initial state", () => told.length > 0);
    await until("a renewal", () => running.pullPoints.counts.renewed > 0);
    stop.abort();
    await connection.close();
    const files = running.requests.map((xml, i) => {
      const file = join(folder, `${i}.xml`);
      writeFileSync(file, xml);
      return file;
    });
    expect(files.length).toBeGreaterThan(8);
    const { status, stderr } = spawnSync("xmllint", ["--noout", "--nonet", ...files], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  it.skipIf(!has("curl"))("curl gets in by digest, MD5 as well as SHA-256, and not without", async () => {
    const running = await camera();
    const url = `http://127.0.0.1:${running.port}/onvif/snapshot.jpg`;
    const curl = async (...more: string[]) =>
      (await promisify(execFile)("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", ...more, url]))
        .stdout;
    expect(await curl("--digest", "-u", `${login.user}:${login.password}`)).toBe("200");
    expect(await curl("--digest", "-u", `${login.user}:wrong`)).toBe("401");
    expect(await curl()).toBe("401");
  });

  it.each([true, false])(
    "the onvif package reads the pretend camera (WS-UsernameToken %s)",
    async (useWSSecurity) => {
      interface Cam {
        connect(done: (error: Error | null) => void): void;
        getDeviceInformation(done: (error: Error | null, told: Record<string, unknown>) => void): void;
        createPullPointSubscription(done: (error: Error | null, told: unknown) => void): void;
        pullMessages(options: object, done: (error: Error | null, told: unknown) => void): void;
      }
      const { Cam } = createRequire(import.meta.url)("onvif") as { Cam: new (options: object) => Cam };
      const running = await camera();
      const foreign = new Cam({
        hostname: "127.0.0.1",
        port: running.port,
        username: login.user,
        password: login.password,
        useWSSecurity,
        autoconnect: false,
        preserveAddress: true,
        timeout: 3000,
      });
      await new Promise<void>((resolve, reject) =>
        foreign.connect((error) => (error ? reject(error) : resolve())),
      );
      const told = await new Promise<Record<string, unknown>>((resolve, reject) =>
        foreign.getDeviceInformation((error, one) => (error ? reject(error) : resolve(one))),
      );
      expect(told).toMatchObject({ manufacturer: identity.vendor, firmwareVersion: identity.firmware });
      await new Promise<void>((resolve, reject) =>
        foreign.createPullPointSubscription((error) => (error ? reject(error) : resolve())),
      );
      const messages = await new Promise<unknown>((resolve, reject) =>
        foreign.pullMessages({ timeout: "PT1S", messageLimit: 5 }, (error, one) =>
          error ? reject(error) : resolve(one),
        ),
      );
      expect(JSON.stringify(messages)).toContain("CellMotionDetector");
    },
  );
});
