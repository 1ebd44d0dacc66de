import type { AddressFacts } from "../../config/drivers.ts";
import type { Path } from "../../config/path.ts";
import { gapBetween, isEmptyRange, rangesOverlap } from "../firmware-spans.ts";
import type { Point } from "../profiles.ts";
import type { Lint } from "./findings.ts";

/** Where the values of a profile lie in the device: two at one place, and what is never asked for. */

/** A value with its place: a point of a part, an address of `identify`. */
export interface Placed {
  path: Path;
  name: string;
  /** As the driver's schema has parsed it. */
  address: unknown;
  facts: AddressFacts;
  when: string;
  point?: Point;
  /** A value that `identify` only compares. */
  marker?: unknown;
}

/** The same value has the same text, whatever the order of its keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** How far back others are looked for: files come from anywhere, and thousands at one place must not take minutes. */
const othersMax = 20;
const earlier = <Item>(items: readonly Item[], index: number): readonly Item[] =>
  items.slice(Math.max(0, index - othersMax), index);

const meets = (a: Placed, b: Placed): boolean => rangesOverlap(a.when, b.when);

const meaningOf = ({ kind, unit, scale, offset, scaleFactor, values }: Point): string =>
  canonical({ kind, unit, scale, offset, scaleFactor, values });

/** Points that read the very same address: with two meanings one is wrong, with one meaning one is too many. */
function checkSame(lint: Lint, placed: readonly Placed[]): void {
  const byAddress = Map.groupBy(
    placed.filter(({ point, address }) => point !== undefined && address !== undefined),
    ({ address }) => canonical(address),
  );
  for (const group of byAddress.values())
    for (const [index, one] of group.entries()) {
      const other = earlier(group, index).find((before) => meets(before, one));
      if (other?.point === undefined || one.point === undefined) continue;
      // Of one device's value a state in words and an alarm's true or false may both be told.
      if (other.point.kind !== one.point.kind && other.point.kind !== "number" && one.point.kind !== "number")
        continue;
      const isSame = meaningOf(other.point) === meaningOf(one.point);
      lint.say(
        "same",
        [...one.path, "address"],
        isSame
          ? `"${one.name}" is the same value as "${other.name}": leave one of them out`
          : `"${one.name}" and "${other.name}" read the same address and mean different things`,
        isSame
          ? `"${one.name}" và "${other.name}" là cùng một giá trị: hãy bỏ một trong hai`
          : `"${one.name}" và "${other.name}" đọc cùng một địa chỉ nhưng mang nghĩa khác nhau`,
        { at: "key" },
      );
    }
}

/** Values that share some of their cells without being the same: registers of two types. */
function checkOverlaps(lint: Lint, placed: readonly Placed[]): void {
  // By place, then by address and firmware: many parts of one address are told once.
  const taken = new Map<string, Map<string, Placed>>();
  for (const one of placed) {
    const { cells } = one.facts;
    if (cells === undefined) continue;
    let other: Placed | undefined;
    for (let cell = cells.first; cell < cells.first + cells.count; cell++) {
      const key = `${cells.table}:${cell}`;
      const there = taken.get(key) ?? new Map<string, Placed>();
      other ??= [...there.values()].find((before) => meets(before, one) && clash(before, one));
      if (there.size < othersMax) there.set(canonical([one.address, one.when, one.marker]), one);
      taken.set(key, there);
    }
    if (other !== undefined)
      lint.say(
        "same",
        [...one.path, "address"],
        `"${one.name}" and "${other.name}" overlap: ${spanText(one)} and ${spanText(other)}`,
        `"${one.name}" và "${other.name}" chồng lên nhau: ${spanText(one)} và ${spanText(other)}`,
        { at: "key" },
      );
  }
}

function spanText({ facts: { cells } }: Placed): string {
  if (cells === undefined) return "?";
  const { table, first, count } = cells;
  return count === 1 ? `${table} ${first}` : `${table} ${first} to ${first + count - 1}`;
}

/** Two at the very same address are `checkSame`'s; a marker may compare what a point shows, where it agrees. */
function clash(a: Placed, b: Placed): boolean {
  if (a.point !== undefined && b.point !== undefined) return canonical(a.address) !== canonical(b.address);
  const [point, marker] = a.point === undefined ? [b.point, a.marker] : [a.point, b.marker];
  if (point === undefined) return canonical(a.address) !== canonical(b.address);
  return marker === undefined ? canonical(a.address) !== canonical(b.address) : point.fixed !== marker;
}

