import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoreError } from "./database.ts";
import { schemaVersion } from "./schema.ts";
import { Store } from "./store.ts";
import { temporaryFolder } from "./testing.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function refusal(): StoreError {
  try {
    new Store(folder.file).close();
  } catch (error) {
    if (error instanceof StoreError) return error;
  }
  throw new Error("the store opened");
}

describe("Store", () => {
  it("flushes at every commit, in a new file and in an old one", () => {
    const strace = spawnSync("strace", ["-V"]);
    if (strace.error !== undefined) {
      console.log("skipped: strace is not installed, so flushes cannot be counted");
      return;
    }
    const script = `
      const { Store } = await import(${JSON.stringify(new URL("store.ts", import.meta.url).href)});
      for (let open = 0; open < 2; open++) {
        const store = new Store(${JSON.stringify(folder.file)});
        for (let i = 0; i < 50; i++) {
          const id = "gw-" + open + "-" + i;
          const gateway = { id, events: 0, duplicates: 0, duplicateEvents: 0, rejected: 0 };
          store.commit({ batches: [], epochs: [], gateways: [gateway], dictionaries: [], births: [], seals: [], rejected: [] });
        }
        store.close();
      }`;
    const traced = [
      "-f",
      "-c",
      "-e",
      "trace=fdatasync,fsync",
      process.execPath,
      "--input-type=module",
      "-e",
      script,
    ];
    const { stderr, status } = spawnSync("strace", traced, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const calls = [...stderr.matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$/gm)];
    expect(calls.reduce((sum, call) => sum + Number(call[1]), 0)).toBeGreaterThanOrEqual(100);
  });

  it("refuses a file that another receiver has open", () => {
    const first = new Store(folder.file);
    const error = refusal();
    expect(error.code).toBe("busy");
    expect(error.message).toContain(`${folder.file} is in use by another process`);
    first.close();
    new Store(folder.file).close();
  });

  it("refuses a file that is not a database", () => {
    writeFileSync(folder.file, "not a database at all, but longer than a header of SQLite is: ".repeat(100));
    const error = refusal();
    expect(error.code).toBe("corrupt");
    expect(error.message).toContain("damaged or not a kerb database");
  });

  it("refuses the file of a newer kerb", () => {
    const database = new Database(folder.file);
    database.pragma(`user_version = ${schemaVersion + 1}`);
    database.close();
    expect(refusal().code).toBe("newer");
  });

  it("refuses a folder that does not exist", () => {
    folder.file = `${folder.path}/absent/receiver.db`;
    expect(refusal().code).toBe("unusable");
  });
});
