import { isPersonalMember, personalPlaces, type Place } from "./personal.ts";

/** Secrets in what is written of points and records: in the query of a path, in a body. */

/** Stands for a setting, or for the value that is written. */
const variable = /\{(\w+)\}/g;

/** What of a text stands for itself. */
function ownParts(text: string, { start, end, isNumber }: Place): Place[] {
  const parts: Place[] = [];
  let from = start;
  for (const { index, 0: one } of text.slice(start, end).matchAll(variable)) {
    parts.push({ start: from, end: start + index, isNumber });
    from = start + index + one.length;
  }
  return [...parts, { start: from, end, isNumber }].filter((part) => part.end > part.start);
}

/** Is this the way to a member of a body that is called like a secret or a person, or to what is in such a one? */
function isInSecretMember(path: readonly string[]): boolean {
  // A point may be called so, and its address has no such member above the third step.
  const at = path.indexOf("body", 3);
  return at > 0 && path.slice(at + 1).some(isPersonalMember);
}

const secretPlaces = (text: string, path: readonly string[]): Place[] =>
  isInSecretMember(path) ? [{ start: 0, end: text.length, isNumber: false }] : personalPlaces(text);

function withoutEscapes(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What is secret in a text at the end of this path, also without the escapes of a query; and in which variables. */
export function secretParts(text: string, path: readonly string[]): { texts: string[]; variables: string[] } {
  const places = secretPlaces(text, path);
  const parts = places.flatMap((place) => ownParts(text, place));
  const texts = parts.map(({ start, end }) => text.slice(start, end));
  const named = places.map(({ start, end }) => text.slice(start, end));
  return {
    texts: [...new Set([...texts, ...texts.map(withoutEscapes)])],
    variables: named.flatMap((one) => [...one.matchAll(variable)].map(([, name = ""]) => name)),
  };
}

/** A text or number at the end of this path with what is secret in it overwritten. */
export function withoutParts(value: string | number, path: readonly string[]): string | number {
  if (typeof value === "number") return isInSecretMember(path) ? 1 : value;
  const parts = secretPlaces(value, path).flatMap((place) => ownParts(value, place));
  return parts.reduce((left, { start, end, isNumber }) => {
    const part = left.slice(start, end);
    // Where JSON has a number there must still be one.
    return (
      left.slice(0, start) +
      part.replaceAll(isNumber ? /\d/g : /[^]/g, isNumber ? "1" : "x") +
      left.slice(end)
    );
  }, value);
}

/** Where kerb's own words stand, and names that other points go by. */
const kerbsWords = new Set(
  "unit kind poll when derive scaleFactor bits active category severity privacy each interlock".split(" "),
);

/** Is what stands here a word of kerb's, and no text? */
export const isKerbsWord = (path: readonly string[]): boolean =>
  path.some((key, i) => i > 1 && kerbsWords.has(key)) && !path.includes("address");
