import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { zstdDecompressSync } from "node:zlib";
import mqtt from "mqtt";
import { stringify } from "yaml";
import { afterEach, expect, it } from "vitest";
import { loadProfile, simulatedPoints, simulatedRecords } from "../gateway/profiles/profiles.ts";
import { startBroker } from "../simulators/mqtt/index.ts";
import { start, type CameraSimulator, type Trouble } from "../simulators/onvif/index.ts";

/** A camera before a whole gateway: what leaves, what stays on the disk, and how often the camera is asked. */

const kerb = fileURLToPath(new URL("../gateway/kerb", import.meta.url));
const password = "Canary-password-77";
const plate = "51F-123.45";
const face = "face-canary-77";
const picture = "a picture of nobody";

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Rig {
  camera: CameraSimulator;
  gateway: ChildProcess;
  site: string;
  state: string;
  log: string[];
  wire: string[];
  /** The data of all events on the wire that have this member with this value. */
  told: (member: string, value: string) => Record<string, Record<string, unknown>>[];
}

async function until(what: string, isSo: () => boolean, withinMs = 20_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(50);
  }
}

async function run(privacy: object): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-onvif-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const state = join(folder, "state");
  mkdirSync(state);
  const profile = loadProfile("onvif/profile-m");
  const camera = await start({
    profile: profile.id,
    points: simulatedPoints(profile),
    records: simulatedRecords(profile),
    identity: { vendor: "Kerb Works", model: "K-1", firmware: "2.1.8" },
    settings: { port: 0, user: "kerb", password },
  });
  cleanups.push(() => camera.close());
  const broker = await startBroker({});
  cleanups.push(() => broker.close());
  const wire: string[] = [];
  const client = mqtt.connect(broker.url);
  cleanups.push(() => client.endAsync(true));
  await new Promise<void>((resolve) => client.once("connect", () => resolve()));
  await client.subscribeAsync("#");
  client.on("message", (_topic, payload) => {
    const isPacked = payload.readUInt32BE(0) === 0x28b52ffd;
    wire.push((isPacked ? zstdDecompressSync(payload) : payload).toString("utf8"));
  });
  const site = join(folder, "gateway.yaml");
  const device = {
    id: "camera-1",
    driver: "onvif",
    profile: profile.id,
    poll: { slow: "1s" },
    host: "127.0.0.1",
    port: camera.port,
    rtspPort: camera.port,
    user: "kerb",
    password,
    timeout: "1s",
    pull: "2s",
  };
  const uplink = { id: "ioc", type: "mqtt", url: broker.url, encoding: "cloudevents" };
  writeFileSync(
    site,
    stringify({
      version: 1,
      gateway: { id: "gw-camera", name: "Camera", city: "hcmc", state },
      outbox: { commitAfter: "50ms" },
      uplinks: [uplink],
      privacy,
      log: { level: "debug" },
      devices: [device],
    }),
  );
  const gateway = spawn(kerb, ["run", site], { stdio: ["ignore", "pipe", "pipe"] });
  const log: string[] = [];
  for (const stream of [gateway.stdout, gateway.stderr])
    stream.on("data", (chunk: Buffer) => log.push(chunk.toString()));
  const gone = once(gateway, "exit");
  cleanups.push(async () => {
    if (gateway.exitCode === null) gateway.kill("SIGKILL");
    await gone;
  });
  await until(`a subscription\n${log.join("")}`, () => camera.pullPoints.size > 0);
  await until("the first pull", () => camera.pullPoints.counts.pulls > 0);
  const told = (member: string, value: string) =>
    wire
      .flatMap((text) =>
        text.startsWith("[") ? (JSON.parse(text) as { data: Record<string, Record<string, unknown>> }[]) : [],
      )
      .flatMap(({ data }) => [data, ...Object.values(data)] as Record<string, Record<string, unknown>>[])
      .filter((one) => (one as Record<string, unknown>)[member] === value);
  return { camera, gateway, site, state, log, wire, told };
}

/** Every byte under a folder. */
function everyFile(folder: string): { path: string; bytes: Buffer }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => ({
      path: join(parentPath, name),
      bytes: readFileSync(join(parentPath, name)),
    }));
}

