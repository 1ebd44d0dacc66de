import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadSite } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import { loadProfile, pointsOf, simulatedPoints, type Profile } from "./profiles.ts";

/** What a profile may leave out, and what it may say of a point beside its address. */

const folder = mkdtempSync(join(tmpdir(), "kerb-format-"));
mkdirSync(join(folder, "x"));
afterAll(() => rmSync(folder, { recursive: true }));

const head = (kind: string, more = "") =>
  `version: 1\nvendor: X\nmodel: Y\nclass: ${kind}\ndriver: modbus\nstatus: community\nsources: {}\n${more}points:\n`;
function load(points: string, kind = "energy-meter", more = ""): Profile {
  writeFileSync(join(folder, "x/y.yaml"), head(kind, more) + points);
  return loadProfile("x/y", folder);
}
const named = (profile: Profile, name: string) => profile.points.find((point) => point.name === name);

/** The first point stands in line 9. */
function mistakes(points: string, kind?: string, more?: string): string[] {
  try {
    load(points, kind, more);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.diagnostics.map(({ line, message }) => `${line} ${message}`);
  }
}
const at = (register: number) => `address: { table: holding, register: ${register}, type: uint16 }`;

describe("a point that the model of the class knows", () => {
  it("may leave out label, unit and kind, and has those of the model", () => {
    const profile = load(
      `  frequency: { ${at(0)} }\n  voltage.L2: { ${at(1)} }\n  door.open: { ${at(2)} }\n`,
      "light-cabinet",
    );
    expect(named(profile, "frequency")).toMatchObject({ unit: "Hz", kind: "number" });
    expect(named(profile, "frequency")?.label?.vi).toMatch(/\S/);
    expect(named(profile, "door.open")).toMatchObject({ kind: "boolean", unit: "1" });
    const { unit, label } = named(profile, "voltage.L2")!;
    expect(unit).toBe("V");
    // Which of several it is belongs to what people read.
    expect([label?.en, label?.vi]).toEqual([
      expect.stringMatching(/\S L2$/),
      expect.stringMatching(/\S L2$/),
    ]);
  });

  it("keeps what it says itself, and is nothing but itself where the model does not know it", () => {
    const own = load(`  frequency: { ${at(0)}, unit: "1", label: { en: A, vi: B } }\n`);
    expect(named(own, "frequency")).toMatchObject({ unit: "1", label: { en: "A", vi: "B" } });
    const native = named(load(`  native.thing: { ${at(0)} }\n`), "native.thing");
    expect(native).toMatchObject({ unit: "1", kind: "number" });
    expect(native?.label).toBeUndefined();
  });

  it("is labelled with the name of its part where each part has one", () => {
    const profile = load(
      `  dimLevel: { ${at(0)}, each: { setting: groups, as: group } }\n`,
      "light-cabinet",
      "settings: { groups: 2 }\n",
    );
    expect(profile.points.map(({ name, unit, label }) => [name, unit, label?.en.slice(-6)])).toEqual([
      ["dimLevel.group1", "%", "group1"],
      ["dimLevel.group2", "%", "group2"],
    ]);
  });

  it("may be a field of a record, and the record itself", () => {
    const { records } = load(
      `  fillingLevel: { ${at(0)} }\n`,
      "waste-bin",
      `records:\n  emptied: { ${at(1)}, kind: transaction, fields: { weight: { ${at(2)} } } }\n`,
    );
    expect(records[0]).toMatchObject({ label: { en: "The bin was emptied" } });
    expect(records[0]?.fields[0]).toMatchObject({ name: "weight", unit: "kg" });
  });

  it("does not hide what is wrong with the rest of the file", () => {
    expect(mistakes(`  frequency: { ${at(0)}, limit: [0, 1] }\n`)).toEqual([
      '9 unknown key "limit" - did you mean "limits"?',
    ]);
    expect(mistakes(`  frequency: ~\n`)[0]).toMatch(/^9 .*expected keys and values/);
    expect(mistakes(`  frequency: { ${at(0)}, unit: [1] }\n`)[0]).toMatch(/^9 expected text/);
    expect(mistakes(`  frequency: { ${at(0)} }\n`, "no-such-class")[0]).toMatch(/^4 /);
  });
});

