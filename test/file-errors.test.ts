import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { fileError, strayFileError } from "../gateway/cli/files.ts";
import { reportFailure } from "../gateway/cli/output.ts";
import { SocketDeniedError } from "../gateway/control/control.ts";
import { ConfigError } from "../gateway/errors.ts";
import { speak } from "../gateway/words.ts";
import { urgentEvent } from "../gateway/outbox/own-events.ts";
import { OutboxStore } from "../gateway/outbox/store.ts";
import { configCure } from "../gateway/cli/config/config-cure.ts";
import { loadYaml } from "../gateway/config/yaml.ts";
import { folder, kerb } from "./cli-rig.ts";

/** What verbs say of files that somebody named and that cannot be used: a sentence, its place, a cure; no errno. */

const at = (name: string): string => join(folder, name);
const site = at("site.yaml");
writeFileSync(at("text"), "not what is wanted");
writeFileSync(
  site,
  JSON.stringify({
    version: 1,
    gateway: { id: "gw-1", name: "x", city: "test", state: "./state" },
    uplinks: [],
    devices: [],
  }),
);
mkdirSync(at("folder"));
mkdirSync(at("state"));
const store = new OutboxStore({ path: at("state/outbox.db"), bytesMax: 64 * 1024 * 1024 });
store.register([{ id: "gw-1", type: "gateway", profile: "", points: [] }]);
store.commit([urgentEvent("device-status", 1, { state: "started" })]);
store.close();

const [missing, aFolder, under, taken] = ["missing", "folder", "text/file", "text"].map(at) as [
  string,
  string,
  string,
  string,
];
const here = ["--site", site];
const there = ["--broker", "mqtt://127.0.0.1:9", "--city", "test"];
const receive = ["receive", ...there];
const issuer = ["--gateway", "gw-1", "--issuer", "ioc", "--key"];

writeFileSync(at("empty"), "");
writeFileSync(at("binary"), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2]));
mkdirSync(at("box"));
writeFileSync(at("box/gateway.yaml"), "");

type Case = [args: string[], code: number, english: RegExp, vietnamese: RegExp];
const noFile = [
  /there is no (file|cassette|profile) /,
  /không có (tệp|hồ sơ|tệp ghi|cấu hình mẫu) /,
] as const;
const isFolder = [/is a folder/, /là thư mục/] as const;
const underFile = [/lies under a file/, /nằm dưới một tệp/] as const;
const full = [/the disk is full/, /đĩa đã đầy/] as const;
const exists = [/there already/, /đã có/] as const;

const begun = [/^ {2}do +.*kerb init.*\/etc\/kerb/m, /^ {2}cách xử lý +.*kerb init.*\/etc\/kerb/m] as const;
const whole = (verb: readonly string[]): Case[] => [
  [[...verb, missing], 78, ...begun],
  [[...verb, aFolder], 78, ...begun],
  [[...verb, at("empty")], 78, ...begun],
  [[...verb, at("binary")], 78, /it is no text\n {2}do +name a gateway.yaml/, /không phải văn bản\n {2}cách/],
  [[...verb, at("box")], 78, /name the file in it: .*box\/gateway\.yaml/, /nêu tệp .*box\/gateway\.yaml/],
];

const cases: Case[] = [
  ...whole(["run"]),
  ...whole(["config", "check"]),
  [["restore", missing, "--site", at("new.yaml")], 3, ...noFile],
  [["restore", aFolder, "--site", at("new.yaml")], 2, ...isFolder],
  [["restore", under, "--site", at("new.yaml")], 2, ...underFile],
  [["report", "verify", missing], 3, ...noFile],
  [["report", "verify", aFolder], 2, ...isFolder],
  [["report", "-o", `${under}.html`, ...here], 2, ...underFile],
  [["certificate", "--verify", taken, "--key", missing], 3, ...noFile],
  [["command", "keygen", join(missing, "key")], 2, /its folder does not exist/, /thư mục của nó chưa có/],
  [["command", "keygen", taken], 2, ...exists],
  [["twin", "set", taken, ...there, ...issuer, missing], 3, ...noFile],
  [["twin", "show", "--gateway", "gw-1", ...there, "--ca", missing], 3, ...noFile],
  [[...receive, "--database", at("r.db"), "--sign-key", missing], 78, ...noFile],
  [[...receive, "--database", at("r.db"), "--ca", aFolder], 78, ...isFolder],
  [[...receive, "--database", under], 78, ...underFile],
  [["backup", aFolder, ...here], 2, ...isFolder],
  [["backup", under, ...here], 2, ...underFile],
  [["buffer", "export", aFolder, ...here], 2, ...isFolder],
  [["buffer", "export", at("export.ndjson"), ...here], 1, ...full],
  [["support-bundle", "-o", aFolder, ...here], 2, ...isFolder],
  [["support-bundle", "-o", "/dev/full", ...here], 1, ...full],
  [["profile", "test", missing], 3, ...noFile],
  [["profile", "test", aFolder], 78, ...isFolder],
  [["profile", "lint", `${missing}.yaml`], 3, ...noFile],
];

