import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { loadSite } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { loadModels } from "../models.ts";
import { listProfiles, loadProfile, profileFolder } from "../profiles.ts";
import { lintProfiles } from "./lint.ts";

/** Whatever stands in a profile file, it is told by file and line: no crash, no hang, no stain on other objects. */

const folder = mkdtempSync(join(tmpdir(), "kerb-fuzz-"));
const profiles = join(folder, "profiles");
mkdirSync(join(profiles, "acme"), { recursive: true });
const file = join(profiles, "acme/fuzzed.yaml");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const models = loadModels();
const texts = listProfiles().map((id) => readFileSync(join(profileFolder, `${id}.yaml`), "utf8"));
/** Seconds on a machine that does other things as well; what hangs takes minutes. */
const slowestMs = 20_000;

const bomb = [
  "  a: &a [x, x, x, x, x, x, x, x, x, x]",
  ..."bcdefgh".split("").map((one, i) => {
    const before = `*${"abcdefg"[i]}`;
    return `  ${one}: &${one} [${Array(10).fill(before).join(", ")}]`;
  }),
].join("\n");

/** What a value is replaced by. */
const values = fc.constantFrom(
  "",
  "null",
  "true",
  "[]",
  "{}",
  '""',
  "1e999",
  "-1e308",
  "999999999999999999999999",
  ".nan",
  ".inf",
  "-0",
  "0x7fffffffffffffff",
  "1e9",
  "65536",
  "__proto__",
  "constructor",
  '"\\u0000"',
  "|",
  "*nowhere",
  "&a b",
  "!!binary x",
  "{ __proto__: { polluted: 1 } }",
  "{ constructor: { prototype: { polluted: 1 } } }",
  "toString",
  "[[[[[[[[[]]]]]]]]]",
  "{ en: 1, vi: 2 }",
  '">=9 <1"',
  "*",
  "${env:HOME}",
  "${secret:x}",
  "[".repeat(500),
  `${"[".repeat(90)}${"]".repeat(90)}`,
  "x".repeat(5000),
  "{number}",
  '"{id}"',
);
/** Lines that are put in. */
const lines = fc.constantFrom(
  "  __proto__: { polluted: 1 }",
  "  constructor: { prototype: { polluted: 1 } }",
  "  toString: 1",
  "\t",
  "---",
  "  hasOwnProperty: { address: 1 }",
  '    when: "<0"',
  "unknown: 1",
  "? [a]",
  "- x",
  "points: {}",
  "<<: *a",
  "    each: { setting: signalGroups, as: G }",
  "    scaleFactor: toString",
  "    values: { __proto__: x }",
  "settings: { signalGroups: 1e9, detectors: 1e9 }",
  "class: constructor",
  "driver: ../modbus",
  "driver: valueOf",
  bomb,
  `records:\n${bomb}`,
  "    sentinels: [{ raw: 1e400, code: a, reason: b }]",
  "    limits: [.inf, -.inf]",
  "  signalGroups: 1e12",
  "    scale: 1e308",
  "    offset: .nan",
  "    fixed: 9e99",
  "    decimals: -1",
);

type Edit = (text: string[]) => void;
const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const at = (text: readonly string[], where: number): number => Math.floor(where * text.length);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  place.map(
    (where): Edit =>
      (text) =>
        void text.splice(at(text, where), 1),
  ),
  fc.tuple(place, values).map(([where, value]): Edit => (text) => {
    const line = at(text, where);
    // In a flow map the last value, else the value of the line.
    text[line] = (text[line] ?? "").replace(/: [^:{}]*?(?=( \})?$)/, () => `: ${value}`);
  }),
  fc.tuple(place, lines).map(
    ([where, line]): Edit =>
      (text) =>
        void text.splice(at(text, where), 0, line),
  ),
  fc.tuple(place, place).map(([from, to]): Edit => (text) => {
    const moved = text.splice(at(text, from), 1 + Math.floor(from * 8));
    text.splice(at(text, to), 0, ...moved);
  }),
  fc.tuple(place, fc.nat(6)).map(([where, spaces]): Edit => (text) => {
    const line = at(text, where);
    text[line] = " ".repeat(spaces) + (text[line] ?? "").trimStart();
  }),
  fc.tuple(place, fc.string({ unit: "binary", maxLength: 12 })).map(([where, noise]): Edit => (text) => {
    const line = at(text, where);
    const old = text[line] ?? "";
    const middle = Math.floor(old.length * where);
    text[line] = old.slice(0, middle) + noise + old.slice(middle);
  }),
);
const fuzzed = fc
  .tuple(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 4 }))
  .map(([text, edits]) => {
    const changed = text.split("\n");
    for (const one of edits) one(changed);
    return changed.join("\n");
  });

