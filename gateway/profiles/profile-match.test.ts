import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareFirmware, inFirmwareRange, newestFirmware } from "./firmware.ts";
import { type Candidate, isLike, matchProfile, rankProfiles } from "./profile-match.ts";
import { listProfiles, loadProfile, profileSchema } from "./profiles.ts";

type Is = Candidate["identify"]["is"];

function candidate(id: string, firmware: string, is: Is, markers = 0): Candidate {
  const expectations = Array.from({ length: markers }, () => ({
    address: {},
    equals: 1,
    certainty: "seen" as const,
  }));
  return {
    id,
    vendor: "Acme",
    model: "M-1",
    driver: "modbus",
    status: "community",
    firmware,
    identify: { is, expect: expectations },
  };
}

const named: Is = { vendor: ["Acme*"], model: ["M-1", "M1"], certainty: "seen" };
const series: Is = { vendor: ["acme"], model: ["M-*"], certainty: "seen" };
const told = { vendor: "ACME", model: "m-1", firmware: "2.3" };

describe("a text of the device", () => {
  it.each([
    ["SDM630", "sdm630", true],
    [" SDM630 ", "SDM630", true],
    ["SDM630-Modbus", "SDM630", false],
    ["SDM630-Modbus", "SDM630*", true],
    ["SDM630", "SDM630*", true],
    ["DS-2CD2T43G0-I5", "ds-*-i5", true],
    ["DS-I5", "ds-*-i5", false],
    ["XSDM630", "SDM630*", false],
    ["abcbc", "a*bc*bc", true],
    ["abc", "a*bc*bc", false],
    ["RUT.950", "RUT.*", true],
    ["RUTX950", "RUT.*", false],
  ])("%j against %j: %s", (text, pattern, isSo) => {
    expect(isLike(text, pattern)).toBe(isSo);
  });

  it("is like itself, and like itself with any of its parts left out", () => {
    const text = fc.string({ maxLength: 20 }).filter((one) => !one.includes("*") && one === one.trim());
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        const whole = `${a}${b}${c}`;
        expect(isLike(whole, whole)).toBe(true);
        expect(isLike(whole, `${a}*${c}`) || whole.trim() !== whole).toBe(true);
      }),
    );
  });
});

describe("the rank of a profile", () => {
  it.each([
    ["exact", told, candidate("a/a", ">=2.0 <2.4", named)],
    ["exact", told, candidate("a/a", "=2.3", named)],
    ["range", told, candidate("a/a", ">=2.0", named)],
    ["range", told, candidate("a/a", "*", named)],
    ["family", told, candidate("a/a", ">=2.0 <2.4", series)],
    ["family", told, candidate("a/a", ">=2.4", named)],
    ["family", { vendor: "acme", model: "M1" }, candidate("a/a", ">=2.4", named)],
    ["generic", told, candidate("a/a", "*", "any")],
    ["generic", {}, candidate("a/a", "*", "any")],
    ["none", { ...told, vendor: "Other" }, candidate("a/a", "*", named)],
    ["none", { ...told, model: "M-2" }, candidate("a/a", "*", named)],
    ["none", { vendor: "Acme" }, candidate("a/a", "*", series)],
    ["none", { model: "M-1" }, candidate("a/a", "*", named)],
    ["none", told, candidate("a/a", "*", undefined)],
  ] as const)("is %s for %j", (rank, identity, profile) => {
    expect(matchProfile(identity, profile).rank).toBe(rank);
  });

  it("comes with its reasons in both languages", () => {
    const { reasons } = matchProfile(told, candidate("a/a", ">=2.0 <2.4", named, 2));
    expect(reasons.map(({ en }) => en)).toEqual([
      "the maker is ACME, as the profile says",
      "the model is m-1, as the profile says",
      "firmware 2.3 lies in >=2.0 <2.4",
      "it holds only where 2 of the device's values are what the profile expects",
    ]);
    for (const { vi } of reasons) expect(vi).toMatch(/[^ -~]/);
    const [, outside] = matchProfile({ ...told, firmware: "9" }, candidate("a/a", "<2", "any")).reasons;
    expect(outside?.en).toBe("firmware 9 lies outside <2: values are uncertain, nothing is writable");
  });
});

const version = fc.array(fc.nat(30), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("."));

/** Ranges that share their ends without a gap: "<1.2", ">=1.2 <3", ">=3". */
const ranges = fc
  .uniqueArray(version, { minLength: 1, maxLength: 4, comparator: (a, b) => compareFirmware(a, b) === 0 })
  .map((ends) => {
    const sorted = ends.toSorted(compareFirmware);
    const inner = sorted.slice(1).map((end, i) => `>=${sorted[i]} <${end}`);
    return [`<${sorted[0]}`, ...inner, `>=${sorted.at(-1)}`];
  });

