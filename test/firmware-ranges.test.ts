import { afterEach, describe, expect, it } from "vitest";
import { listProfiles, loadProfile, type Profile } from "../gateway/profiles/profiles.ts";
import { IdentityRig } from "./identity-rig.ts";

/**
 * Every profile of the library that speaks of firmware ranges, with a simulator whose firmware lies on each side of
 * each end of them: the points that hold for it are read, and outside of the profile's range it is read as uncertain
 * and not written to. What holds for a version is worked out here once more, by numbers.
 */

const rigs: IdentityRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});
const waitMs = 15_000;

type Version = [number, number, number];
const versionOf = (text: string): Version => {
  const [a = 0, b = 0, c = 0] = text.split(".").map(Number);
  return [a, b, c];
};
const numberOf = (text: string): number => versionOf(text).reduce((sum, part) => sum * 1000 + part, 0);

/** Comparators that must all hold. */
function holds(version: string, range: string | undefined): boolean {
  const comparators = range === undefined || range === "*" ? [] : range.split(/\s+/);
  return comparators.every((comparator) => {
    const [, sign = "", end = ""] = /^([<>]?=?)([\d.]+)$/.exec(comparator) ?? [];
    const [own, other] = [numberOf(version), numberOf(end)];
    if (own === other) return sign.includes("=");
    return own < other ? sign.startsWith("<") : sign.startsWith(">");
  });
}

/** The version before, at and behind an end. */
function sidesOf(end: string): string[] {
  const [a, b, c] = versionOf(end);
  const before = c > 0 ? [a, b, c - 1] : b > 0 ? [a, b - 1, 99] : [Math.max(0, a - 1), 99, 99];
  return [before.join("."), end, [a, b, c + 1].join(".")];
}

const rangesOf = ({ firmware, points }: Profile): string[] => [
  firmware,
  ...points.flatMap(({ when }) => when ?? []),
];
const versionsOf = (profile: Profile): string[] => [
  ...new Set(rangesOf(profile).flatMap((range) => (range.match(/\d+(\.\d+)*/g) ?? []).flatMap(sidesOf))),
];

const ranged = listProfiles()
  .map((id) => loadProfile(id))
  .filter((profile) => rangesOf(profile).some((range) => range !== "*"));

it("there are profiles with ranges, and their versions lie on both sides of each end", () => {
  expect(ranged.map(({ id }) => id)).toContain("rsmp/tlc");
  for (const profile of ranged) {
    const inside = versionsOf(profile).map((version) => holds(version, profile.firmware));
    expect(new Set(inside), profile.id).toEqual(new Set([true, false]));
  }
});

describe.each(ranged.map((profile) => [profile.id, profile] as const))("%s", (id, profile) => {
  const versions = versionsOf(profile);
  const newest = versions
    .filter((one) => holds(one, profile.firmware))
    .toSorted((a, b) => numberOf(b) - numberOf(a))[0];

  it.each(versions)(
    "with the firmware %s",
    async (firmware) => {
      const isInside = holds(firmware, profile.firmware);
      const who = { vendor: profile.vendor, model: profile.model, firmware, serial: "A0042" };
      const more = profile.settings["sxl"] === undefined ? {} : { sxl: versions };
      const rig = await IdentityRig.open(profile.driver, id, who, more);
      rigs.push(rig);
      const { loop, told, news } = rig.run({ range: profile.firmware, points: rig.profilePoints() });
      await expect.poll(() => told.length, { timeout: waitMs }).toBeGreaterThan(0);
      const asIf = isInside ? firmware : newest;
      const right = profile.points.filter(({ when }) => holds(asIf ?? "", when)).map(({ name }) => name);
      const shown = await loop.readNow([], false);
      expect(shown.map(({ point }) => point).toSorted()).toEqual(right.toSorted());
      for (const one of told) {
        expect(right).toContain(one.point);
        if (one.code === "firmware-unknown") expect(isInside).toBe(false);
      }
      const read = shown.filter(({ status }) => status !== "bad");
      expect(read.length).toBeGreaterThan(0);
      expect(read.every(({ status }) => status === "uncertain")).toBe(!isInside);
      expect(news.filter(({ state }) => state === "firmware-unknown")).toHaveLength(isInside ? 0 : 1);
      expect(loop.report.writable).toBe(isInside);
      expect(loop.report.unwritable?.code).toBe(isInside ? undefined : "firmware-unknown");
    },
    40_000,
  );
});
