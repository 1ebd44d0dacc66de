import Database from "better-sqlite3";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Certificate } from "../gateway/receiver/certificates.ts";
import { startBroker, type Broker } from "../simulators/mqtt/index.ts";
import { freePort } from "./ports.ts";

/** The real gateway, receiver and command line, with periods of two seconds. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const everyMs = 2000;

let folder = "";
let broker: Broker;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "kerb-certificates-"));
  broker = await startBroker();
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, "SIGKILL");
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await ended;
}

function launch(...args: string[]): ChildProcess {
  const child = spawn(launcher, args, { stdio: "ignore" });
  children.push(child);
  return child;
}

/** Not `spawnSync`: the broker lives in this process. */
function kerb(...args: string[]): Promise<{ code: number; out: string }> {
  const child = spawn(launcher, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  let out = "";
  child.stdout.on("data", (bytes: Buffer) => (out += bytes.toString("utf8")));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? -1, out })));
}

it(
  "kerb run and kerb receive make certificates that kerb certificate shows and verifies",
  {
    timeout: 120_000,
  },
  async () => {
    const [meter, api] = [await freePort(), await freePort()];
    const database = join(folder, "receiver.db");
    const site = join(folder, "gateway.yaml");
    const [privateKey, publicKey] = [join(folder, "sign.pem"), join(folder, "public.pem")];
    const pair = generateKeyPairSync("ed25519");
    writeFileSync(privateKey, pair.privateKey.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(publicKey, pair.publicKey.export({ type: "spki", format: "pem" }));
    writeFileSync(
      site,
      `version: 1
gateway: { id: cabinet-01, name: Tủ thử nghiệm, city: test, state: ./state }
outbox: { commitAfter: 100ms, sealEvery: 2s }
uplinks: [{ id: ioc, type: mqtt, url: "${broker.url}", reconnectMax: 200ms }]
devices:
  - id: meter-01
    name: Công tơ
    driver: modbus
    profile: eastron/sdm630
    poll: 200ms
    transport: { type: tcp, host: 127.0.0.1, port: ${meter} }
    unit: 1
`,
    );
    const url = `http://127.0.0.1:${api}`;
    // prettier-ignore
    const receiver = ["receive", "--broker", broker.url, "--city", "test", "--database", database, "--listen", `127.0.0.1:${api}`, "--ack-interval", "200ms", "--sign-key", privateKey];
    const firstReceiver = launch(...receiver);
    launch("simulate", "eastron/sdm630", "--port", String(meter));
    const gateway = launch("run", site);

    let list: Certificate[] = [];
    const look = async () => {
      const { out } = await kerb("certificate", "cabinet-01", "--url", url, "--json");
      const answer = JSON.parse(out) as { ok: boolean; data: { certificates: Certificate[] } };
      list = answer.ok ? answer.data.certificates : [];
      return list;
    };
    const whole = () => list.filter(({ state }) => state === "complete");
    const counted = () =>
      whole().filter(({ devices }) =>
        devices.some(
          ({ device, answered, unknown }) =>
            device === "meter-01" && (answered ?? 0) > 0 && unknown.length === 0,
        ),
      );
    await expect
      .poll(async () => (await look(), counted().length), { timeout: 40_000, interval: 300 })
      .toBeGreaterThanOrEqual(2);
    expect(list.every(({ tampered, lost }) => !tampered && lost.length === 0)).toBe(true);
    expect(counted()[0]?.events).toBeGreaterThan(0);

    // A clean stop, and a start in a later period: the chain of the first epoch ends, the second one names it.
    await end(gateway);
    const stoppedMs = Date.now();
    launch("run", site);
    const restarted = () => whole().filter(({ from }) => Date.parse(from) > stoppedMs);
    await expect
      .poll(async () => (await look(), restarted().length), { timeout: 40_000, interval: 300 })
      .toBeGreaterThanOrEqual(2);
    const during = list.find(({ from }) => Date.parse(from) > stoppedMs - everyMs);
    expect(during?.tampered).toBe(false);
    expect(new Set(list.flatMap(({ seals }) => seals.map(({ epoch }) => epoch))).size).toBe(2);

    const first = counted()[0] as Certificate;
    const span = ["--url", url, "--from", first.from, "--to", first.to];
    const fine = await kerb("certificate", "cabinet-01", ...span);
    expect(fine.code).toBe(0);
    expect(fine.out).toMatch(
      /^cabinet-01 {2}\S+ {3}✓ complete {3}\d+ events {3}1 device {3}polls \d+: answered \d+, failed 0, missed \d+ {3}seals \d+:\d+ {3}checked \S+Z\n$/,
    );
    const printed = await kerb("certificate", "cabinet-01", ...span, "--json");
    const saved = join(folder, "certificates.json");
    writeFileSync(saved, printed.out);
    expect(await kerb("certificate", "--verify", saved, "--key", publicKey)).toMatchObject({
      code: 0,
      out: expect.stringContaining("the signature is right") as string,
    });
    writeFileSync(saved, printed.out.replace('"tampered":false', '"tampered":true'));
    expect((await kerb("certificate", "--verify", saved, "--key", publicKey)).code).toBe(6);

    // Somebody takes one message out of the receiver's database.
    await end(firstReceiver);
    const changed = new Database(database);
    const [seal] = first.seals;
    const remove =
      "DELETE FROM batch WHERE ep = ? AND first BETWEEN ? AND ? AND id = (SELECT min(id) FROM batch WHERE ep = ? AND first BETWEEN ? AND ?)";
    const range = [seal?.epoch, seal?.from, seal?.to];
    expect(changed.prepare(remove).run(...range, ...range).changes).toBe(1);
    changed.close();
    launch(...receiver);
    await expect
      .poll(async () => (await kerb("certificate", "cabinet-01", ...span, "--recheck")).out, {
        timeout: 20_000,
        interval: 300,
      })
      .toMatch(/✗ gap .*events \d+:\d+(-\d+)? were stored and are gone/);
    const vietnamese = await kerb("certificate", "cabinet-01", ...span, "--recheck", "--lang", "vi");
    expect(vietnamese.code).toBe(6);
    expect(vietnamese.out).toMatch(/✗ có lỗ hổng .*đã lưu nhưng nay không còn/);
  },
);

it("kerb certificate says what to do when no receiver answers", async () => {
  const { status, stderr } = spawnSync(launcher, ["certificate", "--url", "http://127.0.0.1:1"], {
    encoding: "utf8",
  });
  expect(status).toBe(5);
  expect(stderr).toMatch(/no receiver answers at http:\/\/127\.0\.0\.1:1\n\s+do\s+kerb receive runs one/);
});
