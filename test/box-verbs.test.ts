import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unpack } from "../gateway/archive.ts";
import { startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import type { KerbEvent } from "../gateway/event.ts";
import { BrokerLink } from "../gateway/receiver/mqtt.ts";
import { Receiver } from "../gateway/receiver/receiver.ts";
import { type Broker, mosquittoPath, startBroker } from "../gateway/receiver/testing.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { type Said, run as kerb } from "./cli-said.ts";
import { freePort } from "./ports.ts";

/** The verbs about the box, with a real gateway, broker and receiver; the parts build on one another in their order. */

const launcher = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kerb-box-"));
const file = join(folder, "site", "gateway.yaml");
const programs = join(folder, "bin");
const [gatewayId, city] = ["box-01", "test"];
const passphrase = "bốn từ khó đoán";

/** Each stands somewhere in the site's files; none may be in a bundle, in any form. */
const secrets = {
  literal: "s3cr3t-of-the-hook",
  user: "svc.hook.reader",
  query: "q-token-771-xyz",
  community: "cabinet-community",
  file: "from the secrets folder",
  unused: "nobody-names-this-one",
  environment: "env-secret-8181",
  comment: "old-password-1999",
  key: "0123456789abcdef-token-key",
  number: "90817263",
};

function writeSite(broker: string, meter: number): void {
  mkdirSync(join(folder, "site", "devices.d"), { recursive: true });
  mkdirSync(join(folder, "site", "secrets"));
  writeFileSync(join(folder, "site", "secrets", "broker"), `${secrets.file}\n`);
  writeFileSync(join(folder, "site", "secrets", "spare"), secrets.unused);
  writeFileSync(
    file,
    `# before it was ${secrets.comment}
version: 1
gateway: { id: ${gatewayId}, name: Tủ, city: ${city}, state: ./state }
outbox: { commitAfter: 50ms, sealEvery: 1s }
uplinks:
  - { id: ioc, type: mqtt, url: "${broker}", reconnectMax: 200ms, username: "${gatewayId}", password: "\${secret:broker}" }
privacy: { personalData: token, tokenKey: ${secrets.key} }
include: [devices.d/*.yaml]
devices:
  - id: meter-01
    driver: modbus
    profile: eastron/sdm630
    poll: 200ms
    timeout: 300ms
    transport: { type: tcp, host: 127.0.0.1, port: ${meter} }
    unit: 1
`,
  );
  writeFileSync(
    join(folder, "site", "devices.d", "more.yaml"),
    `devices:
  - id: hook-01
    enabled: false
    driver: http
    host: 127.0.0.1
    port: 9
    insecure: acknowledged
    auth: { type: basic, user: ${secrets.user}, password: ${secrets.literal} }
    points: { level: { address: { path: "/v?api_key=${secrets.query}", pick: $.level } } }
  - id: ups-01
    enabled: false
    driver: snmp
    profile: ups/rfc1628
    host: 127.0.0.1
    version: 2c
    community: ${secrets.community}
  - id: door-01
    enabled: false
    driver: http
    host: 127.0.0.1
    port: 9
    insecure: acknowledged
    auth: { type: basic, user: "\${env:KERB_TEST_USER}", password: "${secrets.number}" }
    points: { level: { address: { path: /v, pick: $.level } } }
`,
  );
}

const environment: Record<string, string> = {
  PATH: `${programs}:${process.env["PATH"] ?? ""}`,
  HOME: folder,
  LANG: "C.UTF-8",
  KERB_TEST_USER: secrets.environment,
};

/** In a process of its own: it asks stdin. Simulator and receiver live in this one: nothing may block it. */
async function typed(args: string[], stdin: string): Promise<Said> {
  const child = spawn(launcher, args, { env: environment, stdio: ["pipe", "pipe", "pipe"] });
  const result: Said = { code: -1, out: "", err: "" };
  child.stdout.on("data", (text: Buffer) => (result.out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (result.err += text.toString()));
  child.stdin.end(stdin);
  result.code = await new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? -1)));
  return result;
}

async function data<Data>(args: string[], stdin?: string): Promise<Data> {
  const all = [...args, "--json"];
  const { out, err } = await (stdin === undefined ? kerb(...all) : typed(all, stdin));
  const answer = JSON.parse(out || "null") as { ok: boolean; data: Data } | null;
  if (answer?.ok !== true) throw new Error(`${args.join(" ")}: ${out}${err}`);
  return answer.data;
}

let broker: Broker;
let receiver: Receiver;
let link: BrokerLink;
let meter: Simulator;
let gateway: ChildProcess | undefined;

async function run(site: string): Promise<void> {
  const child = spawn(launcher, ["run", site], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  gateway = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text: Buffer) => (output += text.toString()));
  await expect
    .poll(() => output, { timeout: 30_000 })
    .toMatch(/meter-01 is online[^]*connected to|connected to[^]*meter-01 is online/);
}

