import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { load } from "../config/load.ts";
import { loadedOf, type LoadRequest, loadSiteApart, SiteError } from "../config/process.ts";
import { chooseStart } from "./start.ts";
import { GenerationStore, hashOf } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-start-"));
const file = join(folder, "gateway.yaml");
const more = join(folder, "devices.d", "more.yaml");
const unread = join(folder, "devices.d", "unread.yaml");
const store = new GenerationStore(join(folder, "state"));
const about = { at: "2026-11-22T10:00:00.000Z", by: "an", how: "apply", outcome: "kept" } as const;

const device = (id: string) =>
  `  - { id: ${id}, driver: modbus, profile: eastron/sdm630, transport: { type: tcp, host: 127.0.0.1, port: 502 }, unit: 1 }\n`;
const site = (name: string) =>
  `version: 1\ngateway: { id: box-01, name: ${name}, city: hcm, state: ./state }\ninclude: [devices.d/m*.yaml]\n`;
const texts = (name: string) => new Map([[file, site(name)]]);

/** As `loadSiteApart`, which takes a process each time. */
const loadHere = async (request: LoadRequest) => loadedOf(await load(request));
const start = (path: string) => chooseStart(path, { load: loadHere });

beforeAll(() => {
  mkdirSync(join(folder, "devices.d"));
  writeFileSync(file, site("first"));
  writeFileSync(more, `devices:\n${device("from-disk")}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a configuration other than the files", () => {
  it("takes the place of files of the same name, and lies beside the others", async () => {
    const files: [string, string][] = [
      [more, `devices:\n${device("given")}`],
      [unread, `devices:\n${device("added")}`],
    ];
    const { site: found, texts: read } = await loadSiteApart({ file, files });
    expect(found.devices.map(({ id }) => id)).toEqual(["given", "added"]);
    expect(new Map(read)).toEqual(new Map([[file, site("first")], ...files]));
    const whole = await loadHere({ file, files: [[file, site("whole")]], isWhole: true });
    expect(whole.site).toMatchObject({ gateway: { name: "whole" }, devices: [] });
  });

  it("is told with the place of what is wrong in it", async () => {
    const wrong = loadSiteApart({ file, files: [[more, "devices:\n  - { id: x, drover: modbus }\n"]] });
    await expect(wrong).rejects.toThrow(SiteError);
    await expect(wrong).rejects.toThrow(/devices\.d\/more\.yaml:2/);
  });
});

describe("a start", () => {
  it("runs the files that nobody has kept yet, and those that are kept", async () => {
    expect((await start(file)).generation).toBeUndefined();
    const { loaded, filesHash } = await start(file);
    const { number } = await store.add(about, new Map(loaded.texts), loaded.include);
    await store.setState({ current: number, files: filesHash });
    expect((await start(file)).generation).toMatchObject({ number });
  });

  it("runs what stands in the place of the files, until somebody changes them", async () => {
    const { filesHash } = await start(file);
    const { number } = await store.add({ ...about, how: "twin" }, texts("twin"), []);
    await store.setState({ current: number, files: filesHash });
    expect((await start(file)).loaded.site.gateway.name).toBe("twin");
    writeFileSync(more, `devices:\n${device("edited")}`);
    const edited = await start(file);
    expect(edited.loaded.site.gateway.name).toBe("first");
    expect(edited.generation).toBeUndefined();
  });

  it("does not run what was never settled, nor believe a damaged generation", async () => {
    const { filesHash } = await start(file);
    const previous = await store.add(about, texts("before"), []);
    const pending = await store.add({ ...about, outcome: "pending" }, texts("pending"), []);
    await store.setState({
      current: pending.number,
      files: filesHash,
      pending: { previous: previous.number },
    });
    const chosen = await start(file);
    expect(chosen).toMatchObject({ unconfirmed: pending.number, generation: { number: previous.number } });
    expect(chosen.loaded.site.gateway.name).toBe("before");
    writeFileSync(join(store.folder, String(previous.number), "0-gateway.yaml"), site("forged"));
    const damaged = await start(file);
    expect(damaged.loaded.site.gateway.name).toBe("first");
    expect(damaged.notes).toHaveLength(1);
  });

  it("runs the last good one for a file that is no YAML any more, and none of another file", async () => {
    const good = await store.add(about, texts("good"), []);
    await store.setState({ current: good.number, files: hashOf(texts("good")) });
    const broken = `${site("broken")}devices: [\n`;
    writeFileSync(file, broken);
    const chosen = await start(file);
    expect(chosen.loaded.site.gateway.name).toBe("good");
    expect(chosen.safeMode?.count).toBeGreaterThan(0);
    await expect(chooseStart(file, { strict: true, load: loadHere })).rejects.toThrow(SiteError);
    const other = join(folder, "other.yaml");
    writeFileSync(other, broken);
    await expect(start(other)).rejects.toThrow(SiteError);
  });
});