/** That a device is never asked for a value, or never tells it. */
export function sayUnreachable(lint: Lint, path: Path, name: string, { unreachable }: AddressFacts): void {
  if (unreachable === undefined) return;
  const { en, vi } = unreachable;
  lint.say(
    "reach",
    [...path, "address"],
    `"${name}" is never read: ${en}`,
    `"${name}" không bao giờ được đọc: ${vi}`,
  );
}

const sayEmpty = (lint: Lint, path: Path, range: string): void =>
  lint.say("reach", path, `no firmware lies in ${range}`, `không có firmware nào nằm trong ${range}`);

function checkReach(lint: Lint, placed: readonly Placed[]): void {
  const { firmware } = lint.profile;
  const isNowhere = isEmptyRange(firmware);
  if (isNowhere) sayEmpty(lint, ["firmware"], firmware);
  for (const { path, name, facts, when, point } of placed) {
    sayUnreachable(lint, path, name, facts);
    if (point?.when === undefined) continue;
    const at = [...path, "when"];
    if (isEmptyRange(when)) sayEmpty(lint, at, when);
    else if (!isNowhere && !rangesOverlap(when, firmware))
      lint.say(
        "reach",
        at,
        `no firmware of the profile (${firmware}) lies in ${when}`,
        `không firmware nào của hồ sơ (${firmware}) nằm trong ${when}`,
      );
  }
}

/** Points of one name, or of one label, for several firmware ranges: these must follow each other. */
function checkFamilies(lint: Lint, templates: readonly Point[]): void {
  const families = Map.groupBy(templates, ({ name, label }) => label?.en ?? name);
  for (const [family, points] of families) {
    for (const [index, one] of points.entries()) {
      const other = earlier(points, index).find((before) =>
        rangesOverlap(before.when ?? "*", one.when ?? "*"),
      );
      if (other !== undefined && (one.when ?? other.when) !== undefined)
        lint.say(
          "firmware",
          ["points", one.name, "when"],
          `"${one.name}" and "${other.name}" are both "${family}" for some firmware: ${one.when ?? "*"} and ${other.when ?? "*"} overlap`,
          `"${one.name}" và "${other.name}" cùng là "${family}" ở một số firmware: ${one.when ?? "*"} và ${other.when ?? "*"} chồng lên nhau`,
        );
    }
    const last = points.at(-1);
    const gap = gapBetween(points.flatMap(({ when }) => when ?? []));
    if (gap !== undefined && last !== undefined && rangesOverlap(gap, lint.profile.firmware))
      lint.say(
        "firmware",
        ["points", last.name, "when"],
        `no point is "${family}" for the firmware ${gap}: the ranges leave a gap`,
        `không điểm nào là "${family}" với firmware ${gap}: các khoảng để hở`,
      );
  }
}

/** What a point takes its power of ten from, and that one request can ask for both. */
function checkFactors(lint: Lint, placed: readonly Placed[]): void {
  const points = placed.filter(({ point }) => point !== undefined);
  for (const { path, point, facts } of points) {
    if (point?.scaleFactor === undefined) continue;
    const at = [...path, "scaleFactor"];
    const factor = points.find(({ name }) => name === point.scaleFactor);
    // One that does not exist is told by the check of the document.
    if (factor?.point === undefined) continue;
    const { publish, scale, offset } = factor.point;
    if (publish || scale !== 1 || offset !== 0)
      lint.say(
        "factor",
        at,
        `"${factor.name}" is a power of ten: it needs "publish: false", the scale 1 and the offset 0`,
        `"${factor.name}" là số mũ mười: cần "publish: false", scale 1 và offset 0`,
      );
    const [own, its] = [facts.cells, factor.facts.cells];
    if (own === undefined || its === undefined) continue;
    const reach = Math.max(own.first + own.count, its.first + its.count) - Math.min(own.first, its.first);
    if (own.table !== its.table || reach > own.most)
      lint.say(
        "factor",
        at,
        `"${factor.name}" does not fit into one read with "${point.name}"`,
        `"${factor.name}" không thể đọc cùng một lần với "${point.name}"`,
      );
  }
}

/** All rules of places, over the points of the profile's own settings and the addresses of `identify`. */
export function checkPlaces(lint: Lint, placed: readonly Placed[]): void {
  checkSame(lint, placed);
  checkOverlaps(lint, placed);
  checkReach(lint, placed);
  checkFamilies(lint, lint.profile.templates);
  checkFactors(lint, placed);
}