describe("values", () => {
  it("may have what people read, and else have the models'", () => {
    const mode = named(
      load(
        `  workingMode: { ${at(0)}, values: { "0": automatic, "1": { is: manual, en: By hand, vi: Bằng tay } } }\n`,
        "light-cabinet",
      ),
      "workingMode",
    );
    expect(mode?.values).toEqual({ 0: "automatic", 1: "manual" });
    expect(mode?.texts).toEqual({
      automatic: { en: "Automatic", vi: "Tự động" },
      manual: { en: "By hand", vi: "Bằng tay" },
    });
  });

  it("say both languages or none", () => {
    const [problem] = mistakes(`  native.mode: { ${at(0)}, values: { "1": { is: manual, en: By hand } } }\n`);
    expect(problem).toMatch(/^9 missing key "vi"/);
  });
});

const statusWith = (bits: string, more = "") => `  native.status: { ${at(7)}, ${more} bits: ${bits} }\n`;

describe("bits", () => {
  it("are boolean points of their names, read with their number, and nothing that a simulator serves", () => {
    const profile = load(
      statusWith(
        "{ 0: door.open, 3: { is: native.fan, en: Fan, vi: Quạt } }",
        "poll: slow, publish: false, source: p1,",
      ),
      "light-cabinet",
    );
    expect(profile.points.map(({ name }) => name)).toEqual(["native.status", "door.open", "native.fan"]);
    expect(named(profile, "door.open")).toMatchObject({
      kind: "boolean",
      poll: "slow",
      publish: true,
      source: "p1",
      derive: { bitmask: { of: "native.status", mask: 1 } },
      label: { en: expect.stringMatching(/\S/) as string },
    });
    expect(named(profile, "native.fan")).toMatchObject({
      derive: { bitmask: { mask: 8 } },
      label: { en: "Fan", vi: "Quạt" },
    });
    expect(simulatedPoints(profile).map(({ name }) => name)).toEqual(["native.status"]);
  });

  it("go with each part, and may be an alarm's point", () => {
    const profile = load(
      `  native.status: { ${at(7)}, each: { setting: doors, as: d }, bits: { 2: native.open } }\n`,
      "light-cabinet",
      "settings: { doors: 2 }\nalarms: { native.a: { point: native.open } }\n",
    );
    expect(profile.points.map(({ name, derive }) => [name, derive])).toEqual([
      ["native.status.d1", undefined],
      ["native.status.d2", undefined],
      ["native.open.d1", { bitmask: { of: "native.status.d1", mask: 4 } }],
      ["native.open.d2", { bitmask: { of: "native.status.d2", mask: 4 } }],
    ]);
  });

  it.each([
    ["64", statusWith("{ 64: door.open }"), "9 a bit is counted from 0, up to 63"],
    ["no name", statusWith('{ 1: "a b" }'), /^9 a point is named in camelCase/],
    ["twice the same", statusWith("{ 1: native.a, 2: native.a }"), /^9 there are two points "native.a"/],
    ["a point that there is", statusWith("{ 1: native.status }"), /^9 there are two points "native.status"/],
    ["of a text", statusWith("{ 1: native.a }", "kind: text,"), /^9 only a number without values has bits/],
  ])("are wrong: %s", (_, points, problem) => {
    expect(mistakes(points)[0]).toMatch(problem);
  });
});

const mistakeOfRatio = (over: string, under: string) =>
  mistakes(
    `  native.a: { ${at(0)}, unit: "${over}" }\n  native.b: { ${at(1)}, unit: "${under}" }\n  native.c: { derive: { ratio: [native.a, native.b] } }\n`,
  )[0];

