import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DeviceConfig } from "../config/config.ts";
import { driverSchemas } from "../config/drivers.ts";
import { DeviceError, type Discovery, type Fit, type Found, type Identity } from "../driver.ts";
import type { LatestReading } from "../host/messages.ts";
import { type Match, matchProfile } from "../profiles/profile-match.ts";
import {
  listProfiles,
  loadProfile,
  mergeSettings,
  pointsOf,
  type Profile,
  profileFolder,
} from "../profiles/profiles.ts";
import type { Finding, MatchKind } from "./kept.ts";

/** Which profile somebody who was found is read with, and how sure that is. */

/** So many points of a profile are read to see whether it may be the right one. */
const sampleMax = 6;
/** Fewer are chance. */
const fitsLeast = 2;
const shareLeast = 0.75;
/** One message says only a part of what a device tells. */
const heardShareLeast = 0.5;
const alsoMax = 3;

/** Reads points of a device as a profile says. Throws when it cannot be reached. */
export type TryOut = (device: DeviceConfig, names: readonly string[]) => Promise<Tried>;

export interface Tried {
  identity: Identity;
  /** What is not as the profile expects it of its model. */
  mismatch: string | undefined;
  readings: readonly LatestReading[];
  /** It wants a login. */
  isDenied?: boolean;
}

export type Chosen = Pick<
  Finding,
  "match" | "profile" | "fits" | "also" | "equals" | "reasons" | "identity"
> & {
  /** Where that is more than it said itself. */
  needs?: string[];
};

