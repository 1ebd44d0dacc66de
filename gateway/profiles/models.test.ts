import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadModels, modelDepartures } from "./models.ts";
import { loadProfile, type Profile, profileSchema } from "./profiles.ts";

/** One table says what each class looks like, and every profile keeps to it. */

const models = loadModels();
const classes = Object.entries(models.classes);

describe("the models", () => {
  it("are one for each class that a profile may have", () => {
    expect(Object.keys(models.classes).toSorted()).toEqual(profileSchema.shape.class.options.toSorted());
  });

  it("mean the same by a name in every class: unit, kind and states, and of a record kind, category and severity", () => {
    const meant = new Map<string, unknown>();
    const same = (name: string, meaning: unknown) => {
      expect(meaning, name).toEqual(meant.get(name) ?? meaning);
      meant.set(name, meaning);
    };
    const points = [models.common, ...classes.map(([, one]) => one)].flatMap((one) =>
      Object.entries(one.points),
    );
    for (const [name, { unit, kind, states }] of points) same(name, [unit, kind, states]);
    for (const [name, { kind, category, severity }] of classes.flatMap(([, one]) =>
      Object.entries(one.records),
    ))
      same(`record ${name}`, [kind, category, severity]);
    expect(meant.size).toBeGreaterThan(100);
  });

  it("speak Vietnamese with its marks", () => {
    for (const { points, records } of [{ ...models.common, records: {} }, ...classes.map(([, one]) => one)])
      for (const [name, { vi }] of [...Object.entries(points), ...Object.entries(records)]) {
        expect(vi, name).toMatch(/[^ -~]/);
        expect(vi, name).toBe(vi.normalize("NFC"));
      }
  });
});

/** What is wrong, how a profile is made so, and the sentence that says it. */
type Departure = [what: string, change: (profile: Profile) => unknown, problem: string];

function departed(id: string, change: (profile: Profile) => unknown): string[] {
  const profile = structuredClone(loadProfile(id));
  change(profile);
  return modelDepartures(profile, models).map(({ en }) => en);
}
const point = (profile: Profile, name: string) => profile.points.find((one) => one.name === name)!;