describe("a derived point", () => {
  const two = `  native.a: { ${at(0)}, unit: kW.h }\n  native.b: { ${at(1)}, unit: kW.h }\n`;
  const derived = (text: string, more = "unit: kW.h") => `${two}  native.c: { derive: ${text}, ${more} }\n`;

  it("is made of others, and is no address to read", () => {
    const profile = load(derived("{ difference: [native.a, native.b] }"));
    expect(named(profile, "native.c")).toMatchObject({
      derive: { difference: ["native.a", "native.b"] },
      unit: "kW.h",
    });
    expect(simulatedPoints(profile).map(({ name }) => name)).toEqual(["native.a", "native.b"]);
  });

  it("goes with each part", () => {
    const profile = load(
      `  native.in: { ${at(0)}, each: { setting: n, as: m } }\n  native.all: { ${at(9)} }\n  native.share: { derive: { ratio: [native.in, native.all] }, each: { setting: n, as: m } }\n`,
      "energy-meter",
      "settings: { n: 1 }\n",
    );
    expect(pointsOf(profile, { n: 2 }).map(({ name, derive }) => [name, derive])).toContainEqual([
      "native.share.m2",
      { ratio: ["native.in.m2", "native.all"] },
    ]);
  });

  it.each([
    ["an unknown input", derived("{ sum: [native.a, native.x] }"), /^11 there is no point "native.x"/],
    ["nothing", derived("{}"), /^11 expected one of difference/],
    ["no function", derived("{ product: [native.a, native.b] }"), /^11 expected one of difference/],
    [
      "two functions",
      derived("{ sum: [native.a, native.b], ratio: [native.a, native.b] }"),
      /^11 expected one of difference/,
    ],
    ["one summand", derived("{ sum: [native.a] }"), /^11 expected a list from 2/],
    ["an address too", derived("{ sum: [native.a, native.b] }", at(2)), /^11 either an address or derive/],
    [
      "another unit",
      derived("{ sum: [native.a, native.b] }", "unit: W.h"),
      /^11 "native.a" is in kW.h and native.c in W.h/,
    ],
    ["a ratio with a unit", derived("{ ratio: [native.a, native.b] }"), /^11 a ratio is in "1" or "%"/],
    [
      "a scale",
      derived("{ sum: [native.a, native.b] }", "unit: kW.h, scale: 2"),
      /^11 a derived value has no scale/,
    ],
    [
      "a write",
      derived("{ sum: [native.a, native.b] }", "unit: kW.h, write: {}"),
      /^11 a derived point is not read/,
    ],
    ["itself", derived("{ sum: [native.a, native.c] }"), /^11 a circle: native.c → native.c/],
    [
      "a circle",
      `${derived("{ sum: [native.a, native.d] }")}  native.d: { derive: { sum: [native.c, native.a] }, unit: kW.h }\n`,
      /^11 a circle: native.c → native.d → native.c/,
    ],
    [
      "pushed and polled",
      `${two}  native.p: { ${at(3)}, unit: kW.h, poll: push }\n  native.c: { derive: { sum: [native.a, native.p] }, unit: kW.h }\n`,
      /^12 "native.p" is pushed and native.c is polled/,
    ],
    [
      "bits of a derived one",
      `${derived("{ sum: [native.a, native.b] }")}  native.d: { derive: { bitmask: { of: native.c, mask: 1 } } }\n`,
      /^12 "native.c" is derived itself/,
    ],
    [
      "of all parts at once",
      `${two}  native.g: { ${at(3)}, unit: kW.h, each: { setting: n, as: g } }\n  native.c: { derive: { sum: [native.a, native.g] }, unit: kW.h }\n`,
      /^12 "native.g" is one for each part: name one of them, such as "native.g.g1"/m,
    ],
    [
      "a mask of nothing",
      derived("{ bitmask: { of: native.a, mask: 0 } }", "unit: '1'"),
      /^11 expected a whole number/,
    ],
    ["neither address nor derive", "  native.c: { unit: V }\n", /^9 expected an address, or derive/],
  ])("is wrong: %s", (_, points, problem) => {
    expect(
      mistakes(points, undefined, "settings: {n: 1}\n")[0]?.replace(/^\d+/, (line) => String(+line - 1)),
    ).toMatch(problem);
  });

  it("of another unit is allowed as a power factor only", () => {
    expect([mistakeOfRatio("W", "V.A"), mistakeOfRatio("kW.h", "kW.h")]).toEqual([undefined, undefined]);
    expect([mistakeOfRatio("W", "kV.A"), mistakeOfRatio("km", "h"), mistakeOfRatio("W", "V.A.h")]).toEqual(
      Array.from(
        { length: 3 },
        () => expect.stringMatching(/^11 "native.a" is in .* both the same/) as string,
      ),
    );
  });

  it("is not made over any number of others, so that no file can exhaust the stack", () => {
    const chain = Array.from(
      { length: 5000 },
      (_, i) => `  native.c${i}: { derive: { sum: [native.c${i + 1}, native.a] }, unit: kW.h }\n`,
    );
    const last = `  native.c5000: { ${at(5)}, unit: kW.h }\n`;
    expect(mistakes(two + chain.join("") + last)[0]).toMatch(/^11 made over more than 8 points/);
  });

  it("is not made of any number of values, so that no file can exhaust the memory", () => {
    const doubling = Array.from({ length: 30 }, (_, i) => {
      const inputs = ["native.a", "native.b", ...Array.from({ length: i }, (_one, k) => `native.s${k}`)];
      return `  native.s${i}: { derive: { sum: [${inputs.join(", ")}] }, unit: kW.h }\n`;
    });
    expect(mistakes(two + doubling.join("")).join("\n")).toMatch(/made of more than 256 values/);
  });
});