/** The profiles of a driver; those that cannot be read are left out. */
export function profilesOf(driver: string): Profile[] {
  return listProfiles().flatMap((id) => {
    try {
      // To check one takes far longer than to see whose it is.
      const [, own] =
        /^driver:\s*["']?([\w-]+)/m.exec(readFileSync(join(profileFolder, `${id}.yaml`), "utf8")) ?? [];
      if (own !== driver) return [];
      const profile = loadProfile(id);
      return profile.driver === driver ? [profile] : [];
    } catch {
      return [];
    }
  });
}

/** How people read a rank. */
export const ofRank: Record<Match["rank"], MatchKind> = {
  exact: "exact",
  range: "likely",
  family: "likely",
  generic: "generic",
  none: "none",
};

interface Scored {
  profile: Profile;
  fit: Fit;
  identity: Identity;
  match: Match;
}

const share = ({ fits, of }: Fit): number => (of === 0 ? 0 : fits / of);

/** A profile for whatever speaks so comes after one that is for a model. */
function order(a: Scored, b: Scored): number {
  const isGeneric = ({ profile }: Scored): number => (profile.identify.is === "any" ? 1 : 0);
  const markers = ({ profile }: Scored): number => profile.identify.expect.length;
  return (
    share(b.fit) - share(a.fit) ||
    markers(b) - markers(a) ||
    isGeneric(a) - isGeneric(b) ||
    b.fit.of - a.fit.of ||
    (a.profile.id < b.profile.id ? -1 : 1)
  );
}

/**
 * By what it says of itself; where that names no model, by what was heard of it, or by how a few of the points of
 * each profile read (`tryOut`), which only reads.
 */
export async function choose(
  driver: string,
  found: Found,
  profiles: readonly Profile[],
  discovery: Discovery | undefined,
  tryOut: TryOut | undefined,
): Promise<Chosen> {
  const { identity, needs = [] } = found;
  const ranked = profiles
    .map((profile) => ({ profile, match: matchProfile(identity, profile) }))
    .filter(({ match }) => match.rank !== "none");
  const named = ranked
    .filter(({ match, profile }) => match.rank !== "generic" && profile.identify.expect.length === 0)
    .toSorted((a, b) => rankOf(a.match) - rankOf(b.match))[0];
  if (named !== undefined) return byName(named.match, identity, ranked);
  const scored = [...heard(found, profiles, discovery)];
  let isDenied = false;
  if (scored.length === 0 && tryOut !== undefined && needs.length === 0)
    isDenied = await tried(driver, found, profiles, tryOut, (one) => scored.push(one));
  const fitting = scored
    .filter(({ fit, profile }) => {
      const isMarked = profile.identify.expect.length > 0;
      const least = found.heard === undefined ? shareLeast : heardShareLeast;
      return share(fit) >= least && fit.fits >= (isMarked ? 1 : Math.min(fitsLeast, fit.of));
    })
    .toSorted(order);
  const [best, ...others] = fitting;
  if (best !== undefined) return byFit(best, others);
  const wants = isDenied && needs.length === 0 ? ["user", "password"] : needs;
  // Who was heard has told all that he tells.
  if (wants.length > 0 && found.heard === undefined) return byLogin(identity, wants, ranked);
  const generic = ranked.find(({ profile }) => profile.identify.expect.length === 0);
  if (generic !== undefined) return byName(generic.match, identity, ranked);
  return { match: "none", also: [], reasons: [nothing(identity, driver)], identity };
}

const rankOf = ({ rank }: Match): number => ["exact", "range", "family", "generic", "none"].indexOf(rank);

type Ranked = { match: Match; profile: Profile };

/** `equals`: nothing tells them apart. */
const equalsOf = (equals: readonly string[]): Pick<Chosen, "equals"> =>
  equals.length === 0 ? {} : { equals: [...equals] };

/** Those that fit by name as well as this one. One that holds only for certain values was tried, and is not it. */
function namedAlike(match: Match, ranked: readonly Ranked[]): Pick<Chosen, "equals"> {
  const alike = ranked.filter(
    ({ match: one, profile }) =>
      one.profile !== match.profile &&
      one.rank === match.rank &&
      one.firmware === match.firmware &&
      profile.identify.expect.length === 0,
  );
  return equalsOf(alike.map(({ profile }) => profile.id));
}

function byName(match: Match, identity: Identity, ranked: readonly Ranked[]): Chosen {
  const also = ranked.map((one) => one.match.profile).filter((id) => id !== match.profile);
  return {
    match: ofRank[match.rank],
    profile: match.profile,
    also: also.slice(0, alsoMax),
    ...namedAlike(match, ranked),
    reasons: match.reasons,
    identity,
  };
}

function byFit({ profile, fit, identity, match }: Scored, others: readonly Scored[]): Chosen {
  const { fits, of } = fit;
  const isSame = (one: Scored): boolean => share(one.fit) === share(fit);
  const markers = profile.identify.expect.length;
  const marked = {
    en: `${markers} of the device's values are what only ${profile.id} expects`,
    vi: `${markers} giá trị của thiết bị đúng như riêng ${profile.id} mong đợi`,
  };
  const values = {
    en: `${fits} of ${of} values that were read are as ${profile.id} has them`,
    vi: `${fits} trên ${of} giá trị đã đọc đúng như ${profile.id}`,
  };
  const rivals = others.filter(isSame).map((one) => one.profile.id);
  // Six values that fit say more than two.
  const equals = others.filter((one) => isSame(one) && one.fit.of === of).map((one) => one.profile.id);
  const doubt = {
    en: `those that were read of ${rivals.slice(0, alsoMax).join(", ")} fit as well: compare the name plate`,
    vi: `các giá trị đã đọc theo ${rivals.slice(0, alsoMax).join(", ")} cũng đúng: hãy xem nhãn trên thiết bị`,
  };
  return {
    match: "likely",
    profile: profile.id,
    fits: fit,
    also: others.slice(0, alsoMax).map((one) => one.profile.id),
    ...(markers > 0 ? {} : equalsOf(equals)),
    reasons: [
      ...(match.rank === "none" ? [] : match.reasons.slice(0, 1)),
      ...(markers > 0 ? [marked] : []),
      values,
      ...(rivals.length > 0 && markers === 0 ? [doubt] : []),
    ],
    identity,
  };
}

function byLogin(identity: Identity, needs: readonly string[], ranked: readonly Ranked[]): Chosen {
  const [first] = ranked.filter(({ profile }) => profile.identify.expect.length === 0);
  const keys = needs.join(", ");
  const reason = {
    en: `it tells the rest only to somebody whom it knows: ${keys}`,
    vi: `nó chỉ cho biết phần còn lại khi có: ${keys}`,
  };
  return {
    match: "login",
    needs: [...needs],
    ...(first === undefined ? {} : { profile: first.profile.id }),
    also: ranked.slice(1, 1 + alsoMax).map(({ profile }) => profile.id),
    reasons: [reason],
    identity,
  };
}

function nothing({ vendor, model }: Identity, driver: string) {
  const who = [vendor, model].filter((part) => part !== undefined).join(" ");
  if (who !== "")
    return {
      en: `no profile for ${driver} is for ${who}`,
      vi: `không hồ sơ nào của ${driver} dành cho ${who}`,
    };
  return {
    en: `it gives no identity, and no profile for ${driver} reads as it should`,
    vi: `nó không tự khai, và không hồ sơ nào của ${driver} đọc được hợp lý`,
  };
}

function* heard(
  found: Found,
  profiles: readonly Profile[],
  discovery: Discovery | undefined,
): Generator<Scored> {
  if (found.heard === undefined || discovery?.fit === undefined) return;
  for (const profile of profiles) {
    const { settings, points, records } = profile;
    const addresses = [...points, ...records.flatMap(({ fields }) => fields)].map(({ address }) => address);
    const fit = discovery.fit(found, { settings, addresses });
    if (fit === undefined || fit.fits === 0) continue;
    yield { profile, fit, identity: found.identity, match: matchProfile(found.identity, profile) };
  }
}

/** Is what came of a point as its profile has it? */
const isSound = ({ value, status }: LatestReading): boolean => value !== null && status === "good";

const isEmpty = ({ value }: LatestReading): boolean => value === 0 || value === "" || value === false;

/** Reads some points of it as each of the profiles has them; true: it did not let us. */
async function tried(
  driver: string,
  found: Found,
  profiles: readonly Profile[],
  tryOut: TryOut,
  take: (scored: Scored) => void,
): Promise<boolean> {
  let isRefused = false;
  for (const profile of profiles) {
    // Its makers are others, or its model is.
    const isOther = typeof profile.identify.is === "object";
    const device = isOther ? undefined : await deviceAs(driver, found, profile);
    if (device === undefined) continue;
    const names = sampleOf(device);
    const { identity, mismatch, readings, isDenied = false } = await tryOut(device, names).catch(unread);
    isRefused ||= isDenied;
    if (mismatch !== undefined) continue;
    const sound = readings.filter(isSound);
    // Who answers zero to everything is not recognised by it.
    const fits = sound.every(isEmpty) ? 0 : sound.length;
    const told = { ...found.identity, ...identity };
    if (fits > 0)
      take({ profile, fit: { fits, of: names.length }, identity: told, match: matchProfile(told, profile) });
  }
  return isRefused;
}

/** It does not answer as such a device, or not to us. */
const unread = (error: unknown): Tried => ({
  identity: {},
  mismatch: String(error),
  readings: [],
  isDenied: error instanceof DeviceError && error.code === "denied",
});

/** The device as a site file with this profile would have it; undefined: it needs settings that nobody knows. */
async function deviceAs(driver: string, found: Found, profile: Profile): Promise<DeviceConfig | undefined> {
  const schemas = await driverSchemas(driver);
  const own = { ...found.settings, ...found.at };
  const settings = schemas.settings.safeParse(mergeSettings(profile.settings, own));
  if (!settings.success) return undefined;
  try {
    const parse = (address: unknown): unknown => schemas.address.parse(address);
    const points = pointsOf(profile, settings.data)
      .filter(({ derive }) => derive === undefined)
      .map((point) => ({ ...point, address: parse(point.address) }));
    const { identify } = profile;
    const fields = (["vendor", "model", "firmware", "serial"] as const).filter(
      (key) => identify[key] !== undefined,
    );
    return {
      id: "found",
      name: "found",
      driver,
      enabled: true,
      profile: profile.id,
      class: profile.class,
      firmwareRange: profile.firmware,
      settings: settings.data,
      identify: {
        ...identify,
        // It has been asked.
        standard: false,
        ...Object.fromEntries(fields.map((key) => [key, parse(identify[key])])),
        expect: identify.expect.map((one) => ({ ...one, address: parse(one.address) })),
      },
      identity: { vendor: profile.vendor, model: profile.model },
      pollMs: { fast: 1000, normal: 1000, slow: 1000 },
      points,
      records: [],
      alarms: [],
      silenceMs: 0,
      place: { file: "", line: 0 },
    };
  } catch {
    return undefined;
  }
}

/** Points from all over the profile; those with limits say most. */
function sampleOf({ points }: DeviceConfig): string[] {
  const whole = points.filter(({ publish, when }) => publish && when === undefined);
  const polled = whole.filter(({ poll }) => poll !== "push");
  // One that tells its values by itself mostly answers as well.
  const asked = polled.length > 0 ? polled : whole;
  const sharp = asked.filter(({ limits, values }) => limits !== undefined || values !== undefined);
  const all = sharp.length >= fitsLeast ? sharp : asked;
  const step = Math.max(1, all.length / sampleMax);
  return Array.from(
    { length: Math.min(sampleMax, all.length) },
    (_, i) => all[Math.floor(i * step)]?.name ?? "",
  );
}