describe("a profile that departs from its model", () => {
  it.each<Departure>([
    [
      "another unit",
      (one: Profile) => (point(one, "frequency").unit = "1"),
      "frequency: its unit is 1, and Hz in the model: scale it",
    ],
    [
      "another kind",
      (one: Profile) => (point(one, "door.open").kind = "number"),
      "door.open: it is number, and boolean in the model",
    ],
    [
      "another word",
      (one: Profile) => (point(one, "workingMode").values = { 0: "auto" }),
      'workingMode: "auto" is none of automatic, manual, semiautomatic',
    ],
    [
      "no words",
      (one: Profile) => (point(one, "workingMode").values = undefined),
      "workingMode: it is one of automatic, manual, semiautomatic in the model: give it values",
    ],
    [
      "words for a number",
      (one: Profile) => (point(one, "dimLevel.group1").values = { 0: "off" }),
      "dimLevel.group1: it is words, and number in the model",
    ],
    [
      "a name off the model",
      (one: Profile) => (point(one, "dimLevel.group3").name = "dimmLevel.group3"),
      'dimmLevel.group3: no name of the model light-cabinet - did you mean "dimLevel.group3"? (the device\'s own begin with "native.")',
    ],
    [
      "a group that is not counted from 1",
      (one: Profile) => (point(one, "dimLevel.group3").name = "dimLevel.group0"),
      'dimLevel.group0: no name of the model light-cabinet - did you mean "dimLevel.group1"? (the device\'s own begin with "native.")',
    ],
    [
      "no name of its own",
      (one: Profile) => (point(one, "frequency").name = "constructor"),
      'constructor: no name of the model light-cabinet (the device\'s own begin with "native.")',
    ],
    [
      "a required point that is missing",
      (one: Profile) => (one.templates = one.templates.filter(({ name }) => name !== "door.open")),
      "light-cabinet: door.open is missing",
    ],
    [
      "a required point that never leaves",
      (one: Profile) => (point(one, "door.open").publish = false),
      "light-cabinet: door.open is missing",
    ],
    [
      "another category",
      (one: Profile) => (one.alarms[0]!.category = "tamper"),
      "doorOpen: its category is tamper, and access in the model",
    ],
    [
      "another severity",
      (one: Profile) => (one.alarms[0]!.severity = "low"),
      "doorOpen: its severity is low, and medium in the model",
    ],
    [
      "an alarm off the model",
      (one: Profile) => (one.alarms[1]!.name = "fuseBlown"),
      'fuseBlown: no name of the model light-cabinet (the device\'s own begin with "native.")',
    ],
  ])("is told: %s", (_, change, problem) => {
    expect(departed("generic/feeder-pillar-modbus", change)).toContain(problem);
  });

  it.each<Departure>([
    [
      "a field off the model",
      (one: Profile) => (one.records[1]!.fields[0]!.name = "mass"),
      'mass: no name of the model emptied (the device\'s own begin with "native.")',
    ],
    [
      "another unit of a field",
      (one: Profile) => (one.records[1]!.fields[0]!.unit = "t"),
      "emptied.weight: its unit is t, and kg in the model: scale it",
    ],
    [
      "another name of what lasts",
      (one: Profile) => (one.records[0]!.active = "open"),
      'coverOpen: the field that says whether it lasts is called "active"',
    ],
    [
      "another kind of record",
      (one: Profile) => (one.records[1]!.kind = "state"),
      "emptied: its kind is state, and transaction in the model",
    ],
  ])("is told of records: %s", (_, change, problem) => {
    expect(departed("generic/webhook-bin", change)).toContain(problem);
  });

  it("is free in what never leaves and in what begins with native.", () => {
    const free = departed("generic/feeder-pillar-modbus", (one) => {
      Object.assign(point(one, "frequency"), { name: "native.frequencyOfRippleControl", unit: "1" });
      Object.assign(point(one, "photocell.dark"), { name: "helper", publish: false });
      one.alarms[1]!.name = "native.fuseBlown";
      one.templates = one.templates.filter(({ name }) => name !== "dimLevel.group3");
    });
    expect(free).toEqual([]);
  });
});

const schemas = fileURLToPath(new URL("../../../shared/schemas/smart-data-models/", import.meta.url));
if (!existsSync(schemas))
  console.log("skipped: no Smart Data Models at ../shared/schemas to check attributes against");

/** All names of properties in a schema and in the common ones, which it takes in. */
const propertiesIn = (...files: string[]): Set<string> => {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === "properties") for (const name of Object.keys(inner as object)) names.add(name);
      visit(inner);
    }
  };
  for (const file of files) visit(JSON.parse(readFileSync(`${schemas}${file}`, "utf8")));
  return names;
};

describe.skipIf(!existsSync(schemas))("the attributes", () => {
  // Upstream, and not among the copies that are here.
  const elsewhere = ["ThreePhaseAcMeasurement", "WasteContainer"];
  const projected = classes.filter(([, { entity }]) => entity !== undefined && !elsewhere.includes(entity));

  it.each(projected)("of %s are those of its Smart Data Model", (_, { entity, points }) => {
    const [own] = globSync(`*/${entity}/schema.json`, { cwd: schemas });
    expect(own, `there is no schema of ${entity}`).toBeDefined();
    const common = globSync(["common-schema.json", `${own!.split("/")[0]}/*-schema.json`], { cwd: schemas });
    const known = propertiesIn(own!, ...common);
    const named = Object.values(points).flatMap(({ attribute = [] }) => attribute);
    expect(named.filter((attribute) => !known.has(attribute))).toEqual([]);
  });
});