const said = (code: string, doing: "read" | "write", language: "en" | "vi") =>
  fileError("/media/usb/box", Object.assign(new Error(code), { code }), doing, language).complaint;
const of = (more: object) => strayFileError(Object.assign(new Error("raw"), more))?.complaint.title;

describe("a file that cannot be used", () => {
  it.for(cases)("%s: exit code %i", ([args, code, english, vietnamese]) => {
    for (const [language, pattern, cure] of [
      ["en", english, /^ {2}do +\S/m],
      ["vi", vietnamese, /^ {2}cách xử lý +\S/m],
    ] as const) {
      // Where a file is written under another name first, its disk is full.
      rmSync(`${at("export.ndjson")}.part`, { force: true });
      symlinkSync("/dev/full", `${at("export.ndjson")}.part`);
      const { out, err, ...found } = kerb([...args, "--lang", language]);
      expect(found, `${out}${err}`).toEqual({ code });
      expect(err).toMatch(pattern);
      expect(err).toMatch(cure);
      expect(err).not.toMatch(/\bE[A-Z]{4,}\b|illegal operation|no such file or directory|left on device/);
    }
  });

  it("is said in a sentence for each thing that a system answers", () => {
    for (const language of ["en", "vi"] as const) {
      const codes = [
        "ENOENT",
        "EISDIR",
        "ENOTDIR",
        "EACCES",
        "EPERM",
        "EEXIST",
        "ENOSPC",
        "EDQUOT",
        "EROFS",
        "EIO",
      ];
      const read = codes.map((code) => said(code, "read", language));
      const write = codes.map((code) => said(code, "write", language));
      for (const { title, hint } of [...read, ...write]) {
        expect(title).toContain("/media/usb/box");
        expect(title).not.toMatch(/\bE[A-Z]{4,}\b/);
        expect(hint).toMatch(/\S{2,} \S/);
      }
      expect(said("EACCES", "read", language).title).not.toBe(said("EACCES", "write", language).title);
      expect(said("EMFILE", "read", language).title).toContain("EMFILE");
    }
    expect(said("ENOSPC", "write", "en").exitCode).toBe(1);
    expect(said("EACCES", "write", "en").exitCode).toBe(2);
    expect(said("ENOENT", "read", "en").exitCode).toBe(3);
  });

  it("is no site file that this user may read", () => {
    const found = () => loadYaml("/box/gateway.yaml", z.unknown(), { read: () => unreadable });
    const unreadable = { problem: "this user may not read it" };
    expect(found).toThrow(ConfigError);
    try {
      found();
    } catch (error) {
      expect(configCure(error as ConfigError)).toMatch(/sudo kerb .* ls -l \/box\/gateway\.yaml/);
    }
  });

  it("is recognised where no verb expected it", () => {
    expect(of({ code: "ENOSPC", path: "/a", syscall: "open" })).toMatch(/^\/a .*the disk is full/);
    expect(of({ code: "EACCES", path: "/a", syscall: "mkdir" })).toMatch(/may not write \/a/);
    // A socket has a path too.
    expect(of({ code: "EACCES", path: "/run/kerb.sock", syscall: "connect" })).toBeUndefined();
    expect(of({ code: "ECONNREFUSED", path: "/a", syscall: "open" })).toBeUndefined();
    expect(of({})).toBeUndefined();
  });
});

describe("a gateway that cannot be asked", () => {
  it.each([
    ["en", /^ {2}seen +nobody listens at \S+kerb\.sock$/m, /^ {2}do +start it: kerb run/m],
    [
      "vi",
      /^ {2}ghi nhận +không có gì lắng nghe tại \S+kerb\.sock$/m,
      /^ {2}cách xử lý +khởi động: kerb run/m,
    ],
  ] as const)("because none runs, is said with place and cure: %s", (language, seen, cure) => {
    const { code, err } = kerb(["status", ...here, "--lang", language]);
    expect({ code }).toEqual({ code: 4 });
    expect(err).toMatch(seen);
    expect(err).toMatch(cure);
  });

  it.each([
    ["en", /may not speak to the gateway at \/run\/kerb\.sock\n {2}do +.*sudo kerb/],
    ["vi", /không được phép nói chuyện với gateway tại \/run\/kerb\.sock\n {2}cách xử lý +.*sudo kerb/],
  ] as const)("because this user may not, too: %s", (language, pattern) => {
    const spy = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    speak(language);
    const code = reportFailure("status", new SocketDeniedError("/run/kerb.sock", new Error("EACCES")), false);
    const printed = spy.mock.calls.map(([text]) => String(text)).join("");
    spy.mockRestore();
    speak(undefined);
    expect(printed).toMatch(pattern);
    expect(code).toBe(1);
  });
});
