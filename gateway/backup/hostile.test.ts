import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ArchiveFile, pack, unpack } from "../archive.ts";
import { manifestName } from "./collect.ts";
import { BackupError, readManifest, restoreBackup } from "./restore.ts";

/** Backups that somebody else has made, for a box that restores them as root. */

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-hostile-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sound = {
  v: 1,
  kind: "portable",
  kerb: "0",
  gateway: "gw-01",
  madeMs: 1_700_000_000_000,
  site: "gateway.yaml",
  state: "./state",
  epoch: 5,
  sessions: {},
  withBuffer: false,
  needs: [],
};

const file = (name: string, text = "x"): ArchiveFile => ({ name, bytes: Buffer.from(text) });

function backupOf(files: ArchiveFile[], manifest: Record<string, unknown> = {}): ArchiveFile[] {
  const head = file(manifestName, JSON.stringify({ ...sound, ...manifest }));
  return unpack(pack([head, file("config/gateway.yaml", "version: 1\n"), ...files], 0));
}

function restored(files: ArchiveFile[]) {
  const manifest = readManifest(files);
  const site = join(folder, "etc", "gateway.yaml");
  return restoreBackup({ files, manifest, site, stateFolder: join(folder, "state"), bytesMax: 2 ** 24 });
}

describe("a backup that somebody else has made", () => {
  it.each([
    "state/authorized_keys",
    "state/.ssh/authorized_keys",
    "state/commands/deep/file",
    "state/drivers/opcua/own.pem/../../x",
    "profiles/kerb",
    "profiles/a/b/c.yaml",
    "profiles/vendor/.yaml",
    "config/.bashrc",
    "config/.ssh/authorized_keys",
    "config/",
    "constructor/x",
  ])("brings no file %j", (name) => {
    expect(() => readManifest(backupOf([file(name)]))).toThrow(BackupError);
  });

  it.each([
    { site: "../gateway.yaml" },
    { site: ".bashrc" },
    { epoch: 2 ** 53 },
    { epoch: "1" },
    { epoch: -1 },
    { madeMs: "now" },
    { sessions: { ioc: 2 ** 53 } },
    { sessions: [] },
    { needs: "all" },
    { state: 5 },
  ])("says of itself what can be so: not %j", (manifest) => {
    expect(() => readManifest(backupOf([], manifest))).toThrow(BackupError);
  });

  it("writes through no link that the service's user has laid", async () => {
    const [state, elsewhere] = [join(folder, "state"), join(folder, "elsewhere")];
    mkdirSync(state);
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(state, "commands"));
    await expect(restored(backupOf([file("state/commands/journal-000001.ndjson")]))).rejects.toThrow(
      /leads elsewhere/,
    );
    await expect(restored(backupOf([]))).rejects.toThrow(/leads elsewhere/);
    expect(readdirSync(elsewhere)).toEqual([]);
    rmSync(join(state, "commands"));
    const victim = join(elsewhere, "victim");
    writeFileSync(victim, "as it was");
    symlinkSync(victim, join(state, "dictionary.restored"));
    await restored(backupOf([file("state/dictionary")])).catch(() => {});
    expect(readFileSync(victim, "utf8")).toBe("as it was");
    expect(existsSync(victim)).toBe(true);
  });
});

describe("an archive that somebody else has made", () => {
  it("ends, whatever it says of the length of a file", () => {
    const head = Buffer.alloc(512);
    head.write("x");
    head.write("-0000001000", 124);
    expect(() => unpack(gzipSync(Buffer.concat([head, Buffer.alloc(512)])))).toThrow(/cut off/);
  });

  it("is no bomb", () => {
    const bomb = gzipSync(Buffer.alloc(40 * 1024 ** 2));
    expect(() => unpack(bomb)).toThrow(/larger than/);
  });
});
