import type { Text } from "../../diagnosis/facts.ts";
import type { ErrorCode } from "../../errors.ts";
import { healthWords } from "../health-words.ts";
import { whyWords } from "./why-words.ts";

/** What `kerb doctor` calls what it looks at. */
export const names = {
  en: { ...healthWords.en, ...whyWords.en.checks },
  vi: { ...healthWords.vi, ...whyWords.vi.checks },
};

/** One line of the table: what was looked at, and how it is. */
export interface Row {
  check: keyof typeof names.en;
  /** Which uplink or driver. */
  object?: string;
  state: "ok" | "warn" | "bad";
  seen: Text;
  code?: ErrorCode;
}
