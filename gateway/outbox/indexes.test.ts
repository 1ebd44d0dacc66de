import Database from "better-sqlite3";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { OutboxStore } from "./store.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "kerb-indexes-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens the file, registers a device with these points, and gives back its index and theirs. */
function indexesOf(id: string, names: string[], before?: () => void): number[] {
  before?.();
  const store = new OutboxStore({ path: join(folder, "outbox.db"), bytesMax: 1024 * 1024 });
  const points = names.map((name) => ({ name, unit: "V", kind: "number" as const, decimals: 0 }));
  const [device] = store.register([{ id, type: "meter", profile: "", points }]);
  store.close();
  return [device?.index ?? 0, ...(device?.points.map(({ index }) => index) ?? [])];
}

it("a file that was lost or set back gives no device and no point an index of before", () => {
  const file = join(folder, "outbox.db");
  const first = indexesOf("one", ["a"]);
  copyFileSync(file, `${file}.backup`);
  expect(indexesOf("one", ["a"])).toEqual(first);
  const grown = indexesOf("one", ["a", "b", "c"]);
  const restored = indexesOf("one", ["a", "x", "y"], () => copyFileSync(`${file}.backup`, file));
  expect(restored.slice(0, 2)).toEqual(first);
  expect(restored.slice(2).filter((index) => grown.includes(index))).toEqual([]);
  const fresh = indexesOf("two", ["z"], () => rmSync(file));
  expect(fresh.filter((index) => index <= Math.max(...restored))).toEqual([]);
});

it.each([
  ["no JSON", "substr(json, 1, length(json) - 3)"],
  ["another name", "replace(json, '\"a\"', '\"e\"')"],
])("a dictionary in which bits have flipped (%s) gives way to the current one", (_, damaged) => {
  const path = join(folder, "outbox.db");
  indexesOf("one", ["a"]);
  let store = new OutboxStore({ path, bytesMax: 1024 * 1024 });
  const { hash } = store.dictionary;
  const cut = { rowLane: 1 as const, first: 1, last: 1, lane: "live" as const, dictionary: hash, fix: 0 };
  store.freeze("ioc", [cut]);
  store.close();
  indexesOf("two", ["b"]);
  const database = new Database(path);
  expect(database.prepare(`UPDATE dictionary SET json = ${damaged} WHERE hash = ?`).run(hash).changes).toBe(
    1,
  );
  database.close();
  store = new OutboxStore({ path, bytesMax: 1024 * 1024 });
  const [one] = store.dictionaryOf(hash).devices;
  expect([store.dictionaryOf(hash).hash, one?.points[0]?.name]).toEqual([store.dictionary.hash, "a"]);
  store.close();
});
