import type { ErrorText } from "../config/error-texts.ts";

type Pair = readonly [en: string, vi: string];

const both = ([en, vi]: Pair) => ({ en, vi });

/** An entry of the table of errors; `retry`: it may pass by itself. */
export function cause(title: Pair, likely: Pair, remedy: Pair, retry = true): ErrorText {
  return { title: both(title), likely: both(likely), do: both(remedy), retry };
}