async function end(): Promise<void> {
  const child = gateway;
  gateway = undefined;
  if (child === undefined || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGTERM");
  await ended;
}

async function startMeter(): Promise<void> {
  const [model] = (await loadSite(file)).devices;
  if (model === undefined) throw new Error("no device");
  meter = await startSimulator(model, 1, undefined);
}

const numbers = (events: KerbEvent[]) => events.map(({ epoch, seq }) => `${epoch}:${seq}`);

/** All that the receiver has. */
function received(): KerbEvent[] {
  const events: KerbEvent[] = [];
  for (let cursor: { epoch: number; after: number } | null = { epoch: 0, after: 0 }; cursor !== null;) {
    const page: ReturnType<Receiver["events"]> = receiver.events(gatewayId, cursor, 1000);
    events.push(...page.events);
    cursor = page.next;
  }
  return events;
}

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

describe.skipIf(mosquittoPath === undefined)("a box", () => {
  beforeAll(async () => {
    process.env["KERB_TEST_USER"] = secrets.environment;
    process.env["PATH"] = environment["PATH"];
    mkdirSync(programs);
    broker = await startBroker(folder);
    writeSite(broker.url, await freePort());
    receiver = new Receiver({ database: join(folder, "receiver.db"), log: () => {}, ackIntervalMs: 200 });
    const options = { broker: broker.url, city, name: "ioc", retryFirstMs: 50, retryMaxMs: 200 };
    link = new BrokerLink(receiver, { ...options, log: () => {} });
    link.open();
    await startMeter();
  }, 60_000);
  afterAll(async () => {
    await end();
    await meter.close();
    await link.close();
    receiver.close();
    await broker.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  interface Step {
    step: string;
    state: string;
    code?: string;
  }
  const steps = (found: { steps: Step[] }[]) =>
    Object.fromEntries(found[0]?.steps.map(({ step, state }) => [step, state]) ?? []);

  it("tests the way to the IOC without a gateway up to the login, and with one up to a confirmed event", async () => {
    const alone = await data<{ steps: Step[] }[]>(["upstream", "test", "--site", file]);
    const network = { name: "ok", port: "ok", tls: "warn", login: "ok", receiver: "ok" };
    expect(steps(alone)).toEqual({ ...network, event: "skipped" });
    await run(file);
    const through = await data<{ steps: Step[] }[]>(["upstream", "test", "--site", file]);
    expect(steps(through)).toEqual({ ...network, event: "ok" });
    expect(received().filter(({ data: of }) => of?.["report"] === "test")).toHaveLength(1);
    const dead = join(folder, "site", "dead.yaml");
    writeFileSync(
      dead,
      readFileSync(file, "utf8").replace(broker.url, "mqtt://127.0.0.1:9").replace("./state", "./dead"),
    );
    const { code, out } = await kerb("upstream", "test", "--site", dead);
    expect(out).toMatch(/2 port +✗ KERB-UP-REFUSED .*\n +seen +.*ECONNREFUSED.*\n +likely.*\n +do /);
    expect(out).toMatch(/6 event +- not tried/);
    expect(code).toBe(5);
  }, 90_000);

  it("knows what is missing: open while the device is away, then closed, and that the IOC knows it", async () => {
    interface Gaps {
      gaps: { cause: string; state: string; told: string; devices: string[] }[];
    }
    const gaps = async () =>
      (await data<Gaps>(["gaps", "--site", file, "--device", "meter-01"])).gaps.filter(
        ({ cause }) => cause === "device_offline",
      );
    await meter.close();
    await expect.poll(gaps, { timeout: 30_000 }).toMatchObject([{ state: "open", devices: ["meter-01"] }]);
    expect((await kerb("gaps", "--site", file)).out).toMatch(/ open .*meter-01 +device did not answer \(/);
    await startMeter();
    await expect
      .poll(gaps, { timeout: 30_000 })
      .toMatchObject([{ state: "closed", told: "acknowledged", devices: ["meter-01"] }]);
  }, 90_000);

  it("says how full its queue is, and does not touch the file of a gateway that runs", async () => {
    const found = await data<{ running: boolean; outageMs: number }>(["buffer", "--site", file]);
    expect(found).toMatchObject({ running: true, gateway: gatewayId });
    expect(found.outageMs).toBeGreaterThan(3_600_000);
    expect(await kerb("buffer", "export", join(folder, "x.ndjson"), "--site", file)).toMatchObject({
      code: 7,
      err: expect.stringMatching(/is running[^]*\n +do +stop it/),
    });
  }, 60_000);

  it("makes a bundle for support in which no secret of the site can be found, in whatever form", async () => {
    const login = Buffer.from(`${secrets.user}:${secrets.literal}`).toString("base64");
    const lines = [
      // What only a comment tells nobody can know elsewhere.
      ...Object.values({ ...secrets, comment: "" }),
      `GET http://${secrets.user}:${encodeURIComponent(secrets.file)}@10.0.0.7/`,
      `Authorization: Basic ${login}`,
      JSON.stringify({ password: secrets.file }),
      "mqtt://somebody:else@broker:1883",
      "plate 51G-123.45 at 8 km/h",
    ];
    const log = join(folder, "log.txt");
    writeFileSync(log, lines.join("\n"));
    // In the place of systemd's program.
    writeFileSync(join(programs, "journalctl"), `#!/bin/sh\ncat ${log}\n`);
    chmodSync(join(programs, "journalctl"), 0o755);
    const output = join(folder, "support.tar.gz");
    const made = await data<{ files: { name: string }[] }>(["support-bundle", "--site", file, "-o", output]);
    const files = unpack(readFileSync(output));
    expect(files.map(({ name }) => name.replace(/^[^/]+\//, ""))).toEqual(made.files.map(({ name }) => name));
    for (const wanted of [
      "status.json",
      "health.json",
      "books.json",
      "gaps.json",
      "log.txt",
      "config/devices.d/more.json",
    ])
      expect(made.files.map(({ name }) => name)).toContain(wanted);
    for (const { name, bytes } of files) {
      const text = bytes.toString();
      for (const [what, secret] of Object.entries(secrets))
        for (const form of [
          secret,
          encodeURIComponent(secret),
          Buffer.from(secret).toString("hex"),
          Buffer.from(secret).toString("base64").replace(/=+$/, ""),
        ])
          expect(text.includes(form), `${what} in ${name}`).toBe(false);
      for (const other of [login, "somebody", "51G-123.45"])
        expect(text.includes(other), `${other} in ${name}`).toBe(false);
      if (name.endsWith(".json")) expect(() => JSON.parse(text) as unknown).not.toThrow();
    }
    // It still says what it is for.
    const text = files.map(({ bytes }) => bytes.toString()).join("");
    expect(text).toContain(gatewayId);
    expect(text).toContain("${secret:broker}");
    expect(text).toContain("8 km/h");
  }, 60_000);

  it("comes back out of a sealed backup: no number twice, and everything is accounted for", async () => {
    const saved = join(folder, "box.backup");
    const sealed = ["--sealed", "--passphrase-stdin", "--site", file];
    expect(await typed(["backup", saved, ...sealed], "short\n")).toMatchObject({ code: 2 });
    const { manifest } = await data<{ manifest: { madeMs: number } }>(
      ["backup", saved, ...sealed],
      passphrase,
    );
    for (const secret of Object.values(secrets)) expect(readFileSync(saved).includes(secret)).toBe(false);
    // The old box goes on, and burns.
    const { length } = received();
    await expect.poll(() => received().length, { timeout: 30_000 }).toBeGreaterThan(length + 5);
    await end();
    const own = await data<{ rows: { event: number; live: number } }>(["buffer", "--site", file]);
    const left = join(folder, "left.ndjson");
    expect((await kerb("buffer", "export", left, "--site", file)).code).toBe(0);
    const kept = readFileSync(left, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as KerbEvent);
    expect(kept).toHaveLength(own.rows.event + own.rows.live);
    const before = received();

    const site = join(folder, "new", "gateway.yaml");
    const into = ["restore", saved, "--passphrase-stdin", "--site", site];
    expect(await typed([...into, "--yes"], "bốn từ khác hẳn")).toMatchObject({ code: 7 });
    const restored = await data<{ epoch: number; needs: string[] }>([...into, "--yes"], passphrase);
    expect(restored.needs).toEqual(["env:KERB_TEST_USER"]);
    expect(readdirSync(join(folder, "new", "secrets")).toSorted()).toEqual(["broker", "spare"]);
    await run(site);
    const isBack = () => received().some(({ epoch, kind }) => epoch > restored.epoch && kind === "telemetry");
    await expect.poll(isBack, { timeout: 30_000 }).toBe(true);
    await end();

    const all = received();
    expect(new Set(numbers(all)).size).toBe(all.length);
    expect(numbers(all.slice(0, before.length))).toEqual(numbers(before));
    expect(receiver.summaries("", 1)[0]).toMatchObject({ rejected: 0 });
    // Of each epoch either the receiver has every number, or the burnt box still had it, and the gap says so.
    for (const [epoch, events] of Map.groupBy([...all, ...kept], (event) => event.epoch)) {
      const seqs = new Set(events.map(({ seq }) => seq));
      expect(Math.max(...seqs), `epoch ${epoch}`).toBe(seqs.size);
    }
    const gap = all.find(({ kind, data: of }) => kind === "gap" && of?.["restart"] === "restore");
    expect(gap?.data).toMatchObject({ cause: "box_off", from: new Date(manifest.madeMs).toISOString() });
    const lost = kept.filter((event) => !new Set(numbers(all)).has(`${event.epoch}:${event.seq}`));
    for (const { recordedMs } of lost) {
      expect(recordedMs).toBeGreaterThanOrEqual(manifest.madeMs);
      expect(recordedMs).toBeLessThanOrEqual(Date.parse(String(gap?.data?.["to"])));
    }
  }, 120_000);
});
