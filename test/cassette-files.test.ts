import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it, vi } from "vitest";
import { cassetteText } from "../gateway/cassette/cassette.ts";
import { loadCassette } from "../gateway/cli/profile/load-cassette.ts";
import { profileTest } from "../gateway/cli/profile/profile-test.ts";
import { ConfigError } from "../gateway/errors.ts";
import { complaintOf, root, Tapes } from "./cassette-rig.ts";

/** Files of cassettes that are not there, not readable, not whole, too large or empty. */

const tapes = new Tapes();
afterAll(() => tapes.close());

const whole = readFileSync(`${root}/firmware-profiles/generic/wim-json.cassettes/simulator.yaml`, "utf8");
const library = `${root}/firmware-profiles/zigbee2mqtt/plug.cassettes/simulator.yaml`;

function file(name: string, text: string | Buffer): string {
  writeFileSync(tapes.path(name), text);
  return tapes.path(name);
}

const lineOf = (text: string, part: string) => text.slice(0, text.indexOf(part)).split("\n").length;

const cut = whole.slice(0, whole.indexOf("reads:"));
const lines = whole.trimEnd().split("\n");
const withHolds = cassetteText(loadCassette(library));
const damaged = whole.replace("from: device", "from: nobody");

describe("a cassette's file", () => {
  it.each([
    ["that is missing", () => tapes.path("none.yaml"), 3, /there is no cassette .*none\.yaml/, /kerb record/],
    [
      "that is a folder",
      () => (mkdirSync(tapes.path("a-folder")), tapes.path("a-folder")),
      78,
      /a-folder: .* it is a folder/,
      /name a file/,
    ],
    ["that is empty", () => file("empty.yaml", ""), 78, /empty\.yaml:1: this is no recording/, /kerb record/],
    [
      "that is something else",
      () => file("site.yaml", "version: 1\n"),
      78,
      /site\.yaml:1: this is no recording/,
      /kerb record/,
    ],
    [
      "that is no text",
      () => file("bytes.yaml", Buffer.from([0xff, 0xfe, 1, 0])),
      78,
      /bytes\.yaml: .*UTF-16/,
      /name a file/,
    ],
    [
      "that is giant",
      () => {
        const one = file("giant.yaml", whole);
        truncateSync(one, 8 * 1024 ** 3);
        return one;
      },
      78,
      /giant\.yaml: .*larger than 1024 KiB/,
      /at most 1 MiB/,
    ],
    [
      "that is cut off before its readings",
      () => file("cut.yaml", cut),
      78,
      new RegExp(`cut\\.yaml:${cut.trimEnd().split("\n").length}: the recording is cut off`),
      /undamaged copy/,
    ],
    [
      "that is cut off in a line",
      () => file("line.yaml", whole.slice(0, whole.indexOf("records:") + 300)),
      78,
      new RegExp(`line\\.yaml:${lineOf(whole, "records:") + 1}: the recording is damaged`),
      /undamaged copy/,
    ],
    [
      "that has one of its records less",
      () => file("less.yaml", withHolds.replace('"reads":2', '"reads":3')),
      78,
      new RegExp(
        `less\\.yaml:${withHolds.trimEnd().split("\n").length}: .*a part is missing: .*"reads":3.*"reads":2`,
      ),
      /undamaged copy/,
    ],
    [
      "with a wrong word",
      () => file("wrong.yaml", damaged),
      78,
      new RegExp(`wrong\\.yaml:${lineOf(damaged, "from: nobody")}: the recording is damaged: .*"kerb"`),
      /undamaged copy/,
    ],
    [
      "with a key that nobody knows",
      () => file("key.yaml", `${lines.join("\n")}\nsecret: 1\n`),
      78,
      new RegExp(`key\\.yaml:${lines.length + 1}: the recording is damaged`),
      /undamaged copy/,
    ],
  ] as [string, () => string, number, RegExp, RegExp][])(
    "%s is told in one sentence, with its place and its cure",
    async (_, make, code, title, cure) => {
      const name = make();
      const complaint = await complaintOf(() => loadCassette(name));
      expect(complaint.title).toMatch(title);
      expect(complaint.title).not.toContain("\n");
      expect(complaint).toMatchObject({ exitCode: code, hint: expect.stringMatching(cure) });
      // The same by the verb, and in Vietnamese.
      const told = await complaintOf(() => profileTest([name], { json: true, lang: "vi" }));
      expect(told.exitCode).toBe(code);
      expect(told.title).not.toBe(complaint.title);
    },
  );

  const isRoot = process.getuid?.() === 0;
  if (isRoot) console.warn("skipped: root may read every recording");
  it.skipIf(isRoot)("that may not be read is told with the right that is missing", async () => {
    const name = file("locked.yaml", whole);
    chmodSync(name, 0);
    const { title, hint } = await complaintOf(() => loadCassette(name));
    expect(title).toMatch(/locked\.yaml: .*this user may not read it/);
    expect(hint).toMatch(/chmod u\+r/);
  });
});

async function tested(files: string[], options = {}) {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
  try {
    return { code: await profileTest(files, { lang: "en", ...options }), text: written.join("") };
  } finally {
    spy.mockRestore();
  }
}

describe("a cassette that does not fit what kerb has now", () => {
  const level = readFileSync(`${root}/firmware-profiles/qdy/qdy30a.cassettes/simulator.yaml`, "utf8");
  it.each([
    ["profile", level.replace(/^profile: .*/m, 'profile: "qdy/qdy30x"'), "qdy30x"],
    ["driver", level.replace(/^driver: .*/m, 'driver: "modbuss"'), "modbus"],
    ["settings", level.replace(/^settings: \{/m, 'settings: {"unitt":1,'), "settings.unitt: "],
  ])("is told with the line of its %s", async (key, text, word) => {
    const name = file(`unfit-${key}.yaml`, text);
    const line = lineOf(text, `\n${key}:`) + 1;
    const told = await profileTest([name], { lang: "en" }).catch((error: unknown) => error);
    if (!(told instanceof ConfigError)) throw new Error("it has not failed");
    const shown = told.render();
    expect(shown).toContain(`unfit-${key}.yaml:${line}:1`);
    expect(shown).toContain(word);
    // What was made of it to check it is in no file.
    expect(shown).not.toMatch(/devices|cassette-\d/);
  });
});

describe("a cassette that compares nothing", () => {
  it.each([
    ["without reads", { reads: [], records: [] }],
    ["whose reads are empty", { reads: [{}, {}], records: [] }],
  ])("%s is a failure that says so", async (name, nothing) => {
    const empty = file(`${name}.yaml`, cassetteText({ ...loadCassette(library), identity: {}, ...nothing }));
    const { code, text } = await tested([empty]);
    expect(code).toBe(6);
    expect(text).toContain("nothing was compared");
    const json = await tested([empty], { json: true });
    expect(json.code).toBe(6);
    expect(JSON.parse(json.text)).toMatchObject({ data: { isSame: false, compared: 0 } });
  });

  it("and a library without any are failures too", async () => {
    mkdirSync(tapes.path("profiles"));
    const { exitCode, title } = await complaintOf(() =>
      profileTest([], { profiles: tapes.path("profiles"), lang: "en" }),
    );
    expect(exitCode).toBe(3);
    expect(title).toMatch(/there is no recording in .*profiles/);
  });
});
