import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadSite } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import { EventWriter } from "../event.ts";
import { Normaliser } from "../host/normalise.ts";
import { withParts } from "./profile-parts.ts";
import { loadProfile, pointsOf } from "./profiles.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-parts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const groups = { setting: "groups", as: "G" };
const templates = [
  { name: "before", address: { a: 1 } },
  {
    name: "state",
    address: { item: "{number}", text: "n{number}", list: ["{name}"] },
    label: { en: "Group {name}", vi: "Nhóm {name}" },
    each: groups,
  },
  { name: "own", address: { component: "{id}" }, each: groups },
  { name: "after", address: { a: 2 } },
];
const names = (settings: Record<string, unknown>) => withParts(templates, settings).map(({ name }) => name);

describe("points for each part", () => {
  it("are as many as the setting counts, at their place among the others", () => {
    expect(names({ groups: 3 })).toEqual(["before", "state.G1", "state.G2", "state.G3", "after"]);
    expect(names({ groups: 0 })).toEqual(["before", "after"]);
    expect(names({})).toEqual(["before", "after"]);
  });

  it("are held to, and read back at, points of the same part", () => {
    const write = { interlock: [{ point: "state", equals: 1 }], readBack: "state" };
    const own = [
      { name: "set", each: groups, write },
      { name: "state", each: groups },
    ];
    const [, second] = withParts(own, { groups: 2 });
    expect(second).toMatchObject({
      name: "set.G2",
      write: { interlock: [{ point: "state.G2", equals: 1 }], readBack: "state.G2" },
    });
  });

  it("have the names and ids that the setting lists, and those that want an id only where there is one", () => {
    const settings = { groups: ["AA+1=2SG1", { name: "north" }, { name: "south", id: "AA+1=2SG3" }] };
    const points = withParts(templates, settings);
    expect(points.map(({ name }) => name)).toEqual([
      "before",
      "state.G1",
      "state.north",
      "state.south",
      "own.G1",
      "own.south",
      "after",
    ]);
    expect(points[2]).toEqual({
      name: "state.north",
      address: { item: 2, text: "n2", list: ["north"] },
      label: { en: "Group north", vi: "Nhóm north" },
    });
    expect(points[5]).toEqual({ name: "own.south", address: { component: "AA+1=2SG3" } });
  });
});

describe("a traffic-light site", () => {
  const profile = loadProfile("rsmp/tlc");

  it("has a state for each of its 40 groups, and values for each detector", () => {
    const points = pointsOf(profile, { signalGroups: 40, detectors: 3 });
    const of = (quantity: string) => points.filter(({ name }) => name.startsWith(`${quantity}.`)).length;
    expect(["signalState", "presence", "vehicleCount", "averageSpeed", "occupancy"].map(of)).toEqual([
      40, 3, 3, 3, 3,
    ]);
    expect(points.find(({ name }) => name === "signalState.group40")?.address).toMatchObject({ item: 40 });
    expect(of("motorcycleCount")).toBe(0);
  });

  it("is told of the group that has changed, and not of the 39 others each time", () => {
    const points = pointsOf(profile, { signalGroups: 40, detectors: 0 })
      .filter(({ name }) => name.startsWith("signalState."))
      .map((point, index) => ({ ...point, index }));
    const normaliser = new Normaliser(points);
    const tell = (text: string): number =>
      normaliser.write({ answers: text.split("") }, new EventWriter(), Date.now(), undefined);
    const red = "B".repeat(40);
    expect(tell(red)).toBe(40);
    expect(tell(red.replace("B", "1"))).toBe(1);
    // Another kind of red is red.
    expect(tell(red.replace("B", "1").replace("B", "A"))).toBe(0);
  });

  it("has counts by class of detectors whose ids it gives", () => {
    const points = pointsOf(profile, { signalGroups: 0, detectors: ["KK+AG9998=001DL001"] });
    expect(points.find(({ name }) => name === "motorcycleCount.detector1")?.address).toMatchObject({
      status: "S0204",
      name: "MC",
      component: "KK+AG9998=001DL001",
    });
  });
});

async function site(device: string) {
  const file = join(mkdtempSync(join(folder, "site-")), "gateway.yaml");
  mkdirSync(join(file, "..", "devices.d"), { recursive: true });
  writeFileSync(
    file,
    `version: 1\ngateway: { id: gw-parts, name: Parts, city: hue, state: ./state }\ndevices:\n${device}`,
  );
  return loadSite(file);
}
const ownPoints = (setting: string) =>
  `    points:\n      state:\n        each: { setting: ${setting}, as: G }\n        address: { status: S0001, name: signalgroupstatus, of: chars, item: "{number}" }\n        kind: text\n`;

