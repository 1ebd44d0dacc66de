import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { renderDiagnostic } from "../../errors.ts";
import { gapBetween, isEmptyRange, rangesOverlap } from "../firmware-spans.ts";
import { loadModels } from "../models.ts";
import { unverifiedLines } from "./evidence.ts";
import { type Finding, rules } from "./findings.ts";
import { libraryFiles, lintProfiles } from "./lint.ts";
import { clean, plants } from "./test-plants.ts";

/** Each rule of the lint has a planted mistake, and the profiles that ship have none. */

const folder = mkdtempSync(join(tmpdir(), "kerb-lint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const models = loadModels();

/** The place and the sentence of each finding: "12:5 sentence". */
const heads = (findings: readonly Finding[]): string[] =>
  findings.map(({ line, column, message }) => `${line}:${column} ${message}`);

async function linted(...texts: string[]): Promise<Finding[]> {
  const files = texts.map((text, index) => write(`acme/level${index === 0 ? "" : index + 1}.yaml`, text));
  return (await lintProfiles(files, models)).flatMap(({ findings }) => findings);
}

/** What is said of firmware where a second profile of the same model is for this one. */
async function besides(firmware: string): Promise<string[]> {
  const next = clean.replace(">=1.0 <3.0", firmware).replaceAll("2.0", "3.5");
  return heads((await linted(clean, next)).filter(({ rule }) => rule === "firmware"));
}

describe("the lint of profiles", () => {
  it("finds nothing in a clean profile, nor in those that ship", async () => {
    expect(heads(await linted(clean))).toEqual([]);
    const library = await lintProfiles(libraryFiles());
    expect(library.length).toBeGreaterThanOrEqual(40);
    const found = library.flatMap(({ findings }) => findings);
    expect(found.map((one) => renderDiagnostic(one))).toEqual([]);
  });

  it("finds nothing in bits and derived points, nor in a source that only says who the device is", async () => {
    const more = `  native.status:
    address: { table: holding, register: 20 }
    label: { en: Status, vi: Trạng thái }
    publish: false
    fixed: 0
    bits: { 0: { is: native.noEcho, en: No echo, vi: Không có tiếng vọng } }
    source: manual
  native.service:
    derive: { bitmask: { of: native.status, mask: 0x100 } }
    label: { en: Service, vi: Bảo trì }
    kind: boolean
    source: manual
alarms:
`;
    const text = clean
      .replace("alarms:\n", () => more)
      .replace("sources:\n", () => "sources:\n  device: { title: What the device says }\n")
      .replace("identify:\n", () => "identify:\n  is: { model: [Level], source: device }\n");
    expect(heads(await linted(text))).toEqual([]);
  });

  it.each(plants)("%s: %j for %j", async (rule, from, to, head) => {
    expect(clean.split(from).length, "the plant has its place").toBeGreaterThan(1);
    const found = await linted(clean.replace(from, () => to));
    const [planted] = found.filter((one) => heads([one])[0]?.startsWith(head));
    expect(planted, heads(found).join("\n")).toBeDefined();
    expect(planted?.rule).toBe(rule);
    expect(planted?.sentence.en).toBe(planted?.message);
    // What the configuration check says is in English.
    const isEnglish = ["file", "settings", "address"].includes(rule) || head.includes("unknown point");
    expect(planted?.sentence.vi === planted?.sentence.en).toBe(isEnglish);
    expect(planted?.file).toBe(join(folder, "acme/level.yaml"));
  });

  it("has a plant for every rule", () => {
    expect([...new Set(plants.map(([rule]) => rule))].toSorted()).toEqual(rules.toSorted());
  });

  it("holds official to having every line read, at the line that is not", async () => {
    const official = clean.replace("status: community", "status: official");
    expect(heads(await linted(official))).toEqual([]);
    const doubtful = official
      .replace("    fixed: 7\n", "    fixed: 7\n    certainty: to-verify\n")
      .replace("It is slow., source: manual", "It is slow., source: to verify");
    expect(heads(await linted(doubtful))).toEqual([
      '32:16 a profile with a line to verify is not "official": it is at most "community"',
      '68:44 a profile with a quirk to verify is not "official": it is at most "community"',
    ]);
  });

  it("takes a line without a source that says so, and counts it", async () => {
    const doubtful = clean.replace('    source: "manual: p. 1"\n', "    certainty: to-verify\n");
    const [{ lint } = { lint: undefined }] = await lintProfiles([write("acme/doubtful.yaml", doubtful)]);
    expect(lint?.findings).toEqual([]);
    expect(lint === undefined ? 0 : unverifiedLines(lint.profile)).toBe(1);
  });

  it("wants the profiles of one model to follow each other in their firmware", async () => {
    expect(await besides(">=3.0")).toEqual([]);
    expect(await besides(">=2.9")).toEqual([
      "7:11 the profile acme/level is for the same model, and its firmware >=1.0 <3.0 overlaps with >=2.9",
    ]);
    expect(await besides(">=3.1")).toEqual([
      "7:11 no profile of this model is for the firmware >=3.0 <3.1: the ranges of acme/level, acme/level2 leave a gap",
    ]);
  });

  it("says what only a site may say, and what names a person, where a driver knows such things", async () => {
    const camera = `version: 1
vendor: Acme
model: Eye
class: camera
driver: onvif
status: community
sources: { manual: { title: Manual } }
settings: { user: admin }
points: {}
records:
  plate:
    address: { topic: RuleEngine/Recognition/LicensePlate }
    kind: transaction
    fields: { plate: { address: { item: LicensePlateInfo/PlateNumber }, kind: text } }
    source: manual
`;
    const found = heads(await linted(camera));
    expect(found).toContainEqual(
      '8:13 a profile must not say "user": write it into the site file, at the device',
    );
    expect(found).toContainEqual(
      '14:24 this is personal data: write "privacy: token" beside it, or leave it out',
    );
  });
});

describe("firmware ranges", () => {
  it.each([
    [">=2.0 <1.0", true],
    [">2.0 <2.0", true],
    [">=2.0 <2.0", true],
    [">=2.0 <=2.0", false],
    ["=2.0", false],
    ["=2.0 =2.1", true],
    [">2.0 <2.1", false],
    ["*", false],
  ])("%s is empty: %s", (range, isEmpty) => expect(isEmptyRange(range)).toBe(isEmpty));

  it.each([
    ["*", "<1.0", true],
    ["<1.0", ">=1.0", false],
    ["<=1.0", ">=1.0", true],
    [">=1.0 <2.0", ">=1.9 <3", true],
    ["=1.0", "=1.0.0", true],
  ])("%s and %s overlap: %s", (a, b, overlap) => {
    expect(rangesOverlap(a, b)).toBe(overlap);
    expect(rangesOverlap(b, a)).toBe(overlap);
  });

  it.each([
    [["<1.0", ">=1.0"], undefined],
    [[">=1.0", "<1.0"], undefined],
    [["<1.0", ">1.0"], ">=1.0 <=1.0"],
    [["<=1.0", ">1.0"], undefined],
    [["<1.0", ">=1.2"], ">=1.0 <1.2"],
    [["<=1.0", ">=1.2"], ">1.0 <1.2"],
    [["<5.0", ">=1.0 <2.0", ">=5.0"], undefined],
    [["*", ">=9"], undefined],
    [[">=1.0 <2.0", ">=3.0", ">=2.0 <2.5"], ">=2.5 <3.0"],
    [[">=1.0"], undefined],
    [[], undefined],
  ])("%j leave the gap %s", (ranges, gap) => expect(gapBetween(ranges)).toBe(gap));
});
