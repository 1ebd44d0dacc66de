import leven from "leven";
import { printable } from "../errors.ts";

/** A text in quotes as messages show it: one line of at most 60 characters, safe for a terminal. */
export function quoted(text: string): string {
  return `"${printable(text.length > 60 ? `${text.slice(0, 59)}…` : text).replaceAll("\n", " ")}"`;
}

/** Values as a choice: `"a", "b" or 3`. */
export function listed(values: readonly unknown[]): string {
  const texts = values.map((value) => (typeof value === "string" ? quoted(value) : String(value)));
  return texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, "");
}

/** The candidate that a mistyped word most likely means; undefined when none is near (fewer than 3 changes). */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > 4) continue;
    const distance = leven(plain(word), plain(candidate));
    // Two changes turn any word of two letters into any other.
    if (distance < Math.min(3, candidate.length, best?.distance ?? 3)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** ` - did you mean "poll"?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = nearest(word, candidates);
  return meant === undefined ? "" : ` - did you mean ${quoted(meant)}?`;
}