const problem = (device: string): Promise<string> =>
  site(device).then(
    () => "no mistake",
    (error: unknown) =>
      error instanceof ConfigError
        ? error.diagnostics.map(({ line, message }) => `${line} ${message}`).join("\n")
        : String(error),
  );

/** A profile with 60 points for each signal group. */
const manyPoints = (count: number): string => `version: 1
vendor: Acme
model: Many
class: signal-controller
driver: rsmp
status: community
sources: {}
settings: { signalGroups: ${count} }
points:
${Array.from({ length: 60 }, (_, i) => `  native.s${i}: { address: { status: S0001, name: stage }, each: { setting: signalGroups, as: G }, kind: text }\n`).join("")}`;

describe("the site file", () => {
  const tlc = `  - id: tlc-1
    driver: rsmp
    profile: rsmp/tlc
    host: 0.0.0.0
    siteId: RN+SI0001
`;
  it("says how many parts a device has, and can switch a point of one off", async () => {
    const { devices } = await site(
      `${tlc}    signalGroups: ["A+1=2SG1", { name: north, id: "A+1=2SG2" }]\n    detectors: 1\n    points: { signalState.north: { enabled: false }, vehicleCount.detector1: { limits: [0, 9] } }\n`,
    );
    const points = devices[0]!.points;
    expect(points.filter(({ name }) => name.startsWith("signalState")).map(({ name }) => name)).toEqual([
      "signalState.group1",
    ]);
    expect(points.find(({ name }) => name === "vehicleCount.detector1")?.limits).toEqual([0, 9]);
    expect(points.find(({ name }) => name === "signalState.group1")?.address).toMatchObject({ item: 1 });
  });

  it("is told when it names a part that the device has not", async () => {
    expect(
      await problem(`${tlc}    signalGroups: 4\n    points: { signalState.group5: { enabled: false } }\n`),
    ).toMatch(
      /^10 the profile "rsmp\/tlc" has no point "signalState.group5" - did you mean "signalState.group1"\?/,
    );
  });

  it("may say the same of points of its own", async () => {
    const own = tlc.replace("    profile: rsmp/tlc\n", "");
    const { devices } = await site(`${own}    signalGroups: 3\n${ownPoints("signalGroups")}`);
    expect(devices[0]!.points.map(({ name }) => name)).toEqual(["state.G1", "state.G2", "state.G3"]);
    expect(await problem(`${own}${ownPoints("signalGroops")}`)).toMatch(/signalGroops/);
  });

  it("is told in one sentence, with its place and cure, when it makes more parts or points than a device has", async () => {
    const own = tlc.replace("    profile: rsmp/tlc\n", "");
    expect(await problem(`${own}    port: 12111\n${ownPoints("port")}`)).toBe("8 at most 1000 parts");
    const state = ownPoints("signalGroups").split("\n").slice(1);
    const own41 = Array.from({ length: 41 }, (_, i) => state.join("\n").replace("state:", `state${i}:`));
    const many = (count: number) =>
      problem(`${own}    signalGroups: ${count}\n    points:\n${own41.join("")}`);
    expect(await many(240)).toBe("no mistake");
    expect(await many(250)).toBe(
      '8 10250 points, and a device has at most 10000: say fewer parts in "signalGroups", or make several devices of it',
    );
  });

  it("is told the same of a profile's parts, and of the profile where that says how many", async () => {
    const vendor = join(mkdtempSync(join(folder, "profiles-")), "acme");
    mkdirSync(vendor);
    const write = (count: number) => writeFileSync(join(vendor, "many.yaml"), manyPoints(count));
    write(8);
    const device = `version: 1
gateway: { id: gw-parts, name: Parts, city: hue, state: ./state }
devices:
  - { id: tlc-1, driver: rsmp, profile: acme/many, host: 0.0.0.0, siteId: A,
      signalGroups: 255 }
`;
    const file = join(vendor, "..", "gateway.yaml");
    writeFileSync(file, device);
    const load = () =>
      loadSite(file, { profileFolder: join(vendor, "..") }).then(
        () => "no mistake",
        (error: ConfigError) =>
          error.diagnostics.map((one) => `${one.file} ${one.line} ${one.message}`).join("\n"),
      );
    const sentence =
      'points, and a device has at most 10000: say fewer parts in "signalGroups", or make several devices of it';
    expect(await load()).toBe(`${file} 5 15300 ${sentence}`);
    write(250);
    expect(await load()).toMatch(new RegExp(`many.yaml 8 15000 ${sentence}`));
  });
});