const kinds = fc.constantFrom<Is>(named, series, "any");

describe("profiles of one model for one range of firmware each", () => {
  it("have exactly one that holds for any version, and it comes first in whatever order they are", () => {
    fc.assert(
      fc.property(ranges, version, kinds, fc.infiniteStream(fc.nat(1000)), (all, firmware, is, dice) => {
        // The ends themselves are versions too: those are where an error would show.
        const ends = all.flatMap((range) => range.match(/[\d.]+/g) ?? []);
        for (const told1 of [firmware, ...ends]) {
          const holding = all.filter((range) => inFirmwareRange(told1, range));
          expect(holding).toHaveLength(1);
          const profiles = all
            .map((range, i) => ({ at: dice.next().value, profile: candidate(`a/p${i}`, range, is) }))
            .toSorted((a, b) => a.at - b.at)
            .map(({ profile }) => profile);
          const ranked = rankProfiles({ ...told, firmware: told1 }, "modbus", profiles);
          expect(ranked[0]?.profile).toBe(`a/p${all.indexOf(holding[0]!)}`);
          expect(ranked[0]?.firmware).toBe("inside");
          expect(ranked.slice(1).every((match) => match.firmware === "outside")).toBe(true);
        }
      }),
    );
  });

  it("are ordered from the newest on where none of them holds", () => {
    const profiles = [">=1 <2", ">=3 <4", ">=2 <3"].map((range, i) => candidate(`a/p${i}`, range, named));
    const ranked = rankProfiles({ ...told, firmware: "9" }, "modbus", profiles);
    expect(ranked.map(({ profile }) => profile)).toEqual(["a/p1", "a/p2", "a/p0"]);
  });

  it("stand before those for a series, for whatever speaks so and for another model", () => {
    const profiles = [
      candidate("a/any", "*", "any"),
      candidate("a/none", "*", undefined),
      candidate("a/series", ">=2 <3", series),
      candidate("a/open", ">=2", named),
      candidate("a/closed", ">=2 <3", named),
      { ...candidate("a/other", "*", "any"), driver: "snmp" },
    ];
    const ranked = rankProfiles(told, "modbus", profiles).map(({ profile }) => profile);
    expect(ranked).toEqual(["a/closed", "a/open", "a/series", "a/any", "a/none"]);
  });
});

describe("the newest firmware of a range", () => {
  it("lies inside it, and no other one that is told apart by `when` is newer", () => {
    const range = fc.oneof(
      fc.constant("*"),
      version.map((from) => `>=${from}`),
      fc
        .tuple(version, version)
        .filter(([a, b]) => compareFirmware(a, b) < 0)
        .map(([a, b]) => `>=${a} <${b}`),
      version.map((only) => `=${only}`),
    );
    fc.assert(
      fc.property(range, fc.array(version, { maxLength: 3 }), version, (own, splits, any) => {
        const whens = splits.flatMap((split) => [`<${split}`, `>=${split}`, `<=${split}`, `>${split}`]);
        const newest = newestFirmware(own, whens);
        expect(inFirmwareRange(newest, own)).toBe(true);
        for (const other of [any, ...splits]) {
          if (!inFirmwareRange(other, own) || compareFirmware(other, newest) <= 0) continue;
          for (const when of whens)
            expect(inFirmwareRange(other, when), `${other} in ${own}`).toBe(inFirmwareRange(newest, when));
        }
      }),
    );
  });
});

describe("recognition in a profile", () => {
  it.each([
    ["any", true],
    [{ model: ["RUT*"] }, true],
    [{ vendor: ["Acme"], model: ["M-1"], source: "manual p. 3", certainty: "seen" }, true],
    [{ vendor: ["Acme"] }, false],
    [{ model: [] }, false],
    [{ model: ["*"] }, false],
    [{ model: [" "] }, false],
    ["all", false],
  ])("%j is taken: %s", (is, isTaken) => {
    expect(profileSchema.shape.identify.safeParse({ is }).success).toBe(isTaken);
  });

  it("is claimed by shipped profiles only with a source, or marked to be verified", () => {
    for (const id of listProfiles()) {
      const { identify, sources } = loadProfile(id);
      const { is } = identify;
      if (is === undefined || is === "any") continue;
      const cited = Object.keys(sources).some((source) => is.source?.includes(source) === true);
      expect(cited || is.certainty === "to-verify", id).toBe(true);
    }
  });
});
