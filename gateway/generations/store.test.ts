import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { filesNow, GenerationStore, hashOf } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-generations-"));
const about = { at: "2026-11-22T10:00:00.000Z", by: "an", how: "apply", outcome: "kept" } as const;
const texts = new Map([
  ["/etc/kerb/gateway.yaml", "\ufeffversion: 1\r\n# Tủ\n"],
  ["/etc/kerb/devices.d/gateway.yaml", "devices: []"],
]);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("kept configurations", () => {
  it("come back byte for byte, readable for nobody else", async () => {
    const store = new GenerationStore(join(folder, "one"));
    const { number } = await store.add(about, texts, ["devices.d/*.yaml"]);
    const kept = await store.read(number);
    expect(kept?.texts).toEqual([...texts]);
    expect(kept?.generation).toMatchObject({ number: 1, by: "an", hash: hashOf(texts) });
    expect(readFileSync(join(store.folder, "1", "0-gateway.yaml"), "utf8")).toBe(
      texts.get("/etc/kerb/gateway.yaml"),
    );
    expect(statSync(store.folder).mode & 0o077).toBe(0);
    expect(statSync(join(store.folder, "1", "0-gateway.yaml")).mode & 0o077).toBe(0);
  });

  it("are compared with what the check would read: no more of a file than that", async () => {
    const site = join(folder, "gateway.yaml");
    writeFileSync(site, "version: 1\n");
    writeFileSync(join(folder, "huge.yaml"), Buffer.alloc(3 * 1024 ** 2, "#"));
    expect([...(await filesNow(site, ["*.yaml"])).keys()]).toEqual([site]);
  });

  it("are not believed when a byte of them is another one", async () => {
    const store = new GenerationStore(join(folder, "rot"));
    await store.add(about, texts, []);
    writeFileSync(join(store.folder, "1", "1-gateway.yaml"), "devices: [ ]");
    expect(await store.read(1)).toBeUndefined();
    writeFileSync(join(store.folder, "1", "generation.json"), "{");
    expect(await store.list()).toEqual([]);
    writeFileSync(join(store.folder, "state.json"), '{"curr');
    expect(await store.state()).toBeUndefined();
  });

  it("are the newest 20, and those that a start may need", async () => {
    const store = new GenerationStore(join(folder, "many"));
    await store.add(about, texts, []);
    await store.setState({ current: 1, files: "x" });
    for (let i = 0; i < 24; i++) await store.add(about, texts, []);
    const numbers = (await store.list()).map(({ number }) => number);
    expect(numbers[0]).toBe(25);
    expect(numbers).toContain(1);
    expect(numbers.length).toBe(21);
    expect(readdirSync(store.folder).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it("have the hash of the files on the disk while these are so", async () => {
    const file = join(folder, "gateway.yaml");
    writeFileSync(file, "\ufeffa");
    writeFileSync(join(folder, "b.yaml"), "b");
    const now = await filesNow(file, ["?.yaml"]);
    expect(now).toEqual(
      new Map([
        [file, "\ufeffa"],
        [join(folder, "b.yaml"), "b"],
      ]),
    );
    const swapped = new Map([
      [file, "b"],
      [join(folder, "b.yaml"), "\ufeffa"],
    ]);
    expect(hashOf(now)).not.toBe(hashOf(swapped));
  });
});
