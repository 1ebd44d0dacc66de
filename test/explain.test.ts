import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { groupOf } from "../gateway/cli/help/explain.ts";
import { explainWords } from "../gateway/cli/help/explain-words.ts";
import { errorTable } from "../gateway/errors.ts";
import { envelope, kerb, root } from "./cli-rig.ts";

/** `kerb explain`, and that no code is printed that it does not know. */

/** The product's source with its documents: no tests, no changelog of codes that are gone. */
const sources = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => /^(gateway|drivers|simulators|config)\/.*\.(ts|mjs|md|yaml|service)$/.test(path))
  .filter((path) => !/\.test\.ts$|\/(testing|test-[a-z-]+)\.ts$/.test(path));
const texts = new Map(sources.map((path) => [path, readFileSync(join(root, path), "utf8")]));
const tables = sources.filter((path) => /(error|outcome|log)-texts\.ts$/.test(path));

const codesIn = (text: string): string[] => text.match(/\bKERB-[A-Z0-9]+(?:-[A-Z0-9]+)+\b/g) ?? [];

describe("the table of codes", () => {
  it("knows every code that the source names", () => {
    const unknown = [...texts].flatMap(([path, text]) =>
      codesIn(text)
        .filter((code) => !Object.hasOwn(errorTable, code))
        .map((code) => `${path}: ${code}`),
    );
    expect(unknown).toEqual([]);
  });

  it("has no code that nothing uses", () => {
    const used = new Set([...texts].flatMap(([path, text]) => (tables.includes(path) ? [] : codesIn(text))));
    // A driver says "hung-up"; the gateway makes KERB-DEV-HUNG-UP of it.
    const all = [...texts.values()].join("\n");
    const isSaid = (code: string) =>
      code.startsWith("KERB-DEV-") && all.includes(`"${code.slice("KERB-DEV-".length).toLowerCase()}"`);
    const idle = Object.keys(errorTable).filter((code) => !used.has(code) && !isSaid(code));
    expect(idle).toEqual([]);
  });

  it("has a name for each group, and the help says an example of each kind", () => {
    const groups = [...new Set(Object.keys(errorTable).map(groupOf))].sort();
    expect(Object.keys(explainWords.en.groups).sort()).toEqual(groups);
  });
});

describe("kerb explain", () => {
  it("says what a code means and what to do, in both languages and to machines", () => {
    const { code, out, err } = kerb(["explain", "dev_silent"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^KERB-DEV-SILENT {2}The device does not answer\n {2}likely +\S.*\n {2}do +\S.*\n/);
    expect(kerb(["explain", "KERB-DEV-SILENT"], { LC_ALL: "vi_VN.UTF-8" }).out).toMatch(
      /^KERB-DEV-SILENT {2}Thiết bị không trả lời\n {2}có thể do +\S.*\n {2}cách xử lý +\S/,
    );
    const all = envelope(kerb(["explain", "--json", "--lang", "vi"]).out);
    expect(all).toMatchObject({ kind: "explain", ok: true });
    expect(all.data["codes"]).toHaveLength(Object.keys(errorTable).length);
  });

  it("lists a group, and names what a mistyped code is near to", () => {
    expect(kerb(["explain", "kerb-host"]).out).toMatch(/^Driver processes\n( {2}KERB-HOST-\S+ +\S.*\n){3}$/);
    const near = kerb(["explain", "KERB-DEV-SILNT"]);
    expect(near).toMatchObject({ code: 3, out: "" });
    expect(near.err).toMatch(/no code "KERB-DEV-SILNT"\n +do +near it: KERB-DEV-SILENT\n/);
    expect(kerb(["explain", "x"]).err).toMatch(/no code "x"\n +do +kerb explain lists all codes/);
  });

  it("is coloured where that is wanted, and in no pipe by itself", () => {
    const escape = "\u001b[";
    expect(kerb(["explain", "dev-silent"]).out).not.toContain(escape);
    expect(kerb(["explain", "dev-silent"], { CLICOLOR_FORCE: "1" }).out).toContain(escape);
    expect(kerb(["explain", "dev-silent"], { CLICOLOR_FORCE: "1", NO_COLOR: "1" }).out).not.toContain(escape);
  });
});
