import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pack, unpack } from "../archive.ts";
import { Journal } from "../commands/journal.ts";
import { Memory } from "../commands/memory.ts";
import { loadSite } from "../config/config.ts";
import { knownGaps } from "../outbox/known-gaps.ts";
import { urgentEvent } from "../outbox/own-events.ts";
import { OutboxStore } from "../outbox/store.ts";
import { collectBackup, manifestName } from "./collect.ts";
import { BackupError, readManifest, restoreBackup } from "./restore.ts";
import { seal, unseal } from "./sealed.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-backup-"));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

const bytesMax = 16 * 1024 * 1024;
const madeMs = Date.parse("2026-03-01T08:00:00Z");

const siteText = `# The cabinet of hunter-22-hunter. Old password: grandfather-7
version: 1
gateway: { id: gw-back, name: Tủ, city: test, state: ./state }
uplinks:
  - { id: ioc, type: mqtt, url: "mqtt://127.0.0.1:9", username: ioc-user-7, password: 'tr0ub4dor & co' }
include: [devices.d/*.yaml]
`;
const deviceText = `devices:
  - id: hook-01   # the hook
    driver: http
    profile: generic/json-meter
    host: 127.0.0.1
    port: 8080
    auth: { type: basic, user: svc-hook-9, password: hunter-22-hunter }
    insecure: acknowledged
`;

/** A site in a folder of its own. */
function makeSite(name: string): { site: string; stateFolder: string } {
  const own = join(folder, name);
  mkdirSync(join(own, "devices.d"), { recursive: true });
  mkdirSync(join(own, "state"));
  writeFileSync(join(own, "gateway.yaml"), siteText);
  writeFileSync(join(own, "devices.d", "hook.yaml"), deviceText);
  return { site: join(own, "gateway.yaml"), stateFolder: join(own, "state") };
}

const now = () => ({ wallMs: Date.now(), monoMs: 5, clock: "synced" as const, boot: "old-boot" });

const collect = (from: { site: string; stateFolder: string }, more = {}) =>
  collectBackup({
    ...from,
    kind: "portable",
    withBuffer: false,
    sessions: { ioc: 12 },
    kerb: "0",
    madeMs: Date.now(),
    ...more,
  });

async function restoreInto(name: string, files: ReturnType<typeof collect>["files"]) {
  const site = join(folder, name, "gateway.yaml");
  const stateFolder = join(folder, name, "state");
  return restoreBackup({ files, manifest: readManifest(files), site, stateFolder, bytesMax });
}

/** A run of the box: so many events; gives its epoch and their numbers. */
function run(stateFolder: string, events: number): { epoch: number; ids: string[] } {
  const store = new OutboxStore({ path: join(stateFolder, "outbox.db"), bytesMax, gateway: "gw-back" });
  const [self] = store.register([{ id: "gw-back", type: "gateway", profile: "", points: [] }]);
  const rows = store.commit(
    Array.from({ length: events }, (_, i) => urgentEvent("state", self?.index ?? 0, { i })),
  );
  const { epoch, base } = store;
  store.close();
  return { epoch, ids: rows.map(({ id }) => `${epoch}:${id - base}`) };
}

describe("an archive", () => {
  it("is one that tar opens, and what is cut off is no archive", () => {
    const files = [
      { name: "a/đèn.txt", bytes: Buffer.from("x".repeat(1000)) },
      { name: `${"d".repeat(120)}/b`, bytes: Buffer.alloc(0) },
    ];
    const file = join(folder, "a.tar.gz");
    writeFileSync(file, pack(files, madeMs));
    expect(execFileSync("tar", ["xzOf", file, "a/đèn.txt"]).toString()).toBe("x".repeat(1000));
    expect(unpack(readFileSync(file)).map(({ name, bytes }) => [name, bytes.length])).toEqual([
      ["a/đèn.txt", 1000],
      [`${"d".repeat(120)}/b`, 0],
    ]);
    expect(() => unpack(readFileSync(file).subarray(0, 60))).toThrow(/unexpected end/);
  });
});