/** What a failed load said; anything but a `ConfigError` with places is a failure of the test. */
function told(error: unknown): void {
  if (!(error instanceof ConfigError)) throw error;
  expect(error.diagnostics.length).toBeGreaterThan(0);
  for (const one of error.diagnostics) {
    expect(one.file.startsWith(folder), one.file).toBe(true);
    expect(one.message).toMatch(/\S/);
    // Only a file that cannot be read as text at all has no line.
    if (one.code !== "KERB-CFG-FILE") expect(one.line).toBeGreaterThan(0);
  }
}

async function tryAll(text: string): Promise<void> {
  writeFileSync(file, text);
  const start = performance.now();
  let driver = "modbus";
  let isLoaded = true;
  try {
    ({ driver } = loadProfile("acme/fuzzed", profiles));
  } catch (error) {
    isLoaded = false;
    told(error);
  }
  const [linted] = await lintProfiles([file], models);
  for (const { line, column, rule, sentence } of linted?.findings ?? []) {
    expect(line, sentence.en).toBeGreaterThan(rule === "file" ? -1 : 0);
    expect(column).toBeGreaterThanOrEqual(0);
    expect(sentence.vi).toMatch(/\S/);
  }
  if (!isLoaded) expect(linted?.findings.length).toBeGreaterThan(0);
  const site = join(folder, "gateway.yaml");
  writeFileSync(
    site,
    `version: 1
gateway: { id: box-01, name: Box, city: demo, state: ./state }
devices: [{ id: fuzzed, driver: ${JSON.stringify(driver)}, profile: acme/fuzzed, host: 192.0.2.1, transport: { type: tcp, host: 192.0.2.1 } }]
`,
  );
  await loadSite(site, { profileFolder: profiles }).catch(told);
  expect(performance.now() - start).toBeLessThan(slowestMs);
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
}

const point = (i: number, more: string): string =>
  `  p${i}: { address: { table: holding, register: 1 }, ${more} }\n`;

describe("a profile file that was tampered with", () => {
  it(
    "is told by file and line, or loads: never a crash, a hang or a stain",
    { timeout: 120_000 },
    async () => {
      await fc.assert(fc.asyncProperty(fuzzed, tryAll), {
        seed: 6,
        numRuns: 150,
        interruptAfterTimeLimit: 8000,
      });
    },
  );

  it("is not given more parts than any device has", () => {
    const tlc = texts.find((text) => text.includes("driver: rsmp"))!;
    writeFileSync(file, tlc.replace("signalGroups: 8", "signalGroups: 1.0e+12"));
    expect(() => loadProfile("acme/fuzzed", profiles)).toThrow(
      /fuzzed\.yaml:\d+:17 {2}error {2}at most 1000 parts/,
    );
  });

  it("is told in time when it is as large as a file may be", { timeout: 120_000 }, async () => {
    const head = texts.find((text) => text.includes("driver: modbus"))?.split("points:\n")[0] ?? "";
    const many = (more: (i: number) => string) =>
      `${head}points:\n${Array.from({ length: 2000 }, (_, i) => point(i, more(i))).join("")}`;
    await tryAll(many((i) => `source: none${i}, scale: ${i}`));
    await tryAll(many((i) => `label: { en: Same, vi: Giống }, when: "=1.${i}"`));
  });
});