const writable = (write: string, more = "") =>
  `  native.a: { ${at(0)} }\n  native.b: { ${at(1)}, ${more} write: ${write} }\n`;

describe("what may be written", () => {
  it("says within which limits, while what, and for how long", () => {
    const profile = load(
      writable(
        "{ limits: [0, 100], step: 5, interlock: [{ point: native.a, equals: 1 }], safety: true, leaseMax: 30s }",
      ),
    );
    expect(named(profile, "native.b")?.write).toEqual({
      limits: [0, 100],
      step: 5,
      interlock: [{ point: "native.a", equals: 1 }],
      safety: true,
      leaseMax: 30_000,
    });
    expect(named(profile, "native.a")?.write).toBeUndefined();
  });

  it.each([
    [
      "an unknown interlock",
      "{ interlock: [{ point: native.x, equals: 1 }] }",
      "",
      /^10 there is no point "native.x"/,
    ],
    [
      "its own interlock",
      "{ interlock: [{ point: native.b, equals: 1 }] }",
      "",
      /^10 a point cannot be its own/,
    ],
    [
      "another kind of interlock",
      "{ interlock: [{ point: native.a, equals: on }] }",
      "",
      /^10 expected a number/,
    ],
    ["an unknown place to read it back", "{ readBack: native.x }", "", /^10 there is no point "native.x"/],
    ["limits that cross", "{ limits: [9, 1] }", "", /^10 the lower limit comes first/],
    ["a step of a word", "{ step: 2 }", 'values: { "1": a },', /^10 only a number has this/],
    ["a word that it has not", "{ values: [b] }", 'values: { "1": a },', /^10 not one of its values/],
    ["a text for a number", "{ values: [b] }", "", /^10 expected a number/],
    ["an automatic text for a number", "{ automatic: auto }", "", /^10 expected a number/],
    ["an automatic word that it has not", "{ automatic: b }", 'values: { "1": a },', /^10 not one of its/],
    ["an automatic value that it cannot show", "{ automatic: 255 }", "limits: [0, 100],", /^10 outside of/],
    ["a refresh without a lease", "{ refresh: 20s }", "", /^10 only what is leased is refreshed/],
    ["an unknown key", "{ limit: [0, 1] }", "", /^10 unknown key "limit" - did you mean "limits"/],
  ])("is wrong: %s", (_, write, more, problem) => {
    expect(mistakes(writable(write, more))[0]).toMatch(problem);
  });
});

describe("a local override", () => {
  const points = `  native.a: { ${at(0)}, bits: { "3": native.hand } }\n  native.b: { ${at(1)}, values: { "1": local } }\n`;
  const override = (rule: string) => points.replace(/$/, `localOverride: ${rule}\n`);

  it("is a point with a value, also a bit", () => {
    expect(load(override("{ point: native.b, when: local }")).localOverride?.when).toBe("local");
    expect(load(override("{ point: native.hand, when: true }")).localOverride?.point).toBe("native.hand");
  });

  it.each([
    ["of no point", "{ point: native.x, when: 1 }", /there is no point "native.x"/],
    ["of another kind", "{ point: native.a, when: on }", /expected a number/],
    ["of a bit that is no truth", "{ point: native.hand, when: 1 }", /expected a boolean/],
    ["of a word that it has not", "{ point: native.b, when: remote }", /not one of its values/],
  ])("is wrong: %s", (_, rule, problem) => {
    expect(mistakes(override(rule))[0]).toMatch(problem);
  });
});