describe("a sealed backup", () => {
  it("opens with its passphrase only, and not when a single bit of it was changed", async () => {
    const sealed = await seal(Buffer.from("the box"), "đèn đường ngã tư");
    expect((await unseal(sealed, "đèn đường ngã tư".normalize("NFD"))).toString()).toBe("the box");
    expect(sealed.includes("the box")).toBe(false);
    await expect(unseal(sealed, "đèn đường ngã ba")).rejects.toThrow(/passphrase is wrong/);
    for (const at of [20, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(unseal(changed, "đèn đường ngã tư")).rejects.toThrow(/wrong|no sealed/);
    }
  });
});

describe("a portable backup", () => {
  it("has no secret, keeps comments and everything else, and works when the secrets are brought", async () => {
    const from = makeSite("old");
    const { files, manifest } = collect(from);
    const whole = files.map(({ bytes }) => bytes.toString()).join("\n");
    for (const secret of ["hunter-22-hunter", "grandfather-7", "tr0ub4dor", "ioc-user-7", "svc-hook-9"])
      expect(whole).not.toContain(secret);
    expect(whole).toContain("# the hook");
    expect(manifest.needs).toEqual([
      "secret:hook-01-auth-password",
      "secret:hook-01-auth-user",
      "secret:ioc-password",
      "secret:ioc-username",
    ]);
    await restoreInto("new", files);
    const secrets = join(folder, "new", "secrets");
    mkdirSync(secrets);
    for (const [name, text] of Object.entries({
      "hook-01-auth-password": "hunter-22-hunter",
      "hook-01-auth-user": "svc-hook-9",
      "ioc-password": "tr0ub4dor & co",
      "ioc-username": "ioc-user-7",
    }))
      writeFileSync(join(secrets, name), text);
    const [old, restored] = await Promise.all([
      loadSite(from.site),
      loadSite(join(folder, "new", "gateway.yaml")),
    ]);
    expect(restored.uplinks).toEqual(old.uplinks);
    expect(restored.devices.map(({ settings }) => settings)).toEqual(
      old.devices.map(({ settings }) => settings),
    );
  });

  it("is refused when it holds a file that would land elsewhere", () => {
    const { files } = collect(makeSite("old"));
    const evil = (name: string) => [...files, { name, bytes: Buffer.alloc(0) }];
    for (const name of ["../x", "/etc/x", "state/../../x", "other/x", "config/./x"])
      expect(() => readManifest(evil(name)), name).toThrow(BackupError);
    expect(files[0]?.name).toBe(manifestName);
  });
});

/** As a kerb made it that did not ask the state folder whose it is. */
const unresolved = (name: string, text: string) =>
  name === manifestName ? text.replace('"gw-back"', '"${env:KERB_BOX}"') : text;

describe("a restored box", () => {
  it("gives no number again that the old one gave since, whatever both clocks show", async () => {
    const from = makeSite("old");
    vi.useFakeTimers({ toFake: ["Date"] });
    // Its clock was once far ahead: from then on each start counts one epoch up, and the clock has no say.
    vi.setSystemTime(Date.parse("2037-01-01T00:00:00Z"));
    const before = run(from.stateFolder, 3);
    vi.setSystemTime(Date.parse("2026-03-01T00:00:00Z"));
    const { files } = collect(from);
    const since = [run(from.stateFolder, 5), run(from.stateFolder, 5)];
    vi.setSystemTime(Date.parse("2020-01-01T00:00:00Z"));
    const restored = await restoreInto("new", files);
    const after = run(join(folder, "new", "state"), 5);
    const all = [before, ...since, after].flatMap(({ ids }) => ids);
    expect(new Set(all).size).toBe(all.length);
    expect(since.map(({ epoch }) => epoch)).toEqual([before.epoch + 1, before.epoch + 2]);
    expect(restored.epoch).toBeGreaterThan(Math.max(...since.map(({ epoch }) => epoch)) + 1000);
    const twin = await restoreInto("twin", files);
    expect(twin.epoch).not.toBe(restored.epoch);
  });

  it("tells the IOC of the time that nobody knows of, and gives no index a second meaning", async () => {
    const from = makeSite("old");
    run(from.stateFolder, 1);
    const { files } = collect(from, { madeMs });
    await restoreInto("new", files);
    const path = join(folder, "new", "state", "outbox.db");
    const store = new OutboxStore({ path, bytesMax, gateway: "gw-back" });
    const found = knownGaps(store, { gateway: "gw-back", uplinks: [{ name: "ioc" }] });
    expect(found).toMatchObject([
      { cause: "box_off", fromMs: madeMs, told: "waiting", details: { restart: "restore" } },
    ]);
    const [device] = store.register([{ id: "new-01", type: "meter", profile: "", points: [] }]);
    expect(device?.index).toBeGreaterThan(65_536);
    expect(store.nextSession("ioc")).toBeGreaterThan(1_000_000);
    store.close();
  });

  it("belongs to its gateway also where the site file has a reference as its id", async () => {
    const from = makeSite("old");
    writeFileSync(from.site, siteText.replace("gw-back", '"${env:KERB_BOX}"'));
    const neverRun = collect(from).files;
    run(from.stateFolder, 1);
    const { files, manifest } = collect(from);
    expect(manifest.gateway).toBe("gw-back");
    // And one before it that did not know whose a folder is.
    const say = (change: (name: string, text: string) => string) =>
      files.map(({ name, bytes }) => ({ name, bytes: Buffer.from(change(name, bytes.toString())) }));
    const older = say((name, text) =>
      name === "state/epoch" ? text.replace(/^gateway .*\n/m, "") : unresolved(name, text),
    );
    const backups = { now: files, before: say(unresolved), older, neverRun };
    for (const [name, backup] of Object.entries(backups)) {
      await restoreInto(name, backup);
      const path = join(folder, name, "state", "outbox.db");
      const store = new OutboxStore({ path, bytesMax });
      expect(store.count().rows, "the time between").toBe(name === "neverRun" ? 0 : 1);
      store.close();
      run(join(folder, name, "state"), 1);
      expect(() => new OutboxStore({ path, bytesMax, gateway: "gw-x" })).toThrow('"gw-back"');
    }
  });

  it("keeps the queue that is there, and has the saved one under its old numbers where there is none", async () => {
    const from = makeSite("old");
    const kept = run(from.stateFolder, 4);
    const { files } = collect(from, { withBuffer: true });
    const path = join(folder, "new", "state", "outbox.db");
    await restoreInto("new", files);
    const store = new OutboxStore({ path, bytesMax });
    const rows = store.newer(0).filter(({ id }) => store.epochOf(id).epoch === kept.epoch);
    expect(rows.map(({ id }) => `${kept.epoch}:${id - store.epochOf(id).base}`)).toEqual(kept.ids);
    store.close();
    const again = await restoreInto("new", files);
    expect(again).toMatchObject({ keptState: true });
    expect(again.epoch).toBeUndefined();
  });

  it("writes nothing that a lease of that time wanted, and tells nothing of commands of then", async () => {
    const from = makeSite("old");
    const commands = join(from.stateFolder, "commands");
    const journal = await Journal.open({ folder: commands, now }, { gw: "gw-back" });
    const state = { v: 1, id: "c-1", gw: "gw-back", dev: "lamp", state: "accepted", at: 1 };
    await journal.append({ ev: "accepted", digest: "d", state });
    const lease = { ms: 60_000, returnTo: true };
    await journal.append({ ev: "executing", id: "c-1", dev: "lamp", point: "on", value: false, lease });
    const told = { ...state, id: "c-2", state: "done" };
    await journal.append({ ev: "result", state: told, digest: "e" });
    await journal.close();
    const restored = await restoreInto("new", collect(from).files);
    expect(restored.leases).toEqual([{ device: "lamp", point: "on", returnTo: true }]);
    const memory = new Memory();
    const own = join(folder, "new", "state", "commands");
    const opened = await Journal.open({ folder: own, now, each: (entry) => memory.take(entry) }, {});
    await opened.close();
    expect({ leases: memory.leases, open: memory.open, untold: memory.untold }).toEqual({
      leases: [],
      open: [],
      untold: [],
    });
    // The same command is known all the same: a repeat is not executed.
    expect(memory.known("c-1")?.state).toMatchObject({ state: "unknown", resolved: true });
    expect(statSync(join(own, "journal-000001.ndjson")).mode & 0o777).toBe(0o600);
  });
});
