/**
 * Firmware versions and ranges. A version is read as its runs of digits ("V5.7.12 build 3" → 5.7.12.3); a range
 * is a list of comparators that must all hold (">=2.0 <2.4"), "*" for any. There is no other syntax.
 */

/** The runs of digits without leading zeros: as text, since build dates and serials outgrow a number. */
function parts(version: string): string[] {
  return (version.match(/\d+/g) ?? []).map((digits) => digits.replace(/^0+(?=\d)/, ""));
}

function compareDigits(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Negative when `a` is older than `b`, 0 when equal; missing parts count as 0 (2.0 = 2.0.0). */
export function compareFirmware(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = compareDigits(left[i] ?? "0", right[i] ?? "0");
    if (difference !== 0) return difference;
  }
  return 0;
}

const comparator = /^(>=|<=|>|<|=)(\d[\w.-]*)$/;

/** True when `range` is written in the syntax above. */
export function isFirmwareRange(range: string): boolean {
  return (
    range.trim() === "*" ||
    range
      .trim()
      .split(/\s+/)
      .every((part) => comparator.test(part))
  );
}

/** True when `version` lies inside `range`. */
export function inFirmwareRange(version: string, range: string): boolean {
  if (range.trim() === "*") return true;
  return range
    .trim()
    .split(/\s+/)
    .every((part) => {
      const [, operator, bound] = comparator.exec(part) ?? [];
      if (operator === undefined || bound === undefined) return false;
      const order = compareFirmware(version, bound);
      if (operator === ">=") return order >= 0;
      if (operator === "<=") return order <= 0;
      if (operator === ">") return order > 0;
      if (operator === "<") return order < 0;
      return order === 0;
    });
}

/** True when somebody has said where `range` ends: with "<", "<=" or "=". */
export function isClosedRange(range: string): boolean {
  return /(^|\s)(<|=)/.test(range);
}

/** The versions that a range names: "2.0" and "2.4" of ">=2.0 <2.4". */
const boundsOf = (range: string): string[] => range.match(/\d[\w.-]*/g) ?? [];

/**
 * A version as new as `range` allows, told apart by the ranges `whens`: what the newest firmware has lies inside
 * those that it lies in.
 */
export function newestFirmware(range: string, whens: readonly string[] = []): string {
  const bounds = [range, ...whens].flatMap(boundsOf).map(parts);
  const depth = Math.max(1, ...bounds.map(({ length }) => length));
  // Between two bounds that follow each other lies what is a little newer than the first: one digit run more.
  const newer = bounds.map((own) => [...own, ...Array<string>(depth - own.length).fill("0"), "1"]);
  return [["0"], ...bounds, ...newer]
    .map((digits) => digits.join("."))
    .filter((version) => inFirmwareRange(version, range))
    .reduce((newest, version) => (compareFirmware(version, newest) > 0 ? version : newest), "0");
}