it("plates leave as tokens, faces and pictures not at all; a picture stays encrypted and can be opened here", async () => {
  const { camera, gateway, site, state, log, wire, told } = await run({
    snapshots: { records: ["tamper"], keep: "1m" },
  });
  camera.tell("plate", { plate });
  const item = { part: "Data" as const, name: "Label", value: face };
  camera.happen({ topic: "RuleEngine/Recognition/Face", operation: undefined, items: [item] });
  camera.tell("tamper", { active: true });
  const recordOf = (name: string) => told("record", name)[0];
  await until(`plate, tamper and its picture on the wire\n${log.join("")}`, () =>
    ["plate", "tamper", "snapshot"].every((name) => recordOf(name) !== undefined),
  );
  expect(recordOf("plate")).toMatchObject({
    privacy: "personal",
    values: { plate: { token: expect.stringMatching(/^hmac-sha256:/) as string } },
  });
  const { snapshot } = recordOf("snapshot") as { snapshot: Record<string, string> };
  expect(Object.keys(snapshot).toSorted()).toEqual(["keptUntil", "ref", "sha256"]);
  const { sha256, ...reference } = snapshot;
  expect(recordOf("tamper")).toMatchObject({ snapshot: reference });

  // A picture that no rule names is not asked for.
  expect(camera.requests.filter((one) => one.includes("GetSnapshotUri"))).toHaveLength(1);
  const texts = [plate, plate.replaceAll(/\W/g, ""), face, picture, password];
  const out = [...wire, ...log].join("\n");
  for (const text of texts) expect(out, text).not.toContain(text);
  const files = everyFile(state);
  expect(files.some(({ path }) => path.endsWith("outbox.db-wal") || path.endsWith("outbox.db"))).toBe(true);
  // A site file that ran is kept as it was written, for a rollback: with the password that its author wrote into it.
  const ran = files.filter(({ path }) => /\/config\/\d+\/\d+-/.test(path));
  for (const { path } of ran) expect(statSync(path).mode & 0o777, path).toBe(0o600);
  for (const { path, bytes } of files)
    for (const text of texts)
      if (text !== password || !ran.some((one) => one.path === path))
        expect(bytes.includes(text), `${text} in ${path}`).toBe(false);
  const kept = files.filter(({ path }) => path.includes("/snapshots/"));
  expect(kept).toHaveLength(2);
  for (const { path } of kept) expect(statSync(path).mode & 0o777).toBe(0o600);

  const output = join(state, "..", "picture.jpg");
  const opened = spawnSync(kerb, ["snapshot", snapshot["ref"]!, "-o", output, "--site", site], {
    encoding: "utf8",
  });
  expect(opened.stderr).toBe("");
  expect(opened.stdout).toContain("camera-1");
  const bytes = readFileSync(output);
  expect(bytes.includes(picture)).toBe(true);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
  const again = spawnSync(
    kerb,
    ["snapshot", snapshot["ref"]!, "-o", output, "--site", site, "--lang", "vi"],
    {
      encoding: "utf8",
    },
  );
  expect(again.status).not.toBe(0);
  expect(again.stderr).toContain("và không ghi đè");
  const unknown = spawnSync(kerb, ["snapshot", "../token.key", "-o", output, "--site", site, "--lang", "vi"]);
  expect(unknown.status).toBe(3);

  gateway.kill("SIGTERM");
  await once(gateway, "exit");
  expect(camera.pullPoints.size).toBe(0);
}, 60_000);

it("without a rule no picture is asked for", async () => {
  const { camera, wire } = await run({});
  camera.tell("tamper", { active: true });
  await until("the alarm", () => wire.join("").includes('"record":"tamper"'));
  expect(camera.requests.join("")).not.toContain("GetSnapshotUri");
}, 60_000);

it("an alarm does not wait for its picture, and neither does what comes behind it", async () => {
  const { camera, told } = await run({ snapshots: { records: ["tamper"] } });
  camera.trouble("slowPicture");
  camera.tell("tamper", { active: true });
  camera.tell("plate", { plate });
  const begunMs = performance.now();
  await until("both", () => ["tamper", "plate"].every((name) => told("record", name).length > 0));
  expect(performance.now() - begunMs).toBeLessThan(1500);
  expect(told("record", "snapshot")).toEqual([]);
  await until("the picture", () => told("record", "snapshot").length > 0);
}, 60_000);

it("how stream and recording are leaves as device-status, at the start and when it changes", async () => {
  const { camera, told } = await run({});
  const of = (point: string) =>
    told("report", "point").flatMap((one) => (one["point"] === (point as unknown) ? [one["value"]] : []));
  await until("the first state", () => of("streamPresent").length > 0 && of("recordingState").length > 0);
  camera.set("streamPresent", 0);
  camera.set("recordingState", "Idle");
  await until("the change", () => of("streamPresent").length > 1 && of("recordingState").length > 1);
  expect(of("streamPresent")).toEqual([true, false]);
  expect(of("recordingState")).toEqual(["Active", "Idle"]);
}, 60_000);

it("a camera that refuses is not stormed, and is heard again when it is good", async () => {
  const { camera, wire } = await run({});
  const under = async (trouble: Trouble, count: () => number): Promise<number> => {
    const before = count();
    camera.trouble(trouble);
    camera.loseSubscriptions();
    await sleep(2500);
    camera.trouble(undefined);
    return count() - before;
  };
  const created = () => camera.pullPoints.counts.created;
  // One at once, then after 1 and 2 s: a camera that answers polls well is no exception.
  expect(await under("refusesCreate", created)).toBeLessThanOrEqual(4);
  await until("a subscription", () => camera.pullPoints.size > 0, 30_000);
  await sleep(500);
  expect(await under("refusesPull", created)).toBeLessThanOrEqual(4);
  await until("a subscription", () => camera.pullPoints.size > 0, 30_000);
  // What was lost was given back: the camera has room for five.
  expect(camera.pullPoints.size).toBe(1);
  camera.tell("tamper", { active: true });
  await until("the alarm", () => wire.join("").includes('"record":"tamper"'));
  // A poll, a pull and one new connection, and then a pause of ten seconds and more.
  expect(await under("loginRefused", () => camera.logins.refused)).toBeLessThanOrEqual(5);
}, 150_000);
