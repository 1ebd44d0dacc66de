import type { Identity } from "../driver.ts";
import { compareFirmware, inFirmwareRange, isClosedRange, newestFirmware } from "./firmware.ts";
import type { Profile } from "./profiles.ts";

/**
 * How well a profile fits what a device says of itself.
 * exact: its maker and model by name, and its firmware in a range that has an end · range: the same with a range
 * that is open, so that nobody has looked at the firmware yet · family: its maker and a series of models ("RUT*"),
 * or the very model with a firmware that is not told or outside the range · generic: the profile is for whatever
 * speaks so · none: another model, or one that cannot be told.
 */
export const ranks = ["exact", "range", "family", "generic", "none"] as const;
type Rank = (typeof ranks)[number];

/** A sentence for people. */
interface Sentence {
  en: string;
  vi: string;
}

export interface Match {
  profile: string;
  rank: Rank;
  /** How the firmware lies to the profile's range. */
  firmware: "inside" | "outside" | "untold";
  reasons: Sentence[];
}

/** What of a profile the ranking looks at. */
export type Candidate = Pick<Profile, "id" | "vendor" | "model" | "driver" | "firmware" | "status"> & {
  identify: Pick<Profile["identify"], "is" | "expect">;
};

/** True when `text` is as `pattern` has it: capitals and outer blanks do not count, "*" is any characters. */
export function isLike(text: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.trim().toLowerCase().split("*");
  const whole = text.trim().toLowerCase();
  if (!whole.startsWith(first)) return false;
  const last = rest.pop();
  if (last === undefined) return whole === first;
  let at = first.length;
  for (const part of rest) {
    const found = whole.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return whole.length - at >= last.length && whole.endsWith(last);
}

/** The profiles of a driver, those that fit best first, each with its reasons; those that do not fit at the end. */
export function rankProfiles(identity: Identity, driver: string, profiles: readonly Candidate[]): Match[] {
  return profiles
    .filter((profile) => profile.driver === driver)
    .map((profile) => ({ profile, match: matchProfile(identity, profile) }))
    .toSorted((a, b) => order(a, b))
    .map(({ match }) => match);
}

type Ranked = { profile: Candidate; match: Match };

const firmwareOrder = ["inside", "untold", "outside"] as const;
const statusOrder = ["field-verified", "official", "community"] as const;

function order(a: Ranked, b: Ranked): number {
  return (
    ranks.indexOf(a.match.rank) - ranks.indexOf(b.match.rank) ||
    firmwareOrder.indexOf(a.match.firmware) - firmwareOrder.indexOf(b.match.firmware) ||
    // Of a firmware that no range holds, the newest profile comes nearest.
    compareFirmware(newestFirmware(b.profile.firmware), newestFirmware(a.profile.firmware)) ||
    statusOrder.indexOf(a.profile.status) - statusOrder.indexOf(b.profile.status) ||
    (a.profile.id < b.profile.id ? -1 : 1)
  );
}

/** How one profile fits a device. */
export function matchProfile(identity: Identity, profile: Candidate): Match {
  const model = byModel(identity, profile);
  const { firmware, reason } = byFirmware(identity.firmware, profile.firmware);
  const isNone = model.fit === "none";
  const rank: Rank =
    model.fit !== "model"
      ? model.fit
      : firmware !== "inside"
        ? "family"
        : isClosedRange(profile.firmware)
          ? "exact"
          : "range";
  const markers = profile.identify.expect.length;
  return {
    profile: profile.id,
    rank,
    firmware,
    reasons: [
      ...model.reasons,
      ...(isNone ? [] : [reason]),
      ...(isNone || markers === 0 ? [] : [markersOf(markers)]),
    ],
  };
}

const markersOf = (count: number): Sentence => ({
  en: `it holds only where ${count} of the device's values are what the profile expects`,
  vi: `chỉ dùng được khi ${count} giá trị của thiết bị đúng như hồ sơ mong đợi`,
});

interface ByModel {
  fit: "model" | "family" | "generic" | "none";
  reasons: Sentence[];
}

function byModel(identity: Identity, profile: Candidate): ByModel {
  const { is } = profile.identify;
  if (is === undefined) {
    const en = `nothing that a ${profile.vendor} ${profile.model} says of itself is known: somebody must look at its name plate`;
    const vi = `không biết ${profile.vendor} ${profile.model} tự xưng thế nào: phải xem nhãn trên thiết bị`;
    return { fit: "none", reasons: [{ en, vi }] };
  }
  if (is === "any") {
    const en = `the profile is for whatever speaks so (${profile.vendor} ${profile.model})`;
    const vi = `hồ sơ dùng cho mọi thiết bị nói như vậy (${profile.vendor} ${profile.model})`;
    return { fit: "generic", reasons: [{ en, vi }] };
  }
  const vendor = is.vendor === undefined ? undefined : compared(makerWords, identity.vendor, is.vendor);
  const model = compared(modelWords, identity.model, is.model);
  const both = vendor === undefined ? [model] : [vendor, model];
  const fit = both.some((one) => one.fit === "none")
    ? "none"
    : both.some((one) => one.fit === "family")
      ? "family"
      : "model";
  return { fit, reasons: both.map(({ reason }) => reason) };
}

const makerWords = { en: "maker", vi: "hãng" };
const modelWords = { en: "model", vi: "model" };

/** One text of the device against what the profile knows. */
function compared(
  what: Sentence,
  told: string | undefined,
  patterns: readonly string[],
): { fit: "model" | "family" | "none"; reason: Sentence } {
  const list = patterns.join(", ");
  if (told === undefined || told.trim() === "")
    return {
      fit: "none",
      reason: {
        en: `the device tells no ${what.en}; the profile expects ${list}`,
        vi: `thiết bị không cho biết ${what.vi}; hồ sơ mong đợi ${list}`,
      },
    };
  const like = patterns.filter((pattern) => isLike(told, pattern));
  const [first] = like;
  if (first === undefined)
    return {
      fit: "none",
      reason: {
        en: `the ${what.en} is ${told}, the profile expects ${list}`,
        vi: `${what.vi} là ${told}, hồ sơ mong đợi ${list}`,
      },
    };
  const isNamed = what === makerWords || like.some((pattern) => !pattern.includes("*"));
  if (isNamed)
    return {
      fit: "model",
      reason: {
        en: `the ${what.en} is ${told}, as the profile says`,
        vi: `${what.vi} là ${told}, đúng như hồ sơ`,
      },
    };
  return {
    fit: "family",
    reason: {
      en: `the ${what.en} is ${told}, of the series ${first}`,
      vi: `${what.vi} là ${told}, thuộc dòng ${first}`,
    },
  };
}

function byFirmware(
  told: string | undefined,
  range: string,
): { firmware: Match["firmware"]; reason: Sentence } {
  if (told === undefined)
    return {
      firmware: "untold",
      reason: {
        en: `the device tells no firmware; the profile is for ${range}`,
        vi: `thiết bị không cho biết firmware; hồ sơ dùng cho ${range}`,
      },
    };
  if (inFirmwareRange(told, range))
    return {
      firmware: "inside",
      reason: {
        en: `firmware ${told} lies in ${range}`,
        vi: `firmware ${told} nằm trong ${range}`,
      },
    };
  return {
    firmware: "outside",
    reason: {
      en: `firmware ${told} lies outside ${range}: values are uncertain, nothing is writable`,
      vi: `firmware ${told} nằm ngoài ${range}: giá trị không chắc chắn, không được ghi`,
    },
  };
}
