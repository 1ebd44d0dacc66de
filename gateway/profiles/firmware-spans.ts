import { compareFirmware } from "./firmware.ts";

/** Firmware ranges held against each other: which are empty, which overlap, and where a gap lies between them. */

/** Where a range ends; undefined: it does not. */
type End = { version: string; isIn: boolean } | undefined;

interface Span {
  from: End;
  to: End;
}

/** The tighter of two ends: the later beginning (`side` 1), the earlier end (-1). */
function tighter(a: End, b: End, side: 1 | -1): End {
  if (a === undefined || b === undefined) return a ?? b;
  const order = compareFirmware(a.version, b.version) * side;
  if (order !== 0) return order > 0 ? a : b;
  return a.isIn ? b : a;
}

function spanOf(range: string): Span {
  let span: Span = { from: undefined, to: undefined };
  for (const part of range.trim().split(/\s+/)) {
    const [, operator = "*", version = ""] = /^(>=|<=|>|<|=)(.+)$/.exec(part) ?? [];
    const end = { version, isIn: operator.includes("=") };
    span = {
      from: /[>=]/.test(operator[0] ?? "") ? tighter(span.from, end, 1) : span.from,
      to: /[<=]/.test(operator[0] ?? "") ? tighter(span.to, end, -1) : span.to,
    };
  }
  return span;
}

/** Does `to` end before `from` begins, with no version in both? `isGap`: and with one between them. */
function isBefore(to: End, from: End, isGap = false): boolean {
  if (to === undefined || from === undefined) return false;
  const order = compareFirmware(to.version, from.version);
  return order < 0 || (order === 0 && (isGap ? !to.isIn && !from.isIn : !to.isIn || !from.isIn));
}

/** True when no version lies in the range: ">=2.0 <1.0". */
export function isEmptyRange(range: string): boolean {
  const { from, to } = spanOf(range);
  return isBefore(to, from);
}

/** True when some version lies in both ranges; two that are the same overlap unless they are empty. */
export function rangesOverlap(a: string, b: string): boolean {
  return !isEmptyRange(`${a} ${b}`);
}

function byBeginning(a: Span, b: Span): number {
  if (a.from === undefined || b.from === undefined)
    return Number(b.from === undefined) - Number(a.from === undefined);
  return compareFirmware(a.from.version, b.from.version) || Number(b.from.isIn) - Number(a.from.isIn);
}

/** The first range between others that none of them has: ">=2.0 <2.4"; undefined where they follow each other. */
export function gapBetween(ranges: readonly string[]): string | undefined {
  const spans = ranges
    .filter((range) => !isEmptyRange(range))
    .map(spanOf)
    .toSorted(byBeginning);
  let [reach] = spans.map(({ to }) => to);
  for (const { from, to } of spans.slice(1)) {
    if (reach === undefined) return undefined;
    if (from !== undefined && isBefore(reach, from, true))
      return `${reach.isIn ? ">" : ">="}${reach.version} ${from.isIn ? "<" : "<="}${from.version}`;
    if (to === undefined || tighter(reach, to, 1) === to) reach = to;
  }
  return undefined;
}