describe("a swinging door", () => {
  it.each([
    ["beside a dead band", "deadband: 1", /^9 either deadband or swingingDoor/],
    ["of a word", 'values: { "1": a }', /^9 only a number/],
    ["of what is told once", "once: true", /^9 only a number/],
    ["of what is pushed", "poll: push", /^9 only of what is polled/],
  ])("is wrong: %s", (_, more, problem) => {
    expect(mistakes(`  native.a: { ${at(0)}, swingingDoor: 0.5, ${more} }\n`)[0]).toMatch(problem);
  });
});

const siteWith = (text: string) =>
  `version: 1\ngateway: { id: gw-format, name: Format, city: hue, state: ./state }\ndevices:\n  - id: m-1\n    driver: modbus\n    transport: { type: tcp, host: 192.0.2.1 }\n${text}`;

const siteOf = (points: string) => siteWith(`    profile: x/y\n    points: { ${points} }\n`);

async function site(text: string) {
  const file = join(mkdtempSync(join(folder, "site-")), "gateway.yaml");
  writeFileSync(file, siteWith(text));
  return loadSite(file);
}

const problem = (text: string): Promise<string> =>
  site(text).then(
    () => "no mistake",
    (error: unknown) =>
      error instanceof ConfigError
        ? error.diagnostics.map(({ line, message }) => `${line} ${message}`).join("\n")
        : String(error),
  );

describe("the site file", () => {
  const two = `    points:\n      a: { ${at(0)} }\n      b: { ${at(1)} }\n`;

  it("may say the same of points of its own", async () => {
    const { devices } = await site(
      `${two}      c: { derive: { sum: [a, b] } }\n      s: { ${at(2)}, bits: { 4: open } }\n`,
    );
    expect(devices[0]?.points.map(({ name, derive }) => [name, derive])).toEqual([
      ["a", undefined],
      ["b", undefined],
      ["c", { sum: ["a", "b"] }],
      ["s", undefined],
      ["open", { bitmask: { of: "s", mask: 16 } }],
    ]);
    expect(await problem(`${two}      c: { derive: { sum: [a, x] } }\n`)).toMatch(
      /^10 there is no point "x"/,
    );
    expect(await problem(`${two}      c: { unit: V }\n`)).toMatch(/^10 missing key "address"/);
  });

  it("sets another report rule for a point of the profile, in place of its own", async () => {
    const profile = "    profile: eastron/sdm630\n";
    const { devices } = await site(
      `${profile}    points: { voltage.L1: { swingingDoor: 0.5 }, voltage.L2: { deadband: 2 } }\n`,
    );
    const of = (name: string) => devices[0]?.points.find((point) => point.name === name);
    expect(of("voltage.L1")).toMatchObject({ swingingDoor: 0.5, deadband: undefined });
    expect(of("voltage.L2")?.deadband).toBe(2);
    expect(
      await problem(`${profile}    points: { voltage.L1: { swingingDoor: 0.5, deadband: 2 } }\n`),
    ).toMatch(/^8 either deadband or swingingDoor/);
    expect(
      await problem(`${profile}    points: { voltage.L1: { swingingDoor: 0.5, poll: push } }\n`),
    ).toMatch(/^8 "voltage.L1" cannot have swingingDoor/);
  });

  it("reads what a derived point is made from also where that is switched off", async () => {
    load(
      `  native.a: { ${at(0)} }\n  native.b: { ${at(1)} }\n  native.c: { derive: { sum: [native.a, native.b] } }\n`,
    );
    const file = join(mkdtempSync(join(folder, "site-")), "gateway.yaml");
    writeFileSync(file, siteOf("native.a: { enabled: false }, native.b: { poll: fast }"));
    const { devices } = await loadSite(file, { profileFolder: folder });
    expect(devices[0]?.points.map(({ name, publish }) => [name, publish])).toEqual([
      ["native.a", false],
      ["native.b", true],
      ["native.c", true],
    ]);
    writeFileSync(file, siteOf("native.b: { poll: push }"));
    await expect(loadSite(file, { profileFolder: folder })).rejects.toThrow(/either both are pushed or none/);
  });
});
