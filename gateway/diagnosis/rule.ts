import type { Language } from "../config/error-texts.ts";
import type { Rung } from "../driver.ts";

/** One condition on one fact. A list: one of these. `present` false: the fact must be absent. */
export type Condition =
  | string
  | number
  | boolean
  | readonly (string | number)[]
  | { readonly atLeast: number }
  | { readonly below: number }
  | { readonly isNot: string }
  | { readonly has: RegExp }
  | { readonly present: boolean };

/**
 * When a cause is the cause: every condition holds of the facts. `on`: the rung that has failed, or "working" for
 * what is wrong with a device that answers. `seen` names facts in braces; a name that ends in "Ms" is shown as a time.
 */
export interface Rule<Code extends string = string> {
  cause: Code;
  on: Rung | "working" | readonly Rung[];
  /** Of "working": the rung that it is about; absent: the values. */
  about?: Rung;
  when: Readonly<Record<string, Condition>>;
  seen: Record<Language, string>;
}
